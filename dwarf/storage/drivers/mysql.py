"""MySQL and MariaDB, by way of asyncmy."""

from __future__ import annotations

import asyncio
import math
import re
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from zlib import crc32

import asyncmy
from asyncmy.constants import CLIENT
from asyncmy.errors import MySQLError
from sqlalchemy.engine import URL

from dwarf.errors import ConfigError
from dwarf.storage.drivers.connection import Connection, Transaction
from dwarf.storage.drivers.pulse import Session, seen_rows
from dwarf.storage.drivers.server import Durability, ServerDatabase
from dwarf.storage.migrations import migrate
from dwarf.storage.sql.compiler import QUEUEING_MYSQL, compiled
from dwarf.storage.sql.errors import classify
from dwarf.storage.sql.heartbeats import RENEW, Seen
from dwarf.storage.sql.script import Params, Row, Statement

OLDEST_MYSQL, OLDEST_MARIADB = (8, 0), (10, 5)
SKIPS_LOCKED_MARIADB = (10, 6)
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 120  # far beyond what a statement takes: the server, or the way to it, is gone
LARGEST_TEXT = 1_000_000  # bytes of statements sent at once, unless one alone is larger

_SETTINGS = (
    # with REPEATABLE READ, InnoDB locks the gaps between rows, too, so that transactions on different steps would wait
    # for each other
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    # strict: otherwise a value that is too long for its column is cut off without an error
    "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "SET SESSION innodb_lock_wait_timeout = 10, wait_timeout = 28800",
)
# How it is asked whether a session is this side's own: the thread that serves it, and where that is reached from.
_SESSION = "SELECT CONNECTION_ID(), CONCAT(@@hostname, ':', @@port), UNIX_TIMESTAMP()"
_ADDRESS = "SELECT host FROM information_schema.processlist WHERE id = CONNECTION_ID()"
_SERVERS = "SELECT DISTINCT server FROM dwarf_replicas WHERE server <> ''"
# the columns of ReplicaRow, and whether the lock is held
_LOOK = (
    "SELECT engine_id, nonce, seen_at, beats, dead, lock_key, server, direct, "
    "IF(lock_key > 0, IS_USED_LOCK(CONCAT('dwarf-', lock_key)) IS NOT NULL, 0) FROM dwarf_replicas"
)
_SAME_START_S = 3  # how far apart the starts of one run are that were reckoned from whole seconds
_BEGIN_READ = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
_REFUSED = frozenset({1044, 1045, 1049, 1251, 1698, 2059, 3118, 3159})  # no such user, database or way to log in
_MADE_ALREADY = frozenset({1050, 1060, 1061, 1062})  # table, column, index, row: by a migration that did not end
_VALUES = re.compile(r"(INSERT INTO \w+ \([^)]*\) VALUES )(\(.*\))\s*\Z", re.DOTALL)
_VERSION = re.compile(r"(\d+)\.(\d+)\.\d+(-MariaDB)?")


class _Unsendable(TypeError):
    """A value that no column takes."""


class MysqlConnection(Connection):
    """One connection of asyncmy, which writes values into the text of a statement.

    Statements that answer nothing but a count are sent together: a server does in a microsecond what a round trip
    takes a hundred for.
    """

    family = "mysql"
    errors = (MySQLError, OSError, EOFError, UnicodeError, _Unsendable, asyncio.TimeoutError)
    begin_write = "BEGIN"
    begin_read = _BEGIN_READ

    def __init__(self, connection: Any) -> None:
        super().__init__()
        self._connection = connection
        self._in_transaction = False
        self.version, self.is_mariadb = read_version(connection.get_server_info())
        old = self.is_mariadb and self.version < SKIPS_LOCKED_MARIADB
        self._dialect = QUEUEING_MYSQL if old else "mysql"
        self.migrating = False

    @property
    def usable(self) -> bool:
        connection = self._connection
        broken = getattr(connection, "_stream_broken", False)  # closed by the server while nobody looked
        return bool(connection.connected) and not broken and not self._in_transaction

    async def control(self, sql: str) -> None:
        self._in_transaction = True  # unless it is seen to end
        await self._counts(sql)
        self._in_transaction = sql not in ("COMMIT", "ROLLBACK")

    async def fetch(self, statement: Statement, params: Params) -> list[Row]:
        if statement.returning_fallback is not None:
            update, query = statement.returning_fallback
            if not await self.execute(update, params):
                return []
            statement = query
        return await self.rows(self._text(statement, params))

    async def rows(self, sql: str) -> list[Row]:
        """The rows of a query."""
        cursor = self._connection.cursor()
        await cursor.execute(sql)
        return list(await cursor.fetchall())

    async def execute(self, statement: Statement, params: Params) -> int:
        if self.migrating:
            return await self._define(self._text(statement, params))
        return (await self._counts(self._text(statement, params)))[0]

    async def insert_many(self, statement: Statement, rows: Sequence[Params]) -> None:
        parts = _VALUES.match(compiled(statement, self._dialect).sql)
        if parts is None:
            for row in rows:
                await self.execute(statement, row)
            return
        given = compiled(statement, self._dialect).parameters
        head, pattern = parts[1] % (), parts[2]
        values = [pattern % self._literals(given(row)) for row in rows]
        for chunk in _chunks(values):
            await self._counts(head + ", ".join(chunk))

    async def update_each(self, statement: Statement, rows: Sequence[Params]) -> list[bool]:
        counts: list[int] = []
        for chunk in _chunks([self._text(statement, row) for row in rows]):
            counts += await self._counts("; ".join(chunk))
        return [count > 0 for count in counts]

    async def session(self) -> Session:
        number, name, now = (await self.rows(_SESSION))[0]
        if number != self._connection.thread_id():
            return Session()  # a proxy that shares its connections has made up the number that this side knows
        uptime = int((await self.rows("SHOW GLOBAL STATUS LIKE 'Uptime'"))[0][1])
        server = _run_of_server(str(name), int(now) - uptime, await self.rows(_SERVERS))
        lock_key = secrets.randbelow(2**63 - 1) + 1
        try:
            taken = await self.rows(f"SELECT GET_LOCK('dwarf-{lock_key}', 5)")
            (address,) = (await self.rows(_ADDRESS))[0]
        except MySQLError:  # some clusters have no such locks
            return Session()
        own = self._connection._transport.get_extra_info("sockname")
        port = str(address).rpartition(":")[2]
        # by a Unix socket there is no port; through a proxy the server sees that of another connection
        direct = ":" not in str(address) or (bool(own) and str(own[1]) == port)
        return Session(lock_key=lock_key, server=server, direct=direct) if taken[0][0] == 1 else Session()

    async def replicas(self, own: Params | None) -> list[Seen]:
        cursor = self._connection.cursor()
        if own is None:
            await cursor.execute(_LOOK)
        else:
            await cursor.execute(f"{self._text(RENEW, own)}; {_LOOK}")
            await cursor.nextset()
        return seen_rows(await cursor.fetchall())

    async def close(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._connection.ensure_closed()
        except self.errors:
            self.kill()

    def kill(self) -> None:
        self._connection.close()

    async def _counts(self, sql: str) -> list[int]:
        """Run statements; the rows each has matched."""
        cursor = self._connection.cursor()
        await cursor.execute(sql)
        counts = [cursor.rowcount]
        while await cursor.nextset():
            counts.append(cursor.rowcount)
        return counts

    async def _define(self, sql: str) -> int:
        """Run a statement of a migration, which commits by itself. What an earlier try has made is left as it is."""
        collation = "utf8mb4_nopad_bin" if self.is_mariadb else "utf8mb4_0900_bin"  # the same thing: blanks count
        try:
            return (await self._counts(sql.replace("utf8mb4_bin", collation)))[0]
        except MySQLError as error:
            if error.args and error.args[0] in _MADE_ALREADY:
                return 0
            raise

    def _text(self, statement: Statement, params: Params) -> str:
        sql = statement.compiled.get(self._dialect) or compiled(statement, self._dialect)
        return str(sql.sql % self._literals(sql.parameters(params)))

    def _literals(self, values: tuple[Any, ...]) -> tuple[str, ...]:
        quote = self._connection.escape
        return tuple([quote(value) if type(value) is str else _literal(value, quote) for value in values])


class MysqlDatabase(ServerDatabase):
    """A database of MySQL 8 or MariaDB 10.5, or later ones."""

    dialect = "mysql"

    def __init__(self, url: URL, *, durability: Durability = "full", max_connections: int | None = None) -> None:
        super().__init__(url, durability=durability, max_connections=max_connections)
        self._options = read_url(url)

    async def _connect(self) -> Connection:
        try:
            connection = await asyncmy.connect(**self._options)
            opened = MysqlConnection(connection)
            try:
                for setting in _SETTINGS:
                    await opened.rows(setting)
                if opened.is_mariadb:  # the locks of a process that stands still are let go
                    await opened.rows("SET SESSION idle_transaction_timeout = 60")
            except BaseException:
                opened.kill()
                raise
        except MysqlConnection.errors as error:
            raise classify(error, "mysql", "connect") from error
        return opened

    def _is_refusal(self, error: BaseException | None) -> bool:
        return isinstance(error, MySQLError) and bool(error.args) and error.args[0] in _REFUSED

    async def _migrate(self, opened: Connection) -> None:
        assert isinstance(opened, MysqlConnection)
        kind, oldest = ("MariaDB", OLDEST_MARIADB) if opened.is_mariadb else ("MySQL", OLDEST_MYSQL)
        if opened.version < oldest:
            raise ConfigError(f"{self._name} is {kind} {_dotted(opened.version)}: {_dotted(oldest)} is the oldest")
        try:
            database = (await opened.rows("SELECT DATABASE()"))[0][0]
            lock = f"dwarf-migration-{crc32(str(database).encode()):08x}"  # of the whole server
            while (await opened.rows(f"SELECT GET_LOCK('{lock}', 10)"))[0][0] != 1:
                pass
            opened.migrating = True
            await Transaction(opened, None, final=True).run(partial(migrate, self.dialect), writes=True)
            opened.migrating = False
            await opened.rows(f"SELECT RELEASE_LOCK('{lock}')")
        except MysqlConnection.errors as error:
            raise classify(error, "mysql", "migrate") from error


def _run_of_server(name: str, start: int, known: Sequence[Row]) -> str:
    """A name for the run of a server that started then: the one that others have for it, if any has."""
    host = f"{crc32(name.encode()):08x}"
    for (other,) in known:
        other_host, _, other_start = str(other).partition("-")
        if other_host == host and other_start.isdigit() and abs(int(other_start) - start) <= _SAME_START_S:
            return str(other)
    return f"{host}-{start}"


def read_version(text: str) -> tuple[tuple[int, int], bool]:
    """The version in a server's greeting, and whether it is MariaDB."""
    found = _VERSION.findall(text.removeprefix("5.5.5-"))  # which MariaDB says to old clients
    if not found:
        return (0, 0), False
    major, minor, _ = found[0]
    return (int(major), int(minor)), "mariadb" in text.lower()


def read_url(url: URL) -> dict[str, Any]:
    """The arguments of asyncmy for a URL. ConfigError for an option that is not known."""
    if not url.database:
        raise ConfigError('the URL names no database: write "mysql://user@host/name"')
    query = {name: str(value) for name, value in url.query.items()}
    options: dict[str, Any] = {
        "host": url.host or "localhost",
        "port": url.port or 3306,
        "user": url.username,
        "password": (url.password or "").encode(),
        "database": url.database,
        "charset": "utf8mb4",
        "autocommit": True,
        # an update counts the rows that it has matched, as elsewhere; by default MySQL counts those that it has changed
        "client_flag": CLIENT.FOUND_ROWS,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
        "program_name": "dwarf",
    }
    query.pop("charset", None)
    for name in ("connect_timeout", "read_timeout"):
        if name in query:
            options[name] = _number(name, query.pop(name))
    for name in ("unix_socket", "program_name"):
        if name in query:
            options[name] = query.pop(name)
    tls = {name: query.pop(name) for name in tuple(query) if name.startswith("ssl")}
    if query:
        raise ConfigError(f"a MySQL URL takes no option {', '.join(sorted(query))}")
    if tls:
        options["ssl"] = _tls(tls)
    return options


def _tls(given: dict[str, str]) -> Any:
    """Options ``ssl`` and ``ssl_*``: ca, capath, cert, key, cipher, check_hostname."""
    wanted = given.pop("ssl", "true").lower()
    tls: dict[str, Any] = {}
    for name, value in given.items():
        key = name.removeprefix("ssl_")
        if key not in ("ca", "capath", "cert", "key", "cipher", "check_hostname"):
            raise ConfigError(f"a MySQL URL takes no option {name}")
        tls[key] = value.lower() in ("1", "true", "yes") if key == "check_hostname" else value
    if wanted in ("0", "false", "no"):
        return None
    return tls or True


def _number(name: str, value: str) -> int:
    if not value.isdigit() or not int(value):
        raise ConfigError(f"the option {name} of the database URL is a whole number of seconds")
    return int(value)


def _chunks(texts: Sequence[str]) -> list[list[str]]:
    """The texts in order, in groups that are sent together."""
    chunks: list[list[str]] = []
    size = 0
    for text in texts:
        if not chunks or size + len(text) > LARGEST_TEXT:
            chunks.append([])
            size = 0
        chunks[-1].append(text)
        size += len(text)
    return chunks


def _literal(value: object, quote: Callable[[str], str]) -> str:
    """A value, other than a plain text, as it stands in SQL."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(int(value))
        case int() if -(2**63) <= value < 2**63:
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case str():
            return quote(str(value))
        case [*items]:
            # an empty list has no way to be written; nothing is in this one either
            return (
                f"({', '.join(_literal(item, quote) for item in items)})" if items else "(SELECT 1 FROM DUAL WHERE 0)"
            )
    raise _Unsendable(f"a column takes no {type(value).__name__} like this")


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
