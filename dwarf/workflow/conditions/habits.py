"""Habits from Python and SQL in conditions, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dwarf.workflow.conditions.lexer import ARITHMETIC, Kind, Token

__all__ = ["missing_operator"]

_METHODS: Final = {
    "startswith": "=~ '^...'", "endswith": "=~ '...$'", "contains": "=~ '...'", "match": "=~ '...'",
    "lower": "=~ '(?i)...'", "upper": "=~ '(?i)...'",
}  # fmt: skip


def missing_operator(tokens: Sequence[Token], index: int) -> str:
    """The error for a value after a value, with the operator that is probably meant."""
    before, token = tokens[index - 1], tokens[index]
    words = (before.text.lower(), token.text.lower())
    if before.kind is Kind.WORD and token.kind is Kind.OPEN:
        hint = _call(before.text)
    elif "and" in words:
        hint = "'and' is written &&"
    elif "or" in words:
        hint = "'or' is written ||"
    elif "is" in words and tokens[index + 1].text.lower() in ("true", "false"):
        hint = "'x is True' is written x == true, or x, which is also true of any text or list that is not empty"
    elif "is" in words:
        hint = "'x is None' is written x == null, or !x, which is also true of false, 0 and an empty text"
    elif "in" in words or (words[1] == "not" and tokens[index + 1].text.lower() == "in"):
        hint = "'value in items' is written items.value, which is true if the list holds that text or number"
    elif "between" in words:
        hint = "'x between 1 and 2' is written x >= 1 && x <= 2"
    elif words[1] in ("+", "-") or words[0] in ("+", "-"):
        hint = ARITHMETIC
    elif words[0] == "not":
        hint = "'not' is written !, as in !paid or !(a == b)"
    elif words[0] in ("like", "matches") or words[1] in ("like", "matches", "contains"):
        hint = "patterns are written =~ 'pattern'"
    elif words[1] == "if" or words[0] == "if":
        hint = "a condition has no 'if': give each arm a condition of its own"
    elif before.kind is Kind.STRING:
        hint = 'the text ends at the quote before; a text with one kind of quotes in it is put in another: "it\'s"'
    else:
        hint = "join two parts with && or ||, compare with == != < > <= >= =~ !~"
    return f"an operator is missing: {hint}"


def _call(name: str) -> str:
    method = name.rpartition(".")[2]
    if method in _METHODS:
        return f"methods cannot be called here; a text is searched by {_METHODS[method]}"
    field = "count" if name == "len" else "result"
    return (
        f"functions such as {name}() cannot be called here; let the task before write what it computes to a field, "
        f"as in return {{'{field}': {name}(...)}}, and compare that field"
    )
