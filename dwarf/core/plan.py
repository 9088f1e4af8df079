"""A graph prepared for routing: edges by source, parsed conditions, fan-ins, and the needs of its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from dwarf.workflow.conditions import Condition, parse
from dwarf.workflow.graph import Graph, Limit
from dwarf.workflow.lineage import fan_in_map, gathering_nodes
from dwarf.workflow.policies import Cache, Retry
from dwarf.workflow.reducers import Reducer

APART = "\x1f"  # ASCII unit separator: no URL contains it
_LABELS = "\x1e"  # ASCII record separator: no URL begins with it

_WITH_IDENTITY = frozenset(reducer for reducer in Reducer if reducer._has_identity)


def need_of(url: str, executor: str = "") -> str:
    """The need of a step: its task and its executor. Without an executor the need is the URL."""
    return f"{url}{APART}{executor}" if executor else url


def parts_of(need: str) -> tuple[str, str]:
    """The URL of the task, and the name of the executor or ""."""
    url, _, executor = need.partition(APART)
    return url, executor


def labels_told(labels: str) -> str:
    """The form in which an engine publishes its labels, joined by commas, among the needs that it can meet."""
    return _LABELS + labels


def any_has_labels(told: Iterable[str], wanted: str) -> bool:
    """Whether one of the engines that published these texts has all of the labels, which are joined by commas."""
    asked = set(wanted.split(","))
    return any(asked <= set(text[1:].split(",")) for text in told if text.startswith(_LABELS))


@dataclass(frozen=True, slots=True)
class Edge:
    """An ordinary edge: plain, conditional, or one branch per item."""

    target: str
    when: Condition | None
    for_each: str
    item: str


@dataclass(slots=True)
class NodePlan:
    """The edges and settings of one node."""

    name: str
    url: str
    is_fan_in: bool
    is_source: bool
    limit: Limit | None
    retry: Retry | None = None
    time_budget_ms: int = 0  # 0: the flow's
    cache: Cache | None = None
    executor: str = ""  # name of an executor of the host
    labels: str = ""  # labels that an engine needs, joined by commas; see ``label_sets``
    need: str = ""  # see ``need_of``
    edges: list[Edge] = field(default_factory=list)
    arms: list[tuple[Condition, str]] = field(default_factory=list)
    gotos: set[str] = field(default_factory=set)
    on_error: str = ""
    injected: tuple[str, ...] = ()
    gathered: Mapping[str, Reducer] = field(default_factory=dict)  # fields that count as empty if no branch contributed
    only_target: str = ""  # the only successor, unconditional: routing does not look at the state


class Plan:
    """A prepared graph. ConditionError if a condition cannot be parsed.

    ``scoped``: the URLs of its tasks were frozen with their scopes. Graphs frozen by earlier releases have unscoped
    names.
    """

    __slots__ = ("entry", "fan_in_of", "graph", "name", "nodes", "reducers", "scoped")

    def __init__(self, graph: Graph, *, scoped: bool = True) -> None:
        self.graph = graph
        self.scoped = scoped
        self.name = graph.name
        self.entry = graph.entry
        self.fan_in_of = fan_in_map(graph)
        self.reducers = {name: reducer for name, reducer in graph.reducers.items() if reducer not in ("", "replace")}
        self.nodes: dict[str, NodePlan] = {
            node.name: NodePlan(
                name=node.name,
                url=node.url or node.name,
                is_fan_in=node.fan_in,
                is_source=graph.is_fan_out_source(node.name),
                limit=node.limit,
                retry=node.retry,
                time_budget_ms=0 if node.time_budget is None else round(node.time_budget * 1000),
                cache=node.cache,
                executor=node.executor,
                labels=",".join(sorted(node.labels)),
                need=need_of(node.url or node.name, node.executor),
            )
            for node in graph.nodes
        }
        for transition in graph.transitions:
            node = self.nodes.get(transition.source)
            if node is None:
                continue
            if transition.goto:
                node.gotos.add(transition.target)
            elif transition.on_error:
                node.on_error = node.on_error or transition.target
            elif transition.switch:
                node.arms.append((parse(transition.when, stored=True), transition.target))
            else:
                when = parse(transition.when, stored=True) if transition.when else None
                item = transition.item or "item"
                node.edges.append(Edge(transition.target, when, for_each=transition.for_each, item=item))
                if transition.for_each:
                    node.injected += _injected(transition.item or "item")
        for node in self.nodes.values():
            node.only_target = self._only_target(node)
        self._gather()

    def _gather(self) -> None:
        """Set ``gathered`` on the nodes behind a for-each."""
        reducers = {name: Reducer(value) for name, value in self.reducers.items() if value in _WITH_IDENTITY}
        for name in gathering_nodes(self.graph, self.fan_in_of) if reducers else ():
            if name in self.nodes:
                self.nodes[name].gathered = reducers

    def _only_target(self, node: NodePlan) -> str:
        if node.is_source or node.arms or len(node.edges) != 1:
            return ""
        edge = node.edges[0]
        target = self.nodes.get(edge.target)
        plain = edge.when is None and not edge.for_each and target is not None and not target.is_fan_in
        return edge.target if plain else ""


def _injected(item: str) -> tuple[str, ...]:
    return (item, f"{item}Index", f"{item}Count")


def label_sets(labels: Iterable[str]) -> list[str]:
    """Every value of ``NodePlan.labels`` that an engine with these labels may run."""
    known = sorted(set(labels))
    return [",".join(chosen) for count in range(1, len(known) + 1) for chosen in combinations(known, count)]
