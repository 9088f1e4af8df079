"""What cannot be forked, and what a fork does not keep: scenario 118."""

from __future__ import annotations

import asyncio

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, FlowHandle
from dwarf.errors import StateConflict
from dwarf.failpoints import Failpoints
from dwarf.hosts import LocalHost
from tests.conformance.engine.forks import Runs, cohort
from tests.conformance.engine.tools import Gate, doctor, nodes, nothing, scalar, statuses, step_at
from tests.support.invariants import query

# ---------------------------------------------------------------- 118: what cannot be forked


async def test_e118_a_flow_that_has_not_ended_is_forked_at_what_has_ended_or_waits(
    host: LocalHost, engine: Engine
) -> None:
    gate = Gate()

    async def hold(flow: Flow) -> None:
        await gate.pass_()
        flow.interrupt("well?")

    host.add_task("A", nothing)
    host.add_task("B", hold)
    flow = await engine.create(Graph("g").add_chain("A", "B", END))
    await gate.reached()
    first = await step_at(flow, "A")
    with pytest.raises(StateConflict, match="running"):
        await engine.fork(await step_at(flow, "B"))
    forks = [await engine.fork(first)]
    gate.open()
    await flow
    forks += [await engine.fork(first), await engine.fork(await step_at(flow, "B"))]
    await flow.cancel()
    forks.append(await engine.fork(first))
    for fork in forks:
        assert (await fork).status is Status.INTERRUPTED


async def test_e118_a_doomed_flow_cannot_be_forked(host: LocalHost, engine: Engine) -> None:
    host.add_task("A", nothing)
    graph = Graph("g").add_transition("A", END)
    disposable = await engine.create(graph, delete_on_completion=True)
    await disposable
    deleted = await engine.create(graph)
    await deleted
    await deleted.delete()
    for flow in (disposable, deleted):
        row = await query(
            engine, "SELECT step_id, token FROM dwarf_steps WHERE flow_id = :id", id=int(flow.key.split("-")[1])
        )
        with pytest.raises(StateConflict, match="deleted"):
            await engine.fork(f"1-{row[0][0]}-{row[0][1]}")
        with pytest.raises(StateConflict, match="deleted"):
            await flow.retry_failed()


async def test_e118_a_flow_deleted_while_it_is_forked(host: LocalHost, engine: Engine, failpoints: Failpoints) -> None:
    host.add_task("A", nothing)
    flow = await engine.create(Graph("g").add_transition("A", END))
    await flow
    step = await step_at(flow, "A")
    checkpoint = failpoints.checkpoint("beforeCopy")
    forking = asyncio.create_task(engine.fork(step))
    await checkpoint.arrived()
    await flow.delete()
    checkpoint.release()
    with pytest.raises(StateConflict, match="deleted"):
        await forking
    assert await scalar(engine, "SELECT COUNT(*) FROM dwarf_flows") == 1
    assert await scalar(engine, "SELECT COUNT(*) FROM dwarf_steps") == 1


async def branch_flow(host: LocalHost, engine: Engine, runs: Runs) -> FlowHandle:
    """S to A and B, which meet in J; ended."""
    for name in "SABJ":
        host.add_task(name, runs.task(name))
    graph = Graph("g").add_fan_out("S", "A", "B").add_transition("A", "J").add_transition("B", "J").set_fan_in("J")
    flow = await engine.create(graph.add_transition("J", END))
    await flow
    return flow


async def test_e118_a_kept_step_that_waits_forbids_the_fork(host: LocalHost, engine: Engine) -> None:
    flow = await branch_flow(host, engine, Runs())
    await doctor(engine, "UPDATE dwarf_steps SET status = 'interrupted' WHERE node = 'B'")
    with pytest.raises(StateConflict, match="waits for an answer"):
        await engine.fork(await step_at(flow, "A"))
    assert await scalar(engine, "SELECT COUNT(*) FROM dwarf_flows") == 1
    await doctor(engine, "UPDATE dwarf_steps SET status = 'completed' WHERE node = 'B'")


async def test_e118_a_kept_step_left_running_is_cancelled(host: LocalHost, engine: Engine) -> None:
    runs = Runs()
    flow = await branch_flow(host, engine, runs)
    await doctor(engine, "UPDATE dwarf_steps SET status = 'running', lease_expires = 9999999999999 WHERE node = 'B'")
    runs.clear()
    fork = await engine.fork(await step_at(flow, "A"))
    outcome = await fork
    assert outcome.status is Status.FAILED
    assert "'B'" in outcome.error
    assert runs == {"A": 1}
    assert await statuses(fork, "B") == {Status.CANCELLED: 1}
    assert not (await step_at(fork, "B")).parked
    await doctor(engine, "UPDATE dwarf_steps SET status = 'completed', lease_expires = 0 WHERE status = 'running'")


async def test_e118a_candidates_straight_to_the_fan_in_are_counted(host: LocalHost, engine: Engine) -> None:
    runs = Runs()
    for name in "SAJ":
        host.add_task(name, runs.task(name))
    graph = Graph("g").add_fan_out("S", "A", "J").add_transition("A", "J").set_fan_in("J").add_transition("J", END)
    origin = await engine.create(graph)
    await origin
    fork = await engine.fork(await step_at(origin, "A"))
    assert (await fork).status is Status.COMPLETED
    assert await cohort(engine, fork, "S") == (2, 2, 0)
    assert runs == {"S": 1, "A": 2, "J": 2}


async def test_e118a_a_branch_that_arrived_by_goto(host: LocalHost, engine: Engine) -> None:
    runs = Runs()
    gate = Gate()

    async def wait(flow: Flow) -> None:
        await gate.pass_()

    async def jump(flow: Flow) -> None:
        flow.goto("J")

    host.add_task("S", nothing)
    host.add_task("A", runs.task("A", jump))
    host.add_task("B", runs.task("B", wait))
    host.add_task("D", nothing)
    host.add_task("J", runs.task("J"))
    graph = Graph("g").add_fan_out("S", "A", "B").add_chain("A", "D", "J").add_goto("A", "J").add_transition("B", "J")
    origin = await engine.create(graph.set_fan_in("J").add_transition("J", END))
    await gate.reached()
    gate.open()
    await origin
    runs.clear()
    fork = await engine.fork(await step_at(origin, "A"))
    assert (await fork).status is Status.COMPLETED
    assert runs == {"A": 1, "J": 1}
    assert (await nodes(fork)).count("J") == 1


async def cancelled_beside_a_branch(host: LocalHost, engine: Engine, runs: Runs) -> FlowHandle:
    """S to A and B, which meet in J: cancelled when A is done and B runs."""
    gate = Gate()
    calls = 0

    async def once(flow: Flow) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await gate.pass_()
        flow["b"] = 1

    async def a(flow: Flow) -> None:
        flow["a"] = 1

    for name, body in (("S", nothing), ("A", a), ("B", once), ("J", nothing)):
        host.add_task(name, runs.task(name, body))
    graph = Graph("g").add_fan_out("S", "A", "B").add_transition("A", "J").add_transition("B", "J").set_fan_in("J")
    origin = await engine.create(graph.add_transition("J", END))
    await gate.reached()
    async for update in origin.watch():
        if any(step.node == "A" and step.status is Status.COMPLETED for step in update.steps):
            break
    await origin.cancel("enough")
    gate.open()
    runs.clear()
    return origin


async def test_e118b_a_fork_beside_a_cancelled_branch_does_not_complete_without_it(
    host: LocalHost, engine: Engine
) -> None:
    runs = Runs()
    origin = await cancelled_beside_a_branch(host, engine, runs)
    fork = await engine.fork(await step_at(origin, "A"))
    outcome = await fork
    assert outcome.status is Status.FAILED
    assert "'B' (branch 1) was cancelled" in outcome.error
    assert runs == {"A": 1}
    assert await cohort(engine, fork, "S") == (2, 2, 1)


@pytest.mark.parametrize("node", ["S", "B"])
async def test_e118b_a_fork_at_or_before_the_cancelled_branch_completes(
    host: LocalHost, engine: Engine, node: str
) -> None:
    origin = await cancelled_beside_a_branch(host, engine, Runs())
    fork = await engine.fork(await step_at(origin, node))
    assert (await fork).state == {"a": 1, "b": 1}
    assert (await origin.snapshot()).cancel_reason == "enough"
