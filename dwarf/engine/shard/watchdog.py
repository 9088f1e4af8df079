"""A thread that detects a blocked event loop, and names the task that blocks it."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable

from dwarf.observe.logs import Log

BEAT_S = 0.25
PATIENCE_S = 1.0


class Watchdog:
    """Watches one loop while tasks are in flight.

    A task that blocks the loop cannot be stopped. Its name and its stack go to the log, once for each blockage.
    """

    def __init__(self, log: Log, patience: float = PATIENCE_S) -> None:
        self.on_beat: Callable[[float], None] | None = None  # called with the delay of the loop at each beat
        self._log = log
        self._patience = patience
        self._running: dict[object, str] = {}
        self._beat = 0.0
        self._closing = threading.Event()
        self._active = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="dwarf-watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        self._active.set()
        if self._timer is not None:
            self._timer.cancel()

    def names(self) -> list[str]:
        """The tasks in flight, with repetition. Thread-safe."""
        return list(self._running.copy().values())

    def begun(self, token: object, name: str) -> None:
        """Note that a task is in flight, until ``ended`` is called with the same token."""
        self._running[token] = name
        if self._timer is None and self._loop is not None:
            self._tick()

    def ended(self, token: object) -> None:
        """Note that a task has ended."""
        del self._running[token]

    def _tick(self) -> None:
        self._beat = time.monotonic()
        if self.on_beat is not None and self._timer is not None and self._loop is not None:
            self.on_beat(max(0.0, self._loop.time() - self._timer.when()))
        if self._running and not self._closing.is_set() and self._loop is not None:
            self._timer = self._loop.call_later(BEAT_S, self._tick)
            self._active.set()
        else:
            self._timer = None
            self._active.clear()

    def _watch(self) -> None:
        reported = 0.0
        while not self._closing.is_set():
            self._active.wait()
            if self._closing.wait(BEAT_S):
                return
            beat = self._beat
            late = time.monotonic() - beat
            if self._active.is_set() and late > self._patience + BEAT_S and beat != reported:
                reported = beat
                self._report(late)

    def _report(self, late: float) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        names = sorted(set(self.names()))
        where = "".join(traceback.format_stack(frame)[-6:]) if frame is not None else ""
        self._log.warning(
            "the engine's loop has stood still for %.1f s; a task blocks it (in flight: %s). Make it an ordinary "
            "function, which runs in a thread, or await instead of blocking. It stands at:\n%s",
            late,
            ", ".join(names) or "none",
            where,
        )
