"""Reducers: how several contributions to one state field become one value.

Numbers are exact while they are integers. Equality in ``union`` is deep and typed: 1 equals 1.0, but not True.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from enum import StrEnum
from math import isinf
from typing import Final, Protocol

from dwarf.errors import ReducerError
from dwarf.workflow.jsontext import JSON

__all__ = ["Accumulator", "Reducer"]


class Accumulator(Protocol):
    """A running fold of one field. It works on private copies, so a fold of n members takes linear time."""

    def take(self, incoming: JSON) -> None:
        """Fold one more member in. ReducerError on the wrong type; the fold so far is not changed then."""

    def value(self) -> JSON:
        """The result so far. The accumulator must not be used after that."""


class Reducer(StrEnum):
    """How a fan-in, a final state and a continuation combine the contributions to a field. The default is REPLACE."""

    REPLACE = "replace"
    APPEND = "append"
    ADD = "add"
    MIN = "min"
    MAX = "max"
    UNION = "union"
    MERGE = "merge"
    AND = "and"
    OR = "or"
    CONCAT = "concat"

    def reduce(self, base: JSON, incoming: JSON) -> JSON:
        """One step of the fold: a new value, both arguments unchanged. A base of None counts as absent.

        ReducerError when either side is of the wrong type; None as the incoming value is one, except for REPLACE.
        """
        accumulator = self.start(base)
        accumulator.take(incoming)
        return accumulator.value()

    @property
    def has_identity(self) -> bool:
        """Whether there is a value that stands for no contribution at all."""
        return self in _IDENTITIES

    def identity(self) -> JSON:
        """The result of a fold of nothing, a value of the caller's own. KeyError for REPLACE, MIN and MAX."""
        return copy(_IDENTITIES[self])

    def start(self, base: JSON) -> Accumulator:
        """Begin a fold of many members on this base (None: absent). ReducerError when the base is of the wrong type."""
        return _STARTS[self](self, base)


def kind_of(value: JSON) -> str:
    """The JSON type of a value, as error messages call it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, (list, tuple)):
        return "array"
    return "object" if isinstance(value, dict) else type(value).__name__


def _check(reducer: Reducer, side: str, value: JSON, wanted: str) -> None:
    kind = kind_of(value)
    if kind != wanted:
        found = _WITH_ARTICLE.get(kind, kind)
        raise ReducerError(f"reducer '{reducer}': the {side} value must be {_WITH_ARTICLE[wanted]}, not {found}")


_WITH_ARTICLE: Final = {
    "null": "null",
    "bool": "a bool",
    "number": "a number",
    "string": "a string",
    "array": "an array",
    "object": "an object",
}


class _Replace:
    def __init__(self, reducer: Reducer, base: JSON) -> None:
        self._value = base

    def take(self, incoming: JSON) -> None:
        self._value = incoming

    def value(self) -> JSON:
        return self._value


class _Append:
    """An array as the incoming value is spread one level; anything else is one element."""

    def __init__(self, reducer: Reducer, base: JSON) -> None:
        if base is not None:
            _check(reducer, "base", base, "array")
        self._reducer = reducer
        self._items: list[JSON] = list(base or ())

    def take(self, incoming: JSON) -> None:
        if isinstance(incoming, list):
            self._items.extend(incoming)
        elif incoming is None:
            raise ReducerError(f"reducer '{self._reducer}': null cannot be combined")
        else:
            self._items.append(incoming)

    def value(self) -> JSON:
        return self._items


class _Union:
    """Like append, without the elements that are there already; the base keeps its own duplicates."""

    def __init__(self, reducer: Reducer, base: JSON) -> None:
        if base is not None:
            _check(reducer, "base", base, "array")
        self._reducer = reducer
        self._items: list[JSON] = list(base or ())
        self._keys = {identity(item) for item in self._items}

    def take(self, incoming: JSON) -> None:
        if incoming is None:
            raise ReducerError(f"reducer '{self._reducer}': null cannot be combined")
        for item in incoming if isinstance(incoming, list) else (incoming,):
            key = identity(item)
            if key not in self._keys:
                self._keys.add(key)
                self._items.append(item)

    def value(self) -> JSON:
        return self._items


class _Merge:
    """One level deep: the incoming member wins, null members are kept."""

    def __init__(self, reducer: Reducer, base: JSON) -> None:
        if base is not None:
            _check(reducer, "base", base, "object")
        self._reducer = reducer
        self._members: dict[str, JSON] = dict(base or {})

    def take(self, incoming: JSON) -> None:
        _check(self._reducer, "incoming", incoming, "object")
        self._members.update(incoming)

    def value(self) -> JSON:
        return self._members


class _Concat:
    def __init__(self, reducer: Reducer, base: JSON) -> None:
        if base is not None:
            _check(reducer, "base", base, "string")
        self._reducer = reducer
        self._parts: list[str] = [] if base is None else [base]

    def take(self, incoming: JSON) -> None:
        _check(self._reducer, "incoming", incoming, "string")
        self._parts.append(incoming)

    def value(self) -> JSON:
        return "".join(self._parts)


class _Pairwise:
    """A fold of scalars by a function of two of them."""

    def __init__(self, reducer: Reducer, base: JSON) -> None:
        self._wanted, self._combine = _SCALAR[reducer]
        if base is not None:
            _check(reducer, "base", base, self._wanted)
        self._reducer = reducer
        self._value = base

    def take(self, incoming: JSON) -> None:
        _check(self._reducer, "incoming", incoming, self._wanted)
        if self._value is None:
            self._value = incoming
            return
        try:
            self._value = self._combine(self._value, incoming)
        except OverflowError:
            raise ReducerError(f"reducer '{self._reducer}': the result is too large for a number") from None

    def value(self) -> JSON:
        return self._value


def _add(base: JSON, incoming: JSON) -> JSON:
    result = base + incoming
    if isinstance(result, float) and isinf(result):
        raise OverflowError
    return result


# Equal operands keep the base, so that 1 and 1.0 do not change places.
_SCALAR: Final[dict[Reducer, tuple[str, Callable[[JSON, JSON], JSON]]]] = {
    Reducer.ADD: ("number", _add),
    Reducer.MIN: ("number", lambda base, incoming: incoming if incoming < base else base),
    Reducer.MAX: ("number", lambda base, incoming: incoming if incoming > base else base),
    Reducer.AND: ("bool", lambda base, incoming: base and incoming),
    Reducer.OR: ("bool", lambda base, incoming: base or incoming),
}

_STARTS: Final[dict[Reducer, Callable[[Reducer, JSON], Accumulator]]] = {
    Reducer.REPLACE: _Replace,
    Reducer.APPEND: _Append,
    Reducer.UNION: _Union,
    Reducer.MERGE: _Merge,
    Reducer.CONCAT: _Concat,
    **dict.fromkeys(_SCALAR, _Pairwise),
}


_IDENTITIES: Final[dict[Reducer, JSON]] = {
    Reducer.APPEND: [],
    Reducer.UNION: [],
    Reducer.ADD: 0,
    Reducer.CONCAT: "",
    Reducer.MERGE: {},
    Reducer.AND: True,
    Reducer.OR: False,
}


class _Mark:
    """A token that equals nothing but itself, so that no value can be mistaken for it."""


_TRUE, _FALSE, _ARRAY, _OBJECT, _END = (_Mark() for _ in range(5))


def identity(value: JSON) -> object:
    """A hashable that two JSON values share exactly when they are equal: deep, typed, regardless of member order.

    Python's own equality will not do, because True == 1. The result is flat, so that comparing it never recurses.
    """
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if isinstance(value, (dict, list)):
        tokens: list[object] = []
        _flatten(value, tokens)
        return tuple(tokens)
    return value


def _flatten(value: JSON, tokens: list[object]) -> None:
    if isinstance(value, dict):
        tokens.append(_OBJECT)
        for name in sorted(value):
            tokens.append(name)
            _flatten(value[name], tokens)
        tokens.append(_END)
    elif isinstance(value, list):
        tokens.append(_ARRAY)
        for item in value:
            _flatten(item, tokens)
        tokens.append(_END)
    else:
        tokens.append(identity(value))
