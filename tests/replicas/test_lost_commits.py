"""The connection dies between a COMMIT and its answer: nobody knows whether it took effect."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from random import Random

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Timing
from dwarf.errors import StorageError
from tests.support.proxy import Proxy, proxied
from tests.support.workflows import Gate, Running, until_steps

pytestmark = [pytest.mark.server, pytest.mark.parametrize("arrives", [True, False], ids=["done", "not-done"])]

SOON = Timing(retry_ladder=(0.05, 0.2, 1.0, 2.0))
PATIENCE_S = 40  # far below the length of a lease


@pytest.fixture
async def proxy(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """Engines that are made from now on go through it."""
    url = os.environ["DWARF_TEST_URL"]
    async with proxied(database, url) as (proxy, way):
        monkeypatch.setenv("DWARF_TEST_URL", way)
        yield proxy


def finishing(text: str) -> bool:
    return "UPDATE dwarf_steps" in text and "'completed'" in text


def claiming(text: str) -> bool:
    return "UPDATE dwarf_steps" in text and "'running'" in text


def creating(text: str) -> bool:
    return "INSERT INTO dwarf_flows" in text


class Trail:
    """What has run."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.gate = Gate()

    def graph(self) -> Graph:
        async def first(flow: Flow) -> None:
            self.ran.append("First")
            await self.gate.wait()

        async def then(flow: Flow) -> None:
            self.ran.append(flow.node)

        graph = Graph("g").add_node("First", first).add_node("Second", then).add_node("Third", then)
        return graph.add_chain("First", "Second", "Third", END)


async def test_the_step_that_follows_is_run_at_once(proxy: Proxy, running: Running, arrives: bool) -> None:
    trail = Trail()
    async with running(timing=SOON) as engine:
        flow = await engine.create(trail.graph())
        await trail.gate.reached()
        proxy.lose(finishing, arrives=arrives)
        trail.gate.open()
        assert (await flow.outcome(timeout=PATIENCE_S)).status is Status.COMPLETED
    assert proxy.lost == 1
    assert trail.ran == ["First", "Second", "Third"]


async def test_who_waits_is_told_of_the_end(proxy: Proxy, running: Running, arrives: bool) -> None:
    gate = Gate()

    async def work() -> None:
        await gate.wait()

    async with running(timing=SOON) as engine:
        flow = await engine.create(Graph("g").add_node("Work", work).add_transition("Work", END))
        await gate.reached()
        proxy.lose(finishing, arrives=arrives)
        gate.open()
        assert (await flow.outcome(timeout=PATIENCE_S)).status is Status.COMPLETED
    assert proxy.lost == 1


@pytest.mark.parametrize("key", ["", "once"])
async def test_a_flow_is_made_once(proxy: Proxy, running: Running, arrives: bool, key: str) -> None:
    trail = Trail()
    trail.gate.open()
    async with running(timing=SOON) as engine:
        proxy.lose(creating, arrives=arrives)
        flow = await engine.create(trail.graph(), idempotency_key=key)
        assert (await flow.outcome(timeout=PATIENCE_S)).status is Status.COMPLETED
        assert [found.flow_key async for found in engine.flows()] == [flow.key]
    assert proxy.lost == 1
    assert trail.ran == ["First", "Second", "Third"]


async def test_a_step_that_was_taken_is_run(proxy: Proxy, running: Running, arrives: bool) -> None:
    trail = Trail()
    trail.gate.open()
    async with running(timing=SOON) as engine, running(workers=0) as front:
        proxy.lose(claiming, arrives=arrives)
        flow = await front.create(trail.graph())
        assert (await flow.outcome(timeout=PATIENCE_S)).status is Status.COMPLETED
        rows = [(step.node, step.engine_id) for step in await flow.history()]
        assert rows == [(node, engine._runtimes[1].engine_id) for node in ("First", "Second", "Third")]
    assert proxy.lost == 1
    assert trail.ran == ["First", "Second", "Third"]


async def test_an_answer_counts_once_and_is_not_said_to_be_refused(
    proxy: Proxy, running: Running, arrives: bool
) -> None:
    ran: list[str] = []

    async def ask(flow: Flow) -> None:
        ran.append(flow.node)
        flow["answer"] = flow.interrupt("well?")

    async with running(timing=SOON) as engine:
        flow = await engine.create(Graph("g").add_node("Ask", ask).add_transition("Ask", END))
        assert (await flow.outcome(timeout=PATIENCE_S)).status is Status.INTERRUPTED
        proxy.lose(lambda text: "UPDATE dwarf_steps" in text and "answers" in text, arrives=arrives)
        if arrives:
            with pytest.raises(StorageError, match="may have been done"):
                await flow.resume("yes")
        else:
            await flow.resume("yes")
        outcome = await flow.outcome(timeout=PATIENCE_S)
        assert (outcome.status, outcome.state) == (Status.COMPLETED, {"answer": "yes"})
    assert proxy.lost == 1
    assert ran == ["Ask", "Ask"]  # to ask, and with the answer


async def test_closing_leaves_no_lease_behind(proxy: Proxy, running: Running, arrives: bool) -> None:
    trail = Trail()
    async with running(timing=Timing(retry_ladder=(0.05,))) as engine:
        flow = await engine.create(trail.graph())
        await trail.gate.reached()
        proxy.lose(finishing, arrives=arrives)
        closing = asyncio.create_task(engine.aclose())
        await asyncio.sleep(0)
        trail.gate.open()
        await closing
    assert proxy.lost == 1
    async with running(timing=SOON) as engine:
        again = engine.flow(flow.key)
        assert (await again.outcome(timeout=PATIENCE_S)).status is Status.COMPLETED
        await until_steps(again, lambda steps: len(steps) == 3)
    assert trail.ran[-2:] == ["Second", "Third"]


async def test_many_are_lost(proxy: Proxy, running: Running, arrives: bool) -> None:
    """Of all kinds, at random: every flow comes to its end, with the effects of each step once."""
    random = Random(7)
    inner = Graph("inner", reducers={"n": "add"})

    async def one(flow: Flow) -> None:
        flow["n"] = 1

    async def call(flow: Flow) -> None:
        flow["n"] = flow.subgraph(inner, {"n": 0})["n"]

    inner.add_node("Inner", one).add_transition("Inner", END)
    graph = Graph("fan", reducers={"n": "add"}).add_node("Split", one).add_node("Join", one, fan_in=True)
    for branch in "ABC":
        graph.add_node(branch, call if branch == "A" else one)
        graph.add_transition("Split", branch).add_transition(branch, "Join")
    graph.add_transition("Join", END)
    async with running(timing=SOON) as engine:
        flows = []
        for number in range(12):
            proxy.lose(lambda text: "dwarf_steps" in text and random.random() < 0.2, arrives=arrives, times=3)
            flows.append(await engine.create(graph, idempotency_key=f"k{number}"))
        outcomes = await asyncio.gather(*(flow.outcome(timeout=PATIENCE_S) for flow in flows))
        assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}
        for flow in flows:
            nodes = Counter(step.node for step in await flow.history())
            assert nodes == {"Split": 1, "A": 1, "B": 1, "C": 1, "Join": 1}
    assert proxy.lost > 3


async def test_a_hook_is_once_for_each_end(proxy: Proxy, running: Running, arrives: bool) -> None:
    gate, told = Gate(), list[str]()

    async def work() -> None:
        await gate.wait()

    async def tell(event: str, flow: Flow) -> None:
        told.append(f"{event} {flow['flow']}")

    hook = Graph("tell").add_node("Tell", tell).add_transition("Tell", END)
    async with running(timing=SOON, hooks={"completed": hook}) as engine:
        flow = await engine.create(Graph("g").add_node("Work", work).add_transition("Work", END))
        await gate.reached()
        proxy.lose(finishing, arrives=arrives)
        gate.open()
        assert (await flow.outcome(timeout=PATIENCE_S)).status is Status.COMPLETED
        for found in [found async for found in engine.flows(workflow_name="tell")]:
            await engine.flow(found.flow_key).outcome(timeout=PATIENCE_S)
    assert proxy.lost == 1
    assert told == [f"completed {flow.key}"]
