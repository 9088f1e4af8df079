"""How often does a view send its state? At once when it is quiet, and otherwise no more often than a reader can see."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

__all__ = ["Pacer"]

_log = logging.getLogger("dwarf.notebook")


class Pacer:
    """Calls ``send`` soon after each ``touch``, with at least ``least`` seconds in between. Used on the lab's loop.

    If sending takes long, it happens less often, so that most of the loop's time is left to the flows.
    """

    def __init__(self, send: Callable[[], object], *, least: float, most: float = 2.0) -> None:
        self._send = send
        self._least = self._interval = least
        self._most = most
        self._sent = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def touch(self) -> None:
        """Note a change."""
        if self._timer is None:
            rest = max(self._sent + self._interval - time.monotonic(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(rest, self.flush)

    def flush(self) -> None:
        """Send now."""
        self.stop()
        # the time that this thread has computed: a loop that waits for others does not make its views slower
        begun = time.thread_time()
        try:
            self._send()
        except Exception:  # noqa: BLE001  a view must not stop what it looks at
            _log.debug("a view could not be brought up to date", exc_info=True)
        self._sent = time.monotonic()
        # so a view takes a sixth of the loop's time at most, as long as that is not rarer than ``most``
        self._interval = min(max(self._least, 5 * (time.thread_time() - begun)), self._most)

    def stop(self) -> None:
        """Drop a touch that has not led to a call yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
