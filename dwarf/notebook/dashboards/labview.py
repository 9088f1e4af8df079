"""What does a lab look like as the last line of a cell that somebody reads? The summary of it, kept up to date."""

from __future__ import annotations

import html
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dwarf.notebook.dashboards.listview import ListView
from dwarf.notebook.messages import LabState
from dwarf.notebook.summary import Summary, read_summary

if TYPE_CHECKING:
    from dwarf.notebook.services import LabServices

__all__ = ["LabView"]

_EASE = 20  # a look may take one part in so many of the time


class LabView(ListView):
    """A lab in short, live: flows by status, questions that wait, what runs; how many wait is in the page's title."""

    script = "lab.js"

    def __init__(self, lab: LabServices, name: str) -> None:
        super().__init__(lab)
        self._name = name
        self._summary = Summary()
        self._fresh = 0.0  # until when the last look is fresh enough

    async def _look(self, *, eased: bool = False) -> None:
        begun = time.monotonic()
        if eased and begun < self._fresh:
            return
        self._summary = await read_summary(self._lab.engine)
        now = time.monotonic()
        self._fresh = now + _EASE * (now - begun)

    def _traits(self) -> LabState:
        summary = self._summary
        return {
            "name": self._name,
            "counts": [[str(status), count] for status, count in summary.counted()],
            "waiting": [list(each) for each in summary.waiting],
            "waits": summary.waits,
            "stopped": [list(each) for each in summary.stopped],
            "running": [list(each) for each in summary.running],
            "fault": self._fault,
        }

    async def _receive(self, message: Mapping[str, Any]) -> None:
        """Nothing is asked of it."""

    def _table(self) -> str:
        if self._fault:
            return f"<div><b>{html.escape(self._name)}</b><div>{html.escape(self._fault)}</div></div>"
        return self._summary.page(self._name)

    def _text(self) -> str:
        return "\n".join([self._name, *([self._fault] if self._fault else self._summary.lines())])
