"""Is this the same task, perhaps redefined, or another one that happens to have its name?

A redefinition has the same scope and qualified name, and its code comes from the same place: the same position in a
file, or the same cell, run again. Two closures of one factory, the methods of two objects, or functions of two modules
are different tasks, and none of them may quietly take the place of another.
"""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

from dwarf.workflow.scopes import code_of, name_of, notebook_shell, scope_of

if TYPE_CHECKING:
    import ast

__all__ = ["CodePlace", "another_url", "described", "heed_cells", "place_of", "same_task"]

_MOST: Final = 200  # values compared, before two closures count as different
_PLAIN: Final = (str, bytes, int, float, complex, dt.date, dt.time, dt.timedelta, PurePath, Enum)
_cells: dict[int, str] = {}  # the ids that the front end has given to the executions of this kernel


@dataclass(frozen=True, slots=True)
class CodePlace:
    """Where code comes from. ``cell``: the number of the execution, in a notebook; ``cell_id``: "" where not told."""

    file: str
    line: int
    cell: int | None = None
    cell_id: str = ""

    def __str__(self) -> str:
        if self.cell is not None:
            return f"cell [{self.cell}]"
        return f"{Path(self.file).name}, line {self.line}" if self.file else "no file"


def same_task(old: Any, new: Any) -> bool:
    """Whether ``new`` is the task ``old``, as it was or redefined."""
    return _same(old, new, set())


def described(task: Any) -> str:
    """A task and the place of its code, for messages: ``load (cell [3])``."""
    return f"{name_of(task)} ({place_of(task)})"


def another_url(task: Any) -> str:
    """What to write, so that a task has a URL of its own."""
    if inspect.ismethod(task):
        return f"give one of them a URL of its own: add_node(name, task(url=...)(the_object.{task.__name__}))"
    return "give one of them a URL of its own: @task(url=...), or task(url=...)(function) for a function made elsewhere"


# ------------------------------------------------------------------ tasks


def _same(old: Any, new: Any, seen: set[tuple[int, int]]) -> bool:
    """``seen`` are the pairs that are being compared: a function may hold itself."""
    if old is new or (id(old), id(new)) in seen:
        return True
    seen.add((id(old), id(new)))
    if isinstance(old, functools.partial) and isinstance(new, functools.partial):
        parts = ((old.func, new.func), (old.args, new.args), (_items(old.keywords), _items(new.keywords)))
        return _run_again(old, new) or all(_equal(one, other, seen) for one, other in parts)
    if inspect.ismethod(old) and inspect.ismethod(new):
        if _run_again(old.__func__, new.__func__):
            return True
        return _same(old.__func__, new.__func__, seen) and _equal(old.__self__, new.__self__, seen)
    if inspect.isfunction(old) and inspect.isfunction(new):
        return _same_function(old, new, seen)
    if isinstance(old, type) and isinstance(new, type):
        names = [(each.__module__, each.__qualname__) for each in (old, new)]
        return names[0] == names[1] and "<locals>" not in old.__qualname__
    before, after = getattr(old, "__wrapped__", None), getattr(new, "__wrapped__", None)
    if callable(before) and callable(after):
        return _same(before, after, seen)
    return _run_again(old, new) or (_frozen(old) and type(old) is type(new) and _says_equal(old, new))


def _same_function(old: Any, new: Any, seen: set[tuple[int, int]]) -> bool:
    if old.__code__ is not new.__code__:
        return _run_again(old, new)
    mine, yours = _holdings(old), _holdings(new)
    return len(mine) == len(yours) and all(_equal(*pair, seen) for pair in zip(mine, yours, strict=True))


def _holdings(function: Any) -> list[Any]:
    """What a function was made with: its closure and its defaults."""
    held: list[Any] = [function.__defaults__, _items(function.__kwdefaults__)]
    for cell in function.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # not assigned yet
            held.append(None)
    return held


def _items(keywords: dict[str, Any] | None) -> tuple[Any, ...]:
    return tuple((keywords or {}).items())


def _equal(one: Any, other: Any, seen: set[tuple[int, int]]) -> bool:
    """Whether two values are one, or such that nobody could tell them apart. Two lists are two, whatever is in them."""
    if one is other:
        return True
    if len(seen) > _MOST:
        return False
    if isinstance(one, tuple) and type(one) is type(other) and len(one) == len(other):
        return all(_equal(*pair, seen) for pair in zip(one, other, strict=True))
    if isinstance(one, _PLAIN) and type(one) is type(other):
        return bool(one == other)
    if _is_code(one) and _is_code(other):
        return _same(one, other, seen)
    return _frozen(one) and type(one) is type(other) and _says_equal(one, other)


def _is_code(value: Any) -> bool:
    return inspect.isroutine(value) or isinstance(value, (type, functools.partial))


def _frozen(value: Any) -> bool:
    parameters = getattr(type(value), "__dataclass_params__", None)
    return bool(getattr(parameters, "frozen", False) and getattr(parameters, "eq", False))


def _says_equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - a comparison of the user's own
        return False


# ------------------------------------------------------------------ places


def place_of(task: Any) -> CodePlace:
    """Where the code of a task comes from."""
    code = _code(task)
    if code is None:
        return CodePlace("", 0)
    cell, cell_id = _cell_of(code.co_filename)
    return CodePlace(code.co_filename, code.co_firstlineno, cell, cell_id)


def _code(task: Any) -> Any:
    inner = code_of(task)
    if isinstance(inner, type) and inner is not task:
        inner = code_of(getattr(inner, "__call__", None))  # noqa: B004 - the method itself is wanted
    return getattr(inner, "__code__", None)


def _run_again(old: Any, new: Any) -> bool:
    """Whether the code of ``new`` is what the place of ``old`` now holds."""
    first, second = _code(old), _code(new)
    if first is None or second is None or first is second:
        return False
    if (scope_of(old), name_of(old)) != (scope_of(new), name_of(new)):
        return False
    before, after = place_of(old), place_of(new)
    if before.cell is not None or after.cell is not None:
        if before.cell is None or after.cell is None:
            return False
        # without ids nobody can tell whether it is the same cell; a graph that is started with what was replaced warns
        return not (before.cell_id and after.cell_id) or before.cell_id == after.cell_id
    if before.file[:1] == after.file[:1] == "<":  # typed into a console
        return _globals(old) is _globals(new)
    return before.file == after.file and (before.line == after.line or _defined_once(after.file, name_of(new)))


def _globals(task: Any) -> Any:
    return getattr(code_of(task), "__globals__", None)


def _defined_once(file: str, qualname: str) -> bool:
    """Whether a file, as it is now, defines the name only once: then a definition at another line is an edited one."""
    import ast

    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    found: list[ast.AST] = [tree]
    for part in qualname.replace(".<locals>", "").split("."):
        found = [inner for each in found for inner in _definitions(each) if inner.name == part]
    return len(found) == 1


def _definitions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """The functions and classes defined in a node, less those inside other ones."""
    import ast

    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield inner
        else:
            yield from _definitions(inner)


# ------------------------------------------------------------------ cells


def _cell_of(file: str) -> tuple[int | None, str]:
    """The execution that the code of a cell was last compiled for, and the cell's id."""
    if "__marimo__cell_" in file:
        return 0, file.rpartition("__marimo__cell_")[2]
    shell = notebook_shell() or _terminal()
    numbers = getattr(getattr(shell, "compile", None), "_filename_map", {})
    number = numbers.get(file)
    if number is None:
        return None, ""
    heed_cells()
    return number, _cells.get(number, "")


def _terminal() -> Any:
    get = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get() if get is not None else None


def heed_cells() -> None:
    """Note from now on which cell each execution belongs to; the first call also notes the running one."""
    shell = notebook_shell() or _terminal()
    events = getattr(shell, "events", None)
    if events is None or _note in events.callbacks.get("pre_run_cell", ()):
        return
    events.register("pre_run_cell", _note)
    kernel = getattr(shell, "kernel", None)
    get_parent: Callable[[], Any] | None = getattr(kernel, "get_parent", None)
    parent = get_parent() if get_parent is not None else None
    cell_id = (parent or {}).get("metadata", {}).get("cellId")
    if isinstance(cell_id, str) and cell_id:
        _cells[shell.execution_count] = cell_id


def _note(info: Any) -> None:
    shell = notebook_shell() or _terminal()
    cell_id = getattr(info, "cell_id", None)
    if shell is not None and isinstance(cell_id, str) and cell_id:
        _cells[shell.execution_count] = cell_id
