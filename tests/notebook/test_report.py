"""The report: one file, which opens anywhere, runs nothing, and holds no secrets."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Flow, Graph
from dwarf.notebook import Lab
from dwarf.notebook.analysis.masking import MASK, Mask
from dwarf.notebook.analysis.report import Report, ReportFacts, choose, make_report
from dwarf.notebook.prompts.prompt import Prompt
from dwarf.workflow import Answered, SubFlow
from tests.notebook.samples import at, order_graph, order_steps, outcome, step, survey_graph, survey_steps

BAD = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"
PASSWORD = {"type": "string", "format": "password"}


class Parts(HTMLParser):
    """The elements of a page and their attributes; every element that is opened must be closed."""

    EMPTY = frozenset({"meta", "br", "img", "link", "hr"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def facts(steps: list[Any], status: str = "completed", **more: Any) -> ReportFacts:
    answers = more.get("answers", ())
    values: dict[str, Any] = {
        "label": "1-7",
        "graph": survey_graph(),
        "outcome": outcome(status),
        "steps": steps,
        "within": {},
        "shown": choose(steps),
        "full": {each.id: each for each in steps if each.state is not None},
        "answers": answers,
        "waiting": (),
        "mask": Mask(answers),
        "made_at": at(100),
    }
    return ReportFacts(**(values | more))


def test_a_report_tells_all_there_is() -> None:
    steps = survey_steps("failed")
    seen = {"state": {"folder": "src"}, "changes": {"modules": ["a", "b"]}, "warnings": ("nobody asked <b>this</b>",)}
    steps[0] = step(1, "list_modules", "completed", 0, 0.05, **seen)
    answer = Answered(
        step_id=1,
        node="list_modules",
        payload={"title": "Which folder?"},
        value="src",
        asked_at=at(0),
        answered_at=at(5),
    )
    error = "ReducerError: append <b>needs</b> an array & met a number"
    page = make_report(
        facts(steps, "failed", answers=[answer], outcome=outcome("failed", error=error, state={"rank": 3}))
    )
    told = " ".join(Parts(page).texts)
    for words in (
        "code survey",
        "failed",
        "Which folder?",
        "5.0 s",
        error,
        "list_modules",
        "folder",
        "modules",
        "rank",
        "24",
        "Warnings",
        "nobody asked <b>this</b>",
    ):
        assert words in told, words
    assert page.count("<svg") == 2
    assert page.startswith("<!DOCTYPE html>")


def test_nothing_in_it_can_run_load_or_send() -> None:
    graph = Graph(BAD).add_node(BAD).add_transition(BAD, END)
    child = SubFlow("1-9-secret", BAD, BAD, steps=[step(5, BAD, "failed", 0, 1, error=BAD, traceback=BAD)])
    state = {BAD: {BAD: [BAD]}, "x": BAD}
    failed = {"error": BAD, "traceback": BAD, "warnings": [BAD], "state": state, "changes": state}
    steps = [step(1, BAD, "failed", 0, 1, sub_flows=[child], **failed)]
    answers = [
        Answered(step_id=1, node=BAD, payload={"title": BAD, "schema": {"enum": [BAD]}}, value=BAD, asked_at=at(0))
    ]
    waiting = [Prompt(step(3, BAD, "interrupted", 0, 1, interrupt_payload={"title": BAD}), "1-1-x", lambda *_: None)]
    ended = outcome("failed", error=BAD, cancel_reason=BAD, state=state)
    page = make_report(facts(steps, graph=graph, outcome=ended, answers=answers, waiting=waiting, within={5: BAD}))
    parts = Parts(page)
    allowed = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "header",
        "section",
        "footer",
        "h1",
        "h2",
        "h3",
        "p",
        "b",
    }
    allowed |= {
        "span",
        "dl",
        "dt",
        "dd",
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "pre",
        "ul",
        "li",
    }
    allowed |= {"svg", "g", "rect", "text", "line", "path", "circle", "polygon", "tspan"}
    assert set(parts.tags) <= allowed
    assert not [
        name for name, _ in parts.attributes if name.startswith("on") or name in ("src", "href", "srcset", "action")
    ]
    assert any("alert(1)" in text for text in parts.texts)
    assert "default-src 'none'" in page
    assert not re.findall(r"https?://(?!www\.w3\.org)", page)


def test_keys_give_access_and_are_not_in_it() -> None:
    page = make_report(facts([*order_steps()], graph=order_graph()))
    assert "1-7" in page
    assert not re.search(r"1-\d+-secret", page)


@pytest.mark.parametrize(
    ("schema", "value", "kept", "hidden"),
    [
        (PASSWORD, "hush9", [], ["hush9"]),
        ({"type": "string", "writeOnly": True}, "hush9", [], ["hush9"]),
        (
            {"type": "object", "properties": {"user": {"type": "string"}, "pin": PASSWORD}},
            {"user": "anna", "pin": "hush9"},
            ["anna"],
            ["hush9"],
        ),
        ({"anyOf": [PASSWORD, {"type": "null"}]}, "hush9", [], ["hush9"]),
        ({"type": "array", "items": PASSWORD}, ["one11", "two22"], [], ["one11", "two22"]),
        ({"$defs": {"P": PASSWORD}, "properties": {"p": {"$ref": "#/$defs/P"}}}, {"p": "hush9"}, [], ["hush9"]),
        ({"type": "string"}, "anna", ["anna"], []),
        (None, "anna", ["anna"], []),
    ],
)
def test_secret_answers_are_masked_wherever_they_turn_up(
    schema: Any, value: Any, kept: list[str], hidden: list[str]
) -> None:
    payload = {"title": "?"} if schema is None else {"title": "?", "schema": schema}
    answers = [Answered(step_id=1, node="ask", payload=payload, value=value, asked_at=at(0), answered_at=at(1))]
    texts = kept + hidden
    state = {"whole": value, "within": f"it is {texts}", "deep": {"list": [texts, dict.fromkeys(texts, 1)]}}
    error = f"refused: {texts}"
    steps = [step(1, "ask", "failed", 0, 1, state=state, changes=state, error=error, traceback=f"{error}!")]
    page = make_report(facts(steps, "failed", answers=answers, outcome=outcome("failed", error=error, state=state)))
    for text in hidden:
        assert text not in page
    for text in kept:
        assert text in page
    assert (MASK in page) == bool(hidden)


def test_short_secrets_are_masked_where_they_stand_alone() -> None:
    mask = Mask(
        [
            Answered(payload={"schema": PASSWORD}, value="a"),
            Answered(payload={"schema": {**PASSWORD, "type": "integer"}}, value=1234),
        ]
    )
    assert mask.value({"x": "a", "y": "banana", "n": 1234, "m": 5, "t": True}) == {
        "x": MASK,
        "y": "banana",
        "n": MASK,
        "m": 5,
        "t": True,
    }
    assert mask.text("12345") == f"{MASK}5"
    assert Mask([]).value({"a": 1}) == {"a": 1}
    quoted = Mask([Answered(payload={"schema": PASSWORD}, value='qu"ö\nte')])
    assert "te" not in quoted.text(repr('qu"ö\nte')) + quoted.text('{"x":"qu\\"ö\\nte"}')


def test_ten_thousand_steps_stay_a_file_that_can_be_sent() -> None:
    state = {"text": "x" * 20_000, **{f"field{index}": "y" * 2_000 for index in range(100)}}
    steps = [step(1, "list_modules", "completed", 0, 1, state=state, changes=state)]
    steps += [
        step(
            index,
            "measure",
            "failed" if index % 50 == 0 else "completed",
            1,
            2 + index / 1000,
            depth=2,
            state=state,
            changes=state,
            error="e" * 5_000 if index % 50 == 0 else "",
        )
        for index in range(2, 10_002)
    ]
    page = make_report(facts(steps, "failed"))
    assert len(page) < 6_000_000
    assert "76 of 10,001 steps" in page
    assert "100 further steps" in page
    assert "State and changes are left out" in page
    assert page.count("<summary>") < 300


def test_many_nodes_and_answers_are_bounded() -> None:
    steps = [step(index, f"n{index}", "completed", index, index + 1) for index in range(1, 2_001)]
    answers = [
        Answered(step_id=index, node="n", payload={"title": "?"}, value=1, asked_at=at(0), answered_at=at(1))
        for index in range(2_000)
    ]
    page = make_report(facts(steps, answers=answers))
    assert "500 of 2,000 steps" in page
    assert "1,700 further answers" in page


def test_a_run_is_reported_as_it_is_now(lab: Lab, tmp_path: Path) -> None:
    @lab.task
    def ask(flow: Flow) -> None:
        flow["pin"] = flow.interrupt({"title": "PIN?", "schema": PASSWORD})
        flow["sure"] = flow.interrupt({"title": "Sure?", "schema": bool})
        raise ValueError(f"{flow['pin']} is refused")

    run = lab.start(lab.graph("asking").add_node("Ask", ask).add_transition("Ask", END), {"order": 7})
    while not run.prompts:
        time.sleep(0.01)
    early = run.report()
    assert "waits for an answer" in early
    assert "PIN?" in early
    run.answer("hush9")
    while not run.prompts or run.prompts[0].title == "PIN?":
        time.sleep(0.01)
    run.answer(True)
    run.wait(60)
    report = run.report(tmp_path / "asking.html")
    page = (tmp_path / "asking.html").read_text("utf-8")
    assert page == report
    assert "hush9" not in page
    assert "approved" in page
    assert "refused" in run.timeline()
    assert "hush9" not in run.timeline()
    assert "answered (not shown)" in page
    assert run.key.rpartition("-")[2] not in page
    assert "order" in page
    shown = report._repr_mimebundle_()
    assert "asking.html" in shown["text/html"]
    assert "kB" in shown["text/plain"]


def test_an_error_that_was_handled_is_told_apart(lab: Lab, tmp_path: Path) -> None:
    @lab.task
    def Breaks(flow: Flow) -> None:
        raise ValueError("broken")

    @lab.task
    def Mends(flow: Flow) -> None:
        pass

    graph = lab.graph("mending").add_node("Breaks", Breaks).add_node("Mends", Mends)
    graph.add_transition("Breaks", END).add_error_handler("Breaks", "Mends").add_transition("Mends", END)
    run = lab.start(graph, show=False)
    assert run.wait(60).status == "completed"
    path = tmp_path / "report.html"
    run.report(path)
    page = Parts(path.read_text(encoding="utf-8"))
    assert page.texts.count("error handled") == 1
    assert ("class", "mark handled") in page.attributes


def test_without_a_path_it_is_shown_in_a_frame_that_runs_nothing() -> None:
    shown = Report('<p title="x">hello</p>')._repr_mimebundle_()
    assert shown["text/html"].startswith("<iframe sandbox ")
    assert "&lt;p title=&quot;x&quot;&gt;" in shown["text/html"]
