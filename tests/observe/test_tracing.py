"""Spans: which there are, how they hang together, and what is on them."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from dwarf import END, Flow, Graph, Status, TaskError
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.observe.memory import Recorder, SpanRecord
from dwarf.observe.tracing import context_of
from dwarf.testing import VirtualClock
from tests.observe.tools import chain, correlation, measured, nothing, tree
from tests.support.workflows import Gate, Running


def rows_of(path: Path, query: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def named(spans: list[SpanRecord], name: str) -> SpanRecord:
    (found,) = [span for span in spans if span.name == name]
    return found


async def test_a_chain_is_one_trace(running: Running, recorder: Recorder) -> None:
    graph = chain("Chain", First=nothing, Second=nothing)
    async with running(**measured(recorder)) as engine:
        flow = await engine.create(graph, {"x": 1})
        await flow
        key = correlation(flow.key)
        steps = await flow.history()
    spans = recorder.flow(key)
    assert tree(spans) == [["workflow", "First", "Second"]]
    root, first, _ = spans
    assert root.attributes == {"workflow.name": "Chain", "workflow.id": key}
    assert first.attributes == {
        "workflow.id": key,
        "workflow.name": "Chain",
        "workflow.task": "tests.observe.tools.nothing",
        "workflow.step_id": steps[0].id,
        "workflow.attempt": 0,
        "workflow.status": "completed",
    }
    assert not any(span.failed or span.events for span in spans)
    assert all(span.started <= span.ended for span in spans)


async def test_each_flow_is_a_trace_of_its_own_whoever_asks(running: Running, recorder: Recorder) -> None:
    graph = chain("Chain", Only=nothing)
    tracer = recorder.tracer_provider.get_tracer("the caller")
    async with running(**measured(recorder)) as engine:
        with tracer.start_as_current_span("request"):
            await engine.run(graph)
            await engine.run(graph)
    assert sorted(map(str, tree(recorder.spans()))) == ["['workflow', 'Only']"] * 2 + ["request"]
    assert len({span.trace_id for span in recorder.spans()}) == 3


async def test_branches_and_their_fan_in_lie_under_the_flow(running: Running, recorder: Recorder) -> None:
    graph = Graph("Fan").add_node("Split", nothing).add_node("Work", nothing).add_node("Join", nothing, fan_in=True)
    graph.add_for_each("Split", "Work", items="items").add_chain("Work", "Join", END)
    async with running(**measured(recorder)) as engine:
        await engine.run(graph, {"items": [1, 2, 3]})
    assert tree(recorder.spans()) == [["workflow", "Split", "Work", "Work", "Work", "Join"]]


async def test_a_child_flow_lies_under_the_step_that_calls_it(running: Running, recorder: Recorder) -> None:
    inner = chain("Inner", Deep=nothing)

    async def call(flow: Flow) -> None:
        flow.subgraph(inner, {})

    async with running(**measured(recorder)) as engine:
        flow = await engine.create(chain("Outer", Call=call, After=nothing))
        await flow
    spans = recorder.flow(correlation(flow.key))
    assert tree(spans) == [["workflow", ["Call", ["workflow", "Deep"]], "Call", "After"]]
    calling, again = [span for span in spans if span.name == "Call"]
    child = spans[2]
    (event,) = calling.events
    assert (event.name, event.attributes["workflow.id"]) == ("subgraph", child.attributes["workflow.id"])
    assert calling.attributes["workflow.status"] == "subgraph"
    assert [(event.name, event.attributes["kind"]) for event in again.events] == [("resumed", "subgraph")]


async def test_a_retry_is_another_span(running: Running, recorder: Recorder, clock: VirtualClock) -> None:
    async def flaky(flow: Flow) -> None:
        if flow.attempt < 2:
            flow.retry(delay=60)

    async with running(**measured(recorder)) as engine:
        await engine.run(chain("Flaky", Flaky=flaky))
    assert tree(recorder.spans()) == [["workflow", "Flaky", "Flaky", "Flaky"]]
    _, *attempts = recorder.spans()
    assert [span.attributes["workflow.attempt"] for span in attempts] == [0, 1, 2]
    assert [span.attributes["workflow.status"] for span in attempts] == ["retried", "retried", "completed"]
    assert attempts[0].events[0].name == "retry"
    assert attempts[0].events[0].attributes == {"delay_ms": 60_000}


async def test_a_flow_goes_on_in_its_trace_on_another_engine(tmp_path: Path, host: LocalHost) -> None:
    async def ask(flow: Flow) -> dict[str, object]:
        return {"answer": flow.interrupt({"title": "go on?"}, timeout=3600)}

    graph = chain("Careful", Before=nothing, Ask=ask, After=nothing)
    host.add_graph(graph)
    url = f"sqlite:///{tmp_path / 'flows.db'}"
    first, second = Recorder(), Recorder()
    async with Engine(host, url, **measured(first)) as engine:
        flow = await engine.create("Careful")
        assert (await flow).status is Status.INTERRUPTED
    async with Engine(host, url, **measured(second)) as engine:
        again = engine.flow(flow.key)
        await again.resume("yes")
        assert (await again).status is Status.COMPLETED
    before, after = first.spans(), second.spans()
    assert tree(before) == [["workflow", "Before", "Ask"]]
    assert tree(before + after) == [["workflow", "Before", "Ask", "Ask", "After"]]
    assert {span.trace_id for span in before} == {span.trace_id for span in after}
    asked, answered = named(before, "Ask"), named(after, "Ask")
    assert [(event.name, dict(event.attributes)) for event in asked.events] == [
        ("interrupt", {"timeout_ms": 3_600_000})
    ]
    assert [event.name for event in answered.events] == ["resumed"]
    assert answered.events[0].attributes == {"kind": "interrupt", "answers": 1, "timed_out": False}
    ((stored,),) = rows_of(tmp_path / "flows.db", "SELECT trace_parent FROM dwarf_flows")
    assert stored.startswith(f"00-{before[0].trace_id}-{before[0].span_id}-")
    first.close()
    second.close()


async def test_what_a_task_opens_lies_under_its_span_also_in_threads(running: Running, recorder: Recorder) -> None:
    tracer = recorder.tracer_provider.get_tracer("mine")

    async def deeper() -> None:
        with tracer.start_as_current_span("in a task of the task"):
            await asyncio.sleep(0)

    async def on_the_loop(flow: Flow) -> None:
        with tracer.start_as_current_span("on the loop"):
            await asyncio.create_task(deeper())

    def in_a_thread(flow: Flow) -> None:
        with tracer.start_as_current_span("in a thread"):
            pass

    async with running(**measured(recorder)) as engine:
        await engine.run(chain("Mixed", Loop=on_the_loop, Thread=in_a_thread))
    assert tree(recorder.spans()) == [
        ["workflow", ["Loop", ["on the loop", "in a task of the task"]], ["Thread", "in a thread"]]
    ]


async def test_tasks_at_the_same_time_do_not_take_each_others_spans(running: Running, recorder: Recorder) -> None:
    tracer = recorder.tracer_provider.get_tracer("mine")
    gate = Gate()

    async def work(flow: Flow, item: int) -> None:
        await gate.wait()
        with tracer.start_as_current_span(f"item {item}") as span:
            span.set_attribute("step", flow.step_key.rpartition("-")[0])

    graph = Graph("Fan").add_node("Split", nothing).add_node("Work", work).add_node("Join", nothing, fan_in=True)
    graph.add_for_each("Split", "Work", items="items").add_chain("Work", "Join", END)
    async with running(**measured(recorder)) as engine:
        flow = await engine.create(graph, {"items": list(range(8))})
        await gate.reached(8)
        gate.open()
        await flow
    spans = {span.span_id: span for span in recorder.spans()}
    mine = [span for span in spans.values() if span.name.startswith("item")]
    assert len(mine) == 8
    for span in mine:
        parent = spans[span.parent_id]
        assert parent.name == "Work"
        assert span.attributes["step"] == f"1-{parent.attributes['workflow.step_id']}"


async def test_an_error_is_recorded_by_its_class_and_place(running: Running, recorder: Recorder) -> None:
    async def broken(flow: Flow) -> None:
        raise TaskError(f"the card {flow['card']} is refused")

    async with running(**measured(recorder)) as engine:
        outcome = await engine.run(chain("Broken", Broken=broken), {"card": "4000-0012"})
    assert outcome.error == "the card 4000-0012 is refused"
    span = named(recorder.spans(), "Broken")
    assert span.failed
    assert span.error == "dwarf.errors.TaskError"
    (event,) = span.events
    assert event.name == "exception"
    assert event.attributes["exception.type"] == "dwarf.errors.TaskError"
    assert "test_tracing.py" in event.attributes["exception.stacktrace"]
    assert event.attributes["exception.stacktrace"].endswith(", in broken")
    assert "4000-0012" not in str(span)  # not a part of it: times and ids are numbers, too


async def test_a_failure_that_no_task_raised_is_one_too(running: Running, recorder: Recorder) -> None:
    async def both(flow: Flow) -> None:
        flow.goto("Both")
        flow.interrupt()

    async with running(**measured(recorder)) as engine:
        outcome = await engine.run(chain("Both", Both=both))
    assert outcome.status is Status.FAILED
    span = named(recorder.spans(), "Both")
    assert (span.failed, span.attributes["workflow.status"]) == (True, "failed")


async def test_an_error_that_is_routed_is_told_apart(running: Running, recorder: Recorder) -> None:
    async def broken(flow: Flow) -> None:
        raise KeyError("x")

    graph = Graph("Routed").add_node("Broken", broken).add_node("Mend", nothing)
    graph.add_error_handler("Broken", "Mend").add_chain("Mend", END)
    async with running(**measured(recorder)) as engine:
        outcome = await engine.run(graph)
        assert outcome.status is Status.COMPLETED
    span = named(recorder.spans(), "Broken")
    assert outcome.state["onErr"]["trace"] == span.trace_id
    assert (span.failed, span.error, span.attributes["workflow.status"]) == (True, "KeyError", "error_routed")
    assert not named(recorder.spans(), "Mend").failed


async def test_a_delay_is_an_event(running: Running, recorder: Recorder, clock: VirtualClock) -> None:
    async def later(flow: Flow) -> None:
        flow.delay(30)

    async with running(**measured(recorder)) as engine:
        await engine.run(chain("Later", Later=later, Then=nothing))
    (event,) = named(recorder.spans(), "Later").events
    assert (event.name, dict(event.attributes)) == ("delay", {"delay_ms": 30_000})


async def test_a_discarded_outcome_is_marked(running: Running, recorder: Recorder) -> None:
    gate = Gate()

    async def slow(flow: Flow) -> None:
        await gate.wait()

    async with running(**measured(recorder)) as engine:
        flow = await engine.create(chain("Slow", Slow=slow))
        await gate.reached()
        await flow.cancel()
        gate.open()
    assert named(recorder.spans(), "Slow").attributes["workflow.status"] == "fenced"


async def test_an_attempt_that_is_given_up_ends_its_span(running: Running, recorder: Recorder) -> None:
    gate = Gate()

    async def slow(flow: Flow) -> None:
        await gate.wait()

    async with running(**measured(recorder)) as engine:
        await engine.create(chain("Slow", Slow=slow))
        await gate.reached()
        await engine.aclose(grace=0)
    (event,) = named(recorder.spans(), "Slow").events
    assert event.name == "given up"


async def test_a_second_create_with_the_same_key_leaves_no_span(running: Running, recorder: Recorder) -> None:
    graph = chain("Chain", Only=nothing)
    async with running(**measured(recorder)) as engine:
        for _ in range(3):
            await (await engine.create(graph, idempotency_key="once"))
    assert tree(recorder.spans()) == [["workflow", "Only"]]


async def test_a_flow_that_is_not_sampled_is_not_sampled_anywhere(tmp_path: Path, host: LocalHost) -> None:
    async def ask(flow: Flow) -> None:
        flow.interrupt()

    host.add_graph(chain("Ask", Ask=ask))
    url = f"sqlite:///{tmp_path / 'flows.db'}"
    sparse, everything = TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False), Recorder()
    async with Engine(host, url, tracer_provider=sparse) as engine:
        flow = await engine.create("Ask")
        await flow
    async with Engine(host, url, tracer_provider=everything.tracer_provider) as engine:
        again = engine.flow(flow.key)
        await again.resume()
        assert (await again).status is Status.COMPLETED
        assert everything.spans() == []
        await engine.run("Ask")
    assert tree(everything.spans()) == [["workflow", "Ask"]]
    everything.close()


async def test_a_fork_and_a_further_turn_begin_traces(running: Running, recorder: Recorder) -> None:
    graph = chain("Chain", First=nothing, Second=nothing)
    async with running(**measured(recorder)) as engine:
        flow = await engine.create(graph)
        await flow
        fork = await engine.fork((await flow.history())[1])
        await fork
        turn = await flow.continue_with({"x": 1})
        await turn
    assert tree(recorder.flow(correlation(flow.key))) == [["workflow", "First", "Second"]]
    assert tree(recorder.flow(correlation(fork.key))) == [["workflow", "Second"]]
    assert tree(recorder.flow(correlation(turn.key))) == [["workflow", "First", "Second"]]
    assert len({span.trace_id for span in recorder.spans()}) == 3


async def test_an_imported_flow_begins_a_trace(running: Running, recorder: Recorder) -> None:
    async def ask(flow: Flow) -> None:
        flow.interrupt("well?")

    async with running(**measured(recorder)) as engine:
        flow = await engine.create(chain("Chain", First=nothing, Ask=ask))
        await flow
        (moved,) = await engine.import_flows([line async for line in engine.export_flows(flow.key)])
        await moved.resume(1)
        await moved
    assert tree(recorder.flow(correlation(flow.key))) == [["workflow", "First", "Ask"]]
    assert tree(recorder.flow(correlation(moved.key))) == [["workflow", "Ask"]]
    assert len({span.trace_id for span in recorder.spans()}) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"00-{'0' * 32}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'0' * 16}-01",
        f"ff-{'1' * 32}-{'1' * 16}-01",
        "00-x-y-01",
    ],
)
def test_a_malformed_trace_parent_begins_a_trace(text: str) -> None:
    assert not trace.get_current_span(context_of(text)).get_span_context().is_valid


def test_a_trace_parent_is_read() -> None:
    context = trace.get_current_span(context_of(f"00-{'a' * 32}-{'b' * 16}-01")).get_span_context()
    assert (f"{context.trace_id:032x}", f"{context.span_id:016x}") == ("a" * 32, "b" * 16)
    assert context.is_remote
    assert context.trace_flags.sampled
