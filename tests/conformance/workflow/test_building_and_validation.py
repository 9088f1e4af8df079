"""Building and validation of graphs: scenarios 1 to 26."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from dwarf.errors import GraphError
from dwarf.workflow.graph import END, Graph

GISTS = {
    1: "graph name is required",
    2: "has no tasks",
    3: "duplicate node",
    4: "has no URL",
    5: "is not a registered node",
    6: "set_fan_in references unknown node",
    7: "set_fan_in cannot mark END",
    8: "out of END",
    9: "it is a transition",
    10: "cannot combine forEach and withGoto",
    11: "'as' without 'forEach'",
    12: "cannot combine onError with",
    13: "cannot have a 'when'",
    14: "more than one onError transition",
    15: "cannot combine switch with",
    16: "switch requires a 'when'",
    17: "flow.retry",
    18: "invalid 'when' expression",
    19: "mixes switch with non-switch",
    20: "not reachable from entry point",
    21: "no transition to END",
    22: "from outside of any fan-out",
    23: "converging on different fan-in nodes",
    24: "ends the flow inside the fan-out",
    25: "two different lineage stacks",
    26: "has no fan-in node downstream",
}


def drawn(edges: str, *, fan_in: str = "", entry: str = "", name: str = "g") -> Graph:
    """A graph from a line of edges: a>b plain, a*b for_each, a~b goto, a!b on_error."""
    graph = Graph(name)
    for edge in edges.split():
        mark = next(character for character in edge if character in ">*~!")
        source, target = edge.split(mark)
        if mark == "*":
            graph.add_for_each(source, target, items="xs")
        else:
            {">": graph.add_transition, "~": graph.add_goto, "!": graph.add_error_handler}[mark](source, target)
    for node in fan_in.split():
        graph.set_fan_in(node)
    return graph.set_entry(entry) if entry else graph


def raw(*edges: dict[str, Any], nodes: str = "a b") -> Graph:
    """A graph as only a JSON document can have it. The first node is the entry."""
    names = nodes.split()
    tasks = [{"name": node} for node in names]
    ends = [{"from": names[0], "to": names[-1]}, {"from": names[-1], "to": END}]
    document = {"name": "raw", "entryPoint": names[0], "tasks": tasks, "transitions": [*edges, *ends]}
    return Graph.from_json(document)


def rules(graph: Graph) -> list[int]:
    """The numbers of the rules that a graph breaks, in the order of the problems."""
    try:
        assert graph.validate() is graph
    except GraphError as error:
        return [_rule(problem, graph.name) for problem in error.problems]
    return []


def _rule(problem: str, name: str) -> int:
    assert repr(name) in problem
    found = [number for number, gist in GISTS.items() if gist in problem]
    assert len(found) == 1, (problem, found)
    return found[0]


def plain(graph: Graph) -> list[tuple[str, str]]:
    """The edges of a graph that has only plain ones."""
    assert all(edge.when == edge.for_each == "" for edge in graph.transitions)
    assert not any(edge.goto or edge.on_error or edge.switch for edge in graph.transitions)
    return [(edge.source, edge.target) for edge in graph.transitions]


def names(items: Iterable[Any]) -> list[str]:
    return [item.name for item in items]


def test_w01_transitions_register_their_nodes() -> None:
    graph = Graph("g").add_transition("a", "b", when="x == 1").add_transition("a", "c", when="x == 2")
    assert graph.entry == "a"
    assert [(node.name, node.url) for node in graph.nodes] == [("a", "a"), ("b", "b"), ("c", "c")]


def test_w02_the_first_node_is_the_entry_until_another_is_set() -> None:
    graph = Graph("g").add_node("x", "x").add_node("y", "y")
    assert graph.entry == "x"
    assert graph.set_entry("y").entry == "y"
    graph.add_node("x", "elsewhere")
    assert [(node.name, node.url) for node in graph.nodes] == [("x", "elsewhere"), ("y", "y")]
    assert graph.entry == "y"


def test_w03_end_is_no_node() -> None:
    graph = Graph("g").add_node("END", "u")
    assert graph.nodes == ()
    assert graph.entry == ""
    assert rules(graph) == [2]


def test_w04_chains_and_fan_outs() -> None:
    chain = Graph("g").add_chain("a", "b", "c", END)
    assert plain(chain) == [("a", "b"), ("b", "c"), ("c", END)]
    assert chain.entry == "a"
    assert rules(chain) == []

    solo = Graph("g").add_chain("solo")
    assert (solo.nodes, solo.transitions, solo.entry) == ((), (), "")

    fan_out = Graph("g").add_fan_out("a", "b", "c", "d")
    assert plain(fan_out) == [("a", "b"), ("a", "c"), ("a", "d")]


def test_w05_name_entry_and_ways() -> None:
    assert rules(drawn("a>b b>END")) == []
    assert rules(drawn("a>b b>END", name="")) == [1]
    assert rules(drawn("a>b b>END", entry="nowhere")) == [5]
    assert rules(drawn("a>b b>END").add_node("lonely")) == [20]
    assert rules(drawn("a>b b>a")) == [21]


def test_w06_goto_makes_a_node_reachable() -> None:
    assert rules(drawn("a>b b>END a~c c>END")) == []


def test_w07_nothing_leaves_end() -> None:
    assert rules(drawn("a>END END>b"))[0] == 8


def test_w08_error_handlers() -> None:
    assert rules(drawn("a>END a!h h>END")) == []
    assert rules(drawn("a>END a!h a!i h>END i>END")) == [14]
    assert rules(raw({"from": "a", "to": "b", "onError": True, "when": "x == 1"})) == [13]
    assert rules(drawn("a>END a!a")) == [17]


def test_w09_a_node_may_go_to_itself() -> None:
    assert rules(drawn("a~a a>END")) == []


def test_w10_conditions_are_checked() -> None:
    graph = Graph("g").add_transition("a", "b", when="(((").add_transition("b", END)
    assert rules(graph) == [18]
    graph = Graph("g").add_transition("a", "b", when="valid == true")
    graph.add_transition("a", "c", when="score > 5 && !guest")
    graph.add_transition("b", "j").add_transition("c", "j").set_fan_in("j").add_transition("j", END)
    assert rules(graph) == []


def test_w11_branches_share_one_fan_in() -> None:
    assert 23 in rules(drawn("s>a s>b a>j b>k j>END k>END", fan_in="j k"))
    assert rules(drawn("s>a s>b a>j b>j j>END", fan_in="j")) == []


@pytest.mark.parametrize(("jump", "expected"), [("k~j", 22), ("k!j", 22), ("b~j", None)])
def test_w12_jumps_into_a_fan_in(jump: str, expected: int | None) -> None:
    found = rules(drawn(f"s>b s>c b>j c>j j>k k>END {jump}", fan_in="j"))
    assert found[:1] == ([] if expected is None else [expected])


def test_w13_fan_in_marks_in_wrong_places() -> None:
    assert rules(drawn("a>b b>END", fan_in="b")) == [22]
    assert rules(drawn("a>b b>END", fan_in="zzz")) == [6]
    assert rules(drawn("a>b b>END", fan_in="END")) == [7]


def test_w14_nested_fan_outs() -> None:
    edges = "s>outer1 s>outer2 outer1>i1 outer1>i2 i1>ij i2>ij ij>oj outer2>oj oj>END"
    assert rules(drawn(edges, fan_in="ij oj")) == []


def test_w15_a_branch_cannot_end_the_flow() -> None:
    assert rules(drawn("s>a s>b a>j b>END j>END", fan_in="j")) == [24]


def test_w16_a_source_may_link_to_its_fan_in() -> None:
    assert rules(drawn("s>a s>j a>j j>END", fan_in="j")) == []


def test_w17_jumps_inside_a_branch() -> None:
    assert rules(drawn("s>a s>b a>j b>j a~a j>END", fan_in="j")) == []
    assert rules(drawn("s>a s>b a>j b>j a!h h>j j>END", fan_in="j")) == []


def test_w18_jumps_into_and_out_of_a_cohort() -> None:
    assert rules(drawn("s>a s>b a>sh b>sh sh>j j~sh j>END", fan_in="j"))[0] == 25
    assert rules(drawn("s>a s>b a>j b>j j>after after>END a~after", fan_in="j"))[0] == 25


@pytest.mark.parametrize("edges", ["d~END j>d", "d!END j>END", "d~j j>END"])
def test_w19_jumps_out_of_a_source(edges: str) -> None:
    assert rules(drawn(f"d*w w>j {edges}", fan_in="j")) == []


@pytest.mark.parametrize(("edges", "expected"), [("d~skip skip>j", 22), ("d!skip skip>j", 22), ("d~w", 25)])
def test_w20_jumps_of_a_source_past_its_branches(edges: str, expected: int) -> None:
    assert rules(drawn(f"d*w w>j j>END {edges}", fan_in="j"))[0] == expected


def test_w21_one_task_at_two_places() -> None:
    graph = drawn("d*inner inner>j j>outer outer>END", fan_in="j")
    graph.add_node("inner", "work").add_node("outer", "work")
    assert rules(graph) == []
    assert graph.url_of("inner") == graph.url_of("outer") == "work"


def test_w22_a_switch_needs_no_fan_in() -> None:
    graph = Graph("g").add_transition("entry", "router")
    graph.add_switch("router", {"i==1": "a", "i==2": "b"}, default="c")
    for node in "abc":
        graph.add_transition(node, END)
    assert [edge.when for edge in graph.transitions_from("router")] == ["i==1", "i==2", "true"]
    assert rules(graph) == []
    assert not graph.is_fan_out_source("router")


def test_w23_what_a_switch_goes_together_with() -> None:
    assert 16 in rules(raw({"from": "a", "to": "b", "switch": True}))
    arms = {"x == 1": "b"}
    ends = [("b", END), ("c", END)]

    def switched() -> Graph:
        graph = Graph("g").add_switch("a", arms)
        for source, target in ends:
            graph.add_transition(source, target)
        return graph

    assert rules(switched().add_transition("a", "c")) == [19]
    assert rules(switched().add_transition("a", "c", when="x == 2")) == [19]
    assert rules(switched().add_goto("a", "c")) == []
    assert rules(switched().add_error_handler("a", "c")) == []
    assert 15 in rules(raw({"from": "a", "to": "b", "switch": True, "when": "x", "forEach": "xs", "as": "x"}))


def test_w24_what_makes_a_fan_out_source() -> None:
    assert not drawn("a>b a!c a~d").is_fan_out_source("a")
    assert drawn("a>b a>c").is_fan_out_source("a")
    assert drawn("a*b").is_fan_out_source("a")
    assert not Graph("g").add_switch("a", {"x": "b", "y": "c"}).is_fan_out_source("a")


def test_w25_alternatives_by_when_open_a_fan_out() -> None:
    def alternatives(graph: Graph, source: str) -> Graph:
        return graph.add_transition(source, "J", when="a").add_transition(source, "J", when="b")

    one = alternatives(Graph("g").add_fan_out("Split", "WorkA", "WorkB"), "WorkA").add_transition("WorkB", "J")
    assert rules(one.set_fan_in("J").add_transition("J", END))[0] == 25
    both = alternatives(alternatives(Graph("g").add_fan_out("Split", "WorkA", "WorkB"), "WorkA"), "WorkB")
    assert rules(both.set_fan_in("J").add_transition("J", END))[0] == 24
    assert rules(alternatives(Graph("g"), "Work").set_fan_in("J").add_transition("J", END)) == []


def test_w26_what_is_not_detected() -> None:
    assert rules(drawn("s>b s>c b>d c>j j>END", fan_in="j")) == []
    with pytest.raises(GraphError, match="unknown reducer 'no-such-reducer'"):  # which once failed at its first use
        drawn("a>END").set_reducer("total", "no-such-reducer").validate()
