"""Scenarios of the conformance list about values, states as plain dicts and reducers, by their numbers."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf.errors import ConditionError, ReducerError, StateError
from dwarf.workflow.algebra import fold, overlay, settle
from dwarf.workflow.conditions import parse
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.reducers import Reducer
from dwarf.workflow.values import from_json, to_json


def test_w38_a_null_field_is_a_tombstone_until_the_state_is_settled() -> None:
    merged = overlay({"gone": "x", "other": 2}, {"gone": None, "kept": 1})
    assert merged == {"gone": None, "other": 2, "kept": 1}
    assert settle(merged) == {"other": 2, "kept": 1}


def test_w40_values_are_carried_unchanged() -> None:
    text = '{"a":{"x":1,"y":[1,2,3]},"b":"str","c":null}'
    assert dumps(loads(text)) == text
    assert dumps(to_json(from_json(loads(text)))) == text
    carried = from_json(loads(dumps(to_json(1234567890123456789))))
    assert carried == 1234567890123456789
    assert type(carried) is int


def test_w42_what_cannot_be_kept_is_refused_and_what_is_kept_is_a_copy() -> None:
    with pytest.raises(StateError, match=r"payload\.score"):
        to_json({"score": 1j}, field="payload")
    assert repr(from_json(to_json({"score": float("nan")}))) == "{'score': nan}"
    payload: dict[str, Any] = {"choices": ["a"], "note": {"text": "x"}}
    kept = to_json(payload)
    payload["choices"].append("b")
    payload["note"]["text"] = "y"
    assert kept == {"choices": ["a"], "note": {"text": "x"}}


def test_w47_append() -> None:
    append = Reducer.APPEND.reduce
    assert append([1, 2], [3, 4]) == [1, 2, 3, 4]
    assert append(["a"], "b") == ["a", "b"]
    assert append(append(None, [3, 4]), 5) == [3, 4, 5]
    assert append([1], [[2, 3]]) == [1, [2, 3]]
    with pytest.raises(ReducerError):
        append("s", [1])


def test_w48_union() -> None:
    union = Reducer.UNION.reduce
    assert union([1, 2], [2, 3]) == [1, 2, 3]
    assert union(["a"], "a") == ["a"]
    assert union(None, [1, 1, 2]) == [1, 2]
    assert repr(union([1, 1, 2], [1.0, 2, 3, True, "1"])) == repr([1, 1, 2, 3, True, "1"])
    assert union([{"a": 1, "b": 2}], [{"b": 2, "a": 1}]) == [{"a": 1, "b": 2}]


def test_w49_add_min_max() -> None:
    assert Reducer.ADD.reduce(10, 5) == 15
    assert Reducer.ADD.reduce(None, 7) == 7
    for base, incoming in (("1", 2), (None, True), (None, "2")):
        with pytest.raises(ReducerError):
            Reducer.ADD.reduce(base, incoming)
    assert Reducer.MIN.reduce(3, 5) == 3
    assert Reducer.MAX.reduce(3, 5) == 5


def test_w50_and_or_concat() -> None:
    for one in (True, False):
        assert Reducer.AND.reduce(None, one) is one
        assert Reducer.OR.reduce(None, one) is one
        for other in (True, False):
            assert Reducer.AND.reduce(one, other) is (one and other)
            assert Reducer.OR.reduce(one, other) is (one or other)
    with pytest.raises(ReducerError):
        Reducer.AND.reduce(1, True)
    assert Reducer.CONCAT.reduce("foo", "bar") == "foobar"
    with pytest.raises(ReducerError):
        Reducer.CONCAT.reduce("foo", 1)


def test_w51_merge() -> None:
    assert Reducer.MERGE.reduce({"a": 1, "b": 2}, {"b": 20, "c": 30}) == {"a": 1, "b": 20, "c": 30}
    assert Reducer.MERGE.reduce({"a": {"k": 1}}, {"a": {"m": 2}}) == {"a": {"m": 2}}
    with pytest.raises(ReducerError):
        Reducer.MERGE.reduce([1], {})


def test_w52_null_and_unknown_reducers() -> None:
    assert fold({"n": 5}, [{"n": None}], {"n": "add"}) == {"n": 5}
    assert fold({"n": 5}, [{"n": None}], {"n": "replace"}) == {"n": None}
    with pytest.raises(ReducerError, match=r"'n'.*'average'"):
        fold({"n": 5}, [{"n": 1}], {"n": "average"})


def test_w53_many_members_fold_like_one_after_the_other() -> None:
    base: dict[str, Any] = {"log": ["seed"], "last": 0}
    members: list[dict[str, Any]] = [
        {"log": "a", "tags": "x", "last": 1},
        {"log": ["b", "c"], "tags": ["x", "y"], "last": 2},
        {"tags": 5, "last": 3},
    ]
    reducers = {"log": "append", "tags": "union"}
    one_by_one = base
    for member in members:
        one_by_one = fold(one_by_one, [member], reducers)
    whole = fold(base, members, reducers)
    assert whole == one_by_one == {"log": ["seed", "a", "b", "c"], "last": 3, "tags": ["x", "y", 5]}


def test_w66_a_bad_pattern_counts_only_where_a_string_is_matched() -> None:
    condition = parse("name =~ pattern")
    assert condition.evaluate({"pattern": "("}) is False
    assert condition.evaluate({"pattern": "(", "name": 5}) is False
    with pytest.raises(ConditionError, match="invalid regular expression"):
        condition.evaluate({"pattern": "(", "name": "x"})
