"""``python -m tests.benchmarks.cell WORKLOAD --scale N --url URL``: one workload of dwarf, in a process of its own.

It prints one line of JSON. A process for each workload makes its peak of memory its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.storage.sql.tables import Payload, metadata
from tests.benchmarks.databases import file_of, is_postgresql
from tests.benchmarks.figures import Figures, Measured, database_of
from tests.benchmarks.meter import Meter, peak_memory, server_of
from tests.benchmarks.workloads import PREPARED, WITHOUT_WORKERS, WORKLOADS

CONTROL = {"begin", "commit", "rollback", "savepoint", "release", "first"}


class Counts:
    """Transactions, statements and rows while it is attached to an engine's database."""

    def __init__(self) -> None:
        self.statements: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()

    def __call__(self, name: str, rows: int) -> None:
        self.statements[name] += 1
        self.rows[name] += rows

    @property
    def transactions(self) -> int:
        """Reading ones too."""
        return self.statements["begin"]

    @property
    def total(self) -> int:
        """Statements but for the borders of transactions."""
        return sum(count for name, count in self.statements.items() if name not in CONTROL)

    @property
    def total_rows(self) -> int:
        """Rows written and read."""
        return sum(self.rows.values())


def stored_bytes(url: str) -> str:
    """The query of the bytes of payload that a database holds."""
    length = "octet_length" if is_postgresql(url) else "length"
    of_tables = []
    for table in metadata.sorted_tables:
        columns = [column.name for column in table.columns if isinstance(column.type, Payload)]
        if columns:
            text = [f"CAST({name} AS BLOB)" if url.startswith("sqlite") else name for name in columns]
            total = " + ".join(f"coalesce({length}({name}), 0)" for name in text)  # NULL where there is none
            of_tables.append(f"(SELECT coalesce(sum({total}), 0) FROM {table.name})")
    return f"SELECT {' + '.join(of_tables)}"


async def ask(url: str, query: str) -> Any:
    """One value from a database."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(file_of(url))
        try:
            return connection.execute(query).fetchone()[0]
        finally:
            connection.close()
    if is_postgresql(url):
        import asyncpg

        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()
    return None


async def meter_of(url: str, *threads: str) -> Meter:
    """A meter for a database: the server's processes, or the threads that serve a file."""
    if not is_postgresql(url):
        return Meter(threads=threads if url.startswith("sqlite") else ())
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        return Meter(await server_of(connection.fetchval, connection._addr[0]))
    finally:
        await connection.close()


async def setting_of(url: str) -> str:
    """How durable a commit is there."""
    if url.startswith("sqlite"):
        return f"SQLite {sqlite3.sqlite_version}, file, WAL, synchronous=FULL"
    if not is_postgresql(url):
        return database_of(url)
    version = str(await ask(url, "SHOW server_version")).split()[0]
    fsync, commit = await ask(url, "SHOW fsync"), await ask(url, "SHOW synchronous_commit")
    return f"PostgreSQL {version}, fsync={fsync}, synchronous_commit={commit}"


async def measure(name: str, scale: int, url: str) -> tuple[Measured, Counts, Figures]:
    """Run one workload on an empty database. The first run of the workload, of the smallest scale, is not counted."""
    meter, counts, host = await meter_of(url, "dwarf-sqlite", "Thread-"), Counts(), LocalHost()
    if name in PREPARED:
        prepare, task = PREPARED[name]
        async with Engine(LocalHost(), url, workers=0) as engine:
            await prepare(engine, scale)
        host.add_task(task.__name__, task)
    before = await ask(url, stored_bytes(url)) if name in PREPARED else 0
    meter.start()
    async with Engine(host, url, workers=0 if name in WITHOUT_WORKERS else None) as engine:
        if name not in PREPARED:
            await WORKLOADS[name](engine, 1)
            before = await ask(url, stored_bytes(url)) or 0
            gc.collect()
            meter.start()
        database: Any = engine._runtimes[1].database
        database.observer = counts
        measured = await WORKLOADS[name](engine, scale)
        own, other = meter.stop()
        database.observer = None
        after = await ask(url, stored_bytes(url)) or 0
    figures = Figures.of("dwarf", database_of(url), name, measured)
    per_step = 1 / measured.steps
    figures.engine_cpu = own * per_step * 1e6
    figures.database_cpu = None if other is None else other * per_step * 1e6
    figures.transactions, figures.statements = counts.transactions * per_step, counts.total * per_step
    figures.rows, figures.bytes = counts.total_rows * per_step, (after - before) * per_step if after else None
    figures.peak, figures.setting, figures.others = peak_memory(), await setting_of(url), meter.others
    return measured, counts, figures


def main() -> None:
    """Measure one workload and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--scale", type=int, default=8)
    parser.add_argument("--url", required=True)
    parser.add_argument("--detail", default="", help="a file for the counts of each statement")
    chosen = parser.parse_args()
    _, counts, figures = asyncio.run(measure(chosen.workload, chosen.scale, chosen.url))
    if chosen.detail:
        lines = [f"{name:<26} {count:>8} {counts.rows[name]:>9}" for name, count in counts.statements.most_common()]
        Path(chosen.detail).write_text("\n".join(lines) + "\n")
    print(figures.line())


if __name__ == "__main__":
    main()
