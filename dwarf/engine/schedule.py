"""Handles of schedules: flows created by the clock, once per tick with any number of replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dwarf.core.cron import Overlap, ScheduleSpec, first_after, next_tick, ticks_between
from dwarf.core.records import NO_EXTRAS, Extras
from dwarf.engine.requests import CreateOptions, read_moment
from dwarf.engine.shard.plans import Frozen
from dwarf.engine.shard.scheduler import scheduled_flow
from dwarf.errors import InvalidRequest
from dwarf.storage.operations.schedules import (
    ScheduleRecord,
    definition_text,
    delete_schedule,
    one_schedule,
    pause_schedule,
    resume_schedule,
)
from dwarf.workflow.durations import to_datetime

if TYPE_CHECKING:
    from dwarf.engine.handle import FlowHandle
    from dwarf.engine.shard.runtime import ShardRuntime


class Schedule:
    """A schedule, as last read: ``next_at`` is the time of its next tick, None while it is paused.

    Example::

        schedule = await engine.schedule("report", graph, cron="0 7 * * mon-fri", timezone="Europe/Berlin")
        print(schedule.next_at)
        flow = await schedule.trigger()  # now, beside its ticks
    """

    def __init__(self, engine: Any, runtime: ShardRuntime, record: ScheduleRecord) -> None:
        self._engine = engine
        self._runtime = runtime
        self._record = record

    def __repr__(self) -> str:
        return f"<Schedule {self.name!r}: {'paused' if self.paused else f'next at {self.next_at}'}>"

    @property
    def name(self) -> str:
        """Its name."""
        return self._record.name

    @property
    def workflow_url(self) -> str:
        """The workflow it starts."""
        return self._record.workflow_url

    @property
    def cron(self) -> str:
        """Its cron expression; empty for a fixed interval."""
        return self._record.spec.cron

    @property
    def timezone(self) -> str:
        """The time zone of its cron expression."""
        return self._record.spec.timezone

    @property
    def paused(self) -> bool:
        """Whether it is paused."""
        return self._record.paused

    @property
    def next_at(self) -> datetime | None:
        """The time of the next tick."""
        return None if self._record.paused else to_datetime(self._record.next_at)

    async def pause(self) -> None:
        """Pause until ``resume``. NotFound if it was deleted."""
        name = self.name
        await self._runtime.committer.call(lambda work: pause_schedule(name))
        await self._refresh()

    async def resume(self) -> None:
        """Resume after a pause. Ticks in the pause are not made up for. NotFound if it was deleted.

        A fixed interval keeps its rhythm over pauses.
        """
        name = self.name
        record, now = await self._runtime.database.read(lambda: one_schedule(name))
        following = first_after(record.spec, record.next_at, now)
        await self._runtime.committer.call(lambda work: resume_schedule(name, following))
        self._runtime.scheduler.wake()
        await self._refresh()

    async def trigger(self) -> FlowHandle:
        """Create a flow now, in addition to the ticks, which are unchanged; its ``scheduled_at`` is now.

        Works also while the schedule is paused, and ignores ``overlap``. NotFound if it was deleted.
        """
        name = self.name
        record, now = await self._runtime.database.read(lambda: one_schedule(name))
        (handle,) = await self._create(record, [now], keyed=False)
        return handle

    async def backfill(self, start: datetime, end: datetime) -> list[FlowHandle]:
        """One flow for each tick from ``start`` up to but not including ``end``, oldest first.

        If a tick has a flow already, from the schedule or from an earlier call, that flow is returned. All flows are
        created at once, ignoring ``overlap``, and each has its tick in ``scheduled_at``. InvalidRequest for times
        without a zone, and for more than 10,000 ticks; NotFound if the schedule was deleted::

            await schedule.backfill(datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 2, 1, tzinfo=UTC))
        """
        first, last = read_moment(start, "start"), read_moment(end, "end")
        if last < first:
            raise InvalidRequest("backfill needs a start that is not after its end")
        name = self.name
        record, _ = await self._runtime.database.read(lambda: one_schedule(name))
        return await self._create(record, ticks_between(record.spec, record.next_at, first, last), keyed=True)

    async def _create(self, record: ScheduleRecord, ticks: Sequence[int], *, keyed: bool) -> list[FlowHandle]:
        from dwarf.engine.handle import FlowHandle

        runtime = self._runtime
        made: list[asyncio.Future[str]] = []
        for tick in ticks:
            flow = await scheduled_flow(runtime.database, runtime.ids, runtime.flows, record, tick, keyed=keyed)
            made.append(runtime.committer.create(flow, runtime.dispatcher.slot_for_flow(flow)))
        keys = await asyncio.gather(*made)
        return [FlowHandle(self._engine, key) for key in keys]

    async def delete(self) -> None:
        """Delete it. The flows that it has created stay."""
        name = self.name
        await self._runtime.committer.call(lambda work: delete_schedule(name))

    async def _refresh(self) -> None:
        name = self.name
        self._record, _ = await self._runtime.database.read(lambda: one_schedule(name))


def _kept_extras(extras: Extras) -> dict[str, Any]:
    """The stored form of rare options of a flow."""
    given = {name: value for name, value in asdict(extras).items() if value != getattr(NO_EXTRAS, name)}
    return {"extras": given} if given else {}


def schedule_record(
    name: str,
    url: str,
    frozen: Frozen | None,
    spec: ScheduleSpec,
    state: dict[str, Any],
    options: CreateOptions,
    catch_up: bool,
    overlap: Overlap,
    now: int,
    hashed: Callable[[str], str],
) -> ScheduleRecord:
    """A new schedule. Its hash covers the whole definition, so that requesting the same again changes nothing."""
    kept = {name: value for name, value in asdict(options).items() if name != "extras"}
    kept |= _kept_extras(options.extras)  # others are stored as in earlier releases
    graph_hash = frozen.graph_hash if frozen else ""
    record = ScheduleRecord(
        name=name,
        definition_hash="",
        workflow_url=url,
        graph_hash=graph_hash,
        spec=spec,
        state=state,
        options=kept,
        catch_up=catch_up,
        paused=False,
        next_at=next_tick(spec, now),
        overlap=overlap,
    )
    return replace(record, definition_hash=hashed(definition_text(record)))
