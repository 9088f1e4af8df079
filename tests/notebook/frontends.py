"""The front ends that show a notebook, as a reader has them: nothing set, real keys, motion. One server serves them all."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebook.labdriver import ARGUMENTS, CHROMIUM, CONNECTED, LabServer, wait_until

JUPYTER_FRONTENDS = ("jupyterlab", "notebook7", "nbclassic", "voila")
_PLACES = {
    "jupyterlab": "doc/tree",
    "notebook7": "notebooks",
    "nbclassic": "nbclassic/notebooks",
    "voila": "voila/render",
}

_PACKAGES = {"notebook7": "notebook", "nbclassic": "nbclassic", "voila": "voila"}
_RUN_ALL = {
    "jupyterlab": "() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }",
    "notebook7": "() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }",
    "nbclassic": "() => { Jupyter.notebook.execute_all_cells() }",
}
_READY = {
    "jupyterlab": CONNECTED,
    "notebook7": CONNECTED,
    "nbclassic": """async () => {
        const kernel = window.Jupyter?.notebook?.kernel;
        if (kernel?.info_reply?.status !== 'ok' || !kernel.widget_manager) return false;
        // When a page is loaded it asks the kernel for its widgets; one that a cell makes meanwhile may get two models
        // there, of which one hears nothing. A second question is answered after the first.
        await kernel.widget_manager._loadFromKernel();
        return true;
    }""",
}
# Whether the first cell has been sent off.
_BEGUN = (
    "() => !/^\\s*(In )?\\[\\s*\\]/.test(document.querySelector('.jp-InputPrompt, .input_prompt').textContent.trim())"
)

# What a stray shortcut would change: how many cells there are, of which kind, and how often they have been run.
_STATE = {
    "jupyterlab": """() => window.jupyterapp.shell.currentWidget.content.widgets.map((cell) =>
        [cell.model.type, cell.model.sharedModel.source, cell.model.executionCount ?? null])""",
    "nbclassic": """() => Jupyter.notebook.get_cells().map((cell) =>
        [cell.cell_type, cell.get_text(), cell.input_prompt_number ?? null])""",
    "voila": "() => []",
}
_STATE["notebook7"] = _STATE["jupyterlab"]


@dataclass
class Frontend:
    """One notebook, open in one front end, with its cells run."""

    name: str
    page: Any
    server: LabServer

    def state(self) -> Any:
        """What a stray shortcut would have changed."""
        return self.page.evaluate(_STATE[self.name])

    def run_all(self) -> None:
        """Start every cell. Voilà has done so by itself."""
        for _ in range(5 if self.name in _RUN_ALL else 0):  # a late dialog may swallow the command
            self.page.evaluate(_RUN_ALL[self.name])
            limit = time.monotonic() + 10
            while time.monotonic() < limit:
                if self.page.evaluate(_BEGUN):
                    return
                self.page.wait_for_timeout(100)

    @property
    def kernel(self) -> str:
        """The id of the notebook's kernel."""
        (kernel,) = self.server.ask("GET", "/api/kernels")
        return str(kernel["id"])

    def shot(self, path: Path) -> None:
        """A picture of the window."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(path))


@contextmanager
def frontends(scratch: Path, *, env: Mapping[str, str] | None = None) -> Iterator[Any]:
    """A server, a browser, and what opens a notebook of some cells in the front end of a name."""
    from playwright.sync_api import sync_playwright

    root = scratch / "notebooks"
    root.mkdir(parents=True)
    with LabServer(root, scratch, settings={}, env=env) as server, sync_playwright() as playwright:
        numbers = itertools.count(1)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)

        @contextmanager
        def open_(
            name: str, *cells: str, width: int = 1300, height: int = 900, dark: bool = False
        ) -> Iterator[Frontend]:
            book = nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
                metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}},
            )
            file = f"{name}-{next(numbers)}.ipynb"  # no front end finds what another has kept
            nbformat.write(book, root / file)
            if name in _PACKAGES:
                pytest.importorskip(_PACKAGES[name], reason=f"{name} is not installed")
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(120_000)  # a machine may be busy
            front = Frontend(name, page, server)
            try:
                if name != "voila":
                    session = {"path": file, "name": file, "type": "notebook", "kernel": {"name": "python3"}}
                    server.ask("POST", "/api/sessions", session)
                page.goto(f"{server.url}/{_PLACES[name]}/{file}", timeout=90_000)
                if name in _READY:
                    wait_until(page, _READY[name])
                if dark:
                    page.evaluate(
                        "() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
                    )
                yield front
            except BaseException:
                page.screenshot(path=str(scratch / "failed.png"))
                print(f"see {scratch}/failed.png")
                raise
            finally:
                page.close()
                with suppress(OSError):
                    for each in server.ask("GET", "/api/kernels"):
                        server.ask("DELETE", f"/api/kernels/{each['id']}")

        try:
            yield open_
        finally:
            browser.close()
