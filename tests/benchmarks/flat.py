"""``python -m tests.benchmarks.flat [stored|pending|wide|idle ...] [--postgresql | --url URL] [--long]``: what size costs.

``stored``: the chain among 1,000 to 100,000 completed flows of three steps each, and 1,000,000 with ``--long``.
``pending``: one-step flows worked off while 10 to 100,000 wait. ``wide``: one fan-out of 100 to 10,000 branches.
``idle``: an engine with nothing to do. What counts is the CPU of a step, and the last column: its multiple of the
CPU at the size before which the goal begins; rates vary with the machine and its other load.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass

from dwarf import END, Flow, Graph
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.benchmarks.cell import Counts, ask, meter_of
from tests.benchmarks.databases import file_of, fresh, is_postgresql
from tests.benchmarks.figures import Measured
from tests.benchmarks.suite import ROOT
from tests.benchmarks.workloads import PAD, chain, fan, flows_at_once

RUNS = 5
STORED = (1_000, 10_000, 100_000)
PENDING = (10, 1_000, 100_000)
WIDTHS = (100, 1_000, 10_000)
DRAINED = 5_000  # so many of what is pending are worked off
IDLE_S = 30.0
_FLOW = (
    "INSERT INTO dwarf_flows (flow_id, token, workflow_url, workflow_name, graph_hash, baggage, status, root_flow_id, "
    "thread_id, thread_token, final_state, error, cancel_reason, created_at, started_at, updated_at) "
    "SELECT i, '0', 'stored', 'stored', '0', '', 'completed', i, i, '0', {state}, '', '', {moment}, {moment}, {moment} "
)
_STEP = (
    "INSERT INTO dwarf_steps (step_id, flow_id, token, depth, node, task_url, state, status, predecessor_id, "
    "successor_id, created_at, started_at, updated_at, refs, changes, error, traceback, answers, interrupt, progress) "
    "SELECT 3 * i + {place}, i, '0', {place} + 1, 'N', 'n', {state}, 'completed', 0, 0, {moment}, {moment}, {moment}, "
    "'', '', '', '', '', '', '' "
)
_STATE = '\'{"pad":"' + PAD + "\"}'"


@dataclass
class Point:
    """One size: how it was run, and the CPU of a step in microseconds, of engine and database."""

    size: int
    rate: float
    engine: float
    database: float | None
    statements: float

    @property
    def cpu(self) -> float:
        """Both together."""
        return self.engine + (self.database or 0.0)


def fill_commands(url: str, first: int, count: int) -> list[str]:
    """SQL that stores completed flows of three steps each, and keeps their ids from being given again."""
    last = first + count - 1
    if is_postgresql(url):
        numbers = f"FROM generate_series({first}::bigint, {last}) AS numbers(i)"
        before = ""
    else:
        numbers = "FROM numbers"
        before = f"WITH RECURSIVE numbers(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM numbers WHERE i < {last}) "
    moment = "1700000000000 + i"
    parts = [_FLOW.format(state=_STATE, moment=moment)]
    parts += [_STEP.format(state=_STATE, moment=moment, place=place) for place in range(3)]
    return [
        *(before + part + numbers for part in parts),
        f"UPDATE dwarf_ids SET next_id = {3 * last + 10}",
        "ANALYZE",
    ]


async def execute(url: str, commands: list[str]) -> None:
    """Run commands, each committed by itself."""
    if not is_postgresql(url):
        with closing(sqlite(url)) as connection:
            for command in commands:
                connection.execute(command)
        return
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        for command in commands:
            await connection.execute(command, timeout=900)
    finally:
        await connection.close()


def sqlite(url: str):
    """A connection in autocommit mode."""
    import sqlite3

    return sqlite3.connect(file_of(url), isolation_level=None)


async def _point(url: str, size: int, engine: Engine, run: object, runs: int = RUNS) -> Point:
    """The medians of some runs on a running engine, after one that is not counted."""
    meter, found = await meter_of(url, "dwarf-sqlite", "Thread-"), []
    await run(engine)  # type: ignore[operator]
    database = engine._runtimes[1].database
    for _ in range(runs):
        counts = database.observer = Counts()  # type: ignore[attr-defined]
        meter.start()
        measured: Measured = await run(engine)  # type: ignore[operator]
        own, other = meter.stop()
        found.append((measured.steps / measured.seconds, own, other or 0.0, counts.total, measured.steps))
    steps = found[0][4]
    rate, own, other, total = (statistics.median(column) for column in list(zip(*found, strict=True))[:4])
    return Point(size, rate, own / steps * 1e6, other / steps * 1e6, total / steps)


async def stored(url: str, sizes: tuple[int, ...]) -> AsyncIterator[Point]:
    """The chain, among more and more completed flows."""
    async with Engine(LocalHost(), url, workers=0):
        pass
    there = 0
    for size in sizes:
        first = int(await ask(url, "SELECT max(next_id) FROM dwarf_ids")) + 1
        await execute(url, fill_commands(url, first, size - there))
        there = size
        async with Engine(LocalHost(), url) as engine:
            yield await _point(url, size, engine, lambda engine: chain(engine, 4))


async def pending(url: str, sizes: tuple[int, ...]) -> AsyncIterator[Point]:
    """One-step flows worked off while many wait. With few of them, several times over."""
    for size in sizes:
        points = [await _drain(url, size) for _ in range(RUNS if size <= DRAINED else 1)]
        yield sorted(points, key=lambda point: point.cpu)[len(points) // 2]


async def _drain(url: str, size: int) -> Point:
    wanted, enough, left = min(size, DRAINED), asyncio.Event(), [0]

    async def work(flow: Flow) -> None:
        left[0] -= 1
        if left[0] == 0:
            enough.set()

    left[0] = wanted
    graph = Graph("pending").add_node("Work", work).add_transition("Work", END)
    async with Engine(LocalHost(), url, workers=0) as engine:
        await engine.create_many(graph, ({"pad": PAD} for _ in range(size)))
    host, meter, counts = LocalHost(), await meter_of(url, "dwarf-sqlite", "Thread-"), Counts()
    host.add_task("work", work)
    loop = asyncio.get_running_loop()
    async with Engine(host, url) as engine:
        begun = loop.time()
        meter.start()
        engine._runtimes[1].database.observer = counts  # type: ignore[attr-defined]
        await enough.wait()
        own, other = meter.stop()
        seconds = loop.time() - begun
    await execute(url, ["DELETE FROM dwarf_steps WHERE status <> 'completed'", "DELETE FROM dwarf_flows"])
    micro = 1e6 / wanted
    return Point(size, wanted / seconds, own * micro, None if other is None else other * micro, counts.total / wanted)


async def wide(url: str, sizes: tuple[int, ...]) -> AsyncIterator[Point]:
    """One fan-out at a time."""
    graph = fan("wide")
    async with Engine(LocalHost(), url) as engine:
        for size in sizes:
            flows = max(1, 2_000 // size)

            def run(engine: Engine, size: int = size, flows: int = flows):
                return flows_at_once(engine, graph, {"items": list(range(size))}, flows, 1, size + 2)

            yield await _point(url, size, engine, run, 3)


async def idle(url: str, seconds: float) -> str:
    """An engine with nothing to do, after it has done something."""
    async with Engine(LocalHost(), url) as engine:
        await chain(engine, 1)
        await asyncio.sleep(2)
        meter, counts = await meter_of(url, "dwarf-sqlite", "Thread-"), Counts()
        engine._runtimes[1].database.observer = counts  # type: ignore[attr-defined]
        meter.start()
        await asyncio.sleep(seconds)
        own, other = meter.stop()
        cpu = (own + (other or 0.0)) / seconds
        detail = ", ".join(f"{name} {count}" for name, count in counts.statements.most_common(8))
        return (
            f"idle for {seconds:g} s: {cpu:.2%} CPU ({own / seconds:.2%} engine), {counts.total / seconds:.2f} statements/s, "
            f"{counts.transactions / seconds:.2f} transactions/s ({detail})"
        )


async def report(kind: str, url: str, *, long: bool) -> None:
    """Print one table, line by line as it is measured."""
    place = "PostgreSQL" if is_postgresql(url) else "SQLite, file, WAL, FULL"
    if kind == "idle":
        print(f"\n{place}: {await idle(url, IDLE_S)}", flush=True)
        return
    sizes = {"stored": STORED + ((1_000_000,) if long else ()), "pending": PENDING, "wide": WIDTHS}[kind]
    measure = {"stored": stored, "pending": pending, "wide": wide}[kind]
    print(
        f"\n{kind}, {place}\n{'size':>10} {'steps/s':>9} {'CPU us':>8} {'db us':>8} {'stmt/step':>9} {'x CPU':>6}",
        flush=True,
    )
    first: Point | None = None
    async for point in measure(url, sizes):
        first = first or point
        database = "" if point.database is None else f"{point.database:,.0f}"
        print(
            f"{point.size:>10,} {point.rate:>9,.0f} {point.engine:>8,.0f} {database:>8} {point.statements:>9.3f} "
            f"{point.cpu / first.cpu:>6.2f}",
            flush=True,
        )


def main() -> int:
    """Measure what was asked for, or everything."""
    kinds = ("stored", "pending", "wide", "idle")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", choices=[*kinds, []])
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL too, on a private server")
    parser.add_argument("--url", default="", help="on this PostgreSQL server too")
    parser.add_argument("--long", action="store_true", help="among 1,000,000 stored flows as well")
    chosen = parser.parse_args()
    known = os.environ.get("DWARF_TEST_POSTGRESQL_URL", "")
    if chosen.postgresql and not chosen.url and not known:
        command = [str(ROOT / "scripts" / "with-servers"), sys.executable, "-m", "tests.benchmarks.flat", *sys.argv[1:]]
        environment = {**os.environ, "DWARF_SERVERS_FSYNC": "1", "DWARF_SERVERS": "postgresql"}
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    server = chosen.url or (known if chosen.postgresql else "")
    for base in dict.fromkeys(("", server)):
        for kind in chosen.kinds or kinds:
            with fresh(base) as url:
                asyncio.run(report(kind, url, long=chosen.long))
    return 0


if __name__ == "__main__":
    sys.exit(main())
