"""Flows as lines of text, and from the lines into another database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, TaskError, task
from dwarf.engine import Engine, FlowHandle
from dwarf.errors import EngineClosed, FlowNotFound, InvalidRequest, StateConflict
from dwarf.hosts import LocalHost
from tests.support.codecs import Xor
from tests.support.invariants import check_invariants, query
from tests.support.workflows import Gate, Running, at, names

LONG = "y" * 2001


@task(url="child")
async def child(flow: Flow) -> None:
    flow["answer"] = flow.interrupt({"title": f"{flow['item']}?", "schema": {"type": "integer"}})
    flow["long"] = LONG


@task(url="parent")
async def parent(flow: Flow) -> None:
    flow["before"] = date(2024, 5, 1)
    result = flow.subgraph(CHILD, {"item": flow["item"], "long": LONG})
    flow["out"] = [result["answer"]]


@task(url="last")
async def last(flow: Flow) -> None:
    if flow.get("bad"):
        raise TaskError("bad luck")
    flow["sum"] = sum(flow["out"])
    flow["turn"] = flow.get("turn", 0) + 1


@task(url="nothing")
async def nothing(flow: Flow) -> None:
    pass


CHILD = Graph("child").add_node("Ask", child).add_transition("Ask", END)
WIDE = (
    Graph("wide", reducers={"out": "append"})
    .add_node("Start", nothing)
    .add_node("Each", parent)
    .add_node("Join", last, fan_in=True)
    .add_for_each("Start", "Each", items="items")
    .add_transition("Each", "Join")
    .add_transition("Join", END)
)
STATE = {"items": [1, 2, 3], "price": Decimal("1.10"), "when": datetime(2024, 5, 1, tzinfo=UTC), "line": "a\u2028b"}


@pytest.fixture(autouse=True)
def _large_values_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dwarf.storage.payloads.pipeline.LARGE", 2000)


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine elsewhere, with a codec, which has had flows of its own."""
    host = LocalHost()
    for function in (child, parent, last, nothing):
        host.add_task(function.__dwarf_task__.url, function)  # type: ignore[attr-defined]
    host.add_graph(CHILD)
    async with Engine(host, f"sqlite:///{tmp_path}/other.db", codec=Xor()) as engine:
        await engine.run(Graph("own").add_node("Own", nothing).add_transition("Own", END))
        yield engine
        await check_invariants(engine)
    host.close()


async def lines_of(engine: Engine, *handles: FlowHandle) -> list[str]:
    return [line async for line in engine.export_flows(*(handle.key for handle in handles))]


async def answered(flow: FlowHandle, count: int = 3) -> None:
    for number in range(count):
        await flow
        await flow.resume(10 + number)


def shape(steps: Any) -> list[Any]:
    """A history without what differs between databases."""
    return [
        (
            *(step.node, step.depth, step.ordinal, step.status, step.attempt, step.error, step.interrupt_payload),
            *(step.created_at, step.started_at, step.updated_at),
            [(called.workflow_name, called.status, shape(called.steps)) for called in step.sub_flows],
        )
        for step in steps
    ]


async def test_a_completed_flow_is_the_same_elsewhere(engine: Engine, other: Engine) -> None:
    flow = await engine.create(WIDE, STATE, baggage={"who": "me"}, priority=7, fairness_key="fair", idempotency_key="k")
    await answered(flow)
    done = await flow
    assert done.status is Status.COMPLETED
    (arrived,) = await other.import_flows(await lines_of(engine, flow))
    assert arrived.key != flow.key
    found = await arrived.snapshot()
    assert (found.status, found.state) == (done.status, done.state)
    assert found.state["price"] == Decimal("1.10")
    assert found.state["line"] == "a\u2028b"
    assert shape(await arrived.history()) == shape(await flow.history())
    assert (await arrived.graph()) == (await flow.graph())
    (listed,) = [known async for known in other.flows(workflow_name="wide")]
    assert (listed.flow_key, listed.thread_key) == (arrived.key, arrived.key)
    assert (listed.priority, listed.fairness_key) == (7, "fair")
    old = at(await flow.history(), "Join")
    new = at(await arrived.history(), "Join")
    before, after = await engine.step(old.key), await other.step(new.key)
    assert (before.state, before.changes) == (after.state, after.changes)
    assert after.prev_key
    assert await query(other, "SELECT COUNT(*) FROM dwarf_blobs") == [(1,)]


async def test_keys_are_not_in_the_lines_and_payloads_are_in_plain_text(running: Running, other: Engine) -> None:
    async with running(codec=Xor()) as engine:
        flow = await engine.create(WIDE, {"items": [1], "secret": "in the open"})
        await answered(flow, 1)
        await flow
        lines = await lines_of(engine, flow)
        tokens = [
            row[0] for kind in ("flows", "steps") for row in await query(engine, f"SELECT token FROM dwarf_{kind}")
        ]
    text = "\n".join(lines)
    assert [token for token in tokens if token in text] == []
    assert "in the open" in text
    assert text.splitlines() == lines
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds == ["header", "graph", "graph", "blob", "flow", "flow", "step", "step", "step", "step", "end"]


async def test_a_flow_that_waits_is_answered_elsewhere(engine: Engine, other: Engine) -> None:
    flow = await engine.create(WIDE, STATE)
    await answered(flow, 1)
    await flow
    (arrived,) = await other.import_flows(await lines_of(engine, flow))
    assert (await arrived.snapshot()).status is Status.INTERRUPTED
    assert len(await arrived.interrupts()) == 2
    with pytest.raises(InvalidRequest):
        await arrived.resume("no number")
    await answered(arrived, 2)
    done = await arrived
    assert done.status is Status.COMPLETED
    assert sorted(done.state["out"]) == [10, 10, 11]
    assert (await flow.snapshot()).status is Status.INTERRUPTED
    await answered(flow, 2)
    assert (await flow).status is Status.COMPLETED


async def test_a_completed_flow_is_forked_and_continued_elsewhere(engine: Engine, other: Engine) -> None:
    flow = await engine.create(WIDE, STATE)
    await answered(flow)
    done = await flow
    (arrived,) = await other.import_flows(await lines_of(engine, flow))
    fork = await other.fork(at(await arrived.history(), "Join"), {"out": [1]})
    assert (await fork).state["sum"] == 1
    each = (await arrived.history())[1]
    inside = await other.fork(each.sub_flows[0].steps[0])
    await answered(inside, 1)
    assert sorted((await inside).state["out"]) == [10, 11, 12]
    turn = await arrived.continue_with({"items": []})
    assert (await turn).state["turn"] == 2
    assert done.state["turn"] == 1


async def test_a_failed_flow_is_repaired_elsewhere(engine: Engine, other: Engine) -> None:
    flow = await engine.create(WIDE, {"items": [1, 2], "bad": True})
    await answered(flow, 2)
    failed = await flow
    assert failed.error == "bad luck"
    (arrived,) = await other.import_flows(await lines_of(engine, flow))
    assert (await arrived).error == "bad luck"
    repaired = await arrived.retry_failed({"bad": None})
    assert (await repaired).state["sum"] == 21


async def test_several_flows_share_lines_and_come_in_their_order(engine: Engine, other: Engine) -> None:
    flows = [await engine.create(CHILD, {"item": item}) for item in "ab"]
    for flow in flows:
        await answered(flow, 1)
        await flow
    lines = await lines_of(engine, flows[1], flows[0], flows[1])
    assert [json.loads(line)["kind"] for line in lines].count("graph") == 1
    assert [json.loads(line)["kind"] for line in lines].count("blob") == 1
    arrived = await other.import_flows(f"{line}\n" for line in ("", *lines, "  "))
    assert [(await flow).state["item"] for flow in arrived] == ["b", "a"]
    again = await other.import_flows(engine.export_flows(flows[0].key))
    assert (await again[0]).state["item"] == "a"
    assert len({flow.key for flow in (*arrived, *again)}) == 3


async def test_a_branch_that_runs_beside_a_question_is_begun_anew(
    host: LocalHost, engine: Engine, other: Engine
) -> None:
    gate = Gate()
    ran: list[str] = []

    async def slow(flow: Flow) -> None:
        ran.append("slow")
        await gate.wait()
        flow["slow"] = True

    async def quick(flow: Flow) -> None:
        ran.append("quick")
        flow["slow"] = True

    async def ask(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": "?"})

    host.add_task("slow", slow)
    other._host.add_task("slow", quick)  # type: ignore[attr-defined]
    host.add_task("ask", ask)
    other._host.add_task("ask", ask)  # type: ignore[attr-defined]
    graph = Graph("both").add_node("Start", "nothing").add_node("Ask", "ask").add_node("Slow", "slow")
    graph.add_node("Join", "nothing", fan_in=True).add_fan_out("Start", "Ask", "Slow")
    graph.add_transition("Ask", "Join").add_transition("Slow", "Join").add_transition("Join", END)
    host.add_task("nothing", nothing)
    flow = await engine.create(graph)
    await gate.reached()
    while (await flow.snapshot()).status is not Status.INTERRUPTED:
        await flow
    (arrived,) = await other.import_flows(await lines_of(engine, flow))
    await arrived.resume("yes")
    assert (await arrived).state == {"slow": True, "answer": "yes"}
    gate.open()
    await flow.resume("no")
    assert (await flow).state == {"slow": True, "answer": "no"}
    assert ran == ["slow", "quick"]


async def test_a_deadline_is_kept(host: LocalHost, engine: Engine, other: Engine) -> None:
    async def ask(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": "?"}, timeout=timedelta(days=2), default="late")

    for target in (host, other._host):
        target.add_task("ask", ask)  # type: ignore[attr-defined]
    flow = await engine.create(Graph("deadline").add_node("Ask", "ask").add_transition("Ask", END))
    await flow
    (arrived,) = await other.import_flows(await lines_of(engine, flow))
    (old,), (new,) = await flow.interrupts(), await arrived.interrupts()
    assert old.interrupt_deadline == new.interrupt_deadline is not None


async def test_what_cannot_be_exported(host: LocalHost, engine: Engine) -> None:
    gate = Gate()

    async def wait(flow: Flow) -> None:
        await gate.wait()

    host.add_task("wait", wait)
    flow = await engine.create(Graph("wait").add_node("Wait", "wait").add_transition("Wait", END))
    await gate.reached()
    with pytest.raises(StateConflict, match="running"):
        await lines_of(engine, flow)
    gate.open()
    await flow
    shard, number, _ = flow.key.split("-")
    with pytest.raises(FlowNotFound):
        await lines_of(engine, engine.flow(f"{shard}-{number}-wrong"))
    with pytest.raises(InvalidRequest, match="at least one"):
        await lines_of(engine)
    with pytest.raises(InvalidRequest, match="malformed"):
        async for _ in engine.export_flows("nonsense"):
            pass
    outer = await engine.create(WIDE, {"items": [1]})
    await outer
    called = at(await outer.history(), "Each").sub_flows[0]
    with pytest.raises(InvalidRequest, match="root flow"):
        await lines_of(engine, engine.flow(called.flow_key))
    await outer.delete()
    with pytest.raises((StateConflict, FlowNotFound)):
        await lines_of(engine, outer)


async def test_an_engine_that_is_not_started_moves_nothing(host: LocalHost) -> None:
    engine = Engine(host)
    with pytest.raises(EngineClosed):
        async for _ in engine.export_flows("1-1-0123456789abcdef"):
            pass
    with pytest.raises(EngineClosed):
        await engine.import_flows([])


async def test_a_fork_that_is_moved_is_a_flow_of_its_own(engine: Engine, other: Engine) -> None:
    flow = await engine.create(CHILD, {"item": 1})
    await answered(flow, 1)
    await flow
    fork = await engine.fork((await flow.history())[0], keep_answers=1)
    await fork
    (arrived,) = await other.import_flows(await lines_of(engine, fork))
    assert names(await arrived.history()) == ["Ask"]
    await arrived.delete()
    with pytest.raises(FlowNotFound):
        await arrived.history()
    assert (await fork).status is Status.COMPLETED
