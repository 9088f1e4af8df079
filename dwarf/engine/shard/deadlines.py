"""Time budgets of the tasks in flight, with one timer for all tasks that share a budget."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any, Self


class Deadline:
    """The end of one task's budget: cancels the asyncio task that runs the block, which then raises TimeoutError.

    A cancellation from elsewhere in the same block stays a CancelledError, as with ``asyncio.timeout``.
    """

    __slots__ = ("_cancelling", "_line", "at", "passed", "task")

    def __init__(self, line: _EqualDeadlines, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.at = time.monotonic() + line.seconds
        self.passed = False  # the task was cancelled for its budget
        self._line = line
        self._cancelling = task.cancelling()

    def __enter__(self) -> Self:
        line = self._line
        line.open[self] = None
        if line.timer is None:
            line.watch(self)
        return self

    def __exit__(self, et: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self._line.open.pop(self, None)  # the timer stays and finds the next deadline by itself
        if self.passed and self.task.uncancel() <= self._cancelling and et is asyncio.CancelledError:
            raise TimeoutError from e


class Deadlines:
    """The time budgets of the tasks of one event loop."""

    def __init__(self) -> None:
        self._lines: dict[float, _EqualDeadlines] = {}

    def within(self, seconds: float, task: asyncio.Task[Any]) -> Deadline:
        """A context manager that ``task``, which is running now, must leave within this many seconds."""
        line = self._lines.get(seconds)
        if line is None:
            self._forget()
            line = self._lines[seconds] = _EqualDeadlines(seconds)
        return Deadline(line, task)

    def close(self) -> None:
        """Cancel the timers."""
        for line in self._lines.values():
            line.close()

    def _forget(self) -> None:
        for seconds in [seconds for seconds, line in self._lines.items() if line.timer is None]:
            del self._lines[seconds]


class _EqualDeadlines:
    """Deadlines of equal length. They expire in the order in which they began, so one timer is enough for all."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.open: dict[Deadline, None] = {}
        self.timer: asyncio.TimerHandle | None = None  # set while a deadline is open

    def close(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def watch(self, first: Deadline) -> None:
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(max(0.0, first.at - time.monotonic()), self._look)

    def _look(self) -> None:
        self.timer = None
        now = time.monotonic()
        while self.open:
            first = next(iter(self.open))
            if first.at > now:
                self.watch(first)
                return
            del self.open[first]
            first.passed = True
            first.task.cancel()
