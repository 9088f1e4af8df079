"""Cursors come back as they were made, and are refused anywhere else."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dwarf.engine.query import Cursor, read_cursor
from dwarf.errors import InvalidRequest

NUMBERS = st.integers(0, 2**63)


@given(created=NUMBERS, flow=NUMBERS, shard=NUMBERS, listed=NUMBERS)
def test_a_cursor_comes_back(created: int, flow: int, shard: int, listed: int) -> None:
    cursor = Cursor(created, flow, shard, listed)
    text = cursor.text("a database", "a query")
    assert read_cursor(text, "a database", "a query") == cursor
    assert text.isascii()
    assert not set(text) & set("+/=& ")  # it goes into a URL as it is


def test_a_cursor_belongs_to_a_database_and_a_query() -> None:
    text = Cursor(1, 2, 3, 4).text("database", "query")
    with pytest.raises(InvalidRequest, match="another database"):
        read_cursor(text, "other", "query")
    with pytest.raises(InvalidRequest, match="another query"):
        read_cursor(text, "database", "other")


@given(st.text())
@example("")
@example("AAAA")
@example("x" * 5)
@example("\ud800")
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="not a cursor"):
        read_cursor(text, "database", "query")


@given(place=st.integers(0, 70), letter=st.sampled_from("AZaz09-_"))
def test_a_changed_cursor_is_refused(place: int, letter: str) -> None:
    cursor = Cursor(1_700_000_000_000, 42, 1, 100)
    text = cursor.text("database", "query")
    changed = text[:place] + letter + text[place + 1 :]
    try:
        assert read_cursor(changed, "database", "query") == cursor  # nothing that counts has changed
    except InvalidRequest as error:
        assert "not a cursor" in str(error)


@pytest.mark.parametrize("text", [None, 7, b"AAAA", ("a",)])
def test_a_cursor_is_a_text(text: object) -> None:
    with pytest.raises(InvalidRequest, match=type(text).__name__):
        read_cursor(text, "database", "query")
