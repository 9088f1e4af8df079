"""Deleting flows, one by one and by the many, and what removes them: scenarios 98 to 101."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, FlowHandle, Timing
from dwarf.errors import ConfigError, FlowNotFound, InvalidRequest, StateConflict, StepNotFound
from dwarf.failpoints import Failpoints
from dwarf.hosts import LocalHost
from dwarf.storage.operations.delete import removable
from dwarf.storage.sql.script import Now, Script
from tests.conformance.engine.tools import Gate, doctor, flow_count, nothing, scalar
from tests.support.invariants import query

OFTEN = Timing(reap=0.02)
DAY = timedelta(days=1)


async def again(failpoints: Failpoints, name: str) -> None:
    """Wait until somebody comes to a failpoint from now on."""
    await failpoints.seen(name, failpoints.passed[name] + 1)


async def reaped(failpoints: Failpoints) -> None:
    """Wait until a whole pass of removing has been made from now on."""
    await again(failpoints, "beforeReap")
    await again(failpoints, "reapDone")


async def keys(engine: Engine, **filters: Any) -> set[str]:
    """The keys of what a query finds."""
    return {summary.flow_key async for summary in engine.flows(**filters)}


def one_step(name: str, task: Any = nothing) -> Graph:
    """A graph of one node."""
    return Graph(name).add_node("A", task).add_transition("A", END)


async def run(engine: Engine, graph: Graph | str, state: Mapping[str, Any] | None = None, **options: Any) -> FlowHandle:
    """A flow that has stopped."""
    handle = await engine.create(graph, state, **options)
    await handle
    return handle


async def fail(flow: Flow) -> None:
    """Fail."""
    raise ValueError("no")


async def ask(flow: Flow) -> None:
    """Ask, and keep the answer."""
    flow["answer"] = flow.interrupt("well?")


async def rows_left(engine: Engine) -> tuple[int, int]:
    """How many flows and steps there are in the database."""
    return await flow_count(engine), int(await scalar(engine, "SELECT COUNT(*) FROM dwarf_steps"))


@pytest.fixture
def gate(host: LocalHost) -> Gate:
    """What the task Wait waits at."""
    gate = Gate()

    @host.task(url="Wait")
    async def Wait(flow: Flow) -> None:
        await gate.pass_()

    return gate


@pytest.fixture
def calls(host: LocalHost) -> Graph:
    """A graph that calls a child, which calls a child."""
    host.add_graph(one_step("innermost"))

    @host.task(url="CallInnermost")
    async def CallInnermost(flow: Flow) -> None:
        flow.subgraph("innermost")

    @host.task(url="CallInner")
    async def CallInner(flow: Flow) -> None:
        flow.subgraph("inner")

    host.add_graph(Graph("inner").add_chain("CallInnermost", END))
    return Graph("outer").add_chain("CallInner", END)


# ---------------------------------------------------------------- delete


async def test_e98_a_running_flow_is_not_deleted(running: Any, gate: Gate) -> None:
    async with running() as engine:
        handle = await engine.create(Graph("g").add_chain("Wait", END))
        await gate.reached()
        with pytest.raises(StateConflict, match="running"):
            await handle.delete()
        gate.open()
        assert (await handle).status is Status.COMPLETED
        await handle.delete()


async def test_e98_a_deleted_flow_is_hidden_then_removed(running: Any, failpoints: Failpoints, calls: Graph) -> None:
    hold = failpoints.checkpoint("beforeReap")
    async with running(timing=OFTEN) as engine:
        handle = await run(engine, calls, {"x": 1})
        other = await run(engine, one_step("other"))
        step = (await handle.history())[0]
        child = step.sub_flows[0]
        below = child.steps[0].sub_flows[0]
        await handle.delete()
        for key in (handle.key, child.flow_key, below.flow_key):
            with pytest.raises(FlowNotFound):
                await engine.flow(key).history()
            with pytest.raises(FlowNotFound):
                await engine.flow(key).to_mermaid()
        assert (await handle.snapshot()).state == {"x": 1}
        assert (await handle.poll(timeout=1)).status is (await handle).status is Status.COMPLETED
        assert (await handle.fingerprint())[1] is Status.COMPLETED
        assert (await engine.step(step.key)).state == {"x": 1}
        assert await keys(engine) == await keys(engine, include_subgraphs=True) == {other.key}
        assert await keys(engine, thread=handle.key) == set()
        with pytest.raises(StateConflict):
            await handle.cancel()
        with pytest.raises(StateConflict):
            await handle.resume("late")
        await handle.delete()
        await hold.arrived()
        hold.release()
        await again(failpoints, "reapDone")
        assert await rows_left(engine) == (1, 1)
        for key in (handle.key, child.flow_key, below.flow_key):
            gone = engine.flow(key)
            for call in (gone.snapshot(), gone.outcome(), gone.poll(timeout=1), gone.history(), gone.fingerprint()):
                with pytest.raises(FlowNotFound):
                    await call
        for key in (step.key, child.steps[0].key, below.steps[0].key):
            with pytest.raises(StepNotFound):
                await engine.step(key)
        with pytest.raises(FlowNotFound):
            await engine.flow(handle.key).delete()
        assert (await other.snapshot()).status is Status.COMPLETED


async def test_e98_what_cannot_be_deleted(running: Any, calls: Graph) -> None:
    async with running() as engine:
        handle = await run(engine, calls)
        child = (await handle.history())[0].sub_flows[0].flow_key
        with pytest.raises(InvalidRequest, match="root"):
            await engine.flow(child).delete()
        for key in ("1-99999-0123456789abcdef", handle.key[:-1] + "x", "7-1-0123456789abcdef"):
            with pytest.raises(FlowNotFound):
                await engine.flow(key).delete()
        assert await keys(engine) == {handle.key}


async def test_a_flow_that_waits_is_cancelled_by_its_deletion(running: Any, host: LocalHost, gate: Gate) -> None:
    """With everything that is live under it: a child that asks, and a task that runs in another branch."""
    host.add_graph(one_step("asking", ask))

    @host.task(url="Call")
    async def Call(flow: Flow) -> None:
        flow.subgraph("asking")

    for name in ("Split", "Join"):
        host.add_task(name, nothing)
    graph = Graph("g").add_fan_out("Split", "Call", "Wait").add_chain("Call", "Join", END).add_chain("Wait", "Join")
    async with running() as engine:
        handle = await engine.create(graph.set_fan_in("Join"))
        await gate.reached()
        assert (await handle).status is Status.INTERRUPTED
        (question,) = await handle.interrupts()
        await handle.delete()
        assert (await handle.snapshot()).status is Status.CANCELLED
        with pytest.raises(StateConflict):
            await handle.resume("yes", step=question)
        assert await handle.interrupts() == []
        gate.open()
        rows = await query(
            engine, "SELECT status FROM dwarf_flows UNION SELECT status FROM dwarf_steps WHERE node <> 'Split'"
        )
        assert rows == [("cancelled",)]


@pytest.mark.parametrize("answered", [True, False])
async def test_e71_an_answer_and_a_deletion_in_both_orders(
    running: Any, failpoints: Failpoints, gate: Gate, answered: bool
) -> None:
    """The one that comes second was already under way when the other won."""
    async with running() as engine, running(workers=0) as replica:
        handle = await run(engine, Graph("g").add_node("Ask", ask).add_chain("Ask", "Wait", END))
        calls = {True: handle.resume, False: replica.flow(handle.key).delete}
        held = failpoints.checkpoint("beforeCommit:operation")
        late = asyncio.ensure_future(calls[not answered]())
        await held.arrived()
        await calls[answered]()
        held.release()
        with pytest.raises(StateConflict):
            await late
        gate.open()
        outcome = await handle
        if answered:
            assert (outcome.status, outcome.state) == (Status.COMPLETED, {"answer": {}})
            assert await keys(engine) == {handle.key}
        else:
            assert (outcome.status, outcome.cancel_reason) == (Status.CANCELLED, "")
            assert await keys(engine) == set()
            assert await query(engine, "SELECT status FROM dwarf_steps") == [("cancelled",)]


@pytest.mark.parametrize("by", ["delete", "purge"])
async def test_e72_racing_answers_and_deletions(running: Any, gate: Gate, by: str) -> None:
    """Whichever wins, the other is told. A flow that was answered stays at the gate, so it runs when it is deleted."""
    graph = Graph("g").add_node("Ask", ask).add_chain("Ask", "Wait", END)
    answered: dict[FlowHandle, bool] = {}
    async with running() as engine:
        for number in range(30):
            handle = await run(engine, graph)
            end = handle.delete() if by == "delete" else engine.purge(status="interrupted")
            pair = [handle.resume("yes"), end]
            results = await asyncio.gather(*(pair if number % 2 else pair[::-1]), return_exceptions=True)
            answer, ended = results if number % 2 else results[::-1]
            answered[handle] = answer is None
            if answered[handle]:
                assert ended == 0 or isinstance(ended, StateConflict)
            else:
                assert isinstance(answer, StateConflict)
                assert ended in (None, 1)
        gate.open()
        for handle, won in answered.items():
            final = await handle
            assert final.status is (Status.COMPLETED if won else Status.CANCELLED)
            assert final.state == ({"answer": "yes"} if won else {})
        assert await scalar(engine, "SELECT COUNT(*) FROM dwarf_steps WHERE status IN ('pending', 'interrupted')") == 0


async def test_a_deleted_flow_frees_its_idempotency_key(running: Any) -> None:
    async with running() as engine:
        first = await run(engine, one_step("g"), {"x": 1}, idempotency_key="once")
        assert (await engine.create(one_step("g"), {"x": 1}, idempotency_key="once")).key == first.key
        await first.delete()
        second = await run(engine, one_step("g"), {"x": 2}, idempotency_key="once")
        assert second.key != first.key
        assert (await second).state == {"x": 2}


async def test_who_waits_for_a_removed_flow_is_told(
    running: Any, failpoints: Failpoints, host: LocalHost, gate: Gate
) -> None:
    host.add_graph(Graph("inner").add_chain("Wait", END))

    @host.task(url="Call")
    async def Call(flow: Flow) -> None:
        flow.subgraph("inner")

    async with running(timing=OFTEN) as engine:
        handle = await engine.create(Graph("outer").add_chain("Call", END))
        await gate.reached()
        child = engine.flow((await handle.history())[0].sub_flows[0].flow_key)
        here, fresh = asyncio.ensure_future(child.outcome()), asyncio.ensure_future(handle.outcome())
        watching = handle.watch()
        await anext(watching)
        change = asyncio.ensure_future(anext(watching))
        async with running(workers=0) as replica:
            there = asyncio.ensure_future(replica.flow(child.key).outcome())
            await failpoints.seen(f"awaitParked:{child.key}", 2)
            # nothing dooms a running flow but the deletion of a root that seems to have stopped
            await doctor(engine, "UPDATE dwarf_flows SET delete_after_ms = 1 WHERE parent_flow_id = 0")
            for waiter in (here, there, fresh, change):
                with pytest.raises(FlowNotFound):
                    await asyncio.wait_for(waiter, 60)
        gate.open()
        assert await rows_left(engine) == (0, 0)
        assert (await run(engine, one_step("after"))).key != handle.key


# ---------------------------------------------------------------- flows that go by themselves


async def test_e99_a_disposable_flow_goes_a_minute_after_it_completed(
    running: Any, failpoints: Failpoints, clock: Any, calls: Graph
) -> None:
    async with running(timing=OFTEN) as engine:
        outcome = await engine.run(calls, {"x": 1}, delete_on_completion=True)
        failed = await run(engine, one_step("bad", fail), delete_on_completion=True)
        cancelled = await run(engine, one_step("asking", ask), delete_on_completion=True)
        await cancelled.cancel()
        handle = engine.flow(outcome.flow_key)
        assert (outcome.status, outcome.state) == (Status.COMPLETED, {"x": 1})
        with pytest.raises(FlowNotFound):
            await handle.history()
        assert await keys(engine) == {failed.key, cancelled.key}
        assert await keys(engine, include_subgraphs=True) == {failed.key, cancelled.key}
        await reaped(failpoints)
        clock.advance(30)  # far from the minute: the machine's own time goes on too
        await reaped(failpoints)
        assert (await handle.snapshot()).state == {"x": 1}
        clock.advance(31)
        await reaped(failpoints)
        with pytest.raises(FlowNotFound):
            await handle.snapshot()
        assert await flow_count(engine) == 2
        assert len(await failed.history()) == 1


async def test_e99_a_disposable_flow_is_seen_to_its_end_by_who_watches(running: Any, gate: Gate) -> None:
    async with running() as engine:
        handle = await engine.create(Graph("g").add_chain("Wait", END), delete_on_completion=True)
        await gate.reached()
        gate.open()
        updates = [update async for update in handle.watch()]
        assert updates[-1].outcome.status is Status.COMPLETED
        assert [step.status for step in updates[-1].steps] == [Status.COMPLETED]


async def test_retention_removes_by_status_and_age(
    running: Any, failpoints: Failpoints, clock: Any, gate: Gate
) -> None:
    async with running(
        timing=OFTEN, retention={"completed": DAY, Status.FAILED: 7 * DAY, "interrupted": 30 * 86400}
    ) as engine:
        slow = await engine.create(Graph("slow").add_chain("Wait", END))
        completed = await run(engine, one_step("good"))
        failed = await run(engine, one_step("bad", fail))
        asking = await run(engine, one_step("asking", ask))
        cancelled = await run(engine, one_step("asking", ask))
        await cancelled.cancel()
        await reaped(failpoints)
        assert len(await keys(engine)) == 5
        clock.advance(DAY)
        await reaped(failpoints)
        assert await keys(engine) == {slow.key, failed.key, asking.key, cancelled.key}
        with pytest.raises(FlowNotFound):
            await completed.snapshot()
        gate.open()
        await slow
        clock.advance(6 * DAY)
        await reaped(failpoints)
        assert await keys(engine) == {asking.key, cancelled.key}
        clock.advance(30 * DAY)
        await reaped(failpoints)
        assert await keys(engine) == {cancelled.key}
        assert await flow_count(engine) == 1


async def test_what_was_marked_in_this_millisecond_is_removed_too(running: Any) -> None:
    def removable_at(now: int) -> Script[list[int]]:
        """What a pass finds that comes at this time."""
        script = removable()
        assert next(script) == Now()
        return (yield from resumed(script, now))

    async with running(timing=Timing(reap=3600)) as engine:
        asking = await run(engine, one_step("asking", ask))
        await asking.delete()
        marked_at = await scalar(engine, "SELECT updated_at FROM dwarf_flows")
        found = [
            await engine._runtimes[1].database.read(partial(removable_at, marked_at + late)) for late in (-1, 0, 1)
        ]
    assert found == [[], [1], [1]]


def resumed(script: Script[Any], answer: Any) -> Script[Any]:
    """A script that waits for an answer, from there on."""
    try:
        while True:
            answer = yield script.send(answer)
    except StopIteration as ended:
        return ended.value


@pytest.mark.parametrize(
    "retention",
    [
        {"running": 1},
        {"pending": 1},
        {"done": 1},
        {"completed": -1},
        {"completed": "1 day"},
        {"completed": None},
        {"completed": float("nan")},
        {7: 1},
        ["completed"],
        "completed",
        3600,
    ],
)
def test_a_wrong_retention_is_refused(host: LocalHost, retention: Any) -> None:
    with pytest.raises(ConfigError, match="retention"):
        Engine(host, retention=retention)


# ---------------------------------------------------------------- purge


async def test_e100_purge_needs_a_filter(running: Any) -> None:
    async with running(shards=2) as engine:
        handle = await run(engine, one_step("g"))
        for filters in (
            {},
            {"shard": 1},
            {"limit": 5},
            {"older_than": 0},
            {"search": ""},
            {"status": None, "priority": 0},
        ):
            with pytest.raises(InvalidRequest, match="needs a filter"):
                await engine.purge(**filters)
        with pytest.raises(InvalidRequest, match="include_subgraphs"):
            await engine.purge(status="completed", include_subgraphs=True)
        with pytest.raises(InvalidRequest, match=r"'stats'; did you mean 'status'"):
            await engine.purge(stats="completed")
        for wrong in (
            {"status": "done"},
            {"status": "failed", "shard": 9},
            {"status": "failed", "limit": 0},
            {"search": 1},
        ):
            with pytest.raises(InvalidRequest):
                await engine.purge(**wrong)
        assert await keys(engine) == {handle.key}


async def test_e100_purge_in_portions(running: Any) -> None:
    async with running(shards=3) as engine:
        for handle in await engine.create_many(one_step("g"), [{}] * 7):
            await handle
        counts = []
        while count := await engine.purge(status="completed", limit=2):
            counts.append(count)
        assert counts == [2, 2, 2, 1]
        assert await keys(engine) == set()
        for _ in range(3):
            await run(engine, one_step("g"))
        assert await engine.purge(status="completed", limit=9999) == 3


async def test_e100_purge_takes_so_many_at_most(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dwarf.engine import fleet

    assert fleet.MOST_PURGED == 4096
    monkeypatch.setattr(fleet, "MOST_PURGED", 4)
    async with running(shards=2) as engine:
        for handle in await engine.create_many(one_step("g"), [{}] * 7):
            await handle
        assert [await engine.purge(status="completed", limit=9) for _ in range(3)] == [4, 3, 0]


async def test_e100_purge_takes_those_first_created_first(running: Any) -> None:
    async with running() as engine:
        handles = [await run(engine, one_step("g")) for _ in range(5)]
        assert await engine.purge(workflow_name="g", limit=2) == 2
        assert await keys(engine) == {handle.key for handle in handles[2:]}


async def test_e100_purge_leaves_out_what_runs(running: Any, gate: Gate, host: LocalHost) -> None:
    async with running() as engine:
        busy = await engine.create(Graph("g").add_chain("Wait", END))
        await gate.reached()
        waiting = await run(engine, one_step("g", ask))
        done = await run(engine, one_step("g"))
        other = await run(engine, one_step("other"))
        assert await engine.purge(workflow_name="g") == 2
        assert await engine.purge(workflow_name="g") == 0
        assert await engine.purge(status="running") == 0
        assert await keys(engine) == {busy.key, other.key}
        assert (await waiting.snapshot()).status is Status.CANCELLED
        assert (await done.snapshot()).status is Status.COMPLETED
        gate.open()
        assert (await busy).status is Status.COMPLETED


async def test_e100_purge_takes_every_filter_of_a_list(running: Any, clock: Any, calls: Graph) -> None:
    async with running(shards=2) as engine:
        first = await run(engine, one_step("thread"))
        second = await run(engine, one_step("thread"), thread=first.key)
        old = await run(engine, one_step("old"))
        clock.advance(100)
        by_filter: dict[str, tuple[Any, set[str]]] = {
            "thread": (second.key, {first.key, second.key}),
            "older_than": (50, {old.key}),
            "workflow_url": ("a", {(await run(engine, one_step("a"))).key}),
            "workflow_name": ("b", {(await run(engine, one_step("b"))).key}),
            "fairness_key": ("tenant", {(await run(engine, one_step("c"), fairness_key="tenant")).key}),
            "priority": (7, {(await run(engine, one_step("c"), priority=7)).key}),
            "search": ("needle", {(await run(engine, one_step("The NEEDLE"))).key}),
            "node": ("CallInner", {(await run(engine, calls)).key}),
            "status": ("failed", {(await run(engine, one_step("bad", fail))).key}),
        }
        rest = {(await run(engine, one_step("rest"))).key}
        left = {key for _, found in by_filter.values() for key in found} | rest
        assert await keys(engine) == left
        for name, (value, found) in by_filter.items():
            assert await engine.purge(**{name: value}) == len(found), name
            left -= found
            assert await keys(engine) == left, name
        assert await engine.purge(newer_than=50) == 1
        assert await keys(engine) == set()


async def test_purge_of_more_than_a_transaction_holds(
    running: Any, failpoints: Failpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dwarf.engine import fleet
    from dwarf.storage.operations import delete as delete_operations

    monkeypatch.setattr(fleet, "ROOTS_AT_ONCE", 3)
    monkeypatch.setattr(delete_operations, "STEPS_AT_ONCE", 4)
    async with running(timing=OFTEN) as engine:
        for handle in await engine.create_many(
            Graph("g").add_node("A", nothing).add_node("B", nothing).add_chain("A", "B", END), [{}] * 10
        ):
            await handle
        assert await engine.purge(status="completed", limit=8) == 8
        before = failpoints.passed["dropFlows"]
        await reaped(failpoints)
        assert await rows_left(engine) == (2, 4)
        assert failpoints.passed["dropFlows"] - before <= 4


# ---------------------------------------------------------------- removing


async def test_e101_a_removal_that_fails_is_rolled_back_and_made_again(
    running: Any, failpoints: Failpoints, calls: Graph
) -> None:
    first = failpoints.checkpoint("beforeReap")
    async with running(timing=OFTEN) as engine:
        handle = await run(engine, calls)
        await handle.delete()
        await first.arrived()
        failpoints.fault("dropFlows")
        failpoints.fault("beforeReap")
        second, third = failpoints.checkpoint("beforeReap"), failpoints.checkpoint("beforeReap")
        first.release()
        await second.arrived()
        assert failpoints.passed["dropFlows"] == 1
        assert await rows_left(engine) == (3, 3)
        second.release()
        await third.arrived()
        assert await rows_left(engine) == (3, 3)
        third.release()
        await again(failpoints, "reapDone")
        assert await rows_left(engine) == (0, 0)


async def test_e101_a_running_child_of_a_deleted_root_is_removed(
    running: Any, failpoints: Failpoints, host: LocalHost, gate: Gate
) -> None:
    host.add_graph(Graph("inner").add_chain("Wait", END))

    @host.task(url="Call")
    async def Call(flow: Flow) -> None:
        flow.subgraph("inner")

    async with running(timing=OFTEN) as engine:
        await engine.create(Graph("outer").add_chain("Call", END))
        await gate.reached()
        await doctor(
            engine,
            "UPDATE dwarf_flows SET delete_after_ms = 1, status = 'cancelled' WHERE parent_flow_id = 0",
        )
        await reaped(failpoints)
        assert await rows_left(engine) == (0, 0)
        gate.open()  # its result comes to nothing
        assert (await run(engine, one_step("after"))).key
        assert await rows_left(engine) == (1, 1)
