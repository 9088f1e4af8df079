"""Several processes on one SQLite file, and a file that cannot be written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from dwarf.errors import StorageError
from dwarf.storage.drivers import sqlite
from dwarf.storage.drivers.sqlite import SqliteDatabase
from dwarf.storage.sql.errors import Contention, Unavailable
from dwarf.storage.sql.script import Execute, Fetch, Script, Statement
from tests.storage.support import ADD, KEEP, adding, child, counters, opened, pragma, raising


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/flows.db"


async def test_two_processes_lose_no_write(url: str) -> None:
    async with opened(url) as database, child("count", url, "a", 200) as one, child("count", url, "a", 200) as two:
        await database.write(adding("a", 0))
        for process in (one, two):
            assert await process.hear() == "ready"
        for process in (one, two):
            process.tell()
        for _ in range(100):  # and a third in between
            await database.write(raising("a"))
        assert [await one.done(), await two.done()] == [0, 0]
        assert await database.read(counters) == {"a": 500}


async def test_a_write_waits_as_long_as_a_foreign_lock_lasts(url: str, tmp_path: Path) -> None:
    async with opened(url) as database, child("lock", tmp_path / "flows.db") as holder:
        runs = 0

        def script() -> Script[None]:
            nonlocal runs
            runs += 1
            yield Execute(ADD, {"of_kind": "a", "first": 1})

        assert await holder.hear() == "locked"
        write = asyncio.create_task(database.write(script))
        done, _ = await asyncio.wait([write], timeout=1.2)
        assert not done
        assert await database.read(counters) == {}  # reads are not in the way of writes, nor behind them
        holder.tell()
        await write
        assert runs == 1
        assert await database.read(counters) == {"a": 1}


async def test_opening_waits_for_a_foreign_lock(url: str, tmp_path: Path) -> None:
    async with opened(url):
        pass
    async with child("lock", tmp_path / "flows.db") as holder:
        assert await holder.hear() == "locked"
        database = SqliteDatabase(tmp_path / "flows.db")
        opening = asyncio.create_task(database.open())
        done, _ = await asyncio.wait([opening], timeout=0.3)
        assert not done
        holder.tell()
        await opening
        await database.aclose()


async def test_closing_does_not_wait_for_a_foreign_lock(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_CLOSING_PATIENCE", 0.1)
    async with opened(url) as database, child("lock", tmp_path / "flows.db") as holder:
        assert await holder.hear() == "locked"
        write = asyncio.create_task(database.write(adding("a")))
        await asyncio.wait([write], timeout=0.1)
        await database.aclose()
        with pytest.raises(Contention, match="another transaction is in the way"):
            await write
        holder.tell()


async def test_contention_in_the_middle_runs_the_script_again(url: str) -> None:
    async with opened(url) as database:
        runs: list[int] = []

        def script() -> Script[int]:
            runs.append(len(runs))
            yield Execute(ADD, {"of_kind": f"run{len(runs)}", "first": 1})
            if len(runs) < 4:
                raise Contention("another transaction is in the way")
            return len(runs)

        assert await database.write(script) == 4
        assert await database.read(counters) == {"run4": 1}


async def test_a_full_disk_is_no_fault_of_the_data(url: str) -> None:
    async with opened(url) as database:
        pages = (await database.write(lambda: (yield Fetch(pragma("page_count"), {}))))[0][0]
        await database.write(lambda: (yield Fetch(pragma(f"max_page_count = {pages + 4}"), {})))

        def script() -> Script[None]:
            yield Execute(ADD, {"of_kind": "a", "first": 1})
            yield Execute(KEEP, {"name": "large", "value": "x" * 100_000})

        with pytest.raises(Unavailable, match=r"not available \(keep\).*SQLITE_FULL") as caught:
            await database.write(script)
        assert caught.value.__cause__ is not None
        await database.write(adding("b"))
        await database.write(lambda: (yield Fetch(pragma("max_page_count = 1000000"), {})))
        await database.write(script)
        assert await database.read(counters) == {"a": 1, "b": 1}


async def test_a_connection_that_failed_is_replaced(url: str, tmp_path: Path) -> None:
    async with opened(url) as database:
        await database.write(adding("a"))
        await database.write(lambda: (yield Fetch(pragma("query_only = 1"), {})))
        with pytest.raises(Unavailable, match="SQLITE_READONLY"):
            await database.write(adding("b"))
        await database.write(adding("b"))
        assert await database.read(counters) == {"a": 1, "b": 1}


async def test_the_wrong_sql_is_an_unknown_failure(url: str) -> None:
    async with opened(url) as database:
        nowhere = Statement("nowhere", text("DELETE FROM nowhere"))
        with pytest.raises(StorageError, match=r"the database failed \(nowhere\)") as caught:
            await database.write(lambda: (yield Execute(nowhere, {})))
        assert type(caught.value) is StorageError


async def test_changed_tells_of_the_commits_of_others(url: str) -> None:
    async with opened(url) as mine, opened(url) as other:
        assert not await mine.changed()
        await mine.write(adding("a"))
        await other.read(counters)
        assert not await mine.changed()
        await other.write(adding("b"))
        assert await mine.changed()
        assert not await mine.changed()
        assert await other.changed()


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("relaxed", 1)])
async def test_durability_is_sqlites_synchronous(url: str, durability: str, level: int) -> None:
    async with opened(url, durability=durability) as database:
        settings: dict[str, Any] = {}
        for name in ("synchronous", "journal_mode", "foreign_keys"):
            settings[name] = (await database.write(lambda name=name: (yield Fetch(pragma(name), {}))))[0][0]
        assert settings == {"synchronous": level, "journal_mode": "wal", "foreign_keys": 0}
