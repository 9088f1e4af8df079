"""Each reducer on its own: results, wrong types, and that nothing given to it is changed."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwarf.errors import ReducerError
from dwarf.workflow.reducers import Reducer, identity
from dwarf.workflow.values import from_json, to_json
from tests.unit.workflow.test_jsontext import JSON_VALUES

COMBINING = [reducer for reducer in Reducer if reducer is not Reducer.REPLACE]


def test_the_names_are_those_of_the_json_form() -> None:
    assert {str(reducer) for reducer in Reducer} == {
        "replace", "append", "add", "min", "max", "union", "merge", "and", "or", "concat"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reducer", "base", "incoming", "result"),
    [
        ("replace", 1, "x", "x"),
        ("replace", [1], None, None),
        ("append", [1], [], [1]),
        ("append", None, [[1]], [[1]]),
        ("append", [], {"a": 1}, [{"a": 1}]),
        ("append", [1], False, [1, False]),
        ("union", [], [[1, 2], [1.0, 2], [2, 1]], [[1, 2], [2, 1]]),
        ("union", [{"a": {"b": 1}}], {"a": {"b": 1.0}}, [{"a": {"b": 1}}]),
        ("union", [None], [None, 0, False, ""], [None, 0, False, ""]),
        ("union", [[True]], [[1]], [[True], [1]]),
        ("union", ["[", []], [["["], "["], ["[", [], ["["]]),
        ("add", 10**30, 1, 10**30 + 1),
        ("add", 9007199254740993, 1, 9007199254740994),
        ("add", 0.1, 0.2, 0.1 + 0.2),
        ("add", 5.5, 1, 6.5),
        ("min", 3, 3.5, 3),
        ("max", 2**53 + 1, float(2**53), 2**53 + 1),
        ("and", None, True, True),
        ("or", None, False, False),
        ("concat", "", "x", "x"),
        ("merge", None, {"a": None}, {"a": None}),
        ("merge", {"a": 1}, {"a": None}, {"a": None}),
    ],
)
def test_results(reducer: str, base: Any, incoming: Any, result: Any) -> None:
    before = repr((base, incoming))
    got = Reducer(reducer).reduce(base, incoming)
    assert repr(got) == repr(result)
    assert repr((base, incoming)) == before


@pytest.mark.parametrize(("reducer", "base", "incoming"), [("min", 1, 1.0), ("max", 1.0, 1), ("min", -0.0, 0)])
def test_equal_operands_keep_the_base(reducer: str, base: float, incoming: float) -> None:
    assert repr(Reducer(reducer).reduce(base, incoming)) == repr(base)


@pytest.mark.parametrize(
    ("reducer", "base", "incoming"),
    [
        ("append", {"a": 1}, 1),
        ("append", 5, [1]),
        ("union", "s", "s"),
        ("add", 1, "2"),
        ("add", True, 1),
        ("add", 1, True),
        ("add", [], 1),
        ("min", "a", "b"),
        ("max", None, "2"),
        ("and", 1, True),
        ("or", None, 0),
        ("concat", "a", 1),
        ("concat", ["a"], "b"),
        ("merge", {}, 1),
        ("merge", {}, [1]),
        ("merge", [], {}),
        *((reducer, None, None) for reducer in COMBINING),
    ],
)
def test_other_types_are_refused_with_the_name_of_the_reducer(reducer: str, base: Any, incoming: Any) -> None:
    with pytest.raises(ReducerError, match=f"reducer '{reducer}'"):
        Reducer(reducer).reduce(base, incoming)


def test_the_message_names_both_types() -> None:
    with pytest.raises(ReducerError, match="the incoming value must be a number or a duration, not a string"):
        Reducer.ADD.reduce(1, "2")


@pytest.mark.parametrize(("base", "incoming"), [(1e308, 1e308), (1e308, 10**400), (10**400, 0.5)])
def test_a_sum_too_large_for_a_double_is_refused(base: float, incoming: float) -> None:
    with pytest.raises(ReducerError, match="too large"):
        Reducer.ADD.reduce(base, incoming)


def test_results_share_no_container_with_the_arguments() -> None:
    base, incoming = [1], [2]
    result = Reducer.APPEND.reduce(base, incoming)
    result.append(3)
    assert (base, incoming) == ([1], [2])
    members = {"a": 1}
    merged = Reducer.MERGE.reduce(members, {"b": 2})
    merged["c"] = 3
    assert members == {"a": 1}


def test_union_takes_deep_elements() -> None:
    def deep() -> Any:
        value: Any = {"a": 1}
        for _ in range(240):
            value = {"a": [value]}
        return value

    assert len(Reducer.UNION.reduce([deep()], [deep()])) == 1


def _equal(one: Any, other: Any) -> bool:
    """Deep, typed equality, written down the slow way."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other) and (type(one) is type(other) or {type(one), type(other)} == {int, float})


SMALL: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, True, False, 0, 0.0, 1, 1.0, "", "1", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b", "1"]), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=400)
@given(SMALL, SMALL)
def test_identity_is_deep_typed_equality(one: Any, other: Any) -> None:
    assert (identity(one) == identity(other)) is _equal(one, other)


@given(JSON_VALUES)
def test_identity_can_be_hashed_and_does_not_depend_on_the_order_of_members(value: Any) -> None:
    def turned(item: Any) -> Any:
        if isinstance(item, dict):
            return {name: turned(item[name]) for name in reversed(item)}
        return [turned(element) for element in item] if isinstance(item, list) else item

    assert hash(identity(value)) == hash(identity(turned(value)))
    assert identity(value) == identity(turned(value))


def _tagged(value: Any) -> Any:
    return to_json(value)


@pytest.mark.parametrize(
    ("reducer", "base", "incoming", "result"),
    [
        (Reducer.ADD, Decimal("1.10"), Decimal("2.20"), Decimal("3.30")),
        (Reducer.ADD, 1, Decimal("0." + "1" * 40), Decimal("1." + "1" * 40)),
        (Reducer.ADD, timedelta(minutes=1), timedelta(seconds=1), timedelta(seconds=61)),
        (Reducer.ADD, pd.Timedelta(1), timedelta(seconds=1), pd.Timedelta("1s") + pd.Timedelta(1)),
        (Reducer.ADD, 1.5, math.inf, math.inf),
        (Reducer.ADD, IntEnum("Grade", "A B")(2), 3, 5),
        (Reducer.MIN, date(2026, 1, 2), date(2026, 1, 1), date(2026, 1, 1)),
        (Reducer.MAX, date(2026, 1, 2), datetime(2026, 1, 2, 1, tzinfo=UTC), datetime(2026, 1, 2, 1, tzinfo=UTC)),
        (Reducer.MAX, Decimal("3.1"), 3.2, 3.2),
        (Reducer.MIN, 3.1, Decimal("3.10"), 3.1),
        (Reducer.MAX, timedelta(1), timedelta(2), timedelta(2)),
        (Reducer.UNION, {1, 2}, {2, 3}, {1, 2, 3}),
        (Reducer.UNION, None, {2}, [2]),
        (
            Reducer.UNION,
            [Decimal("1.0"), date(2026, 1, 1)],
            [1, Decimal("1.00"), date(2026, 1, 1)],
            [Decimal("1.0"), date(2026, 1, 1)],
        ),
        (Reducer.APPEND, (1,), [date(2026, 1, 1)], [1, date(2026, 1, 1)]),
        (Reducer.APPEND, [], (1, 2), [(1, 2)]),
        (Reducer.MERGE, {"a": 1}, {"$dwarf": "mine", "v": 2}, {"a": 1, "$dwarf": "mine", "v": 2}),
        (Reducer.CONCAT, "a", StrEnum("Word", {"B": "b"})("b"), "ab"),
        (Reducer.AND, True, np.bool_(False), False),
        (Reducer.OR, np.bool_(False), True, True),
    ],
)
def test_reducers_look_behind_tags(reducer: Reducer, base: Any, incoming: Any, result: Any) -> None:
    folded = reducer.reduce(_tagged(base), _tagged(incoming))
    assert folded == _tagged(result)
    assert from_json(folded) == result


@pytest.mark.parametrize(
    ("reducer", "base", "incoming", "result"),
    [
        (Reducer.UNION, None, {1}, [1]),
        (Reducer.UNION, {1, 2}, {2, 3}, {1, 2, 3}),
        (Reducer.ADD, np.float64(1.5), 1, 2.5),
        (Reducer.ADD, Decimal(1), 1, Decimal(2)),
        (Reducer.MAX, date(2024, 1, 1), date(2025, 1, 1), date(2025, 1, 1)),
        (Reducer.APPEND, [date(2024, 1, 1)], (1,), [date(2024, 1, 1), (1,)]),
    ],
)
def test_python_values_are_reduced_as_they_are_kept(reducer: Reducer, base: Any, incoming: Any, result: Any) -> None:
    reduced = reducer.reduce(base, incoming)
    assert (reduced, type(reduced)) == (result, type(result))


def test_the_sum_with_nan_is_nan() -> None:
    assert math.isnan(from_json(Reducer.ADD.reduce(1, to_json(math.nan))))
    united = Reducer.UNION.reduce([to_json(math.nan)], [to_json(math.nan)])
    assert len(united) == 1


@pytest.mark.parametrize(
    ("reducer", "base", "incoming"),
    [
        (Reducer.ADD, Decimal("1.1"), 1.1),
        (Reducer.ADD, 1, timedelta(1)),
        (Reducer.ADD, date(2026, 1, 1), date(2026, 1, 1)),
        (Reducer.MIN, datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)),
        (Reducer.MIN, date(2026, 1, 1), 3),
        (Reducer.MERGE, {}, date(2026, 1, 1)),
        (Reducer.ADD, 10**4300 - 1, 1),
    ],
)
def test_what_does_not_go_together_is_said(reducer: Reducer, base: Any, incoming: Any) -> None:
    with pytest.raises(ReducerError, match=f"reducer '{reducer}'"):
        reducer.reduce(_tagged(base), _tagged(incoming))
