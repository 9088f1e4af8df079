"""One flow, as the engine's users hold it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
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
LISTEN_LEAST_S, LISTEN_MOST_S = 0.1, 0.8  # between two looks at what tasks say; those of other processes need them
LISTEN_QUIET_S = 2.0  # the same where nothing has been said for a while
MAX_REASON = 1_000_000


class FlowHandle(Awaitable[Outcome]):
    """One flow, by its key. Making a handle does no I/O; awaiting it waits until the flow has stopped.

    Every call raises InvalidRequest for a malformed key, FlowNotFound for one that names no flow, and EngineClosed
    when the engine is not started.

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
        self._fresh = fresh  # the waiters' generation when this engine has made the flow, or had it go on

    def __repr__(self) -> str:
        return f"<FlowHandle {self._parsed.shard}-{self._parsed.id}>"

    def __await__(self) -> Generator[Any, None, Outcome]:
        return self.outcome().__await__()

    async def outcome(self, *, timeout: Seconds | None = None) -> Outcome:
        """Wait until the flow has stopped: completed, failed, cancelled, or interrupted.

        Without a time-out this waits without limit. WaitTimeout when ``timeout`` passes first; the flow goes on. A
        time-out of 0 looks at the flow once.
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
        """What the flow is at, or waits for, as the end of a sentence: ``: 'Fit' is running``; "" for one at an end."""
        runtime, key = self._place()
        with suppress(DwarfError):  # the time-out is told in any case
            return await runtime.known_tasks.of_flow(key.id)
        return ""

    async def _stuck(self) -> list[tuple[str, str]]:
        """The nodes whose steps no living engine can run, each with what it waits for, as the end of a sentence."""
        runtime, key = self._place()
        with suppress(DwarfError):
            return await runtime.known_tasks.stuck(key.id)
        return []

    async def poll(self, *, timeout: Seconds) -> Outcome:
        """Like ``outcome``, but a time-out returns the outcome of the flow as it runs."""
        with suppress(WaitTimeout):
            return await self.outcome(timeout=timeout)
        return await self.snapshot()

    async def snapshot(self) -> Outcome:
        """The flow's outcome as of now."""
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

        ``data`` is any value a state can hold, None like any other; left out, it is ``{}``. At a breakpoint it is a
        mapping of changes to the state, and None means no changes. Where the interrupt has a schema the answer must fit
        it, and ``flow.interrupt`` returns it as the schema's type; otherwise as it was given. ``by``: who answers; it
        is kept with the answer, see Step.answered_by. StateConflict when nothing waits there; InvalidRequest for an
        answer that does not fit, or the key of a child flow; StateError for a value that cannot be kept.
        """
        if not isinstance(by, str):
            raise InvalidRequest(f"by is the name of who answers, not {type(by).__name__}")
        runtime, key = self._place()
        value = {} if data is ... else answer_to_json(data)
        check_size(value, MAX_ANSWER, "an answer")
        given = Given(value, by)
        chosen = None if step is None else self._step_key(step)
        named = None if chosen is None else (chosen.id, chosen.token)
        while True:
            generation = runtime.waiters.generation
            slot = runtime.dispatcher.slot_for_woken()
            result = await runtime.committer.call(partial(answer_step, key.id, key.token, named, given), slot)
            if not isinstance(result, Question):
                break
            # in a thread, since an answer may be large, and its schema anything
            value = as_rows(value, result.schema)
            await asyncio.to_thread(check, value, result.schema)
            given = Given(value, by, checked=result)
        if result:
            self._fresh = generation
        if runtime.directives.met_breakpoints:
            await runtime.directives.refresh()  # a cohort may have been let go on

    async def cancel(self, reason: str = "") -> None:
        """Cancel the flow with everything under it. A task that runs is not stopped; its result is discarded.

        StateConflict when the flow has ended already; InvalidRequest for the key of a child flow, and for a reason
        that is no text of at most a million characters.
        """
        runtime, key = self._place()
        text = read_text(reason, "the reason", MAX_REASON).strip()
        await runtime.committer.call(lambda work: cancel_flow(key.id, key.token, text, work, runtime.plans.plan_of))

    async def delete(self) -> None:
        """Delete the flow with everything under it. It is no longer listed from now on, and is removed a little later.

        One that waits for an answer is cancelled. Deleting again does nothing. StateConflict when the flow is running;
        InvalidRequest for the key of a child flow.
        """
        runtime, key = self._place()
        await runtime.committer.call(lambda work: delete_flow(key.id, key.token, work))

    async def retry_failed(self, changes: Mapping[str, Any] | Any = None, *, graph: Graph | None = None) -> FlowHandle:
        """Copy a flow that has failed or was cancelled, and run what was stopped again, in every branch at once.

        ``changes`` are laid over the input of each step that runs again; None deletes a field. Branches that came to
        their end are kept, and are merged with the others as usual. Where a child flow was stopped, the copy goes on
        inside it. A step that failed starts over; one that was cancelled keeps the answers it had. ``graph`` takes the
        place of the graph that was frozen: of the flows that go on and have a graph of its name, or else of the one in
        which something was stopped. StateConflict when nothing has failed, or the flow has not ended; GraphError when
        the past does not fit the graph, with every reason; InvalidRequest for the key of a child flow.
        """
        runtime, key = self._place()
        return FlowHandle(self._engine, await repair(runtime, key, read_changes(changes), graph))

    async def continue_with(self, state: Mapping[str, Any] | Any = None) -> FlowHandle:
        """Create the next flow of this one's thread: a further turn of the same graph, with the same options.

        It begins with the final state of the thread's latest flow, forks left aside, into which ``state`` is merged by
        the graph's reducers; None deletes a field without one. Of several calls at once, one succeeds. StateConflict
        when the latest flow has not completed; InvalidRequest for the key of a child flow; ThreadNotFound when every
        flow of the thread is being deleted.
        """
        runtime, key = self._place()
        return FlowHandle(self._engine, await next_turn(runtime, key, read_changes(state, "the fields of a state")))

    async def annotate(self, *, name: str | None = None, tags: Mapping[str, str | None] | None = None) -> None:
        """Give the flow another name, and change its tags: those that are given, None removes one.

        What is left out stays as it is. At any time, also when the flow has ended, and its child flows have the same
        tags from then on. InvalidRequest for wrong ones, and for the key of a child flow.
        """
        runtime, key = self._place()
        fresh = None if name is None else read_label(name, "name")
        changes = read_tag_changes(tags)
        await runtime.committer.call(lambda work: annotate(key, fresh, changes, work))

    async def set_breakpoints(self, *, before: Iterable[str] | None = None, after: Iterable[str] | None = None) -> None:
        """Have the flow stop before and after these nodes from now on; an empty list removes them, None leaves them.

        At once where this engine runs the flow, within two seconds where another does. A stop is an interrupt with the
        payload ``{"title", "breakpoint": "before" or "after", "node"}``; ``resume`` lays a mapping over the state of
        the step, and the flow goes on. Branches that stop at one node wait under one prompt. InvalidRequest for a node
        that the graph does not have, and for the key of a child flow; StateConflict when the flow has ended.
        """
        runtime, key = self._place()
        first = None if before is None else read_nodes(before, "before")
        second = None if after is None else read_nodes(after, "after")
        plan_of = runtime.plans.plan_of
        await runtime.committer.call(lambda work: change_breakpoints(key, first, second, work, plan_of))
        await runtime.directives.refresh()

    async def breakpoints(self) -> tuple[frozenset[str], frozenset[str]]:
        """The nodes before which, and those after which, the flow stops."""
        before, after, _ = await self._stops()
        return before, after

    async def _stops(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """``breakpoints``, and the nodes before which it stops because somebody goes on step by step."""
        runtime, key = self._place()
        known = await runtime.database.read(lambda: read_breakpoints(key))
        return known.before, known.after, known.once

    async def _stop_once(self, nodes: Iterable[str]) -> None:
        """Have the flow stop before these nodes, too, until this is called again."""
        runtime, key = self._place()
        once, plan_of = frozenset(nodes), runtime.plans.plan_of
        await runtime.committer.call(lambda work: change_breakpoints(key, None, None, work, plan_of, once=once))
        await runtime.directives.refresh()

    async def summary(self) -> FlowSummary:
        """The flow as lists show it: its name and tags, its workflow, where it is."""
        runtime, key = self._place()
        return await runtime.database.read(lambda: read_summary(key))

    async def history(self) -> Sequence[Step]:
        """The steps of the flow by depth and id, without their states. A step that called child flows holds them.

        FlowNotFound when the flow is being deleted, too.
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

        ``node``: those of one node; ``only``: these. ``fields``: of each state, these fields alone, since what is
        carried through a wide fan-out is in the state of every branch. StepNotFound, InvalidRequest for wrong keys.
        """
        runtime, key = self._place()
        parsed = None if only is None else {each.id: each.token for each in map(self._step_key, only)}
        wanted = Wanted(node, parsed, None if fields is None else frozenset(fields))
        return await runtime.database.read(lambda: read_steps(key, wanted))

    async def answers(self) -> Sequence[Answered]:
        """The questions of the flow and of its child flows that have been answered, in the order of the answers."""
        runtime, key = self._place()
        return await runtime.database.read(lambda: read_answers(key))

    async def logs(
        self, *, step: str | Step | None = None, node: str = "", after: str = "", limit: int | None = None
    ) -> Sequence[LogLine]:
        """What the tasks of the flow and of its child flows have printed, logged and streamed, oldest first.

        Tasks are heard where the engine that runs them has ``capture_output``; streams are always kept. ``step``,
        ``node``: of that step, of that node alone. ``after``: only what comes behind this line, by its ``cursor``;
        ``limit``: at most so many. StepNotFound, InvalidRequest for wrong arguments.
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
        """What the tasks of the flow and of its child flows have displayed, oldest first; of a step or a node alone."""
        runtime, key = self._place()
        asked = self._asked(step, node)
        shown = await runtime.database.read(lambda: read_displays(asked))
        if node and not shown:
            await check_node(runtime, key, node)
        return shown

    async def follow_logs(self, *, node: str = "") -> AsyncIterator[LogLine]:
        """Every line there is, then each as it comes, until the flow has ended. Of one node alone, if it is named.

        What tasks of other processes say is seen within a second::

            async for line in flow.follow_logs():
                print(line.node, line.text)
        """
        async for lines, _ in self._follow_output(node):
            for line in lines:
                yield line

    async def _follow_output(self, node: str = "") -> AsyncIterator[tuple[list[LogLine], list[Display]]]:
        """What is said and shown, in the groups in which it comes; also empty ones."""
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
        """The graph the flow is frozen on."""
        runtime, key = self._place()
        return Graph.from_json(await runtime.database.read(lambda: read_graph(key)))

    async def to_mermaid(self, *, direction: str = "TD", title: str = "") -> str:
        """The executed steps as Mermaid text. No keys are in it."""
        from dwarf.workflow.drawing.mermaid_history import FlowRenderer

        return FlowRenderer(await self.history(), direction=direction, title=title).render()

    async def watch(self) -> AsyncIterator[FlowUpdate]:
        """One update for each visible change, until the flow has ended. Changes that come together share one."""
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
                    # begun here, and every stop since is known here: there is no need to look
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
    """Whether a stop tells the outcome, so that there is no need to read it."""
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
