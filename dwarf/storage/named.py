"""Rows by name: a named tuple is both the select list of a query and what each of its rows is read as.

So a column that is added to one is a field more, and no reader of the others has to count again.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause

Columns = tuple[ColumnElement[Any], ...]


def columns(kind: type[tuple[Any, ...]], *tables: FromClause, **given: ColumnElement[Any]) -> Columns:
    """The select list of a kind of row: a column for each of its fields, in their order.

    A field is the column of that name in the first of the tables that has one, or what is ``given`` under its name.
    """
    chosen: list[ColumnElement[Any]] = []
    for name in kind._fields:  # type: ignore[attr-defined] # every NamedTuple has it, but there is no type for "any of them"
        owner = next((table for table in tables if name in table.c), None)
        if name not in given and owner is None:
            raise LookupError(f"{kind.__name__}.{name} is no column of {', '.join(map(str, tables))}")
        chosen.append(given[name] if name in given or owner is None else owner.c[name])
    return tuple(chosen)
