"""Real processes on one SQLite file, killed as a power cut would, and started again."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sqlite3
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Execution(NamedTuple):
    """One line of the ledger."""

    step_key: str
    node: str
    attempt: int
    process: int
    nonce: str


class Process:
    """A process of `workers.engine`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = itertools.count()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._events: dict[tuple[str, str], asyncio.Event] = defaultdict(asyncio.Event)
        self._reading = asyncio.create_task(self._read())

    @property
    def id(self) -> int:
        """The number of the process."""
        return self._process.pid

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "event" in said:
                self._events[said["event"], said["what"]].set()
            elif "error" in said:
                self._answers.pop(said["id"]).set_exception(AssertionError(said["error"]))
            else:
                self._answers.pop(said["id"]).set_result(said["result"])
        for future in self._answers.values():
            if not future.done():
                future.set_exception(ConnectionError("the process is dead"))

    def ask(self, do: str, **arguments: Any) -> asyncio.Future[Any]:
        """Ask for something; await the answer. ConnectionError when the process dies before."""
        number = next(self._ids)
        self._answers[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps({'id': number, 'do': do, 'arguments': arguments})}\n".encode())
        return self._answers[number]

    async def event(self, kind: str, what: str) -> None:
        """Wait until the process has said this."""
        happened = asyncio.create_task(self._events[kind, what].wait())
        await asyncio.wait([happened, self._reading], return_when=asyncio.FIRST_COMPLETED)
        if not happened.done():
            happened.cancel()
            raise ConnectionError(f"the process died before it said {kind} {what}")

    async def holding(self, node: str) -> None:
        """Wait until a task of this node holds."""
        await self.event("holding", node)

    async def frozen(self, failpoint: str) -> None:
        """Wait until the process stands still at a failpoint."""
        await self.event("frozen", failpoint)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what can be read in a file, looking again each time the process has answered something."""
        while not condition():
            await self.ask("engine_id")

    async def kill(self) -> None:
        """Kill it, without any warning."""
        self._process.kill()
        await self.ended()

    async def ended(self) -> int:
        """Wait for its end; its exit status."""
        status = await self._process.wait()
        await self._reading
        return status

    async def close(self) -> None:
        """Have it end by itself."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert await self.ended() == 0


class Site:
    """One database file with its processes and their ledger."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "flows.db"
        self._ledger = folder / "ledger.txt"
        self._errors = folder / "errors.txt"
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self, **settings: Any) -> Process:
        """Start a process and wait until its engine runs."""
        process = await self.launch(**settings)
        await process.event("started", "")
        return process

    async def launch(self, **settings: Any) -> Process:
        """Start a process."""
        options = {"path": str(self.path), "ledger": str(self._ledger), **settings}
        pipe = asyncio.subprocess.PIPE
        with self._errors.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-W", "error", "-m", "tests.crash.workers.engine", json.dumps(options)),
                stdin=pipe,
                stdout=pipe,
                stderr=errors,
                cwd=ROOT,
                limit=1 << 26,
            )
        self._processes.append(process)
        return Process(process)

    def ledger(self) -> list[Execution]:
        """All executions of tasks, in order."""
        lines = self._ledger.read_text().splitlines() if self._ledger.exists() else []
        parts = (line.split() for line in lines)
        return [Execution(key, node, int(attempt), int(pid), nonce) for key, node, attempt, pid, nonce in parts]

    def executions(self) -> dict[str, int]:
        """How often the tasks of each node were executed."""
        counts: dict[str, int] = defaultdict(int)
        for execution in self.ledger():
            counts[execution.node] += 1
        return dict(counts)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query reads in the file."""
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=60)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def stand_still(self, process: Process) -> None:
        """Stop a process, but not while it writes: what it would then lock, nobody else could write."""
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            process.signal(signal.SIGSTOP)
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    def errors(self) -> str:
        """What all processes have written as errors."""
        return self._errors.read_text()

    async def end(self) -> None:
        """Kill what still runs, and judge what is left."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
        assert "database is locked" not in self.errors()
        assert "Traceback" not in self.errors(), self.errors()
        assert self.rows("PRAGMA integrity_check") == [("ok",)]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """An empty place for a database and its processes."""
    site = Site(tmp_path)
    try:
        yield site
    finally:
        await site.end()
