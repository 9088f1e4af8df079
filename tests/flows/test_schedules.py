"""Flows created by the clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dwarf import END, Flow, Graph, GraphNotFound, InvalidRequest, NotFound
from dwarf.engine import Engine, Schedule
from dwarf.hosts import LocalHost
from dwarf.testing import VirtualClock, engine_for_test


class Ledger:
    """Counts runs, and lets a test wait for the n-th."""

    def __init__(self) -> None:
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
    [
        {},
        {"cron": "0 6 * * *", "every": 60},
        {"every": 60, "thread": "1-1-x"},
        {"every": 60, "priority": -1},
        {"every": 60, "catch_up": "yes"},
    ],
)
async def test_wrong_arguments_are_refused(request: pytest.FixtureRequest, options: dict[str, object]) -> None:
    async with engine_for_test(request.node.nodeid, LocalHost()) as engine:
        with pytest.raises(InvalidRequest):
            await engine.schedule("s", "tick", **options)  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest):
            await engine.schedule("", "tick", every=60)


async def test_a_flow_knows_its_tick_and_so_do_its_children(request: pytest.FixtureRequest) -> None:
    clock, ledger, host = VirtualClock(), Ledger(), LocalHost()
    seen: list[object] = []

    async def look(flow: Flow) -> None:
        seen.append(flow.scheduled_at)
        if flow.node == "Look":
            flow.subgraph(Graph("child").add_node("Inner", look).add_transition("Inner", END), {})
            await ledger.add({})

    graph = Graph("look").add_node("Look", look).add_transition("Look", END)
    async with engine_for_test(request.node.nodeid, host, clock=clock) as engine:
        schedule = await engine.schedule("s", graph, every=3600, catch_up=True)
        first = schedule.next_at
        assert first is not None
        clock.advance(3 * 3600)
        await ledger.reaches(3)
        assert set(seen) == {first, first + timedelta(hours=1), first + timedelta(hours=2)}
        assert len(seen) == 9  # before the child, in it, and after it
        seen.clear()
        await engine.run(graph)
        assert set(seen) == {None}


class Slow:
    """A workflow whose flows wait until they are let go."""

    def __init__(self) -> None:
        self.begun: list[object] = []
        self.most = self.running = 0
        self._go = asyncio.Semaphore(0)
        self.changed = asyncio.Condition()
        self.graph = Graph("slow").add_node("Work", self.work).add_transition("Work", END)

    async def work(self, flow: Flow) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        async with self.changed:
            self.begun.append(flow.scheduled_at)
            self.changed.notify_all()
        await self._go.acquire()
        self.running -= 1

    def let_go(self) -> None:
        self._go.release()

    async def has_begun(self, count: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.begun) >= count)


async def moved(engine: Engine, before: object) -> None:
    while (await only(engine)).next_at == before:
        await asyncio.sleep(0.01)


async def test_a_tick_is_left_out_while_an_earlier_flow_runs(request: pytest.FixtureRequest) -> None:
    clock = VirtualClock()
    async with engine_for_test(request.node.nodeid, LocalHost(), clock=clock) as engine:
        slow = Slow()
        first = (await engine.schedule("s", slow.graph, every=3600)).next_at
        clock.advance(3600)
        await slow.has_begun(1)
        second = (await only(engine)).next_at
        clock.advance(3600)
        await moved(engine, second)
        slow.let_go()
        async for flow in engine.flows():
            await engine.flow(flow.flow_key)
        clock.advance(3600)
        await slow.has_begun(2)
        assert first is not None
        assert slow.begun == [first, first + timedelta(hours=2)]
        slow.let_go()


async def test_a_tick_may_wait_for_the_flow_before(request: pytest.FixtureRequest) -> None:
    clock = VirtualClock()
    async with engine_for_test(request.node.nodeid, LocalHost(), clock=clock) as engine:
        slow = Slow()
        first = (await engine.schedule("s", slow.graph, every=3600, overlap="queue")).next_at
        clock.advance(4 * 3600)
        await slow.has_begun(1)
        clock.advance(2 * 3600)
        for count in (2, 3):
            slow.let_go()
            await slow.has_begun(count)
        assert slow.most == 1
        assert first is not None
        assert slow.begun[1:] == [first + timedelta(hours=4), first + timedelta(hours=5)]
        slow.let_go()


async def test_ticks_may_run_side_by_side(request: pytest.FixtureRequest) -> None:
    clock = VirtualClock()
    async with engine_for_test(request.node.nodeid, LocalHost(), clock=clock) as engine:
        slow = Slow()
        await engine.schedule("s", slow.graph, every=3600, catch_up=True, overlap="allow")
        clock.advance(3 * 3600)
        await slow.has_begun(3)
        assert slow.most == 3
        for _ in range(3):
            slow.let_go()


async def test_pauses_and_new_definitions_keep_the_step(request: pytest.FixtureRequest) -> None:
    clock, ledger = VirtualClock(), Ledger()
    async with engine_for_test(request.node.nodeid, LocalHost(), clock=clock) as engine:
        schedule = await engine.schedule("s", workflow(ledger), every=3600)
        first = schedule.next_at
        await schedule.pause()
        clock.advance(5000)
        await schedule.resume()
        assert first is not None
        assert schedule.next_at == first + timedelta(hours=1)
        clock.advance(60)
        again = await engine.schedule("s", workflow(ledger), every=3600, state={"n": 2})
        assert again.next_at == schedule.next_at
        other = await engine.schedule("s", workflow(ledger), every=1800)
        assert other.next_at != schedule.next_at


async def test_a_trigger_and_a_backfill(database: str) -> None:
    ledger = Ledger()
    async with engine_for_test("trigger", LocalHost()) as engine:
        schedule = await engine.schedule(
            "s", workflow(ledger), cron="0 6 * * *", timezone="Europe/Berlin", state={"n": 1}
        )
        before = schedule.next_at
        outcome = await (await schedule.trigger())
        assert outcome.state == {"n": 1}
        assert (await only(engine)).next_at == before
        start, end = datetime(2030, 3, 30, tzinfo=UTC), datetime(2030, 4, 2, 4, tzinfo=UTC)
        made = await schedule.backfill(start, end)
        assert [flow.key for flow in await schedule.backfill(start, end)] == [flow.key for flow in made]
        assert len(made) == 3  # the clocks go forward on the 31st; the last tick is the end itself, which is left out
        for handle in made:
            await handle
        assert len(ledger.runs) == 4
        assert await schedule.backfill(end, end) == []
        for wrong in ((end, start), (start.replace(tzinfo=None), end), ("2030-01-01", end)):
            with pytest.raises(InvalidRequest):
                await schedule.backfill(*wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest, match="overlap is"):
            await engine.schedule("s", "tick", every=60, overlap="never")  # type: ignore[arg-type]
