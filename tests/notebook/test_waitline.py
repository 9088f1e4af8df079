"""What stands under a cell that waits, and what becomes of a cell that is run twice."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from dwarf.notebook.live.widget import module, theme
from dwarf.notebook.live.wire import describe_flow
from dwarf.notebook.pictures.views import flow_view
from tests.notebook.pageview import PageView
from tests.notebook.samples import outcome, survey_steps
from tests.notebook.test_kernel import ASK, execute, outputs, text

AGAIN = "again = lab.start(graph)"
MAP = "rows = lab.map(graph, [{}, {}])"
LOOKED_AT = "get_ipython().kernel._allow_stdin = True  # as where a person looks\n"
ANSWER = """
import threading, time
def answer():
    while not any(type(each).__name__ == "WaitLine" for each in run._views):
        time.sleep(0.01)
    run.answer(5)
threading.Thread(target=answer).start()
outcome = await run
"""
CANCEL = """
(older,) = again._views[-1]._widget.earlier
ask = {"do": "earlier", "which": older["id"]}
replies = [lab.call(again._views[-1]._controller.handle({**ask, "act": act})) for act in ("show", "cancel")]
again.cancel()
print(older["name"], [reply.get("said") for reply in replies], [str(each) for each in lab.flows().status])
"""


MAPS = """
view = rows._views[-1]
(older,) = view._traits()["earlier"]
replies = [
    lab.call(view._ask({"do": "earlier", "which": older["id"], "act": act}))["said"] for act in ("show", "cancel")
]
rows.cancel()
print(older["name"], replies, view._earlier[0].ended.result(60), view._traits()["earlier"])
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_cell_that_waits_says_for_what(tmp_path: Path) -> None:
    cells = [ASK, "run = lab.start(graph)", LOOKED_AT + ANSWER, "await run", AGAIN, AGAIN, CANCEL, MAP, MAP, MAPS]
    done = execute(cells, tmp_path)
    (line,) = outputs(done, 2)
    assert line["data"]["text/plain"].startswith("✔ asking · completed · ")
    assert line["data"]["text/html"].startswith("<div>✔ asking · completed · ")
    assert len(outputs(done, 3)) == 1  # the outcome alone: there was nothing to wait for
    told = "asking ['It is shown below.', 'Cancelled.'] ['cancelled', 'cancelled', 'completed']"
    assert text(done, 6).strip().endswith(told), text(done, 6)
    told = text(done, 9).strip()
    assert told.startswith("asking · 0 of 2 rows"), told
    assert told.endswith("['It is shown below.', 'Cancelled.'] None []"), told


CARD = {
    "id": "card-0",
    "title": "From which score on?",
    "node": "",
    "facts": [],
    "form": {"fields": [], "buttons": [["Approve", True, "yes"], ["Reject", False, "no"]], "single": True},
    "deadline": 0,
    "error": "",
    "faults": 0,
    "closed": "",
}
OTHER = (
    '<div class="dwarf-run" data-dwarf-flow="1-7" style="margin-top: 3000px"><button id="there">Approve</button></div>'
)


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_question_stands_where_it_can_be_answered(browser: Any) -> None:
    """Under the waiting cell where the page has no view of the run; else a button leads to that view."""
    steps, now = survey_steps("asking"), time.time()
    traits = {
        "theme": {**theme(), "flow": "1-7"},
        "name": "code survey",
        "place": "",
        "flow": describe_flow(flow_view(outcome("interrupted"), steps, now - 5), now),
        "cards": [CARD],
        "earlier": [{"id": "1-3", "name": "code survey", "state": 3, "began": now - 60, "ended": 0, "steps": 2}],
    }
    code = module("wait.js")
    alone = PageView(browser, code=code, **traits)
    alone.page.get_by_role("button", name="Approve").click()
    assert [each for each in alone.sent if each["type"] == "answer"] == [
        {"type": "answer", "id": "card-0", "value": True}
    ]
    assert "An earlier run of this cell still goes on: code survey · running" in alone.page.inner_text("#here")
    cancel = alone.page.locator(".dwarf-earlier").get_by_role("button", name="Cancel")
    cancel.click()
    assert not alone.asked
    cancel.click()
    assert alone.asked == [{"do": "earlier", "which": "1-3", "act": "cancel"}]
    alone.put("earlier", [])
    assert alone.page.locator(".dwarf-earlier > *").count() == 0
    assert alone.faults == []

    both = PageView(browser, code=code, beside=OTHER, **traits)
    assert both.page.locator(".dwarf-card").count() == 0
    assert "“From which score on?”" in both.page.inner_text("#here")
    both.page.get_by_role("button", name="Answer").click()
    both.page.wait_for_function("() => document.activeElement.id === 'there' && window.scrollY > 1000")
    assert both.faults == []
