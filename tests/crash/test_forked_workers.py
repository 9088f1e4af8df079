"""Workers that are forked from a process which has imported their tasks, as web servers with preloading do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.crash.conftest import ROOT

PROGRAM = """
import asyncio, os, sys
from dwarf import END, Graph
from dwarf.engine import Engine
from dwarf.hosts import LocalHost

host = LocalHost()

def work(x: int) -> dict:
    return {"y": 2 * x}

async def more(y: int) -> dict:
    return {"z": y + 1}

graph = Graph("g").add_node("A", work).add_node("B", more).add_chain("A", "B", END)
host.add_graph(graph)

async def serve(url: str, count: int) -> int:
    async with Engine(host, url) as engine:
        outcomes = await asyncio.gather(*(engine.run(graph, {"x": n}, timeout=60) for n in range(count)))
        assert sorted(outcome.state["z"] for outcome in outcomes) == [2 * n + 1 for n in range(count)]
        return engine._runtimes[1].engine_id

asyncio.run(serve("sqlite://", 1))  # the host has been in use, with threads
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        print(asyncio.run(serve(sys.argv[1], 30)), flush=True)
        os._exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
"""


def test_forked_workers_share_a_file(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "app.py", f"sqlite:///{tmp_path}/flows.db"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 3
