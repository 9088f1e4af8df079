"""What do the metrics of a lab look like? A small table that refreshes itself; a saved notebook keeps the last one."""

from __future__ import annotations

import asyncio
import html
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from dwarf.notebook import kernel
from dwarf.notebook.analysis.frames import tidy
from dwarf.notebook.live.widget import publish
from dwarf.notebook.pictures.formatting import seconds_text
from dwarf.observe.instruments import BY_KEY, INSTRUMENTS, PREFIX
from dwarf.observe.memory import MetricRecord, Recorder

if TYPE_CHECKING:
    import pandas as pd

    from dwarf.notebook.analysis.recording import Recording
    from dwarf.notebook.services import LabServices

__all__ = ["EVERY_S", "MetricsTable", "percentile"]

METRICS = {
    "metric": "string",
    "kind": "string",
    "unit": "string",
    "labels": "string",
    "value": "float64",
    "count": "Int64",
    "mean": "float64",
    "p50": "float64",
    "p95": "float64",
    "by": "object",
}

EVERY_S = 0.5  # between two refreshes
_WINDOW_S = 4.0  # over which a rate is taken
_MOST_SERIES = 8  # of one instrument
# What says little about one lab while it is watched; it is in the frame.
_LEFT_OUT = frozenset(
    "steps_claimed steps_handed_over state_write_bytes state_read_bytes db_phase_seconds lease_remaining_seconds "
    "commit_queue_depth steps_fairness_keys".split()
)
_ALWAYS = frozenset({"tasks_in_flight"})  # also while they are 0
_ORDER = {instrument.name: place for place, instrument in enumerate(INSTRUMENTS)}

_log = logging.getLogger("dwarf.notebook")

Key = tuple[str, str]


class MetricsTable:
    """The metrics of a lab. Shown in a cell, the table refreshes itself, at most twice a second and only while
    something changes, until another one is shown or the lab is closed. ``frame`` holds every series as of now.

    Example::

        lab.metrics().frame.query("value > 0")
    """

    def __init__(self, recorder: Recorder, lab: LabServices, recording: Recording) -> None:
        self._recorder = recorder
        self._lab = lab
        self._recording = recording
        self._seen: list[tuple[float, dict[Key, float]]] = []  # moments and the counters then
        self._display_id = uuid4().hex
        self._refreshes = 0
        self._one_shard = True

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each series: ``value`` of a counter or gauge, ``count``, ``mean``, ``p50``, ``p95`` of a
        histogram. The percentiles are upper bounds, as its buckets tell."""
        return tidy([_metric_row(record) for record in self._ordered()], METRICS)

    def _ordered(self) -> list[MetricRecord]:
        return sorted(self._recorder.metrics(), key=lambda record: (_ORDER.get(record.name, 999), _labels(record)))

    def lines(self) -> list[tuple[str, str, str, str]]:
        """The table as it is shown: metric, labels, value, and what comes in each second."""
        now = time.monotonic()
        records = [each for each in self._ordered() if _is_shown(each)]
        self._one_shard = len({each.labels.get("shard", "") for each in records} - {""}) < 2
        counters = {
            _key(each): float(each.count if each.count is not None else each.value) for each in records if _grows(each)
        }
        self._seen = [(at, known) for at, known in self._seen if now - at <= _WINDOW_S] + [(now, counters)]
        return [line for _, group in groupby(records, lambda each: each.name) for line in self._group(list(group), now)]

    def _group(self, records: Sequence[MetricRecord], now: float) -> Iterator[tuple[str, str, str, str]]:
        weight = sorted(records, key=lambda each: -(each.count if each.count is not None else each.value))
        kept = {id(each) for each in weight[:_MOST_SERIES]}
        for record in records:
            if id(record) in kept:
                rate = self._rate(record, now) if _grows(record) else ""
                yield record.name.removeprefix(PREFIX), _labels(record, shard=not self._one_shard), _value(record), rate
        if len(records) > _MOST_SERIES:
            yield records[0].name.removeprefix(PREFIX), f"{len(records) - _MOST_SERIES:,} more, see .frame", "", ""

    def _rate(self, record: MetricRecord, now: float) -> str:
        at, before = self._seen[0]
        passed = now - at
        new = self._seen[-1][1][_key(record)] - before.get(_key(record), 0.0)
        unit = record.unit if record.count is None else ""  # of a histogram, values are counted
        return f"{_amount(new / passed, unit)}/s" if passed > 0 and new > 0 else ""

    # ------------------------------------------------------------ showing

    def _stop(self) -> None:
        """Refresh it no more."""
        if self._recording.shown is self:
            self._recording.shown = None

    def _ipython_display_(self) -> None:
        self._publish(update=False)
        if kernel.in_kernel():
            self._recording.shown = self
            self._lab.submit(self._refresh())

    async def _refresh(self) -> None:
        last = ""
        while self._recording.shown is self:
            await asyncio.sleep(EVERY_S)
            shown = self._to_html()
            if shown != last and self._recording.shown is self:
                last = shown
                try:
                    self._publish(update=True)
                except Exception:  # noqa: BLE001  a table that cannot be shown any more must not stop the lab
                    _log.debug("the table of metrics cannot be refreshed", exc_info=True)
                    return

    def _publish(self, *, update: bool) -> None:
        self._refreshes += update
        publish({"text/html": self._to_html(), "text/plain": str(self)}, self._display_id, update=update)

    def _to_html(self) -> str:
        """The table as HTML."""
        lines = self.lines()
        if not lines:
            return "<p>nothing measured yet</p>"
        left, right = "style='text-align:left'", "style='text-align:right;font-variant-numeric:tabular-nums'"
        rows, name_before = [], ""
        for name, labels, value, rate in lines:
            hint = html.escape(BY_KEY[name].description if name in BY_KEY else "")
            shown = html.escape(name.removesuffix("_seconds").replace("_", " ")) if name != name_before else ""
            name_before = name
            rows.append(
                f"<tr title='{hint}'><td {left}>{shown}</td><td {left}>{html.escape(labels)}</td>"
                f"<td {right}>{html.escape(value)}</td><td {right}>{html.escape(rate)}</td></tr>"
            )
        heads = f"<th {left}>metric</th><th {left}></th><th {right}>so far</th><th {right}>now</th>"
        body = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
        return f"<table class='dwarf-metrics' style='table-layout:auto'>{body}</table>"

    def __str__(self) -> str:
        lines = self.lines()
        width = max((len(name) for name, *_ in lines), default=0)
        wide = max((len(labels) for _, labels, *_ in lines), default=0)
        told = [f"{name:<{width}}  {labels:<{wide}}  {value}  {rate}".rstrip() for name, labels, value, rate in lines]
        return "\n".join(told) or "nothing measured yet"

    def __repr__(self) -> str:
        return str(self)


def percentile(record: MetricRecord, share: float) -> float | None:
    """A bound that a share of a histogram's values keeps, as its buckets tell; None without values."""
    if not record.count:
        return None
    passed = 0
    for count, high in zip(record.buckets, record.bounds, strict=False):
        passed += count
        if passed >= share * record.count:
            return high
    return math.inf


def _key(record: MetricRecord) -> Key:
    return record.name, _labels(record)


def _grows(record: MetricRecord) -> bool:
    instrument = BY_KEY.get(record.name.removeprefix(PREFIX))
    return instrument is not None and instrument.kind != "gauge"


def _labels(record: MetricRecord, *, shard: bool = True) -> str:
    shown: Mapping[str, str] = record.labels
    parts = [f"shard {value}" if name == "shard" else f"{value}" for name, value in shown.items()]
    return ", ".join(part for part, name in zip(parts, shown, strict=True) if shard or name != "shard")


def _is_shown(record: MetricRecord) -> bool:
    key = record.name.removeprefix(PREFIX)
    return key in _ALWAYS or (key not in _LEFT_OUT and bool(record.value or record.count))


def _value(record: MetricRecord) -> str:
    if record.count is None:
        return _amount(record.value, record.unit)
    high = percentile(record, 0.95)
    words = f"{record.count:,} × {_amount(record.value, record.unit)}"
    return words if high is None or high == math.inf else f"{words}, 95 % within {_amount(high, record.unit)}"


def _amount(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value * 1000:.1f} ms" if value < 0.1 else seconds_text(value)
    if unit == "By":
        return (
            f"{value / 1e6:,.1f} MB" if value >= 1e6 else f"{value / 1e3:,.1f} kB" if value >= 1e3 else f"{value:.0f} B"
        )
    return f"{value:,.0f}" if value >= 100 or float(value).is_integer() else f"{value:,.1f}"


def _metric_row(record: MetricRecord) -> dict[str, Any]:
    instrument = BY_KEY.get(record.name.removeprefix(PREFIX))
    counted = record.count is not None
    return {
        "metric": record.name,
        "kind": instrument.kind if instrument else "",
        "unit": record.unit,
        "labels": _labels(record),
        "value": None if counted else float(record.value),
        "count": record.count,
        "mean": float(record.value) if counted else None,
        "p50": percentile(record, 0.5),
        "p95": percentile(record, 0.95),
        "by": dict(record.labels),
    }
