"""PostgreSQL: one statement for many rows, derived from the statement for one.

Each parameter becomes an array and the rows come out of ``unnest``. Python sends one message, whatever the number of
rows, and the server plans one statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dwarf.storage.compiling import Compiled, compiled
from dwarf.storage.script import Params, Statement

_BATCH = "postgresql+batch"
_BIND = re.compile(r"\$(\d+)(?:::([A-Z]+(?:\(\d+\))?))?")
_INSERT = re.compile(r"(INSERT INTO \w+ \([^)]*\)) VALUES \((.*)\)\s*\Z", re.DOTALL)
_UPDATE = re.compile(r"(UPDATE \w+ SET .*?) (WHERE .*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Batch:
    """A statement for many rows. ``columns`` turns the rows into one list for each parameter."""

    sql: str
    columns: Callable[[Sequence[Params]], list[tuple[Any, ...]]]


def insert_batch(statement: Statement) -> Batch | None:
    """The INSERT of many rows; None where the statement is not of that kind."""
    return _cached(statement, _insert)


def update_batch(statement: Statement, rows: Sequence[Params]) -> Batch | None:
    """The UPDATE for many rows, which answers the numbers, from 1, of those that matched.

    None where the statement is not of that kind, or where two rows may be about the same row of the table: they
    must be written one after the other. The parameter ``id`` tells them apart.
    """
    if "id" not in rows[0] or len({row["id"] for row in rows}) < len(rows):
        return None
    return _cached(statement, _update)


def _cached(statement: Statement, make: Callable[[str, str, str], str | None]) -> Batch | None:
    if _BATCH not in statement.compiled:
        statement.compiled[_BATCH] = _make(compiled(statement, "postgresql"), make)
    batch: Batch | None = statement.compiled[_BATCH]
    return batch


def _make(single: Compiled, make: Callable[[str, str, str], str | None]) -> Batch | None:
    types: dict[int, str] = {}
    for number, cast in _BIND.findall(single.sql):
        types[int(number)] = types.get(int(number)) or cast
    if not types or not all(types.values()):
        return None
    arrays = ", ".join(f"${number}::{types[number]}[]" for number in sorted(types))
    names = ", ".join(f"p{number}" for number in sorted(types))
    sql = make(_BIND.sub(lambda bind: f"given.p{bind[1]}", single.sql), arrays, names)
    if sql is None:
        return None

    def columns(rows: Sequence[Params]) -> list[tuple[Any, ...]]:
        return list(zip(*map(single.parameters, rows), strict=True))

    return Batch(sql, columns)


def _insert(sql: str, arrays: str, names: str) -> str | None:
    parts = _INSERT.match(sql)
    return parts and f"{parts[1]} SELECT {parts[2]} FROM unnest({arrays}) AS given({names})"  # noqa: S608 - made of our own statements


def _update(sql: str, arrays: str, names: str) -> str | None:
    parts = _UPDATE.match(sql)
    given = f"FROM unnest({arrays}) WITH ORDINALITY AS given({names}, position)"
    return parts and f"{parts[1]} {given} {parts[2]} RETURNING given.position"
