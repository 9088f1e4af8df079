"""The graphs of the notebooks are right ones: nothing that a check finds would be right to find. No task is run."""

from __future__ import annotations

import ast
import json
import linecache
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import dwarf
from dwarf import Graph
from tests.architecture.repository import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DEFINING = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class StandIn:
    """A lab that marks tasks and makes graphs, and runs nothing."""

    def __init__(self, *args: Any, **options: Any) -> None: ...

    def task(self, function: Any = None, **options: Any) -> Any:
        return dwarf.task(**options) if function is None else dwarf.task(function)

    def graph(self, name: str, **options: Any) -> Graph:
        return Graph(name, **options)


def defines(statement: ast.stmt) -> bool:
    """Whether a statement belongs to what a graph is made of."""
    if isinstance(statement, DEFINING):
        return True
    text = ast.unparse(statement)
    if "await" in text:
        return False
    if isinstance(statement, ast.Assign) and "raph(" not in text:
        return "Lab(" in text or not any(isinstance(part, (ast.Call, ast.Await)) for part in ast.walk(statement))
    return isinstance(statement, (ast.Assign, ast.Expr, ast.For)) and ("raph(" in text or ".add_" in text)


def graphs_of(path: Path) -> dict[str, Graph]:
    """The graphs of a notebook's cells, and of the modules that it writes, by name."""
    names: dict[str, Any] = {"__name__": path.stem.replace("-", "_")}
    found: dict[str, Graph] = {}
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or (source.startswith("%%") and not source.startswith("%%writefile")):
            continue
        lines = ["" if line.startswith(("%", "!")) else line for line in source.splitlines(keepends=True)]
        file = f"{path.name}[{number}]"
        linecache.cache[file] = (len(source), None, lines, file)
        for statement in ast.parse("".join(lines)).body:
            if defines(statement):
                with suppress(NameError, ModuleNotFoundError):  # of a run, or a module in a folder, which are not there
                    exec(compile(ast.Module([statement], []), file, "exec"), names)
        found.update({f"{key}[{number}]": value for key, value in names.items() if isinstance(value, Graph)})
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_is_found_in_the_graphs_of_the_notebooks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dwarf.notebook.Lab", StandIn)
    monkeypatch.setattr("dwarf.Lab", StandIn, raising=False)
    graphs = graphs_of(path)
    assert graphs
    assert not {name: [str(one) for one in graph.check()] for name, graph in graphs.items() if graph.check()}
