"""What is wrong with a graph, all of it at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dwarf.errors import GraphError
from dwarf.workflow.graph import END, Graph
from dwarf.workflow.tasks import task


def document(*edges: dict[str, Any], tasks: list[dict[str, Any]] | None = None, **more: Any) -> Graph:
    """A graph a -> b -> END as a document has it, with more edges, or other tasks."""
    tasks = [{"name": "a"}, {"name": "b"}] if tasks is None else tasks
    ends = [{"from": "a", "to": "b"}, {"from": "b", "to": END}]
    return Graph.from_json({"name": "g", "entryPoint": "a", "tasks": tasks, "transitions": [*ends, *edges], **more})


def problems(graph: Graph) -> list[str]:
    try:
        graph.validate()
    except GraphError as error:
        return list(error.problems)
    return []


RULES: list[tuple[str, Callable[[], Graph], list[str]]] = [
    ("V1", lambda: Graph("").add_chain("a", END), ["graph '': a graph name is required"]),
    ("V2", lambda: Graph("g"), ["graph 'g': the graph has no tasks"]),
    (
        "V3 twice",
        lambda: document(tasks=[{"name": "a"}, {"name": "b"}, {"name": "a", "url": "u"}]),
        ["duplicate node 'a'"],
    ),
    ("V3 END", lambda: document(tasks=[{"name": "a"}, {"name": "b"}, {"name": END}]), ["duplicate node 'END'"]),
    ("V4 no url", lambda: Graph("g").add_node("a", "").add_chain("a", END), ["node 'a' has no URL"]),
    ("V4 no name", lambda: Graph("g").add_chain("a", "", END), ["a node named '' has no URL"]),
    ("V5", lambda: Graph("g", entry="x").add_chain("a", END), ["entry point 'x' is not a registered node"]),
    (
        "V5 END",
        lambda: Graph("g", entry=END).add_chain("a", END),
        ["not reachable from entry point", "entry point is END"],
    ),
    ("V6", lambda: Graph("g").add_chain("a", END).set_fan_in("z"), ["set_fan_in references unknown node 'z'"]),
    ("V7", lambda: Graph("g").add_chain("a", END).set_fan_in(END), ["set_fan_in cannot mark END"]),
    ("V8", lambda: document({"from": END, "to": "b"}), ["transition 'END' -> 'b'", "out of END; END is terminal"]),
    ("V9 from", lambda: document({"from": "x", "to": "b"}), ["transition from unknown node 'x'"]),
    ("V9 to", lambda: document({"from": "b", "to": "x", "withGoto": True}), ["transition to unknown node 'x'"]),
    (
        "V10",
        lambda: document({"from": "b", "to": "b", "withGoto": True, "forEach": "xs", "as": "x"}),
        ["transition 'b' -> 'b' cannot combine forEach and withGoto"],
    ),
    (
        "V11",
        lambda: Graph("g").add_for_each("a", END, items=""),
        ["transition 'a' -> 'END' has 'as' without 'forEach'"],
    ),
    (
        "V12",
        lambda: document({"from": "b", "to": "a", "onError": True, "withGoto": True}),
        ["transition 'b' -> 'a' cannot combine onError with withGoto"],
    ),
    (
        "V13",
        lambda: document({"from": "b", "to": "a", "onError": True, "when": "x"}),
        ["transition 'b' -> 'a' is an onError transition and cannot have a 'when'"],
    ),
    (
        "V14",
        lambda: document({"from": "b", "to": "a", "onError": True}, {"from": "b", "to": END, "onError": True}),
        ["transition 'b' -> 'END' is one of more than one onError transition of 'b'"],
    ),
    (
        "V15",
        lambda: document({"from": "b", "to": "b", "switch": True, "when": "x", "withGoto": True}),
        ["transition 'b' -> 'b' cannot combine switch with withGoto"],
    ),
    ("V16", lambda: document({"from": "b", "to": "a", "switch": True}), ["a switch requires a 'when' (use \"true\""]),
    ("V17", lambda: Graph("g").add_chain("a", END).add_error_handler("a", "a"), ["to itself", "use flow.retry"]),
    (
        "V18",
        lambda: Graph("g").add_transition("a", END, when="x == "),
        ["transition 'a' -> 'END' has invalid 'when' expression 'x == ':", "position"],
    ),
    (
        "V18 regex",
        lambda: Graph("g").add_transition("a", END, when="x =~ '('"),
        ["transition 'a' -> 'END' has invalid 'when' expression"],
    ),
    (
        "V19",
        lambda: Graph("g").add_switch("a", {"x": "b"}).add_transition("a", "b").add_chain("b", END),
        ["node 'a' mixes switch with non-switch transitions (to 'b')"],
    ),
    ("V20", lambda: Graph("g").add_chain("a", END).add_node("z"), ["node 'z' is not reachable from entry point 'a'"]),
    ("V21", lambda: Graph("g").add_chain("a", "b"), ["no transition to END"]),
    (
        "V22",
        lambda: Graph("g").add_chain("a", "j", END).set_fan_in("j"),
        ["transition 'a' -> 'j' enters a fan-in node from outside of any fan-out"],
    ),
    (
        "V23",
        lambda: (
            Graph("g")
            .add_fan_out("s", "j", "k")
            .add_fan_out("j", END)
            .add_fan_out("k", END)
            .set_fan_in("j")
            .set_fan_in("k")
        ),
        ["fan-out source 's' has branches converging on different fan-in nodes, 'j' and 'k'"],
    ),
    (
        "V24",
        lambda: Graph("g").add_fan_out("s", "j", "b").add_chain("j", END).add_chain("b", END).set_fan_in("j"),
        ["transition 'b' -> 'END' ends the flow inside the fan-out of 's'"],
    ),
    (
        "V25",
        lambda: Graph("g").add_fan_out("s", "j", "b").add_chain("b", "j", "k", END).set_fan_in("j").add_goto("b", "k"),
        ["node 'k' is reached with two different lineage stacks", "register an alias node with the same task"],
    ),
    (
        "V26",
        lambda: Graph("g").add_for_each("a", "b", items="xs").add_goto("a", END),
        ["fan-out source 'a' has no fan-in node downstream", "fan_in=True"],
    ),
    (
        "a choice that is written as conditions",
        lambda: (
            Graph("g").add_transition("a", "b", when="n < 5").add_transition("a", "c", when="n > 4").add_goto("a", END)
        ),
        ["where only one way is to be taken, choose it: add_switch('a', {'n < 5': 'b', 'n > 4': 'c'})"],
    ),
    (
        "an unknown reducer",
        lambda: Graph("g", reducers={"n": "sum"}).add_chain("a", END),
        ["field 'n' has an unknown reducer 'sum'; did you mean 'add'?"],
    ),
]


@pytest.mark.parametrize(("build", "texts"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES])
def test_each_rule_alone(build: Callable[[], Graph], texts: list[str]) -> None:
    graph = build()
    with pytest.raises(GraphError) as caught:
        graph.validate()
    first = caught.value.problems[0]
    assert first.startswith(f"graph {graph.name!r}: ")
    for text in texts:
        assert text in first


@pytest.mark.parametrize(
    "build",
    [
        lambda: Graph("g").add_chain("a", END).add_goto("a", "a"),
        lambda: Graph("g").add_chain("a", "b", END).add_goto("b", "a"),
        lambda: Graph("g").add_chain("a", "b", END).add_error_handler("b", "a"),
        lambda: Graph("g").add_chain("a", "b", END).add_error_handler("a", "h").add_error_handler("b", "h"),
        lambda: Graph("g").add_switch("a", {"x": "dead"}, default=END),
        lambda: Graph("g").add_node("a", fan_in=True).add_chain("a", END),
        lambda: Graph("g").add_transition("a", END, when="x"),
        lambda: (
            Graph("g")
            .add_for_each("a", "b", items="xs")
            .add_for_each("a", "c", items="ys")
            .set_fan_in("j")
            .add_chain("b", "j")
            .add_chain("c", "j", END)
        ),
        lambda: document({"from": "a", "to": "b"}, tasks=[{"name": "a"}, {"name": "b", "fanIn": True}]),
        lambda: Graph("g").add_chain("a", "b", END).add_goto("a", "c"),
    ],
)
def test_what_is_unusual_but_legal(build: Callable[[], Graph]) -> None:
    assert problems(build()) == []


def test_everything_is_reported_at_once_in_order() -> None:
    graph = Graph("").add_transition("a", "b", when="(").add_error_handler("b", "b").add_node("z", "").set_fan_in("q")
    gists = ["name is required", "'z' has no URL", "'q'", "invalid 'when'", "flow.retry", "'z' is not reach", "to END"]
    found = problems(graph)
    assert len(found) == len(gists)
    for gist, problem in zip(gists, found, strict=True):
        assert gist in problem


def test_the_text_lists_the_problems_once() -> None:
    graph = Graph("g").add_chain("a", "b").add_node("z")
    with pytest.raises(GraphError) as caught:
        graph.validate()
    first, second = caught.value.problems
    text = str(caught.value)
    assert text.splitlines()[0] == "graph 'g' has 2 problems:"
    for problem in (first, second):
        assert problem.removeprefix("graph 'g': ") in text


def test_a_long_list_is_cut_in_the_text_only() -> None:
    graph = Graph("g").add_chain("a", END)
    for number in range(50):
        graph.add_node(f"z{number}")
    with pytest.raises(GraphError) as caught:
        graph.validate()
    assert len(caught.value.problems) == 50
    assert str(caught.value).splitlines()[-1].strip() == "- and 30 more"


def test_doubled_transitions_report_their_fault_once() -> None:
    found = problems(Graph("g").add_transition("a", END, when="(").add_transition("a", END, when="("))
    assert len([problem for problem in found if "invalid 'when'" in problem]) == 1


def test_a_transition_added_twice_is_pointed_out() -> None:
    found = problems(document({"from": "a", "to": "b"}))
    assert any("(the transition to 'b' was added 2 times)" in problem for problem in found)


def test_names_are_shown_without_their_scheme() -> None:
    found = problems(Graph("g").add_chain("https://host/a", END).add_node("https://host/z").add_node("https://"))
    assert "node 'host/z' is not reachable from entry point 'host/a'" in found[0]
    assert "node 'https://' is not reachable" in found[1]


def test_two_functions_of_one_url_are_a_problem() -> None:
    def make(rate: int) -> Any:
        @task(url="work")
        def work(flow: Any) -> int:
            return rate

        return work

    first, second = make(1), make(2)
    found = problems(Graph("g").add_node("a", first).add_node("b", second).add_chain("a", "b", END))
    assert len(found) == 1
    assert "nodes 'a' and 'b' are bound to different functions of one URL, 'work'" in found[0]
    assert problems(Graph("g").add_node("a", first).add_node("b", first).add_chain("a", "b", END)) == []


def test_a_function_defined_again_is_no_problem() -> None:
    space: dict[str, Any] = {}
    exec("def work(flow): ...", space)
    graph = Graph("g").add_node("a", space["work"]).add_chain("a", "b", END)
    exec("def work(flow): ...", space)
    graph.add_node("b", space["work"])
    assert problems(graph) == []
    assert graph.functions["main.work"] is space["work"]


def test_a_large_graph_is_checked_quickly() -> None:
    graph = Graph("g")
    for number in range(3000):  # every node opens another fan-out that nothing closes
        graph.add_fan_out(f"n{number}", f"n{number + 1}", f"m{number + 1}")
    found = problems(graph)
    assert len(found) == 3001
    assert max(map(len, found)) < 500
