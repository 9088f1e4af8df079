"""The live view, a card, the inbox and the dashboard in marimo, as an app and in its editor."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.notebook.labdriver import press

pytest.importorskip("marimo", reason="marimo is not installed")
ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

NOTEBOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    from dwarf import END, Flow
    from dwarf.notebook import Lab

    def ask(flow: Flow) -> dict:
        schema = {"type": "string", "maxLength": 3000, "title": "Letter"}
        return {"letter": flow.interrupt({"title": "The letter?", "schema": schema})}

    lab = Lab("memory")
    graph = lab.graph("Asks").add_node("Ask", ask).add_node("Tell", lambda letter: {"told": letter.upper()})
    graph.add_chain("Ask", "Tell", END)
    run = lab.start(graph)
    run
    return graph, lab, run


@app.cell
def _(lab, run):
    lab.inbox()
    return


@app.cell
def _(lab, run):
    lab.dashboard()
    return


@app.cell
def _(graph):
    graph
    return


if __name__ == "__main__":
    app.run()
"""


@contextmanager
def marimo(mode: str, folder: Path) -> Iterator[str]:
    """A server for the notebook; its address."""
    (folder / "letters.py").write_text(NOTEBOOK)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "DWARF_ANSWERS": "", "XDG_CONFIG_HOME": str(folder / "config")}
    command = [sys.executable, "-m", "marimo", mode, "letters.py", "--headless", "--no-token", f"--port={port}"]
    with (folder / "marimo.log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{port}/"
            limit = time.monotonic() + 240
            while time.monotonic() < limit:
                assert server.poll() is None, (folder / "marimo.log").read_text()
                with suppress(OSError):
                    urllib.request.urlopen(address, timeout=10).close()
                    break
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            server.wait(60)


@pytest.mark.parametrize("mode", ["run", "edit"])
def test_marimo(mode: str, browser: Any, tmp_path: Path) -> None:
    shots = Path(os.environ.get("DWARF_SHOTS", tmp_path))
    with marimo(mode, tmp_path) as address:
        page = browser.new_page(viewport={"width": 1300, "height": 1400})
        page.set_default_timeout(120_000)
        page.goto(address)
        if mode == "edit":
            page.locator(".cm-content").first.click()
            for _ in range(20):  # whatever has not run yet
                page.keyboard.press("Control+Shift+R")
                page.wait_for_timeout(3000)
                if page.locator(".dwarf-run").count():
                    break
        view = page.locator(".dwarf-run:has(.dwarf-picture)").first
        field = view.get_by_role("textbox", name="Letter")
        field.wait_for()
        page.locator(".dwarf-inbox .dwarf-card").wait_for()
        page.locator('.dwarf-dashboard tr[data-status="interrupted"]').wait_for()
        field.click()
        page.keyboard.type("dear Ann")
        page.keyboard.press("Enter")
        page.keyboard.type("dd, yours")
        assert field.input_value() == "dear Ann\ndd, yours"
        page.screenshot(path=str(shots / f"marimo-{mode}-asks.png"))
        press(page, "Control+Enter")
        view.locator('[data-name="Tell"][data-state="completed"]').wait_for()
        page.locator('.dwarf-dashboard tr[data-status="completed"]').wait_for()
        page.locator(".dwarf-inbox").get_by_text("No prompt waits").wait_for()
        page.locator(".dwarf-dashboard").get_by_role("button", name="Open").click()
        page.locator('.dwarf-beneath [data-name="Tell"][data-state="completed"]').wait_for()
        page.locator(".dwarf-gone").first.wait_for(state="detached")
        page.screenshot(path=str(shots / f"marimo-{mode}-done.png"))
        page.close()
