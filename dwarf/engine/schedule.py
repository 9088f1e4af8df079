"""Schedules: flows created by the clock, once per tick whatever the number of replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dwarf.core.records import NewFlow
from dwarf.core.ticks import Rhythm, due_ticks, next_tick
from dwarf.engine.ids import IdsExhausted
from dwarf.engine.plans import Frozen
from dwarf.engine.requests import CreateOptions
from dwarf.errors import EngineClosed
from dwarf.storage.scheduling import (
    ScheduleRecord,
    definition_text,
    delete_schedule,
    due_schedules,
    fire_schedule,
    one_schedule,
    pause_schedule,
    read_graph_body,
    resume_schedule,
)
from dwarf.workflow.durations import to_datetime

if TYPE_CHECKING:
    from dwarf.engine.replica import Replica

LONGEST_WAIT_S = 5.0


class Schedule:
    """A schedule, as it was when it was read: ``next_at`` is the time of its next tick, None while it is paused."""

    def __init__(self, replica: Replica, record: ScheduleRecord) -> None:
        self._replica = replica
        self._record = record

    def __repr__(self) -> str:
        return f"<Schedule {self.name!r}: {'paused' if self.paused else f'next at {self.next_at}'}>"

    @property
    def name(self) -> str:
        """What it is known by."""
        return self._record.name

    @property
    def workflow_url(self) -> str:
        """The workflow it starts."""
        return self._record.workflow_url

    @property
    def cron(self) -> str:
        """Its cron expression; empty for one with a fixed interval."""
        return self._record.rhythm.cron

    @property
    def timezone(self) -> str:
        """The time zone of its cron expression."""
        return self._record.rhythm.timezone

    @property
    def paused(self) -> bool:
        """Whether it fires no more for now."""
        return self._record.paused

    @property
    def next_at(self) -> datetime | None:
        """The time of the next tick."""
        return None if self._record.paused else to_datetime(self._record.next_at)

    async def pause(self) -> None:
        """Fire no more until ``resume``. NotFound when it was deleted."""
        name = self.name
        await self._replica.committer.call(lambda effects: pause_schedule(name))
        await self._refresh()

    async def resume(self) -> None:
        """Fire again. Ticks that passed in the pause are not made up for. NotFound when it was deleted."""
        name = self.name
        record, now = await self._replica.database.read(lambda: one_schedule(name))
        following = next_tick(record.rhythm, now)
        await self._replica.committer.call(lambda effects: resume_schedule(name, following))
        self._replica.scheduler.wake()
        await self._refresh()

    async def delete(self) -> None:
        """Forget it. The flows it has created stay."""
        name = self.name
        await self._replica.committer.call(lambda effects: delete_schedule(name))

    async def _refresh(self) -> None:
        name = self.name
        self._record, _ = await self._replica.database.read(lambda: one_schedule(name))


class Scheduler:
    """The loop of one shard that fires its schedules."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="dwarf-scheduler")

    def wake(self) -> None:
        """Look again: a schedule is new, or the clock has moved."""
        self._wake.set()

    async def aclose(self) -> None:
        """End."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._closing:
            self._wake.clear()
            wait = LONGEST_WAIT_S
            try:
                wait = await self._fire_due()
            except EngineClosed:
                return
            except Exception as error:  # noqa: BLE001 - the loop must not end
                self._replica.observing.fault("firing schedules failed, next try in %s s", error, LONGEST_WAIT_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def _fire_due(self) -> float:
        """Fire what is due; for how many seconds there is nothing more to do."""
        due, now, following = await self._replica.database.read(due_schedules)
        for record in due:
            await self._fire(record, now)
        if due:
            return 0.0
        return LONGEST_WAIT_S if following is None else min(LONGEST_WAIT_S, max(0.0, (following - now) / 1000))

    async def _fire(self, record: ScheduleRecord, now: int) -> None:
        ticks, following = due_ticks(record.rhythm, record.next_at, now, catch_up=record.catch_up)
        flows = [await self._flow(record) for _ in ticks]
        fired = await self._replica.committer.call(
            lambda effects: fire_schedule(record.name, record.next_at, following, flows, effects)
        )
        if fired and flows:
            self._replica.log.info("schedule %r has fired %s time(s)", record.name, len(flows))

    async def _flow(self, record: ScheduleRecord) -> NewFlow:
        replica = self._replica
        options = CreateOptions(**record.options)
        frozen = await self._frozen(record, options)
        while True:
            try:
                return replica.new_flow(
                    record.workflow_url,
                    frozen,
                    record.state,
                    baggage=options.baggage,
                    priority=options.priority,
                    fairness_key=options.fairness_key,
                    fairness_weight=options.fairness_weight,
                    time_budget_ms=options.time_budget_ms,
                    delete_on_completion=options.delete_on_completion,
                )
            except IdsExhausted:
                await replica.committer.reserve(64)

    async def _frozen(self, record: ScheduleRecord, options: CreateOptions) -> Frozen:
        replica = self._replica
        if not record.graph_hash:
            _, graph = await replica.load_graph(record.workflow_url, options.baggage)
            return replica.plans.freeze(graph)
        body = await replica.database.read(lambda: read_graph_body(record.graph_hash))
        plan = replica.plans.plan_of(record.graph_hash, body)
        assert plan is not None
        return Frozen(record.graph_hash, body, plan)


def schedule_record(
    name: str,
    url: str,
    frozen: Frozen | None,
    rhythm: Rhythm,
    state: dict[str, Any],
    options: CreateOptions,
    catch_up: bool,
    now: int,
    hashed: Callable[[str], str],
) -> ScheduleRecord:
    """A new schedule. Its hash covers the whole definition, so that asking for the same again changes nothing."""
    kept = asdict(options)
    graph_hash = frozen.graph_hash if frozen else ""
    record = ScheduleRecord(
        name=name,
        definition_hash="",
        workflow_url=url,
        graph_hash=graph_hash,
        rhythm=rhythm,
        state=state,
        options=kept,
        catch_up=catch_up,
        paused=False,
        next_at=next_tick(rhythm, now),
    )
    return replace(record, definition_hash=hashed(definition_text(record)))
