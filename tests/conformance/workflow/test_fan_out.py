"""Fan-out and fan-in: scenarios 67 to 86."""

from __future__ import annotations

import random
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, TaskError
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.support.workflows import Gate, at, install, names, until_steps


def writing(**fields: Any) -> Any:
    """A task that writes fields."""

    async def write(flow: Flow) -> None:
        flow.update(fields)

    return write


def three_branches(name: str, **reducers: str) -> Graph:
    graph = Graph(name, reducers=reducers).add_fan_out("A", "B", "C", "D")
    for branch in "BCD":
        graph.add_transition(branch, "E")
    return graph.set_fan_in("E").add_transition("E", END)


def each(name: str, *chain: str, items: str = "items", item: str = "item", **reducers: str) -> Graph:
    """A source, one branch for each item along a chain, and the fan-in J."""
    graph = Graph(name, reducers=reducers).add_for_each("A", chain[0], items=items, item=item)
    return graph.add_chain(*chain, "J", END).set_fan_in("J")


async def test_w67_the_fan_in_sees_every_branch(engine: Engine, host: LocalHost) -> None:
    seen: dict[str, Any] = {}

    async def copy(flow: Flow) -> None:
        flow[f"of{flow.node}"] = flow["mark"]

    async def look(flow: Flow) -> None:
        seen.update(flow)

    install(host, three_branches("fan"), A=writing(mark="m"), B=copy, C=copy, D=copy, E=look)
    outcome = await engine.run("fan", {})
    assert outcome.status is Status.COMPLETED
    assert seen == {"mark": "m", "ofB": "m", "ofC": "m", "ofD": "m"}


@pytest.mark.parametrize("items", [["x", "y", "z"], ["x"], []])
async def test_w68_one_branch_for_each_item(engine: Engine, host: LocalHost, items: list[str]) -> None:
    async def work(flow: Flow) -> None:
        flow.update(processed=1, indices=[flow["itemIndex"]], counts=[flow["itemCount"]], got=[flow["item"]])

    graph = each("each", "B", processed="add", indices="append", counts="union", got="append")
    install(host, graph, B=work, J=writing(joined=True))
    outcome = await engine.run("each", {"items": items})
    assert outcome.status is Status.COMPLETED
    assert outcome.state["joined"] is True
    assert outcome.state.get("processed", 0) == len(items)
    assert outcome.state.get("indices", []) == list(range(len(items)))
    assert outcome.state.get("counts", []) == ([len(items)] if items else [])
    assert outcome.state.get("got", []) == items


@pytest.mark.parametrize("state", [{}, {"items": None}])
async def test_w69_no_items_run_the_fan_in(engine: Engine, host: LocalHost, state: dict[str, Any]) -> None:
    install(host, each("each", "B"), J=writing(joined=True))
    flow = await engine.create("each", state)
    outcome = await flow
    assert outcome.state == {"joined": True}
    assert names(await flow.history()) == ["A", "J"]


@pytest.mark.parametrize("items", [5, "text", {"a": 1}, True])
async def test_w69_items_that_are_no_array_fail(engine: Engine, host: LocalHost, items: Any) -> None:
    install(host, each("each", "B"), A=writing(kept=1))
    outcome = await engine.run("each", {"items": items})
    assert outcome.status is Status.FAILED
    assert "'items' is not an array" in outcome.error
    assert outcome.state == {"items": items, "kept": 1}


@pytest.mark.parametrize("items", [[], [1, 2]])
async def test_w70_the_spawn_folds_its_own_delta(engine: Engine, host: LocalHost, items: list[int]) -> None:
    seen: list[int] = []

    async def look(flow: Flow) -> None:
        seen.append(flow["sum"])

    install(host, each("each", "B", sum="add"), A=writing(sum=5), J=look)
    outcome = await engine.run("each", {"items": items, "sum": 10})
    assert outcome.status is Status.COMPLETED
    assert seen == [15]


async def test_w71_add_append_union(engine: Engine, host: LocalHost) -> None:
    graph = three_branches("fan", total="add", tags="append", seen="union")
    install(
        host,
        graph,
        B=writing(total=10, tags=["b"], seen=["x"]),
        C=writing(total=20, tags="c", seen=["y", "x"]),
        D=writing(total=30, tags=["d"], seen=["z"]),
    )
    outcome = await engine.run("fan", {})
    assert outcome.state == {"total": 60, "tags": ["b", "c", "d"], "seen": ["x", "y", "z"]}


async def test_w72_min_max_and_or_concat_merge(engine: Engine, host: LocalHost) -> None:
    graph = three_branches("fan", lo="min", hi="max", all="and", any="or", text="concat", keys="merge")
    install(
        host,
        graph,
        B=writing(lo=5, hi=5, all=True, any=False, text="a", keys={"k1": 1}),
        C=writing(lo=2, hi=8, all=True, any=False, text="b", keys={"k2": 2}),
        D=writing(lo=9, hi=3, all=False, any=True, text="c", keys={"k1": 9}),
    )
    outcome = await engine.run("fan", {})
    assert outcome.state == {
        "lo": 2, "hi": 8, "all": False, "any": True, "text": "abc", "keys": {"k1": 9, "k2": 2}
    }  # fmt: skip


@pytest.mark.parametrize("deleter", ["B", "C"])
async def test_w73_a_delete_is_nothing_to_a_reducer(engine: Engine, host: LocalHost, deleter: str) -> None:
    async def delete(flow: Flow) -> None:
        del flow["log"]

    tasks = {"B": writing(log=["b2"]), "C": writing(log=["b2"])} | {deleter: delete}
    graph = Graph("deletes", reducers={"log": "append"}).add_fan_out("A", "B", "C")
    graph.add_transition("B", "J").add_transition("C", "J").set_fan_in("J").add_transition("J", END)
    install(host, graph, **tasks)
    outcome = await engine.run("deletes", {"log": ["seed"]})
    assert outcome.state == {"log": ["seed", "b2"]}


async def test_w74_the_fold_is_in_order_of_the_items(engine: Engine, host: LocalHost) -> None:
    gate = Gate()
    posted: list[str] = []

    async def work(flow: Flow) -> None:
        if flow["item"] == "a":
            await gate.wait()

    async def post(flow: Flow) -> None:
        flow["out"] = [flow["item"]]
        posted.append(flow["item"])
        if len(posted) == 3:
            gate.open()

    install(host, each("each", "Work", "Post", out="append"), Work=work, Post=post)
    outcome = await engine.run("each", {"items": ["a", "b", "c", "d"]})
    assert posted[-1] == "a"
    assert outcome.state["out"] == ["a", "b", "c", "d"]


async def test_w74_nested_in_order(engine: Engine, host: LocalHost) -> None:
    gate = Gate()
    joined: list[str] = []

    async def chunk(flow: Flow) -> None:
        if flow["cell"] == "a":
            await gate.wait()
        flow["done"] = [flow["cell"] + flow["chunk"]]

    async def join_cell(flow: Flow) -> None:
        joined.append(flow["cell"])
        flow["order"] = [flow["cell"]]
        flow["done"] = flow["done"]
        if len(joined) == 2:
            gate.open()

    install(host, nested("nested", order="append", done="append"), Chunk=chunk, JC=join_cell)
    outcome = await engine.run("nested", {"cells": ["a", "b", "c"], "chunks": ["1", "2"]})
    assert joined[-1] == "a"
    assert outcome.state["order"] == ["a", "b", "c"]
    assert outcome.state["done"] == ["a1", "a2", "b1", "b2", "c1", "c2"]


def nested(name: str, **reducers: str) -> Graph:
    graph = Graph(name, reducers=reducers).add_for_each("Seed", "Cell", items="cells", item="cell")
    graph.add_for_each("Cell", "Chunk", items="chunks", item="chunk")
    return graph.add_chain("Chunk", "JC", "JO", END).set_fan_in("JC").set_fan_in("JO")


async def test_w74_a_hundred_with_random_retries(engine: Engine, host: LocalHost, clock: Any) -> None:
    luck = random.Random(74)

    async def work(flow: Flow) -> None:
        if flow.attempt < 4 and luck.random() < 0.5:
            flow.retry(delay=luck.random())
        flow["out"] = [flow["item"]]

    install(host, each("each", "Work", out="append"), Work=work)
    flow = await engine.create("each", {"items": list(range(100))})
    outcome = await flow
    assert outcome.state["out"] == list(range(100))
    assert max(step.attempt for step in await flow.history()) == 4


async def test_w75_the_item_fields_end_at_the_fan_in(engine: Engine, host: LocalHost) -> None:
    seen: list[set[str]] = []

    async def join(flow: Flow) -> None:
        seen.append(set(flow))
        flow.update(page="own", pageIndex="own", pageCount="own")

    install(host, each("each", "B", items="pages", item="page"), J=join)
    outcome = await engine.run("each", {"pages": [1, 2]})
    assert seen == [{"pages"}]
    assert outcome.state == {"pages": [1, 2], "page": "own", "pageIndex": "own", "pageCount": "own"}


@pytest.mark.parametrize("pages", [[1, 2], []])
async def test_w75_a_field_that_an_item_shadows(engine: Engine, host: LocalHost, pages: list[int]) -> None:
    install(host, each("each", "B", items="pages", item="page"))
    outcome = await engine.run("each", {"pages": pages, "page": "before"})
    assert outcome.state == {"pages": pages, "page": "before"}


async def test_w76_nested_item_fields(engine: Engine, host: LocalHost) -> None:
    seen: dict[str, set[str]] = {}

    async def look(flow: Flow) -> None:
        seen[flow.node] = set(flow) - {"cells", "chunks"}

    install(host, nested("nested"), Chunk=look, JC=look, JO=look)
    outcome = await engine.run("nested", {"cells": ["a", "b"], "chunks": [1, 2]})
    assert outcome.status is Status.COMPLETED
    cell, chunk = {"cell", "cellIndex", "cellCount"}, {"chunk", "chunkIndex", "chunkCount"}
    assert seen == {"Chunk": cell | chunk, "JC": cell, "JO": set()}


async def test_w77_what_an_inner_branch_writes_ends_at_the_inner_fan_in(engine: Engine, host: LocalHost) -> None:
    seen: list[list[int]] = []

    async def chunk(flow: Flow) -> None:
        flow["out"] = [flow["chunk"]]

    async def look(flow: Flow) -> None:
        seen.append(flow["out"])

    install(host, nested("nested", out="append"), Chunk=chunk, JC=look)
    outcome = await engine.run("nested", {"cells": ["a", "b"], "chunks": [1, 2]})
    assert seen == [[1, 2], [1, 2]]
    assert "out" not in outcome.state


async def test_w78_a_branch_sees_the_source_and_may_delete_it(engine: Engine, host: LocalHost) -> None:
    seen: list[Any] = []

    async def work(flow: Flow) -> None:
        seen.append(flow["items"])
        if flow["itemIndex"] == 1:
            flow["items"] = None

    install(host, each("each", "B"), B=work)
    outcome = await engine.run("each", {"items": [1, 2, 3]})
    assert seen == [[1, 2, 3]] * 3
    assert outcome.state == {}


async def test_w79_a_branch_fails(engine: Engine, host: LocalHost) -> None:
    async def work(flow: Flow) -> None:
        flow["done"] = [flow["item"]]
        if flow["item"] == "b":
            raise TaskError("b is broken")

    graph = each("each", "B", done="append")
    install(host, graph, B=work)
    flow = await engine.create("each", {"items": ["a", "b", "c"]})
    outcome = await flow
    assert outcome.status is Status.FAILED
    assert outcome.error == "b is broken"
    assert outcome.state == {"items": ["a", "b", "c"], "done": ["a", "c"]}
    assert names(await flow.history()) == ["A", "B", "B", "B"]


@pytest.mark.parametrize("how", ["resumed", "cancelled"])
async def test_w79_a_branch_waits_while_its_sibling_has_failed(engine: Engine, host: LocalHost, how: str) -> None:
    async def ask(flow: Flow) -> None:
        flow["a"] = 1
        flow.interrupt()

    async def fail(flow: Flow) -> None:
        raise TaskError("broken")

    install(host, three_branches("fan"), B=ask, C=fail, D=writing(d=1))
    flow = await engine.create("fan", {})
    async for update in flow.watch():
        if sorted(step.status for step in update.steps) == ["completed", "completed", "failed", "interrupted"]:
            assert update.outcome.status is Status.INTERRUPTED
            break
    if how == "resumed":
        await flow.resume()
        outcome = await flow
        assert (outcome.status, outcome.error) == (Status.FAILED, "broken")
        assert outcome.state == {"a": 1, "d": 1}
    else:
        await flow.cancel("enough")
        outcome = await flow
        assert (outcome.status, outcome.cancel_reason) == (Status.CANCELLED, "enough")
        assert outcome.state == {"d": 1}


async def test_w80_the_second_step_of_a_branch_fails(engine: Engine, host: LocalHost) -> None:
    async def cell(flow: Flow) -> None:
        flow["cells"] = [flow["item"]]

    async def enrich(flow: Flow) -> None:
        if flow["item"] == "b":
            raise TaskError("b")
        flow["enriched"] = [flow["item"]]

    graph = each("each", "Cell", "Enrich", cells="append", enriched="append")
    install(host, graph, Cell=cell, Enrich=enrich)
    outcome = await engine.run("each", {"items": ["a", "b", "c"]})
    assert outcome.status is Status.FAILED
    assert outcome.state["cells"] == ["a", "b", "c"]
    assert outcome.state["enriched"] == ["a", "c"]


async def test_w81_a_handler_inside_a_branch(engine: Engine, host: LocalHost) -> None:
    seen: dict[str, Any] = {}

    async def fail(flow: Flow) -> None:
        raise TaskError("b")

    async def handle(flow: Flow) -> None:
        flow["handled"] = flow["onErr"]["error"]

    async def look(flow: Flow) -> None:
        seen.update(flow)

    graph = three_branches("fan").add_error_handler("B", "H").add_transition("H", "E")
    install(host, graph, B=fail, H=handle, C=writing(c=1), D=writing(d=1), E=look)
    outcome = await engine.run("fan", {})
    assert outcome.status is Status.COMPLETED
    assert seen == {"c": 1, "d": 1, "handled": "b", "onErr": {"error": "b", "statusCode": 500}}


async def test_w82_a_branch_that_leads_nowhere_fails(engine: Engine, host: LocalHost) -> None:
    gate = Gate()
    ended: list[int] = []

    async def work(flow: Flow) -> None:
        flow["ok"] = flow["item"] != 1
        if flow["item"] == 2:
            await gate.wait()
            ended.append(2)

    graph = Graph("stray").add_for_each("A", "Work", items="items").add_transition("Work", "Join", when="ok == true")
    graph.set_fan_in("Join").add_transition("Join", END)
    install(host, graph, Work=work)
    flow = await engine.create("stray", {"items": [0, 1, 2]})
    await gate.reached()
    async for update in flow.watch():
        if any(step.status is Status.FAILED for step in update.steps):
            assert update.outcome.status is Status.RUNNING
            break
    gate.open()
    outcome = await flow
    assert outcome.status is Status.FAILED
    assert "fan-in" in outcome.error
    assert ended == [2]
    assert names(await flow.history()) == ["A", *["Work"] * 3]


async def test_w83_a_nested_branch_fails(engine: Engine, host: LocalHost) -> None:
    gate = Gate()

    async def chunk(flow: Flow) -> None:
        if (flow["cell"], flow["chunk"]) == ("b", 2):
            raise TaskError("b2")
        if (flow["cell"], flow["chunk"]) == ("c", 3):
            await gate.wait()

    install(host, nested("nested"), Chunk=chunk)
    flow = await engine.create("nested", {"cells": ["a", "b", "c"], "chunks": [1, 2, 3]})
    await gate.reached()
    async for update in flow.watch():
        chunks = [step.status for step in update.steps if step.node == "Chunk"]
        if chunks.count(Status.COMPLETED) == 7 and chunks.count(Status.FAILED) == 1:
            assert update.outcome.status is Status.RUNNING
            break
    gate.open()
    outcome = await flow
    assert (outcome.status, outcome.error) == (Status.FAILED, "b2")
    history = await flow.history()
    assert [step.status for step in history if step.node == "Chunk"].count(Status.COMPLETED) == 8
    assert names(history).count("JC") == 2
    assert "JO" not in names(history)


async def test_w84_a_loop_inside_a_branch(engine: Engine, host: LocalHost) -> None:
    seen: dict[str, Any] = {}

    async def loop(flow: Flow) -> None:
        flow["n"] = flow.get("n", 0) + 1
        if flow["n"] < 3:
            flow.goto("Loop")

    async def look(flow: Flow) -> None:
        seen.update(flow)

    graph = Graph("loops").add_fan_out("A", "Loop", "C").add_goto("Loop", "Loop")
    graph.add_transition("Loop", "D").add_transition("C", "D").set_fan_in("D").add_transition("D", END)
    install(host, graph, Loop=loop, C=writing(stamp="c"), D=look)
    outcome = await engine.run("loops", {})
    assert outcome.status is Status.COMPLETED
    assert seen == {"n": 3, "stamp": "c"}


async def test_w85_the_fan_in_is_below_the_deepest_branch(engine: Engine, host: LocalHost) -> None:
    gate = Gate()

    async def short(flow: Flow) -> None:
        await gate.wait()

    graph = Graph("lengths").add_fan_out("A", "Short", "Long").add_chain("Long", "Extra", "J", END)
    graph.add_transition("Short", "J").set_fan_in("J")
    install(host, graph, Short=short)
    flow = await engine.create("lengths", {})
    await until_steps(flow, lambda steps: any((s.node, s.status) == ("Extra", "completed") for s in steps))
    gate.open()
    assert (await flow).status is Status.COMPLETED
    history = await flow.history()
    assert {step.node: step.depth for step in history} == {"A": 1, "Short": 2, "Long": 2, "Extra": 3, "J": 4}
    assert at(history, "J").predecessor_id == at(history, "Short").id


async def test_w86_a_static_fan_out_inside_a_for_each(engine: Engine, host: LocalHost) -> None:
    async def merge(flow: Flow) -> None:
        flow["merged"] = [flow["item"]]

    graph = Graph("both", reducers={"merged": "union"}).add_for_each("S", "H", items="items").add_fan_out("H", "A", "B")
    graph.add_transition("A", "M").add_transition("B", "M").add_chain("M", "L", END).set_fan_in("M").set_fan_in("L")
    install(host, graph, M=merge)
    outcome = await engine.run("both", {"items": [1, 2, 3]})
    assert outcome.state["merged"] == [1, 2, 3]
