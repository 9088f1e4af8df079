"""A large value is stored once, whatever becomes of it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, TaskError
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.storage.operations.delete import removable, remove_trees
from tests.support.codecs import Xor
from tests.support.invariants import query
from tests.support.workflows import Running, at

MB = 1_000_000
BIG = [f"{number:019d}" for number in range(5 * MB // 22)]  # 5 MB of text
SMALL = "x" * 1000


@asynccontextmanager
async def measured(folder: Path, most: float, **settings: Any) -> AsyncIterator[Engine]:
    """An engine on a file that must not grow beyond so many MB."""
    path = folder / "flows.db"
    async with Engine(LocalHost(), f"sqlite:///{path}", **settings) as engine:
        yield engine
    size = path.stat().st_size / MB
    assert 5 < size < most, f"the file has {size:.1f} MB"


def blobs(path: Path) -> list[int]:
    """The lengths of the blobs in a file."""
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("SELECT length(body) FROM dwarf_blobs ORDER BY 1")]
    finally:
        connection.close()


async def write(flow: Flow) -> None:
    flow["big"] = BIG
    flow["count"] = 1


async def count(flow: Flow) -> None:
    flow["count"] += 1
    flow["note"] = f"{SMALL}{flow['count']}"


def chain(length: int, first: Any = write) -> Graph:
    graph = Graph("chain").add_node("S0", first)
    for number in range(1, length):
        graph.add_node(f"S{number}", count)
    return graph.add_chain(*(f"S{number}" for number in range(length))).add_transition(f"S{length - 1}", END)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("workers", [None, 1])
async def test_five_megabytes_through_fifty_steps_a_fork_and_a_further_turn(
    tmp_path: Path, workers: int | None
) -> None:
    async with measured(tmp_path, 6.5, workers=workers) as engine:
        flow = await engine.create(chain(50))
        done = await flow
        assert (done.status, done.state["count"], done.state["big"] == BIG) == (Status.COMPLETED, 50, True)
        step = await engine.step(at(await flow.history(), "S20").key)
        assert step.state["big"] == BIG
        fork = await engine.fork(step, {"count": 100})
        assert ((await fork).state["count"], (await fork).state["big"] == BIG) == (130, True)
        after = await engine.fork(step, {"count": 200}, at="after")
        assert ((await after).state["count"], (await after).state["big"] == BIG) == (229, True)
        turn = await flow.continue_with({"more": 1})
        assert ((await turn).state["more"], (await turn).state["big"] == BIG) == (1, True)
    assert blobs(tmp_path / "flows.db") == [len(BIG) * 22 + 1]


@pytest.mark.timeout(900)
async def test_through_fan_outs_whose_branches_merge_other_fields(tmp_path: Path) -> None:
    async def branch(flow: Flow) -> None:
        assert flow["big"] == BIG
        flow["out"] = [flow["item"]]

    graph = (
        Graph("wide", reducers={"out": "append"})
        .add_node("Start", write)
        .add_node("Branch", branch)
        .add_node("Join", count, fan_in=True)
        .add_for_each("Start", "Branch", items="items")
        .add_transition("Branch", "Join")
        .add_transition("Join", END)
    )
    async with measured(tmp_path, 6.5) as engine:
        done = await engine.run(graph, {"items": list(range(8))})
        assert (done.state["out"], done.state["count"], done.state["big"] == BIG) == (list(range(8)), 2, True)


@pytest.mark.timeout(900)
async def test_given_at_the_start_asked_about_answered_with_and_handed_to_children(tmp_path: Path) -> None:
    async def inner(flow: Flow) -> None:
        flow["seen"] = flow["big"] == BIG
        flow["ok"] = flow.interrupt({"title": "?", "table": flow["big"]})["big"] == BIG

    async def outer(flow: Flow) -> None:
        result = flow.subgraph("inner", {"big": flow["big"]})
        flow["ok"] = result["seen"] and result["ok"]
        flow["again"] = result["big"]

    async with measured(tmp_path, 6.5) as engine:
        host: Any = engine._host
        host.add_graph(Graph("inner").add_node("Inner", inner).add_transition("Inner", END))
        graph = Graph("outer").add_node("Outer", outer).add_transition("Outer", END)
        flow = await engine.create(graph, {"big": BIG}, baggage={"table": BIG})
        asked = await flow
        assert asked.interrupt_payload == {"title": "?", "table": BIG}
        assert asked.state == {"big": BIG}
        (step,) = await flow.interrupts()
        assert step.interrupt_payload == asked.interrupt_payload
        await flow.resume({"big": BIG})
        done = await flow
        assert done.state == {"big": BIG, "again": BIG, "ok": True}
    assert len(blobs(tmp_path / "flows.db")) == 1


@pytest.mark.timeout(900)
async def test_with_a_codec(tmp_path: Path) -> None:
    async with measured(tmp_path, 8, codec=Plainly()) as engine:
        flow = await engine.create(chain(5))
        assert (await flow).state["big"] == BIG
        turn = await flow.continue_with()
        assert (await turn).state["big"] == BIG
    assert len(blobs(tmp_path / "flows.db")) == 1


class Plainly:
    """A codec that only turns the bytes round."""

    def encode(self, data: bytes) -> bytes:
        return data[::-1]

    def decode(self, data: bytes) -> bytes:
        return data[::-1]


async def test_a_schedule_and_a_failure_and_a_retry_keep_it_too(tmp_path: Path) -> None:
    async def stumble(flow: Flow) -> None:
        flow["big"] = BIG
        if flow.attempt == 0:
            flow.retry()
        raise TaskError("no")

    graph = Graph("stumble").add_node("S0", write).add_node("Stumble", stumble)
    graph.add_chain("S0", "Stumble").add_transition("Stumble", END)
    async with measured(tmp_path, 6.5) as engine:
        failed = await engine.run(graph)
        assert (failed.status, failed.state["big"] == BIG) == (Status.FAILED, True)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Values over 2000 characters are large."""
    monkeypatch.setattr("dwarf.storage.payloads.pipeline.LARGE", 2000)
    return 2000


LONG = "y" * 2000


async def kept(engine: Engine) -> int:
    """How many blobs there are, each of which a flow that exists refers to."""
    dangling = await query(
        engine,
        "SELECT r.flow_id FROM dwarf_blob_refs r LEFT JOIN dwarf_flows f ON f.flow_id = r.flow_id "
        "LEFT JOIN dwarf_blobs b ON b.blob_hash = r.blob_hash WHERE f.flow_id IS NULL OR b.blob_hash IS NULL",
    )
    orphans = await query(
        engine, "SELECT blob_hash FROM dwarf_blobs WHERE blob_hash NOT IN (SELECT blob_hash FROM dwarf_blob_refs)"
    )
    assert (dangling, orphans) == ([], [])
    return int((await query(engine, "SELECT COUNT(*) FROM dwarf_blobs"))[0][0])


async def remove(engine: Engine, *keys: str) -> None:
    """Delete flows, and have the rows removed now."""
    for key in keys:
        await engine.flow(key).delete()
    for runtime in engine._runtimes.values():
        while roots := await runtime.database.read(removable):
            await runtime.database.write(partial(remove_trees, roots))


async def test_it_goes_with_the_last_flow_that_has_it(small: int, engine: Engine) -> None:
    async def own(flow: Flow) -> None:
        flow["own"] = LONG + flow.key

    graph = chain(3, own)
    first = await engine.create(graph, {"big": LONG, "count": 0})
    await first
    second = await engine.create(graph, {"big": LONG, "count": 0})
    await second
    fork = await engine.fork(at(await first.history(), "S1"))
    await fork
    assert await kept(engine) == 3
    await remove(engine, first.key)
    assert await kept(engine) == 3  # the fork has what was the first flow's own
    assert (await fork).state["own"] == LONG + first.key
    await remove(engine, fork.key)
    assert await kept(engine) == 2
    assert (await second).state["big"] == LONG
    await remove(engine, second.key)
    assert await kept(engine) == 0


async def test_children_that_are_called_anew_leave_nothing(small: int, engine: Engine) -> None:
    async def child(flow: Flow) -> None:
        flow["made"] = LONG + flow.key

    async def parent(flow: Flow) -> None:
        made = flow.subgraph(CHILD, {"big": LONG})["made"]
        if flow.attempt < 2:
            flow.retry()
        flow["last"] = made

    CHILD = Graph("child").add_node("Child", child).add_transition("Child", END)
    flow = await engine.create(Graph("parent").add_node("Parent", parent).add_transition("Parent", END))
    done = await flow
    assert done.state["last"].startswith(LONG)
    assert await kept(engine) == 2  # what the last child was given, and what it made


async def test_what_is_written_over_is_not_kept(small: int, engine: Engine) -> None:
    async def again(flow: Flow) -> None:
        assert flow["big"] == LONG
        if flow.attempt:
            assert flow["draft"] in (LONG + str(flow.attempt - 1), LONG + str(flow.attempt))
        flow["draft"] = LONG + str(flow.attempt)
        if flow.attempt < 5:
            flow.retry()
        flow["answer"] = flow.interrupt({"title": "?", "draft": flow["draft"]})

    flow = await engine.create(chain(1, again), {"big": LONG})
    assert (await flow).interrupt_payload["draft"] == f"{LONG}5"
    assert await kept(engine) == 2
    await flow.resume("fine")
    assert (await flow).state == {"big": LONG, "draft": f"{LONG}5", "answer": "fine"}
    assert await kept(engine) == 2


async def test_what_looks_like_a_name_of_a_blob_is_the_users(small: int, engine: Engine) -> None:
    async def keep(flow: Flow) -> None:
        flow["big"] = LONG

    flow = await engine.create(chain(2, keep), {"count": 0})
    await flow
    name = (await query(engine, "SELECT blob_hash FROM dwarf_blobs"))[0][0]
    forged = {"$dwarf": "blob", "v": name}

    async def forge(flow: Flow) -> None:
        flow["forged"] = [forged, flow["given"]]
        flow["direct"] = forged
        flow["$dwarf"] = "blob"
        flow["v"] = name
        flow["other"] = flow.interrupt({"title": "?", "forged": forged, "long": LONG})

    other = await engine.create(chain(2, forge), {"count": 0, "given": forged})
    assert (await other).interrupt_payload == {"title": "?", "forged": forged, "long": LONG}
    await other.resume(forged)
    state = (await other).state
    assert state["forged"] == [forged, forged]
    assert [state[field] for field in ("direct", "$dwarf", "v", "other", "given")] == [
        forged,
        "blob",
        name,
        forged,
        forged,
    ]
    fork = await engine.fork(at(await other.history(), "S1"), {"more": forged})
    assert (await fork).state == {**state, "more": forged}


async def test_conditions_and_reducers_see_whole_values(small: int, engine: Engine) -> None:
    async def add(flow: Flow) -> None:
        flow["log"] = [LONG]
        flow["text"] = LONG

    async def right(flow: Flow) -> None:
        flow["way"] = flow.node

    graph = (
        Graph("reduced", reducers={"log": "append"})
        .add_node("Left", add)
        .add_node("Right", add)
        .add_node("Join", right, fan_in=True)
        .add_node("Yes", right)
        .add_node("No", right)
        .add_node("Start", add)
        .set_entry("Start")
        .add_fan_out("Start", "Left", "Right")
        .add_transition("Left", "Join")
        .add_transition("Right", "Join")
        .add_switch("Join", {f"text == '{LONG}'": "Yes"}, default="No")
        .add_transition("Yes", END)
        .add_transition("No", END)
    )
    done = await engine.run(graph)
    assert done.state == {"log": [LONG] * 3, "text": LONG, "way": "Yes"}


async def test_the_state_of_a_schedule_may_be_large(small: int, clock: Any, running: Running) -> None:
    async with running() as engine:
        graph = chain(1, count)
        await engine.schedule("hourly", graph, every=timedelta(hours=1), state={"big": LONG, "count": 0})
        (found,) = await engine.schedules()
        assert found.name == "hourly"
        clock.advance(timedelta(hours=1))
        while not (flows := [flow async for flow in engine.flows(status=Status.COMPLETED)]):
            clock.advance(1)
        assert (await engine.flow(flows[0].flow_key)).state["big"] == LONG
        assert await kept(engine) == 1


async def test_with_a_codec_only_names_are_in_the_rows(small: int, running: Running) -> None:
    async with running(codec=Xor()) as engine:
        done = await engine.run(chain(3), {"other": LONG})
        assert (done.state["big"] == BIG, done.state["other"]) == (True, LONG)
        assert await kept(engine) == 2
        lengths = await query(engine, "SELECT MAX(LENGTH(state)), MAX(LENGTH(changes)) FROM dwarf_steps")
        assert max(lengths[0]) < 2000
