"""How forks are made: in few statements, at any size, and what their rows say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from dwarf import END, Flow, FlowNotFound, Graph, Limit, Status, task
from dwarf.engine import Engine
from dwarf.testing import VirtualClock
from tests.support.invariants import query
from tests.support.quiet import QUIET
from tests.support.workflows import at


def counting(engine: Engine) -> Counter[str]:
    """The statements that an engine sends from now on, those of its claims and of what it knows left aside."""
    seen: Counter[str] = Counter()
    apart = ("claim", "due", "next", "band", "best", "keys", "anchors", "now", "begin", "commit", "rollback", "reserve")
    apart += ("tell_tasks", "renew_tasks", "all_hooks", "changed_breakpoints", "flow_statuses")  # at their own times

    def observe(name: str, rows: int) -> None:
        if not name.startswith(apart):
            seen[name] += 1

    engine._runtimes[1].database.observer = observe  # type: ignore[attr-defined]
    return seen


def wide() -> Graph:
    async def work(flow: Flow, item: int) -> None:
        if item in flow.get("bad", []):
            raise ValueError("bad")
        flow["out"] = item

    graph = Graph("wide", reducers={"out": "append"}).add_node("Source", lambda: None).add_node("Work", work)
    graph.add_node("Join", lambda: None).add_for_each("Source", "Work", items="items")
    return graph.add_chain("Work", "Join", END).set_fan_in("Join")


async def test_a_copy_takes_as_many_statements_whatever_its_size(running: Any) -> None:
    sent = []
    async with running() as engine:
        for width in (3, 700):
            flow = await engine.create(wide(), {"items": list(range(width)), "bad": [2]})
            await flow
            async with running(workers=0, timing=QUIET) as other:
                seen = counting(other)
                fork = await other.flow(flow.key).retry_failed({"bad": []})
                sent.append(+seen)
                assert (await engine.flow(fork.key)).state["out"] == list(range(width))
    assert sent[0] == sent[1]
    assert sent[0].total() <= 8


async def test_routing_on_from_a_wide_source(engine: Engine) -> None:
    flow = await engine.create(wide(), {"items": [1]})
    await flow
    fork = await engine.fork(at(await flow.history(), "Source"), {"items": list(range(900))}, at="after")
    assert (await fork).state["out"] == list(range(900))


async def test_new_input_puts_a_step_under_another_limit(engine: Engine) -> None:
    @task(limit=Limit(concurrency=2, key="tenant"))
    async def serve(flow: Flow) -> None:
        flow["served"] = flow["tenant"]

    flow = await engine.create(Graph("g").add_node("Serve", serve).add_transition("Serve", END), {"tenant": "a"})
    await flow
    (step,) = await flow.history()
    other = await engine.create(Graph("g").add_node("Serve", serve).add_transition("Serve", END), {"tenant": "b"})
    await other
    fork = await engine.fork(step, {"tenant": "b", "more": 1})
    assert (await fork).state["served"] == "b"
    same = await engine.fork(step, {"more": 1})
    await same
    names = [name for (name,) in await query(engine, "SELECT limit_name FROM dwarf_steps ORDER BY step_id")]
    assert names[0] == names[3] != names[1] == names[2] != ""


@dataclass
class Place:
    name: str
    opened: datetime


async def test_changes_may_hold_what_a_state_may(engine: Engine) -> None:
    seen = []

    async def look(flow: Flow) -> None:
        seen.append(flow.get("place"))

    flow = await engine.create(Graph("g").add_node("Look", look).add_transition("Look", END))
    await flow
    place = Place("here", datetime(2024, 2, 29, tzinfo=UTC))
    changes = {"place": place}
    fork = await engine.fork((await flow.history())[0], changes)
    changes.clear()
    assert (await fork).state == {"place": place}
    assert seen == [None, place]
    whole = await engine.fork((await flow.history())[0], place)
    assert (await whole).state == {"name": "here", "opened": place.opened}


async def test_a_fork_inside_a_loop(engine: Engine) -> None:
    ran: Counter[str] = Counter()

    async def work(flow: Flow, item: int) -> None:
        ran["work"] += 1
        flow["out"] = [flow.get("lap", 0) * 10 + item]

    async def join(flow: Flow) -> None:
        ran["join"] += 1
        flow["lap"] = flow.get("lap", 0) + 1
        if flow["lap"] < 3:
            flow.goto("Source")

    graph = Graph("laps", reducers={"out": "append"}).add_node("Source", lambda: None).add_node("Work", work)
    graph.add_node("Join", join).add_for_each("Source", "Work", items="items").add_chain("Work", "Join", END)
    graph.set_fan_in("Join").add_goto("Join", "Source")
    flow = await engine.create(graph, {"items": [1, 2]})
    expected = (await flow).state
    steps = [step for step in await flow.history() if step.node == "Work"]
    for step, again in zip(steps[::2], (5, 3, 1), strict=True):
        ran.clear()
        fork = await engine.fork(step)
        assert (await fork).state == expected
        assert ran["work"] == again
    joins = [step for step in await flow.history() if step.node == "Join"]
    ran.clear()
    assert (await (await engine.fork(joins[1], at="after"))).state == expected
    assert ran == {"work": 2, "join": 1}


async def test_a_step_that_runs_again_begins_anew(engine: Engine) -> None:
    flow = await engine.create(Graph("g").add_node("A", lambda: None).add_transition("A", END))
    await flow
    (old,) = await flow.history()
    copy = await engine.fork(old)
    await copy
    (new,) = await copy.history()
    assert old.key != new.key
    assert new.created_at >= old.updated_at
    assert new.started_at is not None
    assert new.started_at >= new.created_at


# ---------------------------------------------------------------- values that are kept as blobs

LONG = "x" * 300_000


async def blobs(engine: Engine) -> int:
    """How many large values the database holds."""
    ((count,),) = await query(engine, "SELECT COUNT(*) FROM dwarf_blobs")
    return int(count)


async def test_large_values_are_shared_and_outlive_the_origin(clock: VirtualClock, engine: Engine) -> None:
    seen: list[Any] = []

    async def load(flow: Flow) -> None:
        flow["text"] = LONG
        flow["more"] = LONG + "y"

    async def ask(flow: Flow) -> None:
        flow["before"] = LONG + "z"
        seen.append((flow.interrupt({"title": "go on?"}), len(flow["text"]), len(flow["before"])))

    graph = Graph("g").add_node("Load", load).add_node("Ask", ask).add_chain("Load", "Ask", END)
    flow = await engine.create(graph)
    await flow
    await flow.resume(LONG + "answer")
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    count = await blobs(engine)
    first, second = await flow.history()
    kept = await engine.fork(second, keep_answers=1)
    after = await engine.fork(first, {"small": 1}, at="after")
    assert (await kept).state == outcome.state
    assert (await after).status is Status.INTERRUPTED
    turn = await flow.continue_with({"turn": 2})
    assert (await turn).status is Status.INTERRUPTED
    assert await blobs(engine) == count
    await flow.delete()
    clock.advance(60)
    await engine._runtimes[1].maintenance.reap()
    with pytest.raises(FlowNotFound):
        await flow.snapshot()
    await after.resume(LONG + "answer")
    assert (await after).state == {**outcome.state, "small": 1}
    assert (await kept.snapshot()).state == outcome.state
    assert seen[1:] == seen[:1] * 2
    assert (await turn.snapshot()).state == {**outcome.state, "turn": 2}
