"""The command line at a real pseudo-terminal, and workers as real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pexpect
import pytest

from tests.architecture.repository import ROOT
from tests.cli.conftest import Command

pytestmark = pytest.mark.timeout(300)  # each starts several interpreters

PATIENCE = 50


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "DWARF_URL", "NO_COLOR")}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}


@contextmanager
def terminal(*arguments: str) -> Iterator[Any]:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "dwarf.cli", *arguments],
        env=environment(),
        timeout=PATIENCE,
        encoding="utf-8",
        dimensions=(40, 120),
    )
    try:
        yield child
    finally:
        child.close(force=True)


@pytest.mark.slow
def test_a_question_is_asked_field_by_field(dwarf: Command) -> None:
    with terminal("run", "shop:pay", "--state", '{"n": 4}') as child:
        child.expect("Pay 40")
        child.expect("letter: Dear Ada")
        child.expect(r"agree \(y/n\)")
        child.sendline("perhaps")
        child.expect("answer y or n")
        child.sendline("y")
        child.expect("1  card")
        child.expect(r"how \(1 to 2\)")
        child.sendline("3")
        child.expect("choose a number from 1 to 2")
        child.sendline("2")
        child.expect("note")
        child.sendline("")
        child.expect(r"pin \(password\)")
        child.sendline("123")  # too short: the engine says so, and all is asked again
        child.expect(r"agree \(y/n\)")
        child.sendline("n")
        child.expect(r"how \(1 to 2\)")
        child.sendline("cash")
        child.expect("note")
        child.sendline("thanks")
        child.expect(r"pin \(password\)")
        child.sendline("12345")
        child.expect("completed")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0
    (flow,) = dwarf("flows", "--json").json
    state = dwarf("show", flow["flow_key"], "--json").json["outcome"]["state"]
    assert state["answer"] == {"agree": False, "how": "cash", "note": "thanks", "pin": "12345"}


@pytest.mark.slow
def test_a_question_is_left_open_with_the_end_of_the_input(dwarf: Command) -> None:
    with terminal("run", "shop:pay", "--state", '{"n": 4}') as child:
        child.expect(r"agree \(y/n\)")
        child.sendeof()
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 6
    assert len(dwarf("inbox", "--json").json) == 1


@contextmanager
def worker(*arguments: str, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "dwarf.cli", "worker", "shop:host", *arguments],
        env={**environment(), **(env or {})},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def hear(process: subprocess.Popen[str], pattern: str) -> str:
    """Read what a worker says until a line fits."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if re.search(pattern, line):
            return line
    raise AssertionError(f"never said {pattern!r}: {said}")


def appears(path: Path) -> str:
    """Wait until a file is there; what it says."""
    import time

    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.01)
    raise AssertionError(f"{path.name} does not appear")


@pytest.mark.slow
def test_a_worker_answers_for_its_health_and_drains_on_sigterm(dwarf: Command, project: Path) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert dwarf("migrate", "--url", "work.db").status == 0
    with worker("--url", "work.db", "--health", str(port)) as process:
        hear(process, "is ready")
        answer = httpx.get(f"http://127.0.0.1:{port}/health", timeout=PATIENCE)
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        assert httpx.get(f"http://127.0.0.1:{port}/other", timeout=PATIENCE).status_code == 404
        key = dwarf("run", "shop:slow", "--url", "work.db", "--detach").out.strip()
        appears(project / "ran")
        process.send_signal(signal.SIGTERM)
        (project / "go").touch()
        hear(process, "has ended")
        assert process.wait() == 0
    assert dwarf("watch", key, "--url", "work.db").status == 0


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_flow_ends(dwarf: Command, project: Path) -> None:
    assert dwarf("migrate", "--url", "work.db").status == 0
    with worker("--processes", "1", "--reload", env={"DWARF_URL": "work.db"}) as supervisor:
        hear(supervisor, "is ready")
        key = dwarf("run", "shop:slow", "--url", "work.db", "--detach").out.strip()
        first = int(appears(project / "ran"))
        (project / "ran").unlink()
        os.kill(first, signal.SIGKILL)
        hear(supervisor, "another one takes its place")
        second = int(appears(project / "ran"))
        assert second != first
        (project / "go").touch()
        assert dwarf("watch", key, "--url", "work.db").status == 0
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait() == 0
