"""A flow ends at every moment between "shown" and "followed": whatever shows it tells the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dwarf import END, Flow
from dwarf.notebook import Lab
from dwarf.notebook.dashboards import listview
from dwarf.notebook.live import runview
from dwarf.notebook.live.listeners import Listeners
from dwarf.notebook.maps import mapview
from dwarf.workflow.status import Status

EVERY = 23  # of so many calls in the showing thread, one is held
_WIDGET = "application/vnd.jupyter.widget-view+json"


class Widget:
    """Stands for a widget; it keeps what it was sent last."""

    model_id = "model"

    def __init__(self, **traits: Any) -> None:
        self.traits = traits

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name != "traits":
            self.traits[name] = value

    def on_msg(self, receive: Any) -> None: ...
    def send(self, message: Any) -> None: ...
    def close(self) -> None: ...

    def hold_sync(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()


class Page:
    """What stands in the output, by display id: the bundle that was published last."""

    def __init__(self) -> None:
        self.shown: dict[str, Any] = {}

    def publish(self, bundle: Any, display_id: str, *, update: bool = False) -> None:
        self.shown[display_id] = bundle

    def is_still(self) -> bool:
        return bool(self.shown) and all(_WIDGET not in bundle for bundle in self.shown.values())


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    made = Page()
    for module in (runview, mapview, listview):
        monkeypatch.setattr(module, "publish", made.publish)
    monkeypatch.setattr(runview, "in_kernel", lambda: True)
    monkeypatch.setattr("dwarf.notebook.kernel.in_kernel", lambda: True)
    monkeypatch.setattr("dwarf.notebook.kernel.is_attended", lambda: True)
    monkeypatch.setattr(runview, "widget_class", lambda: Widget)
    monkeypatch.setattr(mapview, "_widget_class", lambda: Widget)
    monkeypatch.setattr(listview, "list_widget", lambda _: Widget)
    return made


class Held:
    """A workflow whose task ends when it is let go."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.gate = threading.Event()
        gate = self.gate

        @lab.task  # replaces that of the one before on purpose
        def wait(flow: Flow) -> dict[str, bool]:
            gate.wait(60)
            return {"done": True}

        self.graph = lab.graph("Held").add_node("Wait", wait).add_transition("Wait", END)

    def let_go(self, ended: Callable[[], bool]) -> None:
        """End the flow, and have its followers see it."""
        self.gate.set()
        until(ended)
        self.lab.call(_nothing())  # what the loop had to do about it has been done


async def _nothing() -> None:
    return None


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it has not come true"
        time.sleep(0.005)


def interrupted_at(number: int, act: Callable[[], object], show: Callable[[], object]) -> bool:
    """Run ``show`` in this thread, and ``act`` at its call of this number within the notebook; False past the last."""
    calls = 0
    acted = False

    def trace(frame: Any, event: str, _: Any) -> None:
        nonlocal calls, acted
        if acted or event != "call" or "/dwarf/notebook/" not in frame.f_code.co_filename:
            return
        calls += 1
        if calls == number:
            acted = True
            sys.setprofile(None)
            act()

    sys.setprofile(trace)
    try:
        show()
    finally:
        sys.setprofile(None)
    return acted


def moments(part: int, every: int = EVERY) -> Iterator[int]:
    number = part + 1
    while True:
        yield number
        number += every


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab("memory")


@pytest.mark.parametrize("part", range(3))
def test_a_run_that_ends_while_it_is_shown(lab: Lab, page: Page, part: int) -> None:
    for number in moments(part * EVERY // 3):
        held = Held(lab)
        run = lab.start(held.graph, show=False)
        page.shown.clear()
        acted = interrupted_at(number, lambda h=held, r=run: h.let_go(r._watcher.ended.done), run.show)
        if not acted:
            held.gate.set()
        until(page.is_still)
        if not acted:
            return


def test_a_fork_and_an_inspected_run(lab: Lab, page: Page) -> None:
    for number in moments(0):
        held = Held(lab)
        held.gate.set()
        first = lab.start(held.graph, show=False)
        first.wait()
        held.gate.clear()
        again = first.fork("Wait", show=False)
        page.shown.clear()
        acted = interrupted_at(number, lambda h=held, r=again: h.let_go(r._watcher.ended.done), again.show)
        if not acted:
            held.gate.set()
        until(page.is_still)
        if not acted:
            return


def test_a_map(lab: Lab, page: Page) -> None:
    for number in moments(0):
        held = Held(lab)
        work = lab.map(held.graph, [{"n": 1}], show=False)
        page.shown.clear()
        acted = interrupted_at(number, lambda h=held, w=work: h.let_go(w._work.ended.done), work.show)
        if not acted:
            held.gate.set()
        until(page.is_still)
        if not acted:
            return


@pytest.mark.parametrize("kind", ["inbox", "dashboard"])
def test_a_list(lab: Lab, page: Page, kind: str) -> None:
    def ask(flow: Flow) -> dict[str, bool]:
        return {"sure": flow.interrupt({"title": "Sure?", "schema": bool})}

    asks = lab.graph("Asks").add_node("Ask", ask).add_transition("Ask", END)
    for number in moments(0, 5 * EVERY):  # a list has many rows, and calls as many functions
        run = lab.start(asks, show=False)
        until(lambda r=run: r.status is Status.INTERRUPTED)
        shown = getattr(lab, kind)()

        def end(run: Any = run) -> None:
            run.answer(True)
            until(lambda: run.status is Status.COMPLETED)

        acted = interrupted_at(number, end, shown.show)
        if not acted:
            end()
        wanted = (
            (lambda s=shown: not any(card["closed"] == "" for card in s._widget.traits["shown"]["cards"]))
            if (kind == "inbox")
            else (lambda s=shown: {row["status"] for row in s._widget.traits["shown"]["rows"]} == {"completed"})
        )
        lab._services.submit(shown._take({"type": "seen", "view": "v", "on": True}))
        until(wanted)
        shown.close()
        if not acted:
            return


def test_listeners_may_come_and_go_on_any_thread() -> None:
    listeners = Listeners()
    told = threading.Event()
    listeners.add(told.set)
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            made = [lambda: None for _ in range(50)]
            for each in made:
                listeners.add(each)
            for each in made:
                listeners.discard(each)

    threads = [threading.Thread(target=come_and_go) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            told.clear()
            listeners.tell()
            assert told.is_set()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert list(listeners) == [told.set]
