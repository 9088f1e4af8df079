"""Labs in a real kernel without a front end, as nbmake, nbconvert and papermill run it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def execute(cells: list[str] | Any, folder: Path, **variables: str) -> Any:
    """Run cells in a kernel; a cell may fail. Returns the executed notebook."""
    notebook = cells
    if isinstance(cells, list):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(
        notebook, timeout=90, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(folder)}}
    )
    env = {name: value for name, value in os.environ.items() if name != "DWARF_ANSWERS"}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), env.get("PYTHONPATH", "")])
    client.execute(env={**env, **variables})
    return notebook


def outputs(notebook: Any, number: int) -> list[Mapping[str, Any]]:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return list(code[number].outputs)


def text(notebook: Any, number: int) -> str:
    parts = []
    for output in outputs(notebook, number):
        if output.output_type == "error":  # type: ignore[attr-defined]
            parts.append(f"{output.ename}: {output.evalue}")  # type: ignore[attr-defined]
        parts.append(output.get("text") or output.get("data", {}).get("text/plain", ""))
    return "\n".join(parts)


ASK = """
from dwarf import END
from dwarf.notebook import Lab
lab = Lab("memory", prompt_grace=1.5)
ask = lambda flow: {"count": flow.interrupt({"title": "How many?", "schema": int, "default": 3})}
graph = lab.graph("asking").add_node("Ask", ask).add_transition("Ask", END)
"""


def test_the_quickstart_runs_without_a_person(tmp_path: Path) -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "01-quickstart.ipynb", as_version=4)
    execute(notebook, tmp_path, DWARF_ANSWERS='{"*": "default"}')
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    faults = [output for cell in code for output in cell.outputs if output.output_type in ("error",)]
    assert not faults
    assert not [output for cell in code for output in cell.outputs if output.get("name") == "stderr"]
    pictures = [output.data for cell in code for output in cell.outputs if "image/svg+xml" in output.get("data", {})]
    assert len(pictures) == 3  # the graph, the run, the timeline
    assert 'data-state="completed"' in pictures[1]["image/svg+xml"]
    assert "application/vnd.jupyter.widget-view+json" not in pictures[1]
    assert "handled" in pictures[1]["text/plain"]
    tables = [
        output.data["text/plain"] for cell in code for output in cell.outputs if "text/html" in output.get("data", {})
    ]
    assert any("hardest function" in table for table in tables)
    assert any("_asyncio" in table for table in tables)


NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("file", NOTEBOOKS, ids=[file.stem for file in NOTEBOOKS])
def test_notebooks_are_valid_and_told_of(file: Path) -> None:
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert f"`{file.name}`" in (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")


def test_a_question_that_nobody_sees_is_told(tmp_path: Path) -> None:
    done = execute(
        [
            ASK,
            "run = lab.start(graph)",
            "await run",
            "run.wait()",
            "run.answer(5)",
            "outcome = await run; outcome.state['count']",
            "run",
            "graph",
        ],
        tmp_path,
    )
    assert "PromptNeedsHuman" in text(done, 2)
    assert "no front end" in text(done, 2)
    assert "await run" in text(done, 3)
    assert "click" not in text(done, 3)
    assert "PromptNeedsHuman" in text(done, 3)
    assert text(done, 4) == ""
    assert text(done, 5).strip() == "5"
    (shown,) = outputs(done, 1)
    assert set(shown["data"]) == {"image/svg+xml", "text/plain"}  # replaced when the run had ended
    assert "How many? 5" in shown["data"]["image/svg+xml"]
    (again,) = outputs(done, 6)
    assert "completed" in again["data"]["text/plain"]
    assert set(outputs(done, 7)[0]["data"]) == {"image/svg+xml", "text/plain"}


def test_a_run_is_displayed_once_in_its_cell_and_prints_nothing(tmp_path: Path) -> None:
    done = execute(
        [
            ASK,
            "run = lab.start(graph, show=True)\nrun",
            "run",
            "lab.start(graph, show=False).wait().status",
            "await lab.run(graph)",
        ],
        tmp_path,
        DWARF_ANSWERS='{"*": "default"}',
    )
    assert len(outputs(done, 1)) == 1
    assert len(outputs(done, 2)) == 1
    assert "COMPLETED" in text(done, 3).upper()
    assert any("image/svg+xml" in output.get("data", {}) for output in outputs(done, 4))
    assert "completed\n  count  3" in text(done, 4)


def test_the_magic(tmp_path: Path) -> None:
    done = execute(
        [
            ASK,
            "%dwarf",
            "run = lab.start(graph, show=False)",
            "%dwarf show {run.key}",
            "run.cancel()",
        ],
        tmp_path,
    )
    assert "inbox" in text(done, 1)
    assert "asking" in text(done, 3)
    assert text(done, 4) == ""


OF_ITS_OWN = """
import json, pathlib
from dwarf import END, Flow
from dwarf.notebook import Lab
lab = Lab("flows.db", answers={})
@lab.task
def ask(flow: Flow) -> dict:
    return {"answer": flow.interrupt({"title": "Go?"})}
@lab.task
def load() -> dict:
    return {"by": %r}
graph = lab.graph("loading").add_node("Ask", ask).add_node("Load", load).add_chain("Ask", "Load", END)
"""
BEGIN = """
runs = [lab.start(graph) for _ in range(5)]
pathlib.Path("%s.json").write_text(json.dumps([run.key for run in runs]))
"""
ANSWER = """
import time
for name in ("a", "b"):
    for key in json.loads(pathlib.Path(f"{name}.json").read_text()):
        run = lab.get(key)
        while not run.prompts and run.status == "running":
            time.sleep(0.05)
        run.answer("go")
"""
WAIT = """
[lab.get(key).wait(60).state["by"] for key in json.loads(pathlib.Path("%s.json").read_text())]
"""


def test_two_notebooks_on_one_file_run_their_own_functions(tmp_path: Path) -> None:
    """Both have tasks of the same names; they are closed, and opened again, the later one first."""

    def run(name: str, *cells: str) -> Any:
        return execute([OF_ITS_OWN % name, *cells], tmp_path, JPY_SESSION_NAME=str(tmp_path / f"{name}.ipynb"))

    for name in "ab":
        run(name, BEGIN % name)
    first, second = "b", "a"
    done = run(first, ANSWER, WAIT % first)  # the flows of the other one have their answers, and go on when it is there
    assert text(done, 2) == str([first] * 5), text(done, 1)
    done = run(second, WAIT % second)
    assert text(done, 1) == str([second] * 5)


def test_a_renamed_notebook_says_what_to_write_and_goes_on(tmp_path: Path) -> None:
    """Its flows wait; the line that the message names brings them on, and so does the alias of a moved function."""

    def run(name: str, *cells: str) -> Any:
        return execute([*cells], tmp_path, JPY_SESSION_NAME=str(tmp_path / f"{name}.ipynb"))

    run("draft", OF_ITS_OWN % "draft", BEGIN % "draft")
    answer = ANSWER.replace('("a", "b")', '("draft",)')
    wait_for = """
import time
key, told = json.loads(pathlib.Path("draft.json").read_text())[0], ""
until = time.monotonic() + 60
while %r not in told and time.monotonic() < until:
    try:
        lab.get(key).wait(0)
    except TimeoutError as error:
        told = str(error)
print(told)
"""
    told = text(run("final", OF_ITS_OWN % "final", answer, wait_for % "draft.ask"), 2)
    assert "waits for a process that knows 'draft.ask', and here is 'final.ask'" in told
    moved = (OF_ITS_OWN % "moved").replace("@lab.task", "@lab.task(aliases=['draft.ask'])", 1)
    assert "knows 'draft.load', and here is 'final.load'" in text(run("final", moved, wait_for % "draft.load"), 1)
    (line,) = re.findall(r"write (__dwarf_scope__ = '\w+') at its top", told)
    done = run("final", line, OF_ITS_OWN % "final", WAIT % "draft")
    assert text(done, 2) == str(["final"] * 5), text(done, 1)
