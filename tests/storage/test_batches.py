"""PostgreSQL: the statement for many rows."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, insert, literal_column, select, text, update

from dwarf.storage.drivers.batches import insert_batch, update_batch, write_set_batch, write_set_columns
from dwarf.storage.operations.own_rows import FINISH
from dwarf.storage.sql.rows import INSERT_FLOW, INSERT_STEP
from dwarf.storage.sql.script import Statement, UpdateEach, WriteSet
from dwarf.storage.sql.tables import graphs, ids, steps


def test_an_insert_takes_its_rows_from_arrays() -> None:
    statement = Statement("keep", insert(graphs).values(graph_hash=bindparam("name"), body=literal_column("''")))
    batch = insert_batch(statement)
    assert batch is not None
    assert batch.sql == (
        "INSERT INTO dwarf_graphs (graph_hash, body) SELECT given.p1, '' FROM unnest($1::VARCHAR[]) AS given(p1)"
    )
    assert batch.columns([{"name": "a"}, {"name": "b"}]) == [("a", "b")]
    assert insert_batch(statement) is batch


def test_an_update_tells_which_rows_it_found() -> None:
    statement = Statement(
        "more",
        update(steps)
        .where(steps.c.step_id == bindparam("id"), steps.c.parked == literal_column("0"))
        .values(attempt=steps.c.attempt + bindparam("by")),
    )
    batch = update_batch(statement, [{"id": 1, "by": 1}, {"id": 2, "by": 1}])
    assert batch is not None
    assert batch.sql == (
        "UPDATE dwarf_steps SET attempt=(dwarf_steps.attempt + given.p1) "
        "FROM unnest($1::INTEGER[], $2::BIGINT[]) WITH ORDINALITY AS given(p1, p2, position) "
        "WHERE dwarf_steps.step_id = given.p2 AND dwarf_steps.parked = 0 AND given.position * 0 = 0 RETURNING given.position"
    )
    assert batch.columns([{"id": 1, "by": 5}, {"id": 2, "by": 6}]) == [(5, 6), (1, 2)]


def test_rows_that_nothing_tells_apart_are_not_batched() -> None:
    assert update_batch(FINISH, [{"id": 1}, {"id": 1}]) is None
    without = Statement("w", update(ids).where(ids.c.kind == bindparam("of_kind")).values(next_id=bindparam("n")))
    assert update_batch(without, [{"of_kind": "a", "n": 1}]) is None


@pytest.mark.parametrize(
    "clause",
    [
        text("INSERT INTO dwarf_graphs VALUES (:id, '')"),
        select(steps.c.node).where(steps.c.step_id == bindparam("id")),
        insert(graphs).from_select(["graph_hash", "body"], select(ids.c.kind, ids.c.kind)),
    ],
)
def test_other_statements_are_not_batched(clause: object) -> None:
    statement = Statement("other", clause)  # type: ignore[arg-type]
    assert insert_batch(statement) is None


def test_the_statements_of_every_step_are_batched() -> None:
    assert insert_batch(INSERT_STEP) is not None
    assert insert_batch(INSERT_FLOW) is not None
    assert update_batch(FINISH, [{"id": 1}, {"id": 2}]) is not None


def test_what_the_rows_share_is_sent_once() -> None:
    change = Statement(
        "share",
        update(steps)
        .where(steps.c.step_id == bindparam("id"), steps.c.parked == literal_column("0"))
        .values(updated_at=bindparam("at"), attempt=bindparam("by")),
        shared=("at",),
    )
    rows = [{"id": 1, "at": 9, "by": 5}, {"id": 2, "at": 9, "by": 6}]
    batch = update_batch(change, rows)
    assert batch is not None
    assert batch.sql == (
        "UPDATE dwarf_steps SET attempt=given.p1, updated_at=$2::BIGINT "
        "FROM unnest($1::INTEGER[], $3::BIGINT[]) WITH ORDINALITY AS given(p1, p3, position) "
        "WHERE dwarf_steps.step_id = given.p3 AND dwarf_steps.parked = 0 AND given.position * 0 = 0 RETURNING given.position"
    )
    assert batch.columns(rows) == [(5, 6), 9, (1, 2)]
    write_set = WriteSet([UpdateEach(change, rows)], [(UpdateEach(change, []), [])])
    assert write_set_columns(write_set) == [(5, 6), 9, (1, 2), (), None, (), []]
    sql = write_set_batch(write_set)
    assert sql is not None
    assert "cardinality($1) AS whole" in sql
    assert (
        "SET attempt=given.p1, updated_at=$5::BIGINT FROM landed, unnest($4::INTEGER[], $6::BIGINT[], $7::BIGINT[])"
        in sql
    )


def test_the_first_parameter_may_be_shared() -> None:
    change = Statement(
        "share_first",
        update(steps).where(steps.c.step_id == bindparam("id")).values(attempt=bindparam("by")),
        shared=("by",),
    )
    sql = write_set_batch(WriteSet([UpdateEach(change, [])], [], last=True))
    assert sql is not None
    assert "cardinality($2) AS whole" in sql
