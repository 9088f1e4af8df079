"""Places while the engine looks for work."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from tests.support.workflows import Running


def fan() -> Graph:
    async def work(flow: Flow, item: int) -> None:
        flow["out"] = [item]

    async def nothing(flow: Flow) -> None:
        pass

    graph = Graph("fan", reducers={"out": "append"})
    graph.add_node("Split", nothing).add_node("Work", work).add_node("Join", nothing, fan_in=True)
    return graph.add_for_each("Split", "Work", items="items").add_chain("Work", "Join", END)


class Looks:
    """Holds up the looks for work of an engine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, engine: Any) -> None:
        self._dispatcher = engine._runtimes[1].dispatcher
        self._claim = self._dispatcher._claim
        self._resting, self._looking, self._go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._rest = self._dispatcher._rest
        monkeypatch.setattr(self._dispatcher, "_claim", self._held_up)
        monkeypatch.setattr(self._dispatcher, "_rest", self._rested)

    async def _rested(self, claimed: Any) -> Any:
        self._resting.set()
        return await self._rest(claimed)

    async def _held_up(self, room: int, ceiling: int) -> Any:
        if self._resting.is_set():
            self._looking.set()
            await self._go_on.wait()
        return await self._claim(room, ceiling)

    async def begin(self) -> None:
        """Once nothing was found, look again and do not come to an end."""
        self._dispatcher.wake()
        await self._resting.wait()
        self._dispatcher.wake()
        await self._looking.wait()

    def end(self) -> None:
        self._go_on.set()


async def test_a_flow_runs_to_its_end_while_the_engine_looks_for_others(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(workers=8) as engine:
        looks = Looks(monkeypatch, engine)
        await looks.begin()
        try:
            outcome = await engine.run(fan(), {"items": [0, 1, 2, 3]}, timeout=60)
        finally:
            looks.end()
        assert (outcome.status, outcome.state["out"]) == (Status.COMPLETED, [0, 1, 2, 3])


async def test_the_only_free_place_is_offered_to_what_waits(running: Running) -> None:
    async with running(workers=1) as engine:
        outcome = await engine.run(fan(), {"items": [0, 1, 2, 3]}, timeout=60)
        assert outcome.state["out"] == [0, 1, 2, 3]
