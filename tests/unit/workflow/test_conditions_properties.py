"""Properties of the condition language: what is written is what is meant, and nothing but ConditionError comes out."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dwarf.errors import ConditionError
from dwarf.workflow.conditions import parse
from dwarf.workflow.conditions.syntax import (
    And,
    Compare,
    Comparison,
    Constant,
    Expression,
    Group,
    Not,
    Operand,
    Or,
    Symbol,
    Text,
    Truth,
)
from tests.unit.workflow.test_jsontext import JSON_VALUES

NAMES = ["a", "b", "roles", "o.x", "o.y.z", "roles.admin", "roles.7", "missing", "o.missing", "B_1", "0"]
LITERALS = [0, 1, -5, 2.5, 1e21, -0.0, 10**20]


def symbols() -> st.SearchStrategy[Symbol]:
    names = st.sampled_from(NAMES).map(lambda name: Symbol(name, 0 if name == "0" else None))
    numbers = st.sampled_from(LITERALS).map(lambda number: Symbol(repr(number), number))
    bools = st.sampled_from([("true", True), ("F", False)]).map(lambda pair: Symbol(*pair))
    return names | numbers | bools


# Without quotes inside: a quote before what looks like an operator ends its string, which test_conditions.py covers.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="'\"`"), max_size=6)
SPECIAL = st.sampled_from(["||", "a && b", "x==y", "((", ")", "!", "<", "", " ", "it is", "bar", "7"])
STRINGS = (TEXTS | SPECIAL).map(Text)


def operands(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Operand]:
    return STRINGS | symbols() | inner.map(Group)


def truth(operand: Operand) -> Expression:
    """As the parser builds it: a bare word true or false is a constant, parentheses vanish."""
    if isinstance(operand, Symbol) and operand.name == "true":
        return Constant(True)
    return operand.expression if isinstance(operand, Group) else Truth(operand)


def extend(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    operators = st.sampled_from(["==", "!=", "<", ">", "<=", ">="]).map(lambda text: cast("Comparison", text))
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return (
        operands(inner).map(truth)
        | st.builds(Compare, operators, operands(inner), operands(inner))
        | inner.map(Not)
        | several.map(And)
        | several.map(Or)
    )


EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(operands(st.nothing()).map(truth), extend, max_leaves=12)

STATES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "a": JSON_VALUES,
        "b": st.sampled_from([0, 1, "bar", True, 2.5, ""]),
        "roles": st.lists(st.sampled_from(["admin", 7, True, None, 2.5]), max_size=3),
        "o": st.fixed_dictionaries({}, optional={"x": JSON_VALUES, "y": st.just({"z": 1})}),
        "B_1": st.booleans(),
        "0": st.just("zero"),
    },
)


# ---------------------------------------------------------------- the text of a tree
def written(node: Expression, draw: Any) -> str:
    if isinstance(node, Constant):
        return draw(st.sampled_from(["true", "TRUE", "tRue"])) if node.value else "false"
    if isinstance(node, Truth):
        return operand_text(node.operand, draw)
    if isinstance(node, Compare):
        space = draw(st.sampled_from(["", " ", "\t\n"]))
        return f"{operand_text(node.left, draw)}{space}{node.operator}{space}{operand_text(node.right, draw)}"
    if isinstance(node, Not):
        inner = written(node.operand, draw)
        return "!" + (inner if isinstance(node.operand, (Constant, Truth)) else f"({inner})")
    if isinstance(node, And):
        parts = [written(part, draw) for part in node.parts]
        pairs = zip(node.parts, parts, strict=True)
        return "&&".join(f"({text})" if isinstance(part, Or) else text for part, text in pairs)
    return draw(st.sampled_from([" || ", "||"])).join(written(part, draw) for part in node.parts)


def operand_text(operand: Operand, draw: Any) -> str:
    if isinstance(operand, Text):
        quote = draw(st.sampled_from("'\"`"))
        return f"{quote}{operand.value}{quote}"
    if isinstance(operand, Symbol):
        return operand.name
    return f"({written(operand.expression, draw)})"


# ---------------------------------------------------------------- the meaning of a tree, straight from the rules
def flattened(state: dict[str, Any]) -> dict[str, Any]:
    """Every name that the state defines, with its value."""
    found: dict[str, Any] = {}

    def add(name: str, value: Any) -> None:
        found.setdefault(name, value)
        if isinstance(value, dict):
            for member, item in value.items():
                add(f"{name}.{member}", item)
        elif isinstance(value, list):
            for item in value:
                if not isinstance(item, (dict, list)) and item is not None:
                    found.setdefault(f"{name}.{str(item).lower() if isinstance(item, bool) else item}", True)

    for name, value in state.items():
        if value is not None:
            add(name, value)
    return found


def value_of(operand: Operand, names: dict[str, Any]) -> Any:
    if isinstance(operand, Text):
        return operand.value
    if isinstance(operand, Symbol):
        return names.get(operand.name, operand.literal)
    return meaning(operand.expression, names)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def compare(operator: str, one: Any, other: Any) -> bool:
    alike = (is_number(one) and is_number(other)) or type(one) is type(other)
    equal = alike and not isinstance(one, (dict, list)) and one == other
    ordered = alike and (is_number(one) or isinstance(one, str))
    if operator in ("==", "!="):
        return equal is (operator == "==")
    if operator.startswith("<"):
        return (ordered and one < other) or (operator == "<=" and equal)
    return (ordered and one > other) or (operator == ">=" and equal)


def meaning(node: Expression, names: dict[str, Any]) -> bool:
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Truth):
        value = value_of(node.operand, names)
        return isinstance(value, (dict, list)) or value not in (None, False, 0, "")
    if isinstance(node, Compare):
        return compare(node.operator, value_of(node.left, names), value_of(node.right, names))
    if isinstance(node, Not):
        return not meaning(node.operand, names)
    values = [meaning(part, names) for part in node.parts]
    return all(values) if isinstance(node, And) else any(values)


@settings(max_examples=500)
@given(st.data(), EXPRESSIONS, STATES)
def test_what_is_written_is_what_is_meant(data: st.DataObject, node: Expression, state: dict[str, Any]) -> None:
    text = written(node, data.draw)
    assert parse(text).evaluate(state) is meaning(node, flattened(state))


OPERATORS = ["||", "&&", "!", "==", "!=", "<=", ">=", "=~", "!~", "<", ">", "(", ")", "=", "&", "|", "~"]
WORDS = ["a", "b.c", "roles.7", "1", "2.5", "-", "+", ".", "e", "0x", "p", "_", "inf", "nan", "true", "T", "[", "\\"]
OTHERS = ["'", '"', "`", "'x'", " ", "\n", "*", "é", "\ud800", "\x00"]
FRAGMENTS = st.sampled_from([*OPERATORS, *WORDS, *OTHERS])


@settings(max_examples=1000)
@given(st.lists(FRAGMENTS, max_size=12).map("".join) | st.text(max_size=20), STATES)
@example("a=~''(''", {"a": "x"})
@example("\u00a0", {})
def test_any_text_is_read_or_refused(text: str, state: dict[str, Any]) -> None:
    try:
        condition = parse(text)
        assert isinstance(condition.evaluate(state), bool)
    except ConditionError as error:
        str(error).encode()
        position = -1 if error.position is None else error.position
        if not 0 <= position <= len(text):
            raise
