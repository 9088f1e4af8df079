"""Several hosts behind one: each task goes to the host with the longest prefix of its URL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from dwarf.errors import ConfigError, GraphNotFound, TaskNotFound
from dwarf.hosts.protocol import Host
from dwarf.workflow.flow import Flow
from dwarf.workflow.graph import Graph

JSON: TypeAlias = Any


class RoutingHost(Host):
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
        self._hosts = list({id(host): host for _, host in self._routes}.values())  # one may have several prefixes

    def __repr__(self) -> str:
        return f"<RoutingHost: {', '.join(repr(prefix) for prefix, _ in self._routes)}>"

    def route(self, url: str) -> Host | None:
        """The host that a URL leads to, or None."""
        return next((host for prefix, host in self._routes if url.startswith(prefix)), None)

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
        host = self.route(url)
        add = getattr(host, "add_task", None)
        if add is None:
            raise ConfigError(f"the host that {url!r} leads to takes no functions: route this URL to a LocalHost")
        add(url, function)

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """The functions of all hosts, by URL, as far as the URLs lead to them."""
        found: dict[str, Callable[..., Any]] = {}
        for host in self._hosts:
            for url, function in getattr(host, "functions", {}).items():
                if self.route(url) is host:
                    found[url] = function
        return found

    @property
    def graphs(self) -> Mapping[str, Graph]:
        """The graphs of all hosts, by URL, as far as the URLs lead to them."""
        found: dict[str, Graph] = {}
        for host in self._hosts:
            for url, graph in getattr(host, "graphs", {}).items():
                if self.route(url) is host:
                    found[url] = graph
        return found

    def admits(self, url: str) -> bool:
        """Whether the host that the URL leads to takes the task now; False where it leads to none."""
        host = self.route(url)
        if host is None:
            return False
        admits = getattr(host, "admits", None)
        return admits is None or bool(admits(url))

    def needs_thread(self, url: str) -> bool:
        """Whether the task runs in a thread of this process."""
        needs = getattr(self.route(url), "needs_thread", None)
        return needs is not None and bool(needs(url))

    @property
    def free_threads(self) -> int:
        """How many functions could start in threads now: of the hosts with threads, the least."""
        free = [host.free_threads for host in self._hosts if hasattr(host, "free_threads")]
        return min(free, default=0)

    @property
    def overrun_threads(self) -> int:
        """How many threads run a function whose result nobody waits for any more."""
        return sum(getattr(host, "overrun_threads", 0) for host in self._hosts)

    def listen_free(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when a host can take more. Returns how to stop it."""
        listens = [getattr(host, "listen_free", None) for host in self._hosts]
        stops = [listen(listener) for listen in listens if listen is not None]

        def stop() -> None:
            for each in stops:
                each()

        return stop

    async def signal_peers(self, op: str, payload: bytes) -> None:
        """Pass a hint to the peers by every host that can."""
        senders = [getattr(host, "signal_peers", None) for host in self._hosts]
        await asyncio.gather(*(send(op, payload) for send in senders if send is not None))

    async def aclose(self) -> None:
        """Close the hosts that can be closed."""
        for host in self._hosts:
            close = getattr(host, "aclose", None)
            if close is not None:
                await close()
