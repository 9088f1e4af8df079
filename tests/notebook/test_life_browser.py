"""A kernel that is held, ended, killed or restarted, and a page that is loaded again, in JupyterLab as it comes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.notebook.frontends import Frontend, frontends

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

CELLS = (
    """
import os
from dwarf import END, Flow
from dwarf.notebook import Lab
lab = Lab("flows.db")
def ask(flow: Flow) -> dict:
    return {"sure": flow.interrupt({"title": "Sure?", "schema": bool})}
graph = lab.graph("Asks").add_node("Ask", ask).add_transition("Ask", END)
print("pid", os.getpid())
run = lab.start(graph)
""",
    "lab.inbox()",
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with frontends(tmp_path_factory.mktemp("front"), env={"PYTHONPATH": path, "DWARF_ANSWERS": ""}) as open_:
        yield open_


def begin(front: Frontend) -> int:
    """Run the cells; the kernel's process."""
    front.run_all()
    front.page.locator(".dwarf-run .dwarf-card").first.get_by_role("button", name="Approve").wait_for()
    return int(front.page.locator(".jp-OutputArea-output pre", has_text="pid").first.inner_text().split()[1])


GONE = ".dwarf-gone:has(.dwarf-picture)"


def test_a_kernel_that_is_held_and_let_go(opened: Any) -> None:
    with opened("jupyterlab", *CELLS) as front:
        page, process = front.page, begin(front)
        os.kill(process, signal.SIGSTOP)
        try:
            page.locator(GONE).wait_for()
            assert (
                "No word" in page.locator(f"{GONE} .dwarf-lost").inner_text()
                or "Not connected" in page.locator(f"{GONE} .dwarf-lost").inner_text()
            )
            assert page.locator(f"{GONE} button:not(:disabled)").count() == 0
            page.locator(".dwarf-inbox.dwarf-gone").wait_for()
            search = page.get_by_label("Search prompts")
            search.click()
            page.keyboard.type("is it sure")
            assert search.input_value() == "is it sure"  # a space in a field is a letter, not a button pressed
        finally:
            os.kill(process, signal.SIGCONT)
        page.locator(GONE).wait_for(state="detached")
        page.get_by_text("No prompt fits the filter.").wait_for()  # what was typed meanwhile has been sent
        page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save') }")
        page.reload()
        page.wait_for_function(
            "() => document.querySelector('[aria-label=\"Search prompts\"]')?.value === 'is it sure'"
        )
        view = page.locator(".dwarf-run:has(.dwarf-picture)").first
        view.get_by_role("button", name="Approve").click()
        view.locator('[data-name="Ask"][data-state="completed"]').wait_for()


def test_a_kernel_that_is_killed(opened: Any, shots: Path) -> None:
    with opened("jupyterlab", *CELLS) as front:
        page, process = front.page, begin(front)
        os.kill(process, signal.SIGKILL)
        page.locator(GONE).wait_for()
        # it counts as busy until JupyterLab knows better
        page.locator(f"{GONE} .dwarf-lost", has_text="run the cell again: the flow is kept").wait_for()
        assert page.locator(f"{GONE} button:not(:disabled)").count() == 0
        front.shot(shots / "kernel-killed.png")


@pytest.mark.parametrize("how", ["ended", "restarted"])
def test_a_kernel_that_ends_in_order_leaves_still_pictures(how: str, opened: Any, shots: Path) -> None:
    with opened("jupyterlab", *CELLS) as front:
        page, _ = front.page, begin(front)
        if how == "ended":
            front.server.ask("DELETE", f"/api/kernels/{front.kernel}")
        else:
            front.server.ask("POST", f"/api/kernels/{front.kernel}/restart")
        page.locator(f"{GONE}, .jp-RenderedSVG").first.wait_for()
        assert page.locator(".dwarf-run button:not(:disabled)").count() == 0
        front.shot(shots / f"kernel-{how}.png")
