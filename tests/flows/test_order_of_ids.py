"""Ids come in blocks, so those of several processes are in no order of time: what is older is told by the times."""

from __future__ import annotations

import asyncio
from collections import deque

from dwarf import END, Flow, Graph, Status, Step
from dwarf.engine import Engine
from tests.support.workflows import Gate, at, names, until_steps

BLOCK = 8


async def backwards(engine: Engine) -> None:
    """The ids of each decision are ascending, and those of a later one are lower."""
    ids = engine._runtimes[1].ids
    await ids.reserve(64)
    for source in (ids.flows, ids.steps):
        known = list(source._ids)
        source._ids = deque(
            number for start in range(len(known), -1, -BLOCK) for number in known[start : start + BLOCK]
        )


async def lower_next(engine: Engine) -> None:
    """The next ids come from a lower block."""
    ids = engine._runtimes[1].ids
    for source in (ids.flows, ids.steps):
        last = source._ids[0]
        while source._ids[0] >= last:
            source._ids.popleft()
    await asyncio.sleep(0.005)  # times are in milliseconds


def failed(steps: list[Step]) -> list[str]:
    return [step.node for step in steps if step.status is Status.FAILED]


async def test_the_latest_turn_of_a_thread(engine: Engine) -> None:
    async def count(flow: Flow) -> None:
        flow["n"] = flow.get("n", 0) + 1

    await backwards(engine)
    first = await engine.create(Graph("g").add_node("Count", count).add_transition("Count", END))
    ids = [int(first.key.split("-")[1])]
    for number in range(1, 4):
        assert (await first).state == {"n": number}
        await lower_next(engine)
        first = await first.continue_with()
        ids.append(int(first.key.split("-")[1]))
    assert ids == sorted(ids, reverse=True)


async def test_children_in_the_order_of_the_calls(engine: Engine) -> None:
    inner = Graph("inner").add_node("Inner", lambda: None).add_transition("Inner", END)

    asked: list[int] = []

    async def call(flow: Flow) -> None:
        for number in range(3):
            if number not in asked:
                asked.append(number)
                await lower_next(engine)
            flow.subgraph(inner, {"number": number})

    await backwards(engine)
    flow = await engine.create(Graph("g").add_node("Call", call).add_transition("Call", END))
    assert (await flow).status is Status.COMPLETED
    step = at(await flow.history(), "Call")
    assert [child.steps[0].node for child in step.sub_flows] == ["Inner"] * 3
    numbers = [(await engine.step(child.steps[0].key)).state["number"] for child in step.sub_flows]
    assert numbers == [0, 1, 2]
    ids = [int(child.flow_key.split("-")[1]) for child in step.sub_flows]
    assert ids == sorted(ids, reverse=True)
    last = await engine.step(step.key)
    assert last.next_key == step.sub_flows[-1].steps[0].key


async def test_the_first_of_several_errors(engine: Engine) -> None:
    gate, late = Gate(), Gate()

    async def fail_first() -> None:
        raise ValueError("first")

    async def fail_second() -> None:
        await gate.wait()
        raise ValueError("second")

    async def end() -> None:
        await late.wait()

    async def between() -> None:
        await lower_next(engine)

    graph = Graph("g").add_node("Split", lambda: None).add_node("Join", lambda: None, fan_in=True)
    graph.add_node("A", fail_first).add_node("B", between).add_node("B2", fail_second).add_node("C", end)
    graph.add_fan_out("Split", "A", "B", "C").add_chain("A", "Join").add_chain("B", "B2", "Join").add_chain("C", "Join")
    graph.add_transition("Join", END)
    await backwards(engine)
    flow = await engine.create(graph)
    await until_steps(flow, lambda steps: failed(steps) == ["A"])
    gate.open()
    await until_steps(flow, lambda steps: failed(steps) == ["A", "B2"])
    late.open()
    outcome = await flow
    assert "first" in outcome.error
    steps = await flow.history()
    assert at(steps, "B2").id < at(steps, "A").id
    assert names(steps) == ["Split", "A", "B", "C", "B2"]
