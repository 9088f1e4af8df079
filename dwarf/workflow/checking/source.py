"""The syntax trees of functions, found in the text of the file or cell that defines them."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any, TypeAlias

Tree: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

__all__ = ["Tree", "function_of", "names_of", "tree_of"]


def function_of(task: Any) -> FunctionType | None:
    """The Python function that a call of the task runs as it is, or None where something stands in between."""
    while isinstance(task, functools.partial):
        task = task.func
    if inspect.ismethod(task):
        task = task.__func__
    if not isinstance(task, FunctionType):
        task = getattr(getattr(type(task), "__call__", None), "__func__", getattr(type(task), "__call__", None))  # noqa: B004
    if not isinstance(task, FunctionType) or hasattr(task, "__wrapped__"):
        return None
    return task


def tree_of(function: FunctionType) -> Tree | None:
    """The definition of a function; None where its text is not there, or is not the one that it was compiled from."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines:
        return None
    found = [tree for tree in _defined_at("".join(lines), code.co_firstlineno) if _is_of(tree, code)]
    if len(found) > 1:  # lambdas in one line
        found = [tree for tree in found if _holds(tree, code)]
    return found[0] if len(found) == 1 else None


def _holds(tree: Tree, code: CodeType) -> bool:
    """Whether all of a function's instructions were compiled from the text of this definition."""
    body = tree.body[0] if isinstance(tree.body, list) else tree.body
    last = tree.body[-1] if isinstance(tree.body, list) else tree.body
    first, end = (body.lineno, body.col_offset), (last.end_lineno or 0, last.end_col_offset or 0)
    places = [place for place in code.co_positions() if None not in place and place[2] != place[3]]
    return bool(places) and all(
        first <= (line, column) and (end_line, end_column) <= end
        for line, end_line, column, end_column in places
        if line is not None and end_line is not None and column is not None and end_column is not None
    )


def names_of(function: FunctionType) -> dict[str, Any]:
    """What the names in a function's body stand for, as far as they are defined outside of it."""
    names = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            names.pop(name, None)
    return names


@functools.lru_cache(maxsize=256)
def _definitions(text: str) -> dict[int, list[Tree]]:
    """Every function and lambda of a text, by the line in which it begins, its decorators included."""
    found: dict[int, list[Tree]] = {}
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return found
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
            line = min([node.lineno, *(decorator.lineno for decorator in decorators)])
            found.setdefault(line, []).append(node)
    return found


def _defined_at(text: str, line: int) -> list[Tree]:
    return _definitions(text).get(line, [])


def _is_of(tree: Tree, code: CodeType) -> bool:
    """Whether a definition is the one that a function was compiled from, as far as can be told."""
    name = "<lambda>" if isinstance(tree, ast.Lambda) else tree.name
    args = tree.args
    parameters = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    count = code.co_argcount + code.co_kwonlyargcount
    if name != code.co_name or [one.arg for one in parameters] != list(code.co_varnames[:count]):
        return False
    texts = set(_texts(code))
    written = {node.value for node in _body(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    docstring = None if isinstance(tree, ast.Lambda) else ast.get_docstring(tree, clean=False)
    return all(text in texts or text == docstring or len(text) > 100 for text in written)


def _body(tree: Tree) -> Iterator[ast.AST]:
    for statement in tree.body if isinstance(tree.body, list) else [tree.body]:
        for node in ast.walk(statement):
            if not isinstance(node, ast.JoinedStr | ast.AnnAssign):
                yield node


def _texts(code: CodeType) -> Iterator[str]:
    for constant in (*code.co_consts, *code.co_names, *code.co_varnames):
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, CodeType):
            yield from _texts(constant)
        elif isinstance(constant, tuple | frozenset):
            yield from (item for item in constant if isinstance(item, str))
