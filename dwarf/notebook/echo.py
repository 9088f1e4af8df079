"""Where does a task's text go? To the output of the cell that shows its run; else to where it would have gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dwarf.notebook.place import Place

if TYPE_CHECKING:
    from dwarf.notebook.watching.follow import Following

__all__ = ["Echo"]

MOST = 200_000  # characters that a run writes under its cell; what it says is kept in any case


class _Shown:
    def __init__(self, place: Place) -> None:
        self.place = place
        self.left = MOST


class Echo:
    """The cells of the runs that are shown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: dict[str, _Shown] = {}  # by the part of a flow's key that is no secret
        self._starting: list[tuple[Place, list[str]]] = []

    def show(self, following: Following, place: Place) -> None:
        """The tasks of a flow write under this cell from now on, until it has ended."""
        label = following.handle.key.rpartition("-")[0]
        with self._lock:
            known = self._shown.get(label)
            if known is None or known.place is not place:
                self._shown[label] = _Shown(place)
        following.ended.add_done_callback(lambda _: self._shown.pop(label, None))

    @contextmanager
    def starting(self, place: Place) -> Iterator[Callable[[Following], None]]:
        """While a flow is begun by a cell, what is printed by a flow that nobody knows may be of this one.

        What is given is called with the flow when it is known.
        """
        guessed: list[str] = []
        start = place, guessed

        def known(following: Following) -> None:
            own = following.handle.key.rpartition("-")[0]
            for label in guessed:
                if label != own:
                    self._shown.pop(label, None)
            if own not in self._shown:
                self.show(following, place)
            else:
                following.ended.add_done_callback(lambda _: self._shown.pop(own, None))

        self._starting.append(start)
        try:
            yield known
        finally:
            self._starting.remove(start)

    def write(self, shard: int, root: int, stream: Any, text: str) -> Any:
        """Write what a task of a tree prints to a stream, from the thread in which the task runs."""
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
