"""Threads for functions that block: a bounded number, and none that a hung function could keep a process alive with."""

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

    The standard executor waits for its threads when the interpreter ends; a task that hangs would hang it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._idle = 0  # threads that wait for a job which nobody has promised to them yet
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
            job = None  # while the thread is idle it must keep nothing of the task alive
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
                job = self._jobs.get()  # promised in the meantime

    def keep(self) -> None:
        """Keep threads for a while after their jobs, as from the beginning."""
        with self._lock:
            self._retired = False

    def end_idle(self) -> None:
        """End the threads that have nothing to do."""
        with self._lock:
            idle, self._idle = self._idle, 0
        for _ in range(idle):
            self._jobs.put(None)

    def retire(self) -> None:
        """End the idle threads now, and the others after their jobs."""
        with self._lock:
            self._retired = True
        self.end_idle()


class ThreadSlots:
    """A bounded number of slots, waited for on any loop, in order, and given back from any thread.

    ``on_late`` is called when a slot comes back that was on its way to somebody who had stopped waiting.
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
        """How many slots can be had at once."""
        return self.limit - self._taken

    async def acquire(self) -> None:
        """Take a slot, after those who came before."""
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
                self._come_back()  # the slot came together with the cancellation
            raise

    def release(self) -> None:
        """Give a slot back: to whoever waits longest, else to all."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._taken -= 1
                    return
                loop, turn = self._waiting.popleft()
            try:
                loop.call_soon_threadsafe(self._hand_over, turn)
                return
            except RuntimeError:  # that loop is closed: its waiter is gone
                continue

    def _hand_over(self, turn: asyncio.Future[None]) -> None:
        if turn.done():
            self._come_back()
        else:
            turn.set_result(None)

    def _come_back(self) -> None:
        self.release()
        self._on_late()
