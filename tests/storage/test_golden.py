"""What is sent to each kind of database, statement by statement, is in files for reviewers to read."""

from __future__ import annotations

import re
from difflib import unified_diff

import pytest

from dwarf.storage.sql.compiler import DIALECTS, compiled
from tests.storage.write_golden import FOLDER, statements, texts

MOST_PARAMETERS = 2_100  # of SQL Server


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_files_hold_what_is_sent(dialect: str) -> None:
    now = texts()[dialect]
    then = (FOLDER / f"{dialect}.sql").read_text("utf-8")
    difference = "\n".join(unified_diff(then.splitlines(), now.splitlines(), "file", "now", lineterm="", n=1))
    assert now == then, f"to accept this: python -m tests.storage.write_golden\n{difference}"


def test_sql_server_takes_so_many_parameters() -> None:
    counts = {statement.name: compiled(statement, "mssql").sql.count("?") for statement in statements()}
    assert max(counts.values()) < 100  # one row; SQL Server takes 2,100 in all
    assert MOST_PARAMETERS // max(counts.values()) > 20


def test_no_statement_of_mysql_returns_what_it_updates() -> None:
    for statement in statements():
        texts_sent = [compiled(part, "mysql").sql for part in statement.returning_fallback or (statement,)]
        for sql in texts_sent:
            assert not re.match(r"UPDATE.*RETURNING", sql, re.DOTALL), f"{statement.name} needs in_turn"


def test_rows_are_locked_where_writers_do_not_take_turns() -> None:
    locking = {s.name for s in statements() if "FOR UPDATE" in compiled(s, "postgresql").sql}
    assert {"due_of_key", "lock_flow", "lock_live_steps", "recover_expired"} <= locking
    assert locking == {s.name for s in statements() if "FOR UPDATE" in compiled(s, "mysql").sql}
    assert not [s.name for s in statements() if "FOR UPDATE" in compiled(s, "sqlite").sql]
