"""What the tasks of a run say and show, as a notebook has it."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from dwarf import InvalidRequest
from dwarf.notebook import Lab
from dwarf.notebook.bundles import markdown_html, view_of
from dwarf.notebook.live.runview import RunView
from dwarf.workflow import END, Flow
from tests.notebook.test_kernel import execute, text
from tests.notebook.test_panel import Front


class Page:
    """A value with a page of its own, and a script in it."""

    def _repr_html_(self) -> str:
        return "<b>page</b><script>parent.x = 1</script>"


def speaking(lab: Lab, go_on: threading.Event | None = None) -> Any:
    @lab.task
    def train(flow: Flow) -> None:
        print("\x1b[31mepoch 1\x1b[0m")
        flow.stream("once ", name="tale")
        flow.display(Page(), name="page")
        if go_on is not None:
            assert go_on.wait(60)
        flow.stream("upon", name="tale")
        print("epoch 2")

    return lab.graph("speaking").add_node("Train", train).add_transition("Train", END)


def test_lines_displays_and_streams_of_a_run(lab: Lab) -> None:
    go_on = threading.Event()
    run = lab.start(speaking(lab, go_on), show=False)
    pieces: list[str] = []
    for piece in run.stream("Train"):
        pieces.append(piece)
        go_on.set()
    assert "".join(pieces) == "once upon"
    assert len(pieces) == 2

    async def read() -> str:
        return "".join([piece async for piece in run.stream("Train", name="tale")])

    assert asyncio.run(read()) == "once upon"
    logs = run.logs
    assert list(logs.columns) == ["time", "node", "attempt", "source", "level", "text", "step"]
    assert list(logs[logs.source == "stdout"].text) == ["\x1b[31mepoch 1\x1b[0m", "epoch 2"]
    assert [each.name for each in run.displays] == ["page"]
    assert run.displays["Train"].data == run.displays["page"][0].data
    shown = run.displays._repr_mimebundle_()["text/html"]
    assert "<script" not in shown
    assert "iframe sandbox" in shown
    with pytest.raises(InvalidRequest, match=r"did you mean 'Train'\?"):
        run.stream("Tarin")
    with pytest.raises(KeyError, match="page"):
        run.displays["nobody"]
    report = run.report()
    assert "epoch 2" in report
    assert "&lt;b&gt;page" in report
    assert "<script" not in report


def test_the_panel_has_what_a_step_has_said_and_shown(lab: Lab) -> None:
    run = lab.start(speaking(lab), show=False)
    run.wait(60)
    told = Front(lab, run).node("Train")
    assert told["output"] == [["Train", "stdout", "", "epoch 1"], ["Train", "stdout", "", "epoch 2"]]
    assert told["streams"] == [["tale", "once upon"]]
    assert [each["kind"] for each in told["displays"]] == ["frame"]


def test_a_live_view_has_the_last_of_it(lab: Lab) -> None:
    go_on = threading.Event()
    run = lab.start(speaking(lab, go_on), show=False)
    heard = run._watcher.heard
    news = threading.Event()
    heard._tell = news.set
    lab.call(_listen(run))
    assert news.wait(60)
    assert heard.state["lines"] == [["Train", "stdout", "", "epoch 1"]]
    assert heard.state["streams"] == [["Train", "tale", "once "]]
    assert heard.state["shown"][0]["words"].startswith("<tests.")
    go_on.set()
    run.wait(60)
    lab.call(run._watcher.all_heard())
    assert (heard.state["count"], heard.state["streams"]) == (2, [["Train", "tale", "once upon"]])
    view = RunView(run._watcher, lab._services.submit, lab._services)
    assert len(json.dumps(view._traits(first=False)["said"])) < 2_000


async def _listen(run: Any) -> None:
    run._watcher.listen()


def test_nothing_remote_and_no_tags_come_in_by_markdown() -> None:
    made = markdown_html("**bold** <b onclick='x'>raw</b> ![a](https://x.test/a.png) [go](javascript:x)")
    assert "<strong>bold</strong>" in made
    assert "<b " not in made
    assert "<img" not in made
    assert 'href="javascript' not in made
    assert view_of({"text/markdown": "# head"})["html"] == "<h1>head</h1>\n"


SPEAKING = """
from dwarf import END
from dwarf.notebook import Lab
lab = Lab("memory")
def speak():
    print("heard here")
graph = lab.graph("speaking").add_node("Speak", speak).add_transition("Speak", END)
"""


@pytest.mark.slow
def test_what_a_task_prints_stands_under_the_cell_that_shows_its_run(tmp_path: Path) -> None:
    notebook = execute([SPEAKING, "run = lab.start(graph)\nawait run", "list(run.logs.text)"], tmp_path)
    assert "heard here" not in text(notebook, 0)
    assert "heard here" in text(notebook, 1)
    assert "['heard here']" in text(notebook, 2)


def test_a_question_shows_figures_frames_and_differences(lab: Lab) -> None:
    from matplotlib.figure import Figure

    from dwarf import Display

    @lab.task
    def ask(flow: Flow) -> None:
        figure = Figure(figsize=(1, 1))
        figure.subplots().plot([1, 2])
        flow.interrupt(
            {
                "title": "Go on?",
                "description": "**Look** at it",
                "figure": figure,
                "page": Page(),
                "text": {"before": "one\ntwo", "after": "one\nthree"},
                "table": [{"name": "Ada", "age": 36}],
                "editable": ["age"],
            }
        )

    run = lab.start(lab.graph("asks").add_node("Ask", ask).add_transition("Ask", END), show=False)
    (prompt,) = _prompts(run)
    facts = {fact["name"]: fact for fact in prompt._facts()}
    assert list(facts) == ["", "figure", "page", "text"]
    assert "<strong>Look</strong>" in facts[""]["html"]
    assert facts["figure"]["view"]["src"].startswith("data:image/png")
    assert isinstance(prompt.payload["figure"], Display)
    assert facts["page"]["view"]["kind"] == "frame"
    assert facts["text"]["lines"][-2:] == [["-", "two"], ["+", "three"]]
    (field,) = prompt.form()["fields"]
    assert (field["kind"], field["rows"], field["adds"]) == ("table", [["Ada", 36]], False)
    assert [column["editable"] for column in field["columns"]] == [False, True]
    assert "<script" not in prompt._repr_mimebundle_()["text/html"]
    json.dumps([prompt._facts(), prompt.form()])
    run.answer([{"name": "Ada", "age": 37}])
    assert run.wait(60).status == "completed"


def _prompts(run: Any) -> Any:
    while not (found := run.prompts):
        run._watcher.ended.done()
    return found
