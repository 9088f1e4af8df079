"""The quickstart as its reader meets it: a real JupyterLab, run all, answer by clicking, look."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nbformat
import pytest

from tests.notebook.labdriver import lab_page

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = "01-quickstart.ipynb"
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Where pictures of the pages go: DWARF_SHOTS, so that they can be kept and looked at."""
    return Path(os.environ.get("DWARF_SHOTS", tmp_path / "shots"))


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.delenv("DWARF_ANSWERS", raising=False)
    return {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def kernel() -> str:
    """The name of the kernel to run in, so that older ones can be tried: DWARF_KERNEL."""
    return os.environ.get("DWARF_KERNEL", "python3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "notebooks"
    made.mkdir()
    return made


def write(folder: Path, name: str, *cells: str) -> str:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, folder / name)
    return name


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_the_quickstart(
    theme: str, tmp_path: Path, folder: Path, shots: Path, env: dict[str, str], kernel: str
) -> None:
    shutil.copy(ROOT / "notebooks" / QUICKSTART, folder)
    name = f"quickstart-{theme.rsplit(maxsplit=1)[-1].lower()}"
    with lab_page(folder, tmp_path, QUICKSTART, theme=theme, env=env, kernel=kernel) as lab:
        lab.run_all()
        card = lab.page.locator(".dwarf-card")
        card.wait_for(timeout=60_000)
        started = lab.find_cell("lab.start(")
        assert lab.prompt(started + 1) == "[*]:"  # `await run` waits
        measure = lab.page.locator('.dwarf-node:has-text("Measure")').last
        assert measure.get_attribute("data-state") == "completed"
        assert "handled" in measure.text_content()
        card.scroll_into_view_if_needed()
        lab.shot(shots / f"{name}-asks.png")

        field = card.get_by_label("Threshold")
        assert field.input_value() == "20"
        field.fill("25")
        card.get_by_role("button", name="Send").click()
        lab.wait_all()
        assert lab.errors() == []
        assert "completed with" in lab.output(started + 1)
        lab.page.locator(".jp-RenderedSVG img").nth(1).wait_for()  # the live view has become a picture
        assert lab.page.locator(".dwarf-card").count() == 0
        lab.shot(shots / f"{name}-done.png", started)
        lab.save()

    saved = nbformat.read(folder / QUICKSTART, as_version=4)
    code = [cell for cell in saved.cells if cell.cell_type == "code"]
    (kept,) = code[started].outputs
    assert set(kept.data) == {"image/svg+xml", "text/plain"}
    assert "25" in kept.data["image/svg+xml"]


DEFINE = """
from dwarf import END
from dwarf.notebook import Lab
lab = Lab("memory")
ask = lambda flow: {"name": flow.interrupt({"title": "Name?", "schema": {"type": "string", "pattern": "^[a-z]+$"}})}
graph = lab.graph("naming").add_node("Ask", ask).add_transition("Ask", END)
run = lab.start(graph)
"""


def test_wrong_answers_the_stop_button_and_answers_by_call(
    tmp_path: Path, folder: Path, shots: Path, env: dict[str, str], kernel: str
) -> None:
    name = write(
        folder, "ask.ipynb", DEFINE, "outcome = await run", "await run; print(run.result)", "run.answer('carol')"
    )
    with lab_page(folder, tmp_path, name, env=env, kernel=kernel) as lab:
        lab.run_all()
        card = lab.page.locator(".dwarf-card")
        card.wait_for(timeout=60_000)

        lab.page.wait_for_timeout(500)
        lab.interrupt()  # ends the waiting of the cell, and not the flow
        lab.wait_cell(1, 5)
        assert "Interrupt" in lab.output(1) or "Cancelled" in lab.output(1)
        assert card.get_by_role("button", name="Send").is_enabled()

        lab.run_cell(2, wait=False)
        field = card.locator("input")
        field.evaluate("node => node.removeAttribute('pattern')")  # past the browser's own check
        field.fill("BOB")
        card.get_by_role("button", name="Send").click()
        alert = card.get_by_role("alert")
        alert.filter(has_text="BOB").wait_for(timeout=20_000)
        lab.shot(shots / "refused.png", 0)
        assert field.input_value() == "BOB"
        field.fill("bob")
        field.press("Enter")
        lab.wait_cell(2, 30)
        assert "'name': 'bob'" in lab.output(2)


def test_a_blocked_kernel_does_not_stop_flows_and_a_card_closes_from_code(
    tmp_path: Path, folder: Path, shots: Path, env: dict[str, str], kernel: str
) -> None:
    cells = [
        DEFINE,
        "import time\ntime.sleep(3)",
        "run.answer('carol')\nprint(run.wait(20).status)",
        "print(len(run.history))",
    ]
    name = write(folder, "blocked.ipynb", *cells)
    with lab_page(folder, tmp_path, name, env=env, kernel=kernel) as lab:
        lab.run_all()
        lab.page.locator(".dwarf-card").wait_for(timeout=60_000)
        assert lab.prompt(1) in ("[*]:", "[2]:")
        lab.wait_all()
        assert lab.errors() == []
        lab.page.locator(".dwarf-card").wait_for(state="detached", timeout=10_000)
        lab.page.locator(".jp-RenderedSVG img").first.wait_for()
        lab.shot(shots / "answered-from-code.png", 0)


FAILS = """
from dwarf import END
from dwarf.notebook import Lab
lab = Lab("memory")
measure = lambda item: {"share": 100 / item}
graph = lab.graph("<script>alert(1)</script>").add_node("Prepare", lambda: {"item": 0}).add_node("Measure", measure)
graph.add_chain("Prepare", "Measure", END)
run = lab.start(graph)
"""


def test_a_failed_node_is_opened_and_forked_from_the_page(
    tmp_path: Path, folder: Path, shots: Path, env: dict[str, str], kernel: str
) -> None:
    cells = [FAILS, "outcome = await run", "found = lab.flows()\nprint(list(found.status))"]
    name = write(folder, "fails.ipynb", *cells)
    with lab_page(folder, tmp_path, name, env=env, kernel=kernel) as lab:
        lab.run_cell(0)
        lab.run_cell(1)
        view = lab.cell(0).locator(".dwarf-run").first
        node = view.locator('[data-name="Measure"][data-state="failed"]')
        node.wait_for(timeout=60_000)
        node.focus()
        node.press("Enter")
        panel = view.get_by_role("region", name="Measure, details")
        panel.locator(".dwarf-trouble", has_text="division by zero").wait_for()
        panel.get_by_text("Traceback", exact=True).click()
        assert "ZeroDivisionError" in panel.locator("details pre").first.inner_text()
        lab.shot(shots / "failed-panel.png", 0)

        panel.get_by_role("button", name="Fork from here…").click()
        panel.locator(".dwarf-code").fill('{"item": 8}')
        panel.get_by_role("button", name="Start the fork").click()
        panel.get_by_text("A new run goes on from").wait_for()
        beneath = lab.cell(0).locator(".jp-RenderedSVG img")  # it has completed: a still picture under the first view
        beneath.wait_for()
        lab.shot(shots / "forked.png", 0)
        view.get_by_role("button", name="Keep as picture").click()
        beneath.nth(1).wait_for()
        lab.run_cell(2)
        assert "'completed', 'failed'" in lab.output(2)
        assert lab.errors() == []
        lab.save()

    saved = nbformat.read(folder / name, as_version=4)
    kept = [output.data for output in saved.cells[0].outputs]
    assert [set(data) for data in kept] == [{"image/svg+xml", "text/plain"}] * 2
    assert 'data-state="failed"' in kept[0]["image/svg+xml"]
    assert "<script" not in kept[0]["image/svg+xml"]
    assert 'data-state="failed"' not in kept[1]["image/svg+xml"]
