"""Frozen graphs: their JSON text, its hash, and the plan made from it, each made once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Any
from weakref import ref

from dwarf.core.plan import Plan
from dwarf.workflow.graph import Graph
from dwarf.workflow.jsontext import dumps

CACHED_PLANS = 4096


@dataclass(frozen=True, slots=True)
class Frozen:
    """A graph as a flow is bound to it."""

    graph_hash: str
    body: str
    plan: Plan


class PlanCache:
    """Plans by the hash of their graph, least recently used forgotten first. Used from several threads."""

    def __init__(self) -> None:
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._frozen: dict[int, tuple[ref[Graph], Any, Frozen]] = {}  # by the id of the graph object
        self._lock = Lock()

    def freeze(self, graph: Graph) -> Frozen:
        """Validate a graph and freeze it as it stands. GraphError with every problem found."""
        signature = (
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
        body = dumps(graph.to_json())
        graph_hash = sha256(body.encode()).hexdigest()
        plan = self.plan_of(graph_hash, body)
        assert plan is not None
        frozen = Frozen(graph_hash, body, plan)
        identity = id(graph)
        with self._lock:
            self._frozen[identity] = (ref(graph, lambda _: self._frozen.pop(identity, None)), signature, frozen)
        return frozen

    def plan_of(self, graph_hash: str, body: str | None = None) -> Plan | None:
        """The plan of a frozen graph; made from ``body`` where it is not known."""
        with self._lock:
            plan = self._plans.get(graph_hash)
            if plan is not None:
                self._plans.move_to_end(graph_hash)
                return plan
        if body is None:
            return None
        plan = Plan(Graph.from_json(body))
        with self._lock:
            self._plans[graph_hash] = plan
            if len(self._plans) > CACHED_PLANS:
                self._plans.popitem(last=False)
        return plan
