"""How is a run shown inside another view? By its live view's widget, without an output of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dwarf.notebook.live import RunView, theme, widget_class

if TYPE_CHECKING:
    from dwarf.notebook.follow import Following
    from dwarf.notebook.lab import Lab

__all__ = ["OpenedRun"]


class OpenedRun:
    """The live view of a run, to be put into a box. It stays live after the end of the run, until it is closed."""

    def __init__(self, lab: Lab, following: Following) -> None:
        self.key = following.handle.key
        self._following = following
        self._view = RunView(following, lab.submit)
        self.widget: Any = widget_class()(theme=theme(), **self._view._traits(first=True))
        self._view._widget = self.widget
        self.widget.on_msg(self._view._receive)
        following.listeners.add(self._view.touch)

    def close(self) -> None:
        """Take it away."""
        self._following.listeners.discard(self._view.touch)
        self.widget.close()
