"""What the engine asks of a host."""

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

    This is all that a host needs to have. What else an engine makes use of is in ``BaseHost``, each with a default: a
    host that derives from it overrides what it can do, and ``dwarf.testing.check_host`` tries it.

    Example::

        class OwnHost:
            async def load_graph(self, url: str, baggage: Mapping[str, Any]) -> Graph:
                return GRAPHS[url]

            async def execute_task(self, url: str, flow: Flow) -> None:
                flow.update(await TASKS[url](flow.snapshot()))
    """

    async def load_graph(self, url: str, baggage: Mapping[str, JSON]) -> Graph:
        """The graph of this URL. GraphNotFound where there is none."""
        ...

    async def execute_task(self, url: str, flow: Flow) -> None:
        """Run the task of this URL; its writes and control calls are on the flow when this returns or raises Parked.

        TaskNotFound where there is none, WorkerLost where the process that ran it is gone. Whatever else this raises is
        the task's error. When it is cancelled, nothing the task still does may reach the flow.
        """
        ...


class BaseHost(Host):
    """A host that has nothing and leaves everything open: to derive from, and override what a host can do.

    ::

        class QueueHost(BaseHost):
            async def execute_task(self, url, flow):
                reply = await self.queue.call(url, flow.to_json())
                flow.update(reply["changes"])

            def knows(self, url):
                return url.startswith("queue/")

    All calls are made on the engine's loop unless it says otherwise, and none of them may block.
    """

    async def load_graph(self, url: str, baggage: Mapping[str, JSON]) -> Graph:
        """The graph of this URL. Here: GraphNotFound."""
        raise GraphNotFound(f"this host knows no graph {url!r}")

    async def execute_task(self, url: str, flow: Flow) -> None:
        """Run the task of this URL; see ``Host``. Here: TaskNotFound."""
        raise TaskNotFound(f"this host knows no task {url!r}")

    # ------------------------------------------------------------------ what it has

    def knows(self, url: str) -> bool:
        """Whether the host has a task of this URL. Steps of others are left to engines whose host has it. Here: yes.

        May be called from a database's thread, and often.
        """
        return True

    def task_urls(self) -> frozenset[str] | None:
        """The URLs of all tasks, to tell other engines and to suggest the right one. Here: None, it cannot tell."""
        return None

    def resolve(self, text: str) -> str:
        """The URL that the text of a node stands for, which is frozen with the flow. Here: the text itself.

        GraphError where the text may mean several tasks.
        """
        return text

    def former(self, url: str, workflow: str | None = None) -> str | None:
        """The URL of the task that flows (of this workflow) know by a name of former times. Here: None."""
        return None

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """The functions by URL, where they are in this process, for checks and pictures. Here: none."""
        return {}

    @property
    def graphs(self) -> Mapping[str, Graph]:
        """The graphs by URL, where they can be listed. Here: none."""
        return {}

    def digest(self, url: str) -> str:
        """A digest of the code of a task, kept with its steps. Here: "", it cannot tell."""
        return ""

    def cache_basis(self, url: str) -> tuple[str, Sequence[str] | None]:
        """What the outcome of a task depends on: a digest of its code, and the names of the state fields that it takes.

        None for the names: any of them. A digest of "": its steps are not cached. Here: ``digest``, and any.
        """
        return self.digest(url), None

    # ------------------------------------------------------------------ taking functions

    def add_task(self, url: str, function: Callable[..., Any]) -> None:
        """Register a function as the task of a URL, in place of what was there. Here: ConfigError."""
        raise ConfigError(f"{type(self).__name__} takes no functions: name tasks by their URLs, or use a LocalHost")

    def add_functions(self, graph: Graph, urls: Container[str] | None = None) -> None:
        """Register the functions on a graph's nodes, all or those of some URLs. Here: each by ``add_task``."""
        known = self.functions
        for url, function in graph.functions.items():
            if (urls is None or url in urls) and known.get(url) is not function:
                self.add_task(url, function)

    # ------------------------------------------------------------------ room

    def admits(self, url: str) -> bool:
        """Whether the host takes the task now. Asked before a step is claimed; one that is not taken waits. Here: yes.

        May be called from a database's thread, and often.
        """
        return True

    def pool_of(self, url: str) -> Hashable | None:
        """The pool of which the task takes a slot while it runs, such as a pool of threads. Here: None, it takes none.

        Steps of such a task are claimed only while ``free_in`` has a slot. May be called from a database's thread.
        """
        return None

    def executors_for(self, url: str) -> Iterable[str] | None:
        """The executors, by name, in which the task can run. Steps that ask for another one are left to other engines.

        None where the host cannot tell, and takes them all. May be called often. Here: None.
        """
        return None

    def executor_of(self, url: str) -> str:
        """The executor in which the task runs where its node does not name one. Here: "", none."""
        return ""

    def pool_of_executor(self, url: str, executor: str) -> Hashable | None:
        """The pool, as of ``pool_of``, of which the task takes a slot in an executor its node names. Here: None."""
        return None

    def free_in(self, pool: Hashable) -> int:
        """How many more tasks could start now in a pool that ``pool_of`` has named. Here: none."""
        return 0

    def listen_free(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called, on the loop that runs now, when more can be taken; returns how to stop it.

        To be called also when ``knows`` or ``admits`` would answer otherwise. Here: it is never called.
        """
        return _nothing

    def needs_thread(self, url: str) -> bool:
        """Whether the task runs in a thread of this process, as metrics tell. Here: no."""
        return False

    @property
    def overrun_threads(self) -> int:
        """How many threads run a function whose result nobody waits for any more, as metrics tell. Here: 0."""
        return 0

    # ------------------------------------------------------------------ others

    async def signal_peers(self, op: str, payload: bytes) -> None:
        """Carry a hint to the other engines, which hand it to ``engine.deliver_signal``. Here: nothing.

        An engine asks for it only where this is overridden. It is best effort: what is lost is found later.
        """

    async def aclose(self) -> None:
        """Give up connections and threads. An engine does not call it: a host may serve several. Here: nothing."""


def complete(host: Any) -> BaseHost:
    """The host, with the defaults of BaseHost for whatever it does not have."""
    return host if isinstance(host, BaseHost) else _Completed(host)


def overrides(host: BaseHost, name: str) -> bool:
    """Whether a host has a capability of its own in place of the inert one."""
    return name in vars(host) or getattr(type(host), name) is not getattr(BaseHost, name)


_CALLS = (
    "load_graph", "execute_task", "knows", "task_urls", "resolve", "former", "digest", "cache_basis", "add_task",
    "add_functions", "admits", "pool_of", "executors_for", "executor_of", "pool_of_executor", "free_in",
    "listen_free", "needs_thread", "signal_peers", "aclose",
)  # fmt: skip


class _Completed(BaseHost):
    """A host that does not derive from BaseHost."""

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
    """Stops nothing."""
