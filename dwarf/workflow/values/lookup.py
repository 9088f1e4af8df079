"""The names of the user's classes in stored values, and which class a name stands for here.

A name is ``scope:qualname``, with the scopes of tasks: two notebooks that each have a class ``Order`` do not take each
other's. A name never has a module imported, and nothing of what it finds is called: only classes of modules that are
loaded already are found, and those that were registered.
"""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from typing import Any, Final, TypeVar

from dwarf.errors import ConfigError
from dwarf.workflow.scopes import SCOPE, scope_of, scope_of_names

__all__ = ["class_of", "is_kept", "name_of", "register_type"]

C = TypeVar("C", bound=type)

_MAIN: Final = "__main__"
_registered: dict[str, type] = {}
_names: dict[type, str] = {}  # of the registered ones
_missed: set[str] = set()  # names about which it was said that there is no such class


def register_type(cls: C) -> C:
    """Let stored values name a class though it is in no loaded module under its name; a decorator.

    For a dataclass, pydantic model, enum or named tuple that is made inside a function, or by ``create_model``. It is
    known by its scope and qualified name from then on, and a class registered later under the same name replaces it.
    ConfigError for anything else.

    Example::

        Order = pydantic.create_model("Order", item=str, amount=int)
        register_type(Order)  # made by a call: without this it comes back as a mapping
    """
    if not is_kept(cls):
        raise ConfigError(
            f"register_type takes a dataclass, a pydantic model, an enum or a named tuple, not {cls!r}: "
            "no other class is kept by its name"
        )
    name = f"{scope_of(cls)}:{cls.__qualname__}"
    _names[cls] = name
    _registered[name] = cls
    _missed.discard(name)
    return cls


def is_kept(cls: Any) -> bool:
    """Whether instances of this are kept with the name of their class."""
    if not isinstance(cls, type):
        return False
    fields = getattr(cls, "_fields", None)
    return (
        dataclasses.is_dataclass(cls)
        or issubclass(cls, Enum)
        or issubclass(cls, getattr(sys.modules.get("pydantic"), "BaseModel", ()))
        or (issubclass(cls, tuple) and isinstance(fields, tuple) and len(fields) > 0)
    )


def name_of(cls: type) -> str:
    """``scope:qualname``, or nothing for a class that cannot be found by it."""
    return _names.get(cls) or _loaded_name(cls)


@lru_cache(maxsize=1024)
def _loaded_name(cls: type) -> str:
    return "" if "<locals>" in cls.__qualname__ else f"{scope_of(cls)}:{cls.__qualname__}"


def class_of(name: str) -> type | None:
    """The class of a name, or None with one warning."""
    known = _registered.get(name)
    if known is not None:
        return known
    scope, _, qualname = name.partition(":")
    main = vars(sys.modules[_MAIN]) if _MAIN in sys.modules else {}
    found = _member(main, qualname)
    if found is not None and (scope == _MAIN or scope == _scope_of(main)):
        return found
    for names in _namespaces(scope):
        found = _member(names, qualname)
        if found is not None:
            return found
    if name not in _missed:
        _missed.add(name)
        with suppress(UserWarning):  # reading a value never fails, also where warnings are errors
            warnings.warn(
                f"a stored value is of the class {name!r}, which no loaded module has: it is read as plain members. "
                "Import the module first, or register the class: dwarf.register_type",
                UserWarning,
                stacklevel=2,
            )
    return None


def _namespaces(scope: str) -> Iterator[Mapping[str, Any]]:
    """The global names of the loaded modules of a scope."""
    if scope in sys.modules:
        yield vars(sys.modules[scope])
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)  # not getattr of the scope: a module may run code for it
        if isinstance(names, dict) and names.get(SCOPE) == scope:
            yield names


def _scope_of(names: Mapping[str, Any]) -> str:
    with suppress(ConfigError):
        return scope_of_names(names)
    return ""


def _member(names: Mapping[str, Any], qualname: str) -> type | None:
    found: Any = None
    for part in qualname.split("."):
        found = names.get(part)
        names = vars(found) if hasattr(found, "__dict__") else {}  # not getattr: it may run code
    return found if is_kept(found) else None
