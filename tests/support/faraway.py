"""Tasks for executors: in a module, so that processes elsewhere can import them."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from dwarf import Flow
from dwarf.errors import TaskError


def double(n: int) -> dict[str, Any]:
    return {"n": 2 * n, "pid": os.getpid()}


async def later(n: int) -> dict[str, Any]:
    return {"n": n + 1, "pid": os.getpid()}


def everything(flow: Flow) -> dict[str, Any]:
    """Tries again, asks, calls a child, delays, goes elsewhere: each once."""
    print("a task that prints breaks nothing")
    if flow.attempt < 1:
        flow.retry()
    said = flow.interrupt({"title": "Which?", "schema": {"type": "string"}}, key="which")
    child = flow.subgraph("Double", {"n": 21})["n"]
    flow.delay(0.001)
    flow.goto("Z")
    return {"said": said, "child": child, "attempt": flow.attempt, "pid": os.getpid()}


def report(flow: Flow, folder: str) -> dict[str, Any]:
    flow.progress(1, 4, "a quarter")
    wait_for(Path(folder) / "go")
    return {"done": True}


def fail() -> None:
    raise TaskError("no stock", status_code=409, article="a-1")


class Odd(Exception):
    """Cannot be made again from its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")


def fail_oddly() -> None:
    raise Odd(1, 2)


def die_once(folder: str) -> dict[str, Any]:
    """Kills its process the first time."""
    mark = Path(folder) / "died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"survived": True}


def hang(folder: str) -> None:
    half = Path(folder) / "pid.half"
    half.write_text(str(os.getpid()))
    half.rename(Path(folder) / "pid")  # whole as soon as it is there
    wait_for(Path(folder) / "never")


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)


def unwritable() -> dict[str, Any]:
    return {"lock": threading.Lock()}


def split(upto: int) -> dict[str, Any]:
    return {"numbers": list(range(upto)), "total": 0}


def square(number: int) -> dict[str, Any]:
    return {"total": number * number}


def ask_about(flow: Flow, total: int) -> dict[str, Any]:
    return {"said": flow.interrupt({"title": f"Is it {total}?", "schema": {"type": "string"}})}


def say(flow: Flow, folder: str) -> None:
    print("printed")
    logging.getLogger("far").warning("careful")
    flow.stream("token ", name="tokens")
    flow.display(42, name="number")
    wait_for(Path(folder) / "go")
    print("the end", file=sys.stderr)
