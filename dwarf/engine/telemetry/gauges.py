"""The values of gauges: read from memory when an exporter asks, and from the databases occasionally."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from dwarf.engine.service import Service
from dwarf.engine.telemetry.events import Telemetry
from dwarf.errors import DwarfError, EngineClosed
from dwarf.observe.metrics import Reading
from dwarf.storage.queries.counts import Band, read_bands
from dwarf.workflow.host import overrides

if TYPE_CHECKING:
    from dwarf.engine.shard.context import EngineContext
    from dwarf.engine.shard.runtime import ShardRuntime

EVERY_S = 15.0
MOST_TIME = 0.05  # share of the time that may go into reading a database
MOST_BANDS = 64  # the best priorities only

NOTHING = Band(0, 0.0, 0)


class Gauges(Service):
    """The gauges of one engine. An exporter's thread reads them, so reading neither waits nor changes anything."""

    name = "dwarf-gauges"

    def __init__(self, telemetry: Telemetry, context: EngineContext, runtimes: Mapping[int, ShardRuntime]) -> None:
        super().__init__()
        self._metrics = telemetry.metrics
        self._context = context
        self._runtimes = dict(runtimes)
        self._ceilings: dict[int, Band] = {}
        self._contentions: dict[int, int] = {}
        self._stops: list[Callable[[], None]] = []

    def start(self) -> None:
        """Start the loop, if metrics are active."""
        metrics, host = self._metrics, self._context.host
        if not metrics.active:
            return
        self._stops = [
            metrics.source("steps_pending", lambda: self._by_priority(lambda band: band.pending)),
            metrics.source("steps_oldest_pending_age_seconds", lambda: self._by_priority(lambda band: band.oldest_s)),
            metrics.source("steps_fairness_keys", lambda: self._by_priority(lambda band: band.fairness_keys)),
            metrics.source("commit_queue_depth", self._queues),
            metrics.source("db_connections", self._connections),
            metrics.source("tasks_in_flight", self._in_flight),
            metrics.source("task_concurrency_running", self._by_url),
            metrics.source("peer_replicas", self._living),
            metrics.source("peer_blind_seconds", self._blind),
        ]
        if overrides(host, "overrun_threads"):
            self._stops.append(metrics.source("sync_threads_overrun", lambda: [((), host.overrun_threads)], host))
        self._context.watchdog.on_beat = lambda late: metrics.record("event_loop_lag_seconds", late)
        super().start()

    def include(self, runtime: ShardRuntime) -> None:
        """Add a shard that was away at the start."""
        self._runtimes = {**self._runtimes, runtime.shard: runtime}

    async def aclose(self) -> None:
        """End the loop."""
        for stop in self._stops:
            stop()
        await super().aclose()

    async def refresh(self) -> None:
        """Read the databases. A database that does not answer is left out."""
        bands: dict[int, Band] = {}
        for runtime in self._runtimes.values():
            self._count_contentions(runtime)
            try:
                found = await runtime.database.read(read_bands)
            except EngineClosed:
                return
            except DwarfError as error:
                runtime.telemetry.database_error(error)
                continue
            for priority, band in found.items():
                known = bands.get(priority, NOTHING)
                bands[priority] = Band(
                    known.pending + band.pending,
                    max(known.oldest_s, band.oldest_s),
                    known.fairness_keys + band.fairness_keys,
                )
        # a priority without due steps must report 0 instead of its last value
        known_before = dict.fromkeys(self._ceilings, NOTHING)
        self._ceilings = dict(sorted((known_before | bands).items())[:MOST_BANDS])

    async def turn(self) -> float:
        """Read the databases, with pauses that keep the load small."""
        began = time.monotonic()
        await self.refresh()
        return max(EVERY_S, (time.monotonic() - began) / MOST_TIME)

    def failed(self, error: Exception) -> float:
        """Report the error."""
        self._context.telemetry.log.fault("counting what is due failed", error)
        return EVERY_S

    def _count_contentions(self, runtime: ShardRuntime) -> None:
        """Retries inside the database driver are known only as a number."""
        now = int(getattr(runtime.database, "contentions", 0))
        new = now - self._contentions.get(runtime.shard, 0)
        self._contentions[runtime.shard] = now
        if new > 0:
            self._metrics.count("db_errors", new, str(runtime.shard), "contention")

    # ------------------------------------------------------------------ in the exporter's thread

    def _by_priority(self, value: Callable[[Band], float]) -> Iterable[Reading]:
        return [((str(priority),), value(band)) for priority, band in self._ceilings.items()]

    def _queues(self) -> Iterable[Reading]:
        return [((str(shard),), runtime.committer.queued) for shard, runtime in self._runtimes.items()]

    def _connections(self) -> Iterable[Reading]:
        return [
            ((str(shard), state), count)
            for shard, runtime in self._runtimes.items()
            for state, count in getattr(runtime.database, "connections", {}).items()
        ]

    def _living(self) -> Iterable[Reading]:
        return [((shard,), runtime.membership.living) for shard, runtime in self._registered()]

    def _blind(self) -> Iterable[Reading]:
        now = time.monotonic()
        return [((shard,), now - runtime.membership.read_at) for shard, runtime in self._registered()]

    def _registered(self) -> list[tuple[str, ShardRuntime]]:
        return [(str(shard), runtime) for shard, runtime in self._runtimes.items() if runtime.database.registers]

    def _in_flight(self) -> Iterable[Reading]:
        needs_thread = self._context.host.needs_thread
        counts = {"async": 0, "sync": 0}
        for url in self._context.watchdog.names():
            counts["sync" if needs_thread(url) else "async"] += 1
        return [((kind,), count) for kind, count in counts.items()]

    def _by_url(self) -> Iterable[Reading]:
        return [((url,), count) for url, count in Counter(self._context.watchdog.names()).items()]
