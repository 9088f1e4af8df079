"""Schedules: flows created by the clock, once per tick whatever the number of replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dwarf.core.records import NO_EXTRAS, Extras, NewFlow
from dwarf.core.ticks import Firing, Overlap, Rhythm, firing, first_after, next_tick, ticks_between
from dwarf.engine.plans import Frozen
from dwarf.engine.requests import CreateOptions, read_moment
from dwarf.engine.service import Service
from dwarf.errors import InvalidRequest
from dwarf.storage.effects import Stop
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
    from dwarf.engine.handle import FlowHandle
    from dwarf.engine.replica import Replica

LONGEST_WAIT_S = 5.0
FIRST_LOOK_S = 0.02
LONGEST_PATIENCE_S = 1.0  # before a tick is left out because an earlier flow runs


class Schedule:
    """A schedule, as it was when it was read: ``next_at`` is the time of its next tick, None while it is paused.

    Example::

        schedule = await engine.schedule("report", graph, cron="0 7 * * mon-fri", timezone="Europe/Berlin")
        print(schedule.next_at)
        flow = await schedule.trigger()  # now, beside its ticks
    """

    def __init__(self, engine: Any, replica: Replica, record: ScheduleRecord) -> None:
        self._engine = engine
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
        """Fire again. Ticks that passed in the pause are not made up for. NotFound when it was deleted.

        A fixed interval is still counted from where it was counted before: it stays in step over pauses.
        """
        name = self.name
        record, now = await self._replica.database.read(lambda: one_schedule(name))
        following = first_after(record.rhythm, record.next_at, now)
        await self._replica.committer.call(lambda effects: resume_schedule(name, following))
        self._replica.scheduler.wake()
        await self._refresh()

    async def trigger(self) -> FlowHandle:
        """Create a flow now, beside the ticks, which stay as they are; its ``scheduled_at`` is now.

        Also where the schedule is paused, and whatever ``overlap`` says. NotFound when it was deleted.
        """
        name = self.name
        record, now = await self._replica.database.read(lambda: one_schedule(name))
        (handle,) = await self._create(record, [now], keyed=False)
        return handle

    async def backfill(self, start: datetime, end: datetime) -> list[FlowHandle]:
        """A flow for each tick from ``start`` up to, and without, ``end``, oldest first, and once for each.

        Where there is a flow of a tick already, because it fired or was asked for before, that one is returned. All
        are created at once, whatever ``overlap`` says, and each knows its tick by ``scheduled_at``. InvalidRequest for
        times without a zone, and for more than 10,000 ticks; NotFound when the schedule was deleted::

            await schedule.backfill(datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 2, 1, tzinfo=UTC))
        """
        first, last = read_moment(start, "start"), read_moment(end, "end")
        if last < first:
            raise InvalidRequest("backfill needs a start that is not after its end")
        name = self.name
        record, _ = await self._replica.database.read(lambda: one_schedule(name))
        return await self._create(record, ticks_between(record.rhythm, record.next_at, first, last), keyed=True)

    async def _create(self, record: ScheduleRecord, ticks: Sequence[int], *, keyed: bool) -> list[FlowHandle]:
        from dwarf.engine.handle import FlowHandle

        replica = self._replica
        made: list[asyncio.Future[str]] = []
        for tick in ticks:
            flow = await scheduled_flow(replica, record, tick, keyed=keyed)
            made.append(replica.committer.create(flow, replica.slot_for_flow(flow)))
        keys = await asyncio.gather(*made)
        return [FlowHandle(self._engine, key) for key in keys]

    async def delete(self) -> None:
        """Forget it. The flows it has created stay."""
        name = self.name
        await self._replica.committer.call(lambda effects: delete_schedule(name))

    async def _refresh(self) -> None:
        name = self.name
        self._record, _ = await self._replica.database.read(lambda: one_schedule(name))


class Scheduler(Service):
    """The loop of one shard that fires its schedules. It is woken where a schedule is new, or the clock has moved."""

    name = "dwarf-scheduler"
    patience_s = None

    def __init__(self, replica: Replica) -> None:
        super().__init__()
        self._replica = replica
        self._waits_for: set[int] = set()  # flows whose end lets a tick fire
        self._pause = FIRST_LOOK_S
        self._held_up: dict[tuple[str, int], float] = {}  # since when ticks are due, by schedule and tick

    def failed(self, error: Exception) -> float:
        """Report the error."""
        self._replica.observing.fault("firing schedules failed, next try in %s s", error, LONGEST_WAIT_S)
        return LONGEST_WAIT_S

    async def turn(self) -> float:
        """Fire what is due; for how many seconds there is nothing more to do."""
        due = await self._replica.database.read(due_schedules)
        waiting: set[int] = set()
        moved = False
        for record in due.records:
            last = due.last.get(record.last_flow_id)
            plan = firing(
                record.rhythm,
                record.next_at,
                due.now,
                catch_up=record.catch_up,
                overlap=record.overlap,
                last=last,
                patient=self._is_patient(record),
            )
            if plan.waits and last is not None:
                waiting.add(last.flow_id)
            else:
                moved = True
                await self._fire(record, plan)
        self._waits_for = waiting
        known = {(record.name, record.next_at) for record in due.records}
        self._held_up = {tick: since for tick, since in self._held_up.items() if tick in known}
        if moved:
            return 0.0
        if waiting:
            # the end of a flow that this replica runs wakes the loop; of others it is looked for
            self._pause = min(1.0, 2 * self._pause)
            return self._pause
        self._pause = FIRST_LOOK_S
        if due.following is None:
            return LONGEST_WAIT_S
        return min(LONGEST_WAIT_S, max(0.0, (due.following - due.now) / 1000))

    def _is_patient(self, record: ScheduleRecord) -> bool:
        """Whether a tick that finds an earlier flow running is held back yet: that flow may end in a moment."""
        every_s = record.rhythm.every_ms / 1000 or LONGEST_PATIENCE_S
        now = asyncio.get_running_loop().time()
        since = self._held_up.setdefault((record.name, record.next_at), now)
        return now - since < min(LONGEST_PATIENCE_S, every_s / 2)

    def flows_stopped(self, stops: Iterable[Stop]) -> None:
        """Look again where a tick waits for one of these flows."""
        if self._waits_for and not self._waits_for.isdisjoint(stop.flow_id for stop in stops):
            self._pause = FIRST_LOOK_S
            self.wake()

    async def _fire(self, record: ScheduleRecord, plan: Firing) -> None:
        flows = [await scheduled_flow(self._replica, record, tick, keyed=True) for tick in plan.ticks]
        fired = await self._replica.committer.call(
            lambda effects: fire_schedule(record.name, record.next_at, plan.next_at, flows, effects)
        )
        if fired and flows:
            self._replica.log.info("schedule %r has fired %s time(s)", record.name, len(flows))
        elif fired and record.overlap == "skip":
            self._replica.log.info("schedule %r has left out a tick: the flow of an earlier one runs", record.name)


async def scheduled_flow(replica: Replica, record: ScheduleRecord, tick: int, *, keyed: bool) -> NewFlow:
    """A new flow for a tick. ``keyed``: the only one for it, whoever asks."""
    options = _options(record.options)
    frozen = await _frozen(replica, record, options)
    make = partial(
        replica.new_flow,
        record.workflow_url,
        frozen,
        record.state,
        baggage=options.baggage,
        priority=options.priority,
        fairness_key=options.fairness_key,
        fairness_weight=options.fairness_weight,
        time_budget_ms=options.time_budget_ms,
        delete_on_completion=options.delete_on_completion,
        idempotency_key=_key_of(record.name, tick) if keyed else None,
        request_hash=_OF_A_TICK if keyed else "",
        scheduled_at=tick,
        extras=options.extras,
    )
    return await replica.ids.supply(make)


async def _frozen(replica: Replica, record: ScheduleRecord, options: CreateOptions) -> Frozen:
    if not record.graph_hash:
        _, graph = await replica.load_graph(record.workflow_url, options.baggage)
        return replica.plans.freeze(graph)
    body = await replica.database.read(lambda: read_graph_body(record.graph_hash))
    plan = replica.plans.plan_of(record.graph_hash, body)
    assert plan is not None
    return Frozen(record.graph_hash, body, plan)


_OF_A_TICK = "tick"  # stands for the request: a tick's flow is its flow, also where the definition has changed since


def _key_of(name: str, tick: int) -> str:
    """What makes the flow of a tick the only one."""
    return f"dwarf-schedule-{sha256(name.encode()).hexdigest()[:32]}-{tick}"


def _kept_extras(extras: Extras) -> dict[str, Any]:
    """What a schedule keeps of options that few flows have."""
    given = {name: value for name, value in asdict(extras).items() if value != getattr(NO_EXTRAS, name)}
    return {"extras": given} if given else {}


def _options(kept: dict[str, Any]) -> CreateOptions:
    """The options of a schedule, as they were kept."""
    return CreateOptions(**{**kept, "extras": Extras(**kept.get("extras", {}))})


def schedule_record(
    name: str,
    url: str,
    frozen: Frozen | None,
    rhythm: Rhythm,
    state: dict[str, Any],
    options: CreateOptions,
    catch_up: bool,
    overlap: Overlap,
    now: int,
    hashed: Callable[[str], str],
) -> ScheduleRecord:
    """A new schedule. Its hash covers the whole definition, so that asking for the same again changes nothing."""
    kept = {name: value for name, value in asdict(options).items() if name != "extras"}
    kept |= _kept_extras(options.extras)  # others are as they were before there were such
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
        overlap=overlap,
    )
    return replace(record, definition_hash=hashed(definition_text(record)))
