"""Reads of an SQLite file, on separate connections."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import aiosqlite

from dwarf.errors import DwarfError, EngineClosed
from dwarf.storage.drivers.database import ClockShift
from dwarf.storage.drivers.sqlite_session import DRIVER_ERRORS, NOW, Observer
from dwarf.storage.sql.compiler import SHIFTED_SQLITE, compiled
from dwarf.storage.sql.errors import Contention, Unavailable, can_be_undone, classify
from dwarf.storage.sql.script import Fetch, FetchEach, Guarded, Now, Row, Script

T = TypeVar("T")

_CONNECTIONS = 2  # for each event loop
_BUSY_TIMEOUT = 1.0  # seconds
_PAUSE = 0.01  # seconds between runs of a script that met a lock
_SETTINGS = ("query_only=ON", "temp_store=MEMORY", "cache_size=-8192")


class _Pool:
    """The connections of one event loop."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(_CONNECTIONS)
        self.idle: list[aiosqlite.Connection] = []


class Readers:
    """Connections that read one file, opened at their first use."""

    def __init__(self, path: Path, clock: ClockShift | None) -> None:
        self.observer: Observer | None = None
        self._path = path
        self._clock = clock
        self._dialect = "sqlite" if clock is None else SHIFTED_SQLITE
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()
        self._entry = threading.Lock()  # guards _pools
        self._closed = False

    async def read(self, script: Callable[[], Script[T]]) -> T:
        """Run a script on one snapshot. It sees every commit before this call."""
        pool = self._pool()
        while True:
            async with pool.turns:
                if self._closed:
                    raise EngineClosed("the database is closed")
                connection = pool.idle.pop() if pool.idle else await self._connect()
                usable = True
                try:
                    return await self._snapshot(connection, script)
                except Contention:
                    pass
                except Unavailable:
                    usable = False
                    raise
                finally:
                    if usable and not self._closed:
                        pool.idle.append(connection)
                    else:
                        await connection.close()
            await asyncio.sleep(_PAUSE)

    async def aclose(self) -> None:
        """Let the reads of this loop finish, and disconnect. Connections of other loops are closed after their current
        read.
        """
        self._closed = True
        own = self._pool()
        for _ in range(_CONNECTIONS):
            await own.turns.acquire()
        for _ in range(_CONNECTIONS):
            own.turns.release()
        with self._entry:
            pools = list(self._pools.values())
        for pool in pools:
            while pool.idle:
                await pool.idle.pop().close()

    def _pool(self) -> _Pool:
        loop = asyncio.get_running_loop()
        with self._entry:
            pool = self._pools.get(loop)
            if pool is None:
                pool = self._pools[loop] = _Pool()
            return pool

    async def _connect(self) -> aiosqlite.Connection:
        connection = aiosqlite.connect(self._path, timeout=_BUSY_TIMEOUT, isolation_level=None)
        # A program that forgets to close must not hang at its exit.
        thread: Any = getattr(connection, "_thread", connection)
        thread.daemon = True
        try:
            await connection
            for setting in _SETTINGS:
                await connection.execute_fetchall(f"PRAGMA {setting}")
            clock = self._clock
            if clock is not None:
                await connection.create_function(
                    "dwarf_now_ms", 0, lambda: time.time_ns() // 1_000_000 + clock.offset_ms
                )
        except BaseException as error:
            await connection.close()
            # it may still be connecting for a caller and a loop that are gone
            if thread.is_alive():
                await asyncio.to_thread(thread.join)
            if isinstance(error, sqlite3.Error):
                raise classify(error, "sqlite", "connect") from error
            raise
        return connection

    async def _snapshot(self, connection: aiosqlite.Connection, script: Callable[[], Script[T]]) -> T:
        try:
            await self._rows(connection, "begin", "BEGIN", ())
            return await self._drive(connection, script())
        finally:
            # The connection's thread works in order: even if this wait is cancelled, the next reader finds the
            # connection outside a transaction.
            try:
                await connection.rollback()
            except sqlite3.Error as error:
                raise Unavailable("the database cannot end a transaction") from error

    async def _drive(self, connection: aiosqlite.Connection, script: Script[T]) -> T:
        answer: Any = None
        try:
            while True:
                answer = await self._perform(connection, script.send(answer))
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            script.close()

    async def _perform(self, connection: aiosqlite.Connection, request: object) -> Any:
        if isinstance(request, Fetch):
            sql = compiled(request.statement, self._dialect)
            try:
                values = sql.parameters(request.params)
            except DRIVER_ERRORS as error:
                raise classify(error, "sqlite", request.statement.name) from error
            return await self._rows(connection, request.statement.name, sql.sql, values)
        if isinstance(request, FetchEach):
            each = [Fetch(request.statement, {**request.common, **row}) for row in request.rows]
            return [await self._perform(connection, fetch) for fetch in each]
        if isinstance(request, Now):
            rows = await self._rows(connection, NOW.name, compiled(NOW, self._dialect).sql, ())
            return rows[0][0]
        if isinstance(request, Guarded):
            return await self._guarded(connection, request)
        raise TypeError(f"a script that reads can only fetch, not {type(request).__name__}")

    async def _guarded(self, connection: aiosqlite.Connection, request: Guarded) -> tuple[Any, DwarfError | None]:
        try:
            return await self._drive(connection, request.script()), None
        except DwarfError as error:
            if not can_be_undone(error):
                raise
            return None, error

    async def _rows(self, connection: aiosqlite.Connection, name: str, sql: str, values: tuple[Any, ...]) -> list[Row]:
        try:
            rows = cast("list[Row]", await connection.execute_fetchall(sql, values))
        except DRIVER_ERRORS as error:
            raise classify(error, "sqlite", name) from error
        if self.observer is not None:
            self.observer(name, len(rows))
        return rows
