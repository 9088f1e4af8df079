"""Maps, the inbox and the dashboard in a real JupyterLab."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebook.labdriver import ARGUMENTS, CHROMIUM, lab_page, press
from tests.notebook.test_programs import voila

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens a notebook of these cells in JupyterLab."""
    monkeypatch.delenv("DWARF_ANSWERS", raising=False)
    folder = tmp_path / "notebooks"
    folder.mkdir()
    env = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}

    def open_(*cells: str, theme: str = "JupyterLab Light", height: int = 1200) -> Any:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        nbformat.write(notebook, folder / "lists.ipynb")
        return lab_page(folder, tmp_path, "lists.ipynb", theme=theme, env=env, height=height)

    return open_


DEFINE = """
from datetime import date
from dwarf import END, Flow
from dwarf.notebook import Lab
lab = Lab("memory")

@lab.task
def review(flow: Flow, amount: int) -> dict:
    sure = flow.interrupt({"title": f"Pay {amount} EUR?", "schema": bool, "customer": "Ann <b>Lee</b>"}, timeout=86400)
    return {"paid": sure}

@lab.task
def count(flow: Flow, amount: int) -> dict:
    schema = {"type": "integer", "minimum": 1, "title": "Boxes"}
    return {"boxes": flow.interrupt({"title": f"How many boxes for {amount}?", "schema": schema})}

pay = lab.graph("Pay").add_node("Review", review).add_transition("Review", END)
pack = lab.graph("Pack").add_node("Count", count).add_transition("Count", END)
first = lab.start(pay, {"amount": 120}, show=False)
second = lab.start(pack, {"amount": 7}, show=False)
third = lab.start(pay, {"amount": 80}, show=False)
"""


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_inbox(theme: str, opened: Any, shots: Path, tmp_path: Path) -> None:
    cells = [
        DEFINE,
        "inbox = lab.inbox(); inbox",
        "third.answer(True)",
        "import time; time.sleep(4)",
        "print(first.wait(60).state['paid'], second.wait(60).state['boxes'])",
        "lab.close()",
    ]
    with opened(*cells, theme=f"JupyterLab {theme}") as lab:
        lab.run_cell(0)
        lab.run_cell(1)
        cards = lab.page.locator(".dwarf-inbox .dwarf-card")
        lab.page.wait_for_function("() => document.querySelectorAll('.dwarf-inbox .dwarf-card').length === 3")
        assert lab.page.get_by_role("status").filter(has_text="3 prompts wait for an answer").count() == 1
        dear = cards.filter(has_text="Pay 120 EUR?")  # flows that begin together ask in any order
        assert "left" in dear.locator(".dwarf-clock").inner_text()
        assert dear.get_by_text("Ann <b>Lee</b>").count() == 1
        assert not lab.cell(1).locator("table").is_visible()  # stands in for the widget where there is none
        lab.shot(shots / f"inbox-{theme.lower()}.png", 1)

        lab.run_cell(2)
        cards.filter(has_text="Pay 80 EUR?").filter(has_text="answered elsewhere").wait_for(timeout=120_000)
        lab.run_cell(3, wait=False)  # a cell that blocks does not stop the list
        press(dear.get_by_role("button", name="Approve"), "Enter")
        box = lab.page.get_by_role("spinbutton", name="Boxes")
        cards.filter(has_text="approved").wait_for(timeout=120_000)
        lab.page.wait_for_function("() => document.activeElement.type === 'number'")  # the next question is at hand
        box.evaluate("node => { node.min = -9; }")  # past the browser's own check
        box.fill("0")
        press(box, "Enter")
        alert = cards.get_by_role("alert").filter(has_text="0 is less than 1")
        alert.wait_for(timeout=120_000)
        lab.shot(shots / f"inbox-refused-{theme.lower()}.png", 1)
        box.fill("3")
        press(box, "Enter")
        lab.page.locator(".dwarf-empty", has_text="No prompt waits for an answer.").wait_for(timeout=120_000)
        lab.run_cell(4)
        assert lab.output(4).strip() == "True 3"
        lab.run_cell(5)
        lab.save()
        assert lab.errors() == []
    saved = nbformat.read(tmp_path / "notebooks" / "lists.ipynb", as_version=4)
    assert "No prompt waits for an answer." in saved.cells[1].outputs[-1].data["text/html"]


MAP = """
import pandas as pd, threading
go = threading.Event()

@lab.task
def square(x: int) -> dict:
    if x == 60:
        go.wait(60)
    if x % 10 == 3:
        raise ValueError(f"<i>{x}</i> is unlucky")
    return {"y": x * x}

squares = lab.graph("Squares").add_node("Square", square).add_transition("Square", END)
frame = pd.DataFrame({"x": range(100)}, index=[f"r{i}" for i in range(100)])
rows = lab.map(squares, frame)
"""


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_a_map(theme: str, opened: Any, shots: Path) -> None:
    cells = [DEFINE, MAP, "result = await rows\nresult.status.value_counts().to_dict()", "go.set()"]
    asked = [
        "again = lab.map(pay, [{'amount': 5}]); paid = await again",
        "paid.paid.tolist()",
    ]
    with opened(*cells, *asked, theme=f"JupyterLab {theme}") as lab:
        lab.run_cell(0)
        lab.run_cell(1)
        bar = lab.page.get_by_role("progressbar", name="Squares")
        lab.page.wait_for_function(
            "() => document.querySelector('.dwarf-bar')?.getAttribute('aria-valuenow') === '99'", timeout=120_000
        )
        assert bar.get_attribute("aria-valuemax") == "100"
        assert lab.page.locator(".dwarf-faults").get_by_text("row r3: <i>3</i> is unlucky").count() == 1
        lab.shot(shots / f"map-{theme.lower()}.png", 1)
        lab.run_cell(3)
        lab.run_cell(2)
        assert "'completed': 90" in lab.output(2)
        assert "'failed': 10" in lab.output(2)
        bar.wait_for(state="detached", timeout=120_000)  # a still bar stands in its place
        assert "100 rows in" in lab.output(1)
        lab.shot(shots / f"map-done-{theme.lower()}.png", 1)
        lab.run_cell(4, wait=False)
        lab.cell(4).get_by_role("button", name="Approve").click(timeout=120_000)
        lab.wait_cell(4)
        lab.run_cell(5)
        assert "[True]" in lab.output(5)
        assert lab.errors() == []


BOARD = """
@lab.task
def check(amount: int) -> dict:
    if amount < 0:
        raise ValueError(f"{amount} is no amount")
    return {"checked": amount}

orders = lab.graph("Orders").add_node("Check", check).add_transition("Check", END)
for amount in (*range(1, 22), -5):
    lab.start(orders, {"amount": amount}, show=False).wait(60)
"""


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_dashboard(theme: str, opened: Any, shots: Path, tmp_path: Path) -> None:
    cells = [
        DEFINE,
        BOARD,
        "board = lab.dashboard(); board",
        "lab.start(pay, {'amount': 9}, show=False).key",
        "lab.close()",
    ]
    with opened(*cells, theme=f"JupyterLab {theme}") as lab:
        for number in range(3):
            lab.run_cell(number)
        board = lab.page.get_by_role("region", name="Dashboard")
        board.wait_for(timeout=120_000)
        rows = board.locator("tbody tr")
        assert rows.count() == 20
        assert board.get_by_role("button", name="All 25").get_attribute("aria-pressed") == "true"
        lab.shot(shots / f"dashboard-{theme.lower()}.png", 2)
        board.get_by_role("button", name="Older").click()
        board.get_by_text("Page 2").wait_for(timeout=120_000)
        lab.page.wait_for_function("() => document.querySelectorAll('.dwarf-table tbody tr').length === 5")
        board.get_by_role("button", name="Newer").click()
        board.get_by_text("Page 1").wait_for(timeout=120_000)

        failed = rows.filter(has_text="-5 is no amount")
        press(failed.get_by_role("button", name="Fork"), "Enter")
        board.get_by_label("Changes to the state").fill('{"amount": 55}')
        press(board.get_by_label("Changes to the state"), "Control+Enter")
        beneath = lab.cell(2).locator(".dwarf-picture .dwarf-node")
        beneath.first.wait_for(timeout=120_000)  # the fork is shown beneath
        lab.page.locator('.dwarf-node[data-state="completed"]').first.wait_for(timeout=120_000)
        board.get_by_role("button", name="All 26").wait_for(timeout=120_000)
        lab.shot(shots / f"dashboard-open-{theme.lower()}.png", 2)
        rows.first.get_by_role("button", name="Close").click()
        beneath.first.wait_for(state="detached", timeout=120_000)

        lab.run_cell(3)  # a new flow appears by itself
        newest = rows.filter(has_text="waiting for an answer").filter(has_text="Pay").first
        board.get_by_role("button", name="? waiting for an answer 4").click(timeout=120_000)
        lab.page.wait_for_function("() => document.querySelectorAll('.dwarf-table tbody tr').length === 4")
        newest.get_by_role("button", name="Open").click()
        lab.cell(2).get_by_role("button", name="Approve").click(timeout=120_000)
        lab.page.wait_for_function("() => document.querySelectorAll('.dwarf-table tbody tr').length === 3")
        delete = newest.get_by_role("button", name="Delete")
        press(delete, "Enter")
        press(delete, "Enter")
        board.get_by_text("is deleted").wait_for(timeout=120_000)
        lab.page.wait_for_function("() => document.querySelectorAll('.dwarf-table tbody tr').length === 2")
        lab.run_cell(4)
        lab.save()
        assert lab.errors() == []
    saved = nbformat.read(tmp_path / "notebooks" / "lists.ipynb", as_version=4)
    table = saved.cells[2].outputs[-1].data["text/html"]
    assert table.count("<tr>") == 3  # the head, and the two flows that were shown last
    assert "waiting for an answer" in table


def test_the_inbox_and_the_dashboard_in_voila(tmp_path: Path, shots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from playwright.sync_api import sync_playwright

    monkeypatch.delenv("DWARF_ANSWERS", raising=False)
    cells = [nbformat.v4.new_code_cell(cell) for cell in (DEFINE, "lab.inbox()", "lab.dashboard()")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "app.ipynb")
    with voila(tmp_path / "app.ipynb") as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = browser.new_page()
            page.set_default_timeout(120_000)
            page.goto(address, timeout=120_000)
            page.locator(".dwarf-inbox").get_by_role("button", name="Approve").first.click(timeout=120_000)
            page.locator(".dwarf-closed", has_text="approved").wait_for(timeout=120_000)
            page.locator(".dwarf-dashboard").get_by_role("button", name="✔ completed 1").wait_for(timeout=120_000)
            shots.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(shots / "voila.png"))
        finally:
            browser.close()
