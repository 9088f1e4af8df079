"""A graph with what its tasks read and write: the facts that every check works on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dwarf.errors import ConditionError
from dwarf.workflow.checking.facts import facts_of
from dwarf.workflow.checking.records import Facts, Write, model_fields
from dwarf.workflow.conditions import parse
from dwarf.workflow.conditions.syntax import And, Compare, Constant, Expression, Group, Not, Operand, Or, Symbol, Truth
from dwarf.workflow.lineage import fan_in_map
from dwarf.workflow.parts import END, Transition

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph

__all__ = ["Available", "Initial", "Wiring", "fields_in"]

_NOTHINGS: Final = frozenset({"null", "none", "nil", "undefined", "true", "false"})


@dataclass(frozen=True, slots=True)
class Initial:
    """The initial state: its fields with their types. ``known``: whether those are all."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    known: bool = False

    @classmethod
    def of(cls, state: Any) -> Initial:
        """From a mapping, a model's type, names, or None where nothing is known."""
        if state is None:
            return cls()
        found = model_fields(state)
        if found is not None:
            return cls({name: kind for name, (kind, _) in found.items()}, True)
        if isinstance(state, Mapping):
            return cls({str(name): type(value) for name, value in state.items() if value is not None}, True)
        if isinstance(state, str) or not isinstance(state, Iterable):
            return cls()
        return cls(dict.fromkeys(map(str, state), Any), True)


@dataclass(slots=True)
class Available:
    """The fields that a state may have at some node, each with its writers. ``open``: there may be others."""

    writers: dict[str, frozenset[str]] = field(default_factory=dict)
    open: bool = False

    def merge(self, other: Available) -> bool:
        """Add what may come by another way; whether that was news."""
        news = other.open and not self.open
        self.open = self.open or other.open
        for name, writers in other.writers.items():
            known = self.writers.get(name, frozenset())
            if not writers <= known:
                self.writers[name] = known | writers
                news = True
        return news

    def copy(self) -> Available:
        return Available(dict(self.writers), self.open)


class Wiring:
    """What flows where in a graph. ``functions`` are those a host knows by URL, for nodes without one of their own."""

    def __init__(
        self, graph: Graph, initial: Initial, functions: Mapping[str, Callable[..., Any]] | None = None
    ) -> None:
        self.graph = graph
        self.initial = initial
        self.functions = functions or {}
        own = {name: function for name, _, function in graph._bindings()}
        self.facts: dict[str, Facts] = {
            node.name: facts_of(own.get(node.name) or self.functions.get(node.url), _graph_facts)
            for node in graph.nodes
        }
        self.fan_in_of = fan_in_map(graph)
        self.edges = [edge for edge in graph.transitions if edge.source in self.facts]
        self.entering: dict[str, Available] = {}
        self._flow()

    # ------------------------------------------------------------------ forward: what may be there

    def _flow(self) -> None:
        """What may be in the state when a node is entered."""
        start = Available(dict.fromkeys(self.initial.fields, frozenset({"START"})))
        if self.graph.entry not in self.facts:
            return
        self.entering = {self.graph.entry: start}
        todo = [self.graph.entry]
        while todo:
            name = todo.pop()
            for edge in self.graph.transitions_from(name):
                if edge.target not in self.facts:
                    continue
                came = self.along(edge)
                known = self.entering.get(edge.target)
                if known is None:
                    self.entering[edge.target] = came.copy()
                    todo.append(edge.target)
                elif known.merge(came):
                    todo.append(edge.target)

    def leaving(self, name: str) -> Available:
        """What may be in the state when a node has run."""
        facts, found = self.facts[name], self.entering.get(name, Available()).copy()
        found.open = found.open or not facts.all_writes
        for field_name, write in facts.writes.items():
            kept = (
                frozenset()
                if write.sure and field_name not in self.graph.reducers
                else found.writers.get(field_name, frozenset())
            )
            found.writers[field_name] = kept | {name}
        return found

    def along(self, edge: Transition) -> Available:
        """What may be in the state on a transition."""
        found = self.leaving(edge.source)
        if edge.on_error:
            found.writers["onErr"] = frozenset({edge.source})
            found.merge(self.entering.get(edge.source, Available()))
        if edge.for_each:
            for name in injected(edge):
                found.writers[name] = frozenset({edge.source})
        for source, fan_in in self.fan_in_of.items():
            if fan_in == edge.target and not (edge.goto or edge.on_error):
                before = self.leaving(source) if source in self.facts else Available()
                for each in self.graph.transitions_from(source):
                    for name in injected(each):
                        if name in before.writers:
                            found.writers[name] = before.writers[name]
                        else:
                            found.writers.pop(name, None)
        return found

    def cohort(self, source: str) -> set[str]:
        """The nodes between a fan-out source and its fan-in, the branches of inner fan-outs left out."""
        fan_in = self.fan_in_of.get(source)
        found: set[str] = set()
        todo = [edge.target for edge in self.graph.transitions_from(source) if not (edge.goto or edge.on_error)]
        while todo:
            name = todo.pop()
            if name == fan_in or name in found or name not in self.facts:
                continue
            found.add(name)
            inner = self.fan_in_of.get(name)
            if inner is not None and inner != fan_in:
                todo.append(inner)
            else:
                todo += [edge.target for edge in self.graph.transitions_from(name)]
        return found

    def inside(self, source: str) -> set[str]:
        """Every node between a fan-out source and its fan-in, those of inner fan-outs included."""
        found: set[str] = set()
        todo = [edge.target for edge in self.graph.transitions_from(source) if not (edge.goto or edge.on_error)]
        while todo:
            name = todo.pop()
            if name != self.fan_in_of.get(source) and name not in found and name in self.facts:
                found.add(name)
                todo += [edge.target for edge in self.graph.transitions_from(name)]
        return found

    # ------------------------------------------------------------------ backward: what is still read

    def read_later(self, at_end: frozenset[str] = frozenset()) -> dict[str, set[str]]:
        """The fields still read once a node has run, by node. ``at_end``: those that the final state is for."""
        universe = set(self.initial.fields) | {name for facts in self.facts.values() for name in facts.writes}
        sure = {
            name: {one for one, write in facts.writes.items() if write.sure and one not in self.graph.reducers}
            for name, facts in self.facts.items()
        }
        after: dict[str, set[str]] = {name: set(at_end) if self._may_end(name) else set() for name in self.facts}
        news = True
        while news:
            news = False
            for name in self.facts:
                fields = set(after[name])
                for edge in self.graph.transitions_from(name):
                    fields |= self.read_on(edge)
                    if edge.target in self.facts:
                        facts = self.facts[edge.target]
                        fields |= set(facts.reads) | (after[edge.target] - sure[edge.target])
                        if not facts.all_reads:
                            fields |= universe
                if len(fields) > len(after[name]):
                    after[name], news = fields, True
        return after

    def _may_end(self, name: str) -> bool:
        edges = [edge for edge in self.graph.transitions_from(name) if not (edge.goto or edge.on_error)]
        return not edges or any(edge.target == END for edge in self.graph.transitions_from(name))

    def read_on(self, edge: Transition) -> set[str]:
        """The fields that a transition reads: those of its condition, and its list."""
        found = set(fields_in(edge.when))
        return found | {edge.for_each} if edge.for_each else found


def injected(edge: Transition) -> tuple[str, ...]:
    """The fields that a for-each lends to its branches."""
    item = edge.item or "item"
    return (item, f"{item}Index", f"{item}Count") if edge.for_each else ()


def fields_in(when: str) -> list[str]:
    """The names of fields in a condition, as written there, in order."""
    if not when:
        return []
    try:
        expression = parse(when, stored=True).expression
    except ConditionError:
        return []
    found: list[str] = []
    _walk(expression, found)
    return list(dict.fromkeys(found))


def _walk(expression: Expression, found: list[str]) -> None:
    if isinstance(expression, Constant):
        return
    if isinstance(expression, Truth):
        _operand(expression.operand, found)
    elif isinstance(expression, Compare):
        _operand(expression.left, found)
        _operand(expression.right, found)
    elif isinstance(expression, Not):
        _walk(expression.operand, found)
    elif isinstance(expression, And | Or):
        for part in expression.parts:
            _walk(part, found)


def _operand(operand: Operand, found: list[str]) -> None:
    if isinstance(operand, Group):
        _walk(operand.expression, found)
    elif isinstance(operand, Symbol) and operand.literal is None and operand.name.lower() not in _NOTHINGS:
        found.append(operand.name)


def _graph_facts(workflow: Any) -> Facts | None:
    """What the flows of another graph leave in their final state."""
    from dwarf.workflow.graph import Graph

    if not isinstance(workflow, Graph):
        return None
    found = Facts()
    for _, _, function in workflow._bindings():
        facts = facts_of(function)
        found.all_writes = found.all_writes and facts.all_writes
        for name, write in facts.writes.items():
            found.write(name, Write(write.kind))
    return found
