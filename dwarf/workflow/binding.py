"""Calling a task: arguments from the state, and the result into the state."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple, get_args, get_type_hints

from dwarf.errors import ConfigError, StateError
from dwarf.workflow.convert import convert
from dwarf.workflow.digests import code_digest
from dwarf.workflow.flow import Flow
from dwarf.workflow.habits import WHOLE_STATE
from dwarf.workflow.reducers import Reducer
from dwarf.workflow.suggest import did_you_mean
from dwarf.workflow.typeforms import allows_none, fields_of, is_union, unwrap

_EMPTY = inspect.Parameter.empty
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class _ParameterSlot(NamedTuple):
    """How one parameter gets its value."""

    name: str
    positional: bool
    is_flow: bool
    kind: Any
    default: Any


class Binding:
    """How to call one function as a task. ConfigError for a function that cannot be one.

    Annotations are resolved at the first call of the task, so that they may name classes that are defined later.
    """

    __slots__ = (
        "_code",
        "_digest",
        "_others",
        "_others_kind",
        "_parameters",
        "_slots",
        "_target",
        "function",
        "is_async",
        "url",
    )

    def __init__(self, function: Callable[..., Any], url: str) -> None:
        self.function = function
        self.url = url
        self._target: Any = _plain_function(function)
        self._read_function()

    def _read_function(self) -> None:
        function, target, url = self.function, self._target, self.url
        self._code = getattr(target, "__code__", None)
        if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
            raise ConfigError(
                f"task {url!r} is a generator function (it has a yield): "
                "a task returns its results once, as a mapping, or writes them to the flow"
            )
        self.is_async = inspect.iscoroutinefunction(target)
        self._digest: str | None = None
        self._parameters, self._others = self._read_signature(function)
        self._others_kind: Any = Any
        self._slots: list[_ParameterSlot] | None = None

    def _heed(self) -> None:
        """Read the function again if its code has changed: %autoreload puts the new code into the old function."""
        if self._code is not getattr(self._target, "__code__", None):
            self._read_function()

    def _read_signature(self, function: Any) -> tuple[list[inspect.Parameter], inspect.Parameter | None]:
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            raise ConfigError(f"the parameters of task {self.url!r} cannot be read; wrap it in a function") from None
        bound = _bound_keywords(function)
        parameters: list[inspect.Parameter] = []
        others = None
        for parameter in signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                raise ConfigError(
                    f"task {self.url!r} takes *{parameter.name}, which no state field can fill: name its parameters "
                    "(and give a decorator around it functools.wraps)"
                )
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                others = parameter
            elif parameter.name not in bound:
                parameters.append(parameter)
        return parameters, others

    @property
    def digest(self) -> str:
        """The digest of the function's code, computed at the first request."""
        self._heed()
        if self._digest is None:
            self._digest = code_digest(self.function)
        return self._digest

    @property
    def inputs(self) -> tuple[str, ...] | None:
        """The names of the state fields that a call takes; None if it may read any, through a Flow or ``**fields``."""
        self._heed()
        slots = self._slots if self._slots is not None else self.resolve()
        if self._others is not None or any(slot.is_flow for slot in slots):
            return None
        return tuple(slot.name for slot in slots)

    # ------------------------------------------------------------------ before the call

    def call_arguments(self, flow: Flow) -> tuple[list[Any], dict[str, Any]]:
        """The arguments for one call. Must be requested in the coroutine or thread that makes the call.

        StateError, naming task and parameter, if the state does not fit.
        """
        flow._called_here()
        self._heed()
        slots = self._slots if self._slots is not None else self.resolve()
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for slot in slots:
            value = flow if slot.is_flow else self._value(slot, flow)
            if slot.positional:
                args.append(value)
            else:
                kwargs[slot.name] = value
        if self._others is not None:
            taken = {slot.name for slot in slots} | _bound_keywords(self.function)
            for name in flow:
                if name not in taken:
                    kwargs[name] = self._read(name, self._others_kind, flow)
        return args, kwargs

    def _value(self, slot: _ParameterSlot, flow: Flow) -> Any:
        if slot.name in flow:
            return self._read(slot.name, slot.kind, flow)
        if slot.default is not _EMPTY:
            return slot.default
        if slot.name in flow._gathered:
            return self._nothing_gathered(slot, flow._gathered[slot.name])
        if slot.kind is not Any and allows_none(slot.kind):
            return None
        if f"{slot.name}Index" in flow and f"{slot.name}Count" in flow:
            raise StateError(_none_among_items(self.url, slot, flow[f"{slot.name}Index"]))
        hint = did_you_mean(slot.name, flow)
        if not hint and slot.name in WHOLE_STATE:
            hint = ": a task that takes the whole state declares `flow: Flow`, and reads flow['x'] or flow.load(Model)"
        raise StateError(f"task {self.url!r} needs the state field {slot.name!r}, which is absent{hint}")

    def _nothing_gathered(self, slot: _ParameterSlot, reducer: str) -> Any:
        """The value of a field behind a fan-out whose branches have contributed nothing to it."""
        if unwrap(slot.kind) is timedelta and reducer == Reducer.ADD:
            return timedelta()
        return convert(
            Reducer(reducer)._identity(),
            slot.kind,
            f"task {self.url!r}: field {slot.name!r}, to which nobody contributed",
        )

    def _read(self, name: str, kind: Any, flow: Flow) -> Any:
        try:
            return flow[name] if kind is Any else flow.get_as(name, kind)
        except StateError as error:
            raise StateError(f"task {self.url!r}: {error}") from error

    def resolve(self) -> list[_ParameterSlot]:
        """Resolve the annotations. Returns how each parameter is filled. StateError if one cannot be resolved."""
        slots = []
        for parameter in self._parameters:
            kind = self._annotation(parameter)
            is_flow = parameter.name == "flow" or _is_flow(kind)
            slots.append(
                _ParameterSlot(parameter.name, parameter.kind in _POSITIONAL, is_flow, kind, parameter.default)
            )
        if self._others is not None:
            self._others_kind = self._annotation(self._others)
        self._slots = slots
        return slots

    def kinds(self) -> list[Any]:
        """The types of the parameters, as far as they have been resolved."""
        return [self._others_kind, *(slot.kind for slot in self._slots or ())]

    def _annotation(self, parameter: inspect.Parameter) -> Any:
        annotation = parameter.annotation
        if annotation is _EMPTY or parameter.name == "flow":
            return Any
        holder: Any = SimpleNamespace(__annotations__={parameter.name: annotation})
        names, local_names = _namespaces(self.function)
        try:
            return get_type_hints(holder, names, local_names, include_extras=True)[parameter.name]
        except Exception as error:  # noqa: BLE001 - an annotation may hold any expression
            if isinstance(annotation, str) and annotation.rpartition(".")[2].strip("'\" ") == "Flow":
                return Flow  # imported for type checkers only
            raise StateError(
                f"task {self.url!r}: the annotation {annotation!r} of parameter {parameter.name!r} cannot be "
                f"resolved ({error}): import or define it at the level of the module, not for type checking only"
            ) from None

    # ------------------------------------------------------------------ after the call

    def store_result(self, flow: Flow, result: Any) -> None:
        """Write the return value of the task to the flow. StateError for a value that cannot be written."""
        if result is None or result is flow:
            return
        fields = fields_of(result)
        if fields is None:
            kind = "an awaitable" if inspect.isawaitable(result) else f"a value of type {type(result).__name__}"
            raise StateError(
                f"task {self.url!r} returned {kind}; a task may return None, a mapping, a dataclass or "
                "a pydantic model, whose fields are written to the state, as in: return {'result': value}"
            )
        try:
            flow.update(fields)
        except StateError as error:
            raise StateError(f"the result of task {self.url!r}: {error}") from error


def _none_among_items(url: str, slot: _ParameterSlot, place: Any) -> str:
    kind = getattr(slot.kind, "__name__", None) if isinstance(slot.kind, type) and slot.kind is not Any else None
    takes = f"`{slot.name}: {kind} | None`" if kind else f"`{slot.name}=None`"
    return f"task {url!r} needs {slot.name!r}, and the item with the index {place} is None: {takes} takes it"


def _plain_function(function: Any) -> Any:
    """The function that a call ends in: the function of a partial, the ``__call__`` of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    return getattr(type(function), "__call__", function)  # noqa: B004 - its value is wanted, not whether it is there


def _bound_keywords(function: Any) -> set[str]:
    # a partial's keywords show in its signature as defaults, but they are bound: no state field replaces them
    bound: set[str] = set()
    while isinstance(function, functools.partial):
        bound.update(function.keywords)
        function = function.func
    return bound


def _namespaces(function: Any) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """The global names, and the names of enclosing functions, that a function's annotations may use."""
    target = inspect.unwrap(_plain_function(function))
    if isinstance(target, type):
        module = sys.modules.get(target.__module__)
        return vars(module) if module is not None else {}, {}
    target = getattr(target, "__func__", target)
    local_names: dict[str, Any] = {}
    code = getattr(target, "__code__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(target, "__closure__", None) or (), strict=False):
        try:
            local_names[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return getattr(target, "__globals__", {}), local_names


def _is_flow(kind: Any) -> bool:
    kind = unwrap(kind)
    if is_union(kind):
        return any(_is_flow(option) for option in get_args(kind))
    return isinstance(kind, type) and issubclass(kind, Flow)
