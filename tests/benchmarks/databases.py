"""Fresh databases to measure on: a SQLite file, or a database of its own on a server, dropped afterwards."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit


@contextmanager
def fresh(base: str) -> Iterator[str]:
    """The URL of an empty database: on the server of ``base``, or in a SQLite file where that is empty."""
    if not base:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            yield f"sqlite:///{folder}/bench.db"
        return
    name = f"dwarf_bench_{secrets.token_hex(4)}"
    run(base, f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(base)._replace(path=f"/{name}"))
    finally:
        run(base, f"DROP DATABASE {name}{' WITH (FORCE)' if is_postgresql(base) else ''}")


def is_postgresql(url: str) -> bool:
    """Whether a URL is of PostgreSQL."""
    return url.startswith("postgres")


def run(url: str, *commands: str) -> object:
    """Run commands on a server; the first value of the last one's answer."""
    return asyncio.run(_postgresql(url, commands) if is_postgresql(url) else _mysql(url, commands))


async def _postgresql(url: str, commands: tuple[str, ...]) -> object:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        answer = None
        for command in commands:
            answer = await connection.fetchval(command)
        return answer
    finally:
        await connection.close()


async def _mysql(url: str, commands: tuple[str, ...]) -> object:
    connection = await mysql_connection(url)
    try:
        cursor = connection.cursor()
        for command in commands:
            await cursor.execute(command)
        row = await cursor.fetchone()
        return row[0] if row else None
    finally:
        await connection.ensure_closed()


async def mysql_connection(url: str):
    """A connection to MySQL or MariaDB, in autocommit mode."""
    import asyncmy

    parts = urlsplit(url)
    return await asyncmy.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username,
        password=parts.password or "",
        database=parts.path.strip("/"),
        autocommit=True,
    )


def file_of(url: str) -> str:
    """The path of a SQLite URL."""
    return url.removeprefix("sqlite:///")
