"""How does a map show itself? A bar with counts, rate and remaining time, and the questions of its rows under it."""

from __future__ import annotations

import asyncio
import html
import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from dwarf.errors import InvalidRequest
from dwarf.notebook.cell_output import CellOutput
from dwarf.notebook.dashboards.listview import looks
from dwarf.notebook.live.comms import free_comm
from dwarf.notebook.live.pulse import Pulse
from dwarf.notebook.live.replies import reply_to
from dwarf.notebook.live.sending import Pacer
from dwarf.notebook.live.stops import answer_stop
from dwarf.notebook.live.widget import asset, fit_into_boxes, module, publish, style, widget_bundle
from dwarf.notebook.live.wire import describe_card
from dwarf.notebook.messages import ActionReply, CardState, EarlierState, MapState
from dwarf.notebook.pictures.formatting import brief, plural
from dwarf.notebook.pictures.palette import LOOKS

if TYPE_CHECKING:
    from dwarf.notebook.maps.mapwork import MapWork
    from dwarf.notebook.maps.tally import MapProgress
    from dwarf.notebook.services import LabServices

__all__ = ["MapView", "still"]

LEAST_INTERVAL = 0.2  # seconds between two messages of a view
_CLOCK = 2.0  # seconds between two readings of the clock
_MOST_CARDS = 20
_MOST_ERRORS = 5
_STILL_ROWS = 20
_BAR = ("completed", "failed", "cancelled", "interrupted", "running")

_numbers = itertools.count(1)


@cache
def _widget_class() -> Any:
    import anywidget
    import traitlets

    class DwarfMap(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """The progress of a map; every trait is a whole state."""

        _esm = module("map.js")
        _css = style() + "\n" + asset("lists.css")
        looks = traitlets.Dict().tag(sync=True)
        name = traitlets.Unicode().tag(sync=True)
        kept = traitlets.Bool().tag(sync=True)
        progress = traitlets.Dict().tag(sync=True)
        errors: Any = traitlets.List().tag(sync=True)
        cards: Any = traitlets.List().tag(sync=True)
        earlier: Any = traitlets.List().tag(sync=True)
        table = traitlets.Dict().tag(sync=True)

    return DwarfMap


def _parts(progress: MapProgress) -> list[tuple[str, int]]:
    """The shares of the bar: how many rows are in which state."""
    counts = {
        "completed": progress.completed,
        "failed": progress.failed,
        "cancelled": progress.cancelled,
        "interrupted": progress.waiting,
        "running": 0 if progress.ended else max(progress.started - progress.done - progress.waiting, 0),
    }
    return [(name, counts[name]) for name in _BAR if counts[name]]


def _errors(work: MapWork) -> list[list[str]]:
    """What stopped the map, if anything, and the first errors, each with the label of its row."""
    stopped = [["stopped", work.fault]] if work.fault else []
    errors = work.tally.errors(_MOST_ERRORS - len(stopped))
    return [*stopped, *([label_of(work, position), brief(error, 200)] for position, error in errors)]


def label_of(work: MapWork, position: int) -> str:
    """What a row is called: its label in the index, or its position."""
    label = position if work.tally.index is None else work.tally.index[position]
    return "row " + (", ".join(map(str, label)) if isinstance(label, tuple) else brief(str(label), 60))


def still(work: MapWork, name: str) -> dict[str, Any]:
    """The bundle that needs no kernel: a bar and the first errors."""
    progress = work.tally.progress()
    total = progress.total or max(progress.started, 1)
    shares = "".join(
        f'<span style="display:inline-block;height:8px;width:{100 * count / total:.2f}%;'
        f'background:{LOOKS[state].line}"></span>'
        for state, count in _parts(progress)
    )
    bar = (
        '<div style="max-width:640px;height:8px;line-height:0;background:#e2e8f0;border-radius:4px;overflow:hidden;'
        f'white-space:nowrap">{shares}</div>'
    )
    errors = _errors(work)
    rows = "".join(f"<div>✘ {html.escape(label)}: {html.escape(error)}</div>" for label, error in errors)
    left = progress.failed + progress.cancelled - (len(errors) - bool(work.fault))
    rows += f"<div>and {plural(left, 'more row')}</div>" if rows and left > 0 else ""
    text = f"{name}: {work.text}"
    shown = f'<div style="margin:4px 0"><b>{html.escape(name)}</b> {html.escape(progress.text)}{bar}{rows}</div>'
    shown += _table_html(work.tally.table())
    return {"text/html": shown, "text/plain": text}


def _table_html(table: Mapping[str, Any]) -> str:
    """The first rows of the table of a map, if it has one."""
    if not table:
        return ""
    head = "".join(f'<th style="text-align:left">{html.escape(name)}</th>' for name in table["columns"])
    rows = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{html.escape(text)}</td>' for text, _ in row) + "</tr>"
        for row in table["rows"][:_STILL_ROWS]
    )
    left = len(table["rows"]) - _STILL_ROWS
    more = f"<div>and {plural(left, 'more row')}</div>" if left > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


class MapView:
    """One display of a map. ``ready`` once a front end has shown it, so that somebody can see and answer."""

    def __init__(self, work: MapWork, name: str, lab: LabServices, *, earlier: Sequence[MapWork] = ()) -> None:
        """``earlier``: the maps that the same cell has begun before, and that may still go on."""
        self.ready = False
        self._earlier = earlier
        self._place: CellOutput | None = None
        self._lab = lab
        self._work = work
        self._name = name
        self._submit = lab.submit
        self._display_id = f"dwarf-map-{next(_numbers)}-{time.time_ns():x}"
        self._pacer = Pacer(self._push, least=LEAST_INTERVAL)
        self._settled: set[int | None] = set()  # the threads from which the still bar has been sent
        self._widget: Any = None
        self._stands_alone = False  # in no output of our own that could be replaced
        self._pulse = Pulse(self._beat, lab.submit)

    def show(self) -> None:
        """Display it under the running cell."""
        if self._work.ended.done():
            publish(still(self._work, self._name), self._display_id)
            return
        self._place = self._place or CellOutput()
        self._make_widget()
        publish(widget_bundle(self._widget, still(self._work, self._name)), self._display_id)
        self._submit(self._follow())
        self._pulse.start()

    def widget(self) -> Any:
        """The widget alone, live, for front ends that put widgets where they like. It stays after the end."""
        self._stands_alone = True
        self._make_widget()
        self._submit(self._follow())
        self._pulse.start()
        return fit_into_boxes(self._widget)

    def _make_widget(self) -> None:
        self._widget = _widget_class()(looks=looks(), name=self._name, kept=self._lab.keeps_flows, **self._traits())
        free_comm(self._widget)
        self._widget.on_msg(self._receive)

    async def _follow(self) -> None:
        """Follow the map. What has happened since the first state was drawn is told by the look that comes after.

        Rate and remaining time change also while no row ends.
        """
        self._work.listeners.add(self._changed)
        self._changed()
        while not self._work.ended.done():
            await asyncio.sleep(_CLOCK)
            self._changed()

    def settle(self) -> None:
        """Replace the display by the still one, if the map has ended. See RunView.settle."""
        here = threading.current_thread().ident
        if self._stands_alone:
            return
        if self._work.ended.done() and self._widget is not None and here not in self._settled:
            self._settled.add(here)
            self._pulse.stop()
            publish(still(self._work, self._name), self._display_id, update=True)

    def _changed(self) -> None:
        if not self._work.ended.done():
            self._pacer.touch()
            return
        self._work.listeners.discard(self._changed)
        self._pacer.flush()
        self.settle()

    def _beat(self, message: Mapping[str, Any]) -> None:
        self._widget.send(message)
        free_comm(self._widget)

    async def _send_again(self) -> None:
        self._widget.send_state()
        free_comm(self._widget)

    def _push(self) -> None:
        with self._widget.hold_sync():
            for name, value in self._traits().items():
                setattr(self._widget, name, value)
        free_comm(self._widget)

    def _traits(self) -> dict[str, Any]:
        progress = self._work.tally.progress()
        told: MapState = {
            "parts": [list(part) for part in _parts(progress)],
            "total": progress.total or 0,
            "done": progress.done,
            "text": progress.text,
            "ended": progress.ended,
            "now": round(time.time(), 2),
            "heat": self._work.tally.heat(),
        }
        return {
            "progress": told,
            "errors": _errors(self._work),
            "cards": self._cards(),
            "earlier": self._described_earlier(),
            "table": self._work.tally.table(),
        }

    def _described_earlier(self) -> list[EarlierState]:
        running = list(LOOKS).index("running")
        now = round(time.time(), 2)
        return [
            {
                "id": each.label,
                "name": f"{self._name} · {each.tally.progress().text}",
                "state": running,
                "began": 0,
                "ended": 0,
                "steps": 0,
                "error": "",
                "now": now,
            }
            for each in self._earlier
            if not each.ended.done()
        ]

    async def _earlier_map(self, message: Mapping[str, Any]) -> ActionReply:
        """Show or end a map that the same cell has begun before."""
        found = next((each for each in self._earlier if each.label == message.get("which")), None)
        if found is None or self._place is None:
            raise InvalidRequest("this view knows no such map")
        if message.get("act") == "cancel":
            await found.stop("cancelled from the notebook")
            self._changed()
            return {"said": "Cancelled."}
        view = MapView(found, self._name, self._lab)
        self._place.call(view.show)
        return {"said": "It is shown below."}

    def _cards(self) -> list[CardState]:
        found = [(position, card) for position, card in self._work.cards if not card.closed][:_MOST_CARDS]
        described = []
        for position, card in found:
            shown = describe_card(card)
            shown |= {"id": f"{position}/{card.id}", "node": label_of(self._work, position)}
            described.append(shown)
        return described

    def _receive(self, _: Any, message: Mapping[str, Any], __: Any) -> None:
        kind = message.get("type")
        self._pulse.sign()
        if kind == "ready":
            if self.ready:
                self._submit(self._send_again())
            self.ready = True
        elif kind == "cancel":
            self._submit(self._work.stop("cancelled from the notebook"))
        elif kind == "answer":
            position, _, card = str(message.get("id")).partition("/")
            watcher = self._work.asking.get(int(position)) if position.isdecimal() else None
            if watcher is not None:
                self._submit(watcher.answer_card(card, message.get("value", ...)))
        elif kind == "ask":
            self._submit(self._reply(message))

    async def _reply(self, message: Mapping[str, Any]) -> None:
        self._widget.send(await reply_to(message, self._ask(message)))
        free_comm(self._widget)

    async def _ask(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the card of a breakpoint asks."""
        if message.get("do") == "earlier":
            return await self._earlier_map(message)
        cards = {f"{position}/{card.id}": card for position, card in self._work.cards}
        return await answer_stop(self._lab, cards.get(str(message.get("card"))), message)
