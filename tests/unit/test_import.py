"""What `import dwarf` gives, loads and costs."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dwarf
import dwarf.errors

HEAVY = (
    "IPython", "aiosqlite", "anywidget", "asyncio", "ipywidgets", "jsonschema", "networkx", "numpy", "opentelemetry",
    "pandas", "pydantic", "re2", "referencing", "sqlalchemy",
)  # fmt: skip


ROOT = Path(dwarf.__file__).parents[1]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )


@pytest.mark.parametrize("statement", ["import dwarf", "import dwarf.workflow", "from dwarf import Graph, Flow, task"])
def test_nothing_heavy_is_loaded(statement: str) -> None:
    code = f"import sys; {statement}; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert python("-c", code).stdout.strip() == "[]"


def test_building_and_running_a_task_by_hand_stays_light() -> None:
    code = f"""
import sys
from dwarf import END, Flow, Graph, Reducer, task

@task
def add(flow: Flow, n: int) -> dict:
    return {{"n": n + 1}}

Graph("g", reducers={{"n": Reducer.ADD}}).add_node("Add", add).add_transition("Add", END).to_json()
flow = Flow({{"n": 1}})
assert flow.get_as("n", int) == 1
flow["x"] = [flow["n"], {{"a": 1.5}}]
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    assert python("-c", code).stdout.strip() == "[]"


def test_the_exported_names() -> None:
    assert dwarf.__all__ == [
        "END", "Answered", "Cache", "ConditionError", "ConfigError", "Display", "DwarfError", "EngineClosed", "Finding", "Flow", "FlowCancelled", "FlowFailed",
        "FlowInterrupted", "FlowNotFound", "FlowStopped", "FlowSummary", "FlowUpdate", "Graph", "GraphError",
        "GraphNotFound", "GraphWarning", "InterruptTimeout", "InvalidRequest", "Limit", "LogLine", "Node", "NotFound", "Outcome", "Parked",
        "PromptNeedsHuman", "Reducer", "ReducerError", "Retry", "StateConflict", "StateError", "Status", "Step", "StepNotFound",
        "StorageError", "SubFlow", "SubgraphFailed", "TaskError", "TaskNotFound", "ThreadNotFound", "Transition",
        "WaitTimeout", "WorkerLost", "__version__", "choose", "each", "register_type", "rescue", "task", "together",
    ]  # fmt: skip
    assert set(dwarf.errors.__all__) <= set(dwarf.__all__)
    assert all(hasattr(dwarf, name) for name in dwarf.__all__)


def test_the_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+([ab.]\S+)?", dwarf.__version__)


def test_a_star_import_brings_the_exported_names() -> None:
    names: dict[str, object] = {}
    exec("from dwarf import *", names)
    assert set(dwarf.__all__) <= set(names)


@pytest.mark.parametrize("place", ["dwarf.engine", "dwarf.hosts", "dwarf.notebook", "dwarf.testing"])
def test_a_name_of_a_subpackage_is_answered_with_its_place(place: str) -> None:
    names = importlib.import_module(place).__all__
    assert names
    for name in names:
        hint = f"{name!r} is in {place}: from {place} import {name}"
        with pytest.raises(ImportError, match=f"^{re.escape(hint)}$"):
            exec(f"from dwarf import {name}", {})
        with pytest.raises(AttributeError, match=f"^{re.escape(hint)}$"):
            getattr(dwarf, name)
        assert not hasattr(dwarf, name)


def test_an_unknown_name_is_an_ordinary_error() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Locolhost'"):
        exec("from dwarf import Locolhost", {})
    with pytest.raises(AttributeError, match="module 'dwarf' has no attribute 'Locolhost'"):
        getattr(dwarf, "Locolhost")  # noqa: B009
