"""Which nodes follow a completed step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dwarf.core.plan import Edge, NodePlan
from dwarf.core.records import JSON, State
from dwarf.workflow.graph import END
from dwarf.workflow.values.items import items_of
from dwarf.workflow.values.meaning import behind, kind_name


class RoutingError(Exception):
    """The graph has no way on for this state: the step fails without its error handler."""


@dataclass(slots=True)
class Candidate:
    """A possible successor node, with the fields that one item of a ``for_each`` adds to its state."""

    target: str
    injected: Mapping[str, JSON] | None = None


@dataclass(slots=True)
class Route:
    """The candidates in order; END is left out and noted in ``ended``. ``notes`` are remarks of the conditions."""

    candidates: list[Candidate]
    ended: bool
    notes: Sequence[str] = ()


_BY_ERROR = "error"
_BY_GOTO = "goto:"


def route_text(goto: str, error_routed: bool) -> str:
    """How a step was left, in its stored form; "" if its edges alone decided."""
    if error_routed:
        return _BY_ERROR
    return f"{_BY_GOTO}{goto}" if goto else ""


def read_route(text: str) -> tuple[str, bool]:
    """The goto target or "", and whether an error handler took over."""
    return (text.removeprefix(_BY_GOTO), False) if text.startswith(_BY_GOTO) else ("", text == _BY_ERROR)


def route(node: NodePlan, view: State, *, goto: str = "", error_routed: bool = False) -> Route:
    """The candidates after ``node``, for the state ``view``.

    RoutingError if the graph has no way on for the state; ConditionError for a bad regular expression.
    """
    # nearly every step: one edge without a condition, for which no state has to be looked at
    if node.only_target and not goto and not error_routed:
        return Route([Candidate(node.only_target)], False)
    notes: list[str] = []
    if error_routed:
        found = [Candidate(node.on_error)]
    elif goto:
        found = [_goto(node, goto)]
    elif node.arms:
        found = _switch(node, view, notes)
    else:
        found = [candidate for edge in node.edges for candidate in _follow(edge, view, notes)]
    real = [candidate for candidate in found if candidate.target != END]
    return Route(real, len(real) < len(found), notes)


def _goto(node: NodePlan, target: str) -> Candidate:
    if target not in node.gotos:
        raise RoutingError(
            f"task {node.name!r} went to {target!r}, but the graph has no goto edge from {node.name!r} to {target!r}: "
            f"add_goto({node.name!r}, {target!r})"
        )
    return Candidate(target)


def _switch(node: NodePlan, view: State, notes: list[str]) -> list[Candidate]:
    for condition, target in node.arms:
        if condition.evaluate(view, notes):
            return [Candidate(target)]
    return []


def _follow(edge: Edge, view: State, notes: list[str]) -> list[Candidate]:
    if edge.when is not None and not edge.when.evaluate(view, notes):
        return []
    if not edge.for_each:
        return [Candidate(edge.target)]
    items = _items(edge, view)
    item, index, count = edge.item, f"{edge.item}Index", f"{edge.item}Count"
    return [
        Candidate(edge.target, {item: element, index: position, count: len(items)})
        for position, element in enumerate(items)
    ]


def _items(edge: Edge, view: State) -> list[JSON]:
    value = view.get(edge.for_each)
    if value is None:
        return []
    items = items_of(value)
    if items is None:
        raise RoutingError(f"for_each field {edge.for_each!r} is not an array, but {_described(value)}")
    return items


def _described(value: JSON) -> str:
    """The kind of a value that should have items, and a hint what to write instead."""
    meant = behind(value)
    hint = ""
    if isinstance(meant, dict) and "$dwarf" not in meant:
        hint = " (write a list to the state: list(value.items()), or its values)"
    elif isinstance(meant, str):
        hint = " (write a list to the state: its words by text.split(), or [text])"
    elif isinstance(meant, (int, float)) and not isinstance(meant, bool):
        hint = " (write a list to the state: list(range(n)))"
    return f"{kind_name(value)}{hint}"
