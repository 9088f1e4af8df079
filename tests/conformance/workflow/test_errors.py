"""Errors and error handlers: scenarios 87 to 92."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, TaskError
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.support.workflows import at, install, names

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def rescued(name: str = "rescued") -> Graph:
    """Work, with Rescue to handle its errors."""
    return Graph(name).add_transition("Work", END).add_error_handler("Work", "Rescue").add_transition("Rescue", END)


@pytest.mark.parametrize("fails", [True, False])
async def test_w87_a_handler_takes_over(engine: Engine, host: LocalHost, fails: bool) -> None:
    async def work(flow: Flow) -> None:
        if flow["fails"]:
            raise TaskError("triggered failure")
        flow["result"] = "normal"

    async def handle(flow: Flow) -> None:
        flow["result"] = f"recovered:{flow['onErr']['error']}"

    graph = Graph("handled").add_chain("A", "B", "C", END).add_error_handler("B", "Handler")
    install(host, graph.add_transition("Handler", "C"), B=work, Handler=handle)
    flow = await engine.create("handled", {"fails": fails})
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert outcome.state["result"] == ("recovered:triggered failure" if fails else "normal")
    history = await flow.history()
    assert names(history) == (["A", "B", "Handler", "C"] if fails else ["A", "B", "C"])
    assert at(history, "B").status is Status.COMPLETED
    assert at(history, "B").error == ""


async def test_w88_an_error_voids_what_the_task_wrote(engine: Engine, host: LocalHost) -> None:
    seen: dict[str, Any] = {}

    async def work(flow: Flow) -> None:
        flow["scratch"] = 1
        if flow.get("fails"):
            raise TaskError("broken")

    async def rescue(flow: Flow) -> None:
        seen.update(flow)

    install(host, rescued(), Work=work, Rescue=rescue)
    outcome = await engine.run("rescued", {"fails": True})
    assert outcome.status is Status.COMPLETED
    assert seen == {"fails": True, "onErr": {"error": "broken", "statusCode": 500}}
    assert "scratch" not in outcome.state

    install(host, Graph("alone").add_transition("Work", END))
    outcome = await engine.run("alone", {"fails": True})
    assert (outcome.status, outcome.error) == (Status.FAILED, "broken")
    assert outcome.state == {"fails": True}
    outcome = await engine.run("alone", {})
    assert outcome.state == {"scratch": 1}


@pytest.mark.parametrize("handled", [True, False])
async def test_w89_what_an_earlier_attempt_wrote_is_kept(engine: Engine, host: LocalHost, handled: bool) -> None:
    async def work(flow: Flow) -> None:
        flow[f"att{flow.attempt}"] = True
        if flow.attempt == 0:
            flow.retry()
        raise TaskError("broken")

    seen: dict[str, Any] = {}

    async def rescue(flow: Flow) -> None:
        seen.update(flow)

    graph = rescued("kept") if handled else Graph("kept").add_transition("Work", END)
    install(host, graph, Work=work, Rescue=rescue)
    outcome = await engine.run("kept", {})
    assert outcome.status is (Status.COMPLETED if handled else Status.FAILED)
    assert outcome.state["att0"] is True
    assert "att1" not in outcome.state
    assert seen == ({"att0": True, "onErr": {"error": "broken", "statusCode": 500}} if handled else {})


@pytest.mark.parametrize("handled", [True, False])
async def test_w90_any_exception_counts(engine: Engine, host: LocalHost, handled: bool) -> None:
    reached: list[str] = []

    async def work(flow: Flow) -> None:
        flow.get_as("name", int)
        reached.append("after")

    graph = rescued("typed") if handled else Graph("typed").add_transition("Work", END)
    install(host, graph, Work=work)
    outcome = await engine.run("typed", {"name": "Alice"})
    assert reached == []
    text = outcome.state["onErr"]["error"] if handled else outcome.error
    assert outcome.status is (Status.COMPLETED if handled else Status.FAILED)
    assert "'name'" in text


async def test_w90_an_exception_keeps_its_text_and_traceback_on_the_step(engine: Engine, host: LocalHost) -> None:
    async def work(flow: Flow) -> None:
        raise LookupError("nothing there")

    install(host, Graph("plain").add_transition("Work", END), Work=work)
    flow = await engine.create("plain", {})
    outcome = await flow
    assert (outcome.status, outcome.error) == (Status.FAILED, "nothing there")
    (step,) = await flow.history()
    assert (step.status, step.error) == (Status.FAILED, "nothing there")
    assert step.traceback.rstrip().endswith("LookupError: nothing there")
    assert 'raise LookupError("nothing there")' in step.traceback


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (
            TaskError("teapot", status_code=418, trace=TRACE, k=1),
            {"error": "teapot", "statusCode": 418, "trace": TRACE, "k": 1},
        ),
        (ValueError("plain"), {"error": "plain", "statusCode": 500}),
    ],
)
async def test_w91_what_the_handler_reads(
    engine: Engine, host: LocalHost, error: Exception, fields: dict[str, Any]
) -> None:
    async def work(flow: Flow) -> None:
        raise error

    install(host, rescued(), Work=work)
    outcome = await engine.run("rescued", {})
    assert outcome.state == {"onErr": fields}


async def test_w92_a_loop_over_a_handler(engine: Engine, host: LocalHost) -> None:
    async def work(flow: Flow) -> None:
        if flow.get("count", 0) < 3:
            raise TaskError("not yet")

    async def handle(flow: Flow) -> None:
        flow["count"] = flow.get("count", 0) + 1

    graph = Graph("loop").add_transition("B", END).add_error_handler("B", "Handler").add_transition("Handler", "B")
    install(host, graph, B=work, Handler=handle)
    flow = await engine.create("loop", {})
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert outcome.state["count"] == 3
    assert names(await flow.history()) == ["B", "Handler"] * 3 + ["B"]
