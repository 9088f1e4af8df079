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

    def __init__(self, line: _Line, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.at = time.monotonic() + line.seconds
        self.passed = False  # the task was cancelled for its budget
        self._line = line
        self._cancelling = task.cancelling()

    def __enter__(self) -> Self:
        self._line.join(self)
        return self

    def __exit__(self, et: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self._line.leave(self)
        if self.passed and self.task.uncancel() <= self._cancelling and et is asyncio.CancelledError:
            raise TimeoutError from e


class Deadlines:
    """The time budgets of the tasks of one event loop."""

    def __init__(self) -> None:
        self._lines: dict[float, _Line] = {}

    def within(self, seconds: float, task: asyncio.Task[Any]) -> Deadline:
        """A context manager that ``task``, which is running now, must leave within this many seconds."""
        line = self._lines.get(seconds)
        if line is None:
            self._forget()
            line = self._lines[seconds] = _Line(seconds)
        return Deadline(line, task)

    def close(self) -> None:
        """Cancel the timers."""
        for line in self._lines.values():
            line.close()

    def _forget(self) -> None:
        for seconds in [seconds for seconds, line in self._lines.items() if not line.waits]:
            del self._lines[seconds]


class _Line:
    """Deadlines of equal length. They expire in the order in which they began, so one timer is enough for all."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._open: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether a timer is set: it is while a deadline is open."""
        return self._timer is not None

    def join(self, deadline: Deadline) -> None:
        self._open[deadline] = None
        if self._timer is None:
            self._set(deadline)

    def leave(self, deadline: Deadline) -> None:
        self._open.pop(deadline, None)  # the timer stays and finds the next deadline by itself

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, first: Deadline) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, first.at - time.monotonic()), self._look)

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        while self._open:
            first = next(iter(self._open))
            if first.at > now:
                self._set(first)
                return
            del self._open[first]
            first.passed = True
            first.task.cancel()
