"""SQL expressions that differ between dialects."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Select, String, Table, Unicode, and_, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter, UnaryExpression
from sqlalchemy.sql.operators import OperatorType, inv
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import UserDefinedType

from dwarf.workflow.status import Status

# written into the SQL, so that partial indexes serve comparisons with it
ZERO: ColumnElement[int] = literal_column("0")


class now_ms(ColumnElement[int]):  # noqa: N801 - reads as a SQL function
    """The database's clock as epoch milliseconds."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _now_sqlite(element: now_ms, compiler: SQLCompiler, **kw: Any) -> str:
    if getattr(compiler.dialect, "shifted_clock", False):
        return "dwarf_now_ms()"  # a function of the connection: the time moved by a test's clock
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(now_ms, "postgresql")
def _now_postgresql(element: now_ms, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


@compiles(now_ms, "mysql")
@compiles(now_ms, "mariadb")
def _now_mysql(element: now_ms, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)"


@compiles(now_ms, "mssql")
def _now_mssql(element: now_ms, compiler: SQLCompiler, **kw: Any) -> str:
    return "DATEDIFF_BIG(MILLISECOND, '1970-01-01', SYSUTCDATETIME())"


def starts_later(created_at: ColumnElement[Any], started_at: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a flow was created with a later start that has not come."""
    return and_(started_at > created_at, started_at > now_ms())


class IdList(UserDefinedType[Any]):
    """The type of a parameter that is a list of ids."""

    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:
        return "BIGINT[]"


class in_ids(ColumnElement[bool]):  # noqa: N801 - reads as a SQL operator
    """``column IN ids``, where the ids are one parameter: a list of integers of any length.

    One parameter keeps one statement text for every length.
    """

    type = Boolean()
    inherit_cache = True
    __visit_name__ = "in_ids"
    _traverse_internals: Any = [  # noqa: RUF012 - as SQLAlchemy declares it
        ("column", InternalTraversal.dp_clauseelement),
        ("bind", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.bind: BindParameter[Any] = BindParameter(name, type_=IdList(), required=True)

    def self_group(self, against: OperatorType | None = None) -> in_ids:
        """The expression itself: the ``= 1`` that some dialects add to a boolean would keep indexes from being used."""
        return self

    def _negate(self) -> ColumnElement[bool]:
        # SQLAlchemy would append ``= 0``, which SQL Server does not understand
        return UnaryExpression(self, operator=inv, type_=Boolean())


def _in_ids(element: in_ids, compiler: SQLCompiler, pattern: str, **kw: Any) -> str:
    return pattern.format(
        column=compiler.process(element.column, **kw),
        ids=compiler.process(element.bind, **kw),
    )


@compiles(in_ids, "sqlite")
def _in_sqlite(element: in_ids, compiler: SQLCompiler, **kw: Any) -> str:
    return _in_ids(element, compiler, "{column} IN (SELECT value FROM json_each({ids}))", **kw)


@compiles(in_ids, "postgresql")
def _in_postgresql(element: in_ids, compiler: SQLCompiler, **kw: Any) -> str:
    return _in_ids(element, compiler, "{column} = ANY(CAST({ids} AS BIGINT[]))", **kw)


@compiles(in_ids, "mysql")
@compiles(in_ids, "mariadb")
def _in_mysql(element: in_ids, compiler: SQLCompiler, **kw: Any) -> str:
    # the driver writes the list into the text: for a subquery in an UPDATE, MariaDB would read, and lock, every row
    return _in_ids(element, compiler, "{column} IN {ids}", **kw)


@compiles(in_ids, "mssql")
def _in_mssql(element: in_ids, compiler: SQLCompiler, **kw: Any) -> str:
    return _in_ids(element, compiler, "{column} IN (SELECT CAST(value AS BIGINT) FROM OPENJSON({ids}))", **kw)


class NameList(IdList):
    """The type of a parameter that is a list of short texts."""

    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:
        return "TEXT[]"


class in_names(in_ids):  # noqa: N801 - reads as a SQL operator
    """``column IN names``, where the names are one parameter: a list of texts of any length."""

    inherit_cache = True
    __visit_name__ = "in_names"

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        super().__init__(column, name)
        self.bind = BindParameter(name, type_=NameList(), required=True)


@compiles(in_names, "sqlite")
def _names_sqlite(element: in_names, compiler: SQLCompiler, **kw: Any) -> str:
    return _in_sqlite(element, compiler, **kw)


@compiles(in_names, "postgresql")
def _names_postgresql(element: in_names, compiler: SQLCompiler, **kw: Any) -> str:
    return _in_ids(element, compiler, "{column} = ANY(CAST({ids} AS TEXT[]))", **kw)


@compiles(in_names, "mysql")
@compiles(in_names, "mariadb")
def _names_mysql(element: in_names, compiler: SQLCompiler, **kw: Any) -> str:
    return _in_mysql(element, compiler, **kw)


@compiles(in_names, "mssql")
def _names_mssql(element: in_names, compiler: SQLCompiler, **kw: Any) -> str:
    return _in_ids(element, compiler, "{column} IN (SELECT value FROM OPENJSON({ids}))", **kw)


def status_is(column: ColumnElement[Any], *statuses: Status) -> ColumnElement[bool]:
    """``column IN statuses`` with the statuses written into the SQL, so that partial indexes serve it."""
    if len(statuses) == 1:
        return column == literal_column(f"'{statuses[0].value}'")
    return column.in_([literal_column(f"'{status.value}'") for status in statuses])


def flag_is(column: ColumnElement[Any], value: int) -> ColumnElement[bool]:
    """``column = value`` with the value written into the SQL, so that partial indexes serve it."""
    return column == literal_column(str(value))


class unindexed(ColumnElement[Any]):  # noqa: N801 - reads as a SQL function
    """A column whose indexes SQLite must not use: it has no statistics, and another index is better."""

    inherit_cache = True
    _traverse_internals: Any = [("column", InternalTraversal.dp_clauseelement)]  # noqa: RUF012 - as above

    def __init__(self, column: ColumnElement[Any]) -> None:
        self.column = column
        self.type = column.type


@compiles(unindexed)
def _unindexed(element: unindexed, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.column, **kw)


@compiles(unindexed, "sqlite")
def _unindexed_sqlite(element: unindexed, compiler: SQLCompiler, **kw: Any) -> str:
    return f"+{compiler.process(element.column, **kw)}"


class of_row(ColumnElement[Any]):  # noqa: N801 - reads as a SQL function
    """A column of rows given by their ids, whose indexes PostgreSQL must not use.

    A plan made while a table was small would use such an index, and would scan all its rows for each of the ids when
    there are many.
    """

    inherit_cache = True
    _traverse_internals: Any = [("column", InternalTraversal.dp_clauseelement)]  # noqa: RUF012 - as above

    def __init__(self, column: ColumnElement[Any]) -> None:
        self.column = column
        self.type = column.type


@compiles(of_row)
def _of_row(element: of_row, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.column, **kw)


@compiles(of_row, "postgresql")
def _of_row_postgresql(element: of_row, compiler: SQLCompiler, **kw: Any) -> str:
    nothing = "|| ''" if isinstance(element.type, String) else "+ 0"
    return f"({compiler.process(element.column, **kw)} {nothing})"


class contains(ColumnElement[bool]):  # noqa: N801 - reads as a SQL function
    """Whether a text contains another, literally and ignoring case. ``search_terms`` makes the parameters.

    SQLite folds the case of ASCII only: with ``unicode`` it gets a pattern with both cases.
    """

    type = Boolean()
    inherit_cache = True
    _traverse_internals: Any = [  # noqa: RUF012 - as SQLAlchemy declares it
        ("column", InternalTraversal.dp_clauseelement),
        ("like_pattern", InternalTraversal.dp_clauseelement),
        ("glob_pattern", InternalTraversal.dp_clauseelement),
        ("unicode", InternalTraversal.dp_boolean),
    ]

    def __init__(self, column: ColumnElement[Any], *, unicode: bool) -> None:
        self.column = column
        self.like_pattern: BindParameter[Any] = BindParameter("search_like", type_=Unicode(), required=True)
        self.glob_pattern: BindParameter[Any] = BindParameter("search_glob", type_=Unicode(), required=True)
        self.unicode = unicode

    def self_group(self, against: OperatorType | None = None) -> contains:
        """Itself: it needs no parentheses between OR and AND, and no ``= 1``."""
        return self


@compiles(contains)
def _contains(element: contains, compiler: SQLCompiler, **kw: Any) -> str:
    column, like = compiler.process(element.column, **kw), compiler.process(element.like_pattern, **kw)
    return f"LOWER({column}) LIKE LOWER({like}) ESCAPE '~'"


@compiles(contains, "sqlite")
def _contains_sqlite(element: contains, compiler: SQLCompiler, **kw: Any) -> str:
    column = compiler.process(element.column, **kw)
    if element.unicode:
        return f"({column}) GLOB {compiler.process(element.glob_pattern, **kw)}"
    return f"({column}) LIKE {compiler.process(element.like_pattern, **kw)} ESCAPE '~'"


def search_terms(text: str) -> dict[str, str]:
    """The parameters of ``contains``."""
    literal = "".join(f"~{character}" if character in "~%_[" else character for character in text)
    return {"search_like": f"%{literal}%", "search_glob": f"*{''.join(map(_either_case, text))}*"}


def _either_case(character: str) -> str:
    if character in "*?[":
        return f"[{character}]"
    cases = {character, character.lower(), character.upper(), character.upper().lower()}
    forms = sorted(form for form in cases if len(form) == 1)
    return f"[{''.join(forms)}]" if len(forms) > 1 else character


def locked(query: Select[Any], table: Table, *, skip: bool = False) -> Select[Any]:
    """The query, locking the rows of a table until the commit. ``skip``: rows that other transactions have locked are
    left out.

    On SQLite nothing is added: a writer has locked the whole database.
    """
    hint = "WITH (UPDLOCK, ROWLOCK, READPAST)" if skip else "WITH (UPDLOCK, ROWLOCK)"
    return query.with_for_update(of=table, skip_locked=skip).with_hint(table, hint, "mssql")
