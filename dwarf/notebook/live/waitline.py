"""What does a cell show while it waits for a run that another cell shows? One live line, with what is asked.

After "Run all" the reader stands at the cell that waits, while the picture may be screens above. The line names the
flow, its status and where it is; a question can be answered there; "Show" brings the picture. When the waiting is over,
one still line is left.
"""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from dwarf.notebook import kernel
from dwarf.notebook.cell_output import CellOutput
from dwarf.notebook.live.comms import free_comm
from dwarf.notebook.live.earlier import describe_earlier
from dwarf.notebook.live.runview import RunView
from dwarf.notebook.live.widget import module, publish, style
from dwarf.notebook.live.wire import describe_cards, describe_flow
from dwarf.notebook.pictures.palette import look_of
from dwarf.notebook.pictures.views import flow_view, state_of

if TYPE_CHECKING:
    from dwarf.notebook.live.flow_watcher import FlowWatcher

__all__ = ["PATIENCE", "WaitLine", "is_wanted", "wait_widget", "waiting_line"]

PATIENCE = 0.3  # seconds of waiting without a word; what takes no longer needs no line
_MOST_LINES = 3  # under one cell, such as one that gathers many runs; those that are asked something come in any case
_MOST_NODES = 2
_counts: dict[object, int] = {}  # the lines of the cell that runs now


@cache
def wait_widget() -> Any:
    """The class of the line's widget."""
    import anywidget
    import traitlets

    class DwarfWait(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """The line; every trait is a whole state."""

        _esm = module("wait.js")
        _css = style()
        theme = traitlets.Dict().tag(sync=True)
        name = traitlets.Unicode().tag(sync=True)
        place = traitlets.Unicode().tag(sync=True)
        flow = traitlets.Dict().tag(sync=True)
        cards: Any = traitlets.List().tag(sync=True)
        earlier: Any = traitlets.List().tag(sync=True)

    return DwarfWait


class WaitLine(RunView):
    """The line under one cell. ``show`` it once; ``end`` it when the cell waits no more."""

    def show(self) -> None:
        """Display it under the running cell."""
        self._place = CellOutput()
        self._make_widget()
        publish(self._live(), self.display_id)
        self._follow()

    def end(self) -> None:
        """The cell waits no more, whether the flow has ended or not: leave a still line."""
        if self.watcher.ended.done():
            self.settle()
            return
        if self._pulse is not None:
            self._pulse.stop()
        self._stop_listening()
        publish(self.still(), self.display_id, update=True)

    def still(self) -> dict[str, Any]:
        """The line in words."""
        seen = self.watcher
        whole = flow_view(seen.outcome, seen.steps, seen.began)
        told = f"{look_of(whole.state).sign} {self._name} · {whole.text(time.time())}"
        return {"text/html": f"<div>{html.escape(told)}</div>", "text/plain": told}

    @property
    def _name(self) -> str:
        return (self.watcher.graph.name if self.watcher.graph is not None else "") or "flow"

    @property
    def _is_read(self) -> bool:
        return False  # the picture of the run is elsewhere, and stays as long as somebody reads it

    def _make_widget(self) -> None:
        self._widget = wait_widget()(theme=self._theme(), **self._traits(first=True))
        free_comm(self._widget)
        self._widget.on_msg(self._receive)

    def _traits(self, *, first: bool) -> dict[str, Any]:
        seen, now = self.watcher, time.time()
        return {
            "name": self._name,
            "place": self._where(),
            "flow": describe_flow(flow_view(seen.outcome, seen.steps, seen.began), now),
            "cards": [card for card in describe_cards(seen.cards) if not card["closed"]],
            "earlier": describe_earlier(self._earlier, now),
        }

    def _where(self) -> str:
        """The nodes whose tasks run now, of many the first ones."""
        at = dict.fromkeys(step.node for step in self.watcher.steps if state_of(step) in ("running", "nested"))
        more = len(at) - _MOST_NODES
        return ", ".join(list(at)[:_MOST_NODES]) + (f" and {more} more" if more > 0 else "")


@contextmanager
def waiting_line(watcher: FlowWatcher, make: Callable[[], WaitLine] | None) -> Iterator[Callable[[], None]]:
    """While the body waits, call what is given at each beat: it brings the line when the waiting has become one.

    ``make``: gives the line; None where the cell shows the run itself, or nobody looks.
    """
    line: WaitLine | None = None
    begun = time.monotonic()

    def beat() -> None:
        nonlocal line
        if make is None or line is not None or watcher.ended.done():
            return
        if watcher.unanswered or (time.monotonic() - begun >= PATIENCE and _has_room()):
            line = make()
            line.show()

    try:
        yield beat
    finally:
        if line is not None:
            line.end()


def _has_room() -> bool:
    """Whether the cell that runs now may have another line, which is counted."""
    cell = kernel.current_cell()
    count = _counts.get(cell, 0)
    _counts.clear()
    _counts[cell] = count + (count < _MOST_LINES)
    return count < _MOST_LINES


def is_wanted(shown_in: object) -> bool:
    """Whether a person looks at the cell that runs now, and another one, ``shown_in``, shows the run, or none."""
    return kernel.in_kernel() and kernel.is_attended() and shown_in != kernel.current_cell()
