"""Rows are read by name and records are made by name, so that a column or a field more moves none of the others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.repository import ROOT, modules, relative

POSITIONAL = 3
STORAGE = ROOT / "dwarf" / "storage"
ELSEWHERE = (STORAGE / "drivers", STORAGE / "migrations")  # there are rows of the database's own
DONE = tuple(ROOT / "dwarf" / package for package in ("core", "storage", "engine"))


def _is_row(node: ast.expr) -> bool:
    """Whether this is a row by its looks: so named, the first of rows, or an answer of a database itself."""
    if isinstance(node, ast.Name):
        return node.id.endswith("row")
    if isinstance(node, ast.Subscript):
        return _is_number(node.slice)
    return isinstance(node, ast.Yield | ast.YieldFrom)


def _is_number(node: ast.expr | None) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


def numbered(tree: ast.AST) -> Iterator[ast.Subscript]:
    """Where a value of a row is taken by a number that is written there."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Subscript) or not _is_row(node.value):
            continue
        parts = (node.slice.lower, node.slice.upper) if isinstance(node.slice, ast.Slice) else (node.slice,)
        if any(_is_number(part) for part in parts):
            yield node


def records(paths: list[Path]) -> set[str]:
    """The names of the dataclasses and named tuples of the package."""
    found: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                marks = [ast.unparse(mark) for mark in (*node.decorator_list, *node.bases)]
                if any(mark.startswith(("dataclass", "NamedTuple")) for mark in marks):
                    found.add(node.name)
    return found


def long_calls(tree: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    """Calls of records with more arguments by position than one can tell apart."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            starred = any(isinstance(argument, ast.Starred) for argument in node.args)
            if len(node.args) > POSITIONAL or starred:
                yield node


def test_no_row_is_read_by_number() -> None:
    found = [
        f"{relative(path)}:{node.lineno}: {ast.unparse(node)}"
        for path in modules()
        if path.is_relative_to(STORAGE) and not any(path.is_relative_to(other) for other in ELSEWHERE)
        for node in numbered(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, "a row is read by the names of a NamedTuple, or unpacked into names: " + "; ".join(found)


def test_no_record_is_made_by_position() -> None:
    names = records(modules())
    assert {"FlowRecord", "StepRecord", "ClaimedRow"} <= names
    found = [
        f"{relative(path)}:{node.lineno}: {node.func.id}"
        for path in modules()
        if any(path.is_relative_to(package) for package in DONE)
        for node in long_calls(ast.parse(path.read_text(encoding="utf-8")), names)
        if isinstance(node.func, ast.Name)
    ]
    assert not found, f"more than {POSITIONAL} arguments of a record are given by name: " + "; ".join(found)


def test_the_rules_find_what_they_forbid() -> None:
    source = "a = row[3]; b = row[0]; c = rows[0][1]; d = row[2:]; e = (yield x)[-1]; f = rows[0]; g = row[name]"
    tree = ast.parse(f"def script():\n    {source}")
    assert [ast.unparse(node) for node in numbered(tree)] == [
        "row[3]",
        "row[0]",
        "rows[0][1]",
        "row[2:]",
        "(yield x)[-1]",
    ]
    calls = ast.parse("One(1, 2, 3); One(1, 2, 3, 4); One(*row); Other(1, 2, 3, 4); One(1, b=2)")
    assert [ast.unparse(node) for node in long_calls(calls, {"One"})] == ["One(1, 2, 3, 4)", "One(*row)"]
