"""What can be done with the flows of a table? Watch them, wait for them, look at their results, repair what failed."""

from __future__ import annotations

import asyncio
import sys
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from dwarf.errors import DwarfError, InvalidRequest, PromptNeedsHuman, StateConflict, WaitTimeout
from dwarf.notebook import kernel
from dwarf.notebook.errors import stoppable
from dwarf.notebook.live.waitline import PATIENCE, is_wanted
from dwarf.notebook.maps.mapwork import MapWork, NewFlows, Repairs
from dwarf.notebook.maps.rows import Rows
from dwarf.notebook.maps.tally import MapProgress, Tally
from dwarf.notebook.pictures.formatting import plural
from dwarf.notebook.pictures.views import is_stop, stop_text
from dwarf.notebook.waiting import wait_async, wait_blocking
from dwarf.workflow.checking import written_fields
from dwarf.workflow.durations import Seconds, to_ms
from dwarf.workflow.graph import Graph, read_workflow
from dwarf.workflow.status import Status
from dwarf.workflow.suggest import check_names, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from dwarf.notebook.maps.mapview import MapView
    from dwarf.notebook.run import Run
    from dwarf.notebook.services import LabServices

__all__ = ["MapRun", "begin", "start_map"]

_ADVICE = 'Answer in lab.inbox(), or beforehand with Lab(answers={...}) or DWARF_ANSWERS, such as {"*": "default"}.'


class MapRun:
    """One flow for each row of a table. ``await`` it, or call ``wait()``, for the DataFrame of results.

    The results have the index of the rows: the fields asked for, then ``status``, ``error``, and ``flow``, the key of
    the row's flow. A result whose name is one of these three stands as ``result.<name>``. A row that failed has its
    status and error there, and no results; nothing is raised for it.

    Example::

        rows = lab.map(graph, frame, key="prices", into=["euros"])
        result = rows.wait()
        result = rows.retry_failed().wait()  # the rows that failed, at the step that failed
    """

    def __init__(
        self, lab: LabServices, open_run: Callable[[str], Run], work: MapWork, name: str, *, own_threads: bool
    ) -> None:
        self._lab = lab
        self._open_run = open_run
        self._work = work
        self._name = name
        self._own_threads = own_threads
        self._views: list[MapView] = []
        self._shown_in: object = None
        self._asked_at: float | None = None
        self._waited_since = 0.0

    # ------------------------------------------------------------ results

    @property
    def frame(self) -> pd.DataFrame:
        """The results so far; rows that have not ended are pending."""
        return self._work.tally.frame()

    @property
    def runs(self) -> Sequence[Run]:
        """The runs of the rows, in order. Each is made when it is asked for; StateConflict for a row not started."""
        return _Runs(self._open_run, self._work.tally, range(self._work.tally.rows))

    @property
    def progress(self) -> MapProgress:
        """How many rows have ended and how, at which rate, and how long the others will take."""
        return self._work.tally.progress()

    # ------------------------------------------------------------ waiting

    def wait(self, timeout: Seconds | None = None) -> pd.DataFrame:
        """Wait until each row has ended; the results. WaitTimeout after ``timeout``; the flows go on.

        Outside a notebook the progress is written to the standard error. PromptNeedsHuman where nothing is left but
        questions that could not be answered meanwhile.
        """
        self._lab.refuse_on_loop("wait()")
        seconds = None if timeout is None else to_ms(timeout, "timeout") / 1000
        self._waited_since = time.monotonic()
        line = _ProgressLine() if self._shown_in is not None and not kernel.in_kernel() else None

        def check() -> None:
            self._show_where_awaited()
            if line is not None:
                line.write(self.progress.text)
            self._check_blocked(for_ever=seconds is None)

        try:
            with stoppable(self._stopped):
                wait_blocking(self._work.ended, seconds, check=check, what=self._name)
        except WaitTimeout:
            raise WaitTimeout(f"after {seconds:g} s: {self.progress.text}; the flows go on", "") from None
        finally:
            if line is not None:
                line.end(self.progress.text)
        self._settle_views()
        if self._work.tally.absent:
            self._warn(self._lab.call(self._absent()))
        return self.frame

    def __await__(self) -> Generator[Any, None, pd.DataFrame]:
        return self._wait().__await__()

    async def _wait(self) -> pd.DataFrame:
        if self._lab.on_loop:
            await asyncio.shield(asyncio.wrap_future(self._work.ended))
            return self.frame
        self._asked_at = None
        self._waited_since = time.monotonic()
        with stoppable(self._stopped):
            await wait_async(self._work.ended, check=self._check_awaiting)
        self._settle_views()
        if self._work.tally.absent:
            self._warn(await asyncio.wrap_future(self._lab.submit(self._absent())))
        return self.frame

    def _stopped(self) -> str:
        return (
            f"Waiting was stopped at {self.progress.text}; the flows of {self._name!r} go on. Await their run or call "
            "wait() to wait for them again, cancel() to end them."
        )

    def _warn(self, sentences: Sequence[str]) -> None:
        for sentence in sentences:
            warnings.warn(f"{self._name}: {sentence}", stacklevel=3)

    async def _absent(self) -> list[str]:
        """A sentence for each field asked for that no row has, and that no task is known to write: once."""
        tally = self._work.tally
        done = [at for at in range(tally.rows) if tally.status(at) is Status.COMPLETED]
        if not done or not tally.absent:
            return []
        absent, tally.absent = sorted(tally.absent), set()
        handle = self._lab.engine.flow(tally.flows[done[0]])
        try:
            graph, outcome = await handle.graph(), await handle.snapshot()
        except DwarfError:  # the flow may have been deleted
            return []
        written = written_fields(graph, getattr(self._lab.host, "functions", {}))
        fields = {*written, *outcome.state}
        return [f"no row has a field {name!r}{did_you_mean(name, fields)}" for name in absent if name not in written]

    def _check_blocked(self, *, for_ever: bool) -> None:
        if not kernel.on_main_thread() or not self._work.stuck:
            return
        if kernel.in_kernel() and kernel.is_attended():
            raise PromptNeedsHuman(
                f"{self._question()}, and this cell would keep the click from being handled. Use `await` instead of "
                "wait(), or answer in another cell."
            )
        if kernel.in_kernel():
            raise PromptNeedsHuman(
                f"{self._question()}, and nobody looks at this notebook. {_ADVICE} With a reader, use `await`."
            )
        if for_ever:
            raise PromptNeedsHuman(f"{self._question()}. {_ADVICE} To wait for somebody else's answer, give a timeout.")

    def _show_where_awaited(self) -> None:
        """Show the progress under the cell that waits, where another one shows it or none."""
        if time.monotonic() - self._waited_since >= PATIENCE and is_wanted(self._shown_in):
            self.show()

    def _check_awaiting(self) -> None:
        self._show_where_awaited()
        if not self._work.stuck or any(view.ready for view in self._views):
            self._asked_at = None
            return
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        if kernel.in_terminal_ipython() or (
            kernel.in_kernel() and time.monotonic() - self._asked_at > self._lab.prompt_grace
        ):
            raise PromptNeedsHuman(f"{self._question()}, and no front end shows it. {_ADVICE}")

    def _question(self) -> str:
        cards = self._work.stuck
        if cards and is_stop(cards[0].prompt.payload):
            return f"nothing is left but {plural(len(cards), 'row')} {stop_text(cards[0].prompt.payload)}"
        title = f" to {cards[0].prompt.title!r}" if cards else ""
        rows = f"{plural(max(len(cards), 1), 'row')} that wait{'s' if len(cards) < 2 else ''}"
        return f"nothing is left but {rows} for an answer{title}"

    # ------------------------------------------------------------ acting

    def retry_failed(self, *, show: bool = True) -> Self:
        """Repair the rows that failed or were cancelled; the results of all others are kept.

        Each goes on in a new flow, in which what failed is run again; see Run.retry_failed. A row whose flow has been
        repaired already takes that. StateConflict while rows have not ended.
        """
        if not self._work.ended.done():
            raise StateConflict(f"{self.progress.text}: wait for the end before what failed is run again")
        done = self._work.tally
        broken = done.broken()
        source = Repairs(
            self._lab.engine,
            [(position, done.flows[position]) for position in broken],
            self._work.inputs,
            own_threads=self._own_threads,
        )
        work = MapWork(self._lab.engine, source, done.copy_but(broken), self._lab.follow)
        return begin(type(self), self._lab, self._open_run, work, self._name, own_threads=self._own_threads, show=show)

    def cancel(self, reason: str = "") -> None:
        """Start no more rows, and cancel those that have not ended."""
        self._lab.call(self._work.stop(reason))

    # ------------------------------------------------------------ showing

    def show(self) -> None:
        """Display the progress under this cell: live until the end. Outside a notebook, ``wait`` writes it."""
        self._shown_in = kernel.current_cell() or True
        if kernel.in_kernel():
            from dwarf.notebook.maps.mapview import MapView

            view = MapView(self._work, self._name, self._lab, earlier=self._lab.earlier.now(but=self._work))
            view.show()
            self._views.append(view)

    def widget(self) -> Any:
        """The live progress as an ipywidget of its own, for boxes and links; each call makes another one.

        ImportError without the extra ``notebook``.
        """
        from dwarf.notebook.maps.mapview import MapView

        view = MapView(self._work, self._name, self._lab)
        self._views.append(view)
        return view.widget()

    def _display_(self) -> Any:
        """What marimo shows: the live widget."""
        return self.widget()

    def _settle_views(self) -> None:
        for view in self._views:
            view.settle()

    def _ipython_display_(self) -> None:
        if kernel.in_marimo():
            return
        if not kernel.in_kernel():
            print(self)  # noqa: T201  asked to display itself where only text is displayed
        elif self._shown_in is None or self._shown_in != kernel.current_cell():
            self.show()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from dwarf.notebook.maps.mapview import still

        return still(self._work, self._name)

    def __repr__(self) -> str:
        return f"<MapRun {self._name!r}: {self._work.text}>"


class _Runs(Sequence["Run"]):
    """The runs of rows, made when asked for."""

    def __init__(self, open_run: Callable[[str], Run], tally: Tally, positions: range) -> None:
        self._open_run = open_run
        self._tally = tally
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, place: int) -> Run: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Run]: ...
    def __getitem__(self, place: int | slice) -> Run | Sequence[Run]:
        if isinstance(place, slice):
            return _Runs(self._open_run, self._tally, self._positions[place])
        position = self._positions[place]
        key = self._tally.flows[position] if position < len(self._tally.flows) else ""
        if not key:
            raise StateConflict(f"row {position} has no flow: it is {self._tally.status(position)}")
        return self._open_run(key)

    def __iter__(self) -> Iterator[Run]:
        return (self[place] for place in range(len(self)))

    def __repr__(self) -> str:
        return f"<the runs of {plural(len(self), 'row')}>"


class _ProgressLine:
    """The progress on the standard error: one line that changes on a terminal, a line at the end elsewhere."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._live = self._stream.isatty()
        self._width = 0

    def write(self, text: str) -> None:
        """Show a text in the place of the last one."""
        if self._live:
            self._stream.write(f"\r{text:<{self._width}}")
            self._stream.flush()
            self._width = len(text)

    def end(self, text: str) -> None:
        """Show the last text, which stays."""
        self.write(text)
        self._stream.write("\n" if self._live else f"{text}\n")
        self._stream.flush()


def start_map(
    lab: LabServices,
    open_run: Callable[[str], Run],
    workflow: str | Graph,
    frame: Any,
    *,
    key: str,
    into: Sequence[str] | None,
    show: bool,
    options: Mapping[str, Any],
) -> MapRun:
    """See Lab.map."""
    if "idempotency_key" in options:
        raise InvalidRequest("map makes an idempotency key for each row: give it a key instead")
    if isinstance(into, str):
        raise InvalidRequest(f"into is a list of field names, such as [{into!r}]")
    check_names("lab.map", options, lab.engine.create)
    workflow = read_workflow(workflow)  # refused here, and not where the rows are awaited
    rows = Rows(frame)
    source = NewFlows(lab.engine, workflow, rows, key, options)
    work = MapWork(lab.engine, source, Tally(rows.total, rows.index, into), lab.follow)
    name = workflow.name if isinstance(workflow, Graph) else workflow
    return begin(MapRun, lab, open_run, work, name, own_threads=not options.get("thread"), show=show, key=key)


M = TypeVar("M", bound=MapRun)


def begin(
    kind: type[M],
    lab: LabServices,
    open_run: Callable[[str], Run],
    work: MapWork,
    name: str,
    *,
    own_threads: bool,
    show: bool,
    key: str = "",
) -> M:
    """Set the flows of a map going, and show how far they come. ``key``: of flows that another map may have, too."""
    if not key:
        lab.earlier.begun(work)
    run = kind(lab, open_run, work, name, own_threads=own_threads)
    lab.submit(work.run())
    if show:
        run.show()
    return run
