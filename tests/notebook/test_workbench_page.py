"""The workbench in a browser, with a model made by hand in place of a kernel: breakpoints, states that are edited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.notebook.audit import faults
from tests.notebook.pageview import PageView, picture_traits
from tests.notebook.samples import survey_graph, survey_steps

pytestmark = pytest.mark.browser

STATE = """{
  "name": "Ada",
  "limit": 1.0,
  "big": 123456789012345678901,
  "done": false,
  "nothing": null,
  "note": "two\\nlines",
  "due": {"$dwarf": "date", "v": "2026-11-30"},
  "places": ["Rome", "Oslo"],
  "order": {"items": [{"price": 1.50}], "paid": true}
}"""
STOP = {"id": "card-0", "title": "Breakpoint before 'measure'", "node": "measure", "stop": "before", "facts": []}
CARD = STOP | {"form": {"fields": [], "buttons": [["Go on", {}, "main"]], "single": False}, "deadline": 0}
CARD |= {"error": "", "faults": 0, "closed": ""}


@pytest.mark.parametrize(("width", "dark"), [(700, False), (1400, True)])
def test_a_stop_is_marked_its_state_edited_and_gone_on_from(browser: Any, shots: Path, width: int, dark: bool) -> None:
    traits = picture_traits(survey_graph(), survey_steps("measuring"), "interrupted", stops=({"measure"}, {"rank"}))
    view = PageView(browser, dark=dark, width=width, cards=[CARD], **traits)
    page = view.page
    mark = '[data-part="stop-{}"]'
    assert view.node("measure").locator(mark.format("before")).is_visible()
    assert not view.node("measure").locator(mark.format("after")).is_visible()
    assert "the flow stops after it" in view.node("rank").get_attribute("aria-label")
    assert view.asked == [{"do": "stopped", "card": "card-0"}]
    view.reply(input=STATE, whole=True, count=12)
    card = page.get_by_role("group", name="Breakpoint before 'measure'")
    card.get_by_text("12 branches have stopped here").wait_for()
    said = card.locator(".dwarf-check")
    assert said.inner_text() == "nothing changed"

    card.get_by_label("limit", exact=True).fill("2.")
    assert said.inner_text() == 'limit is not a number: "2."'
    assert card.get_by_role("button", name="Go on").is_disabled()
    card.get_by_label("limit", exact=True).fill("2.0")
    card.get_by_label("done", exact=True).check()
    card.get_by_label("due", exact=True).fill("2026-12-24")
    card.get_by_label("type of nothing").select_option("number")
    card.get_by_label("order.items 1.price", exact=True).fill("3.50")
    card.get_by_role("button", name="Add an item to places").click()
    page.keyboard.type("Bergen")
    card.get_by_role("button", name="Add a field", exact=True).click()
    assert said.inner_text() == "A field has no name yet"
    page.keyboard.type("who")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("me")
    card.get_by_role("button", name="remove name", exact=True).click()
    card.get_by_role("button", name="remove note", exact=True).click()
    card.get_by_role("button", name="Undo").click()
    page.screenshot(path=str(shots / f"stop-{width}.png"), full_page=True)
    assert faults(page, ".dwarf-run") == []
    told = said.inner_text()
    for words in ("limit changed", "done changed", "places changed", "order changed", "due changed", "name removed"):
        assert words in told
    assert "big" not in told
    assert "note" not in told

    card.get_by_role("button", name="Step").click()
    asked = view.asked[-1]
    assert {name: asked[name] for name in ("do", "card", "stepping", "whole")} == {
        "do": "go",
        "card": "card-0",
        "stepping": True,
        "whole": True,
    }
    for part in (
        '"big": 123456789012345678901',
        '"limit": 2.0',
        '"price": 3.50',
        '"who": "me"',
        '"nothing": 0',
        '"Bergen"',
        '"note": "two\\nlines"',
        '"2026-12-24"',
    ):
        assert part in asked["text"]
    view.reply(fault="the flow has gone on meanwhile")
    card.get_by_text("gone on meanwhile").wait_for()
    view.put("cards", [CARD | {"closed": "went on"}, CARD | {"id": "card-1", "title": "Breakpoint after 'rank'"}])
    view.reply(input="{}", whole=True, count=1)
    card = page.get_by_role("group", name="Breakpoint after")
    card.get_by_role("button", name="Cancel").click()
    card.get_by_role("button", name="Cancel the flow?").click()
    assert view.asked[-1] == {"do": "cancel"}
    assert view.faults == []


FUNCTION = "def work(flow):\n    return {'n': 1}\n"
STEP: dict[str, Any] = {
    "title": "rank",
    "step": 9,
    "of": 0,
    "state": "running",
    "attempt": "3 of 5",
    "began": 1.0,
    "took": "",
    "progress": "30 of 100 a word that is much too long for its node · 4 a second · about 17.5 s left",
    "curve": [[0, 0], [2, 4], [5, 9], [8, 11], [11, 30]],
    "asks": "",
    "error": "",
    "traceback": "",
    "before": "{}",
    "input": "{}",
    "result": "",
    "diff": [],
    "whole": True,
    "can_go_on": False,
    "no_fork": "",
    "stops": {"before": True, "after": False},
    "attempts": [[1, 1764540000.0, "0.120 s", "no 0"], [2, 1764540002.5, "1.250 s", "no 1"], [3, 0, "", "running"]],
    "edited": "edited since this step ran",
    "source": FUNCTION.replace("1", "2"),
    "ran": FUNCTION,
    "change": {
        "name": "source",
        "kind": "change",
        "lines": [["@", ""], [" ", "def work(flow):"], ["-", "    return {'n': 1}"], ["+", "    return {'n': 2}"]],
    },
}


@pytest.mark.parametrize(("width", "dark"), [(700, True), (1400, False)])
def test_a_node_tells_its_progress_attempts_and_source(browser: Any, shots: Path, width: int, dark: bool) -> None:
    traits = picture_traits(survey_graph(), survey_steps("measuring"), "running")
    view = PageView(browser, dark=dark, width=width, **traits)
    page = view.page
    view.node("rank").click()
    view.reply(**STEP)
    panel = page.get_by_role("region", name="rank, details")
    assert panel.get_by_role("img", name="progress over 11.0 s").is_visible()
    assert "about 17.5 s left" in panel.inner_text()
    rows = panel.locator(".dwarf-attempts tbody tr")
    assert [row.split("\t")[0] for row in rows.all_inner_texts()] == ["1", "2", "3"]
    assert "no 1" in rows.nth(1).inner_text()
    panel.get_by_text("Source (edited since this step ran)").click()
    assert "+ return" in " ".join(panel.locator(".dwarf-changes").inner_text().split())
    page.screenshot(path=str(shots / f"node-{width}.png"), full_page=True)
    assert faults(page, ".dwarf-run") == []
    panel.get_by_role("button", name="As it ran").click()
    assert panel.get_by_label("source as it ran").inner_text().strip() == FUNCTION.strip()
    panel.get_by_role("button", name="As it is now").click()
    assert "{'n': 2}" in panel.get_by_label("source as it is now").inner_text()
    assert view.faults == []
