"""Databases in memory."""

from __future__ import annotations

import asyncio

import pytest

from dwarf.errors import ConfigError
from dwarf.storage.drivers import memory
from dwarf.storage.sql.script import Now, Script
from tests.storage.support import adding, counters, opened

SHARED = "sqlite:///file:shared?mode=memory"


class Shift:
    """A clock a test moves."""

    offset_ms = 0


async def test_without_a_name_a_database_is_private() -> None:
    async with opened("sqlite://") as one, opened("sqlite://") as two:
        await one.write(adding("a"))
        assert await two.read(counters) == {}
        assert not await two.changed()


async def test_one_name_is_one_database() -> None:
    async with opened(SHARED) as one, opened(SHARED) as two, opened("sqlite:///file:other?mode=memory") as other:
        await one.write(adding("a"))
        assert await two.read(counters) == {"a": 1}
        assert await other.read(counters) == {}


async def test_the_last_close_drops_the_data() -> None:
    async with opened(SHARED) as one:
        async with opened(SHARED) as two:
            await two.write(adding("a"))
        assert await one.read(counters) == {"a": 1}
    assert memory._named == {}
    async with opened(SHARED) as again:
        assert await again.read(counters) == {}


async def test_engines_of_several_threads_share_one_name() -> None:
    async def work(kind: str) -> None:
        async with opened(SHARED) as database:
            for number in range(20):
                await database.write(adding(f"{kind}{number}"))

    async with opened(SHARED) as database:
        await asyncio.gather(*(asyncio.to_thread(asyncio.run, work(kind)) for kind in "abc"))
        assert len(await database.read(counters)) == 60


async def test_changed_tells_of_the_commits_of_others() -> None:
    async with opened(SHARED) as mine, opened(SHARED) as other:
        await mine.write(adding("a"))
        assert not await mine.changed()
        await other.write(adding("b"))
        assert await mine.changed()
        assert not await mine.changed()


async def test_engine_ids_are_unique_and_dead_when_closed() -> None:
    async with opened(SHARED) as one:
        first, _ = await one.claim_engine_id()
        async with opened(SHARED) as two:
            second, _ = await two.claim_engine_id()
            assert first != second
            assert await one.dead_engine_ids({first, second}) == set()
        assert await one.dead_engine_ids({first, second}) == {second}
        assert await one.claim_engine_id(77) == (77, True)
        async with opened(SHARED) as three:
            with pytest.raises(ConfigError, match="77"):
                await three.claim_engine_id(77)
            assert (await three.claim_engine_id())[0] not in (first, 77)


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_a_clock_moves_now(kind: str, tmp_path: object) -> None:
    def script() -> Script[int]:
        now: int = yield Now()
        return now

    clock = Shift()
    async with opened("sqlite://" if kind == "memory" else f"sqlite:///{tmp_path}/flows.db", clock=clock) as database:
        before = await database.write(script)
        clock.offset_ms = 3_600_000
        for run in (database.write, database.read):
            assert 3_600_000 <= await run(script) - before < 3_660_000


async def test_a_name_has_one_clock() -> None:
    clock = Shift()
    async with opened(SHARED, clock=clock), opened(SHARED, clock=clock):
        with pytest.raises(ConfigError, match="clock"):
            async with opened(SHARED):
                pass
