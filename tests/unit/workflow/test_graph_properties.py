"""Properties of graphs, valid and not."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dwarf.errors import GraphError
from dwarf.workflow.drawing.mermaid import GraphRenderer
from dwarf.workflow.graph import END, Graph, Limit
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.lineage import fan_in_map, lineage_problems
from dwarf.workflow.validation import problems_of

NAMES = st.sampled_from(["a", "b", "c", "d", "e", "", "https://h/p", 'x"]:::y', "\\", "né\n&lt;", END])
WORDS = st.sampled_from(["true", "x == 1", "(((", "s == 'a||b'", 'n > 5 && !"x"', "r =~ '('"])
CONDITIONS = st.just("") | WORDS  # a document may hold the empty one, the builder refuses it
LIMITS = st.none() | st.builds(Limit, concurrency=st.integers(1, 9), key=st.sampled_from(["", "tenant"]))


@st.composite
def built(draw: st.DrawFn) -> Graph:
    """Any graph that the builders can build."""
    graph = Graph(draw(st.text(max_size=5)), reducers=draw(st.none() | st.dictionaries(NAMES, NAMES, max_size=2)))
    for _ in range(draw(st.integers(0, 12))):
        source, target = draw(NAMES), draw(NAMES)
        match draw(st.integers(0, 8)):
            case 0:
                graph.add_node(source, draw(st.none() | NAMES), fan_in=draw(st.booleans()), limit=draw(LIMITS))
            case 1 | 2:
                graph.add_transition(source, target, when=draw(WORDS))
            case 3:
                graph.add_switch(source, {draw(WORDS): target}, default=draw(st.none() | NAMES))
            case 4:
                graph.add_for_each(source, target, items=draw(NAMES), item=draw(NAMES))
            case 5:
                graph.add_goto(source, target)
            case 6:
                graph.add_error_handler(source, target)
            case 7:
                graph.set_fan_in(source)
            case _:
                graph.set_entry(source)
    return graph


def documents() -> st.SearchStrategy[dict[str, Any]]:
    """Any document of the right shape, with structures that no builder makes."""
    text, flag = st.none() | NAMES, st.none() | st.booleans()
    task = st.fixed_dictionaries({}, optional={"name": text, "url": text, "fanIn": flag, "odd": st.integers()})
    marks = {"when": st.none() | CONDITIONS, "withGoto": flag, "forEach": text, "as": text, "onError": flag}
    edge = st.fixed_dictionaries({"from": NAMES, "to": NAMES}, optional={**marks, "switch": flag})
    return st.fixed_dictionaries(
        {},
        optional={
            "name": text,
            "entryPoint": text,
            "tasks": st.none() | st.lists(task, max_size=5),
            "transitions": st.none() | st.lists(edge, max_size=10),
            "reducers": st.none() | st.dictionaries(NAMES, NAMES, max_size=2),
        },
    )


GRAPHS = built() | documents().map(Graph.from_json)


@given(GRAPHS)
def test_the_json_form_round_trips(graph: Graph) -> None:
    data = graph.to_json()
    again = Graph.from_json(dumps(data))
    assert Graph.from_json(dumps(again.to_json())) == again
    if all(node.url for node in graph.nodes):  # an empty URL reads as the node's name
        assert json.dumps(again.to_json()) == json.dumps(data)
        if set(graph._fan_in_marks) <= {node.name for node in graph.nodes}:
            assert again == graph


@given(documents())
def test_what_was_read_once_is_read_the_same_again(document: dict[str, Any]) -> None:
    graph = Graph.from_json(document)
    assert Graph.from_json(graph.to_json()) == graph


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["name", "entryPoint", "tasks", "transitions", "reducers", "limit", "from", "to", "fanIn"]
                ),
                inner,
            )
        ),
    )
)
def test_reading_anything_gives_a_graph_or_a_graph_error(document: Any) -> None:
    try:
        graph = Graph.from_json(document)
    except GraphError:
        return
    assert Graph.from_json(graph.to_json()) == graph


@given(GRAPHS)
def test_nothing_fails_on_any_graph(graph: Graph) -> None:
    before = graph.to_json()
    problems = problems_of(graph)
    assert all(problem.startswith(f"graph {graph.name!r}: ") for problem in problems)
    closing = fan_in_map(graph)
    assert all(graph.is_fan_in(target) for target in closing.values())
    if not problems:
        sources = {node.name for node in graph.nodes if graph.is_fan_out_source(node.name)}
        assert sources <= set(closing)
        assert lineage_problems(graph) == []
    for text in (graph.to_mermaid(), GraphRenderer(graph, link_parameter="n").render()):
        assert f't{len(graph.nodes) - 1}["' in text or not graph.nodes
    assert graph.to_dot().endswith("}\n")
    assert graph.to_graphviz().source
    assert len(graph.to_networkx()) >= len({node.name for node in graph.nodes})
    assert graph._repr_mimebundle_()["text/plain"].startswith(repr(graph))  # the notebook adds remarks, once imported
    assert graph.to_json() == before


@dataclass
class Grown:
    """A valid graph grown from one node by nesting, with the fan-ins it was grown with."""

    graph: Graph
    closing: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def node(self) -> str:
        self.count += 1
        self.graph.add_node(f"n{self.count}")
        return f"n{self.count}"


def grow(draw: st.DrawFn, grown: Grown, budget: int) -> tuple[str, str]:
    """Add a part with one way in and one way out, and return both."""
    kind = draw(st.integers(0, 4)) if budget > 0 else 0
    match kind:
        case 1:
            first, last = grow(draw, grown, budget - 1), grow(draw, grown, budget - 1)
            grown.graph.add_transition(first[1], last[0])
            return first[0], last[1]
        case 2 | 3:
            source = grown.node()
            branches = [grow(draw, grown, budget - 2) for _ in range(draw(st.integers(1 if kind == 3 else 2, 3)))]
            fan_in = grown.node()
            grown.graph.set_fan_in(fan_in)
            for head, tail in branches:
                if kind == 3:
                    grown.graph.add_for_each(source, head, items="xs")
                else:
                    grown.graph.add_transition(source, head, when=draw(st.sampled_from([None, "x == 1"])))
                grown.graph.add_transition(tail, fan_in)
            if draw(st.booleans()):
                grown.graph.add_transition(source, fan_in)
            grown.closing[source] = fan_in
            return source, fan_in
        case 4:
            source = grown.node()
            arms = [grow(draw, grown, budget - 2) for _ in range(2)]
            meet = grown.node()
            grown.graph.add_switch(source, {"x == 1": arms[0][0]}, default=arms[1][0])
            for _, tail in arms:
                grown.graph.add_transition(tail, meet)
            return source, meet
        case _:
            name = grown.node()
            if draw(st.booleans()):
                grown.graph.add_goto(name, name)
            return name, name


@st.composite
def grown_graphs(draw: st.DrawFn) -> Grown:
    grown = Grown(Graph("grown"))
    head, tail = grow(draw, grown, 5)
    grown.graph.add_transition(tail, END).set_entry(head)
    return grown


@given(grown_graphs())
def test_graphs_grown_by_nesting_are_valid_and_close_as_they_were_grown(grown: Grown) -> None:
    assert grown.graph.validate() is grown.graph
    assert fan_in_map(grown.graph) == grown.closing


def walk(graph: Graph, rng: random.Random) -> list[str]:
    """Follow one random way from the entry, and return the fan-outs that are open at its end."""
    name, stack, closing = graph.entry, list[str](), fan_in_map(graph)
    for _ in range(100):
        edges = graph.transitions_from(name)
        if name == END or not edges:
            break
        edge = rng.choice(edges)
        opens = graph.is_fan_out_source(name)
        if graph.is_fan_in(edge.target) and edge.target != END:
            owner = name if opens else stack.pop()
            assert closing[owner] == edge.target
        elif opens and not (edge.goto or edge.on_error or edge.switch):
            stack.append(name)
        name = edge.target
    return stack if name == END else []


@settings(max_examples=200)
@given(grown_graphs(), st.data())
def test_no_way_through_a_valid_graph_breaks_a_cohort(grown: Grown, data: st.DataObject) -> None:
    graph = grown.graph
    names = st.sampled_from([node.name for node in graph.nodes])
    for _ in range(data.draw(st.integers(0, 2))):
        add = data.draw(st.sampled_from([graph.add_goto, graph.add_transition]))
        add(data.draw(names), data.draw(names | st.just(END)))
    try:
        graph.validate()
    except GraphError:
        return
    rng = random.Random(data.draw(st.integers()))
    for _ in range(20):
        assert walk(graph, rng) == []
