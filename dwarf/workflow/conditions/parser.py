"""From tokens to the syntax tree: recursive descent, two frames for each level of parentheses.

::

    expression = conjunction { "||" conjunction }
    conjunction = unit { "&&" unit }
    unit = { "!" } atom  |  operand comparison operand
    atom = operand = string | word | "(" expression ")"
"""

from __future__ import annotations

import re
from math import isinf
from typing import Final, cast

from dwarf.errors import ConditionError
from dwarf.workflow.conditions.habits import missing_operator
from dwarf.workflow.conditions.lexer import Kind, Token, fault, tokens_of
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
from dwarf.workflow.jsontext import JSON, read_int

__all__ = ["MAX_NESTING", "parse_expression"]

MAX_NESTING: Final = 200
"""The deepest nesting of parentheses. Chains of ``!``, ``&&`` and ``||`` may be of any length."""

_IDENTIFIER: Final = re.compile(r"[0-9A-Za-z_]+(?:\.[0-9A-Za-z_]+)*")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)*")
_DECIMAL: Final = re.compile(
    r"[+-]?(?:[0-9]+(?:_[0-9]+)*\.?(?:[0-9]+(?:_[0-9]+)*)?|\.[0-9]+(?:_[0-9]+)*)(?:[eE][+-]?[0-9]+(?:_[0-9]+)*)?"
)
_HEXADECIMAL: Final = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+")
_NAMED_NUMBER: Final = re.compile(r"[+-]?(?:inf|infinity|nan)", re.IGNORECASE)

_BOOLS: Final = {
    **dict.fromkeys(("true", "True", "TRUE", "t", "T"), True),
    **dict.fromkeys(("false", "False", "FALSE", "f", "F"), False),
}


def parse_expression(text: str, *, stored: bool = False) -> Expression:
    """The syntax tree. ConditionError with the place of the first fault. ``stored``: see ``tokens_of``."""
    if not text.strip():
        raise ConditionError("a condition must not be empty", expression=text, position=0)
    parser = _Parser(text, stored)
    try:
        expression = parser.expression(0)
    except RecursionError:
        raise ConditionError("the parentheses are nested too deeply", expression=text, position=0) from None
    if parser.token.kind is not Kind.END:
        raise parser.unexpected()
    return expression


class _Parser:
    def __init__(self, text: str, stored: bool) -> None:
        self.text = text
        self.tokens = tokens_of(text, stored=stored)
        self.index = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def unexpected(self) -> ConditionError:
        """The error for a token at an impossible position."""
        token = self.token
        if token.kind is Kind.END:
            return fault(self.text, token.position, "a value is missing at the end")
        before = self.tokens[self.index - 1].kind if self.index else None
        if token.kind is Kind.CLOSE and before in (Kind.WORD, Kind.STRING, Kind.CLOSE):
            return fault(self.text, token.position, "')' without '('")
        if token.kind in (Kind.WORD, Kind.STRING, Kind.OPEN) and before in (Kind.WORD, Kind.STRING, Kind.CLOSE):
            return fault(self.text, token.position, missing_operator(self.tokens, self.index))
        if token.text == ">" and self.index and self.tokens[self.index - 1].text == "<":
            return fault(self.text, token.position, "unexpected '>': 'x <> y' is written x != y")
        shown = f"'{token.text}'" if token.text else token.kind.value
        return fault(self.text, token.position, f"unexpected {shown}")

    def expression(self, depth: int) -> Expression:
        if depth > MAX_NESTING:
            raise fault(self.text, self.token.position, f"parentheses are nested deeper than {MAX_NESTING} levels")
        either: list[Expression] = []
        both: list[Expression] = [self.unit(depth)]
        while self.token.kind in (Kind.AND, Kind.OR):
            if self.token.kind is Kind.OR:
                either.append(_join(both))
                both = []
            self.index += 1
            both.append(self.unit(depth))
        either.append(_join(both))
        return either[0] if len(either) == 1 else Or(tuple(either))

    def unit(self, depth: int) -> Expression:
        bangs = 0
        while self.token.kind is Kind.NOT:
            bangs += 1
            self.index += 1
        left: Operand | None = None
        operator: Token | None = None
        while True:  # an operand, or an operand on either side of a comparison
            token = self.token
            operand: Operand
            if token.kind is Kind.OPEN:
                self.index += 1
                operand = Group(self.expression(depth + 1), token.position)
                if self.token.kind is Kind.END:
                    raise fault(self.text, token.position, "'(' without ')'")
                if self.token.kind is not Kind.CLOSE:
                    raise self.unexpected()
            elif token.kind is Kind.STRING:
                operand = Text(token.text, token.position)
            elif token.kind is Kind.WORD:
                operand = self.symbol(token)
            else:
                raise self.unexpected()
            self.index += 1
            if operator is not None and left is not None:
                if self.token.kind is Kind.COMPARISON:
                    raise fault(self.text, self.token.position, "comparisons cannot be chained; join two with &&")
                return Compare(cast("Comparison", operator.text), left, operand)
            if self.token.kind is not Kind.COMPARISON:
                return _negate(_truth(operand), bangs)
            if bangs:
                raise fault(self.text, self.token.position, "'!' takes no comparison; write !(a == b)")
            left, operator = operand, self.token
            self.index += 1

    def symbol(self, token: Token) -> Symbol:
        """An unquoted word, which must be spelt as an identifier or a number."""
        word = token.text
        number = _number(word)
        if number is None and not _IDENTIFIER.fullmatch(word):
            raise fault(self.text, token.position, f"{word!r} is neither a field nor a number")
        return Symbol(word, _BOOLS.get(word) if number is None else number, token.position)


def _join(parts: list[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _negate(expression: Expression, bangs: int) -> Expression:
    return Not(expression) if bangs % 2 else expression


def _truth(operand: Operand) -> Expression:
    if isinstance(operand, Group):
        return operand.expression
    # Bare, in any letter case, even if a field has the name; as an operand of a comparison a field comes first.
    if isinstance(operand, Symbol) and operand.name.lower() in ("true", "false"):
        return Constant(operand.name.lower() == "true")
    return Truth(operand)


def _number(word: str) -> JSON:
    """The number a word spells, whole ones exact, or None. One too large for a double is not a number."""
    if _INTEGER.fullmatch(word):
        return read_int(word.replace("_", ""))
    if _NAMED_NUMBER.fullmatch(word):
        return float(word)
    if _DECIMAL.fullmatch(word):
        number = float(word)
        return None if isinf(number) else number
    if _HEXADECIMAL.fullmatch(word):
        try:
            return float.fromhex(word)
        except OverflowError:
            return None
    return None
