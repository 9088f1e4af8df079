"""Waiting for flows, and ending them from outside: scenarios 91 to 97."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, FlowHandle
from dwarf.errors import EngineClosed, FlowNotFound, InvalidRequest, StateConflict, StorageError, WaitTimeout
from dwarf.failpoints import Failpoints
from dwarf.hosts import LocalHost
from tests.conformance.engine.tools import Gate, nodes, nothing, query, scalar, statuses

UNKNOWN = "1-999999-0123456789abcdef"


@pytest.fixture
def gate(host: LocalHost) -> Gate:
    """What the task Wait waits at."""
    gate = Gate()

    @host.task(url="Wait")
    async def Wait(flow: Flow) -> None:
        await gate.pass_()
        flow["waited"] = True

    host.add_task("B", nothing)
    return gate


def waiting() -> Graph:
    """Wait, then B."""
    return Graph("g").add_chain("Wait", "B", END)


async def test_e91_waiting_for_what_has_ended_or_is_not_there(host: LocalHost, engine: Engine, gate: Gate) -> None:
    gate.open()
    handle = await engine.create(waiting())
    outcome = await handle
    assert await engine.flow(handle.key).outcome(timeout=60) == outcome
    wrong = handle.key[:-1] + ("0" if handle.key[-1] != "0" else "1")
    for key in (UNKNOWN, wrong, "2-1-0123456789abcdef"):
        for call in (
            engine.flow(key).outcome(timeout=60),
            engine.flow(key).poll(timeout=60),
            engine.flow(key).snapshot(),
        ):
            with pytest.raises(FlowNotFound):
                await call
    for key in ("", "1", "1-2", "x-1-abc", "0-1-abc", "1-1_0-abc", "1-99999999999999999999-abc", "-1-2-abc"):
        with pytest.raises(InvalidRequest):
            engine.flow(key)


async def test_e91_shutdown_wakes_who_waits(host: LocalHost, running: Any, failpoints: Failpoints, gate: Gate) -> None:
    async with running(workers=0) as engine:
        handle: FlowHandle = await engine.create(waiting())
        waiters = [asyncio.create_task(handle.outcome()) for _ in range(3)]
        await failpoints.seen("awaitParked", 3)
        async with asyncio.timeout(60):
            await engine.aclose()
        for result in await asyncio.gather(*waiters, return_exceptions=True):
            assert isinstance(result, EngineClosed)
        with pytest.raises(EngineClosed):
            await handle.outcome()


async def test_e91_shutdown_after_a_grace_gives_the_step_back(
    host: LocalHost, running: Any, failpoints: Failpoints, gate: Gate
) -> None:
    async with running(workers=0) as other:
        async with running() as engine:
            handle: FlowHandle = await engine.create(waiting())
            await gate.reached()
            waiter = asyncio.create_task(handle.outcome())
            await failpoints.seen("awaitParked")
            async with asyncio.timeout(60):
                await engine.aclose(grace=0.05)
            with pytest.raises(EngineClosed):
                await waiter
        assert await query(other, "SELECT status, attempt, crashes FROM dwarf_steps") == [("pending", 0, 0)]


async def test_e92_poll_returns_the_running_outcome(host: LocalHost, engine: Engine, gate: Gate) -> None:
    handle = await engine.create(waiting())
    outcome = await handle.poll(timeout=0.02)
    assert outcome.status is Status.RUNNING
    assert not outcome.stopped
    assert outcome.state == {}
    with pytest.raises(WaitTimeout) as caught:
        await handle.outcome(timeout=0.02)
    assert caught.value.flow_key == handle.key
    gate.open()
    assert (await handle.poll(timeout=60)).status is Status.COMPLETED


async def test_e93_lost_signal_only_delays_the_wake(
    host: LocalHost, engine: Engine, failpoints: Failpoints, gate: Gate
) -> None:
    handle = await engine.create(waiting())
    failpoints.lose(f"dropStop:{handle.key.split('-')[1]}")
    by_creator = asyncio.create_task(handle.outcome(timeout=60))
    by_key = asyncio.create_task(engine.flow(handle.key).outcome(timeout=60))
    await failpoints.seen("awaitParked", 2)
    gate.open()
    assert (await by_creator).status is Status.COMPLETED
    assert (await by_key).state == {"waited": True}


async def test_e93_wake_without_a_stop_is_not_delivered(
    host: LocalHost, engine: Engine, failpoints: Failpoints, gate: Gate
) -> None:
    handle = await engine.create(waiting())
    waiter = asyncio.create_task(engine.flow(handle.key).outcome(timeout=60))
    await failpoints.seen("awaitParked")
    await gate.reached()
    engine._runtimes[1].waiters.release(int(handle.key.split("-")[1]))
    await failpoints.seen("awaitParked", 2)
    assert not waiter.done()
    gate.open()
    assert (await waiter).status is Status.COMPLETED


async def test_e94_run_that_waits_no_longer_leaves_the_flow(host: LocalHost, engine: Engine, gate: Gate) -> None:
    with pytest.raises(WaitTimeout) as caught:
        await engine.run(waiting(), timeout=0.05)
    handle = engine.flow(caught.value.flow_key)
    assert (await handle.snapshot()).status is Status.RUNNING
    await handle.cancel()
    assert (await handle).status is Status.CANCELLED
    run = asyncio.create_task(engine.run(waiting()))
    await gate.reached(2)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert await scalar(engine, "SELECT COUNT(*) FROM dwarf_flows WHERE status = 'running'") == 1
    gate.open()


@pytest.mark.parametrize("first", ["completion", "cancel"])
async def test_e95_completion_against_a_cancel(
    host: LocalHost, running: Any, failpoints: Failpoints, gate: Gate, first: str
) -> None:
    gate.open()
    async with running() as engine, running(workers=0) as other:
        held = failpoints.checkpoint("beforeCommit:complete" if first == "cancel" else "afterCommit:complete")
        handle: FlowHandle = await engine.create(waiting())
        await held.arrived()
        if first == "cancel":
            await other.flow(handle.key).cancel("first")
        else:
            with pytest.raises(StateConflict):
                await other.flow(handle.key).cancel("late")
        held.release()
        outcome = await handle
        if first == "cancel":
            assert outcome.status is Status.CANCELLED
            assert outcome.cancel_reason == "first"
            assert await statuses(handle, "B") == {Status.CANCELLED: 1}
        else:
            assert outcome.status is Status.COMPLETED
            assert outcome.state == {"waited": True}


async def test_e96_cancel_between_the_end_of_a_task_and_its_outcome(
    host: LocalHost, running: Any, failpoints: Failpoints, gate: Gate
) -> None:
    gate.open()
    async with running() as engine, running(workers=0) as other:
        held = failpoints.checkpoint("beforeCommit:Wait")
        handle: FlowHandle = await engine.create(waiting())
        await held.arrived()
        await other.flow(handle.key).cancel()
        held.release()
        await failpoints.seen("afterCommit:Wait")
        assert (await handle).status is Status.CANCELLED
        assert await nodes(handle) == ["Wait"]
        assert failpoints.passed["executeTask:B"] == 0


@pytest.mark.parametrize("operation", ["cancel", "resume"])
async def test_e97_operation_that_fails_changes_nothing(
    host: LocalHost, engine: Engine, failpoints: Failpoints, gate: Gate, operation: str
) -> None:
    @host.task(url="Ask")
    async def Ask(flow: Flow) -> None:
        flow["answer"] = flow.interrupt("x")

    handle = await engine.create(Graph("g").add_transition("Ask", END))
    await handle
    before = await query(engine, "SELECT * FROM dwarf_steps")
    failpoints.fault("commit:operation", lambda: StorageError("injected"))
    call = handle.cancel if operation == "cancel" else handle.resume
    with pytest.raises(StorageError, match="injected"):
        await call()
    assert await query(engine, "SELECT * FROM dwarf_steps") == before
    assert (await handle.snapshot()).status is Status.INTERRUPTED
    await call()
    assert (await handle).status is (Status.CANCELLED if operation == "cancel" else Status.COMPLETED)
