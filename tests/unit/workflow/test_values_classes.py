"""Instances of classes: dataclasses, pydantic models, enums, named tuples and numpy scalars."""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from collections import namedtuple
from dataclasses import InitVar, dataclass, field, make_dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum
from functools import cached_property
from types import ModuleType
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import pydantic
import pytest

from dwarf.errors import ConfigError, StateError
from dwarf.workflow.values import from_json, to_json
from dwarf.workflow.values.lookup import register_type
from tests.unit.workflow.test_values import there_and_back

CALLS: list[str] = []


@dataclass
class Item:
    sku: str
    price: float
    tags: tuple[str, ...] = ()


@dataclass
class Order:
    items: list[Item]
    placed: datetime
    note: InitVar[str] = ""
    total: float = field(init=False)

    def __post_init__(self, note: str) -> None:
        CALLS.append("post_init")
        self.total = sum(item.price for item in self.items)
        self._seen: dict[str, int] = {"n": 1}
        self._lock = threading.Lock()

    @cached_property
    def count(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True, order=True)
class Point:
    x: int
    y: int = 0


class Outer:
    @dataclass
    class Inner:
        value: int


class Colour(Enum):
    RED = "red"
    CRIMSON = "red"  # noqa: PIE796  an alias
    LOCK = object()


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    YES = "yes"


class Right(Flag):
    READ = 1
    WRITE = 2


class Bits(IntFlag):
    A = 1
    B = 2


class Pair(NamedTuple):
    left: int
    right: Any


Old = namedtuple("Old", "a b")  # the untyped form has to work too


class Customer(pydantic.BaseModel):
    name: str
    since: datetime
    points: list[Point] = []
    level: Level = Level.LOW
    _visits: int = pydantic.PrivateAttr(default=0)

    @pydantic.field_validator("name")
    @classmethod
    def check(cls, value: str) -> str:
        CALLS.append("validator")
        return value.upper()


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", frozen=True)
    a: int


class Link(pydantic.BaseModel):
    url: pydantic.HttpUrl


class Secret(pydantic.BaseModel):
    key: pydantic.SecretStr


class Loose(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    inner: Any


@dataclass
class Tree:
    children: list[Tree]

    def __post_init__(self) -> None:
        for child in self.children:
            child.parent = self  # type: ignore[attr-defined]


@dataclass
class Trouble(Exception):
    reason: str


T = TypeVar("T")


class Box(pydantic.BaseModel, Generic[T]):
    value: T


class Numbers(pydantic.RootModel[list[int]]):
    pass


INSTANCES = [
    Item("a", 1.5, ("x",)),
    Order([Item("a", 1.5), Item("b", 2)], datetime(2024, 1, 1)),
    Point(1, 2),
    Outer.Inner(5),
    Colour.RED,
    Colour.LOCK,
    Level.LOW,
    Word.YES,
    Right.READ | Right.WRITE,
    Right(0),
    Bits.A | Bits.B,
    Bits(8),
    Pair(1, (2, {"x": Pair(3, None)})),
    Old(1, 2),
    Customer(name="Ann", since=datetime(2024, 1, 1), points=[Point(1)]),
    Open(a=1, b=Point(2)),  # type: ignore[call-arg]
    Link(url="https://example.org/x"),  # type: ignore[arg-type]
    Box[int](value=5),
    Numbers([1, 2]),
]


@pytest.mark.parametrize("value", INSTANCES, ids=lambda value: type(value).__name__)
def test_instances_come_back_equal_and_of_the_same_class(value: Any) -> None:
    back = there_and_back({"x": [value]})["x"][0]
    assert type(back) is type(value)
    assert back == value


def test_enum_members_are_the_very_same() -> None:
    for member in (Colour.RED, Colour.LOCK, Level.LOW, Word.YES):
        assert there_and_back(member) is member
    assert there_and_back({Word.YES: 1}) == {"yes": 1}
    assert to_json(Word.YES)["v"] == {"name": "YES", "value": "yes"}


def test_neither_constructors_nor_validators_run_again() -> None:
    order = Order([Item("a", 1.5)], datetime(2024, 1, 1))
    order.total = 99
    customer = Customer(name="Ann", since=datetime(2024, 1, 1))
    customer.name = "as it is"
    customer._visits = 3
    CALLS.clear()
    back, friend = there_and_back([order, customer])
    assert CALLS == []
    assert (back.total, back._seen, back.count) == (99, {"n": 1}, 1)
    assert not hasattr(back, "_lock")  # has no form in JSON
    assert (friend.name, friend._visits, friend.model_fields_set) == ("as it is", 3, customer.model_fields_set)


def test_extra_members_of_a_model_come_back() -> None:
    back = there_and_back(Open(a=1, b=(2,)))  # type: ignore[call-arg]
    assert back.model_extra == {"b": (2,)}
    assert back.model_dump() == {"a": 1, "b": (2,)}


def test_what_a_model_would_lose_is_refused() -> None:
    with pytest.raises(StateError, match=r"field 'x\.key': .*SecretStr"):
        to_json(Secret(key="hidden"), field="x")  # type: ignore[arg-type]
    with pytest.raises(StateError, match=r"field 'x\.items\[0\]\.price': a value of type complex"):
        to_json(Order([Item("a", 1j)], datetime(2024, 1, 1)), field="x")  # type: ignore[arg-type]


@pytest.mark.parametrize("inner", [object(), threading.Lock()], ids=lambda inner: type(inner).__name__)
def test_a_model_with_something_inside_that_has_no_form_is_refused(inner: object) -> None:
    with pytest.raises(StateError, match=r"^field 'x\.inner':"):
        to_json(Loose(inner=inner), field="x")


def test_a_model_may_hold_an_array() -> None:
    back = from_json(to_json(Loose(inner=np.arange(3))))
    assert back.inner.tolist() == [0, 1, 2]


def test_circles_through_instances_are_refused_at_once() -> None:
    model = Loose(inner=1)
    model.inner = [model, pydantic.HttpUrl("https://example.org")]
    for value in (Tree([Tree([]), Tree([Tree([]), Tree([])])]), model):
        with pytest.raises(StateError, match="contains itself"):
            to_json(value)


def test_what_has_to_be_made_its_own_way_reads_as_its_members() -> None:
    assert there_and_back(Trouble("why")) == {"reason": "why"}


def test_local_classes_are_kept_as_their_members() -> None:
    @dataclass
    class Local:
        a: tuple[int, ...]

    class Model(pydantic.BaseModel):
        a: int

    class Choice(Enum):
        ONE = "one"

    class Two(NamedTuple):
        a: int

    assert there_and_back([Local((1,)), Model(a=1), Choice.ONE, Two(1)]) == [{"a": (1,)}, {"a": 1}, "one", (1,)]


def kept_without_class(value: Any) -> Any:
    """What is read where the class is gone."""
    kept = to_json(value)
    kept["type"] = "no_such_module_anywhere:" + kept["type"].partition(":")[2]
    return from_json(kept)


def test_classes_that_are_gone_read_as_plain_values() -> None:
    assert kept_without_class(Item("a", 1.5, ("x",))) == {"sku": "a", "price": 1.5, "tags": ("x",)}
    assert kept_without_class(Open(a=1, b=2)) == {"a": 1, "b": 2}  # type: ignore[call-arg]
    link = Link(url="https://example.org/x")  # type: ignore[arg-type]
    assert kept_without_class(link) == {"url": "https://example.org/x"}
    assert kept_without_class(Word.YES) == "yes"
    assert kept_without_class(Colour.LOCK) == "LOCK"
    assert kept_without_class(Pair(1, 2)) == (1, 2)
    gone = to_json({Point(1)})
    gone["v"][0]["type"] = "no_such_module_anywhere:Point"
    assert from_json(gone) == [{"x": 1, "y": 0}]  # a set cannot hold a dict


@pytest.mark.parametrize("kind", ["dataclass", "model", "model_json", "enum"])
@pytest.mark.parametrize(
    "name",
    ["os:system", "builtins:dict", "builtins:eval", "subprocess:Popen", "tests:", ":", "", "a.b", "os.path:join.x"],
)
def test_nothing_but_the_four_sorts_of_class_is_made_use_of(kind: str, name: str) -> None:
    members = {"name": "x", "value": "y"}
    back = from_json({"$dwarf": kind, "type": name, "v": members})
    assert back == ("y" if kind == "enum" else members)


def test_a_module_that_breaks_on_import_is_as_good_as_gone(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module_for_values.py").write_text("raise SystemExit('no')")
    monkeypatch.syspath_prepend(tmp_path)
    assert from_json({"$dwarf": "dataclass", "type": "broken_module_for_values:X", "v": {"a": 1}}) == {"a": 1}


def test_a_value_has_no_module_imported(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_module_for_values.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass X:\n    a: int\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    stored = {"$dwarf": "dataclass", "type": "late_module_for_values:X", "v": {"a": 1}}
    with pytest.warns(UserWarning, match="'late_module_for_values:X', which no loaded module has"):
        assert from_json(stored) == {"a": 1}
    assert from_json(stored) == {"a": 1}  # it is said once
    assert "late_module_for_values" not in sys.modules
    module = importlib.import_module("late_module_for_values")
    assert from_json(stored) == module.X(1)
    monkeypatch.delitem(sys.modules, "late_module_for_values")


@pytest.mark.parametrize("name", ["os:system", "builtins:type", "subprocess:Popen", "sys:modules", "x", ":", "a:b:c"])
@pytest.mark.parametrize("kind", ["dataclass", "model", "enum", "tuple", "model_json"])
def test_only_kept_kinds_of_classes_are_found(name: str, kind: str) -> None:
    members: Any = [1] if kind == "tuple" else {"name": "X", "value": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        back = from_json({"$dwarf": kind, "type": name, "v": members})
    assert type(back) in (dict, tuple, int)


def test_a_class_is_known_by_its_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    source = "from dataclasses import dataclass\n@dataclass\nclass Order:\n    n: int\n"
    module = ModuleType("orders_of_values")
    module.__dict__["__dwarf_scope__"] = "fraud"
    monkeypatch.setitem(sys.modules, "orders_of_values", module)
    exec(source, vars(module))
    order = module.__dict__["Order"](1)
    stored = to_json(order)
    assert stored["type"] == "fraud:Order"
    assert from_json(stored) == order
    other = ModuleType("orders_of_values")
    exec(source, vars(other))
    monkeypatch.setitem(sys.modules, "orders_of_values", other)  # as another notebook would have it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert from_json(stored) == {"n": 1}


def test_a_class_of_the_main_program_is_known_by_its_scope_and_by_its_former_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main = ModuleType("__main__")
    main.__dict__["__file__"] = "/x/etl.py"
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec("from dataclasses import dataclass\n@dataclass\nclass Order:\n    n: int\n", vars(main))
    order = main.__dict__["Order"](1)
    stored = to_json(order)
    assert stored["type"] == "etl:Order"
    assert from_json(stored) == from_json({**stored, "type": "__main__:Order"}) == order


def test_a_class_made_in_a_function_is_kept_once_it_is_registered() -> None:
    @dataclass
    class Local:
        n: int

    assert to_json(Local(1)) == {"n": 1}
    assert register_type(Local) is Local
    assert from_json(to_json(Local(1))) == Local(1)


@pytest.mark.parametrize("cls", [int, object, 5, ModuleType])
def test_only_kinds_that_are_kept_can_be_registered(cls: Any) -> None:
    with pytest.raises(ConfigError, match="register_type takes"):
        register_type(cls)


def test_classes_of_a_notebook_may_be_defined_again(monkeypatch: pytest.MonkeyPatch) -> None:
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)

    def define(*fields: Any) -> Any:
        cls = make_dataclass("Cell", fields, namespace={"__module__": "__main__"})
        cls.__module__ = "__main__"
        vars(main)["Cell"] = cls
        return cls

    kept = to_json(define(("a", int))(1))
    wider = define(("a", int), ("b", list, field(default_factory=list)), ("c", int, 7))
    assert from_json(kept) == wider(1, [], 7)
    define(("a", int), ("needed", int))
    assert from_json(kept) == {"a": 1}
    narrower = define()
    assert from_json(kept) == narrower()


def test_models_that_were_defined_again_fill_in_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = to_json(Open(a=1))
    kept["type"] = to_json(Customer(name="x", since=datetime(2024, 1, 1)))["type"]
    assert from_json(kept) == {"a": 1}  # name and since are needed
    kept = to_json(Customer(name="x", since=datetime(2024, 1, 1)))
    del kept["v"]["level"], kept["v"]["points"]
    assert from_json(kept) == Customer(name="x", since=datetime(2024, 1, 1))


def test_a_renamed_enum_member_is_found_by_its_value() -> None:
    kept = to_json(Word.YES)
    kept["v"]["name"] = "AYE"
    assert from_json(kept) is Word.YES


NUMPY = [
    np.float64(1.5),
    np.float32(0.1),
    np.float16(0.1),
    np.int64(-3),
    np.uint64(2**64 - 1),
    np.int8(3),
    np.bool_(True),
    np.str_("é"),
    np.bytes_(b"a\x00b"),
    np.longdouble("0.5"),
    np.float64("inf"),
    np.datetime64("2024-01-01T00:00:01", "ns"),
    np.datetime64("2024-01-01T00:00", "25s"),  # type: ignore[call-overload]
    np.timedelta64(3, "D"),
]
if np.lib.NumpyVersion(np.__version__) < "2.5.0":  # newer ones are about to refuse it
    NUMPY.append(np.timedelta64(3))


@pytest.mark.parametrize("value", NUMPY, ids=repr)
def test_numpy_scalars_mean_what_they_look_like(value: Any) -> None:
    back = there_and_back([value])[0]
    assert back == value
    if value.dtype.kind in "mM":
        assert back.dtype == value.dtype
    else:
        assert type(back) in (bool, int, float, str, bytes)


@pytest.mark.parametrize(
    ("kept", "value"),
    [
        ({"$dwarf": "numpy", "type": "float32", "v": 0.5}, np.float32(0.5)),
        ({"$dwarf": "numpy", "type": "int64", "v": 5}, np.int64(5)),
        ({"$dwarf": "numpy", "type": "bool", "v": True}, np.bool_(True)),
        ({"$dwarf": "numpy", "type": "str", "v": "a"}, np.str_("a")),
        ({"$dwarf": "numpy", "type": "bytes", "v": "AA=="}, np.bytes_(b"\0")),
        ({"$dwarf": "numpy", "type": "complex128", "v": [1.0, 2.0]}, np.complex128(1 + 2j)),
    ],
)
def test_scalars_that_earlier_versions_kept_come_back(kept: Any, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_json(kept) == value
    assert type(from_json(kept)) is type(value)
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert from_json(kept) == kept["v"]


PANDAS = [
    pd.Timestamp("2026-01-01T00:00:00.123456789"),
    pd.Timestamp("2026-03-29 03:30", tz="Europe/Berlin"),
    pd.Timestamp("2026-10-25 01:30:00.000000001", tz="UTC").tz_convert("Europe/Berlin"),
    pd.Timestamp("2026-01-01", tz=timezone(timedelta(hours=5.5), "IST")),
    pd.Timestamp("2026-01-01", tz="UTC"),
    pd.Timestamp("3000-01-01").as_unit("s"),
    pd.Timedelta(1),
    pd.Timedelta(days=-2, microseconds=3),
    pd.Timedelta(days=1).as_unit("s"),
]


@pytest.mark.parametrize("value", PANDAS, ids=repr)
def test_moments_of_pandas_keep_their_nanoseconds(value: Any) -> None:
    back = there_and_back([value])[0]
    assert back == value
    assert type(back) is type(value)
    assert back.unit == value.unit
    if isinstance(value, pd.Timestamp):
        assert (back.tzname(), back.fold, str(back)) == (value.tzname(), value.fold, str(value))


def test_what_is_missing_in_a_table_is_none() -> None:
    assert to_json([pd.NaT, pd.NA, np.datetime64("NaT", "s"), np.timedelta64("NaT", "s")]) == [None] * 4


@pytest.mark.parametrize("name", ["object", "O", "float128x", "void", "V8", "datetime64[x]", "", None])
def test_other_dtypes_are_not_made_use_of(name: Any) -> None:
    tag = {"$dwarf": "numpy", "type": name, "v": 1}
    assert from_json(tag) == tag


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (pd.Index([1]), r"\.tolist\(\)"),
        (pd.Period("2026-01", "M"), r"\.to_timestamp\(\)"),
        (pd.Interval(0, 1), r"\.left"),
        (pd.Categorical(["a"]), r"\.tolist\(\)"),
        (pd.offsets.Day(), "freqstr"),
        (pd.CategoricalDtype(), r"str\(\)"),
        (np.dtype("int64"), r"str\(\)"),
        (np.complex128(1 + 2j), r"\.real"),
        (np.longdouble("0.1"), r"float\(\)"),
        (np.array([(1, 2)], dtype="i4,i4")[0], r"\.item\(\)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_other_libraries_have_is_refused_with_advice(value: Any, text: str) -> None:
    with pytest.raises(StateError, match=f"field 'x.a': .*{text}"):
        to_json({"a": value}, field="x")
