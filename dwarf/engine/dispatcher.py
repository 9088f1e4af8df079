"""Finding work: due steps are claimed as long as there is room, and waited for when there is none due.

Why slots are reserved before the claim: what is claimed must start at once, else its lease and its time budget run
while it waits. Why half of the slots are left free while no backlog is known: successors of running steps need them,
and handing a step over is cheaper than claiming it. Why priorities are compared over all shards before a claim: a
shard with only unimportant work must not fill the slots that another shard's urgent work needs. Why the loop is woken
by events and still looks every few seconds: a notification can be lost, and then costs latency but no step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from dwarf import seams
from dwarf.core.fairness import Pressure, Shares
from dwarf.core.records import FlowRecord
from dwarf.engine.bands import ANY_BAND
from dwarf.engine.service import Service
from dwarf.errors import DwarfError
from dwarf.storage.cancels import fail_overdue
from dwarf.storage.claims import Claimed, claim_due
from dwarf.storage.supply import look, wake_all
from dwarf.storage.waits import answer_overdue

if TYPE_CHECKING:
    from dwarf.engine.replica import Replica

LARGEST_CLAIM = 256
LONGEST_WAIT_S = 5.0
LOOK_AGAIN_S = 0.1  # how old the knowledge of what waits may be
AFTER_FAULT_S = 1.0
UNCONFIRMED_S = 0.1


class Dispatcher(Service):
    """The supply loop of one shard."""

    name = "dwarf-dispatcher"
    patience_s = None  # what is claimed has to be run or given back

    def __init__(self, replica: Replica) -> None:
        super().__init__()
        self._replica = replica
        self.resting = False  # nothing can be started, and it wakes at the next deadline
        self.backlogged = True  # due steps may wait for a place
        self._pressure: Pressure | None = None  # what waits, as far as known
        self._shares = Shares()

    def may_hand_over(self, flow: FlowRecord) -> bool:
        """Whether a running flow may go straight on to its next step, or has to let others go first."""
        return self.gate()(flow)

    def gate(self) -> Callable[[FlowRecord], bool]:
        """``may_hand_over`` by what is known now, for another thread."""
        ceiling = self._replica.shared.bands.ceiling(self._replica.shard)
        pressure, shares = self._pressure, self._shares

        def may_go_on(flow: FlowRecord) -> bool:
            yields = shares.must_yield(flow.priority, flow.fairness_key, flow.fairness_weight, pressure)
            return flow.priority <= ceiling and not yields

        return may_go_on

    def begun(self, flow: FlowRecord) -> None:
        """A step of this flow starts."""
        if self._pressure is not None:
            self._shares.start(flow.fairness_key, flow.fairness_weight)

    def failed(self, error: Exception) -> float:
        """Report the error; what waits here is to hold up no other shard."""
        self._replica.failed(error)
        self._replica.shared.bands.tell(self._replica.shard, None)
        self._replica.observing.fault("looking for work failed, next try in %s s", error, AFTER_FAULT_S)
        self._woken.clear()  # also by the slots that were given back
        return AFTER_FAULT_S

    async def turn(self) -> float | None:
        """Claim what is due, and start it."""
        self.resting = False
        if not self._replica.membership.confirmed:
            # after standing still for long it may have been declared dead, and would claim under an id that is buried
            return UNCONFIRMED_S
        slots = self._replica.slots
        # as long as nothing is known to wait, half of the places are left to steps that follow those which run here
        reserved = slots.reserve(min(LARGEST_CLAIM, slots.free if self.backlogged else (slots.free + 1) // 2))
        if reserved is None:
            return await self._full()
        bands, shard = self._replica.shared.bands, self._replica.shard
        ceiling = bands.ceiling(shard)
        with reserved:
            claimed = await self._claim(reserved.held, ceiling)
            if claimed.waking or self._closing:
                await self._replica.runner.give_back(claimed.steps)
                return 0.0
            found = len(claimed.steps)
            if seams.active is not None and found:
                await seams.active.arrive("afterClaim", [step.flow.plan.nodes[step.node].url for step in claimed.steps])
            for step in claimed.steps:
                self._replica.runner.launch(step, reserved.hand_on(step.need))
            self._replica.announce({step.flow.root_flow_id for step in claimed.steps})
            self.backlogged = not reserved.held
        if self.backlogged:
            bands.tell(shard, max(step.flow.priority for step in claimed.steps))
        elif ceiling < ANY_BAND and await self._see():  # others go first
            self.backlogged = True
            return LOOK_AGAIN_S
        else:
            bands.tell(shard, None)
            self._pressure = None
            self._shares.reset()
        if found or self._woken.is_set() or self._replica.admission.overlooked():
            return 0.0
        return await self._rest(claimed)

    async def _full(self) -> float | None:
        """Every slot is taken: see what waits, so that no chain of steps keeps its slot for ever."""
        self.backlogged = True
        return LOOK_AGAIN_S if await self._see() else None

    async def _see(self) -> bool:
        """Look at what waits, and tell the other shards. Whether anything does."""
        database = self._replica.database
        self._pressure, waking = await database.read(lambda: look((), (), self._replica.settings.suspect_at))
        if waking:
            await database.write(wake_all)
        band = None if self._pressure is None else self._pressure.band
        self._replica.shared.bands.tell(self._replica.shard, band)
        return waking or band is not None

    async def _claim(self, room: int, ceiling: int) -> Claimed:
        replica = self._replica
        began = time.monotonic()
        claimed = await replica.database.write(
            lambda: claim_due(
                room,
                replica.admission.survey(),
                shard=replica.shard,
                engine_id=replica.engine_id,
                margin_ms=replica.margin_ms,
                plan_of=replica.plans.plan_of,
                random=replica.shared.random,
                suspect_at=replica.settings.suspect_at,
                alone=not replica.shared.suspects,
                ceiling=ceiling,
                by_name=replica.admission.by_name,
                labels=replica.settings.label_sets,
            )
        )
        replica.observing.claimed(claimed, time.monotonic() - began)
        if unknown := replica.admission.met_unknown():
            with suppress(DwarfError):  # what was claimed is to be run in any case
                await replica.knowledge.note(unknown)
        return claimed

    async def _rest(self, claimed: Claimed) -> float:
        """Nothing can be started now: for how long there is no reason to look again."""
        replica = self._replica
        if claimed.next_deadline is not None and claimed.next_deadline <= claimed.now:
            await replica.committer.call(answer_overdue)
            return 0.0
        if claimed.flow_deadline is not None and claimed.flow_deadline <= claimed.now:
            await replica.committer.call(fail_overdue)
            return 0.0
        if self._jump(claimed):
            return 0.0
        known = (claimed.next_due, claimed.next_deadline, claimed.flow_deadline)
        moments = [moment for moment in known if moment is not None]
        later = [moment for moment in moments if moment > claimed.now]
        self.resting = True
        return min([LONGEST_WAIT_S, *((moment - claimed.now) / 1000 for moment in later)])

    def _jump(self, claimed: Claimed) -> bool:
        """Move a virtual clock to the next due step, where nothing else can run until then."""
        replica = self._replica
        clock = replica.shared.clock
        if clock is None or claimed.next_due is None or claimed.next_due <= claimed.now:
            return False
        if replica.slots.taken or not replica.committer.idle:
            replica.slots.ask()
            return False
        until = claimed.next_due
        if claimed.flow_deadline is not None:
            until = min(until, claimed.flow_deadline)
        clock.jump(until - claimed.now)
        return True
