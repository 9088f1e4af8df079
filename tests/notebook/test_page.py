"""The JavaScript of the picture and of the panel, in a browser, with a model made by hand in place of a kernel."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from dwarf.notebook.pictures.palette import LOOKS
from tests.notebook.pageview import PageView, picture_traits
from tests.notebook.samples import at, order_graph, order_steps, payment_graph, survey_graph, survey_steps

pytestmark = pytest.mark.browser


STATES = list(LOOKS)

FAILED: dict[str, Any] = {
    "title": "rank",
    "step": 1000,
    "of": 0,
    "state": "failed",
    "attempt": "2",
    "created": at(1).timestamp(),
    "began": at(1).timestamp(),
    "finished": at(2).timestamp(),
    "took": "1.0 s",
    "progress": "",
    "asks": "",
    "error": "ReducerError: append <b>needs</b> an array",
    "traceback": "Traceback\n  <script>alert(1)</script>",
    "before": '{\n  "measures": 24,\n  "limit": 3\n}',
    "input": '{\n  "measures": 24,\n  "limit": 3\n}',
    "result": "",
    "diff": [
        ["changed", "limit", "3", "4"],
        ["added", "ranking", "", '[\n  "a",\n  "b"\n]'],
        ["removed", "measures", "24", ""],
    ],
    "whole": True,
    "can_go_on": False,
    "no_fork": "",
}


def survey(stage: str, status: str = "running", **more: Any) -> dict[str, Any]:
    return picture_traits(survey_graph(), survey_steps(stage), status, **more)


def test_the_picture_follows(browser: Any) -> None:
    view = PageView(browser, **survey("measuring"))
    node = view.node("measure")
    assert node.get_attribute("data-state") == "running"
    assert node.locator('[data-part="line"]').text_content() == "12 of 24"
    assert node.locator('[data-part="bar"] rect').count() == 3
    assert "running" in view.page.locator('[data-part="flow"]').text_content()
    assert view.page.locator(".dwarf-said").inner_text() == "running"
    traits = survey("asking", "interrupted")
    view.put("planes", traits["planes"])
    view.put("flow", traits["flow"] | {"error": "<b>x</b>"})
    assert node.get_attribute("data-state") == "completed"
    asked = view.page.locator('[data-state="interrupted"]')
    assert asked.locator('[data-part="line"]').text_content() == "waiting for an answer"
    assert asked.locator('[data-part="asked"]').get_attribute("display") == "inline"
    assert view.page.locator(".dwarf-fault").inner_text() == "<b>x</b>"
    assert not view.faults


def test_clocks_run_by_themselves(browser: Any) -> None:
    traits = survey("measuring")
    nodes = traits["planes"][""]["nodes"]
    nodes[0] = [STATES.index("running"), "", "", at(4).timestamp()]
    nodes[2] = [STATES.index("retrying"), "", "attempt 2", 0, at(65).timestamp()]
    began = time.monotonic()
    view = PageView(browser, **traits)
    line = view.page.locator('[data-node="0"] [data-part="line"]')
    first = line.text_content()
    assert first.startswith("running · ")
    assert 1 <= float(first.split()[2]) < 2 + time.monotonic() - began
    view.page.wait_for_function(
        "([selector, text]) => document.querySelector(selector).textContent !== text",
        arg=['[data-node="0"] [data-part="line"]', first],
    )
    assert float(line.text_content().split()[2]) > float(first.split()[2])
    assert view.page.locator('[data-node="2"] [data-part="line"]').text_content().startswith("retrying in 5")


def test_a_node_is_opened_by_a_click_and_its_step_is_shown(browser: Any, shots: Path) -> None:
    view = PageView(browser, **survey("failed", "failed", error="it broke"))
    view.node("rank").click()
    assert view.asked == [{"do": "node", "node": str([n.name for n in survey_graph().nodes].index("rank")), "page": 0}]
    view.reply(**FAILED)
    panel = view.page.get_by_role("region", name="rank, details")
    panel.wait_for()
    assert panel.locator(".dwarf-trouble").inner_text() == FAILED["error"]
    assert panel.locator("details").first.get_attribute("open") is None  # the traceback is folded
    panel.get_by_text("Traceback", exact=True).click()
    assert "<script>alert(1)</script>" in panel.locator("details pre").first.inner_text()
    kinds = panel.locator(".dwarf-kind").all_inner_texts()
    assert [kind.split()[-1] for kind in kinds] == ["changed", "added", "removed"]
    view.page.screenshot(path=str(shots / "panel-light.png"))
    panel.press("Escape")
    assert panel.count() == 0
    assert not view.faults


def test_by_keyboard_alone(browser: Any) -> None:
    view = PageView(browser, **survey("failed", "failed"))
    page = view.page
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.dataset.name") == "list_modules"  # one stop for all nodes
    page.keyboard.press("End")
    assert page.evaluate("() => document.activeElement.dataset.name") == "choose"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("() => document.activeElement.dataset.name") == "measure"
    page.keyboard.press("Enter")
    view.reply(**FAILED)
    page.wait_for_function("() => document.activeElement.classList.contains('dwarf-title')")
    page.keyboard.press("Escape")
    assert page.evaluate("() => document.activeElement.dataset.name") == "measure"
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Retry failed"
    page.keyboard.press("Enter")
    assert view.asked[-1] == {"do": "retry"}
    view.reply(said="A new run", find='lab.get("1-2-x")')
    page.get_by_text("A new run").wait_for()
    assert not view.faults


WRONG = {
    '{"a": 1,}': "column 9",
    '{"a": 01}': "column 7",
    '{"a": tru}': "column 7",
    "{a: 1}": "column 2",
    '{"a": "\\x"}': "column 7",
    '{"a": 1} x': "column 10",
    '{"a": [1, 2': "ends too soon",
}


def test_a_fork_is_checked_while_it_is_typed(browser: Any, shots: Path) -> None:
    view = PageView(browser, **survey("failed", "failed"))
    view.node("rank").click()
    view.reply(**FAILED)
    page = view.page
    page.get_by_role("button", name="Fork from here…").click()
    page.get_by_role("button", name="JSON").click()
    editor, start = page.locator(".dwarf-code"), page.get_by_role("button", name="Start the fork")
    said = page.locator(".dwarf-state-editor .dwarf-check")
    assert "nothing changed" in said.inner_text()
    editor.fill('{\n  "measures": [,\n}')
    assert start.is_disabled()
    assert "line 2, column 16" in said.inner_text()
    assert editor.get_attribute("aria-invalid") == "true"
    for text, place in WRONG.items():
        editor.fill(text)
        assert place in said.inner_text()
    editor.fill("[1]")
    assert "object" in said.inner_text()
    editor.fill('{"limit": 4, "big": 123456789012345678901}')
    assert said.inner_text() == "limit changed, big set, measures removed"
    page.screenshot(path=str(shots / "fork-light.png"))
    start.click()
    asked = view.asked[-1]
    assert asked["do"] == "fork"
    assert asked["step"] == 1000
    assert asked["text"] == '{"limit": 4, "big": 123456789012345678901}'  # as typed: no number goes through a float
    view.reply(fault="the flow is running: only a flow that has ended can be forked")
    page.locator(".dwarf-check.dwarf-wrong", has_text="has ended").wait_for()
    assert editor.input_value().startswith('{"limit"')  # what was typed is still there
    start.click()
    view.reply(said="A new run goes on.", find='lab.get("1-9-x")')
    page.get_by_text("A new run goes on.").wait_for()
    assert editor.count() == 0


def test_a_large_group_is_paged_with_the_failed_ones_first(browser: Any) -> None:
    view = PageView(browser, **survey("measuring"))
    view.node("measure").click()
    row = {"attempt": "1", "began": at(1).timestamp(), "took": "1.0 s"}
    rows = [{"step": 7, "label": "branch 8", "state": "failed", "error": "<i>no</i>", **row}]
    rows += [{"step": 10 + n, "label": f"branch {n + 20}", "state": "completed", "error": "", **row} for n in range(49)]
    view.reply(title="measure", rows=rows, page=0, size=50, total=10_000, about="10,000 steps: 1 failed.")
    page = view.page
    page.get_by_text("1 to 50 of 10,000").wait_for()
    assert page.locator(".dwarf-steps tbody tr").count() == 50
    assert "<i>no</i>" in page.locator(".dwarf-steps tbody tr").first.inner_text()
    assert page.get_by_role("button", name="Previous").is_disabled()
    page.get_by_role("button", name="Next").click()
    assert view.asked[-1]["page"] == 1
    page.get_by_role("button", name="branch 8", exact=True).click()
    assert view.asked[-1]["step"] == 7
    view.reply(**FAILED | {"of": 10_000})
    page.get_by_role("button", name="All 10,000 steps").wait_for()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_subgraph_opens_in_the_picture_and_goes_on(browser: Any, shots: Path, dark: bool) -> None:
    graph, steps = order_graph(), order_steps()
    view = PageView(browser, dark=dark, **picture_traits(graph, steps, now=at(6)))
    charge = view.node("charge")
    charge.locator('[data-part="nested"]').click()
    path = charge.get_attribute("data-node")
    assert view.asked == [{"do": "unfold", "node": path}]
    charge.focus()
    traits = picture_traits(graph, steps, now=at(6), opened={path: 0}, children={"payment": payment_graph()})
    view.put("planes", traits["planes"])
    view.put("svg", traits["svg"])
    inner = view.node("authorise")
    assert inner.get_attribute("data-state") == "running"
    assert view.page.evaluate("() => document.activeElement.dataset.name") == "charge"  # where it was before
    view.page.screenshot(path=str(shots / f"nested-{'dark' if dark else 'light'}.png"), full_page=True)
    traits["planes"][path]["nodes"][0] = [STATES.index("completed"), "", "2.0 s"]
    view.put("planes", traits["planes"])
    assert inner.locator('[data-part="line"]').text_content() == "completed · 2.0 s"
    inner.click()
    assert view.asked[-1] == {"do": "node", "node": f"{path}/0", "page": 0}
    charge.focus()
    charge.press("-")
    assert view.asked[-1] == {"do": "unfold", "node": path}
    assert not view.faults


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_what_has_been_redefined_is_told(browser: Any, shots: Path, dark: bool) -> None:
    note = "The function of '<b>measure</b>' was redefined since this flow was first seen here."
    traits = survey("measuring", drift=[note])
    traits["planes"][""]["nodes"][1] = [STATES.index("running"), "", "", 0, 0, [], 4]
    view = PageView(browser, dark=dark, **traits)
    told = view.page.get_by_role("note", name="redefined since this flow began")
    assert told.inner_text() == note
    assert view.node("measure").locator('[data-part="redefined"]').is_visible()
    assert not view.node("rank").locator('[data-part="redefined"]').is_visible()
    assert view.node("measure").get_attribute("aria-label").endswith("redefined")
    assert [each for each in contrast(view.page, ".dwarf-run *") if each[1] < 4.5] == []
    view.page.screenshot(path=str(shots / f"drift-{'dark' if dark else 'light'}.png"))
    view.put("flow", traits["flow"] | {"drift": []})
    assert not told.is_visible()


def test_cancelling_is_confirmed(browser: Any) -> None:
    view = PageView(browser, **survey("measuring"))
    page = view.page
    page.get_by_role("button", name="Cancel…").click()
    assert view.asked == []
    page.get_by_role("button", name="Let it go on").click()
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_label("reason").fill("enough")
    page.get_by_role("button", name="Cancel the flow").click()
    assert view.asked == [{"do": "cancel", "reason": "enough"}]


def test_a_kernel_that_is_busy_is_told_of(browser: Any) -> None:
    view = PageView(browser, **survey("measuring"))
    view.node("rank").click()
    view.page.get_by_text("The kernel is busy").wait_for(timeout=120_000)
    view.reply(title="rank", state="idle", about="The flow has not come here.")
    view.page.get_by_text("The flow has not come here.").wait_for()
    assert view.page.get_by_text("The kernel is busy").count() == 0


def test_what_is_shown_is_kept_up_to_date(browser: Any) -> None:
    view = PageView(browser, **survey("measuring"))
    view.node("rank").click()
    view.reply(title="rank", state="idle", about="The flow has not come here.")
    count = len(view.asked)
    view.put("planes", survey("failed")["planes"])
    view.page.wait_for_function("count => window.sent.filter((each) => each.type === 'ask').length > count", arg=count)
    view.reply(**FAILED)
    view.page.locator(".dwarf-trouble").wait_for()


def contrast(page: Any, selector: str) -> list[tuple[str, float]]:
    """The texts of a page with the contrast to what is behind them."""
    found = page.evaluate(
        """(selector) => {
            const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
            const light = ([r, g, b]) => {
                const part = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
                return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
            };
            const behind = (node) => {
                for (; node; node = node.parentElement) {
                    const seen = rgb(getComputedStyle(node).backgroundColor);
                    if (seen.length === 3 || seen[3] > 0) return seen;
                }
                return [255, 255, 255];
            };
            const all = [...document.querySelectorAll(selector)].filter((node) =>
                node.offsetParent && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()));
            return all.map((node) => {
                const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))];
                return [node.textContent, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
            });
        }""",
        selector,
    )
    return [(text, ratio) for text, ratio in found]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_words_can_be_read_and_everything_has_a_name(browser: Any, shots: Path, dark: bool) -> None:
    graph, steps = order_graph(), order_steps()
    view = PageView(browser, dark=dark, **picture_traits(graph, steps, "failed", now=at(6), error="it broke"))
    view.page.screenshot(path=str(shots / f"order-{'dark' if dark else 'light'}.png"), full_page=True)
    view.node("charge").click()
    view.reply(**FAILED)
    view.page.get_by_text("What it changed").wait_for()
    view.page.get_by_text("Traceback", exact=True).click()
    view.page.get_by_role("button", name="Fork from here…").click()
    view.page.screenshot(path=str(shots / f"panel-{'dark' if dark else 'light'}-all.png"), full_page=True)
    seen = contrast(view.page, ".dwarf-run *")
    assert len(seen) > 20
    assert [each for each in seen if each[1] < 4.5] == []
    unnamed = view.page.evaluate(
        """() => [...document.querySelectorAll('.dwarf-run :is(input, select, textarea, button, [role=button])')]
            .filter((node) => !node.hidden && !(node.labels?.length || node.textContent.trim() || node.getAttribute('aria-label')))
            .map((node) => node.outerHTML)"""
    )
    assert unnamed == []
    assert view.page.locator(".dwarf-svg").get_attribute("aria-label").startswith("Workflow order")
    assert view.node("charge").get_attribute("aria-label").startswith("charge: in payment")
    card = view.node("reserve").locator('[data-part="card"]')
    assert (card.get_attribute("fill") == LOOKS["completed"].fill) is not dark


def test_a_page_that_turns_dark_takes_the_picture_along(browser: Any) -> None:
    view = PageView(browser, **survey("measuring"))
    card = view.node("measure").locator('[data-part="card"]')
    assert card.get_attribute("fill") == LOOKS["running"].fill
    view.page.evaluate("() => { document.body.dataset.jpThemeLight = 'false' }")
    view.page.wait_for_function(
        "fill => document.querySelector('[data-name=measure] [data-part=card]').getAttribute('fill') !== fill",
        arg=LOOKS["running"].fill,
    )
    assert view.node("measure").locator('[data-part="line"]').text_content() == "12 of 24"


def test_those_who_want_no_motion_get_none(browser: Any) -> None:
    view = PageView(browser, **survey("measuring"))
    moving = "() => getComputedStyle(document.querySelector('[data-state=running] circle')).animationName"
    assert view.page.evaluate(moving) == "dwarf-breathe"
    view.page.emulate_media(reduced_motion="reduce")
    assert view.page.evaluate(moving) == "none"
