"""When did what run? The steps of a run as bars over time, one row for each node, in one small SVG."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dwarf.notebook.palette import CARD, FAINT, HAIR, INK, MUTED, look_of
from dwarf.notebook.svg import Svg, element, escape, fit_text, open_svg, text_width
from dwarf.notebook.views import state_of
from dwarf.notebook.words import plural, seconds_text
from dwarf.workflow.results import NO_TIME
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from dwarf.workflow.results import Step

__all__ = ["draw_timeline"]

_ROW = 24.0
_LANES = 6
_PAD = 18.0
_HEAD = 34.0
_TAIL = 62.0  # room for the last duration, in pixels
_MOST_BARS = 300  # of one row; beyond that, bars too near to be told apart are left out, failed ones excepted


@dataclass(slots=True)
class _Row:
    """The steps of one node; ``level`` counts the subgraphs it stands in."""

    node: str
    level: int
    steps: list[Step] = field(default_factory=list)


def draw_timeline(
    steps: Sequence[Step],
    *,
    title: str = "",
    asked: Collection[str] = (),
    width: float = 860.0,
    now: datetime | None = None,
) -> Svg:
    """The timeline of a history, steps of subgraphs included. Running steps end at ``now``.

    ``asked``: nodes known to have put questions; their bars hold the waiting and stand out.
    """
    moment = now or datetime.now(UTC)
    rows = list(_rows(steps, 0))
    begun = [step for row in rows for step in row.steps if step.started_at is not None]
    start = min((_began(step) for step in begun), default=moment)
    end = max((_ended(step, moment) for step in begun), default=moment)
    span = max((end - start).total_seconds(), 0.001)
    names = max((text_width(row.node, 12) + 14 * row.level for row in rows), default=80.0)
    left = _PAD + min(max(names + 14, 90.0), 220.0)
    right = width - _PAD - _TAIL
    height = _HEAD + _ROW * max(len(rows), 1) + 30 + _PAD / 2
    scale = _Scale(start, span, left, right, moment, frozenset(asked))
    body = [
        open_svg(width, height, f"Timeline of {title}" if title else "Timeline"),
        element("rect", x=0.5, y=0.5, width=width - 1, height=height - 1, rx=10, fill=CARD, stroke=HAIR),
        *_head(title, len(begun), span),
        *(_axis(scale, height) if begun else ()),
        *(_row(row, index, scale) for index, row in enumerate(rows)),
        "</svg>",
    ]
    if not rows:
        body.insert(-1, element("text", "no steps yet", x=_PAD, y=_HEAD + 18, font_size=12, fill=MUTED))
    return Svg("".join(body), alt=_text(rows, start, moment))


@dataclass(frozen=True, slots=True)
class _Scale:
    start: datetime
    span: float
    left: float
    right: float
    now: datetime
    asked: frozenset[str]

    def x(self, moment: datetime) -> float:
        share = (moment - self.start).total_seconds() / self.span
        return self.left + (self.right - self.left) * min(max(share, 0.0), 1.0)

    @property
    def pixel(self) -> float:
        """Seconds for each pixel."""
        return self.span / max(self.right - self.left, 1.0)


def _rows(steps: Sequence[Step], level: int) -> Iterator[_Row]:
    rows: dict[str, _Row] = {}
    for step in steps:
        rows.setdefault(step.node, _Row(step.node, level)).steps.append(step)
    ordered = sorted(rows.values(), key=lambda row: min(_began(step) for step in row.steps))
    for row in ordered:
        yield row
        children = [child for step in row.steps for flow in step.sub_flows for child in flow.steps]
        if children:
            yield from _rows(children, level + 1)


def _began(step: Step) -> datetime:
    return step.started_at or (step.created_at if step.created_at > NO_TIME else step.updated_at)


def _ended(step: Step, now: datetime) -> datetime:
    return max(step.updated_at, _began(step)) if step.status.terminal else max(now, _began(step))


def _head(title: str, count: int, span: float) -> list[str]:
    shown = fit_text(title or "timeline", 420, 14, bold=True)
    summary = f"{plural(count, 'step')} in {seconds_text(span)}" if count else ""
    after = _PAD + text_width(shown, 14, bold=True) + 14
    return [
        element("text", shown, x=_PAD, y=26, font_size=14, font_weight=600, fill=INK),
        element("text", summary, x=after, y=26, font_size=11.5, fill=MUTED),
    ]


def _axis(scale: _Scale, height: float) -> Iterator[str]:
    step = _nice(scale.span / 5)
    bottom = height - 28
    count = int(scale.span / step) + 1
    for index in range(count):
        x = scale.left + (scale.right - scale.left) * index * step / scale.span
        yield element("line", x1=x, x2=x, y1=_HEAD + 4, y2=bottom, stroke=HAIR)
        label = seconds_text(index * step) if index else "0"
        yield element("text", label, x=x, y=bottom + 15, font_size=10.5, fill="#64748b", text_anchor="middle")


def _nice(seconds: float) -> float:
    """The least round number of seconds that is no smaller."""
    power = 10.0 ** int(f"{seconds:e}".split("e")[1])
    steps = [power, 2 * power, 5 * power, 10 * power]
    if 60 < seconds <= 86_400:
        steps = [120, 300, 600, 1200, 3600, 7200, 14_400, 28_800, 43_200, 86_400]
    elif seconds > 86_400:
        steps = [86_400 * _nice(seconds / 86_400)] if seconds < 86_400 * 60 else steps
    return min(each for each in steps if each >= seconds)


def _row(row: _Row, index: int, scale: _Scale) -> str:
    top = _HEAD + _ROW * index + 6
    indent = 14.0 * row.level
    name = fit_text(row.node, scale.left - _PAD - 12 - indent, 12)
    count = f" · {len(row.steps):,} ×" if len(row.steps) > 1 else ""
    pieces = [
        f'<g class="dwarf-row"><title>{escape(row.node + count)}</title>',
        element("text", name, x=_PAD + indent, y=top + 13, font_size=12, fill=INK if row.level == 0 else MUTED),
    ]
    begun = [step for step in row.steps if step.started_at is not None]
    lanes = _lanes(begun, scale)
    thick = (_ROW - 10) / max(len(lanes), 1)
    for lane, steps in enumerate(lanes):
        y = top + 3 + lane * thick
        pieces += [_bar(step, y, thick, scale) for step in steps if step.status is not Status.FAILED]
    for lane, steps in enumerate(lanes):
        y = top + 3 + lane * thick
        pieces += [_bar(step, y - 0.5, thick + 1, scale) for step in steps if step.status is Status.FAILED]
    if begun:
        last = max(_ended(step, scale.now) for step in begun)
        length = (last - min(_began(step) for step in begun)).total_seconds()
        pieces.append(
            element("text", seconds_text(length) + count, x=scale.x(last) + 6, y=top + 13.5, font_size=10.5, fill=MUTED)
        )
    else:
        pieces.append(element("text", "not started", x=scale.left, y=top + 13.5, font_size=10.5, fill=FAINT))
    return "".join([*pieces, "</g>"])


def _lanes(steps: Sequence[Step], scale: _Scale) -> list[list[Step]]:
    """Steps that overlap in time go side by side, in at most ``_LANES`` lanes."""
    lanes: list[list[Step]] = []
    free: list[tuple[datetime, int]] = []
    least = scale.pixel * 0.7 if len(steps) > _MOST_BARS else 0.0
    drawn: dict[int, datetime] = {}
    for step in sorted(steps, key=_began):
        began = _began(step)
        if free and (free[0][0] <= began or len(lanes) == _LANES):
            _, lane = heapq.heappop(free)
        else:
            lane = len(lanes)
            lanes.append([])
        if lane not in drawn or step.status is Status.FAILED or (began - drawn[lane]).total_seconds() >= least:
            lanes[lane].append(step)
            drawn[lane] = began
        heapq.heappush(free, (_ended(step, scale.now), lane))
    return lanes


def _bar(step: Step, y: float, thick: float, scale: _Scale) -> str:
    look = look_of(state_of(step, scale.now))
    began, ended = _began(step), _ended(step, scale.now)
    x = scale.x(began)
    wide = max(scale.x(ended) - x - (0.6 if thick < 6 else 0), 2.0)
    words = [step.node, look.word, seconds_text((ended - began).total_seconds())]
    if step.attempt:
        words.append(f"attempt {step.attempt + 1}")
    if step.error:
        words.append(step.error[:200])
    high = max(thick - (1 if thick < 10 else 0), 1.0)
    hollow = not step.status.terminal
    fill = look.fill if hollow else look.line
    if step.status is Status.COMPLETED and step.node in scale.asked:
        fill = look_of("interrupted").line
        words.append("with the wait for an answer")
    return (
        f"<g><title>{escape(' · '.join(words))}</title>"
        + element(
            "rect",
            x=x,
            y=y,
            width=wide,
            height=high,
            rx=min(3.0, high / 2),
            fill=fill,
            stroke=look.line if hollow else None,
            fill_opacity=None if hollow else "0.85",
            data_state=look.key,
        )
        + "</g>"
    )


def _text(rows: Sequence[_Row], start: datetime, now: datetime) -> str:
    lines = []
    for row in rows:
        begun = [step for step in row.steps if step.started_at is not None]
        if not begun:
            lines.append(f"{'':>9}  {'  ' * row.level}{row.node}: not started")
            continue
        first = min(_began(step) for step in begun)
        last = max(_ended(step, now) for step in begun)
        count = f" ×{len(row.steps):,}" if len(row.steps) > 1 else ""
        begins, lasts = seconds_text((first - start).total_seconds()), seconds_text((last - first).total_seconds())
        lines.append(f"{begins:>9}  {'  ' * row.level}{row.node}{count}: {lasts}")
    return "\n".join(lines) or "no steps yet"
