"""A host may leave a task to others, or to later: it is asked before a step is claimed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
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


async def ask(flow: Flow) -> None:
    flow.interrupt({"title": "Go?"})


async def fresh() -> dict[str, bool]:
    return {"fresh": True}


async def test_a_task_is_rolled_out_and_back_over_three_replicas(running: Running) -> None:
    """Replicas with and without it are replaced one after the other; its steps wait while nobody has it."""
    graph = Graph("New").add_node("Ask", ask).add_node("Fresh", fresh).add_chain("Ask", "Fresh", END)

    def host(*, new: bool) -> LocalHost:
        made = LocalHost()
        made.add_functions(graph, None if new else ["tests.flows.test_declining_hosts.ask"])
        return made

    async def replicas(stack: AsyncExitStack, *, new: bool, count: int = 1) -> list[Engine]:
        return [await stack.enter_async_context(running(host=host(new=new))) for _ in range(count)]

    async with AsyncExitStack() as last, AsyncExitStack() as first:
        old = await replicas(first, new=False, count=2)
        (one,) = await replicas(last, new=True)
        flows = await one.create_many(graph, [{}] * 12)
        for flow in flows:
            await flow.outcome(timeout=60)
        for number, flow in enumerate(flows[:6]):  # wherever the answer comes in
            await [*old, one][number % 3].flow(flow.key).resume()
        for flow in flows[:6]:
            assert (await flow.outcome(timeout=60)).state == {"fresh": True}
        await one.aclose()  # and back: only old ones are there
        for flow in flows[6:]:
            await old[0].flow(flow.key).resume()
        await old[1].run(
            Graph("Old").add_node("Ask", "tests.flows.test_declining_hosts.ask").add_transition("Ask", END)
        )
        for flow in flows[6:]:
            assert (await old[0].flow(flow.key).snapshot()).status is Status.RUNNING
        (again,) = await replicas(first, new=True)
        for flow in flows[6:]:
            assert (await again.flow(flow.key).outcome(timeout=60)).state == {"fresh": True}
