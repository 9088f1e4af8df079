"""A database in an SQLite file: writes on one thread, reads on separate connections."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from dwarf.errors import ConfigError, EngineClosed, StorageError
from dwarf.storage.drivers.database import ClockShift
from dwarf.storage.drivers.engine_id_locks import EngineIdLocks
from dwarf.storage.drivers.serial_executor import SerialExecutor
from dwarf.storage.drivers.single_writer import SingleWriter
from dwarf.storage.drivers.sqlite_readers import Readers
from dwarf.storage.drivers.sqlite_session import Observer, SqliteSession
from dwarf.storage.migrations import migrate
from dwarf.storage.payloads.pipeline import Payloads
from dwarf.storage.sql.compiler import SHIFTED_SQLITE
from dwarf.storage.sql.errors import FileGone
from dwarf.storage.sql.script import Script

T = TypeVar("T")
Durability = Literal["full", "relaxed"]

_CLOSING_PATIENCE = 2.0  # seconds in which a contended write is still tried again while closing
_STATEMENT_CACHE = 256
_SETTINGS = (
    "foreign_keys=OFF",
    "temp_store=MEMORY",
    "cache_size=-16384",  # kibibytes
    "journal_size_limit=67108864",  # bytes: a log that has grown during a long read is truncated
)
_NOT_WAL = (
    "the database '{path}' cannot use SQLite's write-ahead log (journal_mode is {mode!r}). It does not work on network "
    "file systems, nor in read-only directories. Put the file on a local disk, or use a database server"
)


_GONE = (
    "the file '{path}' was deleted or replaced while the engine had it open: what has been written since is lost, and "
    "nothing more is written. Put the file back in its place, or restart this process"
)


def connect(database: str, clock: ClockShift | None) -> sqlite3.Connection:
    """A connection in autocommit mode, whose thread may change between calls."""
    connection = sqlite3.connect(
        database, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENT_CACHE
    )
    if clock is not None:
        register_clock(connection, clock)
    return connection


def register_clock(connection: sqlite3.Connection, clock: ClockShift) -> None:
    """Register, on a connection, the function for the database's clock that a test can move."""
    connection.create_function("dwarf_now_ms", 0, lambda: time.time_ns() // 1_000_000 + clock.offset_ms)


def dialect_for(clock: ClockShift | None) -> str:
    """The name under which statements are compiled."""
    return "sqlite" if clock is None else SHIFTED_SQLITE


class SqliteDatabase(SingleWriter):
    """One SQLite file. Several processes, and several objects in one process, may use the file together.

    ConfigError immediately if no file can exist at the path.

    ``durability``: ``full`` flushes every commit to the disk; ``relaxed`` may lose only the last commits in a power
    failure.
    """

    dialect = "sqlite"
    registers = False

    def __init__(self, path: Path, *, durability: Durability = "full", clock: ClockShift | None = None) -> None:
        self.path = path.absolute()  # a later change of the working directory must not move it
        _check_place(self.path)
        self.payloads = Payloads()
        self._durability = durability
        self._clock = clock
        self._session = SqliteSession(self._connect, dialect_for(clock), lasting=False)
        self._id_locks = EngineIdLocks(self.path)
        self._executor: SerialExecutor | None = None
        self._readers: Readers | None = None
        self._data_version = 0
        self._file: tuple[int, int] | None = None  # device and inode of the open file

    @property
    def observer(self) -> Observer | None:
        """Called with (statement name, rows) for each statement, on the database's threads: for tests and counts."""
        return self._session.observer

    @observer.setter
    def observer(self, observer: Observer | None) -> None:
        self._session.observer = observer
        if self._readers is not None:
            self._readers.observer = observer

    @property
    def contentions(self) -> int:
        """How often a write met another process's, and was tried again."""
        return self._session.contentions

    async def open(self) -> None:
        """Connect and migrate. ConfigError if the file cannot serve as a database."""
        if self._executor is not None:
            return
        self._session.give_up_at = None
        self._executor = SerialExecutor("dwarf-sqlite")
        try:
            await self._executor.call(self._open)
        except BaseException:
            await self.aclose()
            raise
        self._readers = Readers(self.path, self._clock)
        self._readers.observer = self._session.observer

    async def aclose(self) -> None:
        """Finish the submitted work, release the engine id, and disconnect."""
        executor, self._executor = self._executor, None
        readers, self._readers = self._readers, None
        self._session.give_up_at = time.monotonic() + _CLOSING_PATIENCE
        try:
            if readers is not None:
                await readers.aclose()
        finally:
            if executor is not None:
                await executor.aclose(self._close)

    async def write(self, script: Callable[[], Script[T]]) -> T:
        """Run a script as one transaction. A cancelled caller does not stop it. FileGone if nothing was stored."""
        return await self._running().call(partial(self._write, self.payloads.through(script)))

    async def read(self, script: Callable[[], Script[T]]) -> T:
        """Run a script on one snapshot, concurrently with the writes."""
        if self._readers is None:
            self._running()
        assert self._readers is not None
        self._check_file()  # before connecting: never open another file
        result = await self._readers.read(self.payloads.through(script))
        self._check_file()
        return result

    async def changed(self) -> bool:
        """Whether another connection has committed since the last call."""
        return await self._running().call(self._changed)

    async def claim_engine_id(self, wanted: int = 0) -> tuple[int, bool]:
        """Take the lowest free slot of the file, or the wanted one. Its former owner is dead."""
        return await self._running().call(partial(self._id_locks.claim, wanted)), True

    async def dead_engine_ids(self, engine_ids: set[int]) -> set[int]:
        """The ids whose slots are free. This engine holds these slots until the next call."""
        return await self._running().call(partial(self._id_locks.dead, engine_ids))

    async def living(self) -> int | None:
        """How many engines hold a slot of the file."""
        return await self._running().call(self._id_locks.living)

    def _running(self) -> SerialExecutor:
        if self._executor is None:
            raise EngineClosed("the database is not open")
        return self._executor

    def _open(self) -> None:
        _check_place(self.path)
        try:
            self._session.open()
        except StorageError as error:
            if getattr(error.__cause__, "sqlite_errorname", "") == "SQLITE_NOTADB":
                raise ConfigError(f"'{self.path}' is not an SQLite database") from error
            raise
        self._session.write(partial(migrate, self.dialect))
        self._session.write(self.payloads.prepare)
        self._data_version = self._session.data_version()
        self._file = _number_of(self.path)

    def _write(self, script: Callable[[], Script[T]]) -> T:
        self._check_file()
        result = self._session.write(script)
        self._check_file()  # a commit to a deleted file must not be acknowledged
        return result

    def _check_file(self) -> None:
        if self._file is None:
            return
        try:
            same = _number_of(self.path) == self._file
        except FileNotFoundError:
            same = False
        except OSError:
            return  # unknown at this moment
        if not same:
            raise FileGone(_GONE.format(path=self.path))

    def _connect(self) -> sqlite3.Connection:
        connection = connect(str(self.path), self._clock)
        try:
            # with the log, readers have a snapshot of their own, and hold up no writer
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":
                raise ConfigError(_NOT_WAL.format(path=self.path, mode=mode))
            level = "FULL" if self._durability == "full" else "NORMAL"
            for setting in (f"synchronous={level}", *_SETTINGS):
                connection.execute(f"PRAGMA {setting}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        self._session.close()
        self._id_locks.release()

    def _changed(self) -> bool:
        self._check_file()
        before, self._data_version = self._data_version, self._session.data_version()
        return self._data_version != before


def _number_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _check_place(path: Path) -> None:
    try:
        in_directory, is_directory = path.parent.is_dir(), path.is_dir()
    except OSError as error:  # a path that is too long, or a directory without search permission
        raise ConfigError(f"there can be no database at '{path}': {error.strerror}") from error
    if not in_directory:
        raise ConfigError(f"the directory '{path.parent}' of the database '{path}' does not exist; create it first")
    if is_directory:
        raise ConfigError(f"'{path}' is a directory; name a file in it")
