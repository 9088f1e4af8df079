"""A driver's error, and what it means."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from dwarf.errors import StorageError
from dwarf.storage.sql.errors import Contention, PayloadRefused, Unavailable, classify


def sqlite_error(code: int, text: str = "text") -> sqlite3.Error:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    error.sqlite_errorname = f"CODE_{code}"
    return error


class StateError(Exception):
    """As asyncpg and psycopg raise them."""

    def __init__(self, sqlstate: str, text: str = "text") -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


CASES: list[tuple[str, BaseException, type[StorageError]]] = [
    ("sqlite", sqlite_error(sqlite3.SQLITE_BUSY), Contention),
    ("sqlite", sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), Contention),
    ("sqlite", sqlite_error(sqlite3.SQLITE_LOCKED_SHAREDCACHE), Contention),
    ("sqlite", sqlite_error(sqlite3.SQLITE_IOERR_FSYNC), Unavailable),
    ("sqlite", sqlite_error(sqlite3.SQLITE_FULL), Unavailable),
    ("sqlite", sqlite_error(sqlite3.SQLITE_CANTOPEN), Unavailable),
    ("sqlite", sqlite_error(sqlite3.SQLITE_READONLY_DBMOVED), Unavailable),
    ("sqlite", sqlite_error(sqlite3.SQLITE_TOOBIG), PayloadRefused),
    ("sqlite", sqlite_error(sqlite3.SQLITE_MISMATCH), PayloadRefused),
    ("sqlite", sqlite_error(sqlite3.SQLITE_CONSTRAINT_NOTNULL), PayloadRefused),
    ("sqlite", sqlite3.DataError("string or blob too big"), PayloadRefused),
    ("sqlite", sqlite3.ProgrammingError("Error binding parameter 1: type 'object' is not supported"), PayloadRefused),
    ("sqlite", sqlite3.ProgrammingError("Incorrect number of bindings supplied"), StorageError),
    ("sqlite", sqlite_error(sqlite3.SQLITE_CORRUPT), StorageError),
    ("sqlite", OverflowError("too large"), PayloadRefused),
    ("sqlite", UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), PayloadRefused),
    ("postgresql", StateError("40001"), Contention),
    ("postgresql", StateError("40P01"), Contention),
    ("postgresql", StateError("55P03"), Contention),
    ("postgresql", StateError("08006"), Unavailable),
    ("postgresql", StateError("53300"), Unavailable),
    ("postgresql", StateError("57P01"), Unavailable),
    ("postgresql", StateError("25006"), Unavailable),
    ("postgresql", ConnectionResetError("reset"), Unavailable),
    ("postgresql", Exception("connection is closed"), Unavailable),
    ("postgresql", StateError("22001"), PayloadRefused),
    ("postgresql", StateError("23502"), PayloadRefused),
    ("postgresql", StateError("54000"), PayloadRefused),
    ("postgresql", StateError("42P01"), StorageError),
    ("mysql", Exception(1213, "Deadlock"), Contention),
    ("mysql", Exception(1205, "Lock wait timeout"), Contention),
    ("mysql", Exception(2006, "gone away"), Unavailable),
    ("mysql", Exception(1114, "table is full"), Unavailable),
    ("mysql", Exception(1406, "Data too long"), PayloadRefused),
    ("mysql", Exception(1153, "packet too large"), PayloadRefused),
    ("mysql", Exception(1064, "syntax"), StorageError),
    ("mssql", Exception("40001", "[40001] [Microsoft] deadlock victim. (1205) (SQLExecDirectW)"), Contention),
    ("mssql", Exception("42000", "[42000] Lock request time out (1222) (SQLExecDirectW)"), Contention),
    ("mssql", Exception("08S01", "[08S01] Communication link failure (10054)"), Unavailable),
    ("mssql", Exception("08001", "[08001] no server"), Unavailable),
    ("mssql", Exception("42000", "[42000] log is full (9002) (SQLExecDirectW)"), Unavailable),
    ("mssql", Exception("22001", "[22001] would be truncated (2628) (SQLExecDirectW)"), PayloadRefused),
    ("mssql", Exception("42000", "[42000] syntax (102) (SQLExecDirectW)"), StorageError),
]


@pytest.mark.parametrize(("dialect", "error", "kind"), CASES, ids=lambda value: str(value)[:40])
def test_the_class_of_an_error(dialect: str, error: BaseException, kind: type[StorageError]) -> None:
    result = classify(error, dialect)
    assert type(result) is kind
    assert result.__cause__ is error


@pytest.mark.parametrize(("dialect", "error", "kind"), CASES, ids=lambda value: str(value)[:40])
def test_sqlalchemys_wrapper_is_looked_through(dialect: str, error: Any, kind: type[StorageError]) -> None:
    assert type(classify(DBAPIError("SELECT secret", {}, error), dialect)) is kind


def test_a_connection_that_sqlalchemy_gave_up_is_unavailable() -> None:
    lost = DBAPIError("SELECT 1", {}, Exception("?"), connection_invalidated=True)
    assert type(classify(lost, "postgresql")) is Unavailable


@pytest.mark.parametrize(
    ("dialect", "error"),
    [
        ("sqlite", sqlite_error(sqlite3.SQLITE_CONSTRAINT_UNIQUE)),
        ("sqlite", sqlite_error(sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)),
        ("postgresql", StateError("23505")),
        ("mysql", Exception(1062, "Duplicate entry 'hunter2' for key 'k'")),
        ("mssql", Exception("23000", "[23000] Violation (2627)")),
    ],
)
def test_a_taken_key_is_told_apart(dialect: str, error: BaseException) -> None:
    result = classify(error, dialect)
    assert isinstance(result, PayloadRefused)
    assert result.duplicate
    assert "hunter2" not in str(result)


@pytest.mark.parametrize(
    "text",
    [
        "Duplicate entry 'hunter2' for key",
        'invalid input syntax for type bigint: "hunter2"',
        "Key (name)=(hunter2) already exists",
        "cannot reach postgresql://me:hunter2@host/flows",
        "first line\nhunter2",
        "long " + "x" * 500 + "hunter2",
    ],
)
def test_no_data_in_the_text(text: str) -> None:
    message = str(classify(StateError("99999", text + "\0\x1b[31m"), "postgresql", "insert_step"))
    assert "hunter2" not in message
    assert message.isprintable()
    assert len(message) < 300
    assert "(insert_step)" in message
    assert "99999" in message
