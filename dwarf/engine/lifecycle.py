"""The engine's life cycle: creation, start, drain, close."""

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
from dwarf.engine.shard.context import Clock, EngineContext
from dwarf.engine.shard.factory import load_graph
from dwarf.engine.shard.output import Echo
from dwarf.engine.shard.peers import Peers
from dwarf.engine.shard.plans import Frozen
from dwarf.engine.shard.runtime import ShardRuntime
from dwarf.engine.telemetry.events import Telemetry
from dwarf.engine.telemetry.gauges import Gauges
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
    """The base of all operations: the engine's settings, its shards, and whether it is running."""

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
        self._gauges: Gauges | None = None
        self._host = complete(host)
        self._clock = clock
        self._strict = False  # a graph with findings is refused
        self._on_lost_write: Any = None
        self._echo: Echo | None = None  # where a notebook shows the prints of a flow's tasks
        self._context: EngineContext | None = None
        self._runtimes: dict[int, ShardRuntime] = {}
        self._started = self._capturing = False
        self._away: dict[int, str] = {}  # shards that could not be opened yet, each with the reason
        self._returning: list[asyncio.Task[None]] = []
        self._closed = asyncio.Event()
        self._stop_listening: list[Callable[[], None]] = []
        for shard in self._settings.shards:
            self._database(shard)  # raises here for a wrong URL

    def __repr__(self) -> str:
        state = "running" if self._started else "not started"
        return f"<Engine: {len(self._settings.shards)} shard(s), {state}>"

    # ------------------------------------------------------------------ lifecycle

    async def start(self) -> None:
        """Open and migrate the databases, take back leases of a dead predecessor, and start.

        StateConflict if the engine is running.
        """
        if self._context is not None:
            raise StateConflict("the engine is started already")
        self._telemetry.open()
        context = self._context = EngineContext(self._host, self._settings, self._clock, self._telemetry)
        context.track_reads = self._on_lost_write is not None
        context.wiring.strict = self._strict
        context.echo = self._echo
        context.on_lost_write = self._on_lost_write
        if overrides(self._host, "signal_peers"):
            context.peers = Peers(self._host.signal_peers, self._telemetry.log)
            context.peers.start()
        opened: dict[int, ShardRuntime] = {}
        away: dict[Shard, StorageError] = {}
        try:
            for shard in self._settings.shards:
                try:
                    opened[shard.index] = await self._open(context, shard)
                except Unavailable as error:
                    away[shard] = error
            # one shard is enough to start: the others are opened when they can be reached
            if not opened:
                raise next(iter(away.values()))
        except BaseException:
            for runtime in opened.values():
                await runtime.abort()
            if context.peers is not None:
                await context.peers.aclose()
            self._context = None
            raise
        context.watchdog.start()
        self._stop_listening = [self._host.listen_free(context.thread_free)]
        if self._clock is not None:
            loop = asyncio.get_running_loop()
            self._stop_listening.append(self._clock.listen(partial(_wake_from_thread, loop, context)))
        self._gauges = Gauges(self._telemetry, context, opened)
        self._gauges.start()
        self._runtimes = opened
        self._away = {shard.index: str(error) for shard, error in away.items()}
        self._returning = [asyncio.create_task(self._await_shard(context, shard)) for shard in away]
        self._closed = asyncio.Event()
        self._capture(self._settings.capture_output)
        self._started = True

    def _capture(self, wanted: bool) -> None:
        """Start or stop to capture prints of tasks."""
        if wanted is not self._capturing:
            self._capturing = wanted
            capture.install() if wanted else capture.uninstall()

    async def _open(self, context: EngineContext, shard: Shard) -> ShardRuntime:
        runtime = ShardRuntime(context, shard.index, self._database(shard))
        try:
            await runtime.start()
            if self._hooks is not None:
                hooks = {event: await self._hook(context, each) for event, each in self._hooks.items()}
                await runtime.directives.set_hooks(hooks)
        except BaseException:
            await runtime.abort()
            raise
        return runtime

    async def _hook(self, context: EngineContext, workflow: str | Graph) -> tuple[str, Frozen]:
        url, graph = await load_graph(self._host, workflow, {})
        return url, context.plans.freeze(graph)

    async def _await_shard(self, context: EngineContext, shard: Shard) -> None:
        """Open a shard that was away at the start, when it is back. The other shards run meanwhile."""
        log, pause = self._telemetry.log, 1.0
        log.warning("shard %s cannot be reached; the others run: %s", shard.index, self._away[shard.index])
        while True:
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_S, 2 * pause)
            try:
                runtime = await self._open(context, shard)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other shards go on
                self._away[shard.index] = str(error) or type(error).__name__
                continue
            self._runtimes = dict(sorted({**self._runtimes, shard.index: runtime}.items()))
            del self._away[shard.index]
            assert self._gauges is not None
            self._gauges.include(runtime)
            log.info("shard %s is there", shard.index)
            return

    async def aclose(self, *, grace: Seconds | None = None) -> None:
        """Stop: claim nothing more, wait for the tasks in flight (at most ``grace``), and disconnect.

        Tasks that still run after ``grace`` are cancelled and their steps given back. Callers that wait for flows get
        EngineClosed; the flows stay in the database. A second close does nothing.
        """
        context = self._context
        if context is None or context.draining:
            return
        limit = None if grace is None else to_ms(grace, "grace") / 1000
        self._started = False
        context.draining = True
        for task in self._returning:
            task.cancel()
        if self._returning:
            await asyncio.wait(self._returning)
        runtimes = list(self._runtimes.values())
        try:
            for runtime in runtimes:
                # on all shards first: a slot that becomes free on one must not be filled by another
                await runtime.stop_taking()
            await asyncio.gather(*(runtime.runner.drain(limit) for runtime in runtimes))
        finally:
            await context.wiring.settled()
            if self._gauges is not None:
                await self._gauges.aclose()
            for runtime in runtimes:
                await runtime.aclose()
            if context.peers is not None:
                await context.peers.aclose()
            context.watchdog.close()
            context.deadlines.close()
            for stop in self._stop_listening:
                stop()
            self._capture(False)
            self._runtimes = {}
            self._context = None
            self._closed.set()

    async def serve(
        self,
        *,
        grace: Seconds | None = None,
        signals: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
    ) -> None:
        """Run until a signal asks the process to end, then close as ``aclose`` does, and return.

        For a program with no other work: ``async with Engine(...) as engine: await engine.serve(grace=25)``. ``grace``
        must be shorter than the time after which your supervisor kills the process. A second signal ends the grace
        immediately. Former signal handlers are restored when this returns, which also happens when another task closes
        the engine. ConfigError outside the main thread.
        """
        self._check_running()
        context, closed = self._context, self._closed
        assert context is not None
        with listening(signals) as asked:
            over = asyncio.create_task(closed.wait())
            try:
                await _first(over, asked.times(1))
                if closed.is_set():
                    return
                self._telemetry.log.info("the process was asked to end: waiting for the tasks in flight")
                closing = asyncio.create_task(self.aclose(grace=grace))
                await _first(closing, asked.times(2))
                context.hurry.set()
                await closing
            finally:
                over.cancel()

    async def measure(self, *, meter_provider: Any = None, tracer_provider: Any = None) -> None:
        """Report to these providers from now on, instead of earlier ones; None keeps one.

        Attempts in flight are not reported to them. ConfigError for an object that is no provider.
        """
        self._telemetry.replace(meter_provider, tracer_provider)
        context = self._context
        if context is None or not self._started:
            return
        self._telemetry.open()
        if self._gauges is not None:
            await self._gauges.aclose()
        self._gauges = Gauges(self._telemetry, context, self._runtimes)
        self._gauges.start()
        for runtime in self._runtimes.values():
            runtime.telemetry.listen(self._telemetry)

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
        """Change settings of a running engine: the first two apply to flows created from now on, connections
        immediately.

        InvalidRequest for a bad value; then no setting changes.
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
            for runtime in self._runtimes.values():
                runtime.database.resize(max_connections)

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
        """Settings for tests only; before the start."""
        self._strict = strict
        self._on_lost_write = on_lost_write

    def _check_running(self) -> None:
        if not self._started:
            raise EngineClosed("the engine is not started: use `async with Engine(...)`, or await engine.start()")

    def _known(self, shard: int) -> ShardRuntime | None:
        """A shard; None if the engine has none of this index. StorageError if it cannot be reached yet."""
        self._check_running()
        if shard in self._away:
            raise StorageError(f"shard {shard} cannot be reached: {self._away[shard]}")
        return self._runtimes.get(shard)

    def _every(self) -> list[ShardRuntime]:
        """All shards, by index. StorageError if one cannot be reached yet."""
        self._check_running()
        return [runtime for shard in self._settings.shards if (runtime := self._known(shard.index)) is not None]

    def _runtime(self, shard: int) -> ShardRuntime:
        runtime = self._known(shard)
        if runtime is None:
            raise FlowNotFound("flow not found: the engine has no such shard")
        return runtime

    def _fails(self, shard: int) -> bool:
        return self._runtimes[shard].health.away

    def _place(self, idempotency_key: str | None) -> int:
        """The shard of a new flow: by its key, over all shards; otherwise at random in proportion to capacity."""
        shards = self._settings.shards
        if idempotency_key is not None:
            # Over all shards, cordoned or not: a repeated request has to find the shard of the first one. crc32, since
            # hash() of a text differs between processes.
            return shards[crc32(idempotency_key.encode()) % len(shards)].index
        open_shards = [shard for shard in shards if not shard.cordoned]
        if not open_shards:
            raise EngineClosed("every shard is cordoned: no new thread can be placed")
        # a flow that any shard can take does not wait for one that is away
        serving = [shard for shard in open_shards if shard.index in self._runtimes and not self._fails(shard.index)]
        open_shards = serving or open_shards
        if len(open_shards) == 1:
            return open_shards[0].index
        # measured steps per second of each kind of server; only the ratio counts, see docs/design.md
        weights = [745 if shard.virtual_cpus <= 2 else 450 * shard.virtual_cpus for shard in open_shards]
        return random.choices(open_shards, weights)[0].index


async def _first(task: asyncio.Task[Any], other: Coroutine[Any, Any, None]) -> None:
    """Wait for one of the two, and cancel the second."""
    second = asyncio.ensure_future(other)
    try:
        await asyncio.wait({task, second}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        second.cancel()


def _wake_from_thread(loop: asyncio.AbstractEventLoop, context: EngineContext) -> None:
    loop.call_soon_threadsafe(context.wake_all)
