"""The language of conditions, by example: what names, comparisons and patterns mean."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from dwarf.errors import ConditionError
from dwarf.workflow.conditions import parse
from dwarf.workflow.values import to_json


def holds(text: str, state: dict[str, Any]) -> bool:
    return parse(text).evaluate(state)


@pytest.mark.parametrize("value", [True, 1, -1, 0.5, "x", "0", "false", [], {}, [0], {"a": None}])
def test_truth(value: Any) -> None:
    assert holds("v", {"v": value}) is True
    assert holds("!v", {"v": value}) is False
    assert holds("(v) == true", {"v": value}) is True


@pytest.mark.parametrize("state", [{}, {"v": None}, {"v": False}, {"v": 0}, {"v": 0.0}, {"v": -0.0}, {"v": ""}])
def test_falsehood(state: dict[str, Any]) -> None:
    assert holds("v", state) is False
    assert holds("!v", state) is True
    assert holds("v || v && true", state) is False


VALUES = [None, True, False, 0, 1, 1.5, "", "a", "b", [], [1], {}, {"a": 1}]


@pytest.mark.parametrize("left", VALUES, ids=repr)
@pytest.mark.parametrize("right", VALUES, ids=repr)
def test_comparisons_of_all_types(left: Any, right: Any) -> None:
    def kind(value: Any) -> str:
        return "number" if type(value) in (int, float) else type(value).__name__

    alike = kind(left) == kind(right)
    equal = alike and kind(left) not in ("list", "dict") and left == right
    less = alike and kind(left) in ("number", "str") and left < right
    more = alike and kind(left) in ("number", "str") and left > right
    state = {"l": left, "r": right}
    expected = {"==": equal, "!=": not equal, "<": less, ">": more, "<=": equal or less, ">=": equal or more}
    assert {operator: holds(f"l {operator} r", state) for operator in expected} == expected


def test_strings_are_ordered_by_code_points() -> None:
    assert holds("a < b", {"a": "Z", "b": "a"}) is True
    assert holds("a < b", {"a": "\uffff", "b": "\U00010000"}) is True
    assert holds("'10' < '9'", {}) is True


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("xs.admin", True),
        ("xs.true", True),
        ("xs.false", False),
        ("xs.7", True),
        ("xs.007", False),
        ("xs.7.0", False),
        ("xs.2.5", True),
        ("xs.2.50", False),
        ("xs.3", True),
        ("xs.1", False),
        ("xs.0", False),
        ("xs.1000000", True),
        ("xs.1e6", False),
        ("xs.123456789012345678901234567890", True),
        ("xs.0.0001", True),
        ("xs.1e_05", False),
        ("xs.a.b", True),
        ("xs.null", False),
        ("xs.None", False),
        ("xs.k", False),
        ("deep.xs.2.5", True),
        ("deep.xs.9", False),
        ("deep.o.a.b", True),
    ],
)
def test_membership(name: str, held: bool) -> None:
    xs: list[Any] = [
        "admin", True, 7, 2.5, 3.0, 1_000_000, 123456789012345678901234567890, 0.0001, "a.b", None, ["q"], {"k": 1}
    ]  # fmt: skip
    state = {"xs": xs, "deep": {"xs": xs, "o": {"a": {"b": 1}}}}
    assert holds(name, state) is held
    assert holds(f"{name} == true", state) is (held and name != "deep.o.a.b")


def test_zero_and_one_are_not_false_and_true() -> None:
    assert holds("xs.1 || xs.0", {"xs": [True, False]}) is False
    assert holds("xs.true || xs.false", {"xs": [0, 1]}) is False
    assert holds("xs.1 && xs.0", {"xs": [True, 1, False, 0.0]}) is True


def test_names_with_dots_take_the_longest_that_leads_somewhere() -> None:
    state: dict[str, Any] = {"a.b.c": 1, "a.b": {"c": 2, "d": {"e": 3}}, "a": {"b.c": 4, "b.d.e": 5, "b.x": 6}}
    assert holds("a.b.c == 1", state)
    assert holds("a.b.d.e == 3", state)
    assert holds("a.b.x == 6", state)
    del state["a.b.c"]
    assert holds("a.b.c == 2", state)
    del state["a.b"]
    assert holds("a.b.c == 4", state)
    assert holds("a.b.d.e == 5", state)
    assert holds("a.b.d == nil", state)
    assert holds("a.b.c.d == nil", state)
    assert holds("x.y.z == nil", state)


def test_a_null_inside_a_value_is_undefined() -> None:
    assert holds("a.b == nil", {"a": {"b": None}}) is True
    assert holds("a.b.c == nil", {"a": {"b": {"c": None}}}) is True


def test_a_number_with_a_point_may_be_a_path() -> None:
    assert holds("1.5 == 'x'", {"1": {"5": "x"}}) is True
    assert holds("1.5 == 1.5", {"1": 7}) is True


def test_tagged_values_can_still_be_seen_in_their_json_form() -> None:
    state = {"when": to_json(datetime(2024, 5, 1)), "tags": to_json({"x"}), "price": to_json(Decimal("1.5"))}
    assert holds('when.v > "2024" && tags.v.x && price.v == "1.5"', state) is True
    assert holds("tags.x", state) is True


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("s =~ '^b.r$'", True),
        ("s =~ 'a'", True),
        ("s !~ 'A'", True),
        ("s =~ '(?i)A'", True),
        ("line =~ 'a.b'", False),
        ("line =~ '(?s)a.b'", True),
        ("line =~ 'a$'", False),
        ("line =~ '(?m)a$'", True),
        ("ends =~ 'a$'", False),
        (r"umlaut =~ '^\w$'", False),
        (r"umlaut =~ '^\pL$'", True),
        ("s =~ pattern", True),
        ("s !~ pattern", False),
        ("n =~ '5'", False),
        ("n !~ '5'", False),
        ("s =~ n", False),
        ("s !~ n", False),
        ("s =~ 5", False),
        ("none =~ 'x'", False),
        ("none !~ 'x'", False),
        ("'abc' =~ 'b'", True),
        ("nul =~ 'b'", True),
        ("(s) =~ 'b'", False),
    ],
)
def test_patterns(text: str, value: bool) -> None:
    state = {
        "s": "bar", "n": 5, "line": "a\nb", "ends": "a\n", "umlaut": "ä", "pattern": "^b", "nul": "a\x00b"
    }  # fmt: skip
    assert holds(text, state) is value


@pytest.mark.parametrize("operator", ["=~", "!~"])
def test_a_bad_pattern_from_a_field_fails_only_for_a_string(operator: str, capfd: pytest.CaptureFixture[str]) -> None:
    condition = parse(f"s {operator} p")
    assert condition.evaluate({"p": "("}) is False
    assert condition.evaluate({"p": "(", "s": 5}) is False
    with pytest.raises(ConditionError, match="invalid regular expression") as caught:
        condition.evaluate({"p": "(", "s": "x"})
    assert caught.value.position == 5
    assert capfd.readouterr() == ("", "")


def test_patterns_take_linear_time() -> None:
    state = {"s": "a" * 20_000, "p": "(a*)*b"}
    assert holds("s =~ p", state) is False
    assert holds("s =~ '(a|a)*c'", state) is False


def test_short_circuit() -> None:
    state = {"s": "x", "p": "("}
    assert holds("true || s =~ p", state) is True
    assert holds("false && s =~ p", state) is False
    with pytest.raises(ConditionError):
        holds("false || s =~ p", state)


def test_long_names_end() -> None:
    deep: Any = {"a": 1}
    for _ in range(300):
        deep = {"a": deep, "b": [1]}
    assert holds(".".join(["a"] * 301), deep) is True
    assert holds(".".join(["a"] * 302), deep) is False
    assert holds(".".join(["a"] * 300 + ["b", "1"]), {"a": deep}) is True
    assert holds(".".join(["x"] * 5_000), {"x": {"x": []}}) is False


def test_only_what_is_asked_for_is_looked_at() -> None:
    asked: list[str] = []

    class Watched(dict[str, Any]):
        def get(self, name: str, default: Any = None) -> Any:
            asked.append(name)
            return super().get(name, default)

        def __iter__(self) -> Any:
            raise AssertionError("the state must not be flattened")

        keys = values = items = __iter__

    state = Watched(small=1, big=list(range(10_000)), other={"a": 1})
    assert parse("small == 1 || big.5").evaluate(state) is True
    assert asked == ["small", "1"]  # a field may be called 1
    assert parse("big.9999").evaluate(state) is True
