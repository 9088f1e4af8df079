"""What leads a list of flows: the right index, and no sorting."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import literal, select

from dwarf.storage.migrations.drafting import whole_schema
from dwarf.storage.queries.filters import Filters, conditions_of, list_statement
from dwarf.storage.queries.listing import NODES, Before
from dwarf.storage.sql.compiler import compiled
from dwarf.storage.sql.expressions import contains, search_terms
from dwarf.storage.sql.script import Statement
from dwarf.workflow.status import Status


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.executescript(whole_schema("sqlite"))
    yield connection
    connection.close()


def plan_of(connection: sqlite3.Connection, statement: Statement) -> list[str]:
    """SQLite's plan of a statement."""
    sql = compiled(statement, "sqlite").sql
    return [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", ("[1]",) * sql.count("?"))]


@pytest.mark.parametrize("before", [None, Before(7, 7)])
@pytest.mark.parametrize(
    ("filters", "more", "index"),
    [
        (Filters(), (), "dwarf_flows_newest (parent_flow_id=? AND created_at<?)"),
        (Filters(include_subgraphs=True), (), "dwarf_flows_all (created_at<?)"),
        (Filters(status=Status.FAILED), (), "dwarf_flows_status (status=? AND parent_flow_id=? AND created_at<?)"),
        (Filters(status=Status.FAILED, workflow_url="u"), (), "dwarf_flows_status (status=? AND parent_flow_id=? AND"),
        (Filters(status=Status.FAILED, older_ms=1), (), "dwarf_flows_status (status=? AND parent_flow_id=? AND"),
        (Filters(workflow_url="u"), (), "dwarf_flows_url (workflow_url=? AND parent_flow_id=? AND created_at<?)"),
        (Filters(status=Status.COMPLETED, workflow_url="u"), (), "dwarf_flows_url (workflow_url=? AND"),
        (Filters(workflow_name="n"), (), "dwarf_flows_name (workflow_name=? AND parent_flow_id=? AND created_at<?)"),
        (Filters(fairness_key="k", priority=1), (), "dwarf_flows_newest (parent_flow_id=? AND created_at<?)"),
        (Filters(older_ms=1, newer_ms=1), (), "dwarf_flows_newest (parent_flow_id=? AND created_at<?)"),
        (Filters(node="n"), (), "dwarf_flows_newest (parent_flow_id=? AND created_at<?)"),
        (Filters(), ("arm_url",), "dwarf_flows_url (workflow_url=? AND parent_flow_id=? AND created_at<?)"),
        (Filters(), ("arm_name", "node_text"), "dwarf_flows_name (workflow_name=? AND parent_flow_id=? AND"),
        (Filters(), ("failed_text",), "dwarf_flows_status (status=? AND parent_flow_id=? AND created_at<?)"),
        (Filters(), ("cancelled_text_unicode",), "dwarf_flows_status (status=? AND parent_flow_id=? AND created_at<?)"),
        (Filters(), ("failed_text", "since"), "dwarf_flows_status (status=? AND parent_flow_id=? AND created_at>? AND"),
        (Filters(), ("names_text",), "dwarf_flows_newest (parent_flow_id=? AND created_at<?)"),
        (Filters(), ("key_text",), "dwarf_flows_newest (parent_flow_id=? AND created_at<?)"),
    ],
    ids=str,
)
@pytest.mark.parametrize("oldest_first", [False, True])
def test_an_index_leads_and_nothing_is_sorted(
    connection: sqlite3.Connection,
    filters: Filters,
    more: tuple[str, ...],
    index: str,
    before: Before | None,
    oldest_first: bool,
) -> None:
    names, _ = conditions_of(filters, 1_000_000)
    names |= {*more, *(() if before is None else ("before",))}
    plan = plan_of(connection, list_statement(frozenset(names), oldest_first=oldest_first))
    assert index in plan[0]
    assert not [step for step in plan if "B-TREE" in step]
    assert not [step for step in plan if step.startswith("SCAN")]


@pytest.mark.parametrize("more", [(), ("before", "tag_0"), ("status", "workflow_url", "tag_0_any")], ids=str)
def test_a_tag_leads_in_the_order_of_the_flows(connection: sqlite3.Connection, more: tuple[str, ...]) -> None:
    for tags, index in (((("t", "v"),), "value (name=? AND value=? AND"), ((("t", None),), "name (name=? AND")):
        names, _ = conditions_of(Filters(tags=tags), 1)  # the first tag leads
        for oldest_first in (False, True):
            plan = plan_of(connection, list_statement(frozenset(names.union(more)), oldest_first=oldest_first))
            assert f"dwarf_tags_{index} created_at<?)" in plan[0]
            assert "INTEGER PRIMARY KEY (rowid=?)" in plan[1]
            assert not [step for step in plan if "B-TREE" in step or step.startswith("SCAN")]


def test_a_thread_is_found_by_its_own_index(connection: sqlite3.Connection) -> None:
    for filters in (Filters(thread_id=1), Filters(thread_id=1, include_subgraphs=True)):
        names, _ = conditions_of(filters, 1)
        plan = plan_of(connection, list_statement(frozenset(names), oldest_first=False))
        assert "dwarf_flows_thread (thread_id=?" in plan[0]  # its few flows are then sorted


def test_a_flow_by_its_key_is_found_by_its_id(connection: sqlite3.Connection) -> None:
    names, _ = conditions_of(Filters(), 1)
    plan = plan_of(connection, list_statement(frozenset(names | {"arm_key"}), oldest_first=False))
    assert "INTEGER PRIMARY KEY (rowid=?)" in plan[0]


def test_the_nodes_of_a_page_are_found_by_its_flows(connection: sqlite3.Connection) -> None:
    assert "dwarf_steps_flow (flow_id=?" in plan_of(connection, NODES)[0]


# ---------------------------------------------------------------- search

CONTAINS = {
    unicode: compiled(
        Statement(f"contains_{unicode}", select(literal("?").is_(None), contains(literal("text"), unicode=unicode))),
        "sqlite",
    ).sql.partition(", ")[2]
    for unicode in (False, True)
}
LETTERS = st.text(st.sampled_from("aAbB%_~[]^-*?\\'\"! äÄßσΣςıİ€\U0001f600"), max_size=8)


def contained(connection: sqlite3.Connection, text: str, search: str) -> bool:
    terms = search_terms(search)
    if search.isascii():
        row: Any = connection.execute("SELECT ? LIKE ? ESCAPE '~'", (text, terms["search_like"])).fetchone()
    else:
        row = connection.execute("SELECT ? GLOB ?", (text, terms["search_glob"])).fetchone()
    return bool(row[0])


def same(one: str, other: str) -> bool:
    """Whether two characters are one letter, in whatever case."""
    if one.isascii() and other.isascii():
        return one.lower() == other.lower()
    return one == other or one in (other.lower(), other.upper()) or one == other.upper().lower()


def test_the_patterns_are_those_that_are_asked(connection: sqlite3.Connection) -> None:
    assert " LIKE ? ESCAPE '~'" in CONTAINS[False]
    assert " GLOB ?" in CONTAINS[True]


@given(before=LETTERS, search=LETTERS.filter(bool), after=LETTERS)
@example(before="", search="^", after="")
@example(before="a", search="[^a]", after="")
@example(before="", search="ä]", after="")
@example(before="", search="-ä-", after="")
def test_a_text_is_found_where_it_stands(connection: sqlite3.Connection, before: str, search: str, after: str) -> None:
    assert contained(connection, before + search + after, search)
    for changed in (search.lower(), search.upper()):
        if len(changed) == len(search) and all(map(same, changed, search)):
            assert contained(connection, before + changed + after, search)


@given(text=LETTERS, search=LETTERS.filter(bool))
def test_a_text_is_not_found_where_it_does_not_stand(connection: sqlite3.Connection, text: str, search: str) -> None:
    stands = any(
        all(map(same, text[start : start + len(search)], search)) for start in range(len(text) - len(search) + 1)
    )
    assert contained(connection, text, search) == stands
