"""How is a picture that is too high to be read made less high? Chains of completed nodes leave only their ends.

As ``static/fold.js`` does in a live view, where the reader can unfold them again: nodes one above the other with
nothing beside them, by which no edge passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dwarf.notebook.pictures.geometry import ArrowPath, Point
from dwarf.notebook.pictures.layout_plan import Arrow, LayoutPlan, NodeCard
from dwarf.notebook.pictures.palette import EDGE, MUTED
from dwarf.notebook.pictures.svg import element, escape, number

__all__ = ["HIGH", "Fold", "draw_folds", "fold_chains"]

HIGH = 1050.0  # pixels from which on a picture is folded
_LEAST_FOLDED = 4  # nodes
_MARK = 46.0  # pixels between the two that stay
_NEAR = 2.0  # pixels within which two edges meet


@dataclass(frozen=True, slots=True)
class Fold:
    """Nodes that are left out, by their names, and the place of the mark that stands for them: its upper end."""

    names: Sequence[str]
    at: Point


@dataclass(frozen=True, slots=True)
class _Cut:
    """A part of the height that is left out, and the nodes in it."""

    hidden: Sequence[NodeCard]
    middle: float
    start: float
    end: float


def fold_chains(plan: LayoutPlan, is_done: Callable[[str], bool]) -> tuple[LayoutPlan, Sequence[Fold]]:
    """The plan without the middle of its chains of nodes that are done, where it is too high, and what was left out."""
    if plan.layout.height < HIGH:
        return plan, ()
    cuts = [_cut(plan, row) for chain in _chains(plan) for row in _runs(chain, is_done)]
    if not cuts:
        return plan, ()

    def up(y: float) -> float:
        return sum(cut.end - cut.start - _MARK for cut in cuts if cut.end <= y + _NEAR)

    gone = {card.key for cut in cuts for card in cut.hidden}
    arrows = tuple(arrow for arrow in plan.arrows if not _is_cut(plan, arrow, gone, cuts))
    layout = replace(
        plan.layout,
        height=plan.layout.height - up(plan.layout.height),
        centers={key: (x, y - up(y)) for key, (x, y) in plan.layout.centers.items() if key not in gone},
        routes={
            arrow.key: _moved(plan.layout.routes[arrow.key], up(_extent(plan, arrow)[0]))
            for arrow in arrows
            if arrow.key in plan.layout.routes
        },
    )
    cards = tuple(card for card in plan.cards if card.key not in gone)
    folds = [Fold([card.name for card in cut.hidden], (cut.middle, cut.start - up(cut.start))) for cut in cuts]
    return replace(plan, cards=cards, arrows=arrows, layout=layout), folds


def draw_folds(folds: Sequence[Fold]) -> list[str]:
    """A broken line for each, with how many nodes it stands for; which ones, on hover."""
    drawn = []
    for fold in folds:
        x, y = fold.at
        line = element("path", d=f"M0 2V{number(_MARK - 2)}", stroke=EDGE, stroke_width=1.4, stroke_dasharray="2 4")
        words = element("text", f"⋯ {len(fold.names):,} completed", x=10, y=_MARK / 2 + 4, font_size=11, fill=MUTED)
        told = escape("\n".join(fold.names))
        place = f'data-part="fold" transform="translate({number(x)} {number(y)})"'
        drawn.append(f"<g {place}><title>{told}</title>{line}{words}</g>")
    return drawn


def _span(plan: LayoutPlan, card: NodeCard) -> tuple[float, float]:
    """Where a card begins and ends, from top to bottom."""
    top = plan.layout.centers[card.key][1] - card.outer[1] / 2
    return top, top + card.height


def _extent(plan: LayoutPlan, arrow: Arrow) -> tuple[float, float]:
    """The same of an arrow."""
    route = plan.layout.routes.get(arrow.key)
    heights = [y for _, y in (*route.points, route.tip)] if route is not None else [0.0]
    return min(heights), max(heights)


def _chains(plan: LayoutPlan) -> list[list[NodeCard]]:
    """Nodes one above the other with nothing beside them, by which no edge passes."""
    cards = sorted(plan.cards, key=lambda card: _span(plan, card)[0])
    spans = [_span(plan, card) for card in cards]
    passing = [_extent(plan, arrow) for arrow in plan.arrows]
    chains: list[list[NodeCard]] = [[]]
    for place, (card, (top, bottom)) in enumerate(zip(cards, spans, strict=True)):
        above = spans[place - 1][1] <= top if place else True
        below = spans[place + 1][0] >= bottom if place + 1 < len(spans) else True
        if above and below and not any(start < top - _NEAR and end > bottom + _NEAR for start, end in passing):
            chains[-1].append(card)
        else:
            chains.append([])
    return chains


def _runs(chain: Sequence[NodeCard], is_done: Callable[[str], bool]) -> list[list[NodeCard]]:
    """The parts of a chain that are done, those that are worth it."""
    runs: list[list[NodeCard]] = [[]]
    for card in chain:
        if is_done(card.name) and card.inner is None:
            runs[-1].append(card)
        else:
            runs.append([])
    return [run for run in runs if len(run) > _LEAST_FOLDED + 1]


def _cut(plan: LayoutPlan, row: Sequence[NodeCard]) -> _Cut:
    first, last = row[0], row[-1]
    middle = plan.layout.centers[first.key][0] - (first.outer[0] - first.width) / 2
    return _Cut(row[1:-1], middle, _span(plan, first)[1], _span(plan, last)[0])


def _is_cut(plan: LayoutPlan, arrow: Arrow, gone: set[str], cuts: Sequence[_Cut]) -> bool:
    """Whether an arrow is left out: it leads to or from what is hidden, or lies wholly within."""
    top, bottom = _extent(plan, arrow)
    within = any(cut.start - _NEAR <= top and bottom <= cut.end + _NEAR for cut in cuts)
    return arrow.source in gone or arrow.target in gone or within


def _moved(route: ArrowPath, up: float) -> ArrowPath:
    def moved(point: Point) -> Point:
        return point[0], point[1] - up

    label = None if route.label is None else moved(route.label)
    return ArrowPath([moved(point) for point in route.points], moved(route.tip), label)
