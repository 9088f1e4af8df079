"""Steps that are not due yet, and how they come to be."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from sqlalchemy import update

from dwarf import END, Flow, Graph, Status
from dwarf.storage.operations.due_queue import WOKEN_AT_ONCE
from dwarf.storage.sql.script import Execute, Script, Statement
from dwarf.storage.sql.tables import steps
from dwarf.testing import VirtualClock
from tests.support.workflows import Running

PUT_TO_SLEEP = Statement("put_to_sleep", update(steps).values(asleep=1))


def everybody_sleeps() -> Script[None]:
    """All steps sleep, and oversleep."""
    yield Execute(PUT_TO_SLEEP, {})


def sleeper(order: list[str]) -> Graph:
    """A task that goes away for as long as it is told, and then notes its name."""

    async def doze(flow: Flow) -> None:
        if flow.attempt == 0 and flow["seconds"]:
            flow.retry(delay=flow["seconds"])
        order.append(flow["name"])

    return Graph("sleeper").add_node("Doze", doze).add_transition("Doze", END)


async def test_who_wakes_up_is_taken_in_the_order_of_the_bands(running: Running, clock: VirtualClock) -> None:
    order: list[str] = []
    graph = sleeper(order)
    async with running(workers=1) as engine:
        handles = [
            await engine.create(graph, {"name": name, "seconds": seconds}, priority=priority)
            for name, seconds, priority in (("late", 7200, 1), ("low", 3600, 300), ("high", 3600, 200))
        ]
        await asyncio.gather(*handles)
    assert order == ["high", "low", "late"]


async def test_more_than_wake_in_one_transaction(running: Running) -> None:
    order: list[str] = []
    graph = sleeper(order)
    many = 2 * WOKEN_AT_ONCE + 1
    counts: Counter[str] = Counter()
    async with running(workers=0) as front:
        handles = await front.create_many(graph, [{"name": "many", "seconds": 0}] * many)
        urgent = await front.create(graph, {"name": "urgent", "seconds": 0}, priority=1)
        await front._runtimes[1].database.write(everybody_sleeps)
        async with running(workers=50) as engine:
            database: Any = engine._runtimes[1].database
            database.observer = lambda name, rows: counts.update([name])
            outcomes = await asyncio.gather(*handles, urgent)
            database.observer = None
    assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}
    assert Counter(order) == {"many": many, "urgent": 1}
    assert order.index("urgent") < 50  # though it was the last to wake up
    assert counts["wake_steps"] <= 3


async def test_a_step_that_was_delayed_shows_when_it_was_to_start(running: Running) -> None:
    graph = Graph("delayed")

    async def put_off(flow: Flow) -> None:
        flow.delay(0.05)

    async def after(flow: Flow) -> None:
        flow["done"] = True

    graph.add_node("PutOff", put_off).add_node("After", after).add_chain("PutOff", "After", END)
    async with running() as engine:
        flow = await engine.create(graph)
        assert (await flow).state == {"done": True}
        first, last = await flow.history()
        assert first.updated_at is not None
        assert last.not_before is not None
        assert last.started_at is not None
        assert (last.not_before - last.created_at).total_seconds() == 0.05
        assert last.started_at >= last.not_before
