"""Building and reading graphs."""

from __future__ import annotations

import copy
import functools
import pickle
from enum import StrEnum
from typing import Any

import pytest

from dwarf.errors import GraphError
from dwarf.workflow.graph import END, Graph, Limit, Node, Transition
from dwarf.workflow.reducers import Reducer
from dwarf.workflow.tasks import task

RESERVE = f"{__name__}.reserve"


def reserve(flow: Any) -> None: ...


@task(url="billing/charge", limit=Limit(concurrency=2))
def charge(flow: Any) -> None: ...


def test_every_builder_returns_the_graph() -> None:
    graph = Graph("g")
    chained = (
        graph.add_node("a")
        .add_transition("a", "b")
        .add_switch("b", {"x": "c"}, default="d")
        .add_for_each("c", "e", items="xs")
        .add_fan_out("d", "e", "f")
        .add_chain("f", "h", END)
        .add_goto("a", "h")
        .add_error_handler("a", "h")
        .set_fan_in("h")
        .set_entry("a")
        .set_reducer("total", "add")
    )
    assert chained is graph


def test_each_kind_of_transition_has_its_marks() -> None:
    graph = Graph("g").add_transition("a", "b").add_transition("a", "b", when="x")
    graph.add_switch("a", {"x": "b"}).add_goto("a", "b").add_error_handler("a", "b")
    graph.add_for_each("a", "b", items="xs").add_for_each("a", "b", items="xs", item="x")
    assert graph.transitions == (
        Transition("a", "b"),
        Transition("a", "b", when="x"),
        Transition("a", "b", when="x", switch=True),
        Transition("a", "b", goto=True),
        Transition("a", "b", on_error=True),
        Transition("a", "b", for_each="xs", item="item"),
        Transition("a", "b", for_each="xs", item="x"),
    )


def test_too_few_names_add_nothing() -> None:
    graph = Graph("g").add_chain().add_chain("a").add_fan_out("a").add_switch("a", {})
    assert (graph.nodes, graph.transitions, graph.entry) == ((), (), "")


def test_the_entry_is_the_first_node_unless_it_is_given() -> None:
    assert Graph("g").add_transition("a", "b").entry == "a"
    assert Graph("g").add_transition(END, "b").entry == "b"
    assert Graph("g", entry="z").add_node("a").entry == "z"


def test_a_known_node_gets_a_new_task_and_keeps_its_place_and_its_mark() -> None:
    graph = Graph("g").add_node("a", "one", fan_in=True).add_node("b").add_node("a", "two")
    assert graph.nodes == (Node("a", "two", fan_in=True), Node("b", "b"))
    graph.add_node("b", fan_in=True)
    with pytest.raises(GraphError, match="fan_in is True or False, not 'no'"):
        graph.add_node("c", fan_in="no")  # type: ignore[arg-type]
    assert graph.nodes == (Node("a", "two", fan_in=True), Node("b", "b", fan_in=True))


def test_adding_a_known_node_without_a_task_keeps_its_task() -> None:
    graph = Graph("g").add_node("a", reserve).add_node("a", fan_in=True)
    assert graph.nodes == (Node("a", RESERVE, fan_in=True),)
    assert graph.functions == {RESERVE: reserve}


def test_a_mark_may_come_before_its_node() -> None:
    graph = Graph("g").set_fan_in("j")
    assert graph.is_fan_in("j")
    assert graph.add_node("j").nodes == (Node("j", "j", fan_in=True),)


def test_functions_bring_their_url_and_their_limit() -> None:
    graph = Graph("g").add_node("Reserve", reserve).add_node("Charge", charge)
    assert graph.nodes == (
        Node("Reserve", RESERVE),
        Node("Charge", "billing/charge", limit=Limit(concurrency=2)),
    )
    assert graph.functions == {RESERVE: reserve, "billing/charge": charge}
    graph.add_node("Charge", "elsewhere")
    assert graph.nodes[1] == Node("Charge", "elsewhere")
    assert graph.functions == {RESERVE: reserve}


def test_functions_without_a_name_have_the_url_of_their_node() -> None:
    double, triple = functools.partial(pow, 2), functools.partial(pow, 3)
    graph = Graph("g").add_node("A", lambda flow: None).add_node("B", double).add_node("C", triple)
    assert [node.url for node in graph.nodes] == [f"{__name__}.g.A", "builtins.g.B", "builtins.g.C"]
    assert graph.functions["builtins.g.B"] is double
    assert graph.functions["builtins.g.C"] is triple


def test_a_limit_can_be_given_for_a_node() -> None:
    slow = Limit(rate="2/second", key="tenant")
    graph = Graph("g").add_node("a", "url", limit=slow).add_node("b", charge, limit=slow)
    assert [node.limit for node in graph.nodes] == [slow, slow]


@pytest.mark.parametrize(
    ("rate", "expected"),
    [("60/minute", (60, 60_000)), (" 5 / second ", (5, 1000)), ("1/hour", (1, 3_600_000)), ("9/day", (9, 86_400_000))],
)
def test_the_allowance_of_a_rate(rate: str, expected: tuple[int, int]) -> None:
    assert Limit(rate=rate)._allowance == expected


@pytest.mark.parametrize("settings", [{}, {"key": "x"}, {"concurrency": 0}, {"rate": "fast"}, {"rate": "0/day"}])
def test_limits_that_limit_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(GraphError):
        Limit(**settings)


@pytest.mark.parametrize(
    "settings", [{"concurrency": True}, {"concurrency": "2"}, {"rate": 5}, {"rate": "1/day", "key": 1}]
)
def test_limits_of_wrong_types_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Limit(**settings)


def test_limits_are_keyword_only() -> None:
    with pytest.raises(TypeError):
        Limit(2)  # type: ignore[call-arg]


def test_a_second_switch_call_appends_arms_before_the_default() -> None:
    graph = Graph("g").add_switch("a", {"x": "b"}, default="z").add_switch("a", {"y": "c"})
    assert [(edge.when, edge.target) for edge in graph.transitions] == [("x", "b"), ("y", "c"), ("true", "z")]
    graph.add_switch("a", {}, default="other")
    assert [(edge.when, edge.target) for edge in graph.transitions] == [("x", "b"), ("y", "c"), ("true", "other")]
    graph.add_switch("a", {})
    assert len(graph.transitions) == 3
    assert all(edge.switch for edge in graph.transitions)


def test_switches_of_different_nodes_do_not_touch_each_other() -> None:
    graph = Graph("g").add_switch("a", {"x": "b"}, default="z").add_switch("b", {"y": "c"}, default="z")
    assert [edge.source for edge in graph.transitions] == ["a", "a", "b", "b"]


def test_reducers_are_known_names_where_they_can_be() -> None:
    graph = Graph("g", reducers={"n": "add", "m": Reducer.MAX}).set_reducer("x", "no-such").set_reducer("n", "min")
    assert dict(graph.reducers) == {"n": Reducer.MIN, "m": Reducer.MAX, "x": "no-such"}
    assert graph.reducers["n"] is Reducer.MIN


def test_views_are_read_only() -> None:
    graph = Graph("g", reducers={"n": "add"}).add_chain("a", "b")
    nodes, transitions = graph.nodes, graph.transitions
    graph.add_transition("b", END)
    assert (len(nodes), len(transitions)) == (2, 1)
    assert len(graph.transitions) == 2
    with pytest.raises(TypeError):
        graph.reducers["n"] = "max"  # type: ignore[index]
    with pytest.raises(TypeError):
        graph.functions["n"] = reserve  # type: ignore[index]


def test_urls() -> None:
    graph = Graph("g").add_node("a", "url").add_node("e", "")
    assert [graph.url_of(name) for name in ("a", "e", END, "unknown")] == ["url", "", "END", ""]


def test_reading_by_node() -> None:
    graph = Graph("g").add_transition("a", "b").add_transition("b", END).add_error_handler("a", "h").add_goto("a", "b")
    assert [edge.target for edge in graph.transitions_from("a")] == ["b", "h", "b"]
    assert graph.transitions_from("unknown") == ()


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        (["plain"], False),
        (["plain", "plain"], False),
        (["when", "when"], False),
        (["plain", "when"], True),
        (["each"], True),
        (["switch", "switch"], False),
        (["plain", "goto", "goto", "error"], False),
        ([], False),
    ],
)
def test_what_opens_a_fan_out(edges: list[str], expected: bool) -> None:
    graph = Graph("g").add_node("a")
    for kind in edges:
        match kind:
            case "plain":
                graph.add_transition("a", "b")
            case "when":
                graph.add_transition("a", "b", when="x")
            case "each":
                graph.add_for_each("a", "b", items="xs")
            case "switch":
                graph.add_switch("a", {"x": "b"})
            case "goto":
                graph.add_goto("a", "b")
            case "error":
                graph.add_error_handler("a", "b")
    assert graph.is_fan_out_source("a") is expected


def test_graphs_are_equal_by_definition() -> None:
    def build() -> Graph:
        return Graph("g", reducers={"n": "add"}).add_node("a", reserve).add_chain("a", "b", END)

    assert build() == build()
    assert build() == build().add_node("a", RESERVE)
    assert build() != build().add_node("a", "other")
    assert build() != build().add_goto("a", "b")
    assert build() != build().set_fan_in("b")
    assert build() != build().set_reducer("n", "max")
    assert build() != build().set_entry("b")
    assert Graph("g") != Graph("h")
    assert Graph("g") != "g"
    assert Graph("g", reducers={}) == Graph("g")
    with pytest.raises(TypeError):
        hash(build())


def test_a_copy_is_independent() -> None:
    graph = Graph("g", reducers={"n": "add"}).add_node("a", reserve).add_chain("a", "b", END)
    twin = copy.copy(graph)
    assert twin == graph
    assert twin.functions == graph.functions
    twin.add_node("a", "other").add_goto("a", "b").set_fan_in("b").set_reducer("n", "max")
    assert graph == Graph("g", reducers={"n": "add"}).add_node("a", RESERVE).add_chain("a", "b", END)
    assert pickle.loads(pickle.dumps(graph)) == graph


def test_subclasses_stay_subclasses() -> None:
    class Special(Graph):
        pass

    assert type(Special.from_json(Special("g").to_json())) is Special
    assert type(copy.copy(Special("g").add_node("a"))) is Special


def test_names_may_be_members_of_a_str_enum() -> None:
    class Names(StrEnum):
        FIRST = "first"
        SECOND = "second"

    graph = Graph("g").add_chain(Names.FIRST, Names.SECOND, END)
    assert [type(node.name) for node in graph.nodes] == [str, str]
    assert graph == Graph("g").add_chain("first", "second", END)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Graph(5),  # type: ignore[arg-type]
        lambda: Graph("g", reducers=["n"]),  # type: ignore[arg-type]
        lambda: Graph("g").add_node(5),  # type: ignore[arg-type]
        lambda: Graph("g").add_node("a", 5),  # type: ignore[arg-type]
        lambda: Graph("g").add_node("a", limit=5),  # type: ignore[arg-type]
        lambda: Graph("g").add_transition("a", reserve),  # type: ignore[arg-type]
        lambda: Graph("g").add_transition("a", "b", when=True),  # type: ignore[arg-type]
        lambda: Graph("g").add_switch("a", ["x"]),  # type: ignore[arg-type]
        lambda: Graph("g").add_switch("a", {"x": reserve}),  # type: ignore[dict-item]
        lambda: Graph("g").add_for_each("a", "b", items=["x"]),  # type: ignore[arg-type]
        lambda: Graph("g").set_reducer("a", sum),  # type: ignore[arg-type]
        lambda: Graph("g").set_entry(None),  # type: ignore[arg-type]
    ],
)
def test_arguments_of_wrong_types_are_refused(build: Any) -> None:
    with pytest.raises(TypeError):
        build()


@pytest.mark.parametrize(
    "build",
    [
        lambda: Graph("g").add_node(reserve),  # type: ignore[arg-type]
        lambda: Graph("g").add_chain(reserve, END),  # type: ignore[arg-type]
        lambda: Graph("g").add_transition("a", reserve),  # type: ignore[arg-type]
        lambda: Graph("g").add_switch("a", {"x": reserve}),  # type: ignore[dict-item]
        lambda: Graph("g").set_entry(reserve),  # type: ignore[arg-type]
        lambda: Graph("g").set_fan_in(reserve),  # type: ignore[arg-type]
    ],
)
def test_a_function_in_the_place_of_a_name_is_told_how_nodes_are_named(build: Any) -> None:
    with pytest.raises(TypeError, match=r"must be a str, not function: .*add_node\('reserve', reserve\).*Graph\.of\("):
        build()


def test_a_refused_transition_adds_no_node() -> None:
    graph = Graph("g")
    with pytest.raises(TypeError):
        graph.add_transition("a", 5)  # type: ignore[arg-type]
    assert graph.nodes == ()


def test_text_that_cannot_be_stored_is_refused() -> None:
    with pytest.raises(GraphError, match="surrogate"):
        Graph("g").add_node("a\ud800")


def test_a_cell_that_adds_may_be_run_again() -> None:
    def build(graph: Graph) -> Graph:
        graph.add_node("a").add_chain("a", "b", END).add_goto("b", "a").add_error_handler("a", "b")
        graph.add_switch("b", {"x": "a", "y": "b"}, default="c").add_for_each("c", "d", items="xs").add_fan_out(
            "c", "d"
        )
        return graph.add_transition("d", END, when="z")

    once, twice = build(Graph("g")), build(build(Graph("g")))
    assert twice == once
    assert Graph.from_json(once.to_json()) == once
    assert build(Graph.from_json(once.to_json())) == once


def test_what_is_added_twice_in_a_document_is_there_twice() -> None:
    data = Graph("g").add_chain("a", END).to_json()
    data["transitions"] *= 2
    data["transitions"].append({"from": "a", "to": END, "when": ""})
    graph = Graph.from_json(data)
    assert len(graph.transitions) == 3
    assert len(graph.add_chain("a", END).transitions) == 3


@pytest.mark.parametrize("when", ["", "  ", "\n"])
def test_an_empty_condition_is_refused(when: str) -> None:
    with pytest.raises(GraphError, match="the condition of the transition 'a' -> 'b' is empty: leave `when` out"):
        Graph("g").add_transition("a", "b", when=when)
    with pytest.raises(GraphError, match="empty"):
        Graph("g").add_switch("a", {when: "b"})
