"""Waiting for the signals with which an operating system ends a process."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from dwarf.errors import ConfigError


class EndRequest:
    """Counts the signals that ask the process to end."""

    def __init__(self) -> None:
        self._times = 0
        self._again = asyncio.Event()

    def ask(self) -> None:
        """Count a signal."""
        self._times += 1
        self._again.set()

    async def times(self, count: int) -> None:
        """Wait for this many signals."""
        while self._times < count:
            self._again.clear()
            await self._again.wait()


@contextmanager
def listening(signals: Iterable[signal.Signals]) -> Iterator[EndRequest]:
    """Count these signals instead of their usual effect. ConfigError outside the main thread, which receives them."""
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("signals reach the main thread only: run the engine's loop there, or call aclose yourself")
    loop = asyncio.get_running_loop()
    asked = EndRequest()

    def heard(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(asked.ask)

    before: dict[signal.Signals, Any] = {}
    try:
        for number in signals:
            before[number] = signal.getsignal(number)
            try:
                loop.add_signal_handler(number, asked.ask)
            except NotImplementedError:  # on Windows
                signal.signal(number, heard)
        yield asked
    finally:
        for number, handler in before.items():
            try:
                loop.remove_signal_handler(number)
            except NotImplementedError:
                pass
            signal.signal(number, handler)
