"""One graph with equal results wherever its tasks run: threads, processes, HTTP, Dask, two engines on one database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest

from dwarf import END, Graph, Reducer
from dwarf.hosts import HttpHost, LocalHost, RoutingHost
from dwarf.hosts.asgi import task_app
from tests.support import faraway
from tests.support.servers import servers
from tests.support.web import website
from tests.support.workflows import Running

pytestmark = pytest.mark.timeout(240)


def graph(executor: str = "", functions: bool = True) -> Graph:
    """Squares of numbers side by side, added up, with a question about the sum."""
    made = Graph("Squares", reducers={"total": Reducer.ADD})
    for node, task in (("Split", faraway.split), ("Square", faraway.square), ("Ask", faraway.ask_about)):
        made.add_node(node, task if functions else f"far/{task.__name__}", executor=executor)
    return (
        made.set_fan_in("Ask")
        .add_for_each("Split", "Square", items="numbers", item="number")
        .add_chain("Square", "Ask", END)
    )


@contextmanager
def local(**executors: Any) -> Iterator[LocalHost]:
    host = LocalHost(executors=executors)
    yield host
    host.close()


@asynccontextmanager
async def served() -> AsyncIterator[RoutingHost]:
    far = LocalHost()
    for task in (faraway.split, faraway.square, faraway.ask_about):
        far.add_task(f"far/{task.__name__}", task)
    with website(task_app(far)) as site:
        host = RoutingHost({"": LocalHost(), "far/": HttpHost(site.url)})
        yield host
        await host.aclose()


@pytest.mark.parametrize("database", ["memory", *(kind for kind in servers() if kind == "postgresql")], indirect=True)
async def test_one_graph_in_five_ways(running: Running) -> None:
    found: dict[str, Any] = {}

    async def way(name: str, host: Any, made: Graph, engines: int = 1) -> None:
        async with AsyncExitStack() as stack:
            first, *_ = [await stack.enter_async_context(running(host=host, workers=4)) for _ in range(engines)]
            flow = await first.create(made, {"upto": 20})
            assert (await flow).interrupt_payload["title"] == "Is it 2470?"
            await flow.resume("yes")
            found[name] = dict((await flow).raise_for_status().state)

    with local() as host:
        await way("threads", host, graph())
        await way("two engines", host, graph(), engines=2)
    with local(away=2) as host:
        await way("processes", host, graph("away"))
    with local(away="dask:local") as host:
        await way("dask", host, graph("away"))
    async with served() as far:
        await way("http", far, graph(functions=False))
    assert all(state == found["threads"] for state in found.values()), found
    assert found["threads"]["said"] == "yes"
