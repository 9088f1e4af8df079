"""A database that has forgotten which ids it gave: a standby that was behind has taken over, or a copy was restored."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.storage.sql.script import Execute, Script, Statement
from tests.support.workflows import Gate, Running


async def forget(engine: Engine, flow: int, step: int) -> None:
    """Give these ids again."""

    def script() -> Script[None]:
        for kind, following in (("flow", flow), ("step", step)):
            yield Execute(
                Statement("forget", text(f"UPDATE dwarf_ids SET next_id = {following} WHERE kind = '{kind}'")), {}
            )

    await engine._runtimes[1].database.write(script)


async def given_twice(engine: Engine, other: Engine, graph: Graph, count: int) -> None:
    """Have another engine use up the ids that this one has at hand."""
    ids = engine._runtimes[1].ids
    await forget(engine, ids.flows._ids[0], ids.steps._ids[0])
    others = other._runtimes[1].ids
    for source in (others.flows, others.steps):
        source.drop()
        source.greatest = 0  # it has started after the copy was restored
    for _ in range(count):
        assert (await other.run(graph)).status is Status.COMPLETED


@pytest.fixture
def chain(host: LocalHost) -> Graph:
    async def work(flow: Flow) -> None:
        flow["count"] = flow.get("count", 0) + 1

    return Graph("chain").add_node("A", work).add_node("B", work).add_node("C", work).add_chain("A", "B", "C", END)


async def test_creates_go_on(running: Running, chain: Graph) -> None:
    async with running() as engine, running() as other:
        await engine.run(chain)
        await given_twice(engine, other, chain, 8)
        outcomes = await asyncio.gather(*(engine.run(chain) for _ in range(20)))
        assert [outcome.state["count"] for outcome in outcomes] == [3] * 20
        many = await engine.create_many(chain, [{}] * 200)
        assert {(await flow).status for flow in many} == {Status.COMPLETED}


async def test_steps_children_and_branches_go_on(running: Running, host: LocalHost, chain: Graph) -> None:
    gate = Gate()

    async def hold(flow: Flow) -> None:
        await gate.wait()
        if flow.node == "Call":
            flow["child"] = flow.subgraph("child")["count"]

    async def one(flow: Flow) -> None:
        flow["count"] = 1

    held = Graph("held").add_node("Hold", hold).add_node("Next", one).add_chain("Hold", "Next", END)
    call = Graph("call").add_node("Call", hold).add_node("Next", one).add_chain("Call", "Next", END)
    fan = Graph("fan", reducers={"count": "add"}).add_node("Hold", hold).add_node("Join", one, fan_in=True)
    for name in "abc":
        fan.add_node(name, one).add_transition(name, "Join")
    fan.add_fan_out("Hold", "a", "b", "c").add_transition("Join", END)
    host.add_graph(Graph("child").add_node("Next", one).add_transition("Next", END))
    async with running() as engine, running() as other:
        flows = [await engine.create(graph) for graph in (held, call, fan)]
        await gate.reached(3)
        await given_twice(engine, other, chain, 8)
        gate.open()
        outcomes = [await flow for flow in flows]
        assert [outcome.status for outcome in outcomes] == [Status.COMPLETED] * 3, outcomes
        assert [outcome.state.get("count") for outcome in outcomes] == [1, 1, 4]
        assert outcomes[1].state["child"] == 1


async def test_forks_and_turns_go_on(running: Running, chain: Graph) -> None:
    async with running() as engine, running() as other:
        flow = await engine.create(chain)
        await flow
        step = (await flow.history())[1]
        await given_twice(engine, other, chain, 8)
        assert (await (await engine.fork(step))).status is Status.COMPLETED
        runtime: Any = engine._runtimes[1]
        await given_twice(engine, other, chain, 8)
        assert (await (await flow.continue_with({"count": 1}))).state == {"count": 4}
        assert runtime.ids.flows.greatest > 1_000_000


async def test_a_block_that_was_given_before_is_left_out(running: Running, chain: Graph) -> None:
    async with running() as engine:
        await engine.run(chain)
        await forget(engine, 2, 2)
        many = await engine.create_many(chain, [{}] * 500)
        assert {(await flow).status for flow in many} == {Status.COMPLETED}
