"""A database server as used by one engine: connections, transactions, and the handling of failures."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Coroutine
from functools import partial
from typing import Any, Literal, TypeVar

from sqlalchemy.engine import URL

from dwarf.errors import ConfigError, DwarfError, EngineClosed, StorageError
from dwarf.storage.drivers.connection import Connection, ServerClock, Transaction
from dwarf.storage.drivers.database import OnNotify
from dwarf.storage.drivers.pool import DEFAULT_LIMIT, Pool
from dwarf.storage.drivers.pulse import SessionPulse
from dwarf.storage.drivers.sqlite_session import Observer
from dwarf.storage.migrations import is_current
from dwarf.storage.payloads.pipeline import Payloads
from dwarf.storage.sql.errors import Contention, LostCommit, PayloadRefused, Unavailable, classify
from dwarf.storage.sql.script import Script

T = TypeVar("T")
Durability = Literal["full", "relaxed"]

logger = logging.getLogger(__name__)

CLOSING_PATIENCE_S = 5.0  # seconds to finish submitted work while closing
_WORTH_A_WORD_S = 10.0  # seconds of waiting for other transactions after which a line is logged
_FIRST_PAUSE_S, _PAUSE_GROWTH, _LONGEST_PAUSE_S = 0.002, 2.0, 0.25
_RACES = 3  # how often a taken unique key is treated as a race with another transaction


class ServerDatabase(ABC):
    """One database on a server. Its connections belong to the event loop that opens it; other loops submit to that one.

    ``max_connections`` bounds this process's concurrent connections for transactions, including one that is always kept
    for commits.
    """

    dialect: str
    single_writer = False
    registers = True

    def __init__(self, url: URL, *, durability: Durability = "full", max_connections: int | None = None) -> None:
        self._name = url.set(query={}, password=None).render_as_string()  # the form that errors may show
        self.payloads = Payloads()
        self.observer: Observer | None = None
        self.contentions = 0  # how often other transactions were in the way
        self.in_doubt_commits = 0  # transactions whose outcome is unknown
        self._clock = ServerClock()
        self._durability = durability
        self._limit = max_connections or DEFAULT_LIMIT
        self._pool: Pool[Connection] | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        self._give_up_at = math.inf  # by time.monotonic(); after it, contention is not waited out

    @property
    def connections(self) -> dict[str, int]:
        """The number of connections by state; empty while it is not open."""
        return {} if self._pool is None else self._pool.counts

    # ------------------------------------------------------------------ what a driver adds

    @abstractmethod
    async def _connect(self) -> Connection:
        """A new connection, set up for use. The driver's errors are classified."""

    @abstractmethod
    def _is_refusal(self, error: BaseException | None) -> bool:
        """Whether a driver's connection error is permanent."""

    @abstractmethod
    async def _migrate(self, connection: Connection) -> None:
        """Migrate the schema, under a lock among all processes. ConfigError for a server that is too old."""

    # ------------------------------------------------------------------ opening and closing

    async def open(self) -> None:
        """Connect and migrate. ConfigError if the server refuses the user or has no such database."""
        if self._pool is not None:
            return
        self._closing, self._give_up_at = False, math.inf
        self._loop = asyncio.get_running_loop()
        pool = self._pool = Pool(self._connected, self._limit)
        try:
            connection = await pool.take(writes=True)
            try:
                await self._prepare(connection)
            except BaseException:
                connection.kill()
                raise
            finally:
                pool.give(connection, writes=True)
            await self._persist(self.payloads.prepare, writes=True)
        except BaseException as error:
            await self.aclose()
            if isinstance(error, Unavailable) and self._is_refusal(error.__cause__):
                raise ConfigError(f"{self._name} cannot be used: {error}") from None
            raise

    async def _connected(self) -> Connection:
        """A new connection. All failures are Unavailable: none is a fault of the data."""
        try:
            return await self._connect()
        except Unavailable:
            raise
        except StorageError as error:
            raise Unavailable(str(error)) from error.__cause__

    async def _prepare(self, connection: Connection) -> None:
        # a current schema is only read, so a user without the right to change it can use it
        try:
            current = await Transaction(connection, None, final=True).run(
                partial(is_current, self.dialect), writes=False
            )
        except Unavailable:
            raise
        except StorageError:
            current = False  # no table of versions yet, or another process is just creating it
        while not current:
            try:
                await self._migrate(connection)
                current = True
            except Contention:
                await asyncio.sleep(_LONGEST_PAUSE_S)

    async def aclose(self) -> None:
        """Finish the submitted work, and disconnect."""
        if self._pool is None or self._closing:
            return
        self._closing = True
        self._give_up_at = time.monotonic() + CLOSING_PATIENCE_S
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=2 * CLOSING_PATIENCE_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        await self._pool.aclose()
        self._pool = None

    def resize(self, max_connections: int) -> None:
        """Change the number of connections."""
        self._limit = max_connections
        if self._pool is not None:
            self._pool.resize(max_connections)

    # ------------------------------------------------------------------ scripts

    async def write(self, script: Callable[[], Script[T]]) -> T:
        """Run a script as one transaction. A cancelled caller does not stop it."""
        return await self._shielded(self._persist(self.payloads.through(script), writes=True))

    async def read(self, script: Callable[[], Script[T]]) -> T:
        """Run a script on one snapshot. A write in it is refused."""
        return await self._shielded(self._persist(self.payloads.through(script), writes=False))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._name}>"

    async def changed(self) -> bool | None:
        """None: only a query can tell."""
        if self._pool is None or self._closing:
            raise EngineClosed("the database is not open")
        await self._pool.trim()
        return None

    @property
    def has_notifications(self) -> bool:
        """Whether push notifications are active now."""
        return False

    def listen(self, on_notify: OnNotify) -> None:  # noqa: B027 - not every dialect can
        """Do nothing: this server sends no notifications."""

    def notify(self, work_due: bool, stopped: Collection[int]) -> None:  # noqa: B027
        """Do nothing: this server sends no notifications."""

    async def claim_engine_id(self, wanted: int = 0) -> tuple[int, bool]:
        """A random id, or the wanted one: an operator who assigns ids must not assign one twice."""
        if self._pool is None or self._closing:
            raise EngineClosed("the database is not open")
        return wanted or secrets.randbelow(2**63 - 1) + 1, bool(wanted)

    async def dead_engine_ids(self, engine_ids: set[int]) -> set[int]:
        """Empty: no death can be proven, so leases must expire."""
        return set()

    async def living(self) -> int | None:
        """None: engines are not counted."""
        return None

    async def pulse(self) -> SessionPulse:
        """A connection for the heartbeat, in addition to those for transactions. It belongs to the running loop."""
        connection = await self._connected()
        try:
            return SessionPulse(connection, await connection.session())
        except connection.errors as error:
            connection.kill()
            raise Unavailable(str(classify(error, connection.family, "session"))) from error
        except BaseException:
            connection.kill()
            raise

    async def settled(self) -> None:
        """Wait until every transaction in flight has ended."""
        if self._running:
            await asyncio.wait(set(self._running))

    async def _shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end even if the caller is cancelled, so that no connection is left in the middle of a request."""
        if self._pool is None or self._closing:
            work.close()
            raise EngineClosed("the database is not open")
        loop = asyncio.get_running_loop()
        if self._loop is not None and loop is not self._loop:
            # the sockets of a driver's connections belong to the loop that has opened them
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._shielded(work), self._loop))
        task = loop.create_task(_settled(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            result, error = await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_report)
            raise
        if error is not None:
            raise error
        return result  # type: ignore[return-value] # there is one where there is no error

    async def _persist(self, script: Callable[[], Script[T]], *, writes: bool) -> T:
        """Run a script again and again while other transactions are in the way."""
        pause, races, patience = _FIRST_PAUSE_S, 0, time.monotonic() + _WORTH_A_WORD_S
        while True:
            try:
                return await self._attempt(script, writes=writes, final=races >= _RACES)
            except PayloadRefused as error:
                if not error.duplicate or races >= _RACES or not writes:
                    raise
                self.contentions += 1
                races += 1  # the other transaction has committed: there is nothing to wait for
                continue
            except Contention:
                self.contentions += 1
                now = time.monotonic()
                if now >= self._give_up_at:
                    raise
                if now >= patience:
                    patience = math.inf
                    logger.warning("still waiting for other transactions that are in the way")
            # at random, so that two transactions that have met do not meet again at the next try
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(_LONGEST_PAUSE_S, pause * _PAUSE_GROWTH)

    async def _attempt(self, script: Callable[[], Script[T]], *, writes: bool, final: bool) -> T:
        pool = self._pool
        assert pool is not None
        while True:
            connection = await pool.take(writes=writes)
            run = Transaction(connection, self.observer, final=final, clock=self._clock)
            try:
                return await run.run(script, writes=writes)
            except StorageError as error:
                # an idle connection dropped by the server says nothing about the server: use a new one
                stale = connection.served and not run.begun
                self.in_doubt_commits += isinstance(error, LostCommit)
                if stale or isinstance(error, Unavailable):
                    pool.replace(connection)
                if not stale:
                    raise
            finally:
                pool.give(connection, writes=writes)


async def _settled(work: Coroutine[Any, Any, T]) -> tuple[T | None, BaseException | None]:
    """The result or the error as a value, since not every error can be raised out of a task."""
    try:
        return await work, None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
        return None, error


def _report(task: asyncio.Task[tuple[Any, BaseException | None]]) -> None:
    error = None if task.cancelled() else task.result()[1]
    if error is not None:
        # the text of a foreign error may contain data
        text = str(error) if isinstance(error, DwarfError) else type(error).__name__
        logger.warning("a database operation failed after its caller had gone: %s", text)
