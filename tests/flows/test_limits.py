"""Limits on tasks: over all flows and replicas of a database, and without holding workers."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from dwarf import END, Flow, Graph, Limit, Status, task
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.testing import VirtualClock, engine_for_test


class Gauge:
    """Counts how many are inside, by key, and remembers the most."""

    def __init__(self) -> None:
        self.inside: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def visit(self, key: str) -> None:
        self.inside[key] += 1
        self.most[key] = max(self.most[key], self.inside[key])
        for _ in range(3):
            await asyncio.sleep(0)
        self.inside[key] -= 1


def limited(gauge: Gauge, limit: Limit) -> Graph:
    @task(limit=limit)
    async def work(flow: Flow) -> None:
        await gauge.visit(str(flow.get("tenant", "")))

    async def before(flow: Flow) -> None:
        pass

    return Graph("limited").add_node("Before", before).add_node("Work", work).add_chain("Before", "Work", END)


async def all_complete(engine: Engine, graph: Graph, states: list[dict[str, object]]) -> None:
    handles = await engine.create_many(graph, states)
    outcomes = await asyncio.gather(*handles)
    assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}


async def test_at_most_so_many_at_a_time_over_two_replicas(request: pytest.FixtureRequest) -> None:
    gauge, host, name = Gauge(), LocalHost(), request.node.nodeid
    graph = limited(gauge, Limit(concurrency=3))
    async with engine_for_test(name, host) as one, engine_for_test(name, host) as two:
        await asyncio.gather(all_complete(one, graph, [{}] * 40), all_complete(two, graph, [{}] * 40))
    assert gauge.most[""] == 3


async def test_each_value_of_the_key_has_a_limit_of_its_own(request: pytest.FixtureRequest) -> None:
    gauge = Gauge()
    async with engine_for_test(request.node.nodeid, LocalHost()) as engine:
        states: list[dict[str, object]] = [{"tenant": tenant} for tenant in "ab" * 20]
        await all_complete(engine, limited(gauge, Limit(concurrency=1, key="tenant")), states)
    assert gauge.most == {"a": 1, "b": 1}


async def test_a_waiting_step_holds_no_worker(request: pytest.FixtureRequest) -> None:
    release = asyncio.Event()

    @task(limit=Limit(concurrency=1))
    async def slow(flow: Flow) -> None:
        await release.wait()

    async def quick(flow: Flow) -> None:
        flow["done"] = True

    held = Graph("held").add_node("Slow", slow).add_transition("Slow", END)
    free = Graph("free").add_node("Quick", quick).add_transition("Quick", END)
    async with engine_for_test(request.node.nodeid, LocalHost(), workers=2) as engine:
        waiting = await engine.create_many(held, [{}] * 300)
        for _ in range(5):
            outcome = await engine.run(free, timeout=60)
            assert outcome.state == {"done": True}
        release.set()
        assert {outcome.status for outcome in await asyncio.gather(*waiting)} == {Status.COMPLETED}


async def test_a_parked_step_gives_its_place_up(request: pytest.FixtureRequest) -> None:
    @task(limit=Limit(concurrency=1))
    async def ask(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": "?"})

    graph = Graph("ask").add_node("Ask", ask).add_transition("Ask", END)
    async with engine_for_test(request.node.nodeid, LocalHost()) as engine:
        one, two = await engine.create_many(graph, [{}, {}])
        assert (await one).status is Status.INTERRUPTED
        assert (await two).status is Status.INTERRUPTED
        await one.resume(1)
        await two.resume(2)
        assert ((await one).state["answer"], (await two).state["answer"]) == (1, 2)


async def test_a_rate_bounds_the_starts_of_every_period(request: pytest.FixtureRequest) -> None:
    clock, starts = VirtualClock(auto=False), 0
    third = asyncio.Event()

    @task(limit=Limit(rate="3/minute"))
    async def count(flow: Flow) -> None:
        nonlocal starts
        starts += 1
        if starts % 3 == 0:
            third.set()

    graph = Graph("rate").add_node("Count", count).add_transition("Count", END)
    async with engine_for_test(request.node.nodeid, LocalHost(), clock=clock) as engine:
        handles = await engine.create_many(graph, [{}] * 7)
        for expected in (3, 6):
            await third.wait()
            third.clear()
            idle = await engine.create(Graph("idle").add_node("N", _nothing).add_transition("N", END))
            await idle
            assert starts == expected
            clock.advance(timedelta(seconds=61))
        await asyncio.gather(*handles)
        assert starts == 7


async def _nothing(flow: Flow) -> None:
    pass


async def test_the_clock_of_a_test_jumps_over_the_wait_for_a_rate(request: pytest.FixtureRequest) -> None:
    @task(limit=Limit(rate="1/hour"))
    async def rare(flow: Flow) -> None:
        pass

    clock = VirtualClock()
    graph = Graph("rare").add_node("Rare", rare).add_transition("Rare", END)
    async with engine_for_test(request.node.nodeid, LocalHost(), clock=clock) as engine:
        await all_complete(engine, graph, [{}] * 5)
    assert clock.offset_ms >= 4 * 3_600_000 - 60_000  # the real time of the test counts too
