"""The database's own limits, by hand: what the engine is held against in the same run.

``python -m tests.benchmarks.raw KIND --url URL`` measures one of them, in a process of its own. A commit is one row of
300 bytes, or 64 of them; "steps" are rows, and stand beside those of the chain.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import time

from tests.benchmarks.databases import file_of, is_postgresql, mysql_connection
from tests.benchmarks.figures import Figures, Measured, database_of

PAYLOAD = "x" * 300
KINDS = {"one row": (1, 1), "one row, 8 connections": (1, 8), "64 rows": (64, 1)}
TABLE = "CREATE TABLE IF NOT EXISTS raw (id BIGINT, body TEXT)"


def commits(url: str, rows: int = 1, connections: int = 1, seconds: float = 1.0) -> Measured:
    """Commit for so long. SQLite: WAL, synchronous=FULL, and one connection, whatever is asked for."""
    if url.startswith("sqlite"):
        return _sqlite(file_of(url), rows, seconds)
    return asyncio.run(_server(url, rows, connections, seconds))


def _sqlite(path: str, rows: int, seconds: float) -> Measured:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(TABLE.replace("id BIGINT", "id INTEGER PRIMARY KEY"))
        batch = [(PAYLOAD,)] * rows
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO raw (body) VALUES (?)", batch)
            connection.execute("COMMIT")
            count += 1
        return Measured(count * rows, count, time.perf_counter() - begun)
    finally:
        connection.close()


async def _server(url: str, rows: int, connections: int, seconds: float) -> Measured:
    open_one = _postgresql if is_postgresql(url) else _mysql
    links = [await open_one(url) for _ in range(connections)]
    try:
        await links[0][0](TABLE, ())
        begun = time.perf_counter()

        async def again(run, insert) -> int:
            count = 0
            while time.perf_counter() - begun < seconds:
                await run(*insert(rows))
                count += 1
            return count

        counts = await asyncio.gather(*(again(run, insert) for run, insert, _ in links))
        return Measured(sum(counts) * rows, sum(counts), time.perf_counter() - begun)
    finally:
        for _, _, close in links:
            await close()


async def _postgresql(url: str):
    import asyncpg

    connection = await asyncpg.connect(url)

    async def run(sql: str, values: tuple) -> None:
        await connection.execute(sql, *values)

    def insert(rows: int) -> tuple[str, tuple]:
        if rows == 1:
            return "INSERT INTO raw VALUES ($1, $2)", (1, PAYLOAD)
        text = "INSERT INTO raw SELECT * FROM unnest($1::bigint[], $2::text[])"
        return text, (range(rows), [PAYLOAD] * rows)

    return run, insert, connection.close


async def _mysql(url: str):
    connection = await mysql_connection(url)
    cursor = connection.cursor()

    def insert(rows: int) -> tuple[str, tuple]:
        return f"INSERT INTO raw VALUES {', '.join(['(%s, %s)'] * rows)}", (1, PAYLOAD) * rows

    return cursor.execute, insert, connection.ensure_closed


def main() -> None:
    """Measure one limit and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--scale", type=int, default=8, help="the longer: scale / 8 seconds")
    chosen = parser.parse_args()
    rows, connections = KINDS[chosen.kind]
    measured = commits(chosen.url, rows, connections, chosen.scale / 8)
    print(Figures.of(f"raw, {chosen.kind}", database_of(chosen.url), "chain", measured).line())


if __name__ == "__main__":
    main()
