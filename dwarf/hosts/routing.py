"""Several hosts behind one: each task goes to the host with the longest prefix of its URL."""

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
    """Passes each graph and task to the host whose prefix of the URL is the longest; "" is the default.

    ::

        host = RoutingHost({"": local, "gpu/": HttpHost("http://gpu-box:8080", token=token)})

    The URL is passed on whole. TaskNotFound and GraphNotFound where no prefix fits. Functions on a graph's nodes are
    registered with the host that their URL leads to. ConfigError for routes that are no hosts.
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
        self._full = {id(host): complete(host) for _, host in self._routes}  # one may have several prefixes
        self._hosts = list(self._full.values())

    def __repr__(self) -> str:
        return f"<RoutingHost: {', '.join(repr(prefix) for prefix, _ in self._routes)}>"

    def route(self, url: str) -> Host | None:
        """The host that a URL leads to, or None."""
        return next((host for prefix, host in self._routes if url.startswith(prefix)), None)

    def _to(self, url: str) -> BaseHost:
        """The same, with all that a host may be asked; one that has nothing where the URL leads to none."""
        host = self.route(url)
        return _NOWHERE if host is None else self._full[id(host)]

    async def load_graph(self, url: str, baggage: Mapping[str, JSON]) -> Graph:
        """The graph of this URL, from the host that the URL leads to. GraphNotFound where it leads to none."""
        host = self.route(url)
        if host is None:
            raise GraphNotFound(f"no route fits the graph {url!r}; the prefixes are {self._prefixes()}")
        return await host.load_graph(url, baggage)

    async def execute_task(self, url: str, flow: Flow) -> None:
        """Run the task on the host that its URL leads to. TaskNotFound where it leads to none."""
        host = self.route(url)
        if host is None:
            raise TaskNotFound(f"no route fits the task {url!r}; the prefixes are {self._prefixes()}")
        await host.execute_task(url, flow)

    def _prefixes(self) -> str:
        return ", ".join(repr(prefix) for prefix, _ in self._routes)

    # ------------------------------------------------------------------ optional capabilities

    def add_task(self, url: str, function: Callable[..., Any]) -> None:
        """Register a function with the host that its URL leads to. ConfigError where that one takes none."""
        host = self._to(url)
        if not overrides(host, "add_task"):
            raise ConfigError(f"the host that {url!r} leads to takes no functions: route this URL to a LocalHost")
        host.add_task(url, function)

    def add_functions(self, graph: Graph, urls: Container[str] | None = None) -> None:
        """Register the functions on a graph's nodes with the hosts that their URLs lead to. ConfigError."""
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
        """Whether the host that the URL leads to has this task, as far as that host can tell."""
        return self._to(url).knows(url)

    def digest(self, url: str) -> str:
        """The digest of the code of this task; "" where the host that the URL leads to cannot tell."""
        return self._to(url).digest(url)

    def cache_basis(self, url: str) -> tuple[str, Sequence[str] | None]:
        """What the outcome of a task depends on; a digest of "" where the host that the URL leads to cannot tell."""
        return self._to(url).cache_basis(url)

    def task_urls(self) -> frozenset[str] | None:
        """The URLs of the tasks of all hosts, as far as the URLs lead to them; None where a host cannot tell."""
        found: set[str] = set()
        for host in self._hosts:
            urls = host.task_urls()
            if urls is None:
                return None
            found.update(url for url in urls if self._to(url) is host)
        return frozenset(found)

    def resolve(self, text: str) -> str:
        """The URL that the text of a node stands for: itself, or that of the one function of this name."""
        if self.route(text) is not None and self.knows(text):
            return text
        found = {url for host in self._hosts if (url := host.resolve(text)) != text and self.knows(url)}
        if len(found) > 1:
            raise GraphError(f"{text!r} is the name of several tasks: write the URL of one, {sorted(found)}")
        return next(iter(found), text)

    def former(self, url: str, workflow: str | None = None) -> str | None:
        """The URL of the task that flows (of this workflow) knew by its bare name, when tasks had no scopes."""
        names = [host.former(url, workflow) for host in self._hosts]
        found = {name for name in names if name is not None and self.knows(name)}
        return next(iter(found)) if len(found) == 1 else None

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """The functions of all hosts, by URL, as far as the URLs lead to them."""
        return {
            url: function for host in self._hosts for url, function in host.functions.items() if self._to(url) is host
        }

    @property
    def graphs(self) -> Mapping[str, Graph]:
        """The graphs of all hosts, by URL, as far as the URLs lead to them."""
        return {url: graph for host in self._hosts for url, graph in host.graphs.items() if self._to(url) is host}

    def admits(self, url: str) -> bool:
        """Whether the host that the URL leads to takes the task now; False where it leads to none."""
        return self._to(url).admits(url)

    def needs_thread(self, url: str) -> bool:
        """Whether the task runs in a thread of this process."""
        return self._to(url).needs_thread(url)

    def pool_of(self, url: str) -> Hashable | None:
        """The pool of its host of which the task takes a slot while it runs. None where it takes none."""
        host = self._to(url)
        pool = host.pool_of(url)
        return None if pool is None else (host, pool)

    def executors_for(self, url: str) -> Iterable[str] | None:
        """The executors in which its host can run the task; None where that one cannot tell."""
        return self._to(url).executors_for(url)

    def executor_of(self, url: str) -> str:
        """The executor in which its host runs the task where its node does not name one."""
        return self._to(url).executor_of(url)

    def pool_of_executor(self, url: str, executor: str) -> Hashable | None:
        """The pool of its host of which the task takes a slot in this executor. None where it takes none."""
        host = self._to(url)
        pool = host.pool_of_executor(url, executor)
        return None if pool is None else (host, pool)

    def free_in(self, pool: Hashable) -> int:
        """How many more tasks could start now in a pool that ``pool_of`` has named."""
        assert isinstance(pool, tuple)
        host, inner = pool
        return int(host.free_in(inner))

    @property
    def overrun_threads(self) -> int:
        """How many threads run a function whose result nobody waits for any more."""
        return sum(host.overrun_threads for host in self._hosts)

    def listen_free(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when a host can take more. Returns how to stop it."""
        stops = [host.listen_free(listener) for host in self._hosts]

        def stop() -> None:
            for each in stops:
                each()

        return stop

    async def signal_peers(self, op: str, payload: bytes) -> None:
        """Pass a hint to the peers by every host that can."""
        await asyncio.gather(*(host.signal_peers(op, payload) for host in self._hosts))

    async def aclose(self) -> None:
        """Close the hosts that can be closed."""
        for host in self._hosts:
            await host.aclose()


class _Nowhere(BaseHost):
    """Where URLs lead that fit no route."""

    def knows(self, url: str) -> bool:
        return False

    def admits(self, url: str) -> bool:
        return False


_NOWHERE = _Nowhere()
