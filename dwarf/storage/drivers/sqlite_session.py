"""Scripts on one SQLite connection of the standard library: a whole transaction on one thread."""

from __future__ import annotations

import logging
import math
import random
import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from sqlalchemy import select

from dwarf.errors import DwarfError, StorageError
from dwarf.storage.sql.compiler import Compiled, compiled
from dwarf.storage.sql.errors import Contention, Unavailable, can_be_undone, classify
from dwarf.storage.sql.expressions import now_ms
from dwarf.storage.sql.script import (
    Execute,
    Fetch,
    FetchEach,
    Guarded,
    InsertMany,
    Lock,
    Now,
    Row,
    Script,
    Statement,
    UpdateEach,
    WriteSet,
    one_by_one,
)

T = TypeVar("T")
Observer = Callable[[str, int], None]

NOW = Statement("now", select(now_ms()))
_FETCH_NOW = Fetch(NOW, {})
# The driver's errors: those of the database, and those of converting a Python value for a column.
DRIVER_ERRORS = (sqlite3.Error, OverflowError, UnicodeError, orjson.JSONEncodeError)

logger = logging.getLogger(__name__)

_WORTH_A_WORD = 10.0  # seconds of waiting for other processes after which a line is logged
_FIRST_PAUSE, _PAUSE_GROWTH, _LONGEST_PAUSE = 0.0002, 1.3, 0.005  # seconds


class SqliteSession:
    """A connection and its transactions. Used by one thread at a time.

    ``observer``, if set, is called with the name of every statement and its number of rows, and with ``begin``,
    ``commit`` and ``rollback``.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], dialect: str, *, lasting: bool) -> None:
        """``lasting``: the connection holds the only copy of the data, so it must never be replaced."""
        self.observer: Observer | None = None
        self.contentions = 0  # how often another process was in the way
        self.give_up_at: float | None = None  # by time.monotonic(); after it, contention is not waited out
        self._connect = connect
        self._dialect = dialect
        self._lasting = lasting
        self._connection: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None
        self._perform: dict[type, Callable[[Any], Any]] = {
            Now: self._now,
            Fetch: self._fetch,
            FetchEach: self._fetch_each,
            Lock: _locked_already,
            Execute: self._execute,
            InsertMany: self._insert_many,
            UpdateEach: self._update_each,
            Guarded: self._guarded,
            WriteSet: self._write_set,
        }

    def write(self, script: Callable[[], Script[T]]) -> T:
        """Run a script as one write transaction, again and again while other processes are in the way."""
        # IMMEDIATE: a transaction that has read before its first write is refused by SQLite, and not kept waiting, if
        # another process has written in between.
        return self._persist(lambda: self._transaction("BEGIN IMMEDIATE", script, "COMMIT"))

    def read(self, script: Callable[[], Script[T]]) -> T:
        """Run a script on one snapshot. A write in it is refused."""
        return self._persist(lambda: self._snapshot(script))

    def connection(self) -> sqlite3.Connection:
        """The connection, opened if there is none."""
        if self._connection is None:
            try:
                self._connection = self._connect()
            except DRIVER_ERRORS as error:
                raise classify(error, "sqlite", "connect") from error
            self._cursor = self._connection.cursor()
        return self._connection

    def open(self) -> None:
        """Connect. Waits for another process that opens the same file."""
        self._persist(self.connection)

    def close(self) -> None:
        """Disconnect. Uncommitted changes are lost."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            connection.close()

    def data_version(self) -> int:
        """A number that changes when another connection has committed."""
        return self._persist(self._data_version)

    def _data_version(self) -> int:
        try:
            return int(self.connection().execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise classify(error, "sqlite", "data_version") from error

    def _persist(self, attempt: Callable[[], T]) -> T:
        pause, patience = _FIRST_PAUSE, time.monotonic() + _WORTH_A_WORD
        while True:
            try:
                return attempt()
            except Contention:
                self.contentions += 1
                now = time.monotonic()
                if self.give_up_at is not None and now >= self.give_up_at:
                    raise
                if now >= patience:
                    patience = math.inf
                    logger.warning("still waiting for another program that keeps the database locked")
            # SQLite's busy handler is off: its pauses are neither random nor interruptible by a close.
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(_LONGEST_PAUSE, pause * _PAUSE_GROWTH)

    def _snapshot(self, script: Callable[[], Script[T]]) -> T:
        if not self._lasting:
            return self._transaction("BEGIN", script, "ROLLBACK")
        connection = self.connection()  # it serves the writes, too
        connection.execute("PRAGMA query_only=1")
        try:
            return self._transaction("BEGIN", script, "ROLLBACK")
        finally:
            connection.execute("PRAGMA query_only=0")

    def _transaction(self, begin: str, script: Callable[[], Script[T]], end: str) -> T:
        self.connection()
        try:
            self._control(begin)
            result = self._drive(script())
            self._control(end)
        except BaseException as error:
            # A file that failed may have been moved, or be back on another mount: the next try opens it again.
            if not self._roll_back() or isinstance(error, Unavailable):
                self._give_up()
            raise
        return result

    def _roll_back(self) -> bool:
        """End the transaction, if SQLite has not ended it by itself. Returns whether that succeeded."""
        if self._connection is not None and self._connection.in_transaction:
            try:
                self._control("ROLLBACK")
            except StorageError:
                return False
        return True

    def _give_up(self) -> None:
        if not self._lasting:
            self.close()

    def _control(self, sql: str) -> None:
        assert self._cursor is not None
        try:
            self._cursor.execute(sql)
        except sqlite3.Error as error:
            raise classify(error, "sqlite", sql.lower()) from error
        if self.observer is not None:
            self.observer(sql.partition(" ")[0].lower(), 0)

    def _drive(self, script: Script[T]) -> T:
        perform = self._perform
        answer: Any = None
        try:
            while True:
                request = script.send(answer)
                answer = perform.get(type(request), _refuse)(request)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            script.close()

    def _run(self, statement: Statement) -> tuple[sqlite3.Cursor, Compiled]:
        assert self._cursor is not None
        return self._cursor, statement.compiled.get(self._dialect) or compiled(statement, self._dialect)

    def _observe(self, statement: Statement, rows: int) -> None:
        if self.observer is not None:
            self.observer(statement.name, rows)

    def _now(self, request: Now) -> int:
        return int(self._fetch(_FETCH_NOW)[0][0])

    def _fetch(self, request: Fetch) -> list[Row]:
        cursor, sql = self._run(request.statement)
        try:
            rows = cursor.execute(sql.sql, sql.parameters(request.params)).fetchall()
        except DRIVER_ERRORS as error:
            raise classify(error, "sqlite", request.statement.name) from error
        self._observe(request.statement, len(rows))
        return rows

    def _fetch_each(self, request: FetchEach) -> list[list[Row]]:
        return [self._fetch(Fetch(request.statement, {**request.common, **row})) for row in request.rows]

    def _execute(self, request: Execute) -> int:
        cursor, sql = self._run(request.statement)
        try:
            cursor.execute(sql.sql, sql.parameters(request.params))
        except DRIVER_ERRORS as error:
            raise classify(error, "sqlite", request.statement.name) from error
        self._observe(request.statement, 1)
        return self._matched(cursor)

    def _insert_many(self, request: InsertMany) -> None:
        cursor, sql = self._run(request.statement)
        try:
            cursor.executemany(sql.sql, map(sql.parameters, request.rows))
        except DRIVER_ERRORS as error:
            raise classify(error, "sqlite", request.statement.name) from error
        self._observe(request.statement, len(request.rows))

    def _update_each(self, request: UpdateEach) -> list[bool]:
        cursor, sql = self._run(request.statement)
        text, parameters, execute = sql.sql, sql.parameters, cursor.execute
        flags = []
        try:
            for row in request.rows:
                count = execute(text, parameters(row)).rowcount
                flags.append(count > 0 or (count < 0 and self._matched(cursor) > 0))
        except DRIVER_ERRORS as error:
            raise classify(error, "sqlite", request.statement.name) from error
        self._observe(request.statement, len(request.rows))
        return flags

    def _write_set(self, request: WriteSet) -> list[list[Any]]:
        return self._drive(one_by_one(request))

    def _matched(self, cursor: sqlite3.Cursor) -> int:
        """The rows a write matched. The driver does not count them if the text begins with WITH."""
        count = cursor.rowcount
        return count if count >= 0 else int(self.connection().execute("SELECT changes()").fetchone()[0])

    def _guarded(self, request: Guarded) -> tuple[Any, DwarfError | None]:
        self._control("SAVEPOINT guarded")  # nested savepoints share the name: SQLite uses the innermost
        try:
            result = self._drive(request.script())
        except DwarfError as error:
            if not can_be_undone(error):
                raise
            self._control("ROLLBACK TO guarded")
            self._control("RELEASE guarded")
            return None, error
        self._control("RELEASE guarded")
        return result, None


def _locked_already(request: Lock) -> None:
    """Nothing: a writer has locked the whole database."""


def _refuse(request: object) -> None:
    raise TypeError(f"a script yields requests, not {type(request).__name__}")
