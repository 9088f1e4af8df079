"""Fan-outs and what comes together at their ends: scenarios 30 to 46."""

from __future__ import annotations

import random
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.failpoints import Failpoints
from dwarf.hosts import LocalHost
from tests.conformance.engine.tools import Gate, nodes, nothing, query, scalar, statuses, step_at, until


def split(*branches: str, reducers: dict[str, str] | None = None) -> Graph:
    """S to each branch, and from each to the fan-in J."""
    graph = Graph("g", reducers=reducers or {}).add_fan_out("S", *branches)
    for branch in branches:
        graph.add_transition(branch, "J")
    return graph.set_fan_in("J").add_transition("J", END)


def each(*chain: str, reducers: dict[str, str] | None = None, item: str = "item") -> Graph:
    """S for each of `items` to a chain, which ends at the fan-in J."""
    graph = Graph("g", reducers=reducers or {}).add_for_each("S", chain[0], items="items", item=item)
    return graph.add_chain(*chain, "J", END).set_fan_in("J")


def writing(**fields: Any) -> Any:
    """A task that writes fixed fields."""

    async def write(flow: Flow) -> None:
        flow.update(fields)

    return write


@pytest.fixture
def ends(host: LocalHost) -> list[dict[str, Any]]:
    """S and J do nothing; the states that J has seen."""
    seen: list[dict[str, Any]] = []

    @host.task(url="J")
    async def J(flow: Flow) -> None:
        seen.append(flow.snapshot())

    host.add_task("S", nothing)
    return seen


async def test_e30_every_branch_is_seen_at_the_end(host: LocalHost, engine: Engine, ends: list[dict[str, Any]]) -> None:
    @host.task(url="A")
    async def A(flow: Flow) -> None:
        flow["mark"] = "a"

    for name in "BCD":

        async def copy(flow: Flow, name: str = name) -> None:
            flow[name] = flow["mark"]

        host.add_task(name, copy)
    graph = Graph("g").add_node("A")
    for name in "BCD":
        graph.add_transition("A", name).add_transition(name, "J")
    graph.set_fan_in("J").add_transition("J", END)
    outcome = await engine.run(graph)
    assert outcome.state == {"mark": "a", "B": "a", "C": "a", "D": "a"}
    assert ends == [outcome.state]


async def test_e31_add_append_union(host: LocalHost, engine: Engine, ends: list[dict[str, Any]]) -> None:
    for name, total, seen in (("B", 10, ["x"]), ("C", 20, ["y", "x"]), ("D", 30, ["z"])):
        host.add_task(name, writing(total=total, tags=[name.lower()], seen=seen))
    graph = split("B", "C", "D", reducers={"total": "add", "tags": "append", "seen": "union"})
    outcome = await engine.run(graph)
    assert outcome.state == {"total": 60, "tags": ["b", "c", "d"], "seen": ["x", "y", "z"]}


async def test_e32_min_max_and_or_concat_merge(host: LocalHost, engine: Engine, ends: list[dict[str, Any]]) -> None:
    host.add_task("B", writing(lo=5, hi=5, all=True, any=False, text="a", map={"k1": 1}))
    host.add_task("C", writing(lo=2, hi=8, all=True, any=False, text="b", map={"k2": 2}))
    host.add_task("D", writing(lo=9, hi=3, all=False, any=True, text="c", map={"k1": 9}))
    kinds = {"lo": "min", "hi": "max", "all": "and", "any": "or", "text": "concat", "map": "merge"}
    outcome = await engine.run(split("B", "C", "D", reducers=kinds))
    assert outcome.state == {"lo": 2, "hi": 8, "all": False, "any": True, "text": "abc", "map": {"k1": 9, "k2": 2}}


@pytest.mark.parametrize("order", [("B", "C"), ("C", "B")], ids="".join)
async def test_e33_deleting_a_reduced_field_is_ignored(
    host: LocalHost, engine: Engine, ends: list[dict[str, Any]], order: tuple[str, str]
) -> None:
    host.add_task("S", writing(log=["seed"]))
    host.add_task("B", writing(log=None))
    host.add_task("C", writing(log=["b2"]))
    assert (await engine.run(split(*order, reducers={"log": "append"}))).state == {"log": ["seed", "b2"]}


@pytest.mark.parametrize("count", [3, 1, 0])
async def test_e34_for_each_runs_once_per_item(
    host: LocalHost, engine: Engine, ends: list[dict[str, Any]], count: int
) -> None:
    seen: list[tuple[Any, ...]] = []

    @host.task(url="Work")
    async def Work(flow: Flow, item: str, itemIndex: int, itemCount: int, items: list[str]) -> None:
        seen.append((item, itemIndex, itemCount, items))

    items = [f"i{number}" for number in range(count)]
    handle = await engine.create(each("Work"), {"items": items, "other": 1})
    assert (await handle).state == {"items": items, "other": 1}
    assert await nodes(handle) == ["S", *["Work"] * count, "J"]
    assert sorted(seen) == [(item, index, count, items) for index, item in enumerate(items)]
    assert ends == [{"items": items, "other": 1}]


async def test_e35_items_that_are_no_array(host: LocalHost, engine: Engine, ends: list[dict[str, Any]]) -> None:
    host.add_task("Work", nothing)
    for state in ({}, {"items": None}):
        handle = await engine.create(each("Work"), state)
        assert (await handle).status is Status.COMPLETED
        assert await nodes(handle) == ["S", "J"]
    outcome = await engine.run(each("Work"), {"items": "abc"})
    assert outcome.status is Status.FAILED
    assert "'items' is not an array" in outcome.error


@pytest.mark.parametrize("items", [[], [1, 2]], ids=["empty", "two"])
async def test_e36_the_source_is_reduced_too(
    host: LocalHost, engine: Engine, ends: list[dict[str, Any]], items: list[int]
) -> None:
    host.add_task("S", writing(sum=5))
    host.add_task("Work", nothing)
    await engine.run(each("Work", reducers={"sum": "add"}), {"sum": 10, "items": items})
    assert ends[0]["sum"] == 15


async def test_e37_results_keep_the_order_of_the_items(
    host: LocalHost, engine: Engine, ends: list[dict[str, Any]]
) -> None:
    chance = random.Random(37)

    @host.task(url="Work")
    async def Work(flow: Flow, item: int) -> None:
        if chance.random() < 0.1:
            flow.retry()
        flow["out"] = [item]

    handle = await engine.create(each("Work", reducers={"out": "append"}), {"items": list(range(100))})
    assert (await handle).state["out"] == list(range(100))
    assert sum(step.attempt for step in await handle.history()) > 0


async def test_e38_order_of_completion_does_not_matter(
    host: LocalHost, engine: Engine, failpoints: Failpoints, ends: list[dict[str, Any]]
) -> None:
    @host.task(url="Work")
    async def Work(flow: Flow, item: str) -> None:
        flow["out"] = [item]

    @host.task(url="Post")
    async def Post(flow: Flow, itemIndex: int, itemCount: int) -> None:
        # the last branch ends first: each waits until the one behind it is durable
        await failpoints.seen("afterCommit:Post", itemCount - 1 - itemIndex)

    handle = await engine.create(each("Work", "Post", reducers={"out": "append"}), {"items": ["a", "b", "c", "d"]})
    assert (await handle).state["out"] == ["a", "b", "c", "d"]
    first = next(step for step in await handle.history() if step.node == "Post" and step.ordinal == 0)
    assert (await step_at(handle, "J")).predecessor_id == first.id, "the first branch was not the last to arrive"


async def test_e38_nested_joins_converge_in_reverse(
    host: LocalHost, engine: Engine, failpoints: Failpoints, ends: list[dict[str, Any]]
) -> None:
    @host.task(url="Inner")
    async def Inner(flow: Flow, item: str, itemIndex: int, itemCount: int) -> None:
        await failpoints.seen("afterCommit:Inner", itemCount - 1 - itemIndex)
        flow["out"] = [item]

    for name in ("Cell", "Work"):
        host.add_task(name, nothing)
    graph = Graph("g", reducers={"out": "append"}).add_for_each("S", "Cell", items="items")
    graph.add_for_each("Cell", "Work", items="parts", item="part").add_chain("Work", "Inner", "J", END)
    graph.set_fan_in("Inner").set_fan_in("J")
    outcome = await engine.run(graph, {"items": ["a", "b", "c"], "parts": [1, 2]})
    assert outcome.state["out"] == ["a", "b", "c"]


async def test_e39_item_fields_end_at_the_fan_in(host: LocalHost, engine: Engine) -> None:
    seen: list[list[str]] = []

    @host.task(url="J")
    async def J(flow: Flow) -> None:
        seen.append(sorted(flow))
        flow.update(page="own", pageIndex=-1, pageCount=-2)

    for name in ("S", "Work"):
        host.add_task(name, nothing)
    outcome = await engine.run(each("Work", item="page"), {"items": [1, 2]})
    assert seen == [["items"]]
    assert outcome.state == {"items": [1, 2], "page": "own", "pageIndex": -1, "pageCount": -2}


async def test_e40_nested_for_each_fields(host: LocalHost, engine: Engine) -> None:
    seen: dict[str, list[str]] = {}
    for name in ("Work", "Inner", "Outer"):

        async def note(flow: Flow, name: str = name) -> None:
            seen[name] = sorted(set(flow) - {"pages", "chunks"})

        host.add_task(name, note)
    for name in ("S", "Page"):
        host.add_task(name, nothing)
    graph = Graph("g").add_for_each("S", "Page", items="pages", item="page")
    graph.add_for_each("Page", "Work", items="chunks", item="chunk").add_chain("Work", "Inner", "Outer", END)
    graph.set_fan_in("Inner").set_fan_in("Outer")
    state = {"pages": [1, 2], "chunks": [3, 4]}
    assert (await engine.run(graph, state)).state == state
    page = ["page", "pageCount", "pageIndex"]
    assert seen == {"Work": sorted(["chunk", "chunkCount", "chunkIndex", *page]), "Inner": page, "Outer": []}


def failing(flow: Flow) -> None:
    """A task that fails."""
    raise RuntimeError("branch exploded")


async def test_e41_failing_branch_lets_the_others_end(
    host: LocalHost, engine: Engine, ends: list[dict[str, Any]]
) -> None:
    gate = Gate()

    @host.task(url="C")
    async def C(flow: Flow) -> None:
        await gate.pass_()
        flow["c"] = 1

    host.add_task("B", failing)
    host.add_task("D", writing(d=1))
    handle = await engine.create(split("B", "C", "D"))
    await until(handle, lambda steps: any(step.status is Status.FAILED for step in steps))
    assert (await handle.snapshot()).status is Status.RUNNING
    gate.open()
    outcome = await handle
    assert outcome.status is Status.FAILED
    assert outcome.error == "branch exploded"
    assert outcome.state == {"c": 1, "d": 1}
    assert ends == []
    assert {step.node: step.status for step in await handle.history()} == {
        "S": Status.COMPLETED,
        "B": Status.FAILED,
        "C": Status.COMPLETED,
        "D": Status.COMPLETED,
    }


async def test_e42_failed_for_each_leaves_no_item_fields(
    host: LocalHost, engine: Engine, ends: list[dict[str, Any]]
) -> None:
    @host.task(url="Work")
    async def Work(flow: Flow, item: str, broken: str) -> None:
        flow["out"] = [item]
        if item == broken:
            raise RuntimeError("branch exploded")

    graph = each("Work", reducers={"out": "append"})
    failed = await engine.run(graph, {"items": ["a", "b", "c"], "broken": "b"})
    converged = await engine.run(graph, {"items": ["a", "b", "c"], "broken": ""})
    assert failed.status is Status.FAILED
    assert failed.state["out"] == ["a", "c"]
    assert set(failed.state) == set(converged.state) == {"items", "broken", "out"}


async def test_e43_completed_part_of_a_failed_branch_counts(
    host: LocalHost, engine: Engine, ends: list[dict[str, Any]]
) -> None:
    @host.task(url="Cell")
    async def Cell(flow: Flow, item: str) -> None:
        flow["cells"] = [item]

    @host.task(url="Enrich")
    async def Enrich(flow: Flow, item: str) -> None:
        if item == "b":
            raise RuntimeError("branch exploded")
        flow["enriched"] = [item]

    graph = each("Cell", "Enrich", reducers={"cells": "append", "enriched": "append"})
    outcome = await engine.run(graph, {"items": ["a", "b", "c"]})
    assert outcome.status is Status.FAILED
    assert outcome.state["cells"] == ["a", "b", "c"]
    assert outcome.state["enriched"] == ["a", "c"]


async def test_e44_handled_error_in_a_branch_converges(
    host: LocalHost, engine: Engine, ends: list[dict[str, Any]]
) -> None:
    host.add_task("B", failing)
    host.add_task("C", writing(c=1))
    host.add_task("Handler", writing(handled=True))
    graph = split("B", "C").add_error_handler("B", "Handler").add_transition("Handler", "J")
    outcome = await engine.run(graph)
    assert outcome.status is Status.COMPLETED
    assert ends[0]["handled"] is True
    assert ends[0]["c"] == 1
    assert outcome.state["onErr"]["error"] == "branch exploded"


async def test_e45_nested_failure_waits_for_every_cell(host: LocalHost, engine: Engine) -> None:
    gate = Gate()
    runs: list[str] = []

    @host.task(url="Cell")
    async def Cell(flow: Flow, row: int, column: int) -> None:
        if (row, column) == (1, 1):
            raise RuntimeError("cell exploded")
        await gate.pass_()

    for name in ("Inner", "Outer"):

        async def note(flow: Flow, name: str = name) -> None:
            runs.append(name)

        host.add_task(name, note)
    for name in ("S", "Row"):
        host.add_task(name, nothing)
    graph = Graph("g").add_for_each("S", "Row", items="three", item="row")
    graph.add_for_each("Row", "Cell", items="three", item="column").add_chain("Cell", "Inner", "Outer", END)
    graph.set_fan_in("Inner").set_fan_in("Outer")
    handle = await engine.create(graph, {"three": [0, 1, 2]})
    await gate.reached(8)
    await until(handle, lambda steps: any(step.status is Status.FAILED for step in steps))
    assert sum((await statuses(handle, "Cell")).values()) == 9
    assert (await handle.snapshot()).status is Status.RUNNING
    gate.open()
    outcome = await handle
    assert outcome.status is Status.FAILED
    assert outcome.error == "cell exploded"
    assert await statuses(handle, "Cell") == {Status.COMPLETED: 8, Status.FAILED: 1}
    assert runs == ["Inner", "Inner"]
    assert await scalar(engine, "SELECT cohort_failures FROM dwarf_steps WHERE node = 'S'") == 1


async def test_e46_branch_that_leads_nowhere_fails(
    host: LocalHost, engine: Engine, failpoints: Failpoints, ends: list[dict[str, Any]]
) -> None:
    @host.task(url="C")
    async def C(flow: Flow) -> None:
        await failpoints.seen("afterCommit:B")

    host.add_task("B", nothing)
    graph = Graph("g").add_fan_out("S", "B", "C").add_transition("B", "J", when="ok == true").add_transition("C", "J")
    graph.set_fan_in("J").add_transition("J", END)
    handle = await engine.create(graph, {"ok": False})
    outcome = await handle
    assert outcome.status is Status.FAILED
    assert "fan-in" in outcome.error
    assert ends == []
    assert (await step_at(handle, "C")).status is Status.COMPLETED
    assert (await step_at(handle, "B")).status is Status.FAILED
    assert await query(engine, "SELECT cohort_arrivals, cohort_failures FROM dwarf_steps WHERE node = 'S'") == [(2, 1)]
    trunk = Graph("trunk").add_transition("B", "S", when="ok == true").add_transition("S", END)
    assert (await engine.run(trunk, {"ok": False})).status is Status.COMPLETED
