"""The positions of payloads among a statement's parameters and in its rows, and the flow they belong to."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Insert, Update
from sqlalchemy.sql.compiler import SQLCompiler

from dwarf.storage.sql.compiler import dialect_of
from dwarf.storage.sql.script import Statement
from dwarf.storage.sql.tables import Payload, displays, flows, steps


@dataclass(frozen=True, slots=True)
class PayloadLayout:
    """Payloads by parameter, and by position in a row.

    ``cut`` and ``gaps`` are those whose parts may be stored as blobs, with the kind of the parts. ``owner``
    is the parameter that holds the id of the flow to which a written row belongs, or of its step (``owner_is_step``).
    """

    params: tuple[str, ...] = ()
    columns: tuple[tuple[int, str], ...] = ()
    cut: tuple[tuple[str, str], ...] = ()
    gaps: tuple[tuple[int, str], ...] = ()
    owner: str = ""
    owner_is_step: bool = False


_NOTHING = PayloadLayout()


def layout_of(statement: Statement) -> PayloadLayout:
    """The layout of a statement, from the statement's own cache. It is the same in every dialect."""
    layout: PayloadLayout | None = statement.layout
    if layout is None:
        layout = statement.layout = _read(statement)
    return layout


def _read(statement: Statement) -> PayloadLayout:
    compiled = statement.clause.compile(dialect=dialect_of("sqlite"))
    if not isinstance(compiled, SQLCompiler):  # DDL
        return _NOTHING
    params = {
        name: bind.type.parts
        for name, bind in compiled.binds.items()
        if isinstance(bind.type, Payload) and bind.required
    }
    columns = [
        (position, column.keyname, column.type.parts)
        for position, column in enumerate(compiled._result_columns)
        if isinstance(column.type, Payload)
    ]
    owner, owner_is_step = _owner(statement)
    return PayloadLayout(
        params=tuple(params),
        columns=tuple((position, name) for position, name, _ in columns),
        cut=tuple((name, parts) for name, parts in params.items() if parts and owner),
        gaps=tuple((position, parts) for position, _, parts in columns if parts),
        owner=owner,
        owner_is_step=owner_is_step,
    )


def _owner(statement: Statement) -> tuple[str, bool]:
    clause = statement.clause
    if isinstance(clause, Insert) and clause.table in (flows, steps, displays):
        return "flow_id", False
    if isinstance(clause, Update) and clause.table in (flows, steps):
        return "id", clause.table is steps
    return "", False
