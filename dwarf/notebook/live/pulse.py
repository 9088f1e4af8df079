"""How does a page know that the kernel is there? By a beat each second, as long as somebody may see the view.

The page takes a silence of three seconds as the end of the connection: the kernel may be dead, restarted or suspended,
or the network cut. The beats come from the lab's thread, so a cell that computes on the main thread does not stop them.
A closed or hidden page sends nothing any more, and gets no more beats: a server would queue undelivered messages.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from dwarf.notebook import kernel
from dwarf.notebook.messages import Beat

__all__ = ["BEAT", "SIGN", "Pulse"]

BEAT = 1.0  # seconds between two beats
SIGN = 30.0  # seconds without a sign of the page after which the view counts as hidden
BLOCKED = 600.0  # the same while a cell runs: the kernel may not hear the page's signs meanwhile

_log = logging.getLogger("dwarf.notebook")


class Pulse:
    """The beats of one view. ``send`` passes a message to its widget; it is called on the lab's loop."""

    def __init__(self, send: Callable[[Beat], object], submit: Callable[[Any], Any]) -> None:
        self._send = send
        self._submit = submit
        self._signed = time.monotonic()
        self._beating = False
        self._ended = False
        kernel.cell_runs()

    def start(self) -> None:
        """Start; the page may not have shown the view yet. Thread-safe."""
        self.sign()

    def sign(self) -> None:
        """Note a sign of the page. Thread-safe."""
        self._signed = time.monotonic()
        if not self._beating and not self._ended:
            self._beating = True
            self._submit(self._beat())

    def stop(self) -> None:
        """Stop the beats: the view is replaced by a still one, which needs no kernel."""
        self._ended = True

    @property
    def is_seen(self) -> bool:
        """Whether a user may be looking at the view."""
        return time.monotonic() - self._signed < (BLOCKED if kernel.cell_runs() else SIGN)

    async def _beat(self) -> None:
        try:
            while not self._ended and self.is_seen:
                try:
                    self._send({"type": "beat", "now": round(time.time(), 3)})
                except Exception:  # noqa: BLE001  the next may go through; a page that is closed gives no more signs
                    _log.debug("a view could not be sent a beat", exc_info=True)
                await asyncio.sleep(BEAT)
        finally:
            self._beating = False
