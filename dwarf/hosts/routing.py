"""Several hosts behind one: the longest matching prefix of a URL selects the host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from dwarf.errors import ConfigError, GraphError, GraphNotFound, TaskNotFound
from dwarf.workflow.flow import Flow
from dwarf.workflow.graph import Graph
from dwarf.workflow.host import BaseHost, Host, complete, overrides

JSON: TypeAlias = Any


class RoutingHost(BaseHost):
    """Passes each graph and task to the host with the longest prefix of its URL; "" is the default.

    ::

        host = RoutingHost({"": local, "gpu/": HttpHost("http://gpu-box:8080", token=token)})

    The URL is passed on unchanged. TaskNotFound and GraphNotFound if no prefix fits. Functions on a graph's nodes are
    registered with the hosts of their URLs. ConfigError for routes that are not hosts.
    """

    def __init__(self, routes: Mapping[str, Host]) -> None:
        if not isinstance(routes, Mapping) or not routes:
            raise ConfigError("RoutingHost needs a mapping from URL prefixes to hosts, with '' for all others")
        for prefix, host in routes.items():
            if not isinstance(prefix, str):
                raise ConfigError(f"a prefix must be a text, not {type(prefix).__name__}")
            if not isinstance(host, Host):
                raise ConfigError(f"the route {prefix!r} leads to a {type(host).__name__}, which is no host")
        self._routes = sorted(routes.items(), key=lambda route: -len(route[0]))
        # By identity, since one host may have several prefixes.
        self._full = {id(host): complete(host) for _, host in self._routes}
        self._hosts = list(self._full.values())

    def __repr__(self) -> str:
        return f"<RoutingHost: {', '.join(repr(prefix) for prefix, _ in self._routes)}>"

    def route(self, url: str) -> Host | None:
        """The host of a URL, or None."""
        return next((host for prefix, host in self._routes if url.startswith(prefix)), None)

    def _to(self, url: str) -> BaseHost:
        """The host of a URL with all optional methods; one without any tasks if no prefix fits."""
        host = self.route(url)
        return _NOWHERE if host is None else self._full[id(host)]

    async def load_graph(self, url: str, baggage: Mapping[str, JSON]) -> Graph:
        """The graph of this URL, from its host. GraphNotFound if no prefix fits."""
        host = self.route(url)
        if host is None:
            raise GraphNotFound(f"no route fits the graph {url!r}; the prefixes are {self._prefixes()}")
        return await host.load_graph(url, baggage)

    async def execute_task(self, url: str, flow: Flow) -> None:
        """Run the task on the host of its URL. TaskNotFound if no prefix fits."""
        host = self.route(url)
        if host is None:
            raise TaskNotFound(f"no route fits the task {url!r}; the prefixes are {self._prefixes()}")
        await host.execute_task(url, flow)

    def _prefixes(self) -> str:
        return ", ".join(repr(prefix) for prefix, _ in self._routes)

    # ------------------------------------------------------------------ optional capabilities

    def add_task(self, url: str, function: Callable[..., Any]) -> None:
        """Register a function with the host of its URL. ConfigError if that host accepts none."""
        host = self._to(url)
        if not overrides(host, "add_task"):
            raise ConfigError(f"the host that {url!r} leads to takes no functions: route this URL to a LocalHost")
        host.add_task(url, function)

    def add_functions(self, graph: Graph, urls: Container[str] | None = None) -> None:
        """Register the functions on a graph's nodes with the hosts of their URLs. ConfigError."""
        wanted = [url for url in graph.functions if urls is None or url in urls]
        for host in (*self._hosts, _NOWHERE):
            own = [url for url in wanted if self._to(url) is host]
            if own and overrides(host, "add_functions"):
                host.add_functions(graph, own)
            else:
                for url in own:
                    if host.functions.get(url) is not graph.functions[url]:
                        self.add_task(url, graph.functions[url])

    def knows(self, url: str) -> bool:
        """Whether the host of the URL has this task, if that host can tell."""
        return self._to(url).knows(url)

    def digest(self, url: str) -> str:
        """The digest of the code of this task; "" if its host cannot tell."""
        return self._to(url).digest(url)

    def cache_basis(self, url: str) -> tuple[str, Sequence[str] | None]:
        """What the outcome of a task depends on; a digest of "" if its host cannot tell."""
        return self._to(url).cache_basis(url)

    def task_urls(self) -> frozenset[str] | None:
        """The URLs of the tasks of all hosts that are reachable by their URLs; None if a host cannot tell."""
        found: set[str] = set()
        for host in self._hosts:
            urls = host.task_urls()
            if urls is None:
                return None
            found.update(url for url in urls if self._to(url) is host)
        return frozenset(found)

    def resolve(self, text: str) -> str:
        """The URL for the text of a node: the text itself, or the URL of the only function with this name."""
        if self.route(text) is not None and self.knows(text):
            return text
        found = {url for host in self._hosts if (url := host.resolve(text)) != text and self.knows(url)}
        if len(found) > 1:
            raise GraphError(f"{text!r} is the name of several tasks: write the URL of one, {sorted(found)}")
        return next(iter(found), text)

    def former(self, url: str, workflow: str | None = None) -> str | None:
        """The present URL of a task that flows (of this workflow) know by an unscoped name of an earlier release."""
        names = [host.former(url, workflow) for host in self._hosts]
        found = {name for name in names if name is not None and self.knows(name)}
        return next(iter(found)) if len(found) == 1 else None

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """The functions of all hosts by URL, if reachable by their URLs."""
        return {
            url: function for host in self._hosts for url, function in host.functions.items() if self._to(url) is host
        }

    @property
    def graphs(self) -> Mapping[str, Graph]:
        """The graphs of all hosts by URL, if reachable by their URLs."""
        return {url: graph for host in self._hosts for url, graph in host.graphs.items() if self._to(url) is host}

    def admits(self, url: str) -> bool:
        """Whether the host of the URL accepts the task now; False if no prefix fits."""
        return self._to(url).admits(url)

    def needs_thread(self, url: str) -> bool:
        """Whether the task runs in a thread of this process."""
        return self._to(url).needs_thread(url)

    def can_stop(self, url: str) -> bool:
        """Whether its host stops the task when its flow has ended."""
        return self._to(url).can_stop(url)

    def pool_of(self, url: str) -> Hashable | None:
        """The pool of its host from which the task takes a slot while it runs. None if it takes none."""
        host = self._to(url)
        pool = host.pool_of(url)
        return None if pool is None else (host, pool)

    def executors_for(self, url: str) -> Iterable[str] | None:
        """The executors in which its host can run the task; None if that host cannot tell."""
        return self._to(url).executors_for(url)

    def executor_of(self, url: str) -> str:
        """The executor in which its host runs the task if its node names none."""
        return self._to(url).executor_of(url)

    def pool_of_executor(self, url: str, executor: str) -> Hashable | None:
        """The pool of its host from which the task takes a slot in this executor. None if it takes none."""
        host = self._to(url)
        pool = host.pool_of_executor(url, executor)
        return None if pool is None else (host, pool)

    def free_in(self, pool: Hashable) -> int:
        """How many more tasks could start now in a pool returned by ``pool_of``."""
        assert isinstance(pool, tuple)
        host, inner = pool
        return int(host.free_in(inner))

    @property
    def overrun_threads(self) -> int:
        """How many threads run a function whose step has stopped waiting for it."""
        return sum(host.overrun_threads for host in self._hosts)

    def listen_free(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function when a host can accept more tasks. Returns a function that stops the calls."""
        stops = [host.listen_free(listener) for host in self._hosts]

        def stop() -> None:
            for each in stops:
                each()

        return stop

    async def signal_peers(self, op: str, payload: bytes) -> None:
        """Pass a hint to the peers through every host that can carry one."""
        await asyncio.gather(*(host.signal_peers(op, payload) for host in self._hosts))

    async def aclose(self) -> None:
        """Close the hosts that can be closed."""
        for host in self._hosts:
            await host.aclose()


class _Nowhere(BaseHost):
    """A host without tasks, for URLs that fit no prefix."""

    def knows(self, url: str) -> bool:
        return False

    def admits(self, url: str) -> bool:
        return False


_NOWHERE = _Nowhere()
