"""Drives a real JupyterLab in headless Chromium: a private server, one notebook, what a reader does with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
]
NEWS = "apputils-extension/notification"  # asks a network
SETTINGS = {
    NEWS: {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # every cell is in the page, seen or not
}

CONNECTION = """() => {
    const context = window.jupyterapp?.shell?.currentWidget?.sessionContext, kernel = context?.session?.kernel;
    const dialogs = [...document.querySelectorAll('.jp-Dialog')].map((each) => each.innerText);
    return { ready: context?.isReady, kernel: kernel?.status, connection: kernel?.connectionStatus, dialogs };
}"""


# A page of JupyterLab or Notebook 7 that is connected to a kernel which does nothing.
CONNECTED = """async () => {
    const context = window.jupyterapp?.shell?.currentWidget?.sessionContext;
    if (!context?.isReady || context.session?.kernel?.connectionStatus !== 'connected') return false;
    await context.session.kernel.info;
    return context.session.kernel.status === 'idle';
}"""


def wait_until(page: Any, script: str, argument: Any = None, *, timeout: float = 90) -> None:
    """Wait until an async function in the page gives true. ``wait_for_function`` takes its promise for the answer."""
    limit = time.monotonic() + timeout
    while not page.evaluate(script, argument):
        assert time.monotonic() < limit, f"this has not come true in {timeout} s: {script}"
        page.wait_for_timeout(100)


def press(target: Any, key: str) -> None:
    """Press a key, on an element or wherever the focus is, once every view is connected.

    A view that has not heard from its kernel for some seconds, as on a busy machine, lets no key act. A click waits for
    that by itself.
    """
    page = getattr(target, "page", target)
    page.locator(".dwarf-gone").first.wait_for(state="detached")
    (page.keyboard if target is page else target).press(key)


class LabServer:
    """A JupyterLab of its own, without a token, with settings and run-time files in a folder of its own.

    ``settings``: those of JupyterLab, by plugin; the quick ones of ``SETTINGS`` where there are none.
    """

    def __init__(
        self,
        root: Path,
        scratch: Path,
        *,
        theme: str = "JupyterLab Light",
        env: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ):
        self.root, self.scratch = root, scratch
        chosen = SETTINGS if settings is None else {**settings, "apputils-extension/notification": SETTINGS[NEWS]}
        for plugin, values in {**chosen, "apputils-extension/themes": {"theme": theme}}.items():
            file = scratch / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        self.env = {
            **os.environ,
            "JUPYTERLAB_SETTINGS_DIR": str(scratch / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(scratch / "workspaces"),
            "JUPYTER_CONFIG_DIR": str(scratch / "config"),
            "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
            "IPYTHONDIR": str(scratch / "ipython"),
            **(env or {}),
        }

    def __enter__(self) -> LabServer:
        for _ in range(3):  # another process may take the port before the server does
            if self._start():
                return self
        raise OSError((self.scratch / "server.log").read_text())

    def _start(self) -> bool:
        """Start the server, and wait until it answers. False if it has ended instead, for want of its port."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        options = [
            f"--port={port}",
            "--no-browser",
            "--allow-root",
            "--expose-app-in-browser",
            "--JupyterNotebookApp.expose_app_in_browser=True",
            "--ServerApp.port_retries=0",
        ]
        options += [
            "--IdentityProvider.token=",
            "--ServerApp.disable_check_xsrf=True",
            f"--ServerApp.root_dir={self.root}",
        ]
        self.log = (self.scratch / "server.log").open("w")
        command = [sys.executable, "-m", "jupyterlab", *options]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, env=self.env)
        limit = time.monotonic() + 240
        while time.monotonic() < limit:
            if self.process.poll() is not None:
                self.log.close()
                log = (self.scratch / "server.log").read_text()
                assert "already in use" in log, log
                return False
            with suppress(OSError):
                self.ask("GET", "/api/status")
                self.ask("GET", "/api/kernelspecs")
                return True
            time.sleep(0.2)
        raise TimeoutError("JupyterLab has not started")

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # kernels first: a server that is ended leaves them behind
            for each in self.ask("GET", "/api/kernels"):
                self.ask("DELETE", f"/api/kernels/{each['id']}")
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(60)
        self.log.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as reply:
            text = reply.read()
        return json.loads(text) if text else None


class LabPage:
    """One notebook, open in the browser; cells are counted among the code cells, from 0."""

    def __init__(self, server: LabServer, page: Any, notebook: str, kernel: str = "python3") -> None:
        self.server, self.page = server, page
        # a session that exists already keeps JupyterLab from asking for a kernel
        session = {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": kernel}}
        self.session = server.ask("POST", "/api/sessions", session)
        self.kernel = self.session["kernel"]["id"]
        self.address = f"{server.url}/doc/tree/{notebook}?reset"
        self.open()

    def open(self) -> None:
        """Load the page, and wait until it is connected to the kernel."""
        self.look()
        self.wait_idle()
        self.page.wait_for_timeout(300)

    def look(self) -> None:
        """Load the page, whether a kernel is there or not."""
        self.page.set_default_timeout(120_000)  # only what hangs is to be caught, also on a slow machine
        self.page.goto(self.address)
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120_000)

    def wait_idle(self) -> None:
        """Wait until the page is connected to a kernel that is idle."""
        wait_until(self.page, CONNECTED)

    def command(self, name: str, **arguments: Any) -> None:
        """Carry out a command of JupyterLab, and wait for it."""
        script = "([name, given]) => window.jupyterapp.commands.execute(name, given)"
        self.page.evaluate(script, [name, arguments])

    def use_theme(self, name: str) -> None:
        """Change the colours of the whole page: ``JupyterLab Light`` or ``JupyterLab Dark``."""
        self.command("apputils:change-theme", theme=name)
        self.page.wait_for_selector(f'body[data-jp-theme-name="{name}"]', state="attached")

    def restart_kernel(self) -> None:
        """A new kernel in place of the old one, and the cells as if none had been run."""
        self.server.ask("POST", f"/api/kernels/{self.kernel}/restart")
        self.command("editmenu:clear-all")
        self.page.wait_for_function("() => !document.querySelector('.jp-OutputArea-output')")
        self.open_again()

    def open_again(self) -> None:
        """Save, and load the page anew."""
        self.save()
        self.open()

    def end_kernel(self) -> None:
        """End the session with its kernel."""
        self.server.ask("DELETE", f"/api/sessions/{self.session['id']}")

    def run_all(self, timeout: float = 240) -> None:
        """Start running all cells, and return when the first has ended.

        On a slow machine a late dialog may swallow the command, and now and then the page misses the kernel's reply and
        waits for it for ever; so it is given until the first cell has been run and all others are under way.
        """
        limit = time.monotonic() + timeout
        while time.monotonic() < limit:
            self.dismiss()
            self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
            for _ in range(1200):
                self.page.wait_for_timeout(100)
                if self.prompt(0) not in ("[ ]:", "[*]:"):
                    break
            prompts = self.page.locator(".jp-Notebook .jp-CodeCell .jp-InputPrompt").all_inner_texts()
            if prompts[0] not in ("[ ]:", "[*]:") and "[ ]:" not in prompts:
                return
            if self.server.ask("GET", f"/api/kernels/{self.kernel}")["execution_state"] == "idle":
                self.open()
        raise TimeoutError("the first cell has not been run")

    def run_cell(self, number: int, *, wait: bool = True, patience: float = 120) -> None:
        """Run one cell, once.

        A late dialog swallows the command, and so does a page without a kernel. It is given again only if no request
        has left the page: what the cell shows is no sign of that.
        """
        before = self.prompt(number)
        limit = time.monotonic() + patience
        while not self._run_cell(number):
            assert time.monotonic() < limit, f"cell {number} cannot be run: {self.page.evaluate(CONNECTION)}"
            self.page.wait_for_timeout(200)
            self.dismiss()
        while self.prompt(number) == before:
            assert time.monotonic() < limit, f"cell {number} is still {before}: {self.page.evaluate(CONNECTION)}"
            self.page.wait_for_timeout(50)
        if wait:
            self.wait_cell(number)

    def dismiss(self) -> None:
        """Close dialogs, such as one that asks for a kernel where there is one already."""
        while self.page.locator(".jp-Dialog").count():
            self.page.keyboard.press("Escape")
            self.page.wait_for_timeout(200)

    def _run_cell(self, number: int) -> bool:
        """Give the command; whether the page has sent a request to the kernel."""
        sent = self.page.evaluate(
            """async (number) => {
                const { content: notebook, sessionContext } = window.jupyterapp.shell.currentWidget;
                const kernel = sessionContext.session?.kernel;
                if (!kernel || document.querySelector('.jp-Dialog')) return false;
                const code = notebook.widgets.filter((cell) => cell.model.type === 'code')[number];
                notebook.activeCellIndex = notebook.widgets.indexOf(code);
                notebook.deselectAll();
                let sent = false;
                const note = (_, { msg, direction }) => {
                    if (direction === 'send' && msg.header.msg_type === 'execute_request') sent = true;
                };
                kernel.anyMessage.connect(note);
                const done = window.jupyterapp.commands.execute('notebook:run-cell');
                await Promise.race([done, new Promise((wake) => setTimeout(wake, 100))]);
                kernel.anyMessage.disconnect(note);
                return sent;
            }""",
            number,
        )
        return bool(sent)

    def cell(self, number: int) -> Any:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def find_cell(self, text: str) -> int:
        """The number of the first cell whose source has this text."""
        cells = self.page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor")
        for number in range(cells.count()):
            if text in cells.nth(number).inner_text():
                return number
        raise LookupError(text)

    def prompt(self, number: int) -> str:
        return str(self.cell(number).locator(".jp-InputPrompt").first.inner_text())

    def output(self, number: int) -> str:
        area = self.cell(number).locator(".jp-OutputArea")
        return str(area.first.inner_text()) if area.count() else ""

    def wait_cell(self, number: int, timeout: float = 240) -> None:
        limit = time.monotonic() + timeout
        while not re.match(r"\[\d+\]:", self.prompt(number)):
            assert time.monotonic() < limit, f"cell {number} is {self.prompt(number)}:\n{self.output(number)}"
            self.page.wait_for_timeout(50)

    def wait_all(self, timeout: float = 240) -> None:
        for number in range(self.page.locator(".jp-Notebook .jp-CodeCell").count()):
            self.wait_cell(number, timeout)

    def errors(self) -> list[str]:
        found = self.page.locator(
            '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"], .jp-RenderedText'
        )
        return [text for text in found.all_inner_texts() if "Traceback" in text]

    def report(self) -> None:
        """Print what the cells show, for a test that has failed, and keep a picture of the page."""
        for number in range(self.page.locator(".jp-Notebook .jp-CodeCell").count()):
            print(f"cell {number} {self.prompt(number)}\n{self.output(number)[-1500:]}")
        self.shot(self.server.scratch / "failed.png")
        print(f"see {self.server.scratch}/failed.png")

    def interrupt(self) -> None:
        self.server.ask("POST", f"/api/kernels/{self.kernel}/interrupt")

    def save(self) -> None:
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save') }")

    def shot(self, path: Path, number: int | None = None) -> None:
        """A picture of the window, or of one cell."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if number is None:
            self.page.screenshot(path=str(path))
        else:
            self.cell(number).screenshot(path=str(path))


class Jupyter:
    """A server and a browser that several tests share; each has a folder and a page of its own."""

    def __init__(self, server: LabServer, browser: Any) -> None:
        self.server, self.browser = server, browser

    @contextmanager
    def page(
        self,
        folder: str,
        notebook: str,
        *,
        theme: str = "JupyterLab Light",
        kernel: str = "python3",
        height: int = 1200,
    ) -> Iterator[LabPage]:
        """A notebook of a folder below the server's root, open in a page. What it shows is reported if a test fails."""
        page = self.browser.new_page(viewport={"width": 1200, "height": height}, reduced_motion="reduce")
        lab = LabPage(self.server, page, f"{folder}/{notebook}", kernel)
        try:
            lab.use_theme(theme)
            yield lab
        except BaseException:
            lab.report()
            raise
        finally:
            with suppress(OSError):
                lab.end_kernel()
            page.close()


@contextmanager
def jupyter(root: Path, scratch: Path, **server: Any) -> Iterator[Jupyter]:
    """A JupyterLab on a folder, and a browser."""
    from playwright.sync_api import sync_playwright

    with LabServer(root, scratch, **server) as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield Jupyter(running, browser)
        finally:
            browser.close()


@contextmanager
def lab_page(
    root: Path, scratch: Path, notebook: str, *, height: int = 1200, kernel: str = "python3", **server: Any
) -> Iterator[LabPage]:
    """A server and a page that shows a notebook of the folder ``root``."""
    from playwright.sync_api import sync_playwright

    with LabServer(root, scratch, **server) as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            lab = LabPage(running, browser.new_page(viewport={"width": 1200, "height": height}), notebook, kernel)
            try:
                yield lab
            except BaseException:
                lab.report()
                raise
        finally:
            browser.close()
