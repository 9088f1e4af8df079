"""What noise does not touch: transactions, statements, rows and bytes of small forms of the workloads.

``python -m tests.benchmarks.counts [--url URL] [--write]`` prints them, and with ``--write`` keeps them in counts.json,
which a test compares with. A change there is a change of what a workload costs; it is made on purpose or not at all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dwarf.engine import Engine, Timing
from dwarf.hosts import LocalHost
from tests.benchmarks.cell import CONTROL, Counts, ask, stored_bytes
from tests.benchmarks.databases import fresh
from tests.benchmarks.figures import Measured, database_of
from tests.benchmarks.workloads import PAD, chain_of, creations, fan, flows_at_once, nested, prompts

KEPT = Path(__file__).with_name("counts.json")
QUIET = Timing(recovery=3600, sweep=3600, reap=3600)
FLOWS, CREATED = 4, 10_000
# Reserved in blocks, so how often depends on how many were taken before: not what a workload costs.
NOT_COUNTED = {"reserve_ids"}

Short = Callable[[Engine, int], Awaitable[Measured]]
SHORT: dict[str, Short] = {
    "chain": lambda engine, flows: flows_at_once(engine, chain_of(10), {"pad": PAD}, flows, 1, 10),
    "fan-out": lambda engine, flows: flows_at_once(engine, fan("fan-out"), {"items": list(range(50))}, flows, 1, 52),
    "prompt": prompts,
    "subgraph": lambda engine, flows: flows_at_once(engine, nested(), {"pad": PAD}, flows, 1, 21),
    "carry": lambda engine, flows: flows_at_once(engine, chain_of(20, "carry"), {"big": "y" * 200_000}, flows, 1, 20),
    "create": lambda engine, flows: creations(engine, CREATED if flows > 1 else 1),
}


async def count(name: str, url: str) -> tuple[Counts, int, Measured]:
    """The counts of some flows, one after the other, after one that is not counted; the bytes kept of their payloads."""
    counts = Counts()
    with patch("dwarf.engine.dispatcher.LONGEST_WAIT_S", 3600.0):  # nothing looks for work by itself
        async with Engine(LocalHost(), url, timing=QUIET, workers=0 if name == "create" else None) as engine:
            await SHORT[name](engine, 1)
            before = await ask(url, stored_bytes(url))
            database: Any = engine._replicas[1].database
            database.observer = counts
            measured = await SHORT[name](engine, FLOWS)
            database.observer = None
            after = await ask(url, stored_bytes(url))
    return counts, after - before, measured


def per_flow(counts: Counts, stored: int, measured: Measured, *, server: bool) -> dict[str, Any]:
    """What one flow costs on average; each statement by name. A server reserves ids in transactions of their own."""

    def share(value: int) -> float:
        return round(value / measured.flows, 3)

    names = Counter({name: value for name, value in counts.statements.items() if name not in CONTROL | NOT_COUNTED})
    return {
        "transactions": share(counts.transactions - (counts.statements["reserve_ids"] if server else 0)),
        "statements": share(sum(names.values())),
        "rows": share(sum(value for name, value in counts.rows.items() if name not in CONTROL | NOT_COUNTED)),
        "bytes": share(stored),
        "each": {name: share(value) for name, value in sorted(names.items())},
    }


def measure(url: str) -> dict[str, Any]:
    """The counts of every workload: on the server of ``url``, or in SQLite files where that is empty."""
    found = {}
    for name in SHORT:
        with fresh(url) as own:
            found[name] = per_flow(*asyncio.run(count(name, own)), server=bool(url))
    return found


def main() -> None:
    """Print the counts, and keep them where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=os.environ.get("DWARF_TEST_POSTGRESQL_URL", ""), help="of a PostgreSQL server")
    parser.add_argument("--write", action="store_true", help="keep them in counts.json")
    chosen = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for url in dict.fromkeys(("", chosen.url)):
        kept[database_of(url or "sqlite:")] = measure(url)
    text = json.dumps(kept, indent=1) + "\n"
    if chosen.write:
        KEPT.write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
