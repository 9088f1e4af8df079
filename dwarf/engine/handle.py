"""The handle of one flow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dwarf import failpoints
from dwarf.core.keys import Key, parse_key
from dwarf.engine.forking import next_turn, read_changes, repair
from dwarf.engine.node_names import check_node
from dwarf.engine.requests import read_label, read_nodes, read_tag_changes, read_text
from dwarf.errors import DwarfError, InvalidRequest, StepNotFound, WaitTimeout
from dwarf.storage.operations.breakpoints import change_breakpoints, read_breakpoints
from dwarf.storage.operations.cancel import cancel_flow
from dwarf.storage.operations.delete import delete_flow
from dwarf.storage.operations.interrupts import Given, Question, answer_overdue, answer_step
from dwarf.storage.operations.tags import annotate
from dwarf.storage.operations.unit_of_work import Stop
from dwarf.storage.queries.details import Wanted, read_answers, read_steps
from dwarf.storage.queries.flows import read_fingerprint, read_graph, read_outcome, read_root
from dwarf.storage.queries.history import read_history, read_interrupts, read_whole
from dwarf.storage.queries.listing import read_summary
from dwarf.storage.queries.output import OutputPosition, OutputQuery, cursor_of, read_displays, read_news, read_output
from dwarf.workflow.durations import Seconds, to_ms
from dwarf.workflow.graph import Graph
from dwarf.workflow.output import Display, LogLine
from dwarf.workflow.parks import MAX_ANSWER, check_size
from dwarf.workflow.results import Answered, FlowSummary, FlowUpdate, Outcome, Step
from dwarf.workflow.schemas import answer_to_json, check
from dwarf.workflow.schemas.tables import as_rows
from dwarf.workflow.status import Status
from dwarf.workflow.values import state_from_json

if TYPE_CHECKING:
    from dwarf.engine.engine import Engine
    from dwarf.engine.shard.runtime import ShardRuntime

WATCH_PAUSE_S = 0.05
LISTEN_LEAST_S, LISTEN_MOST_S = 0.1, 0.8  # between two queries for output; needed for tasks of other processes
LISTEN_QUIET_S = 2.0  # the same after a while without output
MAX_REASON = 1_000_000


class FlowHandle(Awaitable[Outcome]):
    """One flow, by its key. Making a handle does no I/O; awaiting it waits until the flow has stopped.

    Every call raises InvalidRequest for a malformed key, FlowNotFound for a key without a flow, and EngineClosed if the
    engine is not started.

    Example::

        flow = engine.flow(key)  # or what engine.create returns
        outcome = await flow
        if outcome.status is Status.INTERRUPTED:
            await flow.resume(True, by="ada")
    """

    __slots__ = ("_engine", "_fresh", "_parsed", "key")
    key: str

    def __init__(self, engine: Engine, key: str, *, fresh: int | None = None) -> None:
        self.key = key
        self._engine = engine
        self._parsed = parse_key(key)
        self._fresh = fresh  # the waiters' generation when this engine created or resumed the flow

    def __repr__(self) -> str:
        return f"<FlowHandle {self._parsed.shard}-{self._parsed.id}>"

    def __await__(self) -> Generator[Any, None, Outcome]:
        return self.outcome().__await__()

    async def outcome(self, *, timeout: Seconds | None = None) -> Outcome:
        """Wait until the flow has stopped: completed, failed, cancelled, or interrupted.

        Without ``timeout`` it waits without limit. WaitTimeout if ``timeout`` passes first; the flow goes on. A
        time-out of 0 checks the flow once.
        """
        seconds = _seconds(timeout)
        try:
            if seconds == 0:
                outcome = await self.snapshot()
                if outcome.stopped:
                    return outcome
                raise TimeoutError
            async with asyncio.timeout(seconds):
                return await self._stopped()
        except TimeoutError:
            text = f"the flow has not stopped within {timeout} s; it goes on{await self._whereabouts()}"
            raise WaitTimeout(text, self.key) from None

    async def _whereabouts(self) -> str:
        """The flow's position or what it waits for, as the end of a sentence: ``: 'Fit' is running``; "" for an ended
        flow.
        """
        runtime, key = self._place()
        with suppress(DwarfError):  # the time-out must be reported in any case
            return await runtime.known_tasks.of_flow(key.id)
        return ""

    async def _stuck(self) -> list[tuple[str, str]]:
        """The nodes whose steps no living engine can run, each with the missing need as the end of a sentence."""
        runtime, key = self._place()
        with suppress(DwarfError):
            return await runtime.known_tasks.stuck(key.id)
        return []

    async def poll(self, *, timeout: Seconds) -> Outcome:
        """Like ``outcome``, but after a time-out it returns the outcome of the running flow."""
        with suppress(WaitTimeout):
            return await self.outcome(timeout=timeout)
        return await self.snapshot()

    async def snapshot(self) -> Outcome:
        """The flow's present outcome."""
        runtime, key = self._place()
        outcome, _ = await runtime.database.read(lambda: read_outcome(key))
        return outcome

    async def fingerprint(self) -> tuple[str, Status]:
        """A text that changes with every visible change of the flow, and its status."""
        runtime, key = self._place()
        return await runtime.database.read(lambda: read_fingerprint(key))

    async def interrupts(self) -> Sequence[Step]:
        """The steps that wait for an answer, in the whole tree of the flow, oldest first."""
        runtime, key = self._place()
        return await runtime.database.read(lambda: read_interrupts(key))

    async def resume(self, data: Any = ..., *, step: str | Step | None = None, by: str = "") -> None:
        """Answer an interrupt: the oldest one, or that of ``step`` (a Step or its key).

        ``data`` is any value that a state can hold, including None; without it the answer is ``{}``. At a breakpoint it
        is a mapping of changes to the state, and None means no changes. If the interrupt has a schema, the answer must
        fit it, and ``flow.interrupt`` returns it as the schema's type; otherwise as it was given. ``by`` is the name of
        the answering person, stored with the answer, see Step.answered_by. StateConflict if nothing waits there;
        InvalidRequest for an answer that does not fit, or the key of a child flow; StateError for a value that cannot
        be stored.
        """
        await self._resume(data, step=step, by=by)

    async def _resume(self, data: Any, *, step: str | Step | None, by: str, once: frozenset[str] = frozenset()) -> None:
        """``resume``; from a breakpoint the flow goes on as far as the nodes of ``once``, if it meets one of them."""
        if not isinstance(by, str):
            raise InvalidRequest(f"by is the name of who answers, not {type(by).__name__}")
        runtime, key = self._place()
        value = {} if data is ... else answer_to_json(data)
        check_size(value, MAX_ANSWER, "an answer")
        given = Given(value, by, once=once)
        chosen = None if step is None else self._step_key(step)
        named = None if chosen is None else (chosen.id, chosen.token)
        while True:
            # taken before the write: the flow may have stopped again before this call returns
            generation = runtime.waiters.generation
            slot = runtime.dispatcher.slot_for_woken()
            # While an answer is checked outside of the transaction, its question may be answered by another one: then
            # the next question is returned, and checked in turn.
            result = await runtime.committer.call(partial(answer_step, key.id, key.token, named, given), slot)
            if not isinstance(result, Question):
                break
            # in a thread, since an answer may be large and its schema arbitrary
            value = as_rows(value, result.schema)
            await asyncio.to_thread(check, value, result.schema)
            given = replace(given, value=value, checked=result)
        if result:
            self._fresh = generation

    async def cancel(self, reason: str = "") -> None:
        """Cancel the flow and its child flows. A running task is not stopped, but its result is discarded.

        StateConflict if the flow has ended already; InvalidRequest for the key of a child flow, and for a reason that
        is no text of at most a million characters.
        """
        runtime, key = self._place()
        text = read_text(reason, "the reason", MAX_REASON).strip()
        await runtime.committer.call(lambda work: cancel_flow(key.id, key.token, text, work, runtime.plans.plan_of))

    async def delete(self) -> None:
        """Delete the flow and its child flows. It is not listed any more, and is removed a little later.

        A waiting flow is cancelled. Deleting again does nothing. StateConflict if the flow is running; InvalidRequest
        for the key of a child flow.
        """
        runtime, key = self._place()
        await runtime.committer.call(lambda work: delete_flow(key.id, key.token, work))

    async def retry_failed(self, changes: Mapping[str, Any] | Any = None, *, graph: Graph | None = None) -> FlowHandle:
        """Copy a failed or cancelled flow, and run the stopped steps again, in every branch at once.

        ``changes`` are laid over the input of each step that runs again; None deletes a field. Completed branches are
        kept, and merged with the others as usual. If a child flow was stopped, the copy continues inside it. A failed
        step starts over; a cancelled step keeps its answers. ``graph`` replaces the frozen graph: of the continuing
        flows with a graph of its name, or else of the one in which a step was stopped. StateConflict if nothing has
        failed, or the flow has not ended; GraphError if the history does not fit the graph, with every reason;
        InvalidRequest for the key of a child flow.
        """
        runtime, key = self._place()
        return FlowHandle(self._engine, await repair(runtime, key, read_changes(changes), graph))

    async def continue_with(self, state: Mapping[str, Any] | Any = None) -> FlowHandle:
        """Create the next flow of this one's thread: a further turn of the same graph, with the same options.

        It begins with the final state of the thread's latest flow, not counting forks, into which ``state`` is merged
        by the graph's reducers; None deletes a field without one. Of several concurrent calls, one succeeds.
        StateConflict if the latest flow has not completed; InvalidRequest for the key of a child flow; ThreadNotFound
        if every flow of the thread is being deleted.
        """
        runtime, key = self._place()
        return FlowHandle(self._engine, await next_turn(runtime, key, read_changes(state, "the fields of a state")))

    async def annotate(self, *, name: str | None = None, tags: Mapping[str, str | None] | None = None) -> None:
        """Rename the flow, and change the given tags; None removes one.

        Arguments that are left out change nothing. Possible at any time, even after the flow has ended. Its child flows
        get the same tags. InvalidRequest for wrong values, and for the key of a child flow.
        """
        runtime, key = self._place()
        fresh = None if name is None else read_label(name, "name")
        changes = read_tag_changes(tags)
        await runtime.committer.call(lambda work: annotate(key, fresh, changes, work))

    async def set_breakpoints(self, *, before: Iterable[str] | None = None, after: Iterable[str] | None = None) -> None:
        """Set the nodes before and after which the flow stops from now on; an empty list removes them, None keeps them.

        It takes effect immediately if this engine runs the flow, otherwise within two seconds. A stop is an interrupt
        with the payload ``{"title", "breakpoint": "before" or "after", "node"}``; ``resume`` lays a mapping over the
        state of the step, and the flow goes on. Branches that stop at one node wait under one prompt. InvalidRequest
        for a node that the graph does not have, and for the key of a child flow; StateConflict if the flow has ended.
        """
        runtime, key = self._place()
        first = None if before is None else read_nodes(before, "before")
        second = None if after is None else read_nodes(after, "after")
        plan_of = runtime.plans.plan_of
        await runtime.committer.call(lambda work: change_breakpoints(key, first, second, work, plan_of))

    async def breakpoints(self) -> tuple[frozenset[str], frozenset[str]]:
        """The nodes before which and after which the flow stops."""
        runtime, key = self._place()
        known = await runtime.database.read(lambda: read_breakpoints(key))
        return known.before, known.after

    async def summary(self) -> FlowSummary:
        """The flow as in lists: its name and tags, its workflow, and its position."""
        runtime, key = self._place()
        return await runtime.database.read(lambda: read_summary(key))

    async def history(self) -> Sequence[Step]:
        """The steps of the flow by depth and id, without their states. A step with child flows contains their
        histories.

        FlowNotFound also while the flow is being deleted.
        """
        runtime, key = self._place()
        return await runtime.database.read(lambda: read_history(key))

    async def steps(
        self,
        *,
        node: str = "",
        only: Iterable[str | Step] | None = None,
        fields: Iterable[str] | None = None,
    ) -> Sequence[Step]:
        """The steps of the flow and of its child flows with their states and changes, by depth and id, in one read.

        ``node``: steps of this node; ``only``: these steps. ``fields`` limits the fields of each state, since every
        branch of a wide fan-out has the fields of its source. StepNotFound, InvalidRequest for wrong keys.
        """
        runtime, key = self._place()
        parsed = None if only is None else {each.id: each.token for each in map(self._step_key, only)}
        wanted = Wanted(node, parsed, None if fields is None else frozenset(fields))
        return await runtime.database.read(lambda: read_steps(key, wanted))

    async def answers(self) -> Sequence[Answered]:
        """The answered questions of the flow and of its child flows, in the order of the answers."""
        runtime, key = self._place()
        return await runtime.database.read(lambda: read_answers(key))

    async def logs(
        self, *, step: str | Step | None = None, node: str = "", after: str = "", limit: int | None = None
    ) -> Sequence[LogLine]:
        """The prints, log records and streams of the tasks of the flow and of its child flows, oldest first.

        Output is captured if the engine that runs the task has ``capture_output``; streams are always stored. ``step``,
        ``node``: only of that step, of that node. ``after``: only output after this line, given by its ``cursor``;
        ``limit``: the maximum of lines. StepNotFound, InvalidRequest for wrong arguments.
        """
        runtime, key = self._place()
        asked = self._asked(step, node)
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
            raise InvalidRequest(f"limit is a whole number, or None for no limit, not {limit!r}")
        try:
            place = cursor_of(after) if after else None
        except (ValueError, AttributeError):
            raise InvalidRequest("after is the cursor of a line") from None
        lines = await runtime.database.read(lambda: read_output(asked))
        if node and not lines:
            await check_node(runtime, key, node)
        if place is not None:
            lines = [line for line in lines if cursor_of(line.cursor) > place]
        return lines if limit is None else lines[:limit]

    async def displays(self, *, step: str | Step | None = None, node: str = "") -> Sequence[Display]:
        """The displays of the tasks of the flow and of its child flows, oldest first; of one step or node if it is
        given.
        """
        runtime, key = self._place()
        asked = self._asked(step, node)
        shown = await runtime.database.read(lambda: read_displays(asked))
        if node and not shown:
            await check_node(runtime, key, node)
        return shown

    async def follow_logs(self, *, node: str = "") -> AsyncIterator[LogLine]:
        """All lines so far, then each new one, until the flow has ended. Only of ``node`` if it is given.

        Output of tasks in other processes arrives within a second::

            async for line in flow.follow_logs():
                print(line.node, line.text)
        """
        async for lines, _ in self._follow_output(node):
            for line in lines:
                yield line

    async def _follow_output(self, node: str = "") -> AsyncIterator[tuple[list[LogLine], list[Display]]]:
        """New lines and displays in groups, as they come; groups may be empty."""
        runtime, key = self._place()
        asked = self._asked(None, node)
        news = asyncio.Event()
        root = await runtime.database.read(lambda: read_root(key))
        stops = [runtime.outputs.watch(root, news), runtime.trees.watch(root, news)]
        places = OutputPosition(), OutputPosition()
        unsure = bool(node)  # whether there is such a node
        pause = LISTEN_MOST_S
        try:
            while True:
                news.clear()
                lines, shown, status = await runtime.database.read(lambda: read_news(asked, *places))
                if unsure and not lines and not shown:
                    await check_node(runtime, key, node)
                unsure = False
                pause = LISTEN_MOST_S if lines or shown else min(pause * 1.25, LISTEN_QUIET_S)
                yield lines, shown
                if not status or Status(status).terminal:
                    return
                await asyncio.sleep(LISTEN_LEAST_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause - LISTEN_LEAST_S):
                        await news.wait()
                runtime = self._engine._runtime(key.shard)
        finally:
            for stop in stops:
                stop()

    def _asked(self, step: str | Step | None, node: str) -> OutputQuery:
        if not isinstance(node, str):
            raise InvalidRequest(f"node is the name of a node, not {type(node).__name__}")
        return OutputQuery(self._parsed, None if step is None else self._step_key(step), node)

    async def graph(self) -> Graph:
        """The frozen graph of the flow."""
        runtime, key = self._place()
        return Graph.from_json(await runtime.database.read(lambda: read_graph(key)))

    async def to_mermaid(self, *, direction: str = "TD", title: str = "") -> str:
        """The executed steps as Mermaid text, without keys."""
        from dwarf.workflow.drawing.mermaid_history import FlowRenderer

        return FlowRenderer(await self.history(), direction=direction, title=title).render()

    async def watch(self) -> AsyncIterator[FlowUpdate]:
        """One update for each visible change, until the flow has ended. Concurrent changes share one update."""
        runtime, key = self._place()
        changed = asyncio.Event()
        root = await runtime.database.read(lambda: read_root(key))
        stop = runtime.trees.watch(root, changed)
        seen = ""
        try:
            while True:
                changed.clear()
                print_, _ = await runtime.database.read(lambda: read_fingerprint(key))
                if print_ != seen:
                    seen = print_
                    outcome, steps = await runtime.database.read(lambda: read_whole(key))
                    yield FlowUpdate(outcome=outcome, steps=tuple(steps))
                    if outcome.status.terminal:
                        return
                    await asyncio.sleep(WATCH_PAUSE_S)
                await changed.wait()
                runtime = self._engine._runtime(key.shard)
        finally:
            stop()

    async def _stopped(self) -> Outcome:
        runtime, key = self._place()
        while True:
            with runtime.waiters.waiting(key.id) as future:
                if failpoints.active is not None:
                    await failpoints.active.arrive("awaitParked", [self.key])
                stop = None
                if runtime.waiters.knows_since(self._fresh):
                    # this engine created the flow and knows every stop since: no query is needed
                    stop = runtime.waiters.recent(key.id) or await future
                if stop is not None and _says_all(stop):
                    return self._outcome_of(stop)
                waits = stop is not None and stop.status is Status.INTERRUPTED
                outcome, overdue = await runtime.database.read(partial(read_outcome, key, waits=waits))
                if outcome.stopped and not overdue:
                    return outcome
                if overdue:
                    await runtime.committer.call(answer_overdue)
                elif (stop := await future) is not None and _says_all(stop):
                    return self._outcome_of(stop)

    def _outcome_of(self, stop: Stop) -> Outcome:
        return Outcome(
            flow_key=self.key,
            status=stop.status,
            state=state_from_json(stop.final_state or {}),
            error=stop.error.strip(),
        )

    def _step_key(self, step: str | Step) -> Key:
        key = parse_key(step.key if isinstance(step, Step) else step, "step key")
        if key.shard != self._parsed.shard:
            raise StepNotFound("step not found: it is on another shard than the flow")
        return key

    def _place(self) -> tuple[ShardRuntime, Key]:
        return self._engine._runtime(self._parsed.shard), self._parsed


def _says_all(stop: Stop) -> bool:
    """Whether a stop contains the outcome, so that no query is needed."""
    return stop.final_state is not None and stop.status is not Status.CANCELLED


def _seconds(timeout: Seconds | None) -> float | None:
    if timeout is None:
        return None
    try:
        return to_ms(timeout, "timeout") / 1000
    except InvalidRequest:
        if isinstance(timeout, (int, float)) and timeout < 0:
            return 0.0
        raise
