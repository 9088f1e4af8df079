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

__all__ = ["Test", "compile_expression"]

Test = Callable[[State], bool]
Reader = Callable[[State], JSON]


def compile_expression(expression: Expression, text: str) -> Test:
    """A function from a state to the truth of the expression. ConditionError for a literal pattern that is none."""
    if isinstance(expression, Compare):
        return _compile_comparison(expression, text)
    if isinstance(expression, Truth):
        read = _compile_operand(expression.operand, text)
        return lambda state: _is_true(read(state))
    if isinstance(expression, Constant):
        value = expression.value
        return lambda _state: value
    if isinstance(expression, Not):
        inner = compile_expression(expression.operand, text)
        return lambda state: not inner(state)
    tests = [compile_expression(part, text) for part in expression.parts]
    return _any_of(tests) if isinstance(expression, Or) else _all_of(tests)


def _all_of(tests: list[Test]) -> Test:
    def run(state: State) -> bool:
        for test in tests:  # noqa: SIM110  a generator would cost a frame, and nesting is bounded by frames
            if not test(state):
                return False
        return True

    return run


def _any_of(tests: list[Test]) -> Test:
    def run(state: State) -> bool:
        for test in tests:  # noqa: SIM110  as above
            if test(state):
                return True
        return False

    return run


def _compile_operand(operand: Operand, text: str) -> Reader:
    if isinstance(operand, Symbol):
        return compile_symbol(operand)
    if isinstance(operand, Text):
        value = operand.value
        return lambda _state: value
    return compile_expression(operand.expression, text)


def _compile_comparison(node: Compare, text: str) -> Test:
    left, right = _compile_operand(node.left, text), _compile_operand(node.right, text)
    if node.operator in ("=~", "!~"):
        return _compile_match(node, left, right, text)
    if node.operator == "==":
        return lambda state: _equal(left(state), right(state))
    if node.operator == "!=":
        return lambda state: not _equal(left(state), right(state))
    order = _ORDERS[node.operator]
    if node.operator in ("<", ">"):
        return lambda state: _ordered(left(state), right(state), order)

    def run(state: State) -> bool:
        one, other = left(state), right(state)
        return _equal(one, other) or _ordered(one, other, order)

    return run


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

    def run(state: State) -> bool:
        subject, pattern = left(state), right(state)
        if not isinstance(subject, str) or not isinstance(pattern, str):
            return False
        return found(subject, pattern) is wanted

    return run


_ORDERS: Final[dict[str, Callable[[JSON, JSON], bool]]] = {
    "<": operator.lt,
    "<=": operator.lt,
    ">": operator.gt,
    ">=": operator.gt,
}
_NUMBERS: Final = frozenset({int, float})


def _is_true(value: JSON) -> bool:
    """Null, false, 0 and "" are not; everything else is, an empty array or object included."""
    return bool(value) or isinstance(value, (dict, list))


def _equal(one: JSON, other: JSON) -> bool:
    """Equal and of the same JSON type; whole numbers exactly. Arrays and objects equal nothing, not even themselves."""
    kind, other_kind = type(one), type(other)
    if kind is dict or kind is list:
        return False
    if kind is other_kind:
        return bool(one == other)
    return kind in _NUMBERS and other_kind in _NUMBERS and bool(one == other)


def _ordered(one: JSON, other: JSON, order: Callable[[JSON, JSON], bool]) -> bool:
    """Two numbers, or two strings by code points; everything else is not ordered."""
    kind, other_kind = type(one), type(other)
    if (kind is str and other_kind is str) or (kind in _NUMBERS and other_kind in _NUMBERS):
        return order(one, other)
    return False
