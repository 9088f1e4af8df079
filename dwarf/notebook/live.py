"""How does a run show itself while it runs? One widget, laid out once; afterwards only whole, small states are sent.

Whole states, because a front end may miss messages: the last one sent is always enough. When the run has ended the
output is replaced by a still picture, which needs no kernel any more.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from dwarf.notebook.kernel import in_kernel
from dwarf.notebook.palette import EDGES, LOOKS, ON_ERROR_EDGE, look_of
from dwarf.notebook.picture import MAX_WIDTH, draw_run, draw_views
from dwarf.notebook.sketch import sketch
from dwarf.notebook.strokes import taken_arrows
from dwarf.notebook.svg import Svg
from dwarf.notebook.views import FlowView, NodeView, flow_view, handlers_of, node_views, taken_edges

if TYPE_CHECKING:
    from dwarf.notebook.follow import Card, Following

__all__ = [
    "LEAST_INTERVAL",
    "MOST_INTERVAL",
    "RunView",
    "asset",
    "describe_card",
    "describe_node",
    "theme",
    "widget_class",
]

LEAST_INTERVAL = 0.1  # seconds between two messages of a view
MOST_INTERVAL = 1.0
_MOST_OPEN = 30
_MOST_CLOSED = 20
_VIEW = "application/vnd.jupyter.widget-view+json"

_log = logging.getLogger("dwarf.notebook")
_numbers = itertools.count(1)


@cache
def asset(name: str) -> str:
    """The text of a file that ships with the package, such as ``card.js``."""
    return (resources.files("dwarf.notebook") / "static" / name).read_text(encoding="utf-8")


def theme() -> dict[str, Any]:
    """The looks, for the JavaScript side."""
    return {"looks": {key: asdict(look) for key, look in LOOKS.items()}, "edge": EDGES, "onError": ON_ERROR_EDGE}


@cache
def widget_class() -> Any:
    """The widget's class, made at the first use; ImportError that says what to install."""
    try:
        import anywidget
        import traitlets
    except ImportError as fault:
        raise ImportError("live views need anywidget: pip install 'dwarf[notebook]'") from fault

    class DwarfRun(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """The live view of a run; every trait is a whole state."""

        _esm = asset("card.js") + "\n" + asset("run.js")
        _css = asset("dwarf.css")
        theme = traitlets.Dict().tag(sync=True)
        svg = traitlets.Unicode().tag(sync=True)
        nodes: Any = traitlets.List().tag(sync=True)
        taken = traitlets.Unicode().tag(sync=True)
        flow = traitlets.Dict().tag(sync=True)
        cards: Any = traitlets.List().tag(sync=True)

    return DwarfRun


def describe_node(view: NodeView) -> dict[str, Any]:
    """A node's view as the JavaScript side reads it."""
    return {
        "state": view.state,
        "line": [view.word, view.rest, view.since, view.until],
        "parts": [list(part) for part in view.parts],
        "detail": view.detail,
        "asked": view.asked,
        "nested": view.nested,
    }


def describe_card(card: Card) -> dict[str, Any]:
    """A prompt's card as the JavaScript side reads it. No answer is in it but the words that may be shown."""
    prompt = card.prompt
    return {
        "id": card.id,
        "title": prompt.title,
        "node": "" if prompt.node == prompt.title else prompt.node,
        "context": prompt.context(),
        "form": prompt.form(),
        "deadline": prompt.deadline.timestamp() if prompt.deadline else 0,
        "error": card.error,
        "faults": card.faults,
        "closed": card.closed,
    }


class RunView:
    """One display of a run. ``ready`` once a front end has shown it, so that somebody can see and answer."""

    def __init__(self, following: Following, submit: Callable[[Any], Any]) -> None:
        self.following = following
        self.ready = False
        self._settled: set[int | None] = set()  # the threads from which the still picture has been sent
        self.display_id = f"dwarf-run-{next(_numbers)}-{time.time_ns():x}"
        self._submit = submit
        self._timer: asyncio.TimerHandle | None = None
        self._sent = 0.0
        self._interval = LEAST_INTERVAL
        self._widget: Any = None

    # ------------------------------------------------------------ in the cell

    def show(self) -> None:
        """Display the view under the running cell; in a terminal, print it as text."""
        if not in_kernel():
            print(self._draw().alt)  # noqa: T201  there is no front end to send a picture to
            return
        if self.following.ended.done():
            _publish(self.still(), self.display_id)
            return
        self._widget = widget_class()(theme=theme(), **self._traits(first=True))
        self._widget.on_msg(self._receive)
        _publish(self._live(), self.display_id)
        self.following.listeners.add(self.touch)
        self.following.listeners.add(self._wake)

    def still(self) -> dict[str, Any]:
        """The bundle that needs no kernel: a picture and its text."""
        picture = self._draw()
        return {"image/svg+xml": str(picture), "text/plain": picture.alt}

    def settle(self) -> None:
        """Replace the display by the still picture, if the run has ended. May be called more than once.

        Called on the lab's loop at the end, and again in the cell that waited: a program that runs notebooks without a
        front end follows the messages of the running cell only.
        """
        here = threading.current_thread().ident
        if not self.following.ended.done() or self._widget is None or here in self._settled:
            return
        self._settled.add(here)
        _publish(self.still(), self.display_id, update=True)

    def _live(self) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 1, "model_id": self._widget.model_id}
        return {_VIEW: view, **self.still()}

    def _draw(self) -> Svg:
        seen = self.following
        if seen.graph is None:
            return Svg("", alt="a run")
        return draw_run(seen.graph, seen.steps, seen.outcome, asked=seen.asked, notes=seen.notes)

    # ------------------------------------------------------------ on the lab's loop

    def _wake(self) -> None:
        """At the end, send the last state and then the still picture."""
        if self.following.ended.done():
            self.following.listeners.discard(self._wake)
            self.following.listeners.discard(self.touch)
            if self._timer is not None:
                self._timer.cancel()
            self.push()
            self.settle()

    def touch(self) -> None:
        """Something has changed: send it now, or as soon as the last message is ``LEAST_INTERVAL`` ago."""
        if self._timer is not None:
            return
        rest = max(self._sent + self._interval - time.monotonic(), 0.0)
        self._timer = asyncio.get_running_loop().call_later(rest, self.push)

    def push(self) -> None:
        """Send the state as it is now."""
        self._timer = None
        begun = time.thread_time()
        try:
            traits = self._traits(first=False)
            with self._widget.hold_sync():
                for name, value in traits.items():
                    setattr(self._widget, name, value)
        except Exception:  # noqa: BLE001  a view must not stop what it looks at
            _log.debug("a view could not be brought up to date", exc_info=True)
        self._sent = time.monotonic()
        # many thousand steps take longer to sum up: leave most of the loop's time to the flows
        self._interval = min(max(LEAST_INTERVAL, 5 * (time.thread_time() - begun)), MOST_INTERVAL)

    def _traits(self, *, first: bool) -> dict[str, Any]:
        seen, now = self.following, time.time()
        if seen.graph is None:
            return {"cards": _describe_cards(seen.cards)}
        whole = flow_view(seen.outcome, seen.steps)
        views = node_views(seen.steps, handlers=handlers_of(seen.graph), asked=seen.asked)
        taken = taken_edges(seen.steps)
        plan = sketch(seen.graph, with_status=True, max_width=MAX_WIDTH - 36)
        ways = taken_arrows(plan, taken, done=whole.state == "completed")
        traits: dict[str, Any] = {
            "nodes": [describe_node(views.get(card.name, NodeView())) for card in plan.cards],
            "taken": "".join("1" if way else "0" for way in ways),
            "flow": _describe_flow(whole, now),
            "cards": _describe_cards(seen.cards),
        }
        if first:
            traits["svg"] = str(draw_views(seen.graph, whole, views, taken, now=now, live=True))
        return traits

    # ------------------------------------------------------------ from the front end, on whichever thread it uses

    def _receive(self, _: Any, message: Mapping[str, Any], __: Any) -> None:
        kind = message.get("type")
        if kind == "ready":
            self.ready = True
        elif kind == "answer":
            self._submit(self.following.answer_card(str(message.get("id")), message.get("value")))


def _describe_cards(cards: Sequence[Card]) -> list[dict[str, Any]]:
    """The cards to show: of very many the oldest open ones and the last closed ones."""
    open_cards = [card.id for card in cards if not card.closed][:_MOST_OPEN]
    closed = [card.id for card in cards if card.closed][-_MOST_CLOSED:]
    shown = {*open_cards, *closed}
    return [describe_card(card) for card in cards if card.id in shown]


def _publish(bundle: Mapping[str, Any], display_id: str, *, update: bool = False) -> None:
    from IPython.display import publish_display_data

    publish: Any = publish_display_data  # it has no types
    publish(dict(bundle), transient={"display_id": display_id}, update=update)


def _describe_flow(whole: FlowView, now: float) -> dict[str, Any]:
    return {**asdict(whole), "error": f"{look_of(whole.state).sign} {whole.error}" if whole.error else "", "now": now}
