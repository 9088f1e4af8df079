"""A process that runs one random flow and dies at a given statement: ``python -m tests.property.crashing`` (pickle in)."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import random
import sys
from typing import Any

from dwarf import Status
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.property.test_random_flows import Builder, Chain, State
from tests.support.invariants import check_invariants

DEAD = 9  # the exit code of a process that died as asked


async def run(chain: Chain, initial: State, seed: int, path: str, dies_at: int) -> dict[str, Any]:
    """Go on with the flow of this file, or begin it; die at statement number ``dies_at`` (0: never)."""
    host, luck = LocalHost(max_threads=4), random.Random(seed)
    graph = Builder(chain, luck, host).graph
    async with Engine(host, f"sqlite:///{path}") as engine:
        left = dies_at

        def count(statement: str, rows: int) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(DEAD)

        engine._runtimes[1].database.observer = count  # type: ignore[attr-defined]
        flow = await engine.create(graph, initial, idempotency_key="the one")
        outcome = await flow.outcome(timeout=60)
        while outcome.status is Status.INTERRUPTED:
            step = luck.choice(await flow.interrupts())
            assert step.interrupt_payload is not None
            await flow.resume(step.interrupt_payload["number"], step=step)
            outcome = await flow.outcome(timeout=60)
        await check_invariants(engine)
    assert outcome.status is Status.COMPLETED, outcome.error
    return dict(outcome.state)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(*pickle.load(sys.stdin.buffer)))))
