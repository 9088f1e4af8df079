"""How is a node drawn? A card with its name, its state told by icon, word and colour, and small marks."""

from __future__ import annotations

from dwarf.notebook.pictures.layout_plan import DECK, HEAD, LayoutPlan, NodeCard
from dwarf.notebook.pictures.palette import EDGE_TAKEN, HAIR, INK, Look, look_of
from dwarf.notebook.pictures.svg import attributes, element, fit_middle, fit_text, number, text_width
from dwarf.notebook.pictures.views import NodeView

__all__ = ["draw_card", "icon"]

STOP = "#b91c1c"
_OCTAGON = "M-3.3 -8H3.3L8 -3.3V3.3L3.3 8H-3.3L-8 3.3V-3.3Z"


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


def draw_card(
    plan: LayoutPlan, card: NodeCard, path: str, view: NodeView | None, with_status: bool, now: float, live: bool
) -> str:
    """A node. ``path`` is its place in the picture; ``live``: with hidden marks, which a live view may show."""
    x, y = plan.layout.centers[card.key]
    x, y = x - card.outer[0] / 2, y - card.outer[1] / 2
    view = view or NodeView()
    look = look_of(view.state) if with_status else Look("", "", "", "#f8fafc", "#94a3b8", INK, "")
    line = view.text(now) or look.word
    tip = view.detail or (f"{card.name} ({look.word})" if with_status else card.name)
    if card.url != card.name:
        tip += f"\ntask {card.url}"
    marks = attributes(data_node=path, data_state=look.key or None, data_name=card.name if live else None)
    pieces = [
        f'<g class="dwarf-node"{marks} transform="translate({number(x)} {number(y)})">',
        element("title", tip),
        *(_behind(card, look, step) for step in ((2, 1) if card.many else ())),
        element(
            "rect",
            data_part="card",
            data_head=HEAD if card.inner is not None else None,
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
        *_stops(card, view, live),
        _bar(card, view),
        "</g>",
    ]
    return "".join(pieces)


def _behind(card: NodeCard, look: Look, step: int) -> str:
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


def _join_bar(card: NodeCard, across: bool) -> str:
    """The bar of a fan-in on the side where its branches arrive."""
    if across:
        return element("rect", x=-1.5, y=-3, width=6, height=card.height + 6, rx=3, fill=EDGE_TAKEN)
    return element("rect", x=-3, y=-1.5, width=card.width + 6, height=6, rx=3, fill=EDGE_TAKEN)


def _words(card: NodeCard, look: Look, line: str, with_status: bool, across: bool) -> list[str]:
    inset = 8.0 if card.fan_in and across else 0.0
    if not with_status:
        name = fit_middle(card.name, card.width - 24 - inset, 13, bold=True)
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
    name = fit_middle(card.name, room, 13, bold=True)
    return [
        icon(look, 20 + inset, _head(card) / 2),
        element("text", name, x=left, y=20, font_size=13, font_weight=600, fill=INK, textLength=_held(name, room)),
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


def _held(name: str, room: float) -> float | None:
    """The length that a name is held to, where another font than Helvetica could make it stick out of its card."""
    wide = text_width(name, 13, bold=True)
    return min(wide, room) if wide > 0.8 * room else None


def _badges(card: NodeCard, view: NodeView, live: bool) -> str:
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
    if live:
        place = f'transform="translate({number(card.width - 60)} 0)"'
        marks.append(
            f'<g data-part="redefined" display="none" {place}><title>redefined since this flow began</title>'
            + element("circle", r=8, fill="#b45309", stroke="#ffffff", stroke_width=1.4)
            + element(
                "path",
                d="M-3.2 3.2L-2.6 0.8L1.6 -3.4L3.4 -1.6L-0.8 2.6Z",
                fill="none",
                stroke="#ffffff",
                stroke_width=1.2,
                stroke_linejoin="round",
            )
            + "</g>"
        )
    return "".join(marks)


def _stops(card: NodeCard, view: NodeView, live: bool) -> list[str]:
    """A stop sign at the corner where the flow comes in, and one where it goes out."""
    width, height = card.width, card.height if card.inner is None else HEAD
    places = (("before", view.stops_before, 0.0, 0.0), ("after", view.stops_after, width, height))
    return [
        f'<g data-part="stop-{at}"{_hidden(shown)} transform="translate({number(x)} {number(y)})">'
        f"<title>the flow stops {at} it</title>"
        + element("path", d=_OCTAGON, fill=STOP, stroke="#ffffff", stroke_width=1.4)
        + element("path", d="M-1.9 -2.8V2.8M1.9 -2.8V2.8", stroke="#ffffff", stroke_width=1.8)
        + "</g>"
        for at, shown, x, y in places
        if shown or live
    ]


def _hidden(shown: bool) -> str:
    return "" if shown else ' display="none"'


def _bar(card: NodeCard, view: NodeView) -> str:
    """The shares of a group of branches by state, as one thin bar along the lower edge."""
    whole = sum(count for _, count in view.parts)
    if not whole:
        return '<g data-part="bar"></g>'
    left, room = 10.0, card.width - 20
    pieces = [element("rect", x=left, y=_head(card) - 6, width=room, height=3, rx=1.5, fill=HAIR)]
    for state, count in view.parts:
        wide = room * count / whole
        if state not in ("pending", "delayed"):
            pieces.append(
                element("rect", x=left, y=_head(card) - 6, width=max(wide, 1.5), height=3, fill=look_of(state).line)
            )
        left += wide
    return f'<g data-part="bar">{"".join(pieces)}</g>'


def _head(card: NodeCard) -> float:
    """The height of the part that tells the state."""
    return card.height if card.inner is None else HEAD
