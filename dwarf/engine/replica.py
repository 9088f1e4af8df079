"""One shard as this process serves it: its database, its committer, its loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Protocol

from dwarf import seams
from dwarf.core.breakpoints import Breakpoints
from dwarf.core.records import NO_EXTRAS, Extras, FlowRecord, NewFlow, StepRecord
from dwarf.core.step import Means, first_step, no_room
from dwarf.engine.admission import Admission
from dwarf.engine.bands import Bands
from dwarf.engine.caching import StepCache
from dwarf.engine.committer import Committer
from dwarf.engine.config import Settings
from dwarf.engine.deadlines import Deadlines
from dwarf.engine.dispatcher import Dispatcher
from dwarf.engine.ids import IdAllocator, new_token
from dwarf.engine.jobs import Committed
from dwarf.engine.keeper import Keeper
from dwarf.engine.knowledge import Knowledge
from dwarf.engine.membership import Membership
from dwarf.engine.observing import Observing, Telemetry
from dwarf.engine.output import Echo, OutputBook
from dwarf.engine.peers import Peers
from dwarf.engine.plans import Frozen, PlanCache
from dwarf.engine.polling import ChangePoll
from dwarf.engine.progress import ProgressBook
from dwarf.engine.reservations import Reservation, Slots
from dwarf.engine.runner import Runner
from dwarf.engine.schedule import Scheduler
from dwarf.engine.waiters import Waiters
from dwarf.engine.watchdog import Watchdog
from dwarf.engine.wiring import WiringCheck
from dwarf.errors import ConfigError, GraphNotFound
from dwarf.storage.breakpoints import read_changed
from dwarf.storage.database import Database
from dwarf.storage.effects import Hook, Stop, Writer
from dwarf.storage.failures import FileGone, Unavailable
from dwarf.storage.hooks import put_hooks, read_hooks
from dwarf.workflow.digests import CODE_LENGTH
from dwarf.workflow.durations import to_ms
from dwarf.workflow.flow import Flow
from dwarf.workflow.graph import Graph
from dwarf.workflow.host import BaseHost

MOST_POINTS = 10_000  # flows whose breakpoints are remembered


class Clock(Protocol):
    """A clock that a test moves."""

    offset_ms: int

    def jump(self, milliseconds: int) -> None:
        """Move on, because nothing else can run until then."""
        ...

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function after each move. Returns how to stop it."""
        ...


class Shared:
    """What the shards of one engine have in common."""

    def __init__(self, host: BaseHost, settings: Settings, clock: Clock | None, telemetry: Telemetry) -> None:
        self.host = host
        self.settings = settings
        self.clock = clock
        self.telemetry = telemetry
        self.plans = PlanCache(host)
        self.wiring = WiringCheck(host, telemetry.log)
        self.admission = Admission(host, self.wake_all)
        self.watchdog = Watchdog(telemetry.log)
        self.deadlines = Deadlines()
        self.draining = False
        self.random = Random()
        self.wakers: list[Callable[[], None]] = []
        self.slots = Slots(settings.workers, self.admission, self.wake_all)
        self.suspects: set[tuple[int, int]] = set()  # steps in flight that have often lost their process
        self.bands = Bands(len(settings.shards), self.wake_all)
        self.peers: Peers | None = None
        self.hurry = asyncio.Event()  # whoever drains is to wait no longer
        self.track_reads = False
        self.echo: Echo | None = None
        self.on_lost_write: Callable[[str, list[str]], None] | None = None

    def thread_free(self) -> None:
        """A thread has become free."""
        if self.admission.was_refused():
            self.wake_all()

    def wake_all(self) -> None:
        """Have every shard look for work."""
        for wake in self.wakers:
            wake()


class Replica:
    """One shard in this process."""

    def __init__(self, shared: Shared, shard: int, database: Database) -> None:
        self.shared = shared
        self.shard = shard
        self.database = database
        self.host = shared.host
        self.settings = shared.settings
        self.plans = shared.plans
        self.slots = shared.slots
        self.admission = shared.admission
        self.watchdog = shared.watchdog
        self.margin_ms = self.settings.margin_ms
        self.observing = Observing(shared.telemetry, shard, self.margin_ms)
        self.observing.on_failure = self.failed
        self.log = shared.telemetry.log
        self.track_reads = shared.track_reads
        self.ids = IdAllocator(database)
        self.waiters = Waiters()
        self.engine_id = 0
        self.cpus = next((known.virtual_cpus for known in shared.settings.shards if known.index == shard), 0)
        self.away = False  # whether the database was last seen to fail
        self.membership = Membership(self)
        self.knowledge = Knowledge(self)
        self._changes: dict[int, set[asyncio.Event]] = {}
        self._points: dict[int, Breakpoints] = {}  # of flows whose breakpoints were changed lately
        self._points_since = 0
        self.knows_points = False  # whether any breakpoints have been met here
        self.cache = StepCache(self)
        self._said: dict[int, set[asyncio.Event]] = {}

    @property
    def draining(self) -> bool:
        """Whether the engine starts no more steps."""
        return self.shared.draining

    def points(self, step: StepRecord) -> Breakpoints | None:
        """The breakpoints of a step's flow, as far as they are known here."""
        flow = step.flow
        changed = self._points.get(flow.flow_id) if self._points else None
        self.knows_points = self.knows_points or flow.breakpoints is not None
        return changed or flow.breakpoints

    async def set_hooks(self, wanted: Mapping[str, tuple[str, Frozen]]) -> None:
        """Keep these hooks in the database, and no others: by event, each with its workflow's URL and graph."""
        settings = self.settings
        rows = [
            Hook(
                event=event,
                workflow_url=url,
                graph_hash=frozen.graph_hash,
                priority=settings.default_priority,
                time_budget_ms=settings.time_budget_ms,
            )
            for event, (url, frozen) in sorted(wanted.items())
        ]
        bodies = {frozen.graph_hash: frozen.body for _, frozen in wanted.values()}
        await self.committer.call(lambda effects: put_hooks(rows, bodies, effects))
        await self.read_news()

    async def read_news(self) -> None:
        """Learn what others have set: hooks, and breakpoints that were changed."""
        self.writer.hooks = await self.database.read(read_hooks)
        since = self._points_since
        found, self._points_since = await self.database.read(lambda: read_changed(since))
        self._points |= found
        self.knows_points = self.knows_points or bool(found)
        while len(self._points) > MOST_POINTS:
            del self._points[next(iter(self._points))]

    def digest(self, url: str) -> str:
        """The digest of the function that would run as this task now; "" where the host cannot tell."""
        try:
            code = self.host.digest(url)
            return code if type(code) is str and len(code) <= CODE_LENGTH else str(code)[:CODE_LENGTH]
        except Exception:  # noqa: BLE001 - a host of the user's own; what it cannot tell is no reason to fail a step
            return ""

    async def start(self) -> None:
        """Open the database, take back what a former life of this engine left, and begin to work."""
        await self.database.open()
        self.engine_id, proves_dead = await self.database.claim_engine_id(self.settings.engine_id or 0)
        self.writer = Writer(
            shard=self.shard,
            engine_id=self.engine_id,
            margin_ms=self.margin_ms,
            means=Means(self.ids.steps.take, new_token, no_room),
            plan_of=self.plans.plan_of,
            suspect_at=self.settings.suspect_at,
            next_flow_id=self.ids.flows.take,
        )
        self.pauses = [to_ms(pause, "retry_ladder") / 1000 for pause in self.settings.timing.retry_ladder]
        self.committer = Committer(self.database, self.writer, self.ids, self, self.pauses)
        self.progress = ProgressBook(self.database, self.announce, self.log)
        self.output = OutputBook(self.committer, self.ids, self.output_written, self.log, self.shared.echo)
        self.runner = Runner(self)
        self.dispatcher = Dispatcher(self)
        self.keeper = Keeper(self)
        self.changes = ChangePoll(self)
        self.scheduler = Scheduler(self)
        self.database.listen(self.changes.on_notify)
        await self.membership.enter()
        await self.knowledge.enter()
        await self.ids.reserve(1)
        await self.read_news()
        await self.membership.settle()
        await self.keeper.take_back({self.engine_id} if proves_dead else set())
        await self.keeper.rebase()
        self.committer.start()
        self.keeper.start()
        self.changes.start()
        self.knowledge.start()
        if self.settings.workers:
            self.shared.wakers.append(self.dispatcher.wake)
            self.dispatcher.start()
            self.shared.wakers.append(self.scheduler.wake)
            self.scheduler.start()

    async def stop_taking(self) -> None:
        """Claim nothing more."""
        self.committer.drain()
        await self.scheduler.aclose()
        await self.dispatcher.aclose()

    async def abort(self) -> None:
        """Undo a start that did not succeed, as far as it came."""
        if hasattr(self, "keeper"):
            await self.stop_taking()
            await self.aclose()
        else:
            await self.database.aclose()

    async def aclose(self) -> None:
        """Stop the loops, release who waits, and disconnect. The steps in flight are over."""
        await self.changes.aclose()
        await self.keeper.aclose()
        await self.progress.aclose()
        await self.output.aclose()
        await self.committer.aclose()
        await self.runner.drain(0)  # what was handed over by the last commits
        self.waiters.close()
        for events in (*self._changes.values(), *self._said.values()):
            for event in events:
                event.set()
        await self.knowledge.aclose()
        await self.membership.aclose()
        await self.database.aclose()

    def failed(self, error: BaseException) -> None:
        """The database has failed: new flows are placed elsewhere for now, where that is possible."""
        self.away = self.away or isinstance(error, (Unavailable, FileGone))

    def recovered(self) -> None:
        """The database serves again."""
        self.away = False

    async def reconcile(self) -> None:
        """The database may have forgotten what it knew: a standby took over, or a copy was restored.

        Ids that it would give again are left out, leases that nobody runs are given back, and steps that it does not
        know to be leased to this engine are not run to an end.
        """
        self.log.warning("shard %s: the database is not the one it was, and may have forgotten something", self.shard)
        await self.ids.renew()
        await self.keeper.strays.reconcile()

    # ------------------------------------------------------------------ after a commit

    def committed(self, group: Committed) -> None:
        """A group is durable: wake who waits, and look for work that became due."""
        for flow_id in group.resumed:
            self.waiters.goes_on(flow_id)
        self.scheduler.flows_stopped(group.stops)
        if group.stops:
            self.runner.ended([stop.flow_id for stop in group.stops if stop.status.terminal])
        for stop in group.stops:
            if seams.active is None or not seams.active.lost("dropStop", [stop.flow_id]):
                self.waiters.stopped(stop)
        self.observing.committed(group)
        if group.work_due and (seams.active is None or not seams.active.lost("dropDoorbell")):
            self.dispatcher.wake()
        if self._changes:
            self.announce(group.moved)
        if self.database.told or self.shared.peers is not None:
            # what this replica takes up itself at once is no news
            work = group.work_due and (self.dispatcher.backlogged or not self.settings.workers or self.draining)
            self.tell(work, group.stops, group.due_step)

    def tell(self, work_due: bool, stops: Sequence[Stop] = (), step_id: int = 0) -> None:
        """Let other replicas know what they could find by themselves, only later."""
        if self.database.told and (work_due or stops):
            self.database.tell(work_due, [stop.flow_id for stop in stops])
        peers = self.shared.peers
        if peers is not None:
            if work_due:
                peers.work_due(self.shard, step_id)
            peers.stopped(self.shard, stops)

    def slot_for_flow(self, flow: NewFlow) -> Reservation | None:
        """Reserve a slot for the first step of a new flow, which is leased then, unless other steps wait for one."""
        entry = flow.entry
        if self.draining or self.dispatcher.backlogged or entry.limit_name or entry.not_before or entry.labels:
            return None
        if flow.deadline_at or flow.deadline_ms:  # it may have passed, and the dispatcher is to learn of the moment
            return None
        if flow.record.priority > self.shared.bands.ceiling(self.shard):
            return None
        slot = self.slots.reserve()
        if slot is None:
            return None
        entry.leased = slot.promise(entry.need)
        if not entry.leased:
            slot.release()
            return None
        return slot

    def slot_for_woken(self) -> Reservation | None:
        """Reserve a slot for a step that is about to be woken, unless other steps wait for one."""
        if self.draining or self.dispatcher.backlogged:
            return None
        slot = self.slots.reserve()
        if slot is not None:
            slot.gate = self.dispatcher.gate()
        return slot

    def launch(self, step: StepRecord, slot: Reservation) -> None:
        """Run a step in a slot that was reserved for it."""
        self.runner.launch(step, slot)

    def announce(self, roots: set[int]) -> None:
        """Something visible has changed in these trees."""
        for root in roots:
            for event in self._changes.get(root, ()):
                event.set()

    def output_written(self, roots: set[int]) -> None:
        """Tasks in these trees have said something, which can be read now."""
        for root in roots:
            for event in self._said.get(root, ()):
                event.set()

    @property
    def watched(self) -> set[int]:
        """The trees that somebody watches."""
        return set(self._changes)

    def watch(self, root: int, event: asyncio.Event) -> Callable[[], None]:
        """Have an event set at each change in a tree. Returns how to stop it."""
        return _join(self._changes, root, event)

    def listen(self, root: int, event: asyncio.Event) -> Callable[[], None]:
        """Have an event set whenever running tasks in a tree have said something. Returns how to stop it."""
        return _join(self._said, root, event)

    # ------------------------------------------------------------------ making flows

    async def load_graph(self, workflow: str | Graph, baggage: Mapping[str, Any]) -> tuple[str, Graph]:
        """The URL and the graph of a workflow. GraphNotFound, or what the host raises."""
        return await load_graph(self.host, workflow, baggage)

    def new_flow(
        self,
        url: str,
        frozen: Frozen,
        initial: Mapping[str, Any],
        *,
        baggage: Mapping[str, Any],
        priority: int,
        fairness_key: str,
        fairness_weight: float,
        time_budget_ms: int,
        caller: StepRecord | None = None,
        thread: tuple[int, str] | None = None,
        delete_on_completion: bool = False,
        idempotency_key: str | None = None,
        request_hash: str = "",
        scheduled_at: int = 0,
        extras: Extras = NO_EXTRAS,
    ) -> NewFlow:
        """A new flow, ready to be inserted. Ids must be at hand."""
        flow_id, token = own = self.ids.flows.take(), new_token()
        record = FlowRecord(
            shard=self.shard,
            flow_id=flow_id,
            token=token,
            workflow_url=url,
            plan=frozen.plan,
            graph_hash=frozen.graph_hash,
            baggage=baggage,
            parent_flow_id=caller.flow.flow_id if caller else 0,
            parent_step_id=caller.step_id if caller else 0,
            root_flow_id=caller.flow.root_flow_id if caller else flow_id,
            priority=priority,
            fairness_key=fairness_key,
            fairness_weight=fairness_weight,
            time_budget_ms=time_budget_ms,
            thread_id=(thread or own)[0],
            thread_token=(thread or own)[1],
            delete_on_completion=delete_on_completion,
            scheduled_at=caller.flow.scheduled_at if caller else scheduled_at,
            name=extras.name,
            tags=caller.flow.tags if caller else extras.tags,
            hook=caller.flow.hook if caller else "",
            breakpoints=_points_of(extras),
        )
        depth = caller.depth + 1 if caller else 1
        entry = first_step(record, initial, depth, Means(self.ids.steps.take, new_token, no_room))
        entry.not_before = extras.start_at
        flow = NewFlow(
            record=record,
            graph_body=frozen.body,
            entry=entry,
            initial=initial,
            idempotency_key=idempotency_key,
            request_hash=request_hash,
            deadline_at=extras.deadline_at,
            deadline_ms=extras.deadline_ms,
        )
        self.observing.new_flow(flow, caller)
        return flow

    # ------------------------------------------------------------------ around a task

    def after_task(self, flow: Flow, url: str) -> None:
        """A task has returned."""
        if self.track_reads and self.shared.on_lost_write is not None:
            lost = flow._lost_writes()
            if lost:
                self.shared.on_lost_write(url, lost)


def _join(groups: dict[int, set[asyncio.Event]], root: int, event: asyncio.Event) -> Callable[[], None]:
    """Add an event to those of a tree. Returns how to take it away."""
    group = groups.setdefault(root, set())
    group.add(event)

    def stop() -> None:
        group.discard(event)
        if not group and groups.get(root) is group:
            del groups[root]

    return stop


def _points_of(extras: Extras) -> Breakpoints | None:
    given = extras.before or extras.after
    return Breakpoints().changed(extras.before, extras.after) if given else None


async def load_graph(host: BaseHost, workflow: str | Graph, baggage: Mapping[str, Any]) -> tuple[str, Graph]:
    """The URL and the graph of a workflow given by name or as a graph. Functions on a graph are registered."""
    if isinstance(workflow, Graph):
        register(host, workflow)
        return workflow.name, workflow
    if seams.active is not None:
        await seams.active.arrive("loadGraph", [workflow])
    graph: Any = await host.load_graph(workflow, baggage)
    if graph is None:
        raise GraphNotFound(f"the host has no workflow {workflow!r}")
    if not isinstance(graph, Graph):
        raise ConfigError(f"the host's load_graph({workflow!r}) answered with a {type(graph).__name__}, not a Graph")
    return workflow, graph


def register(host: BaseHost, graph: Graph) -> None:
    """Register the functions on a graph's nodes. ConfigError where the host takes none, or has others of their URLs."""
    if graph.functions:
        host.add_functions(graph)
