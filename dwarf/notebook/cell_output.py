"""Where does the output of a cell go after the cell has ended? What its clicks and its tasks bring about."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from dwarf.notebook.kernel import shell

if TYPE_CHECKING:
    from dwarf.notebook.live.flow_watcher import FlowWatcher

__all__ = [
    "Echo",
    "CellOutput",
]

MOST = 200_000  # characters that a run writes under its cell; the stored output has its own limit


class CellOutput:
    """The output area of the running cell."""

    def __init__(self) -> None:
        # ipykernel 7 keeps the cell's request message in a context variable, 6 in an attribute
        self._context = copy_context()
        self._parent = _parent_of(_publisher())

    def call(self, function: Callable[[], None]) -> None:
        """Call a function from any thread, with its displays in this area."""
        self._context.copy().run(self._with_parent, function)

    def write(self, stream: Any, text: str) -> Any:
        """Write to a stream of the kernel from any thread, with the text in this area."""
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


class _Shown:
    def __init__(self, place: CellOutput) -> None:
        self.place = place
        self.left = MOST


class Echo:
    """The cells of the shown runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: dict[str, _Shown] = {}  # by the public part of a flow's key
        self._starting: list[tuple[CellOutput, list[str]]] = []

    def show(self, watcher: FlowWatcher, place: CellOutput) -> None:
        """Print the output of a flow's tasks under this cell until the flow has ended."""
        label = watcher.handle.key.rpartition("-")[0]
        with self._lock:
            known = self._shown.get(label)
            if known is None or known.place is not place:
                self._shown[label] = _Shown(place)
        watcher.ended.add_done_callback(lambda _: self._shown.pop(label, None))

    @contextmanager
    def starting(self, place: CellOutput) -> Iterator[Callable[[FlowWatcher], None]]:
        """While a cell creates a flow, output of a still unknown flow may belong to it.

        The function that is yielded is called with the flow as soon as it is known.
        """
        guessed: list[str] = []
        start = place, guessed

        def known(watcher: FlowWatcher) -> None:
            own = watcher.handle.key.rpartition("-")[0]
            for label in guessed:
                if label != own:
                    self._shown.pop(label, None)
            if own not in self._shown:
                self.show(watcher, place)
            else:
                watcher.ended.add_done_callback(lambda _: self._shown.pop(own, None))

        self._starting.append(start)
        try:
            yield known
        finally:
            self._starting.remove(start)

    def write(self, shard: int, root: int, stream: Any, text: str) -> Any:
        """Write the prints of a tree's task to a stream, in the thread in which the task runs."""
        label = f"{shard}-{root}"
        shown = self._shown.get(label)
        if shown is None and self._starting:
            place, guessed = self._starting[-1]
            guessed.append(label)
            shown = self._shown.setdefault(label, _Shown(place))
        if shown is None:
            return stream.write(text)
        with self._lock:
            if shown.left <= 0:
                return len(text)
            shown.left -= len(text)
            if shown.left <= 0:
                text += "\n… the rest of what the tasks print is not shown here: run.logs has what is kept\n"
        return shown.place.write(stream, text)
