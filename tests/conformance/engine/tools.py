"""Reading and doctoring rows, and what the scenarios count and wait for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from dwarf import Flow, Status
from dwarf.engine import Engine, FlowHandle
from dwarf.storage.sql.script import Execute, Script, Statement
from dwarf.workflow.results import Step
from tests.support.invariants import query


async def doctor(engine: Engine, words: str, **parameters: Any) -> int:
    """Change rows behind the engine's back; how many."""
    statement = Statement("doctor", text(words))

    def script() -> Script[int]:
        return (yield Execute(statement, parameters))

    return await engine._runtimes[1].database.write(script)


async def scalar(engine: Engine, words: str, **parameters: Any) -> Any:
    """The one value of a query."""
    ((value,),) = await query(engine, words, **parameters)
    return value


async def flow_count(engine: Engine) -> int:
    """How many flows there are, children included."""
    return int(await scalar(engine, "SELECT COUNT(*) FROM dwarf_flows"))


async def nodes(handle: FlowHandle) -> list[str]:
    """The nodes of a flow's steps, by depth and id."""
    return [step.node for step in await handle.history()]


async def step_at(handle: FlowHandle, node: str, number: int = 0) -> Step:
    """The step of a node, by depth and id where it has several."""
    return [step for step in await handle.history() if step.node == node][number]


async def statuses(handle: FlowHandle, node: str) -> Counter[Status]:
    """How many steps of a node have which status."""
    return Counter(step.status for step in await handle.history() if step.node == node)


async def until(handle: FlowHandle, holds: Callable[[list[Step]], bool]) -> list[Step]:
    """Wait until a flow's history is so. The history."""
    async for update in handle.watch():
        if holds(list(update.steps)):
            return list(update.steps)
    raise AssertionError("the flow ended before it came to this")


class Gate:
    """Holds tasks of one kind, and tells how many have come and gone."""

    def __init__(self) -> None:
        self.entered = 0
        self._open = asyncio.Event()
        self._moved = asyncio.Condition()

    async def pass_(self) -> None:
        """Stand here until the gate is open."""
        async with self._moved:
            self.entered += 1
            self._moved.notify_all()
        await self._open.wait()

    async def reached(self, count: int = 1) -> None:
        """Wait until so many tasks have come."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.entered >= count)

    def open(self) -> None:
        """Let all pass."""
        self._open.set()


def appending(letter: str, field: str = "path") -> Callable[[Flow], Any]:
    """A task that appends its letter to a text."""

    async def append(flow: Flow) -> None:
        flow[field] = flow.get(field, "") + letter

    return append


async def nothing(flow: Flow) -> None:
    """A task that does nothing."""
