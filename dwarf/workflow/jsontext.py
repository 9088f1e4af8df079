"""JSON text: fast, and exact for integers of any size.

orjson does the work wherever it is exact. It writes integers of 64 bits only, reads larger ones as floats, writes NaN
as null and stops at 254 levels, so those cases are recognised and handled here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from math import isfinite, isnan
from typing import Any, Final

from dwarf.errors import StateError

__all__ = ["JSON", "dumps", "largest_integer", "loads", "read_int"]

JSON = Any
"""None, bool, int, float, str, a list of JSON, or a dict of JSON with str keys."""

_strict = 0  # orjson's options, once it is loaded


def _dump(value: JSON, default: None, option: int) -> bytes:
    """orjson's own function from the first call on: loading it takes a tenth of `import dwarf`, and a graph does not
    need it.
    """
    _load()
    return _dump(value, default, _strict)


def _parse(data: bytes) -> JSON:
    """The same for reading."""
    _load()
    return _parse(data)


def _load() -> None:
    import orjson

    strict = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
    globals().update(_strict=strict, _dump=orjson.dumps, _parse=orjson.loads)


# Digits become "0", the minus sign stays, everything else becomes a space: then two substring searches tell whether
# the text may hold an integer outside of [-2**63, 2**64), which takes twenty digits, or a minus and nineteen.
_DIGITS: Final = bytes(48 if 48 <= byte <= 57 else 45 if byte == 45 else 32 for byte in range(256))
_LONG: Final = b"0" * 20
_LONG_NEGATIVE: Final = b"-" + b"0" * 19

# Python refuses to convert between int and str beyond this many digits; the decimal module has no such limit.
_STR_DIGITS: Final = 4000
_LARGE: Final = 10**_STR_DIGITS


def largest_integer() -> int:
    """The largest integer that a value may contain: as many digits as the interpreter converts, 4,300 by default.

    ``sys.set_int_max_str_digits`` is the setting. Stored integers with more digits can still be read and passed on.
    """
    return _nines(sys.get_int_max_str_digits() or _NO_LIMIT)


_NO_LIMIT: Final = 1_000_000


@lru_cache(maxsize=4)
def _nines(digits: int) -> int:
    return 10**digits - 1  # type: ignore[no-any-return]


def dumps(value: JSON) -> str:
    """The compact JSON text of a plain JSON value.

    StateError for values without one: NaN, infinities, lone surrogates, member names that are not str.
    """
    try:
        text = _dump(value, None, _strict).decode()
    except TypeError:
        return _write_all(value)
    # A null in the text may stand for a NaN or an infinity: the slow writer tells them apart.
    return _write_all(value) if "null" in text and _has_bad_float(value) else text


def loads(text: str | bytes, *, bounded: bool = False) -> JSON:
    """The value of a JSON text. StateError if it is not JSON (no NaN, no infinities, no lone surrogates).

    ``bounded``: for text from outside, where an integer with more digits than a value may contain is a StateError, too.
    """
    try:
        data = text.encode() if isinstance(text, str) else text
        digits = data.translate(_DIGITS)
        if _LONG in digits or _LONG_NEGATIVE in digits:
            return _read_exactly(data, _read_bounded if bounded else read_int)
        return _parse(data)
    except ValueError as error:  # includes the encode error of a lone surrogate
        raise StateError(f"not a JSON text: {error}") from None
    except RecursionError:
        raise StateError("the JSON text is nested too deeply to be read") from None


def _read_exactly(data: bytes, whole: Callable[[str], int]) -> JSON:
    value = json.loads(data.decode(), parse_int=whole, parse_float=_read_float, parse_constant=_read_float)
    if b"\\u" in data:
        dumps(value)  # the standard library accepts escaped lone surrogates
    return value


def read_int(text: str) -> int:
    """An int of any number of digits from its decimal text."""
    return int(text) if len(text) <= _STR_DIGITS else int(Decimal(text))


def _read_bounded(text: str) -> int:
    most = sys.get_int_max_str_digits()
    if most and len(text.removeprefix("-")) > most:
        raise ValueError(f"an integer has {len(text.removeprefix('-')):,} digits, and at most {most:,} are read")
    return read_int(text)


def _read_float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is not a number in JSON")
    return number


def _write_int(value: int) -> str:
    if -_LARGE < value < _LARGE:
        return int.__repr__(value)
    return str(Decimal(value))  # exact in any context, and without an exponent


def _has_bad_float(value: JSON) -> bool:
    """Whether a NaN or an infinity is in there. Not recursive: the value may be deep."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, float):
            if not isfinite(item):
                return True
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, (list, tuple)):
            pending.extend(item)
    return False


def _write_all(value: JSON) -> str:
    """The text by the slow writer, which accepts values that orjson refuses, and explains the error of others."""
    parts: list[str] = []
    try:
        _write(value, parts)
    except RecursionError:
        raise StateError("the value is nested too deeply to be written as JSON, or contains itself") from None
    return "".join(parts)


def _write(value: JSON, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(_write_str(value))
    elif value is None:
        parts.append("null")
    elif isinstance(value, bool):
        parts.append("true" if value else "false")
    elif isinstance(value, int):
        parts.append(_write_int(value))
    elif isinstance(value, float):
        if not isfinite(value):
            raise StateError(f"{'NaN' if isnan(value) else 'infinity'} has no JSON form")
        parts.append(float.__repr__(value))
    elif isinstance(value, dict):
        separator = "{"
        for key, item in value.items():
            if not isinstance(key, str):
                raise StateError(f"the name of an object's member must be a str, not {type(key).__name__}: {key!r}")
            parts.append(f"{separator}{_write_str(key)}:")
            _write(item, parts)
            separator = ","
        parts.append("}" if separator == "," else "{}")
    elif isinstance(value, (list, tuple)):
        separator = "["
        for item in value:
            parts.append(separator)
            _write(item, parts)
            separator = ","
        parts.append("]" if separator == "," else "[]")
    else:
        raise StateError(f"a value of type {type(value).__name__} has no JSON form")


def _write_str(value: str) -> str:
    try:
        return _dump(str.__str__(value), None, _strict).decode()
    except TypeError:
        raise StateError(f"a string holds a lone surrogate, which has no JSON form: {value[:80]!r}") from None
