"""Running one leased step: its task, the decision about it, and the step that follows.

Why one coroutine for a step's whole way, from the lease to its successor: every exit gives the reserved slot back
exactly once, and the exits are many. The task may return, raise, park, run out of its budget or be cancelled; the
decision may be fenced out, or refused by the database; the engine may be closing. Why a decision carries the number of
the lease: this process may have been declared dead meanwhile, and then another one runs the step. A write under an old
number changes no row, and the runner drops the result. Why the successor is handed over in memory: the commit has
inserted it with a lease of this engine, which saves the claim and most of the latency of a chain.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from random import random
from typing import Any, NoReturn

from dwarf.core.decision import Decision, Fail
from dwarf.core.keys import correlation_id
from dwarf.core.plan import NodePlan
from dwarf.core.records import StepRecord
from dwarf.core.step import Attempt, DecisionContext, Returned, decide, no_room
from dwarf.engine.shard.attempts import Attempts
from dwarf.engine.shard.commit_requests import Handover, unstorable
from dwarf.engine.shard.committer import Committer
from dwarf.engine.shard.context import EngineContext
from dwarf.engine.shard.ids import IdAllocator, IdsExhausted, IdsForgotten, new_token
from dwarf.engine.shard.output import OutputBook, Voice
from dwarf.engine.shard.peers import Notifier
from dwarf.engine.shard.priority_ceilings import Precedence
from dwarf.engine.shard.reservations import Reservation
from dwarf.engine.telemetry.events import ShardTelemetry
from dwarf.errors import EngineClosed, StorageError, WorkerLost
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.output import SaidRecord
from dwarf.storage.operations.recovery import leases_of, release_lease, release_leases
from dwarf.storage.operations.unit_of_work import SlotPredicate, WriterIdentity
from dwarf.storage.sql.errors import Contention, Unavailable

COLLISIONS = 3  # id collisions in one decision, after which the step fails


class Abandoned(Exception):
    """The step is left to the engine that takes its lease next."""


class Runner:
    """Runs the steps that this replica has leased on one shard."""

    def __init__(
        self,
        context: EngineContext,
        writer: WriterIdentity,
        *,
        attempts: Attempts,
        database: Database,
        committer: Committer,
        ids: IdAllocator,
        output: OutputBook,
        precedence: Precedence,
        notifier: Notifier,
        telemetry: ShardTelemetry,
        look_for_work: Callable[[], None],
    ) -> None:
        settings = context.settings
        self._context = context
        self._writer = writer
        self._attempts = attempts
        self._database = database
        self._committer = committer
        self._ids = ids
        self._output = output
        self._precedence = precedence
        self._notifier = notifier
        self._observing = telemetry
        self._look_for_work = look_for_work
        self._quarantine_at, self._max_depth, self._pauses = settings.quarantine_at, settings.max_depth, settings.pauses
        self._beyond_ms = settings.margin_ms + settings.grace_ms  # how long a lease outlives its time budget
        attempts.must_stop = self._must_stop
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempting: dict[asyncio.Task[None], StepRecord] = {}  # steps inside a task, which may be cancelled
        self._giving_up = False
        self._lost: set[asyncio.Task[None]] = set()  # runners whose steps other replicas run now
        self.held: dict[int, int] = {}  # the steps that run here, each with its lease number

    @property
    def busy(self) -> bool:
        """Whether a step is running."""
        return bool(self._tasks)

    def launch(self, step: StepRecord, slot: Reservation) -> None:
        """Run a step in the slot reserved for it. While the engine drains, give the step back."""
        if self._context.draining:
            run = self._return(step, slot)
        else:
            run = self._run(step, slot)
        if step.crashes >= self._quarantine_at:
            self._context.quarantined.add((self._writer.shard, step.step_id))
        self.held[step.step_id] = step.lease_seq
        task = asyncio.create_task(run, name=f"dwarf-step-{step.step_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, grace: float | None) -> None:
        """Wait for the steps in flight. After ``grace`` seconds cancel them and give their leases back."""
        if self._tasks:
            hurry = asyncio.create_task(self._context.hurry.wait())
            over = asyncio.create_task(_all_done(set(self._tasks)))
            await asyncio.wait({hurry, over}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            for waiting in (hurry, over):
                waiting.cancel()
        self._giving_up = True
        for task in tuple(self._attempting):
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    def abandon(self, step_ids: Collection[int] | None = None) -> None:
        """Cancel the tasks of steps that other replicas run now, and write no outcome. None: all tasks."""
        for task, step in tuple(self._attempting.items()):
            if step_ids is None or step.step_id in step_ids:
                self._lost.add(task)
                task.cancel()

    def stoppable(self, flow_ids: Collection[int]) -> list[int]:
        """The steps of these flows whose tasks can be stopped: in an executor, unlike in a thread, or on a server."""
        mine = [step for step in self._attempting.values() if step.flow.flow_id in flow_ids]
        return [step.step_id for step in mine if self._can_stop(step.flow.plan.nodes[step.node])]

    def _can_stop(self, node: NodePlan) -> bool:
        try:
            return bool(node.executor) or self._context.host.can_stop(node.url)
        except Exception:  # noqa: BLE001 - a host of the user's own; a task that goes on does no harm
            return False

    def ended(self, flow_ids: Collection[int]) -> None:
        """Cancel the tasks of ended flows that can be stopped: their results would be fenced out."""
        if self._attempting and (step_ids := self.stoppable(flow_ids)):
            self.abandon(step_ids)

    def stopped_elsewhere(self, flow_ids: Collection[int]) -> None:
        """Handle a notification that these flows have ended or wait for an answer."""
        if self._attempting and (step_ids := self.stoppable(flow_ids)):
            look = asyncio.create_task(self._look(step_ids), name="dwarf-look")
            self._tasks.add(look)
            look.add_done_callback(self._tasks.discard)

    async def _look(self, step_ids: Collection[int]) -> None:
        """Abandon those of these steps whose lease this engine has lost."""
        try:
            # a notification may be late, doubled or made up, so only the database decides
            leases = await self._database.read(lambda: leases_of(self._writer.engine_id))
        except (StorageError, EngineClosed):
            return
        held = {step_id for step_id, _ in leases}
        self.abandon([step_id for step_id in step_ids if step_id not in held])

    async def _run(self, step: StepRecord, slot: Reservation) -> None:
        """Run a step and, in the same slot, its successors."""
        telemetry = self._observing
        current: StepRecord | None = step
        held = step.step_id
        runner = asyncio.current_task()
        assert runner is not None
        try:
            while current is not None:
                held = current.step_id
                self.held[held] = current.lease_seq
                if telemetry.active:
                    with telemetry.attempt(current):
                        following = await self._run_one(current, runner, slot)
                else:
                    following = await self._run_one(current, runner, slot)
                self._clear(step)
                self.held.pop(held, None)
                current = self._continue(following, slot)
        except Abandoned:
            pass
        except Exception as error:  # noqa: BLE001 - the engine goes on with the others
            flow = correlation_id(self._writer.shard, step.flow.flow_id)
            telemetry.fault("a step of flow %s could not be processed", error, flow, flow=flow)
        finally:
            self._clear(step)
            self.held.pop(held, None)
            self._lost.discard(runner)
            slot.release()

    def _clear(self, step: StepRecord) -> None:
        """Release the quarantine of a finished step, if it was quarantined."""
        context = self._context
        if context.quarantined and (self._writer.shard, step.step_id) in context.quarantined:
            context.quarantined.remove((self._writer.shard, step.step_id))
            context.wake_all()

    def _continue(self, following: list[StepRecord], slot: Reservation) -> StepRecord | None:
        """Start the successors: the first in the slot of the finished step, the others in slots of their own."""
        for other in following[1:]:
            self.launch(other, slot.hand_on(other.need))
        if not following:
            return None
        slot.keep(following[0].need)  # a fan-in that did not fire leaves its promise
        return following[0]

    async def _run_one(self, step: StepRecord, runner: asyncio.Task[Any], slot: Reservation) -> list[StepRecord]:
        """Run a step to its outcome. Returns the successors, with slots reserved for them. ``runner`` is this task."""
        slot.begin(step.need)
        self._precedence.begun(step.flow)
        voice = Voice(self._output, step)
        try:
            attempt = await self._attempt(step, runner, voice)
            said = None if voice.output is None else await self._output.rest_of(voice)
        except BaseException:
            self._output.forget(voice)
            raise
        handover = await self._conclude(step, attempt, slot, said)
        if handover is None:
            return []
        following = [StepRecord.leased(new, handover.now) for new in handover.steps]
        if handover.woken is not None:
            following.append(handover.woken)
        if self._context.draining:
            # the commit has leased them to this engine, so no other one would run them before their leases end
            for new in following:
                await self._release(new)
            return []
        return following

    async def _attempt(self, step: StepRecord, runner: asyncio.Task[Any], voice: Voice) -> Attempt:
        self._attempting[runner] = step
        try:
            return await self._attempts.make(step, runner, voice)
        except WorkerLost as error:
            await self._lose(step, error)
        except asyncio.CancelledError:
            if runner in self._lost:
                raise
            # the engine did not cancel it: the event loop is ending
            # shielded: a second cancellation, as when a loop is closed, would leave the lease behind
            await asyncio.shield(self._release(step, crashed=not self._giving_up))
            raise
        finally:
            self._attempting.pop(runner, None)

    def _must_stop(self) -> bool:
        """Whether a cancellation is final: the engine gives the step up, or the loop ends and cancels every task."""
        return self._giving_up or self._committer.cancelled or asyncio.current_task() in self._lost

    async def _conclude(
        self, step: StepRecord, attempt: Attempt, slot: Reservation, said: SaidRecord | None
    ) -> Handover | None:
        """Decide and commit. A decision whose ids are in use is made again with new ids."""
        slot.gate = self._precedence.gate()
        goes_on = not self._context.draining and slot.gate(step.flow)
        suits = slot.suits if goes_on and step.flow.parent_step_id else None
        for _ in range(COLLISIONS):
            decision = await self._decide(step, attempt, slot if goes_on else None)
            try:
                return await self._commit(step, decision, suits, said)
            except IdsForgotten as error:
                refused = error
                slot.keep()  # the next try reserves its starts again
            if isinstance(attempt, Returned):
                # the child flow was made with ids of the same blocks
                attempt = await self._attempts.with_child(step, attempt)
        self._observing.write_failed(step, refused)
        return await self._commit(step, Fail(step, unstorable(refused)), suits, said)

    async def _decide(self, step: StepRecord, attempt: Attempt, slot: Reservation | None) -> Decision:
        """Decide. Successors get their start promised in ``slot``; with None they are left to the dispatchers."""
        room = no_room if slot is None else slot.promise
        decision_context = DecisionContext(
            self._ids.steps.take, new_token, room, max_depth=self._max_depth, chance=random
        )
        decision = await self._ids.supply(_decided, step, attempt, decision_context, slot)
        if isinstance(attempt, Returned) and attempt.child is not None:
            entry = attempt.child.entry
            entry.leased = not entry.limit_name and not entry.labels and room(entry.need)
        return decision

    async def _commit(
        self, step: StepRecord, decision: Decision, suits: SlotPredicate | None, said: SaidRecord | None
    ) -> Handover | None:
        """Commit a decision. The write is tried again while the lease lasts; the task is not run again for it.

        An unexpected error is tried again as often as an outage; after that the step fails with its text.
        """
        began = time.monotonic()
        pauses = iter(self._pauses)
        while True:
            try:
                handover = await self._committer.decide(decision, suits, said)
            except (Unavailable, Contention) as error:
                lease_s = (step.time_budget_ms + self._beyond_ms) / 1000
                # by then another replica may have the step, and a write under this lease would match nothing
                if time.monotonic() >= began + lease_s or self._context.draining:
                    await self._abandon(step, error)
            except IdsForgotten:
                raise
            except Exception as error:  # noqa: BLE001 - the step must not stay leased, whatever the error
                pause = next(pauses, None)
                if self._context.draining or (pause is None and isinstance(decision, Fail)):
                    await self._abandon(step, error)
                if pause is not None:
                    await self._committer.pause(pause)
                else:
                    self._observing.write_failed(step, error)
                    decision = Fail(step, unstorable(error))
            else:
                return handover

    async def _lose(self, step: StepRecord, error: WorkerLost) -> NoReturn:
        """Give back a step whose task was lost with its process."""
        self._observing.worker_lost(step, error)
        await asyncio.shield(self._release(step, crashed=True))
        raise Abandoned from error

    async def _abandon(self, step: StepRecord, error: Exception) -> NoReturn:
        """Leave a step to another run, because its outcome cannot be stored."""
        self._observing.write_abandoned(step, error)
        await self._release(step, crashed=not self._context.draining)
        raise Abandoned from error

    async def _release(self, step: StepRecord, *, crashed: bool = False) -> None:
        """Give back a step that this replica will not finish."""
        try:
            await self._database.write(lambda: release_lease(step.step_id, step.lease_seq, crashed=crashed))
        except (StorageError, EngineClosed) as error:
            self._observing.database_error(error)
            self._observing.log.warning("a lease could not be given back; it will run out: %s", error)
        else:
            self._look_for_work()
            if self._context.draining:
                self._notifier.notify(True, step_id=step.step_id)

    async def _return(self, step: StepRecord, slot: Reservation) -> None:
        """Give back a step that was handed over while the engine began to close."""
        try:
            await self._release(step)
        finally:
            self._clear(step)
            self.held.pop(step.step_id, None)
            slot.release()

    async def give_back(self, claimed: Sequence[StepRecord]) -> None:
        """Give back steps that were claimed and will not start."""
        held = [(step.step_id, step.lease_seq) for step in claimed]
        if held:
            await self._database.write(lambda: release_leases(held))
            self._notifier.notify(True, step_id=held[0][0])


def _decided(
    step: StepRecord, attempt: Attempt, decision_context: DecisionContext, slot: Reservation | None
) -> Decision:
    try:
        return decide(step, attempt, decision_context)
    except IdsExhausted:
        if slot is not None:
            slot.keep()  # the step is decided again and reserves its starts again
        raise


async def _all_done(tasks: set[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)
