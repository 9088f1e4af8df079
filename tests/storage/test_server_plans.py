"""How PostgreSQL finds rows that are named by their ids: by the primary key, whatever it believes of a small table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dwarf.storage.drivers.batches import fetch_batch, update_batch, write_set_batch
from dwarf.storage.operations.claim import CLAIM
from dwarf.storage.operations.cohorts import ARRIVE
from dwarf.storage.operations.complete import CALLERS, END_FLOW, MEMBERS, REVIVE, REVIVE_LEASED, SPAWNS
from dwarf.storage.operations.due_queue import OF_KEY, WAKE
from dwarf.storage.operations.interrupts import ONE_LEAF_WHOLE, RESUME_FLOW, RESUME_LEASED, RESUME_STEP
from dwarf.storage.operations.output import PROGRESS
from dwarf.storage.operations.own_rows import ASK, CALL, FAIL, FINISH, FINISH_PLAIN, RETRY
from dwarf.storage.operations.recovery import RELEASE, REWIND
from dwarf.storage.operations.unit_of_work import LINK_MEMBERS
from dwarf.storage.payloads.state_refs import ANCHORS
from dwarf.storage.sql.compiler import compiled
from dwarf.storage.sql.rows import INSERT_FLOW, INSERT_READY_STEP, INSERT_STEP
from dwarf.storage.sql.script import AggregatedUpdate, InsertMany, Statement, UpdateEach, WriteSet
from tests.storage.support import opened, url_of
from tests.support.servers import servers

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif("postgresql" not in servers(), reason="needs PostgreSQL: see scripts/with-servers"),
]
BATCHES = (
    FINISH,
    FINISH_PLAIN,
    FAIL,
    RETRY,
    ASK,
    CALL,
    END_FLOW,
    PROGRESS,
    RELEASE,
    RESUME_STEP,
    RESUME_LEASED,
    REVIVE,
    REVIVE_LEASED,
)
LISTS = (CLAIM, WAKE, REWIND, SPAWNS, ANCHORS, CALLERS)
LANDING = WriteSet(
    [UpdateEach(FINISH, [])],
    [(UpdateEach(END_FLOW, []), []), (InsertMany(INSERT_FLOW, []), []), (InsertMany(INSERT_READY_STEP, []), [])],
)
ARRIVAL = WriteSet([UpdateEach(FINISH, [])], [(AggregatedUpdate(ARRIVE, []), [])])
LINKS = WriteSet([UpdateEach(LINK_MEMBERS, [])], [(InsertMany(INSERT_STEP, []), [])])


EMPTY = "progress, error, traceback, answers, interrupt, refs, changes, state"
FILL_STEPS = f"""
INSERT INTO dwarf_steps (step_id, flow_id, lineage_id, token, depth, node, task_url, status, time_budget_ms, {EMPTY})
SELECT n, n / 10, 10 * (n / 50), '', 1, 'N', 'u', (ARRAY['completed', 'pending', 'running'])[1 + n % 3], 1, '', '', '', '', '', '', '', ''
FROM generate_series(1, 9000) AS numbers (n)"""
FILL_FLOWS = """
INSERT INTO dwarf_flows
    (flow_id, token, workflow_url, workflow_name, graph_hash, status, error, cancel_reason, baggage, final_state)
SELECT n, '', 'u', 'u', '', (ARRAY['completed', 'running'])[1 + n % 2], '', '', '', ''
FROM generate_series(1, 900) AS numbers (n)"""
FILLED = (FILL_STEPS, FILL_FLOWS)
EMPTIED = ("TRUNCATE dwarf_steps", "TRUNCATE dwarf_flows")
ANALYSED = ("ANALYZE dwarf_steps", "ANALYZE dwarf_flows")
STATES = {
    "new": (),
    "analysed": (*FILLED, *ANALYSED),
    "emptied and analysed": (*FILLED, *EMPTIED, *ANALYSED),
}


@pytest.fixture(params=STATES)
async def connection(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[asyncpg.Connection[Any]]:
    """One of the engine's own, on tables that are new, well known, or known as empty."""
    with url_of("postgresql", tmp_path) as url:
        async with opened(url) as database:
            link = await database._pool.take(writes=True)
            try:
                for command in (*EMPTIED, *STATES[request.param]):
                    await link._connection.execute(command)
                yield link._connection
            finally:
                database._pool.give(link, writes=True)


async def indexes_of(connection: asyncpg.Connection[Any], sql: str, name: str = "looked_at") -> set[str]:
    """The indexes that a plan for any parameters goes by; "everything" for a scan of a whole table."""
    count = max(number for number in range(1, 100) if f"${number}" in sql)
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE {name} AS {sql}")
    rows = await connection.fetch(f"EXPLAIN EXECUTE {name}({', '.join(['NULL'] * count)})")
    found: set[str] = set()
    for (line,) in rows:
        if "Seq Scan on dwarf" in line:
            found.add("everything")
        elif "Index Scan using" in line:
            found.add(line.split("using ")[1].split()[0])
        elif "Bitmap Index Scan on" in line:
            found.add(line.split("Scan on ")[1].split()[0])
    return found


def key_of(statement: Statement) -> set[str]:
    return {f"{'dwarf_flows' if statement is END_FLOW else 'dwarf_steps'}_pkey"}


@pytest.mark.parametrize("statement", BATCHES, ids=lambda statement: statement.name)
async def test_many_rows_at_once_are_looked_up_by_their_ids(connection: Any, statement: Statement) -> None:
    batch = update_batch(statement, [{"id": 1}, {"id": 2}])
    assert batch is not None
    assert await indexes_of(connection, batch.sql) == key_of(statement)


@pytest.mark.parametrize("statement", [*BATCHES, *LISTS], ids=lambda statement: statement.name)
async def test_rows_are_looked_up_by_their_ids(connection: Any, statement: Statement) -> None:
    assert await indexes_of(connection, compiled(statement, "postgresql").sql) == key_of(statement)


async def test_a_landing_looks_its_rows_up_by_their_ids(connection: Any) -> None:
    sql = write_set_batch(LANDING)
    assert sql is not None
    assert await indexes_of(connection, sql) == {"dwarf_steps_pkey", "dwarf_flows_pkey"}


async def test_branches_that_arrive_are_counted_by_the_ids_of_their_cohorts(connection: Any) -> None:
    sql = write_set_batch(ARRIVAL)
    assert sql is not None
    assert await indexes_of(connection, sql) == {"dwarf_steps_pkey"}


async def test_the_members_of_cohorts_are_found_by_their_cohorts(connection: Any) -> None:
    links = write_set_batch(LINKS)
    assert links is not None
    assert await indexes_of(connection, links) == {"dwarf_steps_cohort"}
    assert await indexes_of(connection, compiled(MEMBERS, "postgresql").sql, "again") == {"dwarf_steps_cohort"}


async def test_an_answer_looks_its_rows_up_by_their_ids(connection: Any) -> None:
    sql = write_set_batch(WriteSet([UpdateEach(RESUME_LEASED, [])], [(UpdateEach(RESUME_FLOW, []), [])]))
    assert sql is not None
    assert await indexes_of(connection, sql) == {"dwarf_steps_pkey", "dwarf_flows_pkey", "dwarf_steps_flow"}


async def test_a_step_that_is_to_be_answered_is_looked_up_by_its_id(connection: Any) -> None:
    assert await indexes_of(connection, compiled(ONE_LEAF_WHOLE, "postgresql").sql) == {
        "dwarf_steps_pkey",
        "dwarf_flows_pkey",
    }


async def test_due_steps_of_many_keys_are_read_in_their_order(connection: Any) -> None:
    assert await indexes_of(connection, fetch_batch(OF_KEY, ("of_key", "limit")).sql) == {"dwarf_steps_due"}
