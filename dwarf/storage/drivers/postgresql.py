"""PostgreSQL, by way of asyncpg."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy.engine import URL

from dwarf.errors import ConfigError
from dwarf.storage.drivers.batches import (
    Batch,
    fetch_batch,
    insert_batch,
    update_batch,
    write_set_answer,
    write_set_batch,
    write_set_columns,
)
from dwarf.storage.drivers.connection import Connection, Transaction
from dwarf.storage.drivers.database import OnNotify
from dwarf.storage.drivers.listening import ChannelListener
from dwarf.storage.drivers.pulse import Session, seen_rows
from dwarf.storage.drivers.server import Durability, ServerDatabase
from dwarf.storage.migrations import migrate
from dwarf.storage.sql.compiler import compiled
from dwarf.storage.sql.errors import classify
from dwarf.storage.sql.heartbeats import RENEW, Seen
from dwarf.storage.sql.script import FetchEach, Params, Row, Statement, WriteSet

OLDEST = (13, 0)
CONNECT_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 120.0  # far beyond what a statement takes: the server, or the way to it, is gone
_STATEMENT_CACHE = 512
# Each statement has an index to go by; what the planner believes of a table that grows must not lead it to scan.
_SETTINGS = (
    # a fenced update must see what others have committed while it waited for the row; on a snapshot it would fail
    "SET default_transaction_isolation = 'read committed'",
    "SET lock_timeout = '30s'",
    "SET idle_in_transaction_session_timeout = '60s'",  # the locks of a process that stands still are let go
    "SET enable_seqscan = off",
    # no statement runs long enough to be worth compiling
    "SET jit = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
)
_MIGRATION_LOCK = "SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext('dwarf migration'))"
# How it is asked whether a session is this side's own: the process that serves it, and the port it is reached from.
_SESSION = (
    "SELECT pg_backend_pid(), inet_client_port(), "
    "CAST(CAST(EXTRACT(EPOCH FROM pg_postmaster_start_time()) * 1000000 AS BIGINT) AS TEXT)"
)
_PULSE_SETTINGS = (
    "SET synchronous_commit = off",  # a beat that is lost with the server is not missed
    "SET tcp_keepalives_idle = 5",  # the session of a machine that is gone ends within a quarter of a minute
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
)
# The columns of ReplicaRow, and whether the lock is held.
_LOOK = """
WITH locks AS MATERIALIZED (
    SELECT (CAST(classid AS BIGINT) << 32) | CAST(objid AS BIGINT) AS name
    FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
)
SELECT r.engine_id, r.nonce, r.seen_at, r.beats, r.dead, r.lock_key, r.server, r.direct, l.name IS NOT NULL
FROM dwarf_replicas r LEFT JOIN locks l ON l.name = r.lock_key"""
# The query of a statement that writes sees rows as they were before.
_BEAT = """
WITH beat AS ({renew} RETURNING engine_id, beats, seen_at, lock_key, server, direct), locks AS MATERIALIZED (
    SELECT (CAST(classid AS BIGINT) << 32) | CAST(objid AS BIGINT) AS name
    FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
)
SELECT r.engine_id, r.nonce, COALESCE(b.seen_at, r.seen_at), COALESCE(b.beats, r.beats), r.dead,
    COALESCE(b.lock_key, r.lock_key), COALESCE(b.server, r.server), COALESCE(b.direct, r.direct), l.name IS NOT NULL
FROM dwarf_replicas r LEFT JOIN beat b ON b.engine_id = r.engine_id LEFT JOIN locks l ON l.name = r.lock_key"""
_NUMBERS = {
    "timeout": "timeout",
    "connect_timeout": "timeout",
    "command_timeout": "command_timeout",
    "statement_cache_size": "statement_cache_size",
    "prepared_statement_cache_size": "statement_cache_size",
}
# No text of PostgreSQL holds a NUL. It is written as two characters, of which the first is no character of any text.
_MARK = "\U0010ffff"
_TEXTS = (str, type(None))
_REFUSALS = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
)


class PostgresConnection(Connection):
    """One connection of asyncpg, which prepares each statement once."""

    family = "postgresql"
    errors = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError)
    begin_write = "BEGIN"
    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        super().__init__()
        self._connection = connection
        version = connection.get_server_version()
        self.version = (version.major, version.minor)

    @property
    def usable(self) -> bool:
        return not self._connection.is_closed() and not self._connection.is_in_transaction()

    async def control(self, sql: str) -> None:
        await self._connection.execute(sql)

    async def fetch(self, statement: Statement, params: Params) -> list[Row]:
        sql = statement.compiled.get("postgresql") or compiled(statement, "postgresql")
        records = await self._connection.fetch(sql.sql, *_sendable(sql.parameters(params)))
        return [_received(tuple(record)) for record in records]

    async def fetch_each(self, request: FetchEach) -> list[list[Row]]:
        batch = fetch_batch(request.statement, request.rows[0].keys())
        found: list[list[Row]] = [[] for _ in request.rows]
        shared, columns = _sendable(batch.shared(request.common)), map(_sendable_column, batch.columns(request.rows))
        for position, *row in await self._connection.fetch(batch.sql, *shared, *columns):
            found[position - 1].append(_received(tuple(row)))
        return found

    async def execute(self, statement: Statement, params: Params) -> int:
        sql = statement.compiled.get("postgresql") or compiled(statement, "postgresql")
        return _matched(await self._connection.execute(sql.sql, *_sendable(sql.parameters(params))))

    async def insert_many(self, statement: Statement, rows: Sequence[Params]) -> None:
        batch = insert_batch(statement)
        if batch is not None:
            await self._connection.execute(batch.sql, *_columns(batch, rows))
        else:
            for row in rows:
                await self.execute(statement, row)

    async def update_each(self, statement: Statement, rows: Sequence[Params]) -> list[bool]:
        batch = update_batch(statement, rows) if len(rows) > 1 else None
        if batch is None:
            return [await self.execute(statement, row) > 0 for row in rows]
        flags = [False] * len(rows)
        for record in await self._connection.fetch(batch.sql, *_columns(batch, rows)):
            flags[record[0] - 1] = True
        return flags

    async def write_set(self, write_set: WriteSet) -> list[list[Any]] | None:
        sql = write_set_batch(write_set)
        if sql is None:
            return None
        columns = [_sendable_column(column) for column in write_set_columns(write_set)]
        return write_set_answer(write_set, (await self._connection.fetch(sql, *columns))[0])

    async def session(self) -> Session:
        pid, port, server = await self._connection.fetchrow(_SESSION)
        if pid != self._connection.get_server_pid():
            return Session()  # a pooler has made up the number that this side knows: the session is not its own
        lock_key = secrets.randbelow(2**63 - 1) + 1
        await self._connection.execute("; ".join(_PULSE_SETTINGS))
        await self._connection.execute("SELECT pg_advisory_lock($1)", lock_key)
        # by a Unix socket there is no port; through a proxy the server sees that of another connection
        transport = getattr(self._connection, "_transport", None)
        own = transport.get_extra_info("sockname") if transport is not None else None
        return Session(lock_key=lock_key, server=server, direct=port is None or bool(own and own[1] == port))

    async def replicas(self, own: Params | None) -> list[Seen]:
        if own is None:
            return seen_rows([tuple(record) for record in await self._connection.fetch(_LOOK)])
        renew = compiled(RENEW, "postgresql")
        records = await self._connection.fetch(_BEAT.format(renew=renew.sql), *renew.parameters(own))
        return seen_rows([tuple(record) for record in records])

    async def close(self) -> None:
        try:
            await self._connection.close(timeout=CONNECT_TIMEOUT_S)
        except self.errors:
            self.kill()

    def kill(self) -> None:
        self._connection.terminate()


class PostgresDatabase(ServerDatabase):
    """A PostgreSQL database, or one schema of it: the first of the search path."""

    dialect = "postgresql"

    def __init__(self, url: URL, *, durability: Durability = "full", max_connections: int | None = None) -> None:
        super().__init__(url, durability=durability, max_connections=max_connections)
        self._dsn, self._options = read_url(url)
        self._on_notify: OnNotify | None = None
        self._listener: ChannelListener | None = None

    async def open(self) -> None:
        """Connect and migrate. ConfigError where the server refuses the user, has no such database, or is too old."""
        await super().open()
        if self._listener is None:
            self._listener = ChannelListener(self._driver, self._pass_on)

    async def aclose(self) -> None:
        """Finish what was handed in, and disconnect."""
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.aclose()
        await super().aclose()

    @property
    def has_notifications(self) -> bool:
        return self._listener is not None and self._listener.has_notifications

    def listen(self, on_notify: OnNotify) -> None:
        self._on_notify = on_notify

    def notify(self, work_due: bool, stopped: Collection[int]) -> None:
        if self._listener is not None:
            self._listener.notify(work_due, stopped)

    async def living(self) -> int | None:
        """How many listen, this one included."""
        return None if self._listener is None else self._listener.living

    def _pass_on(self, work_due: bool, stopped: Collection[int] | None) -> None:
        if self._on_notify is not None:
            self._on_notify(work_due, stopped)

    async def _connect(self) -> Connection:
        return PostgresConnection(await self._driver())

    async def _driver(self) -> asyncpg.Connection[Any]:
        settings = [*_SETTINGS, *(["SET synchronous_commit = off"] if self._durability == "relaxed" else [])]
        try:
            connection = await asyncpg.connect(self._dsn, **self._options)
            try:
                await connection.execute("; ".join(settings))
            except BaseException:
                connection.terminate()
                raise
        except PostgresConnection.errors as error:
            raise classify(error, "postgresql", "connect") from error
        return connection

    def _is_refusal(self, error: BaseException | None) -> bool:
        return isinstance(error, _REFUSALS)

    async def _migrate(self, connection: Connection) -> None:
        assert isinstance(connection, PostgresConnection)
        if connection.version < OLDEST:
            raise ConfigError(f"{self._name} is PostgreSQL {connection.version[0]}: 13 is the oldest that can be used")
        run = Transaction(connection, None, final=True)
        await run.run(partial(migrate, self.dialect), writes=True, first=_MIGRATION_LOCK)


def read_url(url: URL) -> tuple[str, dict[str, Any]]:
    """The URL as asyncpg takes it, and what is said apart from it. Options that are not known go to the server."""
    query = dict(url.query)
    options: dict[str, Any] = {
        "timeout": CONNECT_TIMEOUT_S,
        "command_timeout": COMMAND_TIMEOUT_S,
        "statement_cache_size": _STATEMENT_CACHE,
        "max_cached_statement_lifetime": 0,
    }
    for name, own in _NUMBERS.items():
        if name in query:
            options[own] = _number(name, query.pop(name))
    if "ssl" in query:
        query.setdefault("sslmode", query.pop("ssl"))
    query.setdefault("application_name", "dwarf")
    plain = url.set(drivername="postgresql", query=query)
    return plain.render_as_string(hide_password=False), options


def _number(name: str, value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ConfigError(f"the option {name} of the database URL is a whole number") from None


def _sendable(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for value in values:
        if type(value) is str:
            if "\0" in value or _MARK in value:
                return tuple(map(_escaped, values))
        elif type(value) is list and value and type(value[0]) is str:  # names
            return tuple(map(_escaped, values))
    return values


def _columns(batch: Batch, rows: Sequence[Params]) -> list[Any]:
    return [_sendable_column(column) for column in batch.columns(rows)]


def _sendable_column(column: Any) -> Any:
    if type(column) not in (tuple, list):  # what all rows share
        return _sendable((column,))[0]
    # a column of texts may begin with NULL
    return _sendable(tuple(column)) if column and type(column[0]) in _TEXTS else column


def _escaped(value: Any) -> Any:
    if type(value) is str:
        return value.replace(_MARK, f"{_MARK}1").replace("\0", f"{_MARK}0")
    return [_escaped(item) for item in value] if type(value) is list else value


def _received(row: Row) -> Row:
    for value in row:
        if type(value) is str and _MARK in value:
            return tuple(_restored(value) if type(value) is str else value for value in row)
    return row


def _restored(text: str) -> str:
    return text.replace(f"{_MARK}0", "\0").replace(f"{_MARK}1", _MARK)


def _matched(status: str) -> int:
    """The number of rows in "UPDATE 3", "INSERT 0 3"."""
    count = status.rpartition(" ")[2]
    return int(count) if count.isdigit() else 0
