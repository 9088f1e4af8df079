"""How are the edges of a graph drawn? One stroke for each kind, told apart by form and label as well as by colour."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from dwarf.notebook.pictures.geometry import ArrowPath, Point
from dwarf.notebook.pictures.layout_plan import Arrow, LayoutPlan
from dwarf.notebook.pictures.palette import CARD, EDGES, MUTED, ON_ERROR, ON_ERROR_EDGE
from dwarf.notebook.pictures.svg import MONO, element, escape, number, text_width

__all__ = ["draw_arrows", "taken_arrows"]


def taken_arrows(
    plan: LayoutPlan, taken: Collection[tuple[str, str]] | None, *, done: bool, begun: bool = False
) -> list[bool]:
    """Whether the flow has gone each way; in a definition (``taken`` None) every way counts as open."""
    sources = {source for source, _ in taken or ()}
    ways = []
    for arrow in plan.arrows:
        pair = plan.pairs[arrow.key]
        if taken is None:
            ways.append(True)
        elif arrow.kind == "start":
            ways.append(begun or bool(taken) or done)
        elif arrow.target == "end":
            ways.append(done and pair[0] not in sources)
        else:
            ways.append(pair in taken)
    return ways


def draw_arrows(plan: LayoutPlan, ways: Sequence[bool], prefix: str = "") -> list[str]:
    """All arrows, then all labels, so that no stroke crosses a word. ``prefix`` begins their paths."""
    arrows, labels = [], []
    for index, (arrow, strong) in enumerate(zip(plan.arrows, ways, strict=True)):
        route = plan.layout.routes.get(arrow.key)
        if route is None:
            continue
        arrows.append(_arrow(arrow, f"{prefix}{index}", route, strong))
        if arrow.label and route.label:
            labels.append(_edge_label(arrow, route.label, strong))
    return arrows + labels


_DASHES = {"goto": "2 4", "on_error": "6 4"}


def _arrow(arrow: Arrow, index: str, route: ArrowPath, strong: bool) -> str:
    colour = (ON_ERROR_EDGE if arrow.kind == "on_error" else EDGES)[strong]
    path = _path(route)
    stroke = {"fill": "none", "stroke_linecap": "round"}
    if arrow.kind == "for_each":
        # a double line: many branches go this way
        strokes = element("path", d=path, stroke=colour, data_ink="stroke", stroke_width=4, **stroke)
        strokes += element("path", d=path, stroke=CARD, stroke_width=1.6, **stroke)
    else:
        dashes = _DASHES.get(arrow.kind)
        strokes = element(
            "path", d=path, stroke=colour, data_ink="stroke", stroke_width=1.4, stroke_dasharray=dashes, **stroke
        )
    head = element("polygon", points=_head(route), fill=colour, data_ink="fill")
    mark = _diamond(route.points[0], route.points[1], colour, filled=arrow.kind == "switch")
    tail = mark if arrow.kind in ("when", "switch") else ""
    tip = element("title", arrow.full or arrow.kind.replace("_", " "))
    return f'<g class="dwarf-edge" data-edge="{index}" data-kind="{arrow.kind}">{tip}{strokes}{head}{tail}</g>'


def _path(route: ArrowPath) -> str:
    first, *rest = route.points
    curve = f"M{number(first[0])} {number(first[1])}"
    for index in range(0, len(rest) - 2, 3):
        curve += "C" + " ".join(f"{number(x)} {number(y)}" for x, y in rest[index : index + 3])
    return curve


def _head(route: ArrowPath) -> str:
    """The arrow head: a slim triangle that ends at the tip."""
    tip = route.tip
    base = next((point for point in reversed(route.points) if math.dist(point, tip) > 0.5), (tip[0] - 1, tip[1]))
    angle = math.atan2(tip[1] - base[1], tip[0] - base[0])
    corners = [tip]
    for turn in (2.72, -2.72):
        corners.append((tip[0] + 9 * math.cos(angle + turn), tip[1] + 9 * math.sin(angle + turn)))
    return " ".join(f"{number(x)},{number(y)}" for x, y in corners)


def _diamond(at: Point, towards: Point, colour: str, *, filled: bool) -> str:
    """The mark of a condition where its edge leaves the node."""
    angle = math.degrees(math.atan2(towards[1] - at[1], towards[0] - at[0]))
    place = f"translate({number(at[0])} {number(at[1])}) rotate({number(angle)})"
    return element(
        "path",
        d="M0 0L5.5 -4L11 0L5.5 4Z",
        transform=place,
        fill=colour if filled else CARD,
        stroke=colour,
        stroke_width=1.2,
        data_ink="fill stroke" if filled else "stroke",
    )


def _edge_label(arrow: Arrow, at: Point, strong: bool) -> str:
    ink = ON_ERROR if arrow.kind == "on_error" else MUTED
    wide = text_width(arrow.label, 11, mono=arrow.mono)
    backing = element(
        "rect", x=at[0] - wide / 2 - 3, y=at[1] - 8, width=wide + 6, height=16, rx=4, fill=CARD, fill_opacity="0.88"
    )
    words = element(
        "text",
        arrow.label,
        x=at[0],
        y=at[1] + 3.8,
        text_anchor="middle",
        font_size=11,
        font_family=MONO if arrow.mono else None,
        fill=ink if strong else "#64748b",
    )
    return f"<g><title>{escape(arrow.full)}</title>{backing}{words}</g>"
