"""Reducers: how several contributions to one state field become one value.

Integers are exact. Equality in ``union`` is deep and typed: 1 equals 1.0, but not True. A value that is stored with a
tag counts as the value behind the tag, as in a condition.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from enum import StrEnum
from math import isinf
from typing import Final, Protocol

from dwarf.errors import ReducerError
from dwarf.workflow.jsontext import JSON, largest_integer
from dwarf.workflow.values.encoding import TAG, encode_float
from dwarf.workflow.values.meaning import Moment, Span, TimeOfDay, behind, order, span_form

__all__ = ["Accumulator", "Reducer"]


class Accumulator(Protocol):
    """A running fold of one field. It works on private copies, so a fold of n members takes linear time."""

    def take(self, incoming: JSON) -> None:
        """Fold one more member in. ReducerError for the wrong type; then the fold so far is unchanged."""

    def value(self) -> JSON:
        """The result. The accumulator must not be used afterwards."""


class Reducer(StrEnum):
    """How a fan-in, a final state and a continuation combine the contributions to a field. The default is REPLACE.

    >>> from dwarf import Reducer
    >>> Reducer.APPEND.reduce([1], [2, 3]), Reducer.MAX.reduce(1, 2)
    ([1, 2, 3], 2)
    """

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

        Values may be of any type that a state can store. ReducerError if either side is of the wrong type; None as the
        incoming value is wrong, except for REPLACE. StateError for a value that no state can store.
        """
        if not (_is_json(base) and _is_json(incoming)):
            from dwarf.workflow.values import from_json, to_json  # they need this module's neighbours

            kept = self.reduce(to_json(base, field="base"), to_json(incoming, field="incoming"))
            return from_json(kept)
        accumulator = self.start(base)
        accumulator.take(incoming)
        return accumulator.value()

    @property
    def _has_identity(self) -> bool:
        """Whether there is a neutral value."""
        return self in _IDENTITIES

    def _identity(self) -> JSON:
        """The result of a fold of nothing, as a new value. KeyError for REPLACE, MIN and MAX."""
        return copy(_IDENTITIES[self])

    def start(self, base: JSON) -> Accumulator:
        """Begin a fold of many members on this base (None: absent). ReducerError if the base is of the wrong type."""
        return _STARTS[self](self, base)


def _is_json(value: object) -> bool:
    """Whether a value is in its stored form."""
    stack: list[object] = [value]
    while stack:
        item = stack.pop()
        if type(item) is dict:
            stack.extend(item.values())
        elif type(item) is list:
            stack.extend(item)
        elif type(item) not in _SCALARS:
            return False
    return True


_SCALARS: Final = frozenset({type(None), bool, int, float, str})


def kind_of(value: JSON) -> str:
    """The JSON type of a value, for error messages."""
    if type(value) is dict:
        meant = behind(value)
        if meant is value and TAG in value:
            return str(value[TAG])
        value = meant
        if isinstance(value, (Moment, TimeOfDay, Span)):
            return _TIMES[type(value)]
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float, Decimal)):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, (list, tuple)):
        return "array"
    return "object" if isinstance(value, dict) else type(value).__name__


_TIMES: Final = {Moment: "date", TimeOfDay: "time", Span: "duration"}


def _check(reducer: Reducer, side: str, value: JSON, wanted: tuple[str, ...]) -> str:
    """The kind of a value. ReducerError if the reducer does not accept it."""
    kind = kind_of(value)
    if kind not in wanted:
        found = _WITH_ARTICLE.get(kind, f"a value of the kind {kind!r:.40}")
        named = " or ".join(_WITH_ARTICLE[name] for name in wanted)
        raise ReducerError(f"reducer '{reducer}': the {side} value must be {named}, not {found}")
    return kind


_WITH_ARTICLE: Final = {
    "null": "null",
    "bool": "a bool",
    "number": "a number",
    "string": "a string",
    "array": "an array",
    "object": "an object",
    "date": "a date",
    "time": "a time of day",
    "duration": "a duration",
}
_ARRAY_ONLY: Final = ("array",)
_OBJECT_ONLY: Final = ("object",)
_STRING_ONLY: Final = ("string",)


class _Replace:
    def __init__(self, reducer: Reducer, base: JSON) -> None:
        self._value = base

    def take(self, incoming: JSON) -> None:
        self._value = incoming

    def value(self) -> JSON:
        return self._value


class _Append:
    """An incoming array is spread one level; any other value is one element."""

    def __init__(self, reducer: Reducer, base: JSON) -> None:
        if base is not None:
            _check(reducer, "base", base, _ARRAY_ONLY)
        self._reducer = reducer
        self._items: list[JSON] = list(behind(base) or ())

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
    """Like append, without the elements that are there already; the base keeps its own duplicates, and stays a set if
    it is one. A set as the incoming value is spread."""

    def __init__(self, reducer: Reducer, base: JSON) -> None:
        if base is not None:
            _check(reducer, "base", base, _ARRAY_ONLY)
        self._reducer = reducer
        self._kind = base[TAG] if _is_set(base) else None
        self._items: list[JSON] = list(behind(base) or ())
        self._keys = {identity(item) for item in self._items}

    def take(self, incoming: JSON) -> None:
        if incoming is None:
            raise ReducerError(f"reducer '{self._reducer}': null cannot be combined")
        items = behind(incoming) if _is_set(incoming) else incoming
        for item in items if isinstance(items, list) else (items,):
            key = identity(item)
            if key not in self._keys:
                self._keys.add(key)
                self._items.append(item)

    def value(self) -> JSON:
        return self._items if self._kind is None else {TAG: self._kind, "v": self._items}


def _is_set(value: JSON) -> bool:
    return type(value) is dict and value.get(TAG) in ("set", "frozenset") and type(value.get("v")) is list


class _Merge:
    """One level deep: the incoming member wins, null members are kept."""

    def __init__(self, reducer: Reducer, base: JSON) -> None:
        if base is not None:
            _check(reducer, "base", base, _OBJECT_ONLY)
        self._reducer = reducer
        self._members: dict[str, JSON] = dict(behind(base) or {})

    def take(self, incoming: JSON) -> None:
        _check(self._reducer, "incoming", incoming, _OBJECT_ONLY)
        self._members.update(behind(incoming))

    def value(self) -> JSON:
        members = self._members
        return {TAG: "dict", "v": members} if TAG in members else members  # a user's member with that name is escaped


class _Concat:
    def __init__(self, reducer: Reducer, base: JSON) -> None:
        if base is not None:
            _check(reducer, "base", base, _STRING_ONLY)
        self._reducer = reducer
        self._parts: list[str] = [] if base is None else [behind(base)]

    def take(self, incoming: JSON) -> None:
        _check(self._reducer, "incoming", incoming, _STRING_ONLY)
        self._parts.append(behind(incoming))

    def value(self) -> JSON:
        return "".join(self._parts)


class _Pairwise:
    """A fold of scalars by a function of two of them, which are of one kind."""

    def __init__(self, reducer: Reducer, base: JSON) -> None:
        self._wanted, self._combine = _SCALAR[reducer]
        self._kind = "" if base is None else _check(reducer, "base", base, self._wanted)
        self._reducer = reducer
        self._value = base

    def take(self, incoming: JSON) -> None:
        kind = _check(self._reducer, "incoming", incoming, self._wanted)
        if self._value is None:
            self._value, self._kind = incoming, kind
            return
        if kind != self._kind:
            _check(self._reducer, "incoming", incoming, (self._kind,))
        try:
            self._value = self._combine(self._value, incoming)
        except OverflowError:
            raise ReducerError(f"reducer '{self._reducer}': the result is too large for a number") from None
        except _Unlike as error:
            raise ReducerError(f"reducer '{self._reducer}': {error}") from None

    def value(self) -> JSON:
        return self._value


class _Unlike(Exception):
    """Two values of one kind do not fit together. The text says why."""


_SMALL: Final = 2**63

# As exact as the largest integer that can be stored: sums of money are never rounded.
_EXACT: Final = Context(prec=4300, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])


def _add(base: JSON, incoming: JSON) -> JSON:
    if type(base) is dict or type(incoming) is dict:
        return _add_tagged(base, incoming)
    result = base + incoming
    if isinstance(result, float):
        if isinf(result):
            raise OverflowError
    elif not -_SMALL < result < _SMALL and abs(result) > largest_integer():
        raise OverflowError
    return result


def _add_tagged(base: JSON, incoming: JSON) -> JSON:
    one, other = behind(base), behind(incoming)
    if isinstance(one, Span):
        exact = "pandas_timedelta" in (base[TAG], incoming[TAG])
        return span_form(one.ns + other.ns, exact=exact)
    if isinstance(one, Decimal) or isinstance(other, Decimal):
        if isinstance(one, float) or isinstance(other, float):
            raise _Unlike("a Decimal and a float have no exact sum: make both of them one or the other")
        return {TAG: "decimal", "v": str(_EXACT.add(Decimal(one), Decimal(other)))}
    if isinf(one) or isinf(other) or one != one or other != other:  # noqa: PLR0124  NaN
        return encode_float(one + other)
    return _add(one, other)


def _less(base: JSON, incoming: JSON) -> bool:
    """Whether the incoming value is less than the base."""
    if type(base) is not dict and type(incoming) is not dict:
        return bool(incoming < base)
    found = order(incoming, base)
    if found is None:
        raise _Unlike("a time with a zone and one without have no order")
    return found == -1


def _and(base: JSON, incoming: JSON) -> JSON:
    return behind(base) and behind(incoming)


def _or(base: JSON, incoming: JSON) -> JSON:
    return behind(base) or behind(incoming)


_ORDERED: Final = ("number", "date", "time", "duration")
# Equal operands keep the base, so that 1 and 1.0 do not swap.
_SCALAR: Final[dict[Reducer, tuple[tuple[str, ...], Callable[[JSON, JSON], JSON]]]] = {
    Reducer.ADD: (("number", "duration"), _add),
    Reducer.MIN: (_ORDERED, lambda base, incoming: incoming if _less(base, incoming) else base),
    Reducer.MAX: (_ORDERED, lambda base, incoming: incoming if _less(incoming, base) else base),
    Reducer.AND: (("bool",), _and),
    Reducer.OR: (("bool",), _or),
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
    """A token that equals only itself, so that no value can be mistaken for it."""


_TRUE, _FALSE, _ARRAY, _OBJECT, _END, _NAN = (_Mark() for _ in range(6))


def identity(value: JSON) -> object:
    """A hashable that two JSON values share exactly when they are equal: deep, typed, regardless of member order.

    Python's own equality will not do, because True == 1. The result is flat, so that comparing it never recurses.
    """
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if type(value) is dict and TAG in value:
        meant = behind(value)
        if isinstance(meant, (Moment, TimeOfDay)):
            return type(meant), meant.local - (meant.offset or 0), meant.offset is None, meant.floating
        if meant != meant:  # noqa: PLR0124  NaN is one value here
            return _NAN
        if not isinstance(meant, (dict, list)):
            return (Span, meant) if isinstance(meant, Span) else identity(meant)
    if isinstance(value, (dict, list)):
        tokens: list[object] = []
        _flatten(value, tokens)
        return tuple(tokens)
    return value


def _flatten(value: JSON, tokens: list[object]) -> None:
    if isinstance(value, dict) and TAG in value and not isinstance(behind(value), (dict, list)):
        tokens.append(identity(value))
    elif isinstance(value, dict):
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
