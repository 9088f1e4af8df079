"""Reading fields as types, and whole states as objects."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
    Union,
)
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel, Field

from dwarf.errors import StateError
from dwarf.workflow.flow import Flow


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Bits(enum.Flag):
    A = 1
    B = 2


@dataclass
class Point:
    x: int
    y: float = 0.0


@dataclass
class Line:
    start: Point
    ends: list[Point]
    name: str | None
    colour: Colour = Colour.RED
    seen: int = field(default=0, init=False)


@dataclass
class Positive:
    n: int

    def __post_init__(self) -> None:
        if self.n <= 0:
            raise ValueError("n must be positive")


class Options(TypedDict):
    depth: int
    note: NotRequired[str]


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Model(BaseModel):
    n: int
    tags: list[str] = []
    other: str = Field(default="", alias="otherName")


class Shouting(Protocol):
    def shout(self) -> str: ...


UserId = NewType("UserId", int)
T = TypeVar("T", bound=int)


def read(value: Any, kind: Any) -> Any:
    flow = Flow()
    flow["v"] = value
    return flow.get_as("v", kind)


UUID_TEXT = "12345678-1234-5678-1234-567812345678"

READS: list[tuple[Any, Any, Any]] = [
    (True, bool, True),
    (5, int, 5),
    (5.0, int, 5),
    (-2.0, int, -2),
    (10**30, int, 10**30),
    (5, float, 5.0),
    (5.5, float, 5.5),
    ("x", str, "x"),
    ({"a": 1}, dict, {"a": 1}),
    ([1, "a"], list, [1, "a"]),
    ((1, 2), tuple, (1, 2)),
    ([1, 2], tuple, (1, 2)),
    ([1, 2], set, {1, 2}),
    (b"x", bytes, b"x"),
    ([1, 2.0], list[int], [1, 2]),
    ((1, 2), list[int], [1, 2]),
    ([1, 2], Sequence[int], [1, 2]),
    ((1, 2.0), Sequence[int], (1, 2)),
    ([1], Iterable[int], [1]),
    ({1.0}, Iterable[int], {1}),
    ([1, 2], set[int], {1, 2}),
    ([1, 2], AbstractSet[int], {1, 2}),
    ([1], frozenset[int], frozenset({1})),
    ([1, "a"], tuple[int, str], (1, "a")),
    ([1, 2, 3], tuple[int, ...], (1, 2, 3)),
    ([], tuple[()], ()),
    ({"a": [1.0]}, dict[str, list[int]], {"a": [1]}),
    ({"1": "a"}, dict[int, str], {1: "a"}),
    ({"red": 1}, dict[Colour, int], {Colour.RED: 1}),
    ({"a": 1}, Mapping[str, Any], {"a": 1}),
    (5, Optional[int], 5),  # noqa: UP045
    (5, int | str, 5),
    ("5", int | str, "5"),
    (5, Union[str, float], 5.0),
    (5.0, int | float, 5.0),
    (True, int | bool, True),
    ("a", Literal["a", 1], "a"),
    (1, Literal["a", 1], 1),
    ("red", Colour, Colour.RED),
    (Colour.BLUE, Colour, Colour.BLUE),
    (1, Level, Level.LOW),
    (3, Bits, Bits.A | Bits.B),
    (datetime(2024, 1, 2, tzinfo=UTC), datetime, datetime(2024, 1, 2, tzinfo=UTC)),
    ("2024-01-02T03:04:05Z", datetime, datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ("2024-01-02", date, date(2024, 1, 2)),
    ("03:04", time, time(3, 4)),
    (90, timedelta, timedelta(seconds=90)),
    (timedelta(1), timedelta, timedelta(1)),
    ("1.10", Decimal, Decimal("1.10")),
    (0.1, Decimal, Decimal("0.1")),
    (3, Decimal, Decimal(3)),
    (UUID_TEXT, UUID, UUID(UUID_TEXT)),
    ("a/b", Path, Path("a/b")),
    ("a/b", PurePosixPath, PurePosixPath("a/b")),
    ({"x": 1}, Point, Point(1)),
    ({"x": 1, "y": 2, "z": 3}, Point, Point(1, 2.0)),
    (Point(1), Point, Point(1)),
    ({"start": {"x": 1}, "ends": [{"x": 2}]}, Line, Line(Point(1), [Point(2)], None)),
    ({"depth": 1.0, "extra": 2}, Options, {"depth": 1}),
    ({"depth": 1, "note": "n"}, Options, {"depth": 1, "note": "n"}),
    ([1], Pair, Pair(1)),
    ({"left": 1, "right": "x"}, Pair, Pair(1, "x")),
    ({"n": 1, "otherName": "o"}, Model, Model(n=1, otherName="o")),
    (5, UserId, 5),
    (5, T, 5),
    (5, Annotated[int, "doc"], 5),
    (["x"], Any, ["x"]),
    (["x"], object, ["x"]),
    ("x", Shouting, "x"),
]


@pytest.mark.parametrize(("value", "kind", "expected"), READS)
def test_reading_as_a_type(value: Any, kind: Any, expected: Any) -> None:
    result = read(value, kind)
    assert result == expected
    assert type(result) is type(expected)


WRONG: list[tuple[Any, Any, str]] = [
    (True, int, "expected int, got bool True"),
    (1, bool, "expected bool, got int 1"),
    ("true", bool, "expected bool, got str 'true'"),
    (1.5, int, "expected int, got float 1.5"),
    ("5", int, "expected int, got str '5'"),
    (True, float, "expected float, got bool True"),
    (10**400, float, "too large for a float"),
    (5, str, "expected str, got int 5"),
    (5, list, "expected list, got int 5"),
    ("abc", list[str], "expected list, got str 'abc'"),
    ([1, "a"], list[int], r"field 'v'\[1\]: expected int, got str 'a'"),
    ({1}, list[int], "expected list, got set"),
    ({1}, tuple[int, ...], "expected tuple, got set"),
    ([[1]], set, "a set cannot hold lists"),
    ([1], tuple[int, str], "a tuple of 2 items, got 1"),
    ([1], dict, "expected dict, got list"),
    ({"a": "x"}, dict[str, int], r"field 'v'\.a: expected int"),
    ({"a": 1}, dict[int, int], "a key of type int"),
    (5, str | None, "expected str or NoneType, got int 5"),
    (True, Literal[1], "expected one of 1, got bool True"),
    ("green", Colour, "expected one of 'red', 'blue', got str 'green'"),
    (True, Level, "expected one of 1"),
    ("soon", datetime, "expected datetime, got str 'soon'"),
    (datetime(2024, 1, 2), date, "expected date, got datetime"),
    ("x", timedelta, "expected timedelta"),
    (1e300, timedelta, "expected timedelta"),
    ("abc", Decimal, "expected Decimal"),
    ("abc", UUID, "expected UUID"),
    (5, Path, "expected Path"),
    (5, Point, "the fields of Point, got int 5"),
    ({"y": 1}, Point, "the field 'x' of Point is absent"),
    ({"x": "1"}, Point, r"field 'v'\.x: expected int"),
    ({"n": 0}, Positive, "n must be positive"),
    ({}, Options, "the field 'depth' of Options is absent"),
    ([1, "a", 3], Pair, "expected 2 items for Pair, got 3"),
    ({}, Pair, "the field 'left' of Pair is absent"),
    ({"n": "x"}, Model, "valid integer"),
    ("x" * 1000, int, r"got str 'x{50,}\.\.\.$"),
    (5, bytes, "expected bytes"),
    (5, Flow, "the fields of Flow|expected Flow"),
]


@pytest.mark.parametrize(("value", "kind", "message"), WRONG)
def test_a_value_of_another_type_is_an_error(value: Any, kind: Any, message: str) -> None:
    with pytest.raises(StateError, match=message) as raised:
        read(value, kind)
    assert str(raised.value).startswith("field 'v'")


def test_numpy_scalars_read_as_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    assert read(numpy.int64(5), int) == 5
    assert read(numpy.float32(0.5), float) == 0.5
    assert read(numpy.bool_(True), bool) is True
    assert type(read(numpy.int64(5), int)) is int
    with pytest.raises(StateError):
        read(numpy.bool_(True), int)


def test_absent_fields() -> None:
    flow = Flow({"null": None})
    for name in ("null", "missing"):
        with pytest.raises(KeyError, match=name):
            flow.get_as(name, int)
        assert flow.get_as(name, int, 5) == 5
        assert flow.get_as(name, int | None, None) is None


def test_the_default_is_not_used_for_a_wrong_type() -> None:
    with pytest.raises(StateError):
        Flow({"n": "x"}).get_as("n", int, 5)


def test_a_class_with_annotations_that_do_not_exist() -> None:
    @dataclass
    class Broken:
        x: "Nowhere"  # type: ignore[name-defined]  # noqa: F821, UP037

    with pytest.raises(StateError, match="annotations of Broken cannot be resolved"):
        read({"x": 1}, Broken)


# ---------------------------------------------------------------- load and save


@dataclass
class Order:
    item: str
    count: int
    colour: Colour = Colour.RED
    due: date | None = None
    place: Point = field(default_factory=lambda: Point(0))
    tags: list[str] = field(default_factory=list)


def test_load_as_a_dataclass() -> None:
    flow = Flow({"item": "pen", "count": 2.0, "colour": "blue", "place": {"x": 1}, "unknown": 1})
    assert flow.load(Order) == Order("pen", 2, Colour.BLUE, None, Point(1))


def test_load_as_a_model_and_a_typed_dict() -> None:
    flow = Flow({"n": 3, "otherName": "o", "depth": 4})
    assert flow.load(Model) == Model(n=3, otherName="o")
    assert flow.load(Options) == {"depth": 4}


def test_a_state_that_does_not_fit() -> None:
    with pytest.raises(StateError, match=r"the state: the field 'count' of Order is absent"):
        Flow({"item": "pen"}).load(Order)
    with pytest.raises(StateError, match=r"the state\.count: expected int"):
        Flow({"item": "pen", "count": "two"}).load(Order)
    with pytest.raises(StateError, match="the state"):
        Flow({"n": "x"}).load(Model)


def test_saving_what_was_loaded_writes_nothing() -> None:
    flow = Flow(
        {"item": "pen", "count": 2, "colour": "blue", "due": "2024-01-02", "place": {"x": 1, "y": 0}, "tags": []}
    )
    flow.save(flow.load(Order))
    assert flow._raw_changes == {}


def test_only_the_fields_that_differ_are_written() -> None:
    flow = Flow(
        {"item": "pen", "count": 2, "colour": "blue", "due": "2024-01-02", "place": {"x": 1}, "tags": [], "z": 1}
    )
    order = flow.load(Order)
    order.count = 3
    order.place.x = 2
    order.due = None
    flow.save(order)
    assert flow.changes == {"count": 3, "place": Point(2), "due": None}
    assert flow["z"] == 1
    assert flow.load(Order) == order


def test_absent_fields_are_written_and_absent_none_is_not() -> None:
    flow = Flow()
    flow.save(Order("pen", 1))
    assert flow.changes == {"item": "pen", "count": 1, "colour": Colour.RED, "place": Point(0), "tags": []}


def test_saving_compares_as_json() -> None:
    flow = Flow({"a": 5, "b": True, "c": [1, {"x": 1}], "d": {"x": 1, "y": 2}, "e": 1})
    flow.save({"a": 5.0, "b": True, "c": [1.0, {"x": 1}], "d": {"y": 2, "x": 1}, "e": True, "none": None})
    assert flow._raw_changes == {"e": True}
    flow.save({"b": 1, "c": [1, {"x": 2}], "d": {"x": 1}})
    assert flow._raw_changes == {"e": True, "b": 1, "c": [1, {"x": 2}], "d": {"x": 1}}


def test_saving_a_model() -> None:
    flow = Flow({"n": 3, "otherName": "o", "tags": ["a"]})
    model = flow.load(Model)
    flow.save(model)
    assert flow._raw_changes == {}
    model.other = "p"
    model.tags.append("b")
    flow.save(model)
    assert flow.changes == {"otherName": "p", "tags": ["a", "b"]}


@pytest.mark.parametrize("value", [5, "x", [1], Order, Model, None])
def test_only_objects_with_fields_can_be_saved(value: Any) -> None:
    with pytest.raises(StateError, match="can be saved"):
        Flow().save(value)


def test_saving_what_cannot_be_kept_writes_nothing() -> None:
    flow = Flow()
    with pytest.raises(StateError, match="bad"):
        flow.save({"good": 1, "bad": object()})
    assert flow._raw_changes == {}


@pytest.mark.parametrize(
    ("stored", "kind", "read"),
    [
        (1.5, np.float64, np.float64(1.5)),
        (3, np.int32, np.int32(3)),
        (True, np.bool_, np.bool_(True)),
        (datetime(2026, 1, 2), pd.Timestamp, pd.Timestamp("2026-01-02")),
        ("2026-01-02", pd.Timestamp, pd.Timestamp("2026-01-02")),
        (timedelta(seconds=1), pd.Timedelta, pd.Timedelta("1s")),
    ],
)
def test_reading_as_a_scalar_of_numpy_or_pandas(stored: Any, kind: Any, read: Any) -> None:
    made = Flow({"x": stored}).get_as("x", kind)
    assert (made, type(made)) == (read, type(read))


@pytest.mark.parametrize(
    ("stored", "kind"), [(1.5, np.int64), (300, np.int8), ("a", np.float64), ([1], np.ndarray), ("soon", pd.Timestamp)]
)
def test_what_is_no_such_scalar_is_an_error(stored: Any, kind: Any) -> None:
    with pytest.raises(StateError, match="expected"):
        Flow({"x": stored}).get_as("x", kind)
