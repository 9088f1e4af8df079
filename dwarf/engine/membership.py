"""This replica among the others of its shard: it tells that it lives, and takes its part of what is shared."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from dwarf.errors import DwarfError, EngineClosed
from dwarf.storage.drivers.pool import DEFAULT_LIMIT
from dwarf.storage.registry import Seen, count_living, enter, leave, renew

if TYPE_CHECKING:
    from dwarf.engine.replica import Replica

BEAT_S = 2.0
UNDECLARED_CPUS = 2
PER_CPU, PER_CPU_OF_LARGE, LARGE_CPUS = 6, 12, 32  # connections that a server's processor serves well


class Membership:
    """The heartbeat of one shard.

    On a server living engines are known by their rows in the registry; on an SQLite file by the locks they hold, and
    in memory by being there, so there is nothing to do.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._nonce = secrets.token_hex(8)
        self._task: asyncio.Task[None] | None = None
        self._entered = False
        self._crowded = False
        self.living = 1  # engines, this one included, as last seen
        self.changes = 0  # how often that number was seen to change
        self.read_at = time.monotonic()  # when it was last read

    async def enter(self) -> None:
        """Register, and take a part of the connections, before any work is done."""
        if not self._replica.database.registers:
            return
        workers = self._replica.settings.workers
        seen = await self._replica.database.write(lambda: enter(self._replica.engine_id, self._nonce, workers))
        self._entered = True
        self.living = seen.living
        self._share()

    def start(self) -> None:
        """Begin to beat."""
        if self._entered:
            self._task = asyncio.create_task(self._run(), name="dwarf-heartbeat")

    async def aclose(self) -> None:
        """Leave: others may take what was this replica's part."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._entered:
            self._entered = False
            with suppress(DwarfError, TimeoutError):
                async with asyncio.timeout(2 * BEAT_S):
                    await self._replica.database.write(lambda: leave(self._replica.engine_id, self._nonce))

    async def count(self) -> int:
        """How many engines live now, this one included."""
        database = self._replica.database
        if database.registers:
            return await database.read(lambda: count_living(self._replica.engine_id))
        return await database.living() or 1

    async def beat(self) -> None:
        """Renew the row, and see who else is there."""
        replica = self._replica
        workers = replica.settings.workers
        seen = await replica.database.write(lambda: renew(replica.engine_id, self._nonce, workers))
        self.read_at = time.monotonic()
        if seen.taken:
            await self._move_on()
        elif seen.missing:
            replica.log.warning("shard %s: the row of this engine was gone from the registry", replica.shard)
        self._see(seen)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await self.beat()
            except EngineClosed:
                return
            except Exception as error:  # noqa: BLE001 - what was known of the others stays
                self._replica.failed(error)
                self._replica.log.info("the heartbeat failed, next try in %s s: %s", BEAT_S, type(error).__name__)
            else:
                self._replica.recovered()

    def _see(self, seen: Seen) -> None:
        if seen.living == self.living:
            return
        replica = self._replica
        replica.log.info("shard %s: %s engines, where there were %s", replica.shard, seen.living, self.living)
        replica.observing.metrics.count("peer_changes", 1, str(replica.shard))
        self.living = seen.living
        self.changes += 1
        self._share()

    def _share(self) -> None:
        """Use no more connections than this replica's part, unless their number was given."""
        replica = self._replica
        if replica.settings.max_connections is not None:
            return
        budget = budget_of(replica.cpus)
        replica.database.resize(part_of(budget, self.living))
        if self.living > budget and not self._crowded:
            replica.log.warning(
                "shard %s: %s engines share a database that serves %s connections well: set its virtual_cpus",
                *(replica.shard, self.living, budget),
            )
        self._crowded = self.living > budget

    async def _move_on(self) -> None:
        """Another engine was given the same id, and has taken this one's leases. From now on this is another engine."""
        replica = self._replica
        former, replica.engine_id = replica.engine_id, secrets.randbelow(2**63 - 1) + 1
        replica.writer.engine_id = replica.engine_id
        replica.log.error(
            "shard %s: another engine was started with the engine id %s, so this one goes on under an id of its own: "
            "give no two engines the same id, or give none",
            *(replica.shard, former),
        )
        await replica.database.write(lambda: enter(replica.engine_id, self._nonce, replica.settings.workers))


def budget_of(virtual_cpus: int) -> int:
    """How many connections a server of this size serves well, over all replicas."""
    cpus = virtual_cpus or UNDECLARED_CPUS
    return cpus * (PER_CPU if cpus < LARGE_CPUS else PER_CPU_OF_LARGE)


def part_of(budget: int, living: int) -> int:
    """The connections of one of so many replicas."""
    return max(1, min(DEFAULT_LIMIT, budget // living))
