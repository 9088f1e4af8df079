"""Several shards: one that is away holds up nobody else, and the bands of priority hold over all of them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, StorageError
from dwarf.engine import Engine, Shard
from dwarf.hosts import LocalHost
from dwarf.testing import engine_for_test
from tests.support.roads import road_to
from tests.support.servers import fresh_database, servers
from tests.support.workflows import Gate, Order


@pytest.fixture(params=servers())
def template(request: pytest.FixtureRequest) -> Iterator[str]:
    """URLs of the shards on a server."""
    with fresh_database(request.param) as url:
        yield url


def counting(host: LocalHost) -> Graph:
    """Three steps that count, and the shard they run on."""

    async def count(flow: Flow) -> None:
        flow["count"] = flow.get("count", 0) + 1

    graph = Graph("counting")
    for node in ("A", "B", "C"):
        graph.add_node(node, count)
    return graph.add_chain("A", "B", "C", END)


def on(handles: list[Any], shard: int) -> list[Any]:
    return [handle for handle in handles if handle.key.startswith(f"{shard}-")]


async def completed(handles: list[Any]) -> None:
    outcomes = await asyncio.gather(*(handle.outcome(timeout=60) for handle in handles))
    assert {(outcome.status, outcome.state["count"]) for outcome in outcomes} == {(Status.COMPLETED, 3)}


async def errors(engine: Engine) -> dict[int, bool]:
    """Which shards tell of an error."""
    return {info.index: bool(info.error) for info in await engine.shards()}


# ---------------------------------------------------------------- a shard that is away


@pytest.mark.server
async def test_a_shard_that_is_away_at_the_start_comes_later(template: str, host: LocalHost) -> None:
    graph = counting(host)
    async with road_to(template.format(shard=2)) as (road, url):
        await road.close()
        shards = [Shard(1, template.format(shard=1)), Shard(2, url)]
        async with Engine(host, shards=shards) as engine:
            assert await errors(engine) == {1: False, 2: True}
            handles = [await engine.create(graph) for _ in range(10)]
            assert len(on(handles, 1)) == 10
            await completed(handles)
            with pytest.raises(StorageError, match="shard 2 cannot be reached"):
                await engine.flow("2-1-0123456789abcdef").snapshot()
            with pytest.raises(StorageError, match="shard 2 cannot be reached"):
                [flow async for flow in engine.flows()]
            assert len([flow async for flow in engine.flows(shard=1)]) == 10
            road.open()
            async with asyncio.timeout(60):
                while (await errors(engine))[2]:
                    await asyncio.sleep(0.05)
            more = await engine.create_many(graph, [{}] * 40)
            assert on(more, 2)
            await completed(more)
            assert len([flow async for flow in engine.flows()]) == 50


@pytest.mark.server
async def test_an_engine_whose_only_shard_is_away_does_not_start(template: str, host: LocalHost) -> None:
    async with road_to(template.format(shard=1)) as (road, url):
        await road.close()
        engine = Engine(host, url)
        with pytest.raises(StorageError):
            await engine.start()
        road.open()
        async with engine:
            await completed([await engine.create(counting(host))])


@pytest.mark.server
async def test_a_shard_goes_away_and_comes_back_while_flows_run(template: str, host: LocalHost) -> None:
    graph, gate = Graph("held"), Gate()

    async def hold(flow: Flow) -> None:
        await gate.wait()
        flow["count"] = flow.get("count", 0) + 1

    for node in ("A", "B", "C"):
        graph.add_node(node, hold)
    graph.add_chain("A", "B", "C", END)
    async with road_to(template.format(shard=2)) as (road, url):
        shards = [Shard(1, template.format(shard=1)), Shard(2, url)]
        async with Engine(host, shards=shards) as engine:
            handles = await engine.create_many(graph, [{}] * 40)
            assert on(handles, 1)
            assert on(handles, 2)
            await gate.reached(40)
            await road.close()
            async with asyncio.timeout(60):
                while not engine._runtimes[2].health.away:
                    await asyncio.sleep(0.01)
            gate.open()
            await completed(on(handles, 1))  # the outcomes of the others wait for their database
            new = [await engine.create(graph) for _ in range(10)]
            assert len(on(new, 1)) == 10
            await completed(new)
            assert await errors(engine) == {1: False, 2: True}
            road.open()
            await completed(on(handles, 2))
            async with asyncio.timeout(60):
                while engine._runtimes[2].health.away:
                    await asyncio.sleep(0.01)
            more = await engine.create_many(graph, [{}] * 40)
            assert on(more, 2)
            await completed(more)


async def test_a_file_that_somebody_locks_holds_up_its_own_flows_only(host: LocalHost, tmp_path: Path) -> None:
    graph = counting(host)
    shards = [Shard(index, f"sqlite:///{tmp_path}/{index}.db") for index in (1, 2)]
    async with Engine(host, shards=shards, workers=0) as front:
        handles = await front.create_many(graph, [{}] * 40)
    async with Engine(host, shards=shards, workers=0) as front:
        foreign = sqlite3.connect(tmp_path / "2.db", isolation_level=None)
        foreign.execute("BEGIN IMMEDIATE")
        async with Engine(host, shards=[shards[0]]) as first:
            await completed([first.flow(handle.key) for handle in on(handles, 1)])
        assert {info.index: info.error for info in await front.shards()} == {1: "", 2: ""}  # it can be read
        foreign.execute("ROLLBACK")
        foreign.close()
    async with Engine(host, shards=shards) as engine:
        await completed([engine.flow(handle.key) for handle in handles])


async def test_flows_of_other_shards_run_while_one_file_is_locked(host: LocalHost, tmp_path: Path) -> None:
    gate, graph = Gate(), Graph("held")

    async def hold(flow: Flow) -> None:
        await gate.wait()
        flow["count"] = flow.get("count", 0) + 1

    for node in ("A", "B", "C"):
        graph.add_node(node, hold)
    graph.add_chain("A", "B", "C", END)
    shards = [Shard(index, f"sqlite:///{tmp_path}/{index}.db") for index in (1, 2)]
    async with Engine(host, shards=shards) as engine:
        handles = await engine.create_many(graph, [{}] * 40)
        await gate.reached(40)
        foreign = sqlite3.connect(tmp_path / "2.db", isolation_level=None)
        foreign.execute("BEGIN IMMEDIATE")
        gate.open()
        await completed(on(handles, 1))
        foreign.execute("ROLLBACK")
        foreign.close()
        await completed(on(handles, 2))


# ---------------------------------------------------------------- placement


async def test_flows_are_placed_in_proportion_to_the_capacity(host: LocalHost, tmp_path: Path) -> None:
    """Of 1,200 flows with weights 745 (2 processors) and 3,600 (8), 994 are expected on the larger, within 5 sigma."""
    graph = counting(host)
    shards = [
        Shard(1, f"sqlite:///{tmp_path}/1.db"),
        Shard(2, f"sqlite:///{tmp_path}/2.db", virtual_cpus=8),
        Shard(3, f"sqlite:///{tmp_path}/3.db", virtual_cpus=64, cordoned=True),
    ]
    async with Engine(host, shards=shards, workers=0) as engine:
        placed = Counter(engine._place(None) for _ in range(1200))
        assert set(placed) == {1, 2}
        assert 994 - 66 <= placed[2] <= 994 + 66
        # a cordoned shard is given no new thread, but serves what it has, and keeps its keys
        keyed = {engine._place(f"key {number}") for number in range(60)}
        assert keyed == {1, 2, 3}
        await engine.create_many(graph, [{}] * 30)
        infos = await engine.shards()
    assert [info.cordoned for info in infos] == [False, False, True]
    assert infos[2].flows.get(Status.RUNNING, 0) == 0


# ---------------------------------------------------------------- bands


async def test_bands_are_strict_over_all_shards(
    request: pytest.FixtureRequest, host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dwarf.engine.shard.priority_ceilings.FRESH_S", 60.0)  # however slow this machine is
    order = Order("band")
    async with engine_for_test(request.node.name, host, shards=3, workers=1) as engine:
        await engine.create(order.held)
        await order.gate.reached()
        handles = []
        for band in (300, 100, 200) * 8:
            handles.append(await engine.create(order.noted, {"band": band}, priority=band))
        placed = {(handle.key[0], band) for handle, band in zip(handles, (300, 100, 200) * 8, strict=True)}
        best = {shard: min(band for at, band in placed if at == shard) for shard, _ in placed}
        bands = engine._context.ceilings  # type: ignore[union-attr]
        async with asyncio.timeout(60):
            while {str(shard): told[0] for shard, told in bands.waiting.items()} != best:
                await asyncio.sleep(0.01)
        order.gate.open()
        await asyncio.gather(*handles)
    assert order.names == sorted(order.names)


async def test_a_shard_that_tells_nothing_holds_nobody_back(
    request: pytest.FixtureRequest, host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dwarf.engine.shard.priority_ceilings.FRESH_S", 0.05)
    order = Order("band")
    async with engine_for_test(request.node.name, host, shards=2, workers=1) as engine:
        assert engine._context is not None
        engine._context.ceilings.report(7, 1)  # urgent work was seen on a shard that is gone since
        await (await engine.create(order.noted, {"band": 200}, priority=200))
    assert order.names == [200]
