"""Pages of flows hold each flow once, whatever is created and deleted between them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from dwarf import END, Graph
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.testing import VirtualClock, engine_for_test

GRAPH = Graph("g").add_node("A", "task").add_transition("A", END)

# What happens between two pages: so many flows are created, one that exists is deleted, or time passes.
Event = tuple[str, int]
EVENTS: st.SearchStrategy[list[list[Event]]] = st.lists(
    st.lists(
        st.one_of(
            st.tuples(st.just("create"), st.integers(1, 4)),
            st.tuples(st.just("delete"), st.integers(0, 99)),
            st.tuples(st.just("pass"), st.integers(1, 3)),
        ),
        max_size=3,
    ),
    max_size=8,
)


async def happen(
    engine: Engine, clock: VirtualClock, events: Sequence[Event], known: list[str], gone: set[str]
) -> None:
    """Let things happen to the flows whose keys are known."""
    for kind, number in events:
        if kind == "create":
            known += [handle.key for handle in await engine.create_many(GRAPH, [{}] * number)]
        elif kind == "pass":
            clock.advance(number / 1000)
        elif known:
            key = known[number % len(known)]
            if key not in gone:
                gone.add(key)
                await engine.flow(key).cancel()
                await engine.flow(key).delete()


async def walk(shards: int, first: int, size: int, between: list[list[Event]]) -> None:
    clock = VirtualClock()
    async with engine_for_test("pages", LocalHost(), shards=shards, clock=clock, workers=0) as engine:
        known: list[str] = []
        gone: set[str] = set()
        await happen(engine, clock, [("create", first)], known, gone)
        await happen(engine, clock, [("pass", 1), ("create", 3)], known, gone)
        at_first, found, cursor = list(known), [], ""
        steps = iter(between)
        while True:
            page, cursor = await anext(engine.flows().pages(size, cursor))
            assert len(page) <= size
            found += page
            if not cursor:
                break
            await happen(engine, clock, next(steps, []), known, gone)
        seen = [summary.flow_key for summary in found]
        assert len(seen) == len(set(seen))
        assert set(seen) >= set(at_first) - gone
        assert set(seen) <= set(known)
        places = [
            (summary.created_at, int(summary.flow_key.split("-")[1]), int(summary.flow_key.split("-")[0]))
            for summary in found
        ]
        assert places == sorted(places, reverse=True)
        after = {summary.flow_key async for summary in engine.flows()}
        assert after == set(known) - gone


@settings(max_examples=40)
@given(shards=st.integers(1, 3), first=st.integers(0, 12), size=st.integers(1, 6), between=EVENTS)
def test_pages_hold_each_flow_once(shards: int, first: int, size: int, between: list[list[Event]]) -> None:
    asyncio.run(walk(shards, first, size, between))


async def test_pages_hold_each_flow_once_while_others_create() -> None:
    """The same with writers that do not wait for the reader, on two engines."""
    async with (
        engine_for_test("crowd", LocalHost(), shards=2, workers=0) as engine,
        engine_for_test("crowd", LocalHost(), shards=2, workers=0) as other,
    ):
        at_first = {handle.key for handle in await engine.create_many(GRAPH, [{}] * 60)}
        done = asyncio.Event()

        async def create(by: Engine) -> int:
            count = 0
            while not done.is_set():
                await by.create_many(GRAPH, [{}] * 5)
                count += 5
            return count

        writers = [asyncio.create_task(create(by)) for by in (engine, other)]
        for _ in range(5):
            seen = [summary.flow_key async for page, _ in engine.flows().pages(7) for summary in page]
            assert len(seen) == len(set(seen))
            assert set(seen) >= at_first
        done.set()
        created = sum(await asyncio.gather(*writers))
        assert created > 0
        assert len([None async for _ in other.flows()]) == 60 + created
