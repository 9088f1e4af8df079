"""Databases that an earlier version has left behind, opened by this one: every flow goes on and ends rightly."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from dwarf import Status
from dwarf.engine import Engine, FlowHandle
from dwarf.errors import FlowNotFound, StateConflict
from dwarf.hosts import LocalHost
from dwarf.testing import engine_for_test
from tests.recorded.flows import graphs
from tests.recorded.loading import loaded, read
from tests.support.invariants import check_invariants
from tests.support.servers import servers

EMPTY: Any = object()  # an answer without data
# The answers that each flow still needs, in order, and what is in its final state.
ENDS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "asking": ([4], {"answer": 4}),
    "plainly": (["c"], {"one": 1, "two": {}, "three": "c"}),
    "in time": ([], {"answer": "nobody came"}),
    "order": ([True], {"number": 4, "sure": True}),
    "calling": ([5], {"before": "yes", "of_child": 5, "when": dt.date(2026, 2, 3)}),
    "sides": (["the right"], {"joined": ["left", "the right"]}),
    "everything": ([EMPTY], {"wrong": [], "arm": "yes"}),
    "large": ([EMPTY], {"right": True}),
    "north": ([1], {"loaded": "from the north", "answer": 1}),
    "south": (["Bo", False], {"loaded": "from the south", "name": "Bo", "sure": False}),
    "twice": ([False], {"name": "Ada", "sure": False, "asked": 1}),
    "handled": ([2], {"error": "not with a name", "answer": 2}),
    "dozing": ([], {"held": True}),
    "stumbling": ([], {"first": "written before the retry", "attempts": 2}),
    "calling two": ([], {"first": "Hello, the first", "second": True}),
    "with a key": ([9], {"answer": 9, "amount": 1}),
    "forked": ([6], {"answer": 6, "kept": 1}),
    "fan out": (
        ["this one"],
        {
            "all": sorted(["done", "done too", "asks: this one", "sleeps", "runs", "waits", "waits too"]),
            "total": 7,
            "different": ["2026-01-01", "2026-01-02"],
        },
    ),
    "holding": ([], {"held": True, "greeting": "Hello, again"}),
    "held": ([], {"held": True, "greeting": "Hello, the last"}),
    "limited": ([], {"limited": True}),
    "limited too": ([], {"limited": True}),
    "pending": ([], {"greeting": "Hello, later"}),
    "pending with a key": ([], {"greeting": "Hello, later"}),
}
ENDED = {"completed", "counted", "counted on", "failed", "caught", "cancelled", "deleted on completion"}


@pytest.fixture(scope="module", params=["sqlite", *servers()])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A kind of database, and the URL of one of that kind as it was recorded; the tests go on with the same one."""
    kind: str = request.param
    with loaded(kind, tmp_path_factory.mktemp("recorded")) as url:
        yield kind, url


@pytest.fixture
async def engine(recorded: tuple[str, str], host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    kind, url = recorded
    monkeypatch.setenv("DWARF_TEST_URL", url.replace("{", "{{").replace("}", "}}"))
    for graph in graphs().values():
        host.add_graph(graph)
    async with engine_for_test("recorded", host) as engine:
        yield engine
        await check_invariants(engine)


@pytest.fixture
def flows(recorded: tuple[str, str], engine: Engine) -> dict[str, FlowHandle]:
    """The recorded flows by their names."""
    return {name: engine.flow(key) for name, key in read(recorded[0])[1].items()}


def test_every_flow_has_its_end(recorded: tuple[str, str]) -> None:
    assert read(recorded[0])[1].keys() == ENDS.keys() | ENDED


@pytest.mark.parametrize("name", ENDS)
async def test_a_flow_goes_on_and_ends(flows: dict[str, FlowHandle], name: str) -> None:
    flow, (answers, wanted) = flows[name], ENDS[name]
    before = await flow.history()
    for answer in answers:
        assert (await flow.outcome(timeout=60)).status is Status.INTERRUPTED
        await (flow.resume() if answer is EMPTY else flow.resume(answer))
    outcome = await flow.outcome(timeout=60)
    assert outcome.status is Status.COMPLETED, outcome.error
    assert {field: outcome.state.get(field) for field in wanted} == wanted
    after = await flow.history()
    assert {step.key for step in before} <= {step.key for step in after}


async def test_a_flow_that_is_to_go_is_deleted_at_its_end(flows: dict[str, FlowHandle]) -> None:
    flow = flows["deleted on completion"]
    await flow.resume(1)
    assert (await flow.outcome(timeout=60)).state["answer"] == 1
    with pytest.raises(FlowNotFound):
        await flow.history()


async def test_ended_flows_are_read_as_they_were(flows: dict[str, FlowHandle]) -> None:
    wanted = {
        "completed": (Status.COMPLETED, {"name": "you", "greeting": "Hello, you"}),
        "counted": (Status.COMPLETED, {"n": 2}),
        "counted on": (Status.COMPLETED, {"n": 6}),
        "failed": (Status.FAILED, {"name": "x"}),
        "caught": (Status.COMPLETED, {"caught": "not with a name"}),
    }
    for name, (status, state) in wanted.items():
        outcome = await flows[name].snapshot()
        assert (outcome.status, dict(outcome.state)) == (status, state), name
    assert (await flows["cancelled"].snapshot()).cancel_reason == "not wanted"
    assert (await flows["failed"].snapshot()).error == "not with a name"


async def test_threads_go_on(flows: dict[str, FlowHandle]) -> None:
    later = await flows["counted"].continue_with()
    assert (await later.outcome(timeout=60)).state["n"] == 7


async def test_failed_flows_are_repaired(flows: dict[str, FlowHandle]) -> None:
    mended = await flows["failed"].retry_failed({"name": None})
    outcome = await mended.outcome(timeout=60)
    assert (outcome.status, dict(outcome.state)) == (Status.COMPLETED, {"mended": True})


async def test_recorded_steps_are_forked(engine: Engine, flows: dict[str, FlowHandle]) -> None:
    (first,) = await flows["completed"].history()
    fork = await engine.fork(first, {"name": "me"})
    assert (await fork.outcome(timeout=60)).state["greeting"] == "Hello, me"


async def test_keys_are_still_known(engine: Engine, flows: dict[str, FlowHandle]) -> None:
    state = {"to": {"name": "x", "iban": "y"}, "amount": 1, "day": dt.date(2026, 1, 1), "name": "with a key"}
    assert (await engine.create("asking", state, idempotency_key="the key")).key == flows["with a key"].key
    turned = {name: dict(reversed(value.items())) if name == "to" else value for name, value in state.items()}  # type: ignore[attr-defined]
    assert (await engine.create("asking", turned, idempotency_key="the key")).key == flows["with a key"].key
    again = await engine.create("greeting", {"name": "later"}, idempotency_key="later")
    assert again.key == flows["pending with a key"].key
    with pytest.raises(StateConflict):
        await engine.create("asking", {**state, "amount": 2}, idempotency_key="the key")


async def test_schedules_go_on(engine: Engine) -> None:
    schedules = {schedule.name: schedule for schedule in await engine.schedules()}
    assert sorted(schedules) == ["daily", "hourly", "paused"]
    assert schedules["paused"].paused
    daily = schedules["daily"]
    state = {"name": "the clock", "day": dt.date(2026, 1, 1), "to": {"b": 1, "a": 2}}
    same = await engine.schedule("daily", "greeting", every=dt.timedelta(days=1), state=state, priority=3)
    assert same.next_at == daily.next_at, "the same definition changes nothing"
    turned = {"to": {"a": 2, "b": 1}, "day": dt.date(2026, 1, 1), "name": "the clock"}
    same = await engine.schedule("daily", "greeting", every=dt.timedelta(days=1), state=turned, priority=3)
    assert same.next_at == daily.next_at, "in whatever order"
    ticks = 0
    async with asyncio.timeout(120):
        while ticks != 2:  # that have passed, and are made up for by the scheduler's own loop
            await asyncio.sleep(0.05)
            listed = [flow async for flow in engine.flows(workflow_url="greeting", status=Status.COMPLETED)]
            states = [(await engine.flow(flow.flow_key).snapshot()).state for flow in listed]
            ticks = sum(state["name"] == "the hour" for state in states)


async def test_every_flow_is_exported_and_imported(engine: Engine, flows: dict[str, FlowHandle]) -> None:
    for name in ("completed", "counted", "failed", "caught", "cancelled"):
        lines = [line async for line in engine.export_flows(flows[name].key)]
        (copy,) = await engine.import_flows(lines)
        one, other = await flows[name].snapshot(), await copy.snapshot()
        assert (one.status, one.state, one.error) == (other.status, other.state, other.error), name
        await copy.delete()
