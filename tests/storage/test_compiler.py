"""Every statement of storage, in every dialect."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy import bindparam, insert, select, text, update

from dwarf.storage.migrations.drafting import whole_schema
from dwarf.storage.sql.compiler import DIALECTS, SHIFTED_SQLITE, compiled, golden
from dwarf.storage.sql.expressions import in_ids, now_ms
from dwarf.storage.sql.script import Statement
from dwarf.storage.sql.tables import graphs, migrations, steps
from tests.storage.write_golden import statements

STATEMENTS = statements()


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_a_statement_compiles_for_every_dialect(statement: Statement) -> None:
    texts = golden(statement)
    assert list(texts) == list(DIALECTS)
    for dialect, sql in texts.items():
        assert sql
        assert "POSTCOMPILE" not in sql
        assert ":" not in sql.replace("::", ""), f"a parameter by name in {dialect}"


def test_names_are_unique() -> None:
    names = [statement.name for statement in STATEMENTS]
    assert sorted(names) == sorted(set(names))


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.executescript(whole_schema("sqlite"))
    connection.execute(f"CREATE TABLE {migrations.name} (version INTEGER PRIMARY KEY, applied_at BIGINT)")
    yield connection
    connection.close()


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_no_statement_reads_a_whole_table(statement: Statement, connection: sqlite3.Connection) -> None:
    sql = compiled(statement, "sqlite").sql
    plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", ("[1]",) * sql.count("?")).fetchall()
    whole = ("SCAN dwarf_steps", "SCAN dwarf_flows")
    assert [step for *_, step in plan if step in whole] == []  # the scan of a partial index names the index


def test_parameters_come_in_the_order_of_the_text() -> None:
    statement = Statement(
        "ordered",
        update(graphs)
        .where(graphs.c.graph_hash == bindparam("key"), graphs.c.body != "constant")
        .values(body=bindparam("new_body")),
    )
    result = compiled(statement, "sqlite")
    assert result.sql == "UPDATE dwarf_graphs SET body=? WHERE dwarf_graphs.graph_hash = ? AND dwarf_graphs.body != ?"
    assert result.parameters({"key": "k", "new_body": "b", "unused": 1}) == ("b", "k", "constant")
    assert compiled(statement, "sqlite") is result


def test_a_parameter_used_twice_is_sent_as_often_as_the_dialect_asks() -> None:
    statement = Statement(
        "twice", select(steps.c.node).where(steps.c.step_id == bindparam("id"), steps.c.flow_id == bindparam("id"))
    )
    assert compiled(statement, "sqlite").parameters({"id": 7}) == (7, 7)
    assert compiled(statement, "postgresql").parameters({"id": 7}) == (7,)


def test_one_parameter_and_none() -> None:
    one = Statement("one", select(steps.c.node).where(steps.c.step_id == bindparam("id")))
    none = Statement("none", select(steps.c.node))
    assert compiled(one, "sqlite").parameters({"id": 7}) == (7,)
    assert compiled(none, "sqlite").parameters({}) == ()


def test_ids_are_a_list_or_json() -> None:
    statement = Statement("many", select(steps.c.node).where(in_ids(steps.c.step_id, "ids")))
    for dialect in DIALECTS:
        expected = [1, 2**62] if dialect in ("postgresql", "mysql") else "[1,4611686018427387904]"
        assert compiled(statement, dialect).parameters({"ids": [1, 2**62]}) == (expected,)
    assert compiled(statement, "sqlite").sql.endswith("WHERE dwarf_steps.step_id IN (SELECT value FROM json_each(?))")
    assert compiled(statement, "postgresql").sql.endswith("WHERE dwarf_steps.step_id = ANY(CAST($1 AS BIGINT[]))")


def test_an_expanding_list_is_refused() -> None:
    statement = Statement("expanding", select(steps.c.node).where(steps.c.step_id.in_([1, 2])))
    with pytest.raises(ValueError, match=r"expanding.*in_ids"):
        compiled(statement, "sqlite")


def test_a_constant_limit_is_written_out_for_sql_server() -> None:
    statement = Statement("first", select(steps.c.node).order_by(steps.c.step_id).limit(3))
    result = compiled(statement, "mssql")
    assert result.sql.startswith("SELECT TOP 3 ")
    assert result.parameters({}) == ()


def test_a_moved_clock_is_a_function_of_the_connection() -> None:
    statement = Statement("clock", select(now_ms()))
    assert "julianday" in compiled(statement, "sqlite").sql
    assert "dwarf_now_ms()" in compiled(statement, SHIFTED_SQLITE).sql


def test_text_and_plain_inserts_compile() -> None:
    assert compiled(Statement("pragma", text("PRAGMA user_version")), "sqlite").sql == "PRAGMA user_version"
    result = compiled(Statement("whole_row", insert(graphs)), "sqlite")
    assert result.parameters({"body": "b", "graph_hash": "h"}) == ("h", "b")
