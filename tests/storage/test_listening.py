"""News between processes on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dwarf.storage.drivers import listening
from tests.storage.support import opened
from tests.support.servers import fresh_database, query, servers

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif("postgresql" not in servers(), reason="needs PostgreSQL: see scripts/with-servers"),
]

EARS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query LIKE '%pg_notify%'"


class Ear:
    """What a database was told."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.heard: list[tuple[bool, Collection[int] | None]] = []
        self._news = asyncio.Event()
        database.listen(self._hear)

    def _hear(self, work_due: bool, stopped: Collection[int] | None) -> None:
        self.heard.append((work_due, stopped))
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for news until a condition holds."""
        async with asyncio.timeout(60):
            while not condition():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def ear(url: str) -> AsyncIterator[Ear]:
    """A database that listens."""
    async with opened(url) as database:
        found = Ear(database)
        await until(lambda: database.has_notifications)
        yield found


async def until(condition: Callable[[], object]) -> None:
    """Wait for what no event tells."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
def url() -> Any:
    with fresh_database("postgresql") as pattern:
        yield pattern.format(shard=1)


async def test_news_reach_the_others_and_nobody_hears_himself(url: str) -> None:
    async with ear(url) as one, ear(url) as two:
        await until(lambda: one.database._listener.living == two.database._listener.living == 2)
        one.heard.clear()
        one.database.notify(True, [])
        await two.until(lambda: (True, []) in two.heard)
        one.database.notify(False, [7, 2**62])
        await two.until(lambda: any(stopped and set(stopped) == {7, 2**62} for _, stopped in two.heard))
        two.database.notify(False, [1])
        await one.until(lambda: one.heard == [(False, [1])])


async def test_news_of_one_moment_are_one_message(url: str) -> None:
    async with ear(url) as one, ear(url) as two:
        await until(lambda: one.database._listener.living == two.database._listener.living == 2)
        two.heard.clear()
        for flow_id in range(100):
            one.database.notify(flow_id == 50, [flow_id])
        await two.until(lambda: len(two.heard) > 0)
        (news,) = two.heard
        assert news[0]
        assert sorted(news[1] or ()) == list(range(100))


async def test_too_many_flows_are_not_named(url: str) -> None:
    async with ear(url) as one, ear(url) as two:
        await until(lambda: one.database._listener.living == two.database._listener.living == 2)
        two.heard.clear()
        one.database.notify(False, range(10_000))
        await two.until(lambda: two.heard == [(False, None)])


async def test_who_is_alone_says_nothing(url: str) -> None:
    async with ear(url) as one:
        assert await one.database.living() == 1
        one.database.notify(True, [1, 2, 3])
        assert not one.database._listener._stopped
        async with ear(url) as two:
            await until(lambda: one.database._listener.living == 2)
            await until(lambda: two.database._listener.living == 2)  # the other one answers in its own time
            assert await two.database.living() == 2
        await until(lambda: one.database._listener.living == 1)


async def test_who_falls_silent_is_forgotten(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "BEAT_S", 0.05)
    async with ear(url) as one, ear(url) as two:
        await until(lambda: one.database._listener.living == 2)
        moments: set[float] = set()
        listener = one.database._listener
        await until(lambda: moments.update(listener._others.values()) or len(moments) > 3)  # it says that it is there
        assert await one.database.living() == 2
        two.database._listener._task.cancel()
        monkeypatch.setattr(listening, "FORGOTTEN_S", 0.3)
        await until(lambda: one.database._listener.living == 1)


async def test_a_lost_connection_is_made_again_and_what_was_missed_is_looked_for(url: str) -> None:
    async with ear(url) as one, ear(url) as two:
        await until(lambda: one.database._listener.living == 2)
        one.heard.clear()
        own = one.database._listener._connection.get_server_pid()
        query("postgresql", f"SELECT pg_terminate_backend({own})")
        await one.until(lambda: (True, None) in one.heard)
        await until(lambda: one.database.has_notifications)
        await until(lambda: two.database._listener.living >= 2)
        two.database.notify(False, [5])
        await one.until(lambda: (False, [5]) in one.heard)


async def test_who_comes_to_know_another_looks_around(url: str) -> None:
    async with ear(url) as one:
        one.heard.clear()
        async with ear(url):
            await one.until(lambda: (True, None) in one.heard)


async def test_schemas_of_one_database_do_not_hear_each_other(url: str) -> None:
    with fresh_database("postgresql") as pattern:
        async with ear(url) as one, ear(pattern.format(shard=1)) as stranger:
            await asyncio.sleep(0.1)
            assert await one.database.living() == 1
            assert await stranger.database.living() == 1


async def test_a_message_of_another_kind_is_passed_over(url: str) -> None:
    async with ear(url) as one:
        one.heard.clear()
        listener = one.database._listener
        for message in ("1 seven", "hello", "here", ""):
            listener._on_message(None, -1, "", message)
        listener._on_message(None, -1, "", "0 8")
        assert one.heard == [(True, None), (False, []), (False, [8])]
