"""Which fan-in closes which fan-out."""

from __future__ import annotations

import pytest

from dwarf.workflow.graph import END, Graph
from dwarf.workflow.lineage import fan_in_map, lineage_problems


def test_a_simple_fan_out() -> None:
    graph = Graph("g").add_fan_out("s", "a", "b").add_chain("a", "j", END).add_chain("b", "j").set_fan_in("j")
    assert fan_in_map(graph) == {"s": "j"}
    assert lineage_problems(graph) == []


def test_a_for_each_and_a_direct_edge() -> None:
    graph = Graph("g").add_for_each("s", "w", items="xs").add_chain("w", "j", END).add_transition("s", "j")
    assert fan_in_map(graph.set_fan_in("j")) == {"s": "j"}
    assert lineage_problems(graph) == []


def test_nested_fan_outs_close_from_the_inside() -> None:
    graph = Graph("g").add_for_each("s", "t", items="xs").add_for_each("t", "w", items="ys")
    graph.add_chain("w", "inner", "outer", END).set_fan_in("inner").set_fan_in("outer")
    assert fan_in_map(graph) == {"s": "outer", "t": "inner"}
    assert lineage_problems(graph) == []


def test_a_fan_in_may_open_the_next_fan_out() -> None:
    graph = Graph("g").add_for_each("s", "w", items="xs").add_transition("w", "j")
    graph.add_for_each("j", "v", items="ys").add_chain("v", "k", END).set_fan_in("j").set_fan_in("k")
    assert fan_in_map(graph) == {"s": "j", "j": "k"}
    assert lineage_problems(graph) == []


@pytest.mark.parametrize("kind", ["switch", "goto", "error"])
def test_branches_may_arrive_by_any_kind_of_edge(kind: str) -> None:
    graph = Graph("g").add_for_each("s", "w", items="xs").set_fan_in("j").add_transition("j", END)
    match kind:
        case "switch":
            graph.add_switch("w", {"x": "j"}, default="j")
        case "goto":
            graph.add_goto("w", "j")
        case "error":
            graph.add_error_handler("w", "j")
    assert fan_in_map(graph) == {"s": "j"}
    assert lineage_problems(graph) == []
    assert graph.validate() is graph


def test_jumps_and_switch_arms_open_nothing() -> None:
    graph = Graph("g").add_fan_out("s", "a", "j").add_transition("a", "j").set_fan_in("j").add_transition("j", END)
    graph.add_goto("s", "away").add_error_handler("s", "away").add_transition("away", END)
    assert fan_in_map(graph) == {"s": "j"}
    assert lineage_problems(graph) == []


def test_the_map_has_what_can_be_found_in_an_invalid_graph() -> None:
    graph = Graph("g").add_fan_out("s", "a", "b").add_chain("a", "j").add_chain("b", "k").set_fan_in("j")
    graph.set_fan_in("k").add_fan_out("j", "c", "d").add_goto("k", "j")
    assert fan_in_map(graph) == {"s": "j"}  # the first fan-in that a branch reaches
    assert len(lineage_problems(graph)) >= 3


@pytest.mark.parametrize("entry", ["nowhere", END, ""])
def test_a_graph_without_an_entry_has_an_empty_map(entry: str) -> None:
    graph = Graph("g").add_fan_out("s", "a", "b").set_entry(entry)
    assert fan_in_map(graph) == {}
    assert lineage_problems(graph) == []


def test_unknown_targets_and_edges_out_of_end_are_passed_over() -> None:
    edges = [{"from": "s", "to": "x", "forEach": "xs"}, {"from": "s", "to": END}, {"from": END, "to": "s"}]
    graph = Graph.from_json({"name": "g", "entryPoint": "s", "tasks": [{"name": "s"}], "transitions": edges})
    assert fan_in_map(graph) == {}
    assert any("'s' has no fan-in" in problem for problem in lineage_problems(graph))


def test_unreachable_sources_are_left_to_the_reachability_check() -> None:
    graph = Graph("g").add_chain("a", END).add_fan_out("z", "y", "x")
    assert lineage_problems(graph) == []


def test_deep_stacks_are_told_apart_and_named_shortly() -> None:
    graph = Graph("g")
    for number in range(50):
        graph.add_for_each(f"s{number}", f"s{number + 1}", items="xs")
    graph.add_goto("s50", "s0").add_transition("s50", END)
    found = lineage_problems(graph)
    assert "inside the fan-out of ... 's46' > 's47' > 's48' > 's49'" in found[0]
    assert "'s0' is reached with two different lineage stacks: outside of any fan-out" in found[0]
    assert len(found) == 2 + 50  # the jump, the end inside of the branches, and no fan-in at all


def test_depth_and_width_cost_no_more_than_their_edges() -> None:
    graph = Graph("g")
    for number in range(20_000):
        graph.add_for_each(f"s{number}", f"s{number + 1}", items="xs")
    for number in range(20_000, 40_000):
        graph.add_transition(f"s{number}", f"s{number + 1}").set_fan_in(f"s{number + 1}")
    closing = fan_in_map(graph)
    assert len(closing) == 20_000
    assert closing["s0"] == "s40000"
    assert closing["s19999"] == "s20001"
