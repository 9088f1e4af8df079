"""The engine: it runs flows, and is the door to all of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from logging import Logger
from types import TracebackType
from typing import Any, Literal, Self
from zlib import crc32

from dwarf.core.keys import parse_key
from dwarf.engine.config import (
    Codec,
    Shard,
    Timing,
    check_default_priority,
    check_time_budget,
    read_settings,
)
from dwarf.engine.handle import FlowHandle
from dwarf.engine.ids import IdsExhausted
from dwarf.engine.plans import Frozen
from dwarf.engine.replica import Clock, Replica, Shared, load_graph
from dwarf.engine.requests import CreateOptions, read_options, read_state, read_workflow, request_hash
from dwarf.errors import ConfigError, EngineClosed, FlowNotFound, InvalidRequest, StateConflict, ThreadNotFound
from dwarf.storage.creates import thread_of
from dwarf.storage.history import read_step
from dwarf.storage.opening import open_database
from dwarf.workflow.durations import Seconds, to_ms
from dwarf.workflow.graph import Graph
from dwarf.workflow.host import Host
from dwarf.workflow.results import Outcome, Step

_UNSET: Any = object()


class Engine:
    """Runs flows. ``async with Engine(host, url)`` migrates the database, starts, and drains at the end.

    ``url`` is a SQLAlchemy URL or a plain one ("sqlite:///flows.db"; "sqlite://" or none for memory); ``shards`` names
    several databases instead. ``workers`` is the most tasks in flight; with 0 this engine creates, waits and answers,
    but runs nothing. ``time_budget`` (seconds or timedelta) bounds each call of a task. ``max_crashes`` is how often a
    step may lose its process before it fails; None for no limit. ConfigError names a setting that is wrong.
    """

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
        )
        self._host = host
        self._clock: Clock | None = None
        self._on_lost_write: Any = None
        self._shared: Shared | None = None
        self._replicas: dict[int, Replica] = {}
        self._started = False
        self._stop_listening: list[Callable[[], None]] = []
        for shard in self._settings.shards:
            open_database(shard.url, durability=self._settings.durability)  # a wrong URL shows on this line

    def __repr__(self) -> str:
        state = "running" if self._started else "not started"
        return f"<Engine: {len(self._settings.shards)} shard(s), {state}>"

    # ------------------------------------------------------------------ lifecycle

    async def start(self) -> None:
        """Open and migrate the databases, take back what a dead predecessor left, and run. StateConflict if running."""
        if self._shared is not None:
            raise StateConflict("the engine is started already")
        shared = self._shared = Shared(self._host, self._settings, self._clock)
        shared.track_reads = self._on_lost_write is not None
        shared.on_lost_write = self._on_lost_write
        opened: dict[int, Replica] = {}
        try:
            for shard in self._settings.shards:
                database = open_database(shard.url, durability=self._settings.durability, clock=self._clock)
                replica = Replica(shared, shard.index, database)
                opened[shard.index] = replica
                await replica.start()
        except BaseException:
            for replica in opened.values():
                await replica.abort()
            self._shared = None
            raise
        shared.watchdog.start()
        listen = getattr(self._host, "listen_free", None)
        self._stop_listening = [] if listen is None else [listen(shared.wake_all)]
        if self._clock is not None:
            loop = asyncio.get_running_loop()
            self._stop_listening.append(self._clock.listen(partial(_wake_from_thread, loop, shared)))
        self._replicas = opened
        self._started = True

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
        replicas = list(self._replicas.values())
        try:
            for replica in replicas:
                await replica.stop_taking()
            await asyncio.gather(*(replica.runner.drain(limit) for replica in replicas))
        finally:
            for replica in replicas:
                await replica.aclose()
            shared.watchdog.close()
            for stop in self._stop_listening:
                stop()
            self._replicas = {}
            self._shared = None

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
        """Change settings of a running engine, for flows created from now on.

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

    # ------------------------------------------------------------------ flows

    async def create(
        self,
        workflow: str | Graph,
        state: Mapping[str, Any] | Any = None,
        *,
        priority: int = 0,
        fairness_key: str = "",
        fairness_weight: float = 0,
        time_budget: Seconds | None = None,
        baggage: Mapping[str, Any] | None = None,
        thread: str = "",
        delete_on_completion: bool = False,
        idempotency_key: str = "",
    ) -> FlowHandle:
        """Create a flow, which runs from now on; its graph is frozen as it is now.

        A workflow given as a Graph is frozen from the object, and functions on its nodes are registered with a
        LocalHost (ConfigError with another host). With an ``idempotency_key`` a second create returns the first flow.
        InvalidRequest names a wrong argument; GraphNotFound, GraphError for the workflow; ThreadNotFound;
        StateConflict where the key was used with another workflow or state.
        """
        self._check_running()
        asked = read_workflow(workflow)
        options = read_options(
            self._settings,
            priority=priority,
            fairness_key=fairness_key,
            fairness_weight=fairness_weight,
            time_budget=time_budget,
            baggage=baggage,
            delete_on_completion=delete_on_completion,
            idempotency_key=idempotency_key,
        )
        url, frozen = await self._freeze(asked, options)
        place, joined = await self._thread(thread)
        return await self._create(url, frozen, read_state(state), options, place, joined)

    async def create_many(
        self,
        workflow: str | Graph,
        states: Iterable[Mapping[str, Any]],
        *,
        idempotency_keys: Iterable[str] | None = None,
        **same: Any,
    ) -> list[FlowHandle]:
        """Create a flow for each state, in few transactions, with the same options. The handles are in order."""
        known = list(states)
        keys = [""] * len(known) if idempotency_keys is None else list(idempotency_keys)
        if len(keys) != len(known):
            raise InvalidRequest(f"{len(known)} states need as many idempotency keys, not {len(keys)}")
        asked = read_workflow(workflow)
        handles: list[FlowHandle] = []
        for start in range(0, len(known), 4096):
            chunk = zip(known[start : start + 4096], keys[start : start + 4096], strict=True)
            handles += await asyncio.gather(
                *(self.create(asked, state, idempotency_key=key, **same) for state, key in chunk)
            )
        return handles

    async def run(
        self,
        workflow: str | Graph,
        state: Mapping[str, Any] | Any = None,
        *,
        timeout: Seconds | None = None,
        **same: Any,
    ) -> Outcome:
        """Create a flow and wait until it has stopped. WaitTimeout carries its key; the flow goes on."""
        handle = await self.create(workflow, state, **same)
        return await handle.outcome(timeout=timeout)

    def flow(self, flow_key: str) -> FlowHandle:
        """The handle of a flow. No I/O; InvalidRequest for a malformed key."""
        return FlowHandle(self, flow_key)

    async def step(self, step_key: str) -> Step:
        """One step with its input state, its changes, and the keys of its neighbours. StepNotFound."""
        self._check_running()
        key = parse_key(step_key, "step key")
        replica = self._replica(key.shard)
        return await replica.database.read(lambda: read_step(key))

    # ------------------------------------------------------------------ inside

    def _for_test(self, clock: Any, on_lost_write: Any) -> None:
        """Settings that only tests have; before the start."""
        self._clock = clock
        self._on_lost_write = on_lost_write

    def _check_running(self) -> None:
        if not self._started:
            raise EngineClosed("the engine is not started: use `async with Engine(...)`, or await engine.start()")

    def _replica(self, shard: int) -> Replica:
        self._check_running()
        replica = self._replicas.get(shard)
        if replica is None:
            raise FlowNotFound("flow not found: the engine has no such shard")
        return replica

    async def _freeze(self, workflow: str | Graph, options: CreateOptions) -> tuple[str, Frozen]:
        assert self._shared is not None
        url, graph = await load_graph(self._host, workflow, options.baggage)
        return url, self._shared.plans.freeze(graph)

    async def _thread(self, thread: str) -> tuple[int, tuple[int, str] | None]:
        if not thread:
            return 0, None
        key = parse_key(thread, "thread key")
        if key.shard not in self._replicas:
            raise ThreadNotFound("thread not found: the engine has no such shard")
        joined = await self._replica(key.shard).database.read(lambda: thread_of(key.id, key.token))
        return key.shard, joined

    async def _create(
        self,
        url: str,
        frozen: Frozen,
        state: dict[str, Any],
        options: CreateOptions,
        place: int,
        thread: tuple[int, str] | None,
    ) -> FlowHandle:
        replica = self._replica(place or self._place(options.idempotency_key))
        while True:
            try:
                flow = replica.new_flow(
                    url,
                    frozen,
                    state,
                    baggage=options.baggage,
                    priority=options.priority,
                    fairness_key=options.fairness_key,
                    fairness_weight=options.fairness_weight,
                    time_budget_ms=options.time_budget_ms,
                    thread=thread,
                    delete_on_completion=options.delete_on_completion,
                    idempotency_key=options.idempotency_key,
                    request_hash=request_hash(url, state) if options.idempotency_key else "",
                )
                break
            except IdsExhausted:
                await replica.committer.reserve(64)
        generation = replica.waiters.generation
        replica.offer(flow)
        key = await replica.committer.create(flow)
        return FlowHandle(self, key, fresh=generation if key == flow.key else None)

    def _place(self, idempotency_key: str | None) -> int:
        """The shard of a new flow: by the key, over all shards; else at random in proportion to capacity."""
        shards = self._settings.shards
        if idempotency_key is not None:
            return shards[crc32(idempotency_key.encode()) % len(shards)].index
        open_shards = [shard for shard in shards if not shard.cordoned]
        if not open_shards:
            raise EngineClosed("every shard is cordoned: no new thread can be placed")
        if len(open_shards) == 1:
            return open_shards[0].index
        weights = [745 if shard.virtual_cpus <= 2 else 450 * shard.virtual_cpus for shard in open_shards]
        return random.choices(open_shards, weights)[0].index


def _wake_from_thread(loop: asyncio.AbstractEventLoop, shared: Shared) -> None:
    loop.call_soon_threadsafe(shared.wake_all)
