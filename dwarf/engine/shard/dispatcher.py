"""Finding work: due steps are claimed while slots are free, and awaited when none is due.

Why slots are reserved before the claim: a claimed step must start immediately, or its lease and its time budget run
while it waits. Why half of the slots stay free while no backlog is known: successors of running steps need them, and
handing a step over is cheaper than claiming it. Why priorities are compared over all shards before a claim: a shard
with only unimportant work must not fill the slots that another shard's urgent work needs. Why the loop is woken by
events and still looks every few seconds: a lost notification then costs latency and never a step.
"""

from __future__ import annotations

import time
from contextlib import suppress

from dwarf import failpoints
from dwarf.core.records import NewFlow
from dwarf.engine.service import Service
from dwarf.engine.shard.committer import Committer
from dwarf.engine.shard.context import EngineContext
from dwarf.engine.shard.known_tasks import KnownTasks
from dwarf.engine.shard.membership import Membership
from dwarf.engine.shard.priority_ceilings import ANY_BAND, Precedence
from dwarf.engine.shard.reservations import Reservation
from dwarf.engine.shard.runner import Runner
from dwarf.engine.shard.waiters import TreeWatchers
from dwarf.engine.telemetry.events import ShardTelemetry
from dwarf.engine.telemetry.health import Health
from dwarf.errors import DwarfError
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.cancel import fail_overdue
from dwarf.storage.operations.claim import Claimed, claim_due
from dwarf.storage.operations.due_queue import peek, wake_all
from dwarf.storage.operations.interrupts import answer_overdue
from dwarf.storage.operations.unit_of_work import WriterIdentity

LARGEST_CLAIM = 256
# what the loss of a notification costs at most
LONGEST_WAIT_S = 5.0
LOOK_AGAIN_S = 0.1  # how old the view of the backlog may be
AFTER_FAULT_S = 1.0
UNCONFIRMED_S = 0.1


class Dispatcher(Service):
    """The claim loop of one shard."""

    name = "dwarf-dispatcher"
    patience_s = None  # claimed steps must be run or given back, however long that takes

    def __init__(
        self,
        context: EngineContext,
        writer: WriterIdentity,
        *,
        database: Database,
        committer: Committer,
        runner: Runner,
        membership: Membership,
        known_tasks: KnownTasks,
        precedence: Precedence,
        trees: TreeWatchers,
        telemetry: ShardTelemetry,
        health: Health,
    ) -> None:
        super().__init__()
        self._context = context
        self._writer = writer
        self._database = database
        self._committer = committer
        self._runner = runner
        self._membership = membership
        self._known_tasks = known_tasks
        self._precedence = precedence
        self._trees = trees
        self._observing = telemetry
        self._health = health
        self.resting = False  # nothing can be started; the loop wakes at the next deadline

    def slot_for_flow(self, flow: NewFlow) -> Reservation | None:
        """Reserve a slot for the first step of a new flow, and lease the step. None if other steps wait for a slot."""
        entry = flow.entry
        if (
            self._context.draining
            or self._precedence.backlogged
            or entry.limit_name
            or entry.not_before
            or entry.labels
        ):
            return None
        # A deadline may already have passed, and the dispatcher has to learn the moment: a claim tells it.
        if flow.deadline_at or flow.deadline_ms:
            return None
        # a better step waits on another shard, and may want the slot
        if flow.record.priority > self._precedence.ceiling:
            return None
        slot = self._context.slots.reserve()
        if slot is None:
            return None
        entry.leased = slot.promise(entry.need)
        if not entry.leased:
            slot.release()
            return None
        return slot

    def slot_for_woken(self) -> Reservation | None:
        """Reserve a slot for a step that is about to be woken. None if other steps wait for a slot."""
        if self._context.draining or self._precedence.backlogged:
            return None
        slot = self._context.slots.reserve()
        if slot is not None:
            slot.gate = self._precedence.gate()
        return slot

    def failed(self, error: Exception) -> float:
        """Report the error. The backlog of a shard that cannot be read must not hold up other shards."""
        self._health.failed(error)
        self._precedence.report(None)
        self._observing.fault("looking for work failed, next try in %s s", error, AFTER_FAULT_S)
        self._woken.clear()  # the slots that were given back have set it, too
        return AFTER_FAULT_S

    async def turn(self) -> float | None:
        """Claim due steps and start them."""
        self.resting = False
        if not self._membership.confirmed:
            # after a long standstill this replica may have been declared dead, and would claim under a buried id
            return UNCONFIRMED_S
        slots, precedence = self._context.slots, self._precedence
        # while no backlog is known, half of the slots are left to successors of steps that run here
        reserved = slots.reserve(min(LARGEST_CLAIM, slots.free if precedence.backlogged else (slots.free + 1) // 2))
        if reserved is None:
            return await self._full()
        ceiling = precedence.ceiling
        # whatever is not handed on is given back, however the claim ends
        with reserved:
            # A claim takes no more steps than there are slots: a step that is leased and does not run uses up its time
            # budget.
            claimed = await self._claim(reserved.held, ceiling)
            # The engine may have begun to close during the claim: without this, the steps would wait until their leases
            # end.
            if claimed.waking or self._closing:
                await self._runner.give_back(claimed.steps)
                return 0.0
            found = len(claimed.steps)
            if failpoints.active is not None and found:
                await failpoints.active.arrive(
                    "afterClaim", [step.flow.plan.nodes[step.node].url for step in claimed.steps]
                )
            for step in claimed.steps:
                self._runner.launch(step, reserved.hand_on(step.need))
            self._trees.announce({step.flow.root_flow_id for step in claimed.steps})
            precedence.backlogged = not reserved.held
        if precedence.backlogged:
            precedence.report(max(step.flow.priority for step in claimed.steps))
        elif ceiling < ANY_BAND and await self._see():  # a better priority waits elsewhere
            precedence.backlogged = True
            return LOOK_AGAIN_S
        else:
            precedence.saw_the_end()
        if found or self._woken.is_set() or self._context.admission.overlooked():
            return 0.0
        return await self._rest(claimed)

    async def _full(self) -> float | None:
        """Every slot is taken: look at the backlog, so that no chain of steps keeps its slot forever."""
        self._precedence.backlogged = True
        return LOOK_AGAIN_S if await self._see() else None

    async def _see(self) -> bool:
        """Read the backlog and report it to the other shards. True if steps are waiting."""
        pressure, waking = await self._database.read(lambda: peek((), (), self._context.settings.quarantine_at))
        if waking:
            await self._database.write(wake_all)
        self._precedence.saw(pressure)
        return waking or pressure is not None

    async def _claim(self, room: int, ceiling: int) -> Claimed:
        began = time.monotonic()
        claimed = await self._database.write(
            lambda: claim_due(
                room,
                self._context.admission.survey(),
                shard=self._writer.shard,
                engine_id=self._writer.engine_id,
                margin_ms=self._writer.margin_ms,
                plan_of=self._context.plans.plan_of,
                random=self._context.random,
                quarantine_at=self._context.settings.quarantine_at,
                none_quarantined=not self._context.quarantined,
                ceiling=ceiling,
                by_name=self._context.admission.by_name,
                labels=self._context.settings.label_sets,
            )
        )
        self._observing.claimed(claimed, time.monotonic() - began)
        if unknown := self._context.admission.met_unknown():
            with suppress(DwarfError):  # a failed note must not lose the claimed steps
                await self._known_tasks.note(unknown)
        return claimed

    async def _rest(self, claimed: Claimed) -> float:
        """Nothing can be started now. Returns the seconds until the next look."""
        if claimed.next_deadline is not None and claimed.next_deadline <= claimed.now:
            await self._committer.call(answer_overdue)
            return 0.0
        if claimed.flow_deadline is not None and claimed.flow_deadline <= claimed.now:
            await self._committer.call(fail_overdue)
            return 0.0
        if self._jump(claimed):
            return 0.0
        known = (claimed.next_due, claimed.next_deadline, claimed.flow_deadline)
        moments = [moment for moment in known if moment is not None]
        later = [moment for moment in moments if moment > claimed.now]
        self.resting = True
        return min([LONGEST_WAIT_S, *((moment - claimed.now) / 1000 for moment in later)])

    def _jump(self, claimed: Claimed) -> bool:
        """Move a virtual clock to the next due step, if nothing else can run before it."""
        clock = self._context.clock
        if clock is None or claimed.next_due is None or claimed.next_due <= claimed.now:
            return False
        if self._context.slots.taken or not self._committer.idle:
            self._context.slots.ask()
            return False
        until = claimed.next_due
        if claimed.flow_deadline is not None:
            until = min(until, claimed.flow_deadline)
        clock.jump(until - claimed.now)
        return True
