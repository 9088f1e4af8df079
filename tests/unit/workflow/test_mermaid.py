"""Graphs as Mermaid text."""

from __future__ import annotations

import pytest

from dwarf.errors import InvalidRequest
from dwarf.workflow.drawing.mermaid import GraphRenderer
from dwarf.workflow.graph import END, Graph


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def body_of(graph: Graph) -> list[str]:
    """The lines after the classes."""
    lines = lines_of(GraphRenderer(graph).render())
    return lines[lines.index("") + 1 :]


def test_the_whole_text_of_a_small_graph() -> None:
    graph = Graph("Small").add_fan_out("a", "b", "c").add_transition("b", "j").add_transition("c", "j", when="x > 1")
    graph.set_fan_in("j").add_transition("j", END)
    assert graph.to_mermaid() == (
        "---\n"
        'title: "Small"\n'
        "config:\n"
        '  themeCSS: ".flowchartTitleText { fill: #32a7c1; }"\n'
        "---\n"
        "graph TD\n"
        "    classDef task fill:#32a7c1,color:#f4f2ef,stroke:#32a7c1\n"
        "    classDef term fill:#e5f4f3,color:#434343,stroke:#32a7c1\n"
        "    linkStyle default stroke:#32a7c1\n"
        "\n"
        '    t0["a"]:::task\n'
        '    t1["b"]:::task\n'
        '    t2["c"]:::task\n'
        '    t2_when{"when"}:::term\n'
        '    t3["j"]:::task\n'
        '    t3_reduce(("reduce")):::term\n'
        "    t3_reduce --> t3\n"
        "    t0 --> t1\n"
        "    t0 --> t2\n"
        "    t1 --> t3_reduce\n"
        "    t2 --> t2_when\n"
        '    t2_when -->|"x #gt; 1"| t3_reduce\n'
        "    _start(( )):::term --> t0\n"
        "    t3 --> _end(( )):::term\n"
    )


def test_options() -> None:
    graph = Graph("g").add_chain("a", END)
    text = GraphRenderer(graph, direction="TD", primary=("red", "white"), secondary=("", "grey"), title=None).render()
    assert text.startswith("graph TD\n")
    assert "classDef task fill:red,color:white,stroke:red" in text
    assert "classDef term color:grey,stroke:red" in text
    assert "linkStyle default stroke:red" in text
    assert "\ngraph LR\n" in GraphRenderer(graph).render()


def test_titles() -> None:
    graph = Graph("The graph")
    assert 'title: "The graph"' in graph.to_mermaid()
    assert 'title: "Mine"' in graph.to_mermaid(title="Mine")
    assert graph.to_mermaid(title='a\n---\nb\\c"\x07').splitlines()[1] == 'title: "a --- b#92;c#quot; "'
    assert "title" not in GraphRenderer(graph, title=None).render()


@pytest.mark.parametrize("direction", ["", "XX", "LR\n  evil"])
def test_unknown_directions_are_refused(direction: str) -> None:
    with pytest.raises(InvalidRequest, match="TD"):
        Graph("g").to_mermaid(direction=direction)


def test_links() -> None:
    graph = Graph("g").add_chain("a b&c", "plain", "worse", END)
    lines = lines_of(GraphRenderer(graph, link_parameter="node").render())
    assert 'click t0 "?node=a+b%26c"' in lines
    links = {"a b&c": 'https://x.y/q?a=1&b="2"#top', "worse": " JavaScript:alert(1)", "unknown": "https://z"}
    lines = lines_of(graph.to_mermaid(links=links))
    assert [line for line in lines if line.startswith("click")] == ['click t0 "https://x.y/q?a=1&b=%222%22#top"']


@pytest.mark.parametrize(
    ("entry_url", "name", "label"),
    [
        ("https://shop/start", "https://shop/charge", "charge"),
        ("https://shop/start", "https://bank/charge", "bank/charge"),
        ("start", "https://bank/charge", "charge"),
        ("https://shop/start", "https://shop", "shop"),
        ("https://shop/start", "shop/charge", "shop/charge"),
        ("https://shop/start", "https://", "https://"),
    ],
)
def test_names_that_are_urls_are_shortened(entry_url: str, name: str, label: str) -> None:
    graph = Graph("g").add_node("Start", entry_url).add_chain("Start", name, END)
    assert f't1["{label}"]:::task' in body_of(graph)


def test_parallel_edges_are_merged() -> None:
    graph = Graph("g").add_goto("a", "b").add_transition("b", "a").add_transition("a", "b").add_error_handler("a", "b")
    graph.add_for_each("a", "b", items="xs").add_transition("b", "a")
    lines = body_of(graph)
    assert 't0 -->|"goto | onError | for each"| t1' in lines
    assert lines.count("t1 --> t0") == 1


def test_combined_labels() -> None:
    edge = {"from": "a", "to": "b", "when": "x", "withGoto": True, "forEach": "xs", "onError": True}
    graph = Graph.from_json({"tasks": [{"name": "a"}, {"name": "b"}], "transitions": [edge]})
    assert 't0 -->|"goto; onError; for each; when x"| t1' in body_of(graph)


def test_ways_to_the_end() -> None:
    graph = Graph("g").add_chain("a", END).add_goto("a", END).add_switch("b", {"x": END}, default=END)
    graph.add_transition("c", END, when="y")
    lines = body_of(graph)
    assert [line for line in lines if "_end" in line] == [
        't1_switch -->|"x"| _end(( )):::term',
        't1_switch -->|"default"| _end(( )):::term',
        't2_when -->|"y"| _end(( )):::term',
        't0 -->|"goto"| _end(( )):::term',
    ]


def test_only_a_switch_has_a_default() -> None:
    lines = body_of(Graph("g").add_transition("a", "b", when="true").add_switch("c", {" true": "b"}))
    assert 't0_when -->|"true"| t1' in lines
    assert 't2_switch -->|" true"| t1' in lines


def test_the_start_leads_into_a_fan_in_by_its_circle() -> None:
    assert "_start(( )):::term --> t0_reduce" in body_of(Graph("g").add_node("a", fan_in=True))
    assert "_start(( )):::term" in body_of(Graph("g", entry="nowhere").add_node("a"))


def test_a_node_without_a_name_has_a_blank_label() -> None:
    assert 't0[" "]:::task' in body_of(Graph("g").add_node(""))


def test_invalid_graphs_show_what_they_have() -> None:
    document = {
        "entryPoint": "a",
        "tasks": [{"name": "a"}, {"name": "a"}, {"name": END}],
        "transitions": [{"from": "a", "to": "x"}, {"from": "x", "to": "a"}, {"from": END, "to": "a"}],
    }
    lines = body_of(Graph.from_json(document))
    assert lines == [
        't0["a"]:::task',
        't1["a"]:::task',
        't2["END"]:::task',
        "t2 --> t0",
        "_start(( )):::term --> t0",
    ]
