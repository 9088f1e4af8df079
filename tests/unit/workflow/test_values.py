"""Values of the standard library: to JSON and back, and what is refused."""

from __future__ import annotations

import enum
import os
import sys
from collections import Counter, OrderedDict, UserDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwarf.errors import StateError
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.values import MAX_DEPTH, from_json, register, state_from_json, state_to_json, to_json
from dwarf.workflow.values.decoding import DECODERS
from dwarf.workflow.values.meaning import canonical

BERLIN = ZoneInfo("Europe/Berlin")


def there_and_back(value: object) -> Any:
    """The value after it was kept as text, with a check that the text says all."""
    kept = to_json(value)
    assert loads(dumps(kept)) == kept
    return from_json(loads(dumps(kept)))


def same(one: object, other: object) -> bool:
    """Equal, and of the same types all the way down."""
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return all(same(a, b) for a, b in zip(one, other, strict=True))
    return not isinstance(one, (int, float)) or repr(one) == repr(other)


KEPT = [
    None,
    True,
    0,
    -(2**90),
    1.5,
    -0.0,
    "",
    "a\x00b\u2028\U0001f600",
    [1, [2, [None]]],
    {"a": {"b": [{}]}, "": 1, "ä.b": 2},
    datetime(2024, 5, 1, 12, 30, 0, 5),
    datetime(1, 1, 1),
    datetime(2024, 5, 1, 12, 30, tzinfo=UTC),
    datetime(2024, 5, 1, 12, 30, tzinfo=timezone(timedelta(hours=-3, seconds=7, microseconds=1))),
    datetime(2024, 5, 1, 12, 30, tzinfo=BERLIN),
    datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),
    datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=BERLIN),
    datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN),
    datetime(2024, 10, 27, 2, 30, fold=1),
    date(2024, 2, 29),
    time(1, 2, 3, 4),
    time(1, 2, tzinfo=UTC),
    time(1, 2, fold=1, tzinfo=BERLIN),
    timedelta(microseconds=1),
    timedelta.max,
    timedelta.min,
    Decimal("1.10"),
    Decimal("-0E+400"),
    Decimal("1E-400"),
    UUID("12345678-1234-5678-1234-567812345678"),
    b"\x00\xff",
    bytearray(b"abc"),
    Path("/a/b c/ü"),
    PurePosixPath("a/../b"),
    PureWindowsPath("C:\\x\\y"),
    (),
    (1, (2, [3, (4,)]), {"t": (5,)}),
    set(),
    {1, 2, 3},
    {"a", (1, 2), None, 1.5, frozenset({"x"})},
    frozenset({date(2024, 1, 1), b"x"}),
    {"$dwarf": "datetime", "v": "2024"},
    {"$dwarf": {"$dwarf": [{"$dwarf": None}]}, "x": (1,)},
    [{"$dwarf": "tuple", "v": [1]}],
]


@pytest.mark.parametrize("value", KEPT, ids=[f"{number}-{type(value).__name__}" for number, value in enumerate(KEPT)])
def test_values_come_back_equal_and_of_the_same_type(value: object) -> None:
    assert same(there_and_back(value), value)
    assert same(there_and_back({"x": [value]}), {"x": [value]})


@pytest.mark.parametrize("moment", [value for value in KEPT if isinstance(value, (datetime, time))], ids=str)
def test_moments_keep_their_zone_and_fold(moment: Any) -> None:
    back = there_and_back(moment)
    assert (back.tzinfo, back.fold, back.isoformat()) == (moment.tzinfo, moment.fold, moment.isoformat())


def test_a_moment_survives_a_change_of_the_rules_of_its_zone() -> None:
    kept = {"$dwarf": "datetime", "v": "2024-07-01T12:00:00+01:00[Europe/Berlin]"}  # was +01:00 when it was written
    back = from_json(kept)
    assert back == datetime(2024, 7, 1, 11, tzinfo=UTC)
    assert back.tzinfo is BERLIN


def test_a_zone_that_is_unknown_here_leaves_the_offset() -> None:
    back = from_json({"$dwarf": "datetime", "v": "2024-07-01T12:00:00+01:00[Mars/Olympus]"})
    assert back == datetime(2024, 7, 1, 11, tzinfo=UTC)
    assert back.tzinfo == timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (Counter("aab"), {"a": 2, "b": 1}),
        (MappingProxyType({"a": (1,)}), {"a": (1,)}),
        (UserDict(a={"b": 1}), {"a": {"b": 1}}),
        (type("Items", (list,), {})([1, 2]), [1, 2]),
        (type("Count", (int,), {"__int__": lambda self: 0})(5), 5),
        (type("Share", (float,), {"__repr__": lambda self: "?"})(0.5), 0.5),
        (type("Name", (str,), {"__str__": lambda self: "?"})("x"), "x"),
        (type("Tags", (set,), {})({"a"}), {"a"}),
        (type("Moment", (datetime,), {"isoformat": lambda self: "?"})(2024, 1, 2), datetime(2024, 1, 2)),
        ({type("Key", (str,), {"__str__": lambda self: "?"})("k"): 1}, {"k": 1}),
        (os.terminal_size((80, 24)), (80, 24)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_subclasses_come_back_as_the_plain_type(value: object, plain: object) -> None:
    assert same(there_and_back(value), plain)


def test_sets_are_kept_in_a_fixed_order() -> None:
    words = {f"w{i}" for i in range(50)}
    assert to_json(words)["v"] == sorted(words)
    assert to_json({3, 10, 2})["v"] == [2, 3, 10]
    mixed: set[object] = {"b", 1, None, (2,), "a"}
    turned: set[object] = set()
    for item in reversed(list(mixed)):
        turned.add(item)
    assert dumps(to_json(mixed)) == dumps(to_json(turned))


def test_conditions_can_compare_the_tagged_form() -> None:
    assert to_json(datetime(2024, 5, 1, 12, tzinfo=BERLIN)) == {
        "$dwarf": "datetime",
        "v": "2024-05-01T12:00:00+02:00[Europe/Berlin]",
    }
    assert to_json(timedelta(seconds=90)) == {"$dwarf": "timedelta", "v": 90_000_000}
    assert to_json(Decimal("1.50")) == {"$dwarf": "decimal", "v": "1.50"}


def test_copies_share_nothing() -> None:
    value: dict[str, Any] = {"a": [1, {"b": [2]}], "long": list(range(100))}
    kept = to_json(value)
    back = from_json(kept)
    value["a"][1]["b"].append(3)
    value["long"].append(1)
    back["a"][1]["b"].append(4)
    back["long"].clear()
    assert kept == {"a": [1, {"b": [2]}], "long": list(range(100))}


CIRCLE: list[Any] = []
CIRCLE.append({"again": CIRCLE})
KNOT: dict[str, Any] = {}
KNOT["a"] = KNOT["b"] = (KNOT, [KNOT])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1j, "field 'x': a value of type complex"),
        ({"items": [0, 1, {"q": 1j}]}, r"field 'x\.items\[2\]\.q': a value of type complex"),
        ((1, {1j}), r"field 'x\[1\]\[0\]': a value of type complex"),
        (Decimal("sNaN"), "signaling NaN"),
        (10**4300, r"field 'x': an integer of more than 4,300 digits.*set_int_max_str_digits"),
        ([1, -(10**4300)], r"field 'x\[1\]': an integer of more than 4,300 digits"),
        ({1: 2}, r"field 'x\[1\]': the keys of a mapping must be strings, not int"),
        ({"a": {10**5000: 2}}, r"field 'x\.a\[<int>\]': the keys"),
        ("a\ud800", "lone surrogate at 1"),
        ({"a\udfff": 1}, r"field 'x\.a\\udfff': .*lone surrogate"),
        (Path(os.fsdecode(b"a\xff")), "lone surrogate"),
        (object(), "field 'x': a value of type object cannot be kept in a state; keep what it holds as a mapping"),
        ([lambda: 1], r"field 'x\[0\]': a value of type function cannot be kept in a state; keep its name"),
        (sys.__stdout__, "a value of type _io.TextIOWrapper cannot be kept in a state; keep the path"),
        (range(3), "type range .*make it a list"),
        (deque([1]), r"type collections\.deque"),
        ((i for i in ()), "type generator"),
        (1j, "type complex"),
        (int, "type type"),
        (CIRCLE, "contains itself"),
        (KNOT, "contains itself"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isascii() else type(value).__name__,
)
def test_everything_else_is_refused_with_the_way_to_it(value: object, text: str) -> None:
    with pytest.raises(StateError, match=text) as caught:
        to_json(value, field="x")
    str(caught.value).encode()  # can be printed and kept
    assert len(str(caught.value)) < 300


def test_the_message_without_a_field_begins_with_the_path() -> None:
    with pytest.raises(StateError, match=r"^field 'a\[1\]': a value of type complex"):
        to_json({"a": [0, 1j]})
    with pytest.raises(StateError, match=r"^a value of type complex"):
        to_json(1j)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal("-Infinity")], ids=repr
)
def test_numbers_without_a_json_form_are_kept(value: Any) -> None:
    for put in (value, [value] * 40, {"a": (value,)}):
        kept = to_json(put)
        assert kept == to_json(put), "equal to itself in its stored form"
        assert repr(from_json(loads(dumps(kept)))) == repr(put)


def test_integers_may_have_as_many_digits_as_the_interpreter_converts() -> None:
    largest = 10**4300 - 1
    assert from_json(to_json([largest, -largest] * 20)) == [largest, -largest] * 20
    limit = sys.get_int_max_str_digits()
    try:
        sys.set_int_max_str_digits(5000)
        assert to_json(10**4300) == 10**4300
    finally:
        sys.set_int_max_str_digits(limit)
    assert loads(dumps(10**5000)) == 10**5000, "what was stored before is still read and carried on"


@pytest.mark.parametrize(
    "kind",
    [
        datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5.5), "IST")),
        time(1, tzinfo=timezone(timedelta(hours=-3), "BRT")),
    ],
)
def test_names_of_fixed_zones_come_back(kind: Any) -> None:
    back = from_json(loads(dumps(to_json(kind))))
    assert back == kind
    assert back.tzname() == kind.tzname()


def nested(levels: int, core: Any = 1) -> Any:
    for _ in range(levels):
        core = [core]
    return core


def test_nesting_is_bounded_and_what_is_within_the_bound_can_be_read() -> None:
    deepest = nested(MAX_DEPTH)
    assert there_and_back(deepest) == deepest
    assert there_and_back(nested(MAX_DEPTH - 2, (1,))) == nested(MAX_DEPTH - 2, (1,))
    for value in (nested(MAX_DEPTH + 1), nested(MAX_DEPTH - 1, (1,)), nested(100_000)):
        with pytest.raises(StateError, match="nested deeper than 500 levels"):
            to_json(value)


def test_a_form_that_is_too_deep_to_read_is_an_error_of_its_own() -> None:
    with pytest.raises(StateError, match="nested too deeply"):
        from_json(nested(50_000))


@pytest.mark.parametrize(
    "tag",
    [
        {"$dwarf": "zebra", "v": [1]},
        {"$dwarf": 5},
        {"$dwarf": "datetime"},
        {"$dwarf": "datetime", "v": "yesterday"},
        {"$dwarf": "datetime", "v": 5},
        {"$dwarf": "decimal", "v": "x"},
        {"$dwarf": "bytes", "v": "?"},
        {"$dwarf": "tuple", "v": 1},
        {"$dwarf": "dict", "v": [1]},
        {"$dwarf": ["list"], "v": {"a": 1}},
    ],
    ids=str,
)
def test_tags_that_cannot_be_read_come_back_as_plain_objects(tag: dict[str, Any]) -> None:
    assert from_json(tag) == tag
    assert from_json([tag]) == [tag]


def test_a_state_keeps_the_names_of_its_fields() -> None:
    state = {"$dwarf": "datetime", "v": "2024", "t": (1, 2)}
    kept = state_to_json(state)
    assert kept == {"$dwarf": "datetime", "v": "2024", "t": {"$dwarf": "tuple", "v": [1, 2]}}
    assert state_from_json(kept) == state
    with pytest.raises(StateError, match=r"^field 't\[1\]'"):
        state_to_json({"t": [1, 1j]})
    with pytest.raises(StateError, match="must be strings"):
        state_to_json({1: 2})  # type: ignore[dict-item]
    with pytest.raises(StateError, match="surrogate"):
        state_to_json({"\ud800": 2})


class Temperature:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees


class Fever(Temperature):
    pass


def test_another_type_can_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    from dwarf.workflow import values
    from dwarf.workflow.values import decoding

    monkeypatch.setattr(values, "_REGISTERED", {})
    monkeypatch.setattr(decoding, "CODECS", {})
    monkeypatch.setattr(values, "CODECS", decoding.CODECS)
    with pytest.raises(StateError):
        to_json(Temperature(20))

    def read(value: Any) -> Temperature:
        if value is None:
            raise LookupError("gone")
        return Temperature(value["degrees"])

    register(f"{__name__}.Temperature", "temperature", lambda value: {"degrees": value.degrees}, read)
    kept = to_json([Fever(39.5)])
    assert kept == [{"$dwarf": "temperature", "v": {"degrees": 39.5}}]
    assert from_json(kept)[0].degrees == 39.5
    with pytest.raises(LookupError, match="gone"):
        from_json({"$dwarf": "temperature", "v": None})


ZONES = st.none() | st.just(UTC) | st.timezones()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=ZONES)
    | st.dates()
    | st.times(timezones=ZONES)
    | st.timedeltas()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.uuids()
    | st.binary(max_size=10)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.frozensets(SCALARS, max_size=4) | st.sets(st.tuples(SCALARS, SCALARS), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(TEXT | st.sampled_from(["$dwarf", "v", "type"]), inner, max_size=4)
    ),
    max_leaves=15,
)


class Level(enum.Enum):
    LOW = 1


NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "values",
    [
        (1, 1.0, Decimal(1), Decimal("1.00"), np.float64(1), np.int8(1)),
        (3.1, Decimal("3.10")),
        (0, -0.0, Decimal("-0.0")),
        (10**16, 1e16, Decimal("1E16")),
        (2**53 + 1, Decimal(2**53 + 1)),
        (Decimal("0.10000000000000000001"), Decimal("0.100000000000000000010")),
        (float("nan"), Decimal("NaN"), np.float32("nan")),
        (float("-inf"), Decimal("-Infinity")),
        (True, np.True_),
        (NOON, NOON.astimezone(ZoneInfo("Asia/Tokyo")), pd.Timestamp(NOON)),
        (NOON.replace(tzinfo=None), pd.Timestamp("2024-01-01T12:00")),
        (date(2024, 1, 1),),
        (time(12, tzinfo=UTC), time(14, tzinfo=timezone(timedelta(hours=2)))),
        (timedelta(hours=1), pd.Timedelta("1h")),
        ({"a", Decimal("1.0")}, frozenset({Decimal("1.00"), "a"})),
        ([1, {"y": 2.0, "x": Decimal("2.0")}], [1.0, {"x": 2, "y": 2}]),
        ([1],),
        ((1,),),
        (Level.LOW,),
        ("1",),
    ],
)
def test_equal_values_have_one_form_to_compare(values: tuple[Any, ...]) -> None:
    first, *others = (dumps(canonical(to_json(value))) for value in values)
    assert others == [first] * len(others)
    assert _SEEN.setdefault(first, values) is values  # and unequal ones have others


_SEEN: dict[str, Any] = {}


@settings(max_examples=300)
@given(VALUES)
def test_any_nesting_of_values_comes_back(value: Any) -> None:
    assert same(there_and_back(value), value)


JSON_WITH_TAGS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["2024-01-01", "x:y", "os:system", "A", "$dwarf"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["v", "type", "more", "extra", "name", "value", "a"]), inner, max_size=4)
        | st.builds(
            lambda kind, members: {"$dwarf": kind, **members},
            st.sampled_from(sorted(DECODERS)),
            st.dictionaries(st.sampled_from(["v", "type", "more", "extra", "unset"]), inner, max_size=4),
        )
    ),
    max_leaves=12,
)


@settings(max_examples=500)
@given(JSON_WITH_TAGS)
def test_reading_never_fails_whatever_the_tags_hold(value: Any) -> None:
    before = dumps(value)
    from_json(value)
    canonical(value)
    assert dumps(value) == before
