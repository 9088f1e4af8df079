"""Retries with a horizon, and delays of days, on the database's clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, TaskError
from dwarf.engine import Engine
from dwarf.errors import InvalidRequest
from dwarf.testing import VirtualClock
from tests.support.workflows import Running, at, until_steps

DAY = 86_400


def alone(task: Any) -> Graph:
    return Graph("alone").add_node("Task", task).add_transition("Task", END)


async def test_a_week_of_retries(engine: Engine, clock: VirtualClock) -> None:
    async def flaky(flow: Flow) -> None:
        if flow.attempt < 7:
            flow.retry(delay=timedelta(days=1))
        flow["attempt"] = flow.attempt

    outcome = await engine.run(alone(flaky))
    assert outcome.state == {"attempt": 7}
    assert 6.9 * DAY < clock.offset_ms / 1000 <= 7 * DAY


@pytest.mark.parametrize(("horizon", "runs"), [(1, 1), (9, 1), (11, 2), (31, 3), (71, 4), (500, 6), (1000, 9)])
async def test_the_horizon_is_measured_by_the_database(
    engine: Engine, clock: VirtualClock, horizon: float, runs: int
) -> None:
    """Runs after 0, 10, 30, 70, 150, 310, 510 … hours: a retry is granted where it begins before the horizon."""
    ran: list[int] = []

    async def never(flow: Flow) -> None:
        ran.append(flow.attempt)
        flow.retry(delay=timedelta(hours=10), factor=2, max_delay=timedelta(hours=200), give_up_after=horizon * 3600)
        raise TaskError("given up")

    outcome = await engine.run(alone(never))
    assert (outcome.status, outcome.error) == (Status.FAILED, "given up")
    assert ran == list(range(runs))


async def test_the_horizon_counts_from_the_creation_of_the_step(engine: Engine, clock: VirtualClock) -> None:
    async def wait(flow: Flow) -> None:
        flow.delay(10 * DAY)

    async def never(flow: Flow) -> None:
        flow.retry(delay=1, give_up_after=DAY)
        raise TaskError("given up")

    graph = Graph("late").add_node("Wait", wait).add_node("Never", never).add_chain("Wait", "Never", END)
    flow = await engine.create(graph)
    outcome = await flow
    assert outcome.error == "given up"
    assert at(await flow.history(), "Never").attempt == 0


async def test_a_delay_survives_a_restart(running: Running, clock: VirtualClock) -> None:
    clock.auto = False
    ran: list[str] = []

    async def first(flow: Flow) -> None:
        ran.append("first")
        flow.delay(timedelta(days=3))

    async def second(flow: Flow) -> None:
        ran.append("second")

    graph = Graph("days").add_node("First", first).add_node("Second", second).add_chain("First", "Second", END)
    async with running(workers=0) as keeper:  # keeps a database in memory alive
        async with running() as engine:
            flow = await engine.create(graph)
            history = await until_steps(flow, lambda steps: len(steps) == 2)
            due = history[1].not_before
            assert due is not None
            assert due - history[0].updated_at == timedelta(days=3)
        clock.advance(timedelta(days=3) - timedelta(minutes=5))
        async with running() as engine:
            assert (await engine.flow(flow.key).poll(timeout=0.2)).status is Status.RUNNING
            assert ran == ["first"]
            clock.advance(timedelta(minutes=6))
            assert (await engine.flow(flow.key)).status is Status.COMPLETED
        assert ran == ["first", "second"]
        assert (await keeper.flow(flow.key)).status is Status.COMPLETED


async def test_without_the_jump_nothing_moves(engine: Engine, clock: VirtualClock) -> None:
    clock.auto = False

    async def wait(flow: Flow) -> None:
        if flow.attempt == 0:
            flow.retry(delay=DAY)

    flow = await engine.create(alone(wait))
    await until_steps(flow, lambda steps: steps[0].attempt == 1)
    assert (await flow.poll(timeout=0.1)).status is Status.RUNNING
    clock.advance(DAY / 2)
    assert (await flow.poll(timeout=0.1)).status is Status.RUNNING
    clock.advance(DAY / 2)
    assert (await flow.outcome(timeout=60)).status is Status.COMPLETED


async def test_the_clock_jumps_from_one_due_step_to_the_next(engine: Engine, clock: VirtualClock) -> None:
    order: list[int] = []

    async def split(flow: Flow) -> None:
        flow["items"] = list(range(50))

    async def wait(flow: Flow, item: int) -> None:
        if flow.attempt == 0:
            flow.retry(delay=timedelta(hours=50 - item))
        order.append(item)

    graph = Graph("due").add_node("Split", split).add_for_each("Split", "Wait", items="items").add_node("Wait", wait)
    graph.add_node("Join", split, fan_in=True).add_chain("Wait", "Join", END)
    assert (await engine.run(graph)).status is Status.COMPLETED
    assert order == list(range(49, -1, -1))
    assert 49 < clock.offset_ms / 3_600_000 <= 50


async def test_delays_without_a_virtual_clock(engine: Engine) -> None:
    async def wait(flow: Flow) -> None:
        if flow.attempt == 0:
            flow.retry(delay=0.02)
        flow.delay(0.02)

    flow = await engine.create(Graph("short").add_node("A", wait).add_node("B", wait).add_chain("A", "B", END))
    assert (await flow.outcome(timeout=60)).status is Status.COMPLETED
    history = await flow.history()
    started = at(history, "B").started_at
    assert started is not None
    assert (started - history[0].created_at).total_seconds() >= 0.04


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "1", None, True])
async def test_a_duration_that_is_none(engine: Engine, wrong: Any) -> None:
    async def wait(flow: Flow) -> None:
        flow.delay(wrong)

    outcome = await engine.run(alone(wait))
    assert outcome.status is Status.FAILED
    assert "delay" in outcome.error


def test_the_virtual_clock_does_not_go_back() -> None:
    with pytest.raises(InvalidRequest):
        VirtualClock().advance(-1)
