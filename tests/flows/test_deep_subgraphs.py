"""Child flows in child flows, fifty levels deep."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dwarf import END, Flow, Graph, Status, Step, TaskError
from dwarf.engine import Engine, FlowHandle
from dwarf.hosts import LocalHost
from tests.support.invariants import query
from tests.support.workflows import Running

DEPTH = 50


async def dig(flow: Flow, level: int, leaf: str) -> None:
    if level < DEPTH:
        below = flow.subgraph("dig", {"level": level + 1, "leaf": leaf})
        flow.update(answer=below["answer"], levels=below["levels"] + 1)
    elif leaf == "ask":
        flow.update(answer=flow.interrupt({"title": "at the bottom"}), levels=0)
    elif leaf == "fail":
        raise TaskError("rock bottom")
    else:
        flow.update(answer="none", levels=0)


DIG = Graph("dig").add_node("Dig", dig).add_transition("Dig", END)


@pytest.fixture(autouse=True)
def dug(host: LocalHost) -> None:
    host.add_graph(DIG)


@pytest.fixture
async def waiting(engine: Engine) -> FlowHandle:
    flow = await engine.create(DIG, {"level": 0, "leaf": "ask"})
    outcome = await flow
    assert outcome.status is Status.INTERRUPTED
    assert outcome.interrupt_payload == {"title": "at the bottom"}
    return flow


def depth_of(steps: Sequence[Step]) -> int:
    depth = 0
    while steps:
        depth, steps = depth + 1, steps[0].sub_steps
    return depth


async def test_the_leaf_is_answered_through_the_root(waiting: FlowHandle) -> None:
    await waiting.resume("gold")
    outcome = await waiting
    assert outcome.status is Status.COMPLETED
    assert outcome.state == {"level": 0, "leaf": "ask", "answer": "gold", "levels": DEPTH}
    assert depth_of(await waiting.history()) == DEPTH + 1


async def test_the_leaf_is_answered_by_its_step(waiting: FlowHandle) -> None:
    (leaf,) = await waiting.interrupts()
    assert leaf.depth == DEPTH + 1
    await waiting.resume("gold", step=leaf)
    assert (await waiting).state["answer"] == "gold"


async def test_cancelling_reaches_the_leaf(waiting: FlowHandle, engine: Engine) -> None:
    await waiting.cancel("enough")
    outcome = await waiting
    assert (outcome.status, outcome.cancel_reason) == (Status.CANCELLED, "enough")
    assert await query(engine, "SELECT status, COUNT(*) FROM dwarf_flows GROUP BY status") == [("cancelled", DEPTH + 1)]
    assert await query(engine, "SELECT status, COUNT(*) FROM dwarf_steps GROUP BY status") == [("cancelled", DEPTH + 1)]


async def test_an_error_rises_through_all_levels(engine: Engine) -> None:
    outcome = await engine.run(DIG, {"level": 0, "leaf": "fail"})
    assert (outcome.status, outcome.error) == (Status.FAILED, "rock bottom")


async def test_one_worker_is_enough(running: Running) -> None:
    """A parked caller holds no worker."""
    async with running(workers=1) as engine:
        outcome = await engine.run(DIG, {"level": 0, "leaf": ""})
    assert outcome.state["levels"] == DEPTH
