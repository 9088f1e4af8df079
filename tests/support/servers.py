"""Databases of their own on the servers that `scripts/with-servers` has started."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy.engine import URL, make_url

T = TypeVar("T")
Rows = list[tuple[Any, ...]]

SHARDS = 4  # a test may use so many
_VARIABLES = {"postgresql": "DWARF_TEST_POSTGRESQL_URL", "mariadb": "DWARF_TEST_MARIADB_URL"}
_KEPT = ("dwarf_migrations", "dwarf_facts")  # what a database has from its first opening
_IN_USE = (
    "SELECT table_schema FROM information_schema.tables WHERE table_name = 'dwarf_ids' AND table_schema LIKE '{}%'"
)
_spare: dict[str, list[str]] = {kind: [] for kind in _VARIABLES}  # names


def servers() -> tuple[str, ...]:
    """The kinds of servers there are."""
    return tuple(kind for kind, variable in _VARIABLES.items() if os.environ.get(variable))


@contextmanager
def fresh_database(kind: str, *, bare: bool = False) -> Iterator[str]:
    """The URL of a database without rows on a server, with ``{shard}`` in it for a number. ``bare``: without tables.

    One that has served is emptied and used again: to make its tables takes longer than most tests.
    """
    name = None if bare else (_spare[kind].pop() if _spare[kind] else None)
    if name is None:
        name = f"t{secrets.token_hex(6)}_"
        query(kind, *(f"CREATE SCHEMA {name}{shard}" for shard in range(1, SHARDS + 1)))
    yield _url_of(kind, name)
    if not bare:
        _empty(kind, name)
        _spare[kind].append(name)


def query(kind: str, *commands: str, url: str = "") -> Rows:
    """What the last of some commands answers, on the test server or in the database of a URL."""
    run: Callable[..., Awaitable[Rows]] = _postgresql if kind == "postgresql" else _mariadb
    return apart(lambda: run(make_url(url or os.environ[_VARIABLES[kind]]), commands))


def apart(work: Callable[[], Awaitable[T]]) -> T:
    """Run on a loop of its own, whatever loop this thread has."""

    async def alone() -> T:
        return await work()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, alone()).result()


def _url_of(kind: str, name: str) -> str:
    url = make_url(os.environ[_VARIABLES[kind]])
    url = (
        url.update_query_dict({"search_path": f"{name}SHARD"})
        if kind == "postgresql"
        else url.set(database=f"{name}SHARD")
    )
    return _text(url).replace("SHARD", "{shard}")


def _empty(kind: str, name: str) -> None:
    from dwarf.storage.sql.tables import metadata

    tables = [table.name for table in metadata.sorted_tables if table.name not in _KEPT]
    commands: list[str] = []
    for (schema,) in query(kind, _IN_USE.format(name)):
        commands += (f"DELETE FROM {schema}.{table}" for table in tables)
        commands.append(f"INSERT INTO {schema}.dwarf_ids (kind, next_id) VALUES ('flow', 1), ('step', 1)")
    query(kind, *commands)


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


async def _postgresql(url: URL, commands: tuple[str, ...]) -> Rows:
    import asyncpg

    connection = await asyncpg.connect(_text(url))
    try:
        *first, last = commands or ("SELECT 1",)
        if first:
            await connection.execute("; ".join(first))
        return [tuple(row) for row in await connection.fetch(last)]
    finally:
        await connection.close()


async def _mariadb(url: URL, commands: tuple[str, ...]) -> Rows:
    import asyncmy

    connection = await asyncmy.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, database=url.database, autocommit=True
    )
    try:
        cursor = connection.cursor()
        for command in commands:
            await cursor.execute(command)
        return list(await cursor.fetchall())
    finally:
        connection.close()
