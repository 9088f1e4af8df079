"""What do the spans of a flow look like? A timeline like that of its steps, with every attempt and the user's spans.

Spans of one name under parents of one name share a row, so that ten thousand branches take one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dwarf.notebook.analysis.frames import SPAN, TIME, tidy
from dwarf.notebook.pictures.formatting import plural, seconds_text
from dwarf.notebook.pictures.gantt import WAITS, Bar, GanttRow, draw_gantt
from dwarf.notebook.pictures.svg import Svg
from dwarf.observe.memory import SpanRecord
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Trace"]

SPANS = {
    "name": "string",
    "within": "string",  # the names of the spans it lies under, such as "workflow/charge"
    "depth": "int64",
    "status": "string",  # what became of an attempt, see the page on observability
    "attempt": "Int64",
    "started": TIME,
    "finished": TIME,
    "duration": SPAN,
    "error": "string",
    "events": "object",
    "attributes": "object",
    "span": "string",
    "parent": "string",
    "trace": "string",
}

_STATES = {
    "completed": "completed",
    "error_routed": "handled",
    "failed": "failed",
    "retried": "retrying",
    "interrupted": "interrupted",
    "subgraph": "nested",
    "fenced": "cancelled",
}
_WAITING = {"interrupt": "interrupted", "retry": "retrying"}  # events that end an attempt, and what is waited for
_MOST_LINES = 60


class Trace:
    """The spans of a flow and of its child flows that are over. Displayed, it is a timeline; ``frame`` is the table.

    Example::

        trace = lab.trace(run)
        trace.frame.sort_values("duration").tail()
    """

    def __init__(
        self, name: str, flow_key: str, spans: Sequence[SpanRecord], status: Status, since: datetime, *, full: bool
    ) -> None:
        self.name = name
        self.flow_key = flow_key
        self.spans = spans
        self._status = status
        self._since = since
        self._full = full

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row for each span: its name, the names it lies under, its times, what became of it, its attributes."""
        below = {span.span_id: span for span in self.spans}
        return tidy([_span_row(span, below) for span in self.spans], SPANS)

    @property
    def note(self) -> str:
        """What the reader has to know where spans are missing; empty where all are there."""
        since = self._since.astimezone().strftime("%H:%M:%S")
        if not self.spans:
            return (
                f"No spans of this flow: it ran before tracing was switched on, at {since}. "
                "Flows that start from now on are traced; Lab(trace=True) traces from the beginning."
            )
        identity = self.flow_key.rpartition("-")[0]
        began = any(
            "workflow.task" not in each.attributes and each.attributes.get("workflow.id") == identity
            for each in self.spans
        )
        if began:
            return ""
        if self._full:
            return "The beginning is missing: only the latest spans are kept."
        return f"The beginning is missing: tracing was switched on at {since}, while the flow ran."

    def timeline(self) -> Svg:
        """The picture."""
        rows = list(_rows(self.spans, self._status))
        ends = [span.ended for span in self.spans]
        length = (max(ends) - min(span.started for span in self.spans)).total_seconds() if ends else 0.0
        summary = f"{plural(len(self.spans), 'span')} in {seconds_text(length)}"
        now = max(ends, default=datetime.now(UTC))
        return draw_gantt(rows, title=self.name or "trace", summary=summary, now=now, text=str(self))

    def __str__(self) -> str:
        start = min((span.started for span in self.spans), default=self._since)
        lines = list(_lines(self.spans, start))
        left_out = len(lines) - _MOST_LINES
        lines = [*lines[:_MOST_LINES], f"and {plural(left_out, 'further line')}"] if left_out > 0 else lines
        return "\n".join([*lines, self.note] if self.note else lines)

    def __repr__(self) -> str:
        return f"<Trace of {self.name!r}: {plural(len(self.spans), 'span')}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        if not self.spans:
            return {"text/plain": self.note}
        return {"image/svg+xml": str(self.timeline()), "text/plain": str(self)}


def _span_row(span: SpanRecord, known: Mapping[str, SpanRecord]) -> dict[str, Any]:
    path: list[str] = []
    above = known.get(span.parent_id)
    while above is not None and len(path) < 100:
        path.append(above.name)
        above = known.get(above.parent_id)
    attributes = dict(span.attributes)
    return {
        "name": span.name,
        "within": "/".join(reversed(path)),
        "depth": len(path),
        "status": attributes.get("workflow.status") or ("failed" if span.failed else ""),
        "attempt": attributes.get("workflow.attempt"),
        "started": span.started,
        "finished": span.ended,
        "duration": span.ended - span.started,
        "error": span.error,
        "events": [event.name for event in span.events],
        "attributes": attributes,
        "span": span.span_id,
        "parent": span.parent_id,
        "trace": span.trace_id,
    }


def _tree(spans: Sequence[SpanRecord]) -> tuple[list[SpanRecord], Mapping[str, list[SpanRecord]]]:
    """The spans that lie under none, and those under each."""
    known = {span.span_id for span in spans}
    roots: list[SpanRecord] = []
    below: dict[str, list[SpanRecord]] = {}
    for span in spans:
        if span.parent_id in known:
            below.setdefault(span.parent_id, []).append(span)
        else:
            roots.append(span)
    return roots, below


def _groups(spans: Sequence[SpanRecord]) -> Iterator[tuple[list[SpanRecord], int, list[SpanRecord]]]:
    """Spans of one name under those of one name, from the top: with their level, and all that lies below them."""
    roots, below = _tree(spans)

    def walk(level_spans: Sequence[SpanRecord], level: int) -> Iterator[tuple[list[SpanRecord], int, list[SpanRecord]]]:
        named: dict[str, list[SpanRecord]] = {}
        for span in level_spans:
            named.setdefault(span.name, []).append(span)
        for group in named.values():
            under = [child for span in group for child in below.get(span.span_id, ())]
            under.sort(key=lambda span: span.started)
            yield group, level, _all_below(group, below)
            if level < 40:
                yield from walk(under, level + 1)

    yield from walk(roots, 0)


def _all_below(group: Sequence[SpanRecord], below: Mapping[str, list[SpanRecord]]) -> list[SpanRecord]:
    found = list(group)
    for span in found:
        found.extend(below.get(span.span_id, ()))
    return found[len(group) :]


def _rows(spans: Sequence[SpanRecord], status: Status) -> Iterator[GanttRow]:
    last = max((span.ended for span in spans), default=None)
    for group, level, under in _groups(spans):
        if _is_flow(group[0]):
            names = sorted({str(span.attributes.get("workflow.name", span.name)) for span in group})
            begin, end = group[0].started, max(span.ended for span in (*group, *under))
            bar = Bar(begin, end, "nested", f"flow {', '.join(names)} · {_length(begin, end)}", hollow=True)
            count = f" · {len(group):,} flows" if len(group) > 1 else ""
            yield GanttRow(", ".join(names), level, [bar], _length(begin, end) + count)
            continue
        bars = [_bar(span) for span in group]
        bars += _waits(group, None if status.terminal else last)
        begin, end = min(bar.began for bar in bars), max(bar.ended for bar in bars)
        count = f" · {len(group):,} ×" if len(group) > 1 else ""
        yield GanttRow(group[0].name, level, bars, _length(begin, end) + count)


def _is_flow(span: SpanRecord) -> bool:
    return "workflow.name" in span.attributes and "workflow.task" not in span.attributes


def _bar(span: SpanRecord) -> Bar:
    status = str(span.attributes.get("workflow.status", ""))
    state = "failed" if span.failed else _STATES.get(status, "running")
    words = [span.name, status, _length(span.started, span.ended)]
    if span.attributes.get("workflow.attempt"):
        words.append(f"attempt {int(span.attributes['workflow.attempt']) + 1}")
    words += [f"{event.name} {_values(event.attributes)}".strip() for event in span.events[:6]]
    if "workflow.task" not in span.attributes:
        words.append(_values(span.attributes))
    marks = tuple((event.at, event.name) for event in span.events if event.name in ("exception", "given up"))
    return Bar(span.started, span.ended, state, " · ".join(word for word in words if word)[:600], marks=marks)


def _values(attributes: Mapping[str, Any]) -> str:
    parts = [f"{name}={value}" for name, value in attributes.items() if name != "exception.stacktrace"]
    return ", ".join(parts)[:200]


def _waits(group: Sequence[SpanRecord], now: datetime | None) -> Iterator[Bar]:
    """The time between two attempts of a step, where the first one ended in waiting."""
    attempts: dict[Any, list[SpanRecord]] = {}
    for span in group:
        if "workflow.step_id" in span.attributes:
            place = (span.attributes.get("workflow.id"), span.attributes["workflow.step_id"])
            attempts.setdefault(place, []).append(span)
    for spans in attempts.values():
        spans.sort(key=lambda span: span.started)
        for span, after in zip(spans, [*spans[1:], None], strict=True):
            state = next((_WAITING[event.name] for event in span.events if event.name in _WAITING), "")
            end = after.started if after is not None else now
            if state and end is not None and end > span.ended:
                words = f"{span.name} · {WAITS[state]} · {_length(span.ended, end)}"
                yield Bar(span.ended, end, state, words, striped=True)


def _length(began: datetime, ended: datetime) -> str:
    return seconds_text((ended - began).total_seconds())


def _lines(spans: Sequence[SpanRecord], start: datetime) -> Iterator[str]:
    for group, level, under in _groups(spans):
        begin = min(span.started for span in group)
        end = max(span.ended for span in (*group, *(under if _is_flow(group[0]) else ())))
        name = str(group[0].attributes.get("workflow.name")) if _is_flow(group[0]) else group[0].name
        count = f" ×{len(group):,}" if len(group) > 1 else ""
        failed = sum(span.failed for span in group)
        tail = f", {failed:,} failed" if failed else ""
        yield f"{_length(start, begin):>9}  {'  ' * level}{name}{count}: {_length(begin, end)}{tail}"
