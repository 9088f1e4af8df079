"""The language of conditions, by example: what may be written."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf.errors import ConditionError
from dwarf.workflow.conditions import MAX_NESTING, parse

STATE: dict[str, Any] = {
    "foo": "bar",
    "num": 5,
    "level": 5,
    "nil": None,
    "roles": ["admin", "manager", 100],
    "nested": {"a": 1, "b": "one"},
    "copyright": "(c)",
}


def holds(text: str, state: dict[str, Any] | None = None) -> bool:
    return parse(text).evaluate(STATE if state is None else state)


@pytest.mark.parametrize(
    "text",
    [
        "(TRUE)",
        "!! !false",
        '"x"',
        "1.0",
        '!""',
        "!nil",
        "nothing==nil",
        "foo!=bar",
        "foo=='bar'",
        "copyright=='(c)'",
        "!foo.nothing",
        "num==5.0",
        "num==level",
        "foo>'bam'",
        "foo=~'(bar|not)'",
        "foo!~'....'",
        "roles.guest || foo=~'b'",
        "roles.100",
        "nested.a==1",
        "nested.b==`one`",
        "!nested.c",
        "foo != 5",
    ],
)
def test_the_true_examples_of_the_language(text: str) -> None:
    assert holds(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "foo==bar",
        "foo.nothing",
        "num<5.0",
        "roles.20",
        "roles.admin && foo=~'x'",
        "\"x\" == ' x'",
        "false || false && true",
    ],
)
def test_the_false_examples_of_the_language(text: str) -> None:
    assert holds(text) is False


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        (" \t\n", 0),
        ("!", 1),
        ("(", 1),
        (")", 0),
        ("(true))", 6),
        (")(", 0),
        ("a)(b", 1),
        ("a && )(", 5),
        ("aa++bb || false", 0),
        ("a & b", 2),
        ("a | b", 2),
        ("a || b.", 5),
        ("a..b", 0),
        ("valid ==", 8),
        ("== ==", 0),
        ("a > > b", 4),
        ("a = 5", 2),
        ("a === 5", 4),
        ("a => 5", 2),
        ("a <> 5", 3),
        ("n < 10 < 20", 7),
        ("x == 'abc", 5),
        ("x == 'abc\"", 5),
        ("f(x)", 1),
        ("()", 1),
        ("(a", 0),
        ("(a b)", 3),
        ("(a)(b)", 3),
        ("a 'b'", 2),
        ("'a' b", 4),
        ("q == 'it's'", 10),
        ("s == 'a'.", 8),
        ("s == 'a'x == 'b'", 8),
        ("(s=~'^a'||q=~'[a-c]+'.&&o.s!~'[a-c]+'&&!('(c)'>q&&!!f))", 21),
        ("!a == b", 3),
        ("!(a) == b", 5),
        ("a == !b", 5),
        ("a && || b", 5),
        ("a ||", 4),
        ("-a", 0),
        ("1e+999", 0),
        ("0x1p+9999", 0),
        ("a-b", 0),
        ("straße", 4),
        ("a,b", 1),
        ("$dwarf", 0),
        ("true || a b c", 10),
        ("a && b =~ '('", 10),
        (r"a =~ '(?=x)'", 5),
        (r"a !~ '(x)\1'", 5),
        ("a =~ '\ud800'", 5),
    ],
)
def test_malformed_conditions_say_where_they_are_wrong(text: str, position: int) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text)
    assert caught.value.position == position
    assert caught.value.expression == text
    str(caught.value).encode()


def test_the_message_points_at_the_place() -> None:
    with pytest.raises(ConditionError) as caught:
        parse("amount > 100 & paid")
    assert str(caught.value) == (
        "unexpected '&'; did you mean '&&'? (position 13)\n  amount > 100 & paid\n               ^"
    )


def test_a_long_condition_is_shown_around_the_place() -> None:
    with pytest.raises(ConditionError) as caught:
        parse("x" * 200 + "\n= " + "y" * 200)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert lines[1][lines[2].index("^")] == "="
    assert max(map(len, lines)) < 140


def test_only_text_is_a_condition() -> None:
    with pytest.raises(ConditionError, match="must be a string, not bool"):
        parse(True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a || b && c", "a || (b && c)"),
        ("a && b || c", "(a && b) || c"),
        ("!a && b", "(!a) && b"),
        ("a == b && c", "(a == b) && c"),
        ("a || b == c", "a || (b == c)"),
    ],
)
def test_precedence(text: str, value: str) -> None:
    for bits in range(8):
        state = {"a": bool(bits & 1), "b": bool(bits & 2), "c": bool(bits & 4)}
        assert holds(text, state) is holds(value, state)


@pytest.mark.parametrize(
    "text",
    [
        "s == 'a||b' || never",
        "s == 'a||b' && true",
        "'a||b' == s",
        "('a||b' == s)",
        "t == 'x==y'",
        "t =~ 'x==y'",
        't <= "x==y"',
        "p == '(('",
        'q == "it\'s"',
        "q == `it's`",
        "n == '!a && b'",
        "'' == empty",
        '``==""',
        r"path == 'c:\'",
        "  s  ==  'a||b'  ",
        "\u00a0s\n==\t'a||b'\u2003",
    ],
)
def test_quoted_text_is_never_scanned(text: str) -> None:
    state = {
        "s": "a||b", "t": "x==y", "p": "((", "q": "it's", "n": "!a && b", "empty": "", "quote": "'", "odd": "a' b",
        "path": "c:\\"
    }  # fmt: skip
    assert holds(text, state) is True


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5),
        ("+5", 5),
        ("-5", -5),
        ("5.", 5),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1e3", 1000),
        ("1E-2", 0.01),
        ("1_000", 1000),
        ("1_0.2_5", 10.25),
        ("0x1p4", 16),
        ("-0X.8P1", -1),
        ("0x1.8p-1", 0.75),
        ("9007199254740993", 9007199254740993),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("inf", float("inf")),
        ("-Infinity", float("-inf")),
        ("007", 7),
    ],
)
def test_numbers(text: str, number: float) -> None:
    assert holds(f"n == {text}", {"n": number}) is True
    assert holds(f"n != {text}", {"n": number}) is False
    assert holds(f"{text} < n", {"n": float("inf")}) is (number != float("inf"))


def test_large_integers_compare_exactly() -> None:
    assert holds("n == 9007199254740993", {"n": 9007199254740992}) is False
    assert holds("n < 9007199254740993", {"n": 9007199254740992}) is True
    assert holds("a == b", {"a": 2**70, "b": 2**70 + 1}) is False
    assert holds(f"n == 1{'0' * 6000}", {"n": 10**6000}) is True
    assert holds(f"xs.1{'0' * 6000}", {"xs": [10**6000]}) is True


@pytest.mark.parametrize("text", ["nan == nan", "nan < 1", "nan > 1", "nan <= nan", "!nan", "0x10", "1e999", "nil"])
def test_what_is_neither_equal_nor_true(text: str) -> None:
    assert holds(text, {}) is False


def test_nan_counts_as_true() -> None:
    assert holds("nan", {}) is True


@pytest.mark.parametrize("name", ["t", "f", "T", "inf", "nan", "100", "1e3", "1_0", "True", "0x1p4", "1.5", "+5", ".5"])
def test_a_field_comes_before_the_literal_of_the_same_spelling(name: str) -> None:
    assert holds(f"{name} == 'field'", {name: "field"}) is True
    assert holds(f"{name} == 'field'", {name: None}) is False
    assert holds(f"{name} == 'field'", {}) is False


@pytest.mark.parametrize("text", ["true", "TRUE", "tRuE", "(True)", "!fAlSe", "!!true"])
def test_a_bare_true_or_false_is_constant_whatever_the_fields_are_called(text: str) -> None:
    assert holds(text, {"true": False, "True": False, "TRUE": False, "tRuE": 0}) is True


def test_nesting_is_bounded_for_parentheses_only() -> None:
    for shape in ("({})", "!(x && {})", "({}) == true", "(x || !({}))"):
        text = "x"
        for _ in range(MAX_NESTING // shape.count("(")):
            text = shape.format(text)
        assert isinstance(holds(text, {"x": True}), bool)
    with pytest.raises(ConditionError, match="nested deeper than 200 levels") as caught:
        parse("(" * 201 + "x" + ")" * 201)
    assert caught.value.position == 201
    with pytest.raises(ConditionError, match="nested"):
        parse("(" * 100_000)
    assert holds("!" * 100_001 + "x", {"x": True}) is False
    assert holds(" && ".join(["x"] * 20_000), {"x": True}) is True
    assert holds(" || ".join(["y"] * 20_000), {"x": True}) is False


def test_conditions_are_read_once() -> None:
    assert parse("a == 1") is parse("a == 1")
    assert parse("a == 1") == parse("a == 1") != parse("a == 2")
    assert repr(parse("a == 1")) == "Condition(text='a == 1')"


def test_a_stored_condition_keeps_its_quotes() -> None:
    assert parse("q == 'it's'", stored=True).evaluate({"q": "it's"}) is True
    assert parse("q == 'a' && p", stored=True) is parse("q == 'a' && p")
    with pytest.raises(ConditionError):
        parse("q == 'it's", stored=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a and b", "'and' is written &&"),
        ("a > 1 AND b", "&&"),
        ("order['city'] == 1", "a key is written order.city"),
        ("a or b", "'or' is written ||"),
        ("not x", "'not' is written !"),
        ("a && not x", "'not' is written !"),
        ("x is None", "x == null"),
        ("x is not None", "x == null"),
        ("x is True", "x == true"),
        ("len(x) > 0", "return {'count': len(...)}"),
        ("max(a, b) > 3", "functions cannot be called"),
        ("name.startswith('a')", "=~ '^...'"),
        ("'a' in tags", "items.value"),
        ("x not in tags", "items.value"),
        ("name like 'a%'", "=~"),
        ("a if b", "no 'if'"),
        ("q == 'it's'", "is put in another kind of quotes"),
        ("q=='a'.", "an operator is missing"),
        ("a b", "&&"),
        ("a <> 1", "written x != y"),
        ("a between 1 and 2", "x >= 1 && x <= 2"),
        ("a + 1 > 2", "does not compute"),
        ("a % 2 == 0", "does not compute"),
        ("x = 5", "did you mean '=='?"),
        ("x == 'abc", "the closing ' is missing"),
        ("a ||", "a value is missing at the end"),
    ],
)
def test_what_is_meant_is_said(text: str, words: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text)
    assert words in str(caught.value)
