"""Unusual ways into and out of a cohort: scenarios 47 to 60."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.failpoints import Failpoints
from dwarf.hosts import LocalHost
from tests.conformance.engine.tools import Gate, appending, doctor, nodes, nothing, query, scalar, statuses, step_at


@pytest.fixture
def runs(host: LocalHost) -> list[str]:
    """S, T and K do nothing; the nodes that have run, of those that note it: J, K and T."""
    noted: list[str] = []
    for name in ("J", "K", "T"):

        async def note(flow: Flow, name: str = name) -> None:
            noted.append(name)
            flow[name] = True

        host.add_task(name, note)
    for name in ("S", "A", "B", "C", "D"):
        host.add_task(name, nothing)
    return noted


@pytest.mark.parametrize(("gate", "branches"), [(1, 2), (5, 1), (0, 0)])
async def test_e47_two_conditional_edges_to_one_node(
    host: LocalHost, engine: Engine, runs: list[str], gate: int, branches: int
) -> None:
    @host.task(url="S")
    async def S(flow: Flow) -> None:
        flow["split"] = True

    @host.task(url="Work")
    async def Work(flow: Flow) -> None:
        flow["sum"] = 10

    graph = Graph("g", reducers={"sum": "add"}).add_transition("S", "Work", when="gate == 1")
    graph.add_transition("S", "Work", when="gate > 0").add_chain("Work", "J", END).set_fan_in("J")
    handle = await engine.create(graph, {"gate": gate})
    outcome = await handle
    assert await nodes(handle) == ["S", *["Work"] * branches, "J"]
    assert outcome.state.get("sum", 0) == 10 * branches
    assert outcome.state["split"] is True
    assert runs == ["J"]


async def test_e48_both_edges_lead_straight_to_the_fan_in(host: LocalHost, engine: Engine, runs: list[str]) -> None:
    graph = Graph("g").add_transition("S", "J", when="x == 1").add_transition("S", "J", when="x > 0")
    graph.set_fan_in("J").add_transition("J", END)
    handle = await engine.create(graph, {"x": 1})
    assert (await handle).status is Status.COMPLETED
    assert runs == ["J"]
    assert await nodes(handle) == ["S", "J"]
    assert await query(engine, "SELECT cohort_size, cohort_arrivals FROM dwarf_steps WHERE node = 'S'") == [(2, 2)]
    first, second = await handle.history()
    assert first.successor_id == second.id


async def test_e49_loop_over_a_fan_out_ends_by_goto(host: LocalHost, engine: Engine, runs: list[str]) -> None:
    @host.task(url="Decide")
    async def Decide(flow: Flow) -> None:
        flow["laps"] = flow.get("laps", 0) + 1
        if flow["laps"] == 2:
            flow.goto(END)

    for name in ("Init", "Work"):
        host.add_task(name, nothing)
    graph = Graph("g").add_transition("Init", "Decide").add_for_each("Decide", "Work", items="items")
    graph.add_chain("Work", "J", "Decide").set_fan_in("J").add_goto("Decide", END)
    handle = await engine.create(graph, {"items": [1, 2]})
    outcome = await handle
    assert outcome.status is Status.COMPLETED
    assert outcome.state["laps"] == 2
    assert await nodes(handle) == ["Init", "Decide", "Work", "Work", "J", "Decide"]


async def test_e50_source_goes_to_its_own_fan_in(host: LocalHost, engine: Engine, runs: list[str]) -> None:
    @host.task(url="S")
    async def S(flow: Flow) -> None:
        flow["wrote"] = 1
        flow.goto("J")

    host.add_task("Work", nothing)
    graph = Graph("g").add_for_each("S", "Work", items="items").add_chain("Work", "J", END).set_fan_in("J")
    handle = await engine.create(graph.add_goto("S", "J"), {"items": [1, 2]})
    assert (await handle).state == {"items": [1, 2], "wrote": 1, "J": True}
    assert await nodes(handle) == ["S", "J"]


async def test_e50_nested_sources_go_to_their_fan_in(host: LocalHost, engine: Engine, runs: list[str]) -> None:
    @host.task(url="Cell")
    async def Cell(flow: Flow, item: str) -> None:
        flow["cells"] = [item]
        flow.goto("Inner")

    for name in ("Work", "Inner"):
        host.add_task(name, nothing)
    graph = Graph("g", reducers={"cells": "append"}).add_for_each("S", "Cell", items="items")
    graph.add_for_each("Cell", "Work", items="parts", item="part").add_chain("Work", "Inner", "J", END)
    graph.set_fan_in("Inner").set_fan_in("J").add_goto("Cell", "Inner")
    handle = await engine.create(graph, {"items": ["a", "b", "c"], "parts": [1]})
    outcome = await handle
    assert outcome.status is Status.COMPLETED
    assert outcome.state["cells"] == ["a", "b", "c"]
    assert await nodes(handle) == ["S", *["Cell"] * 3, *["Inner"] * 3, "J"]


async def test_e51_loop_inside_a_branch(host: LocalHost, engine: Engine, runs: list[str]) -> None:
    @host.task(url="Work")
    async def Work(flow: Flow, item: str) -> None:
        flow["laps"] = flow.get("laps", 0) + 1
        if item == "b" and flow["laps"] < 3:
            flow.goto("Work")

    graph = Graph("g").add_for_each("S", "Work", items="items").add_chain("Work", "J", END).set_fan_in("J")
    handle = await engine.create(graph.add_goto("Work", "Work"), {"items": ["a", "b"]})
    assert (await handle).status is Status.COMPLETED
    work = [step for step in await handle.history() if step.node == "Work"]
    last = await step_at(handle, "J")
    assert len(work) == 4
    assert sum(step.successor_id == last.id for step in work) == 2
    assert runs == ["J"]


async def test_e52_loop_beside_a_plain_branch(host: LocalHost, engine: Engine) -> None:
    @host.task(url="Loop")
    async def Loop(flow: Flow) -> None:
        flow["laps"] = flow.get("laps", 0) + 1
        if flow["laps"] < 3:
            flow.goto("Loop")

    @host.task(url="C")
    async def C(flow: Flow) -> None:
        flow["mark"] = "stamped"

    @host.task(url="J")
    async def J(flow: Flow) -> None:
        flow["result"] = f"{flow['mark']}/{flow['laps']}"

    host.add_task("S", nothing)
    graph = Graph("g").add_fan_out("S", "Loop", "C").add_transition("Loop", "J").add_chain("C", "J", END)
    graph.set_fan_in("J").add_goto("Loop", "Loop")
    assert (await engine.run(graph)).state["result"] == "stamped/3"


async def test_e53_fan_in_leads_to_a_fan_in(host: LocalHost, engine: Engine, runs: list[str]) -> None:
    @host.task(url="A")
    async def A(flow: Flow, item: int) -> None:
        flow["seen"] = [item]

    @host.task(url="L")
    async def L(flow: Flow) -> None:
        flow["finalCount"] = len(flow["seen"])

    @host.task(url="M")
    async def M(flow: Flow) -> None:
        flow["seen"] = flow["seen"]  # only what the inner fan-in writes itself goes on to the outer one

    host.add_task("H", nothing)
    graph = Graph("g", reducers={"seen": "union"}).add_for_each("S", "H", items="items").add_fan_out("H", "A", "B")
    graph.add_transition("A", "M").add_chain("B", "M", "L", END).set_fan_in("M").set_fan_in("L")
    handle = await engine.create(graph, {"items": [1, 2, 3]})
    assert (await handle).state["finalCount"] == 3
    assert (await statuses(handle, "M"))[Status.COMPLETED] == 3


async def test_e54_step_outside_of_its_cohort_fails_the_flow(host: LocalHost, engine: Engine, runs: list[str]) -> None:
    attempts: list[int] = []

    @host.task(url="Work")
    async def Work(flow: Flow) -> None:
        attempts.append(flow.attempt)
        if flow.attempt == 0:
            await doctor(engine, "UPDATE dwarf_steps SET lineage_id = 0 WHERE node = 'Work'")
            flow.retry()

    graph = Graph("g").add_for_each("S", "Work", items="items").add_chain("Work", "J", END).set_fan_in("J")
    outcome = await engine.run(graph, {"items": [1]}, timeout=60)
    assert outcome.status is Status.FAILED
    assert "not part of a fan-out cohort" in outcome.error
    assert attempts == [0, 1]
    assert runs == []


async def test_e55_depth_of_a_fan_in(host: LocalHost, engine: Engine, failpoints: Failpoints, runs: list[str]) -> None:
    @host.task(url="Work")
    async def Work(flow: Flow) -> None:
        await failpoints.seen("afterCommit:Deep")

    host.add_task("Deep", nothing)
    graph = Graph("g").add_fan_out("S", "Work", "A").add_chain("A", "Deep", "J").add_chain("Work", "J", END)
    handle = await engine.create(graph.set_fan_in("J"))
    assert (await handle).status is Status.COMPLETED
    assert {step.node: step.depth for step in await handle.history()} == {"S": 1, "Work": 2, "A": 2, "Deep": 3, "J": 4}


async def test_e57_cancelled_fan_out_with_one_worker(host: LocalHost, running: Any, failpoints: Failpoints) -> None:
    gate = Gate()
    ran: list[str] = []

    @host.task(url="Work")
    async def Work(flow: Flow, item: str) -> None:
        ran.append(item)
        await gate.pass_()

    for name in ("S", "J"):
        host.add_task(name, nothing)
    graph = Graph("g").add_for_each("S", "Work", items="items").add_chain("Work", "J", END).set_fan_in("J")
    async with running(workers=1) as engine:
        handle = await engine.create(graph, {"items": ["a", "b", "c"]})
        await gate.reached()
        await handle.cancel()
        gate.open()
        await failpoints.seen("afterCommit:Work")
        assert (await handle).status is Status.CANCELLED
        assert await statuses(handle, "Work") == {Status.CANCELLED: 3}
    assert ran == ["a"]


async def test_e58_cancelled_source_of_an_empty_fan_out(
    host: LocalHost, engine: Engine, failpoints: Failpoints, runs: list[str]
) -> None:
    gate = Gate()

    @host.task(url="S")
    async def S(flow: Flow) -> None:
        await gate.pass_()

    graph = Graph("g").add_for_each("S", "A", items="items").add_chain("A", "J", END).set_fan_in("J")
    handle = await engine.create(graph, {"items": []})
    await gate.reached()
    await handle.cancel()
    gate.open()
    await failpoints.seen("afterCommit:S")
    assert await query(engine, "SELECT node, status, successor_id FROM dwarf_steps") == [("S", "cancelled", 0)]
    assert runs == []


@pytest.mark.parametrize("reducer", ["add", "and"])
async def test_e59_values_that_do_not_fit_their_reducer_fail_the_flow(
    host: LocalHost, engine: Engine, runs: list[str], reducer: str
) -> None:
    values = {"add": [1, "two", 3], "and": [True, "two", True]}[reducer]

    @host.task(url="Work")
    async def Work(flow: Flow, itemIndex: int) -> None:
        flow["total"] = values[itemIndex]

    graph = Graph("g", reducers={"total": reducer}).add_for_each("S", "Work", items="items")
    graph.add_chain("Work", "J", END).set_fan_in("J")
    outcome = await engine.run(graph, {"items": [0, 1, 2]}, timeout=60)
    assert outcome.status is Status.FAILED
    assert "'total'" in outcome.error
    assert reducer in outcome.error
    assert runs == []


async def test_e60_subgraph_as_one_branch(host: LocalHost, engine: Engine, runs: list[str]) -> None:
    @host.task(url="Sub")
    async def Sub(flow: Flow) -> None:
        flow["sub"] = flow.subgraph("inner", {"path": "s"})["path"]

    @host.task(url="J")
    async def J(flow: Flow) -> None:
        flow["result"] = f"{flow['b']}/{flow['sub']}/{flow['d']}"

    for name in "XY":
        host.add_task(name, appending(name))
    host.add_task("B", appending("b", "b"))
    host.add_task("D", appending("d", "d"))
    host.add_graph(Graph("inner").add_chain("X", "Y", END))
    graph = Graph("g").add_fan_out("S", "B", "Sub", "D").add_transition("B", "J").add_transition("Sub", "J")
    graph.add_chain("D", "J", END).set_fan_in("J")
    host.add_graph(graph)
    handles = await engine.create_many("g", [{} for _ in range(50)])
    outcomes = await asyncio.gather(*handles)
    assert [outcome.state.get("result") for outcome in outcomes] == ["b/sXY/d"] * 50


async def test_e60_many_branches_call_a_subgraph_at_once(host: LocalHost, engine: Engine, runs: list[str]) -> None:
    gate = Gate()

    @host.task(url="Sub")
    async def Sub(flow: Flow, item: int) -> None:
        await gate.pass_()
        flow["out"] = [flow.subgraph("inner", {"item": item})["item"]]

    host.add_graph(Graph("inner").add_transition("A", END))
    graph = Graph("g", reducers={"out": "append"}).add_for_each("S", "Sub", items="items")
    graph.add_chain("Sub", "J", END).set_fan_in("J")
    handle = await engine.create(graph, {"items": list(range(250))})
    await gate.reached(250)
    gate.open()  # all of them need ids of flows and steps in the same turn of the loop
    assert (await handle.outcome(timeout=60)).state["out"] == list(range(250))


@pytest.mark.parametrize("way", ["goto", "error"])
async def test_e60a_unusual_way_to_the_fan_in_keeps_what_follows(
    host: LocalHost, engine: Engine, runs: list[str], way: str
) -> None:
    @host.task(url="C")
    async def C(flow: Flow) -> None:
        flow["c"] = 1
        if way == "error":
            raise RuntimeError("handled")
        flow.goto("J")

    graph = Graph("g").add_fan_out("S", "B", "C").add_chain("B", "J", "K", END).add_chain("C", "D", "J")
    graph.set_fan_in("J")
    if way == "goto":
        graph.add_goto("C", "J")
    else:
        graph.add_error_handler("C", "J")
    handle = await engine.create(graph)
    outcome = await handle
    assert outcome.state["J"] is True
    assert outcome.state["K"] is True
    assert runs == ["J", "K"]
    assert (await step_at(handle, "C")).successor_id == (await step_at(handle, "J")).id


async def test_e60a_source_that_only_leads_to_the_fan_in(host: LocalHost, engine: Engine, runs: list[str]) -> None:
    graph = Graph("g").add_transition("S", "J", when="true").add_transition("S", "J", when="x == null || true")
    outcome = await engine.run(graph.set_fan_in("J").add_chain("J", "K", END), {"own": 1})
    assert outcome.state == {"own": 1, "J": True, "K": True}
    assert runs == ["J", "K"]


async def test_e60b_reduced_fields_accumulate_over_laps(host: LocalHost, engine: Engine) -> None:
    seen: list[list[int]] = []

    @host.task(url="Work")
    async def Work(flow: Flow, item: int) -> None:
        flow["out"] = [item]

    @host.task(url="J")
    async def J(flow: Flow) -> None:
        seen.append(flow["out"])
        del flow["never"]
        if len(seen) < 3:
            flow.goto("S")

    for name in ("I", "S"):
        host.add_task(name, nothing)
    graph = Graph("g", reducers={"out": "append"}).add_transition("I", "S").add_for_each("S", "Work", items="items")
    graph.add_chain("Work", "J", END).set_fan_in("J").add_goto("J", "S")
    handle = await engine.create(graph, {"items": [1, 2]})
    outcome = await handle
    assert seen == [[1, 2], [1, 2, 1, 2], [1, 2, 1, 2, 1, 2]]
    assert outcome.state["out"] == seen[-1]
    assert await scalar(engine, "SELECT COUNT(*) FROM dwarf_steps WHERE cohort_size = 2 AND cohort_arrivals = 2") == 3
