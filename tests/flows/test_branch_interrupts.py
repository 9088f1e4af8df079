"""Questions in branches, answered by step in any order."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, FlowHandle
from dwarf.errors import InvalidRequest, StateConflict, StepNotFound
from tests.support.workflows import until_steps

ITEMS = ["a", "b", "c"]


class Fan:
    """A fan-out whose branches ask. Counts how often each was run."""

    def __init__(self) -> None:
        self.runs: dict[str, int] = dict.fromkeys(ITEMS, 0)
        self.graph = Graph("fan", reducers={"answers": "append"}).add_for_each("Split", "Ask", items="items")
        self.graph.add_node("Split", self.split).add_node("Ask", self.ask).add_node("Join", self.split, fan_in=True)
        self.graph.add_chain("Ask", "Join", END)

    async def split(self, flow: Flow) -> None:
        pass

    async def ask(self, flow: Flow) -> None:
        self.runs[flow["item"]] += 1
        answer = flow.interrupt({"title": flow["item"]})
        flow["answers"] = [f"{flow['item']}={answer}"]


async def waiting(engine: Engine, graph: Graph) -> FlowHandle:
    """A flow all of whose branches wait."""
    flow = await engine.create(graph, {"items": ITEMS})
    await until_steps(flow, lambda steps: [step.status for step in steps].count(Status.INTERRUPTED) == len(ITEMS))
    return flow


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_any_order(engine: Engine, order: tuple[int, ...]) -> None:
    fan = Fan()
    flow = await waiting(engine, fan.graph)
    asked = {step.interrupt_payload["title"]: step for step in await flow.interrupts()}  # type: ignore[index]
    assert sorted(asked) == ITEMS
    for done, index in enumerate(order, 1):
        item = ITEMS[index]
        await flow.resume(index, step=asked[item] if done % 2 else asked[item].key)
        if done < len(ITEMS):
            left = {step.interrupt_payload["title"] for step in await flow.interrupts()}  # type: ignore[index]
            assert left == {ITEMS[other] for other in order[done:]}
            assert (await flow.snapshot()).status is Status.INTERRUPTED
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert outcome.state["answers"] == ["a=0", "b=1", "c=2"]
    assert fan.runs == dict.fromkeys(ITEMS, 2), "answering one branch must not run another again"


async def test_the_oldest_is_answered_without_a_step(engine: Engine) -> None:
    fan = Fan()
    flow = await waiting(engine, fan.graph)
    for _ in ITEMS:
        oldest = (await flow.interrupts())[0].interrupt_payload
        assert (await flow.snapshot()).interrupt_payload == oldest
        assert oldest is not None
        await flow.resume(f"for {oldest['title']}")
    assert (await flow).state["answers"] == ["a=for a", "b=for b", "c=for c"]


async def test_a_step_is_answered_once(engine: Engine) -> None:
    fan = Fan()
    flow = await waiting(engine, fan.graph)
    first = (await flow.interrupts())[0]
    await flow.resume("yes", step=first)
    with pytest.raises(StateConflict):
        await flow.resume("again", step=first)
    assert len(await flow.interrupts()) == 2


async def test_concurrent_answers_to_one_step(engine: Engine) -> None:
    fan = Fan()
    flow = await waiting(engine, fan.graph)
    step = (await flow.interrupts())[0]
    results = await asyncio.gather(*(flow.resume(n, step=step) for n in range(8)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["NoneType", *["StateConflict"] * 7]


async def test_concurrent_answers_to_all_steps(engine: Engine) -> None:
    fan = Fan()
    flow = await waiting(engine, fan.graph)
    steps = await flow.interrupts()
    await asyncio.gather(*(flow.resume("x", step=step) for step in steps))
    assert (await flow).state["answers"] == ["a=x", "b=x", "c=x"]


async def test_a_step_that_does_not_wait_or_does_not_exist(engine: Engine) -> None:
    fan = Fan()
    flow = await waiting(engine, fan.graph)
    split = next(step for step in await flow.history() if step.node == "Split")
    with pytest.raises(StateConflict):
        await flow.resume("x", step=split)
    leaf = (await flow.interrupts())[0]
    shard, number, token = leaf.key.split("-")
    with pytest.raises(StepNotFound):
        await flow.resume("x", step=f"{shard}-{number}-{'0' * len(token)}")
    with pytest.raises(StepNotFound):
        await flow.resume("x", step=f"{int(shard) + 1}-{number}-{token}")
    with pytest.raises(InvalidRequest):
        await flow.resume("x", step="nonsense")
    other = await waiting(engine, fan.graph)
    with pytest.raises((StateConflict, StepNotFound)):
        await flow.resume("x", step=(await other.interrupts())[0])
    assert len(await flow.interrupts()) == len(await other.interrupts()) == 3


async def test_branches_in_child_flows(engine: Engine) -> None:
    """Leaves of different children are answered through the root, by their steps."""
    fan = Fan()
    inner = Graph("inner").add_node("Ask", fan.ask).add_transition("Ask", END)

    async def call(flow: Flow) -> None:
        flow["answers"] = flow.subgraph(inner, {"item": flow["item"]})["answers"]

    graph = Graph("outer", reducers={"answers": "append"}).add_for_each("Split", "Call", items="items")
    graph.add_node("Split", fan.split).add_node("Call", call).add_node("Join", fan.split, fan_in=True)
    graph.add_chain("Call", "Join", END)
    flow = await waiting(engine, graph)
    leaves = {leaf.interrupt_payload["title"]: leaf for leaf in await flow.interrupts()}  # type: ignore[index]
    assert {leaf.node for leaf in leaves.values()} == {"Ask"}
    await flow.resume(1, step=leaves["b"])
    await until_steps(flow, lambda steps: [step.status for step in steps].count(Status.COMPLETED) == 2)
    snapshot = await flow.snapshot()
    assert snapshot.status is Status.INTERRUPTED, "the root shows it as long as any leaf waits"
    assert {leaf.interrupt_payload["title"] for leaf in await flow.interrupts()} == {"a", "c"}  # type: ignore[index]
    child = next(step for step in await flow.history() if step.sub_flows).sub_flows[0]
    with pytest.raises(InvalidRequest):
        await engine.flow(child.flow_key).resume("x")
    await flow.resume(2, step=leaves["c"])
    await flow.resume(3, step=leaves["a"])
    assert (await flow).state["answers"] == ["a=3", "b=1", "c=2"]


async def test_other_branches_go_on_while_one_waits(engine: Engine) -> None:
    ran: list[Any] = []

    async def work(flow: Flow) -> None:
        if flow["item"] == "a":
            flow.interrupt()
        ran.append(flow["item"])

    async def after(flow: Flow) -> None:
        ran.append(f"after {flow['item']}")

    fan = Fan()
    graph = Graph("fan").add_for_each("Split", "Work", items="items").add_chain("Work", "After", "Join", END)
    graph.add_node("Split", fan.split).add_node("Work", work).add_node("After", after)
    graph.add_node("Join", fan.split, fan_in=True)
    flow = await engine.create(graph, {"items": ITEMS})
    await until_steps(flow, lambda steps: sum(s.node == "After" and s.status == "completed" for s in steps) == 2)
    assert sorted(ran) == ["after b", "after c", "b", "c"]
    assert (await flow).status is Status.INTERRUPTED
    await flow.resume()
    assert (await flow).status is Status.COMPLETED


async def test_an_answer_must_fit_the_schema(engine: Engine) -> None:
    async def ask(flow: Flow) -> None:
        flow["n"] = flow.interrupt({"title": "how many?", "schema": {"type": "integer", "minimum": 1}})

    flow = await engine.create(Graph("ask").add_node("Ask", ask).add_transition("Ask", END))
    await flow
    (step,) = await flow.interrupts()
    for wrong in (0, "1", None, True, 1.5):
        for where in (None, step):
            with pytest.raises(InvalidRequest):
                await flow.resume(wrong, step=where)
    assert (await flow.snapshot()).status is Status.INTERRUPTED
    await flow.resume(3)
    assert (await flow).state == {"n": 3}
