"""Callers that go away, and databases that close, while a transaction runs."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from dwarf.errors import EngineClosed, StateConflict
from dwarf.storage.sql.script import Execute, Fetch, Script
from tests.storage.support import ADD, COUNTERS, adding, counters, opened


class Gate:
    """A script that stops in the middle of its transaction until it is let through."""

    def __init__(self, error: Exception | None = None) -> None:
        self.reached = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._open = threading.Event()
        self._error = error

    def let_through(self) -> None:
        self._open.set()

    def writing(self) -> Script[None]:
        yield Execute(ADD, {"of_kind": "a", "first": 1})
        self._stop()
        yield Execute(ADD, {"of_kind": "b", "first": 1})

    def reading(self) -> Script[None]:
        yield Fetch(COUNTERS, {})
        self._stop()
        yield Fetch(COUNTERS, {})

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self.reached.set)
        assert self._open.wait(60)
        if self._error is not None:
            raise self._error


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/flows.db" if request.param == "file" else "sqlite://"


async def cancelled_in_the_middle(database: Any, gate: Gate) -> None:
    task = asyncio.create_task(database.write(gate.writing))
    await gate.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.let_through()


async def test_a_cancelled_caller_does_not_stop_its_write(url: str) -> None:
    async with opened(url) as database:
        await cancelled_in_the_middle(database, Gate())
        await database.write(adding("c"))
        assert await database.read(counters) == {"a": 1, "b": 1, "c": 1}


async def test_what_fails_after_its_caller_has_gone_is_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "dwarf.storage.drivers.serial_executor"):
        async with opened(url) as database:
            await cancelled_in_the_middle(database, Gate(StateConflict("too late")))
            assert await database.read(counters) == {}
    assert "too late" in caplog.text


async def test_a_write_that_waits_for_its_turn_is_run_also_when_its_caller_is_cancelled(url: str) -> None:
    async with opened(url) as database:
        gate = Gate()
        first = asyncio.create_task(database.write(gate.writing))
        await gate.reached.wait()
        second = asyncio.create_task(database.write(adding("c")))
        await asyncio.sleep(0)
        second.cancel()
        gate.let_through()
        await first
        await database.write(adding("d"))
        assert await database.read(counters) == {"a": 1, "b": 1, "c": 1, "d": 1}


async def test_closing_finishes_what_was_handed_in(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/flows.db"
    async with opened(url) as database:
        gate = Gate()
        writes = [asyncio.create_task(database.write(gate.writing))]
        await gate.reached.wait()
        writes += [asyncio.create_task(database.write(adding(kind))) for kind in "cde"]
        await asyncio.sleep(0)
        closing = asyncio.create_task(database.aclose())
        await asyncio.sleep(0)
        with pytest.raises(EngineClosed):
            await database.write(adding("f"))
        gate.let_through()
        await asyncio.gather(closing, *writes)
    async with opened(url) as database:
        assert sorted(await database.read(counters)) == ["a", "b", "c", "d", "e"]


async def test_a_cancelled_read_leaves_no_transaction_behind(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/flows.db") as database:

        async def read() -> dict[str, int]:
            return await database.read(counters)  # type: ignore[no-any-return]

        for turns in range(30):
            task = asyncio.create_task(read())
            for _ in range(turns % 6):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await database.write(adding("a"))
        assert list(await asyncio.gather(read(), read(), read())) == [{"a": 1}] * 3


async def test_a_read_that_is_cancelled_while_it_connects_leaves_no_thread_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting, go_on, threads = threading.Event(), threading.Event(), []
    connect = sqlite3.connect

    def slowly(*arguments: Any, **options: Any) -> sqlite3.Connection:
        threads.append(threading.current_thread())
        connecting.set()
        go_on.wait(60)
        return connect(*arguments, **options)

    async with opened(f"sqlite:///{tmp_path}/flows.db") as database:
        await database.write(adding("a"))
        monkeypatch.setattr(sqlite3, "connect", slowly)
        task = asyncio.create_task(database.read(counters))
        await asyncio.to_thread(connecting.wait, 60)
        task.cancel()
        asyncio.get_running_loop().call_soon(go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [thread.is_alive() for thread in threads] == [False]
        assert await database.read(counters) == {"a": 1}


async def test_a_loop_that_is_gone_does_not_disturb_the_thread(url: str) -> None:
    async with opened(url) as database:
        gates: list[Gate] = []

        async def abandon() -> None:
            gate = Gate()
            gates.append(gate)
            task = asyncio.create_task(database.write(gate.writing))
            await gate.reached.wait()
            task.cancel()

        await asyncio.to_thread(lambda: asyncio.run(abandon()))
        gates[0].let_through()
        await database.write(adding("c"))
        assert await database.read(counters) == {"a": 1, "b": 1, "c": 1}
