"""What every adapter shares: it is run in the peers' environment, where there is no dwarf, and prints a line of figures."""

from __future__ import annotations

import argparse
import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from tests.benchmarks.databases import is_postgresql
from tests.benchmarks.figures import Figures, Measured, at_once, database_of
from tests.benchmarks.meter import Meter, peak_memory, server_of

PAD = "x" * 200
CHAIN, WIDTH, LATENCY = 10, 50, 5
Flow = Callable[[], Awaitable[None]]


class Peer:
    """One engine, opened on a database. Its methods run one flow, and raise where that does not end as it should."""

    name = ""
    setting = ""  # how durable it is
    slowness = 1  # the flows of a workload are divided by this
    limits: Mapping[str, int] = {}  # other numbers of flows at once than dwarf's
    helpers: tuple[int, ...] = ()  # processes that belong to the engine

    async def open(self, url: str) -> None:
        """Connect, and make what tables it needs."""

    async def close(self) -> None:
        """Disconnect."""

    async def chain(self) -> None:
        """Ten trivial steps."""
        raise NotImplementedError

    async def latency(self) -> None:
        """Five trivial steps."""
        raise NotImplementedError

    async def fan_out(self) -> None:
        """One, fifty at once, one."""
        raise NotImplementedError

    async def prompt(self) -> float:
        """A flow that waits for an answer, is given one, and ends: seconds from the answer to the end."""
        raise NotImplementedError


# flows at scale 8, flows at once, steps
SIZES = {"chain": (512, 64, CHAIN), "fan-out": (64, 8, WIDTH + 2), "latency": (160, 1, LATENCY), "prompt": (160, 1, 3)}


async def run(peer: Peer, workload: str, scale: int, url: str) -> Figures:
    """Measure one workload, after a few flows that are not counted."""
    flows, limit, steps = SIZES[workload]
    limit = peer.limits.get(workload, limit)
    flows = max(limit, 3, flows * scale // 8 // peer.slowness)
    await peer.open(url)
    try:
        meter = await _meter(peer, url)
        answered: list[float] = []
        flow = _flow(peer, workload, answered)
        await at_once(flow, min(limit, 8), limit, steps)
        answered.clear()
        gc.collect()
        meter.start()
        measured = await at_once(flow, flows, limit, steps)
        own, other = meter.stop()
    finally:
        await peer.close()
    if answered:
        measured.latencies = answered
    figures = _figures(peer, workload, url, measured, own, other)
    figures.others = meter.others
    return figures


def _flow(peer: Peer, workload: str, answered: list[float]) -> Flow:
    if workload == "prompt":

        async def prompted() -> None:
            answered.append(await peer.prompt())

        return prompted
    return {"chain": peer.chain, "latency": peer.latency, "fan-out": peer.fan_out}[workload]


async def _meter(peer: Peer, url: str) -> Meter:
    if not is_postgresql(url):
        return Meter(helpers=peer.helpers)
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        return Meter(await server_of(connection.fetchval, urlsplit(url).hostname or ""), helpers=peer.helpers)
    finally:
        await connection.close()


def _figures(peer: Peer, workload: str, url: str, measured: Measured, own: float, other: float | None) -> Figures:
    figures = Figures.of(peer.name, database_of(url), workload, measured)
    figures.engine_cpu = own / measured.steps * 1e6
    figures.database_cpu = None if other is None else other / measured.steps * 1e6
    figures.peak, figures.setting = peak_memory(), peer.setting
    return figures


async def count_up(n: int) -> int:
    """The trivial work of a step."""
    return n + 1


def expect(value: object, wanted: object) -> None:
    """A flow that ends with something else is no measurement."""
    if value != wanted:
        raise AssertionError(f"{value!r} instead of {wanted!r}")


def main(make: Callable[[str], Peer], *variants: str) -> None:
    """Measure one workload and print its figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=SIZES)
    parser.add_argument("--scale", type=int, default=8)
    parser.add_argument("--url", required=True)
    parser.add_argument("--variant", choices=variants or ("",), default=variants[0] if variants else "")
    chosen = parser.parse_args()
    print(asyncio.run(run(make(chosen.variant), chosen.workload, chosen.scale, chosen.url)).line(), flush=True)
