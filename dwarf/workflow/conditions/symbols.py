"""What the names in a condition stand for.

A name is looked up in the working state only when its part of the condition is evaluated, and nothing is copied or
flattened for it. Where names of fields hold dots themselves, the longest one that leads to something wins: ``a.b.c`` is
the field ``a.b.c``, else the member ``c`` of the field ``a.b``, else the member ``b.c`` of the field ``a``, and so on.
Behind an array the rest of the name is a membership test: ``roles.admin`` is true if ``roles`` holds the string
``admin``; numbers are spelt as short as possible and without an exponent (``codes.7``, ``rates.2.5``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from dwarf.workflow.conditions.syntax import Symbol
from dwarf.workflow.jsontext import JSON, read_int
from dwarf.workflow.values.encoding import TAG
from dwarf.workflow.values.meaning import behind

__all__ = ["State", "compile_symbol"]

State = Mapping[str, JSON]

_PATH: Final = re.compile(r"[0-9A-Za-z_]+(?:\.[0-9A-Za-z_]+)+")
_SHORTEST: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?")
_MISSING: Final = object()


def compile_symbol(symbol: Symbol) -> Callable[[State], JSON]:
    """A function from a state to the symbol's value there: the field, else the literal, else None."""
    name, literal = symbol.name, symbol.literal
    if not _PATH.fullmatch(name):
        if literal is None:
            return lambda state: state.get(name)

        def read(state: State) -> JSON:
            value = state.get(name)
            return literal if value is None else value

        return read

    first = name[: name.index(".")]

    def follow(state: State) -> JSON:
        value = state.get(name)
        if value is not None:
            return value
        # Nearly always the first segment is the only name to try.
        value = _walk(state, name, 0) if name.count(".") > 1 else _step(state.get(first), name, len(first) + 1)
        return literal if value is _MISSING else value

    return follow


def _step(value: JSON, name: str, start: int) -> JSON | object:
    """The rest of a name, from ``start`` on and without further dots, in an object or an array."""
    if isinstance(value, dict):
        if TAG in value:
            found = _behind_tag(value, name, start)
            if found is not _MISSING:
                return found
        return value.get(name[start:], _MISSING)
    return _holds(value, name[start:]) if isinstance(value, list) else _MISSING


def _behind_tag(value: JSON, name: str, start: int) -> JSON | object:
    meant = behind(value)
    return _MISSING if meant is value else _step(meant, name, start)


def _walk(state: State, name: str, start: int) -> JSON | object:
    """The same for a rest with any number of dots: depth first, the longest name of a member first."""
    pending: list[tuple[JSON, int]] = [(state, start)]
    while pending:
        value, start = pending.pop()
        if isinstance(value, list):
            if _holds(value, name[start:]) is True:
                return True
        elif isinstance(value, Mapping):
            found = value.get(name[start:], _MISSING)
            if found is not _MISSING and (found is not None or start):
                return found
            dot = name.find(".", start)
            while dot >= 0:  # pushed from the shortest to the longest, so the longest is taken first
                inner = value.get(name[start:dot])
                if isinstance(inner, (dict, list)):
                    pending.append((inner, dot + 1))
                    if (meant := behind(inner)) is not inner:
                        pending.append((meant, dot + 1))
                dot = name.find(".", dot + 1)
    return _MISSING


def _holds(items: list[JSON], text: str) -> JSON | object:
    """True if an element is spelt like this; never False, because the name may lead elsewhere too."""
    if text in items:
        return True
    if dict in map(type, items):
        items = [behind(item) for item in items]
        if text in items:
            return True
    if text in ("true", "false"):
        wanted = text == "true"
        return True if any(item is wanted for item in items) else _MISSING
    number = _number_spelt(text)
    if number is None or number not in items:
        return _MISSING
    # For 0 and 1 a bool may have answered.
    return True if any(item == number and not isinstance(item, bool) for item in items) else _MISSING


def _number_spelt(text: str) -> JSON:
    """The number whose shortest decimal spelling this is, or None."""
    if not _SHORTEST.fullmatch(text):
        return None
    if "." not in text:
        return read_int(text)
    number = float(text)
    return number if format(Decimal(repr(number)), "f") == text else None
