"""What does a live view cost? Bytes and time of an update in a real JupyterLab, for 12 and 500 nodes and 10,000 branches.

``python -m tests.notebook.measure_view`` prints a table. Two things are measured: single updates, one after the other,
from the kernel's clock when the state is summed up to the browser's when the next frame is drawn; and whole runs by a
real engine, with and without a view, with the messages that reach the page.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat

from dwarf.workflow import END, Graph, Step
from tests.notebook.samples import outcome, step

ROOT = Path(__file__).resolve().parents[2]
SIZES = ("12 nodes", "500 nodes", "10,000 branches")
UPDATES = 40


def graph_of(size: str) -> Graph:
    """A chain of 12, a tree of 500, or a for-each."""
    graph = Graph(size)
    if size == SIZES[0]:
        return graph.add_chain(*(f"node {number}" for number in range(12)), END)
    if size == SIZES[1]:
        for number in range(1, 500):
            graph.add_transition(f"n{(number - 1) // 2}", f"n{number}")
        return graph
    return graph.add_for_each("list", "work", items="items").add_transition("work", "join").set_fan_in("join")


def steps_of(graph: Graph, done: int) -> list[Step]:
    """A history in which so many steps have been done."""
    if graph.name == SIZES[2]:
        first = [step(1, "list", "completed", 0, 1)]
        return first + [
            step(2 + n, "work", "completed" if n < done else "pending", 1 if n < done else None, 2, predecessor_id=1)
            for n in range(10_000)
        ]
    nodes = graph.nodes[: done + 1]
    return [step(1 + n, node.name, "completed", n, n + 1, predecessor_id=n) for n, node in enumerate(nodes)]


class Feed:
    """Runs in the kernel: a view of a history that is put forward by hand."""

    def __init__(self, size: str) -> None:
        from dwarf.notebook.live.flow_watcher import FlowWatcher
        from dwarf.notebook.live.runview import RunView
        from dwarf.notebook.prompts.answers import Answers

        class Handle:
            key = "1-1-x"

        self.graph = graph_of(size)
        self.watcher = FlowWatcher(None, Handle(), Answers({}), lambda *_: None)  # type: ignore[arg-type]
        self.watcher.graph, self.watcher.outcome = self.graph, outcome("running")
        self.watcher.steps = steps_of(self.graph, 0)
        begun = time.perf_counter()
        self.view = RunView(self.watcher, lambda work: work.close())
        self.view.show()
        self.first = time.perf_counter() - begun
        self.costs: list[float] = []

    async def run(self) -> str:
        """Put it forward, a step or 250 branches at a time."""
        for number in range(1, UPDATES + 1):
            many = number * 250 if self.graph.name == SIZES[2] else number % len(self.graph.nodes)
            self.watcher.steps = steps_of(self.graph, many)
            self.watcher.outcome = outcome("running", error=f"sent at {time.time():.4f}")
            begun = time.perf_counter()
            self.view.push()
            self.costs.append(time.perf_counter() - begun)
            await asyncio.sleep(0.15)
        return json.dumps({"first": self.first, "cost": statistics.median(self.costs)})


class Work:
    """Runs in the kernel: real flows, shown or not."""

    def __init__(self, size: str) -> None:
        from dwarf.notebook import Lab

        self.lab = Lab(f"{tempfile.mkdtemp()}/flows.db")
        self.graph = graph_of(size)

        async def nothing() -> None:
            return None

        async def items() -> dict[str, Any]:
            return {"items": list(range(10_000))}

        for node in self.graph.nodes:
            self.lab.host.add_task(node.url, items if node.name == "list" else nothing)  # type: ignore[attr-defined]
        for name in {node.name for node in self.graph.nodes} - {each.source for each in self.graph.transitions}:
            self.graph.add_transition(name, END)

    async def run(self, *, show: bool) -> str:
        begun = time.perf_counter()
        run = self.lab.start(self.graph, show=show)
        (await run).raise_for_status()
        return json.dumps({"took": time.perf_counter() - begun})


WATCH = """() => {
    window.delays = [];
    const fault = document.querySelector('.dwarf-fault');
    new MutationObserver(() => {
        const sent = Number(fault.textContent.split('sent at ')[1]);
        requestAnimationFrame(() => window.delays.push(Date.now() / 1000 - sent));
    }).observe(fault, { childList: true, characterData: true, subtree: true });
}"""


def measure(size: str, scratch: Path) -> dict[str, Any]:
    """The figures of one size, in a JupyterLab of its own."""
    from tests.notebook.labdriver import lab_page

    cells = [
        f"from tests.notebook.measure_view import Feed\nfeed = Feed({size!r})",
        "print(await feed.run())",
        "print(1)",
    ]
    folder = scratch / "notebooks"
    folder.mkdir(parents=True)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(book, folder / "measure.ipynb")
    env = {"PYTHONPATH": str(ROOT)}
    with lab_page(folder, scratch, "measure.ipynb", env=env) as lab:
        frames: list[int] = []
        lab.page.on("websocket", lambda socket: socket.on("framereceived", lambda data: note(frames, data)))
        lab.open()
        lab.run_cell(0)
        lab.page.locator(".dwarf-run .dwarf-svg").wait_for()
        lab.page.evaluate(WATCH)
        frames.clear()
        lab.run_cell(1)
        lab.page.wait_for_function(f"() => window.delays.length >= {UPDATES - 1}")
        told = json.loads(lab.output(1))
        delays = sorted(lab.page.evaluate("() => window.delays"))
        return {
            "first": told["first"],
            "cost": told["cost"],
            "frames": len(frames) / UPDATES,
            "bytes": sum(frames) / UPDATES,
            "median": statistics.median(delays),
            "p95": delays[int(len(delays) * 0.95)],
        }


def note(frames: list[int], data: Any) -> None:
    """Count the messages of widgets, and nothing else."""
    text = data if isinstance(data, bytes) else str(data).encode()
    if b"comm_msg" in text[:4000]:
        frames.append(len(text))


def measure_run(size: str, scratch: Path) -> dict[str, Any]:
    """A whole run by a real engine, unseen and seen."""
    from tests.notebook.labdriver import lab_page

    cells = [
        f"from tests.notebook.measure_view import Work\nwork = Work({size!r})",
        "print(await work.run(show=False))",
        "print(await work.run(show=True))",
    ]
    folder = scratch / "notebooks"
    folder.mkdir(parents=True)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(book, folder / "measure.ipynb")
    with lab_page(folder, scratch, "measure.ipynb", env={"PYTHONPATH": str(ROOT)}) as lab:
        frames: list[int] = []
        lab.page.on("websocket", lambda socket: socket.on("framereceived", lambda data: note(frames, data)))
        lab.open()
        lab.run_cell(0)
        lab.run_cell(1)
        frames.clear()
        lab.run_cell(2)
        unseen, seen = (json.loads(lab.output(number).splitlines()[-1])["took"] for number in (1, 2))
        return {"unseen": unseen, "seen": seen, "frames": len(frames), "bytes": sum(frames)}


def main() -> None:
    """Print the two tables."""
    with tempfile.TemporaryDirectory() as scratch:
        print(f"{'':>16} first show  kernel  frames  bytes   to the page: median    p95")
        for number, size in enumerate(SIZES):
            got = measure(size, Path(scratch) / f"update{number}")
            print(
                f"{size:>16} {got['first']:8.2f} s {got['cost'] * 1000:5.1f} ms {got['frames']:6.1f} {got['bytes']:7.0f}"
                f" {got['median'] * 1000:18.1f} ms {got['p95'] * 1000:6.1f} ms",
                flush=True,
            )
        print(f"\n{'':>16} unseen   seen   frames   bytes")
        for number, size in enumerate(SIZES):
            got = measure_run(size, Path(scratch) / f"run{number}")
            print(
                f"{size:>16} {got['unseen']:5.2f} s {got['seen']:5.2f} s {got['frames']:6} {got['bytes']:9,}",
                flush=True,
            )


if __name__ == "__main__":
    os.environ.pop("DWARF_ANSWERS", None)
    main()
