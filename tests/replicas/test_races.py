"""Transactions of two engines that meet. Each test ends with the invariants of the database; see ``running``."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import pytest

from dwarf import END, Flow, Graph, StateConflict, Status
from dwarf.engine import Engine, FlowHandle
from tests.support.workflows import Running

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 20


async def nothing(flow: Flow) -> None:
    """A task without effect."""


async def ask(flow: Flow) -> None:
    """A task that waits for an answer."""
    flow["answers"] = [flow.interrupt({"title": "and?"})]


def chain(length: int) -> Graph:
    nodes = [f"N{number}" for number in range(length)]
    graph = Graph("chain")
    for node in nodes:
        graph.add_node(node, nothing)
    return graph.add_chain(*nodes, END)


def fan(task: object, name: str = "fan") -> Graph:
    graph = Graph(name, reducers={"answers": "append"})
    graph.add_node("Split", nothing).add_node("Branch", task).add_node("Join", nothing, fan_in=True)
    return graph.add_for_each("Split", "Branch", items="items").add_chain("Branch", "Join", END)


async def in_turns(items: Iterable[T], action: Callable[[T], Awaitable[R]]) -> list[R | StateConflict]:
    """Do something with each item, some at once; the results, or why it could not be done."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> R | StateConflict:
        async with gate:
            try:
                return await action(item)
            except StateConflict as error:
                return error

    return await asyncio.gather(*map(one, items))


async def cancelled_in_flight(one: Engine, two: Engine, graph: Graph, longest: float) -> Counter[Status]:
    """Run 200 flows on one engine and cancel each from the other, somewhere on its way. What became of them."""
    handles: list[FlowHandle] = []

    async def run_and_cancel(_: int) -> None:
        handle = await one.create(graph)
        handles.append(handle)
        await asyncio.sleep(random.uniform(0, longest))
        await two.flow(handle.key).cancel("enough")

    refused = [error for error in await in_turns(range(200), run_and_cancel) if error is not None]
    outcomes = await asyncio.gather(*(handle.outcome(timeout=60) for handle in handles))
    ended = Counter(outcome.status for outcome in outcomes)
    assert ended[Status.COMPLETED] == len(refused)
    for handle in handles[::10]:
        assert not [step for step in await handle.history() if step.status in (Status.PENDING, Status.RUNNING)]
    return ended


async def test_a_cancelled_flow_goes_no_further(running: Running) -> None:
    async with running() as one, running() as two:
        ended = await cancelled_in_flight(one, two, chain(20), 0.2)
        assert ended[Status.CANCELLED] > 0  # how many depends on how fast the server is


async def test_a_cancel_reaches_the_child_that_is_being_called(running: Running) -> None:
    inner = chain(4)

    async def call(flow: Flow) -> None:
        flow.subgraph(inner)

    middle = Graph("middle").add_node("Call", call).add_transition("Call", END)

    async def call_middle(flow: Flow) -> None:
        flow.subgraph(middle)

    outer = Graph("outer").add_node("First", nothing).add_node("Call", call_middle).add_node("Last", nothing)
    outer.add_chain("First", "Call", "Last", END)
    async with running() as one, running() as two:
        ended = await cancelled_in_flight(one, two, outer, 0.2)
        assert ended[Status.CANCELLED] > 0  # how many depends on how fast the server is


async def test_a_cancel_meets_the_branches_of_a_cohort(running: Running) -> None:
    graph = Graph("fan").add_node("Split", nothing).add_node("Join", nothing, fan_in=True)
    for branch in "ABCD":
        for place in "12345":
            graph.add_node(branch + place, nothing)
        graph.add_transition("Split", f"{branch}1").add_chain(*(branch + place for place in "12345"), "Join")
    graph.add_transition("Join", END)
    async with running() as one, running() as two:
        ended = await cancelled_in_flight(one, two, graph, 0.1)
        assert ended[Status.CANCELLED] > 0  # how many depends on how fast the server is


async def test_a_fan_in_fires_once_wherever_its_branches_end(running: Running) -> None:
    graph = fan(nothing)
    async with running(workers=8) as one, running(workers=8) as two:
        flows = await one.create_many(graph, [{"items": list(range(17))}] * 25)
        flows += await two.create_many(graph, [{"items": list(range(17))}] * 25)
        outcomes = await asyncio.gather(*(one.flow(flow.key).outcome(timeout=60) for flow in flows))
        assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}
        for flow in flows[::5]:
            steps = await flow.history()
            assert Counter(step.node for step in steps) == {"Split": 1, "Branch": 17, "Join": 1}
        engines = {step.engine_id for flow in flows for step in await flow.history()}
        assert len(engines) == 2


async def test_answers_given_at_once_wake_the_flow_once_and_all_count(running: Running) -> None:
    graph = fan(ask)
    async with running() as one, running() as two:
        flows = await one.create_many(graph, [{"items": list(range(6))}] * 30)
        await asyncio.gather(*(flow.outcome(timeout=60) for flow in flows))

        async def answer(engine: Engine, handle: FlowHandle, number: int) -> int:
            while True:
                try:
                    await engine.flow(handle.key).resume(number)
                except StateConflict:
                    # the branches come to their questions one after the other
                    if (await handle.snapshot()).status.terminal:
                        return 0
                    await asyncio.sleep(0.01)
                else:
                    return 1

        for flow in flows:
            given = [answer(engine, flow, number) for number in range(3) for engine in (one, two)]
            assert sum(await asyncio.gather(*given)) == 6
        outcomes = await asyncio.gather(*(flow.outcome(timeout=60) for flow in flows))
        assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}
        assert all(sorted(outcome.state["answers"]) == [0, 0, 1, 1, 2, 2] for outcome in outcomes)


async def test_children_that_ask_and_are_answered_at_once_leave_their_parent_as_it_is(running: Running) -> None:
    inner = Graph("inner").add_node("Ask", ask).add_transition("Ask", END)

    async def call(flow: Flow) -> None:
        flow["answers"] = list(flow.subgraph(inner)["answers"])

    graph = fan(call, "outer")
    async with running() as one, running() as two:
        flows = await one.create_many(graph, [{"items": list(range(5))}] * 30)

        async def drive(handle: FlowHandle, engine: Engine) -> None:
            seen = engine.flow(handle.key)
            while not (await seen.outcome(timeout=60)).status.terminal:
                try:
                    await seen.resume(1)
                except StateConflict:
                    await asyncio.sleep(0.005)

        await asyncio.gather(*(drive(flow, engine) for flow in flows for engine in (one, two)))
        outcomes = [await flow.outcome(timeout=60) for flow in flows]
        assert all(outcome.state["answers"] == [1] * 5 for outcome in outcomes)


async def test_a_key_makes_one_flow_whoever_asks_first(running: Running) -> None:
    ran: Counter[str] = Counter()

    async def note(flow: Flow) -> None:
        ran[flow["key"]] += 1

    graph = Graph("g").add_node("Note", note).add_transition("Note", END)
    async with running() as one, running() as two:
        for number in range(25):
            key = f"key-{number}"
            asked = [engine.create(graph, {"key": key}, idempotency_key=key) for _ in range(4) for engine in (one, two)]
            handles = await asyncio.gather(*asked)
            assert len({handle.key for handle in handles}) == 1
            await asyncio.gather(*(handle.outcome(timeout=60) for handle in handles))
        assert ran == {f"key-{number}": 1 for number in range(25)}
        with pytest.raises(StateConflict):
            await two.create(graph, {"key": "another"}, idempotency_key="key-1")


async def test_a_graph_that_two_bring_at_once_is_kept_once(running: Running) -> None:
    async with running() as one, running() as two:
        for number in range(20):
            graph = Graph(f"new-{number}").add_node("A", nothing).add_transition("A", END)
            outcomes = await asyncio.gather(*(engine.run(graph, timeout=60) for engine in (one, two)))
            assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}


async def test_a_thread_that_two_continue_at_once_gets_one_turn(running: Running) -> None:
    graph = chain(1)
    async with running() as one, running() as two:
        for _ in range(15):
            first = await one.create(graph)
            await first.outcome(timeout=60)

            async def go_on(engine: Engine, key: str) -> object:
                try:
                    return await engine.flow(key).continue_with({})
                except StateConflict as error:
                    return error

            results = await asyncio.gather(*(go_on(engine, first.key) for engine in (one, two) for _ in range(2)))
            turns = [result for result in results if isinstance(result, FlowHandle)]
            assert len(turns) >= 1
            await asyncio.gather(*(turn.outcome(timeout=60) for turn in turns))


async def test_deleting_meets_answering(running: Running) -> None:
    graph = Graph("g").add_node("Ask", ask).add_node("Then", nothing).add_chain("Ask", "Then", END)
    async with running() as one, running() as two:
        flows = await one.create_many(graph, [{}] * 100)
        await asyncio.gather(*(flow.outcome(timeout=60) for flow in flows))
        answered = in_turns(flows, lambda handle: handle.resume(1))
        deleted = in_turns(flows, lambda handle: two.flow(handle.key).delete())
        results = await asyncio.gather(answered, deleted)
        for flow, answer, deletion in zip(flows, *results, strict=True):
            assert answer is None or deletion is None, flow
            if deletion is not None:
                assert (await flow.outcome(timeout=60)).status is Status.COMPLETED
