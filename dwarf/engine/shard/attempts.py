"""One attempt of a step: what may replace it, its task in the host, and the requests that the task makes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from dwarf import failpoints
from dwarf.core.breakpoints import Breakpoints, gone_on, own_answers, stop_after, stop_before
from dwarf.core.keys import format_key
from dwarf.core.plan import NodePlan
from dwarf.core.records import NewFlow, StepRecord
from dwarf.core.step import Attempt, Raised, Returned
from dwarf.engine.shard.context import EngineContext
from dwarf.engine.shard.directives import Directives
from dwarf.engine.shard.factory import FlowFactory
from dwarf.engine.shard.ids import IdAllocator
from dwarf.engine.shard.output import Voice
from dwarf.engine.shard.progress import ProgressBook
from dwarf.engine.shard.step_cache import StepCache
from dwarf.engine.telemetry.events import ShardTelemetry
from dwarf.errors import DwarfError, Parked, WorkerLost
from dwarf.workflow import capture
from dwarf.workflow.errors_json import error_fields, error_text, retry_kinds, traceback_text
from dwarf.workflow.flow import Flow
from dwarf.workflow.flow_identity import WatchedFlow
from dwarf.workflow.output import ATTEMPTS
from dwarf.workflow.signals import Subgraph, control_of
from dwarf.workflow.unwrap import only_parked


class Attempts:
    """Makes the attempts of one shard's steps. It reads cached outcomes, and stores none.

    Every exception of a task is the error of its step, including CancelledError, unless ``must_stop`` says that the
    cancellation of the running asyncio task is final. A task may cancel itself, and must not end the engine by it.
    """

    def __init__(
        self,
        context: EngineContext,
        *,
        ids: IdAllocator,
        flows: FlowFactory,
        cache: StepCache,
        directives: Directives,
        progress: ProgressBook,
        telemetry: ShardTelemetry,
    ) -> None:
        self._context = context
        self._settings = context.settings
        self._ids = ids
        self._flows = flows
        self._cache = cache
        self._directives = directives
        self._progress = progress
        self._observing = telemetry
        self.must_stop: Callable[[], bool] = lambda: False

    def make(self, step: StepRecord, runner: asyncio.Task[Any], voice: Voice) -> Coroutine[Any, Any, Attempt]:
        """One attempt in ``runner``, the running asyncio task; or the stop at a breakpoint before or after it.

        WorkerLost if the process that ran the task has died; CancelledError if ``must_stop`` is true.
        """
        points = self._directives.breakpoints(step)
        if points is None and not step.answers:  # nearly every step: spare it one coroutine
            return self._attempt(step, runner, voice)
        return self._between(step, points, runner, voice)

    async def _between(
        self, step: StepRecord, points: Breakpoints | None, runner: asyncio.Task[Any], voice: Voice
    ) -> Attempt:
        """An attempt, or the stop at a breakpoint before or after it."""
        done = gone_on(step) or (stop_before(step, points) if points is not None else None)
        step.answers = own_answers(step.answers)
        if done is not None:
            return done
        attempt = await self._attempt(step, runner, voice)
        if points is None or not isinstance(attempt, Returned):
            return attempt
        stopped = stop_after(step, attempt, self._directives.breakpoints(step) or points)
        if stopped is not attempt:
            step.keep = None  # the outcome after a stop may depend on an answer
        return stopped

    async def _attempt(self, step: StepRecord, runner: asyncio.Task[Any], voice: Voice) -> Attempt:
        limit = self._settings.max_crashes
        if limit is not None and step.crashes >= limit:
            text = f"the step was given up: {step.crashes} runs ended without an outcome, as when their process dies"
            self._observing.poisoned(step)
            return Raised(text, "", {"error": text, "statusCode": 500})
        node = step.flow.plan.nodes[step.node]
        url, keep, kind = node.url, None, Flow
        if node.cache is not None:
            known, keep, watched = await self._cache.find(step)
            if known is not None:
                step.code = self._cache.digest(url)
                return known
            kind = WatchedFlow if watched else Flow
        flow = self._flow(step, node, voice, kind)
        entered = time.monotonic()
        if self._settings.capture_output:
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
            raise error
        if self._progress.is_behind(step):
            await self._progress.settle(step)
        self._observing.task_ended(step, error)
        if failpoints.active is not None:
            await failpoints.active.arrive("afterTask", [url])
        if error is not None:
            ran_ms, text = round((time.monotonic() - entered) * 1000), error_text(error)
            if node.retry is not None and self._settings.capture_output:
                told = f"attempt {step.attempt + 1} failed after {ran_ms / 1000:.3f} s: {text}"
                voice().log("log", told, "ERROR", ATTEMPTS)
            fields = error_fields(error, trace=step.flow.trace_parent[3:35])
            return Raised(text, traceback_text(error), fields, kinds=retry_kinds(error), ran_ms=ran_ms)
        control = control_of(flow)
        # the outcome of a task that has looked at its own key or attempt is no other step's
        if keep is not None and control.park is None and not (isinstance(flow, WatchedFlow) and flow.identity_read):
            step.keep = keep
        returned = Returned(control, flow._raw_changes)
        return returned if control.park is None else await self.with_child(step, returned)

    def _flow(self, step: StepRecord, node: NodePlan, voice: Voice, kind: type[Flow]) -> Flow:
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
            on_progress=self._progress.reporter(step),
            output=voice,
            track_reads=self._context.track_reads,
            in_fan_out=step.lineage_id != 0,
            scheduled_at_ms=flow.scheduled_at,
            gathered=node.gathered,
            executor=node.executor,
        )

    async def _execute(self, url: str, flow: Flow, step: StepRecord, runner: asyncio.Task[Any]) -> BaseException | None:
        """Run the task. Returns its error, or None; a park is not an error."""
        budget = step.time_budget_ms / 1000
        deadline = self._context.deadlines.within(budget, runner)
        watchdog = self._context.watchdog
        watchdog.begun(deadline, url)
        entered = time.perf_counter()
        step.code = self._cache.digest(url)
        try:
            with deadline:
                if failpoints.active is not None:
                    await failpoints.active.arrive("executeTask", [url])
                await self._context.host.execute_task(url, flow)
        except GeneratorExit as error:
            if not _runs(runner):  # the loop is gone and this coroutine is being closed: no await is possible
                raise
            return error
        except Parked:
            pass
        except BaseExceptionGroup as group:
            if only_parked(group) is None:
                return group
        except asyncio.CancelledError as error:
            if self.must_stop():
                raise
            return error
        except TimeoutError as error:
            return _late(budget, error) if deadline.passed else error
        except BaseException as error:  # noqa: BLE001
            # KeyboardInterrupt and SystemExit of a task fail its step and must not end the engine
            return error
        finally:
            watchdog.ended(deadline)
            _note_times(step, flow, entered)
        if not deadline.passed and time.monotonic() >= deadline.at:
            return _late(budget)  # the task has blocked the loop, so the deadline could not stop it
        return self._warn_of_lost_writes(flow, url) if self._context.track_reads else None

    async def _take_back(
        self, runner: asyncio.Task[Any], url: str, error: BaseException | None
    ) -> BaseException | None:
        """Undo a task's cancellation of the asyncio task in which it runs. Returns the error of the task.

        The cancellation may not have been delivered yet. One that the task has caught itself is not an error.
        """
        pending = isinstance(error, asyncio.CancelledError)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if self.must_stop():
                raise
            pending = pending or error is None
        while runner.cancelling():
            runner.uncancel()
        if not pending:
            return error
        return RuntimeError(f"task {url!r} cancelled itself: cancel() was called on the asyncio task in which it runs")

    async def with_child(self, step: StepRecord, returned: Returned) -> Returned:
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
        """Prepare the child flow a task has called, or say why that failed."""
        flow = step.flow
        try:
            async with asyncio.timeout(flow.time_budget_ms / 1000):
                url, graph = await self._flows.load_graph(call.workflow, flow.baggage)
            frozen = self._flows.plans.freeze(graph)
        except asyncio.CancelledError:
            if self.must_stop():
                raise
            return "loading the graph of the child flow was cancelled"
        except Exception as error:  # noqa: BLE001 - a host may raise anything; the step fails with its text
            return error_text(error)
        return await self._ids.supply(
            self._flows.build,
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

    def _warn_of_lost_writes(self, flow: Flow, url: str) -> Warning | None:
        """For tests: report fields that a task has changed in place, since such changes are not stored.

        Returns the warning if warnings are errors.
        """
        lost = flow._lost_writes()
        if lost and self._context.on_lost_write is not None:
            try:
                self._context.on_lost_write(url, lost)
            except Warning as error:  # with warnings as errors, the step fails by it
                return error
        return None


def _note_times(step: StepRecord, flow: Flow, asked: float) -> None:
    """Keep how long the task ran, and how long it waited for its thread after the host was ``asked`` to run it."""
    if flow._spent is None:  # the host has called the task at once
        step.ran_us, step.waited_us = max(round((time.perf_counter() - asked) * 1e6), 1), 0
        return
    began, ended = flow._spent
    step.ran_us = max(round((ended - began) * 1e6), 1)
    step.waited_us = max(round((began - asked) * 1e6), 0)


def _runs(task: asyncio.Task[Any]) -> bool:
    """Whether this is the running asyncio task."""
    try:
        return asyncio.current_task() is task
    except RuntimeError:
        return False


def _late(budget: float, error: BaseException | None = None) -> TimeoutError:
    """The error of a task over its budget. A DwarfError among its causes names what the host lacked."""
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
