"""Databases of their own on the servers that `scripts/with-servers` has started."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine import URL, make_url

_VARIABLES = {"postgresql": "DWARF_TEST_POSTGRESQL_URL", "mariadb": "DWARF_TEST_MARIADB_URL"}
_KEPT = ("dwarf_migrations", "dwarf_facts", "dwarf_secrets")  # what a database has from its first opening
_spare: dict[str, list[str]] = {kind: [] for kind in _VARIABLES}


def servers() -> tuple[str, ...]:
    """The kinds of servers there are."""
    return tuple(kind for kind, variable in _VARIABLES.items() if os.environ.get(variable))


@contextmanager
def fresh_database(kind: str, *, bare: bool = False) -> Iterator[str]:
    """The URL of a database without rows on a server. ``bare``: also without tables.

    One that has served is emptied and used again: to make its tables takes longer than most tests.
    """
    url = None if bare else (_spare[kind].pop() if _spare[kind] else None)
    if url is None:
        url = _made(kind)
    yield url
    if not bare:
        _run(kind, url, _emptying())
        _spare[kind].append(url)


def _made(kind: str) -> str:
    url, name = make_url(os.environ[_VARIABLES[kind]]), f"t{secrets.token_hex(6)}"
    _run(kind, _text(url), [f"CREATE SCHEMA {name}"])
    return _text(url.update_query_dict({"search_path": name}) if kind == "postgresql" else url.set(database=name))


def _emptying() -> list[str]:
    from dwarf.storage.tables import metadata

    tables = [table.name for table in metadata.sorted_tables if table.name not in _KEPT]
    first_ids = "INSERT INTO dwarf_ids (kind, next_id) VALUES ('flow', 1), ('step', 1)"
    return [*(f"DELETE FROM {table}" for table in tables), first_ids]


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _run(kind: str, url: str, commands: list[str]) -> None:
    """Run commands on a loop of its own, whatever loop this thread has."""
    work: Coroutine[Any, Any, None] = (_postgresql if kind == "postgresql" else _mariadb)(make_url(url), commands)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


async def _postgresql(url: URL, commands: list[str]) -> None:
    import asyncpg

    connection = await asyncpg.connect(_text(url))
    try:
        await connection.execute("; ".join(commands))
    finally:
        await connection.close()


async def _mariadb(url: URL, commands: list[str]) -> None:
    import asyncmy

    connection = await asyncmy.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, database=url.database, autocommit=True
    )
    try:
        cursor = connection.cursor()
        for command in commands:
            await cursor.execute(command)
    finally:
        connection.close()
