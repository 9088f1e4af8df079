"""Threads: scenarios 110 to 113, and 100 of the workflow types where it is about threads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, FlowHandle
from dwarf.errors import FlowNotFound, InvalidRequest, ReducerError, StateConflict, ThreadNotFound
from dwarf.hosts import LocalHost
from tests.conformance.engine.tools import Gate, appending, doctor, flow_count, nothing, step_at
from tests.support.invariants import query

JSON = Any


def counter(host: LocalHost, **options: Any) -> Graph:
    """A flow that adds one to `n`, and fails or waits where it is told to."""

    async def count(flow: Flow) -> None:
        if flow.get("fail"):
            raise ValueError("told to")
        flow["n"] = flow.get("n", 0) + 1

    host.add_task("Count", count)
    return Graph("counter", **options).add_transition("Count", END)


async def in_thread(engine: Engine, flow: FlowHandle) -> set[str]:
    """The flows in the thread of a flow."""
    return {summary.flow_key async for summary in engine.flows(thread=flow.key)}


def keys(*flows: FlowHandle) -> set[str]:
    return {flow.key for flow in flows}


def flow_id(flow: FlowHandle) -> int:
    return int(flow.key.split("-")[1])


async def test_e110_each_turn_begins_with_what_the_one_before_has_left(host: LocalHost, engine: Engine) -> None:
    first = await engine.create(
        counter(host), {"n": 0}, priority=7, fairness_key="k", fairness_weight=2, time_budget=75, baggage={"b": [1]}
    )
    assert (await first).state == {"n": 1}
    second = await first.continue_with()
    assert (await second).state == {"n": 2}
    third = await first.continue_with({"note": "x"})
    assert (await third).state == {"n": 3, "note": "x"}
    columns = (
        "workflow_url, workflow_name, graph_hash, baggage, priority, fairness_key, fairness_weight, time_budget_ms, "
        "thread_id, thread_token, parent_flow_id, forked_from_step"
    )
    assert len(set(await query(engine, f"SELECT {columns} FROM dwarf_flows"))) == 1
    assert await query(engine, "SELECT priority, time_budget_ms FROM dwarf_steps") == [(7, 75_000)] * 3
    assert await query(engine, "SELECT flow_id FROM dwarf_flows WHERE root_flow_id <> flow_id") == []
    assert await in_thread(engine, second) == keys(first, second, third)


async def test_e110_a_flow_may_join_a_thread(host: LocalHost, engine: Engine) -> None:
    graph = counter(host)
    first = await engine.create(graph)
    await first
    host.add_task("Other", appending("o"))
    joined = await engine.create(Graph("other").add_transition("Other", END), {"n": 10}, thread=first.key)
    assert (await joined).state == {"n": 10, "path": "o"}
    assert await in_thread(engine, first) == keys(first, joined)
    turn = await first.continue_with()
    assert (await turn).state == {"n": 10, "path": "oo"}
    again = await engine.create(graph, thread=joined.key)
    assert (await again).state == {"n": 1}
    assert (await (await joined.continue_with()).outcome()).state == {"n": 2}
    assert len(await in_thread(engine, first)) == 5


async def test_e110_an_unknown_thread(host: LocalHost, engine: Engine) -> None:
    graph = counter(host)
    with pytest.raises(ThreadNotFound):
        await engine.create(graph, thread=f"1-999-{'0' * 16}")
    with pytest.raises(ThreadNotFound):
        await engine.create(graph, thread=f"9-1-{'0' * 16}")
    with pytest.raises(InvalidRequest):
        await engine.create(graph, thread="nonsense")
    for unknown in (f"1-999-{'0' * 16}", f"9-1-{'0' * 16}"):
        with pytest.raises(FlowNotFound):
            await engine.flow(unknown).continue_with()
    assert await flow_count(engine) == 0


async def test_e110_a_child_flow_is_no_thread(host: LocalHost, engine: Engine) -> None:
    async def call(flow: Flow) -> None:
        flow.subgraph("counter")

    host.add_graph(counter(host))
    host.add_task("Call", call)
    graph = Graph("g").add_transition("Call", END)
    flow = await engine.create(graph)
    await flow
    child = (await step_at(flow, "Call")).sub_flows[0].flow_key
    for refused in (
        engine.flow(child).continue_with(),
        engine.flow(child).retry_failed(),
        engine.create(graph, thread=child),
    ):
        with pytest.raises(InvalidRequest, match="child"):
            await refused


async def test_e111_a_union_takes_an_equal_object_once(host: LocalHost, engine: Engine) -> None:
    first = await engine.create(counter(host, reducers={"tags": "union"}), {"tags": [{"a": 1, "b": [2]}]})
    await first
    second = await first.continue_with({"tags": [{"b": [2], "a": 1}]})
    assert (await second).state["tags"] == [{"a": 1, "b": [2]}]
    third = await first.continue_with({"tags": [{"a": 2}]})
    assert (await third).state["tags"] == [{"a": 1, "b": [2]}, {"a": 2}]


def holding(host: LocalHost) -> tuple[Graph, Gate]:
    """A flow whose further turns stand at a gate."""
    gate = Gate()

    async def hold(flow: Flow) -> None:
        if flow.get("held"):
            await gate.pass_()
        flow["held"] = True

    host.add_task("Hold", hold)
    return Graph("g").add_transition("Hold", END), gate


async def continued(handles: list[FlowHandle]) -> FlowHandle:
    """Continue by all handles at once: one wins, the others are told so. The new turn."""
    results = await asyncio.gather(*(handle.continue_with() for handle in handles), return_exceptions=True)
    (won,) = [result for result in results if isinstance(result, FlowHandle)]
    assert sum(isinstance(result, StateConflict) for result in results) == len(handles) - 1
    return won


async def test_e112_of_concurrent_continues_exactly_one_wins(host: LocalHost, engine: Engine) -> None:
    graph, gate = holding(host)
    first = await engine.create(graph)
    await first
    won = await continued([first] * 6)
    assert await in_thread(engine, first) == keys(first, won)
    gate.open()
    await won
    assert (await (await first.continue_with())).status is Status.COMPLETED


async def test_e112_of_continues_on_several_engines_exactly_one_wins(host: LocalHost, running: Any) -> None:
    graph, gate = holding(host)
    async with running() as one, running(workers=0) as two, running(workers=0) as three:
        first = await one.create(graph)
        await first
        won = await continued([engine.flow(first.key) for engine in (two, three, one) * 2])
        assert await in_thread(one, first) == keys(first, won)
        gate.open()
        assert (await won).status is Status.COMPLETED


async def test_e113_the_latest_flow_that_is_left_counts(host: LocalHost, engine: Engine) -> None:
    first = await engine.create(counter(host))
    await first
    second = await first.continue_with({"n": 50})
    await second
    await second.delete()
    third = await second.continue_with()
    assert (await third).state == {"n": 2}
    await first.delete()
    await third.delete()
    with pytest.raises(ThreadNotFound):
        await third.continue_with()
    assert await flow_count(engine) == 3


async def test_e113_the_first_flow_of_a_thread_may_be_gone(host: LocalHost, engine: Engine) -> None:
    gate = Gate()

    async def count(flow: Flow) -> None:
        flow["n"] = flow.get("n", 0) + 1
        if flow["n"] == 3:
            await gate.pass_()

    host.add_task("Count", count)
    first = await engine.create(Graph("counter").add_transition("Count", END))
    await first
    second = await first.continue_with()
    await second
    await doctor(engine, "DELETE FROM dwarf_steps WHERE flow_id = :id", id=flow_id(first))
    await doctor(engine, "DELETE FROM dwarf_flows WHERE flow_id = :id", id=flow_id(first))
    with pytest.raises(FlowNotFound):
        await first.continue_with()
    third = await continued([second] * 3)
    gate.open()
    assert (await third).state == {"n": 3}


async def test_e113_a_flow_that_did_not_complete_blocks_its_thread(host: LocalHost, engine: Engine) -> None:
    graph = counter(host)
    first = await engine.create(graph)
    await first
    failed = await first.continue_with({"fail": True})
    assert (await failed).status is Status.FAILED
    with pytest.raises(StateConflict, match="failed"):
        await first.continue_with()
    superseded = await engine.create(graph, {"n": 7}, thread=first.key)
    await superseded
    assert (await (await first.continue_with())).state == {"n": 9}


@pytest.mark.parametrize("end", ["running", "interrupted", "cancelled"])
async def test_e113_nor_does_one_that_runs_waits_or_was_cancelled_continue(
    host: LocalHost, engine: Engine, end: str
) -> None:
    gate = Gate()

    async def stay(flow: Flow) -> None:
        await gate.pass_()
        flow.interrupt("well?")

    host.add_task("Stay", stay)
    flow = await engine.create(Graph("g").add_transition("Stay", END))
    await gate.reached()
    if end != "running":
        gate.open()
        assert (await flow).status is Status.INTERRUPTED
    if end == "cancelled":
        await flow.cancel()
    with pytest.raises(StateConflict, match=end):
        await flow.continue_with()
    gate.open()
    await flow


async def test_e113_a_fork_is_no_turn(host: LocalHost, engine: Engine) -> None:
    first = await engine.create(counter(host))
    await first
    fork = await engine.fork(await step_at(first, "Count"), {"n": 100})
    assert (await fork).state == {"n": 101}
    assert await in_thread(engine, first) == keys(first, fork)
    assert (await (await fork.continue_with())).state == {"n": 2}


async def test_a_disposable_flow_is_no_base_and_its_turns_are_kept(host: LocalHost, engine: Engine) -> None:
    first = await engine.create(counter(host))
    await first
    gone = await engine.create(counter(host), {"n": 40}, thread=first.key, delete_on_completion=True)
    await gone
    turn = await gone.continue_with()
    assert (await turn).state == {"n": 2}
    assert await query(engine, "SELECT delete_on_completion FROM dwarf_flows ORDER BY flow_id") == [(0,), (1,), (0,)]


async def test_w100_additions_are_merged_by_the_reducers(host: LocalHost, engine: Engine) -> None:
    host.add_task("A", nothing)
    graph = Graph("g", reducers={"log": "append", "sum": "add"}).add_transition("A", END)
    first = await engine.create(graph, {"log": ["a"], "sum": 1, "plain": 1, "other": {"x": 1}})
    await first
    second = await first.continue_with({"log": ["b"], "sum": None, "plain": None, "other": {"y": 2}, "new": 3})
    assert (await second).state == {"log": ["a", "b"], "sum": 1, "other": {"y": 2}, "new": 3}
    with pytest.raises(ReducerError, match="sum"):
        await first.continue_with({"sum": "many"})
    assert await flow_count(engine) == 2


async def test_w100_the_host_is_not_asked_for_the_graph_again(host: LocalHost, engine: Engine) -> None:
    first = await engine.create(counter(host))
    await first
    host.add_graph(Graph("counter").add_chain("Count", "Unknown", END))
    assert (await (await first.continue_with())).state == {"n": 2}
