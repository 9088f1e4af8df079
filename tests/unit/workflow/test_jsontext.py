"""JSON text: exact integers, and nothing that other readers of JSON would refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwarf.errors import StateError
from dwarf.workflow.jsontext import dumps, loads

JSON_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | JSON_TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(JSON_TEXT, inner, max_size=5),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_round_trip_keeps_value_and_types(value: Any) -> None:
    text = dumps(value)
    assert repr(loads(text)) == repr(value)
    assert repr(loads(text.encode())) == repr(value)
    assert repr(json.loads(text)) == repr(value)


@pytest.mark.parametrize(
    "number",
    [0, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**19, -(2**63), -(2**63) - 1, -(10**19), 10**40, -(10**40)],
)
@pytest.mark.parametrize("wrap", [lambda n: n, lambda n: [n], lambda n: {"n": [n, 1.5, str(n)]}])
def test_integers_of_any_size_are_exact(number: int, wrap: Any) -> None:
    assert repr(loads(dumps(wrap(number)))) == repr(wrap(number))


def test_integers_beyond_the_digits_that_python_converts_are_exact() -> None:
    number = 7**12000  # more than 10,000 digits
    assert loads(dumps({"n": number, "m": -number})) == {"n": number, "m": -number}


def test_long_runs_of_digits_that_are_no_integers_are_read_as_they_are() -> None:
    value = ["12345678901234567890123", 0.12345678901234567, 1.2345678901234567e-300, "-9999999999999999999"]
    assert loads(dumps(value)) == value
    assert loads("[0.00012345678901234567, 123456789012345678901.0]") == [
        0.00012345678901234567,
        123456789012345678901.0,
    ]


def test_the_text_is_compact_and_keeps_the_order_of_members() -> None:
    assert dumps({"b": [1, 2.5, None, True], "a": "\x00é\n"}) == '{"b":[1,2.5,null,true],"a":"\\u0000é\\n"}'
    assert dumps({"b": {"c": 2**70}, "a": [False, None, 1.5, "é\x00"], "e": [], "o": {}}) == (
        '{"b":{"c":1180591620717411303424},"a":[false,null,1.5,"é\\u0000"],"e":[],"o":{}}'
    )


def test_deep_values_pass_where_the_fast_library_gives_up() -> None:
    value: Any = "core"
    for _ in range(600):
        value = [value]
    assert loads(dumps(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        [1, {"x": -float("inf")}],
        {"null": [None, float("nan")]},
        [2**70, float("nan")],
        "\ud800",
        {"\udfff": 1},
        [2**70, "\ud800"],
        {1: 2},
        [2**70, {None: 1}],
        object(),
        [2**70, {1, 2}],
    ],
)
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(StateError):
        dumps(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(StateError, match="contains itself"):
        dumps(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "[1,]",
        "NaN",
        "[Infinity]",
        "1e400",
        '"\\ud800"',
        "[1] 2",
        "'a'",
        b"\xff",
        "\ud800",
        "[99999999999999999999, NaN]",
        "[99999999999999999999, 1e400]",
        '[99999999999999999999, "\\ud800"]',
        "[99999999999999999999",
        b'[99999999999999999999, "\xff"]',
    ],
)
def test_what_is_not_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(StateError, match=r"JSON"):
        loads(text)


@pytest.mark.parametrize("core", ["1", "99999999999999999999"])
def test_a_text_nested_without_end_is_refused(core: str) -> None:
    with pytest.raises(StateError):
        loads("[" * 100_000 + core + "]" * 100_000)
