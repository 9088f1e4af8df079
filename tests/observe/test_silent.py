"""Measuring never costs where nobody measures, and never harms where it is broken."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from dwarf import ConfigError, Status
from dwarf.observe import memory
from dwarf.observe import metrics as measuring
from dwarf.observe import tracing as spanning
from dwarf.observe.instruments import INSTRUMENTS
from dwarf.observe.logs import Log
from dwarf.observe.metrics import LiveMetrics, metrics_of
from dwarf.observe.tracing import tracing_of
from tests.observe.tools import chain, nothing, private_logger, replica_of
from tests.support.workflows import Running


async def test_without_a_provider_nothing_is_made(running: Running) -> None:
    async with running() as engine:
        assert not replica_of(engine).telemetry.active
        assert engine._gauges is not None
        assert engine._gauges._task is None
        await engine.run(chain("Chain", Only=nothing))
        assert not replica_of(engine).telemetry._watches


def test_the_providers_of_the_api_alone_are_silent() -> None:
    for provider in (None, metrics.NoOpMeterProvider(), metrics.get_meter_provider()):
        assert not metrics_of(provider).active
    for provider in (None, trace.NoOpTracerProvider(), trace.get_tracer_provider(), trace.ProxyTracerProvider()):
        assert tracing_of(provider) is None
    silent = metrics_of(None)
    for instrument in INSTRUMENTS:
        silent.count(instrument.key, 1)
        silent.record(instrument.key, 1)
        silent.source(instrument.key, list)()


def test_an_sdk_that_is_switched_off_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not metrics_of(MeterProvider(shutdown_on_exit=False)).active
    assert tracing_of(TracerProvider(shutdown_on_exit=False)) is None


def test_global_providers_count_when_they_are_set_before_the_start() -> None:
    code = """
import asyncio
from opentelemetry import metrics, trace
from dwarf import END, Graph
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.observe.memory import Recorder

async def main():
    engine = Engine(LocalHost())
    recorder = Recorder()
    metrics.set_meter_provider(recorder.meter_provider)
    trace.set_tracer_provider(recorder.tracer_provider)
    async with engine:
        await engine.run(Graph("G").add_node("Only", lambda: None).add_transition("Only", END))
    print([span.name for span in recorder.spans()], len(recorder.metrics()) > 10)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['workflow', 'Only'] True\n"


def test_an_engine_needs_no_sdk() -> None:
    code = """
import sys
sys.modules["opentelemetry.sdk"] = None
import asyncio
from dwarf import END, Graph
from dwarf.engine import Engine
from dwarf.hosts import LocalHost

async def main():
    async with Engine(LocalHost()) as engine:
        print((await engine.run(Graph("G").add_node("Only", lambda: None).add_transition("Only", END))).status)
    from dwarf.observe.memory import Recorder
    try:
        Recorder()
    except Exception as error:
        print(type(error).__name__, error)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "completed\nConfigError recording needs the package opentelemetry-sdk: pip install opentelemetry-sdk\n"
    )


class Hanging(SpanExporter):
    def __init__(self) -> None:
        self.begun, self.held = threading.Event(), threading.Event()

    def export(self, spans: Any) -> SpanExportResult:
        self.begun.set()
        self.held.wait(60)
        return SpanExportResult.SUCCESS


async def test_an_exporter_that_hangs_holds_nobody_up(running: Running) -> None:
    exporter = Hanging()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1))
    async with running(tracer_provider=provider) as engine:
        await engine.run(chain("Chain", Only=nothing))
        exporter.begun.wait(60)
        assert (await engine.run(chain("Chain", Only=nothing), timeout=60)).status is Status.COMPLETED
    exporter.held.set()
    provider.shutdown()


class Broken(SpanProcessor):
    def on_start(self, span: Any, parent_context: Any = None) -> None:
        if span.name == "Second":
            raise RuntimeError("broken at the start")

    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("broken at the end")


class BrokenMeter(metrics.NoOpMeter):
    """Its instruments raise."""

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        return self

    def create_histogram(self, name: str, unit: str = "", description: str = "", **advice: Any) -> Any:
        return self

    def add(self, amount: float, attributes: Any) -> None:
        raise RuntimeError("broken")

    record = add


async def test_broken_processors_and_instruments_harm_nobody(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    logger, lines = private_logger()
    monkeypatch.setattr(measuring, "log", Log(logger))
    monkeypatch.setattr(spanning, "log", Log(logger))
    monkeypatch.setattr(spanning, "_faulty", False)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Broken())
    live = LiveMetrics(BrokenMeter("broken"))
    async with running(tracer_provider=provider) as engine:
        replica_of(engine).telemetry.metrics = live
        outcome = await engine.run(chain("Chain", First=nothing, Second=nothing))
    assert outcome.status is Status.COMPLETED
    told = sorted(line.partition(" (")[0].partition(":")[0] for line in lines.texts())
    assert told == ["metrics cannot be recorded", "spans cannot be recorded"]  # each once


def test_a_source_that_raises_does_not_silence_the_others() -> None:
    recorder = memory.Recorder()
    live = metrics_of(recorder.meter_provider)

    def broken() -> Any:
        raise RuntimeError("broken")

    stops = [live.source("commit_queue_depth", broken), live.source("commit_queue_depth", lambda: [(("1",), 7)])]
    (row,) = recorder.metrics()
    assert (row.labels, row.value) == ({"shard": "1"}, 7)
    for stop in stops:
        stop()
        stop()
    assert recorder.metrics() == []
    recorder.close()


def test_gauges_of_several_sources_add_up_or_show_the_largest() -> None:
    recorder = memory.Recorder()
    live, owner = metrics_of(recorder.meter_provider), object()
    for number in (3, 4):
        live.source("commit_queue_depth", lambda number=number: [(("1",), number)])  # type: ignore[misc]
        live.source("steps_pending", lambda number=number: [(("100",), number)])  # type: ignore[misc]
        live.source("sync_threads_overrun", lambda: [((), 5)], owner)
    assert {row.name: row.value for row in recorder.metrics()} == {
        "dwarf_commit_queue_depth": 7,
        "dwarf_steps_pending": 4,
        "dwarf_sync_threads_overrun": 5,
    }
    recorder.close()


def test_a_provider_that_cannot_be_remembered_works_too() -> None:
    class Odd:
        __hash__ = None  # type: ignore[assignment]

        def get_meter(self, name: str, version: str) -> Any:
            return provider.get_meter(name, version)

    provider = MeterProvider(shutdown_on_exit=False)
    assert metrics_of(Odd()).active


def test_a_recorder_listens_to_a_provider_that_is_there() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    recorder = memory.Recorder(provider, limit=2)
    tracer = provider.get_tracer("mine")
    for name in "abc":
        tracer.start_span(name).end()
    assert [span.name for span in recorder.spans()] == ["b", "c"]
    assert [span.name for span in recorder.spans(recorder.spans()[1].trace_id)] == ["c"]
    recorder.clear()
    assert recorder.spans() == []
    recorder.close()
    tracer.start_span("d").end()
    assert recorder.spans() == []
    with pytest.raises(ConfigError, match="takes no span processor"):
        memory.Recorder(trace.NoOpTracerProvider())
