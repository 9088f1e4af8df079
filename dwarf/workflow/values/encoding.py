"""From Python values to JSON: the walk over containers, and the tables of what else may be kept.

A value that JSON has no form for becomes a tagged object, ``{"$dwarf": kind, "v": ...}``; some kinds add members beside
``v``. An object of the user's with a member ``$dwarf`` of its own is wrapped: ``{"$dwarf": "dict", "v": {...}}``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from math import isfinite
from types import NoneType
from typing import Any, Final

from dwarf.workflow.jsontext import JSON, largest_integer

__all__ = [
    "ENCODERS",
    "FALLBACKS",
    "LONG",
    "MAX_DEPTH",
    "TAG",
    "Encoder",
    "Refused",
    "TooDeep",
    "encode",
    "encode_dict",
    "encode_float",
    "encode_int",
    "encode_list",
    "encode_str",
    "shown",
]

TAG: Final = "$dwarf"
MAX_DEPTH: Final = 500
"""The deepest nesting of arrays and objects in a value's JSON form. All readers and writers of JSON here manage it."""

LONG: Final = 16
"""From this length on it pays to look at the types of an array's elements first, before the loop over them."""

Encoder = Callable[[Any, int], JSON]
"""Takes a value and the number of containers around it. Raises Refused."""


class Refused(Exception):
    """A value cannot be kept. ``path`` collects the way to it, innermost first, while the exception travels out."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.path: list[str] = []

    def message(self, field: str) -> str:
        steps = [field, *reversed(self.path)] if field else list(reversed(self.path))
        way = "".join(steps[:12]) + ("..." if len(steps) > 12 else "")
        text = f"field '{way.removeprefix('.')}': {self}" if way else str(self)
        return text.encode(errors="backslashreplace").decode()  # a message must be printable, even with unusual names


class TooDeep(Refused):
    """The nesting has no end in sight. Never to be passed over: the next attempt would go as deep again."""

    def __init__(self) -> None:
        super().__init__(f"it is nested deeper than {MAX_DEPTH} levels, or contains itself")


_AS_IS: Final = frozenset({bool, NoneType})
# Integers of 64 bits need no further look.
_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1
_PLAIN: Final = frozenset({int, bool})

ENCODERS: Final[dict[type, Encoder]] = {}
"""By exact type."""

FALLBACKS: Final[list[Callable[[Any, int], JSON]]] = []
"""The encoders of other types, in order: each returns NotImplemented for types that it does not encode."""


def encode(value: Any, depth: int) -> JSON:
    """The JSON form of any value, sharing no container with it."""
    kind = type(value)
    if kind in _AS_IS or (kind is int and _SMALLEST <= value <= _LARGEST):
        return value
    return ENCODERS.get(kind, _encode_other)(value, depth)


def encode_dict(value: dict[Any, Any], depth: int) -> JSON:
    """The JSON form of an object."""
    if TAG in value:
        members = _encode_members(value.items(), depth + 1)
        return {TAG: "dict", "v": members}
    return _encode_members(value.items(), depth)


def _encode_members(items: Iterable[tuple[Any, Any]], depth: int) -> dict[str, JSON]:
    if depth >= MAX_DEPTH:
        raise TooDeep
    result: dict[str, JSON] = {}
    name: Any = ""
    try:
        for name, item in items:
            if type(name) is not str or not name.isascii():
                name = _encode_name(name)
            kind = type(item)
            if (kind is str and item.isascii()) or (kind is int and _SMALLEST <= item <= _LARGEST) or kind in _AS_IS:
                result[name] = item
            else:
                result[name] = ENCODERS.get(kind, _encode_other)(item, depth + 1)
    except Refused as refusal:
        refusal.path.append(f".{name:.60}" if isinstance(name, str) else f"[{shown(name)}]")
        raise
    return result


def encode_list(items: Collection[Any], depth: int) -> list[JSON]:
    """The JSON form of an array."""
    if depth >= MAX_DEPTH:
        raise TooDeep
    if len(items) > LONG and _PLAIN.issuperset(map(type, items)) and _SMALLEST <= min(items) <= max(items) <= _LARGEST:
        return list(items)
    result: list[JSON] = []
    add = result.append
    try:
        for item in items:
            kind = type(item)
            if (kind is str and item.isascii()) or (kind is int and _SMALLEST <= item <= _LARGEST) or kind in _AS_IS:
                add(item)
            else:
                add(ENCODERS.get(kind, _encode_other)(item, depth + 1))
    except Refused as refusal:
        refusal.path.append(f"[{len(result)}]")
        raise
    return result


def _encode_other(value: Any, depth: int) -> JSON:
    for fallback in FALLBACKS:
        result = fallback(value, depth)
        if result is not NotImplemented:
            return result
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    raise Refused(f"a value of type {name} cannot be kept in a state; {_advice(value)}")


def _advice(value: Any) -> str:
    if hasattr(value, "fileno") or hasattr(value, "cursor"):
        return "keep the path or the address, and open it in each task"
    if isinstance(value, Iterable):
        return "make it a list first"
    if callable(value) and hasattr(value, "__name__"):
        return "keep its name"
    return "keep what it holds as a mapping or a dataclass, or write it to a file and keep the path"


def shown(value: Any) -> str:
    """A short repr for messages, also of a value whose repr fails."""
    try:
        return f"{value!r:.60}"
    except Exception:  # noqa: BLE001  a repr may raise anything
        return f"<{type(value).__name__}>"


def _encode_name(name: Any) -> str:
    if not isinstance(name, str):
        raise Refused(f"the keys of a mapping must be strings, not {type(name).__name__}")
    return encode_str(name)


def encode_str(value: str, depth: int = 0) -> str:
    text = str.__str__(value)  # a plain str, even from a subclass with its own __str__
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Refused(f"the string has a lone surrogate at {error.start}, which has no JSON form") from None
    return text


def encode_float(value: float, depth: int = 0) -> JSON:
    number = float.__float__(value)
    # NaN and the infinities have no form in JSON
    return number if isfinite(number) else {TAG: "float", "v": float.__repr__(number)}


def encode_int(value: int, depth: int = 0) -> int:
    number = int.__int__(value)
    if not _SMALLEST <= number <= _LARGEST and abs(number) > largest_integer():
        raise Refused(
            f"an integer of more than {sys.get_int_max_str_digits():,} digits cannot be kept; make it a text, or raise "
            "the limit with sys.set_int_max_str_digits"
        )
    return number


ENCODERS.update({dict: encode_dict, list: encode_list, str: encode_str, float: encode_float, int: encode_int})
