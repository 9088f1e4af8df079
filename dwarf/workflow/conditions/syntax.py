"""The syntax tree of a condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dwarf.workflow.jsontext import JSON

__all__ = ["And", "Compare", "Constant", "Expression", "Group", "Not", "Operand", "Or", "Symbol", "Text", "Truth"]

Comparison = Literal["==", "!=", "<=", ">=", "=~", "!~", "<", ">"]


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted string."""

    value: str
    position: int = 0


@dataclass(frozen=True, slots=True)
class Symbol:
    """An unquoted value: the field it names if there is one, else the literal it spells, else undefined (None)."""

    name: str
    literal: JSON = None
    position: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """An expression in parentheses, as an operand: a bool."""

    expression: Expression
    position: int = 0


Operand = Text | Symbol | Group


@dataclass(frozen=True, slots=True)
class Constant:
    value: bool


@dataclass(frozen=True, slots=True)
class Truth:
    """Whether an operand counts as true."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class Compare:
    operator: Comparison
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expression


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Expression, ...]


Expression = Constant | Truth | Compare | Not | And | Or
