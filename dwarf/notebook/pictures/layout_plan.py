"""What has to be drawn of a graph, how big is it, and where does it stand? Everything but the strokes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dwarf.notebook.pictures.geometry import Box, Layout, Line
from dwarf.notebook.pictures.render import lay_out
from dwarf.notebook.pictures.svg import fit_middle, fit_text, text_width

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph, Transition

__all__ = ["DECK", "HEAD", "INNER_PAD", "Arrow", "NodeCard", "LayoutPlan", "layout_plan"]

END = "END"
HEAD = 46.0  # the height of a card that shows a state, and of the upper part of one with a picture inside
INNER_PAD = 20.0
DECK = 6.0  # how far the cards behind a for_each target stick out, in pixels
_NAME = 13.0
_TEXT_ROOM = 190.0
_STATUS_ROOM = 146.0
_LABEL = 11.0
_LABEL_ROOM = 210.0
_ICON = 26.0
_DOT = 16.0


@dataclass(frozen=True, slots=True)
class NodeCard:
    """A node to draw. ``key`` is its place in the layout; ``width`` and ``height`` are those of the card itself."""

    key: str
    name: str
    url: str
    width: float
    height: float
    entry: bool = False
    fan_in: bool = False
    many: bool = False
    inner: LayoutPlan | None = None  # the subgraph that stands open inside

    @property
    def outer(self) -> tuple[float, float]:
        """Width and height with the cards behind it."""
        more = DECK if self.many else 0.0
        return self.width + more, self.height + more


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge to draw. ``kind`` is plain, when, switch, for_each, goto, on_error, start or implied (of a last node)."""

    key: str
    source: str
    target: str
    kind: str
    label: str = ""
    full: str = ""
    mono: bool = False


@dataclass(frozen=True, slots=True)
class LayoutPlan:
    """Cards and arrows with their places. ``pair`` gives an arrow's (source, target) node names by its key."""

    name: str
    cards: tuple[NodeCard, ...]
    arrows: tuple[Arrow, ...]
    layout: Layout
    across: bool
    pairs: Mapping[str, tuple[str, str]]
    has_start: bool
    has_end: bool


def layout_plan(
    graph: Graph, *, with_status: bool, max_width: float, insides: Mapping[str, LayoutPlan] | None = None
) -> LayoutPlan:
    """Lay the graph out from left to right where its run would fit ``max_width``, else from top to bottom.

    A definition takes the direction of its run, so that the two are recognised as the same. ``insides``: subgraphs that
    stand open in nodes, by the names of these.
    """
    full = _measure(graph, with_status=True, insides=insides)
    layout = lay_out(full.boxes, full.lines, across=True) if _may_go_across(graph, max_width) else None
    across = layout is not None and layout.width <= max_width
    parts = full if with_status else _measure(graph, with_status=False)
    if layout is None or not across or not with_status:
        layout = lay_out(parts.boxes, parts.lines, across=across)
    places = {box.key for box in parts.boxes}
    return LayoutPlan(
        name=graph.name,
        cards=parts.cards,
        arrows=parts.arrows,
        layout=layout,
        across=across,
        pairs=parts.pairs,
        has_start="start" in places,
        has_end="end" in places,
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """A graph's pieces with their sizes, before they have places."""

    cards: tuple[NodeCard, ...]
    arrows: tuple[Arrow, ...]
    pairs: Mapping[str, tuple[str, str]]
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def _measure(graph: Graph, *, with_status: bool, insides: Mapping[str, LayoutPlan] | None = None) -> _Parts:
    cards = _cards(graph, with_status, insides or {})
    arrows, pairs = _arrows(graph, {card.name: card.key for card in reversed(cards)})
    boxes = [Box(card.key, *card.outer) for card in cards]
    entry = next((card for card in cards if card.entry), None)
    if entry is not None:
        arrows = (Arrow("s0", "start", entry.key, "start"), *arrows)
        pairs["s0"] = ("", entry.name)
        boxes.append(Box("start", _DOT, _DOT))
    if any(arrow.target == "end" for arrow in arrows):
        boxes.append(Box("end", _DOT, _DOT))
    order = {box.key: index for index, box in enumerate(boxes)}
    return _Parts(cards, arrows, pairs, tuple(boxes), tuple(_line(arrow, order) for arrow in arrows))


def _may_go_across(graph: Graph, max_width: float) -> bool:
    """Whether the graph is shallow enough, by the shortest ways through it, to be worth a try from left to right."""
    ahead: dict[str, list[str]] = {}
    for each in graph.transitions:
        ahead.setdefault(each.source, []).append(each.target)
    rows, seen, row = 0, {graph.entry}, [graph.entry]
    while row:
        rows += 1
        row = [target for name in row for target in ahead.get(name, ()) if target not in seen]
        seen.update(row)
        row = list(dict.fromkeys(row))
    return rows * (_STATUS_ROOM + _ICON + 50) <= max_width + _STATUS_ROOM + _ICON


def _line(arrow: Arrow, order: Mapping[str, int]) -> Line:
    width = text_width(arrow.label, _LABEL, mono=arrow.mono) + 12 if arrow.label else 0.0
    back = arrow.kind == "goto" and order[arrow.target] <= order[arrow.source]
    return Line(arrow.key, arrow.source, arrow.target, width, 17.0 if arrow.label else 0.0, back)


def _cards(graph: Graph, with_status: bool, insides: Mapping[str, LayoutPlan]) -> tuple[NodeCard, ...]:
    many = {each.target for each in graph.transitions if each.for_each}
    made = []
    for index, node in enumerate(graph.nodes):
        room = text_width(fit_middle(node.name, _TEXT_ROOM, _NAME, bold=True), _NAME, bold=True)
        width = max(room, _STATUS_ROOM) + _ICON + 24 if with_status else max(room, 40) + 28
        if node.fan_in:
            width += 8
        height = HEAD if with_status else 34.0
        inner = insides.get(node.name)
        if inner is not None:
            width = max(width, inner.layout.width + 2 * INNER_PAD)
            height += inner.layout.height + INNER_PAD
        made.append(
            NodeCard(
                key=f"n{index}",
                name=node.name,
                url=node.url,
                width=round(width),
                height=round(height),
                entry=node.name == graph.entry,
                fan_in=node.fan_in,
                many=node.name in many,
                inner=inner,
            )
        )
    return tuple(made)


def _arrows(graph: Graph, keys: Mapping[str, str]) -> tuple[tuple[Arrow, ...], dict[str, tuple[str, str]]]:
    places = {**keys, END: "end"}
    arrows: list[Arrow] = []
    pairs: dict[str, tuple[str, str]] = {}
    arms: dict[str, int] = {}
    for index, each in enumerate(graph.transitions):
        if each.source not in keys or each.target not in places:
            continue
        if each.switch:
            arms[each.source] = arms.get(each.source, 0) + 1
        kind, label, mono = _label(each, arms.get(each.source, 0))
        shown = fit_text(label, _LABEL_ROOM, _LABEL, mono=mono)
        arrows.append(Arrow(f"e{index}", keys[each.source], places[each.target], kind, shown, label, mono))
        pairs[f"e{index}"] = (each.source, each.target)
    leaving = {each.source for each in graph.transitions if not each.on_error}
    for name, key in keys.items():
        if name not in leaving:
            arrows.append(Arrow(f"i{key}", key, "end", "implied"))
            pairs[f"i{key}"] = (name, END)
    return tuple(arrows), pairs


def _label(each: Transition, arm: int) -> tuple[str, str, bool]:
    """Kind, label and whether the label is code."""
    if each.on_error:
        return "on_error", "on error", False
    if each.goto:
        return "goto", "goto", False
    if each.for_each:
        gate = f", when {each.when}" if each.when else ""
        return "for_each", f"each {each.item or 'item'} in {each.for_each}{gate}", False
    if each.switch:
        return (
            ("switch", "otherwise", False) if each.when.strip() == "true" else ("switch", f"{arm}: {each.when}", True)
        )
    return ("when", each.when, True) if each.when else ("plain", "", False)
