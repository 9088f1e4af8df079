"""How does a run show itself while it runs? One widget, laid out once; afterwards only whole, small states are sent.

Whole states, because a front end may miss messages: the last one sent is always enough. When the run has ended the
output is replaced by a still picture, which needs no kernel any more. While somebody reads its panel, and for a short
while where it did not complete, the view stays: a still picture cannot be asked.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from dwarf.notebook import kernel
from dwarf.notebook.cell_output import CellOutput
from dwarf.notebook.kernel import in_kernel
from dwarf.notebook.live.comms import free_comm
from dwarf.notebook.live.drift import NONE, drift_of
from dwarf.notebook.live.earlier import describe_earlier, label_of
from dwarf.notebook.live.panel import PanelController
from dwarf.notebook.live.pulse import Pulse
from dwarf.notebook.live.widget import asset, fit_into_boxes, publish, theme, widget_bundle, widget_class
from dwarf.notebook.live.wire import describe_card, describe_cards, describe_flow, describe_node, describe_planes
from dwarf.notebook.pictures.palette import in_dark
from dwarf.notebook.pictures.picture import draw_plane, plan_of
from dwarf.notebook.pictures.subgraph_views import Plane, make_plane, walk
from dwarf.notebook.pictures.svg import Svg
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from dwarf.notebook.live.flow_watcher import FlowWatcher
    from dwarf.notebook.pictures.layout_plan import LayoutPlan
    from dwarf.notebook.services import LabServices
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.results import SubFlow

__all__ = [
    "LEAST_INTERVAL",
    "MOST_INTERVAL",
    "RunView",
    "asset",
    "describe_card",
    "describe_node",
    "settle_views",
    "theme",
    "widget_class",
]

LEAST_INTERVAL = 0.1  # seconds between two messages of a view
MOST_INTERVAL = 1.0
LINGER = 60.0  # seconds that the view of a run that did not complete stays without a sign of a reader
IDLE = 600.0  # the same where a panel is open
_LOOK = 5.0  # seconds between two looks whether the reader has gone
FIRST = 15.0  # seconds for a front end to show a view that is to stay after the end

_log = logging.getLogger("dwarf.notebook")
_numbers = itertools.count(1)
_views: WeakSet[RunView] = WeakSet()  # those that are live, to be settled when their lab ends


def settle_views(lab: LabServices) -> None:
    """Replace every live view of a lab's ended runs by its still picture."""
    for view in list(_views):
        if view.lab is lab:
            view.leave()


def touch_views(_: object = None) -> None:
    """A cell has been run, and may have redefined what a flow is made of."""
    for view in list(_views):
        view.look_again()


class RunView:
    """One display of a run. ``ready`` once a front end has shown it, so that somebody can see and answer."""

    def __init__(
        self,
        watcher: FlowWatcher,
        submit: Callable[[Any], Any],
        lab: LabServices | None = None,
        *,
        inspecting: bool = False,
        place: CellOutput | None = None,
        begun_here: bool = False,
        earlier: Sequence[FlowWatcher] = (),
    ) -> None:
        """``begun_here``: the run has just been started, so one that has failed by now is shown as if it still ran.

        ``earlier``: those that the same cell has begun before, and that may still go on.
        """
        self.watcher = watcher
        self.lab = lab
        self.ready = False
        self._inspecting = inspecting
        self._begun_here = begun_here
        self._attended = kernel.is_attended()
        self._shown = 0.0  # when the live view was sent
        self._place = place
        self._stands_alone = False  # in no output of our own that could be replaced
        self._panel_open = False
        self._dark = False  # whether the page that shows it is dark
        self._sign = time.monotonic()  # the last sign of a reader
        self._left = False
        self._earlier = earlier
        self._controller = (
            None if lab is None else PanelController(lab, watcher, self._show_beneath, self.push, earlier)
        )
        self._settled: set[int | None] = set()  # the threads from which the still picture has been sent
        self.display_id = f"dwarf-run-{next(_numbers)}-{time.time_ns():x}"
        self._submit = submit
        self._timer: asyncio.TimerHandle | None = None
        self._sent = 0.0
        self._interval = LEAST_INTERVAL
        self._plan: LayoutPlan | None = None
        self._shape: list[tuple[str, int]] = []
        self._fetching: set[str] = set()
        self._widget: Any = None
        self._pulse = None if lab is None else Pulse(self._beat, submit)

    # ------------------------------------------------------------ in the cell

    def show(self) -> None:
        """Display the view under the running cell; in a terminal, print it as text."""
        if not in_kernel():
            print(self._draw().alt)  # noqa: T201  there is no front end to send a picture to
            return
        if self.watcher.ended.done() and not self._is_worth_opening:
            publish(self.still(), self.display_id)
            return
        self._place = self._place or CellOutput()
        if self.lab is not None:
            self.lab.write_under(self.watcher, self._place)
        self._make_widget()
        publish(self._live(), self.display_id)
        self._follow()

    def widget(self) -> Any:
        """The widget alone, live, for front ends that put widgets where they like. It stays live after the end."""
        self._stands_alone = True
        self._make_widget()
        self._follow()
        return fit_into_boxes(self._widget)

    def _make_widget(self) -> None:
        self._widget = widget_class()(theme=self._theme(), **self._traits(first=True))
        free_comm(self._widget)
        self._widget.on_msg(self._receive)
        self._sign = self._shown = time.monotonic()

    def _follow(self) -> None:
        if self._pulse is not None:
            self._pulse.start()
        _views.add(self)
        kernel.after_cells(touch_views)
        self._submit(self._listen())

    def still(self) -> dict[str, Any]:
        """The bundle that needs no kernel: a picture and its text."""
        picture = self._draw()
        if self._dark:
            return {"image/svg+xml": in_dark(picture), "text/plain": picture.alt}
        return {"image/svg+xml": str(picture), "text/plain": picture.alt}

    def settle(self) -> None:
        """Replace the display by the still picture, if the run has ended and nobody looks. May be called often.

        Called on the lab's loop at the end, and again in the cell that waited: a program that runs notebooks without a
        front end follows the messages of the running cell only.
        """
        here = threading.current_thread().ident
        if self._stands_alone:
            return
        if not self.watcher.ended.done() or self._widget is None or here in self._settled or self._is_read:
            return
        self._settled.add(here)
        if self._pulse is not None:
            self._pulse.stop()
        publish(self.still(), self.display_id, update=True)

    def leave(self) -> None:
        """Nobody looks any more: settle, if the run has ended."""
        self._left = True
        self.settle()

    @property
    def _is_read(self) -> bool:
        """Whether somebody still looks at the view of a run that has ended, or may be about to see it."""
        if self._left:
            return False
        stays = self._inspecting or self._has_gone_wrong
        if not self.ready:
            return stays and self._attended and time.monotonic() - self._shown < FIRST
        quiet = time.monotonic() - self._sign
        if self._panel_open or self._inspecting:
            return quiet < IDLE
        return quiet < LINGER and stays

    @property
    def _is_worth_opening(self) -> bool:
        """Whether a run that has ended is shown live: somebody wants to look into it, or see at once why it failed."""
        return (self._inspecting or (self._begun_here and self._has_gone_wrong)) and self._attended

    @property
    def _has_gone_wrong(self) -> bool:
        outcome = self.watcher.outcome
        return outcome is not None and outcome.status.terminal and outcome.status is not Status.COMPLETED

    def _theme(self) -> dict[str, Any]:
        kept = self.lab is not None and self.lab.keeps_flows
        return {**theme(), "kept": kept, "flow": label_of(self.watcher)}

    def _live(self) -> dict[str, Any]:
        return widget_bundle(self._widget, self.still())

    def _draw(self) -> Svg:
        plane = self._plane()
        if plane is None:
            return Svg("", alt="a run")
        return draw_plane(plane, notes=self.watcher.notes, now=time.time(), folded=True)

    # ------------------------------------------------------------ on the lab's loop

    async def _listen(self) -> None:
        """Follow the run. What has happened since the first state was drawn is told by the look that comes after."""
        self.watcher.listeners.add(self.touch)
        self.watcher.listeners.add(self._wake)
        self.watcher.listen()
        for each in self._earlier:
            each.listeners.add(self.touch)
        self.touch()
        self._wake()
        await self.look_for_stops()

    async def look_for_stops(self) -> None:
        """Mark where the flow stops. Nothing is raised: a view without marks is still a view."""
        try:
            await self.watcher.read_stops()
        except Exception:  # noqa: BLE001  as above
            _log.debug("the breakpoints of a flow cannot be read", exc_info=True)
        if any(self.watcher.stops):
            self.touch()

    def _wake(self) -> None:
        """At the end, send the last state and then the still picture, unless somebody looks."""
        if self.watcher.ended.done():
            self._stop_listening()
            if self._timer is not None:
                self._timer.cancel()
            self.push()
            self._submit(self._last_words())
            if self._is_read:
                self._sign = time.monotonic()
                asyncio.get_running_loop().call_later(_LOOK, self._look_again)
            else:
                self.settle()

    def _stop_listening(self) -> None:
        self.watcher.listeners.discard(self._wake)
        for each in (self.watcher, *self._earlier):
            each.listeners.discard(self.touch)

    async def _last_words(self) -> None:
        """Send what the tasks have said at the end, which is read a moment later."""
        await self.watcher.all_heard()
        if self.watcher.heard.state:
            self.push()

    def _look_again(self) -> None:
        """Settle as soon as nobody looks any more."""
        if self._is_read:
            asyncio.get_running_loop().call_later(_LOOK, self._look_again)
        else:
            self.settle()

    def touch(self) -> None:
        """Something has changed: send it now, or as soon as the last message is ``LEAST_INTERVAL`` ago."""
        if self._timer is not None:
            return
        rest = max(self._sent + self._interval - time.monotonic(), 0.0)
        self._timer = asyncio.get_running_loop().call_later(rest, self.push)

    def look_again(self) -> None:
        """``touch`` from any thread, while the run goes on."""
        if not self.watcher.ended.done():
            self._submit(self._touch())

    async def _touch(self) -> None:
        self.touch()

    def push(self) -> None:
        """Send the state as it is now."""
        self._timer = None
        begun = time.thread_time()
        try:
            traits = self._traits(first=False)
            with self._widget.hold_sync():
                for name, value in traits.items():
                    setattr(self._widget, name, value)
            free_comm(self._widget)
        except Exception:  # noqa: BLE001  a view must not stop what it looks at
            _log.debug("a view could not be brought up to date", exc_info=True)
        self._sent = time.monotonic()
        # many thousand steps take longer to sum up: leave most of the loop's time to the flows
        self._interval = min(max(LEAST_INTERVAL, 5 * (time.thread_time() - begun)), MOST_INTERVAL)

    def _traits(self, *, first: bool) -> dict[str, Any]:
        seen, now = self.watcher, time.time()
        plane = self._plane()
        if plane is None:
            return {"cards": describe_cards(seen.cards)}
        drift = NONE if self.lab is None else drift_of(seen, self.lab.digests)
        shape = [(path, id(each.graph)) for path, each in walk(plane)]
        if self._plan is None or shape != self._shape:
            self._plan, self._shape, first = plan_of(plane), shape, True
        traits: dict[str, Any] = {
            "planes": describe_planes(plane, self._plan, redefined=drift.nodes),
            "flow": describe_flow(plane.whole, now, drift=[*drift.notes, *seen.stuck], regraph=drift.graph is not None),
            "cards": describe_cards(seen.cards),
        }
        if seen.heard.state:
            traits["said"] = seen.heard.state
        if self._earlier:
            traits["earlier"] = describe_earlier(self._earlier, now)
        if first:
            traits["svg"] = str(draw_plane(plane, self._plan, now=now, live=True))
        return traits

    def _plane(self) -> Plane | None:
        seen = self.watcher
        if seen.graph is None:
            return None
        opened = self._controller.opened if self._controller is not None else {}
        return make_plane(
            seen.graph,
            seen.steps,
            seen.outcome,
            asked=seen.asked,
            opened=opened,
            graph_of=self._graph_of,
            since=seen.began,
            stops=seen.stops,
        )

    def _graph_of(self, child: SubFlow) -> Graph | None:
        """A child's graph; one that is not known yet is fetched, and what stands open is then drawn again."""
        graph = self.watcher.known_graph(child)
        if not self.watcher.has_graph(child) and child.flow_key not in self._fetching:
            self._fetching.add(child.flow_key)
            self._submit(self._fetch(child.flow_key))
        return graph

    async def _fetch(self, key: str) -> None:
        await self.watcher.graph_of(key)
        if self._widget is not None and not self.watcher.ended.done():
            self.touch()
        elif self._widget is not None:
            self.push()

    def _show_beneath(self, run: FlowWatcher) -> None:
        """Show a run that was begun from the page under this view."""
        if self._place is None:
            return
        view = RunView(run, self._submit, self.lab, place=self._place, begun_here=True)
        self._place.call(view.show)

    def _beat(self, message: Mapping[str, Any]) -> None:
        self._widget.send(message)
        free_comm(self._widget)

    async def _send_again(self) -> None:
        """Send everything: the page may have missed what was sent while it was not connected."""
        self._widget.send_state()
        free_comm(self._widget)

    async def _ask(self, message: Mapping[str, Any]) -> None:
        if self._controller is not None:
            self._widget.send(await self._controller.handle(message))
            free_comm(self._widget)

    async def _leave(self) -> None:
        self.leave()

    async def _settle_read(self) -> None:
        self.settle()

    # ------------------------------------------------------------ from the front end, on whichever thread it uses

    def _receive(self, _: Any, message: Mapping[str, Any], __: Any) -> None:
        kind = message.get("type")
        if self._pulse is not None:
            self._pulse.sign()
        if kind in ("here", "ready"):
            self._dark = message.get("dark") is True
        if kind == "here":  # the page is open, which does not say that somebody reads it
            return
        self._sign = time.monotonic()
        if kind == "ready":
            if self.ready:
                self._submit(self._send_again())
            self.ready = True
        elif kind == "answer":
            self._submit(self.watcher.answer_card(str(message.get("id")), message.get("value", ...)))
        elif kind == "ask":
            self._submit(self._ask(message))
        elif kind == "panel":
            self._panel_open = message.get("open") is True
            if not self._panel_open:
                self._submit(self._settle_read())
        elif kind == "done":
            self._submit(self._leave())
