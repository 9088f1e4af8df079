"""Who may import whom, and how little `import dwarf` loads. docs/architecture.md has the table."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.repository import PACKAGE, ROOT, relative

HEAVY = frozenset(
    "IPython aiosqlite anywidget graphviz ipywidgets jsonschema matplotlib networkx numpy opentelemetry "
    "pandas pyarrow pydantic re2 sqlalchemy".split()
)
MOST_MODULES = 75  # that `import dwarf` loads beyond those, its own included
LIGHT_PACKAGES = [PACKAGE / "__init__.py", PACKAGE / "errors.py", *sorted((PACKAGE / "workflow").rglob("*.py"))]


def test_the_packages_keep_the_import_rule() -> None:
    # in a process of its own: the program configures the logging of the one it runs in
    check = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def imported_at_once(body: list[ast.stmt]) -> Iterator[str]:
    """The modules that are imported when the module is, not later inside a function nor only for the type checker."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from imported_at_once(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for block in ("body", "orelse", "finalbody"):
                yield from imported_at_once(getattr(node, block, []))
            for handler in getattr(node, "handlers", []):
                yield from imported_at_once(handler.body)


@pytest.mark.parametrize("path", LIGHT_PACKAGES, ids=relative)
def test_heavy_modules_are_imported_where_they_are_used(path: Path) -> None:
    names = {name.partition(".")[0] for name in imported_at_once(ast.parse(path.read_text(encoding="utf-8")).body)}
    assert not names & HEAVY


def test_importing_dwarf_loads_nothing_heavy() -> None:
    code = "import sys, json, dwarf; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "dwarf" in loaded
    assert not loaded & HEAVY


def test_importing_dwarf_is_quick() -> None:
    """About as long as what every program with tasks imports anyway, measured beside it in the same process."""
    code = (
        "import sys; from time import process_time as now; began = now(); import asyncio, dataclasses, typing, json; "
        "between, known = now(), set(sys.modules); import dwarf; "
        "print((now() - between) / (between - began), len(set(sys.modules) - known))"
    )

    def measure() -> tuple[float, int]:
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        ratio, modules = done.stdout.split()
        return float(ratio), int(modules)

    found = [measure() for _ in range(9)]
    assert min(ratio for ratio, _ in found) < 2  # the best of several: other work on the machine only ever adds
    assert {modules for _, modules in found} <= set(range(MOST_MODULES + 1))
