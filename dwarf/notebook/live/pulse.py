"""How does a page know that the kernel is there? By a beat each second, as long as somebody may see the view.

The page takes a silence of less than three seconds for the end of the connection, whatever ended it: a kernel that is
dead, restarted or held, a network that is cut. The beats come from the lab's thread, so that a cell that computes on
the main thread does not stop them. A page that is closed or hidden says nothing any more, and gets no more beats: a
server keeps what is sent to nobody.
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
SIGN = 30.0  # seconds without a sign of the page after which nobody sees the view
BLOCKED = 600.0  # the same while a cell runs: it may keep the page's signs from being heard

_log = logging.getLogger("dwarf.notebook")


class Pulse:
    """The beats of one view. ``send`` hands a message to its widget; it is called on the lab's loop."""

    def __init__(self, send: Callable[[Beat], object], submit: Callable[[Any], Any]) -> None:
        self._send = send
        self._submit = submit
        self._signed = time.monotonic()
        self._beating = False
        self._ended = False
        kernel.cell_runs()

    def start(self) -> None:
        """Begin; the page may not have shown the view yet. From any thread."""
        self.sign()

    def sign(self) -> None:
        """The page has said something. From any thread."""
        self._signed = time.monotonic()
        if not self._beating and not self._ended:
            self._beating = True
            self._submit(self._beat())

    def stop(self) -> None:
        """No more beats: the view is replaced by what needs no kernel."""
        self._ended = True

    @property
    def is_seen(self) -> bool:
        """Whether somebody may look at the view now."""
        return time.monotonic() - self._signed < (BLOCKED if kernel.cell_runs() else SIGN)

    async def _beat(self) -> None:
        try:
            while not self._ended and self.is_seen:
                self._send({"type": "beat", "now": round(time.time(), 3)})
                await asyncio.sleep(BEAT)
        except Exception:  # noqa: BLE001  a widget that is closed takes no messages
            _log.debug("a view could not be sent a beat", exc_info=True)
        finally:
            self._beating = False
