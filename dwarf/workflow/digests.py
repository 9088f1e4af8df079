"""What does a function do, as far as its code tells? A digest that changes when it is redefined as another one."""

from __future__ import annotations

from hashlib import sha256
from types import CodeType
from typing import Any, Final

from dwarf.workflow.scopes import code_of

__all__ = ["CODE_LENGTH", "code_digest", "fingerprint"]

CODE_LENGTH: Final = 32
"""The length of the digest that is kept with a step, in characters."""


def code_digest(task: Any) -> str:
    """The digest of a task's code and defaults, of 32 hexadecimal digits; "" where it has no code of Python.

    It is the same in every process of one Python version, and where a cell is run again unchanged. What the function
    calls is not part of it.
    """
    told = _of(task)
    return sha256(told.encode()).hexdigest()[:CODE_LENGTH] if told else ""


def fingerprint(function: Any) -> str:
    """A digest of what a function does, as far as its code and defaults tell; running the same cell again keeps it."""
    told = "" if isinstance(code_of(function), type) else _of(function)  # an object may be changed without its code
    return sha256(told.encode()).hexdigest() if told else f"object {id(function)}"


def _of(task: Any) -> str:
    inner = code_of(task)
    if isinstance(inner, type):
        inner = code_of(getattr(inner, "__call__" if inner is not task else "__init__", None))
    code = getattr(inner, "__code__", None)
    if code is None:
        return ""
    defaults = (getattr(inner, "__defaults__", None), getattr(inner, "__kwdefaults__", None))
    return repr((_told(code), [_plain(each) for each in defaults]))


def _told(code: CodeType) -> tuple[Any, ...]:
    """Code without the place where it stands."""
    constants = tuple(_told(each) if isinstance(each, CodeType) else _plain(each) for each in code.co_consts)
    return (code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_flags, constants)


def _plain(value: Any) -> str:
    """A constant or a default, told apart from others as well as its repr allows; addresses in one tell nothing."""
    if isinstance(value, frozenset):
        return repr(sorted(map(repr, value)))
    if isinstance(value, tuple):
        return repr([_plain(each) for each in value])
    if isinstance(value, dict):
        return repr([(name, _plain(each)) for name, each in value.items()])
    known = value is None or isinstance(value, bool | int | float | complex | str | bytes)
    return f"{type(value).__name__} {value!r}" if known or value is Ellipsis else type(value).__qualname__
