"""What sleeping steps cost those who look for work: nothing, however many they are."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from dwarf.storage.operations.claim import NEXT_DUE
from dwarf.storage.operations.due_queue import BAND, KEYS, OF_KEY, OVERSLEPT
from dwarf.storage.sql.compiler import compiled
from dwarf.storage.sql.script import Statement
from tests.storage.support import opened
from tests.support.servers import fresh_database, query

MANY = 100_000
AWAKE = 20
NOW = 2_000_000_000_000
SEARCH: list[tuple[Statement, dict[str, Any]]] = [
    (BAND, {"now": NOW, "full": [], "shut": [], "crashes_below": 99, "floor": -1}),
    (KEYS, {"band": 100}),
    (OF_KEY, {"now": NOW, "full": [], "shut": [], "crashes_below": 99, "band": 100, "of_key": "", "limit": 10}),
    (NEXT_DUE, {}),
    (OVERSLEPT, {"now": NOW}),
]
COLUMNS = (
    "step_id, flow_id, token, node, task_url, status, priority, fairness_key, created_at, not_before, asleep, "
    "progress, error, traceback, answers, interrupt, refs, changes, state"
)
ROW = "{id}, 1, 't', 'N', 'n', 'pending', {band}, {key}, {id}, {due}, {asleep}, '', '', '', '', '', '', '', ''"
AWAKE_ROW = ROW.format(id="n", band=100, key="''", due=1, asleep=0)
# before all others in the order of the work: were they among them, every search would pass them
ASLEEP_ROW = ROW.format(id="n + 1000", band=1, key="'k' || n % 500", due=NOW + 1, asleep=1)


def rows(select: str, count: int, kind: str) -> str:
    numbers = (
        f"generate_series(1, {count}) n"
        if kind == "postgresql"
        else f"(WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {count}) SELECT n FROM r)"
    )
    return f"INSERT INTO dwarf_steps ({COLUMNS}) SELECT {select} FROM {numbers}"


def instructions(connection: sqlite3.Connection) -> dict[str, int]:
    """How many instructions of SQLite's machine each search takes, in tens."""
    counts: dict[str, int] = {}
    for statement, params in SEARCH:
        ticks: list[None] = []
        sql = compiled(statement, "sqlite")
        given = [json.dumps(value) if isinstance(value, list) else value for value in sql.parameters(params)]
        connection.set_progress_handler(lambda seen=ticks: seen.append(None), 10)  # type: ignore[misc]
        connection.execute(sql.sql, given).fetchall()
        connection.set_progress_handler(None, 0)
        counts[statement.name] = len(ticks)
    return counts


async def test_sleeping_steps_cost_a_search_nothing_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "flows.db"
    async with opened(f"sqlite:///{path}"):
        pass
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(rows(AWAKE_ROW, AWAKE, "sqlite"))
    before = instructions(connection)
    connection.execute(rows(ASLEEP_ROW, MANY, "sqlite"))
    assert connection.execute("SELECT COUNT(*) FROM dwarf_steps WHERE asleep = 1").fetchone() == (MANY,)
    after = instructions(connection)
    assert all(after[name] <= before[name] + 2 for name in before), (before, after)
    for statement, _ in SEARCH:
        sql = compiled(statement, "sqlite").sql
        plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", ("[]",) * sql.count("?"))]
        reads = [step for step in plan if "dwarf_steps" in step]
        assert reads
        assert all("INDEX dwarf_steps_due" in step or "INDEX dwarf_steps_asleep" in step for step in reads), plan
    connection.close()


def indexes(plan: Any) -> set[str]:
    """The indexes in a plan of PostgreSQL; the name of a table that is read without."""
    found = {plan[name] for name in ("Index Name",) if name in plan}
    if plan["Node Type"] == "Seq Scan":
        found.add(plan["Relation Name"])
    return found.union(*(indexes(part) for part in plan.get("Plans", ())))


async def blocks(database: Any) -> dict[str, int]:
    """How many blocks PostgreSQL reads for each search."""
    counts: dict[str, int] = {}
    connection = await database._driver()
    try:
        for statement, params in SEARCH:
            sql = compiled(statement, "postgresql")
            given = sql.parameters(params)
            explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql.sql}"
            await connection.fetchval(explain, *given)  # the second time it knows the tables
            plan = json.loads(await connection.fetchval(explain, *given))[0]["Plan"]
            assert indexes(plan) <= {"dwarf_steps_due", "dwarf_steps_asleep"}, (statement, plan)
            counts[statement.name] = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    finally:
        await connection.close()
    return counts


@pytest.mark.server
async def test_sleeping_steps_cost_a_search_nothing_on_postgresql() -> None:
    with fresh_database("postgresql") as template:
        url = template.format(shard=1)
        async with opened(url) as database:
            query("postgresql", rows(AWAKE_ROW, AWAKE, "postgresql") + " RETURNING 1", url=url)
            before = await blocks(database)
            query("postgresql", rows(ASLEEP_ROW, MANY, "postgresql") + " RETURNING 1", url=url)
            after = await blocks(database)
    # an index of more rows is a few levels deeper, for each of the ten steps that are looked up; had the sleeping ones
    # been passed over, there would be thousands
    assert all(after[name] <= before[name] + 40 for name in before), (before, after)
