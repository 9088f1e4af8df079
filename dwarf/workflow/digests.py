"""What does a function do, as far as its code tells? A digest that changes when it is redefined as another one."""

from __future__ import annotations

import builtins
from functools import partial
from inspect import ismethod
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from dwarf.workflow.scopes import code_of

__all__ = ["CODE_LENGTH", "Helpers", "code_digest", "fingerprint", "reach_digest"]

CODE_LENGTH: Final = 32
"""The length of the digest that is kept with a step, in characters."""


def _sha256(text: bytes) -> str:
    from hashlib import sha256  # takes long to load, and a graph is built without it

    return sha256(text).hexdigest()


def code_digest(task: Any) -> str:
    """The digest of a task's code and defaults, of 32 hexadecimal digits; "" where it has no code of Python.

    It is the same in every process of one Python version, and where a cell is run again unchanged. The functions that
    a decorator or a partial holds are part of it; what the function calls by a name is not.
    """
    told = _of(task)
    if not told:
        return ""
    held = [each for each in _held_functions(task) if each is not _callable_of(task)]
    return _sha256("\n".join([told, *map(_text_of, held)]).encode("utf-8", "surrogatepass"))[:CODE_LENGTH]


def fingerprint(function: Any) -> str:
    """A digest of what a function does, as far as it tells by itself; running the same cell again keeps it.

    It begins with the digest of the code. The rest is of the plain values that the function was made with: those of its
    closure, the arguments of a partial, and the attributes of a method's object.
    """
    code = "" if isinstance(code_of(function), type) else code_digest(function)  # an object may change without its code
    return code + _sha256(_held_values(function).encode("utf-8", "surrogatepass")) if code else f"object {id(function)}"


def _layers(task: Any) -> list[Any]:
    """A task, and what a call of it leads to: under partials and methods, and inside decorators."""
    found = [task]
    while len(found) < _MOST_LAYERS:  # a wrapper may lead back to itself
        task = found[-1]
        if isinstance(task, partial):
            found.append(task.func)
        elif ismethod(task):
            found.append(task.__func__)
        elif callable(wrapped := getattr(task, "__wrapped__", None)):
            found.append(wrapped)
        else:
            break
    return found


_MOST_LAYERS: Final = 100


def _given(layer: Any) -> list[Any]:
    """What one layer of a task was made with: the values of a closure, the arguments of a partial."""
    if isinstance(layer, partial):
        return [*layer.args, *layer.keywords.values()]
    if isinstance(layer, FunctionType):
        cells = zip(layer.__code__.co_freevars, layer.__closure__ or (), strict=False)
        return [_content(cell) for name, cell in cells if name != "__class__"]
    return []


def _held_functions(task: Any) -> list[FunctionType]:
    """The functions that a task is made of, each once: its layers, and those which these were made with, in turn."""
    found: dict[int, FunctionType] = {}
    left = [task]
    while left:
        for layer in _layers(left.pop(0)):
            if isinstance(layer, FunctionType):
                if id(layer) in found:
                    break
                found[id(layer)] = layer
            left += [each for each in _given(layer) if isinstance(each, FunctionType | MethodType | partial)]
    return list(found.values())


def _held_values(task: Any) -> str:
    """The plain values that a task was made with, and the types of others."""
    layers = _layers(task)
    told = [_counted(value) for each in [*layers, *_held_functions(task)[1:]] for value in _given(each)]
    return "\n".join([*told, *(_attributes(each.__self__) for each in layers if ismethod(each))])


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
    module = getattr(inner, "__module__", None)
    seen: set[int] = set()
    _reach(inner, module, told, seen)
    for held in _held_functions(task):  # what a decorator of a library holds is a function of the notebook's
        if held.__module__ == module or held not in _layers(task):
            _reach(held, held.__module__, told, seen)
        else:
            told.append(_text_of(held))
    bound = getattr(task, "__self__", None)
    keywords = getattr(task, "keywords", None)  # of a partial
    if bound is None and not isinstance(task, FunctionType | partial):
        bound = task  # an object that is called
    told.append(
        _counted(bound) + _attributes(bound) + _plain(keywords or {}) + _plain(tuple(getattr(task, "args", ()) or ()))
    )
    return _sha256("\n".join(told).encode("utf-8", "surrogatepass"))


class Helpers:
    """The functions and classes of a task's own module or notebook that it uses, and theirs, in turn."""

    __slots__ = ("_places", "digest")

    digest: str  # of their code; "" without any

    def __init__(self, task: Any) -> None:
        self._places: list[tuple[dict[str, Any], str, Any]] = []
        own = _held_functions(task)
        module = getattr(_callable_of(task), "__module__", None)
        told: list[str] = []
        seen = {id(each) for each in own}
        left = [each for each in own if each.__module__ == module]
        while left:
            function = left.pop(0)
            names = function.__globals__
            for name in sorted(_names_in(function.__code__)):
                value = names.get(name, _ABSENT)
                if value is not _ABSENT or not hasattr(builtins, name):
                    self._places.append((names, name, value))
                for each in _own_functions(value, module):
                    if id(each) not in seen:
                        seen.add(id(each))
                        told.append(f"{each.__qualname__} {_text_of(each)}")
                        left.append(each)
        self.digest = _sha256("\n".join(told).encode("utf-8", "surrogatepass"))[:CODE_LENGTH] if told else ""

    @property
    def is_current(self) -> bool:
        """Whether the names that the functions look up still have the values that they had."""
        return all(names.get(name, _ABSENT) is value for names, name, value in self._places)


_ABSENT: Final = object()


def _reach(function: Any, module: Any, told: list[str], seen: set[int]) -> None:
    """Tell a function, and what it names in its own module; ``seen`` are the ids of those that were told."""
    if id(function) in seen:
        return
    seen.add(id(function))
    told.append(_text_of(function))
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
    if callable(value) and isinstance(code_of(value), FunctionType):
        return [each for each in _held_functions(value) if each.__module__ == module]
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
    return _text_of(inner)


def _text_of(function: Any) -> str:
    """The code of this very function, and its defaults."""
    defaults = (getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None))
    return repr((_told(function.__code__), [_plain(each) for each in defaults]))


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
