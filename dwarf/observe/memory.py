"""Spans and metrics in memory, for inspection where they were made: in a notebook, in a test.

Needs opentelemetry-sdk, and only when a recorder is made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from dwarf.errors import ConfigError
from dwarf.observe.instruments import PREFIX

MOST_SPANS = 20_000


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """An event in a span."""

    name: str
    at: datetime
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """An ended span. Ids are hexadecimal; ``parent_id`` is empty for a root, ``error`` unless it failed."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    started: datetime
    ended: datetime
    failed: bool = False
    error: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[SpanEvent] = ()


@dataclass(frozen=True, slots=True)
class MetricRecord:
    """The present value of one series: of a counter or gauge, or the mean of a histogram of ``count`` values."""

    name: str
    unit: str
    labels: Mapping[str, str]
    value: float
    count: int | None = None
    bounds: Sequence[float] = ()
    buckets: Sequence[int] = ()


class Recorder:
    """Providers for an engine, and their recorded data.

    With a ``tracer_provider`` of the SDK the recorder listens to that one, so a program's own spans are seen too, and
    exporters that it has go on. Only the last ``limit`` spans are kept. ConfigError without opentelemetry-sdk.
    """

    def __init__(self, tracer_provider: Any = None, *, limit: int = MOST_SPANS) -> None:
        sdk, exporting = _sdk("trace"), _sdk("trace.export")
        measuring, reading = _sdk("metrics"), _sdk("metrics.export")
        self._spans: deque[Any] = deque(maxlen=limit)
        self._own = tracer_provider is None
        self.tracer_provider = tracer_provider or sdk.TracerProvider(shutdown_on_exit=False)
        if not hasattr(self.tracer_provider, "add_span_processor"):
            raise ConfigError("the tracer provider is not one of the SDK: it takes no span processor")
        self._listening = True
        self.tracer_provider.add_span_processor(exporting.SimpleSpanProcessor(_exporter(exporting, self)))
        self._reader = reading.InMemoryMetricReader()
        self.meter_provider = measuring.MeterProvider([self._reader], shutdown_on_exit=False)
        self._last: list[MetricRecord] | None = None  # once it is closed

    @property
    def full(self) -> bool:
        """Whether spans have been dropped, or the next one will displace one."""
        return len(self._spans) == self._spans.maxlen

    def spans(self, trace_id: str = "") -> list[SpanRecord]:
        """The ended spans, of one trace or all, by their start."""
        found = [_span_record(span) for span in tuple(self._spans)]
        return sorted((span for span in found if trace_id in ("", span.trace_id)), key=lambda span: span.started)

    def flow(self, workflow_id: str) -> list[SpanRecord]:
        """The spans of the trace that a flow belongs to, by its correlation id (``shard-id``, without the token)."""
        spans = self.spans()
        traces = {span.trace_id for span in spans if span.attributes.get("workflow.id") == workflow_id}
        return [span for span in spans if span.trace_id in traces]

    def metrics(self) -> list[MetricRecord]:
        """Every series of the engine, by name and labels."""
        if self._last is not None:
            return self._last
        return sorted(_metric_records(self._reader.get_metrics_data()), key=lambda row: (row.name, str(row.labels)))

    def clear(self) -> None:
        """Drop the spans."""
        self._spans.clear()

    def close(self) -> None:
        """Stop recording; recorded data can still be read. A given tracer provider continues."""
        if not self._listening:
            return
        self._listening = False
        self._last = self.metrics()
        if self._own:
            self.tracer_provider.shutdown()
        self.meter_provider.shutdown()

    def _take(self, spans: Sequence[Any]) -> None:
        if self._listening:
            self._spans.extend(spans)


def _sdk(part: str) -> Any:
    try:
        return import_module(f"opentelemetry.sdk.{part}")
    except ImportError as error:
        raise ConfigError("recording needs the package opentelemetry-sdk: pip install opentelemetry-sdk") from error


def _exporter(exporting: Any, recorder: Recorder) -> Any:
    """An exporter of the SDK's class that hands spans to a recorder. The class exists only where the SDK does."""

    def export(self: Any, spans: Sequence[Any]) -> Any:
        recorder._take(spans)
        return exporting.SpanExportResult.SUCCESS

    return type("RecorderExporter", (exporting.SpanExporter,), {"export": export})()


def _span_record(span: Any) -> SpanRecord:
    context = span.get_span_context()
    failed = span.status.status_code.name == "ERROR"
    return SpanRecord(
        name=span.name,
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=f"{span.parent.span_id:016x}" if span.parent is not None else "",
        started=_time(span.start_time),
        ended=_time(span.end_time),
        failed=failed,
        error=(span.status.description or "") if failed else "",
        attributes=dict(span.attributes or {}),
        events=tuple(
            SpanEvent(event.name, _time(event.timestamp), dict(event.attributes or {})) for event in span.events
        ),
    )


def _metric_records(data: Any) -> Iterator[MetricRecord]:
    for resource in data.resource_metrics if data is not None else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name.startswith(PREFIX):
                    for point in metric.data.data_points:
                        yield _metric_record(metric, point)


def _metric_record(metric: Any, point: Any) -> MetricRecord:
    labels = dict(point.attributes or {})
    if not hasattr(point, "bucket_counts"):
        return MetricRecord(metric.name, metric.unit, labels, point.value)
    mean = point.sum / point.count if point.count else 0.0
    bounds = tuple(point.explicit_bounds)
    return MetricRecord(metric.name, metric.unit, labels, mean, point.count, bounds, tuple(point.bucket_counts))


def _time(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
