"""Keeping a shard in order: leases of dead owners taken back, flows removed, deadlines met."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from dwarf import seams
from dwarf.engine.reaper import reap
from dwarf.engine.service import Periodic
from dwarf.engine.strays import Strays
from dwarf.storage.cancels import fail_overdue
from dwarf.storage.claims import next_deadlines
from dwarf.storage.rebasing import TOLERANCE_MS, rebase_waits
from dwarf.storage.recovery import TAKEN_AT_ONCE, lease_owners, recover_abandoned, recover_expired
from dwarf.storage.registry import ENDED, SILENT
from dwarf.storage.waits import answer_overdue
from dwarf.workflow.durations import to_ms

if TYPE_CHECKING:
    from dwarf.engine.replica import Replica

STRAYS_S = 0.25
NEWS_S = 2.0  # how late the hooks and breakpoints that another process sets may be known here
DEADLINES_S = 0.5  # between looks at deadlines while the dispatcher is busy


class ClockWatch:
    """Notices that a clock went back, by one that does not."""

    def __init__(self) -> None:
        self._ahead = -math.inf  # of the steady clock, at most

    def went_back(self, now_ms: float, steady_ms: float) -> bool:
        """Whether it went back by more than a correction since the last look."""
        before, self._ahead = self._ahead, now_ms - steady_ms
        return before - self._ahead > TOLERANCE_MS


class Keeper:
    """The loops of one shard that do not run steps."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._loops: list[Periodic] = []
        self.strays = Strays(replica)
        self._clock = ClockWatch()

    def start(self) -> None:
        """Start the loops."""
        timing = self._replica.settings.timing
        actions: list[tuple[str, float, Callable[[], Awaitable[None]]]] = [
            ("recovery", to_ms(timing.recovery, "recovery") / 1000, self._recover),
            ("reaper", to_ms(timing.reap, "reap") / 1000, partial(reap, self._replica)),
            ("strays", STRAYS_S, self.strays.look),
            ("deadlines", DEADLINES_S, self._look_at_deadlines),
            ("news", NEWS_S, self._replica.read_news),
        ]
        self._loops = [Periodic(f"dwarf-{name}", pause, action, self._failed) for name, pause, action in actions]
        for loop in self._loops:
            loop.start()

    @property
    def cancelled(self) -> bool:
        """Whether the loops were cancelled, as when their event loop ends: nobody else can reach them."""
        return any(loop.cancelled for loop in self._loops)

    async def aclose(self) -> None:
        """End the loops."""
        await asyncio.gather(*(loop.aclose() for loop in self._loops))
        await self.strays.aclose()

    def _failed(self, error: Exception, pause: float) -> None:
        self._replica.failed(error)
        self._replica.observing.fault("a repair failed, next try in %s s", error, pause)

    async def rebase(self) -> None:
        """Let nothing wait for longer because the database's clock went back."""
        count = await self._replica.database.write(rebase_waits)
        if count:
            self._replica.log.warning("the database's clock went back: %s waits were begun anew", count)
            self._replica.shared.wake_all()

    async def take_back(self, own: set[int]) -> set[int]:
        """Take back the leases of owners that are known to be dead: at once, whatever their leases say.

        The other owners that have leases now.
        """
        replica = self._replica
        database = replica.database
        owners = await database.read(lease_owners)
        others = owners - {replica.engine_id}
        # nobody can take a dead owner's id until the next call, so no new owner's leases are mistaken for old ones
        dead = (owners & own) | await database.dead_engine_ids(others)
        if dead:
            await self._take(dead, "owner_gone", crashed=True)
            await database.dead_engine_ids(set())
        await self.take_over({owner: why for owner, why in replica.membership.buried.items() if owner in others})
        return others - dead

    async def take_over(self, buried: Mapping[int, int]) -> None:
        """Take back the leases of engines that are buried, each with the reason."""
        for reason, name in ((ENDED, "owner_gone"), (SILENT, "owner_silent")):
            dead = {engine_id for engine_id, why in buried.items() if why == reason}
            if dead:
                await self._take(dead, name, crashed=reason == ENDED)

    async def _take(self, dead: set[int], reason: str, *, crashed: bool) -> None:
        count = TAKEN_AT_ONCE
        while count == TAKEN_AT_ONCE:
            count = await self._replica.database.write(lambda: recover_abandoned(dead, crashed=crashed))
            self._recovered(count, reason)

    async def _recover(self) -> None:
        if seams.active is not None:
            await seams.active.arrive("beforeRecovery")
        replica = self._replica
        membership, database = replica.membership, replica.database
        shown = membership.shown()
        if shown is not None and self._clock.went_back(*shown):
            await self.rebase()
        others = await self.take_back(set())
        living = (others & set(membership.beating) if database.registers else others) | {replica.engine_id}
        count = TAKEN_AT_ONCE
        while count == TAKEN_AT_ONCE:
            count = await database.write(lambda: recover_expired(living, membership.grace_ms))
            self._recovered(count, "lease_expired")
        await replica.committer.call(answer_overdue)
        await replica.committer.call(fail_overdue)
        replica.recovered()
        if seams.active is not None:
            await seams.active.arrive("recoveryDone")

    async def _look_at_deadlines(self) -> None:
        """Do what the dispatcher does when it finds nothing to start, while it finds something all the time."""
        replica = self._replica
        if replica.dispatcher.resting or not replica.settings.workers:
            return
        now, question, flow = await replica.database.read(next_deadlines)
        if question is not None and question <= now:
            await replica.committer.call(answer_overdue)
        if flow is not None and flow <= now:
            await replica.committer.call(fail_overdue)

    def _recovered(self, count: int, reason: str) -> None:
        if count:
            self._replica.observing.recovered(count, reason)
            self._replica.announce(self._replica.watched)
            self._replica.shared.wake_all()
            self._replica.tell(True)
