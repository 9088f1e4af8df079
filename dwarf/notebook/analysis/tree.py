"""What does a tree of runs look like? Lines on the left, and a row of words for each run beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dwarf.notebook.pictures.formatting import difference_text, duration_text
from dwarf.notebook.pictures.nodes import icon
from dwarf.notebook.pictures.palette import EDGE_TAKEN, INK, MUTED, look_of, on_any_ground
from dwarf.notebook.pictures.svg import Svg, element, fit_text, number, open_svg, text_width

if TYPE_CHECKING:
    from dwarf.notebook.analysis.branches import Branch

__all__ = ["draw_branches", "tree_text"]

_ROW = 30.0
_PAD = 18.0
_STEP = 24.0  # from a run to those made of it
_SIZE = 12.5
_BEND = 8.0
_WIDTH = 900.0
_HEADS = ("", "made", "status", "took", "changed", "result differs in")


def draw_branches(branches: Sequence[Branch], own: str = "") -> Svg:
    """The picture; the run of the label ``own`` is set off."""
    tree = _PAD + _STEP * max((each.depth for each in branches), default=0) + 28
    rows = [_words(each) for each in branches]
    widths = _widths(rows, _WIDTH - tree - _PAD)
    edges = [tree]
    for wide in widths:
        edges.append(edges[-1] + wide)
    height = _PAD + _ROW * (len(branches) + 1) + 8
    label = f"{len(branches)} runs of one thread"
    body = [
        open_svg(edges[-1] + _PAD, height, label),
        *(_text(head, edges[place], _middle(-1), MUTED) for place, head in enumerate(_HEADS) if head),
        *(_stripe(place, edges) for place, each in enumerate(branches) if each.label == own),
        *_lines(branches),
    ]
    for place, (branch, row) in enumerate(zip(branches, rows, strict=True)):
        body += _row(branch, row, place, edges)
    return Svg(on_any_ground("".join([*body, "</svg>"])), alt=tree_text(branches, own))


def tree_text(branches: Sequence[Branch], own: str = "") -> str:
    """The same for a reader without pictures."""
    lines = []
    for each in branches:
        label, *rest = _words(each)
        sign = look_of(str(each.outcome.status)).sign
        words = " · ".join(part for part in rest if part)
        lines.append(f"{'  ' * each.depth}{sign} {label} {words}{'  (this run)' if each.label == own else ''}")
    return "\n".join(lines) or "no runs"


def _words(branch: Branch) -> list[str]:
    made = f"forked at {branch.at}" if branch.kind == "forked" and branch.at else branch.kind
    status = look_of(str(branch.outcome.status)).word
    told = difference_text(branch.differs) if branch.differs else ""
    if branch.parent and not told and branch.outcome.status.terminal:
        told = "nothing"
    if branch.outcome.error:
        told = branch.outcome.error
    changed = difference_text(branch.changed) if branch.changed else ""
    return [branch.label, made, status, duration_text(branch.duration), changed, told]


def _widths(rows: Sequence[Sequence[str]], room: float) -> list[float]:
    """As wide as the words are, the last two columns sharing what is left."""
    wide = [
        max([text_width(row[place], _SIZE) for row in rows] + [text_width(head, _SIZE)]) + 22
        for place, head in enumerate(_HEADS)
    ]
    wide[1] = min(wide[1], 220)
    left = max(room - sum(wide[:4]), 240)
    if wide[4] + wide[5] > left:
        wide[4] = min(wide[4], max(left / 2, left - wide[5]))
        wide[5] = min(wide[5], left - wide[4])
    return wide


def _lines(branches: Sequence[Branch]) -> list[str]:
    """From each run to those that were made of it."""
    at = {each.label: (_column(each), _middle(place)) for place, each in enumerate(branches)}
    pieces = []
    for each in branches:
        if each.parent in at:
            (x1, y1), (x2, y2) = at[each.parent], at[each.label]
            turn = f"Q{number(x1)} {number(y2)} {number(x1 + _BEND)} {number(y2)}"
            way = f"M{number(x1)} {number(y1)}V{number(y2 - _BEND)}{turn}H{number(x2)}"
            dashes = "2 4" if each.kind == "continued" else None
            pieces.append(
                element("path", d=way, fill="none", stroke=EDGE_TAKEN, stroke_width=1.4, stroke_dasharray=dashes)
            )
    return pieces


def _row(branch: Branch, words: Sequence[str], place: int, edges: Sequence[float]) -> list[str]:
    look = look_of(str(branch.outcome.status))
    y = _middle(place)
    pieces = [icon(look, _column(branch), y), _text(words[0], edges[0], y, INK, bold=True)]
    inks = [INK, INK, look.ink, MUTED, INK, look.ink if branch.outcome.error else INK]
    for column in range(1, len(words)):
        room = edges[column + 1] - edges[column] - 14
        pieces.append(_text(fit_text(words[column], room, _SIZE), edges[column], y, inks[column], full=words[column]))
    return pieces


def _stripe(place: int, edges: Sequence[float]) -> str:
    """What sets a row off; it lies under the lines."""
    y, wide = _middle(place) - _ROW / 2 + 2, edges[-1] + _PAD - 12
    return element("rect", x=6, y=y, width=wide, height=_ROW - 4, rx=6, fill="#f1f5f9")


def _text(words: str, x: float, y: float, ink: str, *, bold: bool = False, full: str = "") -> str:
    text = element("text", words, x=x, y=y + 4.3, font_size=_SIZE, font_weight=600 if bold else None, fill=ink)
    return text if not full or full == words else f"<g>{element('title', full)}{text}</g>"


def _column(branch: Branch) -> float:
    return _PAD + 6 + _STEP * branch.depth


def _middle(place: int) -> float:
    return _PAD + _ROW * (place + 1) + 2
