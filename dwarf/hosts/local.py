"""A host for the graphs and task functions of this process."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from dwarf.errors import ConfigError, GraphNotFound, TaskNotFound
from dwarf.hosts.calls import ThreadCall, quoted
from dwarf.hosts.tasks import Tasks, warn_replaced
from dwarf.hosts.threads import DaemonThreads, ThreadSlots
from dwarf.workflow.digests import reach_digest
from dwarf.workflow.durations import Seconds, to_ms
from dwarf.workflow.flow import Flow
from dwarf.workflow.graph import Graph
from dwarf.workflow.host import BaseHost
from dwarf.workflow.parts import Limit
from dwarf.workflow.suggest import did_you_mean, near_task
from dwarf.workflow.tasks import Binding, mark_of, valid_url
from dwarf.workflow.tasks import task as mark_task
from dwarf.workflow.unwrap import only_parked

if TYPE_CHECKING:
    from dwarf.hosts.executors import Executors, Given

JSON: TypeAlias = Any
F = TypeVar("F", bound=Callable[..., Any])

_MAX_THREADS = 32
_THREADS = ""  # names the pool of the host's own threads; pools of executors have the executors' names


class LocalHost(BaseHost):
    """Graphs and task functions of this process.

    Coroutine functions run on the engine's loop, all others in threads (at most ``max_threads``, 32 by default), with
    the caller's context variables. Registering a URL again replaces its function, even while flows run: the next step
    uses the new function. A function that comes with a graph replaces only an earlier version of the same function.
    Functions may be registered from any thread. Steps of unknown tasks wait for a process that knows them, and steps
    that name an unknown executor for a process that has it.

    ``executors`` are other places for tasks, which name them as in ``@task(executor="cpu")``: a number makes a pool of
    as many processes, whose task is killed at its time budget; any ``concurrent.futures.Executor`` is used as it is;
    ``"dask:local"`` and ``"dask://scheduler:8786"`` are Dask clusters. ConfigError for anything else::

        host = LocalHost(executors={"cpu": 4, "cluster": "dask://scheduler:8786"})
    """

    def __init__(self, *, max_threads: int | None = None, executors: Mapping[str, Given] | None = None) -> None:
        limit = _MAX_THREADS if max_threads is None else max_threads
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise ConfigError(f"max_threads must be an integer from 1, not {max_threads!r}")
        self._tasks = Tasks()
        self._graphs: dict[str, Graph] = {}
        self._slots = ThreadSlots(limit, self._tell)
        self._threads = DaemonThreads()
        weakref.finalize(self, self._threads.retire).atexit = False  # for hosts that were never closed
        self._calls: set[ThreadCall] = set()
        self._executors: Executors | None = None
        if executors is not None:
            from dwarf.hosts.executors import Executors

            self._executors = Executors(executors, self._tell)
        self._placed: dict[str, str] = {}  # executors from the marks of tasks, for nodes that name none
        self._listeners: list[tuple[asyncio.AbstractEventLoop, Callable[[], None]]] = []

    def __repr__(self) -> str:
        return f"<LocalHost: {len(self._graphs)} graphs, {len(self._tasks)} tasks>"

    # ------------------------------------------------------------------ registering

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
        """Mark a function as ``dwarf.task`` does, register it here, and return it unchanged.

        The function replaces the one registered under its URL. An earlier mark is kept except for the arguments given
        here. ``policies`` are those of ``dwarf.task``: ``retry``, ``time_budget``, ``cache``, ``executor``, ``labels``.
        """
        mark = mark_task(url=url, aliases=aliases, limit=limit, **policies)
        return partial(self._task, mark) if function is None else self._task(mark, function)

    def _task(self, mark: Callable[[Any], Any], function: Any) -> Any:
        marked = mark(function)
        self.add_task(mark_of(marked).url, marked)
        return marked

    def __getattr__(self, name: str) -> Any:
        """Called for missing attributes only: the error names the attribute that dwarf has instead."""
        if name.startswith("_"):
            raise AttributeError(name)
        from dwarf.workflow.habits import missing_attribute

        raise missing_attribute("LocalHost", name, dir(type(self)))

    def add_task(self, url: str, function: Callable[..., Any]) -> None:
        """Register a function, or any callable, as the task of a URL, replacing an earlier one.

        ConfigError if it cannot be a task.
        """
        url = valid_url(url)
        if not callable(function):
            raise ConfigError(f"the task {url!r} must be a function, not {type(function).__name__}")
        self._tasks.put(url, function)
        self._place(url, mark_of(function).executor)
        self._tell()

    def add_graph(self, graph: Graph, *, url: str | None = None) -> None:
        """Register a graph under its name or another URL, and the functions on its nodes as tasks.

        A redefined function replaces its earlier version. ConfigError if another function has its URL already;
        GraphError if two nodes have different functions for one URL.
        """
        if not isinstance(graph, Graph):
            raise ConfigError(f"add_graph needs a Graph, not {type(graph).__name__}")
        url = valid_url(graph.name if url is None else url)
        self._arrive(graph)
        self._graphs[url] = graph

    def add_functions(self, graph: Graph, urls: Container[str] | None = None) -> None:
        """Register the functions on a graph's nodes, all or those of some URLs, as when a flow is created from it.

        GraphWarning if cells of a notebook have replaced one of them by another function.
        """
        for url, function in self._arrive(graph, urls).items():
            warn_replaced(graph, url, function, self._tasks[url].function)

    def _arrive(self, graph: Graph, urls: Container[str] | None = None) -> Mapping[str, Callable[..., Any]]:
        stale, changed = self._tasks.arrive(graph, urls)
        if self._placed or any(node.executor for node in graph.nodes):
            for url, function in graph.functions.items():
                if urls is None or url in urls:
                    self._place(url, mark_of(function).executor)
        if changed:
            self._tell()
        return stale

    def _place(self, url: str, executor: str) -> None:
        """Remember the executor of a task, so that a slot is reserved before one of its steps is claimed."""
        if executor:
            self._placed[url] = executor
        else:
            self._placed.pop(url, None)

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """The registered task functions by URL: a snapshot."""
        return MappingProxyType(self._tasks.functions())

    @property
    def graphs(self) -> Mapping[str, Graph]:
        """The registered graphs by URL: a snapshot."""
        return MappingProxyType(self._graphs.copy())

    @property
    def executors(self) -> Mapping[str, Given]:
        """The executors as they were given, by name."""
        return MappingProxyType({} if self._executors is None else self._executors.given)

    # ------------------------------------------------------------------ for the engine

    async def load_graph(self, url: str, baggage: Mapping[str, JSON]) -> Graph:
        """The graph registered under this URL. GraphNotFound if there is none."""
        graph = self._graphs.get(url)
        if graph is None:
            hint = did_you_mean(url, self._graphs)
            raise GraphNotFound(f"this host knows no graph {url!r:.200}{hint or '; register it with host.add_graph'}")
        self.add_functions(graph)  # functions may have been added to the graph after its registration
        return graph

    def knows(self, url: str) -> bool:
        """Whether this host has a task of this URL. Steps of unknown tasks wait for a process that has it."""
        return self._tasks.get(url) is not None

    def task_urls(self) -> frozenset[str]:
        """The URLs of the host's tasks, including their aliases."""
        return self._tasks.urls()

    def digest(self, url: str) -> str:
        """The digest of the code of the function that this URL stands for now; steps keep it as ``Step.code``.

        "" for an unknown URL, and for callables without Python code.
        """
        binding = self._tasks.get(url)
        return "" if binding is None else binding.digest

    def cache_basis(self, url: str) -> tuple[str, Sequence[str] | None]:
        """What the outcome of a task depends on, for caches: a digest of its code, and the state fields that it takes.

        The digest covers the present definitions that the function names in its module or notebook; "" for an unknown
        URL, and for callables without Python code. None for the fields: the task may read any.
        """
        binding = self._tasks.get(url)
        return ("", None) if binding is None else (reach_digest(binding.function), binding.inputs)

    def resolve(self, text: str) -> str:
        """The URL for the text of a node: the text itself, or the URL of the only function with this name.

        GraphError if several functions have the name.
        """
        return self._tasks.resolve(text)

    def former(self, url: str, workflow: str | None = None) -> str | None:
        """The present URL of a task that flows (of this workflow) know by an unscoped name of an earlier release."""
        return self._tasks.by_name(url)

    async def execute_task(self, url: str, flow: Flow) -> None:
        """Run a task. TaskNotFound if there is none, Parked if it parks; otherwise the task's error."""
        binding = self._tasks.get(url)
        if binding is None:
            raise TaskNotFound(f"this host knows no task {url!r}{self._advice(url)}")
        executor = flow._executor or self._placed.get(url, "")
        try:
            if executor:
                await self._elsewhere(executor, binding, flow)
            elif binding.is_async:
                args, kwargs = binding.call_arguments(flow)
                binding.store_result(flow, await binding.function(*args, **kwargs))
            else:
                await self._in_thread(binding, flow)
        except asyncio.CancelledError as error:
            runner = asyncio.current_task()
            if runner is None or runner.cancelling():
                raise
            # nobody has cancelled the step: the task's own CancelledError is an error like any other
            raise RuntimeError(quoted(f"task {url!r} raised CancelledError", error)) from error
        except BaseExceptionGroup as group:
            parked = only_parked(group)
            if parked is None:
                raise
            raise parked from None

    def _advice(self, url: str) -> str:
        """What to do about an unknown task."""
        return near_task(url, self._tasks) or "; register it with host.add_task, or put it on a graph"

    async def _elsewhere(self, executor: str, binding: Binding, flow: Flow) -> None:
        # An engine never asks for an unknown executor, but other callers may.
        if self._executors is None or executor not in self._executors:
            from dwarf.hosts.executors import unknown

            raise unknown(executor, binding.url, self._executors)
        await self._executors.run(executor, binding, flow)

    def admits(self, url: str) -> bool:
        """Whether the task could start now: False if it needs a thread or an executor and none is free."""
        pool = self.pool_of(url)
        if pool is None:
            return not self._placed or self._has(self.executor_of(url))
        return self.free_in(pool) > 0

    def pool_of(self, url: str) -> Hashable | None:
        """The pool from which the task takes a slot while it runs: threads, or an executor. None if it takes none."""
        binding = self._tasks.get(url)
        if binding is None:
            return None
        if self._placed and (executor := self._placed.get(binding.url)):
            return executor if self._has(executor) else None
        return None if binding.is_async else _THREADS

    def executors_for(self, url: str) -> Iterable[str]:
        """The names of this host's executors. Steps that name other executors wait for a process that has them."""
        return () if self._executors is None else self._executors

    def executor_of(self, url: str) -> str:
        """The executor from the mark of the task, used if its node names none; or ""."""
        binding = self._tasks.get(url)
        return "" if binding is None else self._placed.get(binding.url, "")

    def pool_of_executor(self, url: str, executor: str) -> Hashable | None:
        """The pool from which the task takes a slot in an executor named by its node. None if this host lacks the
        executor.
        """
        return executor if self._has(executor) and self.knows(url) else None

    def _has(self, executor: str) -> bool:
        return not executor or (self._executors is not None and executor in self._executors)

    def free_in(self, pool: Hashable) -> int:
        """How many more tasks could start now in a pool returned by ``pool_of``."""
        if pool == _THREADS:
            return self._slots.free
        return self._executors.free(str(pool)) if self._executors is not None else 0

    def needs_thread(self, url: str) -> bool:
        """Whether the task of this URL runs in a thread of this host."""
        return self.pool_of(url) == _THREADS

    @property
    def free_threads(self) -> int:
        """How many more functions could start in threads now."""
        return self._slots.free

    @property
    def overrun_threads(self) -> int:
        """How many threads run a function whose step has stopped waiting for it. Thread-safe."""
        return sum(call.abandoned for call in self._calls.copy())

    def listen_free(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function on the running loop whenever a thread becomes free. Returns a function that stops this.

        Engines listen while they run. After the last listener has stopped, threads end with their functions: an idle
        thread would outlive the closed engine.
        """
        entry = (asyncio.get_running_loop(), listener)
        self._listeners.append(entry)
        self._threads.keep()

        def stop() -> None:
            if entry in self._listeners:
                self._listeners.remove(entry)
                if not self._listeners:
                    self._threads.retire()

        return stop

    # ------------------------------------------------------------------ threads

    async def _in_thread(self, binding: Binding, flow: Flow) -> None:
        await self._slots.acquire()
        call = ThreadCall(binding, flow, self._freed)
        try:
            self._calls.add(call)
            self._threads.run(call.run)
        except BaseException:  # no thread can be started
            self._freed(call)
            raise
        try:
            result = await call.outcome()
            if result is not None:
                call.carrier._called_here()
                binding.store_result(call.carrier, await result)
                call.ended = perf_counter()
        except BaseException as error:
            if only_parked(error) is not None:
                flow._adopt(call.carrier)  # keep the writes from before the park
            raise
        finally:
            flow._spent = (call.began, call.ended or perf_counter()) if call.began else None
        flow._adopt(call.carrier)

    def _freed(self, call: ThreadCall) -> None:
        self._calls.discard(call)
        self._slots.release()
        self._tell()

    def _tell(self) -> None:
        """Notify the listeners that a thread may be free."""
        for loop, listener in list(self._listeners):
            with suppress(RuntimeError):  # a closed loop has no listeners
                loop.call_soon_threadsafe(listener)

    def close(self) -> None:
        """End the idle threads and processes. Running functions go on, and the host can still be used."""
        self._threads.end_idle()
        if self._executors is not None:
            self._executors.close()

    async def aclose(self, *, grace: Seconds | None = None) -> None:
        """Wait until no function runs in a thread, at most ``grace`` seconds, then end the idle threads."""
        freed = asyncio.Event()
        stop = self.listen_free(freed.set)
        try:
            async with asyncio.timeout(None if grace is None else to_ms(grace, "grace") / 1000):
                while self._slots.taken:
                    await freed.wait()
                    freed.clear()
        except TimeoutError:
            pass
        finally:
            stop()
            self.close()
