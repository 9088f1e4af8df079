"""A host may leave a task to others, or to later: it is asked before a step is claimed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dwarf import END, Flow, Graph, Status
from tests.support.workflows import Running


class Choosy:
    """A host without threads of its own that takes what is on its list."""

    def __init__(self) -> None:
        self.takes: set[str] = {"first"}
        self.ran: list[str] = []
        self.listeners: list[Callable[[], None]] = []

    def admits(self, url: str) -> bool:
        return url in self.takes

    def listen_free(self, listener: Callable[[], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    async def load_graph(self, url: str, baggage: Mapping[str, Any]) -> Graph:
        return Graph(url).add_chain("first", "second", END)

    async def execute_task(self, url: str, flow: Flow) -> None:
        self.ran.append(url)


async def test_a_step_that_is_not_taken_waits_until_the_host_tells(running: Running) -> None:
    host = Choosy()
    async with running(host=host) as engine:
        flow = await engine.create("two")
        async for update in flow.watch():
            if [step.status for step in update.steps] == [Status.COMPLETED, Status.PENDING]:
                break
        host.takes.add("second")
        for listener in host.listeners:
            listener()
        outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert host.ran == ["first", "second"]


async def test_a_step_that_one_replica_leaves_is_taken_by_another(running: Running) -> None:
    one, other = Choosy(), Choosy()
    other.takes = {"second"}
    async with running(host=one) as first, running(host=other):
        outcome = await first.run("two")
    assert outcome.status is Status.COMPLETED
    assert (one.ran, other.ran) == (["first"], ["second"])
