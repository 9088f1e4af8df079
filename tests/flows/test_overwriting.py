"""`flow.overwrite`: a value that stands as it is, whatever the reducer of its field says."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine


def nothing() -> None:
    pass


def ends_with(task: Any, reducer: str = "add") -> Graph:
    return Graph("ends", reducers={"total": reducer}).add_node("Last", task).add_transition("Last", END)


CASES = [("add", 10, 5), ("append", [1], [2]), ("append", [1], []), ("concat", "a", "b"), ("merge", {"a": 1}, {"b": 2}),
         ("union", [1], [1]), ("min", 1, 5), ("max", 9, 5), ("and", False, True), ("or", True, False),
         ("replace", 1, 2)]  # fmt: skip


@pytest.mark.parametrize(("reducer", "before", "value"), CASES)
async def test_on_the_last_node(engine: Engine, reducer: str, before: Any, value: Any) -> None:
    def last(flow: Flow) -> None:
        flow.overwrite("total", value)

    handle = await engine.create(ends_with(last, reducer), {"total": before})
    assert (await handle).state == {"total": value}
    (step,) = await handle.history()
    assert (await engine.step(step.key)).changes == {"total": value}  # the mark itself is seen nowhere


@pytest.mark.parametrize("sync", [True, False])
async def test_none_clears_the_field(engine: Engine, sync: bool) -> None:
    def last(flow: Flow) -> None:
        flow.overwrite("total", None)
        assert "total" not in flow
        assert flow.get("total") is None
        assert list(flow) == []

    async def last_async(flow: Flow) -> None:
        last(flow)

    assert (await engine.run(ends_with(last if sync else last_async), {"total": 3})).state == {}


async def test_in_the_middle_it_is_an_assignment(engine: Engine) -> None:
    def first(flow: Flow) -> None:
        flow.overwrite("total", 5)
        assert flow["total"] == 5

    graph = (
        Graph("middle", reducers={"total": "add"}).add_node("First", first).add_node("Then", lambda total: {"t": total})
    )
    graph.add_switch("First", {"total == 5": "Then"}, default=END).add_transition("Then", END)
    assert (await engine.run(graph, {"total": 10})).state == {"total": 5, "t": 5}


async def test_what_is_assigned_after_it_stands_too(engine: Engine) -> None:
    def last(flow: Flow) -> dict[str, Any]:
        flow.overwrite("total", 0)
        flow["total"] += 2
        return {"total": flow["total"] + 5}

    assert (await engine.run(ends_with(last), {"total": 10})).state == {"total": 7}


async def test_the_source_of_a_fan_out_may_begin_anew(engine: Engine) -> None:
    def source(flow: Flow) -> None:
        flow.overwrite("total", 100)

    graph = (
        Graph("fan", reducers={"total": "add"})
        .add_node("Source", source)
        .add_node("Branch", lambda item: {"total": item})
    )
    graph.add_node("Join", nothing, fan_in=True).add_for_each("Source", "Branch", items="xs")
    graph.add_chain("Branch", "Join", END)
    assert (await engine.run(graph, {"total": 10, "xs": [1, 2, 3]})).state["total"] == 106
    assert (await engine.run(graph, {"total": 10, "xs": []})).state["total"] == 100


async def test_large_values(engine: Engine) -> None:
    large = ["x" * 1000] * 50

    def source(flow: Flow) -> None:
        flow.overwrite("total", large)

    graph = Graph("large", reducers={"total": "append"}).add_node("Source", source).add_node("Branch", lambda: None)
    graph.add_node("Join", nothing, fan_in=True).add_for_each("Source", "Branch", items="xs")
    graph.add_chain("Branch", "Join", END)
    assert (await engine.run(graph, {"total": ["old"], "xs": [1, 2, 3]})).state["total"] == large


async def test_inside_a_fan_out_it_is_refused(engine: Engine) -> None:
    def branch(flow: Flow) -> None:
        flow.overwrite("total", 1)

    graph = Graph("fan", reducers={"total": "add"}).add_node("Source", nothing).add_node("Branch", branch)
    graph.add_node("Join", nothing, fan_in=True).add_for_each("Source", "Branch", items="xs")
    graph.add_chain("Branch", "Join", END)
    outcome = await engine.run(graph, {"xs": [1]})
    assert outcome.status is Status.FAILED
    assert outcome.error.startswith("field 'total' cannot be overwritten inside a fan-out")

    graph.add_node("Branch", nothing).add_node("Join", branch)  # the join itself is outside
    assert (await engine.run(graph, {"total": 7, "xs": [1]})).state["total"] == 1


async def test_it_outlives_a_park(engine: Engine) -> None:
    def last(flow: Flow) -> None:
        if "asked" not in flow:
            flow.overwrite("total", 1)
            flow["asked"] = True
        flow.interrupt("well?")

    handle = await engine.create(ends_with(last), {"total": 10})
    assert (await handle).state == {"total": 1, "asked": True}  # as it waits
    await handle.resume()
    assert (await handle).state == {"total": 1, "asked": True}


async def test_a_fork_and_a_continuation(engine: Engine) -> None:
    def last(flow: Flow) -> None:
        flow.overwrite("total", 1)

    handle = await engine.create(ends_with(last), {"total": 10})
    assert (await handle).state == {"total": 1}
    (step,) = await handle.history()
    assert (await (await engine.fork(step, {"other": 2}, at="after"))).state == {"total": 1, "other": 2}
    assert (await (await engine.fork(step, {"total": 4}))).state == {"total": 1}
    assert (await (await handle.continue_with({"total": 2}))).state == {"total": 1}


async def test_a_users_object_of_that_look_is_a_value(engine: Engine) -> None:
    look = {"$dwarf": "overwrite", "v": 1}

    def last() -> dict[str, Any]:
        return {"total": [look]}

    assert (await engine.run(ends_with(last, "append"), {"total": [0]})).state == {"total": [0, look]}
    assert (await engine.run(ends_with(lambda: {"x": look}), {"y": look})).state == {"x": look, "y": look}
