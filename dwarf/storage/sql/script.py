"""A database operation as a script: a generator that yields requests and is sent their answers.

A script never touches a driver, so the same one runs on a thread that owns a SQLite connection and, statement by
statement, on an asynchronous driver. One script is one transaction. It may be run again from the top when the
database reports contention, so it is started from a factory and keeps no state outside itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from sqlalchemy.sql import ClauseElement

T = TypeVar("T")

Params: TypeAlias = Mapping[str, Any]
Row: TypeAlias = tuple[Any, ...]


class Statement:
    """One SQL statement, written in SQLAlchemy Core and compiled once per dialect.

    Build it at module level. ``name`` identifies it in golden files, errors and statement counts.
    ``returning_fallback`` stands for an UPDATE with RETURNING where a dialect has none: the UPDATE alone, then the
    query of its rows. The parameters are those of the whole; the query must find the same rows after the update as the
    update did. ``raw``: large values are read and written as the names of their blobs; see ``payloads``. ``shared``
    names parameters that are the same in all rows which are written together.
    """

    __slots__ = ("clause", "compiled", "layout", "name", "raw", "returning_fallback", "shared")

    def __init__(
        self,
        name: str,
        clause: ClauseElement,
        returning_fallback: tuple[ClauseElement, ClauseElement] | None = None,
        *,
        raw: bool = False,
        shared: Collection[str] = (),
    ) -> None:
        self.name = name
        self.clause = clause
        self.returning_fallback = (
            None if returning_fallback is None else tuple(Statement(name, part) for part in returning_fallback)
        )
        self.raw = raw
        self.shared = frozenset(shared)
        self.compiled: dict[str, Any] = {}  # by dialect; kept by ``compiling``
        self.layout: Any = None  # where its payloads are; kept by ``layouts``

    def __repr__(self) -> str:
        return f"Statement({self.name!r})"


@dataclass(frozen=True, slots=True)
class Now:
    """Request the database's clock, in epoch milliseconds; a test's virtual clock may move it."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Run a query, or a write with RETURNING. The answer is its rows as a list of tuples.

    ``autocommit``: a query that locks nothing and may see other commits than the requests after it, so that a server
    needs no transaction for it.
    """

    statement: Statement
    params: Params
    autocommit: bool = False


@dataclass(frozen=True, slots=True)
class FetchEach:
    """Run a query for each row of parameters. The answer is a list of rows for each; on PostgreSQL it is one statement.

    ``common`` are the parameters shared by all of them. The query must neither read nor take payloads.
    """

    statement: Statement
    common: Params
    rows: Sequence[Params]


@dataclass(frozen=True, slots=True)
class Lock:
    """Lock rows by a query that ends in FOR UPDATE. The answer is the rows; None if there is only one writer.

    A statement sees commits before its begin. So the data protected by a lock must be read by a later statement.
    """

    statement: Statement
    params: Params


@dataclass(frozen=True, slots=True)
class Execute:
    """Run one write. The answer is the number of matched rows."""

    statement: Statement
    params: Params


@dataclass(frozen=True, slots=True)
class InsertMany:
    """Insert many rows with one statement. The answer is None."""

    statement: Statement
    rows: Sequence[Params]


@dataclass(frozen=True, slots=True)
class UpdateEach:
    """Run one write for each row of parameters. The answer is, in order, whether each matched a row."""

    statement: Statement
    rows: Sequence[Params]


@dataclass(frozen=True, slots=True)
class AggregatedUpdate:
    """Add up numbers, and write each sum: rows with the same ``id`` become one, with the sums of the other values.

    The statement is an UPDATE of one row that returns integers. The answer is those rows, in any order.
    """

    statement: Statement
    rows: Sequence[Params]

    def sums(self, wanted: Sequence[bool]) -> list[Params]:
        """The parameters of each id, in the order in which such rows are locked."""
        sums: dict[int, dict[str, int]] = {}
        for row, ok in zip(self.rows, wanted, strict=True):
            if ok:
                known = sums.setdefault(row["id"], {})
                for name, value in row.items():
                    known[name] = value if name == "id" else known.get(name, 0) + value
        return [sums[number] for number in sorted(sums, reverse=True)]


@dataclass(frozen=True, slots=True)
class Guarded:
    """Run a nested script under a savepoint.

    The answer is ``(result, None)``, or ``(None, error)`` with the savepoint rolled back if the script raised a
    DwarfError or the database refused its payload. Contention and lost connections are not caught.
    """

    script: Callable[[], Script[Any]]


@dataclass(frozen=True, slots=True)
class WriteSet:
    """Fenced writes and their dependent writes, in as many statements as the driver needs: on PostgreSQL mostly one.

    ``own`` is written first, as a whole. Each row of the parts in ``rest`` comes with the position of the row of
    ``own`` that it needs, counted through all of ``own``, or -1: it is written only if that row has matched. The answer
    is, for ``own`` and each part, which rows were written; for an aggregated update its rows. ``last``: no request
    follows, so a single statement needs no transaction.
    """

    own: Sequence[UpdateEach]
    rest: Sequence[tuple[Part, Sequence[int]]]
    last: bool = False


Part: TypeAlias = UpdateEach | InsertMany | AggregatedUpdate
Request: TypeAlias = Now | Fetch | FetchEach | Lock | Execute | InsertMany | UpdateEach | Guarded | WriteSet
Script: TypeAlias = Generator[Request, Any, T]


def one_by_one(write_set: WriteSet) -> Script[list[list[Any]]]:
    """The separate writes that make up a write set."""
    own: list[bool] = []
    for fenced in write_set.own:
        if fenced.rows:
            own += yield fenced
    written: list[list[Any]] = [own]
    for part, needs in write_set.rest:
        flags = [need < 0 or own[need] for need in needs]
        if isinstance(part, AggregatedUpdate):
            found: list[Row] = []
            for params in part.sums(flags):
                found += yield Fetch(part.statement, params)
            written.append(found)
            continue
        rows = [row for row, wanted in zip(part.rows, flags, strict=True) if wanted]
        if isinstance(part, InsertMany):
            if rows:
                yield InsertMany(part.statement, rows)
        elif rows:
            matched = iter((yield UpdateEach(part.statement, rows)))
            flags = [wanted and next(matched) for wanted in flags]
        written.append(flags)
    return written
