"""DBOS: asynchronous workflows and steps, every step recorded; its default pool. SQLite files are set to WAL first."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from importlib.metadata import version

from dbos import DBOS, SetWorkflowID

from tests.benchmarks.databases import file_of, is_postgresql
from tests.benchmarks.peers import adapter


@DBOS.step()
async def count(n: int, pad: str) -> int:
    return await adapter.count_up(n)


@DBOS.step()
async def work(item: int) -> int:
    return item


@DBOS.workflow()
async def chain(length: int, pad: str) -> int:
    n = 0
    for _ in range(length):
        n = await count(n, pad)
    return n


@DBOS.workflow()
async def fan(pad: str) -> int:
    await count(0, pad)
    out = await asyncio.gather(*(work(item) for item in range(adapter.WIDTH)))
    await count(1, pad)
    return len(out)


@DBOS.workflow()
async def asking(pad: str) -> str:
    await count(0, pad)
    answer: str = await DBOS.recv_async("answer", timeout_seconds=60)
    await count(1, pad)
    return answer


class Dbos(adapter.Peer):
    """One process."""

    name = "DBOS"
    slowness = 8

    async def open(self, url: str) -> None:
        place = "pool of 20"
        if not is_postgresql(url):
            connection = sqlite3.connect(file_of(url))
            connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
            place = "WAL, synchronous=FULL"
        DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR", "application_version": "1"})
        DBOS.launch()
        self.setting = f"dbos {version('dbos')}, {place}"

    async def close(self) -> None:
        await asyncio.to_thread(DBOS.destroy)

    async def chain(self) -> None:
        adapter.expect(await chain(adapter.CHAIN, adapter.PAD), adapter.CHAIN)

    async def latency(self) -> None:
        adapter.expect(await chain(adapter.LATENCY, adapter.PAD), adapter.LATENCY)

    async def fan_out(self) -> None:
        adapter.expect(await fan(adapter.PAD), adapter.WIDTH)

    async def prompt(self) -> float:
        key = uuid.uuid4().hex
        with SetWorkflowID(key):
            handle = await DBOS.start_workflow_async(asking, adapter.PAD)
        await asyncio.sleep(0.05)  # it waits by then: there is no event that tells
        begun = time.perf_counter()
        await DBOS.send_async(key, "yes", "answer")
        adapter.expect(await handle.get_result(), "yes")
        return time.perf_counter() - begun


if __name__ == "__main__":
    adapter.main(lambda _: Dbos())
