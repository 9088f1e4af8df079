"""Waiting here for what happens there: how soon, and at what cost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from statistics import median
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.engine.shard import polling
from tests.support.workflows import Gate, Running

pytestmark = pytest.mark.server

TIMES = 21


def gated(gates: dict[int, Gate]) -> Graph:
    async def hold(flow: Flow) -> None:
        await gates[flow["n"]].wait()

    return Graph("gated").add_node("Hold", hold).add_transition("Hold", END)


async def acquainted(one: Engine, two: Engine, database: str) -> None:
    """Wait until two engines know of each other, where they talk."""
    if database == "postgresql":
        async with asyncio.timeout(60):
            while [await engine._runtimes[1].database.living() for engine in (one, two)] != [2, 2]:
                await asyncio.sleep(0.01)


async def test_a_waiter_hears_soon_of_a_stop_elsewhere(
    running: Running, database: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "ANYWAY_S", 3600.0)  # no look as a precaution hides that nothing was heard
    gates = {number: Gate() for number in range(TIMES)}
    graph = gated(gates)
    took: list[float] = []
    async with running(workers=0) as front, running() as back:
        await acquainted(front, back, database)
        for number in range(TIMES):
            flow = await front.create(graph, {"n": number})
            waiting = asyncio.create_task(flow.outcome(timeout=60))
            await gates[number].reached()
            await asyncio.sleep(0.05 + 0.01 * number)  # it has waited for a while
            begun = time.perf_counter()
            gates[number].open()
            assert (await waiting).status is Status.COMPLETED
            took.append(time.perf_counter() - begun)
    with capsys.disabled():
        print(
            f"\n{database}: woken by another process after {median(took) * 1000:.1f} ms (median), {max(took):.3f} s at most"
        )


async def test_work_made_here_is_soon_begun_there(
    running: Running, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "ANYWAY_S", 3600.0)
    begun: list[int] = []

    async def note(flow: Flow) -> None:
        begun.append(flow["n"])

    graph = Graph("note").add_node("Note", note).add_transition("Note", END)
    async with running(workers=0) as front, running() as back:
        await acquainted(front, back, database)
        for number in range(TIMES):
            await asyncio.sleep(0.05)
            await (await front.create(graph, {"n": number})).outcome(timeout=60)
    assert begun == list(range(TIMES))


async def test_many_who_wait_cost_no_more_than_one(running: Running, database: str) -> None:
    gates = {0: Gate()}
    graph = gated(gates)
    async with running(workers=0) as front, running(workers=400) as back:
        await acquainted(front, back, database)
        flows = await front.create_many(graph, [{"n": 0}] * 300)
        waiting = [asyncio.create_task(flow.outcome(timeout=60)) for flow in flows]
        await gates[0].reached(300)
        await asyncio.sleep(0.3)
        counts: Counter[str] = Counter()
        shard: Any = front._runtimes[1].database
        shard.observer = lambda name, rows: counts.update((name,))
        begun = time.perf_counter()
        await asyncio.sleep(1.5)
        shard.observer = None
        looks = (time.perf_counter() - begun) / (
            polling.ANYWAY_S if database == "postgresql" else polling.SLOWEST_LOOK_S
        )
        assert counts["flow_statuses"] <= 3 + looks
        assert counts["flow_outcome"] == 0
        gates[0].open()
        outcomes = await asyncio.gather(*waiting)
        assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}


async def test_news_that_are_lost_are_found_out(
    running: Running, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = {0: Gate()}
    graph = gated(gates)
    async with running(workers=0) as front, running() as back:
        await acquainted(front, back, database)
        flow = await front.create(graph, {"n": 0})
        waiting = asyncio.create_task(flow.outcome(timeout=60))
        await gates[0].reached()
        monkeypatch.setattr(back._runtimes[1].database, "notify", lambda work_due, stopped: None)
        gates[0].open()
        assert (await waiting).status is Status.COMPLETED
