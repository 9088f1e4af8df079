"""A process with an engine, driven by lines of JSON: requests come in, answers and events go out.

``python -m tests.crash.workers.engine '{"path": ..., "ledger": ..., "holding": false, ...}'``
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dwarf import failpoints
from dwarf.engine import Engine, Schedule, Shard, Timing
from dwarf.workflow.results import Outcome, Step
from tests.crash.workers.flows import build
from tests.support.invariants import check_invariants


def say(**line: Any) -> None:
    """Send a line."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Worker:
    """One engine and the operations that may be asked of it."""

    def __init__(self, engine: Engine, released: asyncio.Event, armed: failpoints.Failpoints) -> None:
        self._engine = engine
        self._released = released
        self._seams = armed
        self._watching: set[asyncio.Task[None]] = set()
        self._frozen: dict[str, failpoints.Checkpoint] = {}

    async def create(self, workflow: str, state: dict[str, Any], **options: Any) -> str:
        """A new flow's key."""
        return (await self._engine.create(workflow, state, **options)).key

    async def create_many(self, workflow: str, states: list[dict[str, Any]]) -> list[str]:
        """The keys of new flows."""
        return [handle.key for handle in await self._engine.create_many(workflow, states)]

    async def outcome(self, key: str) -> dict[str, Any]:
        """What a flow has come to, once it has stopped."""
        return _plain(await self._engine.flow(key).outcome())

    async def outcomes(self, keys: list[str]) -> list[dict[str, Any]]:
        """The same of many, once all have stopped."""
        return [_plain(outcome) for outcome in await asyncio.gather(*(self._engine.flow(key) for key in keys))]

    async def history(self, key: str) -> list[dict[str, Any]]:
        """The steps of a flow."""
        return [_step(step) for step in await self._engine.flow(key).history()]

    async def until(self, keys: list[str], node: str, status: str) -> None:
        """Wait until a node of each flow, or of a child of it, has a status."""
        for key in keys:
            async for update in self._engine.flow(key).watch():
                if any(step.node == node and step.status == status for step in _all(update.steps)):
                    break

    async def resume(self, key: str, answer: Any, step: str | None = None) -> None:
        """Answer a flow, or one of its questions."""
        await self._engine.flow(key).resume(answer, step=step)

    async def questions(self, key: str) -> dict[str, str]:
        """The keys of the steps of a flow that wait for an answer, by their nodes."""
        return {step.node: step.key for step in await self._engine.flow(key).interrupts()}

    async def cancel(self, key: str) -> None:
        """Cancel a flow."""
        await self._engine.flow(key).cancel()

    async def schedule(self, name: str, workflow: str, **options: Any) -> None:
        """Set a schedule up."""
        await self._engine.schedule(name, workflow, **options)

    async def pause(self, name: str) -> None:
        """Pause a schedule."""
        await (await self._schedule(name)).pause()

    async def backfill(self, name: str, start_ms: int, end_ms: int) -> list[str]:
        """The keys of the flows of a schedule's ticks."""
        start, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (start_ms, end_ms))
        return [flow.key for flow in await (await self._schedule(name)).backfill(start, end)]

    async def _schedule(self, name: str) -> Schedule:
        return next(each for each in await self._engine.schedules() if each.name == name)

    async def release(self) -> None:
        """Let the tasks go that hold."""
        self._released.set()

    async def freeze(self, failpoint: str) -> None:
        """Stand still at a failpoint, and say so then."""
        checkpoint = self._frozen[failpoint] = self._seams.checkpoint(failpoint)

        async def watch() -> None:
            await checkpoint.arrived()
            say(event="frozen", what=failpoint)

        self._watching.add(asyncio.create_task(watch()))

    async def thaw(self, failpoint: str) -> None:
        """Go on where it stands still."""
        self._frozen[failpoint].release()

    async def seen(self, failpoint: str, times: int) -> None:
        """Wait until a failpoint was passed so often since the start."""
        await self._seams.seen(failpoint, times)

    async def check(self) -> None:
        """Check the invariants of the database."""
        await check_invariants(self._engine)

    async def block(self, seconds: float) -> None:
        """Stand still, and everything on the loop with it."""
        time.sleep(seconds)

    async def hold_interpreter(self, seconds: float) -> None:
        """Stand still, and every thread of this process with it, as in an extension that does not let others run."""
        ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))

    async def step_clock(self, seconds: float) -> None:
        """Have this process's clock show another time from now on."""
        wall, wall_ns = time.time, time.time_ns
        time.time = lambda: wall() + seconds
        time.time_ns = lambda: wall_ns() + int(seconds * 1_000_000_000)

    async def looks(self, leases: float) -> None:
        """Go on for so many leases, looking at the others all the while."""
        membership = self._engine._runtimes[1].membership
        end = time.monotonic() + leases * membership.lease_ms / 1000
        while time.monotonic() < end:
            await membership.beat()
            await asyncio.sleep(0.02)

    async def living(self) -> int:
        """How many engines live, as this one knows."""
        return self._engine._runtimes[1].membership.living

    async def alone(self) -> None:
        """Wait until every other engine is known to be dead."""
        while await self.living() > 1:
            await self._engine._runtimes[1].membership.beat()

    async def rejoined(self, engine_id: int) -> int:
        """Wait until this engine goes by another id than this one."""
        runtime = self._engine._runtimes[1]
        while runtime.engine_id == engine_id:
            await runtime.membership.beat()
        return runtime.engine_id

    async def draining(self) -> bool:
        """Whether it was asked to end."""
        return self._engine._context is None or self._engine._context.draining

    async def engine_id(self) -> int:
        """The slot of this engine."""
        return self._engine._runtimes[1].engine_id


def _all(steps: Any) -> list[Step]:
    found = list(steps)
    for step in found:
        found.extend(step.sub_steps)
    return found


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {"status": str(outcome.status), "state": dict(outcome.state), "error": outcome.error}


def _step(step: Step) -> dict[str, Any]:
    return {
        "key": step.key,
        "node": step.node,
        "status": str(step.status),
        "attempt": step.attempt,
        "children": len(step.sub_flows),
    }


async def main(
    path: str,
    ledger: str,
    *,
    holding: bool = False,
    freeze: str = "",
    grace: float | None = None,
    fresh: bool = True,
    **settings: Any,
) -> None:
    """Run until told to end. With ``grace`` a signal ends it too, after so many seconds at most."""
    host, released = build(Path(ledger), holding, lambda node: say(event="holding", what=node), fresh=fresh)
    timing = Timing(
        recovery=settings.pop("recovery", 0.25),
        lease_margin=settings.pop("lease_margin", 30),
        lease=settings.pop("lease", 15),
    )
    requests: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(requests.put_nowait, line)
        loop.call_soon_threadsafe(requests.put_nowait, "")

    with failpoints.installed() as armed:
        url = path if "://" in path else f"sqlite:///{path}"
        if "shards" in settings:
            settings["shards"] = [Shard(index, url) for index, url in settings["shards"]]
        engine = Engine(host, None if "shards" in settings else url, timing=timing, **settings)
        worker = Worker(engine, released, armed)
        if freeze:
            await worker.freeze(freeze)
        async with engine:
            say(event="started", what="")
            threading.Thread(target=read, daemon=True).start()
            async with asyncio.TaskGroup() as group:
                if grace is not None:
                    serving = group.create_task(engine.serve(grace=grace))
                    serving.add_done_callback(lambda _: requests.put_nowait(""))
                while line := await requests.get():
                    group.create_task(answer(worker, json.loads(line)))
                await engine.aclose()


async def answer(worker: Worker, request: dict[str, Any]) -> None:
    """Do what is asked and send the result."""
    try:
        result = await getattr(worker, request["do"])(**request["arguments"])
    except Exception as error:
        say(id=request["id"], error=f"{type(error).__name__}: {error}")
    else:
        say(id=request["id"], result=result)


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
