"""Looking back, as its reader meets it in a real JupyterLab: tables, timelines, a diff, a trace, and metrics that move."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nbformat
import pytest

from tests.notebook.labdriver import lab_page

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = "05-looking-back.ipynb"
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

METRICS = """
from dwarf import END, Flow
from dwarf.notebook import Lab

lab = Lab("memory", trace=True)


@lab.task
async def work(flow: Flow) -> None:
    pass


graph = lab.graph("busy").add_node("Work", work).add_transition("Work", END)
lab.metrics()
"""
LATER = """
for _ in range(5):
    lab.start(graph, show=False).wait()
"""


@pytest.fixture
def env() -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {"PYTHONPATH": paths, "DWARF_ANSWERS": '{"*": "default"}'}


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_the_notebook_that_looks_back(theme: str, tmp_path: Path, shots: Path, env: dict[str, str]) -> None:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    shutil.copy(ROOT / "notebooks" / NOTEBOOK, folder)
    with lab_page(folder, tmp_path, NOTEBOOK, theme=theme, env=env) as lab:
        lab.run_all()
        lab.wait_all()
        assert lab.errors() == []
        told = lab.page.locator(".dwarf-diff").last.text_content()
        assert "Final state" in told
        assert "refused" in told
        assert lab.page.locator(".dwarf-metrics").last.is_visible()
        name = f"looking-back-{theme.rsplit(maxsplit=1)[-1].lower()}"
        for cell in ("first.timeline()", "first.diff(", "lab.trace(", "lab.metrics("):
            number = lab.find_cell(cell)
            lab.shot(shots / f"{name}-{number:02d}.png", number)


def test_the_metrics_move_by_themselves_and_stay_when_saved(tmp_path: Path, shots: Path, env: dict[str, str]) -> None:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in (METRICS, LATER, "lab.close()")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "metrics.ipynb")
    with lab_page(folder, tmp_path, "metrics.ipynb", env=env) as lab:
        lab.run_cell(0)
        table = lab.page.locator(".dwarf-metrics")
        table.wait_for(timeout=120_000)
        assert "steps executed" not in table.text_content()
        lab.run_cell(1)
        lab.page.locator(".dwarf-metrics tr:has-text('Work, completed')").wait_for(timeout=120_000)
        row = table.locator("tr:has-text('flows started')")
        row.locator("td:has-text('5')").first.wait_for(timeout=120_000)
        lab.shot(shots / "metrics.png")
        lab.run_cell(2)
        lab.save()
        assert lab.errors() == []
    saved = nbformat.read(folder / "metrics.ipynb", as_version=4)
    (output,) = saved.cells[0].outputs
    assert "Work, completed" in output["data"]["text/html"]
    assert "steps_executed" in output["data"]["text/plain"]
