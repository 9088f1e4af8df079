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
from collections.abc import Collection, Sequence
from functools import partial
from random import random
from typing import TYPE_CHECKING, Any, NoReturn

from dwarf import seams
from dwarf.core.breakpoints import Breakpoints, gone_on, own_answers, stop_after, stop_before
from dwarf.core.decision import Decision, Fail
from dwarf.core.keys import correlation_id, format_key
from dwarf.core.records import NewFlow, StepRecord
from dwarf.core.step import Attempt, Means, Raised, Returned, decide, no_room
from dwarf.engine.ids import IdsForgotten, new_token
from dwarf.engine.jobs import Handed
from dwarf.engine.output import Voice
from dwarf.engine.refusals import unstorable
from dwarf.engine.reservations import Reservation
from dwarf.errors import DwarfError, EngineClosed, Parked, StorageError, WorkerLost
from dwarf.storage.effects import Suits
from dwarf.storage.failures import Contention, Unavailable
from dwarf.storage.output import SaidRecord
from dwarf.storage.recovery import leases_of, release_lease, release_leases
from dwarf.workflow import capture
from dwarf.workflow.errors_json import error_fields, error_text, retry_kinds, traceback_text
from dwarf.workflow.flow import Flow
from dwarf.workflow.flow_identity import WatchedFlow
from dwarf.workflow.output import ATTEMPTS
from dwarf.workflow.signals import Subgraph, control_of
from dwarf.workflow.unwrap import only_parked

if TYPE_CHECKING:
    from dwarf.engine.replica import Replica


COLLISIONS = 3  # of ids that the database has forgotten, in one decision


class Abandoned(Exception):
    """The step is left to whoever takes its lease next."""


class Runner:
    """Runs the steps of one shard that this replica holds."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempting: dict[asyncio.Task[None], StepRecord] = {}  # those inside a task, which may be cancelled
        self._giving_up = False
        self._lost: set[asyncio.Task[None]] = set()  # those whose steps are run by others now
        self.held: dict[int, int] = {}  # the steps that are run here, each with the number of its lease

    @property
    def busy(self) -> bool:
        """Whether a step runs."""
        return bool(self._tasks)

    def launch(self, step: StepRecord, slot: Reservation) -> None:
        """Run a step in the slot that was reserved for it, or give it back where no step is started any more."""
        if self._replica.draining:
            run = self._return(step, slot)
        else:
            run = self._run(step, slot)
        if step.crashes >= self._replica.settings.suspect_at:
            self._replica.shared.suspects.add((self._replica.shard, step.step_id))
        self.held[step.step_id] = step.lease_seq
        task = asyncio.create_task(run, name=f"dwarf-step-{step.step_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, grace: float | None) -> None:
        """Wait for the steps in flight; after ``grace`` seconds cancel them and give their leases back."""
        if self._tasks:
            hurry = asyncio.create_task(self._replica.shared.hurry.wait())
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
        """Cancel tasks whose steps are run by others now, and write nothing of them. None: all."""
        for task, step in tuple(self._attempting.items()):
            if step_ids is None or step.step_id in step_ids:
                self._lost.add(task)
                task.cancel()

    def in_executors(self, flow_ids: Collection[int]) -> list[int]:
        """The steps of these flows whose tasks run in an executor now: those can be stopped, as a thread cannot."""
        return [
            step.step_id
            for step in self._attempting.values()
            if step.flow.flow_id in flow_ids and step.flow.plan.nodes[step.node].executor
        ]

    def ended(self, flow_ids: Collection[int]) -> None:
        """These flows are over: their tasks in executors are for nothing."""
        if self._attempting and (step_ids := self.in_executors(flow_ids)):
            self.abandon(step_ids)

    def stopped_elsewhere(self, flow_ids: Collection[int]) -> None:
        """Another process tells that these flows are over, or wait for an answer."""
        if self._attempting and (step_ids := self.in_executors(flow_ids)):
            look = asyncio.create_task(self._look(step_ids), name="dwarf-look")
            self._tasks.add(look)
            look.add_done_callback(self._tasks.discard)

    async def _look(self, step_ids: Collection[int]) -> None:
        """Go on only with those of these steps that are still leased."""
        try:
            leases = await self._replica.database.read(lambda: leases_of(self._replica.engine_id))
        except (StorageError, EngineClosed):
            return
        held = {step_id for step_id, _ in leases}
        self.abandon([step_id for step_id in step_ids if step_id not in held])

    async def _run(self, step: StepRecord, slot: Reservation) -> None:
        """Run a step and, in the same slot, those that follow it."""
        replica = self._replica
        observing = replica.observing
        current: StepRecord | None = step
        held = step.step_id
        runner = asyncio.current_task()
        assert runner is not None
        try:
            while current is not None:
                held = current.step_id
                self.held[held] = current.lease_seq
                if observing.active:
                    with observing.attempt(current):
                        following = await self._run_one(current, runner, slot)
                else:
                    following = await self._run_one(current, runner, slot)
                self._clear(step)
                self.held.pop(held, None)
                current = self._continue(following, slot)
        except Abandoned:
            pass
        except Exception as error:  # noqa: BLE001 - the engine goes on with the others
            flow = correlation_id(replica.shard, step.flow.flow_id)
            observing.fault("a step of flow %s could not be processed", error, flow, flow=flow)
        finally:
            self._clear(step)
            self.held.pop(held, None)
            self._lost.discard(runner)
            slot.release()

    def _clear(self, step: StepRecord) -> None:
        """A step that was run apart from others is over."""
        shared = self._replica.shared
        if shared.suspects and (self._replica.shard, step.step_id) in shared.suspects:
            shared.suspects.remove((self._replica.shard, step.step_id))
            shared.wake_all()

    def _continue(self, following: list[StepRecord], slot: Reservation) -> StepRecord | None:
        """Start the steps that follow: one in the slot of the step which is over, the others beside it."""
        for other in following[1:]:
            self.launch(other, slot.hand_on(other.need))
        if not following:
            return None
        slot.keep(following[0].need)  # a fan-in that did not fire leaves its own
        return following[0]

    async def _run_one(self, step: StepRecord, runner: asyncio.Task[Any], slot: Reservation) -> list[StepRecord]:
        """Run a step to its outcome. The steps handed over, for which slots are reserved. ``runner`` is this task."""
        replica = self._replica
        slot.begin(step.need)
        replica.dispatcher.begun(step.flow)
        voice = Voice(replica.output, step)
        try:
            points = replica.points(step)
            if points is None and not step.answers:  # as nearly all
                attempt = await self._attempt_or_release(step, runner, voice)
            else:
                attempt = await self._attempt_between(step, points, runner, voice)
            said = None if voice.output is None else await replica.output.rest_of(voice)
        except BaseException:
            replica.output.forget(voice)
            raise
        handed = await self._conclude(step, attempt, slot, said)
        if handed is None:
            return []
        following = [StepRecord.leased(new, handed.now) for new in handed.steps]
        if handed.woken is not None:
            following.append(handed.woken)
        if replica.draining:
            for new in following:
                await self._release(new)
            return []
        return following

    async def _attempt_between(
        self, step: StepRecord, points: Breakpoints | None, runner: asyncio.Task[Any], voice: Voice
    ) -> Attempt:
        """An attempt, unless the step stops before it or has stopped behind it; or the stop behind it."""
        done = gone_on(step) or (stop_before(step, points) if points is not None else None)
        step.answers = own_answers(step.answers)
        if done is not None:
            return done
        attempt = await self._attempt_or_release(step, runner, voice)
        if points is None or not isinstance(attempt, Returned):
            return attempt
        stopped = stop_after(step, attempt, self._replica.points(step) or points)
        if stopped is not attempt:
            step.keep = None  # what stops is not cached
        return stopped

    async def _attempt_or_release(self, step: StepRecord, runner: asyncio.Task[Any], voice: Voice) -> Attempt:
        self._attempting[runner] = step
        try:
            return await self._attempt(step, runner, voice)
        except asyncio.CancelledError:
            if runner in self._lost:
                raise
            # not by us: the loop is ending
            await asyncio.shield(self._release(step, crashed=not self._giving_up))
            raise
        finally:
            self._attempting.pop(runner, None)

    async def _attempt(self, step: StepRecord, runner: asyncio.Task[Any], voice: Voice) -> Attempt:
        replica = self._replica
        limit = replica.settings.max_crashes
        if limit is not None and step.crashes >= limit:
            text = f"the step was given up: {step.crashes} runs ended without an outcome, as when their process dies"
            replica.observing.poisoned(step)
            return Raised(text, "", {"error": text, "statusCode": 500})
        node = step.flow.plan.nodes[step.node]
        url, keep, kind = node.url, None, Flow
        if node.cache is not None:
            known, keep, watched = await replica.cache.find(step)
            if known is not None:
                step.code = replica.digest(url)
                return known
            kind = WatchedFlow if watched else Flow
        flow = self._flow(step, voice, kind)
        entered = time.monotonic()
        if replica.settings.capture_output:
            entering = capture.enter(voice)
            try:
                error = await self._execute(url, flow, step, runner)
            finally:
                capture.leave(entering)
                if voice.output is not None:
                    voice.output.let_go()
        else:
            error = await self._execute(url, flow, step, runner)
        if runner.cancelling():
            error = await self._take_back(runner, url, error)
        if isinstance(error, WorkerLost):
            await self._lose(step, error)
        if replica.progress.is_behind(step):
            await replica.progress.settle(step)
        replica.observing.task_ended(step, error)
        if seams.active is not None:
            await seams.active.arrive("afterTask", [url])
        if error is not None:
            ran_ms, text = round((time.monotonic() - entered) * 1000), error_text(error)
            if node.retry is not None and replica.settings.capture_output:
                told = f"attempt {step.attempt + 1} failed after {ran_ms / 1000:.3f} s: {text}"
                voice().log("log", told, "ERROR", ATTEMPTS)
            fields = error_fields(error, trace=step.flow.trace_parent[3:35])
            return Raised(text, traceback_text(error), fields, kinds=retry_kinds(error), ran_ms=ran_ms)
        control = control_of(flow)
        if keep is not None and control.park is None and not (isinstance(flow, WatchedFlow) and flow.identity_read):
            step.keep = keep
        return await self._with_child(step, Returned(control, flow._raw_changes))

    def _flow(self, step: StepRecord, voice: Voice, kind: type[Flow]) -> Flow:
        flow = step.flow
        return kind(
            step.state,
            step.changes,
            key=format_key(flow.shard, flow.flow_id, flow.token),
            step_key=format_key(flow.shard, step.step_id, step.token),
            node=step.node,
            attempt=step.attempt,
            created_at_ms=flow.created_at,
            updated_at_ms=flow.updated_at,
            step_created_at_ms=step.created_at,
            baggage=flow.baggage,
            answers=step.answers,
            claimed_at_ms=step.claimed_at,
            on_progress=self._replica.progress.reporter(step),
            output=voice,
            track_reads=self._replica.track_reads,
            in_fan_out=step.lineage_id != 0,
            scheduled_at_ms=flow.scheduled_at,
            gathered=flow.plan.nodes[step.node].gathered,
            executor=flow.plan.nodes[step.node].executor,
        )

    async def _execute(self, url: str, flow: Flow, step: StepRecord, runner: asyncio.Task[Any]) -> BaseException | None:
        """Run the task; the error it ended with, if any. A park is no error."""
        budget = step.time_budget_ms / 1000
        deadline = self._replica.shared.deadlines.within(budget, runner)
        watchdog = self._replica.watchdog
        watchdog.begun(deadline, url)
        entered = time.perf_counter()
        step.code = self._replica.digest(url)
        try:
            with deadline:
                if seams.active is not None:
                    await seams.active.arrive("executeTask", [url])
                await self._replica.host.execute_task(url, flow)
        except GeneratorExit as error:
            if not _runs(runner):  # a loop that is gone closes what it leaves behind: nothing can be awaited any more
                raise
            return error
        except Parked:
            pass
        except BaseExceptionGroup as group:
            if only_parked(group) is None:
                return group
        except asyncio.CancelledError as error:
            if self._must_stop:
                raise
            return error
        except TimeoutError as error:
            return _late(budget, error) if deadline.passed else error
        except BaseException as error:  # noqa: BLE001
            # whatever a task raises is its own error, KeyboardInterrupt and SystemExit included
            return error
        finally:
            watchdog.ended(deadline)
            _note_times(step, flow, entered)
        if not deadline.passed and time.monotonic() >= deadline.at:
            return _late(budget)  # it has blocked the loop, so that nothing could stop it
        try:
            self._replica.after_task(flow, url)
        except Warning as error:  # where warnings are errors, this one is the task's
            return error
        return None

    @property
    def _must_stop(self) -> bool:
        """Whether a cancellation is meant: the engine gives the step up, or the loop ends and cancels all there is."""
        return self._giving_up or self._replica.keeper.cancelled or asyncio.current_task() in self._lost

    async def _take_back(
        self, runner: asyncio.Task[Any], url: str, error: BaseException | None
    ) -> BaseException | None:
        """Take back what a task has asked for by cancelling the asyncio task in which it runs; the task's error.

        Such a cancellation may not have been delivered yet. One that the task has caught itself is no error.
        """
        pending = isinstance(error, asyncio.CancelledError)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if self._must_stop:
                raise
            pending = pending or error is None
        while runner.cancelling():
            runner.uncancel()
        if not pending:
            return error
        return RuntimeError(f"task {url!r} cancelled itself: cancel() was called on the asyncio task in which it runs")

    async def _with_child(self, step: StepRecord, returned: Returned) -> Returned:
        """Add the child flow that the task has called, if any."""
        control = returned.control
        if not isinstance(control.park, Subgraph) or control.problem:
            return returned
        child = await self._child(step, control.park)
        if isinstance(child, str):
            control.problem = child
            return Returned(control, returned.changes)
        return Returned(control, returned.changes, child)

    async def _child(self, step: StepRecord, call: Subgraph) -> NewFlow | str:
        """Prepare the child flow a task has called, or say why it cannot be had."""
        replica = self._replica
        flow = step.flow
        try:
            async with asyncio.timeout(flow.time_budget_ms / 1000):
                url, graph = await replica.load_graph(call.workflow, flow.baggage)
            frozen = replica.plans.freeze(graph)
        except asyncio.CancelledError:
            if self._must_stop:
                raise
            return "loading the graph of the child flow was cancelled"
        except Exception as error:  # noqa: BLE001 - a host may raise anything; the step fails with its text
            return error_text(error)
        make = partial(
            replica.new_flow,
            url,
            frozen,
            call.state,
            baggage=flow.baggage,
            priority=flow.priority,
            fairness_key=flow.fairness_key,
            fairness_weight=flow.fairness_weight,
            time_budget_ms=flow.time_budget_ms,
            caller=step,
        )
        return await replica.ids.supply(make)

    async def _conclude(
        self, step: StepRecord, attempt: Attempt, slot: Reservation, said: SaidRecord | None
    ) -> Handed | None:
        """Decide, and commit. Where the ids in a decision are in use it is made again, with others."""
        slot.gate = self._replica.dispatcher.gate()
        goes_on = not self._replica.draining and slot.gate(step.flow)
        suits = slot.suits if goes_on and step.flow.parent_step_id else None
        for _ in range(COLLISIONS):
            decision = await self._decide(step, attempt, slot if goes_on else None)
            try:
                return await self._commit(step, decision, suits, said)
            except IdsForgotten as error:
                refused = error
            if isinstance(attempt, Returned):
                attempt = await self._with_child(step, attempt)
        slot.keep()
        self._replica.observing.write_failed(step, refused)
        return await self._commit(step, Fail(step, unstorable(refused)), suits, said)

    async def _decide(self, step: StepRecord, attempt: Attempt, slot: Reservation | None) -> Decision:
        """Decide. Starts of the steps that follow are promised in ``slot``; None: they are left to others."""
        replica = self._replica
        room = no_room if slot is None else slot.promise
        means = Means(replica.ids.steps.take, new_token, room, max_depth=replica.settings.max_depth, chance=random)

        def decided() -> Decision:
            if slot is not None:
                slot.keep()  # what an earlier try has taken, whose ids ran out or are in use
            return decide(step, attempt, means)

        decision = await replica.ids.supply(decided)
        if isinstance(attempt, Returned) and attempt.child is not None:
            entry = attempt.child.entry
            entry.leased = not entry.limit_name and not entry.labels and room(entry.need)
        return decision

    async def _commit(
        self, step: StepRecord, decision: Decision, suits: Suits | None, said: SaidRecord | None
    ) -> Handed | None:
        """Commit a decision. The write is tried again as long as the lease lasts; the task is not run again for it.

        An error that tells nothing is given as many tries as an outage at once; then the step fails with its text.
        """
        replica = self._replica
        grace_ms = replica.membership.grace_ms  # as long as others leave the lease to an owner that lives
        give_up = time.monotonic() + (step.time_budget_ms + replica.margin_ms + grace_ms) / 1000
        pauses = iter(replica.pauses)
        while True:
            try:
                handed = await replica.committer.decide(decision, suits, said)
            except (Unavailable, Contention) as error:
                if time.monotonic() >= give_up or replica.draining:
                    await self._abandon(step, error)
            except IdsForgotten:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the step must not stay leased for nothing
                pause = next(pauses, None)
                if replica.draining or (pause is None and isinstance(decision, Fail)):
                    await self._abandon(step, error)
                if pause is not None:
                    await replica.committer.pause(pause)
                else:
                    replica.observing.write_failed(step, error)
                    decision = Fail(step, unstorable(error))
            else:
                return handed

    async def _lose(self, step: StepRecord, error: WorkerLost) -> NoReturn:
        """Give a step back whose task was lost with the process that ran it."""
        self._replica.observing.worker_lost(step, error)
        await asyncio.shield(self._release(step, crashed=True))
        raise Abandoned from error

    async def _abandon(self, step: StepRecord, error: Exception) -> NoReturn:
        """Leave a step to another run, because its outcome cannot be stored."""
        self._replica.observing.write_abandoned(step, error)
        await self._release(step, crashed=not self._replica.draining)
        raise Abandoned from error

    async def _release(self, step: StepRecord, *, crashed: bool = False) -> None:
        """Give a step back that this replica will not finish."""
        try:
            await self._replica.database.write(lambda: release_lease(step.step_id, step.lease_seq, crashed=crashed))
        except (StorageError, EngineClosed) as error:
            self._replica.observing.database_error(error)
            self._replica.log.warning("a lease could not be given back; it will run out: %s", error)
        else:
            self._replica.dispatcher.wake()
            if self._replica.draining:
                self._replica.tell(True, step_id=step.step_id)

    async def _return(self, step: StepRecord, slot: Reservation) -> None:
        """Give a step back that was handed over as the engine began to close."""
        try:
            await self._release(step)
        finally:
            self._clear(step)
            self.held.pop(step.step_id, None)
            slot.release()

    async def give_back(self, claimed: Sequence[StepRecord]) -> None:
        """Give steps back that were claimed and will not be started."""
        held = [(step.step_id, step.lease_seq) for step in claimed]
        if held:
            await self._replica.database.write(lambda: release_leases(held))
            self._replica.tell(True, step_id=held[0][0])


async def _all_done(tasks: set[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)


def _note_times(step: StepRecord, flow: Flow, asked: float) -> None:
    """Keep how long the task ran, and how long it waited for its thread after the host was ``asked`` to run it."""
    began, ended = flow._spent or (asked, time.perf_counter())
    step.ran_us = max(round((ended - began) * 1e6), 1)
    step.waited_us = max(round((began - asked) * 1e6), 0)


def _runs(task: asyncio.Task[Any]) -> bool:
    """Whether this is the asyncio task that runs now."""
    try:
        return asyncio.current_task() is task
    except RuntimeError:
        return False


def _late(budget: float, error: BaseException | None = None) -> TimeoutError:
    """A task is over its budget. Where its host was waiting for something, ``error`` was raised from what it was."""
    seen = error
    while seen is not None and not isinstance(seen, DwarfError):
        seen = seen.__cause__
    if seen is not None:
        return TimeoutError(f"the task could not be run within its time budget of {budget:g} s: {seen}")
    return TimeoutError(
        f"the task exceeded its time budget of {budget:g} s; @task(time_budget=...) or add_node(..., time_budget=...) "
        "gives it more, create(..., time_budget=...) gives the flow's tasks more, and Engine(time_budget=...) or "
        "Lab(time_budget=...) those of all flows"
    )
