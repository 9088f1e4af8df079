"""A block that takes too long is cancelled and raises TimeoutError; all else is as if there were no budget."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dwarf.engine.shard.deadlines import Deadlines

SHORT, LONG = 0.02, 600.0


def this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def test_a_block_over_its_budget_is_cancelled_and_the_task_goes_on() -> None:
    deadlines = Deadlines()
    with pytest.raises(TimeoutError), deadlines.within(SHORT, this_task()) as deadline:
        await asyncio.Event().wait()
    assert deadline.passed
    assert not this_task().cancelling()


async def test_a_block_within_its_budget_is_left_alone() -> None:
    deadlines = Deadlines()
    with deadlines.within(SHORT, this_task()) as early:
        pass
    with pytest.raises(TimeoutError), deadlines.within(SHORT, this_task()):
        await asyncio.Event().wait()  # the timer that was set for the first serves the second
    assert not early.passed


async def test_each_of_many_blocks_has_its_own_budget() -> None:
    deadlines = Deadlines()
    over: list[float] = []
    waiting = asyncio.Event()

    async def block(seconds: float) -> None:
        try:
            with deadlines.within(seconds, this_task()):
                await waiting.wait()
        except TimeoutError:
            over.append(seconds)

    tasks = [asyncio.create_task(block(seconds)) for seconds in (LONG, SHORT, SHORT, 2 * SHORT)]
    await asyncio.wait(tasks[1:])
    waiting.set()
    await asyncio.wait(tasks)
    assert over == [SHORT, SHORT, 2 * SHORT]
    deadlines.close()


async def test_a_cancel_by_somebody_else_stays_a_cancel() -> None:
    deadlines = Deadlines()
    entered = asyncio.Event()

    async def block() -> None:
        with deadlines.within(LONG, this_task()):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    deadlines.close()


async def test_a_block_that_swallows_the_cancel_ends_as_it_likes() -> None:
    deadlines = Deadlines()
    with deadlines.within(SHORT, this_task()) as deadline:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
    assert deadline.passed
    assert not this_task().cancelling()


async def test_budgets_that_nobody_uses_any_more_are_forgotten() -> None:
    deadlines = Deadlines()
    with pytest.raises(TimeoutError), deadlines.within(SHORT, this_task()):
        await asyncio.Event().wait()
    with deadlines.within(LONG, this_task()):
        assert len(deadlines._lines) == 1
    deadlines.close()
