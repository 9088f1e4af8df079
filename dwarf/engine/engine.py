"""The engine: it runs flows, and is the API for all of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal

from dwarf.core.cron import read_overlap, read_spec
from dwarf.core.keys import parse_key
from dwarf.core.records import NewFlow
from dwarf.engine.fleet import FleetOperations
from dwarf.engine.forking import fork_at, read_changes, read_target
from dwarf.engine.handle import FlowHandle
from dwarf.engine.requests import (
    CreateOptions,
    read_flag,
    read_keys,
    read_options,
    read_same_options,
    read_schedule_options,
    read_state,
    read_states,
    request_text,
)
from dwarf.engine.schedule import Schedule, schedule_record
from dwarf.engine.shard.factory import load_graph
from dwarf.engine.shard.ids import IdsForgotten
from dwarf.engine.shard.plans import Frozen
from dwarf.engine.shard.runtime import ShardRuntime
from dwarf.engine.transfer import exported, imported
from dwarf.errors import StepNotFound, ThreadNotFound
from dwarf.storage.operations.breakpoints import check_nodes
from dwarf.storage.operations.create import is_known, thread_of
from dwarf.storage.operations.schedules import list_schedules, put_schedule, read_now
from dwarf.storage.queries.history import read_step
from dwarf.workflow.durations import Seconds
from dwarf.workflow.graph import Graph, read_workflow
from dwarf.workflow.results import Outcome, Step
from dwarf.workflow.suggest import check_names
from dwarf.workflow.typeforms import fields_of

SAMPLED = 100  # states of create_many that are sampled for the fields of the initial state
BLOCK = 4096  # flows of create_many that are handed to the committers at once


class Engine(FleetOperations):
    """Runs flows. ``async with Engine(host, url)`` migrates the database, starts, and drains at the end.

    ``url`` is a SQLAlchemy URL or a plain one ("sqlite:///flows.db"; "sqlite://" or none for memory); ``shards`` names
    several databases instead. ``workers`` is the maximum of tasks in flight; with 0 this engine creates, waits and
    answers, but runs nothing. ``time_budget`` (seconds or timedelta) bounds each call of a task. ``max_crashes`` is how
    often a step may crash its process before it fails, None for no limit; from half of that number such steps run one
    at a time, so that a crash does not interrupt others. ``max_depth`` limits the steps on one path of a flow, None for
    no limit; the width of fan-outs does not count. ``capture_output``: prints, log records and warnings of tasks are
    stored with their steps, see FlowHandle.logs, and still go to their usual streams. ``hooks`` are workflows by event
    ("interrupted", "failed", "completed", "cancelled"): a flow of the workflow is created in the transaction of each
    event, whichever engine writes it. They are stored in the database; an empty mapping removes them. ``labels`` are
    the capabilities of this engine ("gpu"): a task with labels runs only on engines that have all of them. ``clock`` is
    a dwarf.testing.VirtualClock, for SQLite: delays pass when it is moved. ConfigError names a wrong setting.

    Example::

        async with Engine(LocalHost(), "sqlite:///flows.db") as engine:
            outcome = await engine.run(graph, {"amount": 3})
            print(outcome.status, outcome.state)
    """

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
        name: str = "",
        tags: Mapping[str, str] | None = None,
        start_at: datetime | None = None,
        deadline: Seconds | datetime | None = None,
        interrupt_before: Iterable[str] = (),
        interrupt_after: Iterable[str] = (),
        check_tasks: bool = True,
    ) -> FlowHandle:
        """Create a flow, which starts to run immediately; its graph is frozen as it is now.

        A workflow given as a Graph is frozen from the object, and functions on its nodes are registered with a
        LocalHost (ConfigError with another host). ``name`` and ``tags`` (at most 32 texts by name) are for people,
        lists and filters; subgraphs inherit the tags, forks and further turns both. The flow is pending until
        ``start_at``, and fails with "deadline exceeded" at its ``deadline`` (a moment, or a duration from now), even
        while it sleeps or waits; forks and turns have none. ``interrupt_before`` and ``interrupt_after`` are nodes at
        which it stops with an interrupt; ``resume`` with a mapping lays changes over the state there. With an
        ``idempotency_key`` a second create returns the first flow. InvalidRequest names a wrong argument;
        GraphNotFound, GraphError for the workflow; ThreadNotFound; StateConflict if the key was used with another
        workflow or state. TaskNotFound if this engine runs tasks and neither its host nor another living engine knows a
        task of the graph; with ``check_tasks=False`` the flow waits for a process that knows it.
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
            name=name,
            tags=tags,
            start_at=start_at,
            deadline=deadline,
            interrupt_before=interrupt_before,
            interrupt_after=interrupt_after,
        )
        given, must_know = read_state(state), read_flag(check_tasks, "check_tasks")
        url, frozen = await self._freeze(asked, options, fields_of(state) or given)  # None is given on purpose
        place, joined = await self._thread(thread)
        one = [(given, options.idempotency_key)]
        if must_know:
            await self._require(frozen, [options.idempotency_key])
        (handle,) = await self._create(url, frozen, one, options, place, joined)
        return handle

    async def create_many(
        self,
        workflow: str | Graph,
        states: Iterable[Mapping[str, Any]],
        *,
        idempotency_keys: Iterable[str] | None = None,
        **same: Any,
    ) -> list[FlowHandle]:
        """Create a flow for each state, in few transactions, with the same options. The handles are in order.

        Every state and key is checked before the first flow is created. If a key was used for another request, the
        StateConflict is raised after the other flows have been created.
        """
        self._check_running()
        asked = read_workflow(workflow)
        known = read_states(states)
        keys = read_keys(idempotency_keys, len(known))
        thread = same.pop("thread", "")
        must_know = read_flag(same.pop("check_tasks", True), "check_tasks")
        options = read_same_options(self._settings, same)
        url, frozen = await self._freeze(
            asked, options, {name for given in known[:SAMPLED] for name in given} if known else None
        )
        place, joined = await self._thread(thread)
        if must_know:
            await self._require(frozen, keys)
        handles: list[FlowHandle] = []
        for start in range(0, len(known), BLOCK):
            block = list(zip(known[start : start + BLOCK], keys[start : start + BLOCK], strict=True))
            handles += await self._create(url, frozen, block, options, place, joined)
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
        check_names("engine.run", same, self.create)
        handle = await self.create(workflow, state, **same)
        outcome = await handle.outcome(timeout=timeout)
        if self._context is not None:
            await self._context.wiring.settled()
        return outcome

    def __getattr__(self, name: str) -> Any:
        """Called for missing attributes only: the error names the attribute that dwarf has instead."""
        if name.startswith("_"):
            raise AttributeError(name)
        from dwarf.workflow.habits import missing_attribute

        raise missing_attribute("Engine", name, dir(type(self)))

    def flow(self, flow_key: str) -> FlowHandle:
        """The handle of a flow. No I/O; InvalidRequest for a malformed key."""
        return FlowHandle(self, flow_key)

    async def step(self, step_key: str) -> Step:
        """One step with its input state, its changes, and the keys of its neighbours. StepNotFound."""
        self._check_running()
        key = parse_key(step_key, "step key")
        runtime = self._known(key.shard)
        if runtime is None:
            raise StepNotFound("step not found: the engine has no such shard")
        return await runtime.database.read(lambda: read_step(key))

    async def fork(
        self,
        step: str | Step,
        changes: Mapping[str, Any] | Any = None,
        *,
        at: Literal["input", "after"] = "input",
        keep_answers: int = 0,
        graph: Graph | None = None,
    ) -> FlowHandle:
        """Copy a flow, and continue in the copy at one of its steps. The flow itself is unchanged and may still be
        running.

        With ``at="input"`` the step's task runs again; ``changes`` are laid over its input, and None deletes a field.
        ``keep_answers`` is the number of its answers that are kept, of interrupts and subgraphs, in their order. With
        ``at="after"`` the step's result stands, ``changes`` are laid over it, and routing continues from there. Steps
        after it are left out, branches beside it are kept. In a child flow, the steps that wait for it get its new
        result. In a flow that has not ended, a step that has ended or waits can be chosen; other steps that have not
        ended run again in the copy. GraphWarning for a field of ``changes`` that looks misspelt.

        ``graph`` replaces the frozen graph of the flow that contains the step; its history is kept. GraphError lists
        every reason why the history does not fit: the step's node is gone, a fan-out around it is missing, or branches
        that have joined would join elsewhere. StepNotFound; StateConflict if the step is running, or has no result to
        continue from; InvalidRequest, StateError for wrong arguments.
        """
        self._check_running()
        target, given = read_target(at, keep_answers), read_changes(changes)
        key = parse_key(step.key if isinstance(step, Step) else step, "step key")
        return FlowHandle(self, await fork_at(self._runtime(key.shard), key, target, given, graph))

    # ------------------------------------------------------------------ schedules

    async def schedule(
        self,
        name: str,
        workflow: str | Graph,
        *,
        cron: str = "",
        every: Seconds | None = None,
        timezone: str = "UTC",
        state: Mapping[str, Any] | None = None,
        catch_up: bool = False,
        overlap: Literal["skip", "allow", "queue"] = "skip",
        **create_options: Any,
    ) -> Schedule:
        """Create flows by the clock: at each tick of a cron expression (in ``timezone``), or at a fixed interval.

        A schedule is stored in the database and fires once per tick, with any number of replicas. Requesting the same
        schedule again changes nothing, so a program may do so at each start; another definition replaces it, and keeps
        the next tick if the rhythm is the same. A workflow given as a Graph is frozen now; one given by name is loaded
        at each tick. Ticks that passed while no engine ran are skipped, except for the latest if it is less than a
        minute old; with ``catch_up`` each is made up for. ``overlap`` says what happens to a tick while the flow of an
        earlier tick is running or waits for an answer: "skip" leaves it out, "queue" delays it, "allow" runs both.
        Ticks that are made up for run one after another, unless "allow" is given. A flow finds its tick in
        ``flow.scheduled_at``. ``create_options`` are those of ``create``, except ``thread`` and ``idempotency_key``.
        InvalidRequest, GraphError.
        """
        self._check_running()
        spec, policy = read_spec(cron, every, timezone), read_overlap(overlap)
        every_tick = read_flag(catch_up, "catch_up")
        asked = read_workflow(workflow)
        options = read_schedule_options(name, self._settings, create_options)
        given = read_state(state)
        frozen = None
        url = asked if isinstance(asked, str) else asked.name
        if isinstance(asked, Graph):
            url, frozen = await self._freeze(asked, options, given)
        runtime = self._runtime(self._place(name))
        now = await runtime.database.read(read_now)
        hashed = runtime.database.payloads.hashed
        record = schedule_record(name, url, frozen, spec, given, options, every_tick, policy, now, hashed)
        body = frozen.body if frozen else ""
        kept = await runtime.committer.call(lambda work: put_schedule(record, body, work))
        runtime.scheduler.wake()
        return Schedule(self, runtime, kept)

    async def schedules(self) -> Sequence[Schedule]:
        """Every schedule, by name."""
        self._check_running()
        found: list[Schedule] = []
        for runtime in self._every():
            found += [Schedule(self, runtime, record) for record in await runtime.database.read(list_schedules)]
        return sorted(found, key=lambda schedule: schedule.name)

    # ------------------------------------------------------------------ from one database to another

    async def export_flows(self, *flow_keys: str) -> AsyncIterator[str]:
        """Stopped flows with their whole trees, as lines of JSON without line ends.

        They contain payloads in plain text, even with a codec, and no keys. A branch that is running beside a waiting
        one starts again after the import. InvalidRequest, also for the key of a child flow; FlowNotFound; StateConflict
        for a flow that is running or being deleted.
        """
        self._check_running()
        async for line in exported(flow_keys, self._runtime):
            yield line

    async def import_flows(self, lines: Iterable[str] | AsyncIterable[str]) -> list[FlowHandle]:
        """Create flows from the lines of ``export_flows``, in their order; each gets a new key and a new thread.

        Waiting flows can be answered here, completed ones can be forked and continued. The graphs are in the lines, the
        tasks must be known to the host. Each flow is imported whole or not at all, and only after all lines have been
        read and checked. Import only trusted lines: they may name any class as the type of a value, and any task of the
        host. InvalidRequest names the first wrong line.
        """
        self._check_running()
        assert self._context is not None
        keys = await imported(lines, self._context.plans, lambda: self._runtime(self._place(None)))
        return [FlowHandle(self, key) for key in keys]

    # ------------------------------------------------------------------ inside

    async def _freeze(
        self, workflow: str | Graph, options: CreateOptions, fields: Iterable[str] | None
    ) -> tuple[str, Frozen]:
        """The URL and the graph of a workflow, checked with the fields of an initial state."""
        assert self._context is not None
        url, graph = await load_graph(self._host, workflow, options.baggage)
        frozen = self._context.plans.freeze(graph)
        check_nodes(frozen.plan.nodes, [*options.extras.before, *options.extras.after])
        if fields is not None:
            await self._context.wiring.look(graph, frozen, fields)
        return url, frozen

    async def _require(self, frozen: Frozen, keys: Iterable[str | None]) -> None:
        """TaskNotFound if a flow would wait for an unknown task. Flows with these keys may exist already."""
        admission = self._context.admission if self._context is not None else None
        if admission is None or all(admission.knows(node.url) for node in frozen.plan.nodes.values()):
            return
        for key in keys:
            if key is None or not await self._runtime(self._place(key)).database.read(partial(is_known, key)):
                await next(iter(self._runtimes.values())).known_tasks.require(frozen.plan)
                return

    async def _thread(self, thread: str) -> tuple[int, tuple[int, str] | None]:
        if not thread:
            return 0, None
        key = parse_key(thread, "thread key")
        if self._known(key.shard) is None:
            raise ThreadNotFound("thread not found: the engine has no such shard")
        joined = await self._runtime(key.shard).database.read(lambda: thread_of(key.id, key.token))
        return key.shard, joined

    async def _create(
        self,
        url: str,
        frozen: Frozen,
        asked: Sequence[tuple[dict[str, Any], str | None]],
        options: CreateOptions,
        place: int,
        thread: tuple[int, str] | None,
    ) -> list[FlowHandle]:
        """Create a flow for each state and idempotency key, handing all of them to the committers of their shards at
        once.
        """
        places = [self._runtime(place or self._place(key)) for _, key in asked]
        if len(asked) > 1:
            for runtime, count in Counter(places).items():
                await runtime.ids.reserve(count)
        made: list[tuple[NewFlow, int, asyncio.Future[str]]] = []
        for (state, key), runtime in zip(asked, places, strict=True):
            made.append(_hand_in(runtime, await self._new_flow(runtime, url, frozen, state, options, key, thread)))
        await asyncio.wait([done for _, _, done in made])
        for position, ((state, key), runtime) in enumerate(zip(asked, places, strict=True)):
            if isinstance(made[position][2].exception(), IdsForgotten):  # new ids have been reserved
                flow = await self._new_flow(runtime, url, frozen, state, options, key, thread)
                made[position] = _hand_in(runtime, flow)
                await asyncio.wait([made[position][2]])
        for error in [done.exception() for _, _, done in made]:
            if error is not None:
                raise error
        return [
            FlowHandle(self, done.result(), fresh=generation if done.result() == flow.key else None)
            for flow, generation, done in made
        ]

    async def _new_flow(
        self,
        runtime: ShardRuntime,
        url: str,
        frozen: Frozen,
        state: dict[str, Any],
        options: CreateOptions,
        idempotency_key: str | None,
        thread: tuple[int, str] | None,
    ) -> NewFlow:
        hashed = runtime.database.payloads.hashed
        return await runtime.ids.supply(
            runtime.flows.build,
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
            idempotency_key=idempotency_key,
            request_hash=hashed(request_text(url, state)) if idempotency_key else "",
            extras=options.extras,
        )


def _hand_in(runtime: ShardRuntime, flow: NewFlow) -> tuple[NewFlow, int, asyncio.Future[str]]:
    """Insert a new flow. Returns the flow, the generation of its waiters, and the future of its key."""
    generation = runtime.waiters.generation
    return flow, generation, runtime.committer.create(flow, runtime.dispatcher.slot_for_flow(flow))
