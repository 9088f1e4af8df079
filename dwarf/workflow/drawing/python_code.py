"""A graph as the code that builds it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dwarf.workflow.parts import END, Transition
from dwarf.workflow.policies import Cache, Retry
from dwarf.workflow.reducers import Reducer
from dwarf.workflow.tasks import node_mark

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph

__all__ = ["to_python"]

_WIDTH = 100  # characters of a call on one line
_POLICIES = ("limit", "retry", "time_budget", "cache", "executor", "labels")


class _Code(str):
    """A piece of code, as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass
class _BuilderCall:
    """One call of the builder: as code, and with the values that make the same without any function."""

    method: str
    args: list[Any]
    named: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)  # in place of what is only code

    def code(self) -> str:
        """The call as text."""
        told = [repr(each) for each in self.args] + [f"{name}={value!r}" for name, value in self.named.items()]
        line = f".{self.method}({', '.join(told)})"
        if len(line) <= _WIDTH:
            return line
        return f".{self.method}(\n" + "".join(f"    {each},\n" for each in told) + ")"


def to_python(graph: Graph) -> str:
    """Code that makes an equal graph named ``graph``, with the names of its functions where it has them.

    Where the builder could not make it, as it is read from JSON that no builder wrote, the code reads that JSON.
    """
    names = _function_names(graph)
    calls = [*_nodes(graph, names), *_edges(graph), *_rest(graph)]
    if not _makes(graph, calls):
        return f"from dwarf import Graph\n\ngraph = Graph.from_json(\n    {graph.to_json()!r}\n)\n"
    head = f"Graph({graph.name!r}{_reducers(graph)})"
    body = "\n".join(call.code() for call in calls)
    used = [name for name in ("Cache", "Limit", "Reducer", "Retry") if f"{name}(" in body or f"{name}." in head + body]
    imports = ", ".join(sorted(["END"] * (_END_CODE in _texts(calls)) + ["Graph", *used], key=str.lower))
    indented = "".join(f"    {line}\n" for line in [head, *body.splitlines()])
    return f"from dwarf import {imports}\n\ngraph = (\n{indented})\n"


_END_CODE = _Code("END")


def _texts(calls: list[_BuilderCall]) -> list[Any]:
    return [each for call in calls for each in (*call.args, *call.named.values()) if isinstance(each, _Code)] + [
        target
        for call in calls
        for each in call.args
        if isinstance(each, dict)
        for target in each.values()
        if isinstance(target, _Code)
    ]


def _function_names(graph: Graph) -> dict[str, Any]:
    """By node: the function whose name stands for its task, where no other one has the name."""
    found: dict[str, Any] = {}
    owners: dict[str, Any] = {}
    for name, _, function in graph._bindings():
        own = getattr(function, "__name__", None) if inspect.isfunction(function) else None
        if own is not None and own.isidentifier() and owners.setdefault(own, function) is function:
            found[name] = function
    return found


def _nodes(graph: Graph, functions: Mapping[str, Callable[..., Any]]) -> Iterator[_BuilderCall]:
    for node in graph.nodes:
        call = _BuilderCall("add_node", [node.name])
        function = functions.get(node.name)
        marks: Any = None
        if function is not None:
            marks = node_mark(function, graph.name, node.name)
            if marks.url == node.url:
                call.args.append(_Code(function.__name__))
            else:
                marks = None
        if marks is None and node.url != node.name:
            call.args.append(node.url)
        if node.fan_in:
            call.named["fan_in"] = True
        for policy in _POLICIES:
            _add_policy(call, policy, getattr(node, policy), getattr(marks, policy, None))
        call.values["url"] = node.url
        yield call


def _add_policy(call: _BuilderCall, name: str, value: Any, marked: Any) -> None:
    call.values[name] = value
    if (value or None) == (marked or None):
        return
    if name == "labels":
        call.named[name] = sorted(value)
        return
    if value is None:
        call.named[name] = False if name == "cache" else None
    elif name == "time_budget":
        call.named[name] = _number(value)
    else:
        call.named[name] = value if isinstance(value, str) else _policy(value)


def _policy(value: Any) -> Any:
    if isinstance(value, Retry):
        given = _differing(value, Retry(), ("delay", "factor", "max_delay", "jitter", "give_up_after", "retry_on"))
        return _Code(f"Retry({', '.join([str(value.max_attempts), *given])})")
    if isinstance(value, Cache):
        given = _differing(value, Cache(), ("ttl", "key", "version"))
        return _Code(f"Cache({', '.join(given)})") if given else True
    told = {"concurrency": value.concurrency, "rate": value.rate, "key": value.key or None}
    return _Code(f"Limit({', '.join(f'{name}={each!r}' for name, each in told.items() if each is not None)})")


def _differing(value: Any, usual: Any, names: tuple[str, ...]) -> list[str]:
    found = [(name, getattr(value, name)) for name in names if getattr(value, name) != getattr(usual, name)]
    return [f"{name}={_plain(each)!r}" for name, each in found]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return _number(value) if isinstance(value, float) else value


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def _edges(graph: Graph) -> Iterator[_BuilderCall]:
    """The transitions in their order, those together that one call makes."""
    edges = list(graph.transitions)
    while edges:
        first = edges[0]
        if first.switch:
            together = _switch(edges)
            yield together[0]
            del edges[: together[1]]
        elif first.goto or first.on_error or first.for_each or first.when:
            yield _single(first)
            del edges[0]
        else:
            chain = [first]
            for before, edge in pairwise(edges):
                if not _is_plain(edge) or edge.source != before.target:
                    break
                chain.append(edge)
            names = [first.source, *(edge.target for edge in chain)]
            yield _BuilderCall("add_chain" if len(chain) > 1 else "add_transition", [_name(name) for name in names])
            del edges[: len(chain)]


def _is_plain(edge: Transition) -> bool:
    return not (edge.when or edge.switch or edge.goto or edge.on_error or edge.for_each)


def _single(edge: Transition) -> _BuilderCall:
    ends = [_name(edge.source), _name(edge.target)]
    if edge.goto:
        return _BuilderCall("add_goto", ends)
    if edge.on_error:
        return _BuilderCall("add_error_handler", ends)
    if edge.for_each:
        named = {"items": edge.for_each, **({"item": edge.item} if edge.item != "item" else {})}
        return _BuilderCall("add_for_each", ends, named)
    return _BuilderCall("add_transition", ends, {"when": edge.when})


def _switch(edges: list[Transition]) -> tuple[_BuilderCall, int]:
    """The call that makes the arms of one switch at the head of these edges, and how many they are."""
    source = edges[0].source
    arms: dict[str, Any] = {}
    default: Any = None
    count = 0
    for edge in edges:
        if not edge.switch or edge.source != source or edge.when in arms or default is not None:
            break
        if edge.when == "true":
            default = _name(edge.target)
        else:
            arms[edge.when] = _name(edge.target)
        count += 1
    return _BuilderCall("add_switch", [_name(source), arms], {} if default is None else {"default": default}), count


def _rest(graph: Graph) -> Iterator[_BuilderCall]:
    known = {node.name for node in graph.nodes}
    for name in graph._fan_in_marks:
        if name not in known:
            yield _BuilderCall("set_fan_in", [name])
    if graph.nodes and graph.entry != graph.nodes[0].name:
        yield _BuilderCall("set_entry", [graph.entry])


def _name(name: str) -> str:
    return _END_CODE if name == END else name


def _reducers(graph: Graph) -> str:
    if graph._reducers is None:
        return ""
    told = {
        name: _Code(f"Reducer.{reducer.name}") if isinstance(reducer, Reducer) else reducer
        for name, reducer in graph.reducers.items()
    }
    return f", reducers={told!r}"


def _makes(graph: Graph, calls: list[_BuilderCall]) -> bool:
    """Whether these calls make an equal graph."""
    made = type(graph)(graph.name, reducers=graph._reducers)
    try:
        for call in calls:
            if call.method == "add_node":
                values = dict(call.values)
                policies = {name: value for name, value in values.items() if name != "url" and value is not None}
                made.add_node(call.args[0], values["url"], fan_in=bool(call.named.get("fan_in")), **policies)
            else:
                plain = [str(each) if isinstance(each, _Code) else each for each in call.args]
                named = {name: str(value) if isinstance(value, _Code) else value for name, value in call.named.items()}
                getattr(made, call.method)(*plain, **named)
    except Exception:  # noqa: BLE001 - whatever the builder refuses, it does not make
        return False
    return made == graph and made.to_json() == graph.to_json()
