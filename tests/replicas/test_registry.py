"""Engines on a server know of each other by their rows in the registry."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, Shard
from dwarf.engine.shard.membership import budget_of, part_of
from dwarf.hosts import LocalHost
from dwarf.storage.drivers.pool import DEFAULT_LIMIT
from dwarf.storage.operations.replicas import LIVING_MS, STALE_MS
from tests.replicas.conftest import ServerSite
from tests.support.servers import fresh_database, query, servers
from tests.support.workflows import Gate, Running

pytestmark = pytest.mark.server


def replica_of(engine: Engine) -> Any:
    return engine._runtimes[1]


def limit_of(engine: Engine) -> int:
    return int(replica_of(engine).database._pool.limit)


async def beat(*engines: Engine) -> None:
    for engine in engines:
        await replica_of(engine).membership.beat()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what a thread brings about."""
    while not condition():
        await asyncio.sleep(0.01)


@pytest.fixture(params=servers())
def url(request: pytest.FixtureRequest) -> Any:
    with fresh_database(request.param) as template:
        yield template.format(shard=1)


def rows(url: str, words: str) -> list[tuple[Any, ...]]:
    return query("postgresql" if url.startswith("postgresql") else "mariadb", words, url=url)


async def test_who_comes_and_goes_is_counted(running: Running) -> None:
    async with running() as one:
        assert [info.replicas for info in await one.shards()] == [1]
        async with running(workers=0) as two:
            assert [info.replicas for info in await one.shards()] == [2]
            assert [info.replicas for info in await two.shards()] == [2]
        assert [info.replicas for info in await one.shards()] == [1]


async def test_connections_are_shared_by_those_who_live(running: Running) -> None:
    async with running() as first:
        assert limit_of(first) == DEFAULT_LIMIT == part_of(budget_of(2), 1)
        async with running(max_connections=4) as pinned, running() as third, running() as fourth:
            await beat(first, pinned, third, fourth)
            assert limit_of(first) == limit_of(third) == limit_of(fourth) == part_of(budget_of(2), 4) == 3
            assert limit_of(pinned) == 4  # was said, and is not divided
        await beat(first)
        assert limit_of(first) == DEFAULT_LIMIT


def test_the_part_of_each_is_at_least_one() -> None:
    assert [part_of(12, living) for living in (1, 2, 3, 4, 6, 12, 40)] == [5, 5, 4, 3, 2, 1, 1]
    assert (budget_of(0), budget_of(2), budget_of(8), budget_of(32)) == (12, 12, 48, 384)


async def test_a_crowd_is_warned_of_once(url: str, host: LocalHost, caplog: pytest.LogCaptureFixture) -> None:
    async with Engine(host, shards=[Shard(1, url, virtual_cpus=1)]) as engine:
        values = ", ".join(f"({number}, 'x', 1, 1, 9000000000000)" for number in range(1, 8))
        rows(url, f"INSERT INTO dwarf_replicas (engine_id, nonce, workers, started_at, seen_at) VALUES {values}")
        with caplog.at_level(logging.WARNING):
            await beat(engine, engine)
        assert limit_of(engine) == 1
        assert [record.levelname for record in caplog.records if "share a database" in record.message] == ["WARNING"]
        assert replica_of(engine).membership.changes == 1


async def test_who_was_not_seen_for_long_counts_no_more_and_is_removed(url: str, host: LocalHost) -> None:
    async with Engine(host, url) as engine:
        now = "(SELECT MAX(seen_at) FROM dwarf_replicas)"
        await beat(engine)
        (at,) = rows(url, f"SELECT {now}")[0]
        for number, age in ((1, LIVING_MS // 2), (2, LIVING_MS + 9000), (3, STALE_MS + 9000)):
            rows(
                url,
                "INSERT INTO dwarf_replicas (engine_id, nonce, workers, started_at, seen_at) "
                f"VALUES ({number}, 'x', 1, 1, {at - age})" + (" RETURNING 1" if "postgres" in url else ""),
            )
        await beat(engine)
        assert replica_of(engine).membership.living == 2
        assert rows(url, "SELECT engine_id FROM dwarf_replicas WHERE engine_id < 10 ORDER BY engine_id") == [(1,), (2,)]


async def test_a_row_that_is_gone_is_made_again(url: str, host: LocalHost, caplog: pytest.LogCaptureFixture) -> None:
    async with Engine(host, url, engine_id=7) as engine:
        rows(url, "DELETE FROM dwarf_replicas" + (" RETURNING 1" if "postgres" in url else ""))
        with caplog.at_level(logging.WARNING):
            await beat(engine)
        assert "was gone from the registry" in caplog.text
        assert rows(url, "SELECT engine_id FROM dwarf_replicas") == [(7,)]
        assert replica_of(engine).membership.living == 1
    assert rows(url, "SELECT COUNT(*) FROM dwarf_replicas") == [(0,)]


async def test_a_heartbeat_that_fails_changes_nothing(
    url: str, host: LocalHost, caplog: pytest.LogCaptureFixture
) -> None:
    async with Engine(host, url) as engine, Engine(host, url) as other:
        await beat(engine, other)
        membership = replica_of(engine).membership
        with caplog.at_level(logging.INFO):
            rows(url, "ALTER TABLE dwarf_replicas RENAME TO elsewhere")
            await until(lambda: "the heartbeat failed" in caplog.text)
            before = membership.read_at
            assert (membership.living, limit_of(engine)) == (2, DEFAULT_LIMIT)
        rows(url, "ALTER TABLE elsewhere RENAME TO dwarf_replicas")
        await beat(engine, other)
        await until(lambda: membership.living == 2)  # a session that broke off is made anew by each in its own time
        assert membership.read_at > before


async def test_a_table_that_was_emptied_fills_by_itself(site: ServerSite) -> None:
    processes = await asyncio.gather(*(site.start() for _ in range(2)))
    delete = "DELETE FROM dwarf_replicas"
    await asyncio.to_thread(site.rows, f"{delete} RETURNING 1" if "postgres" in site.path else delete)
    await processes[0].until(lambda: site.rows("SELECT COUNT(*) FROM dwarf_replicas") == [(2,)])
    await asyncio.gather(*(process.close() for process in processes))
    assert site.rows("SELECT COUNT(*) FROM dwarf_replicas") == [(0,)]


async def test_two_engines_of_one_id_do_not_stay_so(
    url: str, host: LocalHost, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    gate, ran = Gate(), []

    async def hold(flow: Flow) -> None:
        ran.append(flow.step_key)
        if len(ran) == 1:
            await gate.wait()
        flow["by"] = len(ran)

    graph = Graph("held").add_node("Hold", hold).add_transition("Hold", END)
    async with Engine(host, url, engine_id=7) as first:
        flow = await first.create(graph)
        await gate.reached()
        async with Engine(host, url, engine_id=7) as second:
            # the second takes the first for its former life, and its step with it
            assert (await second.flow(flow.key).outcome(timeout=60)).state == {"by": 2}
            with caplog.at_level(logging.ERROR):
                await beat(second, first)
            assert "give no two engines the same id" in caplog.text
            assert replica_of(second).engine_id == 7
            assert replica_of(first).engine_id != 7
            gate.open()  # what the first still brings is of no effect
            outcome = await first.run(Graph("more").add_node("Hold", "hold").add_transition("Hold", END))
            assert outcome.status is Status.COMPLETED
            assert rows(url, "SELECT COUNT(*) FROM dwarf_replicas") == [(2,)]
            owners = rows(url, "SELECT DISTINCT engine_id FROM dwarf_steps")
            assert len(owners) == 2
        assert (await flow).state == {"by": 2}
    assert len(set(ran)) == len(ran) - 1
