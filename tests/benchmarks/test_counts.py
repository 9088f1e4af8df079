"""What noise does not touch: the counts of the short forms of the workloads are those that counts.json keeps.

Where one has changed on purpose, ``./scripts/with-servers python -m tests.benchmarks.counts --write`` keeps it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.benchmarks.counts import KEPT, SHORT, count, differences
from tests.benchmarks.workloads import PAD, chain_of
from tests.support.servers import fresh_database, servers

pytestmark = pytest.mark.bench

PLACES = ("SQLite", *(("PostgreSQL",) if "postgresql" in servers() else ()))


@pytest.mark.parametrize("workload", SHORT)
@pytest.mark.parametrize("place", PLACES)
async def test_a_workload_costs_what_it_did(place: str, workload: str, tmp_path: Path) -> None:
    kept = {workload: json.loads(KEPT.read_text())[place][workload]}
    if place == "SQLite":
        found = await count(workload, f"sqlite:///{tmp_path}/counts.db")
    else:
        with fresh_database("postgresql") as url:
            found = await count(workload, url.replace("{shard}", "1"))
    assert differences(kept, {workload: found}) == [], "run python -m tests.benchmarks.counts --write if that is meant"


def test_a_change_is_found() -> None:
    kept = {"chain": {"bytes": 10.0, "rows": 2.0, "statements": {"a": 1.0}, "at most": {"now": 4.0}}}

    def changed(**values: object) -> list[str]:
        return differences(kept, {"chain": {**kept["chain"], **values}})

    assert changed() == []
    assert changed(**{"at most": {"now": 6.0}}) == []
    assert changed(bytes=11.0) == ["chain: bytes were 10.0, are 11.0"]
    assert changed(statements={}) == ["chain: statements were {'a': 1.0}, are {}"]
    assert changed(**{"at most": {"now": 6.5, "looks": 1.5}}) == [
        "chain: now were at most 4.0, are 6.5",
        "chain: looks were at most 0.0, are 1.5",
    ]


async def test_chains_at_once_share_their_transactions(tmp_path: Path) -> None:
    counts, graph = Counter[str](), chain_of(10)
    async with Engine(LocalHost(), f"sqlite:///{tmp_path}/chains.db") as engine:
        await engine.run(graph, {"pad": PAD})
        engine._runtimes[1].database.observer = lambda name, rows: counts.update((name,))  # type: ignore[attr-defined]
        await asyncio.gather(*(engine.run(graph, {"pad": PAD}) for _ in range(64)))
    assert counts["begin"] < 640 / 4
    assert counts["finish_step"] + counts["insert_step"] + counts["insert_ready_step"] < 640 / 4
