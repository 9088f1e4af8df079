"""Taking back the leases of dead engines, so that their steps run again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from dwarf.engine.shard.peers import Notifier
from dwarf.engine.shard.waiters import TreeWatchers
from dwarf.engine.telemetry.events import ShardTelemetry
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.recovery import TAKEN_AT_ONCE, recover_abandoned, recover_expired
from dwarf.storage.operations.replicas import ENDED, SILENT


class LeaseRecovery:
    """Takes leases back on one shard, in batches, and wakes the dispatcher."""

    def __init__(
        self,
        database: Database,
        *,
        trees: TreeWatchers,
        notifier: Notifier,
        wake_all: Callable[[], None],
        telemetry: ShardTelemetry,
    ) -> None:
        self._database = database
        self._trees = trees
        self._notifier = notifier
        self._wake_all = wake_all
        self._observing = telemetry

    async def of_buried(self, buried: Mapping[int, int]) -> None:
        """Take back the leases of buried engines, each with the reason."""
        for reason, name in ((ENDED, "owner_gone"), (SILENT, "owner_silent")):
            dead = {engine_id for engine_id, why in buried.items() if why == reason}
            if dead:
                # silence is no proof of a crash, and must not lead to quarantine
                await self.of_dead(dead, name, crashed=reason == ENDED)

    async def of_dead(self, dead: set[int], reason: str, *, crashed: bool) -> None:
        """Take back the leases of engines that are known to be dead, without waiting for their expiry."""
        count = TAKEN_AT_ONCE
        while count == TAKEN_AT_ONCE:
            # in batches: one transaction over all leases of a large engine would hold their locks for long
            count = await self._database.write(lambda: recover_abandoned(dead, crashed=crashed))
            self._tell(count, reason)

    async def of_expired(self, living: Collection[int], grace_ms: int) -> None:
        """Take back expired leases; those of living engines after a grace period."""
        count = TAKEN_AT_ONCE
        while count == TAKEN_AT_ONCE:
            count = await self._database.write(lambda: recover_expired(living, grace_ms))
            self._tell(count, "lease_expired")

    def _tell(self, count: int, reason: str) -> None:
        if count:
            self._observing.recovered(count, reason)
            self._trees.announce_all()
            self._wake_all()
            self._notifier.notify(True)
