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

from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.benchmarks.cell import CONTROL, Counts, ask, stored_bytes
from tests.benchmarks.databases import fresh
from tests.benchmarks.figures import Measured, database_of
from tests.benchmarks.workloads import PAD, chain_of, creations, fan, flows_at_once, nested, prompts
from tests.support.quiet import QUIET, quietness

KEPT = Path(__file__).with_name("counts.json")
FLOWS, CREATED = 4, 10_000
# Looks at the clock and for work, and claims: how often depends on what is ready at the same moment, so they have a most.
LOOKS = set(
    "now best_band keys_of_band due_of_key next_due next_deadline claim_steps claimed_flows anchors due_schedules "
    "next_schedule flow_statuses".split()
)

Short = Callable[[Engine, int], Awaitable[Measured]]
SHORT: dict[str, Short] = {
    "chain": lambda engine, flows: flows_at_once(engine, chain_of(10), {"pad": PAD}, flows, 1, 10),
    "fan-out": lambda engine, flows: flows_at_once(engine, fan("fan-out"), {"items": list(range(50))}, flows, 1, 52),
    "prompt": prompts,
    "subgraph": lambda engine, flows: flows_at_once(engine, nested(), {"pad": PAD}, flows, 1, 21),
    "carry": lambda engine, flows: flows_at_once(engine, chain_of(20, "carry"), {"big": "y" * 200_000}, flows, 1, 20),
    "create": lambda engine, flows: creations(engine, CREATED if flows > 1 else 1),
}


async def count(name: str, url: str) -> dict[str, Any]:
    """What one flow costs: of some, one after the other, after one that is not counted."""
    counts, writes = Counts(), Counter[str]()
    with quietness():
        async with Engine(LocalHost(), url, timing=QUIET, workers=0 if name == "create" else None) as engine:
            runtime: Any = engine._runtimes[1]
            await SHORT[name](engine, 1)
            await runtime.ids.reserve(3 * CREATED)  # ids are reserved in blocks: not what a flow costs
            before = await ask(url, stored_bytes(url))
            write = runtime.database.write

            async def counted(script: Any) -> Any:
                writes["done"] += 1
                return await write(script)

            runtime.database.observer, runtime.database.write = counts, counted
            measured = await SHORT[name](engine, FLOWS)
            runtime.database.observer, runtime.database.write = None, write
            after = await ask(url, stored_bytes(url))
    return _per_flow(counts, writes["done"], after - before, measured.flows)


def _per_flow(counts: Counts, writes: int, stored: int, flows: int) -> dict[str, Any]:
    def share(value: int) -> float:
        return round(value / flows, 3)

    each = {name: share(value) for name, value in sorted(counts.statements.items()) if name not in CONTROL}
    return {
        "bytes": share(stored),
        "rows": share(sum(value for name, value in counts.rows.items() if name not in CONTROL | LOOKS)),
        "statements": {name: value for name, value in each.items() if name not in LOOKS},
        "at most": {
            "writing transactions": share(writes),
            "transactions": share(counts.transactions),
            **{name: value for name, value in each.items() if name in LOOKS},
        },
    }


def measure(url: str) -> dict[str, Any]:
    """The counts of every workload: on the server of ``url``, or in SQLite files where that is empty."""
    found = {}
    for name in SHORT:
        with fresh(url) as own:
            found[name] = asyncio.run(count(name, own))
    return found


def differences(kept: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What of one database's counts is not as it was kept; one line each."""
    lines = []
    for name, was in kept.items():
        now = found[name]
        for part in ("bytes", "rows", "statements"):
            if now[part] != was[part]:
                lines.append(f"{name}: {part} were {was[part]}, are {now[part]}")
        for part, value in now["at most"].items():
            most = was["at most"].get(part, 0.0)
            if value > 1.25 * most + 1:
                lines.append(f"{name}: {part} were at most {most}, are {value}")
    return lines


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
