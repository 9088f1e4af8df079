"""What does a graph or a run look like? One calm SVG: cards for nodes, and strokes that tell the kinds of edges apart.

Only attributes, no style sheet and no script, so that every front end that shows SVG shows the same. What a live view
changes is marked: ``data-node`` is the place of a node in the graph, ``data-part`` the piece of its card.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dwarf.notebook.palette import (
    CARD,
    EDGE,
    EDGE_TAKEN,
    HAIR,
    INK,
    LOOKS,
    MUTED,
    Look,
    look_of,
)
from dwarf.notebook.sketch import DECK, Card, Sketch, sketch
from dwarf.notebook.strokes import draw_arrows, taken_arrows
from dwarf.notebook.svg import Svg, attributes, element, escape, fit_text, number, open_svg, text_width
from dwarf.notebook.views import FlowView, NodeView, flow_view, handlers_of, node_views, taken_edges

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.results import Outcome, Step

__all__ = ["MAX_WIDTH", "draw_graph", "draw_run", "draw_views", "icon", "plain_text"]

MAX_WIDTH = 900.0
_PAD = 18.0
_HEAD = 34.0
_NOTE = 20.0


def draw_graph(graph: Graph, *, max_width: float = MAX_WIDTH) -> Svg:
    """The picture of a definition."""
    return _compose(graph, None, {}, frozenset(), (), max_width, 0.0)


def draw_run(
    graph: Graph,
    steps: Sequence[Step],
    outcome: Outcome | None,
    *,
    asked: Collection[str] = (),
    notes: Sequence[str] = (),
    max_width: float = MAX_WIDTH,
    now: datetime | None = None,
) -> Svg:
    """The picture of a run. ``asked``: nodes known to have put questions; ``notes``: lines to stand under the graph."""
    moment = now or datetime.now(UTC)
    views = node_views(steps, handlers=handlers_of(graph), asked=asked, now=moment)
    whole = flow_view(outcome, steps)
    return draw_views(graph, whole, views, taken_edges(steps), notes=notes, max_width=max_width, now=moment.timestamp())


def draw_views(
    graph: Graph,
    whole: FlowView,
    views: Mapping[str, NodeView],
    taken: Collection[tuple[str, str]],
    *,
    notes: Sequence[str] = (),
    max_width: float = MAX_WIDTH,
    now: float,
    live: bool = False,
) -> Svg:
    """The picture of what was seen of a run; ``now`` in epoch seconds. ``live``: with hidden marks for a live view."""
    return _compose(graph, whole, views, taken, notes, max_width, now, live)


def plain_text(graph: Graph, whole: FlowView | None, views: Mapping[str, NodeView], now: float) -> str:
    """The same for a reader without pictures."""
    if whole is None:
        return f"{graph.name}: " + ", ".join(node.name for node in graph.nodes)
    lines = [f"{graph.name}: {whole.text(now)}"]
    for node in graph.nodes:
        view = views.get(node.name, NodeView())
        look = look_of(view.state)
        lines.append(f"  {look.sign} {node.name}: {view.text(now) or look.word}")
    return "\n".join([*lines, whole.error] if whole.error else lines)


def _compose(
    graph: Graph,
    whole: FlowView | None,
    views: Mapping[str, NodeView],
    taken: Collection[tuple[str, str]],
    notes: Sequence[str],
    max_width: float,
    now: float,
    live: bool = False,
) -> Svg:
    plan = sketch(graph, with_status=whole is not None, max_width=max_width - 2 * _PAD)
    ways = taken_arrows(plan, taken if whole else None, done=whole is not None and whole.state == "completed")
    title = _header(graph.name, whole, now)
    is_told = whole is not None and whole.error and not live  # a live view tells it under the picture
    lines = [f"{look_of(whole.state).sign} {whole.error}"] if whole is not None and is_told else []
    inner = max(plan.layout.width, title[1], 220.0)
    width = inner + 2 * _PAD
    foot = _NOTE * (len(lines) + len(notes))
    height = _HEAD + plan.layout.height + 2 * _PAD + (foot + 6 if foot else 0)
    scale = min(1.0, max_width / width)
    left, top = _PAD + (inner - plan.layout.width) / 2, _HEAD + _PAD
    body = [
        open_svg(width, height, _label(graph, whole, now), scale),
        element("rect", x=0.5, y=0.5, width=width - 1, height=height - 1, rx=10, fill=CARD, stroke=HAIR),
        title[0],
        f'<g transform="translate({number(left)} {number(top)})">',
        *draw_arrows(plan, ways),
        *_ends(plan, whole),
        *(
            _card(plan, card, index, views.get(card.name), whole is not None, now, live)
            for index, card in enumerate(plan.cards)
        ),
        "</g>",
        *_footer(lines, notes, inner, top + plan.layout.height + _PAD),
        "</svg>",
    ]
    return Svg("".join(body), alt=plain_text(graph, whole, views, now))


def _label(graph: Graph, whole: FlowView | None, now: float) -> str:
    return f"Workflow {graph.name}" + (f", {whole.text(now)}" if whole is not None else "")


def _header(name: str, whole: FlowView | None, now: float) -> tuple[str, float]:
    """The title line and its width."""
    shown = fit_text(name or "workflow", 420, 14, bold=True)
    title = element("text", shown, x=_PAD, y=27, font_size=14, font_weight=600, fill=INK)
    end = _PAD + text_width(shown, 14, bold=True) + 14
    if whole is None:
        return title, end
    look = look_of(whole.state)
    words = whole.text(now)
    wide = text_width(words, 11.5) + 32
    pill = [
        f'<g data-part="flow" transform="translate({number(end)} 11)">',
        element("rect", data_part="card", width=wide, height=22, rx=11, fill=look.fill, stroke=look.line),
        icon(look, 12, 11, 0.72),
        element("text", words, data_part="line", x=23, y=15, font_size=11.5, fill=look.ink),
        "</g>",
    ]
    return title + "".join(pill), end + wide + 60


def icon(look: Look, x: float, y: float, scale: float = 1.0) -> str:
    """The round icon of a state; an idle one is an open ring."""
    idle = not look.glyph
    ring = element(
        "circle", r=8, fill="none" if idle else look.ink, stroke=look.line if idle else look.ink, stroke_width=1.4
    )
    play = look.key == "running"
    glyph = element(
        "path",
        d=look.glyph or "M0 0",
        fill="#ffffff" if play else "none",
        stroke="#ffffff",
        stroke_width=1 if play else 1.9,
        stroke_linecap="round",
        stroke_linejoin="round",
    )
    place = f"translate({number(x)} {number(y)})" + (f" scale({scale:g})" if scale != 1 else "")
    return f'<g data-part="icon" transform="{place}">{ring}{glyph}</g>'


def _card(
    plan: Sketch, card: Card, index: int, view: NodeView | None, with_status: bool, now: float, live: bool
) -> str:
    x, y = plan.layout.centers[card.key]
    x, y = x - card.outer[0] / 2, y - card.outer[1] / 2
    view = view or NodeView()
    look = look_of(view.state) if with_status else Look("", "", "", "#f8fafc", "#94a3b8", INK, "")
    line = view.text(now) or look.word
    tip = view.detail or (f"{card.name} ({look.word})" if with_status else card.name)
    if card.url != card.name:
        tip += f"\ntask {card.url}"
    marks = attributes(data_node=index, data_state=look.key or None, data_name=card.name if live else None)
    pieces = [
        f'<g class="dwarf-node"{marks} transform="translate({number(x)} {number(y)})">',
        element("title", tip),
        *(_behind(card, look, step) for step in ((2, 1) if card.many else ())),
        element(
            "rect",
            data_part="card",
            width=card.width,
            height=card.height,
            rx=8,
            fill=look.fill,
            stroke=look.line,
            stroke_width=1.3,
            stroke_dasharray="4 3" if with_status and look.key == "idle" else None,
        ),
        _join_bar(card, plan.across) if card.fan_in else "",
        *_words(card, look, line, with_status, plan.across),
        _badges(card, view, live),
        _bar(card, view),
        "</g>",
    ]
    return "".join(pieces)


def _behind(card: Card, look: Look, step: int) -> str:
    shift = DECK / 2 * step
    return element(
        "rect",
        data_part="behind",
        x=shift,
        y=shift,
        width=card.width,
        height=card.height,
        rx=8,
        fill=look.fill,
        stroke=look.line,
    )


def _join_bar(card: Card, across: bool) -> str:
    """The bar of a fan-in on the side where its branches arrive."""
    if across:
        return element("rect", x=-1.5, y=-3, width=6, height=card.height + 6, rx=3, fill=EDGE_TAKEN)
    return element("rect", x=-3, y=-1.5, width=card.width + 6, height=6, rx=3, fill=EDGE_TAKEN)


def _words(card: Card, look: Look, line: str, with_status: bool, across: bool) -> list[str]:
    inset = 8.0 if card.fan_in and across else 0.0
    if not with_status:
        name = fit_text(card.name, card.width - 24 - inset, 13, bold=True)
        middle = (card.width + inset) / 2
        return [
            element(
                "text",
                name,
                x=middle,
                y=card.height / 2 + 4.6,
                font_size=13,
                font_weight=600,
                fill=INK,
                text_anchor="middle",
            )
        ]
    left = 38 + inset
    room = card.width - left - 8
    return [
        icon(look, 20 + inset, card.height / 2),
        element(
            "text", fit_text(card.name, room, 13, bold=True), x=left, y=20, font_size=13, font_weight=600, fill=INK
        ),
        element(
            "text",
            fit_text(line, room, 11),
            data_part="line",
            data_room=room,
            x=left,
            y=35,
            font_size=11,
            fill=look.ink,
        ),
    ]


def _badges(card: Card, view: NodeView, live: bool) -> str:
    """Small marks on the upper edge: a question was put here; a subgraph runs here."""
    marks = []
    place = f'transform="translate({number(card.width - 16)} 0) scale(0.8)"'
    if view.asked or live:
        bubble = "M-7 -6H7A2 2 0 0 1 9 -4V3A2 2 0 0 1 7 5H1L-3 9V5H-7A2 2 0 0 1 -9 3V-4A2 2 0 0 1 -7 -6Z"
        marks.append(
            f'<g data-part="asked"{_hidden(view.asked)} {place}><title>puts a question</title>'
            + element("path", d=bubble, fill="#d97706", stroke="#ffffff", stroke_width=1.4)
            + element(
                "path",
                d="M-4 -0.5H-3.8M0 -0.5H0.2M4 -0.5H4.2",
                stroke="#ffffff",
                stroke_width=2,
                stroke_linecap="round",
            )
            + "</g>"
        )
    if view.nested or live:
        place = f'transform="translate({number(card.width - 38)} 0)"'
        marks.append(
            f'<g data-part="nested"{_hidden(view.nested)} {place}><title>runs a subgraph</title>'
            + element("rect", x=-8, y=-7, width=16, height=13, rx=3, fill="#2563eb", stroke="#ffffff", stroke_width=1.4)
            + element(
                "path", d="M-4.5 -0.5H-1M1 -3H4.5V2H1ZM-1 -0.5H1", fill="none", stroke="#ffffff", stroke_width=1.3
            )
            + "</g>"
        )
    return "".join(marks)


def _hidden(shown: bool) -> str:
    return "" if shown else ' display="none"'


def _bar(card: Card, view: NodeView) -> str:
    """The shares of a group of branches by state, as one thin bar along the lower edge."""
    whole = sum(count for _, count in view.parts)
    if not whole:
        return '<g data-part="bar"></g>'
    left, room = 10.0, card.width - 20
    pieces = [element("rect", x=left, y=card.height - 6, width=room, height=3, rx=1.5, fill=HAIR)]
    for state, count in view.parts:
        wide = room * count / whole
        if state not in ("pending", "delayed"):
            pieces.append(
                element("rect", x=left, y=card.height - 6, width=max(wide, 1.5), height=3, fill=look_of(state).line)
            )
        left += wide
    return f'<g data-part="bar">{"".join(pieces)}</g>'


def _ends(plan: Sketch, whole: FlowView | None) -> list[str]:
    """The start dot and the end ring."""
    pieces = []
    if plan.has_start:
        x, y = plan.layout.centers["start"]
        pieces.append(f"<g><title>start</title>{element('circle', cx=x, cy=y, r=6, fill=EDGE_TAKEN)}</g>")
    if plan.has_end:
        x, y = plan.layout.centers["end"]
        reached = whole is None or whole.state == "completed"
        colour = EDGE_TAKEN if reached else EDGE
        ring = element("circle", cx=x, cy=y, r=7, fill=CARD, stroke=colour, stroke_width=1.5)
        pieces.append(f"<g><title>end</title>{ring}{element('circle', cx=x, cy=y, r=3.6, fill=colour)}</g>")
    return pieces


def _footer(errors: Sequence[str], notes: Sequence[str], room: float, top: float) -> list[str]:
    lines = [(text, LOOKS["failed"].ink) for text in errors] + [(text, MUTED) for text in notes]
    pieces = []
    for index, (text, ink) in enumerate(lines):
        y = top + 12 + index * _NOTE
        shown = element("text", fit_text(text, room, 12), x=_PAD, y=y, font_size=12, fill=ink)
        pieces.append(f"<g><title>{escape(text)}</title>{shown}</g>")
    return pieces
