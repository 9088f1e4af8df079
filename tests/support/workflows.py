"""Small helpers for tests that run flows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from dwarf import END, Flow, Graph, Step, task
from dwarf.engine import Engine, FlowHandle
from dwarf.hosts import LocalHost

Running: TypeAlias = Callable[..., AbstractAsyncContextManager[Engine]]  # the fixture of this name


def idle(url: str) -> Any:
    """A task that does nothing."""

    @task(url=url)
    async def nothing(flow: Flow) -> None:
        pass

    return nothing


def install(host: LocalHost, graph: Graph, **tasks: Any) -> Graph:
    """Register a graph, its tasks by URL, and a task that does nothing for every URL that has none."""
    for url, function in tasks.items():
        host.add_task(url, function)
    host.add_graph(graph)
    for node in graph.nodes:
        if node.url not in host.functions:
            host.add_task(node.url, idle(node.url))
    return graph


def names(steps: Iterable[Step]) -> list[str]:
    """The nodes of a history, in its order."""
    return [step.node for step in steps]


def at(steps: Iterable[Step], node: str) -> Step:
    """The one step at a node."""
    (found,) = [step for step in steps if step.node == node]
    return found


class Gate:
    """Where tasks wait until the test lets them through, and the test until they have come."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._came = asyncio.Condition()
        self.waiting = 0

    async def wait(self) -> None:
        """For a task: stop here until the gate is open."""
        async with self._came:
            self.waiting += 1
            self._came.notify_all()
        await self._open.wait()

    async def reached(self, count: int = 1) -> None:
        """For a test: until so many tasks have come."""
        async with self._came:
            await self._came.wait_for(lambda: self.waiting >= count)

    def open(self) -> None:
        """Let everybody through."""
        self._open.set()


class Order:
    """Which flows ran, in order, behind flows that hold every place. ``field`` of the state names them."""

    def __init__(self, field: str) -> None:
        self.names: list[Any] = []
        self.gate = Gate()

        async def hold(flow: Flow) -> None:
            await self.gate.wait()

        async def note(flow: Flow) -> None:
            self.names.append(flow[field])
            await asyncio.sleep(0)

        self.held = Graph("held").add_node("Hold", hold).add_transition("Hold", END)
        self.noted = Graph("noted").add_node("Note", note).add_transition("Note", END)


async def until_steps(handle: FlowHandle, condition: Any) -> list[Step]:
    """Watch a flow until its history meets a condition."""
    async for update in handle.watch():
        if condition(update.steps):
            return list(update.steps)
    raise AssertionError("the flow ended before")
