"""A clock that tests move: days of delay pass in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Lock

from dwarf.workflow.durations import Seconds, to_ms


class VirtualClock:
    """The database's clock of an engine under test, shifted.

    ``advance`` moves it on. With ``auto`` (the default) it also jumps by itself to the next due step whenever nothing
    else can run, so that delays and retries cost no time. Deadlines of interrupts pass only by ``advance``: whether
    somebody answers before is the test's to say.

    Example::

        clock = VirtualClock()
        async with engine_for_test("reminders", host, clock=clock) as engine:
            flow = await engine.create(graph)
            clock.advance(timedelta(days=14))  # what is due within two weeks happens now
    """

    def __init__(self, *, auto: bool = True) -> None:
        self.offset_ms = 0
        self.auto = auto
        self._listeners: list[Callable[[], None]] = []
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<VirtualClock: {timedelta(milliseconds=self.offset_ms)} ahead>"

    def advance(self, duration: Seconds) -> None:
        """Move the clock on by seconds or a timedelta. InvalidRequest where it would go back."""
        self._move(to_ms(duration, "duration"))

    def jump(self, milliseconds: int) -> None:
        """For the engine: move on because nothing else can run until then."""
        if self.auto:
            self._move(milliseconds)

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called, in the mover's thread, after each move. Returns how to stop it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _move(self, milliseconds: int) -> None:
        with self._lock:
            self.offset_ms += milliseconds
        for listener in tuple(self._listeners):
            listener()
