"""The schema: frozen files that make what ``tables`` describes."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, create_engine, inspect
from sqlalchemy.engine import Inspector
from sqlalchemy.pool import NullPool

from dwarf.errors import ConfigError
from dwarf.storage import migrations
from dwarf.storage.compiling import DIALECTS, dialect_of
from dwarf.storage.migrations.drafting import initial_schema
from dwarf.storage.script import Execute, Fetch, Script
from dwarf.storage.tables import metadata
from tests.storage.support import child, opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flows.db"


def versions(path: Path) -> list[tuple[int, int]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT version, applied_at FROM dwarf_migrations").fetchall()
    finally:
        connection.close()


async def test_a_migrated_file_is_what_the_tables_say(path: Path) -> None:
    async with opened(f"sqlite:///{path}"):
        pass
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    inspector: Inspector = inspect(engine)
    assert sorted(inspector.get_table_names()) == sorted(metadata.tables)
    for table in metadata.sorted_tables:
        assert _found_columns(inspector, table) == _wanted_columns(table)
        assert _found_indexes(inspector, table) == _wanted_indexes(table)
        assert inspector.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]


def _found_columns(inspector: Inspector, table: Table) -> list[tuple[Any, ...]]:
    dialect = dialect_of("sqlite")
    return [
        (column["name"], column["type"].compile(dialect), column["nullable"], column["default"])
        for column in inspector.get_columns(table.name)
    ]


def _wanted_columns(table: Table) -> list[tuple[Any, ...]]:
    dialect = dialect_of("sqlite")
    return [
        (
            column.name,
            column.type.compile(dialect),
            bool(column.nullable),
            None if column.server_default is None else str(column.server_default.arg),  # type: ignore[attr-defined]
        )
        for column in table.columns
    ]


def _found_indexes(inspector: Inspector, table: Table) -> dict[str | None, Any]:
    return {
        index["name"]: (
            index["column_names"],
            bool(index["unique"]),
            str(index.get("dialect_options", {}).get("sqlite_where", "")),
        )
        for index in inspector.get_indexes(table.name)
    }


def _wanted_indexes(table: Table) -> dict[str | None, Any]:
    return {
        str(index.name): (
            [column.name for column in index.columns],
            bool(index.unique),
            str(
                index.dialect_options["sqlite"]["where"] if index.dialect_options["sqlite"]["where"] is not None else ""
            ),
        )
        for index in table.indexes
    }


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_files_make_what_the_tables_say(dialect: str) -> None:
    frozen = (files(migrations) / dialect / "0001_initial.sql").read_text("utf-8")
    assert frozen == initial_schema(dialect), f"draft it: python -m dwarf.storage.migrations.drafting {dialect}"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_has_the_same_versions(dialect: str) -> None:
    def names(folder: str) -> list[str]:
        return sorted(file.name for file in (files(migrations) / folder).iterdir())

    assert names(dialect) == names("sqlite")


async def test_migrating_again_changes_nothing(path: Path) -> None:
    url = f"sqlite:///{path}"
    async with opened(url):
        before = versions(path)
    async with opened(url) as database:
        await database.write(lambda: migrations.migrate("sqlite"))
    assert versions(path) == before
    assert [version for version, _ in before] == [1]
    assert before[0][1] > 1_500_000_000_000


async def test_processes_that_open_together_migrate_once(path: Path) -> None:
    async with AsyncExitStack() as stack:
        children = [await stack.enter_async_context(child("migrate", f"sqlite:///{path}")) for _ in range(3)]
        for process in children:
            assert await process.hear() == "ready"
        for process in children:
            process.tell()
        assert [await process.hear() for process in children] == ["0", "0", "0"]
        assert [await process.done() for process in children] == [0, 0, 0]
    assert len(versions(path)) == 1


async def test_databases_that_open_together_in_one_process_migrate_once(path: Path) -> None:
    async def use() -> None:
        async with opened(f"sqlite:///{path}") as database:
            await database.claim_engine_id()

    await asyncio.gather(*(use() for _ in range(5)))
    assert len(versions(path)) == 1


async def test_a_newer_schema_is_refused(path: Path) -> None:
    async with opened(f"sqlite:///{path}") as database:
        await database.write(lambda: (yield Execute(migrations.RECORD, {"version": 9999, "applied_at": 1})))
    with pytest.raises(ConfigError, match=r"schema version 9999.*upgrade dwarf"):
        async with opened(f"sqlite:///{path}"):
            pass


async def test_a_migration_that_fails_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half() -> Script[Any]:
        script = migrations.migrate("sqlite")
        request: Any = next(script)
        for _ in range(6):
            request = script.send((yield request))
        assert isinstance(request, Execute)
        raise ConfigError("stopped half-way")

    monkeypatch.setattr("dwarf.storage.sqlite.migrate", lambda dialect: half())
    with pytest.raises(ConfigError, match="half-way"):
        async with opened(f"sqlite:///{path}"):
            pass
    monkeypatch.undo()
    async with opened(f"sqlite:///{path}") as database:
        assert await database.read(lambda: (yield Fetch(migrations.APPLIED, {}))) == [(1,)]
