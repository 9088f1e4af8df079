"""Maintenance of a shard: leases of dead owners are taken back, expired flows removed, deadlines enforced."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial

from dwarf import failpoints
from dwarf.engine.service import Periodic
from dwarf.engine.shard.committer import Committer
from dwarf.engine.shard.context import EngineContext
from dwarf.engine.shard.directives import Directives
from dwarf.engine.shard.dispatcher import Dispatcher
from dwarf.engine.shard.membership import Membership
from dwarf.engine.shard.orphaned_leases import OrphanedLeases
from dwarf.engine.shard.recovery import LeaseRecovery
from dwarf.engine.shard.step_cache import StepCache
from dwarf.engine.shard.waiters import TreeWatchers, Waiters
from dwarf.engine.telemetry.events import ShardTelemetry
from dwarf.engine.telemetry.health import Health
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.cancel import fail_overdue
from dwarf.storage.operations.claim import next_deadlines
from dwarf.storage.operations.delete import ROOTS_AT_ONCE, removable, remove_trees, retire
from dwarf.storage.operations.interrupts import answer_overdue
from dwarf.storage.operations.recovery import TOLERANCE_MS, lease_owners, rebase_waits
from dwarf.storage.operations.unit_of_work import WriterIdentity
from dwarf.workflow.durations import to_ms

ORPHANED_LEASES_S = 0.25
NEWS_S = 2.0  # delay after which another process's hooks and breakpoints are known here
DEADLINES_S = 0.5  # between deadline checks while the dispatcher is busy


class ClockWatch:
    """Detects that the database's clock went back, by comparison with a monotonic one."""

    def __init__(self) -> None:
        self._ahead = -math.inf  # lead over the steady clock at the last look

    def went_back(self, now_ms: float, steady_ms: float) -> bool:
        """Whether the clock went back, by more than a correction, since the last look."""
        before, self._ahead = self._ahead, now_ms - steady_ms
        return before - self._ahead > TOLERANCE_MS


class Maintenance:
    """The loops of one shard other than the claim loop."""

    def __init__(
        self,
        context: EngineContext,
        writer: WriterIdentity,
        *,
        database: Database,
        committer: Committer,
        dispatcher: Dispatcher,
        membership: Membership,
        recovery: LeaseRecovery,
        orphaned_leases: OrphanedLeases,
        directives: Directives,
        cache: StepCache,
        waiters: Waiters,
        trees: TreeWatchers,
        telemetry: ShardTelemetry,
        health: Health,
    ) -> None:
        self._context = context
        self._writer = writer
        self._database = database
        self._committer = committer
        self._dispatcher = dispatcher
        self._membership = membership
        self._recovery = recovery
        self._orphaned_leases = orphaned_leases
        self._cache = cache
        self._waiters = waiters
        self._trees = trees
        self._observing = telemetry
        self._health = health
        self._clock = ClockWatch()
        timing = context.settings.timing
        actions: list[tuple[str, float, Callable[[], Awaitable[None]]]] = [
            ("recovery", to_ms(timing.recovery, "recovery") / 1000, self._recover),
            ("reaper", to_ms(timing.reap, "reap") / 1000, self.reap),
            ("orphaned-leases", ORPHANED_LEASES_S, orphaned_leases.look),
            ("deadlines", DEADLINES_S, self._look_at_deadlines),
            ("news", NEWS_S, directives.refresh),
        ]
        self._loops = [Periodic(f"dwarf-{name}", pause, action, self._failed) for name, pause, action in actions]

    def start(self) -> None:
        """Start the loops."""
        for loop in self._loops:
            loop.start()

    async def aclose(self) -> None:
        """End the loops."""
        await asyncio.gather(*(loop.aclose() for loop in self._loops))
        await self._orphaned_leases.aclose()

    async def rebase(self) -> None:
        """Begin all waits anew, so that none lasts longer because the database's clock went back."""
        count = await self._database.write(rebase_waits)
        if count:
            self._observing.log.warning("the database's clock went back: %s waits were begun anew", count)
            self._context.wake_all()

    async def take_back(self, own: set[int]) -> set[int]:
        """Take back the leases of owners that are known to be dead, without waiting for their expiry.

        Returns the other owners that hold leases.
        """
        owners = await self._database.read(lease_owners)
        others = owners - {self._writer.engine_id}
        # a dead owner's id is not reused before the next call, so no new owner's leases are mistaken for old ones
        dead = (owners & own) | await self._database.dead_engine_ids(others)
        if dead:
            await self._recovery.of_dead(dead, "owner_gone", crashed=True)
            await self._database.dead_engine_ids(set())
        buried = self._membership.buried
        await self._recovery.of_buried({owner: why for owner, why in buried.items() if owner in others})
        return others - dead

    async def reap(self) -> None:
        """Remove flows whose retention has expired and deleted flows, in many small transactions."""
        if failpoints.active is not None:
            await failpoints.active.arrive("beforeReap")
        for status, age_ms in self._context.settings.retention.items():
            marked = ROOTS_AT_ONCE
            while marked == ROOTS_AT_ONCE:
                marked = await self._committer.call(partial(retire, status, age_ms))
        count = 0
        while roots := await self._database.read(removable):
            self._waiters.gone(await self._database.write(partial(remove_trees, roots)))
            self._trees.announce(roots)
            count += len(roots)
        await self._cache.free()
        if count:
            shard = self._writer.shard
            self._observing.log.info("shard %s: %s flows were removed", shard, count, shard=shard)
        if failpoints.active is not None:
            await failpoints.active.arrive("reapDone")

    async def _recover(self) -> None:
        if failpoints.active is not None:
            await failpoints.active.arrive("beforeRecovery")
        membership, database = self._membership, self._database
        shown = membership.shown()
        if shown is not None and self._clock.went_back(*shown):
            await self.rebase()
        others = await self.take_back(set())
        living = others & set(membership.beating) if database.registers else others
        await self._recovery.of_expired(living | {self._writer.engine_id}, self._context.settings.grace_ms)
        await self._committer.call(answer_overdue)
        await self._committer.call(fail_overdue)
        self._health.recovered()
        if failpoints.active is not None:
            await failpoints.active.arrive("recoveryDone")

    async def _look_at_deadlines(self) -> None:
        """Enforce deadlines while the dispatcher is busy: it looks at them itself only when it finds no work."""
        if self._dispatcher.resting or not self._context.settings.workers:
            return
        now, question, flow = await self._database.read(next_deadlines)
        if question is not None and question <= now:
            await self._committer.call(answer_overdue)
        if flow is not None and flow <= now:
            await self._committer.call(fail_overdue)

    def _failed(self, error: Exception, pause: float) -> None:
        self._health.failed(error)
        self._observing.fault("a repair failed, next try in %s s", error, pause)
