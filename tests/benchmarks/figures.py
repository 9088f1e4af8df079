"""What one measurement says, and how it goes from the process that measures to the one that prints.

Nothing here needs dwarf: the peers' processes run in an environment of their own.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field


@dataclass
class Measured:
    """The figures of one run of a workload: seconds, steps, and the latency of each flow in seconds."""

    steps: int = 0
    flows: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """A percentile of the latencies, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


@dataclass
class Figures:
    """One cell of the tables. What is None was not measured, or cannot be here.

    Latencies are milliseconds, CPU is microseconds per step, memory is MiB; the counts are per step.
    """

    system: str
    database: str
    workload: str
    steps: int = 0
    flows: int = 0
    seconds: float = 0.0
    p50: float | None = None
    p99: float | None = None
    engine_cpu: float | None = None
    database_cpu: float | None = None
    transactions: float | None = None
    statements: float | None = None
    rows: float | None = None
    bytes: float | None = None
    peak: float | None = None
    others: float | None = None  # cores kept busy by somebody else meanwhile
    setting: str = ""
    round: int = 0

    @property
    def rate(self) -> float:
        """Steps per second."""
        return self.steps / self.seconds if self.seconds else 0.0

    @property
    def cpu(self) -> float | None:
        """Of engine and database together."""
        return None if self.engine_cpu is None else self.engine_cpu + (self.database_cpu or 0.0)

    @property
    def flow_rate(self) -> float:
        """Flows per second."""
        return self.flows / self.seconds if self.seconds else 0.0

    @classmethod
    def of(cls, system: str, database: str, workload: str, measured: Measured) -> Figures:
        """The part that a stop-watch gives."""
        found = cls(system, database, workload, measured.steps, measured.flows, measured.seconds)
        if measured.latencies:
            found.p50, found.p99 = measured.percentile(0.5), measured.percentile(0.99)
        return found

    def line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, line: str) -> Figures:
        """What ``line`` wrote."""
        return cls(**json.loads(line))


def database_of(url: str) -> str:
    """What a database is called in the tables: "SQLite", "PostgreSQL" or "MariaDB"."""
    names = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MariaDB", "mariadb": "MariaDB"}
    return names[url.partition(":")[0].partition("+")[0]]


async def at_once(flow: Callable[[], Awaitable[None]], flows: int, limit: int, steps: int) -> Measured:
    """Run ``flows`` flows of ``steps`` steps each, ``limit`` at a time."""
    measured = Measured(steps=flows * steps, flows=flows)
    gate = asyncio.Semaphore(limit)

    async def one() -> None:
        async with gate:
            begun = time.perf_counter()
            await flow()
            measured.latencies.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(flows)))
    measured.seconds = time.perf_counter() - begun
    return measured
