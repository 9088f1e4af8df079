"""Steps of tasks that nobody knows are set aside, where there are many of them, and come back when somebody knows it."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select

from dwarf import END, Flow, Graph, Status, task
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.storage.operations import unknown_tasks
from dwarf.storage.operations.known_tasks import tell_tasks
from dwarf.storage.sql.rows import APART
from dwarf.storage.sql.script import Fetch, Script, Statement
from dwarf.storage.sql.tables import steps
from tests.support.workflows import Running

MANY = 2 * unknown_tasks.FEW + 50
GONE = Graph("Gone").add_node("Gone", "gone.task").add_transition("Gone", END)
_APART = Statement("apart", select(func.count()).select_from(steps).where(steps.c.asleep == APART))


def apart() -> Script[int]:
    return (yield Fetch(_APART, {}))[0][0]


async def set_aside(engine: Engine) -> int:
    """How many steps are set aside, when the engine has met them all."""
    known_tasks = engine._runtimes[1].known_tasks
    if known_tasks._setting_aside is not None:
        await known_tasks._setting_aside
    await known_tasks._set_aside(["gone.task"])
    return await engine._runtimes[1].database.read(apart)


async def known(flow: Flow) -> None:
    flow["done"] = True


async def test_many_are_set_aside_and_brought_back(running: Running, host: LocalHost) -> None:
    async with running() as engine:
        lost = await engine.create_many(GONE, [{} for _ in range(MANY)], check_tasks=False)
        while await set_aside(engine) < MANY - unknown_tasks.FEW:  # those that came last may be few, and stay
            await asyncio.sleep(0.01)  # the search of the engine may hold their rows
        ((shard,),) = [await engine.shards()]
        assert list(shard.waiting) == ["gone.task"]
        assert (await engine.run(Graph("Known").add_node("Known", known).add_transition("Known", END))).state["done"]
        with pytest.raises(TimeoutError, match=r"gone\.task"):
            await lost[0].outcome(timeout=0.05)
        host.add_task("gone.task", known)
        await engine._runtimes[1].known_tasks._tell()
        assert {(await flow).status for flow in lost} == {Status.COMPLETED}
        assert await engine._runtimes[1].database.read(apart) == 0


async def test_tasks_whose_own_mark_names_an_executor_that_nobody_has(running: Running, host: LocalHost) -> None:
    @task(executor="gpu")
    async def marked(flow: Flow) -> None:
        pass

    host.add_task("gone.task", marked)
    async with running() as engine:
        async with running():  # a replica with the same code
            lost = await engine.create_many(GONE, [{} for _ in range(MANY)])
            while await set_aside(engine) < MANY - unknown_tasks.FEW:
                await asyncio.sleep(0.01)
            ((shard,),) = [await engine.shards()]
            assert "gpu" in shard.waiting["gone.task"]
        host.add_task("gone.task", known)
        await engine._runtimes[1].known_tasks._tell()
        assert {(await flow).status for flow in lost} == {Status.COMPLETED}


async def test_a_few_stay_where_they_are_found_at_once(running: Running, host: LocalHost) -> None:
    async with running() as engine:
        lost = await engine.create_many(GONE, [{} for _ in range(5)], check_tasks=False)
        assert await set_aside(engine) == 0
        host.add_task("gone.task", known)
        assert {(await flow.outcome(timeout=60)).status for flow in lost} == {Status.COMPLETED}


async def test_what_another_engine_knows_is_left_to_it(engine: Engine) -> None:
    await engine._runtimes[1].database.write(lambda: tell_tasks(4242, {"gone.task"}))
    lost = await engine.create_many(GONE, [{} for _ in range(MANY)], check_tasks=False)
    assert await set_aside(engine) == 0
    await lost[0].cancel()
    assert (await lost[0]).status is Status.CANCELLED
