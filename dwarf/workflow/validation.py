"""Validation: all errors of a graph, found at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dwarf.errors import ConditionError, GraphError
from dwarf.workflow.conditions import parse
from dwarf.workflow.drawing.networks import to_networkx
from dwarf.workflow.identity import another_url, described, same_task
from dwarf.workflow.lineage import lineage_problems
from dwarf.workflow.parts import END, shown
from dwarf.workflow.reducers import Reducer
from dwarf.workflow.suggest import did_you_mean

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph, Task
    from dwarf.workflow.parts import Transition

__all__ = ["problems_of", "validate"]

_LISTED: Final = 20


def validate(graph: Graph) -> None:
    """GraphError if anything is wrong. Its ``problems`` contain all errors, its text the first."""
    problems = problems_of(graph)
    if len(problems) == 1:
        raise GraphError(problems[0], problems)
    if problems:
        label = f"graph {graph.name!r}"
        listed = [problem.removeprefix(f"{label}: ") for problem in problems[:_LISTED]]
        lines = [f"{label} has {len(problems)} problems:", *listed]
        if len(problems) > _LISTED:
            lines.append(f"and {len(problems) - _LISTED} more")
        raise GraphError("\n  - ".join(lines), problems)


def problems_of(graph: Graph) -> list[str]:
    """Every problem of a graph, each a sentence that names it: the graph, its nodes, transitions, ways, fan-outs."""
    label = f"graph {graph.name!r}"
    problems = [
        f"{label}: {problem}"
        for part in (_head, _nodes, _tasks, _entry, _marks, _edges, _mixed, _reducers, _ways)
        for problem in part(graph)
    ]
    if graph.url_of(graph.entry) and graph.entry != END:
        problems += lineage_problems(graph)
    return list(dict.fromkeys(problems))  # duplicate transitions have the same error


def _head(graph: Graph) -> Iterator[str]:
    if not graph.name:
        yield "a graph name is required; give it one: Graph('name')"
    if not graph.nodes:
        yield "the graph has no tasks; add some with add_node or add_transition"


def _nodes(graph: Graph) -> Iterator[str]:
    seen: set[str] = set()
    for node in graph.nodes:
        if node.name == END:
            yield "duplicate node 'END': the name is reserved for the end of the flow; rename the node"
        elif node.name in seen:
            yield f"duplicate node {_quoted(node.name)}; names must differ, but several nodes may share a task's URL"
        seen.add(node.name)
        if not node.name:
            yield "a node named '' has no URL; give every node a name"
        elif not node.url:
            yield f"node {_quoted(node.name)} has no URL; bind it to a task with add_node"


def _tasks(graph: Graph) -> Iterator[str]:
    """Different functions under one URL: only one of them could ever run."""
    bound: dict[str, tuple[str, Task]] = {}
    for name, url, function in graph._bindings():
        if function is None:
            continue
        first, known = bound.setdefault(url, (name, function))
        if not same_task(known, function):
            yield (
                f"nodes {_quoted(first)} and {_quoted(name)} are bound to different functions of one URL, {url!r}: "
                f"{described(known)} and {described(function)}; {another_url(function)}"
            )


def _entry(graph: Graph) -> Iterator[str]:
    if graph.entry == END:
        yield "the entry point is END, and the nodes are not reachable from entry point END; set_entry to a node"
    elif graph.nodes and all(node.name != graph.entry for node in graph.nodes):
        yield f"entry point {_quoted(graph.entry)} is not a registered node; add it, or set_entry to one that is"


def _marks(graph: Graph) -> Iterator[str]:
    known = {node.name for node in graph.nodes}
    for name in graph._fan_in_marks:
        if name == END:
            yield "set_fan_in cannot mark END; mark the node before it"
        elif name not in known:
            yield f"set_fan_in references unknown node {_quoted(name)}; add it, or mark another"


def _edges(graph: Graph) -> Iterator[str]:
    known = {node.name for node in graph.nodes}
    handled: set[str] = set()
    for edge in graph.transitions:
        arrow = f"transition {_quoted(edge.source)} -> {_quoted(edge.target)}"
        for fault in _ends(edge, known):
            yield f"{arrow}: {fault}"
        for fault in _kinds(edge, handled):
            yield f"{arrow} {fault}"
        if edge.on_error:
            handled.add(edge.source)
        if edge.when:
            try:
                parse(edge.when)
            except ConditionError as error:
                reason = str(error).partition("\n")[0]  # the lines below it point at the position
                yield f"{arrow} has invalid 'when' expression {edge.when!r}: {reason}"


def _ends(edge: Transition, known: set[str]) -> Iterator[str]:
    if edge.source == END:
        yield "there is no way out of END; END is terminal"
    elif edge.source not in known:
        yield f"it is a transition from unknown node {_quoted(edge.source)}; add the node"
    if edge.target != END and edge.target not in known:
        yield f"it is a transition to unknown node {_quoted(edge.target)}; add the node"


def _kinds(edge: Transition, handled: set[str]) -> Iterator[str]:
    """Marks that exclude each other. ``handled`` are the nodes with an error handler from an earlier transition."""
    if edge.for_each and edge.goto:
        yield "cannot combine forEach and withGoto; a goto leads to a single step"
    if edge.item and not edge.for_each:
        yield "has 'as' without 'forEach'; name the state field that holds the list: add_for_each(..., items='orders')"
    if edge.on_error:
        for other, key in ((edge.for_each, "forEach"), (edge.goto, "withGoto")):
            if other:
                yield f"cannot combine onError with {key}; add two transitions"
        if edge.when:
            yield "is an onError transition and cannot have a 'when'; let the handler decide, by a switch behind it"
        if edge.source in handled:
            yield f"is one of more than one onError transition of {_quoted(edge.source)}; a node has one error handler"
    if edge.switch:
        for other, key in ((edge.for_each, "forEach"), (edge.goto, "withGoto"), (edge.on_error, "onError")):
            if other:
                yield f"cannot combine switch with {key}; add two transitions"
        if not edge.when:
            yield "is a switch arm, and a switch requires a 'when' (use \"true\" for the default)"
    if edge.on_error and edge.source == edge.target:
        yield "is an onError transition to itself and would loop; use flow.retry in the task"


def _mixed(graph: Graph) -> Iterator[str]:
    switches = {edge.source: None for edge in graph.transitions if edge.switch}
    for name in switches:
        for edge in graph.transitions_from(name):
            if not (edge.switch or edge.on_error or edge.goto):
                yield (
                    f"node {_quoted(name)} mixes switch with non-switch transitions (to {_quoted(edge.target)}); make "
                    "that one an arm or the default of the switch, or branch at a node behind it"
                )
                break


def _reducers(graph: Graph) -> Iterator[str]:
    for field, reducer in graph.reducers.items():
        if reducer not in _KNOWN_REDUCERS:
            habit = _HABITS.get(reducer.lower())
            hint = f"; did you mean {habit!r}?" if habit else did_you_mean(reducer, _KNOWN_REDUCERS)
            yield f"field {field!r} has an unknown reducer {reducer!r}{hint or '; known are ' + ', '.join(Reducer)}"


_KNOWN_REDUCERS: Final = frozenset(["", *(str(reducer) for reducer in Reducer)])
_HABITS: Final = {
    "sum": "add", "+": "add", "plus": "add", "extend": "append", "list": "append", "concatenate": "append",
    "update": "merge", "dict": "merge", "set": "union", "all": "and", "any": "or", "last": "replace",
    "overwrite": "replace", "join": "concat", "str": "concat", "minimum": "min", "maximum": "max",
}  # fmt: skip


def _ways(graph: Graph) -> Iterator[str]:
    import networkx as nx

    names = {node.name: None for node in graph.nodes if node.name != END}
    if graph.entry in names:
        reached = nx.descendants(to_networkx(graph), graph.entry)
        for name in names:
            if name != graph.entry and name not in reached:
                yield (
                    f"node {_quoted(name)} is not reachable from entry point {_quoted(graph.entry)}; "
                    "add a transition to it, or leave it out"
                )
    if names and all(edge.target != END for edge in graph.transitions):
        slip = next((name for name in names if name.upper() == END), "")
        hint = (
            f"{_quoted(slip)} is a node of its own: did you mean dwarf.END?" if slip else "add one from the last node"
        )
        yield f"there is no transition to END; {hint}"


def _quoted(name: str) -> str:
    return repr(shown(name))
