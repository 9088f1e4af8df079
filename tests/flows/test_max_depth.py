"""A flow cannot grow for ever: `Engine(max_depth=)`."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.errors import ConfigError
from dwarf.hosts import LocalHost
from tests.support.workflows import Running


async def count(flow: Flow) -> None:
    flow["laps"] = flow.get("laps", 0) + 1


def loop(laps: int = 0) -> Graph:
    """A cycle that ends after so many laps, or never."""
    graph = Graph("loop").add_node("Lap", count).add_node("Done", count)
    return graph.add_switch("Lap", {f"laps == {laps}": "Done"}, default="Lap").add_transition("Done", END)


async def test_a_loop_without_an_end_fails(running: Running) -> None:
    async with running(max_depth=50) as engine:
        handle = await engine.create(loop())
        outcome = await handle
        assert outcome.status is Status.FAILED
        assert outcome.error.startswith("the flow has become too long: 50 steps lie on one path")
        assert "'Lap'" in outcome.error
        assert "max_depth" in outcome.error
        assert outcome.state == {"laps": 50}
        assert len(await handle.history()) == 50


async def test_a_path_of_exactly_that_length_completes(running: Running) -> None:
    async with running(max_depth=50) as engine:
        assert (await engine.run(loop(49))).status is Status.COMPLETED
        assert (await engine.run(loop(50))).status is Status.FAILED


async def test_width_does_not_count(running: Running) -> None:
    graph = Graph("wide", reducers={"n": "add"}).add_node("S", count).add_node("B", lambda: {"n": 1})
    graph.add_node("J", count, fan_in=True).add_for_each("S", "B", items="xs").add_chain("B", "J", END)
    async with running(max_depth=3) as engine:
        assert (await engine.run(graph, {"xs": list(range(200))})).state["n"] == 200
    async with running(max_depth=2) as engine:
        for xs in ([1, 2], []):
            outcome = await engine.run(graph, {"xs": xs})
            assert (outcome.status, "too long" in outcome.error) == (
                (Status.FAILED, True) if xs else (Status.COMPLETED, False)
            )
    async with running(max_depth=1) as engine:
        assert "too long" in (await engine.run(graph, {"xs": []})).error


async def test_children_count_on_from_their_callers(running: Running, host: LocalHost) -> None:
    def deeper(flow: Flow) -> None:
        flow.subgraph("again", {})

    host.add_graph(Graph("again").add_node("Deeper", deeper).add_transition("Deeper", END))
    async with running(max_depth=7) as engine:
        outcome = await engine.run("again")
        assert outcome.status is Status.FAILED
        assert "too long" in outcome.error


async def test_an_engine_that_allows_more_goes_on(running: Running) -> None:
    async with running(workers=0):  # keeps a database in memory alive
        async with running(max_depth=5) as engine:
            handle = await engine.create(loop(8))
            assert (await handle).status is Status.FAILED
        async with running(max_depth=None) as engine:
            repaired = await engine.flow(handle.key).retry_failed()
            assert (await repaired).state == {"laps": 9}


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "10"])
def test_what_it_may_be(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="max_depth"):
        Engine(LocalHost(), max_depth=wrong)
