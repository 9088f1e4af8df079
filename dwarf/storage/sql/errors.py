"""The meaning of a database's error for the current operation, in every dialect.

``Contention`` is tried again, ``Unavailable`` is waited out, ``PayloadRefused`` fails the step with the data, and a
plain ``StorageError`` is unknown.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Literal

from dwarf.errors import DwarfError, StorageError

Kind = Literal["contention", "unavailable", "payload", "duplicate", "unknown"]


class Contention(StorageError):
    """Another transaction was in the way. The whole transaction can be run again."""


class Unavailable(StorageError):
    """The database cannot be reached or cannot write now. It says nothing about the data."""


class FileGone(StorageError):
    """The file of a database was deleted or replaced while it was open: writes to it are lost."""


class LostCommit(Unavailable):
    """The connection was lost between a COMMIT and its answer: the transaction may have taken effect, or not."""


class PayloadRefused(StorageError):
    """The database has refused the data, and would again. ``duplicate``: a unique key is taken."""

    def __init__(self, message: str, *, duplicate: bool = False) -> None:
        super().__init__(message)
        self.duplicate = duplicate


def can_be_undone(error: DwarfError) -> bool:
    """Whether the transaction can continue without the part that raised this error."""
    return isinstance(error, PayloadRefused) or not isinstance(error, StorageError)


# Codes by dialect, most specific first. PostgreSQL: five characters of SQLSTATE, or its class of two. SQLite: the
# primary result code, the low byte of an extended one. MySQL and SQL Server: the server's error number.
_CODES: dict[str, dict[Kind, frozenset[int | str]]] = {
    "sqlite": {
        "contention": frozenset({5, 6}),  # BUSY, LOCKED
        "unavailable": frozenset({7, 8, 10, 13, 14, 15}),  # NOMEM, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL
        "duplicate": frozenset({1555, 2067, 2579}),  # primary key, unique, row id: extended codes
        "payload": frozenset({18, 19, 20}),  # TOOBIG, CONSTRAINT, MISMATCH
    },
    "postgresql": {
        "contention": frozenset({"40001", "40P01", "55P03"}),
        # 25P03, 25P04, 57P05: the server has ended an idle session
        "unavailable": frozenset({"08", "53", "57", "58", "25006", "25P03", "25P04"}),
        "duplicate": frozenset({"23505"}),
        "payload": frozenset({"22", "23", "54"}),
    },
    "mysql": {
        "contention": frozenset({1020, 1205, 1213, 1412}),
        "unavailable": frozenset(
            {1021, 1030, 1037, 1038, 1040, 1041, 1047, 1053, 1114, 1135, 1152, 1158, 1159, 1160, 1161}
            | {1203, 1226, 1290, 1317, 1792, 1836, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031}
        ),
        "duplicate": frozenset({1062, 1586}),
        "payload": frozenset({1048, 1153, 1264, 1300, 1366, 1406, 1451, 1452, 3819, 4025}),
    },
    "mssql": {
        "contention": frozenset({1205, 1222, 3960, 3961}),
        "unavailable": frozenset(
            {233, 596, 701, 802, 845, 1105, 1204, 3906, 6005, 8645, 9002, 10053, 10054, 10060, 10928, 10929}
            | {17142, 40197, 40501, 40613, 49918, 49919, 49920}
        ),
        "duplicate": frozenset({2601, 2627}),
        "payload": frozenset({220, 511, 515, 547, 2628, 8114, 8115, 8152}),
    },
}

# asyncpg: the schema has changed under a prepared statement, which is prepared again at its next use.
_STALE_PLANS = frozenset({"InvalidCachedStatementError", "OutdatedSchemaCacheError"})

_WORDS: dict[Kind, str] = {
    "contention": "another transaction is in the way",
    "unavailable": "the database is not available",
    "payload": "the database refused the data",
    "duplicate": "a unique key is taken",
    "unknown": "the database failed",
}

# The end of each ODBC message: the server's number and, in the first message, the called function. The text in brackets
# before it may contain data.
_NATIVE = re.compile(r"\((\d+)\)(?= \(SQL\w+\)|; \[|\s*\Z)")
_SECRETS = re.compile(r"""'[^']*'|"[^"]*"|\([^()]*\)=\([^()]*\)|//[^@\s/]*@""")
_LONGEST = 200  # characters of the driver's text


def classify(error: BaseException, dialect: str, statement: str = "") -> StorageError:
    """The error to raise for a driver's error. Its text contains no data; its cause is the driver's error."""
    kind = _kind(error, dialect)
    where = f" ({statement})" if statement else ""
    message = f"{_WORDS[kind]}{where}: {_sanitised(error)}"
    result: StorageError
    if kind == "contention":
        result = Contention(message)
    elif kind == "unavailable":
        result = Unavailable(message)
    elif kind in ("payload", "duplicate"):
        result = PayloadRefused(message, duplicate=kind == "duplicate")
    else:
        result = StorageError(message)
    result.__cause__ = error
    return result


def _kind(error: BaseException, dialect: str) -> Kind:
    original = getattr(error, "orig", None) or error
    if type(original).__name__ in _STALE_PLANS:
        return "contention"
    for code in _codes_of(original, dialect):
        for kind, codes in _CODES[dialect].items():
            if code in codes:
                return kind
    if getattr(error, "connection_invalidated", False) or _connection_lost(original):
        return "unavailable"
    if isinstance(original, (OverflowError, TypeError, ValueError)):
        return "payload"  # the driver could not encode a value
    if isinstance(original, sqlite3.Error) and str(original).startswith("Error binding parameter"):
        return "payload"
    return "unknown"


def _codes_of(error: BaseException, dialect: str) -> Iterator[int | str]:
    """The error's codes in the form of the tables, most specific first."""
    if dialect == "sqlite":
        code = getattr(error, "sqlite_errorcode", None)
        if isinstance(code, int):
            yield from (code, code & 0xFF)
        elif isinstance(error, sqlite3.DataError):
            yield sqlite3.SQLITE_TOOBIG  # the driver's own check of a length, which sets no code
        return
    state = getattr(error, "sqlstate", None)
    if dialect == "postgresql":
        if isinstance(state, str):
            yield from (state, state[:2])
        return
    if error.args and isinstance(error.args[0], int):
        yield error.args[0]
    if dialect == "mssql":
        for number in _NATIVE.findall(" ".join(map(str, error.args))):
            yield int(number)


def _connection_lost(error: BaseException) -> bool:
    if isinstance(error, (OSError, EOFError)):  # refused, reset, timed out, unresolved
        return True
    text = str(error)
    if any(str(part).startswith(("08", "HYT0")) for part in error.args[:1]):  # ODBC: connections, and time-outs
        return True
    return "connection is closed" in text or "connection was closed" in text


def _sanitised(error: BaseException) -> str:
    """The first line of a driver's message without quoted text, which may be data, and without control characters."""
    original = getattr(error, "orig", None) or error
    lines = str(original).splitlines() or [""]
    text = _SECRETS.sub("…", lines[0])
    text = "".join(character if character.isprintable() else " " for character in text).strip()
    name = getattr(original, "sqlite_errorname", None) or getattr(original, "sqlstate", None)
    label = f"{type(original).__name__}" + (f" {name}" if name else "")
    return f"{label}: {text[:_LONGEST]}" if text else label
