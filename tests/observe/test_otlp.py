"""Metrics and spans over OTLP, to a stand-in of a collector on the loopback interface."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.observe.tools import chain, correlation, nothing
from tests.support.workflows import Running

_DECODERS = {"gzip": gzip.decompress, "deflate": zlib.decompress}


class Collector(ThreadingHTTPServer):
    """Takes what is sent and answers that it is well."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taker)
        self.taken: list[tuple[str, bytes]] = []

    def requests(self, path: str, kind: Any) -> list[Any]:
        return [kind.FromString(body) for where, body in self.taken if where == path]


class Taker(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        decode = _DECODERS.get(self.headers.get("Content-Encoding", ""), bytes)
        self.server.taken.append((self.path, decode(body)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        thread = Thread(target=collector.serve_forever)
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


async def test_what_an_engine_reports_arrives(running: Running, collector: Collector) -> None:
    url = f"http://127.0.0.1:{collector.server_port}"
    tracer_provider = TracerProvider(shutdown_on_exit=False)
    tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces")))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{url}/v1/metrics"))
    meter_provider = MeterProvider([reader], shutdown_on_exit=False)
    async with running(meter_provider=meter_provider, tracer_provider=tracer_provider) as engine:
        flow = await engine.create(chain("Chain", First=nothing, Second=nothing))
        await flow
        meter_provider.shutdown()
    tracer_provider.shutdown()

    sent = collector.requests("/v1/traces", ExportTraceServiceRequest)
    scopes = [scope for request in sent for resource in request.resource_spans for scope in resource.scope_spans]
    assert {scope.scope.name for scope in scopes} == {"dwarf"}
    spans = {span.name: span for scope in scopes for span in scope.spans}
    assert spans.keys() == {"workflow", "First", "Second"}
    assert spans["First"].parent_span_id == spans["Second"].parent_span_id == spans["workflow"].span_id
    attributes = {item.key: item.value.string_value for item in spans["First"].attributes}
    assert attributes["workflow.id"] == correlation(flow.key)

    (request,) = collector.requests("/v1/metrics", ExportMetricsServiceRequest)[-1:]
    (scope,) = request.resource_metrics[0].scope_metrics
    metrics = {metric.name: metric for metric in scope.metrics}
    (point,) = metrics["dwarf_flows_terminated"].sum.data_points
    assert {item.key: item.value.string_value for item in point.attributes} == {
        "workflow": "Chain",
        "status": "completed",
        "shard": "1",
    }
    assert point.as_int == 1
    (histogram,) = metrics["dwarf_commit_group_size"].histogram.data_points
    assert list(histogram.explicit_bounds)[:3] == [1, 2, 4]
