"""The database's clock goes back by a day: what waits for a moment does not wait a day longer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from dwarf import END, Flow, Graph, InterruptTimeout, Limit, Status
from dwarf.engine import Engine, Timing
from dwarf.engine.shard.maintenance import ClockWatch
from dwarf.hosts import LocalHost
from dwarf.storage.sql.script import Execute, Script, Statement
from tests.support.workflows import Gate, Running

DAY = 86_400_000
MOMENTS = {
    "dwarf_steps": ("not_before", "lease_expires", "interrupt_deadline", "created_at", "updated_at"),
    "dwarf_flows": ("created_at", "updated_at"),
    "dwarf_limit_starts": ("started_at",),
    "dwarf_schedules": ("next_at",),
}


async def went_back(engine: Engine) -> None:
    """Every time in the database is a day later: as after a clock that was a day ahead has been set right."""

    def script() -> Script[None]:
        for table, columns in MOMENTS.items():
            for column in columns:
                words = f"UPDATE {table} SET {column} = {column} + {DAY} WHERE {column} > 0"
                yield Execute(Statement("later", text(words)), {})

    await engine._runtimes[1].database.write(script)


async def noticed(engine: Engine) -> None:
    """What the engine does when it has seen the clock go back."""
    await engine._runtimes[1].maintenance.rebase()


async def test_sleeps_retries_and_questions(running: Running, host: LocalHost) -> None:
    async def tries(flow: Flow) -> None:
        flow["tried"] = flow.attempt
        if flow.attempt < 1:
            flow.retry(delay=2)

    async def sleeps(flow: Flow) -> None:
        flow.delay(2)

    async def asks(flow: Flow) -> None:
        try:
            flow.interrupt("well?", timeout=2)
        except InterruptTimeout:
            flow["late"] = True

    async def ends(flow: Flow) -> None:
        flow["ended"] = True

    def chain(first: Any) -> Graph:
        return Graph(first.__name__).add_node("First", first).add_node("End", ends).add_chain("First", "End", END)

    async with running(timing=Timing(recovery=0.1)) as engine:
        flows = [await engine.create(chain(first)) for first in (tries, sleeps, asks)]
        for flow, status in zip(flows, ("pending", "pending", "interrupted"), strict=True):
            async for update in flow.watch():
                if str(update.steps[-1].status) == status and (update.steps[-1].attempt or update.steps[-1].depth > 1):
                    break
                if status == "interrupted" and update.outcome.status is Status.INTERRUPTED:
                    break
        await went_back(engine)
        await noticed(engine)
        tried, slept, asked = [await flow.outcome(timeout=timedelta(hours=1)) for flow in flows[:2]] + [
            await _terminal(flows[2])
        ]
        assert (tried.state["tried"], slept.state, asked.state) == (1, {"ended": True}, {"late": True, "ended": True})


async def _terminal(flow: Any) -> Any:
    async for update in flow.watch():
        if update.outcome.status.terminal:
            return update.outcome
    raise AssertionError("the watch has ended before the flow")


async def test_an_engine_that_starts_afterwards(running: Running, host: LocalHost) -> None:
    async def tries(flow: Flow) -> None:
        if flow.attempt < 1:
            flow.retry(delay=1)

    graph = Graph("tries").add_node("Try", tries).add_transition("Try", END)
    async with running() as keeps:  # a database in memory lives as long as somebody has it open
        async with running() as engine:
            flow = await engine.create(graph)
            async for update in flow.watch():
                if update.steps[-1].attempt:
                    break
            await went_back(engine)
        async with running() as later:
            assert (await later.flow(flow.key)).status is Status.COMPLETED
        await noticed(keeps)


async def test_limits_and_schedules(running: Running, host: LocalHost) -> None:
    gate = Gate()

    async def limited(flow: Flow) -> None:
        flow["n"] = 1

    async def ticked(flow: Flow) -> None:
        await gate.wait()

    graph = Graph("limited").add_node("L", limited, limit=Limit(rate="1/second")).add_transition("L", END)
    ticks = Graph("ticks").add_node("T", ticked).add_transition("T", END)
    async with running() as engine:
        await engine.run(graph)
        await engine.schedule("ticks", ticks, every=2)
        await went_back(engine)
        await noticed(engine)
        assert (await engine.run(graph)).status is Status.COMPLETED
        await gate.reached()
        gate.open()


def test_a_clock_is_watched_by_one_that_does_not_go_back() -> None:
    clock = ClockWatch()
    assert not clock.went_back(1_000_000, 0)
    assert not clock.went_back(1_005_000, 5_000)
    assert not clock.went_back(1_009_500, 10_000)  # a small correction
    assert not clock.went_back(1_009_500 + DAY, 10_100)  # forward
    assert clock.went_back(1_009_700, 10_200)  # back to where it was
    assert not clock.went_back(1_010_000, 10_500)
