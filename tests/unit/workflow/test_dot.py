"""Graphs as Graphviz drawings."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import graphviz
import pytest

from dwarf.errors import InvalidRequest
from dwarf.workflow.graph import END, Graph

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    'a"b',
    "<b>bold</b>",
    "\\N \\G\\",
    "&lt;&amp;&#65; & &&",
    "two\nlines",
    "\x00\x07\x85\ufffe",
    "n1",
    "end",
    "é→",
]


def program() -> str:
    """A program that draws, or "": the system's, or the one that comes as a Python package."""
    beside = Path(sys.executable).with_name("graphviz-pure")
    return shutil.which("dot") or shutil.which("graphviz-pure") or (str(beside) if beside.exists() else "")


needs_program = pytest.mark.skipif(not program(), reason="no program that draws Graphviz text")


def picture(source: str) -> ET.Element:
    done = subprocess.run([program(), "-Tsvg"], input=source.encode(), capture_output=True, check=True, timeout=60)
    assert not done.stderr, done.stderr.decode()
    return ET.fromstring(done.stdout.decode())


def parts(svg: ET.Element, kind: str) -> dict[str, ET.Element]:
    """The groups of nodes or edges by their id."""
    groups = svg.iter(f"{SVG}g")
    return {group.get("id", ""): group for group in groups if kind in (group.get("class") or "").split()}


def text_of(group: ET.Element) -> list[str]:
    return [(text.text or "").strip() for text in group.iter(f"{SVG}text")]


@pytest.fixture
def order() -> Graph:
    graph = Graph("Order").add_transition("Reserve", "Route").add_error_handler("Reserve", "Alert")
    graph.add_switch("Route", {"amount > 100": "Ship"}, default="Alert").add_transition("Alert", END, when="x == 1")
    graph.add_for_each("Ship", "Pick", items="lines", item="line").add_transition("Pick", "Gather")
    return graph.set_fan_in("Gather").add_transition("Gather", END).add_goto("Gather", "Reserve")


def test_nodes_by_kind(order: Graph) -> None:
    lines = [line.strip() for line in order.to_dot().splitlines()]
    assert lines[0] == 'digraph "Order" {'
    assert lines[-1] == "}"
    nodes = {line.split()[0]: line for line in lines if re.match(r"(n\d+|start|end) \[", line)}
    assert list(nodes) == ["n0", "n1", "n2", "n3", "n4", "n5", "start", "end"]
    assert 'label="Reserve"' in nodes["n0"]
    assert 'tooltip="Reserve"' in nodes["n0"]
    assert 'id="node-0", class="task entry"' in nodes["n0"]
    assert 'id="node-1", class="task"' in nodes["n1"]
    assert 'id="node-5", class="task fan-in"' in nodes["n5"]
    assert 'shape="hexagon"' in nodes["n5"]
    assert "hexagon" not in nodes["n4"]


def test_edges_by_kind(order: Graph) -> None:
    edges = [line.strip() for line in order.to_dot().splitlines() if " -> " in line]
    ways = [re.match(r"(\w+ -> \w+) ", line) for line in edges]
    assert [way[1] for way in ways if way] == [
        "start -> n0",
        "n0 -> n1",
        "n0 -> n2",
        "n1 -> n3",
        "n1 -> n2",
        "n2 -> end",
        "n3 -> n4",
        "n4 -> n5",
        "n5 -> end",
        "n5 -> n0",
    ]
    classes = [re.search(r'class="([\w-]+)"', line) for line in edges]
    assert [kind[1] for kind in classes if kind] == [
        "start", "always", "on-error", "switch", "switch", "when", "for-each", "always", "always", "goto",
    ]  # fmt: skip
    labels = [re.search(r' ?label="([^"]*)"', line.replace("labeltooltip", "")) for line in edges]
    assert [label[1].strip() for label in labels if label] == [
        "on error", "amount > 100", "otherwise", "x == 1", "each line of lines", "goto",
    ]  # fmt: skip
    assert 'id="edge-0"' in edges[1]
    assert 'id="edge-8"' in edges[9]


def test_directions(order: Graph) -> None:
    assert 'rankdir="LR"' in order.to_dot()
    assert 'rankdir="TB"' in order.to_dot(rankdir="TB")
    assert 'rankdir="TB"' in order.to_dot(rankdir="TD")
    with pytest.raises(InvalidRequest, match="LR"):
        order.to_dot(rankdir="up")


def test_long_conditions_are_short_on_the_edge_and_whole_in_the_tooltip() -> None:
    when = " && ".join(f"field_{number} > {number}" for number in range(20))
    line = next(
        line for line in Graph("g").add_transition("a", END, when=when).to_dot().splitlines() if "n0 ->" in line
    )
    label = re.search(r'\[label="([^"]*)"', line)
    assert label is not None
    assert label[1].count("\\n") == 2
    assert label[1].rstrip().endswith("\N{HORIZONTAL ELLIPSIS}")
    assert f'tooltip="a → END: {when}"' in line


def test_there_is_an_end_only_where_something_leads_to_it() -> None:
    assert "end [" not in Graph("g").add_chain("a", "b").to_dot()
    assert "start [" not in Graph("g", entry="nowhere").add_node("a").to_dot()


def test_unknown_names_of_a_document_are_drawn_apart() -> None:
    edges = [{"from": "a", "to": "ghost"}, {"from": "ghost", "to": END}, {"from": END, "to": "a"}]
    graph = Graph.from_json({"entryPoint": "a", "tasks": [{"name": "a"}, {"name": "a"}], "transitions": edges})
    text = graph.to_dot()
    assert 'label="ghost"' in text
    assert 'class="unknown"' in text
    assert text.count('label="a"') == 2


@needs_program
def test_the_drawing_has_every_node_and_edge(order: Graph) -> None:
    svg = picture(order.to_dot())
    nodes = parts(svg, "node")
    assert set(nodes) == {*(f"node-{number}" for number in range(6)), "start", "end"}
    assert text_of(nodes["node-5"]) == ["Gather"]
    assert "fan-in" in (nodes["node-5"].get("class") or "").split()
    edges = parts(svg, "edge")
    assert set(edges) == {*(f"edge-{number}" for number in range(9)), "edge-start"}
    assert text_of(edges["edge-5"]) == ["each line of lines"]


@needs_program
@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_the_drawing(name: str) -> None:
    graph = Graph(name).add_transition(name, "other", when=f"x == '{name}'").add_for_each("other", name, items=name)
    shown = [re.sub("[\x00\x07\x85\ufffe]", " ", line).strip() for line in name.splitlines()] or [""]
    if "\x85" in name:
        shown = [""]
    for source in (graph.to_dot(), graph.to_graphviz().source):
        svg = picture(source)
        nodes = parts(svg, "node")
        assert set(nodes) == {"node-0", "node-1", "start"}
        assert [line for line in text_of(nodes["node-0"]) if line] == [line for line in shown if line]
        assert set(parts(svg, "edge")) == {"edge-0", "edge-1", "edge-start"}


@needs_program
def test_the_graphviz_object_is_the_same_drawing(order: Graph) -> None:
    digraph = order.to_graphviz()
    assert isinstance(digraph, graphviz.Digraph)
    one, other = picture(order.to_dot()), picture(digraph.source)
    assert ET.tostring(one) == ET.tostring(other)
