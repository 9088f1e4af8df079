"""Where does a cell's output go, after the cell has ended? What a click brings about is shown under the same cell."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from dwarf.notebook.kernel import shell

__all__ = ["Place"]


class Place:
    """The output area of the cell that runs now."""

    def __init__(self) -> None:
        # ipykernel 7 keeps the message that asked for the cell in a context variable, 6 in an attribute
        self._context = copy_context()
        self._parent = _parent_of(_publisher())

    def call(self, function: Callable[[], None]) -> None:
        """Call a function from any thread, so that what it displays appears here."""
        self._context.copy().run(self._with_parent, function)

    def write(self, stream: Any, text: str) -> Any:
        """Write to a stream of the kernel from any thread, so that the text appears here."""
        return self._context.copy().run(stream.write, text)

    def _with_parent(self, function: Callable[[], None]) -> None:
        publisher = _publisher()
        now = _parent_of(publisher)
        if now == self._parent or not isinstance(self._parent, dict):
            function()
            return
        publisher.parent_header = self._parent
        try:
            function()
        finally:
            publisher.parent_header = now


def _publisher() -> Any:
    return getattr(shell(), "display_pub", None)


def _parent_of(publisher: Any) -> Any:
    return getattr(publisher, "parent_header", None)
