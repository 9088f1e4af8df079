"""``python -m tests.benchmarks.bare --url URL``: the chain as a bare loop of group commits, on dwarf's own tables.

What an engine could reach that did nothing but the writing: flows of ten trivial steps, 64 at once. Each completion is
fenced by the lease of its row; the successor is inserted leased and goes on in memory once its group is committed.
There is no claim, no routing, no timeout, no retry and no error path. On PostgreSQL a group is one statement and so one
round trip; on SQLite it is one call on a thread of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import secrets
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson

from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.benchmarks.cell import meter_of, setting_of
from tests.benchmarks.databases import file_of
from tests.benchmarks.figures import Figures, at_once, database_of
from tests.benchmarks.meter import peak_memory

STEPS, LIMIT, LARGEST = 10, 64, 512
PAD = "x" * 200
BUDGET_MS = 120_000
GRAPH = "0" * 64

_FLOW = "flow_id token workflow_url workflow_name graph_hash status root_flow_id thread_id thread_token time_budget_ms"
STEP_COLUMNS = (
    "step_id flow_id token depth node predecessor_id state not_before lease_expires created_at started_at updated_at"
).split()
# as every step of the chain has them, by column
STEP_FIXED = {
    "task_url": "'count_up'",
    "status": "'running'",
    "time_budget_ms": str(BUDGET_MS),
    "lease_seq": "1",
    "engine_id": "1",
    **dict.fromkeys("progress error traceback answers interrupt refs changes".split(), "''"),
}
_STEP, _FIXED = ", ".join([*STEP_COLUMNS, *STEP_FIXED]), ", ".join(STEP_FIXED.values())
_EMPTY_FLOW = "error cancel_reason baggage final_state"
_NOW_PG = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

POSTGRESQL = f"""
WITH moment AS MATERIALIZED (SELECT {_NOW_PG} AS now),
fenced AS (
    UPDATE dwarf_steps AS s SET status = 'completed', changes = g.changes, successor_id = g.successor, updated_at = now
    FROM moment, unnest($1::bigint[], $2::bigint[], $3::text[]) AS g(id, successor, changes)
    WHERE s.step_id = g.id AND s.status = 'running' AND s.parked = 0 AND s.lease_seq = 1 RETURNING s.step_id
),
ended AS (
    UPDATE dwarf_flows AS f SET status = 'completed', final_state = g.final, updated_at = now
    FROM moment, unnest($4::bigint[], $5::bigint[], $6::text[]) AS g(id, step, final)
    JOIN fenced ON fenced.step_id = g.step WHERE f.flow_id = g.id AND f.status = 'running'
),
created AS (
    INSERT INTO dwarf_flows ({", ".join(_FLOW.split() + _EMPTY_FLOW.split())}, created_at, started_at, updated_at)
    SELECT g.id, g.token, 'bare', 'bare', '{GRAPH}', 'running', g.id, g.id, g.token, {BUDGET_MS}, '', '', '', '', now, now, now
    FROM moment, unnest($7::bigint[], $8::text[]) AS g(id, token)
),
added AS (
    INSERT INTO dwarf_steps ({_STEP})
    SELECT g.id, g.flow, g.token, g.depth, g.node, g.before, g.state, now, now + {BUDGET_MS + 30_000}, now, now, now, {_FIXED}
    FROM moment, unnest($9::bigint[], $10::bigint[], $11::text[], $12::int[], $13::text[], $14::bigint[], $15::text[])
        AS g(id, flow, token, depth, node, before, state)
    LEFT JOIN fenced ON fenced.step_id = g.before WHERE g.before = 0 OR fenced.step_id IS NOT NULL
)
SELECT step_id FROM fenced
"""
SQLITE_FINISH = (
    "UPDATE dwarf_steps SET status = 'completed', changes = ?, successor_id = ?, updated_at = ? "
    "WHERE step_id = ? AND status = 'running' AND parked = 0 AND lease_seq = 1"
)
SQLITE_END = "UPDATE dwarf_flows SET status = 'completed', final_state = ?, updated_at = ? WHERE flow_id = ? AND status = 'running'"
SQLITE_FLOW = (
    f"INSERT INTO dwarf_flows ({', '.join(_FLOW.split() + _EMPTY_FLOW.split())}, created_at, started_at, updated_at) VALUES "
    f"(?1, ?2, 'bare', 'bare', '{GRAPH}', 'running', ?1, ?1, ?2, {BUDGET_MS}, '', '', '', '', ?3, ?3, ?3)"
)
SQLITE_STEP = f"INSERT INTO dwarf_steps ({_STEP}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8 + {BUDGET_MS + 30_000}, ?8, ?8, ?8, {_FIXED})"


@dataclass(slots=True)
class Job:
    """What one step, or one creation, hands in. An id of 0: nothing of that kind."""

    done: asyncio.Future[None] | None
    step: int = 0
    changes: str = ""
    flow: int = 0
    token: str = ""
    final: str | None = None
    next_step: int = 0
    next_token: str = ""
    depth: int = 0
    state: str = ""


Write = Callable[[list[Job]], Any]


class Loop:
    """Everything that is ready goes into one group; while it is written the next one gathers."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._jobs: list[Job] = []
        self._wake = asyncio.Event()
        self.ids = itertools.count(10**9)
        self.groups = 0

    async def submit(self, **values: Any) -> None:
        """Have a job written. It is durable when this returns."""
        job = Job(asyncio.get_running_loop().create_future(), **values)
        self._jobs.append(job)
        self._wake.set()
        assert job.done is not None
        await job.done

    async def run(self) -> None:
        """Commit, until it is cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(0)
            group, self._jobs = self._jobs[:LARGEST], self._jobs[LARGEST:]
            if not self._jobs:
                self._wake.clear()
            landed = await self._write(group)
            self.groups += 1
            for job in group:
                assert job.done is not None
                if job.step and job.step not in landed:
                    job.done.set_exception(AssertionError(f"step {job.step} was fenced out"))
                else:
                    job.done.set_result(None)

    async def flow(self) -> None:
        """One flow of ten steps."""
        ids, token = self.ids, secrets.token_hex(8)
        flow, step = next(ids), next(ids)
        state: dict[str, Any] = {"pad": PAD}
        stored = orjson.dumps(state).decode()
        await self.submit(flow=flow, token=token, next_step=step, next_token=token, depth=1, state=stored)
        for depth in range(1, STEPS + 1):
            changes = await count_up(orjson.loads(stored))
            state = {**state, **changes}
            written, stored = orjson.dumps(changes).decode(), orjson.dumps(state).decode()
            if depth == STEPS:
                await self.submit(step=step, changes=written, flow=flow, final=stored)
            else:
                after, own = next(ids), secrets.token_hex(8)
                await self.submit(
                    step=step,
                    changes=written,
                    flow=flow,
                    next_step=after,
                    next_token=own,
                    depth=depth + 1,
                    state=stored,
                )
                step = after


async def count_up(state: dict[str, Any]) -> dict[str, Any]:
    """The trivial task."""
    return {"n": state.get("n", 0) + 1}


def postgresql_writer(connection: Any) -> Write:
    """One statement for a group."""

    async def write(group: list[Job]) -> set[int]:
        finished = [job for job in group if job.step]
        ended = [job for job in finished if job.final is not None]
        created = [job for job in group if not job.step]
        added = [job for job in group if job.next_step]
        rows = await connection.fetch(
            POSTGRESQL,
            [job.step for job in finished],
            [job.next_step for job in finished],
            [job.changes for job in finished],
            [job.flow for job in ended],
            [job.step for job in ended],
            [job.final for job in ended],
            [job.flow for job in created],
            [job.token for job in created],
            [job.next_step for job in added],
            [job.flow for job in added],
            [job.next_token for job in added],
            [job.depth for job in added],
            [f"N{job.depth - 1}" for job in added],
            [job.step for job in added],
            [job.state for job in added],
        )
        return {row[0] for row in rows}

    return write


def sqlite_transaction(connection: sqlite3.Connection, group: list[Job]) -> set[int]:
    """Write a group in one transaction; the steps that landed."""
    now = time.time_ns() // 1_000_000
    finished = [job for job in group if job.step]
    connection.execute("BEGIN IMMEDIATE")
    rows = ((job.changes, job.next_step, now, job.step) for job in finished)
    landed = connection.executemany(SQLITE_FINISH, rows).rowcount
    if landed not in (len(finished), -1):
        raise AssertionError(f"{len(finished) - landed} steps were fenced out")
    ended = [(job.final, now, job.flow) for job in finished if job.final is not None]
    if ended:
        connection.executemany(SQLITE_END, ended)
    created = [(job.flow, job.token, now) for job in group if not job.step]
    if created:
        connection.executemany(SQLITE_FLOW, created)
    added = [
        (job.next_step, job.flow, job.next_token, job.depth, f"N{job.depth - 1}", job.step, job.state, now)
        for job in group
        if job.next_step
    ]
    connection.executemany(SQLITE_STEP, added)
    connection.execute("COMMIT")
    return {job.step for job in finished}


def sqlite_writer(path: str, thread: ThreadPoolExecutor) -> Write:
    """One call for a group, on the thread."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")

    async def write(group: list[Job]) -> set[int]:
        return await asyncio.get_running_loop().run_in_executor(thread, sqlite_transaction, connection, group)

    return write


async def measure(scale: int, url: str) -> Figures:
    """The chain, on tables that dwarf has made."""
    async with Engine(LocalHost(), url, workers=0):
        pass
    meter, thread, connection = await meter_of(url, "bare"), ThreadPoolExecutor(1, "bare"), None
    if url.startswith("sqlite"):
        write = sqlite_writer(file_of(url), thread)
    else:
        import asyncpg

        connection = await asyncpg.connect(url)
        await connection.execute("SET enable_seqscan = off; SET jit = off")
        write = postgresql_writer(connection)
    loop = Loop(write)
    committer = asyncio.create_task(loop.run())
    try:
        await at_once(loop.flow, LIMIT, LIMIT, STEPS)
        loop.groups = 0
        meter.start()
        measured = await at_once(loop.flow, LIMIT * scale, LIMIT, STEPS)
        own, other = meter.stop()
    finally:
        committer.cancel()
        thread.shutdown()
        if connection is not None:
            await connection.close()
    figures = Figures.of("bare group commit", database_of(url), "chain", measured)
    figures.engine_cpu = own / measured.steps * 1e6
    figures.database_cpu = None if other is None else other / measured.steps * 1e6
    figures.transactions = loop.groups / measured.steps
    figures.peak, figures.setting, figures.others = peak_memory(), await setting_of(url), meter.others
    return figures


def main() -> None:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", nargs="?", default="chain", choices=["chain"])
    parser.add_argument("--scale", type=int, default=8)
    parser.add_argument("--url", required=True)
    chosen = parser.parse_args()
    print(asyncio.run(measure(chosen.scale, chosen.url)).line())


if __name__ == "__main__":
    main()
