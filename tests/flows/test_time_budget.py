"""Tasks that take longer than they may."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.support.workflows import at, install

BUDGET = 0.5  # of every task in these flows, so that a busy machine must manage the handlers in it too


def routed(task: Any) -> Graph:
    async def late(flow: Flow) -> None:
        flow["late"] = flow["onErr"]["error"]

    graph = Graph("slow").add_node("Slow", task).add_node("Late", late)
    return graph.add_transition("Slow", END).add_error_handler("Slow", "Late").add_transition("Late", END)


async def test_a_coroutine_is_cancelled(engine: Engine) -> None:
    ends: list[str] = []

    async def slow(flow: Flow) -> None:
        flow["written"] = True
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("cleaned up")

    outcome = await engine.run(Graph("slow").add_node("Slow", slow).add_transition("Slow", END), time_budget=BUDGET)
    assert outcome.status is Status.FAILED
    assert "time budget of 0.5 s" in outcome.error
    assert outcome.state == {}
    assert ends == ["cleaned up"]


async def test_exceeding_the_budget_can_be_handled(engine: Engine) -> None:
    async def slow() -> None:
        await asyncio.Event().wait()

    outcome = await engine.run(routed(slow), time_budget=BUDGET)
    assert outcome.status is Status.COMPLETED
    assert "time budget" in outcome.state["late"]


async def test_a_function_is_abandoned_and_its_late_result_discarded(engine: Engine, host: LocalHost) -> None:
    release, ended = threading.Event(), threading.Event()

    def slow(flow: Flow) -> dict[str, Any]:
        assert release.wait(60)
        flow["late_write"] = True
        ended.set()
        return {"late_result": True}

    flow = await engine.create(routed(slow), time_budget=BUDGET)
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert "time budget" in outcome.state["late"]
    assert host.free_threads < 32, "its thread counts until the function has really ended"
    release.set()
    await host.aclose(grace=20)
    assert ended.is_set()
    assert host.free_threads == 32
    assert (await flow.snapshot()).state == outcome.state
    assert set(outcome.state) == {"onErr", "late"}


async def test_a_late_park_of_an_abandoned_function_is_discarded(engine: Engine, host: LocalHost) -> None:
    release = threading.Event()

    def slow(flow: Flow) -> None:
        assert release.wait(60)
        flow.interrupt({"title": "too late"})

    flow = await engine.create(routed(slow), time_budget=BUDGET)
    await flow
    release.set()
    await host.aclose(grace=20)
    assert (await flow.snapshot()).status is Status.COMPLETED


async def test_the_budget_is_for_each_call(engine: Engine) -> None:
    """Parks and retries begin a new one, and a child flow inherits it."""

    async def half(flow: Flow) -> None:
        await asyncio.sleep(1.2)  # three times, which is more than the budget, and leaves a busy machine as much again
        if flow.attempt < 2:
            flow.retry()

    async def never() -> None:
        await asyncio.Event().wait()

    async def call(flow: Flow) -> None:
        flow.subgraph(Graph("child").add_node("Never", never).add_transition("Never", END))

    graph = Graph("parts").add_node("Half", half, time_budget=3).add_node("Call", call).add_chain("Half", "Call", END)
    flow = await engine.create(graph, time_budget=BUDGET)
    outcome = await flow.outcome(timeout=60)
    assert outcome.status is Status.FAILED
    assert outcome.error.startswith("the task exceeded its time budget of 0.5 s")
    assert at(await flow.history(), "Half").attempt == 2


async def test_a_task_that_will_not_be_cancelled_is_waited_for(engine: Engine) -> None:
    release = asyncio.Event()
    refused = asyncio.Event()

    async def stubborn(flow: Flow) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            refused.set()
            await release.wait()
            raise

    flow = await engine.create(routed(stubborn), time_budget=BUDGET)
    await refused.wait()
    assert (await flow.snapshot()).status is Status.RUNNING
    release.set()
    assert "time budget" in (await flow).state["late"]


async def test_blocking_the_loop_is_named_in_the_log(
    engine: Engine, host: LocalHost, caplog: pytest.LogCaptureFixture
) -> None:
    async def blocks_everything() -> None:
        time.sleep(2.0)  # what this test is about

    install(host, Graph("block").add_transition("Blocker", END), Blocker=blocks_everything)
    with caplog.at_level(logging.WARNING, "dwarf.engine"):
        outcome = await engine.run("block", timeout=60)
    assert outcome.status is Status.COMPLETED
    (record,) = [record for record in caplog.records if "stood still" in record.message]
    assert "Blocker" in record.message
    assert "time.sleep(2.0)" in record.message


async def test_blocking_the_loop_beyond_the_budget_is_a_time_out(engine: Engine) -> None:
    async def blocks(flow: Flow) -> None:
        flow["written"] = True
        time.sleep(BUDGET * 2)

    outcome = await engine.run(routed(blocks), time_budget=BUDGET, timeout=60)
    assert outcome.status is Status.COMPLETED, outcome.error
    assert "time budget" in outcome.state["late"]
    assert "written" not in outcome.state


@pytest.mark.parametrize("wrong", [0, -1, 0.0001, "1", float("nan"), True])
async def test_a_budget_that_is_none(engine: Engine, wrong: Any) -> None:
    with pytest.raises(ValueError, match="time_budget"):
        await engine.create(Graph("g").add_node("A", lambda: None).add_transition("A", END), time_budget=wrong)
