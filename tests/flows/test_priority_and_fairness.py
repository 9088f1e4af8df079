"""Which flow is next when more wait than can run."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.testing import engine_for_test


class Stage:
    """A workflow that notes the order of its runs, behind a gate that keeps every place taken."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()

        async def hold(flow: Flow) -> None:
            self.waiting.set()
            await self.gate.wait()

        async def note(flow: Flow) -> None:
            self.order.append(str(flow["name"]))
            await asyncio.sleep(0)

        self.held = Graph("held").add_node("Hold", hold).add_transition("Hold", END)
        self.single = Graph("single").add_node("Note", note).add_transition("Note", END)
        chain = [f"N{index}" for index in range(30)]
        self.chain = Graph("chain")
        for node in chain:
            self.chain.add_node(node, note)
        self.chain.add_chain(*chain, END)

    async def fill(self, engine: Engine) -> None:
        """Take the only place until the gate opens."""
        await engine.create(self.held)
        await self.waiting.wait()


async def finish(stage: Stage, handles: list[object]) -> None:
    stage.gate.set()
    outcomes = await asyncio.gather(*handles)  # type: ignore[call-overload]
    assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}


async def test_bands_are_strict_and_equals_are_first_in_first_out(request: pytest.FixtureRequest) -> None:
    stage = Stage()
    async with engine_for_test(request.node.nodeid, LocalHost(), workers=1) as engine:
        await stage.fill(engine)
        handles = []
        for priority in (300, 100, 200):
            for number in range(3):
                handles.append(await engine.create(stage.single, {"name": f"{priority}/{number}"}, priority=priority))
        await finish(stage, handles)
    assert stage.order == [f"{priority}/{number}" for priority in (100, 200, 300) for number in range(3)]


async def test_keys_share_the_places_by_weight(request: pytest.FixtureRequest) -> None:
    stage = Stage()
    async with engine_for_test(request.node.nodeid, LocalHost(), workers=1) as engine:
        await stage.fill(engine)
        heavy = await engine.create_many(
            stage.single, [{"name": "heavy"}] * 150, fairness_key="heavy", fairness_weight=4
        )
        light = await engine.create_many(
            stage.single, [{"name": "light"}] * 150, fairness_key="light", fairness_weight=1
        )
        await finish(stage, [*heavy, *light])
    # among the first 100, 80 are expected, with a standard deviation of 4: five of them bound it
    assert 60 <= Counter(stage.order[:100])["heavy"] <= 100
    assert Counter(stage.order) == {"heavy": 150, "light": 150}


async def test_a_key_that_runs_dry_leaves_its_share_to_others(request: pytest.FixtureRequest) -> None:
    stage = Stage()
    async with engine_for_test(request.node.nodeid, LocalHost(), workers=4) as engine:
        few = await engine.create_many(stage.single, [{"name": "few"}] * 3, fairness_key="few", fairness_weight=100)
        many = await engine.create_many(stage.single, [{"name": "many"}] * 60, fairness_key="many")
        await finish(stage, [*few, *many])
    assert Counter(stage.order) == {"few": 3, "many": 60}


async def test_a_chain_in_progress_does_not_starve_another_tenant(request: pytest.FixtureRequest) -> None:
    stage = Stage()
    async with engine_for_test(request.node.nodeid, LocalHost(), workers=1) as engine:
        await stage.fill(engine)
        chains = await engine.create_many(stage.chain, [{"name": "chain"}] * 20, fairness_key="busy")
        other = await engine.create_many(stage.single, [{"name": "other"}] * 5, fairness_key="quiet")
        await finish(stage, [*chains, *other])
    last = max(position for position, name in enumerate(stage.order) if name == "other")
    assert last < 300  # of 605: the quiet key is not kept behind the 600 steps of the busy one


async def test_urgent_work_overtakes_a_chain_in_progress(request: pytest.FixtureRequest) -> None:
    stage = Stage()
    async with engine_for_test(request.node.nodeid, LocalHost(), workers=1) as engine:
        await stage.fill(engine)
        slow = await engine.create_many(stage.chain, [{"name": "slow"}] * 20, priority=200)
        urgent = await engine.create(stage.single, {"name": "urgent"}, priority=1)
        await finish(stage, [*slow, urgent])
    assert stage.order.index("urgent") < 100
