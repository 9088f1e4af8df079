"""How is time drawn? Rows of bars over an axis in one small SVG: for the steps of a run, and for the spans of a trace.

Long stretches in which nothing was at work are cut short, so that a day of waiting does not flatten a second of work.
Waiting is striped, work is filled, what goes on still is hollow. Very many bars of a row become one shape that tells
how many there were at a time. Only attributes are used, no style sheet, no script, and no ids.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from dwarf.notebook.pictures.axis import Axis
from dwarf.notebook.pictures.formatting import plural, seconds_text
from dwarf.notebook.pictures.palette import FAINT, HAIR, INK, MUTED, look_of, on_any_ground
from dwarf.notebook.pictures.svg import Svg, element, escape, fit_text, number, open_svg, text_width

__all__ = ["WAITS", "Bar", "GanttRow", "draw_gantt"]

ROW = 24.0
MOST_ROWS = 120
MOST_BARS = 300  # of one row, drawn one by one
WAITS = {"interrupted": "waits for an answer", "delayed": "sleeps", "retrying": "waits for another attempt"}
_LANES = 6
_PAD = 18.0
_HEAD = 34.0
_LEAST_LEAD = 1.0  # pixels
_TAIL = 108.0  # room for the words behind the last bar, in pixels


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time. ``state`` names a look; ``striped`` is waiting, ``hollow`` goes on still.

    ``within``: its parts, drawn over it in its lane. ``due``: since when it should have been; a pale line leads from
    there to it, under whatever else is in its lane.
    """

    began: datetime
    ended: datetime
    state: str
    words: str = ""
    striped: bool = False
    hollow: bool = False
    within: tuple[Bar, ...] = ()
    marks: tuple[tuple[datetime, str], ...] = ()
    due: datetime | None = None


@dataclass(slots=True)
class GanttRow:
    """A line of bars; ``level`` is how deep it stands under others, ``note`` the words behind its last bar."""

    name: str
    level: int = 0
    bars: list[Bar] = field(default_factory=list)
    note: str = ""
    missing: str = "not started"
    hint: str = ""


def draw_gantt(
    rows: Sequence[GanttRow], *, title: str, summary: str, now: datetime, text: str, width: float = 860.0
) -> Svg:
    """The picture; ``text`` stands for it where pictures are not shown."""
    left_out = len(rows) - MOST_ROWS
    shown = list(rows[:MOST_ROWS])
    bars = [bar for row in shown for bar in row.bars]
    names = max((text_width(row.name, 12) + 14 * row.level for row in shown), default=80.0)
    left = _PAD + min(max(names + 14, 90.0), 240.0)
    axis = Axis.over([(bar.began, bar.ended) for bar in _working(bars)], _extent(bars, now), left, width - _PAD - _TAIL)
    height = _HEAD + ROW * max(len(shown), 1) + 30 + _PAD / 2 + (16 if left_out > 0 else 0)
    legend = _legend(bars)
    body = [
        open_svg(width, height, f"Timeline of {title}" if title else "Timeline"),
        *_head(title, summary, legend, width),
        *(_grid(axis, _HEAD + ROW * len(shown)) if bars else ()),
        *(_row(row, index, axis) for index, row in enumerate(shown)),
    ]
    if not shown:
        body.append(element("text", "no steps yet", x=_PAD, y=_HEAD + 18, font_size=12, fill=MUTED))
    if left_out > 0:
        words = f"and {plural(left_out, 'further line')}"
        body.append(element("text", words, x=_PAD, y=height - 10, font_size=11, fill=MUTED))
    return Svg(on_any_ground("".join([*body, "</svg>"])), alt=text)


def _extent(bars: Sequence[Bar], now: datetime) -> tuple[datetime, datetime]:
    return min((bar.began for bar in bars), default=now), max((bar.ended for bar in bars), default=now)


def _working(bars: Sequence[Bar]) -> Iterator[Bar]:
    """The stretches in which something was at work: bars without their striped parts."""
    for bar in bars:
        start = bar.began
        for part in sorted((part for part in bar.within if part.striped), key=lambda part: part.began):
            yield replace(bar, began=start, ended=max(part.began, start), within=())
            start = max(start, part.ended)
        if not bar.striped:
            yield replace(bar, began=start, ended=max(bar.ended, start), within=())


def _head(title: str, summary: str, legend: Sequence[tuple[str, str]], width: float) -> Iterator[str]:
    shown = fit_text(title or "timeline", 360, 14, bold=True)
    yield element("text", shown, x=_PAD, y=26, font_size=14, font_weight=600, fill=INK)
    after = _PAD + text_width(shown, 14, bold=True) + 14
    yield element("text", summary, x=after, y=26, font_size=11.5, fill=MUTED)
    right = width - _PAD
    for state, words in reversed(legend):
        right -= text_width(words, 10.5)
        yield element("text", words, x=right, y=25.5, font_size=10.5, fill=MUTED)
        yield from _striped(state, right - 27, 17, 22, 9)
        right -= 40


def _legend(bars: Sequence[Bar]) -> list[tuple[str, str]]:
    striped = {bar.state for bar in bars if bar.striped}
    striped |= {part.state for bar in bars for part in bar.within if part.striped}
    return [(state, words) for state, words in WAITS.items() if state in striped]


def _grid(axis: Axis, bottom: float) -> Iterator[str]:
    for x, label in axis.ticks():
        yield element("line", x1=x, x2=x, y1=_HEAD + 4, y2=bottom + 10, stroke=HAIR)
        yield element("text", label, x=x, y=bottom + 25, font_size=10.5, fill=MUTED, text_anchor="middle")
    for begin, end, seconds in axis.cuts():
        middle = (begin + end) / 2
        words = f"{seconds_text(seconds)} cut short"
        yield (
            f"<g data-part='cut'><title>{escape(words)}</title>"
            + element("rect", x=begin, y=_HEAD + 4, width=end - begin, height=bottom - _HEAD + 6, fill="#f1f5f9")
            + element("text", "⋯", x=middle, y=bottom + 14, font_size=12, fill=MUTED, text_anchor="middle")
            + element(
                "text", seconds_text(seconds), x=middle, y=bottom + 25, font_size=10.5, fill=MUTED, text_anchor="middle"
            )
            + "</g>"
        )


def _row(row: GanttRow, index: int, axis: Axis) -> str:
    top = _HEAD + ROW * index + 6
    indent = 14.0 * row.level
    name = fit_text(row.name, axis.left - _PAD - 12 - indent, 12)
    pieces = [
        f'<g class="dwarf-row"><title>{escape(row.hint or row.name)}</title>',
        element("text", name, x=_PAD + indent, y=top + 13, font_size=12, fill=INK if row.level == 0 else MUTED),
    ]
    if not row.bars:
        pieces.append(element("text", row.missing, x=axis.left, y=top + 13.5, font_size=10.5, fill=FAINT))
        return "".join([*pieces, "</g>"])
    if len(row.bars) > MOST_BARS:
        pieces += _crowd(row.bars, top + 3, ROW - 10, axis)
    else:
        lanes = _lanes(row.bars)
        thick = (ROW - 10) / max(len(lanes), 1)
        placed = [(bar, top + 3 + lane * thick) for lane, bars in enumerate(lanes) for bar in bars]
        placed.sort(key=lambda each: each[0].state == "failed")  # what failed lies above the others
        for bar, y in placed:
            pieces += _lead(bar, y, thick, axis)
        for bar, y in placed:
            pieces += _bar(bar, y, thick, axis)
    last = max(bar.ended for bar in row.bars)
    pieces.append(
        element(
            "text",
            fit_text(row.note, axis.right + _TAIL - 6 - axis.x(last), 10.5),
            x=axis.x(last) + 6,
            y=top + 13.5,
            font_size=10.5,
            fill=MUTED,
        )
    )
    return "".join([*pieces, "</g>"])


def _lanes(bars: Sequence[Bar]) -> list[list[Bar]]:
    """Bars that overlap in time go side by side, in at most ``_LANES`` lanes."""
    lanes: list[list[Bar]] = []
    free: list[tuple[datetime, int]] = []
    for bar in sorted(bars, key=lambda bar: bar.began):
        if free and (free[0][0] <= bar.began or len(lanes) == _LANES):
            _, lane = heapq.heappop(free)
        else:
            lane = len(lanes)
            lanes.append([])
        lanes[lane].append(bar)
        heapq.heappush(free, (bar.ended, lane))
    return lanes


def _bar(bar: Bar, y: float, thick: float, axis: Axis) -> Iterator[str]:
    look = look_of(bar.state)
    x = axis.x(bar.began)
    wide = max(axis.x(bar.ended) - x - (0.6 if thick < 6 else 0), 2.0)
    high = max(thick - (1 if thick < 10 else 0), 1.0)
    yield f"<g><title>{escape(bar.words)}</title>"
    if bar.striped:
        yield from _striped(bar.state, x, y, wide, high)
    else:
        yield element(
            "rect",
            x=x,
            y=y,
            width=wide,
            height=high,
            rx=min(3.0, high / 2),
            fill=look.fill if bar.hollow else look.line,
            stroke=look.line if bar.hollow else None,
            fill_opacity=None if bar.hollow else "0.85",
            data_state=look.key,
        )
    for part in bar.within:
        begin = min(max(axis.x(part.began), x), x + wide)
        length = min(max(axis.x(part.ended), begin), x + wide) - begin
        if length < 0.5:
            continue
        yield f"<g><title>{escape(part.words)}</title>"
        if part.striped:
            yield from _striped(part.state, begin, y, length, high)
        else:
            inner = look_of(part.state)
            yield element("rect", x=begin, y=y + 0.5, width=length, height=high - 1, fill=inner.fill, stroke=inner.line)
        yield "</g>"
    for moment, words in bar.marks:
        at = min(max(axis.x(moment), x + 0.7), x + wide - 0.7)
        mark = element("line", x1=at, x2=at, y1=y - 1.5, y2=y + high + 1.5, stroke=INK, stroke_width=1.4)
        yield f"<g data-part='mark'><title>{escape(words)}</title>{mark}</g>"
    yield "</g>"


def _lead(bar: Bar, y: float, thick: float, axis: Axis) -> Iterator[str]:
    """The time for which a bar was due: a pale line in the middle of its lane."""
    if bar.due is None:
        return
    x, end = axis.x(bar.due), axis.x(bar.began)
    if end - x >= _LEAST_LEAD:
        high = min(max(thick / 3, 1.0), 4.0)
        rect = element(
            "rect", x=x, y=y + (thick - high) / 2, width=end - x, height=high, fill=HAIR, data_lead=bar.state
        )
        words = f"waits for its turn · {seconds_text((bar.began - bar.due).total_seconds())}"
        yield f"<g><title>{escape(words)}</title>{rect}</g>"


def _striped(state: str, x: float, y: float, wide: float, high: float) -> Iterator[str]:
    """Waiting: a light bar under stripes, which are dashes of a line as thick as the bar is high."""
    look = look_of(state)
    yield element(
        "rect",
        x=x,
        y=y,
        width=wide,
        height=high,
        rx=min(2.0, high / 2),
        fill=look.fill,
        stroke=look.line,
        data_wait=state,
    )
    if wide > 3:
        middle = y + high / 2
        yield element(
            "line",
            x1=x + 1.5,
            x2=x + wide - 0.5,
            y1=middle,
            y2=middle,
            stroke=look.line,
            stroke_width=max(high - 1.5, 0.5),
            stroke_dasharray="1.6 3.2",
        )


def _crowd(bars: Sequence[Bar], y: float, high: float, axis: Axis) -> Iterator[str]:
    """One shape for very many bars, as high at each moment as many ran then, and a tick for each that failed."""
    columns = int(axis.right - axis.left) + 2
    rises = [0] * (columns + 1)
    failed: dict[int, list[Bar]] = {}
    for bar in bars:
        first = int(axis.x(bar.began) - axis.left)
        last = max(int(axis.x(bar.ended) - axis.left), first)
        rises[first] += 1
        rises[min(last + 1, columns)] -= 1
        if bar.state == "failed":
            failed.setdefault(first, []).append(bar)
    counts, running = [], 0
    for change in rises:
        running += change
        counts.append(running)
    most = max(counts)
    path = [f"M{number(axis.left)} {number(y + high)}"]
    level = 0
    for column, count in enumerate(counts):
        if count != level:
            path.append(f"H{number(axis.left + column)}V{number(y + high - high * count / most)}")
            level = count
    looks = {bar.state for bar in bars}
    state = next((name for name in ("running", "interrupted", "pending") if name in looks), "completed")
    title = f"{plural(len(bars), 'step')}, at most {most:,} at a time"
    shape = element("path", d="".join(path) + "Z", fill=look_of(state).line, fill_opacity="0.8", data_crowd=len(bars))
    yield f"<g><title>{escape(title)}</title>{shape}</g>"
    red = look_of("failed").line
    for column, group in failed.items():
        tick = element("rect", x=axis.left + column - 0.5, y=y, width=2, height=high, fill=red, data_state="failed")
        yield f"<g><title>{escape(plural(len(group), 'failure') + ' · ' + group[0].words)}</title>{tick}</g>"
