"""Notebooks as their readers meet them: a real JupyterLab, run all, answer by clicking, look.

Pictures of the pages go to the folder DWARF_SHOTS, where they can be kept and looked at.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.notebook.audit import faults
from tests.notebook.labdriver import Jupyter, LabPage, jupyter, press

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = "01-quickstart.ipynb"
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
KERNELS = ("6.31.0", "7.1.0", "7.3.0", "7.4.0")


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for kernels besides the installed one; each is the same Python with another ipykernel."""
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(scope="module")
def lab_server(tmp_path_factory: pytest.TempPathFactory, kernels: Path) -> Iterator[Jupyter]:
    """One JupyterLab and one browser for all tests here."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = {"PYTHONPATH": path, "DWARF_ANSWERS": "", "JUPYTER_PATH": str(kernels)}
    with jupyter(tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("lab"), env=env) as running:
        yield running


@pytest.fixture
def folder(lab_server: Jupyter, request: pytest.FixtureRequest) -> Path:
    made = lab_server.server.root / request.node.name.replace("[", "-").replace("]", "")
    made.mkdir()
    return made


def write(folder: Path, *cells: str) -> str:
    spec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    code = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=code, metadata={"kernelspec": spec}), folder / "test.ipynb")
    return "test.ipynb"


# ------------------------------------------------------------ the quickstart

# Remembers every state that a node has been shown in, in the order seen.
WATCH = """() => {
    window.seenStates = {};
    const note = (node) => {
        const name = node.querySelector('[data-part="name"], text')?.textContent ?? "";
        const states = (window.seenStates[name] ??= []);
        if (states.at(-1) !== node.dataset.state) states.push(node.dataset.state);
    };
    new MutationObserver((changes) => {
        for (const change of changes) {
            if (change.type === "attributes" && change.target.matches("[data-node]")) note(change.target);
            for (const added of change.addedNodes) added.querySelectorAll?.(".dwarf-run [data-node]").forEach(note);
        }
    }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-state"] });
}"""


def test_the_quickstart(lab_server: Jupyter, folder: Path, shots: Path) -> None:
    """Run all; colours change; answered by keys; kept as a picture; opened again without the kernel; dark."""
    shutil.copy(ROOT / "notebooks" / QUICKSTART, folder)
    with lab_server.page(folder.name, QUICKSTART) as lab:
        lab.page.add_init_script(f"({WATCH})()")  # should the page be loaded again
        lab.page.evaluate(WATCH)
        lab.run_all()
        card = lab.page.locator(".dwarf-card")
        card.wait_for(timeout=120_000)
        started = lab.find_cell("lab.start(")
        assert lab.prompt(started + 1) == "[*]:"  # `await run` waits
        states = lab.page.evaluate("() => window.seenStates")
        measured = next(seen for name, seen in states.items() if "Measure" in name)
        assert measured[-1] == "completed"  # what came before is seen only if the page is quicker than the work
        assert "handled" in lab.page.locator('.dwarf-node:has-text("Measure")').last.text_content()
        card.scroll_into_view_if_needed()
        lab.shot(shots / "quickstart-asks.png")
        lab.use_theme("JupyterLab Dark")
        card.scroll_into_view_if_needed()
        lab.shot(shots / "quickstart-asks-dark.png")
        assert faults(lab.page, ".dwarf-run") == []
        lab.use_theme("JupyterLab Light")

        field = card.get_by_label("Threshold")
        assert field.input_value() == "20"
        field.focus()
        lab.page.keyboard.press("Control+A")
        lab.page.keyboard.type("25")
        press(lab.page, "Tab")
        assert lab.page.evaluate("() => document.activeElement.textContent") == "Send"
        press(lab.page, "Space")
        lab.wait_all()
        assert lab.errors() == []
        assert "completed with" in lab.output(started + 1)
        lab.page.locator(".jp-RenderedSVG img").nth(1).wait_for()  # the live view has become a picture
        assert lab.page.locator(".dwarf-card").count() == 0
        lab.shot(shots / "quickstart-done.png", started)
        lab.save()
        lab.end_kernel()

        lab.look()  # whatever kernel there is now, it knows nothing of the run
        lab.use_theme("JupyterLab Dark")
        lab.page.locator(".jp-RenderedSVG img").nth(1).wait_for()
        assert lab.page.get_by_text("Error displaying widget").count() == 0
        lab.cell(started).scroll_into_view_if_needed()
        lab.shot(shots / "quickstart-reopened-dark.png")

    saved = nbformat.read(folder / QUICKSTART, as_version=4)
    code = [cell for cell in saved.cells if cell.cell_type == "code"]
    (kept,) = code[started].outputs
    assert set(kept.data) == {"image/svg+xml", "text/plain"}
    assert "25" in kept.data["image/svg+xml"]


# ------------------------------------------------------------ answering

ASK_TWICE = """
from pathlib import Path
import time
from dwarf import END, Flow
from dwarf.notebook import Lab

lab = Lab()

@lab.task
def ask_name(flow: Flow) -> dict:
    return {"name": flow.interrupt({"title": "Name?", "schema": {"type": "string", "pattern": "^[a-z]+$"}})}

@lab.task
def approve(flow: Flow, name: str) -> dict:
    return {"approved": flow.interrupt({"title": f"Let {name} in?", "schema": bool})}

graph = lab.graph("Door").add_node("Ask", ask_name).add_node("Approve", approve).add_chain("Ask", "Approve", END)
"""
START = "run = lab.start(graph, key='mine')"
BLOCK = "while not Path('go').exists(): time.sleep(0.05)"
CELLS = (ASK_TWICE, START, "outcome = await run", BLOCK, "print(run.wait().state)")


def answer_while_a_cell_awaits(lab: LabPage, shots: Path, name: str) -> None:
    """A wrong answer is refused inline and corrected; the cell goes on waiting for the next question."""
    card = lab.page.locator(".dwarf-card").last
    card.wait_for(timeout=120_000)
    field = card.locator("input")
    field.evaluate("node => node.removeAttribute('pattern')")  # past the browser's own check
    field.fill("BOB")
    card.get_by_role("button", name="Send").click()
    card.get_by_role("alert").filter(has_text="BOB").wait_for(timeout=120_000)
    assert lab.prompt(2) == "[*]:"
    lab.shot(shots / f"{name}-refused.png", 1)
    assert field.input_value() == "BOB"
    cells = lab.page.locator(".jp-CodeCell").count()
    field.press("Control+A")
    lab.page.keyboard.type("ddxxbob")  # d d and x are commands of a notebook, and letters here
    assert lab.page.locator(".jp-CodeCell").count() == cells
    field.fill("bob")
    field.press("Enter")
    lab.page.locator(".dwarf-card").get_by_role("button", name="Approve").wait_for(timeout=120_000)
    assert lab.prompt(2) == "[*]:"


def answer_while_a_cell_blocks(lab: LabPage, folder: Path, shots: Path, name: str) -> None:
    """The click is kept, and goes in when the cell has ended, or before where the kernel has a thread for it."""
    lab.run_cell(3, wait=False)
    lab.page.locator(".dwarf-card").get_by_role("button", name="Approve").click()
    told = "() => !document.querySelector('.dwarf-card') || /busy/.test(document.querySelector('.dwarf-wait')?.textContent)"
    lab.page.wait_for_function(told, timeout=120_000)
    lab.shot(shots / f"{name}-blocked.png", 1)
    assert lab.prompt(3) == "[*]:"
    (folder / "go").touch()
    lab.wait_cell(3)
    lab.page.locator(".jp-RenderedSVG img").wait_for(timeout=120_000)
    assert lab.page.locator(".dwarf-card").count() == 0
    lab.run_cell(4)
    assert "{'name': 'bob', 'approved': True}" in lab.output(4)
    lab.shot(shots / f"{name}-done.png", 1)


def stop_waiting(lab: LabPage) -> None:
    """Press the stop button of the toolbar."""
    lab.page.locator('[data-command="notebook:interrupt-kernel"]').first.click()
    lab.wait_cell(2)


def test_answers_the_stop_button_and_a_new_kernel(lab_server: Jupyter, folder: Path, shots: Path) -> None:
    with lab_server.page(folder.name, write(folder, *CELLS)) as lab:
        lab.run_cell(0)
        lab.run_cell(1)
        lab.run_cell(2, wait=False)
        lab.page.locator(".dwarf-card").wait_for(timeout=120_000)
        stop_waiting(lab)
        assert "Waiting was stopped; the flow 'Door' goes on." in lab.output(2)
        assert lab.page.get_by_role("button", name="Send").is_enabled()  # the flow waits on
        lab.run_cell(2, wait=False)
        answer_while_a_cell_awaits(lab, shots, "answers")

        lab.restart_kernel()
        lab.run_cell(0)
        lab.run_cell(1)
        lab.page.locator(".dwarf-card").get_by_role("button", name="Approve").wait_for(timeout=120_000)
        assert lab.page.locator('.dwarf-node[data-state="completed"]:has-text("Ask")').count() == 1
        assert "Let bob in?" in lab.output(1)
        lab.shot(shots / "answers-after-restart.png")
        answer_while_a_cell_blocks(lab, folder, shots, "answers")
        assert lab.errors() == []


def test_a_card_closes_when_code_answers(lab_server: Jupyter, folder: Path, shots: Path) -> None:
    answers = "for value in ('carol', False):\n    while not run.prompts: time.sleep(0.02)\n    run.answer(value)"
    with lab_server.page(folder.name, write(folder, ASK_TWICE, START, answers, "print(run.wait().state)")) as lab:
        lab.run_cell(0)
        lab.run_cell(1)
        lab.page.locator(".dwarf-card").wait_for(timeout=120_000)
        lab.run_cell(2)
        lab.page.locator(".jp-RenderedSVG img").wait_for(timeout=120_000)
        assert lab.page.locator(".dwarf-card").count() == 0
        lab.run_cell(3)
        assert "{'name': 'carol', 'approved': False}" in lab.output(3)
        assert lab.errors() == []


# ------------------------------------------------------------ looking into a run

FAILS = """
from dwarf import END
from dwarf.notebook import Lab
lab = Lab("memory")
measure = lambda item: {"share": 100 / item}
graph = lab.graph("<script>alert(1)</script>").add_node("Prepare", lambda: {"item": 0}).add_node("Measure", measure)
graph.add_chain("Prepare", "Measure", END)
run = lab.start(graph)
"""


def test_a_failed_node_is_opened_and_forked_from_the_page(lab_server: Jupyter, folder: Path, shots: Path) -> None:
    name = write(folder, FAILS, "outcome = await run", "found = lab.flows()\nprint(list(found.status))")
    with lab_server.page(folder.name, name) as lab:
        lab.run_cell(0)
        lab.run_cell(1)
        view = lab.cell(0).locator(".dwarf-run").first
        node = view.locator('[data-name="Measure"][data-state="failed"]')
        node.wait_for(timeout=120_000)
        node.focus()
        press(node, "Enter")
        panel = view.get_by_role("region", name="Measure, details")
        panel.locator(".dwarf-trouble", has_text="division by zero").wait_for()
        panel.get_by_text("Traceback", exact=True).click()
        assert "ZeroDivisionError" in panel.locator("details pre").first.inner_text()
        for theme in ("JupyterLab Dark", "JupyterLab Light"):
            lab.use_theme(theme)
            assert faults(lab.page, ".dwarf-run") == []
            lab.shot(shots / f"failed-panel-{theme.rsplit(maxsplit=1)[-1].lower()}.png", 0)

        panel.get_by_role("button", name="Fork from here…").click()
        panel.get_by_label("item", exact=True).fill("8")
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


# ------------------------------------------------------------ usable by everybody

EVERY_FIELD = """
from dwarf import END, Flow
from dwarf.notebook import Lab

lab = Lab("memory")
ORDER = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "title": "Name", "description": "As on the invoice"},
        "count": {"type": "integer", "title": "Count", "minimum": 1, "maximum": 9, "default": 2},
        "colour": {"enum": ["red", "green", "blue", "grey", "black", "white"], "title": "Colour"},
        "extras": {"type": "array", "items": {"enum": ["box", "card"]}, "title": "Extras"},
        "day": {"type": "string", "format": "date", "title": "Day"},
        "note": {"type": "string", "maxLength": 500, "title": "Note"},
        "pin": {"type": "string", "format": "password", "title": "PIN"},
        "gift": {"type": "boolean", "title": "Gift"},
        "more": {"type": "object", "title": "More"},
    },
}
QUESTIONS = [
    {"title": "Send it?", "schema": bool, "to": "Ann <script>alert(1)</script>", "amount": 120},
    {"title": "Which?", "schema": ["small", "large"], "description": "Both are in stock."},
    {"title": "Order", "schema": ORDER},
    {"title": "Anything else?"},
]

@lab.task
def ask(flow: Flow, number: int) -> None:
    flow.interrupt(QUESTIONS[number])

@lab.task
def fail() -> None:
    raise ValueError("no <b>luck</b> & no text")

graph = lab.graph("Questions").add_node("Begin", lambda: {"numbers": list(range(4))}).add_node("Ask", ask)
graph.add_node("End", lambda: None, fan_in=True).add_for_each("Begin", "Ask", items="numbers", item="number")
graph.add_chain("Ask", "End", END)
run = lab.start(graph)
"""
CONTROLS = ".dwarf-card :is(button, input, select, textarea):not([aria-hidden])"
FAILING = "lab.start(lab.graph('Fails').add_node('Fail', fail).add_transition('Fail', END))"


def test_names_contrast_and_keys(lab_server: Jupyter, folder: Path, shots: Path) -> None:
    with lab_server.page(folder.name, write(folder, EVERY_FIELD, FAILING), height=1900) as lab:
        lab.run_cell(0)
        lab.page.locator(".dwarf-card").nth(3).wait_for(timeout=120_000)
        order = lab.page.locator(".dwarf-card").filter(has=lab.page.get_by_label("PIN"))
        order.get_by_label("Name").fill("Ann")
        order.get_by_label("More").fill("{")
        order.get_by_role("button", name="Send").click()
        order.get_by_role("alert").filter(has_text="More is not JSON").wait_for()
        for theme in ("JupyterLab Light", "JupyterLab Dark"):
            lab.use_theme(theme)
            assert faults(lab.page, ".dwarf-run") == []
            lab.shot(shots / f"every-field-{theme.rsplit(maxsplit=1)[-1].lower()}.png", 0)
        assert lab.page.locator(".dwarf-run script").count() == 0

        # from the first control on, Tab goes through every one once, in the order they are seen; the cards stand in
        # the order in which the branches asked, so any of the four may be the first
        controls = lab.page.locator(CONTROLS)
        controls.first.focus()
        focused = "(all) => [...document.querySelectorAll(all)].indexOf(document.activeElement)"
        reached = []
        for _ in range(3 * controls.count()):  # a date has several parts
            reached.append(lab.page.evaluate(focused, CONTROLS))
            press(lab.page, "Tab")
        assert list(dict.fromkeys(reached)) == [*range(controls.count()), -1]
        lab.page.locator(".dwarf-card").get_by_role("button", name="Approve").focus()
        press(lab.page, "Enter")
        lab.page.locator(".dwarf-closed").filter(has_text="approved").wait_for(timeout=120_000)
        lab.run_cell(1)
        lab.cell(1).locator('[data-state="failed"]').first.wait_for(timeout=120_000)
        for theme in ("JupyterLab Light", "JupyterLab Dark"):
            lab.use_theme(theme)
            assert faults(lab.page, ".dwarf-run") == []
            lab.shot(shots / f"failed-{theme.rsplit(maxsplit=1)[-1].lower()}.png", 1)


# ------------------------------------------------------------ other versions of the kernel


def install_kernel(version: str, kernels: Path) -> str:
    """A kernel that uses this version of ipykernel; its name."""
    place = kernels / f"ipykernel-{version}"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*command, "--target", str(place), f"ipykernel=={version}"], check=True)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": f"ipykernel {version}",
        "language": "python",
        "env": {"PYTHONPATH": os.pathsep.join([str(place), str(ROOT)])},
    }
    name = f"ipykernel-{version}"
    (kernels / "kernels" / name).mkdir(parents=True)
    (kernels / "kernels" / name / "kernel.json").write_text(json.dumps(spec))
    return name


@pytest.mark.soak
@pytest.mark.parametrize("version", KERNELS)
def test_the_core_on_every_kernel(version: str, lab_server: Jupyter, kernels: Path, folder: Path, shots: Path) -> None:
    kernel = install_kernel(version, kernels)
    check = f"import ipykernel\nassert ipykernel.__version__ == '{version}'\n"
    cells = (check + ASK_TWICE, *CELLS[1:])
    with lab_server.page(folder.name, write(folder, *cells), kernel=kernel) as lab:
        lab.run_all()
        answer_while_a_cell_awaits(lab, shots, f"ipykernel-{version}")
        stop_waiting(lab)
        answer_while_a_cell_blocks(lab, folder, shots, f"ipykernel-{version}")


NESTED = """
from dwarf import END
from dwarf.notebook import Lab
lab = Lab("memory")
inner = lab.graph("asking").add_node("Ask", lambda flow: {"word": flow.interrupt({"title": "Word?", "schema": str})})
inner.add_transition("Ask", END)
call = lambda flow: flow.subgraph(inner)
tell = lambda word: {"told": word}
outer = lab.graph("outer").add_node("Call", call).add_node("Tell", tell).add_chain("Call", "Tell", END)
run = lab.start(outer)
"""
BLOCK = """
import os, time
limit = time.monotonic() + 60
while not os.path.exists("go") and time.monotonic() < limit:
    time.sleep(0.05)
print("let go" if os.path.exists("go") else "stuck")
"""
AGAIN = """
shout = lambda word: {"told": word.upper()}
outer = lab.graph("outer").add_node("Call", call).add_node("Tell", shout, fan_in=False).add_chain("Call", "Tell")
outer.add_node("More", shout).add_chain("Tell", "More", END)
"""


def test_a_subgraph_is_opened_while_a_cell_blocks_and_a_graph_is_redefined(
    lab_server: Jupyter, folder: Path, shots: Path
) -> None:
    cells = [NESTED, BLOCK, AGAIN, "run.answer('hello')\nprint(run.wait(60).state['told'])"]
    name = write(folder, *cells)
    with lab_server.page(folder.name, name, theme="JupyterLab Dark") as lab:
        lab.run_cell(0)
        view = lab.cell(0).locator(".dwarf-run").first
        call = view.locator('[data-name="Call"]')
        call.locator('[data-part="nested"]').click(timeout=120_000)
        inner = view.locator('[data-name="Ask"][data-state="interrupted"]')
        inner.wait_for()

        lab.run_cell(1, wait=False)  # the kernel's main thread is taken
        inner.click()
        panel = view.get_by_role("region", name="Ask, details")
        panel.get_by_text("Word?", exact=True).wait_for()
        assert lab.prompt(1) == "[*]:"
        (folder / "go").touch()
        lab.wait_cell(1)
        assert "let go" in lab.output(1)

        lab.run_cell(2)
        view.get_by_role("note").get_by_text("added 'More'").wait_for()
        lab.shot(shots / "nested-dark.png", 0)
        lab.run_cell(3)
        assert "hello" in lab.output(3)
        view.locator('[data-name="Tell"][data-state="completed"]').wait_for()
        panel.get_by_role("button", name="Close").click()  # nobody looks any more
        lab.cell(0).locator(".jp-RenderedSVG img").wait_for()
        assert lab.errors() == []
        lab.save()

    (kept,) = nbformat.read(folder / name, as_version=4).cells[0].outputs
    assert 'data-node="0/0"' in kept.data["image/svg+xml"]  # what stood open stays


# ------------------------------------------------------------ breakpoints, and a lab that is shown

STEPS = """
from dwarf import END
from dwarf.notebook import Lab
lab = Lab("flows.db")

@lab.task
def add(x: int) -> dict:
    return {"x": x + 1}

graph = lab.graph("Steps").add_node("First", add).add_node("Second", add).add_node("Third", add)
graph.add_chain("First", "Second", "Third", END)
run = lab.start(graph, {"x": 1}, interrupt_before=["First"], show=False)
run
"""


def test_a_flow_stops_at_a_click_is_edited_and_stepped(lab_server: Jupyter, folder: Path, shots: Path) -> None:
    name = write(folder, STEPS, "lab", "outcome = await run\nprint(dict(outcome.state))")
    with lab_server.page(folder.name, name) as lab:
        lab.run_cell(0)
        view = lab.cell(0).locator(".dwarf-run").first
        card = view.get_by_role("group", name="Breakpoint before 'First'")
        card.get_by_label("x", exact=True).wait_for(timeout=120_000)
        mark = '[data-name="{}"] [data-part="stop-before"]'
        assert view.locator(mark.format("First")).is_visible()
        view.locator('[data-name="Third"]').click()
        view.get_by_role("button", name="Stop before").click()
        view.locator(mark.format("Third")).wait_for()
        view.get_by_role("button", name="Close").click()
        lab.shot(shots / "breakpoint.png", 0)
        lab.run_cell(1)
        shown = lab.cell(1).get_by_role("region", name="Lab")
        shown.get_by_text("stopped before First (breakpoint)").wait_for()
        lab.shot(shots / "lab-shown.png", 1)
        assert not lab.page.title().startswith("(")  # which counts questions
        card.get_by_label("x", exact=True).fill("40")
        card.get_by_role("button", name="Step").click()
        card = view.get_by_role("group", name="Breakpoint before 'Second'")
        card.get_by_label("x", exact=True).wait_for()
        assert card.get_by_label("x", exact=True).input_value() == "41"
        card.get_by_role("button", name="Go on").click()  # as far as the next breakpoint
        card = view.get_by_role("group", name="Breakpoint before 'Third'")
        card.get_by_label("x", exact=True).fill("50")
        card.get_by_role("button", name="Go on").click()
        view.locator('[data-name="Third"][data-state="completed"]').or_(
            lab.cell(0).locator(".jp-RenderedSVG")
        ).wait_for()
        lab.run_cell(2)
        assert "{'x': 51}" in lab.output(2)
        assert lab.errors() == []
