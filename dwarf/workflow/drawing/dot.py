"""A graph as the text of a Graphviz drawing.

Identifiers are positions (n0, n1, ...), so that no name an author chose can break the text; the names are labels and
tooltips. In the SVG made of it, node i has the id ``node-<i>`` and edge i ``edge-<i>``, and both have classes by kind.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dwarf.errors import InvalidRequest
from dwarf.workflow.parts import END, shown

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.parts import Transition

__all__ = ["to_dot", "to_graphviz"]

Attributes: TypeAlias = dict[str, str]

_RANKDIRS: Final = {"LR": "LR", "RL": "RL", "TB": "TB", "BT": "BT", "TD": "TB"}
_FONT: Final = "Helvetica,Arial,sans-serif"

# Greys that can be read on white and on a dark page; fills are light, so that the text on them stays dark.
_GRAPH: Final = {"bgcolor": "transparent", "fontname": _FONT, "nodesep": "0.35", "ranksep": "0.45"}
_NODE: Final = {
    "shape": "box",
    "style": "rounded,filled",
    "fillcolor": "#f8fafc",
    "color": "#94a3b8",
    "fontname": _FONT,
    "fontsize": "12",
    "fontcolor": "#0f172a",
    "height": "0.4",
    "margin": "0.16,0.08",
}
_EDGE: Final = {
    "color": "#64748b",
    "fontname": _FONT,
    "fontsize": "10",
    "fontcolor": "#64748b",
    "arrowsize": "0.7",
}
_DOT: Final = {"shape": "circle", "label": "", "width": "0.18", "height": "0.18", "margin": "0", "style": "filled"}
_START: Final = {**_DOT, "fillcolor": "#64748b", "color": "#64748b"}
_END: Final = {**_DOT, "shape": "doublecircle", "width": "0.13", "fillcolor": "#64748b", "color": "#64748b"}
_LOOKS: Final[dict[str, Attributes]] = {
    "task": {},
    "entry": {"color": "#475569", "penwidth": "2"},
    "fan-in": {"shape": "hexagon", "style": "filled", "margin": "0.04,0.02"},
    "unknown": {"style": "rounded,dashed", "color": "#dc2626", "fontcolor": "#dc2626"},
    "always": {},
    "when": {"dir": "both", "arrowtail": "odiamond"},
    "switch": {"dir": "both", "arrowtail": "diamond"},
    "for-each": {"style": "bold"},
    "goto": {"style": "dashed"},
    "on-error": {"style": "dotted", "color": "#dc2626", "fontcolor": "#dc2626"},
}
_ENTITY: Final = re.compile(r"&(?=#?\w+;)")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ufffe\uffff]")  # not in XML, or not in a line of text
_WIDTH: Final = 28
_LINES: Final = 3


def to_dot(graph: Graph, *, rankdir: str = "LR") -> str:
    """The text, for a valid graph or not. ``rankdir`` is LR, RL, TB or BT; InvalidRequest otherwise."""
    drawing = _draw(graph, rankdir)
    lines = [f"digraph {_quoted(graph.name)} {{"]
    for kind, attributes in (("graph", drawing.graph), ("node", _NODE), ("edge", _EDGE)):
        lines.append(f"    {kind} {_list(attributes)}")
    lines += [f"    {name} {_list(attributes)}" for name, attributes in drawing.nodes.items()]
    lines += [f"    {tail} -> {head} {_list(attributes)}" for tail, head, attributes in drawing.edges]
    return "\n".join([*lines, "}"]) + "\n"


def to_graphviz(graph: Graph, *, rankdir: str = "LR") -> Any:
    """The same drawing as a ``graphviz.Digraph``. ImportError where the package graphviz is missing."""
    import graphviz

    from dwarf.workflow.drawing.digraph import drawing_class

    def plain(attributes: Attributes) -> Attributes:
        return {key: graphviz.nohtml(_escaped(value)) for key, value in attributes.items()}

    drawing = _draw(graph, rankdir)
    digraph = drawing_class()(
        graphviz.nohtml(_escaped(graph.name)),
        graph_attr=plain(drawing.graph),
        node_attr=plain(_NODE),
        edge_attr=plain(_EDGE),
    )
    for name, attributes in drawing.nodes.items():
        digraph.node(name, **plain(attributes))
    for tail, head, attributes in drawing.edges:
        digraph.edge(tail, head, **plain(attributes))
    return digraph


@dataclass(frozen=True, slots=True)
class _Drawing:
    graph: Attributes
    nodes: dict[str, Attributes]
    edges: list[tuple[str, str, Attributes]]


def _draw(graph: Graph, rankdir: str) -> _Drawing:
    if rankdir not in _RANKDIRS:
        raise InvalidRequest(f"the rankdir of a drawing is one of {', '.join(_RANKDIRS)}, not {rankdir!r}")
    drawing = _Drawing({**_GRAPH, "rankdir": _RANKDIRS[rankdir], "tooltip": graph.name or " "}, {}, [])
    places: dict[str, str] = {}
    for index, node in enumerate(graph.nodes):
        places.setdefault(node.name, f"n{index}")
        kinds = [kind for kind, is_it in (("entry", node.name == graph.entry), ("fan-in", node.fan_in)) if is_it]
        drawing.nodes[f"n{index}"] = _node(f"node-{index}", node.name, ["task", *kinds])
    if graph.entry in places and graph.entry != END:
        drawing.nodes["start"] = {**_START, "tooltip": "start", "id": "start", "class": "start"}
        drawing.edges.append(("start", places[graph.entry], {"tooltip": "start", "id": "edge-start", "class": "start"}))
    if any(END in (edge.source, edge.target) for edge in graph.transitions):
        places[END] = "end"
        drawing.nodes["end"] = {**_END, "tooltip": END, "id": "end", "class": "end"}
    for name in _strangers(graph, places):
        places[name] = f"x{len(places)}"
        drawing.nodes[places[name]] = _node(f"node-{places[name]}", name, ["unknown"])
    for index, edge in enumerate(graph.transitions):
        kind, label = _kind(edge), _label(edge)
        title = f"{shown(edge.source)} \N{RIGHTWARDS ARROW} {shown(edge.target)}" + (f": {label}" if label else "")
        marks = {"label": _wrapped(label)} if label else {}
        tips = {"tooltip": title, "labeltooltip": title, "id": f"edge-{index}", "class": kind}
        drawing.edges.append((places[edge.source], places[edge.target], {**marks, **_LOOKS[kind], **tips}))
    return drawing


def _node(identity: str, name: str, kinds: list[str]) -> Attributes:
    looks: Attributes = {}
    for kind in kinds:
        looks |= _LOOKS[kind]
    label = shown(name)
    return {"label": label, **looks, "tooltip": label or " ", "id": identity, "class": " ".join(kinds)}


def _strangers(graph: Graph, places: dict[str, str]) -> Iterator[str]:
    """Names that transitions use and nodes do not have. Only a graph that was read from JSON has them."""
    names = dict.fromkeys(name for edge in graph.transitions for name in (edge.source, edge.target))
    return (name for name in list(names) if name not in places)


def _kind(edge: Transition) -> str:
    kinds = (
        (edge.on_error, "on-error"),
        (edge.goto, "goto"),
        (edge.switch, "switch"),
        (edge.for_each, "for-each"),
        (edge.when, "when"),
    )
    return next((kind for mark, kind in kinds if mark), "always")


def _label(edge: Transition) -> str:
    parts = [label for mark, label in ((edge.on_error, "on error"), (edge.goto, "goto")) if mark]
    if edge.for_each:
        parts.append(f"each {edge.item or 'item'} of {edge.for_each}")
    if edge.when:
        parts.append("otherwise" if edge.switch and edge.when == "true" else edge.when)
    return ", ".join(parts)


def _wrapped(label: str) -> str:
    """A label in a few short lines, kept off the edge by spaces; the tooltip holds all of it."""
    lines = textwrap.wrap(label, _WIDTH, max_lines=_LINES, placeholder=" \N{HORIZONTAL ELLIPSIS}")
    return "\n".join(f" {line} " for line in lines)


def _list(attributes: Attributes) -> str:
    return "[" + ", ".join(f"{key}={_quoted(value)}" for key, value in attributes.items()) + "]"


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """The inside of a quoted string: no escape sequence, entity or control character of the text's own is left."""
    text = _ENTITY.sub("&amp;", _CONTROL.sub(" ", text))
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
