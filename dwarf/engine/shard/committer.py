"""Group commit: while one transaction is in flight the next group gathers. There is no timer.

Decisions of finished steps and the calls of the API go into one transaction each time. Decisions are grouped; each
call runs under a savepoint, so that a call that is refused affects no other request.

Why a single writer per shard: a transaction costs about the same for one step as for two hundred, most of it waiting
for the disk, so a group is what makes a step cheap. An idle engine still commits a step at once, since the group is
whatever has come while the last one was written. Why a group that fails is written again one by one: a value that the
database refuses must fail its own step and no other. Why a lost connection is looked into before anything is repeated:
the commit may have succeeded although its acknowledgement was lost, and a successor must never exist twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from dwarf import failpoints
from dwarf.core.decision import Complete, Decision, Fail
from dwarf.core.records import NewFlow, NewStep
from dwarf.engine.service import Service
from dwarf.engine.shard.commit_notifier import CommitNotifier, Launch
from dwarf.engine.shard.commit_requests import (
    CallRequest,
    CommitRequest,
    CommitResult,
    CreateRequest,
    DecisionRequest,
    Handover,
    OutputRequest,
    Results,
    scopes_of,
    unstorable,
)
from dwarf.engine.shard.ids import IdAllocator, IdsExhausted, IdsForgotten
from dwarf.engine.shard.reservations import Reservation
from dwarf.engine.telemetry.events import ShardTelemetry
from dwarf.errors import DwarfError, EngineClosed, StateConflict, StorageError
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.cancel import fail_late
from dwarf.storage.operations.commit import commit_group, handed_over
from dwarf.storage.operations.create import reserve
from dwarf.storage.operations.output import Moments, SaidRecord, write_live, write_said
from dwarf.storage.operations.unit_of_work import SlotPredicate, UnitOfWork, WriterIdentity
from dwarf.storage.sql.errors import Contention, LostCommit, PayloadRefused, Unavailable
from dwarf.storage.sql.script import Guarded, Now, Script

T = TypeVar("T")
LARGEST_GROUP = 512
CALLS_BESIDE = 3


class Committer(Service):
    """The one writer of a shard's outcomes in this process."""

    name = "dwarf-committer"
    patience_s = None  # everything that was handed in is answered

    def __init__(
        self,
        database: Database,
        writer: WriterIdentity,
        ids: IdAllocator,
        telemetry: ShardTelemetry,
        backoff: Sequence[float],
    ) -> None:
        super().__init__()
        self._database = database
        self._writer = writer
        self._ids = ids
        self._observing = telemetry
        self._on_committed: Callable[[CommitResult], None] | None = None
        self._backoff = backoff
        self._requests: list[CommitRequest] = []
        self._notifier = CommitNotifier(in_halves=not database.single_writer)
        self._draining = asyncio.Event()
        self._moments = Moments()
        self._beside: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(CALLS_BESIDE)

    def listen(self, on_committed: Callable[[CommitResult], None], launch: Launch) -> None:
        """Call these after each commit: with what it has brought about, and for each step that it starts here."""
        self._on_committed = on_committed
        self._notifier.launch = launch

    async def aclose(self) -> None:
        """Commit what was handed in, then stop."""
        await super().aclose()
        if self._beside:
            await asyncio.wait(self._beside)

    @property
    def finished(self) -> bool:
        """Whether the engine closes and everything was committed and answered."""
        return self._closing and not self._requests and not self._notifier.waiting

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be written."""
        return not self._requests

    @property
    def queued(self) -> int:
        """How much waits for the next transaction."""
        return len(self._requests)

    def decide(
        self, decision: Decision, suits: SlotPredicate | None = None, said: SaidRecord | None = None
    ) -> asyncio.Future[Handover | None]:
        """Make a decision durable. What is handed over, or None where it was fenced out.

        ``suits``: whether the step that has called the flow may go on here, where the decision ends that. ``said``:
        what its task has said, which is written with it.
        """
        done: asyncio.Future[Handover | None] = asyncio.get_running_loop().create_future()
        self._submit(DecisionRequest(decision, done, suits=suits, said=said))
        return done

    async def say(self, records: Sequence[SaidRecord]) -> set[int]:
        """Write what running tasks have said so far. The ids of the steps for which that was possible now."""
        done: asyncio.Future[set[int]] = asyncio.get_running_loop().create_future()
        self._submit(OutputRequest(records, done))
        return await done

    def create(self, flow: NewFlow, slot: Reservation | None = None) -> asyncio.Future[str]:
        """Insert a flow; its key, or that of the flow its idempotency key has made before.

        ``slot``: for its first step, which is leased then; it is started, or the slot is given back.
        """
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._submit(CreateRequest(flow, done, slot))
        return done

    async def call(self, call: Callable[[UnitOfWork], Script[T]], slot: Reservation | None = None) -> T:
        """Run an operation in the next transaction. Its DwarfError, or StorageError.

        ``slot``: for a step that it wakes, which is started in it then; otherwise it is given back.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._submit(CallRequest(call, done, slot))
        return await done

    def _submit(self, request: CommitRequest) -> None:
        # Decisions are still taken while the engine closes: the outcome of a step that has run would be lost, and its
        # task run a second time elsewhere.
        if self._closing and not isinstance(request, DecisionRequest):
            if isinstance(request, (CreateRequest, CallRequest)) and request.slot is not None:
                request.slot.release()
            raise EngineClosed("the engine is closing")
        # tells a collision of old ids from one of ids that were reserved since
        request.renewals = self._ids.renewals
        self._requests.append(request)
        self.wake()

    def first_pause(self) -> None:
        """Until something is handed in."""

    async def turn(self) -> float | None:
        """Commit what has gathered."""
        # one turn of the loop, so that everything that is ready now shares the transaction
        await asyncio.sleep(0)
        group, self._requests = self._requests[:LARGEST_GROUP], self._requests[LARGEST_GROUP:]
        if not self._requests:
            self._woken.clear()  # by what is in the group
        # SQLite writes one transaction at a time, so a call of its own would gain nothing: there it stays in the group.
        if not self._database.single_writer:
            group = self._without_calls(group)
        if group:
            if self._notifier.waiting:
                # the other half of the last group goes on now, so that the engine works while the server writes
                asyncio.get_running_loop().call_soon(self._notifier.rest)
            await self._commit(group)
            more = self._notifier.some(len(self._requests))
            return 0.0 if more or self._requests else None
        self._notifier.rest()
        return 0.0 if self._requests else None

    def failed(self, error: Exception) -> float:
        """Report a fault of the engine itself: those of the database are the answers of the requests they belong to."""
        self._observing.fault("what a transaction has brought about could not be told", error)
        return 0.0

    def _without_calls(self, group: list[CommitRequest]) -> list[CommitRequest]:
        """Run the calls beside the group, each in a transaction of its own.

        A call waits for steps that others are writing. If it held what other calls have written meanwhile, and a group
        the steps it waits for, the two would often wait for each other.
        """
        for request in group:
            if isinstance(request, CallRequest):
                task = asyncio.create_task(self._commit_beside(request), name="call-beside")
                self._beside.add(task)
                task.add_done_callback(self._beside.discard)
        return [request for request in group if not isinstance(request, CallRequest)]

    async def _commit_beside(self, request: CallRequest) -> None:
        async with self._turns:
            await self._commit([request])

    async def _commit(self, group: list[CommitRequest]) -> None:
        try:
            if failpoints.active is not None:
                await failpoints.active.arrive("beforeCommit", scopes_of(group))
            committed = await self._write(group)
            if failpoints.active is not None:
                await failpoints.active.arrive("afterCommit", scopes_of(group))
        except (Unavailable, Contention) as error:
            self._observing.database_error(error)
            for request in group:
                self._notifier.refuse(request, error)
        except Exception as error:  # noqa: BLE001 - one bad request must not take the others with it, nor end the loop
            if len(group) > 1:
                for request in group:
                    await self._commit([request])
            else:
                await self._refused(group[0], error)
        else:
            self._settle(group, committed)

    async def _write(self, group: list[CommitRequest]) -> CommitResult:
        """Write a group, trying again while the database is away."""
        pauses = iter(self._backoff)
        while True:
            try:
                began = time.monotonic()
                committed = await self._database.write(lambda: self._script(group))
                committed.seconds = time.monotonic() - began
                return committed
            except IdsExhausted:
                await self._ids.reserve(2 * LARGEST_GROUP)
            except (Unavailable, Contention) as error:
                for request in group:
                    # The lost COMMIT may have succeeded. The next try then looks for what this one has written, a read
                    # that no other try needs.
                    request.again = request.again or isinstance(error, LostCommit)
                pause = next(pauses, None)
                if pause is None or self._draining.is_set():
                    raise
                self._observing.write_retried(pause, error)
                await self.pause(pause)

    async def pause(self, seconds: float) -> None:
        """Wait before another try, but not while the engine drains."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._draining.wait()

    def drain(self) -> None:
        """The engine is closing: tries that failed are not put off any more."""
        self._draining.set()

    async def _refused(self, request: CommitRequest, error: Exception) -> None:
        """A single request that the database did not take, though it is there."""
        telemetry = self._observing
        telemetry.database_error(error)
        if isinstance(error, PayloadRefused) and error.duplicate:
            await self._collided(request, error)
            return
        if not isinstance(error, DwarfError):
            telemetry.fault("a transaction failed by a fault in its script", error)
        known = isinstance(error, PayloadRefused) or not isinstance(error, (StorageError, EngineClosed))
        if known and isinstance(request, DecisionRequest) and not isinstance(request.decision, Fail):
            # what it brings is at fault: fail the step without it
            telemetry.write_failed(request.decision.step, error)
            request.decision = Fail(request.decision.step, unstorable(error))
            await self._commit([request])
        else:
            self._notifier.refuse(request, error)

    async def _collided(self, request: CommitRequest, error: PayloadRefused) -> None:
        """An id that a request brings is in use, since the database has forgotten that it was given."""
        renewed = request.renewals < self._ids.renewals
        if not renewed:
            self._observing.log.warning("ids are in use that were reserved here: others are taken (%s)", error)
            await self._ids.renew()
        if isinstance(request, CallRequest) and not renewed:
            # less than any count, so that a second collision is refused and no try follows
            request.renewals = -1
            await self._commit([request])  # what takes its ids in the transaction has new ones now
        else:
            self._notifier.refuse(request, IdsForgotten(str(error)))

    def _settle(self, group: list[CommitRequest], committed: CommitResult) -> None:
        for source, first, count in committed.blocks:
            source.add(first, count)
        # only now: the rows of graphs that were rolled back have to be inserted again
        self._writer.known_graphs |= committed.graphs
        if self._on_committed is not None:
            self._on_committed(committed)
        self._notifier.gather(group, committed)

    def _script(self, group: list[CommitRequest]) -> Script[CommitResult]:
        now = yield Now()
        self._moments.at(now)
        committed = CommitResult(now, written=Counter() if self._observing.metrics.active else None)
        results: Results = {}
        # asked once: ids are used up while the statements of this are under way
        short = self._ids.short()
        calls = [request for request in group if isinstance(request, CallRequest)]
        saying = [
            request
            for request in group
            if isinstance(request, OutputRequest) or (isinstance(request, DecisionRequest) and request.said)
        ]
        # What is last may be its own transaction. A failpoint at the end needs one that is still open.
        last = not short and not saying and failpoints.active is None
        yield from self._outcomes(group, committed, results, last=last and not calls)
        for call in calls:
            yield from self._call(call, committed, results, beside=len(group) > 1, last=last and len(group) == 1)
        if saying:
            yield from _say(saying, committed, results, self._moments)
        for source, wanted in short:
            first = yield from reserve(source.kind, wanted)
            committed.blocks.append((source, first, wanted))
        committed.results = [results[request] for request in group]
        if failpoints.active is not None:
            failpoints.active.hit("commit", scopes_of(group))
        return committed

    def _outcomes(
        self, group: list[CommitRequest], committed: CommitResult, results: Results, *, last: bool
    ) -> Script[None]:
        """Write the decisions and the new flows of a group."""
        decided = [request for request in group if isinstance(request, DecisionRequest)]
        created = [request for request in group if isinstance(request, CreateRequest)]
        if not decided and not created:
            return
        now = committed.now
        places = {
            request.decision.step.flow.flow_id: request.suits
            for request in decided
            if request.suits and _ends_flow(request)
        }
        late = {request.flow.record.flow_id for request in created if 0 < request.flow.deadline_at <= now}
        work = UnitOfWork(self._writer, now, written=committed.written, slot_predicates=places, last=last and not late)
        landed, made = yield from commit_group(
            [request.decision for request in decided],
            [request.flow for request in created],
            work,
            [request.flow for request in created if request.again],
        )
        self._landed(decided, landed, work, committed, results)
        for create, key in zip(created, made, strict=True):
            results[create] = (None, key) if isinstance(key, StateConflict) else (key, None)
        committed.gather(work)
        late = late & {flow.record.flow_id for flow in work.flows}  # an idempotency key may have found another
        if late:
            failing = UnitOfWork(self._writer, now, written=committed.written)
            yield from fail_late(sorted(late), failing)
            yield from failing.insert()
            committed.gather(failing)

    def _call(
        self, request: CallRequest, committed: CommitResult, results: Results, *, beside: bool, last: bool
    ) -> Script[None]:
        """Run a call and insert what it has added. ``beside`` others a savepoint undoes it alone where it fails."""
        suits = None if request.slot is None else request.slot.suits
        work = UnitOfWork(self._writer, committed.now, written=committed.written, slot_predicate=suits, last=last)
        results[request] = yield from _apart(partial(request.call, work), beside)
        if results[request][1] is None:
            yield from work.insert()
            committed.gather(work)
            committed.woken.update((request, step) for step in work.woken)

    def _landed(
        self,
        requests: list[DecisionRequest],
        landed: list[bool],
        work: UnitOfWork,
        committed: CommitResult,
        results: Results,
    ) -> None:
        leased: dict[int, list[NewStep]] = {}
        for step in work.steps:
            if step.leased and step.predecessor_id:
                leased.setdefault(step.predecessor_id, []).append(step)
        for request, ok in zip(requests, landed, strict=True):
            handover = None
            if ok:
                woken = work.revived.pop(request.decision.step.flow.flow_id, None) if _ends_flow(request) else None
                handover = Handover(handed_over(request.decision, leased), committed.now, woken)
            committed.decided.append((request.decision, handover))
            results[request] = (handover, None)


def _say(
    requests: Sequence[CommitRequest], committed: CommitResult, results: Results, moments: Moments
) -> Script[None]:
    """Write what was said, of decisions with those that have landed."""
    for request in requests:
        if isinstance(request, OutputRequest):
            results[request] = (
                (yield from write_live(request.records, committed.now, moments, again=request.again)),
                None,
            )
    landed = [
        request.said
        for request in requests
        if isinstance(request, DecisionRequest) and request.said and results[request][0] is not None
    ]
    if landed:
        yield from write_said(landed, committed.now, moments)


def _ends_flow(request: DecisionRequest) -> bool:
    """Whether nobody else in the group can end the flow."""
    decision = request.decision
    return isinstance(decision, Complete) or (isinstance(decision, Fail) and not decision.step.lineage_id)


def _apart(script: Callable[[], Script[Any]], guard: bool) -> Script[tuple[Any, BaseException | None]]:
    """Run a request's script: under a savepoint where its failure must not undo the others."""
    if guard:
        answer: tuple[Any, BaseException | None] = yield Guarded(script)
        return answer
    return (yield from script()), None
