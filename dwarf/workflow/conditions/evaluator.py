"""From the syntax tree to a function: each node becomes a closure, so that evaluation walks no tree."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Final

from dwarf.workflow.conditions.lexer import fault
from dwarf.workflow.conditions.patterns import BadPattern, compile_pattern
from dwarf.workflow.conditions.symbols import State, compile_symbol
from dwarf.workflow.conditions.syntax import Compare, Constant, Expression, Not, Operand, Or, Symbol, Text, Truth
from dwarf.workflow.jsontext import JSON
from dwarf.workflow.values.meaning import Moment, Span, TimeOfDay, behind, equal, kind_name, order

__all__ = ["Test", "compile_expression"]

Notes = list[str] | None
Test = Callable[[State, Notes], bool]
Reader = Callable[[State], JSON]


def compile_expression(expression: Expression, text: str) -> Test:
    """A function from a state to the truth of the expression. ConditionError for a literal pattern that is none."""
    if isinstance(expression, Compare):
        return _compile_comparison(expression, text)
    if isinstance(expression, Truth):
        read = _compile_operand(expression.operand, text)
        return lambda state, _notes: _is_true(read(state))
    if isinstance(expression, Constant):
        value = expression.value
        return lambda _state, _notes: value
    if isinstance(expression, Not):
        inner = compile_expression(expression.operand, text)
        return lambda state, notes: not inner(state, notes)
    tests = [compile_expression(part, text) for part in expression.parts]
    return _any_of(tests) if isinstance(expression, Or) else _all_of(tests)


def _all_of(tests: list[Test]) -> Test:
    def run(state: State, notes: Notes) -> bool:
        for test in tests:  # noqa: SIM110  a generator would cost a frame, and nesting is bounded by frames
            if not test(state, notes):
                return False
        return True

    return run


def _any_of(tests: list[Test]) -> Test:
    def run(state: State, notes: Notes) -> bool:
        for test in tests:  # noqa: SIM110  as above
            if test(state, notes):
                return True
        return False

    return run


def _compile_operand(operand: Operand, text: str) -> Reader:
    if isinstance(operand, Symbol):
        return compile_symbol(operand)
    if isinstance(operand, Text):
        value = operand.value
        return lambda _state: value
    test = compile_expression(operand.expression, text)
    return lambda state: test(state, None)


def _compile_comparison(node: Compare, text: str) -> Test:
    left, right = _compile_operand(node.left, text), _compile_operand(node.right, text)
    if node.operator in ("=~", "!~"):
        return _compile_match(node, left, right, text)
    if node.operator == "==":
        return lambda state, _notes: _equal(left(state), right(state))
    if node.operator == "!=":
        return lambda state, _notes: not _equal(left(state), right(state))
    wanted = _ORDERS[node.operator]
    plain = _PLAIN[node.operator]

    def run(state: State, notes: Notes) -> bool:
        one, other = left(state), right(state)
        kind, other_kind = type(one), type(other)
        if (kind is str and other_kind is str) or (kind in _NUMBERS and other_kind in _NUMBERS):
            return plain(one, other)
        if one is None or other is None:
            return 0 in wanted and one is other
        found = order(one, other)
        if found is None:
            # equal things that have no order are neither less nor greater, and a bool equals a bool
            if notes is not None:
                notes.append(_unordered(node, text, one, other))
            return 0 in wanted and _equal(one, other)
        return found in wanted

    return run


def _unordered(node: Compare, text: str, one: JSON, other: JSON) -> str:
    sides = f"{_shown(node.left)} is {kind_name(one)}, and {_shown(node.right)} {kind_name(other)}"
    return f"the condition {text!r}: {sides}, which have no order, so that '{node.operator}' between them is false"


def _shown(operand: Operand) -> str:
    if isinstance(operand, Symbol):
        return operand.name
    return repr(operand.value) if isinstance(operand, Text) else "(...)"


def _compile_match(node: Compare, left: Reader, right: Reader, text: str) -> Test:
    wanted = node.operator == "=~"

    def found(subject: str, pattern: str) -> bool:
        try:
            return compile_pattern(pattern)(subject)
        except BadPattern as error:
            raise fault(text, node.right.position, f"invalid regular expression {pattern!r}: {error}") from None
        except UnicodeEncodeError:
            return False  # a lone surrogate, which no pattern can match

    if isinstance(node.right, Text):
        found("", node.right.value)  # a literal pattern is checked now, not when it is needed

    def run(state: State, _notes: Notes) -> bool:
        subject, pattern = _as_text(left(state)), _as_text(right(state))
        if not isinstance(subject, str) or not isinstance(pattern, str):
            return False
        return found(subject, pattern) is wanted

    return run


_ORDERS: Final = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (1, 0)}
_PLAIN: Final[dict[str, Callable[[JSON, JSON], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBERS: Final = frozenset({int, float})


def _is_true(value: JSON) -> bool:
    """Null, false, 0 and "" are not; everything else is, an empty array or object included."""
    if type(value) is dict:
        value = behind(value)
        if isinstance(value, Span):
            return value.ns != 0
    return bool(value) or isinstance(value, (dict, list))


def _as_text(value: JSON) -> JSON:
    """What a pattern is looked for in: a text, also one behind a tag, and the ISO text of a date or a time."""
    if type(value) is not dict:
        return value
    meant = behind(value)
    return value.get("v") if isinstance(meant, (Moment, TimeOfDay)) else meant


def _equal(one: JSON, other: JSON) -> bool:
    """Equal and of the same type; whole numbers exactly. Arrays and objects equal nothing, not even themselves."""
    kind, other_kind = type(one), type(other)
    if kind is dict or other_kind is dict:
        return equal(one, other)
    if kind is list:
        return False
    if kind is other_kind:
        return bool(one == other)
    return kind in _NUMBERS and other_kind in _NUMBERS and bool(one == other)
