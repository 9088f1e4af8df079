"""From a URL to a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from dwarf.errors import ConfigError
from dwarf.storage.drivers.memory import MemoryDatabase
from dwarf.storage.drivers.sqlite import Durability, SqliteDatabase
from dwarf.storage.payloads.coding import Codec
from dwarf.storage.payloads.pipeline import Payloads

if TYPE_CHECKING:
    from dwarf.storage.drivers.database import ClockShift, Database

_FORMS = (
    'use "sqlite:///file.db" for a file (four slashes for an absolute path), "sqlite://" for a database in memory, '
    '"sqlite:///file:NAME?mode=memory" for one in memory that engines of this process share, or '
    '"postgresql://user@host/name", "mysql://user@host/name" or "mariadb://user@host/name" for a server'
)
_SERVERS = {  # the driver, and the extra of this package that installs it
    "postgresql": ("asyncpg", "postgresql"),
    "postgres": ("asyncpg", "postgresql"),
    "mysql": ("asyncmy", "mysql"),
    "mariadb": ("asyncmy", "mysql"),
}
_MEMORY_OPTIONS = {"mode", "cache", "uri"}


def open_database(
    url: str | None,
    *,
    durability: Durability = "full",
    clock: ClockShift | None = None,
    max_connections: int | None = None,
    codec: Codec | None = None,
) -> Database:
    """The database of a URL, not yet open. None is a private one in memory.

    ``max_connections`` bounds the connections to a server; ``codec`` encodes stored payloads. ConfigError, which never
    shows a password, for an unknown kind of database, an impossible place, or a driver that is not installed.
    """
    database = _database(url, durability, clock, max_connections)
    if codec is not None:
        database.payloads = Payloads(codec)
    return database


def _database(
    url: str | None, durability: Durability, clock: ClockShift | None, max_connections: int | None
) -> Database:
    if durability not in ("full", "relaxed"):
        raise ConfigError(f'durability is "full" or "relaxed", not {durability!r}')
    if url is None:
        return MemoryDatabase(clock=clock)
    parsed = _parse(url)
    backend = parsed.get_backend_name()
    if backend in _SERVERS:
        if clock is not None:
            raise ConfigError("a virtual clock needs SQLite: a server has its own time")
        return _server(parsed, durability, max_connections)
    if backend == "mssql":
        raise ConfigError(f"SQL Server cannot be used yet: its statements are compiled but not run; {_FORMS}")
    if parsed.drivername not in ("sqlite", "sqlite+aiosqlite", "sqlite+pysqlite"):
        raise ConfigError(f"unknown kind of database {parsed.drivername!r}; {_FORMS}")
    if parsed.host or parsed.username or parsed.password or parsed.port:
        raise ConfigError(f"an SQLite URL has no host: a path starts with three slashes; {_FORMS}")
    return _sqlite(parsed, durability, clock)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        url.encode()
        if "\0" in url or not 0 <= (parsed.port or 0) < 65536:
            raise ValueError
        return parsed
    except (ArgumentError, ValueError, TypeError, AttributeError):
        # Neither the text nor the cause is shown: they may contain a password.
        raise ConfigError(f"this is not a database URL; {_FORMS}") from None


def _server(url: URL, durability: Durability, max_connections: int | None) -> Database:
    backend = url.get_backend_name()
    driver, extra = _SERVERS[backend]
    if url.drivername not in (backend, f"{backend}+{driver}"):
        raise ConfigError(f"{backend} is reached by {driver}: write {backend}:// or {backend}+{driver}://")
    try:
        if extra == "postgresql":
            from dwarf.storage.drivers.postgresql import PostgresDatabase

            return PostgresDatabase(url, durability=durability, max_connections=max_connections)
        from dwarf.storage.drivers.mysql import MysqlDatabase

        return MysqlDatabase(url, durability=durability, max_connections=max_connections)
    except ImportError as error:
        if error.name != driver:
            raise
        raise ConfigError(
            f'{driver}, the driver for {backend}, is not installed: pip install "dwarf[{extra}]"'
        ) from None


def _sqlite(url: URL, durability: Durability, clock: ClockShift | None) -> Database:
    place = url.database or ""
    options = dict(url.query)
    if place in ("", ":memory:") and not options:
        return MemoryDatabase(clock=clock)
    if place.startswith("file:"):
        name = place.removeprefix("file:")
        if options.get("mode") != "memory" or set(options) - _MEMORY_OPTIONS:
            raise ConfigError(f'a "file:" database is one in memory, with mode=memory; {_FORMS}')
        return MemoryDatabase(name if name and name != ":memory:" else None, clock=clock)
    if options:
        raise ConfigError(f"a SQLite URL takes no options here, not {', '.join(sorted(options))}; {_FORMS}")
    return SqliteDatabase(Path(place), durability=durability, clock=clock)
