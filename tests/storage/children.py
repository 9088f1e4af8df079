"""What child processes of the tests do: ``python -m tests.storage.children FUNCTION ARGUMENTS``."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Coroutine

from dwarf.storage.drivers.connect import open_database
from tests.storage.support import adding, counters, raising


def say(word: object) -> None:
    """Send the parent a line."""
    print(word, flush=True)


def wait() -> None:
    """Wait for a line of the parent."""
    sys.stdin.readline()


def lock(path: str) -> None:
    """Hold the write lock of a file until told to let go."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    say("locked")
    wait()
    connection.execute("COMMIT")
    connection.close()


async def count(url: str, kind: str, times: str) -> None:
    """Raise a counter in as many transactions."""
    database = open_database(url)
    await database.open()
    say("ready")
    await asyncio.to_thread(wait)
    for _ in range(int(times)):
        await database.write(raising(kind))
    await database.aclose()


async def engine(url: str) -> None:
    """Take an engine id and keep it."""
    database = open_database(url)
    await database.open()
    engine_id, former_is_dead = await database.claim_engine_id()
    assert former_is_dead
    say(engine_id)
    await asyncio.to_thread(wait)
    await database.aclose()


async def migrate(url: str) -> None:
    """Open a database, all together with others."""
    database = open_database(url)
    say("ready")
    await asyncio.to_thread(wait)
    await database.open()
    say(len(await database.read(counters)))
    await database.aclose()


async def forget(url: str) -> None:
    """Write, read, and end without closing."""
    database = open_database(url)
    await database.open()
    await database.write(adding("a"))
    await database.read(counters)
    say("read")


if __name__ == "__main__":
    functions: dict[str, Callable[..., Coroutine[None, None, None] | None]] = {
        "lock": lock,
        "count": count,
        "engine": engine,
        "migrate": migrate,
        "forget": forget,
    }
    result = functions[sys.argv[1]](*sys.argv[2:])
    if result is not None:
        asyncio.run(result)
