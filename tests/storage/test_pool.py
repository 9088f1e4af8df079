"""Who gets the next connection to a server."""

from __future__ import annotations

import asyncio
import time

import pytest

from dwarf.errors import EngineClosed
from dwarf.storage.drivers.pool import Pool


class Line:
    """A connection to nowhere."""

    def __init__(self) -> None:
        self.idle_since = time.monotonic()
        self.open = True

    @property
    def usable(self) -> bool:
        return self.open

    async def close(self) -> None:
        self.open = False

    def kill(self) -> None:
        self.open = False


class Made:
    """A pool, and what it has connected."""

    def __init__(self, limit: int) -> None:
        self.lines: list[Line] = []
        self.pool: Pool[Line] = Pool(self._connect, limit)
        self.served: list[str] = []

    async def _connect(self) -> Line:
        self.lines.append(Line())
        return self.lines[-1]

    @property
    def open(self) -> int:
        return sum(line.open for line in self.lines)

    async def use(self, name: str, *, writes: bool) -> None:
        """Take a connection, note that, and give it back a turn of the loop later."""
        line = await self.pool.take(writes=writes)
        self.served.append(name)
        await asyncio.sleep(0)
        self.pool.give(line, writes=writes)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_who_came_first_goes_first_and_writes_before_reads() -> None:
    made = Made(1)
    held = await made.pool.take(writes=True)
    names = ["r1", "w1", "r2", "w2", "w3", "r3"]
    tasks = []
    for name in names:
        tasks.append(asyncio.create_task(made.use(name, writes=name.startswith("w"))))
        await turns()
    assert made.served == []
    made.pool.give(held, writes=True)
    await asyncio.gather(*tasks)
    assert made.served == ["w1", "w2", "w3", "r1", "r2", "r3"]
    assert len(made.lines) == 1


async def test_a_stream_of_reads_keeps_no_read_waiting_for_ever() -> None:
    made = Made(3)
    reads = [asyncio.create_task(made.use(f"r{number}", writes=False)) for number in range(50)]
    await asyncio.gather(*reads)
    assert made.served == [f"r{number}" for number in range(50)]
    assert len(made.lines) == 1  # two places are kept for writes


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 10])
async def test_reads_leave_places_to_writes(limit: int) -> None:
    made = Made(limit)
    reads = [asyncio.create_task(made.pool.take(writes=False)) for _ in range(2 * limit)]
    await turns()
    reading = sum(task.done() for task in reads)
    assert reading == max(1, limit - 2)
    writes = [asyncio.create_task(made.pool.take(writes=True)) for _ in range(2 * limit)]
    await turns()
    assert sum(task.done() for task in writes) == limit - reading
    for task in (*reads, *writes):
        task.cancel()


async def test_more_connections_let_those_in_who_wait() -> None:
    made = Made(1)
    tasks = [asyncio.create_task(made.pool.take(writes=True)) for _ in range(5)]
    await turns()
    assert sum(task.done() for task in tasks) == 1
    made.pool.resize(4)
    await turns()
    assert [task.done() for task in tasks] == [True] * 4 + [False]
    tasks[-1].cancel()


async def test_fewer_connections_are_kept() -> None:
    made = Made(5)
    lines = [await made.pool.take(writes=True) for _ in range(5)]
    made.pool.give(lines.pop(), writes=True)
    made.pool.give(lines.pop(), writes=True)
    assert made.open == 5
    made.pool.resize(2)
    assert made.open == 3  # those in use
    waiting = asyncio.create_task(made.use("late", writes=True))
    await turns()
    made.pool.give(lines.pop(), writes=True)
    await turns()
    assert made.served == []
    assert made.open == 2
    made.pool.give(lines.pop(), writes=True)
    await waiting
    assert made.served == ["late"]
    assert made.open == 2


async def test_who_is_let_in_and_cancelled_in_the_same_moment_leaves_the_place() -> None:
    made = Made(1)
    held = await made.pool.take(writes=True)
    first, second = (asyncio.create_task(made.use(name, writes=True)) for name in ("first", "second"))
    await turns()
    made.pool.give(held, writes=True)  # lets the first one in
    first.cancel()
    await asyncio.wait([first])
    await second
    assert made.served == ["second"]


async def test_a_connection_that_cannot_be_made_takes_no_place() -> None:
    failing = True

    async def connect() -> Line:
        if failing:
            raise OSError("refused")
        return Line()

    pool: Pool[Line] = Pool(connect, 1)
    for _ in range(3):
        with pytest.raises(OSError, match="refused"):
            await pool.take(writes=True)
    failing = False
    assert (await pool.take(writes=False)).usable


async def test_who_waits_while_it_closes_is_told() -> None:
    made = Made(1)
    held = await made.pool.take(writes=True)
    waiting = [asyncio.create_task(made.pool.take(writes=writes)) for writes in (True, False)]
    await turns()
    await made.pool.aclose()
    for task in waiting:
        with pytest.raises(EngineClosed):
            await task
    made.pool.give(held, writes=True)
    assert made.open == 0


async def test_connections_given_back_at_once_to_two_who_wait_are_used_again() -> None:
    """One that is let in has not taken its connection yet, which is idle for that moment and no third one."""
    made = Made(2)
    first, second = [await made.pool.take(writes=True) for _ in range(2)]
    waiting = [asyncio.create_task(made.use(name, writes=True)) for name in "ab"]
    await turns()
    made.pool.give(first, writes=True)
    made.pool.give(second, writes=True)
    await asyncio.gather(*waiting)
    assert made.lines == [first, second]
    assert made.open == 2
