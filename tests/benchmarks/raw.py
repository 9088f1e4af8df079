"""The database's own limits, by hand: what the engine is held against in the same run."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL, make_url

PAYLOAD = "x" * 300


def single_commits(path: Path, seconds: float = 1.0) -> float:
    """Commits per second of one row each, on one connection: WAL, synchronous=FULL."""
    return _commits(path, 1, seconds)


def batched_rows(path: Path, seconds: float = 1.0) -> float:
    """Rows per second in commits of 64 rows each."""
    return _commits(path, 64, seconds) * 64


def _commits(path: Path, rows: int, seconds: float) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS raw (id INTEGER PRIMARY KEY, body TEXT)")
        batch = [(PAYLOAD,)] * rows
        begun, commits = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO raw (body) VALUES (?)", batch)
            connection.execute("COMMIT")
            commits += 1
        return commits / (time.perf_counter() - begun)
    finally:
        connection.close()


# ------------------------------------------------------------------ servers


@contextmanager
def schema(base: str) -> Iterator[str]:
    """The URL of an empty schema on a server, dropped at the end."""
    url, name = make_url(base), f"dwarf_bench_{secrets.token_hex(4)}"
    asyncio.run(_run(url, [f"CREATE SCHEMA {name}"]))
    own = url.update_query_dict({"search_path": name}) if _is_postgresql(url) else url.set(database=name)
    try:
        yield own.render_as_string(hide_password=False)
    finally:
        asyncio.run(_run(url, [f"DROP SCHEMA {name}{' CASCADE' if _is_postgresql(url) else ''}"]))


def server_commits(base: str, seconds: float = 1.0) -> float:
    """Commits per second of one row each, on one connection of the driver."""
    table = "CREATE TABLE IF NOT EXISTS raw_commits (body TEXT)"
    insert = f"INSERT INTO raw_commits VALUES ('{PAYLOAD}')"
    return asyncio.run(_run(make_url(base), [table], insert, seconds))


def _is_postgresql(url: URL) -> bool:
    return url.get_backend_name().startswith("postgres")


async def _run(url: URL, commands: list[str], again: str = "", seconds: float = 0.0) -> float:
    """Run commands, then one again and again; how often in a second."""
    execute: Callable[[str], Awaitable[object]]
    if _is_postgresql(url):
        import asyncpg

        connection = await asyncpg.connect(url.render_as_string(hide_password=False))
        execute = connection.execute
    else:
        import asyncmy

        connection = await asyncmy.connect(
            host=url.host,
            port=url.port,
            user=url.username,
            password=url.password,
            database=url.database,
            autocommit=True,
        )
        execute = connection.cursor().execute
    for command in commands:
        await execute(command)
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        await execute(again)
        count += 1
    took = time.perf_counter() - begun
    closing = connection.close()
    if closing is not None:
        await closing
    return count / took if count else 0.0
