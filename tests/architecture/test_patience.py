"""No test asserts an absolute time, and none loses its patience early."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT, files, relative

CLOCKS = frozenset({"time", "monotonic", "perf_counter", "process_time", "thread_time", "time_ns", "perf_counter_ns"})
LEAST_PATIENCE_S = 60
MOST_PROVOKED_S = 2  # a time-out that a test is about
TESTS = [path for path in files() if path.suffix == ".py" and path.is_relative_to(ROOT / "tests")]


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_timed(node: ast.AST, timed: set[str]) -> bool:
    """Whether an expression is made of a clock's reading, or of a name that was."""
    return any(
        (isinstance(each, ast.Call) and _name(each.func) in CLOCKS) or (isinstance(each, ast.Name) and each.id in timed)
        for each in ast.walk(node)
    )


def _timed_names(function: ast.AST) -> set[str]:
    timed: set[str] = set()
    for _ in range(3):  # what is made of what is made of a reading
        for node in ast.walk(function):
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
                if _is_timed(node.value, timed):
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    timed |= {_name(target) for target in targets} - {""}
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
                is_timed = any(_is_timed(argument, timed) for argument in node.args)
                timed |= {_name(node.func.value)} - {""} if is_timed else set()
    return timed


def _is_bound(node: ast.AST) -> bool:
    """A number, or a name in capitals, or what is computed from these alone."""
    names = [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
    return all(name.isupper() for name in names) and not any(isinstance(each, ast.Call) for each in ast.walk(node))


def bounds_of_time(tree: ast.AST) -> Iterator[int]:
    """The lines of assertions that something took less than an absolute time. Loops that wait may have a limit."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        timed = _timed_names(function)
        for node in ast.walk(function):
            if not isinstance(node, ast.Assert) or not isinstance(node.test, ast.Compare) or len(node.test.ops) != 1:
                continue
            left, (operator,), (right,) = node.test.left, node.test.ops, node.test.comparators
            if isinstance(operator, ast.Gt | ast.GtE):
                left, right = right, left
            elif not isinstance(operator, ast.Lt | ast.LtE):
                continue
            if _is_timed(left, timed) and _is_bound(right):
                yield node.lineno


def _seconds(node: ast.AST, constants: dict[str, float]) -> float:
    """A number, a constant of the module, or a sum of such; 0 where it cannot be told."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _seconds(node.left, constants) + _seconds(node.right, constants)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    return constants.get(_name(node), 0.0)


def short_patience(tree: ast.Module) -> Iterator[int]:
    """The lines of ``asyncio.timeout``, ``wait_for`` and waits of threads that a busy machine may well exceed."""
    constants = {
        _name(target): float(node.value.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(node.value.value, int | float)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called, given = ast.unparse(node.func), node.args[1:2]
        if called == "asyncio.timeout":
            given = node.args[:1]
        elif called != "asyncio.wait_for" and not (called == "asyncio.to_thread" and _name(node.args[0]) == "wait"):
            continue
        if given and MOST_PROVOKED_S < _seconds(given[0], constants) < LEAST_PATIENCE_S:
            yield node.lineno


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_no_test_loses_its_patience_early(path: Path) -> None:
    assert list(short_patience(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_short_patience_is_found() -> None:
    tree = ast.parse(
        """
SOON = 15.0
LONG = 60
async def test_one():
    async with asyncio.timeout(SOON):
        await asyncio.wait_for(flow, 30)
    async with asyncio.timeout(SOON + LONG):
        await asyncio.to_thread(began.wait, 10)
    async with asyncio.timeout(0.01):
        await asyncio.wait_for(flow, LONG)
"""
    )
    assert sorted(short_patience(tree)) == [5, 6, 8]


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_no_test_has_a_bound_of_time(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert list(bounds_of_time(tree)) == []


def test_such_bounds_are_found() -> None:
    tree = ast.parse(
        """
def test_one():
    begun = time.monotonic()
    took = time.monotonic() - begun
    assert took < 5
    assert time.monotonic() - begun < LIMIT_S
    assert took < 3 * other
    assert took >= 1
    many.append(took)
    assert 2.5 >= max(many)
"""
    )
    assert list(bounds_of_time(tree)) == [5, 6, 10]
