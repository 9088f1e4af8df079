"""What the page is told about steps, and what it may do: the kernel's side of the panel, with a real engine."""

from __future__ import annotations

import json
import linecache
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dwarf.errors import InvalidRequest
from dwarf.notebook import Lab, Run
from dwarf.notebook.live.pace import Paces
from dwarf.notebook.live.panel import PanelController, changes_between, diff_of, sort_steps
from dwarf.notebook.live.wire import describe_card
from dwarf.notebook.pictures.views import node_views, state_of
from dwarf.workflow import END, Flow, Retry, Step
from tests.notebook.samples import step


class Front:
    """Asks as a page would."""

    def __init__(self, lab: Lab, run: Run) -> None:
        self.lab = lab
        self.run = run
        self.shown: list[Run] = []
        self.controller = PanelController(
            lab._services, run._watcher, lambda found: self.shown.append(Run(lab._services, found))
        )
        self.names = [node.name for node in run.graph.nodes]

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        reply = self.lab.call(self.controller.handle({"type": "ask", "ask": 7, "do": do, **more}))
        assert reply["type"] == "reply"
        assert reply["ask"] == 7
        json.dumps(reply)  # it goes over a wire
        return reply

    def node(self, name: str, **more: Any) -> dict[str, Any]:
        return self.ask("node", node=str(self.names.index(name)), **more)


def two_steps(lab: Lab) -> Any:
    @lab.task
    def first(x: int) -> dict[str, Any]:
        return {"y": x * 2, "old": None}

    @lab.task
    def second(flow: Flow, y: int) -> dict[str, Any]:
        if y > 100:
            raise ValueError(f"<b>{y}</b> is too much")
        return {"z": y + 1}

    return lab.graph("two").add_node("first", first).add_node("second", second).add_chain("first", "second", END)


def test_a_step_is_told_in_full(lab: Lab) -> None:
    run = lab.start(two_steps(lab), {"x": 99, "old": [1]}, show=False)
    run.wait(60)
    front = Front(lab, run)
    told = front.node("first")
    assert told["state"] == "completed"
    assert json.loads(told["input"]) == {"x": 99, "old": [1]}
    assert told["takes"] == [["x", "99", "the initial state"]]
    assert 'return {"y": x * 2' in told["source"]
    assert front.node("second")["takes"] == [["y", "198", "first"]]
    assert json.loads(told["result"]) == {"x": 99, "y": 198}
    assert [row[:2] for row in told["diff"]] == [["removed", "old"], ["added", "y"]]
    assert told["can_go_on"]
    failed = front.node("second")
    assert failed["state"] == "failed"
    assert failed["error"] == "<b>198</b> is too much"
    assert "ValueError" in failed["traceback"]
    assert not failed["can_go_on"]
    assert run.key not in json.dumps([told, failed])  # the secret part of a key stays here


def test_a_fork_with_an_edited_state_is_shown_beneath(lab: Lab) -> None:
    run = lab.start(two_steps(lab), {"x": 99}, show=False)
    run.wait(60)
    front = Front(lab, run)
    failed = front.node("second")
    reply = front.ask("fork", step=failed["step"], at="input", text='{"x": 99, "y": 5}', whole=True)
    (fork,) = front.shown
    assert fork.wait(60).state["z"] == 6
    assert reply["find"] == f'lab.get("{fork.key}")'
    first = front.node("first")
    front.ask("fork", step=first["step"], at="after", text='{"y": 12345678901234567890}', whole=True)
    assert front.shown[-1].wait(60).status == "failed"
    assert front.shown[-1].state_at("second") == {"y": 12345678901234567890}  # exact, and x has been taken out


def test_what_cannot_be_done_is_told_and_changes_nothing(lab: Lab) -> None:
    run = lab.start(two_steps(lab), {"x": 1}, show=False)
    run.wait(60)
    front = Front(lab, run)
    known = front.node("first")["step"]
    for request, words in {
        ("fork", (("step", known), ("text", "{"))): "not JSON",
        ("fork", (("step", known), ("text", "[]"))): "not a JSON object",
        ("fork", (("step", known), ("at", "sideways"), ("text", "{}"))): "at is",
        ("fork", (("step", 987654), ("text", "{}"))): "no such step",
        ("fork", (("step", True), ("text", "{}"))): "not a number",
        ("step", (("step", "1; drop"), ("node", "0"))): "not a number",
        ("node", (("node", "99"),)): "no such node",
        ("retry", ()): "nothing to run again",
        ("cancel", ()): "completed",
        ("format the disk", ()): "cannot do",
    }.items():
        reply = front.ask(request[0], **dict(request[1]))
        assert words in reply["fault"]
    assert front.shown == []
    assert len(lab.flows()) == 1


def test_a_failed_run_is_retried_and_a_waiting_one_cancelled(lab: Lab) -> None:
    limits = [1]

    @lab.task
    def picky(flow: Flow) -> dict[str, Any]:
        if limits.pop():
            raise ValueError("not yet")
        return {"done": flow.interrupt({"title": "Sure?"})}

    limits.insert(0, 0)
    run = lab.start(lab.graph("picky").add_node("picky", picky).add_transition("picky", END), show=False)
    run.wait(60)
    front = Front(lab, run)
    limits.insert(0, 0)
    front.ask("retry")
    (again,) = front.shown
    assert Front(lab, again).ask("cancel", reason="enough") == {"type": "reply", "ask": 7, "said": "Cancelled."}
    outcome = again.wait(60)
    assert outcome.cancel_reason == "enough"


def test_a_group_is_paged(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("memory")

    @lab.task
    def work(n: int) -> dict[str, Any]:
        if n % 60 == 7:
            raise ValueError(f"no {n}")
        return {"n": n}

    def join() -> None:
        return None

    graph = lab.graph("many", reducers={"n": "replace"}).add_node("list", lambda: {"ns": list(range(120))})
    graph.add_node("work", work).add_node("join", join, fan_in=True)
    graph.add_for_each("list", "work", items="ns", item="n").add_chain("work", "join", END)
    run = lab.start(graph, show=False)
    run.wait(60)
    front = Front(lab, run)
    told = front.node("work")
    assert told["total"] == 120
    assert [row["label"] for row in told["rows"][:2]] == ["branch 8", "branch 68"]
    assert [row["item"] for row in told["rows"][:2]] == ["7", "67"]
    assert told["rows"][0]["error"] == "no 7"
    failed = front.node("work", only="failed")
    assert (failed["only"], {row["state"] for row in failed["rows"]}) == ("failed", {"failed"})
    assert failed["total"] < 120 == front.node("work", only="slow")["total"]
    assert len(told["rows"]) == told["size"]
    last = front.node("work", page=99)
    assert last["page"] == 2
    assert len(last["rows"]) == 120 - 2 * told["size"]
    one = front.ask("step", step=told["rows"][1]["step"], node=str(front.names.index("work")))
    assert one["of"] == 120
    assert json.loads(one["input"])["n"] == 67


def test_a_node_that_was_not_reached_and_a_flow_that_runs(lab: Lab) -> None:
    graph = lab.graph("ask").add_node("ask", lambda flow: flow.interrupt()).add_node("after", lambda: None)
    run = lab.start(graph.add_chain("ask", "after", END), show=False)
    while not run.prompts:
        assert not run._watcher.ended.done()
    front = Front(lab, run)
    assert front.node("after")["about"] == "The flow has not come here."
    assert front.node("ask")["no_fork"] == ""


def test_a_subgraph_is_opened_and_its_steps_are_found(lab: Lab) -> None:
    inner = lab.graph("inner").add_node("deep", lambda x: {"x": x + 1}).add_transition("deep", END)

    def call(flow: Flow, x: int) -> dict[str, Any]:
        return flow.subgraph(inner, {"x": x})

    run = lab.start(lab.graph("outer").add_node("call", call).add_transition("call", END), {"x": 1}, show=False)
    run.wait(60)
    front = Front(lab, run)
    assert "no subgraph" in front.ask("node", node="0/0")["fault"] or front.controller.opened == {}
    told = front.node("call")
    assert told["nested"] == "Open the subgraph in the picture"
    front.ask("unfold", node="0")
    assert front.controller.opened == {"0": 0}
    deep = front.ask("node", node="0/0")
    assert json.loads(deep["result"]) == {"x": 2}
    assert front.ask("fork", step=deep["step"], text='{"x": 41}', whole=True)["said"]
    assert front.shown[0].wait(60).state["x"] == 42
    assert "no such node" in front.ask("node", node="0/7")["fault"]
    assert "no subgraph" in front.ask("unfold", node="0/0")["fault"]
    front.ask("unfold", node="0")
    assert front.controller.opened == {}


def test_differences() -> None:
    before = {"same": 1, "one": 1, "gone": {"a": 1}}
    rows = diff_of(before, {"same": 1, "one": True, "gone": None, "new": "x", "absent": None})
    assert [(kind, name) for kind, name, _, _ in rows] == [("removed", "gone"), ("added", "new"), ("changed", "one")]
    long = diff_of({}, {"text": "x" * 5000})
    assert "characters more" in long[0][3]
    assert len(long[0][3]) < 1400


@pytest.mark.parametrize(
    ("text", "whole", "changes"),
    [
        ('{"a": 1, "b": 2}', True, {}),
        ('{"a": 1}', True, {"b": None}),
        ('{"a": true, "b": 2}', True, {"a": True}),
        ('{"a": 1}', False, {"a": 1}),
        ('{"a": {"$dwarf": "tuple", "v": [1, 2]}, "b": 2}', True, {"a": (1, 2)}),
    ],
)
def test_changes_are_what_was_edited(text: str, whole: bool, changes: dict[str, Any]) -> None:
    assert changes_between({"a": 1, "b": 2}, text, whole=whole) == changes


def test_no_state_but_an_object_is_taken() -> None:
    for text in ("", "nope", "[1]", "NaN"):
        with pytest.raises(InvalidRequest):
            changes_between({}, text, whole=True)


def test_what_needs_a_look_comes_first() -> None:
    steps = [step(number, "a", status, 0, 1) for number, status in enumerate(["completed", "running", "failed"], 1)]
    assert [each.id for each in sort_steps(steps, state_of)] == [3, 2, 1]


def test_a_flow_stops_where_a_click_says(lab: Lab) -> None:
    def ask(flow: Flow) -> None:
        flow.interrupt("Go on?")

    graph = lab.graph("stops").add_node("Ask", ask).add_node("Last", lambda: None).add_chain("Ask", "Last", END)
    run = lab.start(graph, show=False)
    front = Front(lab, run)
    while not run.prompts:
        pass
    assert front.node("Last")["stops"] == {"before": False, "after": False}
    assert front.ask("stop", node="1", at="before")["stops"] == {"before": True, "after": False}
    run.answer(prompt="Ask")
    while not any(prompt.node == "Last" for prompt in run.prompts):
        pass
    assert front.ask("stop", node="1", at="before")["stops"] == {"before": False, "after": False}
    run.answer(prompt="Last")
    assert run.wait(60).status == "completed"
    assert "stops" not in front.node("Last")
    assert "fault" in front.ask("stop", node="1", at="before")


def test_a_stop_is_shown_edited_and_gone_on_from_step_by_step(make_lab: Callable[..., Lab], tmp_path: Path) -> None:
    def opened() -> Lab:
        lab = make_lab(f"{tmp_path}/flows.db")

        @lab.task
        def add(x: int) -> dict[str, Any]:
            return {"x": x + 1}

        lab.graph("steps").add_node("A", add).add_node("B", add).add_node("C", add).add_chain("A", "B", "C", END)
        return lab

    lab = opened()
    run = lab.start(lab.host.graphs["steps"], {"x": 1, "big": 2**70}, interrupt_before=["A"], show=False)  # type: ignore[attr-defined]
    front = Front(lab, run)

    def stop_at(front: Front, node: str) -> dict[str, Any]:
        while not any(prompt.node == node for prompt in front.run.prompts):
            assert not front.run._watcher.ended.done()
        (card,) = [card for card in front.run._watcher.cards if not card.closed]
        told = describe_card(card)
        assert (told["stop"], told["facts"], told["title"]) == ("before", [], f"Breakpoint before {node!r}")
        return told  # type: ignore[return-value]

    card = stop_at(front, "A")
    shown = front.ask("stopped", card=card["id"])
    assert (json.loads(shown["input"]), shown["whole"], shown["count"]) == ({"x": 1, "big": 2**70}, True, 1)
    assert repr(run) == "<Run 'steps': stopped before A (breakpoint)>"
    assert "stopped before A (breakpoint) · " in run.picture()
    assert 'data-part="stop-before"' in run.picture()
    assert "A: stopped before it (the flow stops before it)" in run.picture().alt
    assert "not JSON" in front.ask("go", card=card["id"], text="{")["fault"]
    front.ask("go", card=card["id"], text='{"x": 41}', whole=True, stepping=True)
    assert run._watcher.cards[0].closed == "went on, with 'big', 'x' changed"
    stop_at(front, "B")
    lab.close()

    lab = opened()  # a new kernel
    run = lab.get(run.key)
    front = Front(lab, run)
    card = stop_at(front, "B")
    assert json.loads(front.ask("stopped", card=card["id"])["input"]) == {"x": 42}
    front.ask("go", card=card["id"], stepping=True)
    card = stop_at(front, "C")
    assert "not stopped" in front.ask("go", card="card-99")["fault"]
    front.ask("go", card=card["id"])
    assert run.wait(60).state == {"x": 44}
    assert lab.call(run._watcher.handle.breakpoints()) == ({"A"}, set())


def test_a_redefined_function_is_shown_as_it_ran_and_attempts_with_their_errors(lab: Lab) -> None:
    def defined(body: str) -> None:
        code = f"def work(flow):\n    {body}\n    return {{'n': flow.attempt}}\n"
        name = f"<cell {len(body)}>"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        known: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(code, name, "exec"), known)
        lab.host.add_task("work", known["work"])  # type: ignore[attr-defined]

    defined("if flow.attempt < 2: raise ValueError(f'no {flow.attempt}')")
    graph = (
        lab.graph("again")
        .add_node("work", "work", retry=Retry(max_attempts=3, delay=0.001))
        .add_transition("work", END)
    )
    run = lab.start(graph, show=False)
    run.wait(60)
    front = Front(lab, run)
    told = front.node("work")
    assert "edited" not in told
    assert [(number, what) for number, _, _, what in told["attempts"]] == [
        (1, "no 0"),
        (2, "no 1"),
        (3, "completed"),
    ]
    assert all(ended for _, ended, _, _ in told["attempts"])
    assert told["attempts"][0][2].endswith(" s")
    defined("pass")
    told = front.node("work")
    assert told["edited"]
    assert "no {flow.attempt}" in told["ran"]
    assert "    pass" in told["source"]
    assert ["+", "    pass"] in told["change"]["lines"]


def test_progress_has_a_curve_a_rate_and_an_estimate() -> None:
    paces = Paces()

    def running(seconds: float, done: float, message: str = "", status: str = "running") -> Step:
        known = step(1, "a", status, 0, seconds)
        return replace(known, progress=(done, 100.0, message))

    for second in range(1, 11):
        paces.note([running(second, 2.0 * second), running(second, 2.0 * second)])
    paces.note([running(11, 30)])  # faster of late
    told = paces.describe(running(11, 30, "a long word of where it is"))
    assert told["progress"].startswith("30 of 100 a long word of where it is · 4 a second · about ")
    assert (told["curve"][0], told["curve"][-1]) == ([0.0, 0.0], [11.0, 30.0])
    for second in range(12, 2000):
        paces.note([running(second, second)])
    assert len(paces.describe(running(2000, 2000))["curve"]) <= 120
    paces.note([running(2001, 1)])  # begun again
    assert "curve" not in paces.describe(running(2001, 1))
    assert "a long word" in node_views([running(3, 5, "a long word of where it is")])["a"].detail
