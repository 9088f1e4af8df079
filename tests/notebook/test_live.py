"""The live view: what it sends, how often, and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from dwarf import END
from dwarf.notebook import Lab
from dwarf.notebook.live import runview as live
from dwarf.notebook.live.flow_watcher import Card, FlowWatcher
from dwarf.notebook.live.runview import RunView, asset, describe_card, describe_node, theme
from dwarf.notebook.live.widget import STYLES
from dwarf.notebook.pictures.views import node_views
from dwarf.notebook.prompts.answers import Answers
from dwarf.notebook.prompts.prompt import Prompt
from tests.notebook.samples import at, outcome, step, survey_graph, survey_steps


class _Handle:
    key = "1-7-secret"


def at_once(work: Coroutine[Any, Any, None]) -> None:
    """Stands for a lab's loop, which the test runs on: what is handed over here awaits nothing."""
    with contextlib.suppress(StopIteration):
        work.send(None)


class _Widget:
    """Records what a front end would be sent."""

    model_id = "model"
    sent: list[str]
    traits: dict[str, Any]

    def __init__(self, **traits: Any) -> None:
        object.__setattr__(self, "sent", [])
        object.__setattr__(self, "traits", dict(traits))
        object.__setattr__(self, "receive", None)

    def __setattr__(self, name: str, value: Any) -> None:
        if self.traits.get(name) != value:
            self.traits[name] = value
            self.sent.append(name)

    def on_msg(self, receive: Any) -> None:
        object.__setattr__(self, "receive", receive)

    def hold_sync(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()


@pytest.fixture
async def seen() -> FlowWatcher:
    made = FlowWatcher(None, _Handle(), Answers({}), lambda *_: None)  # type: ignore[arg-type]
    made.graph, made.outcome, made.steps = survey_graph(), outcome("running"), survey_steps("measuring")
    return made


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], str, bool]]:
    sent: list[tuple[dict[str, Any], str, bool]] = []

    def publish(bundle: dict[str, Any], display_id: str, *, update: bool = False) -> None:
        sent.append((bundle, display_id, update))

    monkeypatch.setattr(live, "publish", publish)
    monkeypatch.setattr(live, "in_kernel", lambda: True)
    monkeypatch.setattr(live, "widget_class", lambda: _Widget)
    return sent


async def test_the_view_is_laid_out_once_and_small_after_that(seen: FlowWatcher, published: list[Any]) -> None:
    view = RunView(seen, at_once)
    view.show()
    ((bundle, _, update),) = published
    assert list(bundle) == ["application/vnd.jupyter.widget-view+json", "image/svg+xml", "text/plain"]
    assert not update
    widget = view._widget
    assert "<svg" in widget.traits["svg"]
    seen.steps = survey_steps("asking")
    view.push()
    assert "svg" not in widget.sent
    assert set(widget.sent) >= {"planes", "flow"}
    assert len(json.dumps({name: widget.traits[name] for name in widget.sent})) < 1_500


async def test_many_changes_are_few_messages(
    seen: FlowWatcher, published: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    view = RunView(seen, at_once)
    pushes = []
    push = view.push
    monkeypatch.setattr(view, "push", lambda: (pushes.append(1), push()))
    view.show()
    for _ in range(1000):
        seen._tell()
    await asyncio.sleep(0)
    assert len(pushes) <= 1
    await asyncio.sleep(live.LEAST_INTERVAL * 1.5)
    seen._tell()
    await asyncio.sleep(live.LEAST_INTERVAL * 1.5)
    assert 1 <= len(pushes) <= 3
    assert len(pushes) == 2


async def test_at_the_end_a_still_picture_stays(seen: FlowWatcher, published: list[Any]) -> None:
    view = RunView(seen, at_once)
    view.show()
    seen.steps = survey_steps("completed")
    seen.outcome = outcome("completed")
    seen._finish(seen.outcome)
    bundle, display_id, update = published[-1]
    assert update
    assert display_id == published[0][1]
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    assert 'data-state="completed"' in bundle["image/svg+xml"]
    count = len(published)
    view.settle()
    assert len(published) == count  # once for each thread
    assert not seen.listeners


@pytest.mark.parametrize("moment", ["widget_class", "draw_plane", "free_comm", "publish", "after publish", "listening"])
async def test_a_run_may_end_at_any_moment_of_being_shown(
    moment: str, seen: FlowWatcher, published: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end() -> None:
        if not seen.ended.done():
            seen.steps = survey_steps("completed")
            seen.outcome = outcome("completed")
            seen._finish(seen.outcome)

    def ending(call: Callable[..., Any]) -> Callable[..., Any]:
        def ended(*arguments: Any, **options: Any) -> Any:
            if moment == "after publish":
                call(*arguments, **options)
                return end()
            end()
            return call(*arguments, **options)

        return ended

    def submit(work: Coroutine[Any, Any, None]) -> None:
        if moment == "listening":
            end()
        at_once(work)

    if moment != "listening":
        name = moment.removeprefix("after ")
        monkeypatch.setattr(live, name, ending(getattr(live, name)))
    view = RunView(seen, submit)
    view.show()
    assert seen.ended.done()
    (_, first, _), (bundle, display_id, update) = published
    assert update
    assert display_id == first
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    assert 'data-state="completed"' in bundle["image/svg+xml"]
    assert not seen.listeners


def test_a_run_that_ends_between_the_first_picture_and_the_listening(
    make_lab: Callable[..., Lab], published: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab("memory")
    go, settled = threading.Event(), threading.Event()
    graph = lab.graph("short").add_node("Wait", lambda: go.wait(60) and None).add_transition("Wait", END)
    run = lab.start(graph, show=False)
    publish = live.publish  # type: ignore[attr-defined]

    def held(bundle: dict[str, Any], display_id: str, *, update: bool = False) -> None:
        publish(bundle, display_id, update=update)
        if update:
            settled.set()
        else:  # the live view is sent, and the flow ends before the view goes on
            go.set()
            run._watcher.ended.result(60)

    monkeypatch.setattr(live, "publish", held)
    run.show()
    assert settled.wait(60)
    assert 'data-state="completed"' in published[-1][0]["image/svg+xml"]


def fail(seen: FlowWatcher) -> None:
    seen.outcome = outcome("failed", error="no luck")
    seen._finish(seen.outcome)


@pytest.mark.parametrize("before", [True, False])
async def test_a_run_that_fails_at_once_waits_for_the_page(
    before: bool, seen: FlowWatcher, published: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it failed before it was shown or after, so that what can be done does not depend on the moment."""
    monkeypatch.setattr(live.kernel, "is_attended", lambda: True)  # type: ignore[attr-defined]
    if before:
        fail(seen)
    view = RunView(seen, at_once, begun_here=True)
    view.show()
    if not before:
        fail(seen)
    view.settle()  # as the cell does that awaits it
    assert len(published) == 1
    assert "application/vnd.jupyter.widget-view+json" in published[0][0]
    view._receive(None, {"type": "ready"}, None)
    view.settle()
    assert len(published) == 1
    view._receive(None, {"type": "done"}, None)
    assert "no luck" in published[1][0]["image/svg+xml"]


async def test_a_page_that_does_not_come_is_not_waited_for(
    seen: FlowWatcher, published: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.kernel, "is_attended", lambda: True)  # type: ignore[attr-defined]
    view = RunView(seen, at_once)
    view.show()
    fail(seen)
    assert len(published) == 1
    view._shown -= live.FIRST
    view.settle()
    assert set(published[1][0]) == {"image/svg+xml", "text/plain"}


async def test_where_nobody_looks_a_run_that_fails_is_still_at_once(seen: FlowWatcher, published: list[Any]) -> None:
    RunView(seen, at_once).show()
    fail(seen)
    assert set(published[1][0]) == {"image/svg+xml", "text/plain"}
    RunView(seen, at_once, begun_here=True).show()
    assert set(published[2][0]) == {"image/svg+xml", "text/plain"}


async def test_a_finished_run_is_shown_still(seen: FlowWatcher, published: list[Any]) -> None:
    seen.outcome = outcome("completed")
    seen._finish(seen.outcome)
    RunView(seen, at_once).show()
    assert set(published[0][0]) == {"image/svg+xml", "text/plain"}


async def test_without_a_front_end_the_text_is_printed(seen: FlowWatcher, capsys: pytest.CaptureFixture[str]) -> None:
    RunView(seen, at_once).show()
    assert "12 of 24" in capsys.readouterr().out


async def test_messages_of_the_front_end(seen: FlowWatcher, published: list[Any]) -> None:
    work: list[Any] = []
    view = RunView(seen, work.append)
    view.show()
    at_once(work.pop())
    receive = view._widget.receive
    assert not view.ready
    receive(None, {"type": "ready"}, None)
    assert view.ready
    receive(None, {"type": "nonsense"}, None)
    assert not work
    receive(None, {"type": "answer", "id": "unknown#0", "value": 1}, None)
    await work.pop()  # an answer to a card that is gone does nothing


async def test_a_view_that_fails_stops_nothing(seen: FlowWatcher, published: list[Any]) -> None:
    view = RunView(seen, at_once)
    view.show()
    seen.steps = [None]  # type: ignore[list-item]
    view.push()
    seen.listeners.add(lambda: 1 / 0)
    seen._tell()
    assert view._timer is not None
    view._timer.cancel()


def test_what_is_sent_is_json_and_holds_no_secret() -> None:
    schema = {"type": "object", "properties": {"token": {"type": "string", "format": "password", "default": "hunter2"}}}
    asked = {"title": "Key?", "schema": schema, "default": {"token": "hunter2"}}
    prompt = Prompt(step(7, "Ask", "interrupted", 0, 3, interrupt_payload=asked), "1-1-x", lambda *_: None)
    card = Card(prompt, 0)
    card.refuse("not like that")
    card.refuse("not like that")
    sent = json.dumps(describe_card(card))
    assert "hunter2" not in sent
    assert json.loads(sent)["faults"] == 2
    assert "secret" not in json.dumps(describe_card(card)["facts"])
    for view in node_views(survey_steps("measuring"), now=at(2)).values():
        json.dumps(describe_node(view))
    json.dumps(theme())


async def test_very_many_prompts_are_shown_in_turn(seen: FlowWatcher, published: list[Any]) -> None:
    prompts = [
        Prompt(
            step(index, "Ask", "interrupted", 0, 3, interrupt_payload={"title": f"No. {index}"}),
            "1-1-x",
            lambda *_: None,
        )
        for index in range(1, 201)
    ]
    seen.cards = tuple(Card(prompt, number) for number, prompt in enumerate(prompts))
    view = RunView(seen, at_once)
    view.show()
    shown = view._widget.traits["cards"]
    assert [card["title"] for card in shown][:2] == ["No. 1", "No. 2"]
    assert len(shown) == 30
    for card in seen.cards[:100]:
        card.closed = "approved"
    view.push()
    assert len(view._widget.traits["cards"]) == 50
    assert len(seen.notes) == 21
    assert seen.notes[0] == "✔ 80 further answers"


def test_the_files_of_the_front_end_ship_with_the_package() -> None:
    scripts = [path.name for path in Path(live.__file__).parents[1].joinpath("static").glob("*.js")]
    assert "run.js" in scripts
    for name in (*scripts, *STYLES):
        text = asset(name)
        assert len(text) > 500
        assert "innerHTML" not in text
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in text


def test_the_widget_can_be_made() -> None:
    made = live.widget_class()(theme=theme(), svg="", planes={}, flow={}, cards=[])
    try:
        assert "buildCard" in str(made._esm)
        assert "dwarf-card" in str(made._css)
    finally:
        made.close()


def test_a_view_is_a_widget_among_others(lab: Lab) -> None:
    """In the boxes of ipywidgets, and linked to another one, it goes on to the end of the run."""
    from ipywidgets import HBox, Label, Tab, dlink

    gate = threading.Event()
    run = lab.start(lab.graph("g").add_node("Wait", lambda: gate.wait(60) and None).add_transition("Wait", END))
    view, label, ended = run.widget(), Label(), threading.Event()
    label.observe(lambda change: ended.set() if change["new"] != "0.0" else None, "value")
    page = Tab([HBox([view, label]), lab.inbox().widget(), lab.dashboard().widget()], titles=["run", "inbox", "all"])
    dlink((view, "flow"), (label, "value"), lambda flow: str(flow["ended"]))
    assert page.children[0].children[0] is view
    assert view.layout.flex == "1 1 auto"  # it is laid out by the width it gets, and would get none
    assert label.value == "0.0"
    ended.clear()
    gate.set()
    assert run.wait(60).status == "completed"
    assert ended.wait(60)
    for each in (page, label, view):
        each.close()


async def test_a_long_history_is_read_less_often_but_its_end_at_once(seen: FlowWatcher) -> None:
    ended = asyncio.Event()

    async def outcome_of_it() -> None:
        await ended.wait()

    await seen._rest()  # a short one is read at every change
    seen.handle.outcome = outcome_of_it  # type: ignore[assignment, method-assign]
    seen.steps = survey_steps("measuring", width=10_000)
    rest = asyncio.create_task(seen._rest())
    await asyncio.sleep(0)
    assert not rest.done()
    ended.set()
    await rest
