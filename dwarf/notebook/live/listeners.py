"""Who is told when something changes? Views come and go on any thread while the lab's loop tells them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

__all__ = ["Listeners"]

_log = logging.getLogger("dwarf.notebook")


class Listeners:
    """Functions to be called after each change.

    The observed object keeps changing: add the function first, and then read the state, on the thread that notifies.
    Reading first misses a change in between, and if that was the last change, the view stays stale forever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[Callable[[], object], ...] = ()  # replaced, never changed in place

    def add(self, function: Callable[[], object]) -> None:
        """Call a function after each change from now on. A second call for the same function does nothing."""
        with self._lock:
            if function not in self._known:
                self._known = (*self._known, function)

    def discard(self, function: Callable[[], object]) -> None:
        """Stop the calls of a function, if it was added."""
        with self._lock:
            self._known = tuple(each for each in self._known if each != function)

    def tell(self) -> None:
        """Call each of them. One that fails stops neither the others nor the caller."""
        for function in self._known:
            try:
                function()
            except Exception:  # noqa: BLE001  a view must not stop what it looks at
                _log.debug("a view could not follow a change", exc_info=True)

    def __iter__(self) -> Iterator[Callable[[], object]]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
