"""From a URL to a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from dwarf.errors import ConfigError
from dwarf.storage.memory import MemoryDatabase
from dwarf.storage.sqlite import Durability, SqliteDatabase

if TYPE_CHECKING:
    from dwarf.storage.database import Clock, Database

_FORMS = (
    'use "sqlite:///file.db" for a file (four slashes for an absolute path), "sqlite://" for a database in memory, '
    'or "sqlite:///file:NAME?mode=memory" for one in memory that engines of this process share'
)
_SERVERS = {
    "postgresql": "PostgreSQL",
    "postgres": "PostgreSQL",
    "mysql": "MySQL",
    "mariadb": "MariaDB",
    "mssql": "SQL Server",
}
_MEMORY_OPTIONS = {"mode", "cache", "uri"}


def open_database(url: str | None, *, durability: Durability = "full", clock: Clock | None = None) -> Database:
    """The database that a URL names, not yet open. None is a private one in memory.

    ConfigError, which never shows a password, when there is no such kind of database or it cannot be there.
    """
    if durability not in ("full", "relaxed"):
        raise ConfigError(f'durability is "full" or "relaxed", not {durability!r}')
    if url is None:
        return MemoryDatabase(clock=clock)
    parsed = _parse(url)
    backend = parsed.get_backend_name()
    if backend in _SERVERS:
        raise ConfigError(f"{_SERVERS[backend]} is not supported by this version; {_FORMS}")
    if parsed.drivername not in ("sqlite", "sqlite+aiosqlite", "sqlite+pysqlite"):
        raise ConfigError(f"unknown kind of database {parsed.drivername!r}; {_FORMS}")
    if parsed.host or parsed.username or parsed.password or parsed.port:
        raise ConfigError(f"an SQLite URL has no host: a path starts with three slashes; {_FORMS}")
    return _sqlite(parsed, durability, clock)


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError, TypeError, AttributeError):
        # Not even the text is shown, and the cause neither: there may be a password in it.
        raise ConfigError(f"this is not a database URL; {_FORMS}") from None


def _sqlite(url: URL, durability: Durability, clock: Clock | None) -> Database:
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
