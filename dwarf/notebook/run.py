"""What can be done with one flow in a notebook? Look at it, wait for it, answer it, look back, branch off."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from dwarf.errors import DwarfError, FlowFailed, InvalidRequest, PromptNeedsHuman
from dwarf.notebook import kernel
from dwarf.notebook.analysis.comparing import RunDiff, read_side
from dwarf.notebook.analysis.frames import history_frame
from dwarf.notebook.analysis.masking import Mask
from dwarf.notebook.analysis.reading import read_cohort
from dwarf.notebook.analysis.report import Report, make_report, read_facts
from dwarf.notebook.analysis.said import Displays, Stream, logs_frame, pieces
from dwarf.notebook.cells import CellHost, Missing
from dwarf.notebook.errors import check_step_key, no_attribute, stoppable, tell_where
from dwarf.notebook.live.drift import Drift, drift_of
from dwarf.notebook.pictures.picture import draw_run
from dwarf.notebook.pictures.timeline import draw_timeline
from dwarf.notebook.pictures.views import is_stop, stop_text, where_stopped
from dwarf.notebook.prompts.answers import example_for
from dwarf.notebook.waiting import wait_async, wait_blocking
from dwarf.workflow.durations import Seconds, to_ms
from dwarf.workflow.graph import Graph
from dwarf.workflow.results import Outcome, Step
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    import pandas as pd

    from dwarf.engine import FlowHandle
    from dwarf.notebook.analysis.branches import Branches
    from dwarf.notebook.live.flow_watcher import FlowWatcher
    from dwarf.notebook.live.runview import RunView
    from dwarf.notebook.maps.forks import ForkRun
    from dwarf.notebook.pictures.svg import Svg
    from dwarf.notebook.prompts.prompt import Prompt
    from dwarf.notebook.services import LabServices

__all__ = ["Run", "adopt_run"]

_log = logging.getLogger("dwarf.notebook")


class Run:
    """One flow in the notebook. Shown, it is a live picture with its prompts; finished, a still one that a saved
    notebook keeps. ``await run`` and ``run.wait()`` both give the Outcome; neither raises for a flow that failed.

    Example::

        run = lab.start(graph, {"amount": 3}, key="monday")
        run.answer(True)
        run.history[["node", "status", "duration"]]
    """

    def __init__(self, lab: LabServices, watcher: FlowWatcher) -> None:
        self._lab = lab
        self._watcher = watcher
        self._views: list[RunView] = []
        self._shown_in: object = None
        self._asked_at: float | None = None
        self._missing = Missing(lab.prompt_grace)

    # ------------------------------------------------------------ what it is

    @property
    def key(self) -> str:
        """The flow's key, by which any process with the same database finds it: ``lab.get(key)``."""
        return self._watcher.handle.key

    @property
    def name(self) -> str:
        """The name that the flow was given for people, "" where it has none."""
        return self._lab.call(self._watcher.handle.summary()).name

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags of the flow."""
        return self._lab.call(self._watcher.handle.summary()).tags

    @property
    def status(self) -> Status:
        """The status as last seen; it follows the flow within a fraction of a second."""
        outcome = self._watcher.outcome
        return outcome.status if outcome is not None else Status.RUNNING

    @property
    def outcome(self) -> Outcome | None:
        """The outcome, once the flow has ended for good."""
        outcome = self._watcher.outcome
        return outcome if outcome is not None and outcome.status.terminal else None

    @property
    def graph(self) -> Graph:
        """The graph as frozen on the flow."""
        graph = self._watcher.graph
        return graph if graph is not None else Graph("")

    @property
    def drift(self) -> Drift:
        """What has been redefined in this process since the flow was first seen here: its graph, its functions."""
        return drift_of(self._watcher, self._lab.digests)

    # ------------------------------------------------------------ waiting

    def wait(self, timeout: Seconds | None = None) -> Outcome:
        """Wait here until the flow has ended. WaitTimeout after ``timeout``; the flow goes on.

        PromptNeedsHuman where a prompt waits that could not be answered meanwhile: in a cell, which blocks the clicks,
        or in a program that would wait for ever. TaskNotFound where a step waits for a task that is not defined.
        """
        self._lab.refuse_on_loop("run.wait()")
        seconds = None if timeout is None else to_ms(timeout, "timeout") / 1000

        def check() -> None:
            beat()
            self._check_blocked(for_ever=seconds is None)
            if seconds is None:
                self._check_known()

        with stoppable(self._stopped), self._line() as beat:
            outcome = wait_blocking(
                self._watcher.ended,
                seconds,
                check=check,
                what=f"the flow {self._name!r}",
                flow_key=self.key,
                where=self._where,
            )
        self._settle_views()
        return outcome

    def __await__(self) -> Generator[Any, None, Outcome]:
        return self._wait().__await__()

    async def _wait(self) -> Outcome:
        if self._lab.on_loop:
            return await self._lab.ended(self._watcher)
        self._asked_at = None

        def check() -> None:
            beat()
            self._check_awaiting()
            self._check_known()

        with stoppable(self._stopped), self._line() as beat:
            outcome = await wait_async(self._watcher.ended, check=check)
        self._settle_views()
        return outcome

    def _line(self) -> AbstractContextManager[Callable[[], None]]:
        """The line under this cell while it waits, where another one shows the run; to be given a beat now and then."""
        from dwarf.notebook.live.waitline import WaitLine, is_wanted, waiting_line

        if not is_wanted(self._shown_in):
            return waiting_line(self._watcher, None)

        def make() -> WaitLine:
            lab = self._lab
            line = WaitLine(self._watcher, lab.submit, lab, earlier=lab.earlier.now(but=self._watcher))
            self._views.append(line)
            return line

        return waiting_line(self._watcher, make)

    def _stopped(self) -> str:
        return (
            f"Waiting was stopped; the flow {self._name!r} goes on. Await its run or call wait() to wait for it again, "
            "cancel() to end it."
        )

    def _check_known(self) -> None:
        host = self._lab.host
        if isinstance(host, CellHost):
            self._missing.check(self.graph, self._watcher.steps, host.functions)

    def _check_blocked(self, *, for_ever: bool) -> None:
        # a wait on another thread keeps no click from being handled
        if not kernel.on_main_thread() or not self._watcher.unanswered:
            return
        if kernel.in_kernel() and kernel.is_attended():
            raise PromptNeedsHuman(
                f"{self._question()}, and this cell would keep the click from being handled. Use `await run` "
                "instead of run.wait(), or answer in another cell with run.answer(...)."
            )
        if kernel.in_kernel():
            raise PromptNeedsHuman(
                f"{self._question()}, and nobody looks at this notebook. {self._advice()} "
                "With a reader, use `await run`."
            )
        if for_ever:
            raise PromptNeedsHuman(
                f"{self._question()}. {self._advice()} To wait for somebody else's answer, give a timeout."
            )

    def _check_awaiting(self) -> None:
        if not self._watcher.unanswered:
            self._asked_at = None
            return
        if kernel.in_terminal_ipython():
            raise PromptNeedsHuman(f"{self._question()}, and a terminal shows no form. {self._advice()}")
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            if not kernel.in_kernel():
                _log.warning("%s. %s", self._question(), self._advice())
            elif not self._views:
                self.show()
        if not kernel.in_kernel() or any(view.ready for view in self._views):
            return
        if time.monotonic() - self._asked_at > self._lab.prompt_grace:
            raise PromptNeedsHuman(f"{self._question()}, and no front end shows it. {self._advice()}")

    def _where(self) -> str:
        """What the flow is at when the waiting has ended, as the end of a sentence; "" where that cannot be told."""
        if self._watcher.unanswered:
            return f": {self._question()}. {self._advice()}"
        with suppress(DwarfError):
            return self._lab.call(self._watcher.handle._whereabouts())
        return ""

    def _question(self) -> str:
        card = self._watcher.unanswered[0]
        wrong = f" ({card.error})" if card.error else ""
        if is_stop(card.prompt.payload):
            return f"the flow has {stop_text(card.prompt.payload)}"
        return f"the flow waits for an answer to {card.prompt.title!r}, put by {card.prompt.node!r}{wrong}"

    def _advice(self) -> str:
        example = example_for(self._watcher.unanswered[0].prompt)
        return (
            "Answer with run.answer(...), or beforehand with Lab(answers={...}) or the variable DWARF_ANSWERS, "
            f"such as {example}."
        )

    @property
    def result(self) -> dict[str, Any]:
        """The final state; waits for it. FlowFailed or FlowCancelled where there is none."""
        outcome = self.wait()
        try:
            return dict(outcome.raise_for_status().state)
        except FlowFailed as fault:
            tell_where(fault, self._lab.call(self._watcher.handle.history()), self._full_step)
            raise

    def _full_step(self, step: Step) -> Step:
        return self._lab.call(self._lab.engine.step(step.key))

    def __getattr__(self, name: str) -> Any:
        if hasattr(type(self), name):
            return object.__getattribute__(self, name)  # a property that failed: its own fault says more
        raise AttributeError(no_attribute(name), name=name, obj=self)

    # ------------------------------------------------------------ looking back

    @property
    def steps(self) -> Sequence[Step]:
        """The steps so far, in the order of the history."""
        self._lab.call(self._watcher.read())
        return self._watcher.steps

    @property
    def history(self) -> pd.DataFrame:
        """A table with one row for each step: node, status, attempt, depth, started, finished, duration, error, ..."""
        return history_frame(self.steps)

    def state_at(self, step: str | Step) -> dict[str, Any]:
        """The state a step began with; ``step`` may be its key, or a node for that node's last step."""
        found = self._lab.call(self._lab.engine.step(self._step_key(step)))
        return dict(found.state or {})

    def cohort(self, node: str) -> pd.DataFrame:
        """A table with one row for each branch of a fan-out at this node: its item, what it wrote, and how it went."""
        watcher = self._watcher
        return self._lab.call(read_cohort(self._lab.engine, watcher.handle, self.graph, node))

    @property
    def logs(self) -> pd.DataFrame:
        """What the tasks have printed, logged, warned and streamed: a table with a row for each line, oldest first."""
        return logs_frame(self._lab.call(self._watcher.handle.logs()))

    @property
    def displays(self) -> Displays:
        """What the tasks have displayed: shown, a gallery by node; ``run.displays["Train"]`` are those of a node."""
        return Displays(self._lab.call(self._watcher.handle.displays()))

    def stream(self, node: str, *, name: str = "") -> Stream:
        """The text that a node streams: what there is, then what comes, until the flow has ended.

        ``for piece in run.stream("Ask"): print(piece, end="")``; ``async for`` works, too. ``name``: of several
        streams, the one of this name. InvalidRequest for a node that is not there.
        """
        handle = self._watcher.handle
        if all(each.name != node for each in self.graph.nodes) and not self._lab.on_loop:
            self._lab.call(handle.logs(node=node, limit=0))  # refuses what is no node of a child flow, either
        return Stream(lambda: pieces(handle, node, name), self._lab.submit)

    @property
    def branches(self) -> Branches:
        """The flows of this one's thread, forks and further turns, as a tree with a table beside it."""
        from dwarf.notebook.analysis.branches import Branches, read_branches

        return Branches(self._open, *self._lab.call(read_branches(self._lab.engine, self.key)))

    def picture(self) -> Svg:
        """The graph with the run's colours, as a still picture."""
        seen = self._watcher
        self._lab.call(seen.read())
        self._lab.call(seen.read_stops())
        return draw_run(
            self.graph,
            seen.steps,
            seen.outcome,
            asked=seen.asked,
            notes=seen.notes,
            since=seen.began,
            stops=seen.stops,
        )

    def to_graphviz(self, *, rankdir: str = "LR") -> Any:
        """The graph in the colours of this run as a ``graphviz.Digraph``, to be styled and rendered at will.

        It renders by ``dot``, or where that is not installed by graphviz-pure: ``run.to_graphviz().render("run")``.
        """
        from dwarf.notebook.pictures.picture import coloured

        return coloured(self.graph, self.steps, self._watcher.outcome, rankdir=rankdir)

    def timeline(self) -> Svg:
        """The steps as bars over time; waiting is striped, and long stretches of it are cut short."""
        steps, answers = self.steps, self._lab.call(self._watcher.handle.answers())
        shown = Mask(answers).steps(steps)
        return draw_timeline(shown, title=self._name, asked=self._watcher.asked, answers=answers)

    def diff(self, other: Run) -> RunDiff:
        """This run and another one side by side: what came out, the steps, what they wrote, and how long they took."""
        if not isinstance(other, Run):
            raise InvalidRequest(f"another run is compared, such as lab.get(key), not {other!r:.100}")
        mine, theirs = self._watcher, other._watcher
        left = self._lab.call(read_side(mine.handle, self.graph))
        return RunDiff(left, other._lab.call(read_side(theirs.handle, other.graph)))

    def report(self, path: str | os.PathLike[str] | None = None) -> Report:
        """The run as one HTML file that opens anywhere, offline: written to ``path``, or returned as text alone."""
        made = make_report(self._lab.call(read_facts(self._watcher.handle, self.graph)))
        return made if path is None else made.save(path)

    # ------------------------------------------------------------ answering

    @property
    def prompts(self) -> Sequence[Prompt]:
        """The prompts that wait now, oldest first."""
        self._lab.call(self._watcher.refresh())
        return self._watcher.prompts

    def answer(self, value: Any = ..., *, prompt: str | Prompt | None = None) -> None:
        """Answer the prompt that waits, or the one of this key, title or node. A wrong answer changes nothing.

        None is an answer like any other; left out, the answer is ``{}``. InvalidRequest, which names them, where
        several prompts wait and none is named.
        """
        self._lab.call(self._watcher.answer(value, prompt))

    # ------------------------------------------------------------ acting

    def annotate(self, *, name: str | None = None, tags: Mapping[str, str | None] | None = None) -> None:
        """Give the flow another name, and change its tags: those that are given; None removes one."""
        self._lab.call(self._watcher.handle.annotate(name=name, tags=tags))

    def cancel(self, reason: str = "") -> None:
        """End the flow and its subgraphs."""
        self._lab.call(self._watcher.handle.cancel(reason))

    def break_before(self, *nodes: str) -> None:
        """Have the flow stop before these nodes from now on; none: nowhere. See FlowHandle.set_breakpoints."""
        self._lab.call(self._watcher.set_stops(before=nodes))

    def fork(
        self,
        step: str | Step,
        changes: Mapping[str, Any] | None = None,
        *,
        graph: Graph | None = None,
        show: bool = True,
        **same: Any,
    ) -> Run:
        """A new flow that goes on from a step of this one, with changes laid over its state. See Engine.fork.

        ``graph``: the new flow goes on with this graph, as it is now; without one, with the graph this one began with.
        """
        key = self._step_key(step)
        return adopt_run(self._lab, partial(self._lab.engine.fork, key, changes, graph=graph, **same), show=show)

    def sweep(
        self,
        step: str | Step,
        grid: Mapping[str, Sequence[Any]] | Iterable[Mapping[str, Any]],
        *,
        into: Sequence[str] | None = None,
        show: bool = True,
        **same: Any,
    ) -> ForkRun:
        """A fork at a step for each row of a grid, whose fields are laid over its input; side by side, past shared.

        ``grid`` is a mapping of sequences, whose every combination is a row, or the rows themselves. Awaited, it gives
        a DataFrame with the fields of the grid, the results (``into``, or all that the forks have changed), status,
        duration, error and flow. ``same`` is what Run.fork takes. A row that fails has its error there.
        """
        from dwarf.notebook.maps.forks import sweep

        found = self._lab.call(self._lab.engine.step(self._step_key(step)))
        name = f"{self._name}: sweep at {found.node}"
        return sweep(self._lab, self._open, found, self.key, grid, into=into, show=show, name=name, options=same)

    def retry_failed(
        self, changes: Mapping[str, Any] | None = None, *, graph: Graph | None = None, show: bool = True
    ) -> Run:
        """A new flow in which what failed is run again; with ``graph``, as it is now, in place of its own one."""
        retry = partial(self._watcher.handle.retry_failed, changes, graph=graph)
        return adopt_run(self._lab, retry, show=show)

    def continue_with(self, state: Mapping[str, Any] | None = None, *, show: bool = True) -> Run:
        """The next flow of this one's thread, which begins with its final state."""
        return adopt_run(self._lab, partial(self._watcher.handle.continue_with, state), show=show)

    def _open(self, flow_key: str) -> Run:
        """The Run of another flow of the same lab, as Lab.get."""

        async def handle() -> FlowHandle:
            return self._lab.engine.flow(flow_key)

        return adopt_run(self._lab, handle, show=False, begun=False)

    def _step_key(self, step: str | Step) -> str:
        if isinstance(step, Step):
            return step.key
        names = [node.name for node in self.graph.nodes]
        if step not in names:
            return check_step_key(step, names)
        found = [each for each in self.steps if each.node == step]
        if not found:
            raise InvalidRequest(f"the flow has not reached the node {step!r}")
        return max(found, key=lambda each: each.id).key

    # ------------------------------------------------------------ showing

    def show(self) -> None:
        """Display the run under this cell: live while it runs, still when it has ended."""
        self._display()

    def inspect(self) -> None:
        """Display the run so that its steps can be opened and forked, though it has ended.

        Where no page is connected, this is ``show``. When nobody looks any more, the still picture takes its place.
        """
        self._display(inspecting=True)

    def _display(self, *, inspecting: bool = False, begun_here: bool = False) -> None:
        """``begun_here``: the run has just been started, so one that has failed by now is shown as if it still ran."""
        from dwarf.notebook.live.runview import RunView

        self._shown_in = kernel.current_cell()
        lab = self._lab
        earlier = lab.earlier.now(but=self._watcher)
        view = RunView(self._watcher, lab.submit, lab, inspecting=inspecting, begun_here=begun_here, earlier=earlier)
        view.show()
        self._views.append(view)

    def _settle_views(self) -> None:
        for view in self._views:
            view.settle()

    def _ipython_display_(self) -> None:
        if kernel.in_marimo():
            return
        if self._shown_in is None or self._shown_in != kernel.current_cell():
            self.show()

    def widget(self) -> Any:
        """The live view as an ipywidget of its own, for boxes and links: ``HBox([run.widget(), other.widget()])``.

        It stays live after the end of the run; each call makes another one. ImportError without the extra ``notebook``.
        """
        from dwarf.notebook.live.runview import RunView

        view = RunView(self._watcher, self._lab.submit, self._lab)
        self._views.append(view)
        return view.widget()

    def _display_(self) -> Any:
        """What marimo shows: the live widget."""
        return self.widget()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return dict(self.picture()._repr_mimebundle_())

    def __repr__(self) -> str:
        stopped = where_stopped(self._watcher.steps) if self.status is Status.INTERRUPTED else ""
        return f"<Run {self._name!r}: {stopped or self.status}>"

    @property
    def _name(self) -> str:
        return self.graph.name or "flow"


def adopt_run(lab: LabServices, make: Callable[[], Awaitable[FlowHandle]], *, show: bool, begun: bool = True) -> Run:
    """The Run of a flow whose handle ``make`` gives, on the lab's loop. ``begun``: this cell has begun the flow."""
    if not kernel.in_kernel():
        return Run(lab, lab.call(lab.follow(make)))
    with lab.starting() as known:
        watcher = lab.call(lab.follow(make))
        known(watcher)
    if begun:
        lab.earlier.begun(watcher)
    run = Run(lab, watcher)
    if show:
        run._display(begun_here=True)
    return run
