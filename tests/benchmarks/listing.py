"""``python -m tests.benchmarks.listing [--flows N]`` prints what lists and searches of many flows cost, on a SQLite file.

Each is the first page of 100, in milliseconds and as a multiple of reading one flow by its key: the machine and its
other load cancel out of that. The flows are written by plain SQL.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dwarf import END, Graph
from dwarf.engine import Engine
from dwarf.engine.shard.plans import Frozen, PlanCache
from dwarf.hosts import LocalHost

WORKFLOWS = 20
BEGUN = 1_700_000_000_000
LATER = 10**10  # ids above those that the engine gives
BY_KEY = "one flow by its key"
PAD = '{"pad":"' + "x" * 300 + '"}'

Row = tuple[Any, ...]


def graph_of(number: int) -> Frozen:
    """One of the workflows: three nodes."""
    graph = Graph(f"workflow-{number}")
    for node in ("Prepare", "Work", f"Report{number}"):
        graph.add_node(node, node)
    return PlanCache().freeze(graph.add_chain("Prepare", "Work", f"Report{number}", END))


def flow_rows(count: int, graphs: list[Frozen], random_: random.Random) -> Iterator[Row]:
    """Flows of 50 tenants, 95 of 100 completed, 3 failed, 1 cancelled, 1 running; one of the failed is special."""
    for number in range(1, count + 1):
        status = random_.choices(("completed", "failed", "cancelled", "running"), (95, 3, 1, 1))[0]
        url = f"workflow-{number % WORKFLOWS}"
        error = f"connection {number} refused" if status == "failed" else ""
        if number == count // 2:
            status, url, error = "failed", "rarely", "the needle in the haystack"
        reason = "no longer wanted" if status == "cancelled" else ""
        graph = graphs[number % WORKFLOWS]
        moment = BEGUN + number * 100
        yield (
            *(LATER + number, f"{random_.getrandbits(64):016x}", url, graph.plan.name, graph.graph_hash, "", status),
            *(LATER + number, LATER + number, "0" * 16, PAD, error, reason, f"tenant-{number % 50}"),
            *(moment, moment, moment + 500),
        )


def step_rows(count: int) -> Iterator[Row]:
    """Three steps a flow."""
    for number in range(1, count + 1):
        flow, moment = LATER + number, BEGUN + number * 100
        for place, node in enumerate(("Prepare", "Work", f"Report{number % WORKFLOWS}")):
            step = LATER + number * 3 + place
            before, after = (step - 1 if place else 0), (step + 1 if place < 2 else 0)
            yield (step, flow, "0" * 16, place + 1, node, node, PAD, "completed", before, after, moment, moment, moment)


def fill(path: Path, count: int) -> None:
    """Write so many flows, with three steps each."""
    graphs = [graph_of(number) for number in range(WORKFLOWS)]
    connection = sqlite3.connect(path)
    try:
        connection.executemany(
            "INSERT INTO dwarf_graphs (graph_hash, body) VALUES (?, ?)",
            [(graph.graph_hash, graph.body) for graph in graphs],
        )
        connection.executemany(
            "INSERT INTO dwarf_flows (flow_id, token, workflow_url, workflow_name, graph_hash, baggage, status, "
            "root_flow_id, thread_id, thread_token, final_state, error, cancel_reason, fairness_key, created_at, "
            f"started_at, updated_at) VALUES ({', '.join('?' * 17)})",
            flow_rows(count, graphs, random.Random(1)),
        )
        connection.executemany(
            "INSERT INTO dwarf_steps (step_id, flow_id, token, depth, node, task_url, state, status, predecessor_id, "
            "successor_id, created_at, started_at, updated_at, refs, changes, error, traceback, answers, interrupt, "
            "progress) VALUES (" + ", ".join(["?"] * 13 + ["''"] * 7) + ")",
            step_rows(count),
        )
        connection.commit()
    finally:
        connection.close()


async def median(call: Callable[[], Awaitable[Any]], times: int) -> tuple[float, Any]:
    """The middle of the times that calls take, in milliseconds, after two that are not counted; and the last answer."""
    seconds = []
    for number in range(times + 2):
        begun = time.perf_counter()
        answer = await call()
        if number > 1:
            seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds) * 1000, answer


def questions(engine: Engine, count: int, key: str) -> dict[str, Callable[[], Awaitable[Any]]]:
    """What is measured: each reads one page."""
    page: dict[str, dict[str, Any]] = {
        "first page": {},
        "status=failed": {"status": "failed"},
        "status=completed, one workflow": {"status": "completed", "workflow_url": "workflow-3"},
        "one workflow": {"workflow_url": "workflow-3"},
        "a workflow that ran once": {"workflow_url": "rarely"},
        "one thread": {"thread": key},
        "older than the newest half": {"older_than": time.time() - (BEGUN + count * 50) / 1000},
        "node": {"node": "Report3"},
        "one tenant of 50 (no index)": {"fairness_key": "tenant-7"},
        "search: a workflow": {"search": "FLOW-3"},
        "search: a node": {"search": "report3"},
        "search: errors": {"search": "REFUSED"},
        "search: one error": {"search": "needle"},
        "search: a whole key": {"search": key},
        "search: nothing": {"search": "no such text"},
        "search: a part of a key (reads all)": {"search": "abcdef0"},
    }

    def first(filters: dict[str, Any]) -> Callable[[], Awaitable[Any]]:
        async def call() -> Any:
            rows, cursor = await anext(engine.flows(**filters).pages(100))
            return len(rows), cursor

        return call

    return {name: first(filters) for name, filters in page.items()}


@asynccontextmanager
async def filled(path: Path, count: int) -> AsyncIterator[dict[str, Callable[[], Awaitable[Any]]]]:
    """The questions to a file of so many flows, by name; each answers how many flows it found, and a cursor."""
    async with Engine(LocalHost(), f"sqlite:///{path}", workers=0) as engine:
        fill(path, count)
        middle, _ = await anext(engine.flows(older_than=time.time() - (BEGUN + count * 50) / 1000).pages(1))
        key = middle[0].flow_key
        deep = ""
        for _ in range(20):
            _, deep = await anext(engine.flows().pages(1000, deep))
            if not deep:
                break

        async def by_key() -> Any:
            await engine.flow(key).snapshot()
            return 1, ""

        async def far() -> Any:
            rows, cursor = await anext(engine.flows().pages(100, deep))
            return len(rows), cursor

        async def shards() -> Any:
            await engine.shards()
            return 0, ""

        yield {BY_KEY: by_key, **questions(engine, count, key), "page after 20,000": far, "shards()": shards}


async def measure(path: Path, count: int, times: int = 9) -> dict[str, tuple[float, float, int]]:
    """Milliseconds, multiples of a read by key, and flows found, by question. The file is filled first."""
    async with filled(path, count) as calls:
        one, _ = await median(calls[BY_KEY], 50)
        found = {BY_KEY: (one, 1.0, 1)}
        for name, call in calls.items():
            if name != BY_KEY:
                took, (size, _) = await median(call, times)
                found[name] = (took, took / one, size)
        return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flows", type=int, default=200_000, help="how many (default 200,000)")
    count = parser.parse_args().flows
    with tempfile.TemporaryDirectory() as folder:
        print(f"{count:,} flows with 3 steps each\n{'':<38} {'ms':>8} {'x read':>8} {'found':>6}")
        for name, (took, ratio, size) in asyncio.run(measure(Path(folder) / "listing.db", count)).items():
            print(f"{name:<38} {took:>8.2f} {ratio:>8.1f} {size:>6}", flush=True)


if __name__ == "__main__":
    main()
