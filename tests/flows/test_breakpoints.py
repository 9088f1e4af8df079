"""Breakpoints: a flow stops before or after a node, its state can be changed there, and it goes on."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, FlowHandle
from dwarf.errors import InvalidRequest, StateConflict
from dwarf.hosts import LocalHost
from tests.support.workflows import Running, install, names


async def stop(flow: FlowHandle) -> tuple[str, str]:
    """Where the flow has stopped."""
    outcome = await flow.outcome(timeout=60)
    assert outcome.status is Status.INTERRUPTED, outcome
    payload = dict(outcome.interrupt_payload)
    assert payload.pop("title") == f"Breakpoint {payload['breakpoint']} {payload['node']!r}"
    return payload["breakpoint"], payload["node"]


def counting(host: LocalHost) -> list[str]:
    """A graph of three steps that add to x; the second may be retried, and says where to go."""
    ran: list[str] = []

    def add(flow: Flow) -> None:
        ran.append(flow.node)
        flow["x"] = flow.get("x", 0) + 1

    def second(flow: Flow) -> None:
        add(flow)
        if flow["x"] < 100 and flow.attempt == 0 and flow.get("again"):
            flow.retry()
        flow["answer"] = flow.interrupt({"title": "own"}) if flow.get("asks") else None
        flow.goto("C")

    graph = Graph("g").add_chain("A", "B", END).add_goto("B", "C").add_chain("C", END)
    install(host, graph, A=add, B=second, C=add)
    return ran


async def test_a_flow_stops_before_and_after_nodes_and_goes_on_with_changes(engine: Engine, host: LocalHost) -> None:
    ran = counting(host)
    flow = await engine.create(
        "g", {"x": 0, "asks": True, "again": True}, interrupt_before=["A", "B"], interrupt_after=["B"]
    )
    assert await stop(flow) == ("before", "A")
    assert ran == []
    with pytest.raises(InvalidRequest, match="mapping of changes"):
        await flow.resume(5)
    await flow.resume(None)  # as without data
    assert await stop(flow) == ("before", "B")
    assert ran == ["A"]
    await flow.resume({"x": 10, "again": True, "gone": None}, by="me")
    assert (await flow.outcome(timeout=60)).interrupt_payload == {"title": "own"}
    await flow.resume("yes")
    assert await stop(flow) == ("after", "B")
    count = len(ran)
    assert (await flow.snapshot()).state["answer"] == "yes"
    await flow.resume({"x": 50})
    outcome = await flow.outcome(timeout=60)
    assert (outcome.status, outcome.state["x"], outcome.state["answer"]) == (Status.COMPLETED, 51, "yes")
    assert len(ran) == count + 1  # B has not been run again
    assert names(await flow.history()) == ["A", "B", "C"]
    before_b = await engine.step((await flow.history())[1].key)
    assert (before_b.state or {})["x"] == 10
    assert not before_b.warnings


async def test_breakpoints_are_set_while_a_flow_runs_and_outlive_the_engine(running: Running, host: LocalHost) -> None:
    ran = counting(host)
    async with running(workers=0):  # keeps a database in memory alive
        async with running() as engine:
            flow = await engine.create("g", {"x": 0}, interrupt_before=["A"])
            assert await stop(flow) == ("before", "A")
            await flow.set_breakpoints(before=[], after=["C"])
            with pytest.raises(InvalidRequest, match="no node 'D'; a flow stops at nodes of its own graph"):
                await flow.set_breakpoints(before=["D"])
            with pytest.raises(InvalidRequest, match="no node 'D'"):
                await engine.create("g", interrupt_after=["D"])
        async with running() as engine:
            again = engine.flow(flow.key)
            await again.resume()
            assert await stop(again) == ("after", "C")
            assert ran == ["A", "B", "C"]
            await again.resume()
            assert (await again.outcome(timeout=60)).status is Status.COMPLETED
            with pytest.raises(StateConflict):
                await again.set_breakpoints(before=["A"])
            fork = await engine.fork((await again.history())[2])
            assert (await fork.outcome(timeout=60)).status is Status.COMPLETED


@pytest.mark.parametrize("kind", ["before", "after"])
async def test_the_branches_of_a_fan_out_wait_under_one_prompt(engine: Engine, host: LocalHost, kind: str) -> None:
    def work(flow: Flow) -> dict[str, Any]:
        return {"seen": [flow["item"] + flow.get("add", 0)], "total": flow["item"]}

    graph = Graph("many", reducers={"seen": "append", "total": "add"})
    graph.add_for_each("Begin", "Work", items="items").add_transition("Work", "Join").set_fan_in("Join")
    install(host, graph.add_transition("Join", END), Work=work)
    flow = await engine.create("many", {"items": [1, 2, 3, 4]}, **{f"interrupt_{kind}": ["Work"]})  # type: ignore[arg-type]
    while (await flow.outcome(timeout=60)).status is Status.INTERRUPTED:
        assert await stop(flow) == (kind, "Work")
        assert len(await flow.interrupts()) == 1
        await flow.resume({"add": 10} if kind == "before" else {"seen": [0]})
    outcome = await flow.outcome(timeout=60)
    assert outcome.status is Status.COMPLETED, outcome.error
    assert outcome.state["total"] == 10
    assert len(outcome.state["seen"]) == 4
    assert set(outcome.state["seen"]) & ({11, 12, 13, 14} if kind == "before" else {0})


async def test_a_stop_of_one_step_is_gone_when_the_flow_goes_on(engine: Engine, host: LocalHost) -> None:
    """Also of a step that runs at once again: the engine must know before it wakes it."""

    def loop(flow: Flow) -> None:
        flow["x"] = flow.get("x", 0) + 1
        if flow["x"] < 3:
            flow.goto("B")

    install(host, Graph("g").add_chain("A", "B", END).add_goto("B", "B"), A=lambda flow: None, B=loop)
    flow = await engine.create("g", interrupt_before=["A"])
    assert await stop(flow) == ("before", "A")
    await flow._resume({}, step=None, by="", once=frozenset({"B"}))  # the button "Step" of a notebook
    assert await stop(flow) == ("before", "B")
    await flow.resume()
    outcome = await flow.outcome(timeout=60)
    assert (outcome.status, outcome.state["x"]) == (Status.COMPLETED, 3)
    assert await flow.breakpoints() == (frozenset({"A"}), frozenset())
