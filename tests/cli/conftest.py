"""A folder with a small project, and the command line in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dwarf.cli import main

MODULE = """
import os, pathlib, time
from datetime import date
from dwarf import END, Flow, Graph
from dwarf.hosts import LocalHost

def price(n: int) -> dict:
    print(f"the price of {n}")
    return {"price": 10 * n}

def approve(flow: Flow, price: int) -> dict:
    schema = {"type": "object", "required": ["agree", "how"], "properties": {
        "agree": {"type": "boolean"}, "how": {"enum": ["card", "cash"]}, "note": {"type": "string"},
        "pin": {"type": "string", "format": "password", "minLength": 4}}}
    return {"answer": flow.interrupt({"title": f"Pay {price}?", "schema": schema, "letter": "Dear Ada"})}

def fail() -> None:
    raise ValueError("no stock")

def ask(flow: Flow, kind: str) -> dict:
    return {"told": flow.interrupt({"title": "Well?", "schema": {"date": date, "text": str}[kind]})}

def mark(flow: Flow) -> None:
    pathlib.Path("ran").write_text(str(os.getpid()))
    deadline = time.monotonic() + 60
    while not pathlib.Path("go").exists() and time.monotonic() < deadline:
        time.sleep(0.01)

pay = Graph("Pay").add_node("Price", price).add_node("Approve", approve).add_chain("Price", "Approve", END)
broken = Graph("Broken").add_node("Fail", fail).add_transition("Fail", END)
asking = Graph("Asking").add_node("Ask", ask).add_transition("Ask", END)
slow = Graph("Slow").add_node("Mark", mark).add_transition("Mark", END)
host = LocalHost()
for graph in (pay, broken, slow, asking):
    host.add_graph(graph)
"""


class Done(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Done]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is the working directory, with a module ``shop``."""
    (tmp_path / "shop.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DWARF_URL", raising=False)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    sys.modules.pop("shop", None)


@pytest.fixture
def dwarf(project: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process, without a terminal."""

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        status = main(arguments)
        captured = capsys.readouterr()
        return Done(status, captured.out, captured.err)

    return run
