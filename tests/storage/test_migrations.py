"""The schema: frozen files that make what ``tables`` describes."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import AsyncExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Index, Table, create_engine, inspect
from sqlalchemy.engine import Inspector, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from dwarf.errors import ConfigError
from dwarf.storage import migrations
from dwarf.storage.migrations.drafting import draft, mysql_columns
from dwarf.storage.sql.compiler import DIALECTS, dialect_of
from dwarf.storage.sql.script import Execute, Fetch, Script
from dwarf.storage.sql.tables import metadata
from tests.storage.support import adding, child, counters, opened
from tests.support.servers import apart, fresh_database, query, servers

VERSIONS = sorted(
    int(file.name[:4]) for file in (files(migrations) / "sqlite").iterdir() if "0000" < file.name[:4] < "9999"
)


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
    names = sorted(file.name for file in (files(migrations) / dialect).iterdir() if file.name.endswith(".sql"))
    for name in names[1:]:
        frozen = (files(migrations) / dialect / name).read_text("utf-8")
        version = int(name[:4])
        assert frozen == draft(dialect, version), (
            f"draft it: python -m dwarf.storage.migrations.drafting {dialect} {version}"
        )


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
    assert [version for version, _ in before] == sorted(
        int(file.name[:4]) for file in (files(migrations) / "sqlite").iterdir() if file.name[:4] > "0000"
    )
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
    assert len(set(versions(path))) == len(versions(path)) == len(list((files(migrations) / "sqlite").iterdir())) - 1


async def test_databases_that_open_together_in_one_process_migrate_once(path: Path) -> None:
    async def use() -> None:
        async with opened(f"sqlite:///{path}") as database:
            await database.claim_engine_id()

    await asyncio.gather(*(use() for _ in range(5)))
    assert len(set(versions(path))) == len(versions(path)) == len(list((files(migrations) / "sqlite").iterdir())) - 1


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

    monkeypatch.setattr("dwarf.storage.drivers.sqlite.migrate", lambda dialect: half())
    with pytest.raises(ConfigError, match="half-way"):
        async with opened(f"sqlite:///{path}"):
            pass
    monkeypatch.undo()
    async with opened(f"sqlite:///{path}") as database:
        assert await database.read(lambda: (yield Fetch(migrations.APPLIED, {}))) == [
            (version,) for version in VERSIONS
        ]


# ------------------------------------------------------------------ servers


def reflected(url: str) -> list[tuple[Any, ...]]:
    """What a server says of its tables."""
    driver = {"postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy"}[make_url(url).get_backend_name()]
    parsed = make_url(url).set(drivername=driver)
    schema = str(parsed.query.get("search_path", "")) or None
    plain = parsed.difference_update_query(["search_path"])

    async def read() -> list[tuple[Any, ...]]:
        engine = create_async_engine(plain, poolclass=NullPool)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(lambda sync: _reflected(inspect(sync), schema))
        finally:
            await engine.dispose()

    return apart(read)


def _reflected(inspector: Inspector, schema: str | None) -> list[tuple[Any, ...]]:
    dialect = inspector.dialect
    return [
        (
            table,
            [
                (column["name"], _bare(str(column["type"].compile(dialect))), column["nullable"])
                for column in inspector.get_columns(table, schema)
            ],
            sorted(
                (str(index["name"]), list(index["column_names"]), bool(index["unique"]), _condition(index))
                for index in inspector.get_indexes(table, schema)
            ),
            inspector.get_pk_constraint(table, schema)["constrained_columns"],
        )
        for table in sorted(inspector.get_table_names(schema))
    ]


def _bare(column_type: str) -> str:
    """A type without its collation and the width at which MariaDB displays a number."""
    return re.sub(r" COLLATE.*|(?<=INT|GER)\(\d+\)", "", column_type)


def _condition(index: Any) -> str:
    """A partial index's condition without the casts and brackets that PostgreSQL adds to it."""
    condition = str(index.get("dialect_options", {}).get("postgresql_where", ""))
    return re.sub(r"::\w+( varying)?|[()]", "", condition)


def wanted(name: str) -> list[tuple[Any, ...]]:
    """What the tables say a server should have."""
    dialect = dialect_of(name)
    types = {"FLOAT(53)": "DOUBLE PRECISION" if name == "postgresql" else "DOUBLE"}
    return [
        (
            table.name,
            [
                (column.name, types.get(text := column.type.compile(dialect), text), bool(column.nullable))
                for column in table.columns
            ],
            sorted(
                (
                    str(index.name),
                    mysql_columns(index) if name == "mysql" else [column.name for column in index.columns],
                    bool(index.unique),
                    str(index.dialect_options["postgresql"]["where"])
                    if name == "postgresql" and _is_partial(index)
                    else "",
                )
                for index in table.indexes
                if name != "mysql" or index.info.get("mysql", True)
            ),
            [column.name for column in table.primary_key],
        )
        for table in sorted(metadata.sorted_tables, key=lambda table: table.name)
    ]


def _is_partial(index: Index) -> bool:
    return index.dialect_options["postgresql"]["where"] is not None


@pytest.mark.server
@pytest.mark.parametrize("kind", servers())
async def test_a_migrated_server_is_what_the_tables_say(kind: str) -> None:
    with fresh_database(kind, bare=True) as pattern:
        url = pattern.format(shard=1)
        async with opened(url) as database:
            assert reflected(url) == wanted(database.dialect)


@pytest.mark.server
@pytest.mark.parametrize("kind", servers())
async def test_processes_that_open_a_server_together_migrate_once(kind: str) -> None:
    with fresh_database(kind, bare=True) as pattern:
        url = pattern.format(shard=1)
        async with AsyncExitStack() as stack:
            children = [await stack.enter_async_context(child("migrate", url)) for _ in range(4)]
            for process in children:
                assert await process.hear() == "ready"
            for process in children:
                process.tell()
            assert [await process.hear() for process in children] == ["0"] * 4
        assert query(kind, "SELECT COUNT(*) FROM dwarf_migrations", url=url) == [(len(VERSIONS),)]
        assert query(kind, "SELECT kind, next_id FROM dwarf_ids ORDER BY kind", url=url) == [("flow", 1), ("step", 1)]


@pytest.mark.server
@pytest.mark.parametrize("kind", servers())
async def test_a_newer_schema_on_a_server_is_refused(kind: str) -> None:
    with fresh_database(kind, bare=True) as pattern:
        url = pattern.format(shard=1)
        async with opened(url) as database:
            await database.write(lambda: (yield Execute(migrations.RECORD, {"version": 9999, "applied_at": 1})))
        with pytest.raises(ConfigError, match=r"schema version 9999.*upgrade dwarf"):
            async with opened(url):
                pass


@pytest.mark.server
@pytest.mark.parametrize("kind", servers())
async def test_a_migration_that_was_broken_off_on_a_server_is_finished(kind: str) -> None:
    """PostgreSQL undoes it as a whole. MySQL keeps every table that was made, and each statement is safe to repeat."""
    with fresh_database(kind, bare=True) as pattern:
        url = pattern.format(shard=1)
        async with opened(url):
            pass
        whole = reflected(url)
        if kind == "postgresql":
            schema = str(make_url(url).query["search_path"])
            query(kind, f"DROP SCHEMA {schema} CASCADE", f"CREATE SCHEMA {schema}")
        else:
            query(kind, "DELETE FROM dwarf_migrations", "DROP TABLE dwarf_steps", "DELETE FROM dwarf_facts", url=url)
        async with opened(url) as database:
            assert await database.read(lambda: (yield Fetch(migrations.APPLIED, {}))) == [
                (version,) for version in VERSIONS
            ]
        assert reflected(url) == whole
        assert query(kind, "SELECT kind, next_id FROM dwarf_ids ORDER BY kind", url=url) == [("flow", 1), ("step", 1)]


@pytest.mark.server
async def test_a_user_who_may_change_no_tables_can_use_them() -> None:
    if "postgresql" not in servers():
        pytest.skip("needs PostgreSQL: see scripts/with-servers")
    with fresh_database("postgresql") as pattern:
        url = pattern.format(shard=1)
        async with opened(url):
            pass
        schema = str(make_url(url).query["search_path"])
        query(
            "postgresql",
            "DROP ROLE IF EXISTS dwarf_guest",
            "CREATE ROLE dwarf_guest LOGIN PASSWORD 'guest'",
            f"GRANT USAGE ON SCHEMA {schema} TO dwarf_guest",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO dwarf_guest",
        )
        try:
            guest = make_url(url).set(username="dwarf_guest", password="guest")
            async with opened(guest.render_as_string(hide_password=False)) as database:
                await database.write(adding("a"))
                assert await database.read(counters) == {"a": 1}
        finally:
            query("postgresql", "DROP OWNED BY dwarf_guest", "DROP ROLE dwarf_guest")
