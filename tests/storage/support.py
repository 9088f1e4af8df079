"""Statements, scripts and child processes for the tests of storage."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, insert, select, text, update

from dwarf.storage.drivers.connect import open_database
from dwarf.storage.drivers.database import Database
from dwarf.storage.sql.script import Execute, Fetch, Row, Script, Statement
from dwarf.storage.sql.tables import graphs, ids
from tests.support.servers import fresh_database

ROOT = Path(__file__).parents[2]

ADD = Statement("add", insert(ids).values(kind=bindparam("of_kind"), next_id=bindparam("first")))
RAISE = Statement(
    "raise", update(ids).where(ids.c.kind == bindparam("of_kind")).values(next_id=ids.c.next_id + bindparam("by"))
)
COUNTERS = Statement(
    "counters", select(ids.c.kind, ids.c.next_id).where(ids.c.kind != "flow", ids.c.kind != "step").order_by(ids.c.kind)
)
KEEP = Statement("keep", insert(graphs).values(graph_hash=bindparam("name"), body=bindparam("value")))
KEPT = Statement("kept", select(graphs.c.graph_hash, graphs.c.body).order_by(graphs.c.graph_hash))


def pragma(words: str) -> Statement:
    """A PRAGMA as a statement."""
    return Statement("pragma", text(f"PRAGMA {words}"))


def adding(kind: str, first: int = 1) -> Callable[[], Script[int]]:
    """A script that adds a counter."""

    def script() -> Script[int]:
        matched: int = yield Execute(ADD, {"of_kind": kind, "first": first})
        return matched

    return script


def raising(kind: str, by: int = 1) -> Callable[[], Script[int]]:
    """A script that raises a counter."""

    def script() -> Script[int]:
        matched: int = yield Execute(RAISE, {"of_kind": kind, "by": by})
        return matched

    return script


def counters() -> Script[dict[str, int]]:
    """Every counter the tests have made."""
    rows: list[Row] = yield Fetch(COUNTERS, {})
    return {row[0]: row[1] for row in rows}


@contextmanager
def url_of(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database: a file, in memory, or on a server of that kind."""
    if kind == "memory":
        yield "sqlite://"
    elif kind == "file":
        yield f"sqlite:///{folder}/flows.db"
    else:
        with fresh_database(kind) as url:
            yield url.format(shard=1)


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Any]:
    """An open database."""
    database: Database = open_database(url, **options)
    await database.open()
    try:
        yield database
    finally:
        await database.aclose()


class Child:
    """A process that runs a function of ``children`` and talks by lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def hear(self) -> str:
        """Its next line."""
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode().strip()
        assert line, "the child ended without a word"
        return line

    def tell(self, line: str = "go") -> None:
        """Send it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        await self._process.wait()

    async def done(self) -> int:
        """Its exit status."""
        return await self._process.wait()


@asynccontextmanager
async def child(function: str, *arguments: object) -> AsyncIterator[Child]:
    """A child process, killed at the end if it still runs."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.storage.children",
        function,
        *map(str, arguments),
        stdin=pipe,
        stdout=pipe,
        cwd=ROOT,
    )
    try:
        yield Child(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@contextmanager
def observed(database: Any) -> Iterator[list[tuple[str, int]]]:
    """What a database does, as a list of (statement, rows)."""
    seen: list[tuple[str, int]] = []
    database.observer = lambda name, rows: seen.append((name, rows))
    try:
        yield seen
    finally:
        database.observer = None
