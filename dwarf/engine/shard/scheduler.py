"""Firing schedules: the flows of each tick are created in the transaction that moves the schedule on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from dwarf.core.cron import Firing, firing
from dwarf.core.records import Extras, NewFlow
from dwarf.engine.requests import CreateOptions
from dwarf.engine.service import Service
from dwarf.engine.shard.committer import Committer
from dwarf.engine.shard.factory import FlowFactory
from dwarf.engine.shard.ids import IdAllocator
from dwarf.engine.shard.plans import Frozen
from dwarf.engine.telemetry.events import ShardTelemetry
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.schedules import (
    ScheduleRecord,
    due_schedules,
    fire_schedule,
    read_graph_body,
)
from dwarf.storage.operations.unit_of_work import Stop

LONGEST_WAIT_S = 5.0
FIRST_LOOK_S = 0.02
LONGEST_PATIENCE_S = 1.0  # how long a tick waits for an earlier flow before it is skipped


class Scheduler(Service):
    """The schedule loop of one shard. It is woken when a schedule is new or a virtual clock has moved."""

    name = "dwarf-scheduler"
    patience_s = None

    def __init__(
        self, database: Database, committer: Committer, ids: IdAllocator, flows: FlowFactory, telemetry: ShardTelemetry
    ) -> None:
        super().__init__()
        self._ids = ids
        self._database = database
        self._committer = committer
        self._flows = flows
        self._observing = telemetry
        self._waits_for: set[int] = set()  # flows whose end lets a tick fire
        self._pause = FIRST_LOOK_S
        self._held_up: dict[tuple[str, int], float] = {}  # when each tick became due, by schedule and tick

    def failed(self, error: Exception) -> float:
        """Report the error."""
        self._observing.fault("firing schedules failed, next try in %s s", error, LONGEST_WAIT_S)
        return LONGEST_WAIT_S

    async def turn(self) -> float:
        """Fire the due schedules. Returns the seconds until the next one is due."""
        due = await self._database.read(due_schedules)
        waiting: set[int] = set()
        moved = False
        for record in due.records:
            last = due.last.get(record.last_flow_id)
            plan = firing(
                record.spec,
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
            # a commit here wakes the loop when the flow ends; flows of other replicas are polled
            self._pause = min(1.0, 2 * self._pause)
            return self._pause
        self._pause = FIRST_LOOK_S
        if due.following is None:
            return LONGEST_WAIT_S
        return min(LONGEST_WAIT_S, max(0.0, (due.following - due.now) / 1000))

    def _is_patient(self, record: ScheduleRecord) -> bool:
        """Whether a tick that finds an earlier flow running still waits: that flow may end in a moment."""
        every_s = record.spec.every_ms / 1000 or LONGEST_PATIENCE_S
        now = asyncio.get_running_loop().time()
        since = self._held_up.setdefault((record.name, record.next_at), now)
        return now - since < min(LONGEST_PATIENCE_S, every_s / 2)

    def flows_stopped(self, stops: Iterable[Stop]) -> None:
        """Wake the loop if a tick waits for one of these flows."""
        if self._waits_for and not self._waits_for.isdisjoint(stop.flow_id for stop in stops):
            self._pause = FIRST_LOOK_S
            self.wake()

    async def _flow(self, record: ScheduleRecord, tick: int) -> NewFlow:
        return await scheduled_flow(self._database, self._ids, self._flows, record, tick, keyed=True)

    async def _fire(self, record: ScheduleRecord, plan: Firing) -> None:
        # made before the transaction, since the host may have to load the graph
        flows = [await self._flow(record, tick) for tick in plan.ticks]
        fired = await self._committer.call(
            lambda work: fire_schedule(record.name, record.next_at, plan.next_at, flows, work)
        )
        if fired and flows:
            self._observing.log.info("schedule %r has fired %s time(s)", record.name, len(flows))
        elif fired and record.overlap == "skip":
            self._observing.log.info("schedule %r has left out a tick: the flow of an earlier one runs", record.name)


async def scheduled_flow(
    database: Database, ids: IdAllocator, flows: FlowFactory, record: ScheduleRecord, tick: int, *, keyed: bool
) -> NewFlow:
    """A new flow for a tick. With ``keyed``, an idempotency key makes it the only flow of the tick."""
    options = _options(record.options)
    frozen = await _frozen(database, flows, record, options)
    return await ids.supply(
        flows.build,
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


async def _frozen(database: Database, flows: FlowFactory, record: ScheduleRecord, options: CreateOptions) -> Frozen:
    if not record.graph_hash:
        _, graph = await flows.load_graph(record.workflow_url, options.baggage)
        return flows.plans.freeze(graph)
    body = await database.read(lambda: read_graph_body(record.graph_hash))
    plan = flows.plans.plan_of(record.graph_hash, body)
    assert plan is not None
    return Frozen(record.graph_hash, body, plan)


_OF_A_TICK = "tick"  # replaces the request's digest: the flow of a tick stays the same flow if the definition changes


def _key_of(name: str, tick: int) -> str:
    """The idempotency key of a tick's flow."""
    return f"dwarf-schedule-{sha256(name.encode()).hexdigest()[:32]}-{tick}"


def _options(kept: dict[str, Any]) -> CreateOptions:
    """The options of a schedule, in their stored form."""
    return CreateOptions(**{**kept, "extras": Extras(**kept.get("extras", {}))})
