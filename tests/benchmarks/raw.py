"""The database's own limits, by hand: what the engine is held against in the same run.

``python -m tests.benchmarks.raw KIND --url URL`` measures one of them, in a process of its own. A commit is what a step of
the chain writes, on dwarf's own tables: the step's row is finished and its successor's inserted, for one step or for 64.
On PostgreSQL that is one statement. Nothing is run, decided or waited for between two commits.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.benchmarks.bare import STEP_COLUMNS, STEP_FIXED, Job, postgresql_writer, sqlite_transaction
from tests.benchmarks.databases import file_of, is_postgresql, mysql_connection
from tests.benchmarks.figures import Figures, Measured, database_of

STATE, CHANGES = '{"pad":"%s","n":5}' % ("x" * 200), '{"n":5}'
KINDS = {"one step": (1, 1), "one step, 8 connections": (1, 8), "64 steps": (64, 1)}
Commit = Callable[[list[Job]], Awaitable[object]]
_INSERTED = ", ".join([*STEP_COLUMNS, *STEP_FIXED])
_FIXED = ", ".join(STEP_FIXED.values())

POSTGRESQL_ONE = f"""
WITH finished AS (
    UPDATE dwarf_steps SET status = 'completed', changes = $2, successor_id = $3, updated_at = $4
    WHERE step_id = $1 AND status = 'running' AND parked = 0 AND lease_seq = 1 RETURNING flow_id
)
INSERT INTO dwarf_steps ({_INSERTED})
SELECT $3, flow_id, $5, $6::int, $7, $1, $8, $4::bigint, $4 + 150000, $4, $4, $4, {_FIXED} FROM finished
"""
MYSQL_FINISH = (
    "UPDATE dwarf_steps SET status = 'completed', changes = %s, successor_id = %s, updated_at = %s "
    "WHERE step_id = %s AND status = 'running' AND parked = 0 AND lease_seq = 1"
)
MYSQL_STEP = f"INSERT INTO dwarf_steps ({_INSERTED}) VALUES ({', '.join(['%s'] * len(STEP_COLUMNS))}, {_FIXED})"


def steps_of(number: int, rows: int) -> Iterator[list[Job]]:
    """What one connection commits, without end: first steps that are new, then each time their successors."""
    ids = itertools.count(1 + number * 10**12)
    held = [0] * rows
    for depth in itertools.count(1):
        group = []
        for position, step in enumerate(held):
            following = held[position] = next(ids)
            job = Job(None, step=step, changes=CHANGES, flow=number * 1000 + position, next_step=following)
            job.next_token, job.depth, job.state = "0123456789abcdef", depth, STATE
            group.append(job)
        yield group


async def commits(url: str, rows: int = 1, connections: int = 1, seconds: float = 1.0) -> Measured:
    """Commit for so long. SQLite: WAL, synchronous=FULL, and one connection, whatever is asked for."""
    async with Engine(LocalHost(), url, workers=0):
        pass  # the tables are made
    if url.startswith("sqlite"):
        return _sqlite(file_of(url), rows, seconds)
    open_one = _postgresql if is_postgresql(url) else _mysql
    links = [await open_one(url, rows) for _ in range(connections)]
    sources = [steps_of(number, rows) for number in range(connections)]
    try:
        for (commit, _), source in zip(links, sources, strict=True):
            await commit(next(source))
        begun = time.perf_counter()

        async def again(commit: Commit, source: Iterator[list[Job]]) -> int:
            count = 0
            while time.perf_counter() - begun < seconds:
                await commit(next(source))
                count += 1
            return count

        counts = await asyncio.gather(*(again(link[0], source) for link, source in zip(links, sources, strict=True)))
        return Measured(sum(counts) * rows, sum(counts), time.perf_counter() - begun)
    finally:
        for _, close in links:
            await close()


def _sqlite(path: str, rows: int, seconds: float) -> Measured:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        source, count = steps_of(0, rows), 0
        sqlite_transaction(connection, next(source))
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            sqlite_transaction(connection, next(source))
            count += 1
        return Measured(count * rows, count, time.perf_counter() - begun)
    finally:
        connection.close()


async def _postgresql(url: str, rows: int) -> tuple[Commit, Callable[[], Awaitable[None]]]:
    import asyncpg

    connection = await asyncpg.connect(url)
    await connection.execute("SET enable_seqscan = off; SET jit = off")
    many = postgresql_writer(connection)

    async def one(group: list[Job]) -> None:
        (job,) = group
        now = time.time_ns() // 1_000_000
        done = await connection.execute(
            *(POSTGRESQL_ONE, job.step, job.changes, job.next_step, now, job.next_token, job.depth, f"N{job.depth}"),
            job.state,
        )
        assert done == "INSERT 0 1", done

    async def commit(group: list[Job]) -> None:
        if group[0].step and rows == 1:
            await one(group)
        else:
            landed = await many(group)
            assert len(landed) == sum(bool(job.step) for job in group), landed

    return commit, connection.close


async def _mysql(url: str, rows: int) -> tuple[Commit, Callable[[], Awaitable[None]]]:
    connection = await mysql_connection(url)
    cursor = connection.cursor()

    async def commit(group: list[Job]) -> None:
        now = time.time_ns() // 1_000_000
        await connection.begin()
        finished = [(job.changes, job.next_step, now, job.step) for job in group if job.step]
        if finished:
            assert await cursor.executemany(MYSQL_FINISH, finished) == len(finished)
        added: list[tuple[Any, ...]] = [
            (job.next_step, job.flow, job.next_token, job.depth, "N", job.step, job.state, *(now,) * 5) for job in group
        ]
        await cursor.executemany(MYSQL_STEP, added)
        await connection.commit()

    return commit, connection.ensure_closed


def main() -> None:
    """Measure one limit and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--scale", type=int, default=8, help="the longer: scale / 8 seconds")
    chosen = parser.parse_args()
    rows, connections = KINDS[chosen.kind]
    measured = asyncio.run(commits(chosen.url, rows, connections, chosen.scale / 8))
    print(Figures.of(f"raw, {chosen.kind}", database_of(chosen.url), "chain", measured).line())


if __name__ == "__main__":
    main()
