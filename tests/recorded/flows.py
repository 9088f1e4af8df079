"""The workflows of the recorded databases: their tasks, their graphs, and how each flow ends.

The recording and the tests use the same functions, under the package's code of then and of now, so only what both know
is used here. The recorded rows name the tasks as they were named then: by the bare names of these functions. Do not
rename a function, a class or a node.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import enum
import pathlib
import uuid
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pydantic

from dwarf import END, Flow, Graph, Limit, Reducer, SubgraphFailed, task

HOUR = 3600
RECORDING: dict[str, asyncio.Event] = {}  # while it is recorded, the tasks that wait here stand still


# ---------------------------------------------------------------- what is kept


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Rights(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Order:
    number: int
    day: dt.date
    notes: list[str] = field(default_factory=list)


class Customer(pydantic.BaseModel):
    name: str
    since: dt.date


def every_kind() -> dict[str, Any]:
    """A value of every kind that could be kept, and comes back equal and of the same type."""
    utc = dt.UTC
    return {
        "text": "plain, é, \u0000, \U0001f600",
        "number": 2**70,
        "half": 0.5,
        "yes": True,
        "nested": {"b": [1, None, {"a": "x"}], "a": {}},
        "own_tag": {"$dwarf": "a key of the user's", "v": 1},
        "moment": dt.datetime(2026, 3, 29, 1, 30, tzinfo=utc),
        "naive": dt.datetime(2026, 3, 29, 1, 30, 0, 5),
        "zoned": dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
        "day": dt.date(2030, 1, 1),
        "clock": dt.time(23, 59, 1),
        "span": dt.timedelta(days=2, microseconds=7),
        "price": decimal.Decimal("3.50"),
        "id": uuid.UUID("12345678-1234-5678-1234-567812345678"),
        "bytes": b"\x00\xff",
        "bytearray": bytearray(b"abc"),
        "path": pathlib.Path("a/b.txt"),
        "windows_path": pathlib.PureWindowsPath("c:/a"),
        "tuple": (1, ("a", 2.5)),
        "set": {3, 1, 2},
        "frozenset": frozenset({"b", "a"}),
        "level": Level.HIGH,
        "rights": Rights.READ | Rights.WRITE,
        "point": Point(1, 2),
        "order": Order(7, dt.date(2026, 1, 2), ["soon"]),
        "customer": Customer(name="Lima", since=dt.date(2020, 5, 1)),
        "days_of_orders": [dt.date(2026, 1, 1), {"order": Order(8, dt.date(2026, 1, 3))}],
    }


def every_scalar() -> dict[str, Any]:
    """Numbers of numpy and their like: what comes back of them has the same value."""
    return {
        "np_int": np.int64(5),
        "np_float": np.float64(0.85),
        "np_float32": np.float32(0.1),
        "np_bool": np.bool_(True),
        "np_moment": np.datetime64("2026-01-01T00:00:00"),
        "np_span": np.timedelta64(90, "s"),
        "np_text": np.str_("abc"),
        "np_complex": np.complex128(1 + 2j),
    }


def large_array() -> Any:
    """Large enough to be kept as a blob."""
    return (np.arange(60_000, dtype="float32") % 7).reshape(200, 300)


def large_frame() -> Any:
    """Large enough to be kept as a blob."""
    days = pd.Series(pd.date_range("2026-01-01", periods=30, tz="Europe/Berlin").repeat(400))
    return pd.DataFrame({"n": np.arange(12000) % 11, "when": days, "kind": pd.Categorical(["a", "b", "c"] * 4000)})


# ---------------------------------------------------------------- tasks


async def greet(name: str) -> dict[str, Any]:
    return {"greeting": f"Hello, {name}"}


def load(source: str) -> dict[str, Any]:
    return {"loaded": f"from {source}"}


async def hold(flow: Flow) -> dict[str, Any]:
    if "hold" in RECORDING:
        RECORDING["hold"].set()
        await asyncio.Event().wait()
    return {"held": True}


async def doze(flow: Flow) -> None:
    flow.delay(HOUR)


async def stumble(flow: Flow) -> dict[str, Any]:
    if flow.attempt == 0:
        flow["first"] = "written before the retry"
        flow.retry(delay=HOUR)
    return {"attempts": flow.attempt + 1}


def ask_once(flow: Flow) -> dict[str, Any]:
    return {"answer": flow.interrupt({"title": "How many?", "schema": {"type": "integer"}, "default": 3})}


def ask_twice(flow: Flow) -> dict[str, Any]:
    name = flow.interrupt({"title": "Name?", "schema": {"type": "string"}})
    flow["asked"] = 1
    sure = flow.interrupt({"title": f"Sure, {name}?", "schema": {"type": "boolean"}})
    return {"name": name, "sure": sure}


def ask_plainly(flow: Flow) -> dict[str, Any]:
    return {"one": flow.interrupt("First"), "two": flow.interrupt("Second"), "three": flow.interrupt("Third")}


def ask_in_time(flow: Flow) -> dict[str, Any]:
    return {"answer": flow.interrupt("In time?", timeout=HOUR, default="nobody came")}


def ask_for_order(flow: Flow) -> dict[str, Any]:
    given = flow.interrupt({"title": "The order", "schema": Order, "blank": Order(1, dt.date(2026, 1, 1))})
    number = given["number"] if isinstance(given, Mapping) else given.number
    sure = flow.interrupt({"title": "Sure?", "schema": bool})
    return {"number": number, "sure": sure}


async def listing() -> dict[str, Any]:
    return {"items": ["done", "done too", "asks", "sleeps", "runs", "waits", "waits too"]}


async def treat(flow: Flow, item: str, itemIndex: int) -> dict[str, Any]:
    if item == "asks":
        return {"treated": [f"{item}: {flow.interrupt('Which?')}"], "days": [dt.date(2026, 1, 1)], "count": 1}
    if item == "sleeps":
        if flow.attempt == 0:
            flow.retry(delay=HOUR)
    elif item == "runs" and "hold" in RECORDING:
        await hold(flow)
    return {"treated": [item], "days": [dt.date(2026, 1, 1 + itemIndex % 2)], "count": 1}


async def gather(flow: Flow) -> dict[str, Any]:
    return {"all": sorted(flow["treated"]), "total": flow["count"], "different": sorted(map(str, flow["days"]))}


async def left(flow: Flow) -> dict[str, Any]:
    return {"sides": ["left"]}


def right(flow: Flow) -> dict[str, Any]:
    return {"sides": [flow.interrupt("The right side?")]}


async def split(flow: Flow) -> None:
    pass


async def join(flow: Flow) -> dict[str, Any]:
    return {"joined": sorted(flow["sides"])}


def call_child(flow: Flow) -> dict[str, Any]:
    before = flow.interrupt({"title": "Before the child?", "schema": {"type": "string"}})
    found = flow.subgraph("child", {"source": "parent", "when": dt.date(2026, 2, 3)})
    return {"before": before, "of_child": found["answer"], "when": found["when"]}


def call_two(flow: Flow) -> dict[str, Any]:
    first = flow.subgraph("greeting", {"name": "the first"})
    second = flow.subgraph("dozing", {})
    return {"first": first["greeting"], "second": second["held"]}


def call_failing(flow: Flow) -> dict[str, Any]:
    try:
        flow.subgraph("failing", {"name": "child"})
    except SubgraphFailed as error:
        return {"caught": str(error)}
    return {"caught": ""}


async def fail(flow: Flow) -> dict[str, Any]:
    if "name" in flow:
        raise ValueError("not with a name")
    return {"mended": True}


async def mend(flow: Flow) -> dict[str, Any]:
    return {"error": flow["onErr"]["error"]}


def make_everything(flow: Flow) -> None:
    flow.update(every_kind())
    flow.update(every_scalar())


def check_everything(flow: Flow) -> dict[str, Any]:
    flow.interrupt("Is it all there?")
    wanted = every_kind()
    wrong = [name for name, value in wanted.items() if type(flow[name]) is not type(value) or flow[name] != value]
    wrong += [name for name, value in every_scalar().items() if flow[name] != value]
    return {"wrong": wrong}


async def take_yes(flow: Flow) -> dict[str, Any]:
    return {"arm": "yes"}


async def take_no(flow: Flow) -> dict[str, Any]:
    return {"arm": "no"}


def make_large(flow: Flow) -> dict[str, Any]:
    return {
        "array": large_array(),
        "frame": large_frame(),
        "small": np.arange(3),
        "series": pd.Series([1, 2], name="s"),
    }


def check_large(flow: Flow) -> dict[str, Any]:
    flow.interrupt({"title": "Is it all there?", "preview": flow["frame"]})
    assert np.array_equal(flow["array"], large_array())
    pd.testing.assert_frame_equal(flow["frame"], large_frame())
    assert np.array_equal(flow["small"], np.arange(3))
    pd.testing.assert_series_equal(flow["series"], pd.Series([1, 2], name="s"))
    return {"right": True, "array": None, "frame": None, "series": None, "small": None}


@task(url="https://tasks.example/count")
async def count_up(n: int = 0) -> dict[str, Any]:
    return {"n": n + 1}


@task(limit=Limit(concurrency=1))
async def one_at_a_time(flow: Flow) -> dict[str, Any]:
    return {**(await hold(flow)), "limited": True}


# ---------------------------------------------------------------- graphs


def _line(name: str, **nodes: Callable[..., Any]) -> Graph:
    graph = Graph(name)
    for node, function in nodes.items():
        graph.add_node(node, function)
    return graph.add_chain(*nodes, END)


def graphs() -> dict[str, Graph]:
    """All graphs by name. Two of them have a function of one name."""
    fan_out = Graph("fan out", reducers={"treated": Reducer.APPEND, "days": Reducer.UNION, "count": Reducer.ADD})
    fan_out.add_node("List", listing).add_node("Treat", treat).add_node("Gather", gather, fan_in=True)
    fan_out.add_for_each("List", "Treat", items="items").add_chain("Treat", "Gather", END)
    sides = Graph("sides", reducers={"sides": Reducer.APPEND})
    sides.add_node("Split", split).add_node("Left", left).add_node("Right", right).add_node("Join", join, fan_in=True)
    sides.add_fan_out("Split", "Left", "Right")
    sides.add_chain("Left", "Join", END).add_transition("Right", "Join")
    handled = Graph("handled").add_node("Fail", fail).add_node("Ask", ask_once).add_node("Mend", mend)
    handled.add_error_handler("Fail", "Ask").add_chain("Ask", "Mend", END).add_transition("Fail", END)
    everything = Graph("everything").add_node("Make", make_everything).add_node("Check", check_everything)
    everything.add_node("Yes", take_yes).add_node("No", take_no).add_transition("Make", "Check")
    everything.add_switch(
        "Check", {"np_float > 0.9": "No", "np_int > 3 && price > 3 && level == 'high'": "Yes"}, default="No"
    )
    everything.add_transition("Yes", END).add_transition("No", END)
    made = [
        _line("greeting", Greet=greet),
        _line("north", Load=load, Ask=ask_once),
        _line("south", Load=load, Ask=ask_twice),
        _line("dozing", Doze=doze, Hold=hold),
        _line("stumbling", Stumble=stumble),
        _line("asking", Ask=ask_once),
        _line("child", Load=load, Ask=ask_once),
        _line("twice", Ask=ask_twice),
        _line("plainly", Ask=ask_plainly),
        _line("in time", Ask=ask_in_time),
        _line("order", Ask=ask_for_order),
        _line("calling", Call=call_child),
        _line("calling two", Call=call_two),
        _line("calling a failure", Call=call_failing),
        _line("failing", Fail=fail),
        _line("holding", Hold=hold, Greet=greet),
        _line("large", Make=make_large, Pass=split, Check=check_large),
        _line("counting", Count=count_up),
        _line("limited", Hold=one_at_a_time),
        fan_out,
        sides,
        handled,
        everything,
    ]
    return {graph.name: graph for graph in made}
