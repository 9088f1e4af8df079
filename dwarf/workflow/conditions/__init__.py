"""The language of conditions: ``amount > 100 && !(status == 'paid') || roles.admin``.

* Loosest first: ``||``, ``&&``, then comparisons ``== != < > <= >= =~ !~`` and ``!``; parentheses tightest.
  Comparisons cannot be chained, and ``!`` takes a value or parentheses.
* A value is a string in single quotes, double quotes or backticks (no escapes), a number, ``true`` or ``false``, or the
  name of a field, with dots for the members of objects and for membership in arrays (``roles.admin``). A field comes
  before the literal of the same spelling; what is neither is undefined.
* Undefined, null, ``false``, ``0`` and ``""`` count as false; everything else as true, empty arrays and objects too.
* ``==`` needs the same type on both sides: ``5 == "5"`` is false. Arrays and objects equal nothing. ``<``, ``>`` order
  two numbers, or two strings by code points; anything else is false.
* A value that is kept with a tag counts as what it stands for: a Decimal and NaN as numbers, an enum as its value,
  UUIDs and paths as texts, tuples and sets as arrays, dataclasses and models as objects. Dates and times, times of day
  and durations compare with their like and with ISO 8601 texts (``due < '2030-01-31'``, ``took > 'PT90S'``).
* ``=~`` and ``!~`` search a string for a regular expression in RE2 syntax; both are false where a side is no string.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from dwarf.errors import ConditionError
from dwarf.workflow.conditions.evaluator import Test, compile_expression
from dwarf.workflow.conditions.parser import MAX_NESTING, parse_expression
from dwarf.workflow.conditions.syntax import Expression
from dwarf.workflow.jsontext import JSON

__all__ = ["MAX_NESTING", "Condition", "parse"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that has been read and can be evaluated any number of times, from any thread."""

    text: str
    expression: Expression = field(compare=False, repr=False)
    test: Test = field(compare=False, repr=False)

    def evaluate(self, state: Mapping[str, JSON], notes: list[str] | None = None) -> bool:
        """Whether the condition holds in a state. Terminates on any state.

        ``notes`` are given a text for each pair of values that are there and cannot be ordered. ConditionError only
        for a pattern from a field that is no regular expression.
        """
        return self.test(state, notes)


def parse(text: str, *, stored: bool = False) -> Condition:
    """Read a condition and check all of it, literal patterns included. ConditionError says where it is wrong.

    ``stored``: the text is that of a flow's frozen graph, which may hold quotes inside of quotes.
    """
    if not isinstance(text, str):
        raise ConditionError(f"a condition must be a string, not {type(text).__name__}", position=0)
    try:
        return _parse(text)
    except ConditionError:
        if not stored:
            raise
        return _parse(text, stored=True)


@lru_cache(maxsize=1024)
def _parse(text: str, *, stored: bool = False) -> Condition:
    expression = parse_expression(text, stored=stored)
    try:
        return Condition(text, expression, compile_expression(expression, text))
    except RecursionError:
        raise ConditionError("the parentheses are nested too deeply", expression=text, position=0) from None
