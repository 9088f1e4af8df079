"""Databases in memory: private, or shared by the engines of one process under one name."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TypeVar

from dwarf.errors import ConfigError, EngineClosed
from dwarf.storage.drivers.database import ClockShift
from dwarf.storage.drivers.serial_executor import SerialExecutor
from dwarf.storage.drivers.single_writer import SingleWriter
from dwarf.storage.drivers.sqlite import connect, dialect_for
from dwarf.storage.drivers.sqlite_session import Observer, SqliteSession
from dwarf.storage.migrations import migrate
from dwarf.storage.payloads.pipeline import Payloads
from dwarf.storage.sql.script import Script

T = TypeVar("T")

_named: dict[str, _Store] = {}
_entry = threading.Lock()  # guards _named, and the users and engine ids of a store


class _Store:
    """One connection on one thread: it holds the data, and serves reads and writes in turn."""

    def __init__(self, clock: ClockShift | None) -> None:
        self.clock = clock
        self.users: list[MemoryDatabase] = []
        self.ids = count(1)
        self.live_ids: set[int] = set()
        self.executor = SerialExecutor("dwarf-memory")
        self.session = SqliteSession(self._connect, dialect_for(clock), lasting=True)
        self._prepared = False

    def prepare(self) -> None:
        """Create the schema at the first call. Runs on the thread."""
        if not self._prepared:
            self.session.write(partial(migrate, MemoryDatabase.dialect))
            self._prepared = True

    def _connect(self) -> sqlite3.Connection:
        connection = connect(":memory:", self.clock)
        connection.execute("PRAGMA temp_store=MEMORY")
        return connection


class MemoryDatabase(SingleWriter):
    """One engine's access to a database in memory.

    The data live while a database of the same name is open; without a name they belong to this object alone.
    """

    dialect = "sqlite"
    registers = False

    def __init__(self, name: str | None = None, *, clock: ClockShift | None = None) -> None:
        self.name = name
        self.payloads = Payloads()
        self._clock = clock
        self._store: _Store | None = None
        self._others_wrote = False
        self._engine_ids: set[int] = set()

    @property
    def observer(self) -> Observer | None:
        """Called with (statement name, rows) for each statement of every user, on the database's thread."""
        return self._running().session.observer

    @observer.setter
    def observer(self, observer: Observer | None) -> None:
        self._running().session.observer = observer

    async def open(self) -> None:
        """Join the database of this name, or create it. ConfigError if it has another clock or another codec."""
        if self._store is None:
            store = self._join()
            try:
                await store.executor.call(store.prepare)
                await store.executor.call(partial(store.session.write, self.payloads.prepare))
            except BaseException:
                await self.aclose()
                raise

    async def aclose(self) -> None:
        """Finish the submitted work. The last user's close drops the data."""
        store, self._store = self._store, None
        if store is None:
            return
        with _entry:
            store.live_ids -= self._engine_ids
            store.users.remove(self)
            last = not store.users
            if last and self.name is not None:
                del _named[self.name]
        if last:
            await store.executor.aclose(store.session.close)
        else:
            with suppress(EngineClosed):  # the last user has closed meanwhile
                await store.executor.call(lambda: None)

    async def write(self, script: Callable[[], Script[T]]) -> T:
        """Run a script as one transaction. A cancelled caller does not stop it."""
        store = self._running()
        return await store.executor.call(partial(self._write, store, self.payloads.through(script)))

    async def read(self, script: Callable[[], Script[T]]) -> T:
        """Run a script between two writes. A write in it is refused."""
        store = self._running()
        return await store.executor.call(partial(store.session.read, self.payloads.through(script)))

    async def changed(self) -> bool:
        """Whether another user has committed since the last call."""
        self._running()
        if self._others_wrote:
            self._others_wrote = False
            return True
        return False

    async def claim_engine_id(self, wanted: int = 0) -> tuple[int, bool]:
        """The next free engine id, or the wanted one."""
        store = self._running()
        with _entry:
            if wanted in store.live_ids:
                raise ConfigError(f"the engine id {wanted} is in use on this database")
            engine_id = wanted or next(number for number in store.ids if number not in store.live_ids)
            store.live_ids.add(engine_id)
            self._engine_ids.add(engine_id)
        return engine_id, True

    async def dead_engine_ids(self, engine_ids: set[int]) -> set[int]:
        """The ids that no open database holds."""
        return {engine_id for engine_id in engine_ids if engine_id not in self._running().live_ids}

    async def living(self) -> int | None:
        """How many engines have it open."""
        return len(self._running().users)

    def _running(self) -> _Store:
        if self._store is None:
            raise EngineClosed("the database is not open")
        return self._store

    def _join(self) -> _Store:
        with _entry:
            store = _named.get(self.name) if self.name is not None else None
            if store is None:
                store = _Store(self._clock)
                if self.name is not None:
                    _named[self.name] = store
            elif store.clock is not self._clock:
                raise ConfigError(f"the database {self.name!r} in memory is open with another clock")
            store.users.append(self)
        self._store = store
        return store

    def _write(self, store: _Store, script: Callable[[], Script[T]]) -> T:
        result = store.session.write(script)
        for user in tuple(store.users):
            if user is not self:
                user._others_wrote = True
        return result
