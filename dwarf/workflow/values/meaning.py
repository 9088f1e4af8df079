"""What a stored value means: conditions, reducers and for-eaches look behind its tag, and never build the value.

``behind`` answers a plain value for a tag that stands for one: a number, a text, a bool, an array or an object of
stored values; and for dates, times and durations one of the classes below, which are exact to the nanosecond and
compare without a time zone's rules. What has no such meaning, and what is broken, is its own tagged object.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from functools import lru_cache
from math import isfinite
from typing import Any, Final, NamedTuple

from dwarf.workflow.jsontext import JSON, dumps
from dwarf.workflow.values.encoding import TAG

__all__ = [
    "UNORDERED",
    "TimeOfDay",
    "Moment",
    "Span",
    "behind",
    "canonical",
    "equal",
    "kind_name",
    "order",
    "same",
    "span_form",
]

UNORDERED: Final = 2
"""The order of NaN and any number: none, without a note."""

_NS: Final = 1000  # in a microsecond
_DAY: Final = 86_400_000_000_000
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  what the calendar shows, without a zone
_MICROSECOND: Final = timedelta(microseconds=1)


class Moment(NamedTuple):
    """A date, or a date with a time of day. ``floating``: a zone would have been told where it matters."""

    local: int  # nanoseconds from 1970 to what calendar and clock show
    offset: int | None  # nanoseconds from UTC
    floating: bool


class TimeOfDay(NamedTuple):
    """A time of day."""

    local: int  # nanoseconds from midnight
    offset: int | None
    floating: bool


class Span(NamedTuple):
    """A duration in nanoseconds."""

    ns: int


# ---------------------------------------------------------------- reading tags


def behind(value: JSON) -> Any:
    """The meaning of a stored value. Containers keep stored values as their members."""
    if type(value) is not dict or TAG not in value:
        return value
    kind = value[TAG]
    # a broken tag may name a list, which no mapping can look up
    read = _MEANINGS.get(kind) if type(kind) is str else None
    if read is None:
        return value
    try:
        return read(value)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        return value  # broken: it means itself


def _special(tag: dict[str, JSON]) -> float:
    if tag["v"] not in ("nan", "inf", "-inf"):
        raise ValueError
    return float(tag["v"])


def _enum(tag: dict[str, JSON]) -> Any:
    members = tag["v"]
    return behind(members["value"] if "value" in members else members["name"])


def _text(tag: dict[str, JSON]) -> str:
    if type(tag["v"]) is not str:
        raise TypeError
    return tag["v"]


def _array(tag: dict[str, JSON]) -> list[JSON]:
    if type(tag["v"]) is not list:
        raise TypeError
    return tag["v"]


def _object(tag: dict[str, JSON]) -> dict[str, JSON]:
    members = {**tag["v"], **tag.get("more", {}), **tag.get("extra", {})}
    return members if len(members) > len(tag["v"]) else tag["v"]


_UNITS: Final = {
    "W": 7 * _DAY,
    "D": _DAY,
    "h": 3600 * 10**9,
    "m": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "ns": 1,
}
_NUMPY_TIME: Final = re.compile(r"(datetime64|timedelta64)\[(\d*)([A-Za-z]+)\]")


def _numpy(tag: dict[str, JSON]) -> Any:
    """A scalar of numpy, as it was kept with its type."""
    name, value = tag["type"], tag["v"]
    found = _NUMPY_TIME.fullmatch(name)
    if found is None:
        return value if type(value) in (bool, int, float, str) else tag
    kind, count, unit = found.groups()
    ns = value * int(count or 1) * _UNITS[unit]
    return Moment(ns, None, False) if kind == "datetime64" else Span(ns)


def _datetime(tag: dict[str, JSON]) -> Moment:
    moment = _moment_of(_text(tag).partition("[")[0])
    if moment is None:
        raise ValueError
    return moment._replace(floating=False)


def _date(tag: dict[str, JSON]) -> Moment:
    return Moment((date.fromisoformat(tag["v"]).toordinal() - _EPOCH.toordinal()) * _DAY, None, True)


def _time(tag: dict[str, JSON]) -> TimeOfDay:
    clock = _clock_of(_text(tag).partition("[")[0])
    if clock is None:
        raise ValueError
    return clock._replace(floating=False)


def _span(scale: int) -> Callable[[dict[str, JSON]], Span]:
    def read(tag: dict[str, JSON]) -> Span:
        if type(tag["v"]) is not int:
            raise TypeError
        return Span(tag["v"] * scale)

    return read


_MEANINGS: Final[dict[str, Callable[[dict[str, JSON]], Any]]] = {
    "float": _special,
    "decimal": lambda tag: Decimal(_text(tag)),
    "enum": _enum,
    "uuid": _text,
    "path": _text,
    "pure_posix_path": _text,
    "pure_windows_path": _text,
    "datetime": _datetime,
    "pandas_timestamp": _datetime,
    "date": _date,
    "time": _time,
    "timedelta": _span(_NS),
    "pandas_timedelta": _span(1),
    "numpy": _numpy,
    "array": lambda tag: behind(tag["item"]),  # one without dimensions
    "tuple": _array,
    "set": _array,
    "frozenset": _array,
    "dict": _object,
    "dataclass": _object,
    "model": _object,
    "model_json": _object,
}


def canonical(value: JSON, *, exact: bool = False) -> JSON:
    """The form by which whole states are compared: the same for values that are equal.

    Members stand in order at every depth, 5.0 is 5, Decimal("1.50") is 1.5, a moment is the same in every zone, a
    frozenset is a set, and what numpy and pandas have of their own is what Python has for it.

    ``exact``: only the order of members is left aside, since a task may tell 5.0 from 5.
    """
    kind = type(value)
    if kind is dict:
        if not exact and TAG in value:
            meant = _plain_form(value)
            if meant is not value:
                return meant
        return {name: canonical(value[name], exact=exact) for name in sorted(value)}
    if kind is list:
        return [canonical(item, exact=exact) for item in value]
    if exact:
        return value
    return int(value) if kind is float and value.is_integer() else value


def _plain_form(tag: dict[str, JSON]) -> JSON:
    """The one form of all tags that stand for equal values; the tag itself where others are not known."""
    if tag[TAG] in ("set", "frozenset") and type(tag.get("v")) is list:
        return {TAG: "set", "v": sorted(map(canonical, tag["v"]), key=dumps)}
    if tag[TAG] == "enum":  # a member equals its value in conditions, and is another thing to a task
        return tag
    meant = behind(tag)
    kind = type(meant)
    if kind is Decimal:
        return _number_form(meant)
    if kind in (Moment, TimeOfDay):
        name = "time" if kind is TimeOfDay else "date" if meant.floating else "datetime"
        return {TAG: name, "v": meant.local - (meant.offset or 0), "zone": meant.offset is not None}
    if kind is Span:
        return {TAG: "timedelta", "v": meant.ns}
    return canonical(meant) if tag[TAG] == "numpy" and kind in (bool, int, float, str) else tag


def _number_form(number: Decimal) -> JSON:
    """A Decimal as the JSON number that equals it, as in conditions; without such a number, without trailing zeros."""
    if not number.is_finite():
        return {TAG: "float", "v": str(number).lower().replace("infinity", "inf")}
    close = float(number)
    if isfinite(close) and Decimal(repr(close)) == number:
        return canonical(close)
    if number == number.to_integral_value() and number.adjusted() < _MOST_DIGITS:
        return int(number)
    return {TAG: "decimal", "v": str(number.normalize(_UNROUNDED))}


# Decimal("1e999999") takes a few bytes, and as an int a million digits
_MOST_DIGITS: Final = 1000
_UNROUNDED: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def same(one: JSON, other: JSON) -> bool:
    """Whether two stored values are alike in every part: 5 and 5.0 are, True and 1 are not."""
    return one is other or dumps(canonical(one)) == dumps(canonical(other))


# ---------------------------------------------------------------- reading texts

_FRACTION: Final = re.compile(r"([.,])(\d{6})(\d{1,3})\d*")
_DURATION: Final = re.compile(
    r"([+-]?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:[.,](\d{1,9}))?S)?)?", re.ASCII
)


def _cut(text: str) -> tuple[str, int]:
    """An ISO text with microseconds, and the nanoseconds beyond them."""
    found = _FRACTION.search(text)
    if found is None:
        return text, 0
    return text[: found.end(2)] + text[found.end() :], int(found[3].ljust(3, "0"))


def _offset(value: datetime | time) -> int | None:
    offset = value.utcoffset()
    return None if offset is None else offset // _MICROSECOND * _NS


@lru_cache(maxsize=1024)
def _moment_of(text: str) -> Moment | None:
    """The moment that an ISO text tells, or None."""
    iso, more = _cut(text)
    try:
        found = datetime.fromisoformat(iso)
    except ValueError:
        return None
    local = (found.replace(tzinfo=None) - _EPOCH) // _MICROSECOND * _NS + more
    offset = _offset(found)
    return Moment(local, offset, offset is None)


@lru_cache(maxsize=1024)
def _clock_of(text: str) -> TimeOfDay | None:
    iso, more = _cut(text)
    try:
        found = time.fromisoformat(iso)
    except ValueError:
        return None
    seconds = (found.hour * 60 + found.minute) * 60 + found.second
    offset = _offset(found)
    return TimeOfDay((seconds * 10**6 + found.microsecond) * _NS + more, offset, offset is None)


@lru_cache(maxsize=1024)
def _span_of(text: str) -> Span | None:
    found = _DURATION.fullmatch(text)
    # a text from outside may have any number of digits, and int() takes long for very many
    if found is None or not any(found.groups()[1:]) or text[-1] == "T" or len(text) > 60:
        return None
    sign, weeks, days, hours, minutes, seconds, fraction = found.groups()
    whole = ((int(weeks or 0) * 7 + int(days or 0)) * 24 + int(hours or 0)) * 60 + int(minutes or 0)
    ns = (whole * 60 + int(seconds or 0)) * 10**9 + int((fraction or "").ljust(9, "0"))
    return Span(-ns if sign == "-" else ns)


_OF_TEXT: Final[dict[type, Callable[[str], Any]]] = {Moment: _moment_of, TimeOfDay: _clock_of, Span: _span_of}


# ---------------------------------------------------------------- comparing


def equal(one: JSON, other: JSON) -> bool:
    """Whether two stored values mean the same scalar. Arrays, objects and opaque values equal nothing."""
    return order(one, other, equality=True) == 0


def order(one: JSON, other: JSON, *, equality: bool = False) -> int | None:
    """-1, 0 or 1 as the first one is less than, equal to or greater than the other; UNORDERED for NaN.

    None for values of different kinds, and for those that have no order. ``equality``: bools count as equal to each
    other, too.
    """
    left, right = behind(one), behind(other)
    kind, other_kind = type(left), type(right)
    if kind in _NUMBERS and other_kind in _NUMBERS:
        return _order_numbers(left, right)
    if kind is str and other_kind in _OF_TEXT:
        left = _OF_TEXT[other_kind](left)
    elif other_kind is str and kind in _OF_TEXT:
        right = _OF_TEXT[kind](right)
    if type(left) is not type(right):
        return None
    if isinstance(left, (Moment, TimeOfDay)):
        return _order_times(left, right)
    if isinstance(left, (str, Span)) or (equality and isinstance(left, bool)):
        return int(left > right) - int(left < right)
    return None


# without bool: in JSON true is no number, though in Python it equals 1
_NUMBERS: Final = frozenset({int, float, Decimal})


def _order_numbers(left: Any, right: Any) -> int:
    if left != left or right != right:  # noqa: PLR0124  NaN, of either class
        return UNORDERED
    if type(left) is not type(right):
        # a Decimal is compared with what a float is written as: 3.10 equals Decimal("3.10")
        if type(left) is float and type(right) is Decimal:
            left = Decimal(repr(left))
        elif type(right) is float and type(left) is Decimal:
            right = Decimal(repr(right))
    return int(left > right) - int(left < right)


def _order_times(left: Any, right: Any) -> int | None:
    one, other = left.local, right.local
    if left.offset is not None and right.offset is not None:
        one, other = one - left.offset, other - right.offset
    elif left.offset is not right.offset:
        # a date, or a text without a zone, is read in the zone of the other; a datetime without one is not
        unzoned = right if left.offset is not None else left
        if not unzoned.floating:
            return None
    return int(one > other) - int(one < other)


def kind_name(value: JSON) -> str:
    """What kind of value this is, for messages."""
    meant = behind(value)
    if type(meant) is dict:
        tag = meant.get(TAG)
        return f"a value of the kind {tag!r:.40}" if TAG in meant else "an object"
    return _NAMES.get(type(meant), "a value of another kind")


_NAMES: Final = {
    type(None): "null",
    bool: "a bool",
    int: "a number",
    float: "a number",
    Decimal: "a number",
    str: "a text",
    list: "an array",
    Moment: "a date",
    TimeOfDay: "a time of day",
    Span: "a duration",
}


# ---------------------------------------------------------------- writing


def span_form(ns: int, *, exact: bool) -> JSON:
    """A duration as it is stored. ``exact``: as one of pandas, which counts nanoseconds."""
    if exact or ns % _NS:
        return {TAG: "pandas_timedelta", "v": ns}
    return {TAG: "timedelta", "v": ns // _NS}
