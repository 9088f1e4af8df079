"""A graph as the text of a Mermaid diagram."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote, quote_plus

from dwarf.errors import InvalidRequest
from dwarf.workflow.parts import END

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.parts import Transition

__all__ = ["PRIMARY", "SECONDARY", "Colors", "GraphRenderer", "checked_direction", "escape", "style"]

Colors: TypeAlias = tuple[str, str]
"""The colour of a shape and that of the text on it."""

PRIMARY: Final = ("#32a7c1", "#f4f2ef")
SECONDARY: Final = ("#e5f4f3", "#434343")

_ENTITIES: Final = str.maketrans(
    {
        "#": "#35;",
        '"': "#quot;",
        "'": "#39;",
        "<": "#lt;",
        ">": "#gt;",
        "`": "#96;",
        "[": "#91;",
        "]": "#93;",
        "{": "#123;",
        "}": "#125;",
        "(": "#40;",
        ")": "#41;",
        "|": "#124;",
    }
)
_DIRECTIONS: Final = ("TD", "TB", "BT", "LR", "RL")
_END: Final = "_end(( )):::term"
_SCRIPT: Final = re.compile(r"[\x00-\x20]*(javascript|data|vbscript)[\x00-\x20]*:", re.IGNORECASE)


def escape(text: str) -> str:
    """Text that an author chose, so that Mermaid takes none of it for syntax."""
    return text.translate(_ENTITIES)


def style(fill: str, color: str, stroke: str) -> str:
    """The styles of a class; what is empty is left out."""
    return ",".join(f"{key}:{value}" for key, value in (("fill", fill), ("color", color), ("stroke", stroke)) if value)


def checked_direction(direction: str) -> str:
    """The direction, if Mermaid knows it. InvalidRequest otherwise."""
    if direction not in _DIRECTIONS:
        raise InvalidRequest(f"the direction of a diagram is one of {', '.join(_DIRECTIONS)}, not {direction!r}")
    return direction


class GraphRenderer:
    """Renders a graph, valid or not.

    ``title`` defaults to the graph's name; None leaves the title out. ``links`` maps node names to addresses;
    ``link_parameter`` instead links every node to ``?<parameter>=<node name>`` of the page it is shown on.
    InvalidRequest for an unknown direction; nothing else raises.
    """

    def __init__(
        self,
        graph: Graph | None,
        *,
        direction: str = "LR",
        primary: Colors = PRIMARY,
        secondary: Colors = SECONDARY,
        title: str | None = "",
        links: Mapping[str, str] | None = None,
        link_parameter: str = "",
    ) -> None:
        self.graph = graph
        self.direction = checked_direction(direction)
        self.primary = primary
        self.secondary = secondary
        self.title = title
        self.links = links or {}
        self.link_parameter = link_parameter

    def render(self) -> str:
        """The text of the diagram; "" without a graph."""
        if self.graph is None:
            return ""
        body = _DiagramBody(self.graph)
        lines = [*self._frontmatter(self.graph), f"graph {self.direction}", *_indent(self._classes()), ""]
        lines += _indent(self._nodes(self.graph, body))
        lines += _indent([*body.direct_edges(), *body.diamonds(), body.start(), *body.ends()])
        return "\n".join(lines) + "\n"

    def _frontmatter(self, graph: Graph) -> Iterator[str]:
        if self.title is None:
            return
        # Inside a quoted YAML string: one line, no control characters, no backslashes.
        title = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", self.title or graph.name)
        yield from ("---", f'title: "{escape(title).replace(chr(92), "#92;")}"', "config:")
        yield from (f'  themeCSS: ".flowchartTitleText {{ fill: {self.primary[0]}; }}"', "---")

    def _classes(self) -> Iterator[str]:
        stroke = self.primary[0]
        yield f"classDef task {style(*self.primary, stroke)}"
        yield f"classDef term {style(*self.secondary, stroke)}"
        yield f"linkStyle default stroke:{stroke}"

    def _nodes(self, graph: Graph, body: _DiagramBody) -> Iterator[str]:
        for index, node in enumerate(graph.nodes):
            label = escape(_label(node.name, graph.url_of(graph.entry))) or " "  # Mermaid refuses an empty label
            yield f't{index}["{label}"]:::task'
            address = self._address(node.name)
            if address:
                yield f'click t{index} "{address}"'
            yield from body.shapes(index, node.name)

    def _address(self, name: str) -> str:
        if self.link_parameter:
            return f"?{quote_plus(self.link_parameter)}={quote_plus(name)}"
        address = self.links.get(name, "")
        return "" if _SCRIPT.match(address) else quote(address, safe="%/:?#[]@!$&()*+,=~", errors="replace")


class _DiagramBody:
    """The nodes' identifiers and the edges between them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.number: dict[str, int] = {}
        for index, node in enumerate(graph.nodes):
            self.number.setdefault(node.name, index)

    def head(self, name: str) -> str:
        """Where the edges into a node end."""
        number = self.number[name]
        return f"t{number}_reduce" if self.graph.is_fan_in(name) else f"t{number}"

    def shapes(self, index: int, name: str) -> Iterator[str]:
        """The circle and the diamonds that belong to a node."""
        if self.graph.is_fan_in(name):
            yield f't{index}_reduce(("reduce")):::term'
            yield f"t{index}_reduce --> t{index}"
        edges = self.graph.transitions_from(name)
        for kind in ("switch", "when"):
            if any(_diamond(edge) == kind for edge in edges):
                yield f't{index}_{kind}{{"{kind}"}}:::term'

    def direct_edges(self) -> Iterator[str]:
        merged: dict[tuple[str, str], list[str]] = {}
        for edge in self.graph.transitions:
            if not _diamond(edge) and edge.target != END and {edge.source, edge.target} <= self.number.keys():
                ends = (f"t{self.number[edge.source]}", self.head(edge.target))
                merged.setdefault(ends, []).append(_edge_label(edge))
        for (source, target), labels in merged.items():
            yield _line(source, " | ".join(filter(None, labels)), target)

    def diamonds(self) -> Iterator[str]:
        for name, number in self.number.items():
            for kind in ("switch", "when"):
                arms = [edge for edge in self.graph.transitions_from(name) if _diamond(edge) == kind]
                if arms:
                    yield f"t{number} --> t{number}_{kind}"
                for edge in arms:
                    if edge.target != END and edge.target in self.number:
                        yield _line(f"t{number}_{kind}", _arm_label(edge), self.head(edge.target))

    def start(self) -> str:
        entry = self.graph.entry
        return "_start(( )):::term" + (f" --> {self.head(entry)}" if entry in self.number else "")

    def ends(self) -> Iterator[str]:
        merged: dict[str, list[str]] = {}
        for edge in self.graph.transitions:
            if edge.target != END or edge.source not in self.number:
                continue
            source, kind = f"t{self.number[edge.source]}", _diamond(edge)
            if kind:
                yield _line(f"{source}_{kind}", _arm_label(edge), _END)
            else:
                merged.setdefault(source, []).append(_edge_label(edge))
        for source, labels in merged.items():
            yield _line(source, " | ".join(filter(None, labels)), _END)


def _label(name: str, entry_url: str) -> str:
    """A node's name as shown: of a URL the path, led by the host where that is not the entry's."""
    _, scheme, rest = name.partition("://")
    if not scheme or not rest:
        return name
    host, _, path = rest.partition("/")
    _, entry_scheme, entry_rest = entry_url.partition("://")
    at_home = not entry_scheme or host == entry_rest.partition("/")[0]
    return path if at_home and path else rest


def _diamond(edge: Transition) -> str:
    """The kind of diamond an edge starts from, or "" for one that starts from the node itself."""
    if edge.switch:
        return "switch"
    return "when" if edge.when and not (edge.for_each or edge.goto or edge.on_error) else ""


def _arm_label(edge: Transition) -> str:
    return "default" if edge.switch and edge.when == "true" else escape(edge.when)


def _edge_label(edge: Transition) -> str:
    kinds = ((edge.goto, "goto"), (edge.on_error, "onError"), (edge.for_each, "for each"))
    labels = [label for mark, label in kinds if mark]
    if edge.when:
        labels.append(f"when {escape(edge.when)}")
    return "; ".join(labels)


def _line(source: str, label: str, target: str) -> str:
    return f'{source} -->|"{label}"| {target}' if label else f"{source} --> {target}"


def _indent(lines: Iterator[str] | list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
