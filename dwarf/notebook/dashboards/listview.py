"""How does a list of many flows stay up to date? By looking again and again, as long as somebody sees it.

A list never ends, and so its display is two outputs: the widget, and a plain table of the same, kept up to date beside
it. The widget hides the table while it lives; in a saved notebook without a kernel the table is what is left.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakSet

from dwarf.errors import EngineClosed
from dwarf.notebook import kernel
from dwarf.notebook.cell_output import CellOutput
from dwarf.notebook.live.comms import free_comm
from dwarf.notebook.live.pulse import Pulse
from dwarf.notebook.live.widget import asset, fit_into_boxes, module, publish, style, widget_bundle
from dwarf.notebook.pictures.palette import DARK, LOOKS, Look

if TYPE_CHECKING:
    from dwarf.notebook.services import LabServices

__all__ = ["ListView", "close_lists", "list_widget", "looks"]

LEAST_INTERVAL = 0.5  # seconds between two looks
MOST_INTERVAL = 10.0
SIGN = 30.0  # seconds after which a view that has not said it is seen counts as closed
_STILL = 5.0  # seconds between two tables
_EASE = 10  # a look may take one part in so many of the loop's time

_log = logging.getLogger("dwarf.notebook")
_numbers = itertools.count(1)
_open: WeakSet[ListView] = WeakSet()


def looks() -> dict[str, Any]:
    """The looks of states by their key, for the JavaScript side."""
    return {key: {**asdict(look), "dark": _dark(look)} for key, look in LOOKS.items()}


def _dark(look: Look) -> dict[str, str]:
    return {name: DARK.get(colour, colour) for name in ("fill", "line", "ink") for colour in [getattr(look, name)]}


@cache
def list_widget(script: str) -> Any:
    """The class of a widget that runs a script of the package; its traits are whole states.

    Those that begin with ``run_`` are the run that is opened beneath the list, see OpenedRun.
    """
    try:
        import anywidget
        import traitlets
    except ImportError as fault:
        raise ImportError("live views need anywidget: pip install 'dwarf[notebook]'") from fault

    class DwarfList(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """A list; ``shown`` is everything that is painted, ``fixed`` what does not change."""

        _esm = module(script)
        _css = style() + "\n" + asset("lists.css")
        fixed = traitlets.Dict().tag(sync=True)
        shown = traitlets.Dict().tag(sync=True)
        run_theme = traitlets.Dict().tag(sync=True)
        run_svg = traitlets.Unicode().tag(sync=True)
        run_planes: Any = traitlets.Dict().tag(sync=True)
        run_flow = traitlets.Dict().tag(sync=True)
        run_cards: Any = traitlets.List().tag(sync=True)
        run_said: Any = traitlets.Dict().tag(sync=True)

    return DwarfList


def close_lists(lab: LabServices) -> None:
    """Let every list of a lab stand as a table from now on."""
    for each in list(_open):
        if each._lab is lab:
            each.close()


class ListView:
    """What the inbox and the dashboard have in common. Methods with a leading underscore run on the lab's loop."""

    script: ClassVar[str]

    def __init__(self, lab: LabServices) -> None:
        self._lab = lab
        self._fault = ""
        self.closed = False
        self._looks_taken = 0  # how often the database has been looked at
        self._widget: Any = None
        self._place: CellOutput | None = None
        self._leave_cells: Callable[[], None] = lambda: None
        self._display_id = f"dwarf-list-{next(_numbers)}-{time.time_ns():x}"
        self._views: dict[str, float] = {}  # when each view of the widget was last seen
        self._cell_runs = True
        self._wake: asyncio.Event | None = None
        self._kept: tuple[float, str] = (0.0, "")
        self._sent: Mapping[str, Any] = {}
        self._shown_in: object = None
        self._pulse = Pulse(self._beat, lab.submit)

    # ------------------------------------------------------------ what a list fills in

    async def _look(self, *, eased: bool = False) -> None:
        """Bring the list up to date."""
        raise NotImplementedError

    def _traits(self) -> Mapping[str, Any]:
        """What the widget paints."""
        raise NotImplementedError

    async def _receive(self, message: Mapping[str, Any]) -> None:
        """A message of the front end."""

    def _table(self) -> str:
        """The list as plain HTML."""
        raise NotImplementedError

    def _text(self) -> str:
        """The list as plain text."""
        raise NotImplementedError

    # ------------------------------------------------------------ showing

    def show(self) -> None:
        """Display it under this cell: live where somebody sees it, a table where a program runs the notebook."""
        self._shown_in = kernel.current_cell()
        self._place = CellOutput()
        self._lab.call(self._refresh())
        if not kernel.in_kernel():
            print(self._text())  # noqa: T201  there is no front end to send anything else to
            return
        if self._widget is None and not self.closed and kernel.is_attended():
            self._go_live()
        if self._widget is not None:
            publish(widget_bundle(self._widget, {"text/plain": self._text()}), f"{self._display_id}-live")
        publish(self._still(), self._display_id)

    def _go_live(self) -> Any:
        """The widget; from now on it is kept up to date while somebody sees it."""
        if self._widget is None:
            fixed = {"looks": looks(), "still": self._still_class, "kept": self._lab.keeps_flows}
            self._widget = list_widget(self.script)(fixed=fixed, shown={**self._traits(), "now": time.time()})
            free_comm(self._widget)
            self._widget.on_msg(self._on_message)
            _open.add(self)
            self._leave_cells = _on_cells(self)
            self._lab.submit(self._watch())
            self._pulse.start()
        return self._widget

    def close(self) -> None:
        """Stop looking; what is shown stays as a table."""
        if self.closed:
            return
        self.closed = True
        _open.discard(self)
        self._leave_cells()
        self._pulse.stop()
        if self._widget is not None:
            self._keep(now=True)
            self._widget.close()

    @property
    def seen(self) -> bool:
        """Whether somebody sees it: a view said so lately, or cannot say so because a cell keeps the kernel busy."""
        if not self._views:
            return False
        return self._cell_runs or time.monotonic() - max(self._views.values()) < SIGN

    @property
    def _still_class(self) -> str:
        return f"dwarf-still-{self._display_id}"

    def _still(self) -> dict[str, str]:
        return {"text/html": f'<div class="{self._still_class}">{self._table()}</div>', "text/plain": self._text()}

    def _ipython_display_(self) -> None:
        if kernel.in_marimo():
            return
        if self._shown_in is None or self._shown_in != kernel.current_cell():
            self.show()

    def widget(self) -> Any:
        """The live list as an ipywidget of its own, for boxes and links; the same one at each call, until ``close``.

        ImportError without the extra ``notebook``.
        """
        self._try_to_refresh()
        return fit_into_boxes(self._go_live())

    def _display_(self) -> Any:
        """What marimo shows: the live widget."""
        return self.widget()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        self._try_to_refresh()
        return {"text/html": self._table(), "text/plain": self._text()}

    def __repr__(self) -> str:
        self._try_to_refresh()
        return self._text()

    def _try_to_refresh(self) -> None:
        if not self.closed and not self._lab.on_loop:
            try:
                self._lab.call(self._refresh())
            except EngineClosed:
                self._fault = "the lab is closed"

    # ------------------------------------------------------------ staying up to date

    async def _watch(self) -> None:
        self._wake = asyncio.Event()
        while not self.closed:
            begun = time.monotonic()
            if self.seen:
                await self._refresh(eased=True)
                self._push()
                self._keep()
            rest = min(max(LEAST_INTERVAL, _EASE * (time.monotonic() - begun)), MOST_INTERVAL)
            try:
                await asyncio.wait_for(self._wake.wait(), rest if self.seen else None)
                await asyncio.sleep(max(begun + LEAST_INTERVAL - time.monotonic(), 0))
            except TimeoutError:
                pass
            self._wake.clear()

    async def _refresh(self, *, eased: bool = False) -> None:
        """Look, and keep what went wrong to be shown. ``eased``: what is costly may be left for a later look."""
        try:
            await self._look(eased=eased)
            self._fault = ""
        except EngineClosed:
            self._fault = "the lab is closed"
            self.closed = True
        except Exception as fault:  # noqa: BLE001  shown; the next look may succeed
            _log.debug("a list could not be brought up to date", exc_info=True)
            self._fault = f"{type(fault).__name__}: {fault}"
        self._looks_taken += 1

    def _push(self, *, always: bool = False) -> None:
        """Send what is to be painted, where it differs from what was sent; with the time, for the clocks."""
        traits = self._traits()
        if self._widget is not None and not self.closed and (always or traits != self._sent):
            try:
                self._sent = traits
                self._widget.shown = {**traits, "now": time.time()}
                free_comm(self._widget)
            except Exception:  # noqa: BLE001  a view must not stop what it looks at
                _log.debug("a list could not be sent", exc_info=True)

    def _beat(self, message: Mapping[str, Any]) -> None:
        self._widget.send(message)
        free_comm(self._widget)

    def _keep(self, *, now: bool = False) -> None:
        """Bring the table beside the widget up to date, where it has changed."""
        when, before = self._kept
        if not now and time.monotonic() - when < _STILL:
            return
        table = self._table()
        if table != before:
            self._kept = time.monotonic(), table
            try:
                publish(self._still(), self._display_id, update=True)
            except Exception:  # noqa: BLE001  as above
                _log.debug("a table could not be sent", exc_info=True)

    async def _changed(self) -> None:
        """Something was done here: look at once."""
        if self._wake is not None:
            self._wake.set()
        else:
            await self._refresh()

    # ------------------------------------------------------------ from the front end, on whichever thread it uses

    def _on_message(self, _: Any, message: Mapping[str, Any], __: Any) -> None:
        try:
            self._pulse.sign()
            self._lab.submit(self._take(dict(message)))
        except EngineClosed:
            self.closed = True

    async def _take(self, message: dict[str, Any]) -> None:
        if message.get("type") in ("here", "ready"):
            if message["type"] == "ready":
                self._push(always=True)
            return
        if message.get("type") != "seen":
            await self._receive(message)
            return
        view, was_seen = str(message.get("view")), self.seen
        if message.get("on"):
            fresh = view not in self._views
            self._views[view] = time.monotonic()
            if fresh:
                self._push(always=True)
        else:
            self._views.pop(view, None)
        if not was_seen and self._wake is not None:
            self._wake.set()


def _on_cells(view: ListView) -> Callable[[], None]:
    """Tell a list when cells begin and end; what is given back ends that."""
    events = getattr(kernel.shell(), "events", None)
    if events is None:
        return lambda: None

    def begun(*_: object) -> None:
        view._cell_runs = True

    def ended(*_: object) -> None:
        view._cell_runs = False
        now = time.monotonic()
        view._views = {name: max(seen, now - SIGN / 2) for name, seen in view._views.items()}

    def leave() -> None:
        with suppress(ValueError):
            events.unregister("pre_run_cell", begun)
            events.unregister("post_run_cell", ended)

    events.register("pre_run_cell", begun)
    events.register("post_run_cell", ended)
    return leave
