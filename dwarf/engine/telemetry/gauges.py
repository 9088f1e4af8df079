"""What gauges show: read from memory when an exporter asks, and from the databases now and then in the background."""

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
    from dwarf.engine.shard.context import Shared
    from dwarf.engine.shard.runtime import Replica

EVERY_S = 15.0
MOST_TIME = 0.05  # of it may go into reading a database
MOST_BANDS = 64  # the best ones are shown

NOTHING = Band(0, 0.0, 0)


class Census(Service):
    """The gauges of one engine. An exporter's thread reads them, so nothing here waits or changes while it is read."""

    name = "dwarf-census"

    def __init__(self, telemetry: Telemetry, shared: Shared, replicas: Mapping[int, Replica]) -> None:
        super().__init__()
        self._metrics = telemetry.metrics
        self._shared = shared
        self._replicas = dict(replicas)
        self._bands: dict[int, Band] = {}
        self._contentions: dict[int, int] = {}
        self._stops: list[Callable[[], None]] = []

    def start(self) -> None:
        """Start the loop, where anybody measures."""
        metrics, host = self._metrics, self._shared.host
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
        self._shared.watchdog.on_beat = lambda late: metrics.record("event_loop_lag_seconds", late)
        super().start()

    def include(self, replica: Replica) -> None:
        """A shard has come that was away at the start."""
        self._replicas = {**self._replicas, replica.shard: replica}

    async def aclose(self) -> None:
        """End."""
        for stop in self._stops:
            stop()
        await super().aclose()

    async def refresh(self) -> None:
        """Read the databases. One that does not answer is left out."""
        bands: dict[int, Band] = {}
        for replica in self._replicas.values():
            self._count_contentions(replica)
            try:
                found = await replica.database.read(read_bands)
            except EngineClosed:
                return
            except DwarfError as error:
                replica.observing.database_error(error)
                continue
            for priority, band in found.items():
                known = bands.get(priority, NOTHING)
                bands[priority] = Band(
                    known.pending + band.pending,
                    max(known.oldest_s, band.oldest_s),
                    known.fairness_keys + band.fairness_keys,
                )
        # a priority that has nothing left says so, rather than staying as it was
        known_before = dict.fromkeys(self._bands, NOTHING)
        self._bands = dict(sorted((known_before | bands).items())[:MOST_BANDS])

    async def turn(self) -> float:
        """Read the databases, so seldom that it takes little of the time."""
        began = time.monotonic()
        await self.refresh()
        return max(EVERY_S, (time.monotonic() - began) / MOST_TIME)

    def failed(self, error: Exception) -> float:
        """Report the error."""
        self._shared.telemetry.log.fault("counting what is due failed", error)
        return EVERY_S

    def _count_contentions(self, replica: Replica) -> None:
        """What a database waited out by itself is known only as a number."""
        now = int(getattr(replica.database, "contentions", 0))
        new = now - self._contentions.get(replica.shard, 0)
        self._contentions[replica.shard] = now
        if new > 0:
            self._metrics.count("db_errors", new, str(replica.shard), "contention")

    # ------------------------------------------------------------------ in the exporter's thread

    def _by_priority(self, value: Callable[[Band], float]) -> Iterable[Reading]:
        return [((str(priority),), value(band)) for priority, band in self._bands.items()]

    def _queues(self) -> Iterable[Reading]:
        return [((str(shard),), replica.committer.queued) for shard, replica in self._replicas.items()]

    def _connections(self) -> Iterable[Reading]:
        return [
            ((str(shard), state), count)
            for shard, replica in self._replicas.items()
            for state, count in getattr(replica.database, "connections", {}).items()
        ]

    def _living(self) -> Iterable[Reading]:
        return [((shard,), replica.membership.living) for shard, replica in self._registered()]

    def _blind(self) -> Iterable[Reading]:
        now = time.monotonic()
        return [((shard,), now - replica.membership.read_at) for shard, replica in self._registered()]

    def _registered(self) -> list[tuple[str, Replica]]:
        return [(str(shard), replica) for shard, replica in self._replicas.items() if replica.database.registers]

    def _in_flight(self) -> Iterable[Reading]:
        needs_thread = self._shared.host.needs_thread
        counts = {"async": 0, "sync": 0}
        for url in self._shared.watchdog.names():
            counts["sync" if needs_thread(url) else "async"] += 1
        return [((kind,), count) for kind, count in counts.items()]

    def _by_url(self) -> Iterable[Reading]:
        return [((url,), count) for url, count in Counter(self._shared.watchdog.names()).items()]
