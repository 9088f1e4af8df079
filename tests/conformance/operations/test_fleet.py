"""Operations 26, 27, 32, 33, 43, 45, 64, 66, 68: several replicas in one process."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from dwarf import END, EngineClosed, Flow, Graph, Status, StorageError
from dwarf.engine import Engine, Shard, Timing
from dwarf.engine.shard.membership import budget_of, part_of
from dwarf.hosts import LocalHost
from tests.support.roads import road_to
from tests.support.servers import fresh_database, query, servers
from tests.support.workflows import Gate, Running


@pytest.fixture(params=servers())
def template(request: pytest.FixtureRequest) -> Iterator[str]:
    """URLs of shards on a server."""
    with fresh_database(request.param) as url:
        yield url


class Book:
    """A workflow of two steps, and how often each step was run."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()

        async def note(flow: Flow) -> None:
            self.ran[flow.step_key] += 1

        self.graph = Graph("noted").add_node("A", note).add_node("B", note).add_chain("A", "B", END)

    def once(self, flows: int) -> None:
        """Each step of so many flows was run once."""
        assert len(self.ran) == 2 * flows
        assert set(self.ran.values()) == {1}


async def completed(handles: list[Any]) -> None:
    outcomes = await asyncio.gather(*(handle.outcome(timeout=60) for handle in handles))
    assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}


def sql(url: str, words: str) -> list[tuple[Any, ...]]:
    kind = "postgresql" if url.startswith("postgresql") else "mariadb"
    answers = kind == "mariadb" or words.startswith("SELECT")
    return query(kind, words if answers else f"{words} RETURNING 1", url=url)


@pytest.mark.server
async def test_o26_a_replica_far_away_slows_nobody_down(template: str, host: LocalHost) -> None:
    book, url = Book(), template.format(shard=1)
    found: Counter[str] = Counter()
    async with road_to(url) as (road, far), AsyncExitStack() as stack:
        front = await stack.enter_async_context(Engine(host, url, workers=0))
        engines = [await stack.enter_async_context(Engine(host, where, workers=8)) for where in (url, url, far)]
        for number, engine in enumerate(engines):
            observing = engine._runtimes[1].telemetry

            def claimed(what: Any, seconds: float, number: int = number, before: Any = observing.claimed) -> None:
                found.update({f"taken {number}": len(what.steps), "taken": len(what.steps), "lost": what.lost})
                before(what, seconds)

            observing.claimed = claimed  # type: ignore[method-assign]
        road.delay = 0.025  # each way
        await completed(await front.create_many(book.graph, [{}] * 300))
    book.once(300)
    assert found["lost"] < found["taken"] / 10
    assert found["taken 2"] <= found["taken 0"] + found["taken 1"]  # the others have not waited for it


@pytest.mark.server
async def test_o27_each_shard_is_served_by_whoever_sees_it(template: str, host: LocalHost) -> None:
    book = Book()
    urls = [template.format(shard=shard) for shard in (1, 2)]
    async with road_to(urls[0]) as (first, over_first), road_to(urls[1]) as (second, over_second):
        await first.close()
        await second.close()
        one = Engine(host, shards=[Shard(1, urls[0]), Shard(2, over_second)])
        two = Engine(host, shards=[Shard(1, over_first), Shard(2, urls[1])])
        async with one, two:
            for engine, own, other in ((one, 1, 2), (two, 2, 1)):
                handles = await engine.create_many(book.graph, [{}] * 10)
                assert {handle.key.split("-")[0] for handle in handles} == {str(own)}
                await completed(handles)
                with pytest.raises(StorageError, match=f"shard {other} cannot be reached"):
                    [flow async for flow in engine.flows()]
                assert {info.index: bool(info.error) for info in await engine.shards()} == {own: False, other: True}
    book.once(20)


async def test_o32_of_two_who_find_a_step_one_gets_it(running: Running) -> None:
    book = Book()
    async with running(workers=0) as front:
        handles = await front.create_many(book.graph, [{}] * 500)
        async with running(workers=16), running(workers=16):
            await completed(handles)
    book.once(500)


async def test_o33_doorbells_for_one_step_on_all_replicas_run_it_once(running: Running) -> None:
    book = Book()
    async with running(workers=0) as front, running() as one, running() as two:
        handle = await front.create(book.graph)
        ring = json.dumps({"Shard": 1, "StepID": 1}).encode()
        await asyncio.gather(*(engine.deliver_signal("enqueue", ring) for engine in (one, two) for _ in range(20)))
        await completed([handle])
    book.once(1)


async def test_o43_four_who_sweep_at_once_take_each_lease_back_once(running: Running) -> None:
    from sqlalchemy import update

    from dwarf.storage.sql.script import Execute, Script, Statement
    from dwarf.storage.sql.tables import steps

    expire = Statement(
        "leave_behind",
        update(steps).values(status="running", lease_expires=1, lease_seq=1, engine_id=999_999),
    )

    def leave_behind() -> Script[None]:
        yield Execute(expire, {})

    book, many = Book(), 200
    recovered: list[int] = []
    async with AsyncExitStack() as stack:
        front = await stack.enter_async_context(running(workers=0, timing=Timing(recovery=3600)))
        handles = await front.create_many(book.graph, [{}] * many)
        await front._runtimes[1].database.write(leave_behind)
        for _ in range(4):
            engine = await stack.enter_async_context(running(workers=8, timing=Timing(recovery=0.05)))
            observing = engine._runtimes[1].telemetry

            def note(count: int, reason: str, before: Any = observing.recovered) -> None:
                recovered.append(count)
                before(count, reason)

            observing.recovered = note  # type: ignore[method-assign]
        await completed(handles)
        infos = await front.shards()
    book.once(many)
    assert sum(recovered) <= many  # those of the first start were taken back before anybody counted
    assert infos[0].steps[Status.COMPLETED] == 2 * many


@pytest.mark.server
async def test_o45_a_crash_loop_shrinks_the_pools_for_a_while_only(template: str, host: LocalHost) -> None:
    url = template.format(shard=1)
    insert = "INSERT INTO dwarf_replicas (engine_id, nonce, workers, started_at, seen_at)"
    async with Engine(host, url, engine_id=7) as engine:
        runtime: Any = engine._runtimes[1]
        (now,) = sql(url, "SELECT MAX(seen_at) FROM dwarf_replicas")[0]
        sql(url, f"{insert} VALUES " + ", ".join(f"({number}, 'x', 1, 1, {now})" for number in range(1000, 1050)))
        await runtime.membership.beat()
        assert runtime.membership.living == 51
        assert runtime.database._pool.limit == 1
        sql(url, "UPDATE dwarf_replicas SET seen_at = seen_at - 60000 WHERE engine_id >= 1000")
        await runtime.membership.beat()
        assert runtime.membership.living == 1
        assert runtime.database._pool.limit == part_of(budget_of(2), 1)
        sql(url, "UPDATE dwarf_replicas SET seen_at = seen_at - 60000 WHERE engine_id >= 1000")
        await runtime.membership.beat()
        assert sql(url, "SELECT COUNT(*) FROM dwarf_replicas") == [(1,)]
    for _ in range(10):  # with a given id nothing adds up, however it ends
        engine = Engine(host, url, engine_id=7)
        await engine.start()
        sql(url, "UPDATE dwarf_replicas SET nonce = 'of a former life'")
        await engine.aclose()
        assert sql(url, "SELECT engine_id FROM dwarf_replicas") == [(7,)]


async def test_o64_a_better_band_that_is_never_empty_starves_the_others(running: Running) -> None:
    order: list[str] = []
    gate = Gate()

    async def note(flow: Flow) -> None:
        order.append(flow["name"])
        if flow["name"] == "first":
            await gate.wait()

    graph = Graph("note").add_node("Note", note).add_transition("Note", END)
    async with running(workers=1) as engine:
        handles = [await engine.create(graph, {"name": "first"}, priority=1)]
        await gate.reached()
        handles.append(await engine.create(graph, {"name": "patient"}, priority=100))
        handles += await engine.create_many(graph, [{"name": "urgent"}] * 50, priority=1)
        gate.open()
        await completed(handles)
    assert order == ["first", *["urgent"] * 50, "patient"]


@pytest.mark.server
@pytest.mark.parametrize("template", [kind for kind in servers() if kind == "postgresql"], indirect=True)
async def test_o66_false_news_cost_nothing_but_looks(template: str, host: LocalHost) -> None:
    book, url = Book(), template.format(shard=1)
    async with Engine(host, url, workers=0) as front, Engine(host, url):
        listener: Any = front._runtimes[1].database._listener  # type: ignore[attr-defined]
        async with asyncio.timeout(60):
            while not listener._channel:
                await asyncio.sleep(0.01)
        handles = await front.create_many(book.graph, [{}] * 50)
        for said in ("", "x", "1 *", "0 1 2 3 99999999", "1 x", "hello", "bye", "here", "1 " + "9" * 4000):
            sql(url, f"SELECT pg_notify('{listener._channel}', '{said}')")
        await completed(handles)
    book.once(50)


async def test_o68_all_who_wait_wake_up_or_are_told_that_the_engine_closes(running: Running) -> None:
    gate = Gate()

    async def hold(flow: Flow) -> None:
        await gate.wait()

    graph = Graph("held").add_node("Hold", hold).add_transition("Hold", END)
    async with running(workers=0) as front, running(workers=50) as back:
        handles = await back.create_many(graph, [{}] * 50)
        await gate.reached(50)
        here = [asyncio.create_task(back.flow(one.key).outcome()) for one in handles for _ in range(50)]
        there = [asyncio.create_task(front.flow(one.key).outcome()) for one in handles for _ in range(50)]
        while sum(map(len, front._runtimes[1].waiters._waiting.values())) < len(there):
            await asyncio.sleep(0.01)
        await front.aclose()
        ends = await asyncio.gather(*there, return_exceptions=True)
        assert {type(end) for end in ends} == {EngineClosed}
        gate.open()
        outcomes = await asyncio.gather(*here)
        assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}
