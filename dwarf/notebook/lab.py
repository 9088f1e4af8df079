"""The lab: an engine on its own thread, its host, and the runs that were started or found through it.

Why the engine has its own thread: a cell that computes blocks the kernel's loop, and would stop every flow with it. Why
making a lab again for the same place returns the running one: cells are run again and again, and a second engine on the
same file would share the work with the first, unseen. Why a different option is refused: the cell would otherwise seem
to have changed it. Services for runs and views are in ``services``; this module is the public API.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from dwarf.errors import ConfigError, GraphError
from dwarf.hosts import Host, LocalHost
from dwarf.notebook import kernel
from dwarf.notebook.analysis.frames import flows_frame, prompts_frame
from dwarf.notebook.analysis.recording import Recording
from dwarf.notebook.cells import CellHost
from dwarf.notebook.dashboards.dashboard import Dashboard
from dwarf.notebook.dashboards.inbox import Inbox
from dwarf.notebook.dashboards.listview import close_lists
from dwarf.notebook.live.runview import settle_views
from dwarf.notebook.loop import LabLoop, at_exit
from dwarf.notebook.maps.mapping import MapRun, start_map
from dwarf.notebook.prompts.answers import Answers
from dwarf.notebook.prompts.prompt import Prompt
from dwarf.notebook.run import Run, adopt_run
from dwarf.notebook.services import LabServices
from dwarf.notebook.summary import read_summary
from dwarf.surroundings import address_of, make_private, prepare_folder, without_password
from dwarf.workflow.durations import Seconds, to_ms
from dwarf.workflow.graph import Graph
from dwarf.workflow.parts import Limit
from dwarf.workflow.suggest import check_filters, check_names

if TYPE_CHECKING:
    import pandas as pd

    from dwarf.engine import Engine
    from dwarf.notebook.analysis.metrics_view import MetricsTable
    from dwarf.notebook.analysis.tracing import Trace
    from dwarf.notebook.maps.forks import ForkRun

__all__ = ["Lab", "current_lab"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_log = logging.getLogger("dwarf.notebook")
_labs: dict[str, Lab] = {}

_EXIT_GRACE = 2.0  # seconds for tasks in flight at the exit of the process


SHORT_WAIT_S = 3.0  # seconds for queries when the lab itself is displayed
TIME_BUDGET_S = 3600  # for an attempt of a task in a notebook, where computations of minutes are common


class Lab:
    """An engine on its own thread, for notebooks.

    ``url``: nothing for the SQLite file ``.dwarf/flows.db`` in the working directory, a path, ``"memory"`` for a
    temporary database, or any URL of an Engine. Making a Lab again for the same place in the same process returns the
    running one; ConfigError if the options differ. ``answers``: see Answers; without it, the variable DWARF_ANSWERS.
    ``executors``: those of the LocalHost that the lab creates if no ``host`` is given. ``prompt_grace``: how long an
    awaited prompt may stay invisible to all front ends. ``clock``: a dwarf.testing.VirtualClock, for a lab on SQLite
    whose delays pass immediately. All other options are passed to the Engine.

    Example::

        lab = Lab()  # the flows are in .dwarf/flows.db


        @lab.task
        def greet(name: str) -> dict:
            return {"greeting": f"Hello, {name}"}


        run = lab.start(lab.graph("Greet", greet), {"name": "Ada"})
        run.wait().state["greeting"]
    """

    engine: Engine
    host: Host
    clock: Any

    def __new__(
        cls,
        url: str | os.PathLike[str] | None = None,
        *,
        host: Host | None = None,
        workers: int | None = None,
        answers: Any = None,
        prompt_grace: Seconds = 10,
        trace: bool = False,
        clock: Any = None,
        executors: Mapping[str, Any] | None = None,
        **engine_settings: Any,
    ) -> Self:
        place, engine_url = address_of(url)
        options = {**engine_settings, "host": host, "workers": workers, "clock": clock, "executors": executors}
        options["answers"] = None if answers is None else Answers(answers)
        given = {name: value for name, value in options.items() if value is not None}
        running = _labs.get(place)
        if running is not None and running._loop.running:
            running._must_match(given)
            if trace:
                running._recording.ensure(running._services)
            return running  # type: ignore[return-value]
        made = super().__new__(cls)
        made._open(place, engine_url, given, to_ms(prompt_grace, "prompt_grace") / 1000, trace)
        _labs[place] = made
        return made

    def _open(self, place: str, engine_url: str, given: Mapping[str, Any], prompt_grace: float, trace: bool) -> None:
        from dwarf.engine import Engine

        settings: dict[str, Any] = {"time_budget": TIME_BUDGET_S, "capture_output": True, **given}
        self._place = place
        self._given = given
        answers = settings.pop("answers", None)
        answers = Answers() if answers is None else answers  # an explicit empty one outranks the variable
        executors = settings.pop("executors", None)
        given_host: Host | None = settings.pop("host", None)
        if given_host is not None and executors is not None:
            raise ConfigError("executors belong to a host: give them to the host, LocalHost(executors=...)")
        self.host = given_host or CellHost(executors=executors)
        self._own_host = given_host is None
        self._graphs: dict[str, Graph] = {}
        self.clock = settings.get("clock")
        _prepare(place)
        self._recording = Recording(settings)
        if trace:
            settings |= self._recording.start()
        self.engine = Engine(self.host, engine_url, **settings)
        self._loop = LabLoop()
        self._services = LabServices(
            self.engine, self.host, self._loop, place=place, answers=answers, prompt_grace=prompt_grace
        )
        self.engine._echo = self._services.echo.write
        try:
            self.call(self.engine.start())
        except BaseException:
            self._loop.stop()
            raise
        if (found := kernel.shell()) is not None:
            from dwarf.notebook.magic import load_ipython_extension

            load_ipython_extension(found)
        make_private(place)  # the engine's lock files exist now, too
        at_exit(self._at_exit)
        if kernel.in_kernel():
            threading.Thread(target=_warm_up, name="dwarf-warm-up", daemon=True).start()

    def _must_match(self, given: Mapping[str, Any]) -> None:
        for name, value in given.items():
            known = self._given.get(name, self.host if name == "host" else None)
            if name == "clock" and type(known) is type(value):
                continue  # a cell that is run again makes another one: lab.clock is the one that counts
            if name == "executors" and _same_executors(known, value):
                continue
            if known is not value and known != value:
                raise ConfigError(
                    f"a Lab for {without_password(self._place)} is running with {name}={known!r}; to run it with "
                    f"{name}={value!r}, close it first: lab.close()"
                )

    # ------------------------------------------------------------ definitions

    @overload
    def task(self, function: F) -> F: ...
    @overload
    def task(
        self, *, url: str | None = None, aliases: Iterable[str] = (), limit: Limit | None = None, **policies: Any
    ) -> Callable[[F], F]: ...
    def task(
        self,
        function: Any = None,
        *,
        url: str | None = None,
        aliases: Iterable[str] = (),
        limit: Limit | None = None,
        **policies: Any,
    ) -> Any:
        """Make a function a task of this lab. Defining it again replaces it, even for running flows.

        ``policies`` are those of ``dwarf.task``: ``retry``, ``time_budget``, ``cache``, ``executor``, ``labels``.
        """
        mark = self._local_host().task(url=url, aliases=aliases, limit=limit, **policies)
        return mark if function is None else mark(function)

    def graph(self, name: str, *steps: Any, **graph_options: Any) -> Graph:
        """A new graph, registered under its name; making it again replaces it for flows started later.

        With ``steps`` it is made of them, in the short form of Graph.of; otherwise it is empty.
        """
        graph = Graph.of(name, *steps, **graph_options) if steps else Graph(name, **graph_options)
        self._local_host().add_graph(graph)
        self._graphs[name] = graph
        return graph

    def _register_graphs(self) -> None:
        """Register functions that were put on nodes of graphs after the graphs were made.

        An invalid function is reported when its own graph is started.
        """
        for graph in self._graphs.values():
            with suppress(ConfigError, GraphError):
                self._local_host().add_graph(graph)

    def _local_host(self) -> LocalHost:
        if not isinstance(self.host, LocalHost):
            raise ConfigError(
                f"tasks and graphs are defined where the host runs; this lab's is a {type(self.host).__name__}"
            )
        return self.host

    # ------------------------------------------------------------ flows

    def start(
        self,
        workflow: str | Graph,
        state: Mapping[str, Any] | Any = None,
        *,
        key: str = "",
        show: bool = True,
        **create_options: Any,
    ) -> Run:
        """Start a flow and return immediately. The same ``key`` returns the flow it started before, even after a
        restart.
        """
        check_names("lab.start", create_options, self.engine.create)
        self._register_graphs()
        if key:
            create_options["idempotency_key"] = key
        made = partial(self.engine.create, workflow, state, **create_options)
        return adopt_run(self._services, made, show=show)

    def run(self, workflow: str | Graph, state: Mapping[str, Any] | Any = None, *, key: str = "", **same: Any) -> Run:
        """``start``, for an immediate await: ``outcome = await lab.run(...)``."""
        return self.start(workflow, state, key=key, **same)

    def map(
        self,
        workflow: str | Graph,
        frame: Any,
        *,
        key: str = "",
        into: Sequence[str] | None = None,
        show: bool = True,
        **create_options: Any,
    ) -> MapRun:
        """Start a flow for each row of a DataFrame, or each item of an iterable of mappings, and return immediately.

        Awaited, it returns a DataFrame of results with the frame's index. ``into`` names the fields of the final state
        that become its columns; by default these are all fields that the rows do not have. The same ``key`` continues
        with the flows started before, even after a restart. See MapRun.
        """
        self._register_graphs()
        return start_map(
            self._services, self.get, workflow, frame, key=key, into=into, show=show, options=create_options
        )

    def replay(
        self,
        runs: Iterable[Run | str] | pd.DataFrame,
        node: str,
        *,
        graph: Graph | None = None,
        into: Sequence[str] | None = None,
        show: bool = True,
        **same: Any,
    ) -> ForkRun:
        """Continue past flows from one node with today's functions, each in a fork, and compare before and after.

        ``runs`` are runs, keys of flows, or a table such as ``lab.flows(workflow_name="Scoring")``; each is forked at
        its first step of ``node``, with ``graph`` in place of its own graph if given. Awaited, it returns a DataFrame:
        for every field of the final states (or of ``into``) a column ``..._before`` and ``..._after``, with differing
        rows first. ``diff(row)`` shows one of them. ``same`` is as for Run.fork.
        """
        from dwarf.notebook.maps.forks import replay

        self._register_graphs()
        return replay(self._services, self.get, runs, node, graph=graph, into=into, show=show, options=same)

    def get(self, flow_key: str) -> Run:
        """The run of any flow in this database. FlowNotFound if there is none."""
        return adopt_run(self._services, partial(_just, lambda: self.engine.flow(flow_key)), show=False, begun=False)

    def flows(self, **filters: Any) -> pd.DataFrame:
        """A table of the flows, newest first; the filters are those of Engine.flows."""
        check_filters("lab.flows", filters, self.engine.flows)

        async def read() -> list[Any]:
            return [summary async for summary in self.engine.flows(**filters)]

        return flows_frame(self.call(read()))

    def prompts(self, **filters: Any) -> pd.DataFrame:
        """A table of all waiting prompts, oldest flow last; the filters are those of Engine.flows."""
        check_filters("lab.prompts", filters, self.engine.flows)

        async def read() -> list[tuple[str, Prompt]]:
            found, send = [], self._services.send_answer
            async for summary in self.engine.flows(**{**filters, "status": "interrupted"}):
                steps = await self.engine.flow(summary.flow_key).interrupts()
                found += [(summary.workflow_name, Prompt(step, summary.flow_key, send)) for step in steps]
            return found

        return prompts_frame(self.call(read()))

    def export(self, folder: str | os.PathLike[str], *graphs: Graph) -> Path:
        """Write graphs (or all known to this lab) and the live functions they use as a package. Returns its folder.

        The package has a module with the tasks, their helpers and the graphs, a worker, a test that repeats the latest
        completed flow of each graph on a virtual clock, a pyproject.toml and a README. ConfigError names each
        definition that cannot be exported, such as a lambda, or a global that is no plain value; InvalidRequest for a
        folder in use.
        """
        from dwarf.notebook.exporting.package import export

        return export(self._services, folder, graphs, left_behind=[Lab])

    def clear_cache(self, task: str | Callable[..., Any] | None = None) -> int:
        """Remove the cached outcomes of one task (the function, or its name), or of all tasks.

        Returns their number. The next step with the same code and input runs again.
        """
        return self.call(self.engine.clear_cache(task))

    def dashboard(self, **filters: Any) -> Dashboard:
        """The flows of the database as a live table with actions. The filters are those of Engine.flows."""
        return Dashboard(self._services, filters)

    def inbox(self, **filters: Any) -> Inbox:
        """All waiting prompts of all flows, as live cards. Takes the filters of Engine.flows."""
        return Inbox(self._services, filters)

    def close(self) -> None:
        """Stop the engine, after the tasks in flight. The flows stay in the database; another Lab continues them."""
        self._close(None)

    # ------------------------------------------------------------ what it costs

    def trace(self, run: Run | str) -> Trace:
        """The spans of a flow: every attempt, and the spans that tasks opened with ``lab.tracer``.

        The first call enables tracing, unless ``Lab(trace=True)`` has; earlier steps are marked as untraced. Needs
        opentelemetry-sdk.
        """
        return self._recording.trace(self._services, lambda: self.get(run) if isinstance(run, str) else run)

    def metrics(self) -> MetricsTable:
        """A small table of the engine's metrics since the first call, which refreshes itself."""
        return self._recording.metrics(self._services)

    @property
    def tracer(self) -> Any:
        """A tracer for spans of your own: ``with lab.tracer.start_as_current_span("parse"):`` in a task."""
        return self._recording.tracer

    # ------------------------------------------------------------ the engine's loop

    def call(self, coroutine: Awaitable[T]) -> T:
        """Run a coroutine on the engine's loop and wait for its result: ``lab.call(lab.engine.shards())``.

        RuntimeError if the caller is on that loop itself, as async tasks are; EngineClosed after ``close``.
        """
        return self._services.call(coroutine)

    # ------------------------------------------------------------ the end

    def _close(self, grace: float | None) -> None:
        if _labs.get(self._place) is self:
            del _labs[self._place]
        if not self._loop.running:
            return
        settle_views(self._services)
        close_lists(self._services)
        try:
            self.call(self.engine.aclose(grace=grace))
        finally:
            self._recording.close()
            self._loop.stop()
            if self._own_host:
                self._local_host().close()

    def _at_exit(self) -> None:
        try:
            self._close(_EXIT_GRACE)
        except Exception:  # noqa: BLE001  the process ends; leases are recovered by the next one
            _log.debug("the lab did not close cleanly", exc_info=True)

    def __repr__(self) -> str:
        return f"<Lab {without_password(self._place)}{'' if self._loop.running else ', closed'}>"

    def _ipython_display_(self) -> None:
        """Live in a notebook; elsewhere as in ``_repr_mimebundle_``."""
        if not self._loop.running or self._services.on_loop or not kernel.is_attended() or kernel.in_marimo():
            raise NotImplementedError
        from dwarf.notebook.dashboards.labview import LabView

        LabView(self._services, repr(self)).show()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """The flows by status, the waiting prompts, and the running flows. It never raises."""
        if not self._loop.running or self._services.on_loop:
            return {"text/plain": repr(self)}
        try:
            # with a limit: a database that is away must not hold the cell that shows the lab
            summary = self._services.submit(read_summary(self.engine)).result(SHORT_WAIT_S)
        except Exception:  # noqa: BLE001  a display that fails would fail the cell
            return {"text/plain": repr(self)}
        return {"text/plain": "\n".join([repr(self), *summary.lines()]), "text/html": summary.page(repr(self))}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _prepare(place: str) -> None:
    try:
        prepare_folder(place)
    except OSError as fault:
        raise ConfigError(
            f"no flows can be kept in {place}: {fault.strerror or fault}. Name a file in a folder that you may write "
            "to, or a database's URL; flows that need not outlive the process can be kept in 'memory'."
        ) from fault


def _same_executors(known: Any, given: Any) -> bool:
    """Whether executors equal the former ones, as far as a repeated cell can create equal ones."""
    if not isinstance(known, Mapping) or not isinstance(given, Mapping) or known.keys() != given.keys():
        return False
    plain = (int, str)
    return all(
        known[name] == given[name] if isinstance(given[name], plain) else type(known[name]) is type(given[name])
        for name in given
    )


def current_lab() -> Lab:
    """The most recent running Lab; if there is none, the one of the working directory."""
    running = [lab for lab in _labs.values() if lab._loop.running]
    return running[-1] if running else Lab()


def _warm_up() -> None:
    """Import the modules for the first prompt and the first picture, while the user is still writing tasks."""
    from contextlib import suppress
    from importlib import import_module

    with suppress(Exception):  # the later import reports the error
        from dwarf.notebook.live.widget import widget_class
        from dwarf.workflow.schemas import check

        import_module("networkx")  # used by the validation of the first graph
        import_module("dwarf.workflow.schemas.typed")
        check("a", {"type": "string", "pattern": "a"})
        widget_class()


async def _just(make: Callable[[], T]) -> T:
    return make()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_labs.clear)  # a child process has none of the threads
