"""Every kind of value, in every place that reads one, on every database: it means what it looks like.

``KINDS`` is the table. A kind that is decoded and is not in it fails the first test.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
import pathlib
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pydantic
import pytest

from dwarf import END, Flow, Graph, Reducer, Status
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.values import TAG, to_json
from dwarf.workflow.values.decoding import DECODERS
from tests.support.workflows import Running, at


class Level(enum.Enum):
    HIGH = "high"


class Grade(enum.IntEnum):
    GOOD = 2


@dataclass(frozen=True)
class Order:
    number: int
    day: dt.date


class Customer(pydantic.BaseModel):
    name: str


class Site(pydantic.BaseModel):
    url: pydantic.HttpUrl


class Point(NamedTuple):
    x: int
    y: int


class Kind(NamedTuple):
    """A value, what comes back of it, and conditions about the field ``v`` that hold and that do not."""

    value: Any
    holds: list[str]
    fails: list[str]
    back: Any = ...
    items: list[Any] | None = None  # of a for-each


FRAME = pd.DataFrame({"id": [1, 2], "when": pd.to_datetime(["2026-01-01", None]), "v": [1.5, np.nan]})
KINDS: dict[str, Kind] = {
    "bool": Kind(True, ["v", "v == true"], ["!v", "v == 'true'"]),
    "int": Kind(5, ["v > 3", "v == 5"], ["v > 5", "v == '5'"]),
    "large int": Kind(2**70, ["v > 1000", "v == 1180591620717411303424"], ["v < 0"]),
    "float": Kind(0.85, ["v > 0.5"], ["v > 0.9"]),
    "text": Kind("high", ["v == 'high'", "v =~ '^h'"], ["v == 'low'"]),
    "list": Kind([1, "a"], ["v.a", "v.1"], ["v.b"], items=[1, "a"]),
    "mapping": Kind({"a": {"b": 2}}, ["v.a.b == 2"], ["v.a.b > 2"]),
    "own tag": Kind({"$dwarf": "date", "v": "mine"}, ["v.v == 'mine'"], ["v.v == 'x'"]),
    "NaN": Kind(math.nan, ["v != v", "v"], ["v == v", "v > 0", "v < 0", "v <= v"]),
    "infinity": Kind(-math.inf, ["v < 0", "v == v"], ["v > 0"]),
    "Decimal": Kind(Decimal("3.10"), ["v > 3", "v == 3.1", "v < 3.11", "v != 3"], ["v > 3.1", "v == '3.10'"]),
    "Decimal zero": Kind(Decimal("0.00"), ["v == 0", "!v"], ["v"]),
    "enum": Kind(Level.HIGH, ["v == 'high'", "v > 'a'", "v =~ 'ig'"], ["v == 'HIGH'"]),
    "number enum": Kind(Grade.GOOD, ["v > 1", "v == 2"], ["v > 2"]),
    "date": Kind(
        dt.date(2030, 1, 1),
        [
            "v > '2029-01-01'",
            "v == '2030-01-01'",
            "v >= '2030-01-01'",
            "v < '2030-01-01T00:00:01'",
            "v.v == '2030-01-01'",
        ],
        ["v < '2029-12-31'", "v > '2030-01-01'", "v > 3"],
    ),
    "datetime": Kind(
        dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC),
        ["v > '2030-01-01'", "v == '2030-01-01T13:00:00+01:00'", "v < '2030-01-01T12:00:01Z'"],
        ["v > '2030-01-02'", "v < '2030-01-01T12:00:00+00:00'"],
    ),
    "naive datetime": Kind(dt.datetime(2030, 1, 1, 12), ["v == '2030-01-01T12:00'"], ["v > '2030-01-01T12:00'"]),
    "zoned datetime": Kind(
        dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        ["v == '2026-10-25T01:30:00Z'"],
        ["v == '2026-10-25T00:30:00Z'"],
    ),
    "time": Kind(dt.time(9, 30), ["v < '12:00'", "v == '09:30'"], ["v > '12:00'", "v > '2030-01-01'"]),
    "timedelta": Kind(dt.timedelta(minutes=90), ["v > 'PT1H'", "v == 'PT1H30M'"], ["v > 'P1D'", "v > 5"]),
    "uuid": Kind(uuid.UUID(int=5), ["v == '00000000-0000-0000-0000-000000000005'"], ["v == '5'"]),
    "path": Kind(pathlib.Path("a/b.txt"), ["v =~ 'txt$'", "v == 'a/b.txt'"], ["v == 'a'"]),
    "pure posix path": Kind(pathlib.PurePosixPath("a/b"), ["v == 'a/b'"], ["v == 'a'"]),
    "pure windows path": Kind(pathlib.PureWindowsPath("c:/a"), ["v == 'c:/a'"], ["v == 'a'"]),
    "bytes": Kind(b"\x00\xff", ["v"], ["v == 'AP8='"]),
    "bytearray": Kind(bytearray(b"a"), ["v"], ["v == 'a'"]),
    "tuple": Kind((1, "a"), ["v.a", "v.1"], ["v.b"], items=[1, "a"]),
    "named tuple": Kind(Point(1, 2), ["v.1"], ["v.3"], items=[1, 2]),
    "set": Kind({1, 2}, ["v.1"], ["v.3"], items=[1, 2]),
    "frozenset": Kind(frozenset({"a"}), ["v.a"], ["v.b"], items=["a"]),
    "enums": Kind([Level.HIGH], ["v.high"], ["v.low"], items=[Level.HIGH]),
    "dataclass": Kind(Order(7, dt.date(2030, 1, 1)), ["v.number > 6", "v.day > '2029-01-01'"], ["v.number > 7"]),
    "model": Kind(Customer(name="x"), ["v.name == 'x'"], ["v.name == 'y'"]),
    "model by its JSON": Kind(Site(url="https://a.b/"), ["v.url == 'https://a.b/'"], ["v.url == 'x'"]),
    "numpy float": Kind(np.mean([0.9, 0.8]), ["v > 0.5"], ["v > 0.9"], back=0.8500000000000001),
    "numpy float32": Kind(np.float32(0.1), ["v > 0.1"], ["v == 0.1"], back=float(np.float32(0.1))),
    "numpy int": Kind(np.int64(5), ["v > 3", "v == 5"], ["v > 5"], back=5),
    "numpy bool": Kind(np.bool_(True), ["v", "v == true"], ["!v"], back=True),
    "numpy text": Kind(np.str_("a"), ["v == 'a'"], ["v == 'b'"], back="a"),
    "numpy moment": Kind(np.datetime64("2030-01-01T12:00", "s"), ["v > '2030-01-01'"], ["v > '2030-01-02'"]),
    "numpy duration": Kind(np.timedelta64(90, "m"), ["v > 'PT1H'"], ["v > 'PT2H'"]),
    "Timestamp": Kind(
        pd.Timestamp("2030-01-01T00:00:00.123456789", tz="Europe/Berlin"),
        ["v > '2030-01-01'", "v > '2030-01-01T00:00:00.123456788'"],
        ["v > '2030-01-01T00:00:00.123456789'"],
    ),
    "Timedelta": Kind(pd.Timedelta(1), ["v > 'PT0S'", "v < 'PT0.000001S'"], ["v > 'PT1S'"]),
    "array without dimensions": Kind(np.array(5.5), ["v > 5", "v == 5.5"], ["v > 6"]),
    "array": Kind(np.arange(3), ["v"], ["v == 3"], items=[0, 1, 2]),
    "series": Kind(pd.Series([1.5, None], name="s"), ["v"], ["v > 1"], items=[1.5, math.nan]),
    "frame": Kind(
        FRAME,
        ["v"],
        ["v > 1"],
        items=[{"id": 1, "when": pd.Timestamp("2026-01-01"), "v": 1.5}, {"id": 2, "when": None, "v": math.nan}],
    ),
}
SAMPLE = {name: kind.value for name, kind in KINDS.items()}


def same(one: Any, other: Any) -> bool:
    """Of one type and equal, NaN included."""
    if isinstance(one, (pd.DataFrame, pd.Series)):
        return type(one) is type(other) and one.equals(other)
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    return type(one) is type(other) and bool(one == other)


def test_every_kind_is_in_the_table() -> None:
    def tags(form: Any) -> set[str]:
        found: set[str] = {form[TAG]} if isinstance(form, dict) and isinstance(form.get(TAG), str) else set()
        inner = form.values() if isinstance(form, dict) else form if isinstance(form, list) else ()
        return found.union(*map(tags, inner))

    covered = set().union(*(tags(to_json(value)) for value in SAMPLE.values()))
    assert set(DECODERS) - {"overwrite"} <= covered, "a mark among the changes of a step is no kind of value"


@pytest.mark.parametrize("name", KINDS)
async def test_a_value_means_what_it_looks_like(running: Running, name: str) -> None:
    kind = KINDS[name]
    back = kind.value if kind.back is ... else kind.back
    seen: list[str] = []

    def make(flow: Flow) -> dict[str, Any]:
        wire = Flow.from_json(loads(dumps(Flow(to_json({"v": kind.value})).to_json())))
        if same(wire["v"], back):
            seen.append("wire")
        return {"v": kind.value}

    def take(flow: Flow, v: Any) -> dict[str, Any]:
        if same(v, back) and same(flow.get_as("v", type(back)), back):
            seen.append("parameter")
        answer = flow.interrupt({"title": "And?", "shown": kind.value})
        if same(answer, back):
            seen.append("answer")
        return {"answered": True}

    def each(item: Any) -> dict[str, Any]:
        return {"united": [item]}

    def join(flow: Flow) -> None:
        if same(flow["united"], [back]):
            seen.append("union")

    graph = Graph("all", reducers={"united": Reducer.UNION}).add_node("Make", make).add_node("Take", take)
    graph.add_node("Wrong", join).add_node("Each", each).add_node("Join", join, fan_in=True)
    arms: dict[str, str] = dict.fromkeys(kind.fails, "Wrong")
    graph.add_switch("Make", {**arms, " && ".join(kind.holds): "Take"}, default="Wrong").add_transition("Wrong", END)
    graph.add_for_each("Take", "Each", items="pair").add_chain("Each", "Join", END)
    async with running() as engine:
        state = {"pair": [kind.value, kind.value], "given": kind.value}
        flow = await engine.create(graph, state, idempotency_key="k")
        again = await engine.create(graph, {"given": kind.value, "pair": [back, back]}, idempotency_key="k")
        assert again.key == flow.key, "one flow"
        outcome = await flow.outcome(timeout=60)
        assert outcome.status is Status.INTERRUPTED, outcome
        history = await flow.history()
        made = at(history, "Make")
        assert all("have no order" in text for text in made.warnings)
        payload = at(history, "Take").interrupt_payload
        assert payload is not None
        assert same(payload["shown"], back)
        lines = [line async for line in engine.export_flows(flow.key)]
        (copy,) = await engine.import_flows(lines)
        assert same((await copy.outcome(timeout=60)).state["v"], back)
        await copy.delete()
        await flow.resume(kind.value)
        outcome = await flow.outcome(timeout=60)
        assert outcome.status is Status.COMPLETED, outcome.error
        assert same(outcome.state["v"], back)
        assert seen == ["wire", "parameter", "parameter", "answer", "union"]
        fork = await engine.fork(made, {"given": kind.value})
        assert same((await fork.outcome(timeout=60)).state["given"], back)
        await fork.cancel()
        first = await engine.schedule("s", graph, every=86400, state=state)
        second = await engine.schedule("s", graph, every=86400, state={"given": back, "pair": [back, back]})
        assert first.next_at == second.next_at


@pytest.mark.parametrize("name", KINDS)
async def test_its_items_make_branches(running: Running, name: str) -> None:
    items = KINDS[name].items
    found: list[Any] = []

    async def note(flow: Flow, item: Any) -> None:
        found.append((flow["itemIndex"], item))

    async def nothing(flow: Flow) -> None:
        pass

    graph = Graph("each").add_node("Split", nothing).add_node("Each", note).add_node("Join", nothing, fan_in=True)
    graph.add_for_each("Split", "Each", items="v").add_chain("Each", "Join", END)
    async with running() as engine:
        outcome = await engine.run(graph, {"v": KINDS[name].value}, timeout=60)
        if items is None:
            assert outcome.status is Status.FAILED
            assert "'v' is not an array" in outcome.error
        else:
            assert outcome.status is Status.COMPLETED, outcome.error
            ordered = [item for _, item in sorted(found, key=lambda each: each[0])]
            assert same(ordered, items)


async def test_kinds_that_have_no_order_are_said_once(running: Running) -> None:
    async def make() -> dict[str, Any]:
        return {"score": "0.9", "due": dt.date(2030, 1, 1), "n": 3}

    async def nothing(flow: Flow) -> None:
        pass

    graph = Graph("w").add_node("Make", make).add_node("A", nothing).add_node("B", nothing)
    arms = {"score > 0.5 || score > 0.5": "A", "due > 5": "A", "gone > 5 || n == 'x' || due == 5": "A", "n < 'x'": "A"}
    graph.add_switch("Make", arms, default="B").add_chain("A", END).add_transition("B", END)
    async with running() as engine:
        flow = await engine.create(graph)
        assert (await flow.outcome(timeout=60)).status is Status.COMPLETED
        steps = await flow.history()
        assert [step.node for step in steps] == ["Make", "B"]
        assert len(steps[0].warnings) == 3
        assert "score is a text, and 0.5 a number" in steps[0].warnings[0]
        assert "due is a date, and 5 a number" in steps[0].warnings[1]
        assert "n is a number, and 'x' a text" in steps[0].warnings[2]
        assert steps[1].warnings == ()


async def test_keys_of_every_depth_may_come_in_any_order(running: Running) -> None:
    async def nothing(flow: Flow) -> None:
        pass

    graph = Graph("g").add_node("N", nothing).add_transition("N", END)
    one = {"a": [{"x": 1, "y": {"p": 1.0, "q": [2]}}], "b": dt.date(2026, 1, 1)}
    other = {"b": dt.date(2026, 1, 1), "a": [{"y": {"q": [np.int64(2)], "p": 1}, "x": True + 0}]}
    async with running() as engine:
        first = await engine.create(graph, one, idempotency_key="k")
        second = await engine.create(graph, other, idempotency_key="k")
        assert first.key == second.key
        scheduled = await engine.schedule("s", graph, every=86400, state=one)
        again = await engine.schedule("s", graph, every=86400, state=other)
        assert scheduled.next_at == again.next_at
