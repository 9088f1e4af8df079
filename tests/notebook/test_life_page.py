"""Views whose kernel is gone, in a page of their own: they say so, stop, take no clicks, and come back to life."""

from __future__ import annotations

from typing import Any

import pytest

from tests.notebook.pageview import PageView, picture_traits
from tests.notebook.samples import at, survey_graph, survey_steps
from tests.notebook.test_lists_page import ListPage, row

pytestmark = pytest.mark.browser


QUESTION = {
    "id": "card-0",
    "title": "Why?",
    "node": "",
    "facts": [],
    "form": {
        "single": True,
        "fields": [
            {"name": "", "kind": "area", "label": "Reason", "required": True, "value": "", "help": "", "length": None}
        ],
        "buttons": [["Send", None, "main"]],
    },
    "deadline": 0,
    "error": "",
    "faults": 0,
    "closed": "",
}
CLOCK = """() => document.querySelector('[data-part="flow"] [data-part="line"]').textContent"""


def running(**theme: Any) -> dict[str, Any]:
    traits = picture_traits(survey_graph(), survey_steps("measuring"), "running", now=at(5))
    return {**traits, "cards": [QUESTION], **theme}


def test_a_view_whose_kernel_is_gone(browser: Any) -> None:
    view = PageView(browser, **running())
    page = view.page
    field = page.get_by_label("Reason")
    field.fill("half an ans")
    page.evaluate("() => window.die()")
    page.locator(".dwarf-gone").wait_for()
    told = page.locator(".dwarf-lost")
    assert "Not connected since" in told.inner_text()
    assert "run the cell again" in told.inner_text()
    stopped = page.evaluate(CLOCK)
    sent = len(view.sent)
    assert page.locator(".dwarf-run button:not(:disabled)").count() == 0
    assert page.locator("[data-node]:not([aria-disabled=true])").count() == 0
    view.node("measure").click(force=True)
    field.press("End")
    field.press("Control+Enter")
    page.keyboard.type("!")
    page.wait_for_timeout(700)  # more than a tick of the clock
    assert page.evaluate(CLOCK) == stopped
    assert {message["type"] for message in view.sent[sent:]} <= {"here"}
    assert page.locator(".dwarf-panel").is_hidden()
    assert field.input_value() == "half an ans!"

    page.evaluate("() => window.live()")
    page.locator(".dwarf-gone").wait_for(state="detached")
    assert page.locator("[data-node][aria-disabled]").count() == 0
    assert told.inner_text() == ""
    assert view.sent[-1]["type"] == "ready"
    page.wait_for_function(f"(old) => ({CLOCK})() !== old", arg=stopped)
    page.get_by_role("button", name="Send").click()
    assert [message["value"] for message in view.sent if message["type"] == "answer"] == ["half an ans!"]
    assert not view.faults


def test_the_clock_does_not_jump_with_the_theme(browser: Any) -> None:
    view = PageView(browser, **running())
    page = view.page
    page.wait_for_function(f"() => parseFloat(({CLOCK})().split('·')[1]) >= 6")
    page.evaluate("() => { document.body.dataset.jpThemeLight = 'false' }")
    page.wait_for_function("() => document.querySelector('.dwarf-svg rect').getAttribute('fill') !== '#ffffff'")
    assert float(page.evaluate(CLOCK).split("·")[1].split()[0]) >= 6


@pytest.mark.parametrize("script", ["inbox.js", "dashboard.js"])
def test_a_list_whose_kernel_is_gone(browser: Any, script: str) -> None:
    shown = {
        "now": 0, "title": "", "fault": "", "empty": "", "workflows": [], "cards": [QUESTION], "counts": [["failed", 1]],
        "total": 1, "capped": False, "status": "", "rows": [row(1, "failed")], "page": 1, "more": False, "notice": "",
        "fork": {}, "opened": "",
    }  # fmt: skip
    view = ListPage(browser, script, shown=shown)
    page = view.page
    page.evaluate("() => window.die()")
    page.locator(".dwarf-gone").wait_for()
    assert page.locator(".dwarf-run button:not(:disabled)").count() == 0
    page.evaluate("() => window.live()")
    page.locator(".dwarf-gone").wait_for(state="detached")
    assert page.locator(".dwarf-run button:not(:disabled)").count() > 0
    assert not view.faults
