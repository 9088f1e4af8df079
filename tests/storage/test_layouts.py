"""Where statements have their payloads."""

from __future__ import annotations

from sqlalchemy import Insert, Update, insert, select

from dwarf.storage.operations import fork, own_rows
from dwarf.storage.payloads.layouts import layout_of
from dwarf.storage.queries import flows as flow_queries
from dwarf.storage.sql import rows, tables
from dwarf.storage.sql.compiler import DIALECTS, dialect_of
from dwarf.storage.sql.script import Statement
from dwarf.storage.sql.tables import Payload, flows, metadata, steps
from tests.storage.test_compiler import STATEMENTS


def test_the_payloads_of_a_write() -> None:
    layout = layout_of(own_rows.ASK)
    assert set(layout.params) == {"new_changes", "new_interrupt"}
    assert dict(layout.cut) == {"new_changes": "members", "new_interrupt": "interrupt"}
    assert (layout.owner, layout.owner_is_step) == ("id", True)
    assert layout_of(rows.INSERT_STEP).owner == "flow_id"
    assert set(layout_of(fork.COPY_STEP).params) == {
        column.name for column in steps.columns if isinstance(column.type, Payload)
    }


def test_the_payloads_of_a_row() -> None:
    layout = layout_of(flow_queries.FLOW)
    assert layout.columns == ((2, "final_state"), (3, "error"), (4, "cancel_reason"))
    assert layout.gaps == ((2, "members"),)
    assert layout_of(flow_queries.MOVEMENT).columns == ()  # the length of a payload is none


def test_a_statement_without_payloads_has_none() -> None:
    layout = layout_of(flow_queries.STATUSES)
    assert (layout.params, layout.columns, layout.cut, layout.gaps) == ((), (), (), ())
    assert layout_of(flow_queries.STATUSES) is layout
    assert layout_of(Statement("all", select(flows.c.token))).columns == ()


def test_every_long_text_is_a_payload() -> None:
    for table in metadata.sorted_tables:
        for column in table.columns:
            long = getattr(column.type, "length", 1) is None and column.type.python_type is str
            assert long == isinstance(column.type, Payload), f"{table.name}.{column.name}"


def test_whatever_may_be_large_is_written_with_its_flow() -> None:
    written = [statement for statement in STATEMENTS if isinstance(statement.clause, (Insert, Update))]
    assert written
    for statement in written:
        values = statement.clause.compile(dialect=dialect_of("sqlite")).binds.values()  # type: ignore[attr-defined]
        may_be_large = [bind for bind in values if isinstance(bind.type, Payload) and bind.type.parts and bind.required]
        assert len(layout_of(statement).cut) == len(may_be_large), f"{statement.name} has no owner"


def test_a_write_with_returning_writes_nothing_large() -> None:
    for statement in STATEMENTS:
        if isinstance(statement.clause, (Insert, Update)) and statement.clause._returning:
            assert layout_of(statement).cut == (), statement.name


def test_the_layout_is_that_of_every_dialect() -> None:
    for dialect in DIALECTS:
        compiled = Statement("whole_graph", insert(tables.graphs)).clause.compile(dialect=dialect_of(dialect))
        assert [isinstance(bind.type, Payload) for bind in compiled.binds.values()] == [False, True]  # type: ignore[attr-defined]
