"""One connection to a database server, and a script on it: a transaction, statement by statement."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select

from dwarf.errors import DwarfError
from dwarf.storage.drivers.pulse import Session
from dwarf.storage.drivers.sqlite_session import NOW, Observer
from dwarf.storage.sql.errors import LostCommit, PayloadRefused, Unavailable, can_be_undone, classify
from dwarf.storage.sql.heartbeats import Seen
from dwarf.storage.sql.script import (
    AggregatedUpdate,
    Execute,
    Fetch,
    FetchEach,
    Guarded,
    InsertMany,
    Lock,
    Now,
    Params,
    Row,
    Script,
    Statement,
    UpdateEach,
    WriteSet,
    one_by_one,
)

T = TypeVar("T")

_FETCH_NOW = Fetch(NOW, {})
_CARRIED_ON_S = 1.0
_RECENT_S = 10.0  # a connection that was used more recently is assumed to be alive


class Connection(ABC):
    """A driver's connection. It serves one transaction at a time.

    Methods raise the driver's errors; ``errors`` names their classes.
    """

    family: str  # the family of its error codes; see ``sql.errors``
    errors: tuple[type[BaseException], ...]
    begin_write: str
    begin_read: str

    def __init__(self) -> None:
        self.idle_since = time.monotonic()
        self.served = False  # a used connection may have been dropped by the server since

    @property
    @abstractmethod
    def usable(self) -> bool:
        """Whether it is connected and outside a transaction."""

    @abstractmethod
    async def control(self, sql: str) -> None:
        """Run a command without parameters and rows, such as BEGIN or COMMIT."""

    @abstractmethod
    async def fetch(self, statement: Statement, params: Params) -> list[Row]:
        """Run a query, or a write that returns rows."""

    async def fetch_each(self, request: FetchEach) -> list[list[Row]]:
        """Run a query for each row, at least one."""
        return [await self.fetch(request.statement, {**request.common, **row}) for row in request.rows]

    @abstractmethod
    async def execute(self, statement: Statement, params: Params) -> int:
        """Run a write. Returns the number of matched rows."""

    @abstractmethod
    async def insert_many(self, statement: Statement, rows: Sequence[Params]) -> None:
        """Insert rows, at least one."""

    @abstractmethod
    async def update_each(self, statement: Statement, rows: Sequence[Params]) -> list[bool]:
        """Run a write for each row, at least one. Returns whether each has matched."""

    async def write_set(self, write_set: WriteSet) -> list[list[Any]] | None:
        """Write a write set as one statement. None if that is not possible; then it is written part by part."""
        return None

    @abstractmethod
    async def session(self) -> Session:
        """Make this the connection of a heartbeat, and take a lock if the lock would belong to this session."""

    @abstractmethod
    async def replicas(self, own: Params | None) -> list[Seen]:
        """Raise the counter of a replica, if one is given, and read all rows, in one request to the server."""

    @abstractmethod
    async def close(self) -> None:
        """Disconnect."""

    @abstractmethod
    def kill(self) -> None:
        """Drop the connection immediately, even in the middle of a statement."""


class ServerClock:
    """The server's clock, extrapolated by this process's own clock between two readings.

    It is late by at most the travel time of an answer, and a reading never moves it backward for that reason.
    """

    def __init__(self) -> None:
        self._shown = 0
        self._seen_at = -math.inf
        self._latest = 0

    def now(self) -> int | None:
        """The time in epoch milliseconds; None if the last reading is too old."""
        passed = time.monotonic() - self._seen_at
        return self._onward(self._shown + int(passed * 1000)) if passed < _CARRIED_ON_S else None

    def show(self, now: int) -> int:
        """Take a reading of the server's clock. Returns the time to use."""
        self._shown, self._seen_at = now, time.monotonic()
        return self._onward(now)

    def _onward(self, now: int) -> int:
        if 0 < self._latest - now < 1000 * _CARRIED_ON_S:
            return self._latest
        self._latest = now
        return now


class Transaction:
    """One run of one script on one connection.

    ``final``: a taken unique key is a fault of the script. Before the final try it is treated as a race with another
    transaction and passes all savepoints, so that the script is run again and finds the other's row.
    """

    def __init__(
        self, connection: Connection, observer: Observer | None, *, final: bool, clock: ServerClock | None = None
    ) -> None:
        self._connection = connection
        self._observer = observer
        self._final = final
        self._clock = clock or ServerClock()
        self._writes = False
        self._open = False  # whether a transaction is open
        self._over = False  # whether the last request was one
        self._depth = 0
        self.begun = False

    async def run(self, script: Callable[[], Script[T]], *, writes: bool, first: str = "") -> T:
        """Begin, run and commit; ``first`` is a command before the script.

        Afterwards the connection is outside a transaction, or unusable.
        """
        connection, self._writes = self._connection, writes
        try:
            if first:
                await self._begin()
                await self._control(first, "first")
            result = await self._drive(script())
            if self._open:
                await self._commit()
        except Exception:
            if self._open:
                await self._roll_back()
            raise
        except BaseException:
            connection.kill()  # cancelled in the middle of a statement
            raise
        connection.served = True
        return result

    async def _begin(self) -> None:
        await self._control(self._connection.begin_write if self._writes else self._connection.begin_read, "begin")
        self._open = self.begun = True

    async def _commit(self) -> None:
        try:
            await self._control("COMMIT", "commit")
        except Unavailable as error:
            if not self._writes:
                raise
            raise LostCommit(str(error)) from error.__cause__
        self._open = False

    async def _roll_back(self) -> None:
        try:
            await self._control("ROLLBACK", "rollback")
        except Exception:  # noqa: BLE001 - the first error tells more, and the server ends a lost transaction itself
            self._connection.kill()

    async def _control(self, sql: str, name: str) -> None:
        try:
            await self._connection.control(sql)
        except self._connection.errors as error:
            raise classify(error, self._connection.family, name) from error
        self._observe(name, 0)

    def _observe(self, name: str, rows: int) -> None:
        if self._observer is not None:
            self._observer(name, rows)

    async def _drive(self, script: Script[T]) -> T:
        answer: Any = None
        try:
            while True:
                answer = await self._perform(script.send(answer))
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            script.close()

    async def _perform(self, request: object) -> Any:
        if isinstance(request, Now):
            return await self._now()
        if isinstance(request, WriteSet) and self._writes:
            return await self._run_write_set(request)
        if self._over:
            raise TypeError("a request follows the last one")
        if not self._open and not _needs_none(request):
            await self._begin()
        match request:
            case Fetch() | Lock():
                return await self._fetch(request)
            case FetchEach():
                return await self._fetch_each(request)
            case Guarded():
                return await self._guarded(request)
            case Execute() if self._writes:
                return await self._execute(request)
            case UpdateEach() | InsertMany() if self._writes:
                return await self._many(request)
        name = type(request).__name__
        raise TypeError(f"a script {'yields requests' if self._writes else 'that reads can only fetch'}, not {name}")

    async def _now(self) -> int:
        now = self._clock.now()
        if now is None:
            now = self._clock.show(int((await self._fetch(_FETCH_NOW))[0][0]))
        return now

    async def _run_write_set(self, request: WriteSet) -> list[list[Any]]:
        # If the server has dropped an idle connection, the statement that notices it is tried again on another one.
        # After BEGIN that is safe. After a statement that commits by itself it is not: nobody knows whether it was run.
        at_once = request.last and not self._open and time.monotonic() - self._connection.idle_since < _RECENT_S
        if not at_once and not self._open:
            await self._begin()
        try:
            written = await self._connection.write_set(request)
        except self._connection.errors as error:
            raised = classify(error, self._connection.family, "land")
            if at_once and isinstance(raised, Unavailable):
                raise LostCommit(str(raised)) from error  # the statement was its own transaction
            raise raised from error
        if written is None:
            if not self._open:
                await self._begin()
            return await self._drive(one_by_one(request))
        self._over = request.last and any(map(any, written))
        if at_once:
            self._observe("begin", 0)
        for part, flags in zip((*request.own, *(part for part, _ in request.rest)), written, strict=True):
            if flags:
                self._observe(part.statement.name, len(flags) if isinstance(part, AggregatedUpdate) else sum(flags))
        if at_once:
            self._observe("commit", 0)
        return written

    async def _fetch(self, request: Fetch | Lock) -> list[Row]:
        try:
            rows = await self._connection.fetch(request.statement, request.params)
        except self._connection.errors as error:
            raise classify(error, self._connection.family, request.statement.name) from error
        self._observe(request.statement.name, len(rows))
        self.begun = True
        return rows

    async def _fetch_each(self, request: FetchEach) -> list[list[Row]]:
        if not request.rows:
            return []
        try:
            found = await self._connection.fetch_each(request)
        except self._connection.errors as error:
            raise classify(error, self._connection.family, request.statement.name) from error
        self._observe(request.statement.name, sum(map(len, found)))
        return found

    async def _execute(self, request: Execute) -> int:
        try:
            matched = await self._connection.execute(request.statement, request.params)
        except self._connection.errors as error:
            raise classify(error, self._connection.family, request.statement.name) from error
        self._observe(request.statement.name, 1)
        return matched

    async def _many(self, request: InsertMany | UpdateEach) -> list[bool] | None:
        updates = isinstance(request, UpdateEach)
        if not request.rows:
            return [] if updates else None
        try:
            if updates:
                flags = await self._connection.update_each(request.statement, request.rows)
            else:
                await self._connection.insert_many(request.statement, request.rows)
        except self._connection.errors as error:
            raise classify(error, self._connection.family, request.statement.name) from error
        self._observe(request.statement.name, len(request.rows))
        return flags if updates else None

    async def _guarded(self, request: Guarded) -> tuple[Any, DwarfError | None]:
        self._depth += 1
        name = f"guarded_{self._depth}"
        await self._control(f"SAVEPOINT {name}", "savepoint")
        try:
            result = await self._drive(request.script())
        except DwarfError as error:
            raced = isinstance(error, PayloadRefused) and error.duplicate and not self._final
            if raced or not can_be_undone(error):
                raise
            await self._control(f"ROLLBACK TO SAVEPOINT {name}", "rollback")
            await self._control(f"RELEASE SAVEPOINT {name}", "release")
            return None, error
        finally:
            self._depth -= 1
        await self._control(f"RELEASE SAVEPOINT {name}", "release")
        return result, None


def _needs_none(request: object) -> bool:
    """Whether a request needs no transaction. Only reads qualify, as nothing else keeps a read from writing outside
    one.
    """
    return isinstance(request, Fetch) and request.autocommit and isinstance(request.statement.clause, Select)
