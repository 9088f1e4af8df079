"""Repairing a flow: what was stopped runs again in a copy, and is merged with what was done."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from dwarf import END, Flow, FlowNotFound, Graph, StateConflict, Status, SubgraphFailed, TaskError, task
from dwarf.engine import Engine, FlowHandle
from tests.support.workflows import Gate, at, names

Ran = Counter[Any]


def for_each(work: Any, join: Any = None, **reducers: str) -> Graph:
    """Source spawns Work for each of `items`; they meet in Join."""
    graph = Graph("wide", reducers=reducers or {"out": "append"})
    graph.add_node("Source", lambda: None).add_node("Work", work).add_node("Join", join or (lambda: None))
    graph.add_for_each("Source", "Work", items="items")
    return graph.add_chain("Work", "Join", END).set_fan_in("Join")


async def test_only_the_failed_branches_run_again(engine: Engine) -> None:
    ran: Ran = Counter()

    async def work(flow: Flow, item: int) -> None:
        ran[item] += 1
        if item in flow.get("bad", []):
            raise ValueError(f"item {item}")
        flow["out"] = item * 10

    async def join(flow: Flow) -> None:
        ran["join"] += 1

    flow = await engine.create(for_each(work, join), {"items": [1, 2, 3, 4, 5], "bad": [2, 4]})
    assert (await flow).status is Status.FAILED
    assert ran == Counter([1, 2, 3, 4, 5])
    repaired = await flow.retry_failed({"bad": []})
    outcome = await repaired
    assert outcome.status is Status.COMPLETED
    assert outcome.state["out"] == [10, 20, 30, 40, 50]
    assert outcome.state["bad"] == [2, 4]  # the changes were for the branches
    assert ran == Counter([1, 2, 2, 3, 4, 4, 5, "join"])
    assert (await flow.snapshot()).status is Status.FAILED
    assert repaired.key != flow.key


async def test_what_fails_again_can_be_repaired_again(engine: Engine) -> None:
    left = Counter({1: 1, 2: 3})

    async def work(flow: Flow, item: int) -> None:
        if left[item] > 0:
            left[item] -= 1
            raise ValueError(f"item {item}")
        flow["out"] = item

    flow = await engine.create(for_each(work), {"items": [1, 2, 3]})
    for errors in (2, 1, 1):
        outcome = await flow
        assert outcome.status is Status.FAILED
        assert sum(step.status is Status.FAILED for step in await flow.history()) == errors
        flow = await flow.retry_failed()
    assert (await flow).state["out"] == [1, 2, 3]


async def test_a_branch_goes_on_at_the_step_that_failed(engine: Engine) -> None:
    ran: Ran = Counter()
    broken = True

    async def first(flow: Flow, item: int) -> None:
        ran["first"] += 1
        flow["kept"] = item

    async def second(flow: Flow) -> None:
        ran["second"] += 1
        if broken and flow["kept"] == 2:
            raise ValueError("not now")
        flow["out"] = flow["kept"] * 100

    graph = Graph("g", reducers={"out": "append"}).add_node("Source", lambda: None).add_node("First", first)
    graph.add_node("Second", second).add_node("Join", lambda: None).add_for_each("Source", "First", items="items")
    graph.add_chain("First", "Second", "Join", END).set_fan_in("Join")
    flow = await engine.create(graph, {"items": [1, 2, 3]})
    await flow
    broken = False
    assert (await (await flow.retry_failed())).state["out"] == [100, 200, 300]
    assert ran == {"first": 3, "second": 4}


async def test_failures_in_several_nested_cohorts(engine: Engine) -> None:
    ran: Ran = Counter()
    bad = {(0, 1), (2, 0), (2, 2)}

    async def work(flow: Flow, rowIndex: int, cell: int, cellIndex: int) -> None:
        ran[rowIndex, cellIndex] += 1
        if (rowIndex, cellIndex) in bad:
            raise ValueError("bad cell")
        flow["sum"] = cell

    async def inner(flow: Flow, rowIndex: int) -> None:
        ran["inner", rowIndex] += 1
        flow["sum"] = flow["sum"]
        flow["rows_done"] = [rowIndex]

    graph = Graph("g", reducers={"sum": "add", "rows_done": "append"})
    graph.add_node("Source", lambda: None).add_node("Row", lambda: None).add_node("Work", work)
    graph.add_node("Inner", inner).add_node("Outer", lambda: None)
    graph.add_for_each("Source", "Row", items="rows", item="row").add_for_each("Row", "Work", items="row", item="cell")
    graph.add_chain("Work", "Inner", "Outer", END).set_fan_in("Inner").set_fan_in("Outer")
    flow = await engine.create(graph, {"rows": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]})
    assert (await flow).status is Status.FAILED
    assert ran["inner", 1] == 1
    bad.clear()
    outcome = await (await flow.retry_failed())
    assert outcome.state["sum"] == 45
    assert outcome.state["rows_done"] == [0, 1, 2]
    expected: Ran = Counter({(row, cell): 1 for row in range(3) for cell in range(3)})
    expected.update([(0, 1), (2, 0), (2, 2), ("inner", 0), ("inner", 1), ("inner", 2)])
    assert ran == expected


async def test_the_failed_step_of_the_trunk(engine: Engine) -> None:
    ran: Ran = Counter()

    async def first() -> None:
        ran["first"] += 1

    async def second(flow: Flow) -> None:
        ran["second"] += 1
        flow["rate"] = 10 / flow["divisor"]

    graph = Graph("g").add_node("First", first).add_node("Second", second).add_chain("First", "Second", END)
    flow = await engine.create(graph, {"divisor": 0})
    await flow
    assert (await (await flow.retry_failed({"divisor": 5}))).state == {"divisor": 5, "rate": 2}
    assert ran == {"first": 1, "second": 2}


async def test_values_that_did_not_fit_together(engine: Engine) -> None:
    async def work(flow: Flow, item: Any) -> None:
        flow["sum"] = flow.get("instead", item)

    flow = await engine.create(for_each(work, sum="add"), {"items": [1, "x"]})
    outcome = await flow
    assert outcome.status is Status.FAILED
    assert "sum" in outcome.error
    failed = [step for step in await flow.history() if step.status is Status.FAILED]
    assert names(failed) == ["Work"]
    wrong = [step for step in await flow.history() if step.node == "Work"][1]
    fixed = await engine.fork(wrong, {"instead": 5})
    if failed[0].id != wrong.id:  # the branch that came last is the one that could not be merged
        fixed = await (await _stopped(fixed)).retry_failed()
    assert (await fixed).state["sum"] == 6


async def _stopped(flow: FlowHandle) -> FlowHandle:
    await flow
    return flow


# ---------------------------------------------------------------- cancelled and interrupted


async def test_a_cancelled_flow_goes_on_in_every_branch(engine: Engine) -> None:
    gate, asked = Gate(), asyncio.Event()
    ran: Ran = Counter()

    async def work(flow: Flow, item: str) -> None:
        ran[item] += 1
        if item == "slow" and ran[item] == 1:
            await gate.wait()
        if item == "asks":
            asked.set()
            flow["out"] = flow.interrupt({"title": "what?"})
        elif item == "later" and not flow.attempt:
            flow.retry(delay=3600)
        else:
            flow["out"] = item

    flow = await engine.create(for_each(work), {"items": ["quick", "slow", "asks", "later"]})
    await gate.reached()
    await asked.wait()
    async for update in flow.watch():
        states = Counter(step.status for step in update.steps if step.node == "Work")
        if states == {Status.COMPLETED: 1, Status.RUNNING: 1, Status.INTERRUPTED: 1, Status.PENDING: 1}:
            break
    await flow.cancel("lunch")
    gate.open()
    repaired = await flow.retry_failed({"later": True})
    assert (await repaired).interrupt_payload == {"title": "what?"}
    await repaired.resume("this")
    async for update in repaired.watch():
        branches = [step for step in update.steps if step.node == "Work"]
        if sum(step.status is Status.COMPLETED for step in branches) == 3 and any(step.attempt for step in branches):
            break
    assert ran["quick"] == 1
    await repaired.cancel()
    assert sorted((await repaired.snapshot()).state["out"]) == ["quick", "slow", "this"]


async def test_a_cancelled_step_keeps_its_answers_and_a_failed_one_starts_over(engine: Engine) -> None:
    fails = True

    async def work(flow: Flow, item: str) -> None:
        first = flow.interrupt({"title": f"{item} first"})
        if item == "fails" and fails:
            raise ValueError("the answer is bad")
        flow["out"] = [first, flow.interrupt({"title": f"{item} second"})]

    flow = await engine.create(for_each(work), {"items": ["fails", "waits"]})
    for _ in range(2):
        await flow
        await flow.resume("one")
    async for update in flow.watch():
        if any(step.interrupt_payload == {"title": "waits second"} for step in update.steps):
            break
    await flow.cancel()
    fails = False
    repaired = await flow.retry_failed()
    seen = []
    while (await repaired).status is Status.INTERRUPTED:
        for step in await repaired.interrupts():
            seen.append((step.interrupt_payload or {})["title"])
            await repaired.resume(seen[-1], step=step)
    assert sorted(seen) == ["fails first", "fails second", "waits second"]
    outcome = await repaired
    assert outcome.state["out"] == ["fails first", "fails second", "one", "waits second"]


# ---------------------------------------------------------------- child flows


def calling(child: Graph) -> Any:
    async def call(flow: Flow, item: int) -> None:
        flow["out"] = flow.subgraph(child, {"n": item})["n"]

    return call


async def test_inside_the_child_flows_that_failed(engine: Engine) -> None:
    ran: Ran = Counter()
    bad = {2, 3}

    async def first(flow: Flow, n: int) -> None:
        ran["first", n] += 1
        flow["n"] = n * 10

    async def second(flow: Flow, n: int) -> None:
        ran["second", n] += 1
        if n // 10 in bad:
            raise TaskError(f"no {n}")
        flow["n"] = n + 1

    child = Graph("child").add_node("First", first).add_node("Second", second).add_chain("First", "Second", END)
    flow = await engine.create(for_each(calling(child)), {"items": [1, 2, 3]})
    outcome = await flow
    assert outcome.status is Status.FAILED
    bad.clear()
    repaired = await flow.retry_failed()
    assert (await repaired).state["out"] == [11, 21, 31]
    assert ran == {("first", n): 1 for n in (1, 2, 3)} | {("second", 10): 1, ("second", 20): 2, ("second", 30): 2}
    for step in await repaired.history():
        if step.node == "Work":
            assert [(child.status, names(child.steps)) for child in step.sub_flows] == [
                (Status.COMPLETED, ["First", "Second"])
            ]


async def test_inside_cancelled_child_flows_three_levels_down(engine: Engine) -> None:
    ran: Ran = Counter()
    gate = Gate()

    async def deepest(flow: Flow) -> None:
        ran["deepest"] += 1
        await gate.wait()
        flow["n"] = 1

    def caller(child: Graph) -> Any:
        @task(url=f"call {child.name}")
        async def call(flow: Flow) -> None:
            ran[child.name] += 1
            flow["n"] = flow.subgraph(child)["n"] + 1

        return call

    low = Graph("low").add_node("Deepest", deepest).add_transition("Deepest", END)
    mid = Graph("mid").add_node("Call", caller(low)).add_transition("Call", END)
    top = Graph("top").add_node("Call", caller(mid)).add_transition("Call", END)
    flow = await engine.create(top)
    await gate.reached()
    await flow.cancel()
    gate.open()
    repaired = await flow.retry_failed()
    assert (await repaired).state == {"n": 3}
    assert ran == {"deepest": 2, "low": 2, "mid": 2}


async def test_the_caller_where_its_child_is_not_at_fault(engine: Engine) -> None:
    ran: Ran = Counter()
    broken = True

    async def inner(flow: Flow) -> None:
        ran["inner"] += 1
        flow["n"] = 1

    child = Graph("child").add_node("Inner", inner).add_transition("Inner", END)

    async def call(flow: Flow) -> None:
        flow["n"] = flow.subgraph(child)["n"]
        if broken:
            raise ValueError("after the child")

    flow = await engine.create(Graph("g").add_node("Call", call).add_transition("Call", END))
    await flow
    broken = False
    repaired = await flow.retry_failed()
    assert (await repaired).state == {"n": 1}
    assert ran == {"inner": 2}
    assert len(at(await repaired.history(), "Call").sub_flows) == 1


async def test_a_child_whose_failure_was_handled_is_left_alone(engine: Engine) -> None:
    ran: Ran = Counter()
    broken = True

    async def inner(flow: Flow) -> None:
        ran["inner"] += 1
        raise ValueError("always")

    child = Graph("child").add_node("Inner", inner).add_transition("Inner", END)

    async def call(flow: Flow) -> None:
        try:
            flow.subgraph(child)
        except SubgraphFailed:
            flow["handled"] = True

    async def last() -> None:
        if broken:
            raise ValueError("not yet")

    graph = Graph("g").add_node("Call", call).add_node("Last", last).add_chain("Call", "Last", END)
    flow = await engine.create(graph)
    await flow
    broken = False
    repaired = await flow.retry_failed()
    assert (await repaired).state == {"handled": True}
    assert ran == {"inner": 1}
    (kept,) = at(await repaired.history(), "Call").sub_flows
    (old,) = at(await flow.history(), "Call").sub_flows
    assert kept.status is Status.FAILED
    first, second = await engine.flow(old.flow_key).snapshot(), await engine.flow(kept.flow_key).snapshot()
    assert (first.error, first.state) == (second.error, second.state) == ("always", {})


# ---------------------------------------------------------------- refusals


async def test_a_flow_in_which_nothing_failed(engine: Engine) -> None:
    flow = await engine.create(Graph("g").add_node("A", lambda: None).add_transition("A", END))
    await flow
    with pytest.raises(StateConflict, match="nothing to run again"):
        await flow.retry_failed()


async def test_a_flow_that_has_not_ended(engine: Engine) -> None:
    gate = Gate()

    async def ask(flow: Flow) -> None:
        await gate.wait()
        flow.interrupt("well?")

    flow = await engine.create(Graph("g").add_node("A", ask).add_transition("A", END))
    await gate.reached()
    with pytest.raises(StateConflict, match="running"):
        await flow.retry_failed()
    gate.open()
    await flow
    with pytest.raises(StateConflict, match="interrupted"):
        await flow.retry_failed()


async def test_an_unknown_flow(engine: Engine) -> None:
    with pytest.raises(FlowNotFound):
        await engine.flow(f"1-77-{'0' * 16}").retry_failed()
