"""Spans and metrics of a lab, when somebody asks for them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from dwarf import END, Flow, Graph, Status
from dwarf.errors import ConfigError
from dwarf.notebook import Lab
from dwarf.notebook.analysis import metrics_view
from dwarf.notebook.analysis.metrics_view import percentile
from dwarf.notebook.analysis.tracing import Trace
from dwarf.observe.memory import MetricRecord, SpanEvent, SpanRecord
from tests.notebook.samples import at

NS = "{http://www.w3.org/2000/svg}"


def order(lab: Lab) -> Graph:
    """Asks, tries again, calls a child, and opens a span of its own in a thread."""

    @lab.task
    def ask(flow: Flow) -> None:
        if not flow.attempt:
            flow.retry()
        flow["answer"] = flow.interrupt({"title": "well?", "default": "secret answer"})

    @lab.task
    async def call(flow: Flow) -> None:
        flow.subgraph("child")

    @lab.task
    def work(flow: Flow) -> None:
        with lab.tracer.start_as_current_span("parse <b>", attributes={"rows": 3}):
            pass

    lab.graph("child").add_node("Work", work).add_transition("Work", END)
    return lab.graph("order").add_node("Ask", ask).add_node("Call", call).add_chain("Ask", "Call", END)


def names(svg: str) -> list[str | None]:
    tree = ElementTree.fromstring(svg)
    return [row.findtext(f"{NS}text") for row in tree.iter(f"{NS}g") if row.attrib.get("class") == "dwarf-row"]


def waits(svg: str) -> list[str]:
    return [each.attrib["data-wait"] for each in ElementTree.fromstring(svg).iter() if "data-wait" in each.attrib]


def test_a_trace_shows_every_attempt_and_the_spans_of_tasks(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("memory", trace=True, answers={"*": "default"})
    run = lab.start(order(lab))
    assert run.wait(60).status is Status.COMPLETED
    trace = lab.trace(run)
    assert names(trace.timeline()) == ["order", "Ask", "Call", "child", "Work", "parse <b>"]
    frame = trace.frame
    asked = frame[frame["name"] == "Ask"]
    assert list(asked["status"]) == ["retried", "interrupted", "completed"]
    assert set(waits(trace.timeline())) >= {"interrupted"}
    (own,) = frame[frame["name"] == "parse <b>"].to_dict("records")
    assert own["within"] == "workflow/Call/workflow/Work"
    assert own["attributes"] == {"rows": 3}
    assert str(frame["started"].dtype) == "datetime64[ms, UTC]"
    assert "parse <b>" not in trace.timeline()
    assert "parse &lt;b&gt;" in trace.timeline()
    assert trace.note == ""
    assert "Ask ×3" in str(trace)
    assert "secret answer" not in str(trace) + trace.timeline()


def test_the_first_call_switches_tracing_on_and_says_so(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("memory", answers={"*": "default"})
    graph = order(lab)
    before = lab.start(graph)
    before.wait(60)
    assert not lab.tracer.start_span("unseen").is_recording()
    told = lab.trace(before)
    assert len(told.spans) == 0
    assert "before tracing was switched on" in told.note
    assert told._repr_mimebundle_() == {"text/plain": told.note}
    assert len(told.frame) == 0
    after = lab.start(graph)
    after.wait(60)
    assert names(lab.trace(after).timeline())[:2] == ["order", "Ask"]
    assert lab.trace(after.key).note == ""
    assert lab.trace(before).note == told.note


def test_a_flow_that_was_under_way_tells_what_is_missing(lab: Lab) -> None:
    run = lab.start(order(lab))
    while not run.prompts:
        pass
    lab.trace(run)
    run.answer(1)
    run.wait(60)
    trace = lab.trace(run)
    assert "The beginning is missing" in trace.note
    assert "Call" in names(trace.timeline())


def test_making_the_lab_again_with_tracing_switches_it_on(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("memory", answers={"*": "default"})
    assert make_lab("memory", trace=True) is lab
    run = lab.start(order(lab))
    run.wait(60)
    assert lab.trace(run).spans


def test_a_provider_that_was_given_is_listened_to(make_lab: Callable[..., Lab]) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    lab = make_lab("memory", tracer_provider=provider, trace=True, answers={"*": "default"})
    run = lab.start(order(lab))
    run.wait(60)
    assert lab.trace(run).spans
    assert lab.tracer.start_span("mine").get_span_context().is_valid
    lab.close()
    with provider.get_tracer("after").start_as_current_span("still alive") as span:
        assert span.is_recording()


def test_metrics_that_go_elsewhere_are_not_taken_away(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("memory", meter_provider=MeterProvider(shutdown_on_exit=False), trace=True)
    with pytest.raises(ConfigError, match="meter provider"):
        lab.metrics()


def test_without_the_sdk_the_advice_is_clear(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match="pip install opentelemetry-sdk"):
        lab.metrics()
    assert lab.start(order(lab), show=False).key


def test_the_metrics_of_a_lab_are_a_small_table(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("memory", trace=True, answers={"*": "default"})
    table = lab.metrics()
    lab.start(order(lab)).wait(60)
    lines = {(name, labels): value for name, labels, value, _ in table.lines()}
    assert lines["flows_started", "order"] == lines["flows_terminated", "child, completed"] == "1"
    assert lines["steps_executed", "Ask, retried"] == "1"
    assert lines["task_duration_seconds", "Ask"].startswith("3 × ")
    assert ("tasks_in_flight", "sync") in lines
    assert not any(name.startswith("state_") for name, _ in lines)
    frame = table.frame
    assert frame["metric"].str.startswith("dwarf_").all()
    assert {"dwarf_state_write_bytes", "dwarf_lease_remaining_seconds"} <= set(frame["metric"])
    assert "steps executed" in table._to_html()
    assert "steps_executed" in repr(table)
    lab.close()
    assert {"dwarf_flows_started", "dwarf_task_duration_seconds"} <= set(table.frame["metric"])  # gauges end


def test_the_table_is_empty_before_anything_was_measured(lab: Lab) -> None:
    table = lab.metrics()
    assert [name for name, *_ in table.lines()] in ([], ["tasks_in_flight"] * 2)
    assert {str(kind) for kind in table.frame.dtypes} >= {"float64", "Int64", "string", "object"}


def test_rates_are_those_of_the_last_seconds(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    table: Any = lab.metrics()
    clock = [100.0]
    records = [MetricRecord("dwarf_flows_started", "{flow}", {"workflow": "<b>", "shard": "1"}, 10)]
    monkeypatch.setattr(table, "_recorder", type("Fake", (), {"metrics": lambda self: records})())
    monkeypatch.setattr(metrics_view.time, "monotonic", lambda: clock[0])  # type: ignore[attr-defined]
    assert table.lines() == [("flows_started", "<b>", "10", "")]
    clock[0] += 2
    records[0] = MetricRecord(records[0].name, "{flow}", records[0].labels, 60)
    assert table.lines() == [("flows_started", "<b>", "60", "25/s")]
    records.append(MetricRecord("dwarf_task_duration_seconds", "s", {"task_name": "T"}, 0.5, 8, (1.0,), (8, 0)))
    assert table.lines()[1] == ("task_duration_seconds", "T", "8 × 500 ms, 95 % within 1.0 s", "4/s")
    clock[0] += 60
    records.pop()
    assert table.lines() == [("flows_started", "<b>", "60", "")]
    assert "<b>" not in table._to_html()


def test_very_many_series_are_bounded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    table: Any = lab.metrics()
    labels = [{"workflow": f"w{index}", "shard": "1"} for index in range(5_000)]
    records = [MetricRecord("dwarf_flows_started", "{flow}", each, index + 1) for index, each in enumerate(labels)]
    monkeypatch.setattr(table, "_recorder", type("Fake", (), {"metrics": lambda self: records})())
    assert len(table.lines()) == 9
    assert table.lines()[-1][1] == "4,992 more, see .frame"
    assert len(table.frame) == 5_000


@pytest.mark.parametrize(
    ("buckets", "share", "bound"),
    [((0, 0), 0.5, None), ((3, 1), 0.5, 1.0), ((1, 3), 0.95, 2.0), ((0, 0, 5), 0.5, float("inf"))],
)
def test_percentiles_are_bounds(buckets: tuple[int, ...], share: float, bound: float | None) -> None:
    assert percentile(MetricRecord("m", "s", {}, 0, sum(buckets), (1.0, 2.0), buckets), share) == bound


def span(id: int, name: str, parent: int, start: float, end: float, **more: Any) -> SpanRecord:
    values = {"attributes": {}, "events": (), "failed": False} | more
    return SpanRecord(name, "t", f"{id}", f"{parent}" if parent else "", at(start), at(end), **values)


def attempt(id: int, name: str, start: float, end: float, status: str, **more: Any) -> SpanRecord:
    attributes = {"workflow.id": "1-1", "workflow.name": "w", "workflow.task": name, "workflow.status": status}
    return span(id, name, 1, start, end, attributes={**attributes, "workflow.step_id": more.pop("step", id)}, **more)


def test_ten_thousand_spans_take_one_line_each_name() -> None:
    root = span(1, "workflow", 0, 0, 0.01, attributes={"workflow.id": "1-1", "workflow.name": "w"})
    spans = [root, *(attempt(index, "read", index / 100, index / 100 + 1, "completed") for index in range(2, 10_002))]
    trace = Trace("w", "1-1-token", spans, Status.COMPLETED, at(0), full=False)
    assert names(trace.timeline()) == ["w", "read"]
    assert len(trace.timeline()) < 30_000
    assert "read ×10,000" in str(trace)
    assert "token" not in trace.timeline() + str(trace) + repr(trace)


def test_a_flow_that_waits_still_is_striped_until_now() -> None:
    events = (SpanEvent("interrupt", at(1)),)
    spans = [attempt(2, "ask", 0, 1, "interrupted", events=events), attempt(3, "other", 0, 60, "completed")]
    assert waits(Trace("w", "1-1-t", spans, Status.INTERRUPTED, at(0), full=False).timeline())[-1] == "interrupted"
    assert not waits(Trace("w", "1-1-t", spans, Status.CANCELLED, at(0), full=False).timeline())


def test_spans_whose_parents_are_forgotten_are_shown_and_it_is_said() -> None:
    trace = Trace(
        "w", "1-1-t", [attempt(2, "a", 0, 1, "failed", failed=True, error="E")], Status.FAILED, at(0), full=True
    )
    assert "only the latest spans" in trace.note
    assert names(trace.timeline()) == ["a"]
    assert trace.frame["duration"].iloc[0] == timedelta(seconds=1)
    assert isinstance(trace.frame, pd.DataFrame)
    assert "1 failed" in str(trace)
