"""Child flows: scenarios 76 to 90."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, FlowHandle, Timing
from dwarf.errors import InvalidRequest, SubgraphFailed
from dwarf.failpoints import Failpoints
from dwarf.hosts import LocalHost
from dwarf.storage.sql.errors import Contention, Unavailable
from tests.conformance.engine.tools import Gate, appending, flow_count, nodes, nothing, query, statuses, step_at, until

JSON = Any


def calling(host: LocalHost, child: str = "inner", name: str = "Call") -> None:
    """A task that calls a workflow with the state {"n": n} and keeps its `result`."""

    async def call(flow: Flow) -> None:
        flow["out"] = flow.subgraph(child, {"n": flow.get("n", 0)}).get("result")

    host.add_task(name, call)


async def child_of(handle: FlowHandle, node: str = "Call") -> str:
    """The key of the child flow that a node has called."""
    steps = await until(handle, lambda steps: any(step.node == node and step.sub_flows for step in steps))
    return next(step for step in steps if step.node == node).sub_flows[-1].flow_key


async def test_e76_states_of_parent_and_child_are_apart(host: LocalHost, engine: Engine) -> None:
    initial: list[dict[str, JSON]] = []

    @host.task(url="X")
    async def X(flow: Flow) -> None:
        initial.append(flow.snapshot())
        flow["x"] = 1

    @host.task(url="Y")
    async def Y(flow: Flow) -> None:
        flow["result"] = flow["x"] + flow["n"]

    calling(host)
    host.add_task("A", appending("A"))
    host.add_task("Z", appending("Z"))
    host.add_graph(Graph("inner").add_chain("X", "Y", END))
    handle = await engine.create(Graph("g").add_chain("A", "Call", "Z", END), {"n": 41, "secret": 1})
    assert (await handle).state == {"n": 41, "secret": 1, "path": "AZ", "out": 42}
    assert initial == [{"n": 41}]
    assert await nodes(handle) == ["A", "Call", "Z"]
    call = await step_at(handle, "Call")
    assert call.sub_workflow_name == "inner"
    assert [step.node for step in call.sub_steps] == ["X", "Y"]


async def test_e77_subgraph_first_and_last_and_with_a_fan_out(host: LocalHost, engine: Engine) -> None:
    @host.task(url="Double")
    async def Double(flow: Flow, n: int) -> None:
        flow["result"] = n * 2 + 3

    @host.task(url="Parent")
    async def Parent(flow: Flow) -> None:
        flow["out"] = f"parent:{flow.subgraph('inner', {'n': 5})['result']}"

    @host.task(url="Work")
    async def Work(flow: Flow, item: int) -> None:
        flow["sum"] = item

    @host.task(url="J")
    async def J(flow: Flow) -> None:
        flow["result"] = flow["sum"]

    host.add_task("S", nothing)
    host.add_graph(Graph("inner").add_transition("Double", END))
    assert (await engine.run(Graph("only").add_transition("Parent", END))).state == {"out": "parent:13"}
    fan = Graph("fan", reducers={"sum": "add"}).add_for_each("S", "Work", items="n").add_chain("Work", "J", END)
    host.add_graph(fan.set_fan_in("J"))
    calling(host, "fan", "First")
    calling(host, "fan", "Last")
    graph = Graph("twice").add_chain("First", "Last", END)
    assert (await engine.run(graph, {"n": [10, 20]})).state == {"n": [10, 20], "out": 30}


@pytest.mark.parametrize("with_handler", [False, True], ids=["no handler", "handler"])
async def test_e78_failure_of_a_child(host: LocalHost, engine: Engine, with_handler: bool) -> None:
    @host.task(url="Bad")
    async def Bad(flow: Flow) -> None:
        raise ValueError("inner exploded")

    @host.task(url="Handler")
    async def Handler(flow: Flow) -> None:
        flow["result"] = f"recovered: {flow['onErr']['error']}"

    calling(host)
    host.add_graph(Graph("inner").add_transition("Bad", END))
    graph = Graph("g").add_transition("Call", END)
    if with_handler:
        graph.add_error_handler("Call", "Handler").add_transition("Handler", END)
    outcome = await engine.run(graph)
    if with_handler:
        assert outcome.status is Status.COMPLETED
        assert outcome.state["result"] == "recovered: inner exploded"
    else:
        assert outcome.status is Status.FAILED
        assert outcome.error == "inner exploded"


@pytest.mark.parametrize("swallowing", [False, True], ids=["propagating", "swallowing"])
async def test_e79_one_of_several_children_fails(host: LocalHost, engine: Engine, swallowing: bool) -> None:
    @host.task(url="Child")
    async def Child(flow: Flow, item: str) -> None:
        if item == "bad":
            raise ValueError("child exploded")
        flow["result"] = f"ok:{item}"

    @host.task(url="Call")
    async def Call(flow: Flow, item: str) -> None:
        try:
            flow["out"] = [flow.subgraph("inner", {"item": item})["result"]]
        except SubgraphFailed as error:
            assert error.outcome.status is Status.FAILED
            if not swallowing:
                raise
            flow["out"] = [f"recovered:{item}"]

    for name in ("S", "J"):
        host.add_task(name, nothing)
    host.add_graph(Graph("inner").add_transition("Child", END))
    graph = Graph("g", reducers={"out": "append"}).add_for_each("S", "Call", items="items")
    graph.add_chain("Call", "J", END).set_fan_in("J")
    outcome = await engine.run(graph, {"items": ["a", "bad", "c"]})
    if swallowing:
        assert outcome.state["out"] == ["ok:a", "recovered:bad", "ok:c"]
    else:
        assert outcome.status is Status.FAILED
        assert outcome.error == "child exploded"
        assert outcome.state["out"] == ["ok:a", "ok:c"]


async def test_e80_child_with_a_failed_branch_waits_for_the_others(host: LocalHost, engine: Engine) -> None:
    gate = Gate()

    @host.task(url="Boom")
    async def Boom(flow: Flow) -> None:
        raise RuntimeError("boom")

    @host.task(url="Blocked")
    async def Blocked(flow: Flow) -> None:
        await gate.pass_()

    calling(host)
    calling(host, "grandchild", "Slow")
    for name in ("S", "J"):
        host.add_task(name, nothing)
    host.add_graph(Graph("grandchild").add_transition("Blocked", END))
    child = Graph("inner").add_fan_out("S", "Boom", "Slow").add_transition("Boom", "J").add_chain("Slow", "J", END)
    host.add_graph(child.set_fan_in("J"))
    handle = await engine.create(Graph("g").add_transition("Call", END))
    await gate.reached()
    inner = engine.flow(await child_of(handle))
    await until(inner, lambda steps: any(step.status is Status.FAILED for step in steps))
    assert (await inner.snapshot()).status is Status.RUNNING
    gate.open()
    assert (await handle).error == "boom"
    assert (await inner).error == "boom"
    assert await query(engine, "SELECT COUNT(*) FROM dwarf_flows WHERE status NOT IN ('completed', 'failed')") == [(0,)]


@pytest.mark.parametrize("last", ["failing", "completing"])
async def test_e81_waiting_for_a_child_that_fails(
    host: LocalHost, engine: Engine, failpoints: Failpoints, last: str
) -> None:
    gate = Gate()

    @host.task(url="Bad")
    async def Bad(flow: Flow) -> None:
        await (gate.pass_() if last == "failing" else gate.reached())
        raise RuntimeError("bad")

    @host.task(url="Good")
    async def Good(flow: Flow) -> None:
        if last == "completing":
            await gate.pass_()

    calling(host)
    for name in ("S", "J"):
        host.add_task(name, nothing)
    child = Graph("inner").add_fan_out("S", "Bad", "Good").add_transition("Bad", "J").add_chain("Good", "J", END)
    host.add_graph(child.set_fan_in("J"))
    handle = await engine.create(Graph("g").add_transition("Call", END))
    await gate.reached()
    key = await child_of(handle)
    waiting = asyncio.create_task(engine.flow(key).outcome(timeout=60))
    await failpoints.seen(f"awaitParked:{key}")
    if last == "completing":
        await failpoints.seen("afterCommit:fail")
    gate.open()
    outcome = await waiting
    assert outcome.status is Status.FAILED
    assert outcome.error == "bad"
    assert (await handle).error == "bad"


async def test_e82_depth_and_root_of_a_child(host: LocalHost, engine: Engine) -> None:
    calling(host)
    for name in ("A", "Inner", "Inner2"):
        host.add_task(name, nothing)
    host.add_graph(Graph("inner").add_chain("Inner", "Inner2", END))
    handle = await engine.create(Graph("g").add_chain("A", "Call", END))
    await handle
    history = await handle.history()
    inner = history[1].sub_steps
    assert [(step.node, step.depth) for step in (*history, *inner)] == [
        ("A", 1),
        ("Call", 2),
        ("Inner", 3),
        ("Inner2", 4),
    ]
    root = int(handle.key.split("-")[1])
    rows = await query(engine, "SELECT root_flow_id, thread_id = flow_id FROM dwarf_flows ORDER BY flow_id")
    assert rows == [(root, 1), (root, 1)]


async def test_e83_what_a_child_key_is_good_for(host: LocalHost, engine: Engine) -> None:
    gate = Gate()

    @host.task(url="Inner")
    async def Inner(flow: Flow) -> None:
        await gate.pass_()
        flow["result"] = 1

    calling(host)
    host.add_graph(Graph("inner").add_transition("Inner", END))
    graph = Graph("g").add_transition("Call", END)
    handle = await engine.create(graph)
    child = engine.flow(await child_of(handle))
    with pytest.raises(InvalidRequest):
        await child.resume()
    with pytest.raises(InvalidRequest):
        await child.cancel()
    with pytest.raises(InvalidRequest):
        await engine.create(graph, thread=child.key)
    assert (await child.snapshot()).status is Status.RUNNING
    assert (await child.fingerprint())[1] is Status.RUNNING
    await gate.reached()
    gate.open()
    assert (await child).state == {"n": 0, "result": 1}
    (step,) = await child.history()
    assert (await engine.step(step.key)).changes == {"result": 1}
    assert (await handle).state == {"out": 1}


async def test_e84_baggage_is_seen_everywhere(host: LocalHost, running: Any) -> None:
    baggage = {"n": 1, "tenant": "t", "tags": ["a"]}
    loaded: list[tuple[str, Mapping[str, JSON]]] = []
    seen: list[Mapping[str, JSON]] = []

    class Watching(LocalHost):
        async def load_graph(self, url: str, baggage: Mapping[str, JSON]) -> Graph:
            loaded.append((url, dict(baggage)))
            return await super().load_graph(url, baggage)

    watching = Watching()

    @watching.task
    async def Inner(flow: Flow) -> None:
        seen.append(flow.baggage)

    @watching.task
    async def Call(flow: Flow) -> None:
        seen.append(flow.baggage)
        flow.subgraph("inner")

    watching.add_graph(Graph("inner").add_transition("Inner", END))
    watching.add_graph(Graph("g").add_transition("Call", END))
    async with running(host=watching) as engine:
        await engine.run("g", baggage=baggage)
        assert loaded == [("g", baggage), ("inner", baggage)]
        assert seen == [baggage] * 3
        loaded.clear()
        seen.clear()
        await engine.run("g")
        assert loaded == [("g", {}), ("inner", {})]
        assert seen == [{}] * 3


@pytest.fixture
def tree(host: LocalHost) -> Graph:
    """A parent whose task Call calls `inner`, with the one task Inner."""
    runs: list[str] = []

    @host.task(url="Call")
    async def Call(flow: Flow) -> None:
        runs.append("Call")
        flow["out"] = flow.subgraph("inner", {"n": 1})["n"]
        flow["runs"] = len(runs)

    host.add_task("Inner", nothing)
    host.add_graph(Graph("inner").add_transition("Inner", END))
    return Graph("g").add_transition("Call", END)


async def test_e85_cancel_before_the_caller_is_revived(
    host: LocalHost, running: Any, failpoints: Failpoints, tree: Graph
) -> None:
    async with running() as engine, running(workers=0) as other:
        held = failpoints.checkpoint("beforeCommit:Inner")
        handle: FlowHandle = await engine.create(tree)
        await held.arrived()
        await other.flow(handle.key).cancel("stop")
        held.release()
        await failpoints.seen("afterCommit:Inner")
        assert (await handle).cancel_reason == "stop"
        assert await query(engine, "SELECT DISTINCT status FROM dwarf_steps") == [("cancelled",)]
        assert await query(engine, "SELECT DISTINCT status FROM dwarf_flows") == [("cancelled",)]
        assert failpoints.passed["executeTask:Call"] == 1


@pytest.mark.parametrize("first", ["completion", "cancel"])
async def test_e86_completion_of_a_child_against_a_cancel(
    host: LocalHost, running: Any, failpoints: Failpoints, tree: Graph, first: str
) -> None:
    async with running() as engine, running(workers=0) as other:
        held = failpoints.checkpoint("beforeCommit:Inner" if first == "cancel" else "afterCommit:Inner")
        handle: FlowHandle = await engine.create(tree)
        await held.arrived()
        child = (await step_at(other.flow(handle.key), "Call")).sub_flows[0].flow_key
        await other.flow(handle.key).cancel()
        held.release()
        assert (await handle).status is Status.CANCELLED
        expected = Status.COMPLETED if first == "completion" else Status.CANCELLED
        assert (await engine.flow(child)).status is expected
        assert await statuses(handle, "Call") == {Status.CANCELLED: 1}
        assert (await handle).state == {}


async def test_e87_caller_is_never_parked_without_its_child(
    host: LocalHost, running: Any, failpoints: Failpoints, tree: Graph
) -> None:
    """Parking and the creation of the child are one transaction: a cancel comes before both or behind both."""
    async with running() as engine, running(workers=0) as other:
        held = failpoints.checkpoint("beforeCommit:call")
        handle: FlowHandle = await engine.create(tree)
        await held.arrived()
        await other.flow(handle.key).cancel()
        held.release()
        await failpoints.seen("afterCommit:call")
        assert (await handle).status is Status.CANCELLED
        assert await flow_count(engine) == 1
        held = failpoints.checkpoint("afterCommit:call")
        handle = await engine.create(tree)
        await held.arrived()
        assert await query(other, "SELECT COUNT(*) FROM dwarf_flows WHERE parent_flow_id > 0") == [(1,)]
        await other.flow(handle.key).cancel()
        held.release()
        assert (await handle).status is Status.CANCELLED
        assert await query(engine, "SELECT status FROM dwarf_flows WHERE parent_flow_id > 0") == [("cancelled",)]


async def test_e88_child_that_cannot_be_made_fails_its_caller(
    host: LocalHost, engine: Engine, failpoints: Failpoints, tree: Graph
) -> None:
    failpoints.fault("loadGraph:inner", lambda: LookupError("no such child"))
    outcome = await engine.run(tree.add_error_handler("Call", "Inner"))
    assert outcome.status is Status.FAILED
    assert outcome.error == "no such child"
    assert await flow_count(engine) == 1
    assert await query(engine, "SELECT node, status, parked FROM dwarf_steps") == [("Call", "failed", 0)]


async def test_e89_end_of_a_child_and_its_callers_revival_are_one(
    host: LocalHost, running: Any, failpoints: Failpoints, tree: Graph
) -> None:
    """There is no moment in which the one is durable and the other is not, so there is nothing to repair."""
    async with running() as engine, running(workers=0) as other:
        for failpoint, expected in (
            ("beforeCommit:complete", {("running", 1)}),
            ("afterCommit:complete", {("running", 0)}),  # leased at once, by the engine that has the place
        ):
            held = failpoints.checkpoint(failpoint)
            handle: FlowHandle = await engine.create(tree)
            await held.arrived()
            rows = await query(
                other,
                "SELECT s.status, s.parked FROM dwarf_steps s JOIN dwarf_flows f ON f.flow_id = s.flow_id "
                "WHERE s.node = 'Call' AND f.status = 'running'",
            )
            assert set(rows) == expected
            held.release()
            assert (await handle).state["out"] == 1


@pytest.mark.parametrize("error", [Contention, Unavailable])
@pytest.mark.parametrize("moment", ["call", "complete"])
async def test_e90_trouble_around_a_child_is_not_seen(
    host: LocalHost, running: Any, failpoints: Failpoints, tree: Graph, error: type[Exception], moment: str
) -> None:
    failpoints.fault(f"commit:{moment}", lambda: error("injected"))
    async with running(timing=Timing(retry_ladder=(0.01,), recovery=3600)) as engine:
        handle = await engine.create(tree)
        outcome = await handle.outcome(timeout=60)
        assert outcome.state == {"out": 1, "runs": 2}
        assert await flow_count(engine) == 2
