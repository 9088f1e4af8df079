"""Retry, delay, interrupts and subgraphs: scenarios 93 to 100."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, TaskError
from dwarf.engine import Engine
from dwarf.errors import StepNotFound, SubgraphFailed
from dwarf.hosts import LocalHost
from dwarf.testing import VirtualClock
from tests.support.workflows import Gate, at, install, names, until_steps


def seconds(clock: VirtualClock) -> float:
    """The time as the database has it."""
    return time.time() + clock.offset_ms / 1000


def single(name: str, node: str = "Work") -> Graph:
    return Graph(name).add_transition(node, END)


async def test_w93_a_retry_sees_what_was_written(engine: Engine, host: LocalHost) -> None:
    keys: set[str] = set()

    async def work(flow: Flow) -> None:
        keys.add(flow.step_key)
        flow["attempts"] = flow.get("attempts", 0) + 1
        if flow["attempts"] < 3:
            flow.retry()

    install(host, single("again"), Work=work)
    flow = await engine.create("again", {})
    assert (await flow).state == {"attempts": 3}
    (step,) = await flow.history()
    assert step.attempt == 2
    assert keys == {step.key}


async def test_w93_giving_up_is_an_error(engine: Engine, host: LocalHost) -> None:
    async def work(flow: Flow) -> None:
        if flow.attempt >= 5:
            raise TaskError("gave up")
        flow.retry()

    install(host, single("again"), Work=work)
    flow = await engine.create("again", {})
    outcome = await flow
    assert (outcome.status, outcome.error) == (Status.FAILED, "gave up")
    assert (await flow.history())[0].attempt == 5


async def test_w94_the_horizon_ends_retrying(engine: Engine, host: LocalHost, clock: VirtualClock) -> None:
    moments: list[float] = []

    async def work(flow: Flow) -> None:
        moments.append(seconds(clock))
        flow.retry(delay=100, factor=2, max_delay=400, give_up_after=2000)
        raise TaskError("never works")

    install(host, Graph("horizon").add_chain("Work", "Next", END), Work=work)
    flow = await engine.create("horizon", {})
    outcome = await flow
    assert (outcome.status, outcome.error) == (Status.FAILED, "never works")
    assert names(await flow.history()) == ["Work"]
    # after 1,900 s the next try would begin at 2,300 s
    assert [round(later - earlier, -1) for earlier, later in pairwise(moments)] == [100, 200, 400, 400, 400, 400]


async def test_w94_success_within_the_horizon(engine: Engine, host: LocalHost, clock: VirtualClock) -> None:
    async def work(flow: Flow) -> None:
        if flow.attempt < 2:
            flow.retry(delay=100, factor=2, max_delay=400, give_up_after=2000)
            raise TaskError("out of time")

    install(host, Graph("horizon").add_chain("Work", "Next", END), Work=work)
    flow = await engine.create("horizon", {})
    assert (await flow).status is Status.COMPLETED
    history = await flow.history()
    assert names(history) == ["Work", "Next"]
    assert at(history, "Work").attempt == 2


async def test_w95_delay_is_added_to_the_back_off(engine: Engine, host: LocalHost, clock: VirtualClock) -> None:
    moments: list[float] = []

    async def work(flow: Flow) -> None:
        moments.append(seconds(clock))
        if flow.attempt < 3:
            flow.delay(200)
            flow.retry(delay=200, factor=1)

    install(host, single("gaps"), Work=work)
    assert (await engine.run("gaps", {})).status is Status.COMPLETED
    assert [round(later - earlier, -1) for earlier, later in pairwise(moments)] == [400, 400, 400]


async def test_w95_delay_holds_the_next_step(engine: Engine, host: LocalHost, clock: VirtualClock) -> None:
    moments: dict[str, float] = {}

    async def note(flow: Flow) -> None:
        moments[flow.node] = seconds(clock)
        if flow.node == "B":
            flow.delay(3600)

    install(host, Graph("later").add_chain("A", "B", "C", END), A=note, B=note, C=note)
    assert (await engine.run("later", {})).status is Status.COMPLETED
    assert round(moments["B"] - moments["A"], -1) == 0
    assert round(moments["C"] - moments["B"], -1) == 3600


async def test_w95_delay_before_the_end_holds_nothing(engine: Engine, host: LocalHost, clock: VirtualClock) -> None:
    async def work(flow: Flow) -> None:
        flow.delay(3600)

    install(host, single("end"), Work=work)
    assert (await engine.run("end", {})).status is Status.COMPLETED
    assert clock.offset_ms == 0


async def test_w96_an_interrupt_is_answered(engine: Engine, host: LocalHost) -> None:
    async def greet(flow: Flow) -> None:
        answer = flow.interrupt({"requestedInput": "userInput"})
        flow["greeting"] = f"Hello, {answer['userInput']}"

    install(host, Graph("greet").add_chain("Ask", "After", END), Ask=greet)
    flow = await engine.create("greet", {"given": 1})
    outcome = await flow
    assert outcome.status is Status.INTERRUPTED
    assert outcome.interrupt_payload == {"requestedInput": "userInput"}
    assert outcome.state == {"given": 1}
    await flow.resume({"userInput": "world"})
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert outcome.state == {"given": 1, "greeting": "Hello, world"}
    assert outcome.interrupt_payload == {}


async def test_w96_what_was_written_before_guards_the_replay(engine: Engine, host: LocalHost) -> None:
    created: list[str] = []

    async def order(flow: Flow) -> None:
        if "order" not in flow:
            created.append("made")
            flow["order"] = 42
        flow.interrupt({"title": "go on?"})

    install(host, single("order"), Work=order)
    flow = await engine.create("order", {})
    assert (await flow).state == {"order": 42}
    await flow.resume()
    outcome = await flow
    assert (outcome.status, outcome.state) == (Status.COMPLETED, {"order": 42})
    assert created == ["made"]


def branches(name: str) -> Graph:
    graph = Graph(name, reducers={"executed": "add", "answers": "append"}).add_fan_out("A", "B", "C", "D")
    for branch in "BCD":
        graph.add_transition(branch, "J")
    return graph.set_fan_in("J").add_transition("J", END)


async def count(flow: Flow) -> None:
    flow["executed"] = 1


async def test_w97_one_branch_waits(engine: Engine, host: LocalHost) -> None:
    async def ask(flow: Flow) -> None:
        flow.interrupt({"title": "b?"})
        flow["executed"] = 1

    install(host, branches("fan"), B=ask, C=count, D=count)
    flow = await engine.create("fan", {})
    assert (await flow).status is Status.INTERRUPTED
    await flow.resume()
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert outcome.state["executed"] == 3


async def test_w97_two_branches_wait(engine: Engine, host: LocalHost) -> None:
    gate = Gate()

    async def ask(flow: Flow) -> None:
        if flow.node == "C":
            await gate.wait()
        flow["answers"] = [flow.interrupt({"title": flow.node})]
        flow["executed"] = 1

    install(host, branches("fan"), B=ask, C=ask, D=count)
    flow = await engine.create("fan", {})
    assert (await flow).interrupt_payload == {"title": "B"}
    gate.open()
    await until_steps(flow, lambda steps: [step.status for step in steps].count(Status.INTERRUPTED) == 2)
    assert (await flow.snapshot()).interrupt_payload == {"title": "B"}
    await flow.resume("for B")
    snapshot = await flow.snapshot()
    assert snapshot.status is Status.INTERRUPTED
    assert snapshot.interrupt_payload == {"title": "C"}
    await flow.resume("for C")
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert outcome.state == {"executed": 3, "answers": ["for B", "for C"]}


async def test_w98_a_child_flow(engine: Engine, host: LocalHost) -> None:
    seen: dict[str, Any] = {}

    async def call(flow: Flow) -> None:
        result = flow.subgraph("inner", {"seed": flow["start"]})
        flow["wrapped"] = f"<{result['text']}>"

    async def first(flow: Flow) -> None:
        seen.update(flow)
        flow["text"] = flow["seed"] + "X"
        flow["private"] = True

    async def second(flow: Flow) -> None:
        flow["text"] += "Y"

    install(host, Graph("inner").add_chain("X", "Y", END), X=first, Y=second)
    install(host, Graph("outer").add_chain("P", "Q", END), P=call)
    flow = await engine.create("outer", {"start": "s", "secret": 1})
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert seen == {"seed": "s"}
    assert outcome.state == {"start": "s", "secret": 1, "wrapped": "<sXY>"}
    caller = at(await flow.history(), "P")
    assert (caller.sub_workflow_name, names(caller.sub_steps)) == ("inner", ["X", "Y"])


def ladder(host: LocalHost, depth: int) -> str:
    """Workflows that call each other, with an interrupt in the last; the name of the first."""

    async def call(flow: Flow) -> None:
        flow["level"] = flow.subgraph(f"level{flow['n'] + 1}", {"n": flow["n"] + 1})["level"] + 1

    async def ask(flow: Flow) -> None:
        flow["level"] = flow.interrupt({"title": "leaf"})

    host.add_task("call", call)
    host.add_task("ask", ask)
    for n in range(depth):
        host.add_graph(
            Graph(f"level{n}").add_node("Step", "ask" if n == depth - 1 else "call").add_transition("Step", END)
        )
    return "level0"


async def test_w98_one_resume_completes_five_levels(engine: Engine, host: LocalHost) -> None:
    flow = await engine.create(ladder(host, 5), {"n": 0})
    outcome = await flow
    assert outcome.status is Status.INTERRUPTED
    assert outcome.interrupt_payload == {"title": "leaf"}
    assert outcome.state == {"n": 0}
    await flow.resume(10)
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert outcome.state == {"n": 0, "level": 14}


async def test_w98_cancel_reaches_five_levels(engine: Engine, host: LocalHost) -> None:
    flow = await engine.create(ladder(host, 5), {"n": 0})
    await flow
    await flow.cancel("no more")
    outcome = await flow
    assert (outcome.status, outcome.cancel_reason) == (Status.CANCELLED, "no more")
    steps = list(await flow.history())
    depth = 0
    while steps:
        (step,) = steps
        assert step.status is Status.CANCELLED
        steps, depth = list(step.sub_steps), depth + 1
    assert depth == 5


async def failing_child(flow: Flow) -> None:
    raise TaskError("child trouble")


@pytest.mark.parametrize("how", ["propagated", "routed", "swallowed"])
async def test_w99_a_child_fails(engine: Engine, host: LocalHost, how: str) -> None:
    texts: list[str] = []

    async def call(flow: Flow) -> None:
        try:
            flow.subgraph("inner")
        except SubgraphFailed as error:
            texts.append(str(error))
            if how != "swallowed":
                raise

    graph = Graph("outer").add_transition("P", END)
    if how == "routed":
        graph.add_error_handler("P", "H").add_transition("H", END)
    install(host, Graph("inner").add_transition("X", END), X=failing_child)
    install(host, graph, P=call)
    outcome = await engine.run("outer", {})
    assert texts == ["child trouble"]
    if how == "propagated":
        assert (outcome.status, outcome.error) == (Status.FAILED, "child trouble")
    else:
        assert outcome.status is Status.COMPLETED
    if how == "routed":
        assert outcome.state["onErr"]["error"] == "child trouble"
        assert outcome.state["onErr"]["statusCode"] == 500


@pytest.mark.parametrize("swallow", [True, False])
async def test_w99_children_fail_in_a_cohort(engine: Engine, host: LocalHost, swallow: bool) -> None:
    async def call(flow: Flow) -> None:
        try:
            flow.subgraph("inner", {"item": flow["item"]})
            flow["fine"] = [flow["item"]]
        except SubgraphFailed:
            if not swallow:
                raise

    async def odd_fails(flow: Flow) -> None:
        if flow["item"] % 2:
            raise TaskError("odd")

    install(host, Graph("inner").add_transition("X", END), X=odd_fails)
    graph = Graph("outer", reducers={"fine": "append"}).add_for_each("A", "P", items="items")
    install(host, graph.add_chain("P", "J", END).set_fan_in("J"), P=call)
    flow = await engine.create("outer", {"items": [0, 1, 2, 3]})
    outcome = await flow
    assert outcome.status is (Status.COMPLETED if swallow else Status.FAILED)
    assert outcome.error == ("" if swallow else "2 of 4 branches failed; the first: odd")
    assert outcome.state["fine"] == [0, 2]
    calls = [step for step in await flow.history() if step.node == "P"]
    assert [step.sub_flows[0].status for step in sorted(calls, key=lambda step: step.ordinal)] == [
        "completed", "failed", "completed", "failed"
    ]  # fmt: skip


async def test_w99_a_child_with_a_failed_and_a_waiting_branch(engine: Engine, host: LocalHost) -> None:
    async def call(flow: Flow) -> None:
        flow.subgraph("inner")

    async def ask(flow: Flow) -> None:
        flow.interrupt({"title": "in the child"})

    inner = Graph("inner").add_fan_out("A", "B", "C").add_transition("B", "J").add_transition("C", "J")
    install(host, inner.set_fan_in("J").add_transition("J", END), B=ask, C=failing_child)
    install(host, Graph("outer").add_transition("P", END), P=call)
    flow = await engine.create("outer", {})
    await until_steps(flow, lambda steps: any(step.status is Status.FAILED for step in at(steps, "P").sub_steps))
    outcome = await flow
    assert outcome.status is Status.INTERRUPTED
    assert outcome.interrupt_payload == {"title": "in the child"}
    await flow.resume()
    outcome = await flow
    assert (outcome.status, outcome.error) == (Status.FAILED, "child trouble")


async def test_w100_a_retry_runs_the_child_anew(engine: Engine, host: LocalHost) -> None:
    async def call(flow: Flow) -> None:
        result = flow.subgraph("inner", {"attempt": flow.attempt})
        flow[f"child{flow.attempt}"] = result["step"]
        if flow.attempt == 0:
            flow.retry()

    async def inner(flow: Flow) -> None:
        flow["step"] = flow.step_key

    install(host, Graph("inner").add_transition("X", END), X=inner)
    install(host, Graph("outer").add_transition("P", END), P=call)
    flow = await engine.create("outer", {})
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    first, second = outcome.state["child0"], outcome.state["child1"]
    assert first != second
    with pytest.raises(StepNotFound):
        await engine.step(first)
    (caller,) = await flow.history()
    assert [[step.key for step in child.steps] for child in caller.sub_flows] == [[second]]
    assert (await engine.step(second)).state == {"attempt": 1}
