"""Creating a flow under a key: twice is once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.errors import InvalidRequest, StateConflict, StateError
from tests.support.invariants import query
from tests.support.workflows import Running

NOBODY: list[str] = []  # for tests that do not look at what ran: another list would make it another function


def counted(ran: list[str]) -> Graph:
    async def work(flow: Flow) -> None:
        ran.append(flow.key)

    return Graph("work").add_node("Work", work).add_transition("Work", END)


async def test_the_same_request_returns_the_same_flow(engine: Engine) -> None:
    ran: list[str] = []
    graph = counted(ran)
    first = await engine.create(graph, {"n": 1, "m": [1, 2]}, idempotency_key="order-1")
    again = await engine.create(graph, {"m": [1, 2], "n": 1}, idempotency_key="order-1")
    assert again.key == first.key
    await first
    late = await engine.create(graph, {"n": 1, "m": [1, 2]}, idempotency_key="order-1")
    assert late.key == first.key
    assert (await late).status is Status.COMPLETED
    assert ran == [first.key]
    other = await engine.create(graph, {"n": 1, "m": [1, 2]}, idempotency_key="order-2")
    assert other.key != first.key


async def test_a_request_with_equal_values_is_the_same(engine: Engine) -> None:
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    state = {"price": Decimal("1.0"), "at": noon, "kinds": {"a", "b"}}
    first = await engine.create(counted(NOBODY), state, idempotency_key="order-1")
    elsewhere = noon.astimezone(timezone(timedelta(hours=2)))
    alike = {"kinds": frozenset({"b", "a"}), "at": elsewhere, "price": Decimal("1.00")}
    assert (await engine.create(counted(NOBODY), alike, idempotency_key="order-1")).key == first.key
    with pytest.raises(StateConflict, match="differs in 'price'"):
        await engine.create(counted(NOBODY), {**state, "price": Decimal("1.01")}, idempotency_key="order-1")


async def test_another_request_is_a_conflict(engine: Engine) -> None:
    ran: list[str] = []
    first = await engine.create(counted(ran), {"n": 1}, idempotency_key="order-1")
    with pytest.raises(StateConflict, match="order-1"):
        await engine.create(counted(ran), {"n": 2}, idempotency_key="order-1")
    with pytest.raises(StateConflict, match="order-1"):
        await engine.create(Graph("other").add_transition("A", END), {"n": 1}, idempotency_key="order-1")
    await first
    assert ran == [first.key]


async def test_the_graph_may_have_changed_meanwhile(engine: Engine) -> None:
    ran: list[str] = []
    graph = counted(ran)
    first = await engine.create(graph, {"n": 1}, idempotency_key="order-1")
    await first
    changed = counted(ran).add_error_handler("Work", "Handler").add_transition("Handler", END)
    again = await engine.create(changed, {"n": 1}, idempotency_key="order-1")
    assert again.key == first.key


async def test_concurrent_creates_make_one_flow(engine: Engine) -> None:
    ran: list[str] = []
    graph = counted(ran)
    flows = await asyncio.gather(*(engine.create(graph, {"n": 1}, idempotency_key="order-1") for _ in range(50)))
    assert len({flow.key for flow in flows}) == 1
    outcomes = await asyncio.gather(*flows)
    assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}
    assert ran == [flows[0].key]


async def test_concurrent_creates_with_different_states(engine: Engine) -> None:
    ran: list[str] = []
    graph = counted(ran)
    results = await asyncio.gather(
        *(engine.create(graph, {"n": n % 2}, idempotency_key="order-1") for n in range(20)), return_exceptions=True
    )
    made = {result.key for result in results if not isinstance(result, BaseException)}
    refused = [result for result in results if isinstance(result, BaseException)]
    assert len(made) == 1
    assert [type(error) for error in refused] == [StateConflict] * 10
    assert await query(engine, "SELECT COUNT(*) FROM dwarf_flows") == [(1,)]


async def test_concurrent_creates_from_two_engines(running: Running) -> None:
    ran: list[str] = []
    graph = counted(ran)
    async with running() as one, running() as two:
        flows = await asyncio.gather(
            *(engine.create(graph, {"n": n}, idempotency_key=f"order-{n}") for n in range(20) for engine in (one, two))
        )
        await asyncio.gather(*flows)
        assert await query(one, "SELECT COUNT(*) FROM dwarf_flows") == [(20,)]
    assert sorted(ran) == sorted({flow.key for flow in flows})


async def test_many_at_once(engine: Engine) -> None:
    ran: list[str] = []
    graph = counted(ran)
    states = [{"n": n} for n in range(10)]
    keys = [f"row-{n}" for n in range(10)]
    first = await engine.create_many(graph, states, idempotency_keys=keys)
    again = await engine.create_many(graph, states, idempotency_keys=keys)
    assert [flow.key for flow in again] == [flow.key for flow in first]
    await asyncio.gather(*first)
    assert len(ran) == 10
    with pytest.raises(InvalidRequest, match="10 states"):
        await engine.create_many(graph, states, idempotency_keys=keys[:3])


async def test_the_same_key_twice_in_one_call(engine: Engine) -> None:
    flows = await engine.create_many(counted(NOBODY), [{"n": 1}] * 3, idempotency_keys=["same"] * 3)
    assert len({flow.key for flow in flows}) == 1


async def test_a_thousand_at_once(engine: Engine) -> None:
    ran: list[str] = []
    flows = await engine.create_many(counted(ran), ({"n": n} for n in range(1000)))
    outcomes = await asyncio.gather(*flows)
    assert [outcome.state["n"] for outcome in outcomes] == list(range(1000))
    assert sorted(ran) == sorted(flow.key for flow in flows)


async def test_keys_that_look_alike(engine: Engine) -> None:
    keys = ["a", "A", "ä", "a ", " a", "a\x00", "ａ", "%", "_", "'"]
    flows = [await engine.create(counted(NOBODY), {}, idempotency_key=key) for key in keys]
    assert len({flow.key for flow in flows}) == len(keys)
    again = [await engine.create(counted(NOBODY), {}, idempotency_key=key) for key in keys]
    assert [flow.key for flow in again] == [flow.key for flow in flows]


async def test_flows_with_a_key_and_without_are_created_together(engine: Engine) -> None:
    keys = ["", "k\x00", "", "\x00", "plain"]
    made = await asyncio.gather(*(engine.create(counted(NOBODY), {}, idempotency_key=key) for key in keys))
    again = await asyncio.gather(*(engine.create(counted(NOBODY), {}, idempotency_key=key) for key in keys))
    assert [one.key == two.key for one, two in zip(made, again, strict=True)] == [bool(key) for key in keys]


@pytest.mark.parametrize("keyed", [False, True], ids=["without keys", "with keys"])
async def test_many_flows_are_created_in_few_statements(running: Running, keyed: bool) -> None:
    async with running(workers=0) as engine:
        statements: Counter[str] = Counter()
        engine._runtimes[1].database.observer = lambda name, rows: statements.update([name])  # type: ignore[attr-defined]
        keys = [f"k{number}" for number in range(3000)] if keyed else None
        made = await engine.create_many(counted(NOBODY), ({"n": n} for n in range(3000)), idempotency_keys=keys)
        engine._runtimes[1].database.observer = None  # type: ignore[attr-defined]
        assert await query(engine, "SELECT COUNT(*) FROM dwarf_flows") == [(3000,)]
        assert statements.total() < 200, statements.most_common()
        if keyed:
            again = await engine.create_many(counted(NOBODY), ({"n": n} for n in range(3000)), idempotency_keys=keys)
            assert [flow.key for flow in again] == [flow.key for flow in made]


async def test_one_conflict_among_many_leaves_the_others_created(running: Running) -> None:
    async with running(workers=0) as engine:
        first = await engine.create(counted(NOBODY), {"n": 1}, idempotency_key="k1")
        with pytest.raises(StateConflict, match="'k1'"):
            await engine.create_many(
                counted(NOBODY), [{"n": n} for n in (0, 2, 2)], idempotency_keys=["k0", "k1", "k2"]
            )
        with pytest.raises(StateConflict, match="'k3'"):
            await engine.create_many(counted(NOBODY), [{"n": 3}, {"n": 4}], idempotency_keys=["k3", "k3"])
        same = await engine.create_many(counted(NOBODY), [{"n": 1}] * 2, idempotency_keys=["k1", "k1"])
        assert {flow.key for flow in same} == {first.key}
        keys = await query(engine, "SELECT idempotency_key FROM dwarf_flows ORDER BY 1")
        assert keys == [("k0",), ("k1",), ("k2",), ("k3",)]


async def test_nothing_is_created_where_one_of_many_is_wrong(running: Running) -> None:
    async with running(workers=0) as engine:
        for states, keys in (
            ([{"n": 1}, {"n": 1j}], None),
            ([{"n": 1}, 7], None),
            ([{"n": 1}, {}], ["one"]),
            ([{"n": 1}], "one"),
            ([{"n": 1}], [1]),
        ):
            with pytest.raises((InvalidRequest, StateError)):
                await engine.create_many(counted(NOBODY), states, idempotency_keys=keys)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await engine.create_many(counted(NOBODY), [{}], idempotency_key="one")
        assert await query(engine, "SELECT COUNT(*) FROM dwarf_flows") == [(0,)]
