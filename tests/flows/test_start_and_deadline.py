"""Flows that begin later, and flows that must have ended by a moment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, Timing
from dwarf.errors import InvalidRequest
from dwarf.hosts import LocalHost
from dwarf.testing import VirtualClock
from tests.support.workflows import Running, install

LONG = timedelta(days=3)


async def sleep(flow: Flow) -> None:
    flow.delay(timedelta(days=10))


async def ask(flow: Flow) -> None:
    flow["answer"] = flow.interrupt({"title": "?"})


async def test_a_flow_is_pending_until_its_start(running: Running, host: LocalHost, clock: VirtualClock) -> None:
    install(host, Graph("simple").add_transition("A", END))
    async with running(clock=clock, workers=0) as engine:
        flow = await engine.create("simple", start_at=datetime.now(UTC) + LONG, tags={"a": "b"})
        now = await engine.create("simple")
        assert (await flow.snapshot()).status is Status.PENDING
        assert (await now.snapshot()).status is Status.RUNNING
        (summary,) = [found async for found in engine.flows(status="pending")]
        assert (summary.flow_key, summary.status, summary.started_at) == (flow.key, Status.PENDING, None)
        assert [found.flow_key async for found in engine.flows(status="running")] == [now.key]
        counts = await engine.count()
        assert (counts[Status.PENDING], counts[Status.RUNNING]) == (1, 1)
        (step,) = await flow.history()
        assert step.not_before is not None
        assert step.not_before - step.created_at > LONG - timedelta(minutes=1)
        async with running(clock=clock):
            assert (await flow.outcome(timeout=60)).status is Status.COMPLETED  # the clock jumps
        (done,) = await flow.history()
        assert done.started_at is not None
        assert done.started_at - done.created_at > LONG - timedelta(minutes=1)
        with pytest.raises(InvalidRequest, match="time zone"):
            await engine.create("simple", start_at=datetime(2030, 1, 1))


@pytest.mark.parametrize("what", ["sleeps", "waits", "calls"])
async def test_a_flow_fails_at_its_deadline(running: Running, host: LocalHost, clock: VirtualClock, what: str) -> None:
    install(host, Graph("waits").add_transition("Ask", END), Ask=ask)
    install(host, Graph("sleeps").add_chain("Sleep", "Next", END), Sleep=sleep)
    install(host, Graph("calls").add_transition("Call", END), Call=lambda flow: flow.subgraph("waits"))
    async with running(clock=clock) as engine:
        flow = await engine.create(what, {"kept": 1}, deadline=LONG)
        in_time = await engine.create("waits", deadline=datetime.now(UTC) + 2 * LONG)
        if what != "sleeps":  # nothing sleeps, so that the clock stands still
            assert (await flow.outcome(timeout=60)).status is Status.INTERRUPTED
            await in_time.outcome(timeout=60)
            await in_time.resume(5)
            assert (await in_time.outcome(timeout=60)).state == {"answer": 5}
            clock.advance(LONG)
        async for update in flow.watch():
            outcome = update.outcome
        assert (outcome.status, outcome.error) == (Status.FAILED, "deadline exceeded")
        assert outcome.state == {"kept": 1}
        assert [step.status for step in await flow.history()][-1] is Status.CANCELLED
        children = [found async for found in engine.flows(include_subgraphs=True) if found.is_subgraph]
        assert [child.status for child in children] == ([Status.CANCELLED] if what == "calls" else [])
        again = await flow.retry_failed()
        if what == "waits":
            assert (await again.outcome(timeout=60)).status is Status.INTERRUPTED


async def test_deadlines_pass_while_the_engine_is_busy(running: Running, host: LocalHost) -> None:
    """Nobody rests, and the repairs are an hour away."""

    async def lap(n: int = 0) -> dict[str, int]:
        await asyncio.sleep(0)
        return {"n": n + 1}

    async def late(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": "?"}, timeout=0.1, default="none")

    install(host, Graph("loop").add_switch("Lap", {"n >= 0": "Lap"}, default=END), Lap=lap)
    install(host, Graph("late").add_transition("Late", END), Late=late)
    install(host, Graph("waits").add_transition("Ask", END), Ask=ask)
    async with running(workers=2, timing=Timing(recovery=3600)) as engine:
        loops = [await engine.create("loop") for _ in range(3)]
        asked = await engine.create("late", priority=1)
        due = await engine.create("waits", deadline=0.1, priority=200)  # behind the loops: it never begins
        for flow, status in ((asked, Status.COMPLETED), (due, Status.FAILED)):
            while not (outcome := await flow.snapshot()).status.terminal:
                await asyncio.sleep(0.01)
            assert outcome.status is status
        for flow in loops:
            await flow.cancel()


async def test_an_engine_that_rests_learns_of_a_new_deadline(
    running: Running, host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has looked for work, and sleeps till it is woken; the repairs are an hour away."""
    monkeypatch.setattr("dwarf.engine.shard.dispatcher.LONGEST_WAIT_S", 3600.0)
    install(host, Graph("simple").add_transition("A", END))
    install(host, Graph("waits").add_transition("Ask", END), Ask=ask)
    async with running(timing=Timing(recovery=3600)) as engine:
        await engine.run("simple", timeout=60)
        while not engine._runtimes[1].dispatcher.resting:
            await asyncio.sleep(0.01)
        flow = await engine.create("waits", deadline=0.05)
        async with asyncio.timeout(60):
            while not (await flow.snapshot()).status.terminal:
                await asyncio.sleep(0.01)


async def test_a_deadline_that_has_passed_already(engine: Engine, host: LocalHost) -> None:
    install(host, Graph("waits").add_transition("Ask", END), Ask=ask)
    flow = await engine.create("waits", deadline=datetime(2020, 1, 1, tzinfo=UTC))
    async for update in flow.watch():
        outcome = update.outcome
    assert (outcome.status, outcome.error) == (Status.FAILED, "deadline exceeded")
    ran: list[int] = []
    install(host, Graph("short").add_transition("Note", END), Note=lambda n: ran.append(n))
    past = datetime.now(UTC) - timedelta(seconds=1)
    for late in [await engine.create("short", {"n": n}, deadline=past) for n in range(3)]:
        assert (await late).error == "deadline exceeded"
    assert not ran
    for bad in (0, -1, datetime(2030, 1, 1), "soon"):
        with pytest.raises(InvalidRequest):
            await engine.create("waits", deadline=bad)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="start_at"):
        await engine.schedule("s", "waits", every=60, start_at=datetime.now(UTC))
