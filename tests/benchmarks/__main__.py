"""``python -m tests.benchmarks [--scale N] [--url URL] [workload ...]`` prints a table of the engine on a database.

Without a URL that is a SQLite file with WAL and synchronous=FULL. With the URL of a server each workload gets a schema of
its own there, dropped at the end. One process. Rates vary with the machine and its other load; the ratios to the raw
commits of the same run, and the counts of transactions and statements per step, vary little.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.benchmarks.raw import batched_rows, schema, server_commits, single_commits
from tests.benchmarks.workloads import WORKLOADS, Measured


async def measure(name: str, scale: int, folder: Path, url: str = "") -> tuple[Measured, Counter[str], float]:
    """Run one workload on a fresh file, or an empty database: its figures, its statements, its CPU seconds."""
    counts: Counter[str] = Counter()
    url = url or f"sqlite:///{folder / name}.db"
    async with Engine(LocalHost(), url, workers=0 if name == "create" else None) as engine:
        await WORKLOADS[name](engine, 1)
        database = engine._replicas[1].database
        database.observer = lambda statement, rows: counts.update((statement,))  # type: ignore[attr-defined]
        cpu = time.process_time()
        measured = await WORKLOADS[name](engine, scale)
        return measured, counts, time.process_time() - cpu


def row(name: str, measured: Measured, counts: Counter[str], cpu: float, raw: float) -> str:
    """One line of the table."""
    rate = measured.steps / measured.seconds
    statements = sum(counts.values()) - counts["begin"] - counts["commit"] - counts["rollback"]
    return (
        f"{name:<10} {rate:>9,.0f} {measured.flows / measured.seconds:>9,.0f} {rate / raw:>7.2f} "
        f"{measured.percentile(0.5):>8.2f} {measured.percentile(0.99):>8.2f} {cpu / measured.steps * 1e6:>9.0f} "
        f"{counts['commit'] / measured.steps:>8.3f} {statements / measured.steps:>8.3f}"
    )


HEAD = (
    f"{'workload':<10} {'steps/s':>9} {'flows/s':>9} {'x raw':>7} {'p50 ms':>8} {'p99 ms':>8} {'CPU us/st':>9} "
    f"{'txn/st':>8} {'stmt/st':>8}"
)


def main() -> None:
    """Measure what was asked for, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []], help="default: all of them")
    parser.add_argument("--scale", type=int, default=8, help="how much of each (default 8)")
    parser.add_argument("--url", default="", help="of a database server (default: a SQLite file)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        print(HEAD)
        for name in chosen.workloads or WORKLOADS:
            with schema(chosen.url) if chosen.url else nullcontext("") as url:
                commits = partial(server_commits, url) if url else partial(single_commits, place / "raw.db")
                before = commits()
                measured, counts, cpu = asyncio.run(measure(name, chosen.scale, place, url))
                raw = (before + commits()) / 2
            print(row(name, measured, counts, cpu, raw), f"  raw commits/s {raw:,.0f}", flush=True)
        if not chosen.url:
            print(f"raw rows/s in commits of 64: {batched_rows(place / 'raw.db'):,.0f}")


if __name__ == "__main__":
    main()
