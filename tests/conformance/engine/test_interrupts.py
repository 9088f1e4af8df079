"""Interrupts and their answers: scenarios 61 to 75."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, FlowHandle
from dwarf.errors import FlowNotFound, InvalidRequest, StateConflict
from dwarf.failpoints import Failpoints
from dwarf.hosts import LocalHost
from dwarf.storage.sql.errors import Contention, Unavailable
from tests.conformance.engine.tools import Gate, doctor, nodes, nothing, query, statuses, step_at, until


@pytest.fixture
def asks(host: LocalHost) -> list[Any]:
    """A task Ask, which asks for `need` and writes the answer; the answers it has got."""
    answers: list[Any] = []

    @host.task(url="Ask")
    async def Ask(flow: Flow) -> None:
        flow["created"] = flow.get("created", 0) + 1
        answer = flow.interrupt({"need": flow.get("need", "x")})
        answers.append(answer)
        flow["answer"] = answer

    return answers


async def test_e61_interrupt_and_resume(host: LocalHost, engine: Engine) -> None:
    answers: list[Any] = []

    @host.task(url="Ask")
    async def Ask(flow: Flow) -> None:
        answers.append((flow.interrupt({"need": "x"}), flow.snapshot()))

    handle = await engine.create(Graph("g").add_transition("Ask", END), {"given": 1})
    outcome = await handle
    assert outcome.status is Status.INTERRUPTED
    assert outcome.interrupt_payload == {"need": "x"}
    assert outcome.state == {"given": 1}
    await handle.resume({"answer": 42})
    outcome = await handle
    assert outcome.status is Status.COMPLETED
    assert outcome.state == {"given": 1}
    assert answers == [({"answer": 42}, {"given": 1})]
    with pytest.raises(StateConflict):
        await handle.resume({"answer": 43})


async def test_e62_write_before_the_interrupt_is_kept(host: LocalHost, engine: Engine, asks: list[Any]) -> None:
    seen: list[int] = []

    @host.task(url="Next")
    async def Next(flow: Flow) -> None:
        seen.append(flow["created"])

    handle = await engine.create(Graph("g").add_chain("Ask", "Next", END))
    assert (await handle).state == {"created": 1}
    await handle.resume()
    # the second run sees its own first write, so the counter goes on
    assert (await handle).state == {"created": 2, "answer": {}}
    assert seen == [2]


async def test_e63_one_branch_interrupts(host: LocalHost, engine: Engine) -> None:
    for name in "ABC":

        async def work(flow: Flow, name: str = name) -> None:
            if name == "B":
                flow.interrupt("B")
            flow["executed"] = 1

        host.add_task(name, work)
    host.add_task("S", nothing)
    host.add_task("J", nothing)
    graph = Graph("g", reducers={"executed": "add"}).add_fan_out("S", "A", "B", "C").set_fan_in("J")
    for name in "ABC":
        graph.add_transition(name, "J")
    handle = await engine.create(graph.add_transition("J", END))
    assert (await handle).status is Status.INTERRUPTED
    await handle.resume()
    outcome = await handle
    assert outcome.status is Status.COMPLETED
    assert outcome.state["executed"] == 3


def two_asking(host: LocalHost, gate: Gate) -> Graph:
    """S to A and B, which interrupt, B after a gate; their answers come together in J."""
    for name in "AB":

        async def ask(flow: Flow, name: str = name) -> None:
            if name == "B":
                await gate.pass_()
            flow["answers"] = [flow.interrupt(name)]

        host.add_task(name, ask)
    host.add_task("S", nothing)
    host.add_task("J", nothing)
    graph = Graph("two", reducers={"answers": "append"}).add_fan_out("S", "A", "B").set_fan_in("J")
    return graph.add_transition("A", "J").add_chain("B", "J", END)


async def test_e64_interrupts_are_answered_oldest_first(host: LocalHost, engine: Engine) -> None:
    gate = Gate()
    handle = await engine.create(two_asking(host, gate))
    assert (await handle).interrupt_payload == {"title": "A"}
    gate.open()
    await until(handle, lambda steps: sum(step.status is Status.INTERRUPTED for step in steps) == 2)
    assert (await handle.snapshot()).interrupt_payload == {"title": "A"}
    assert [step.node for step in await handle.interrupts()] == ["A", "B"]
    await handle.resume("a")
    outcome = await handle.snapshot()
    assert outcome.status is Status.INTERRUPTED
    assert outcome.interrupt_payload == {"title": "B"}
    await handle.resume("b")
    assert (await handle).state == {"answers": ["a", "b"]}


async def test_e64_answer_addresses_a_step(host: LocalHost, engine: Engine) -> None:
    gate = Gate()
    gate.open()
    handle = await engine.create(two_asking(host, gate))
    await until(handle, lambda steps: sum(step.status is Status.INTERRUPTED for step in steps) == 2)
    waiting = {step.node: step for step in await handle.interrupts()}
    await handle.resume("b", step=waiting["B"])
    assert (await handle.snapshot()).interrupt_payload == {"title": "A"}
    with pytest.raises(StateConflict):
        await handle.resume("again", step=waiting["B"].key)
    await handle.resume("a", step=waiting["A"].key)
    assert (await handle).state == {"answers": ["a", "b"]}


async def test_e65_children_of_parallel_branches_interrupt(host: LocalHost, engine: Engine) -> None:
    @host.task(url="Call")
    async def Call(flow: Flow, item: int) -> None:
        flow["out"] = [flow.subgraph("child", {"n": item})["answer"]]

    @host.task(url="Ask")
    async def Ask(flow: Flow, n: int) -> None:
        flow["answer"] = [n, flow.interrupt({"child": n})]

    host.add_task("S", nothing)
    host.add_task("J", nothing)
    host.add_graph(Graph("child").add_transition("Ask", END))
    graph = Graph("g", reducers={"out": "append"}).add_for_each("S", "Call", items="items")
    handle = await engine.create(graph.add_chain("Call", "J", END).set_fan_in("J"), {"items": [1, 2]})
    while len(waiting := await handle.interrupts()) < 2:
        await handle
    first, second = (step.interrupt_payload for step in waiting)
    outcome = await handle.snapshot()
    assert outcome.interrupt_payload == first
    await handle.resume(f"R{first['child']}")  # type: ignore[index]
    outcome = await handle.snapshot()
    assert outcome.status is Status.INTERRUPTED
    assert outcome.interrupt_payload == second
    await handle.resume(f"R{second['child']}")  # type: ignore[index]
    assert (await handle).state["out"] == [[1, "R1"], [2, "R2"]]


def nested(host: LocalHost, levels: int) -> Graph:
    """A workflow that asks at the given depth of subgraphs; each level wraps the answer."""

    @host.task(url="Leaf")
    async def Leaf(flow: Flow) -> None:
        flow["value"] = flow.interrupt({"deep": levels})

    for level in range(1, levels + 1):

        async def call(flow: Flow, level: int = level) -> None:
            flow["value"] = f"{level}({flow.subgraph(f'level{level - 1}')['value']})"

        host.add_task(f"Call{level}", call)
        host.add_graph(Graph(f"level{level}").add_transition(f"Call{level}", END))
    host.add_graph(Graph("level0").add_transition("Leaf", END))
    return host.graphs[f"level{levels}"]


async def test_e66_interrupt_five_levels_deep(host: LocalHost, engine: Engine) -> None:
    graph = nested(host, 5)
    handle = await engine.create(graph)
    outcome = await handle
    assert outcome.status is Status.INTERRUPTED
    assert outcome.interrupt_payload == {"deep": 5}
    assert await query(engine, "SELECT DISTINCT status FROM dwarf_flows") == [("interrupted",)]
    await handle.resume("v")
    assert (await handle).state["value"] == "5(4(3(2(1(v)))))"
    handle = await engine.create(graph)
    assert (await handle).status is Status.INTERRUPTED
    await handle.cancel("enough")
    assert (await handle).cancel_reason == "enough"
    rows = await query(
        engine,
        "SELECT status, cancel_reason FROM dwarf_flows WHERE root_flow_id = :id",
        id=int(handle.key.split("-")[1]),
    )
    assert rows == [("cancelled", "enough")] * 6


def with_child(host: LocalHost, child: Graph) -> Graph:
    """A workflow whose one task calls another workflow."""
    host.add_graph(child)

    @host.task(url="Call")
    async def Call(flow: Flow) -> None:
        flow.update(flow.subgraph(child.name))

    return Graph("parent").add_transition("Call", END)


async def test_e67_failed_branch_waits_for_an_interrupted_one(host: LocalHost, engine: Engine, asks: list[Any]) -> None:
    @host.task(url="Bad")
    async def Bad(flow: Flow) -> None:
        raise RuntimeError("bad branch")

    for name in ("S", "Ok", "J"):
        host.add_task(name, nothing)
    child = Graph("child").add_fan_out("S", "Ask", "Bad", "Ok").add_transition("Ask", "J").add_transition("Bad", "J")
    graph = with_child(host, child.add_chain("Ok", "J", END).set_fan_in("J"))
    handle = await engine.create(graph)
    assert (await handle).status is Status.INTERRUPTED
    sub = (await step_at(handle, "Call")).sub_flows[0]
    inner = engine.flow(sub.flow_key)
    while (await statuses(inner, "Bad"))[Status.FAILED] == 0 or (await statuses(inner, "Ok"))[Status.COMPLETED] == 0:
        await inner
    assert (await handle.snapshot()).status is Status.INTERRUPTED
    assert (await inner.snapshot()).status is Status.INTERRUPTED
    await handle.resume()
    outcome = await handle
    assert outcome.status is Status.FAILED
    assert outcome.error == "bad branch"
    assert (await inner).error == "bad branch"


async def test_e68_two_interrupts_in_one_child(host: LocalHost, engine: Engine) -> None:
    gate = Gate()
    handle = await engine.create(with_child(host, two_asking(host, gate)))
    assert (await handle).interrupt_payload == {"title": "A"}
    gate.open()
    inner = engine.flow((await step_at(handle, "Call")).sub_flows[0].flow_key)
    await until(inner, lambda steps: sum(step.status is Status.INTERRUPTED for step in steps) == 2)
    assert (await handle.snapshot()).interrupt_payload == {"title": "A"}
    await handle.resume("a")
    outcome = await handle.snapshot()
    assert outcome.status is Status.INTERRUPTED
    assert outcome.interrupt_payload == {"title": "B"}
    await handle.resume("b")
    assert (await handle).state == {"answers": ["a", "b"]}


async def test_e69_resume_where_nothing_waits(host: LocalHost, engine: Engine, asks: list[Any]) -> None:
    gate = Gate()

    @host.task(url="Wait")
    async def Wait(flow: Flow) -> None:
        await gate.pass_()

    handle = await engine.create(Graph("g").add_transition("Wait", END))
    await gate.reached()
    with pytest.raises(StateConflict):
        await handle.resume()
    gate.open()
    await handle
    with pytest.raises(StateConflict):
        await handle.resume()
    with pytest.raises(FlowNotFound):
        await engine.flow(handle.key[:-1] + ("0" if handle.key[-1] != "0" else "1")).resume()
    with pytest.raises(FlowNotFound):
        await engine.flow("1-999999-0123456789abcdef").resume()
    parent = await engine.create(with_child(host, Graph("child").add_transition("Ask", END)))
    assert (await parent).status is Status.INTERRUPTED
    child = engine.flow((await step_at(parent, "Call")).sub_flows[0].flow_key)
    with pytest.raises(InvalidRequest):
        await child.resume()
    assert (await parent.snapshot()).status is Status.INTERRUPTED


async def test_e70_cancel_an_interrupted_flow(host: LocalHost, engine: Engine, asks: list[Any]) -> None:
    host.add_task("Next", nothing)
    handle = await engine.create(Graph("g").add_chain("Ask", "Next", END))
    await handle
    await handle.cancel("  no longer needed \n")
    outcome = await handle
    assert outcome.status is Status.CANCELLED
    assert outcome.cancel_reason == "no longer needed"
    assert await nodes(handle) == ["Ask"]
    with pytest.raises(StateConflict):
        await handle.resume()
    assert asks == []


# where writers take turns, calls are committed in the order in which they were made
@pytest.mark.parametrize("database", ["memory", "file"], indirect=True)
@pytest.mark.parametrize("first", ["resume", "cancel"])
@pytest.mark.parametrize("together", [True, False], ids=["one transaction", "two transactions"])
async def test_e71_resume_and_cancel_in_both_orders(
    host: LocalHost, engine: Engine, failpoints: Failpoints, asks: list[Any], first: str, together: bool
) -> None:
    handle = await engine.create(Graph("g").add_transition("Ask", END))
    await handle
    held = failpoints.checkpoint("beforeCommit:create" if together else "beforeCommit:operation")
    running = failpoints.checkpoint("executeTask:Ask")  # what was answered does not end before the flow is cancelled
    if together:
        blocker = asyncio.create_task(engine.create(Graph("h").add_transition("Ask", END)))
        await held.arrived()
    calls = {"resume": handle.resume, "cancel": handle.cancel}
    order = [first, *(calls.keys() - {first})]
    tasks = []
    for name in order:
        tasks.append(asyncio.create_task(calls[name]()))
        await asyncio.sleep(0)
        if not together and len(tasks) == 1:
            await held.arrived()
    held.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    running.release()
    if together:
        await blocker
    assert (await handle).status is Status.CANCELLED
    if first == "resume":
        assert results == [None, None]
    else:
        assert results[0] is None
        assert isinstance(results[1], StateConflict)
        assert asks == []
        assert (await statuses(handle, "Ask")) == {Status.CANCELLED: 1}


async def test_e72_racing_resumes_and_cancels(host: LocalHost, engine: Engine, asks: list[Any]) -> None:
    graph = Graph("g").add_transition("Ask", END)
    for number in range(50):
        handle = await engine.create(graph)
        assert (await handle).status is Status.INTERRUPTED
        calls = [handle.resume(1), handle.cancel(), handle.resume(2)]
        results = await asyncio.gather(*(calls if number % 2 else reversed(calls)), return_exceptions=True)
        resumed = [result for result in (results[0], results[2]) if result is None]
        assert len(resumed) <= 1
        assert all(result is None or isinstance(result, StateConflict) for result in results)
        outcome = await handle.outcome(timeout=60)
        assert outcome.status in (Status.COMPLETED, Status.CANCELLED)
        assert (outcome.status is Status.CANCELLED) == (results[1] is None)


def asking_child(host: LocalHost, gate: Gate) -> Graph:
    """A parent and a child that asks; its second run waits at a gate before."""
    runs: list[str] = []

    @host.task(url="Ask")
    async def Ask(flow: Flow) -> None:
        runs.append(flow.node)
        if len(runs) == 2:
            await gate.pass_()
        flow["answer"] = flow.interrupt("x")

    return with_child(host, Graph("child").add_transition("Ask", END))


async def test_e73_interrupt_of_a_stale_lease_writes_nothing(
    host: LocalHost, engine: Engine, failpoints: Failpoints
) -> None:
    gate = Gate()
    held = failpoints.checkpoint("beforeCommit:ask")
    handle = await engine.create(asking_child(host, gate))
    await held.arrived()
    await doctor(engine, "UPDATE dwarf_steps SET lease_seq = lease_seq + 1 WHERE node = 'Ask'")
    held.release()
    await failpoints.seen("afterCommit:ask")
    assert await query(engine, "SELECT node, status, parked FROM dwarf_steps ORDER BY step_id") == [
        ("Call", "running", 1),
        ("Ask", "running", 0),
    ]
    assert await query(engine, "SELECT DISTINCT status FROM dwarf_flows") == [("running",)]
    await doctor(engine, "UPDATE dwarf_steps SET status = 'pending', lease_expires = 0 WHERE node = 'Ask'")
    engine._context.wake_all()  # type: ignore[union-attr]
    gate.open()
    assert (await handle).interrupt_payload == {"title": "x"}
    assert len(await handle.interrupts()) == 1
    await handle.resume(1)
    assert (await handle).state == {"answer": 1}


@pytest.mark.parametrize("error", [Contention, Unavailable])
async def test_e74_interrupt_that_meets_trouble_is_written_again(
    host: LocalHost, running: Any, failpoints: Failpoints, error: type[Exception]
) -> None:
    from dwarf.engine import Timing

    failpoints.fault("commit:ask", lambda: error("injected"))
    async with running(timing=Timing(retry_ladder=(0.01,))) as engine:
        gate = Gate()
        gate.open()
        handle: FlowHandle = await engine.create(asking_child(host, gate))
        assert (await handle).interrupt_payload == {"title": "x"}
        await handle.resume(1)
        assert (await handle).state == {"answer": 1}
        assert failpoints.passed["commit:ask"] == 2


async def test_e75_recovered_step_does_not_interrupt(host: LocalHost, running: Any, failpoints: Failpoints) -> None:
    from dwarf.engine import Timing

    gate = Gate()
    async with running(timing=Timing(recovery=0.05)) as engine:
        held = failpoints.checkpoint("afterTask:Ask")
        handle: FlowHandle = await engine.create(asking_child(host, gate))
        await held.arrived()
        await doctor(engine, "UPDATE dwarf_steps SET lease_expires = 1 WHERE node = 'Ask'")
        await gate.reached()  # recovery has given the step to a second run
        held.release()
        await failpoints.seen("afterCommit:ask")
        assert await query(engine, "SELECT DISTINCT status FROM dwarf_flows") == [("running",)]
        assert await query(engine, "SELECT DISTINCT interrupt FROM dwarf_steps") == [("",)]
        gate.open()
        assert (await handle).interrupt_payload == {"title": "x"}
        await handle.resume(1)
        assert (await handle).state == {"answer": 1}
        assert (await step_at(handle, "Call")).sub_steps[0].attempt == 0
