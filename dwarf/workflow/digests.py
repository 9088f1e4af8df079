"""What does a function do, as far as its code tells? A digest that changes when it is redefined as another one."""

from __future__ import annotations

from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

from dwarf.workflow.scopes import code_of

__all__ = ["CODE_LENGTH", "code_digest", "fingerprint", "reach_digest"]

CODE_LENGTH: Final = 32
"""The length of the digest that is kept with a step, in characters."""


def _sha256(text: bytes) -> str:
    from hashlib import sha256  # takes long to load, and a graph is built without it

    return sha256(text).hexdigest()


def code_digest(task: Any) -> str:
    """The digest of a task's code and defaults, of 32 hexadecimal digits; "" where it has no code of Python.

    It is the same in every process of one Python version, and where a cell is run again unchanged. What the function
    calls is not part of it.
    """
    told = _of(task)
    return _sha256(told.encode())[:CODE_LENGTH] if told else ""


def fingerprint(function: Any) -> str:
    """A digest of what a function does, as far as its code and defaults tell; running the same cell again keeps it."""
    told = "" if isinstance(code_of(function), type) else _of(function)  # an object may be changed without its code
    return _sha256(told.encode()) if told else f"object {id(function)}"


def reach_digest(task: Any) -> str:
    """The digest of what a task's outcome may depend on beside its input; "" where it has no code of Python.

    That is its code, its defaults, the functions and classes of the same module or notebook that its code names (and
    theirs, in turn), and the closed-over and global values that are None, bools, numbers, texts, bytes, or tuples of
    these; of a method or an object that is called, its attributes of these kinds, too. Everything else counts by its
    type. Values are those of now, so it is made anew for each question.
    """
    inner = _callable_of(task)
    code = getattr(inner, "__code__", None)
    if code is None:
        return ""
    told: list[str] = []
    _reach(inner, getattr(inner, "__module__", None), told, set())
    bound = getattr(task, "__self__", None)
    keywords = getattr(task, "keywords", None)  # of a partial
    if bound is None and not isinstance(task, FunctionType | partial):
        bound = task  # an object that is called
    told.append(
        _counted(bound) + _attributes(bound) + _plain(keywords or {}) + _plain(tuple(getattr(task, "args", ()) or ()))
    )
    return _sha256("\n".join(told).encode("utf-8", "surrogatepass"))


def _reach(function: Any, module: Any, told: list[str], seen: set[int]) -> None:
    """Tell a function, and what it names in its own module; ``seen`` are the ids of those that were told."""
    if id(function) in seen:
        return
    seen.add(id(function))
    told.append(_of(function))
    code: CodeType = function.__code__
    cells = zip(code.co_freevars, function.__closure__ or (), strict=False)
    values = {name: _content(cell) for name, cell in cells}
    names = function.__globals__
    values.update((name, names[name]) for name in sorted(_names_in(code)) if name in names)
    for name, value in values.items():
        told.append(f"{name}={_counted(value)}")
        for each in _own_functions(value, module):
            _reach(each, module, told, seen)


def _own_functions(value: Any, module: Any) -> list[FunctionType]:
    """The functions of a module that a value brings: itself, what it wraps, or the methods of a class."""
    inner = code_of(value) if callable(value) else None
    if isinstance(inner, FunctionType) and inner.__module__ == module:
        return [inner]
    if isinstance(value, type) and value.__module__ == module:
        members = [getattr(each, "fget", None) or code_of(each) for each in vars(value).values()]
        return [each for each in members if isinstance(each, FunctionType) and each.__module__ == module]
    return []


def _names_in(code: CodeType) -> set[str]:
    """The names that code and the functions inside it look up."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _names_in(constant)
    return found


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _counted(value: Any) -> str:
    """A value that a function sees: itself where it is plain, else its type."""
    kind = type(value)
    if value is None or kind in (bool, int, float, complex, str, bytes):
        return f"{kind.__name__} {value!r}"
    if kind is tuple:
        return f"({', '.join(_counted(each) for each in value)})"
    return f"{kind.__module__}.{kind.__qualname__}"


def _attributes(bound: Any) -> str:
    """What an object has whose method is a task: two objects of one class are two tasks."""
    if bound is None or isinstance(bound, type | ModuleType):
        return ""
    given = (getattr(cls, "__slots__", ()) for cls in type(bound).__mro__)
    slots = [name for names in given for name in ((names,) if isinstance(names, str) else names)]
    found = {name: getattr(bound, name) for name in slots if hasattr(bound, name)} | getattr(bound, "__dict__", {})
    return repr(sorted((str(name), _counted(value)) for name, value in found.items()))


def _callable_of(task: Any) -> Any:
    """The function that a call of a task runs: that of a method, of a partial, of an object's ``__call__``."""
    inner = code_of(task)
    if isinstance(inner, type):
        inner = code_of(getattr(inner, "__call__" if inner is not task else "__init__", None))
    return inner


def _of(task: Any) -> str:
    inner = _callable_of(task)
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
