"""Flows created by the clock."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dwarf import END, Flow, Graph, GraphNotFound, InvalidRequest, NotFound
from dwarf.engine import Engine, Schedule
from dwarf.hosts import LocalHost
from dwarf.testing import VirtualClock, engine_for_test


class Ledger:
    """Counts runs, and lets a test wait for the n-th."""

    def __init__(self) -> None:
        import asyncio

        self.runs: list[dict[str, object]] = []
        self._changed = asyncio.Condition()

    async def add(self, state: dict[str, object]) -> None:
        async with self._changed:
            self.runs.append(state)
            self._changed.notify_all()

    async def reaches(self, count: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.runs) >= count)


def workflow(ledger: Ledger) -> Graph:
    async def note(flow: Flow) -> None:
        await ledger.add(flow.snapshot())

    return Graph("tick").add_node("Note", note).add_transition("Note", END)


async def only(engine: Engine) -> Schedule:
    (schedule,) = await engine.schedules()
    return schedule


async def test_a_schedule_fires_at_each_tick_with_its_state(request: pytest.FixtureRequest) -> None:
    clock, ledger = VirtualClock(), Ledger()
    async with engine_for_test(request.node.nodeid, LocalHost(), clock=clock) as engine:
        schedule = await engine.schedule("hourly", workflow(ledger), every=timedelta(hours=1), state={"n": 1})
        assert schedule.next_at is not None
        for count in (1, 2, 3):
            clock.advance(timedelta(hours=1))
            await ledger.reaches(count)
        assert ledger.runs == [{"n": 1}] * 3


async def test_two_replicas_fire_each_tick_once(request: pytest.FixtureRequest) -> None:
    clock, ledger, host = VirtualClock(), Ledger(), LocalHost()
    name = request.node.nodeid
    async with engine_for_test(name, host, clock=clock) as one, engine_for_test(name, host, clock=clock) as two:
        await one.schedule("hourly", workflow(ledger), every=3600, catch_up=True)
        assert (await only(two)).name == "hourly"
        for count in range(1, 21):
            clock.advance(3600)
            await ledger.reaches(count)
        later = await only(two)
        assert later.next_at is not None
        assert len(ledger.runs) == 20


async def test_asking_again_changes_nothing_and_another_definition_replaces(request: pytest.FixtureRequest) -> None:
    clock, ledger = VirtualClock(), Ledger()
    async with engine_for_test(request.node.nodeid, LocalHost(), clock=clock) as engine:
        first = await engine.schedule("s", workflow(ledger), every=3600)
        clock.advance(60)
        again = await engine.schedule("s", workflow(ledger), every=3600)
        assert again.next_at == first.next_at
        other = await engine.schedule("s", workflow(ledger), cron="0 6 * * *", timezone="Europe/Berlin")
        assert (other.cron, other.timezone) == ("0 6 * * *", "Europe/Berlin")
        assert len(await engine.schedules()) == 1


async def test_pause_resume_delete(request: pytest.FixtureRequest) -> None:
    clock, ledger = VirtualClock(), Ledger()
    async with engine_for_test(request.node.nodeid, LocalHost(), clock=clock) as engine:
        schedule = await engine.schedule("s", workflow(ledger), every=3600)
        await schedule.pause()
        assert schedule.paused
        assert schedule.next_at is None
        clock.advance(36_000)
        await schedule.resume()
        assert schedule.next_at is not None
        assert ledger.runs == []
        clock.advance(3600)
        await ledger.reaches(1)
        await schedule.delete()
        assert await engine.schedules() == []
        with pytest.raises(NotFound):
            await schedule.pause()


async def test_a_schedule_by_name_needs_no_host_until_it_fires(request: pytest.FixtureRequest) -> None:
    clock, ledger, host = VirtualClock(), Ledger(), LocalHost()
    async with engine_for_test(request.node.nodeid, host, clock=clock) as engine:
        await engine.schedule("s", "tick", every=3600)
        with pytest.raises(GraphNotFound):
            await engine.run("tick")
        host.add_graph(workflow(ledger))
        clock.advance(3600)
        await ledger.reaches(1)


@pytest.mark.parametrize(
    "options",
    [{}, {"cron": "0 6 * * *", "every": 60}, {"every": 60, "thread": "1-1-x"}, {"every": 60, "priority": -1}],
)
async def test_wrong_arguments_are_refused(request: pytest.FixtureRequest, options: dict[str, object]) -> None:
    async with engine_for_test(request.node.nodeid, LocalHost()) as engine:
        with pytest.raises(InvalidRequest):
            await engine.schedule("s", "tick", **options)  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest):
            await engine.schedule("", "tick", every=60)
