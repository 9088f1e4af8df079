"""Several worker processes under one that watches over them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dwarf.cli.connect import URL_VARIABLE, Exit, find_url, say

_POLL_S = 0.5


def supervise(
    host: str,
    url: str,
    workers: int | None,
    processes: int,
    grace: str,
    labels: Sequence[str],
    *,
    reload: bool,
    health: int,
    verbose: bool,
) -> None:
    """Run workers as processes of their own, replace those that die, and pass signals on. Returns when all ended."""
    command = [sys.executable, "-m", "dwarf.cli", "worker", host, "--grace", grace]
    if workers is not None:
        command += ["--workers", str(workers)]
    command += [f"--label={label}" for label in labels]
    command += ["--verbose"] if verbose else []
    environment = {**os.environ, URL_VARIABLE: find_url(url, make=True)}  # in no process list
    children: list[subprocess.Popen[bytes]] = []
    asked: list[int] = []

    def hear(number: int, frame: Any) -> None:
        asked.append(number)
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)

    def begin(number: int) -> subprocess.Popen[bytes]:
        more = ["--health", str(health + number)] if health else []
        return subprocess.Popen([*command, *more], env=environment, start_new_session=True)

    with _signals((signal.SIGTERM, signal.SIGINT), hear):
        children += [begin(number) for number in range(processes)]
        started = [time.monotonic()] * processes
        seen = _changed_at() if reload else 0.0
        while not asked:
            time.sleep(_POLL_S)
            newest = _changed_at() if reload else 0.0
            if newest > seen:
                seen = newest
                say("a file has changed: the workers start again")
                for child in children:
                    child.terminate()
                for child in children:
                    child.wait()
            for number, child in enumerate(children):
                status = child.poll()
                if status is None or asked:
                    continue
                if newest == seen and status in (int(Exit.USAGE), int(Exit.NOT_FOUND)) and not reload:
                    raise SystemExit(status)
                if status and time.monotonic() - started[number] < 1:
                    time.sleep(1)  # one that dies at once must not be started hundreds of times a second
                if status:
                    say(f"worker {child.pid} ended with status {status}: another one takes its place")
                started[number] = time.monotonic()
                children[number] = begin(number)
        for child in children:
            child.wait()


def _changed_at() -> float:
    """When a Python file below this folder was last changed."""
    newest = 0.0
    for folder, names, files in os.walk("."):
        names[:] = [name for name in names if not name.startswith((".", "__"))]
        for file in files:
            if file.endswith(".py"):
                try:
                    newest = max(newest, os.stat(os.path.join(folder, file)).st_mtime)  # noqa: PTH116, PTH118
                except OSError:
                    continue
    return newest


@contextmanager
def _signals(numbers: Iterable[signal.Signals], handler: Any) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
