"""The inbox, on a real engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Flow, Graph, InvalidRequest, Status
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.notebook import Inbox, Lab
from dwarf.notebook.live.replies import reply_to
from tests.notebook.test_lab import until

MakeLab = Callable[..., Lab]


def asking(lab: Lab, name: str = "asking", *, schema: Any = int, **more: Any) -> Graph:
    @lab.task(url=f"{name}/ask")
    def ask(flow: Flow, x: int = 0) -> dict[str, Any]:
        return {"y": flow.interrupt({"title": f"{name} {x}?", "schema": schema, **more})}

    return lab.graph(name).add_node("Ask", ask).add_transition("Ask", END)


def start(lab: Lab, graph: Graph, x: int) -> Any:
    run = lab.start(graph, {"x": x}, show=False)
    until(lambda: run.status is Status.INTERRUPTED)
    return run


def titles(inbox: Inbox) -> list[str]:
    return [prompt.title for prompt in inbox.prompts]


def take(inbox: Inbox, **message: Any) -> None:
    """What the front end would send."""
    inbox._lab.call(inbox._take(message))


def cards(inbox: Inbox) -> list[dict[str, Any]]:
    inbox._lab.call(inbox._refresh())
    return list(inbox._traits()["cards"])


def test_the_oldest_prompts_come_first(lab: Lab) -> None:
    graph, other = asking(lab), asking(lab, "other")
    inbox = lab.inbox()
    assert inbox.prompts == []
    assert repr(inbox) == "No prompt waits for an answer."
    for x, each in enumerate([graph, other, graph]):
        start(lab, each, x)
    assert titles(inbox) == ["asking 0?", "other 1?", "asking 2?"]
    assert titles(lab.inbox(workflow_name="other")) == ["other 1?"]
    assert titles(lab.inbox(search="oth")) == ["other 1?"]
    first, *_ = inbox.prompts
    first.answer(7)
    assert titles(inbox) == ["other 1?", "asking 2?"]
    assert titles(lab.inbox(thread=first.flow_key)) == []
    lines = repr(inbox).splitlines()
    assert lines[0] == "2 prompts wait for an answer"
    assert lines[1].startswith("  other 1? (other · Ask, since ")


def test_wrong_filters_are_told_at_once(lab: Lab) -> None:
    with pytest.raises(InvalidRequest, match="status"):
        lab.inbox(status="failed")
    with pytest.raises(TypeError):
        lab.inbox(colour="red")


def test_cards_are_answered_and_refused(lab: Lab) -> None:
    run = start(lab, asking(lab), 1)
    inbox = lab.inbox()
    (card,) = cards(inbox)
    assert card["node"] == "asking · Ask"
    assert card["since"] > 0
    take(inbox, type="answer", id=card["id"], value="many")
    (refused,) = cards(inbox)
    assert "whole number" in refused["error"]
    assert refused["id"] == card["id"]
    assert not refused["closed"]
    take(inbox, type="answer", id=card["id"], value=5)
    (closed,) = cards(inbox)
    assert closed["closed"] == "5"
    take(inbox, type="answer", id=card["id"], value=6)
    assert run.wait(60).state["y"] == 5
    assert run._watcher.cards[0].closed == "5"  # the run's own card says it, too


def test_what_is_answered_elsewhere_closes(lab: Lab) -> None:
    run = start(lab, asking(lab), 1)
    inbox = lab.inbox()
    (card,) = cards(inbox)
    run.answer(3)
    run.wait(60)
    (closed,) = cards(inbox)
    assert (closed["id"], closed["closed"]) == (card["id"], "answered elsewhere")
    assert inbox._traits()["empty"] == "No prompt waits for an answer."


def test_an_answer_that_comes_too_late_changes_nothing(lab: Lab) -> None:
    run = start(lab, asking(lab), 1)
    inbox = lab.inbox()
    (card,) = cards(inbox)
    run.answer(3)
    run.wait(60)
    take(inbox, type="answer", id=card["id"], value=5)
    assert cards(inbox)[0]["closed"] == "answered elsewhere"
    assert run.result["y"] == 3


async def test_prompts_of_other_processes_are_answered(make_lab: MakeLab, tmp_path: Path) -> None:
    host = LocalHost()
    graph = Graph("afar").add_node("Ask", lambda flow: {"y": flow.interrupt({"title": "Afar?", "schema": bool})})
    graph.add_transition("Ask", END)
    async with Engine(host, f"sqlite:///{tmp_path / 'a.db'}") as engine:
        handle = await engine.create(graph)
        assert (await handle.outcome(timeout=60)).status is Status.INTERRUPTED
        lab = make_lab("a.db", workers=0)
        inbox = await asyncio.to_thread(lab.inbox)
        (prompt,) = await asyncio.to_thread(lambda: inbox.prompts)
        assert prompt.title == "Afar?"
        await asyncio.to_thread(prompt.answer, True)
        async for update in handle.watch():
            outcome = update.outcome
        assert outcome.state["y"] is True


def test_several_prompts_of_one_flow(lab: Lab) -> None:
    @lab.task
    def ask(flow: Flow, item: int) -> dict[str, Any]:
        return {"got": [flow.interrupt({"title": f"Part {item}?", "schema": int})]}

    graph = lab.graph("parts", reducers={"got": "append"}).add_node("Split", lambda: {"items": [1, 2, 3]})
    graph.add_node("Ask", ask).add_node("Join", lambda: None).set_fan_in("Join")
    graph.add_for_each("Split", "Ask", items="items", item="item").add_chain("Ask", "Join", END)
    run = lab.start(graph, show=False)
    inbox = lab.inbox()
    until(lambda: len(inbox.prompts) == 3)
    assert len(cards(inbox)) == 3
    next(prompt for prompt in inbox.prompts if prompt.title == "Part 2?").answer(20)
    assert sorted(titles(inbox)) == ["Part 1?", "Part 3?"]
    for prompt in inbox.prompts:
        prompt.answer(1)
    assert sorted(run.result["got"]) == [1, 1, 20]


def test_the_reader_can_filter(lab: Lab) -> None:
    graph, other = asking(lab, amount="many apples"), asking(lab, "other", amount="pears")
    start(lab, graph, 1)
    start(lab, other, 2)
    inbox = lab.inbox()
    assert len(cards(inbox)) == 2
    take(inbox, type="filter", search="APPLES")
    assert [card["title"] for card in cards(inbox)] == ["asking 1?"]
    take(inbox, type="filter", search="", workflow="other")
    assert [card["title"] for card in cards(inbox)] == ["other 2?"]
    take(inbox, type="filter", search="nowhere")
    assert cards(inbox) == []
    assert inbox._traits()["empty"] == "No prompt fits the filter."
    told = inbox._traits()
    assert (told["workflows"], told["workflow"], told["search"]) == (["asking", "other"], "other", "nowhere")


def test_a_flow_at_a_breakpoint_is_stepped_and_ended(lab: Lab) -> None:
    graph = lab.graph("steps").add_chain("A", "B", "C", END)
    for name in "ABC":
        graph.add_node(name, lambda x: {"x": x + 1})
    flow = lab.call(lab.engine.create(graph, {"x": 1}, interrupt_before=["A"]))
    inbox = lab.inbox()
    until(lambda: bool(inbox.prompts))

    def ask(do: str, **more: Any) -> dict[str, Any]:
        (card,) = [each for each in cards(inbox) if not each["closed"]]
        assert card["stop"] == "before"
        return lab.call(reply_to({"do": do, "ask": 1}, inbox._ask({"do": do, "card": card["id"], **more})))

    assert repr(inbox).splitlines()[0] == "1 flow is stopped at a breakpoint"
    assert json.loads(ask("stopped")["input"]) == {"x": 1}
    ask("go", stepping=True, whole=True, text='{"x": 40}')
    until(lambda: [prompt.title for prompt in inbox.prompts] == ["Breakpoint before 'B'"])
    assert json.loads(ask("stopped")["input"]) == {"x": 41}
    ask("go", stepping=True)
    until(lambda: [prompt.title for prompt in inbox.prompts] == ["Breakpoint before 'C'"])
    assert "looked at" in ask("else")["fault"]
    ask("cancel")
    assert lab.call(flow.outcome(timeout=60)).status is Status.CANCELLED


def test_secrets_are_not_shown(lab: Lab) -> None:
    secret = {"type": "string", "format": "password"}
    start(lab, asking(lab, schema=secret, default="hunter2"), 1)
    inbox = lab.inbox()
    (card,) = cards(inbox)
    assert "hunter2" not in str(card)
    take(inbox, type="answer", id=card["id"], value="swordfish")
    assert "swordfish" not in str(inbox._traits())
    assert "hunter2" not in inbox._table()


def test_a_table_stays_and_text_stays_text(lab: Lab) -> None:
    run = start(lab, asking(lab, "<script>x</script>"), 1)
    inbox = lab.inbox()
    bundle = inbox._repr_mimebundle_()
    assert "<script>" not in bundle["text/html"]
    assert "&lt;script&gt;" in bundle["text/html"]
    run.answer(1)
    lab.close()
    assert "closed" in repr(inbox) or "waits" in repr(inbox)


def test_it_is_printed_without_a_front_end(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    start(lab, asking(lab), 1)
    lab.inbox().show()
    assert "asking 1?" in capsys.readouterr().out
