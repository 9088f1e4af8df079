"""The same few cells in every program that runs Python: terminals, scripts, and all that executes notebooks."""

from __future__ import annotations

import base64
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PARAMETERS = "count = 3"
DEFINE = """
from dwarf import END, Flow
from dwarf.notebook import Lab
lab = Lab(prompt_grace=1.5)
@lab.task
def double(flow: Flow, count: int) -> dict:
    agreed = flow.interrupt({"title": "Agreed?", "schema": bool, "default": True})
    return {"doubled": 2 * count, "agreed": agreed}

graph = lab.graph("doubling").add_node("Double", double).add_transition("Double", END)
"""
START = "run = lab.start(graph, {'count': count}, key=f'double {count}')"
AWAIT = "outcome = await run"
SHOW = "print('doubled', run.wait().state['doubled'], outcome.state['agreed'])"
CELLS = (PARAMETERS, DEFINE, START, AWAIT, SHOW)


def environment(folder: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("DWARF_ANSWERS", "PYTHONSTARTUP")}
    path = os.pathsep.join([str(ROOT), kept.get("PYTHONPATH", "")])
    return {
        **kept,
        "PYTHONPATH": path,
        "IPYTHONDIR": f"{folder}/.ipython",
        "DWARF_ANSWERS": '{"*": "default"}',
        **variables,
    }


def run(folder: Path, *command: str, typed: str | None = None, **variables: str) -> str:
    """What a program prints; it must end by itself with 0."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment(folder, **variables),
        input=typed,
        stdin=subprocess.DEVNULL if typed is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    cells[0].metadata["tags"] = ["parameters"]
    file = tmp_path / "cells.ipynb"
    spec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), file)
    return file


def check_static(file: Path, doubled: int) -> None:
    """The run's cell has kept the picture that needs no kernel, and nothing else."""
    cells = nbformat.read(file, as_version=4).cells
    (shown,) = next(cell for cell in cells if cell.source == START).outputs
    assert set(shown.data) == {"image/svg+xml", "text/plain"}
    assert 'data-state="completed"' in shown.data["image/svg+xml"]
    assert f"doubled {doubled} True" in cells[-1].outputs[0].text


# ------------------------------------------------------------ without a notebook


def test_a_script(tmp_path: Path) -> None:
    script = "\n".join(
        [PARAMETERS, DEFINE, START, "import asyncio\nasync def main():\n    return await run", "outcome = run.wait()"]
        + ["assert asyncio.run(main()) is outcome", SHOW]
    )
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    assert run(tmp_path, "script.py").endswith("doubled 6 True\n")
    assert run(tmp_path, "script.py").endswith("doubled 6 True\n")  # attaches to the flow of the first time


def test_the_asyncio_prompt(tmp_path: Path) -> None:
    printed = run(tmp_path, "-m", "asyncio", typed="\n".join([*CELLS, ""]))
    assert "doubled 6 True" in printed
    assert "Traceback" not in printed


def test_an_ipython_terminal(tmp_path: Path) -> None:
    command = ("-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor")
    printed = run(tmp_path, *command, typed="\n".join([*CELLS, "run", "graph", ""]))
    assert "doubled 6 True" in printed
    assert "Traceback" not in printed
    assert "<Run 'doubling': completed>" in printed or "1 step" in printed


def test_an_ipython_terminal_has_no_form_to_show(tmp_path: Path) -> None:
    command = ("-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor")
    cells = [PARAMETERS, DEFINE, START, "await run", "run.answer(False)", AWAIT, SHOW, ""]
    printed = run(tmp_path, *command, typed="\n".join(cells), DWARF_ANSWERS="")
    assert "PromptNeedsHuman" in printed
    assert "run.answer(...)" in printed
    assert "doubled 6 False" in printed


# ------------------------------------------------------------ programs that execute notebooks


def test_nbmake(notebook: Path) -> None:
    folder = notebook.parent
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={folder}", "--nbmake"]
    assert "1 passed" in run(folder, *command, "--nbmake-kernel=python3", "--overwrite", notebook.name)
    check_static(notebook, 6)


def test_nbconvert(notebook: Path) -> None:
    folder = notebook.parent
    command = ["-m", "nbconvert", "--execute", "--ExecutePreprocessor.kernel_name=python3"]
    run(folder, *command, "--to", "notebook", "--output", "done.ipynb", notebook.name)
    check_static(folder / "done.ipynb", 6)
    run(folder, "-m", "nbconvert", "--to", "html", "done.ipynb")
    page = (folder / "done.html").read_text(encoding="utf-8")
    pictures = [base64.b64decode(found) for found in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", page)]
    assert any(b'data-state="completed"' in picture for picture in pictures)


def test_papermill(notebook: Path) -> None:
    folder = notebook.parent
    command = ["-m", "papermill", "--kernel", "python3", "--no-progress-bar"]
    run(folder, *command, "-p", "count", "5", notebook.name, "done.ipynb")
    check_static(folder / "done.ipynb", 10)
    # run again with the same parameter it finds the flow of the first time, finished
    run(folder, *command, "-p", "count", "5", notebook.name, "again.ipynb", DWARF_ANSWERS="")
    check_static(folder / "again.ipynb", 10)


@contextmanager
def voila(notebook: Path) -> Iterator[str]:
    """Serves the notebook; the address of the page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "voila", notebook.name, f"--port={port}", "--no-browser"]
    log = (notebook.parent / "voila.log").open("w")
    server = subprocess.Popen(
        command, cwd=notebook.parent, env=environment(notebook.parent), stdout=log, stderr=subprocess.STDOUT
    )
    try:
        limit = time.monotonic() + 90
        while time.monotonic() < limit:
            assert server.poll() is None, Path(log.name).read_text(encoding="utf-8")
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(60)
        log.close()


def test_voila(notebook: Path) -> None:
    with voila(notebook) as address, urllib.request.urlopen(address, timeout=120) as reply:
        page = reply.read().decode()
    assert "doubled 6 True" in page
    assert re.search(r'data-state=\\?"completed', page) or "image/svg+xml" in page
    assert "PromptNeedsHuman" not in page


# ------------------------------------------------------------ the stop button, and a new kernel


class Kernel:
    """A kernel of its own, driven as a front end drives it."""

    def __init__(self, folder: Path, **variables: str) -> None:
        from jupyter_client.manager import KernelManager

        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(folder), env=environment(folder, **variables))
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=90)

    def run(self, code: str) -> str:
        """What a cell prints, or the error it ends with."""
        return self.finish(self.start(code))

    def start(self, code: str) -> str:
        """Begin a cell; the id of its message. What is sent while it fails runs as well: a front end sends it later."""
        return self.client.execute(code, stop_on_error=False)

    def finish(self, message: str) -> str:
        printed, reply = [], None
        while reply is None:
            answer = self.client.get_shell_msg(timeout=60)
            reply = answer["content"] if answer["parent_header"].get("msg_id") == message else None
        assert reply["status"] != "aborted"
        while True:
            said = self.client.get_iopub_msg(timeout=60)
            if said["parent_header"].get("msg_id") != message:
                continue
            if said["msg_type"] == "stream":
                printed.append(said["content"]["text"])
            if said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
                break
        error = f"{reply['ename']}: {reply['evalue']}" if reply["status"] == "error" else ""
        return "".join(printed) + error

    def until_printed(self, text: str) -> None:
        """Read messages until a cell prints this."""
        while True:
            said: Any = self.client.get_iopub_msg(timeout=60)
            if said["msg_type"] == "stream" and text in said["content"]["text"]:
                return

    def restart(self) -> None:
        self.manager.restart_kernel(now=True)  # as a crash: nothing is closed
        self.client.wait_for_ready(timeout=90)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    made = Kernel(tmp_path, DWARF_ANSWERS="")
    yield made
    made.close()


def test_the_stop_button_ends_the_waiting_and_a_restart_finds_the_flow(kernel: Kernel) -> None:
    """The flow waits for an answer all the while."""
    define = DEFINE.replace("1.5", "100")
    assert kernel.run(PARAMETERS + define + START.replace(")", ", show=False)", 1)) == ""
    # the cell tells when it is about to wait; the interrupt reaches it there, or shortly before. It flushes, as an
    # interrupt inside of a print can keep the next one from being sent before the end of its cell
    message = kernel.start("print('waiting', flush=True)\nawait run")
    kernel.until_printed("waiting")
    kernel.manager.interrupt_kernel()
    while (reply := kernel.client.get_shell_msg(timeout=90))["parent_header"].get("msg_id") != message:
        pass
    assert reply["content"]["ename"] in ("KeyboardInterrupt", "CancelledError")  # it would wait for longer than that
    assert kernel.run("print(run.status, len(run.prompts))") == "interrupted 1\n"
    before = kernel.run("print(run.key)")

    kernel.restart()
    assert kernel.run(PARAMETERS + define + START) == ""
    assert kernel.run("print(run.key)") == before
    assert kernel.run("run.answer(False)\noutcome = await run\n" + SHOW) == "doubled 6 False\n"
