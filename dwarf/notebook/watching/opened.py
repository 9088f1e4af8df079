"""How is a run shown inside another view? By its live view's widget, without an output of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dwarf.notebook.watching.comms import free_comm
from dwarf.notebook.watching.runview import RunView
from dwarf.notebook.watching.widget import theme, widget_class

if TYPE_CHECKING:
    from dwarf.notebook.lab import Lab
    from dwarf.notebook.place import Place
    from dwarf.notebook.watching.follow import Following

__all__ = ["OpenedRun"]


class OpenedRun(RunView):
    """The live view of a run, to be put into a box. It stays live after the end of the run, until it is closed."""

    def __init__(self, lab: Lab, following: Following, place: Place | None) -> None:
        super().__init__(following, lab.submit, lab, inspecting=True, place=place)
        self.widget: Any = widget_class()(theme=theme(), **self._traits(first=True))
        self._widget = self.widget
        free_comm(self.widget)
        self.widget.on_msg(self._receive)
        following.listeners.add(self.touch)

    @property
    def key(self) -> str:
        """The key of the flow."""
        return self.following.handle.key

    def settle(self) -> None:
        """Nothing: there is no output of its own to be replaced."""

    def close(self) -> None:
        """Take it away."""
        self.following.listeners.discard(self.touch)
        self.widget.close()
