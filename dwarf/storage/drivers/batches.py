"""PostgreSQL: one statement for many rows, derived from the statement for one.

Each parameter becomes an array and the rows come out of ``unnest``. Python sends one message, whatever the number of
rows, and the server plans one statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dwarf.storage.sql.compiler import Compiled, compiled
from dwarf.storage.sql.script import AggregatedUpdate, InsertMany, Params, Part, Statement, WriteSet

_BATCH = "postgresql+batch"
_WRITE_SET = "postgresql+write-set"
# check first that no own row was fenced out: a search for positions is slow with many rows
_WANTED = "(landed.whole OR given.need = 0 OR given.need = ANY (landed.positions))"
# True for every row. PostgreSQL's planner assumes that it holds for few: it then looks up each given row by its id,
# instead of searching the given rows for each row of the table.
_FEW = "given.position * 0 = 0"
_BIND = re.compile(r"\$(\d+)(?:::([A-Z]+(?:\(\d+\))?))?")
_INSERT = re.compile(r"(INSERT INTO \w+ \([^)]*\)) VALUES \((.*)\)\s*\Z", re.DOTALL)
_UPDATE = re.compile(r"(UPDATE \w+ SET .*?) (WHERE .*)\Z", re.DOTALL)
_RETURNED = re.compile(r"RETURNING (.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Batch:
    """A statement for many rows. ``columns`` turns the rows into one list for each parameter that differs."""

    sql: str
    columns: Callable[[Sequence[Params]], list[Any]]


def insert_batch(statement: Statement) -> Batch | None:
    """The INSERT of many rows; None for other kinds of statements."""
    return _cached(statement, _insert)


def update_batch(statement: Statement, rows: Sequence[Params]) -> Batch | None:
    """The UPDATE for many rows. It returns the numbers, from 1, of the rows that matched.

    None for other kinds of statements, and if two rows may refer to the same row of the table: they must be written one
    after the other. The parameter ``id`` identifies the row.
    """
    if "id" not in rows[0] or len({row["id"] for row in rows}) < len(rows):
        return None
    return _cached(statement, _update)


def write_set_batch(write_set: WriteSet) -> str | None:
    """The statement of a write set; None if its parts are better written one by one.

    They are if a part has no statement for many rows, if the own rows are of several kinds (each combination would be
    one more statement to prepare), and if there is a single part within a transaction.

    Its parameters are the columns of ``own``, then those of each part with the needs of its rows. It returns one row:
    the numbers, from 1, of the rows that each UPDATE has matched, and the rows of each aggregated update.
    """
    if len(write_set.own) != 1 or not (write_set.rest or write_set.last):
        return None
    own = write_set.own[0].statement
    rest = [part for part, _ in write_set.rest]
    key = " ".join((_WRITE_SET, *(part.statement.name for part in rest)))
    if key not in own.compiled:
        own.compiled[key] = _write_set(own, rest)
    sql: str | None = own.compiled[key]
    return sql


def write_set_columns(write_set: WriteSet) -> list[Any]:
    """The parameters of a write set that is one statement."""
    (own,) = write_set.own
    columns: list[Any] = [*_columns_of(own.statement, own.rows)]
    for part, needs in write_set.rest:
        columns += _columns_of(part.statement, part.rows)
        columns.append([need + 1 for need in needs])
    return columns


def write_set_answer(write_set: WriteSet, row: Sequence[Sequence[Any] | None]) -> list[list[Any]]:
    """Which rows were written, from the row that the statement returns."""
    found = iter(row)
    own = _flags(len(write_set.own[0].rows), next(found))
    written: list[list[Any]] = [own]
    for part, needs in write_set.rest:
        if isinstance(part, AggregatedUpdate):
            written.append([tuple(row) for row in next(found) or ()])
        elif isinstance(part, InsertMany):
            written.append([need < 0 or own[need] for need in needs])
        else:
            written.append(_flags(len(needs), next(found)))
    return written


def _flags(count: int, positions: Sequence[int] | None) -> list[bool]:
    flags = [False] * count
    for position in positions or ():
        flags[position - 1] = True
    return flags


def _write_set(own: Statement, rest: Sequence[Part]) -> str | None:
    first = _parts(own, 0)
    if first is None:
        return None
    landed = f"array_agg(own.position) AS positions, count(*) = cardinality(${first.first}) AS whole"
    parts = [f"own AS ({first.update('')})", f"landed AS MATERIALIZED (SELECT {landed} FROM own)"]  # noqa: S608
    answers = ["(SELECT positions FROM landed)"]
    offset = first.count
    for number, found in enumerate(rest):
        part = _parts(found.statement, offset, needs=True)
        if part is None:
            return None
        offset += part.count
        if part.is_insert:
            parts.append(f"part_{number} AS ({part.insert()})")
        elif isinstance(found, AggregatedUpdate):
            sql, columns = part.tally(compiled(found.statement, "postgresql").names)
            parts.append(f"part_{number} AS ({sql})")
            answers.append(f"(SELECT array_agg(ARRAY[{columns}]::BIGINT[]) FROM part_{number})")  # noqa: S608
        else:
            parts.append(f"part_{number} AS ({part.update(f' AND {_WANTED}')})")
            answers.append(f"(SELECT array_agg(position) FROM part_{number})")  # noqa: S608
    return f"WITH {', '.join(parts)} SELECT {', '.join(answers)}"


def _columns_of(statement: Statement, rows: Sequence[Params]) -> list[Any]:
    single = compiled(statement, "postgresql")
    shared = statement.shared
    if not rows:
        return [None if name in shared else () for name in single.names]
    columns: list[Any] = list(zip(*map(single.parameters, rows), strict=True))
    if shared:
        return [column[0] if name in shared else column for name, column in zip(single.names, columns, strict=True)]
    return columns


@dataclass(frozen=True, slots=True)
class FetchBatch:
    """A query for many rows of parameters. It returns, with each result row, the number (from 1) of its parameters.

    ``shared`` and ``columns`` make its parameters, in this order.
    """

    sql: str
    shared: Callable[[Params], tuple[Any, ...]]
    columns: Callable[[Sequence[Params]], list[tuple[Any, ...]]]


def fetch_batch(statement: Statement, names: Collection[str]) -> FetchBatch:
    """The query for many rows whose parameters ``names`` differ."""
    key = f"{_BATCH} {' '.join(sorted(names))}"
    if key not in statement.compiled:
        statement.compiled[key] = _fetch_each(compiled(statement, "postgresql"), names)
    batch: FetchBatch = statement.compiled[key]
    return batch


def _fetch_each(single: Compiled, names: Collection[str]) -> FetchBatch:
    casts = {single.names[int(number) - 1]: cast for number, cast in _BIND.findall(single.sql) if cast}
    shared = [name for name in single.names if name not in names]
    own = [name for name in single.names if name in names]
    texts = {name: f"given.p{number}" for number, name in enumerate(own, 1)}
    for number, name in enumerate(shared, 1):
        texts[name] = f"${number}::{casts[name]}" if name in casts else f"${number}"
    query = _BIND.sub(lambda bind: texts[single.names[int(bind[1]) - 1]], single.sql)
    arrays = [f"${number}::{casts.get(name, 'BIGINT')}[]" for number, name in enumerate(own, len(shared) + 1)]
    columns = ", ".join(f"p{number}" for number in range(1, len(own) + 1))
    given = f"unnest({', '.join(arrays)}) WITH ORDINALITY AS given({columns}, position)"
    return FetchBatch(
        f"SELECT given.position, found.* FROM {given} CROSS JOIN LATERAL ({query}) AS found",  # noqa: S608 - as above
        lambda common: tuple(common[name] for name in shared),
        lambda rows: [tuple(row[name] for row in rows) for name in own],
    )


@dataclass(frozen=True, slots=True)
class _StatementParts:
    """The parts of a statement, for assembling it for many rows."""

    head: str
    tail: str
    given: str  # the rows, without their name
    names: str
    count: int
    first: int  # the number of the first parameter that differs between rows
    is_insert: bool

    def insert(self) -> str:
        """The INSERT of the rows whose needs are met."""
        given = f"{self.given} AS given({self.names})"
        return f"{self.head} SELECT {self.tail} FROM landed, {given} WHERE {_WANTED}"  # noqa: S608

    def update(self, condition: str) -> str:
        """The UPDATE of each row, under one more condition."""
        landed = "landed, " if condition else ""
        given = f"{self.given} WITH ORDINALITY AS given({self.names}, position)"
        return f"{self.head} FROM {landed}{given} {self.tail} AND {_FEW}{condition} RETURNING given.position"

    def tally(self, parameters: Sequence[str]) -> tuple[str, str]:
        """The UPDATE by the sums of the rows whose needs are met, and the columns that it returns."""
        number = f"given.p{parameters.index('id') + 1}"
        sums = [
            f"{number}" if name == "id" else f"CAST(sum(given.p{position}) AS BIGINT) AS p{position}"
            for position, name in enumerate(parameters, 1)
        ]
        # few are expected, for the reason given at _FEW, and they are locked in this order
        found = f"SELECT {', '.join(sums)} FROM landed, {self.given} AS given({self.names}) WHERE {_WANTED}"  # noqa: S608
        given = f"({found} GROUP BY {number} HAVING count(*) * 0 = 0 ORDER BY {number} DESC) AS given"
        returned = _RETURNED.search(self.tail)
        assert returned is not None
        columns = [column.rpartition(".")[2] for column in returned[1].split(", ")]
        return f"{self.head} FROM {given} {self.tail}", ", ".join(columns)


def _parts(statement: Statement, offset: int, *, needs: bool = False) -> _StatementParts | None:
    single = compiled(statement, "postgresql")
    types = _types(single)
    if types is None:
        return None
    sql, arrays, names = _spread(statement, single, types, offset)
    insert = _INSERT.match(sql)
    parts = insert or _UPDATE.match(sql)
    if parts is None:
        return None
    first = offset + int(names[0].removeprefix("p"))
    count = len(types) + needs
    if needs:
        arrays.append(f"${offset + count}::BIGINT[]")
        names.append("need")
    head, tail = parts.groups()
    return _StatementParts(
        head=head,
        tail=tail,
        given=f"unnest({', '.join(arrays)})",
        names=", ".join(names),
        count=count,
        first=first,
        is_insert=bool(insert),
    )


def _spread(
    statement: Statement, single: Compiled, types: Mapping[int, str], offset: int = 0
) -> tuple[str, list[str], list[str]]:
    """The text of a statement about given rows, and their arrays and names. Shared values are not arrays."""
    shared = {number for number, name in enumerate(single.names, 1) if name in statement.shared}
    own = [number for number in sorted(types) if number not in shared]

    def bound(bind: re.Match[str]) -> str:
        number = int(bind[1])
        return f"${offset + number}::{types[number]}" if number in shared else f"given.p{number}"

    arrays = [f"${offset + number}::{types[number]}[]" for number in own]
    return _BIND.sub(bound, single.sql), arrays, [f"p{number}" for number in own]


def _types(single: Compiled) -> dict[int, str] | None:
    """The types of a statement's parameters; None if it has none, or if the type of one is unknown."""
    types: dict[int, str] = {}
    for number, cast in _BIND.findall(single.sql):
        types[int(number)] = types.get(int(number)) or cast
    return types if types and all(types.values()) else None


def _cached(statement: Statement, make: Callable[[str, str, str], str | None]) -> Batch | None:
    if _BATCH not in statement.compiled:
        statement.compiled[_BATCH] = _make(statement, make)
    batch: Batch | None = statement.compiled[_BATCH]
    return batch


def _make(statement: Statement, make: Callable[[str, str, str], str | None]) -> Batch | None:
    single = compiled(statement, "postgresql")
    types = _types(single)
    if types is None:
        return None
    text, arrays, names = _spread(statement, single, types)
    sql = make(text, ", ".join(arrays), ", ".join(names))
    return None if sql is None else Batch(sql, partial(_columns_of, statement))


def _insert(sql: str, arrays: str, names: str) -> str | None:
    parts = _INSERT.match(sql)
    return parts and f"{parts[1]} SELECT {parts[2]} FROM unnest({arrays}) AS given({names})"  # noqa: S608 - made of our own statements


def _update(sql: str, arrays: str, names: str) -> str | None:
    parts = _UPDATE.match(sql)
    given = f"FROM unnest({arrays}) WITH ORDINALITY AS given({names}, position)"
    return parts and f"{parts[1]} {given} {parts[2]} AND {_FEW} RETURNING given.position"
