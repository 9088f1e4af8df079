"""How is a run shown inside another view? By its live view, as a part of the widget around it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dwarf.notebook.live.comms import free_comm
from dwarf.notebook.live.runview import RunView

if TYPE_CHECKING:
    from dwarf.notebook.cell_output import CellOutput
    from dwarf.notebook.live.flow_watcher import FlowWatcher
    from dwarf.notebook.services import LabServices

__all__ = ["OpenedRun", "WidgetPart"]

_numbers = itertools.count(1)


class WidgetPart:
    """Stands for a separate widget: its traits are traits of the containing widget with the prefix ``run_``.

    So one widget is enough, even in front ends that cannot nest widgets.
    """

    around: Any

    def __init__(self, around: Any, **traits: Any) -> None:
        vars(self)["around"] = around
        with around.hold_sync():
            for name, value in traits.items():
                setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.around, f"run_{name}", value)

    @property
    def comm(self) -> Any:
        """The connection of the containing widget."""
        return self.around.comm

    def hold_sync(self) -> Any:
        """Send changes together."""
        return self.around.hold_sync()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message to the view of the run."""
        self.around.send({"type": "run", "message": dict(message)})

    def send_state(self) -> None:
        """Send everything again."""
        self.around.send_state()


class OpenedRun(RunView):
    """The live view of a run within ``widget``. It stays live after the end of the run, until it is closed."""

    def __init__(self, lab: LabServices, watcher: FlowWatcher, place: CellOutput | None, widget: Any) -> None:
        super().__init__(watcher, lab.submit, lab, inspecting=True, place=place)
        watcher.listeners.add(self.touch)
        shade = {**self._theme(), "number": next(_numbers)}
        traits = {"said": {}, **self._traits(first=True)}
        self._widget = WidgetPart(widget, **traits, theme=shade)
        self._pulse = None  # the containing widget has its own beats
        lab.submit(self._hear())
        free_comm(self._widget)

    @property
    def key(self) -> str:
        """The key of the flow."""
        return self.watcher.handle.key

    async def _hear(self) -> None:
        self.watcher.listen()
        await self.look_for_stops()

    def receive(self, message: Mapping[str, Any]) -> None:
        """A message of the run's part of the page."""
        self._receive(None, message, None)

    def settle(self) -> None:
        """Nothing: it has no separate output to replace."""

    def close(self) -> None:
        """Remove the view."""
        self.watcher.listeners.discard(self.touch)
        self._widget.theme = {}
        free_comm(self._widget)
