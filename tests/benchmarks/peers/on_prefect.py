"""Prefect: flows and tasks with persisted results, and a local ``prefect server`` on the same database."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from importlib.metadata import version
from typing import Any
from urllib.request import urlopen

from tests.benchmarks.databases import file_of, is_postgresql
from tests.benchmarks.peers import adapter

START_S = 120.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Prefect(adapter.Peer):
    """A server in a process of its own; flows run in this one."""

    name = "Prefect"
    slowness = 64
    limits = {"chain": 4, "fan-out": 1}

    async def open(self, url: str) -> None:
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        port = free_port()
        if is_postgresql(url):
            database, place = "postgresql+asyncpg" + url.removeprefix("postgresql"), "server on PostgreSQL"
        else:
            database, place = f"sqlite+aiosqlite:///{file_of(url)}", "server on SQLite"
        os.environ.update(
            PREFECT_HOME=self._home.name,
            PREFECT_API_URL=f"http://127.0.0.1:{port}/api",
            PREFECT_API_DATABASE_CONNECTION_URL=database,
            PREFECT_SERVER_ANALYTICS_ENABLED="false",
            PREFECT_LOGGING_LEVEL="CRITICAL",
            PREFECT_LOGGING_TO_API_ENABLED="false",
            DO_NOT_TRACK="1",
        )
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        self._server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.helpers = (self._server.pid,)
        await asyncio.to_thread(self._wait, f"http://127.0.0.1:{port}/api/health")
        self.setting = f"prefect {version('prefect')}, {place}, persist_result=True"
        self._flows = make_flows()

    def _wait(self, address: str) -> None:
        patience = time.monotonic() + START_S
        while True:
            try:
                with urlopen(address, timeout=5):
                    return
            except OSError:
                if time.monotonic() > patience or self._server.poll() is not None:
                    raise
                time.sleep(0.2)

    async def close(self) -> None:
        self._server.terminate()
        await asyncio.to_thread(self._server.wait)
        self._home.cleanup()

    async def chain(self) -> None:
        adapter.expect(await self._flows["chain"](adapter.CHAIN, adapter.PAD), adapter.CHAIN)

    async def latency(self) -> None:
        adapter.expect(await self._flows["chain"](adapter.LATENCY, adapter.PAD), adapter.LATENCY)

    async def fan_out(self) -> None:
        adapter.expect(await self._flows["fan"](adapter.PAD), adapter.WIDTH)

    async def prompt(self) -> float:
        from prefect.flow_runs import aresume_flow_run

        paused: asyncio.Future[uuid.UUID] = asyncio.get_running_loop().create_future()
        running = asyncio.create_task(self._flows["asking"](adapter.PAD, paused))
        key = await paused
        await asyncio.sleep(0.3)  # its state is PAUSED by then: there is no event that tells
        begun = time.perf_counter()
        await aresume_flow_run(key)
        adapter.expect(await running, "resumed")
        return time.perf_counter() - begun


def make_flows() -> dict[str, Any]:
    """Made when the settings are in the environment."""
    from prefect import flow, task
    from prefect.context import get_run_context
    from prefect.flow_runs import apause_flow_run

    @task(persist_result=True)
    async def count(n: int, pad: str) -> int:
        return await adapter.count_up(n)

    @flow(persist_result=True, validate_parameters=False)
    async def chain(length: int, pad: str) -> int:
        n = 0
        for _ in range(length):
            n = await count(n, pad)
        return n

    @flow(persist_result=True, validate_parameters=False)
    async def fan(pad: str) -> int:
        await count(0, pad)
        out = await asyncio.gather(*(count(item, "") for item in range(adapter.WIDTH)))
        await count(0, pad)
        return len(out)

    @flow(persist_result=True, validate_parameters=False)
    async def asking(pad: str, paused: Any) -> str:
        await count(0, pad)
        paused.set_result(get_run_context().flow_run.id)
        await apause_flow_run(timeout=120, poll_interval=1)
        await count(1, pad)
        return "resumed"

    return {"chain": chain, "fan": fan, "asking": asking}


if __name__ == "__main__":
    adapter.main(lambda _: Prefect())
