"""Going on from a step's recorded result, without running its task again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from dwarf import END, Flow, Graph, StateConflict, Status, task
from dwarf.engine import Engine
from tests.support.workflows import at, idle, names

Ran = Counter[str]


def with_tasks(graph: Graph, ran: Ran, *nodes: str, **tasks: Any) -> Graph:
    """Give each node a task of its own."""
    for name in nodes:
        graph.add_node(name, idle_of(ran, name))
    for name, function in tasks.items():
        graph.add_node(name, counted(ran, name, function))
    return graph


def counted(ran: Ran, name: str, function: Any) -> Any:
    @task(url=name)
    async def run(flow: Flow) -> None:
        ran[name] += 1
        await function(flow)

    return run


def idle_of(ran: Ran, name: str) -> Any:
    return counted(ran, name, idle(f"nothing {name}"))


async def test_another_arm_of_a_switch(engine: Engine) -> None:
    ran: Ran = Counter()

    async def score(flow: Flow) -> None:
        flow["score"] = 40

    graph = with_tasks(Graph("loan"), ran, "Reject", "Accept", Score=score).set_entry("Score")
    graph.add_switch("Score", {"score >= 50": "Accept"}, default="Reject")
    flow = await engine.create(graph.add_transition("Accept", END).add_transition("Reject", END))
    await flow
    first = at(await flow.history(), "Score")
    fork = await engine.fork(first, {"score": 60, "note": "by hand"}, at="after")
    assert (await fork).state == {"score": 60, "note": "by hand"}
    assert names(await fork.history()) == ["Score", "Accept"]
    assert ran == {"Score": 1, "Reject": 1, "Accept": 1}
    kept = at(await fork.history(), "Score")
    assert (kept.started_at, kept.updated_at, kept.status) == (first.started_at, first.updated_at, Status.COMPLETED)
    assert (await engine.step(kept.key)).changes == {"score": 60, "note": "by hand"}
    same = await engine.fork(first, at="after")
    assert (await same).state == {"score": 40}
    assert (await (await engine.fork(at(await fork.history(), "Score"), at="after"))).state == (await fork).state


async def test_after_the_last_step_the_copy_is_complete_at_once(engine: Engine) -> None:
    ran: Ran = Counter()

    async def add(flow: Flow) -> None:
        flow["n"] = 5

    graph = with_tasks(Graph("g", reducers={"n": "add"}), ran, Add=add).add_transition("Add", END)
    flow = await engine.create(graph, {"n": 1})
    await flow
    (step,) = await flow.history()
    fork = await engine.fork(step, {"n": 7, "more": True}, at="after")
    assert (await fork.snapshot()).state == {"n": 8, "more": True}
    assert (await fork).state == {"n": 8, "more": True}
    assert ran == {"Add": 1}


def wide(ran: Ran) -> Graph:
    async def work(flow: Flow) -> None:
        flow["out"] = flow["item"]

    graph = with_tasks(Graph("wide", reducers={"out": "append"}), ran, "Source", "Join", Work=work)
    graph.add_for_each("Source", "Work", items="items").add_chain("Work", "Join", END)
    return graph.set_fan_in("Join")


async def test_the_result_of_one_branch(engine: Engine) -> None:
    ran: Ran = Counter()
    flow = await engine.create(wide(ran), {"items": [1, 2, 3]})
    await flow
    second = [step for step in await flow.history() if step.node == "Work"][1]
    fork = await engine.fork(second, {"out": 20}, at="after")
    assert (await fork).state["out"] == [1, 20, 3]
    assert ran == {"Source": 1, "Work": 3, "Join": 2}
    assert len({step.successor_id for step in await fork.history() if step.node == "Work"}) == 1


async def test_the_result_of_a_source(engine: Engine) -> None:
    ran: Ran = Counter()
    flow = await engine.create(wide(ran), {"items": [1, 2, 3]})
    await flow
    source = at(await flow.history(), "Source")
    for items, expected in (([7, 8], [7, 8]), ([], None)):
        fork = await engine.fork(source, {"items": items}, at="after")
        assert (await fork).state.get("out") == expected
    assert ran == {"Source": 1, "Work": 5, "Join": 3}


async def test_a_branch_beside_one_that_failed_fails_again(engine: Engine) -> None:
    ran: Ran = Counter()

    async def work(flow: Flow) -> None:
        if flow["item"] == 2:
            raise ValueError("two")
        flow["out"] = flow["item"]

    graph = wide(ran).add_node("Work", work)
    flow = await engine.create(graph, {"items": [1, 2]})
    await flow
    first, second = (step for step in await flow.history() if step.node == "Work")
    fork = await engine.fork(first, at="after")
    assert (await fork).error == "two"
    with pytest.raises(StateConflict, match="no result"):
        await engine.fork(second, {"out": 2}, at="after")


async def test_a_goto_stands(engine: Engine) -> None:
    ran: Ran = Counter()

    async def choose(flow: Flow) -> None:
        flow["tries"] = flow.get("tries", 0) + 1
        flow.goto("Choose" if flow["tries"] < 3 else "Out")

    graph = with_tasks(Graph("g"), ran, "Never", "Out", Choose=choose).set_entry("Choose")
    graph.add_chain("Choose", "Never", END).add_goto("Choose", "Choose").add_goto("Choose", "Out")
    flow = await engine.create(graph.add_transition("Out", END))
    assert (await flow).state == {"tries": 3}
    first, second, third, _ = await flow.history()
    ran.clear()
    assert (await (await engine.fork(third, at="after"))).state == {"tries": 3}
    assert ran == {"Out": 1}
    assert (await (await engine.fork(second, {"tries": 0}, at="after"))).state == {"tries": 3}
    assert ran == {"Out": 2, "Choose": 3}
    assert names(await (await engine.fork(first, at="after")).history())[0] == "Choose"


async def test_a_handled_error_stands_unless_it_is_taken_back(engine: Engine) -> None:
    ran: Ran = Counter()

    async def fails(flow: Flow) -> None:
        raise ValueError("bad")

    graph = with_tasks(Graph("g"), ran, "Handler", "Next", Fails=fails).set_entry("Fails")
    graph.add_chain("Fails", "Next", END).add_error_handler("Fails", "Handler").add_transition("Handler", END)
    flow = await engine.create(graph)
    await flow
    step = at(await flow.history(), "Fails")
    same = await engine.fork(step, {"n": 1}, at="after")
    assert (await same).state["onErr"]["error"] == "bad"
    assert names(await same.history()) == ["Fails", "Handler"]
    other = await engine.fork(step, {"onErr": None, "n": 1}, at="after")
    assert (await other).state == {"n": 1}
    assert names(await other.history()) == ["Fails", "Next"]
    assert ran == {"Fails": 1, "Handler": 2, "Next": 1}


async def test_inside_a_child_flow(engine: Engine) -> None:
    ran: Ran = Counter()

    async def inner(flow: Flow) -> None:
        flow["n"] = 1

    child = with_tasks(Graph("child"), ran, "Last", Inner=inner).set_entry("Inner").add_chain("Inner", "Last", END)

    async def call(flow: Flow) -> None:
        flow["got"] = flow.subgraph(child)["n"]

    flow = await engine.create(with_tasks(Graph("g"), ran, Call=call).add_transition("Call", END))
    assert (await flow).state == {"got": 1}
    inside = at(await flow.history(), "Call").sub_steps
    ran.clear()
    assert (await (await engine.fork(inside[0], {"n": 2}, at="after"))).state == {"got": 2}
    assert ran == {"Last": 1, "Call": 1}
    last = await engine.fork(inside[1], {"n": 3}, at="after")
    assert (await last).state == {"got": 3}
    assert ran == {"Last": 1, "Call": 2}


async def test_a_caller_keeps_its_child(engine: Engine) -> None:
    ran: Ran = Counter()

    async def inner(flow: Flow) -> None:
        flow["n"] = 1

    child = with_tasks(Graph("child"), ran, Inner=inner).add_transition("Inner", END)

    async def call(flow: Flow) -> None:
        flow["got"] = flow.subgraph(child)["n"]

    graph = with_tasks(Graph("g"), ran, "Next", Call=call).set_entry("Call").add_chain("Call", "Next", END)
    flow = await engine.create(graph)
    await flow
    fork = await engine.fork(at(await flow.history(), "Call"), {"got": 9}, at="after")
    assert (await fork).state == {"got": 9}
    (kept,) = at(await fork.history(), "Call").sub_flows
    assert kept.status is Status.COMPLETED
    assert ran == {"Inner": 1, "Call": 2, "Next": 2}  # a call runs its task twice


async def test_where_the_graph_leads_nowhere_the_copy_fails(engine: Engine) -> None:
    ran: Ran = Counter()
    flow = await engine.create(wide(ran), {"items": [1]})
    await flow
    fork = await engine.fork(at(await flow.history(), "Source"), {"items": "text"}, at="after")
    outcome = await fork
    assert outcome.status is Status.FAILED
    assert "is not an array" in outcome.error
    assert ran["Source"] == 1


async def test_values_that_do_not_fit_together_fail_the_copy(engine: Engine) -> None:
    ran: Ran = Counter()

    async def work(flow: Flow) -> None:
        flow["sum"] = flow["item"]

    graph = wide(ran).add_node("Work", work).set_reducer("sum", "add")
    flow = await engine.create(graph, {"items": [1, 2]})
    assert (await flow).state["sum"] == 3
    first = next(step for step in await flow.history() if step.node == "Work")
    outcome = await (await engine.fork(first, {"sum": "x"}, at="after"))
    assert outcome.status is Status.FAILED
    assert "sum" in outcome.error


async def test_a_long_field_is_still_stored_once(engine: Engine) -> None:
    ran: Ran = Counter()
    text = "x" * 20_000

    async def load(flow: Flow) -> None:
        flow["text"] = text

    async def check(flow: Flow) -> None:
        flow["length"] = len(flow["text"])

    graph = with_tasks(Graph("g"), ran, "Middle", Load=load, Check=check).set_entry("Load")
    flow = await engine.create(graph.add_chain("Load", "Middle", "Check", END))
    await flow
    for node, changes, length in (("Middle", None, 20_000), ("Load", {"other": 1}, 20_000), ("Load", {"text": "y"}, 1)):
        fork = await engine.fork(at(await flow.history(), node), changes, at="after")
        assert (await fork).state["length"] == length
