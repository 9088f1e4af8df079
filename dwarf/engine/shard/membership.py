"""This replica among the replicas of its shard: it proves that it lives, buries dead ones, and takes its share."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

from dwarf.core.liveness import Death
from dwarf.engine.service import Service
from dwarf.engine.shard.context import EngineContext
from dwarf.engine.shard.heartbeat import Heartbeat, Identity, Own, Sighting
from dwarf.engine.shard.recovery import LeaseRecovery
from dwarf.engine.shard.runner import Runner
from dwarf.engine.telemetry.events import ShardTelemetry
from dwarf.engine.telemetry.health import Health
from dwarf.errors import DwarfError
from dwarf.storage.drivers.database import Database
from dwarf.storage.drivers.pool import DEFAULT_LIMIT
from dwarf.storage.operations.replicas import (
    ENDED,
    SILENT,
    Living,
    bury,
    count_living,
    enter,
    leave,
    living_of,
    remove_stale,
    renew,
    stale_of,
)
from dwarf.storage.operations.unit_of_work import WriterIdentity
from dwarf.storage.sql.heartbeats import ReplicaRow

LEAVING_S = 4.0
FIRST_BEAT_S = 5.0  # how long a start waits for it
UNDECLARED_CPUS = 2
PER_CPU, PER_CPU_OF_LARGE, LARGE_CPUS = 6, 12, 32  # connections that one processor serves well; see docs/design.md


class Membership(Service):
    """Acts on what a shard's heartbeat finds.

    On a server living engines are known by their rows in the registry; on an SQLite file by the locks they hold, and
    in memory by being there, so there is nothing to do.
    """

    name = "dwarf-membership"

    def __init__(
        self,
        context: EngineContext,
        writer: WriterIdentity,
        *,
        database: Database,
        runner: Runner,
        recovery: LeaseRecovery,
        telemetry: ShardTelemetry,
        health: Health,
        on_forgotten: Callable[[], Awaitable[None]],
    ) -> None:
        """``on_forgotten`` is called when the database has lost committed data."""
        super().__init__()
        self._context = context
        self._settings = context.settings
        self._writer = writer
        self._database = database
        self._runner = runner
        self._recovery = recovery
        self._observing = telemetry
        self._log = telemetry.log
        self._health = health
        self._on_forgotten = on_forgotten
        self.lease_ms = context.settings.lease_ms
        self._heartbeat = Heartbeat(database, self.lease_ms / 1000, self._saw, self._lost)
        self._latest: Sighting | None = None
        self._shown: tuple[float, float] | None = None
        self._forgetful = False
        self._stand_in = False  # the heartbeat has no connection; transactions beat in its place
        self._looked = asyncio.Event()
        self._entered = False
        self._crowded = False
        self._beating: frozenset[int] = frozenset()
        self.buried: dict[int, int] = {}  # engines known to be dead, each with the reason
        self.living = 1  # living engines, including this one, as last seen
        self.changes = 0  # how often that number was seen to change
        self.read_at = time.monotonic()  # when it was last read

    async def enter(self) -> None:
        """Register, and take a share of the connections, before any work starts."""
        if not self._database.registers:
            return
        identity = Identity(self._writer.engine_id, secrets.token_hex(8))
        living = await self._register(identity)
        self._entered = True
        self.living = living.count
        self._share()
        self._heartbeat.start(identity)
        self.start()

    async def settle(self) -> None:
        """Wait for the first beat: from then on other replicas notice immediately if this process dies."""
        if self._entered:
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_BEAT_S):
                    await self._looked.wait()

    async def aclose(self) -> None:
        """Leave: the other replicas may take this replica's share."""
        await super().aclose()
        if self._entered:
            self._entered = False
            await self._heartbeat.aclose()
            with suppress(DwarfError, TimeoutError):
                async with asyncio.timeout(LEAVING_S):
                    identity = self._heartbeat.identity
                    await self._database.write(lambda: leave(*identity))

    async def count(self) -> int:
        """The number of living engines, including this one."""
        database = self._database
        if database.registers:
            return await database.read(lambda: count_living(self._writer.engine_id))
        return await database.living() or 1

    async def beat(self) -> None:
        """Beat now, and act on the result."""
        asked = time.monotonic()
        while self._latest is None or self._latest.at < asked or not self._looked.is_set():
            self._looked.clear()
            self._heartbeat.nudge()
            await self._looked.wait()

    @property
    def confirmed(self) -> bool:
        """Whether no other replica can have declared this one dead, so that it may claim work."""
        return not self._entered or time.monotonic() - self._heartbeat.confirmed_at < self.lease_ms / 1000

    @property
    def beating(self) -> Collection[int]:
        """The engines whose counters rise, without those known to be dead."""
        return self._beating

    def shown(self) -> tuple[float, float] | None:
        """The database's clock as last seen, and this process's steady clock at that moment, in milliseconds."""
        if self._database.registers:
            return self._shown
        clock = self._context.clock
        return time.time() * 1000 + (clock.offset_ms if clock is not None else 0), time.monotonic() * 1000

    # ------------------------------------------------------------------ what the heartbeat tells

    def _saw(self, sighting: Sighting) -> None:
        self._latest, self._stand_in = sighting, False
        seen_at = next((row.seen_at for row in sighting.rows if row.engine_id == sighting.identity.engine_id), 0)
        if seen_at and (self._shown is None or self._shown[0] != seen_at):
            self._shown = seen_at, sighting.at * 1000
        self._forgetful = self._forgetful or sighting.forgetful
        self._health.recovered()
        self.wake()

    def _lost(self, error: BaseException) -> None:
        self._stand_in = True
        self._health.failed(error)
        self._log.info("the heartbeat failed, and is tried again: %s", type(error).__name__)
        self.wake()

    def first_pause(self) -> None:
        """Wait for the first report of the heartbeat."""

    async def turn(self) -> None:
        """Act on a report of the heartbeat."""
        if self._stand_in:
            await self._beat_here()
        elif self._latest is not None:
            await self._act_on(self._latest)
        self._looked.set()

    def failed(self, error: Exception) -> None:
        """Report the error. The view of the other replicas stays as it is until the next report."""
        self._health.failed(error)
        self._log.info("what the heartbeat saw could not be acted on: %s", type(error).__name__)
        self._looked.set()

    async def _beat_here(self) -> None:
        """Raise the counter on a transaction's connection while the heartbeat cannot get a connection."""
        identity = self._heartbeat.identity
        async with asyncio.timeout(self.lease_ms / 1000):
            # A server may have no connection left for the heartbeat, and still serve the transactions: that is no
            # death.
            if await self._database.write(lambda: renew(*identity)):
                self._heartbeat.confirmed_at = time.monotonic()

    async def _act_on(self, sighting: Sighting) -> None:
        if sighting.identity != self._heartbeat.identity:
            return  # the sighting is of a former identity
        self.read_at = sighting.at
        now = max((row.seen_at for row in sighting.rows), default=0)
        self.buried = {row.engine_id: row.dead for row in sighting.rows if row.dead}
        await self._look_after_own(sighting)
        self._see(living_of(sighting.rows, self._writer.engine_id, now))
        for death in sighting.deaths:
            await self._bury(death, sighting.rows)
        stale = stale_of(sighting.rows, now)
        if stale:
            await self._database.write(lambda: remove_stale(stale))
        if self._forgetful:
            self._forgetful = False
            await self._on_forgotten()

    async def _look_after_own(self, sighting: Sighting) -> None:
        # Confirmed so recently, it cannot have been declared dead: it keeps its id, and with it the leases of what it
        # runs.
        if sighting.own is Own.MISSING and self.confirmed:
            self._log.warning("shard %s: the row of this engine was gone from the registry", self._writer.shard)
            await self._join(self._writer.engine_id)
        elif sighting.own is Own.TAKEN:
            self._log.error(
                "shard %s: another engine was started with the engine id %s, so this one goes on under an id of its "
                "own: give no two engines the same id, or give none",
                *(self._writer.shard, self._writer.engine_id),
            )
            await self._join(_new_id())
        elif sighting.own is not Own.THERE:
            self._log.error(
                "shard %s: this engine was not heard for so long that others have taken it for dead and its steps "
                "over: what it runs is cancelled, and it goes on under another id",
                self._writer.shard,
            )
            await self._join(_new_id())
            # other replicas run these steps by now; what they would still write here is fenced out
            self._runner.abandon()

    async def _join(self, engine_id: int) -> None:
        """Register under a new identity, and continue as that engine."""
        identity = Identity(engine_id, secrets.token_hex(8))
        await self._register(identity)
        self._writer.engine_id = engine_id
        self._heartbeat.become(identity)

    async def _register(self, identity: Identity) -> Living:
        workers = self._settings.workers
        living = await self._database.write(lambda: enter(*identity, workers))
        self._beating = living.beating
        return living

    async def _bury(self, death: Death, rows: Collection[ReplicaRow]) -> None:
        """Declare another replica dead, and take its steps back, unless it lives after all or another replica was
        faster.
        """
        reason = ENDED if death.proven else SILENT
        # With the counter as it was seen: an engine that has raised it since is alive.
        marked = await self._database.write(lambda: bury(death.engine_id, death.nonce, death.beats, reason))
        if not marked:
            return
        self.buried[death.engine_id] = reason
        self._beating -= {death.engine_id}
        self._log.warning(
            "shard %s: engine %s %s: its steps are run by others",
            *(self._writer.shard, death.engine_id, "has ended" if death.proven else "was not heard for too long"),
        )
        await self._recovery.of_buried({death.engine_id: reason})

    # ------------------------------------------------------------------ sharing

    def _see(self, living: Living) -> None:
        self._beating = living.beating
        if living.count == self.living:
            return
        self._log.info("shard %s: %s engines, where there were %s", self._writer.shard, living.count, self.living)
        self._observing.metrics.count("peer_changes", 1, str(self._writer.shard))
        self.living = living.count
        self.changes += 1
        self._share()

    def _share(self) -> None:
        """Limit the connections to this replica's share, unless their number was configured."""
        if self._settings.max_connections is not None:
            return
        budget = budget_of(self._virtual_cpus())
        self._database.resize(part_of(budget, self.living))
        if self.living > budget and not self._crowded:
            self._log.warning(
                "shard %s: %s engines share a database that serves %s connections well: set its virtual_cpus",
                *(self._writer.shard, self.living, budget),
            )
        self._crowded = self.living > budget

    def _virtual_cpus(self) -> int:
        """The processors of the database's server as configured; 0 if they are not."""
        return next((shard.virtual_cpus for shard in self._settings.shards if shard.index == self._writer.shard), 0)


def _new_id() -> int:
    return secrets.randbelow(2**63 - 1) + 1


def budget_of(virtual_cpus: int) -> int:
    """How many connections a server of this size serves well, over all replicas."""
    cpus = virtual_cpus or UNDECLARED_CPUS
    return cpus * (PER_CPU if cpus < LARGE_CPUS else PER_CPU_OF_LARGE)


def part_of(budget: int, living: int) -> int:
    """The share of one replica among this many."""
    return max(1, min(DEFAULT_LIMIT, budget // living))
