"""Statements as SQL text and positional parameters, compiled once per dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy.dialects.mssql.pyodbc import MSDialect_pyodbc
from sqlalchemy.dialects.mysql.asyncmy import MySQLDialect_asyncmy
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.compiler import SQLCompiler

from dwarf.storage.sql.expressions import IdList
from dwarf.storage.sql.script import Params, Statement

DIALECTS: tuple[str, ...] = ("sqlite", "postgresql", "mysql", "mssql")
SHIFTED_SQLITE = "sqlite+shift"  # SQLite with its clock moved by a test; see expressions.now_ms
QUEUEING_MYSQL = "mysql+queue"  # MariaDB before 10.6, which has no SKIP LOCKED
_LISTS_AS_THEY_ARE = ("postgresql", "mysql", QUEUEING_MYSQL)  # the other dialects get JSON text


@dataclass(frozen=True, slots=True)
class Compiled:
    """One statement in one dialect. ``parameters`` turns a row's mapping into the tuple that the text expects.

    ``names`` are the names of the parameters, in the order of that tuple.
    """

    sql: str
    parameters: Callable[[Params], tuple[Any, ...]]
    names: Sequence[str] = ()


class _ShiftedSqlite(SQLiteDialect_pysqlite):
    supports_statement_cache = True
    shifted_clock = True


@cache
def dialect_of(name: str) -> Dialect:
    """The SQLAlchemy dialect of a name in DIALECTS, without its driver."""
    makers: dict[str, Callable[[], DefaultDialect]] = {
        "sqlite": SQLiteDialect_pysqlite,
        SHIFTED_SQLITE: _ShiftedSqlite,
        "postgresql": PGDialect_asyncpg,
        "mysql": MySQLDialect_asyncmy,
        QUEUEING_MYSQL: MySQLDialect_asyncmy,
        "mssql": partial(MSDialect_pyodbc, paramstyle="qmark"),
    }
    return makers[name]()


def compiled(statement: Statement, dialect: str) -> Compiled:
    """The statement in a dialect, from the statement's own cache."""
    found: Compiled | None = statement.compiled.get(dialect)
    if found is None:
        found = statement.compiled[dialect] = _compile(statement, dialect)
    return found


def golden(statement: Statement) -> dict[str, str]:
    """The SQL text in every dialect, as it is sent to the database."""
    texts = {dialect: compiled(statement, dialect).sql for dialect in DIALECTS}
    if statement.returning_fallback is not None:
        texts["mysql"] = ";\n".join(compiled(part, "mysql").sql for part in statement.returning_fallback)
    return texts


def _compile(statement: Statement, dialect: str) -> Compiled:
    result = statement.clause.compile(dialect=dialect_of(dialect))
    if not isinstance(result, SQLCompiler):  # DDL
        return Compiled(str(result), _no_parameters)
    if result.post_compile_params - result.literal_execute_params:
        raise ValueError(f"{statement.name}: a list needs in_ids, which keeps one text for every length")
    sql = result.string
    names = list(result.positiontup or ())
    for bind in result.literal_execute_params:  # constants that a dialect needs in the text: SQL Server's TOP
        key = result.bind_names[bind]
        sql = sql.replace(f"__[POSTCOMPILE_{key}]", str(int(bind.effective_value or 0)))
        names = [name for name in names if name != key]
    values = result.construct_params(_check=False)
    constants = {name: values[name] for name in names if not result.binds[name].required}
    lists = [index for index, name in enumerate(names) if isinstance(result.binds[name].type, IdList)]
    if dialect == QUEUEING_MYSQL:
        sql = sql.replace(" SKIP LOCKED", "")
    as_json = () if dialect in _LISTS_AS_THEY_ARE else lists
    return Compiled(sql, _parameters(names, constants, as_json), tuple(names))


def _no_parameters(row: Params) -> tuple[Any, ...]:
    return ()


def _parameters(
    names: Sequence[str], constants: Mapping[str, Any], as_json: Sequence[int]
) -> Callable[[Params], tuple[Any, ...]]:
    pick = _picker(names)
    if constants:
        plain = pick

        def pick(row: Params) -> tuple[Any, ...]:
            return plain({**constants, **row})

    if not as_json:
        return pick

    def with_lists(row: Params) -> tuple[Any, ...]:
        values = list(pick(row))
        for index in as_json:
            values[index] = orjson.dumps(list(values[index])).decode()
        return tuple(values)

    return with_lists


def _picker(names: Sequence[str]) -> Callable[[Params], tuple[Any, ...]]:
    if not names:
        return _no_parameters
    if len(names) > 1:
        return itemgetter(*names)
    name = names[0]
    return lambda row: (row[name],)
