"""Records a database in the middle of its work: ``python -m tests.recorded.record URL data/NAME.jsonl.gz``.

It is run with the code of the version to be recorded: copy this folder into a checkout of that version, and run it
there, on an empty database. The process dies as a killed one does, with tasks that run.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from dwarf.engine import Engine, FlowHandle
from dwarf.hosts import LocalHost
from tests.recorded.flows import RECORDING, graphs

TABLES = "ids facts secrets graphs flows steps blobs blob_refs schedules limit_gates limit_starts replicas migrations"


async def _parked(flow: FlowHandle) -> FlowHandle:
    await flow.outcome(timeout=60)
    return flow


async def _until(flow: FlowHandle, node: str, status: str) -> FlowHandle:
    """Until a step of the flow, or of a child, waits, sleeps or runs."""
    async for update in flow.watch():
        steps = [step for outer in update.steps for step in (outer, *outer.sub_steps)]
        if any(step.node == node and step.status == status for step in steps):
            return flow
    raise AssertionError("it has ended")


async def waiting(engine: Engine) -> dict[str, FlowHandle]:
    """Flows that wait for a person, for time, or for nothing any more."""
    made: dict[str, FlowHandle] = {}
    for name in ("asking", "plainly", "in time", "order", "calling", "sides", "everything", "large"):
        made[name] = await _parked(await engine.create(name, {}))
    made["north"] = await _parked(await engine.create("north", {"source": "the north"}))
    made["south"] = await _parked(await engine.create("south", {"source": "the south"}))
    made["twice"] = await _parked(await engine.create("twice", {}))
    for name, answer in (("twice", "Ada"), ("order", {"number": 4, "day": "2026-05-01", "notes": []})):
        await made[name].resume(answer)
        await _parked(made[name])
    await made["plainly"].resume(1)
    await _parked(made["plainly"])
    await made["plainly"].resume()
    await _parked(made["plainly"])
    await made["calling"].resume("yes")
    await _parked(made["calling"])
    made["handled"] = await _parked(await engine.create("handled", {"name": "x"}, baggage={"who": dt.date(2026, 1, 1)}))
    for name in ("dozing", "stumbling"):
        made[name] = await engine.create(name, {})
        await _until(made[name], {"dozing": "Hold", "stumbling": "Stumble"}[name], "pending")
    made["calling two"] = await _until(await engine.create("calling two", {}), "Hold", "pending")
    state = {"to": {"name": "x", "iban": "y"}, "amount": 1, "day": dt.date(2026, 1, 1), "name": "with a key"}
    made["with a key"] = await _parked(await engine.create("asking", state, idempotency_key="the key"))
    made["completed"] = await _parked(await engine.create("greeting", {"name": "you"}, idempotency_key="done"))
    made["counted"] = await _parked(await engine.create("counting", {"n": 1}))
    made["counted on"] = await _parked(await made["counted"].continue_with({"n": 5}))
    made["failed"] = await _parked(await engine.create("failing", {"name": "x"}))
    made["caught"] = await _parked(await engine.create("calling a failure", {}))
    made["cancelled"] = await _parked(await engine.create("asking", {}))
    await made["cancelled"].cancel("not wanted")
    made["forked"] = await _parked(await engine.fork((await made["cancelled"].history())[0], {"kept": 1}))
    made["deleted on completion"] = await _parked(await engine.create("asking", {}, delete_on_completion=True))
    tagged = {"name": "the clock", "day": dt.date(2026, 1, 1), "to": {"b": 1, "a": 2}}
    await engine.schedule("daily", "greeting", every=dt.timedelta(days=1), state=tagged, priority=3)
    await engine.schedule("hourly", "greeting", every=3600, state={"name": "the hour"}, catch_up=True)
    await engine.schedule("paused", "greeting", cron="0 6 * * *", timezone="Europe/Berlin", state={"name": "nobody"})
    await next(schedule for schedule in await engine.schedules() if schedule.name == "paused").pause()
    return made


async def standing(engine: Engine) -> dict[str, FlowHandle]:
    """Flows that run, and then those that find no worker."""
    made: dict[str, FlowHandle] = {}
    RECORDING["hold"] = asyncio.Event()
    made["fan out"] = await _until(await engine.create("fan out", {"days": [dt.date(2026, 1, 1)]}), "Treat", "running")
    await RECORDING["hold"].wait()
    for name, state in (("holding", {"name": "again"}), ("limited", {})):
        RECORDING["hold"] = asyncio.Event()
        made[name] = await engine.create(name, state)
        await RECORDING["hold"].wait()
    made["limited too"] = await engine.create("limited", {})
    async for update in made["fan out"].watch():  # the items that need no waiting are done, and one of them asks
        states = sorted(str(step.status) for step in update.steps if step.node == "Treat")
        if states == ["completed"] * 4 + ["interrupted", "pending", "running"]:
            break
    RECORDING["hold"] = asyncio.Event()
    made["held"] = await engine.create("holding", {"name": "the last"})
    await RECORDING["hold"].wait()  # every worker holds a task now
    made["pending"] = await engine.create("greeting", {"name": "later"})
    made["pending with a key"] = await engine.create("greeting", {"name": "later"}, idempotency_key="later")
    return made


async def record(url: str, path: Path) -> None:
    host = LocalHost()
    for graph in graphs().values():
        host.add_graph(graph)
    engine = Engine(host, url, workers=4)
    await engine.start()
    made = await waiting(engine)
    made |= await standing(engine)
    tables = {name: await _rows(url, name) for name in (f"dwarf_{name}" for name in TABLES.split())}
    now = max(row["updated_at"] for row in tables["dwarf_steps"])
    keys = {name: flow.key for name, flow in made.items()}
    lines = [json.dumps({"recorded_at": now, "keys": keys})]
    for name, rows in tables.items():
        lines += (json.dumps({name: row}) for row in rows)
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))
    print(f"{len(lines)} lines, {path.stat().st_size} bytes")
    os._exit(0)


async def _rows(address: str, table: str) -> list[dict[str, Any]]:
    url = make_url(address)
    query = f"SELECT * FROM {table} ORDER BY 1, 2"
    if url.get_backend_name() == "sqlite":
        connection = sqlite3.connect(str(url.database))
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]
    if url.get_backend_name() == "postgresql":
        import asyncpg

        connected = await asyncpg.connect(address)
        return [dict(row) for row in await connected.fetch(query)]
    import asyncmy
    from asyncmy.cursors import DictCursor

    connected = await asyncmy.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, database=url.database
    )
    async with connected.cursor(cursor=DictCursor) as cursor:
        await cursor.execute(query)
        return list(await cursor.fetchall())


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1], Path(sys.argv[2])))
