"""The interface between the engine and its host."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from dwarf.errors import ConfigError, GraphNotFound, TaskNotFound
from dwarf.workflow.flow import Flow
from dwarf.workflow.graph import Graph

JSON: TypeAlias = Any


@runtime_checkable
class Host(Protocol):
    """Finds graphs and runs tasks. Both calls are made on the engine's loop.

    These two methods are all that a host needs. ``BaseHost`` has the optional methods that an engine uses, each with a
    default: derive from it, override what the host supports, and check the result with ``dwarf.testing.check_host``.

    Example::

        class OwnHost:
            async def load_graph(self, url: str, baggage: Mapping[str, Any]) -> Graph:
                return GRAPHS[url]

            async def execute_task(self, url: str, flow: Flow) -> None:
                flow.update(await TASKS[url](flow.snapshot()))
    """

    async def load_graph(self, url: str, baggage: Mapping[str, JSON]) -> Graph:
        """The graph of this URL. GraphNotFound if there is none."""
        ...

    async def execute_task(self, url: str, flow: Flow) -> None:
        """Run the task of this URL. Its writes and control calls are on the flow when this returns or raises Parked.

        TaskNotFound if there is none, WorkerLost if the process that ran it is gone. Any other exception is the error
        of the task. After a cancellation, nothing that the task still does may reach the flow.
        """
        ...


class BaseHost(Host):
    """A host with a default for every method: derive from it, and override what the host supports.

    ::

        class QueueHost(BaseHost):
            async def execute_task(self, url, flow):
                reply = await self.queue.call(url, flow.to_json())
                flow.update(reply["changes"])

            def knows(self, url):
                return url.startswith("queue/")

    All methods are called on the engine's loop unless they say otherwise, and must not block.
    """

    async def load_graph(self, url: str, baggage: Mapping[str, JSON]) -> Graph:
        """The graph of this URL. Here: GraphNotFound."""
        raise GraphNotFound(f"this host knows no graph {url!r:.200}")

    async def execute_task(self, url: str, flow: Flow) -> None:
        """Run the task of this URL; see ``Host``. Here: TaskNotFound."""
        raise TaskNotFound(f"this host knows no task {url!r}")

    # ------------------------------------------------------------------ what it has

    def knows(self, url: str) -> bool:
        """Whether the host has a task of this URL. Other tasks are left to engines whose host has them. Default: yes.

        May be called from a database's thread, and often.
        """
        return True

    def task_urls(self) -> frozenset[str] | None:
        """The URLs of all tasks, for other engines and for suggestions. Default: None, the host cannot tell."""
        return None

    def resolve(self, text: str) -> str:
        """The URL for the text of a node, which is frozen with the flow. Default: the text itself.

        GraphError if the text may mean several tasks.
        """
        return text

    def former(self, url: str, workflow: str | None = None) -> str | None:
        """The URL of the task that flows (of this workflow) know by a former name. Default: None."""
        return None

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """The functions by URL, if they are in this process, for checks and pictures. Default: none."""
        return {}

    @property
    def graphs(self) -> Mapping[str, Graph]:
        """The graphs by URL, if the host can list them. Default: none."""
        return {}

    def digest(self, url: str) -> str:
        """A digest of the code of a task, stored with its steps. Default: "", the host cannot tell."""
        return ""

    def cache_basis(self, url: str) -> tuple[str, Sequence[str] | None]:
        """What the outcome of a task depends on: a digest of its code, and the names of the state fields that it takes.

        None for the names: any field. A digest of "": its steps are not cached. Default: ``digest``, and any field.
        """
        return self.digest(url), None

    # ------------------------------------------------------------------ taking functions

    def add_task(self, url: str, function: Callable[..., Any]) -> None:
        """Register a function as the task of a URL, replacing an earlier one. Default: ConfigError."""
        raise ConfigError(f"{type(self).__name__} takes no functions: name tasks by their URLs, or use a LocalHost")

    def add_functions(self, graph: Graph, urls: Container[str] | None = None) -> None:
        """Register the functions on a graph's nodes, all or those of some URLs. Default: each by ``add_task``."""
        known = self.functions
        for url, function in graph.functions.items():
            if (urls is None or url in urls) and known.get(url) is not function:
                self.add_task(url, function)

    # ------------------------------------------------------------------ room

    def admits(self, url: str) -> bool:
        """Whether the host accepts the task now. Called before a step is claimed; a refused step waits. Default: yes.

        May be called from a database's thread, and often.
        """
        return True

    def pool_of(self, url: str) -> Hashable | None:
        """The pool from which the task takes a slot while it runs, such as a pool of threads. Default: None, no pool.

        Steps of such a task are claimed only while ``free_in`` has a slot. May be called from a database's thread.
        """
        return None

    def executors_for(self, url: str) -> Iterable[str] | None:
        """The executors, by name, in which the task can run. Steps with other executors are left to other engines.

        None if the host cannot tell, and accepts all. May be called often. Default: None.
        """
        return None

    def executor_of(self, url: str) -> str:
        """The executor in which the task runs if its node names none. Default: "", none."""
        return ""

    def pool_of_executor(self, url: str, executor: str) -> Hashable | None:
        """The pool, as for ``pool_of``, from which the task takes a slot in an executor that its node names. Default:
        None.
        """
        return None

    def free_in(self, pool: Hashable) -> int:
        """How many more tasks could start now in a pool returned by ``pool_of``. Default: none."""
        return 0

    def listen_free(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function on the running loop when the host can accept more. Returns a function that stops the calls.

        Must also be called when ``knows`` or ``admits`` would answer differently. Default: it is never called.
        """
        return _nothing

    def needs_thread(self, url: str) -> bool:
        """Whether the task runs in a thread of this process, for metrics. Default: no."""
        return False

    def can_stop(self, url: str) -> bool:
        """Whether to cancel the task when its flow has ended meanwhile, as by ``cancel``. Default: if it runs in an
        executor.

        A task that its host cannot stop, such as a function in a thread, goes on, and its result is discarded.
        """
        return bool(self.executor_of(url))

    @property
    def overrun_threads(self) -> int:
        """How many threads run a function whose step has stopped waiting for it, for metrics. Default: 0."""
        return 0

    # ------------------------------------------------------------------ others

    async def signal_peers(self, op: str, payload: bytes) -> None:
        """Carry a hint to the other engines, which pass it to ``engine.deliver_signal``. Default: nothing.

        An engine uses it only if it is overridden. It is best effort: lost hints are made up for by polling.
        """

    async def aclose(self) -> None:
        """Release connections and threads. Not called by an engine, as a host may serve several. Default: nothing."""


def complete(host: Any) -> BaseHost:
    """The host, with the defaults of BaseHost for missing methods."""
    return host if isinstance(host, BaseHost) else _Completed(host)


def overrides(host: BaseHost, name: str) -> bool:
    """Whether a host overrides a method of BaseHost."""
    return name in vars(host) or getattr(type(host), name) is not getattr(BaseHost, name)


_CALLS = (
    "load_graph", "execute_task", "knows", "task_urls", "resolve", "former", "digest", "cache_basis", "add_task",
    "add_functions", "admits", "pool_of", "executors_for", "executor_of", "pool_of_executor", "free_in",
    "listen_free", "needs_thread", "can_stop", "signal_peers", "aclose",
)  # fmt: skip


class _Completed(BaseHost):
    """A host that does not derive from BaseHost, with its defaults."""

    def __init__(self, host: Any) -> None:
        self._host = host
        for name in _CALLS:
            if callable(call := getattr(host, name, None)):
                setattr(self, name, call)

    def add_task(self, url: str, function: Callable[..., Any]) -> None:
        raise ConfigError(
            f"{type(self._host).__name__} takes no functions: name tasks by their URLs, or use a LocalHost"
        )

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        found: Mapping[str, Callable[..., Any]] = getattr(self._host, "functions", {})
        return found

    @property
    def graphs(self) -> Mapping[str, Graph]:
        found: Mapping[str, Graph] = getattr(self._host, "graphs", {})
        return found

    @property
    def overrun_threads(self) -> int:
        return int(getattr(self._host, "overrun_threads", 0))


def _nothing() -> None:
    """A stop function without effect."""
