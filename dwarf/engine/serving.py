"""Waiting for the signals by which an operating system asks a process to end."""

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
    """How often the process was asked to end."""

    def __init__(self) -> None:
        self._times = 0
        self._again = asyncio.Event()

    def ask(self) -> None:
        """A signal has come."""
        self._times += 1
        self._again.set()

    async def times(self, count: int) -> None:
        """Wait until it was asked so often."""
        while self._times < count:
            self._again.clear()
            await self._again.wait()


@contextmanager
def listening(signals: Iterable[signal.Signals]) -> Iterator[EndRequest]:
    """Count these signals, instead of what else they would do. ConfigError outside the main thread, which gets them."""
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
