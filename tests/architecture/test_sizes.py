"""A reader should see a file and a function whole: limits of length, and a list of exceptions that may only shrink."""

from __future__ import annotations

import ast

from tests.architecture.repository import ROOT, modules, relative

FILE_LINES = 600
FUNCTION_LINES = 60

# Each entry says why. A file is named by its path, a function by "path::name".
EXCEPTIONS: dict[str, str] = {}


def measure() -> dict[str, int]:
    """Everything over its limit, with its length."""
    over: dict[str, int] = {}
    for path in modules():
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        if lines > FILE_LINES:
            over[relative(path)] = lines
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    over[f"{relative(path)}::{node.name}"] = length
    return over


def test_files_and_functions_are_short() -> None:
    over = {name: lines for name, lines in measure().items() if name not in EXCEPTIONS}
    assert not over, f"longer than {FILE_LINES} lines a file or {FUNCTION_LINES} a function: {over}"


def test_no_exception_is_out_of_date() -> None:
    needless = EXCEPTIONS.keys() - measure().keys()
    assert not needless, f"short enough by now, so take them off the list: {sorted(needless)}"


def test_the_package_is_measured() -> None:
    assert ROOT / "dwarf" / "errors.py" in modules()
