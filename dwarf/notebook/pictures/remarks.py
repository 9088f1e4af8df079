"""What a graph's picture tells beyond its shape: what will probably go wrong, and which fields go along an edge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from dwarf.notebook.pictures.layout_plan import Arrow, LayoutPlan
from dwarf.notebook.pictures.svg import element, escape, number
from dwarf.workflow.checking import Finding, flowing
from dwarf.workflow.graph import Graph

__all__ = ["carrying", "draw_marks", "findings_of", "tell"]

_MOST_TOLD = 6  # findings under a picture
_MOST_CHECKED = 500  # nodes: beyond, a picture is not to wait for the check
_MOST_FIELDS = 12  # of an edge


def findings_of(graph: Graph) -> tuple[Finding, ...]:
    """What will probably go wrong with a graph, where it is small enough to be asked in passing."""
    return tuple(graph.check()) if len(graph.nodes) <= _MOST_CHECKED else ()


def tell(findings: Sequence[Finding]) -> list[str]:
    """The findings as lines under a picture."""
    lines = [f"⚠ {finding}" for finding in findings[:_MOST_TOLD]]
    more = len(findings) - len(lines)
    return [*lines, f"and {more} more: see graph.check()"] if more > 0 else lines


def carrying(plan: LayoutPlan, graph: Graph) -> LayoutPlan:
    """The same picture, whose arrows tell on hover which fields go along them."""
    fields = flowing(graph) if len(graph.nodes) <= _MOST_CHECKED else []
    return replace(plan, arrows=tuple(_told(arrow, fields) for arrow in plan.arrows))


def _told(arrow: Arrow, fields: Sequence[Sequence[str]]) -> Arrow:
    place = arrow.key.removeprefix("e")
    names = fields[int(place)] if place.isdecimal() and int(place) < len(fields) else ()
    if not names:
        return arrow
    more = f" and {len(names) - _MOST_FIELDS} more" if len(names) > _MOST_FIELDS else ""
    words = f"carries {', '.join(names[:_MOST_FIELDS])}{more}"
    return replace(arrow, full=f"{arrow.full or arrow.kind.replace('_', ' ')}\n{words}")


def draw_marks(plan: LayoutPlan, findings: Sequence[Finding]) -> list[str]:
    """A mark on each node that something is said about; what it is, on hover."""
    told: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        told[finding.node].append(str(finding))
    pieces = []
    for card in plan.cards:
        if card.name not in told:
            continue
        x, y = plan.layout.centers[card.key]
        right, top = x + card.outer[0] / 2 - 12, y - card.outer[1] / 2
        lines = "\n".join(told[card.name])
        pieces.append(
            f'<g data-part="finding" transform="translate({number(right)} {number(top)})">'
            f"<title>{escape(lines)}</title>"
            + element("circle", r=8, fill="#b45309", stroke="#ffffff", stroke_width=1.4)
            + element("path", d="M0 -4V1M0 3.6V4", stroke="#ffffff", stroke_width=2, stroke_linecap="round")
            + "</g>"
        )
    return pieces
