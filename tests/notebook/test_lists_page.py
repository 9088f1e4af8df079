"""The scripts of the inbox, the dashboard and the map in a page of their own, with a model in place of a kernel."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from dwarf.notebook.dashboards.listview import looks
from dwarf.notebook.live.widget import asset, module
from dwarf.notebook.live.widget import style as base_style
from dwarf.notebook.live.wire import describe_card
from dwarf.workflow.status import Status
from tests.notebook.pageview import HEART
from tests.notebook.test_cards import card

pytestmark = pytest.mark.browser

MODEL = """
const listeners = {};
const state = STATE;
window.sent = [];
window.model = {
  get: (name) => state[name],
  on: (names, call) => names.split(" ").forEach((name) => (listeners[name] ??= []).push(call)),
  off: () => {},
  send: (message) => window.sent.push(message),
};
window.reply = (message) => (listeners["msg:custom"] ?? []).forEach((call) => call(message, []));
window.put = (name, value) => { state[name] = value; (listeners["change:" + name] ?? []).forEach((call) => call()); };
"""
DARK = (
    "--jp-ui-font-color1: #ffffffde; --jp-ui-font-color2: #ffffffb3; --jp-layout-color0: #111111; "
    "--jp-layout-color1: #212121; --jp-layout-color2: #424242; --jp-layout-color3: #616161; "
    "--jp-border-color0: #616161; --jp-border-color2: #424242; --jp-error-color1: #ef9a9a; background: #111111"
)
# The least contrast of any text with what is behind it.
CONTRAST = """() => {
  const parse = (text) => { const m = text.match(/[\\d.]+/g).map(Number); return [m[0], m[1], m[2], m[3] ?? 1]; };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => value / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.unshift(parse(getComputedStyle(at).backgroundColor));
    return layers.reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const found = [];
  const walk = document.createTreeWalker(document.querySelector('.dwarf-run'), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !node.checkVisibility() || node.disabled || node.closest('[disabled]')) continue;
    const back = behind(node);
    const [a, b] = [light(over(parse(getComputedStyle(node).color), back)), light(back)].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), walk.currentNode.textContent.trim()]);
  }
  return found.sort((x, y) => x[0] - y[0])[0];
}"""


class ListPage:
    """A list in a page."""

    def __init__(self, browser: Any, script: str, *, dark: bool = False, **state: Any) -> None:
        self.page = browser.new_page(viewport={"width": 900, "height": 900})
        self.page.set_default_timeout(120_000)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda fault: self.faults.append(str(fault)))
        code = module(script)
        code = code.replace("export default", "window.widget =")
        traits = {"fixed": {"looks": looks(), "still": "dwarf-still-x"}, "looks": looks(), **state}
        model = (MODEL + HEART).replace("STATE", json.dumps(traits).replace("</", "<\\/"))
        start = "window.stop = window.widget.render({ model: window.model, el: document.body });"
        style = f"{base_style()}\n{asset('lists.css')}"
        self.page.set_content(
            f"<style>{style}</style><body data-jp-theme-light='{str(not dark).lower()}' style='{DARK if dark else ''}'></body>"
        )
        self.page.add_script_tag(content=f"{{\n{code}\n{model}\n{start}\n}}")

    def put(self, value: Any, name: str = "shown") -> None:
        self.page.evaluate("([name, value]) => window.put(name, value)", [name, value])

    def sent(self, kind: str) -> list[Any]:
        return [message for message in self.page.evaluate("() => window.sent") if message["type"] == kind]

    def reply(self, message: dict[str, Any], **told: Any) -> None:
        """What the kernel answers to a request."""
        self.page.evaluate("(reply) => window.reply(reply)", {"type": "reply", "ask": message["ask"], **told})

    def check(self, name: str) -> None:
        """Every control has a name, nothing is too faint, and no script has failed."""
        if folder := os.environ.get("DWARF_SHOTS"):
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"))
        unnamed = self.page.evaluate(
            """() => [...document.querySelectorAll('input, select, textarea, button, [role=progressbar]')]
                .filter((node) => node.getAttribute('aria-hidden') !== 'true')
                .filter((node) => !(node.labels?.length || node.textContent.trim() || node.getAttribute('aria-label')))
                .map((node) => node.outerHTML)"""
        )
        assert unnamed == []
        least, text = self.page.evaluate(CONTRAST)
        assert least >= 4.5, text
        assert self.faults == []


def row(number: int, status: str, **more: Any) -> dict[str, Any]:
    now = time.time()
    ended = 0 if status in ("running", "interrupted", "pending") else now - 60
    values = {"workflow": "Orders", "node": "Check", "created": now - 64 - number, "ended": ended, "told": ""}
    values |= {"name": "", "tags": [], "word": ""}
    return {"id": f"1-{number}", "status": status, **values, **more}


def board(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for each in rows:
        counts[each["status"]] = counts.get(each["status"], 0) + 1
    return {
        "counts": [list(count) for count in counts.items()],
        "total": len(rows),
        "capped": False,
        "status": "",
        "rows": list(rows),
        "page": 1,
        "more": True,
        "workflows": ["Orders", "Returns"],
        "workflow": "",
        "search": "",
        "notice": "",
        "fault": "",
        "empty": "",
        "fork": {},
        "opened": "",
        "now": time.time(),
        **more,
    }


ROWS = [
    row(6, "running"),
    row(5, "interrupted", word="stopped before Check (breakpoint)"),
    row(4, "pending"),
    row(3, "failed", told="ValueError: <img src=x onerror='window.evil=1'> is no amount " * 3),
    row(2, "cancelled", told="not needed"),
    row(1, "completed"),
]
FORK = {"row": "1-3", "name": "Orders 1-3", "steps": ["Load · completed", "Check · failed"], "chosen": 1}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_dashboard_can_be_read(browser: Any, dark: bool) -> None:
    view = ListPage(browser, "dashboard.js", dark=dark, shown=board(*ROWS, notice="Orders 1-9 is deleted.", fork=FORK))
    page = view.page
    assert page.get_by_role("row").count() == 7
    assert page.get_by_role("columnheader").count() == 7
    assert page.get_by_role("region", name="Dashboard").count() == 1
    assert page.evaluate("() => window.evil") is None
    assert page.get_by_role("button", name="Open Orders 1-6").count() == 1
    assert page.get_by_role("button", name="Fork Orders 1-6").count() == 0  # it runs
    stopped = page.get_by_role("row").nth(2)
    assert stopped.locator(".dwarf-pill").inner_text() == "? stopped before Check (breakpoint)"
    assert page.get_by_text("Page 1").is_visible()
    view.check(f"dashboard-page-{'dark' if dark else 'light'}")
    view.put(board(ROWS[0], row(5, "interrupted"), *ROWS[2:]))  # it has gone on, and asks
    assert stopped.locator(".dwarf-pill").inner_text() == "? waiting for an answer"


def test_the_dashboard_acts(browser: Any) -> None:
    view = ListPage(browser, "dashboard.js", shown=board(*ROWS))
    page = view.page
    page.get_by_role("button", name="✘ failed 1").click()
    assert view.sent("filter") == [{"type": "filter", "status": "failed"}]
    page.get_by_role("button", name="Older").click()
    assert view.sent("older")
    delete = page.get_by_role("button", name="Delete Orders 1-3")
    delete.press("Enter")
    assert view.sent("delete") == []
    assert delete.inner_text() == "Delete it?"
    view.put(board(row(7, "running"), *ROWS))  # a refresh in between takes nothing away
    assert delete.evaluate("node => node === document.activeElement")
    delete.press("Enter")
    assert view.sent("delete") == [{"type": "delete", "row": "1-3"}]
    delete.press("Enter")
    delete.press("Escape")
    assert delete.inner_text() == "Delete"
    assert len(view.sent("delete")) == 1
    page.get_by_label("Search flows").fill("abc")
    page.get_by_label("Search flows").press("Enter")
    assert view.sent("filter")[-1] == {"type": "filter", "search": "abc"}
    page.get_by_label("Workflow").select_option("Returns")
    assert view.sent("filter")[-1] == {"type": "filter", "workflow": "Returns"}
    page.get_by_role("button", name="Open Orders 1-3").click()
    view.put(board(*ROWS, opened="1-3"))
    page.get_by_role("button", name="Close Orders 1-3").click()
    assert (view.sent("open"), view.sent("close")) == ([{"type": "open", "row": "1-3"}], [{"type": "close"}])
    assert view.faults == []


def test_filters_are_what_the_list_is_narrowed_by(browser: Any) -> None:
    view = ListPage(browser, "dashboard.js", shown=board(*ROWS, search="abc", workflow="Gone"))
    page = view.page
    search, workflow = page.get_by_label("Search flows"), page.get_by_label("Workflow")
    assert (search.input_value(), workflow.input_value()) == (
        "abc",
        "Gone",
    )  # another view has set it, or this page before
    view.put(board(*ROWS, search="abcd"))
    assert (search.input_value(), workflow.input_value()) == ("abcd", "")
    page.evaluate("() => window.die()")
    page.locator(".dwarf-gone").wait_for()
    search.press("End")
    page.keyboard.type(" e")
    workflow.select_option("Returns")
    assert view.sent("filter") == []
    page.evaluate("() => window.live()")
    page.wait_for_function("() => window.sent.filter((each) => each.type === 'filter').length === 2")
    sent = {name: value for message in view.sent("filter") for name, value in message.items()}
    assert (sent["search"], sent["workflow"]) == ("abcd e", "Returns")
    view.put(board(*ROWS, search="abcd"))  # sent before the kernel had heard of it
    assert (search.input_value(), workflow.input_value()) == ("abcd e", "Returns")
    view.put(board(*ROWS, search="abcd e", workflow="Returns"))
    view.put(board(*ROWS, search="f"))  # set in another view
    assert (search.input_value(), workflow.input_value()) == ("f", "")
    assert view.faults == []


def test_a_fork_is_made_by_keyboard(browser: Any) -> None:
    view = ListPage(browser, "dashboard.js", shown=board(*ROWS))
    page = view.page
    page.get_by_role("button", name="Fork Orders 1-3").press("Enter")
    assert view.sent("ask-fork") == [{"type": "ask-fork", "row": "1-3"}]
    view.put(board(*ROWS, fork=FORK))
    step = page.get_by_label("Step")
    assert step.evaluate("node => node === document.activeElement")
    assert step.input_value() == "1"
    step.select_option("0")
    changes = page.get_by_label("Changes to the state")
    changes.fill("{")
    changes.press("Control+Enter")
    assert "not JSON" in page.locator(".dwarf-fork").get_by_role("alert").inner_text()
    changes.fill('{"amount": 1}')
    view.put(board(*ROWS, fork=FORK, fault="refused"))
    assert changes.input_value() == '{"amount": 1}'
    changes.press("Control+Enter")
    assert view.sent("fork") == [{"type": "fork", "row": "1-3", "step": 0, "changes": '{"amount": 1}'}]
    changes.press("Escape")
    assert view.sent("close-fork")
    view.put(board(*ROWS))
    assert not changes.is_visible()
    assert view.faults == []


def test_it_says_whether_it_is_seen(browser: Any) -> None:
    view = ListPage(browser, "dashboard.js", shown=board(*ROWS))
    assert [message["on"] for message in view.sent("seen")] == [True]
    view.page.evaluate("() => { document.querySelector('.dwarf-dashboard').style.display = 'none' }")
    view.page.wait_for_function("() => window.sent.filter((each) => each.type === 'seen').length === 2")
    assert [message["on"] for message in view.sent("seen")] == [True, False]
    view.page.evaluate("() => window.stop()")
    assert view.page.locator("style").count() == 1  # its own is taken away again


def entry(number: int, **more: Any) -> dict[str, Any]:
    described = describe_card(card(bool, title=f"Pay {number}?", customer="Ann"))
    return described | {"id": f"prompt-{number}", "node": "Orders · Check", "since": time.time() - 300, **more}


def mail(*cards: dict[str, Any], **more: Any) -> dict[str, Any]:
    values = {"title": f"{len(cards)} prompts wait for an answer", "empty": "", "fault": "", "workflows": ["Orders"]}
    values |= {"workflow": "", "search": ""}
    return {**values, "cards": list(cards), "now": time.time(), **more}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_inbox_goes_on_to_the_next_question(browser: Any, dark: bool) -> None:
    entries = [entry(1, deadline=time.time() + 90), entry(2), entry(3)]
    view = ListPage(browser, "inbox.js", dark=dark, shown=mail(*entries))
    page = view.page
    assert page.get_by_role("status").inner_text() == "3 prompts wait for an answer"
    clock = page.locator(".dwarf-clock").first.inner_text()
    assert clock.startswith("waits 5.0 min")
    assert clock.endswith("s left")
    page.get_by_role("button", name="Approve").first.press("Enter")
    assert view.sent("answer") == [{"type": "answer", "id": "prompt-1", "value": True}]
    view.put(mail({**entries[0], "closed": "approved"}, *entries[1:]))
    focused = "() => document.activeElement.closest('.dwarf-card')?.querySelector('.dwarf-question').textContent"
    assert page.evaluate(focused) == "Pay 2?"
    view.put(mail({**entries[0], "closed": "approved"}, {**entries[1], "error": "no", "faults": 1}, entries[2]))
    view.check(f"inbox-page-{'dark' if dark else 'light'}")
    view.put(mail(title="", empty="No prompt waits for an answer."))
    assert page.get_by_text("No prompt waits for an answer.").is_visible()
    assert page.locator(".dwarf-card").count() == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_breakpoint_in_a_list_is_stepped_and_ended(browser: Any, dark: bool) -> None:
    stop = {"title": "Breakpoint before 'Pay'", "stop": "before"}
    view = ListPage(
        browser, "inbox.js", dark=dark, shown=mail(entry(1, **stop), title="1 flow is stopped at a breakpoint")
    )
    view.page.evaluate("() => { document.title = 'Notebook'; }")
    view.put(mail(entry(1, **stop), entry(2)))
    assert view.page.title() == "(1) Notebook"  # the question; a breakpoint asks nothing
    view.put(mail(entry(1, **stop), title="1 flow is stopped at a breakpoint"))
    assert view.page.title() == "Notebook"
    (asked,) = view.sent("ask")
    assert (asked["do"], asked["card"]) == ("stopped", "prompt-1")
    view.reply(asked, input='{"x": 1}', whole=True, count=1)
    view.page.get_by_label("x", exact=True).fill("2")
    view.check(f"inbox-stop-{'dark' if dark else 'light'}")
    view.page.get_by_role("button", name="Step").click()
    told = {"type": "ask", "do": "go", "card": "prompt-1", "stepping": True, "whole": True, "text": '{\n  "x": 2\n}'}
    assert {name: value for name, value in view.sent("ask")[-1].items() if name != "ask"} == told
    view.reply(view.sent("ask")[-1])
    view.page.get_by_role("button", name="Cancel").click()
    view.page.get_by_role("button", name="Cancel the flow?").click()
    assert view.sent("ask")[-1]["do"] == "cancel"
    progress = {
        "parts": [["interrupted", 1]],
        "total": 1,
        "done": 0,
        "text": "1 stopped at a breakpoint",
        "ended": False,
    }
    card = entry(1, **stop)
    rows = ListPage(browser, "map.js", dark=dark, name="Squares", progress=progress, errors=[], cards=[card])
    assert not rows.page.title().startswith("(")
    assert rows.sent("ask")[-1]["do"] == "stopped"
    assert rows.page.get_by_role("button", name="Step").count() == 1


def test_the_rows_of_a_sweep_are_sorted_by_a_click(browser: Any) -> None:
    progress = {"parts": [["completed", 3]], "total": 3, "done": 3, "text": "3 rows in 1 s", "ended": True}
    scores = [["9", 9], ["10", 10], ["", None]]
    table = {"columns": ["row", "score"], "rows": [[[str(place), place], cell] for place, cell in enumerate(scores)]}
    view = ListPage(browser, "map.js", name="Sweep", progress=progress, errors=[], cards=[], table=table)

    def shown() -> list[str]:
        return [each.split("\t")[0] for each in view.page.locator("tbody tr").all_inner_texts()]

    assert shown() == ["0", "1", "2"]
    view.page.get_by_role("button", name="score").click()
    assert shown() == ["0", "1", "2"]
    view.page.get_by_role("button", name="score").click()
    assert shown() == ["1", "0", "2"]  # what is missing stays last
    assert view.page.get_by_role("columnheader", name="score").get_attribute("aria-sort") == "descending"
    view.check("sweep-page")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_bar_of_a_map(browser: Any, dark: bool) -> None:
    progress = {
        "parts": [["completed", 60], ["failed", 5], ["interrupted", 1], ["running", 10]],
        "total": 100,
        "done": 65,
        "text": "65 of 100 rows · 5 failed · 12 a second · about 3 s left",
        "ended": False,
    }
    errors = [["row a", "<b>bad</b>"]]
    view = ListPage(browser, "map.js", dark=dark, name="Squares", progress=progress, errors=errors, cards=[])
    page = view.page
    bar = page.get_by_role("progressbar", name="Squares")
    assert bar.get_attribute("aria-valuenow") == "65"
    assert bar.get_attribute("aria-valuetext") == progress["text"]
    assert page.get_by_text("row a: <b>bad</b>").is_visible()
    view.check(f"map-page-{'dark' if dark else 'light'}")
    stop = page.get_by_role("button", name="Cancel")
    stop.click()
    assert view.sent("cancel") == []
    stop = page.get_by_role("button", name="Cancel all rows")
    stop.click()
    assert len(view.sent("cancel")) == 1
    view.put({**progress, "ended": True}, "progress")
    assert page.get_by_role("button").count() == 0


@pytest.mark.parametrize("dark", [False, True])
def test_runs_over_time_can_be_opened_and_filtered(browser: Any, dark: bool) -> None:
    now = time.time()
    bars = [
        [f"1-{n}", [3, 3, 4, 1][n % 4], now - 900 + n * 9, (now - 800 + n * 11) * (n % 4 < 3), n % 2] for n in range(60)
    ]
    over = {"bars": bars, "statuses": [str(status) for status in Status], "names": ["orders", "survey"], "looked": 300}
    over["rates"] = [["orders", 180, 0.955, 1.2, 90.5], ["survey", 120, None, None, None]]
    view = ListPage(browser, "dashboard.js", dark=dark, shown=board(over=over, now=now))
    page = view.page
    strip = page.get_by_role("group", name="the last 60 flows, oldest first")
    assert strip.locator("button").count() == 60
    last = strip.locator("button").last
    assert last.get_attribute("tabindex") == "0"
    last.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert view.sent("open") == [{"type": "open", "row": "1-58"}]
    cells = page.get_by_role("row").nth(1).locator("> *").all_inner_texts()
    assert [cell.strip() for cell in cells] == ["orders", "180", "95.5 %", "1.2 s", "90.5 s"]
    page.get_by_role("button", name="survey", exact=True).click()
    assert view.sent("filter")[-1]["workflow"] == "survey"
    view.check(f"overtime-{'dark' if dark else 'light'}")


@pytest.mark.parametrize("dark", [False, True])
def test_a_lab_counts_what_waits_in_the_title_and_tells_of_it_where_that_is_allowed(browser: Any, dark: bool) -> None:
    lab = {"name": "<Lab flows.db>", "counts": [["completed", 12], ["interrupted", 3]], "fault": "", "now": time.time()}
    lab |= {"waiting": [["orders", "Pay <b>it</b>?", "1-1"]], "waits": 3, "running": [["survey", "Measure"]]}
    lab |= {"stopped": [["orders", "stopped before Pay (breakpoint)"]]}
    view = ListPage(browser, "lab.js", dark=dark, shown=lab)
    page = view.page
    page.evaluate("() => { document.title = 'Notebook'; }")
    assert "and 2 more: lab.inbox() has them all" in page.inner_text("body")
    assert page.get_by_text("stopped before Pay (breakpoint)").is_visible()
    assert page.get_by_text("1 stopped at a breakpoint").is_visible()
    page.evaluate(
        """() => {
            window.told = [];
            window.Notification = class { constructor(title, more) { window.told.push([title, more.body]); } };
            window.Notification.permission = "granted";
            window.Notification.requestPermission = async () => "granted";
            const kept = {};
            Object.defineProperty(window, "localStorage", { value: { getItem: (name) => kept[name] ?? null, setItem: (name, value) => { kept[name] = value; } } });
            document.hasFocus = () => false;
        }"""
    )
    fresh = [["orders", "Pay it?", "1-1"], ["orders", "Send it?", "1-2"]]
    view.put(lab | {"waiting": fresh})
    assert page.title() == "(3) Notebook"
    assert page.evaluate("() => window.told") == []  # off by default
    page.get_by_label("Tell me of new questions").check()
    view.put(lab | {"waiting": [*fresh, ["orders", "And this?", "1-3"]], "waits": 4})
    assert page.evaluate("() => window.told") == [["And this?", "orders"]]
    assert page.title() == "(4) Notebook"
    view.check(f"lab-{'dark' if dark else 'light'}")
    view.put(lab | {"waiting": [], "waits": 0})
    assert page.title() == "Notebook"
