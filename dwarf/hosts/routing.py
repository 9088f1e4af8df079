"""Several hosts behind one: each task goes to the host with the longest prefix of its URL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeAlias

from dwarf.errors import ConfigError, GraphError, GraphNotFound, TaskNotFound
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

    def add_functions(self, graph: Graph) -> None:
        """Register the functions on a graph's nodes with the hosts that their URLs lead to. ConfigError."""
        urls: dict[int, list[str]] = {}
        for url, function in graph.functions.items():
            host = self.route(url)
            if hasattr(host, "add_functions"):
                urls.setdefault(id(host), []).append(url)
            elif getattr(host, "functions", {}).get(url) is not function:
                self.add_task(url, function)
        for each in self._hosts:
            if id(each) in urls:
                each.add_functions(graph, urls[id(each)])  # type: ignore[attr-defined]  # asked for above

    def knows(self, url: str) -> bool:
        """Whether the host that the URL leads to has this task, as far as that host can tell."""
        host = self.route(url)
        knows = getattr(host, "knows", None)
        return host is not None and (knows is None or bool(knows(url)))

    def digest(self, url: str) -> str:
        """The digest of the code of this task; "" where the host that the URL leads to cannot tell."""
        digest = getattr(self.route(url), "digest", None)
        return str(digest(url)) if digest is not None else ""

    def cache_basis(self, url: str) -> tuple[str, Sequence[str] | None]:
        """What the outcome of a task depends on; a digest of "" where the host that the URL leads to cannot tell."""
        host = self.route(url)
        basis = getattr(host, "cache_basis", None)
        if basis is not None:
            found: tuple[str, Sequence[str] | None] = basis(url)
            return found
        return self.digest(url), None

    def task_urls(self) -> frozenset[str] | None:
        """The URLs of the tasks of all hosts, as far as the URLs lead to them; None where a host cannot tell."""
        found: set[str] = set()
        for host in self._hosts:
            urls = getattr(host, "task_urls", None)
            if urls is None:
                return None
            found.update(url for url in urls() if self.route(url) is host)
        return frozenset(found)

    def resolve(self, text: str) -> str:
        """The URL that the text of a node stands for: itself, or that of the one function of this name."""
        if self.route(text) is not None and self.knows(text):
            return text
        resolvers = [host.resolve for host in self._hosts if hasattr(host, "resolve")]
        found = {url for resolve in resolvers if (url := resolve(text)) != text and self.knows(url)}
        if len(found) > 1:
            raise GraphError(f"{text!r} is the name of several tasks: write the URL of one, {sorted(found)}")
        return next(iter(found), text)

    def former(self, url: str, workflow: str | None = None) -> str | None:
        """The URL of the task that flows (of this workflow) knew by its bare name, when tasks had no scopes."""
        finders = [host.former for host in self._hosts if hasattr(host, "former")]
        found = {name for find in finders if (name := find(url, workflow)) is not None and self.knows(name)}
        return next(iter(found)) if len(found) == 1 else None

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

    def pool_of(self, url: str) -> Hashable | None:
        """The pool of its host of which the task takes a slot while it runs. None where it takes none."""
        host = self.route(url)
        pool_of = getattr(host, "pool_of", None)
        pool = None if pool_of is None else pool_of(url)
        return None if pool is None else (self._hosts.index(host), pool)  # type: ignore[arg-type]  # it was asked

    def free_in(self, pool: Hashable) -> int:
        """How many more tasks could start now in a pool that ``pool_of`` has named."""
        assert isinstance(pool, tuple)
        host: Any = self._hosts[pool[0]]
        return int(host.free_in(pool[1]))

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
