"""One connection to a database server, and a script on it: a transaction, statement by statement."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dwarf.errors import DwarfError
from dwarf.storage.drivers.sqlite_session import NOW, Observer
from dwarf.storage.failures import LostCommit, PayloadRefused, Unavailable, can_be_undone, classify
from dwarf.storage.script import (
    Execute,
    Fetch,
    Guarded,
    InsertMany,
    Lock,
    Now,
    Params,
    Row,
    Script,
    Statement,
    UpdateEach,
)

T = TypeVar("T")

_FETCH_NOW = Fetch(NOW, {})


class Link(ABC):
    """A driver's connection. It serves one transaction at a time.

    Methods raise what the driver raises; ``errors`` names those classes.
    """

    family: str  # whose error codes it reports; see ``failures``
    errors: tuple[type[BaseException], ...]
    begin_write: str
    begin_read: str

    def __init__(self) -> None:
        self.idle_since = time.monotonic()
        self.served = False  # it has run a transaction before: the server may have dropped it since

    @property
    @abstractmethod
    def usable(self) -> bool:
        """Whether it is connected and outside a transaction."""

    @abstractmethod
    async def control(self, sql: str) -> None:
        """Run a command without parameters and rows: BEGIN, COMMIT and their like."""

    @abstractmethod
    async def fetch(self, statement: Statement, params: Params) -> list[Row]:
        """Run a query, or a write that answers rows."""

    @abstractmethod
    async def execute(self, statement: Statement, params: Params) -> int:
        """Run a write; the rows it matched."""

    @abstractmethod
    async def insert_many(self, statement: Statement, rows: Sequence[Params]) -> None:
        """Insert rows, at least one."""

    @abstractmethod
    async def update_each(self, statement: Statement, rows: Sequence[Params]) -> list[bool]:
        """Run a write for each row, at least one; whether each has matched."""

    @abstractmethod
    async def close(self) -> None:
        """Disconnect."""

    @abstractmethod
    def kill(self) -> None:
        """Drop the connection at once, whatever it does."""


class Transaction:
    """One run of one script on one link.

    ``final``: a unique key that is taken is the script's own fault. Before that it is taken for the trace of another
    transaction that was faster, and is let out of every savepoint, so that the script is run again and finds it.
    """

    def __init__(self, link: Link, observer: Observer | None, *, final: bool) -> None:
        self._link = link
        self._observer = observer
        self._final = final
        self._writes = False
        self._depth = 0
        self.begun = False

    async def run(self, script: Callable[[], Script[T]], *, writes: bool, first: str = "") -> T:
        """Begin, run and commit; ``first`` is a command before the script.

        The link is left outside a transaction, or is not usable any more.
        """
        link, self._writes = self._link, writes
        try:
            await self._control(link.begin_write if writes else link.begin_read, "begin")
            self.begun = True
            if first:
                await self._control(first, "first")
            result = await self._drive(script())
            await self._commit()
        except Exception:
            await self._roll_back()
            raise
        except BaseException:
            link.kill()  # cancelled in the middle of a statement
            raise
        link.served = True
        return result

    async def _commit(self) -> None:
        try:
            await self._control("COMMIT", "commit")
        except Unavailable as error:
            if not self._writes:
                raise
            raise LostCommit(str(error)) from error.__cause__

    async def _roll_back(self) -> None:
        try:
            await self._control("ROLLBACK", "rollback")
        except Exception:  # noqa: BLE001 - the first error tells more, and the server ends a lost transaction itself
            self._link.kill()

    async def _control(self, sql: str, name: str) -> None:
        try:
            await self._link.control(sql)
        except self._link.errors as error:
            raise classify(error, self._link.family, name) from error
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
        match request:
            case Fetch() | Lock():
                return await self._fetch(request)
            case Now():
                return int((await self._fetch(_FETCH_NOW))[0][0])
            case Guarded():
                return await self._guarded(request)
            case Execute() if self._writes:
                return await self._execute(request)
            case UpdateEach() | InsertMany() if self._writes:
                return await self._many(request)
        name = type(request).__name__
        raise TypeError(f"a script {'yields requests' if self._writes else 'that reads can only fetch'}, not {name}")

    async def _fetch(self, request: Fetch | Lock) -> list[Row]:
        try:
            rows = await self._link.fetch(request.statement, request.params)
        except self._link.errors as error:
            raise classify(error, self._link.family, request.statement.name) from error
        self._observe(request.statement.name, len(rows))
        return rows

    async def _execute(self, request: Execute) -> int:
        try:
            matched = await self._link.execute(request.statement, request.params)
        except self._link.errors as error:
            raise classify(error, self._link.family, request.statement.name) from error
        self._observe(request.statement.name, 1)
        return matched

    async def _many(self, request: InsertMany | UpdateEach) -> list[bool] | None:
        updates = isinstance(request, UpdateEach)
        if not request.rows:
            return [] if updates else None
        try:
            if updates:
                flags = await self._link.update_each(request.statement, request.rows)
            else:
                await self._link.insert_many(request.statement, request.rows)
        except self._link.errors as error:
            raise classify(error, self._link.family, request.statement.name) from error
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
