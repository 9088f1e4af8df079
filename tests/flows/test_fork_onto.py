"""Going on with another graph: the past is kept, what follows is that of the new graph."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from dwarf import END, Flow, Graph, GraphError, InvalidRequest, Limit, StateConflict, Status, task
from dwarf.engine import Engine, FlowHandle
from tests.support.workflows import Gate, at, names


class Tasks:
    """Tasks by name, each made once. They note that they ran; those in ``broken`` fail."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.broken: set[Any] = set()
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        @task(url=name)
        async def run(flow: Flow) -> None:
            mark = f"{name}{flow.get('item', '')}"
            self.ran[mark] += 1
            if mark in self.broken:
                raise ValueError(f"{mark} is broken")
            if "item" in flow:
                flow["out"] = flow["item"]
            else:
                flow["path"] = flow.get("path", "") + name

        return self._made.setdefault(name, run)

    def chain(self, *nodes: str) -> Graph:
        graph = Graph("g")
        for node in nodes:
            graph.add_node(node, self[node])
        return graph.add_chain(*nodes, END)

    def wide(self, *, join: str = "Join", more: str = "") -> Graph:
        graph = Graph("wide", reducers={"out": "append"}).add_node("Source", self["Source"])
        graph.add_node("Work", self["Work"]).add_node(join, self[join], fan_in=True).add_node("Last", self["Last"])
        graph.add_for_each("Source", "Work", items="items").add_chain(join, "Last", END)
        if more:
            graph.add_node(more, self[more])
        return graph.add_chain(*(["Work", more, join] if more else ["Work", join]))


async def test_a_corrected_graph_is_the_one_that_goes_on(engine: Engine) -> None:
    tasks = Tasks()
    tasks.broken = {"B"}
    flow = await engine.create(tasks.chain("A", "B"))
    assert (await flow).status is Status.FAILED
    new = tasks.chain("A", "B", "New").add_node("B", tasks["B2"], limit=Limit(concurrency=1), time_budget=7)
    repaired = await flow.retry_failed(graph=new)
    assert (await repaired).state == {"path": "AB2New"}
    assert tasks.ran == {"A": 1, "B": 1, "B2": 1, "New": 1}
    assert (await repaired.graph()).transitions == new.transitions
    assert (await flow.graph()).url_of("B") == "B"
    first = at(await flow.history(), "A")
    later = await engine.fork(first, {"path": "x"}, at="after", graph=tasks.chain("A", "Other"))
    assert (await later).state == {"path": "xOther"}
    wrong: Any = "g"
    with pytest.raises(InvalidRequest, match="a Graph"):
        await engine.fork(first, graph=wrong)


async def test_branches_go_on_in_the_new_graph(engine: Engine) -> None:
    tasks = Tasks()
    tasks.broken = {"Work2"}
    flow = await engine.create(tasks.wide(), {"items": [1, 2, 3]})
    await flow
    tasks.broken.clear()
    tasks.ran.clear()
    repaired = await flow.retry_failed(graph=tasks.wide(join="Meet", more="Then"))
    assert (await repaired).state["out"] == [1, 2, 2, 3]  # the new node has written, too
    assert tasks.ran == {"Work2": 1, "Then2": 1, "Meet": 1, "Last": 1}


async def test_every_reason_why_the_past_does_not_fit(engine: Engine) -> None:
    tasks = Tasks()
    flow = await engine.create(tasks.wide(), {"items": [1, 2]})
    await flow
    steps = await flow.history()
    branch = next(step for step in steps if step.node == "Work")
    with pytest.raises(GraphError, match="no node 'Work'"):
        await engine.fork(branch, graph=tasks.chain("Source", "Last"))
    with pytest.raises(GraphError, match="have met in 'Join', and meet in 'Meet'") as refused:
        await engine.fork(at(steps, "Last"), graph=tasks.wide(join="Meet"))
    assert len(refused.value.problems) == 1
    plain = tasks.chain("Source", "Work", "Last")
    with pytest.raises(GraphError, match="'Work' stands in a branch of 'Source', from which no branches go out"):
        await engine.fork(branch, graph=plain)
    outside = Graph("wide").add_chain("Work", "Source").add_for_each("Source", "Then", items="items")
    outside.add_chain("Then", "Join", "Last", END).set_fan_in("Join")
    with pytest.raises(GraphError, match="'Work' stood in the fan-out of 'Source', and stands outside of any fan-out"):
        await engine.fork(branch, graph=outside)
    assert (await (await engine.fork(at(steps, "Last"), graph=plain)).outcome()).status is Status.COMPLETED


async def test_a_flow_that_runs_or_waits_is_forked_as_it_stands(engine: Engine) -> None:
    """The branches that have not ended run anew in the fork, and those that waited ask again."""
    gate, ran, tasks = Gate(), Counter[int](), Tasks()

    async def work(flow: Flow, item: int) -> None:
        ran[item] += 1
        if item == 2 and ran[2] == 1:
            await gate.wait()
        if item == 3:
            flow["answer"] = flow.interrupt("well?")
        flow["out"] = item

    def live(*more: str) -> Graph:
        graph = Graph("live", reducers={"out": "append"}).add_node("S", tasks["S"]).add_node("W", work)
        for name in ("J", *more):
            graph.add_node(name, tasks[name])
        graph.add_for_each("S", "W", items="items").set_fan_in("J")
        return graph.add_chain("W", "J", *more, END)

    flow = await engine.create(live(), {"items": [1, 2, 3]})
    await gate.reached()
    async for update in flow.watch():
        branches = [step for step in update.steps if step.node == "W"]
        if {step.status for step in branches} == {Status.COMPLETED, Status.RUNNING, Status.INTERRUPTED}:
            break
    by_ordinal = {step.ordinal: step for step in branches}
    with pytest.raises(StateConflict, match="running"):
        await engine.fork(by_ordinal[1])
    fork = await engine.fork(by_ordinal[0], graph=live("More"))
    waits = await engine.fork(by_ordinal[2])
    gate.open()
    for handle in (fork, waits, flow):
        await answered(handle)
        assert (await handle).state["out"] == [1, 2, 3]
    assert names(await fork.history())[-1] == "More"
    assert ran[1] == 2
    assert ran[2] == 3


async def answered(handle: FlowHandle) -> None:
    async for update in handle.watch():
        if update.outcome.status is Status.INTERRUPTED:
            await handle.resume("yes")
            return
