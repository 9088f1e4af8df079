"""From the text of a condition to its tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from dwarf.errors import ConditionError

__all__ = ["ARITHMETIC", "Kind", "Token", "fault", "tokens_of"]


class Kind(Enum):
    WORD = "a value"
    STRING = "a string"
    COMPARISON = "a comparison"
    NOT = "'!'"
    AND = "'&&'"
    OR = "'||'"
    OPEN = "'('"
    CLOSE = "')'"
    END = "the end"


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    """The text as written; for a string, the text between the quotes."""
    position: int
    """Where it begins, counted in characters from 0."""


_SPACE: Final = re.compile(r"\s*")
_SYMBOL: Final = re.compile(r"==|!=|<=|>=|=~|!~|<|>|&&|\|\||!|\(|\)")
_WORD: Final = re.compile(r"[0-9A-Za-z_.+\-]+")

# Conditions that were stored when a quote closed its text only where an operand may end, so that 'it's' was one.
_AFTER_STRING: Final = re.compile(r"\s*(?:\Z|\)|&&|\|\||[=!<>]=|[=!]~|[<>])")

ARITHMETIC: Final = "a condition does not compute; let the task before write the result to a field, and compare that"

_KINDS: Final = {"!": Kind.NOT, "&&": Kind.AND, "||": Kind.OR, "(": Kind.OPEN, ")": Kind.CLOSE}


def tokens_of(text: str, *, stored: bool = False) -> list[Token]:
    """All tokens, the last of the kind END. ConditionError for text that is none.

    The next quote of the same kind closes a text, and operators inside of it mean nothing. ``stored``: the text may be
    older than that rule.
    """
    found: list[Token] = []
    position = _skip_space(text, 0)
    while position < len(text):
        symbol = _SYMBOL.match(text, position)
        word = None if symbol else _WORD.match(text, position)
        if symbol:
            found.append(Token(_KINDS.get(symbol[0], Kind.COMPARISON), symbol[0], position))
            position = symbol.end()
        elif word:
            found.append(Token(Kind.WORD, word[0], position))
            position = word.end()
        elif text[position] in "'\"`":
            end = _end_of_string(text, position, stored)
            found.append(Token(Kind.STRING, text[position + 1 : end], position))
            position = end + 1
        else:
            raise fault(text, position, _advice(text, position))
        position = _skip_space(text, position)
    found.append(Token(Kind.END, "", len(text)))
    return found


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _end_of_string(text: str, start: int, stored: bool) -> int:
    quote = text[start]
    end = text.find(quote, start + 1)
    while end >= 0:
        if not stored or _AFTER_STRING.match(text, end + 1):
            return end
        end = text.find(quote, end + 1)
    hint = f"; a text with {quote} in it is put in another kind of quotes" if quote in text[:start] else ""
    raise fault(text, start, f"unterminated string: the closing {quote} is missing{hint}")


def _advice(text: str, position: int) -> str:
    character = text[position]
    if character == ",":
        return "unexpected ',': functions cannot be called here; let the task before write what they compute to a field"
    if character == "[":
        return (
            "unexpected '[': a key is written order.city, one of several values x == 1 || x == 2; "
            "an element by its place is to be written to a field by the task before"
        )
    if character in "%*/":
        return f"unexpected {character!r}: {ARITHMETIC}"
    wanted = {"=": "'=='", "&": "'&&'", "|": "'||'", "~": "'=~' or '!~'"}.get(character)
    return f"unexpected {character!r}" + (f"; did you mean {wanted}?" if wanted else "")


def fault(text: str, position: int, problem: str) -> ConditionError:
    """The error for a place in the text, with a picture of it."""
    start = max(0, position - 60)
    line = text[start : position + 60]
    line = "".join(character if character.isprintable() else " " for character in line)
    before, after = "..." if start else "", "..." if position + 60 < len(text) else ""
    caret = " " * (len(before) + position - start) + "^"
    message = f"{problem} (position {position})\n  {before}{line}{after}\n  {caret}"
    return ConditionError(message, expression=text, position=position)
