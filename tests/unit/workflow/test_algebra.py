"""States as plain dicts: overlay, settle and fold."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwarf.errors import ReducerError
from dwarf.workflow.algebra import fold, overlay, settle
from dwarf.workflow.reducers import Reducer


def test_overlay_keeps_tombstones_and_settle_drops_them() -> None:
    base = {"a": 1, "b": 2, "c": {"x": None}}
    laid = overlay(base, {"b": None, "d": 4})
    assert laid == {"a": 1, "b": None, "c": {"x": None}, "d": 4}
    assert settle(laid) == {"a": 1, "c": {"x": None}, "d": 4}
    assert base == {"a": 1, "b": 2, "c": {"x": None}}


def test_settle_keeps_what_only_looks_empty() -> None:
    assert settle({"a": 0, "b": "", "c": [], "d": {}, "e": False, "f": None}) == {
        "a": 0, "b": "", "c": [], "d": {}, "e": False
    }  # fmt: skip


def test_a_field_without_a_reducer_is_replaced_and_null_is_its_tombstone() -> None:
    assert fold({"a": 1}, [{"a": 2}, {"a": None}, {"b": 3}], {}) == {"a": None, "b": 3}
    assert fold({"a": 1}, [{"a": None}], {"a": ""}) == {"a": None}
    assert fold({"a": 1}, [{"a": 2}], {"a": Reducer.REPLACE}) == {"a": 2}


def test_null_is_ignored_on_a_combined_field_whatever_the_reducer() -> None:
    assert fold({"a": [1]}, [{"a": None}, {"a": 2}, {"a": None}], {"a": "append"}) == {"a": [1, 2]}
    assert fold({"a": [1]}, [{"a": None}], {"a": "unheard of"}) == {"a": [1]}


def test_an_absent_or_null_base_is_seeded() -> None:
    assert fold({}, [{"n": 7}, {"n": 1}], {"n": "add"}) == {"n": 8}
    assert fold({"n": None}, [{"n": 7}], {"n": "add"}) == {"n": 7}
    assert fold({}, [{"log": "a"}, {"log": ["b"]}, {"log": 5}], {"log": "append"}) == {"log": ["a", "b", 5]}


def test_fields_keep_the_order_of_their_first_appearance() -> None:
    result = fold({"z": 1, "log": []}, [{"log": [1], "n": 1}, {"a": 1, "n": 2}], {"log": "append", "n": "add"})
    assert list(result) == ["z", "log", "n", "a"]


def test_nothing_given_is_changed() -> None:
    base: dict[str, Any] = {"log": [1], "m": {"a": 1}, "s": [1]}
    deltas: list[dict[str, Any]] = [{"log": [2], "m": {"b": 2}, "s": [2]}, {"log": [3], "m": {"c": 3}, "s": [3]}]
    before = repr((base, deltas))
    result = fold(base, deltas, {"log": "append", "m": "merge", "s": "union"})
    assert result == {"log": [1, 2, 3], "m": {"a": 1, "b": 2, "c": 3}, "s": [1, 2, 3]}
    assert repr((base, deltas)) == before


@pytest.mark.parametrize(
    ("base", "delta", "reducer", "text"),
    [
        ({}, {"total": "x"}, "add", "field 'total': reducer 'add'"),
        ({"total": "x"}, {"total": 1}, "add", "field 'total': reducer 'add': the base value must be a number"),
        ({}, {"total": 1}, "sum", "field 'total': unknown reducer 'sum'"),
    ],
)
def test_errors_name_the_field_and_the_reducer(base: Any, delta: Any, reducer: str, text: str) -> None:
    with pytest.raises(ReducerError, match=text):
        fold(base, [delta], {"total": reducer})


MEMBERS: dict[Reducer, st.SearchStrategy[Any]] = {
    Reducer.REPLACE: st.integers() | st.none(),
    Reducer.APPEND: st.none() | st.integers() | st.lists(st.integers() | st.booleans(), max_size=3),
    Reducer.UNION: st.none() | st.integers(0, 3) | st.lists(st.integers(0, 3) | st.booleans(), max_size=3),
    Reducer.ADD: st.none() | st.integers() | st.floats(-1e9, 1e9),
    Reducer.MIN: st.none() | st.integers() | st.floats(-1e9, 1e9),
    Reducer.MAX: st.none() | st.integers() | st.floats(-1e9, 1e9),
    Reducer.AND: st.none() | st.booleans(),
    Reducer.OR: st.none() | st.booleans(),
    Reducer.CONCAT: st.none() | st.text(max_size=3),
    Reducer.MERGE: st.none() | st.dictionaries(st.sampled_from("abc"), st.integers() | st.none(), max_size=3),
}


@settings(max_examples=300)
@given(st.data(), st.sampled_from(list(Reducer)))
def test_a_fold_equals_its_members_folded_one_by_one(data: st.DataObject, reducer: Reducer) -> None:
    members = data.draw(st.lists(MEMBERS[reducer], max_size=6))
    seed = data.draw(MEMBERS[reducer])
    base = {} if seed is None else {"f": reducer.reduce(None, seed)}
    whole = fold(base, [{"f": member} for member in members], {"f": reducer})
    one_by_one = base
    for member in members:
        one_by_one = fold(one_by_one, [{"f": member}], {"f": reducer})
    assert repr(settle(whole)) == repr(settle(one_by_one))


@pytest.mark.parametrize(
    ("reducer", "member"),
    [
        ("append", lambda i: [i]),
        ("union", lambda i: {"i": i}),
        ("concat", lambda i: "x"),
        ("merge", lambda i: {str(i): i}),
    ],
)
def test_ten_thousand_members_are_folded_in_linear_time(reducer: str, member: Any) -> None:
    def seconds(count: int) -> float:
        deltas = [{"f": member(i)} for i in range(count)]
        started = process_time()
        result = fold({}, deltas, {"f": reducer})
        spent = process_time() - started
        assert len(result["f"]) == count
        return spent

    # Quadratic copying would take a hundred times as long for ten times as many.
    assert min(seconds(10_000) for _ in range(3)) < 60 * min(seconds(1_000) for _ in range(3))
