"""The engine's life: made, started, drained, closed."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from logging import Logger
from types import TracebackType
from typing import Any, Literal, Self
from zlib import crc32

from dwarf.engine.config import (
    DEFAULT_MAX_DEPTH,
    Codec,
    Shard,
    Timing,
    check_codec,
    check_default_priority,
    check_hooks,
    check_labels,
    check_time_budget,
    read_settings,
)
from dwarf.engine.serving import listening
from dwarf.engine.shard.context import Clock, Shared
from dwarf.engine.shard.factory import load_graph
from dwarf.engine.shard.output import Echo
from dwarf.engine.shard.peers import Peers
from dwarf.engine.shard.plans import Frozen
from dwarf.engine.shard.runtime import Replica
from dwarf.engine.telemetry.events import Telemetry
from dwarf.engine.telemetry.gauges import Census
from dwarf.errors import ConfigError, EngineClosed, FlowNotFound, InvalidRequest, StateConflict, StorageError
from dwarf.storage.drivers.connect import open_database
from dwarf.storage.drivers.database import Database
from dwarf.storage.sql.errors import Unavailable
from dwarf.workflow import capture
from dwarf.workflow.durations import Seconds, to_ms
from dwarf.workflow.graph import Graph
from dwarf.workflow.host import Host, complete, overrides

_UNSET: Any = object()
LONGEST_PAUSE_S = 5.0  # between attempts to reach a shard


class EngineBase:
    """What every operation of the engine stands on: its settings, its shards, and whether it runs."""

    def __init__(
        self,
        host: Host,
        url: str | None = None,
        *,
        shards: Iterable[Shard] | None = None,
        workers: int | None = None,
        max_connections: int | None = None,
        time_budget: Seconds = 120,
        default_priority: int = 100,
        engine_id: int | None = None,
        durability: Literal["full", "relaxed"] = "full",
        retention: Mapping[Any, Seconds] | None = None,
        max_crashes: int | None = 20,
        codec: Codec | None = None,
        timing: Timing | None = None,
        max_depth: int | None = DEFAULT_MAX_DEPTH,
        capture_output: bool = False,
        hooks: Mapping[str, str | Graph] | None = None,
        labels: Iterable[str] = (),
        clock: Clock | None = None,
        logger: Logger | None = None,
        meter_provider: Any = None,
        tracer_provider: Any = None,
    ) -> None:
        if host is None or not hasattr(host, "execute_task") or not hasattr(host, "load_graph"):
            raise ConfigError("the engine needs a host with load_graph and execute_task, such as LocalHost()")
        self._settings = read_settings(
            url,
            shards,
            workers=workers,
            time_budget=time_budget,
            default_priority=default_priority,
            engine_id=engine_id,
            durability=durability,
            max_crashes=max_crashes,
            timing=timing,
            retention=retention,
            max_connections=max_connections,
            max_depth=max_depth,
            capture_output=capture_output,
        )
        self._hooks, self._settings.label_sets = check_hooks(hooks), check_labels(labels)
        self._codec = check_codec(codec)
        self._telemetry = Telemetry(logger, meter_provider, tracer_provider)
        self._census: Census | None = None
        self._host = complete(host)
        self._clock = clock
        self._strict = False  # a graph with findings is refused
        self._on_lost_write: Any = None
        self._echo: Echo | None = None  # where a notebook shows what the tasks of a flow print
        self._shared: Shared | None = None
        self._replicas: dict[int, Replica] = {}
        self._started = self._capturing = False
        self._away: dict[int, str] = {}  # shards that could not be opened yet, and why
        self._returning: list[asyncio.Task[None]] = []
        self._closed = asyncio.Event()
        self._stop_listening: list[Callable[[], None]] = []
        for shard in self._settings.shards:
            self._database(shard)  # a wrong URL shows on this line

    def __repr__(self) -> str:
        state = "running" if self._started else "not started"
        return f"<Engine: {len(self._settings.shards)} shard(s), {state}>"

    # ------------------------------------------------------------------ lifecycle

    async def start(self) -> None:
        """Open and migrate the databases, take back what a dead predecessor left, and run. StateConflict if running."""
        if self._shared is not None:
            raise StateConflict("the engine is started already")
        self._telemetry.open()
        shared = self._shared = Shared(self._host, self._settings, self._clock, self._telemetry)
        shared.track_reads = self._on_lost_write is not None
        shared.wiring.strict = self._strict
        shared.echo = self._echo
        shared.on_lost_write = self._on_lost_write
        if overrides(self._host, "signal_peers"):
            shared.peers = Peers(self._host.signal_peers, self._telemetry.log)
            shared.peers.start()
        opened: dict[int, Replica] = {}
        away: dict[Shard, StorageError] = {}
        try:
            for shard in self._settings.shards:
                try:
                    opened[shard.index] = await self._open(shared, shard)
                except Unavailable as error:
                    away[shard] = error
            if not opened:
                raise next(iter(away.values()))
        except BaseException:
            for replica in opened.values():
                await replica.abort()
            if shared.peers is not None:
                await shared.peers.aclose()
            self._shared = None
            raise
        shared.watchdog.start()
        self._stop_listening = [self._host.listen_free(shared.thread_free)]
        if self._clock is not None:
            loop = asyncio.get_running_loop()
            self._stop_listening.append(self._clock.listen(partial(_wake_from_thread, loop, shared)))
        self._census = Census(self._telemetry, shared, opened)
        self._census.start()
        self._replicas = opened
        self._away = {shard.index: str(error) for shard, error in away.items()}
        self._returning = [asyncio.create_task(self._await_shard(shared, shard)) for shard in away]
        self._closed = asyncio.Event()
        self._capture(self._settings.capture_output)
        self._started = True

    def _capture(self, wanted: bool) -> None:
        """Begin, or end, to keep what tasks print."""
        if wanted is not self._capturing:
            self._capturing = wanted
            capture.install() if wanted else capture.uninstall()

    async def _open(self, shared: Shared, shard: Shard) -> Replica:
        replica = Replica(shared, shard.index, self._database(shard))
        try:
            await replica.start()
            if self._hooks is not None:
                hooks = {event: await self._hook(shared, each) for event, each in self._hooks.items()}
                await replica.directives.set_hooks(hooks)
        except BaseException:
            await replica.abort()
            raise
        return replica

    async def _hook(self, shared: Shared, workflow: str | Graph) -> tuple[str, Frozen]:
        url, graph = await load_graph(self._host, workflow, {})
        return url, shared.plans.freeze(graph)

    async def _await_shard(self, shared: Shared, shard: Shard) -> None:
        """Open a shard that was away at the start, once it is there. The others run meanwhile."""
        log, pause = self._telemetry.log, 1.0
        log.warning("shard %s cannot be reached; the others run: %s", shard.index, self._away[shard.index])
        while True:
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_S, 2 * pause)
            try:
                replica = await self._open(shared, shard)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other shards go on
                self._away[shard.index] = str(error) or type(error).__name__
                continue
            self._replicas = dict(sorted({**self._replicas, shard.index: replica}.items()))
            del self._away[shard.index]
            assert self._census is not None
            self._census.include(replica)
            log.info("shard %s is there", shard.index)
            return

    async def aclose(self, *, grace: Seconds | None = None) -> None:
        """Stop: claim nothing more, wait for the tasks in flight (at most ``grace``), and disconnect.

        Tasks that still run after ``grace`` are cancelled and their steps given back. Those who wait for flows get
        EngineClosed; the flows stay in the database. Closing twice does nothing.
        """
        shared = self._shared
        if shared is None or shared.draining:
            return
        limit = None if grace is None else to_ms(grace, "grace") / 1000
        self._started = False
        shared.draining = True
        for task in self._returning:
            task.cancel()
        if self._returning:
            await asyncio.wait(self._returning)
        replicas = list(self._replicas.values())
        try:
            for replica in replicas:
                await replica.stop_taking()
            await asyncio.gather(*(replica.runner.drain(limit) for replica in replicas))
        finally:
            await shared.wiring.settled()
            if self._census is not None:
                await self._census.aclose()
            for replica in replicas:
                await replica.aclose()
            if shared.peers is not None:
                await shared.peers.aclose()
            shared.watchdog.close()
            shared.deadlines.close()
            for stop in self._stop_listening:
                stop()
            self._capture(False)
            self._replicas = {}
            self._shared = None
            self._closed.set()

    async def serve(
        self,
        *,
        grace: Seconds | None = None,
        signals: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
    ) -> None:
        """Run until the process is asked to end by a signal, then close as ``aclose`` does, and return.

        For a program that does nothing else: ``async with Engine(...) as engine: await engine.serve(grace=25)``. Let
        ``grace`` be less than what your supervisor allows before it kills. A second signal ends the grace at once. The
        signals do what they did before when this returns, which it also does when the engine is closed by another
        task. ConfigError outside the main thread.
        """
        self._check_running()
        shared, closed = self._shared, self._closed
        assert shared is not None
        with listening(signals) as asked:
            over = asyncio.create_task(closed.wait())
            try:
                await _first(over, asked.times(1))
                if closed.is_set():
                    return
                self._telemetry.log.info("the process was asked to end: waiting for the tasks in flight")
                closing = asyncio.create_task(self.aclose(grace=grace))
                await _first(closing, asked.times(2))
                shared.hurry.set()
                await closing
            finally:
                over.cancel()

    async def measure(self, *, meter_provider: Any = None, tracer_provider: Any = None) -> None:
        """Report to these providers from now on, in place of those before; None leaves one as it is.

        Attempts that are under way are not seen. ConfigError for something that is no provider.
        """
        self._telemetry.replace(meter_provider, tracer_provider)
        shared = self._shared
        if shared is None or not self._started:
            return
        self._telemetry.open()
        if self._census is not None:
            await self._census.aclose()
        self._census = Census(self._telemetry, shared, self._replicas)
        self._census.start()
        for replica in self._replicas.values():
            replica.observing.listen(self._telemetry)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, et: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    def tune(
        self, *, time_budget: Seconds = _UNSET, default_priority: int = _UNSET, max_connections: int = _UNSET
    ) -> None:
        """Change settings of a running engine: the first two for flows created from now on, connections at once.

        InvalidRequest for a bad value; every setting is then left as it was.
        """
        budget = None if time_budget is _UNSET else check_time_budget(time_budget)
        priority = None if default_priority is _UNSET else check_default_priority(default_priority)
        if max_connections is not _UNSET and (
            not isinstance(max_connections, int) or isinstance(max_connections, bool) or max_connections < 1
        ):
            raise InvalidRequest("max_connections is a whole number from 1 up")
        if budget is not None:
            self._settings.time_budget_ms = budget
        if priority is not None:
            self._settings.default_priority = priority
        if max_connections is not _UNSET:
            self._settings.max_connections = max_connections
            for replica in self._replicas.values():
                replica.database.resize(max_connections)

    # ------------------------------------------------------------------ inside

    def _database(self, shard: Shard) -> Database:
        settings = self._settings
        return open_database(
            shard.url,
            durability=settings.durability,
            clock=self._clock,
            max_connections=settings.max_connections,
            codec=self._codec,
        )

    def _for_test(self, on_lost_write: Any, strict: bool = False) -> None:
        """Settings that only tests have; before the start."""
        self._strict = strict
        self._on_lost_write = on_lost_write

    def _check_running(self) -> None:
        if not self._started:
            raise EngineClosed("the engine is not started: use `async with Engine(...)`, or await engine.start()")

    def _known(self, shard: int) -> Replica | None:
        """A shard; None where the engine has none of this index. StorageError where it cannot be reached yet."""
        self._check_running()
        if shard in self._away:
            raise StorageError(f"shard {shard} cannot be reached: {self._away[shard]}")
        return self._replicas.get(shard)

    def _every(self) -> list[Replica]:
        """All shards, by index. StorageError where one cannot be reached yet."""
        self._check_running()
        return [replica for shard in self._settings.shards if (replica := self._known(shard.index)) is not None]

    def _replica(self, shard: int) -> Replica:
        replica = self._known(shard)
        if replica is None:
            raise FlowNotFound("flow not found: the engine has no such shard")
        return replica

    def _fails(self, shard: int) -> bool:
        return self._replicas[shard].health.away

    def _place(self, idempotency_key: str | None) -> int:
        """The shard of a new flow: by the key, over all shards; else at random in proportion to capacity."""
        shards = self._settings.shards
        if idempotency_key is not None:
            return shards[crc32(idempotency_key.encode()) % len(shards)].index
        open_shards = [shard for shard in shards if not shard.cordoned]
        if not open_shards:
            raise EngineClosed("every shard is cordoned: no new thread can be placed")
        serving = [shard for shard in open_shards if shard.index in self._replicas and not self._fails(shard.index)]
        open_shards = serving or open_shards
        if len(open_shards) == 1:
            return open_shards[0].index
        # what a database server was found to write, in steps a second; only the ratio counts, see docs/design.md
        weights = [745 if shard.virtual_cpus <= 2 else 450 * shard.virtual_cpus for shard in open_shards]
        return random.choices(open_shards, weights)[0].index


async def _first(task: asyncio.Task[Any], other: Coroutine[Any, Any, None]) -> None:
    """Wait for one of the two; the second is given up."""
    second = asyncio.ensure_future(other)
    try:
        await asyncio.wait({task, second}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        second.cancel()


def _wake_from_thread(loop: asyncio.AbstractEventLoop, shared: Shared) -> None:
    loop.call_soon_threadsafe(shared.wake_all)
