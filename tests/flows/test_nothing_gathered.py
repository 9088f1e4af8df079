"""A field to which no branch of a for-each has contributed is empty to the join and to what follows it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine


def nothing() -> None:
    pass


def mapped(join: Any, reducer: str, *, branch: Any = nothing) -> Graph:
    graph = Graph("mapped", reducers={"total": reducer})
    graph.add_node("Source", nothing).add_node("Branch", branch).add_node("Join", join, fan_in=True)
    return graph.add_for_each("Source", "Branch", items="xs").add_chain("Branch", "Join", END)


EMPTY = [
    ("append", []),
    ("union", []),
    ("add", 0),
    ("concat", ""),
    ("merge", {}),
    ("and", True),
    ("or", False),
]


@pytest.mark.parametrize(("reducer", "empty"), EMPTY)
@pytest.mark.parametrize("xs", [[], ["a"]], ids=["no branch", "a branch that writes nothing"])
async def test_the_identity_of_each_reducer(engine: Engine, reducer: str, empty: Any, xs: list[str]) -> None:
    def join(total: Any) -> dict[str, Any]:
        return {"seen": [total]}

    outcome = await engine.run(mapped(join, reducer), {"xs": xs})
    assert outcome.state == {"xs": xs, "seen": [empty]}  # and the state itself stays as it is
    assert type(outcome.state["seen"][0]) is type(empty)


@pytest.mark.parametrize("reducer", ["min", "max", "replace"])
async def test_reducers_without_an_identity(engine: Engine, reducer: str) -> None:
    outcome = await engine.run(mapped(lambda total: None, reducer), {"xs": []})
    assert outcome.status is Status.FAILED
    assert "needs the state field 'total'" in outcome.error


async def test_it_is_of_the_annotated_type(engine: Engine) -> None:
    def join(total: set[str]) -> dict[str, Any]:
        return {"kind": type(total).__name__}

    def lasted(total: timedelta) -> dict[str, Any]:
        return {"zero": total == timedelta(0)}

    def rate(total: float) -> dict[str, Any]:
        return {"kind": type(total).__name__}

    assert (await engine.run(mapped(join, "union"), {"xs": []})).state["kind"] == "set"
    assert (await engine.run(mapped(lasted, "add"), {"xs": []})).state["zero"] is True
    assert (await engine.run(mapped(rate, "add"), {"xs": []})).state["kind"] == "float"


async def test_a_default_of_the_parameter_comes_first(engine: Engine) -> None:
    def join(total: list[int] | None = None) -> dict[str, Any]:
        return {"seen": repr(total)}

    assert (await engine.run(mapped(join, "append"), {"xs": []})).state["seen"] == "None"


async def test_each_call_has_a_value_of_its_own(engine: Engine) -> None:
    def join(total: list[int]) -> dict[str, Any]:
        total.append(1)
        return {"seen": total}

    graph = mapped(join, "append")
    for _ in range(2):
        assert (await engine.run(graph, {"xs": []})).state["seen"] == [1]


async def test_what_was_there_before_counts(engine: Engine) -> None:
    outcome = await engine.run(mapped(lambda total: {"seen": total}, "append"), {"xs": [], "total": [7]})
    assert outcome.state["seen"] == [7]


async def test_behind_the_join_too_but_not_before_or_beside_it(engine: Engine) -> None:
    def later(total: list[int]) -> dict[str, Any]:
        return {"later": total}

    behind = mapped(nothing, "append").add_node("Later", later)
    graph = Graph("behind", reducers={"total": "append"})
    graph.add_node("Source", nothing).add_node("Branch", nothing).add_node("Join", nothing, fan_in=True)
    graph.add_node("Later", later).add_for_each("Source", "Branch", items="xs")
    graph.add_chain("Branch", "Join", "Later", END)
    assert (await engine.run(graph, {"xs": []})).state["later"] == []
    assert behind.url_of("Later")

    before = mapped(nothing, "append", branch=later)
    outcome = await engine.run(before, {"xs": ["a"]})
    assert "needs the state field 'total'" in outcome.error

    # a way to Later that leads around the join
    around = graph.add_goto("Source", "Later")
    outcome = await engine.run(around, {"xs": []})
    assert "needs the state field 'total'" in outcome.error


async def test_a_flow_parameter_sees_the_state_as_it_is(engine: Engine) -> None:
    def join(flow: Flow) -> dict[str, Any]:
        return {"there": "total" in flow}

    assert (await engine.run(mapped(join, "append"), {"xs": []})).state["there"] is False
