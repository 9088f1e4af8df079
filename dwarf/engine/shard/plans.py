"""Frozen graphs: the JSON text of a graph, its hash, and the plan made from it; each is made once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Any
from weakref import ref

from dwarf.core.plan import Plan
from dwarf.errors import GraphError
from dwarf.workflow.graph import Graph
from dwarf.workflow.host import BaseHost
from dwarf.workflow.jsontext import dumps, loads

CACHED_PLANS = 4096
SCOPED = "scoped"
"""A member of frozen graphs whose tasks have scoped URLs. Graphs frozen by earlier releases lack it."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """A graph in the form to which a flow is bound."""

    graph_hash: str
    body: str
    plan: Plan


class PlanCache:
    """Plans by the hash of their graph, in a cache that drops the least recently used. Thread-safe."""

    def __init__(self, host: BaseHost | None = None) -> None:
        """``host`` may resolve the text of a node to a URL, and unscoped names of earlier releases to scoped ones."""
        asked = BaseHost() if host is None else host
        self._resolve = asked.resolve
        self._former = asked.former
        self._knows = asked.knows
        self._renamed: OrderedDict[tuple[str, tuple[tuple[str, str], ...]], Plan] = OrderedDict()
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._frozen: dict[int, tuple[ref[Graph], Any, Frozen]] = {}  # by the id of the graph object
        self._lock = Lock()

    def freeze(self, graph: Graph, *, scoped: bool | None = None) -> Frozen:
        """Validate a graph and freeze its present state. GraphError with every problem found.

        Nodes whose task is a text get its URL, and the frozen form records that its URLs have scopes. A graph that was
        frozen elsewhere is used unchanged: ``scoped`` tells what its form recorded.
        """
        urls = {} if scoped is not None else _urls(graph, self._resolve)
        signature = (
            urls,
            scoped,
            graph.name,
            graph.entry,
            tuple(graph.nodes),
            tuple(graph.transitions),
            tuple(graph.reducers.items()),
        )
        with self._lock:
            known = self._frozen.get(id(graph))
        if known is not None and known[0]() is graph and known[1] == signature:
            return known[2]
        graph.validate()
        form = (graph._with_urls(urls) if urls else graph).to_json()
        body = dumps(form if scoped is False else {**form, SCOPED: True})
        graph_hash = sha256(body.encode()).hexdigest()
        plan = self.plan_of(graph_hash, body)
        assert plan is not None
        frozen = Frozen(graph_hash, body, plan)
        identity = id(graph)
        with self._lock:
            self._frozen[identity] = (ref(graph, lambda _: self._frozen.pop(identity, None)), signature, frozen)
        return frozen

    def plan_of(self, graph_hash: str, body: str | None = None) -> Plan | None:
        """The plan of a frozen graph, made from ``body`` if it is not in the cache.

        Unscoped task names of earlier releases are resolved to the URLs that the host gives them now.
        """
        with self._lock:
            plan = self._plans.get(graph_hash)
            if plan is not None:
                self._plans.move_to_end(graph_hash)
        if plan is None and body is None:
            return None
        if plan is None:
            assert body is not None
            form = loads(body)
            plan = Plan(Graph.from_json(form), scoped=form.get(SCOPED) is True)
            with self._lock:
                self._plans[graph_hash] = plan
                if len(self._plans) > CACHED_PLANS:
                    self._plans.popitem(last=False)
        return plan if plan.scoped else self._with_scopes(graph_hash, plan)

    def _with_scopes(self, graph_hash: str, plan: Plan) -> Plan:
        """The plan with its unscoped names resolved to URLs."""
        names = {
            node.name: self._former(node.url, plan.name) for node in plan.nodes.values() if not self._knows(node.url)
        }
        urls = {name: url for name, url in names.items() if url is not None}
        if not urls:
            return plan
        key = (graph_hash, tuple(urls.items()))
        with self._lock:
            renamed = self._renamed.get(key)
            if renamed is None:
                renamed = self._renamed[key] = Plan(plan.graph._with_urls(urls), scoped=False)
                if len(self._renamed) > CACHED_PLANS:
                    self._renamed.popitem(last=False)
        return renamed


def _urls(graph: Graph, resolve: Callable[[str], str]) -> dict[str, str]:
    """The URLs, by node name, of nodes whose task is a text that stands for a URL. GraphError."""
    found: dict[str, str] = {}
    problems: list[str] = []
    for node in graph.nodes:
        try:
            url = resolve(node.url)
        except GraphError as error:
            problems.append(f"graph {graph.name!r}: node {node.name!r}: {error}")
        else:
            if url != node.url:
                found[node.name] = url
    if problems:
        raise GraphError(problems[0] if len(problems) == 1 else "\n  - ".join(problems), problems)
    return found
