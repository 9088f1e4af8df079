"""What do live functions need to run elsewhere? Their sources, those of what they name, imports, and plain values."""

from __future__ import annotations

import ast
import builtins
import datetime as dt
import decimal
import dis
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from dwarf.hosts import Host
from dwarf.workflow.graph import Graph
from dwarf.workflow.scopes import code_of

__all__ = ["Definitions"]

LARGEST = 100_000  # characters of a value that is written down
_REPRESENTED = (dt.date, dt.time, dt.timedelta, dt.timezone)
_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS"})


@dataclass
class Definitions:
    """Gathers what functions need, in the order in which it can be defined. ``problems`` name what cannot go along.

    ``left_behind``: the classes of values that belong to the notebook, such as its lab.
    """

    left_behind: Sequence[type] = ()
    imports: set[str] = field(default_factory=set)
    parts: list[str] = field(default_factory=list)
    graphs: dict[str, Graph] = field(default_factory=dict)  # by the name that functions have for them
    names: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)  # that the functions hold, since a workflow may be named by one
    roots: set[str] = field(default_factory=set)  # what is imported from outside of the standard library
    _by: str = ""

    def add_task(self, function: Any, node: str) -> str:
        """Gather the function of a node; the name it has then, "" where it cannot go along."""
        self._by = f"node {node!r}"
        inner = code_of(function)
        if not isinstance(inner, FunctionType) or inner is not inspect.unwrap(function):
            self._refuse(f"its task is a {type(function).__name__}, which has no source of its own: use a def")
            return ""
        name = inner.__name__
        if name == "<lambda>" or not name.isidentifier():
            self._refuse("its task is a lambda, which has no source of its own: use a def")
            return ""
        self._define(name, inner)
        return name

    # ------------------------------------------------------------------ names

    def _define(self, name: str, value: Any) -> None:
        """Have a name stand for a value in the module."""
        if name in self.names:
            if self.names[name] is not value and not _equal(self.names[name], value):
                self._refuse(f"the name {name!r} stands for two different things, here and elsewhere: rename one")
            return
        self.names[name] = value
        if isinstance(value, Graph):
            self.graphs[name] = value
        elif isinstance(value, ModuleType):
            self._import(name, value)
        elif isinstance(value, (type, FunctionType, BuiltinFunctionType)) or hasattr(value, "__wrapped__"):
            self._define_code(name, value)
        else:
            self._write_down(name, value)

    def _import(self, name: str, module: ModuleType) -> None:
        if not _is_installed(module.__name__):
            self._refuse(f"{name} is the module {module.__name__!r}, which is not installed: name its parts instead")
            return
        self.roots.add(module.__name__.partition(".")[0])
        plain = name == module.__name__
        self.imports.add(f"import {name}" if plain else f"import {module.__name__} as {name}")

    def _define_code(self, name: str, value: Any) -> None:
        """A function or a class: imported where it is installed, else with its source."""
        own = getattr(value, "__name__", name)
        module = getattr(value, "__module__", None) or ""
        if module == "builtins":
            self.parts.append(f"{name} = {own}")
        elif _is_installed(module):
            source = _shortest(module, own, value)
            self.roots.add(source.partition(".")[0])
            if getattr(sys.modules.get(source), own, None) is not value:
                self._refuse(f"{name} cannot be imported from {source}")
            self.imports.add(f"from {source} import {own}" + (f" as {name}" if name != own else ""))
        else:
            inner = value if isinstance(value, type) else inspect.unwrap(value)
            text = _source_of(inner)
            if text is None:
                self._refuse(f"the source of {own} cannot be found")
                return
            self._with_source(name, own, inner, text)

    def _with_source(self, name: str, own: str, value: Any, text: str) -> None:
        try:
            (tree,) = ast.parse(text).body
        except (SyntaxError, ValueError):
            self._refuse(f"the source of {own} cannot be read by itself")
            return
        seen = _seen_by(value)
        text, labs = self._without_labs(tree, text, seen)
        before, self._by = self._by, f"{own}()" if isinstance(value, FunctionType) else own
        for needed in sorted(_needed_by(value, tree)):
            if needed in seen:
                if not isinstance(seen[needed], (Host, *self.left_behind)):
                    self._define(needed, seen[needed])
                elif needed in _names_of_code(value):
                    self._refuse(f"it uses {needed}, which is the notebook's own: a task has its Flow for that")
            elif needed != own and needed not in labs and not hasattr(builtins, needed):
                self._refuse(f"it names {needed!r}, which is not defined")
        self._by = before
        for constant in _constants(value):
            self.texts.add(constant)
        self.parts.append(text if name == own else f"{text}\n\n{name} = {own}")

    def _without_labs(self, tree: Any, text: str, seen: Mapping[str, Any]) -> tuple[str, set[str]]:
        """The source with ``@task`` in place of the ``@lab.task`` of a notebook, and the names that labs had there."""
        lines = text.splitlines()
        labs: set[str] = set()
        for decorator in reversed(getattr(tree, "decorator_list", [])):
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.attr == "task":
                name = called.value.id
                holder = seen.get(name)
                if name not in seen or isinstance(holder, (Host, *self.left_behind)):
                    line = lines[decorator.lineno - 1]
                    lines[decorator.lineno - 1] = line.replace(f"{name}.task", "task", 1)
                    self.imports.add("from dwarf import task")
                    labs.add(name)
        return "\n".join(lines), labs

    def _write_down(self, name: str, value: Any) -> None:
        """A plain value, as an assignment."""
        text = repr(value)
        if isinstance(value, _REPRESENTED):
            self.imports.add("import datetime as _datetime")
            text = re.sub(r"\bdatetime\.", "_datetime.", text)
        elif isinstance(value, decimal.Decimal):
            self.imports.add("import decimal as _decimal")
            text = f"_decimal.{text}"
        elif isinstance(value, re.Pattern):
            self.imports.add("import re as _re")
            text = f"_re.compile({value.pattern!r}, {int(value.flags)})"
        elif not _is_literal(value, text):
            self._refuse(f"{name} is a {type(value).__name__}: make it inside the task, or read it from a file there")
            return
        if len(text) > LARGEST:
            self._refuse(f"{name} is too large to be written down ({len(text):,} characters): read it from a file")
            return
        self.parts.append(f"{name} = {text}")

    def _refuse(self, why: str) -> None:
        problem = f"{self._by}: {why}"
        if problem not in self.problems:
            self.problems.append(problem)


# ------------------------------------------------------------------ what a piece of code names


def _needed_by(value: Any, tree: Any) -> set[str]:
    """The names that a function or a class looks up: in its code, and where it is defined."""
    found = _names_of_code(value)
    heads: list[Any] = [*getattr(tree, "decorator_list", []), *getattr(tree, "bases", [])]
    for part in ast.walk(tree):
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
            arguments = part.args
            heads += [*arguments.defaults, *(each for each in arguments.kw_defaults if each), part.returns]
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            heads += [each.annotation for each in every if each is not None]
            heads += part.decorator_list
    if isinstance(tree, ast.ClassDef):
        heads += tree.body  # its assignments and annotations are made where it is defined
    inside = {tree.name, *(each.name for each in getattr(tree, "body", []) if hasattr(each, "name"))}
    read = [each for head in heads if head is not None for each in ast.walk(head) if isinstance(each, ast.Name)]
    named = {each.id for each in read if isinstance(each.ctx, ast.Load)}
    return (found | {name for name in named if name not in _made_in(tree)}) - inside


def _made_in(tree: Any) -> set[str]:
    """The names that a piece of code makes for itself."""
    made = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)}
    return made | {each.arg for each in ast.walk(tree) if isinstance(each, ast.arg)}


def _codes(value: Any) -> Iterator[CodeType]:
    if isinstance(value, FunctionType):
        yield value.__code__
    elif isinstance(value, type):
        for member in vars(value).values():
            inner = getattr(member, "fget", None) or code_of(member)
            if isinstance(inner, FunctionType) and inner.__module__ == value.__module__:
                yield inner.__code__


def _inside(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _inside(constant)


def _names_of_code(value: Any) -> set[str]:
    found: set[str] = set()
    for code in (inner for outer in _codes(value) for inner in _inside(outer)):
        found.update(str(each.argval) for each in dis.get_instructions(code) if each.opname in _LOADS)
    for code in _codes(value):
        found.update(name for name in code.co_freevars if name != "__class__")
    return found


def _constants(value: Any) -> Iterator[str]:
    for code in (inner for outer in _codes(value) for inner in _inside(outer)):
        yield from (constant for constant in code.co_consts if isinstance(constant, str))


def _seen_by(value: Any) -> dict[str, Any]:
    """What the names of a function or a class stand for: globals, and the names of functions around it."""
    if isinstance(value, type):
        methods = [each for each in map(code_of, vars(value).values()) if isinstance(each, FunctionType)]
        own = [each for each in methods if each.__module__ == value.__module__]
        seen = dict(vars(sys.modules[value.__module__])) if value.__module__ in sys.modules else {}
        for method in own:
            seen.update(_seen_by(method))
        return seen
    seen = dict(value.__globals__)
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=False):
        try:
            seen[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return seen


# ------------------------------------------------------------------ sources


def _source_of(value: Any) -> str | None:
    try:
        return textwrap.dedent(inspect.getsource(value)).strip("\n")
    except (OSError, TypeError):
        return _class_in_cells(value) if isinstance(value, type) else None


def _class_in_cells(value: type) -> str | None:
    """The source of a class among the cells that were run, the last one of its name."""
    names = vars(sys.modules.get(value.__module__, builtins))
    for cell in reversed(names.get("In") or []):
        try:
            body = ast.parse(cell).body
        except SyntaxError:  # a cell with magic
            continue
        for each in body:
            if isinstance(each, ast.ClassDef) and each.name == value.__name__:
                first = min([each.lineno, *(decorator.lineno for decorator in each.decorator_list)])
                return "\n".join(cell.splitlines()[first - 1 : each.end_lineno])
    return None


def _is_installed(module: str) -> bool:
    """Whether a module is there wherever its distribution is installed: it is no cell, and no file beside one."""
    root = module.partition(".")[0]
    return root in sys.stdlib_module_names - {"__main__"} or root == "dwarf" or root in packages_distributions()


def _shortest(module: str, name: str, value: Any) -> str:
    """The shortest package that shows the value under its name."""
    parts = module.split(".")
    for count in range(1, len(parts)):
        package = ".".join(parts[:count])
        if getattr(sys.modules.get(package), name, None) is value:
            return package
    return module


def _is_literal(value: Any, text: str) -> bool:
    try:
        return bool(ast.literal_eval(text) == value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False


def _equal(one: Any, other: Any) -> bool:
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # noqa: BLE001 - what cannot be compared is not the same
        return False
