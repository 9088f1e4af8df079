"""Threads for blocking functions: a bounded number of daemons, so that a hung function blocks no exit."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeAlias

Job: TypeAlias = Callable[[], None]

_IDLE_SECONDS = 10.0


class DaemonThreads:
    """Threads named ``dwarf-task-N`` that are kept for a while after their job, and never joined.

    The standard executor joins its threads when the interpreter exits, so a hung task would block the exit.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._idle = 0  # threads that wait for a job and are not promised one yet
        self._numbers = itertools.count(1)
        self._retired = False

    def run(self, job: Job) -> None:
        """Run a job, which must not raise, in an idle thread or a new one."""
        with self._lock:
            reuse = self._idle > 0
            self._idle -= reuse
        if reuse:
            self._jobs.put(job)
        else:
            name = f"dwarf-task-{next(self._numbers)}"
            threading.Thread(target=self._work, args=(job,), name=name, daemon=True).start()

    def _work(self, job: Job | None) -> None:
        while job is not None:
            job()
            job = None  # an idle thread must keep no object of the task alive
            with self._lock:
                if self._retired:
                    return
                self._idle += 1
            try:
                job = self._jobs.get(timeout=_IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if self._idle > 0:
                        self._idle -= 1
                        return
                job = self._jobs.get()  # a job was promised between the timeout and the lock

    def keep(self) -> None:
        """Keep threads for a while after their jobs, as from the beginning."""
        with self._lock:
            self._retired = False

    def end_idle(self) -> None:
        """End the idle threads."""
        with self._lock:
            idle, self._idle = self._idle, 0
        for _ in range(idle):
            self._jobs.put(None)

    def retire(self) -> None:
        """End the idle threads now, and the other threads after their jobs."""
        with self._lock:
            self._retired = True
        self.end_idle()


class ThreadSlots:
    """A bounded number of slots. Waiters may be on any loop and are served in order; any thread may release a slot.

    ``on_late`` is called when a slot is returned because its waiter had stopped waiting.
    """

    def __init__(self, limit: int, on_late: Callable[[], None] = lambda: None) -> None:
        self.limit = limit
        self._on_late = on_late
        self._lock = threading.Lock()
        self._taken = 0
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()

    @property
    def taken(self) -> int:
        """How many slots are in use."""
        return self._taken

    @property
    def free(self) -> int:
        """How many slots are free."""
        return self.limit - self._taken

    async def acquire(self) -> None:
        """Take a slot, after earlier waiters."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._taken < self.limit:
                self._taken += 1
                return
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.append((loop, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._come_back()  # the slot arrived together with the cancellation
            raise

    def release(self) -> None:
        """Release a slot: to the longest waiting caller, otherwise to all."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._taken -= 1
                    return
                loop, turn = self._waiting.popleft()
            try:
                loop.call_soon_threadsafe(self._hand_over, turn)
                return
            except RuntimeError:  # the loop of the waiter is closed
                continue

    def _hand_over(self, turn: asyncio.Future[None]) -> None:
        if turn.done():
            self._come_back()
        else:
            turn.set_result(None)

    def _come_back(self) -> None:
        self.release()
        self._on_late()
