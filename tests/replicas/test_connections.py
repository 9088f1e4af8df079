"""How many connections an engine uses, and that waiting for one is no fault of the database."""

from __future__ import annotations

import asyncio
import os

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from dwarf import END, Flow, Graph, Status
from dwarf.storage.sql.script import Fetch, Script, Statement
from tests.support.servers import query
from tests.support.workflows import Running

pytestmark = pytest.mark.server

SLOW = {"postgresql": "SELECT pg_sleep(0.4)", "mariadb": "SELECT SLEEP(0.4)"}
HEARTBEAT = 1


def fan(width: int) -> Graph:
    async def one(flow: Flow) -> None:
        flow["n"] = 1

    graph = Graph("fan", reducers={"n": "add"}).add_node("Split", one).add_node("Join", one, fan_in=True)
    for number in range(width):
        graph.add_node(f"B{number}", one).add_transition("Split", f"B{number}").add_transition(f"B{number}", "Join")
    return graph.add_transition("Join", END)


def connections(kind: str) -> int:
    """Of this test to its database, with the one of the heartbeat and without the one that listens."""
    url = make_url(os.environ["DWARF_TEST_URL"].format(shard=1))
    if kind == "mariadb":
        ((count,),) = query(kind, f"SELECT COUNT(*) FROM information_schema.processlist WHERE db = '{url.database}'")
        return int(count)
    name = url.query["application_name"]
    ((count,),) = query(
        kind,
        f"SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = '{name}' "
        "AND query NOT LIKE 'LISTEN%' AND query NOT LIKE '%pg_notify%'",
    )
    return int(count)


async def no_more_than(limit: int, kind: str) -> None:
    """Wait until the server has ended the sessions that were closed, which takes it a moment."""
    async with asyncio.timeout(60):
        while connections(kind) - HEARTBEAT > limit:
            await asyncio.sleep(0.01)


async def test_one_connection_is_enough_for_everything(
    running: Running, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A slow reader holds it again and again: whoever waits is not told that the database failed."""

    def slow() -> Script[None]:
        yield Fetch(Statement("slow", text(SLOW[database])), {})

    async with running(max_connections=1) as engine:
        shard = engine._runtimes[1].database
        reading = [asyncio.create_task(shard.read(slow)) for _ in range(4)]
        flows = await engine.create_many(fan(5), [{} for _ in range(20)])
        outcomes = await asyncio.gather(*(flow.outcome(timeout=60) for flow in flows))
        assert {(outcome.status, outcome.state["n"]) for outcome in outcomes} == {(Status.COMPLETED, 7)}
        await asyncio.gather(*reading)
        await no_more_than(1, database)
        assert connections(database) == 1 + HEARTBEAT
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_the_number_is_changed_while_flows_run(running: Running, database: str) -> None:
    def slow() -> Script[None]:
        yield Fetch(Statement("slow", text(SLOW[database])), {})

    async with running(max_connections=3) as engine:
        shard = engine._runtimes[1].database
        flows = await engine.create_many(fan(5), [{} for _ in range(20)])
        for limit in (8, 1, 4):
            engine.tune(max_connections=limit)
            await asyncio.gather(*(shard.read(slow) for _ in range(2 * limit if limit > 1 else 1)))
            await no_more_than(limit, database)
            assert connections(database) - HEARTBEAT >= max(1, limit - 2)
        outcomes = await asyncio.gather(*(flow.outcome(timeout=60) for flow in flows))
        assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}
