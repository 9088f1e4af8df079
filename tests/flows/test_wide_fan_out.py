"""Ten thousand branches."""

from __future__ import annotations

import pytest

from dwarf import END, Flow, Graph, Status, TaskError
from dwarf.engine import Engine
from tests.support.invariants import query

WIDTH = 10_000

pytestmark = pytest.mark.timeout(900)


async def test_ten_thousand_branches(engine: Engine) -> None:
    ran = 0

    async def work(flow: Flow, item: int, itemIndex: int) -> None:
        nonlocal ran
        ran += 1
        flow.update(out=[item], count=1)

    async def join(flow: Flow) -> None:
        flow["checksum"] = sum(index * value for index, value in enumerate(flow["out"]))

    graph = Graph("wide", reducers={"out": "append", "count": "add"})
    graph.add_for_each("Split", "Work", items="items").add_node("Work", work).add_node("Join", join, fan_in=True)
    graph.add_chain("Work", "Join", END)
    graph.add_node("Split", nothing)
    outcome = await engine.run(graph, {"items": list(range(WIDTH))})
    assert outcome.status is Status.COMPLETED
    assert ran == WIDTH
    assert outcome.state["count"] == WIDTH
    assert outcome.state["checksum"] == sum(value * value for value in range(WIDTH))
    # the array that every branch carries is stored once: else these would be hundreds of megabytes
    ((stored,),) = await query(engine, "SELECT SUM(LENGTH(state)) FROM dwarf_steps")
    assert stored < 200 * WIDTH + 10 * 60_000


async def nothing(flow: Flow) -> None:
    pass


async def test_one_branch_of_a_thousand_fails(engine: Engine) -> None:
    async def work(flow: Flow, item: int) -> None:
        if item == 500:
            raise TaskError("number 500")
        flow["out"] = [item]

    graph = Graph("wide", reducers={"out": "append"}).add_for_each("Split", "Work", items="items")
    graph.add_node("Split", nothing).add_node("Work", work).add_node("Join", nothing, fan_in=True)
    graph.add_chain("Work", "Join", END)
    outcome = await engine.run(graph, {"items": list(range(1000))})
    assert (outcome.status, outcome.error) == (Status.FAILED, "number 500")
    assert outcome.state["out"] == [item for item in range(1000) if item != 500]


async def test_three_of_ten_branches_fail(engine: Engine) -> None:
    """The flow's error says how many failed, and the first; a branch's own error stays as it was."""

    async def work(flow: Flow, item: int) -> None:
        if item in (2, 5, 9):
            raise TaskError(f"number {item}")

    graph = Graph("wide").add_for_each("Split", "Work", items="items")
    graph.add_node("Split", nothing).add_node("Work", work).add_node("Join", nothing, fan_in=True)
    graph.add_chain("Work", "Join", END)
    flow = await engine.create(graph, {"items": list(range(10))})
    assert (await flow.outcome(timeout=60)).error == "3 of 10 branches failed; the first: number 2"
    errors = sorted(step.error for step in await flow.history() if step.error)
    assert errors == ["number 2", "number 5", "number 9"]
