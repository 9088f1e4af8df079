"""What is measured: each workload makes its graph, runs it, and says how many steps that took."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import Awaitable, Callable

from dwarf import END, Flow, Graph, Status, task
from dwarf.engine import Engine
from tests.benchmarks.figures import Measured, at_once

PAD = "x" * 200
BACKLOG_KEYS = 1000


Workload = Callable[[Engine, int], Awaitable[Measured]]


async def count_up(flow: Flow) -> None:
    """A trivial task."""
    flow["n"] = flow.get("n", 0) + 1


def chain_of(length: int, name: str = "chain") -> Graph:
    """A chain of trivial tasks."""
    nodes = [f"N{index}" for index in range(length)]
    graph = Graph(name)
    for node in nodes:
        graph.add_node(node, count_up)
    return graph.add_chain(*nodes, END)


async def flows_at_once(
    engine: Engine, graph: Graph, state: dict[str, object], flows: int, limit: int, steps: int
) -> Measured:
    """Run ``flows`` flows, ``limit`` at a time; each must complete."""

    async def one() -> None:
        outcome = await engine.run(graph, state)
        if outcome.status is not Status.COMPLETED:
            raise AssertionError(outcome.error)

    return await at_once(one, flows, limit, steps)


async def chain(engine: Engine, scale: int) -> Measured:
    """10 trivial steps, 64 flows at once."""
    return await flows_at_once(engine, chain_of(10), {"pad": PAD}, 64 * scale, 64, 10)


async def latency(engine: Engine, scale: int) -> Measured:
    """5 trivial steps, one flow at a time."""
    return await flows_at_once(engine, chain_of(5, "latency"), {"pad": PAD}, 20 * scale, 1, 5)


async def real(engine: Engine, scale: int) -> Measured:
    """10 tasks of 5 to 15 ms, 256 flows at once."""

    async def work(flow: Flow) -> None:
        await asyncio.sleep(random.uniform(0.005, 0.015))

    graph = Graph("real")
    nodes = [f"N{index}" for index in range(10)]
    for node in nodes:
        graph.add_node(node, work)
    return await flows_at_once(engine, graph.add_chain(*nodes, END), {"pad": PAD}, 64 * scale, 256, 10)


def fan(name: str) -> Graph:
    async def split(flow: Flow) -> None:
        pass

    async def work(flow: Flow, item: int) -> None:
        flow["out"] = [item]

    async def join(flow: Flow) -> None:
        flow["count"] = len(flow["out"])

    graph = Graph(name, reducers={"out": "append"})
    graph.add_node("Split", split).add_node("Work", work).add_node("Join", join, fan_in=True)
    return graph.add_for_each("Split", "Work", items="items").add_chain("Work", "Join", END)


async def fan_out(engine: Engine, scale: int) -> Measured:
    """1 to 50 to 1, 8 flows at once."""
    return await flows_at_once(engine, fan("fan-out"), {"items": list(range(50))}, 8 * scale, 8, 52)


async def wide(engine: Engine, scale: int) -> Measured:
    """1 to 10,000 to 1."""
    width = 10_000
    return await flows_at_once(engine, fan("wide"), {"items": list(range(width))}, max(1, scale // 8), 1, width + 2)


async def carry(engine: Engine, scale: int) -> Measured:
    """200 KB of state through 20 steps, 8 flows at once."""
    return await flows_at_once(engine, chain_of(20, "carry"), {"big": "y" * 200_000}, 8 * scale, 8, 20)


@functools.cache  # its tasks are closures: they are made once for a host
def nested(depth: int = 10) -> Graph:
    """A graph that calls a graph that calls a graph."""
    inner = chain_of(1, "depth-0")
    for level in range(1, depth + 1):

        @task(url=f"call_{level}")
        async def call(flow: Flow, below: Graph = inner) -> None:
            flow.update(flow.subgraph(below, {"pad": PAD}))

        inner = Graph(f"depth-{level}").add_node("Call", call).add_transition("Call", END)
    return inner


async def subgraph(engine: Engine, scale: int) -> Measured:
    """Child flows 10 deep, 8 at once. A caller counts as two executions, one before and one after its child."""
    return await flows_at_once(engine, nested(), {"pad": PAD}, 8 * scale, 8, 21)


async def prompts(engine: Engine, flows: int) -> Measured:
    """Interrupt, resume, complete, so many times, one at a time. The latency is from the answer to the end."""

    async def ask(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": "go on?"})

    graph = Graph("prompt").add_node("Ask", ask).add_node("Then", count_up).add_chain("Ask", "Then", END)
    measured = Measured(steps=flows * 3, flows=flows)
    begun = time.perf_counter()
    for _ in range(flows):
        handle = await engine.create(graph, {"pad": PAD})
        await handle
        answered = time.perf_counter()
        await handle.resume("yes")
        outcome = await handle
        measured.latencies.append(time.perf_counter() - answered)
        if outcome.state.get("answer") != "yes":
            raise AssertionError(outcome)
    measured.seconds = time.perf_counter() - begun
    return measured


async def prompt(engine: Engine, scale: int) -> Measured:
    """Interrupt, resume, complete, one at a time."""
    return await prompts(engine, 20 * scale)


async def creations(engine: Engine, count: int) -> Measured:
    """So many flows created in one call, not run: give this an engine without workers."""
    begun = time.perf_counter()
    handles = await engine.create_many(chain_of(1, "create"), ({"pad": PAD, "n": n} for n in range(count)))
    return Measured(steps=len(handles), flows=len(handles), seconds=time.perf_counter() - begun)


async def create(engine: Engine, scale: int) -> Measured:
    """Flows created in bulk, not run; 100,000 at scale 200."""
    return await creations(engine, 500 * scale)


class Left:
    """How many tasks of a backlog are still to run."""

    count = 0
    none = asyncio.Event()


async def work_off(flow: Flow) -> None:
    """The task of ``backlog``."""
    flow["n"] = flow["n"] + 1
    Left.count -= 1
    if not Left.count:
        Left.none.set()


def _backlog_size(scale: int) -> int:
    return 25 * scale // 2 * BACKLOG_KEYS


async def fill_backlog(engine: Engine, scale: int) -> None:
    """Create the flows of ``backlog``: of 1,000 fairness keys, in three bands of priority."""
    graph = Graph("backlog").add_node("Work", work_off).add_transition("Work", END)
    gate, each = asyncio.Semaphore(20), _backlog_size(scale) // BACKLOG_KEYS
    Left.count = _backlog_size(scale)

    async def of_key(key: int) -> None:
        async with gate:
            states = ({"pad": PAD, "n": n} for n in range(each))
            await engine.create_many(graph, states, fairness_key=f"tenant-{key}", priority=1 + key % 3)

    await asyncio.gather(*(of_key(key) for key in range(BACKLOG_KEYS)))


async def backlog(engine: Engine, scale: int) -> Measured:
    """Work off pending flows of one step: 100,000 at scale 8, with priorities and 1,000 fairness keys."""
    size, begun = _backlog_size(scale), time.perf_counter()
    await Left.none.wait()
    while True:  # the last of them are being written
        (shard,) = await engine.shards()
        if shard.flows.get(Status.COMPLETED, 0) == size:
            break
    return Measured(steps=size, flows=size, seconds=time.perf_counter() - begun)


WORKLOADS: dict[str, Workload] = {
    "chain": chain,
    "fan-out": fan_out,
    "wide": wide,
    "latency": latency,
    "prompt": prompt,
    "carry": carry,
    "backlog": backlog,
    "subgraph": subgraph,
    "create": create,
    "real": real,
}

# What is done, by an engine without workers, before another one is measured; and the task that that one must know.
PREPARED = {"backlog": (fill_backlog, work_off)}
WITHOUT_WORKERS = {"create"}
