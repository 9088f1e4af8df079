"""The database's file is deleted, moved or replaced while engines have it open: nothing is acknowledged any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from dwarf import END, Flow, Graph, StorageError
from dwarf.engine import Engine, Timing
from dwarf.hosts import LocalHost

QUICK = Timing(retry_ladder=(0.01,), recovery=0.05)


async def work(flow: Flow) -> None:
    flow["done"] = True


GRAPH = Graph("work").add_node("Work", work).add_transition("Work", END)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["deleted", "replaced"])
async def test_the_file_is_gone(how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, aside = tmp_path / "flows.db", tmp_path / "aside.db"
    async with Engine(LocalHost(), f"sqlite:///{path}", timing=QUICK) as engine:
        known = await engine.create(GRAPH)
        await known
        path.rename(aside)
        if how == "replaced":
            path.touch()
        with pytest.raises(StorageError, match="deleted or replaced while the engine had it open"):
            await engine.create(GRAPH)
        with pytest.raises(StorageError, match="Put the file back in its place"):
            await known.snapshot()
        with pytest.raises(StorageError, match="nothing more is written"):
            await known.delete()
        assert "deleted or replaced" in (await engine.shards())[0].error
        await until(lambda: "deleted or replaced" in caplog.text)
        # the file itself is what it was: put back, the engine goes on
        aside.replace(path)
        assert (await engine.run(GRAPH)).state == {"done": True}
        assert (await known.snapshot()).state == {"done": True}
    told = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(told) == 1
    assert "deleted or replaced" in told[0].getMessage()


async def test_who_waits_or_watches_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "flows.db"

    async def ask(flow: Flow) -> None:
        flow.interrupt("well?")

    graph = Graph("ask").add_node("Ask", ask).add_transition("Ask", END)
    async with Engine(LocalHost(), f"sqlite:///{path}", timing=QUICK) as engine:
        flow = await engine.create(graph)
        await flow

        async def watch() -> None:
            async for _ in flow.watch():
                pass

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        with caplog.at_level(logging.ERROR):
            path.unlink()
            await until(lambda: "deleted or replaced" in caplog.text)
        with pytest.raises(StorageError, match="deleted or replaced"):
            await watching
