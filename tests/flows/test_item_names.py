"""The fields that a for-each names for its items are lent to its branches, and given back at the join."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine


def nothing() -> None:
    pass


def gather(item: str) -> dict[str, Any]:
    return {"got": [item]}


def mapped(source: Any = nothing, branch: Any = gather, item: str = "item") -> Graph:
    """A for-each between a source and a join that keeps what it sees."""

    def join(flow: Flow) -> dict[str, Any]:
        return {"after": {name: flow[name] for name in (item, f"{item}Index", f"{item}Count") if name in flow}}

    graph = Graph("mapped", reducers={"got": "append"})
    graph.add_node("Source", source).add_node("Branch", branch).add_node("Join", join, fan_in=True)
    return graph.add_for_each("Source", "Branch", items="xs", item=item).add_chain("Branch", "Join", END)


MINE = {"item": "mine", "itemIndex": 42, "itemCount": None}


@pytest.mark.parametrize("xs", [[], ["a"], ["a", "b"], [f"item {n}" for n in range(40)]])
async def test_a_users_own_fields_are_back(engine: Engine, xs: list[str]) -> None:
    outcome = await engine.run(mapped(), {"xs": xs, **MINE})
    assert outcome.state == {"xs": xs, "item": "mine", "itemIndex": 42, "after": {"item": "mine", "itemIndex": 42}} | (
        {"got": xs} if xs else {}
    )


async def test_names_that_the_source_had_not_are_gone(engine: Engine) -> None:
    outcome = await engine.run(mapped(), {"xs": ["a"]})
    assert outcome.state == {"xs": ["a"], "got": ["a"], "after": {}}


async def test_what_the_source_has_written_itself_is_back(engine: Engine) -> None:
    def source(flow: Flow) -> None:
        flow["item"] = "of the source"
        del flow["itemIndex"]

    outcome = await engine.run(mapped(source), {"xs": ["a"], **MINE})
    assert outcome.state["after"] == {"item": "of the source"}


async def test_what_a_branch_writes_into_them_is_not_kept(engine: Engine) -> None:
    def branch(flow: Flow, item: str) -> None:
        flow["got"] = [item]
        flow["item"] = item.upper()

    outcome = await engine.run(mapped(branch=branch), {"xs": ["a", "b"], **MINE})
    assert outcome.state["after"] == {"item": "mine", "itemIndex": 42}
    assert outcome.state["got"] == ["a", "b"]


async def test_large_values_are_back_too(engine: Engine) -> None:
    large = "x" * 50_000  # kept by reference in the branches
    outcome = await engine.run(mapped(), {"xs": ["a", "b", "c"], "item": large})
    assert outcome.state["after"] == {"item": large}


async def test_nested_with_one_name(engine: Engine) -> None:
    def outer(item: str) -> dict[str, Any]:
        return {"ys": [item + "1", item + "2"]}

    def joined(flow: Flow, item: str, inner: list[str]) -> dict[str, Any]:
        return {"outer": [[item, flow["itemIndex"], inner]]}

    graph = Graph("nested", reducers={"inner": "append", "outer": "append"})
    graph.add_node("Source", nothing).add_node("Outer", outer).add_node("Inner", lambda item: {"inner": [item]})
    graph.add_node("Joined", joined, fan_in=True).add_node("All", nothing, fan_in=True)
    graph.add_for_each("Source", "Outer", items="xs").add_for_each("Outer", "Inner", items="ys")
    graph.add_chain("Inner", "Joined", "All", END)
    outcome = await engine.run(graph, {"xs": ["a", "b"], "item": "mine"})
    assert outcome.state["outer"] == [["a", 0, ["a1", "a2"]], ["b", 1, ["b1", "b2"]]]
    assert outcome.state["item"] == "mine"


async def test_in_a_loop_around_the_for_each(engine: Engine) -> None:
    def source(laps: int = 0) -> dict[str, Any]:
        return {"laps": laps + 1}

    graph = mapped(source)
    graph.add_node("More", nothing).add_node("Join", lambda: None)
    plain = Graph("looped", reducers={"got": "append"})
    plain.add_node("Source", source).add_node("Branch", gather).add_node("Join", nothing, fan_in=True)
    plain.add_for_each("Source", "Branch", items="xs").add_transition("Branch", "Join")
    plain.add_switch("Join", {"laps < 3": "Source"}, default=END)
    outcome = await engine.run(plain, {"xs": ["a"], "item": "mine"})
    assert outcome.state == {"xs": ["a"], "item": "mine", "laps": 3, "got": ["a", "a", "a"]}


async def test_beside_a_plain_branch(engine: Engine) -> None:
    graph = mapped().add_node("Beside", lambda item: {"beside": item})
    graph.add_transition("Source", "Beside").add_transition("Beside", "Join")
    outcome = await engine.run(graph, {"xs": ["a"], "item": "mine"})
    assert (outcome.state["beside"], outcome.state["after"]) == ("mine", {"item": "mine"})


async def test_what_is_left_of_a_flow_that_failed_inside(engine: Engine) -> None:
    def branch(item: str) -> dict[str, Any]:
        if item == "b":
            raise ValueError("no")
        return {"got": [item]}

    outcome = await engine.run(mapped(branch=branch), {"xs": ["a", "b"], "item": "mine"})
    assert outcome.status is Status.FAILED
    assert outcome.state == {"xs": ["a", "b"], "item": "mine", "got": ["a"]}


async def test_in_a_fork_of_a_branch(engine: Engine) -> None:
    handle = await engine.create(mapped(), {"xs": ["a", "b"], "item": "mine"})
    await handle
    (step, *_) = [step for step in await handle.history() if step.node == "Branch"]
    outcome = await (await engine.fork(step, {"item": "c"}))
    assert outcome.state["after"] == {"item": "mine"}
    assert sorted(outcome.state["got"]) == ["b", "c"]
