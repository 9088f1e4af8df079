"""``python -m tests.benchmarks.replicas [--replicas 1 2 4] [--flows N] [--rounds N] [--url URL] [--cas]``: replicas on one PostgreSQL.

Prints steps per second as ratios to one replica, the share of claims lost to others, and how long a flow's waiter in
another process waits after the task has returned. Without a URL a private server is started, which waits for the disk.

``--cas`` has replicas look for work without passing over the rows that others hold: whoever comes second loses the claim.
Rates vary with the machine and its other load; the sizes of one round follow each other, so their ratios can be compared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dwarf import END, Flow, Graph
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.support.servers import fresh_database

ROOT = Path(__file__).parents[2]
SERVER = "DWARF_TEST_POSTGRESQL_URL"
STEPS = 5
WAKINGS = 100


def build() -> LocalHost:
    """A chain of tasks that do next to nothing, and a task that tells when it returned."""
    host = LocalHost()

    @host.task
    async def work(flow: Flow) -> None:
        flow["n"] = flow.get("n", 0) + 1

    @host.task
    async def stamp(flow: Flow) -> None:
        flow["at"] = time.monotonic()

    chain = Graph("chain")
    names = [f"N{number}" for number in range(STEPS)]
    for name in names:
        chain.add_node(name, "work")
    host.add_graph(chain.add_chain(*names, END))
    host.add_graph(Graph("stamp").add_node("Stamp", "stamp").add_transition("Stamp", END))
    return host


async def serve(url: str, *, cas: bool) -> None:
    """One replica, until its input ends. Its last word is what it has claimed and lost."""
    if cas:
        _without_passing_over()
    taken = lost = 0
    async with Engine(build(), url, workers=64) as engine:
        observing: Any = engine._runtimes[1].telemetry
        before = observing.claimed

        def claimed(found: Any, seconds: float) -> None:
            nonlocal taken, lost
            taken, lost = taken + len(found.steps), lost + found.lost
            before(found, seconds)

        observing.claimed = claimed
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    print(json.dumps({"taken": taken, "lost": lost}), flush=True)


def _without_passing_over() -> None:
    from dwarf.storage.operations import due_queue
    from dwarf.storage.sql.script import Statement

    query: Any = due_queue.OF_KEY.clause._clone()  # type: ignore[attr-defined]
    query._for_update_arg = None
    due_queue.OF_KEY = Statement("due_of_key", query)


@asynccontextmanager
async def replicas(url: str, count: int, *, cas: bool, told: list[dict[str, int]]) -> AsyncIterator[None]:
    """So many processes that serve; what they have told in the end."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "tests.benchmarks.replicas", "--serve", url, *(["--cas"] if cas else []))
    processes = [
        await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=ROOT) for _ in range(count)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert (await process.stdout.readline()).strip() == b"ready"
        yield
        for process in processes:
            output, _ = await process.communicate(b"")
            told.append(json.loads(output))
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def measure(url: str, count: int, flows: int, *, cas: bool) -> dict[str, float]:
    """One size."""
    told: list[dict[str, int]] = []
    async with Engine(build(), url, workers=0) as front, replicas(url, count, cas=cas, told=told):
        await front.run("chain")
        begun = time.perf_counter()
        outcomes = await asyncio.gather(*(await front.create_many("chain", [{}] * flows)))
        seconds = time.perf_counter() - begun
        assert all(outcome.state == {"n": STEPS} for outcome in outcomes)
        wakings = []
        for _ in range(WAKINGS):
            outcome = await front.run("stamp")
            wakings.append((time.monotonic() - outcome.state["at"]) * 1000)
    taken, lost = (sum(part[name] for part in told) for name in ("taken", "lost"))
    hundredths = statistics.quantiles(wakings, n=100)
    return {
        "rate": flows * STEPS / seconds,
        "lost": lost / max(1, taken + lost),
        "p50": hundredths[49],
        "p99": hundredths[98],
    }


async def compare(sizes: list[int], flows: int, rounds: int, *, cas: bool) -> None:
    """All sizes, several times, each on a database of its own."""
    print(
        f"{flows} chains of {STEPS} steps on one PostgreSQL, {os.cpu_count()} processors, claims by "
        + ("CAS" if cas else "SKIP LOCKED")
    )
    print(f"{'replicas':>8} {'steps/s':>8} {'ratio':>6} {'lost':>7} {'wake p50':>9} {'wake p99':>9}")
    for _ in range(rounds):
        one = 0.0
        for size in sizes:
            with fresh_database("postgresql", bare=True) as template:
                found = await measure(template.format(shard=1), size, flows, cas=cas)
            one = one or found["rate"]
            ratio = found["rate"] / one
            print(
                f"{size:>8} {found['rate']:>8.0f} {ratio:>6.2f} {found['lost']:>7.2%} "
                f"{found['p50']:>6.1f} ms {found['p99']:>6.1f} ms",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--flows", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--url", help="of a PostgreSQL server where databases may be made")
    parser.add_argument("--cas", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve, cas=given.cas))
        return
    if given.url:
        os.environ[SERVER] = given.url
    if not os.environ.get(SERVER):
        command = [str(ROOT / "scripts/with-servers"), sys.executable, "-m", "tests.benchmarks.replicas", *sys.argv[1:]]
        raise SystemExit(
            subprocess.run(command, cwd=ROOT, env={**os.environ, "DWARF_SERVERS_FSYNC": "1"}, check=False).returncode
        )
    asyncio.run(compare(given.replicas, given.flows, given.rounds, cas=given.cas))


if __name__ == "__main__":
    main()
