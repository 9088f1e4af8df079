"""The JavaScript of the cards, in a browser, with a model made by hand in place of a kernel."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from dwarf.notebook.live.flow_watcher import Card
from dwarf.notebook.live.widget import module, style, theme
from dwarf.notebook.live.wire import describe_card
from dwarf.notebook.prompts.prompt import Prompt
from dwarf.workflow.schemas import to_schema
from tests.notebook.pageview import HEART
from tests.notebook.samples import step
from tests.notebook.test_forms import Review

pytestmark = pytest.mark.browser

MODEL = """
const listeners = {};
const sent = [];
const state = STATE;
window.model = {
  get: (name) => state[name],
  on: (names, call) => names.split(" ").forEach((name) => (listeners[name] ??= []).push(call)),
  off: () => {},
  send: (message) => sent.push(message),
};
window.put = (name, value) => { state[name] = value; (listeners["change:" + name] ?? []).forEach((call) => call()); };
window.sent = sent;
"""


class View:
    """The widget in a page of its own."""

    def __init__(self, browser: Any, cards: list[Card], **traits: Any) -> None:
        self.page = browser.new_page(viewport={"width": 900, "height": 1000})
        self.page.set_default_timeout(120_000)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda fault: self.faults.append(str(fault)))
        state = {
            "theme": theme(),
            "svg": "",
            "planes": {},
            "flow": {},
            "cards": [describe_card(card) for card in cards],
        }
        code = module("run.js").replace("export default", "window.widget =")
        model = (MODEL + HEART).replace("STATE", json.dumps(state | traits).replace("</", "<\\/"))
        start = "window.widget.render({ model: window.model, el: document.body });"
        self.page.set_content(f"<style>{style()}</style><body></body>")
        self.page.add_script_tag(content=f"{{\n{code}\n{model}\n{start}\n}}")
        self.card = self.page.locator(".dwarf-card").first

    def put(self, name: str, value: Any) -> None:
        self.page.evaluate("([name, value]) => window.put(name, value)", [name, value])

    @property
    def answers(self) -> list[Any]:
        return [message["value"] for message in self.page.evaluate("() => window.sent") if message["type"] == "answer"]

    def press(self, label: str) -> None:
        self.card.get_by_role("button", name=label, exact=True).click()


def card(spec: Any = None, **payload: Any) -> Card:
    if spec is not None:
        payload["schema"] = to_schema(spec)
    asked = step(7, "Ask", "interrupted", 0, 3, interrupt_payload={"title": "Well?", **payload})
    return Card(Prompt(asked, "1-1-x", lambda *_: None), 0)


def test_it_says_that_it_is_seen(browser: Any) -> None:
    view = View(browser, [])
    assert view.page.evaluate("() => window.sent") == [{"type": "ready"}]


def test_approve_and_reject(browser: Any) -> None:
    view = View(browser, [card(bool)])
    view.press("Reject")
    assert view.answers == [False]
    assert view.card.get_by_role("button", name="Approve").is_disabled()  # once


def test_a_choice_is_one_click(browser: Any) -> None:
    view = View(browser, [card(["fast", {"slow": 1}])])
    view.page.get_by_role("button").nth(1).click()
    assert view.answers == [{"slow": 1}]


def test_a_number_keeps_its_bounds_and_its_slider(browser: Any) -> None:
    view = View(browser, [card({"type": "integer", "minimum": 5, "maximum": 60, "title": "Threshold"}, default=20)])
    field = view.page.get_by_label("Threshold")
    assert field.input_value() == "20"
    field.fill("3")
    view.press("Send")
    assert view.answers == []  # refused by the browser already
    field.fill("41")
    assert view.page.locator("input[type=range]").input_value() == "41"
    field.press("Enter")
    assert view.answers == [41]


def test_a_model_is_filled_by_keyboard(browser: Any) -> None:
    view = View(browser, [card(Review)])
    view.page.get_by_label("score").fill("4")
    view.page.get_by_label("comment").fill("well done")
    view.page.get_by_label("due").fill("2026-12-24")
    view.page.get_by_label("token").fill("hunter2")
    view.page.get_by_label("urgent").check()
    view.page.get_by_label("b", exact=True).check()
    assert view.page.get_by_label("token").get_attribute("type") == "password"
    view.page.get_by_label("comment").press("Control+Enter")
    (answer,) = view.answers
    assert answer["score"] == 4
    assert answer["verdict"] == "accept"
    assert answer["due"] == "2026-12-24"
    assert answer["token"] == "hunter2"
    assert answer["urgent"] is True
    assert answer["tags"] == ["b"]
    assert Review.model_validate(answer).comment == "well done"


def test_what_is_left_empty_is_left_out(browser: Any) -> None:
    view = View(browser, [card(Review)])
    view.page.get_by_label("score").fill("1")
    view.press("Send")
    (answer,) = view.answers
    assert answer["comment"] is None
    assert Review.model_validate(answer).due is None


def test_json_is_read_and_its_faults_are_told(browser: Any) -> None:
    view = View(browser, [card({"type": "array", "items": {"type": "object"}, "title": "Rows"})])
    view.page.get_by_label("Rows").fill("[{")
    view.press("Send")
    assert "Rows is not JSON" in view.card.get_by_role("alert").inner_text()
    view.page.get_by_label("Rows").fill('[{"a": 1}]')
    view.press("Send")
    assert view.answers == [[{"a": 1}]]


@pytest.mark.parametrize(
    ("typed", "answer"), [("plain words", "plain words"), ('{"a": 1}', {"a": 1}), ("7", 7), ("", None)]
)
def test_without_a_schema_text_or_json_goes(browser: Any, typed: str, answer: Any) -> None:
    view = View(browser, [card()])
    view.page.locator("textarea").fill(typed)
    view.press("Send")
    assert view.answers == [answer]


def test_a_refusal_keeps_what_was_typed(browser: Any) -> None:
    asked = card({"type": "string", "title": "Name"})
    view = View(browser, [asked])
    view.page.get_by_label("Name").fill("bob")
    view.press("Send")
    for _ in range(2):  # the same words twice are two refusals
        asked.refuse("'bob' is <b>taken</b>")
        view.put("cards", [describe_card(asked)])
        assert view.card.get_by_role("alert").inner_text() == "'bob' is <b>taken</b>"
        assert view.page.get_by_label("Name").input_value() == "bob"
        assert view.page.get_by_label("Name").evaluate("node => node === document.activeElement")
        view.press("Send")
    assert view.answers == ["bob", "bob", "bob"]


def test_a_card_closes_when_it_is_answered_anywhere(browser: Any) -> None:
    asked = card(bool)
    view = View(browser, [asked])
    asked.closed = "answered elsewhere"
    view.put("cards", [describe_card(asked)])
    assert view.page.get_by_role("button").count() == 0
    assert view.card.inner_text().split() == ["✔", "Well?", "answered", "elsewhere"]


def test_payloads_stay_text(browser: Any) -> None:
    evil = '<img src=x onerror="window.evil = 1">'
    schema = {"type": "string", "title": evil, "description": evil}
    view = View(browser, [card(schema, title=evil, description=evil, note=evil, default=evil)])
    assert view.page.locator("img").count() == 0
    assert view.page.evaluate("() => window.evil") is None
    assert view.card.get_by_text(evil).count() >= 3
    assert not view.faults


def test_the_page_is_understood_without_eyes(browser: Any) -> None:
    view = View(browser, [card(Review)])
    group = view.page.get_by_role("group", name="Well?")
    assert group.count() == 1
    unnamed = view.page.evaluate(
        """() => [...document.querySelectorAll('.dwarf-card :is(input, select, textarea, button)')]
            .filter((node) => node.getAttribute('aria-hidden') !== 'true')
            .filter((node) => !(node.labels?.length || node.textContent.trim() || node.getAttribute('aria-label')))
            .map((node) => node.outerHTML)"""
    )
    assert unnamed == []


class Order(BaseModel):
    """Groups, lists, lists of groups, files and a choice of three states in one."""

    class Line(BaseModel):
        name: str
        count: int = 1

    class Buyer(BaseModel):
        name: str
        password: SecretStr | None = None

    buyer: Buyer
    lines: list[Line] = [Line(name="first")]
    mails: list[str] = Field(default=[], max_length=2)
    gift: bool | None = None
    scan: bytes | None = None


def test_groups_and_lists_are_filled(browser: Any) -> None:
    view = View(browser, [card(Order)])
    page = view.page
    page.get_by_role("group", name="buyer").get_by_label("name").fill("ann")
    page.get_by_label("password").fill("hunter2")
    assert page.get_by_role("group", name="lines").get_by_label("name").input_value() == "first"
    page.get_by_role("button", name="Add to lines").press("Enter")
    page.locator(".dwarf-item").nth(1).get_by_label("name").press_sequentially("second")
    add = page.get_by_role("button", name="Add to mails")
    add.click()
    page.get_by_role("textbox", name="mails 1").fill("a@b.de")
    add.click()
    assert not add.is_visible()  # two at most
    page.get_by_role("button", name="Remove mails 2").click()
    page.get_by_label("gift").select_option(label="no")
    view.press("Send")
    (answer,) = view.answers
    assert answer["lines"] == [{"name": "first", "count": 1}, {"name": "second", "count": 1}]
    assert answer["mails"] == ["a@b.de"]
    assert answer["gift"] is False
    assert answer["scan"] is None
    assert Order.model_validate(answer).buyer.name == "ann"
    assert view.faults == []


def test_an_empty_item_or_a_missing_group_is_told(browser: Any) -> None:
    view = View(browser, [card(Order)])
    view.press("Send")
    assert view.answers == []  # the buyer's name is needed
    view.page.get_by_role("group", name="buyer").get_by_label("name").fill("ann")
    view.page.get_by_role("button", name="Add to mails").click()
    view.press("Send")
    assert view.answers == []
    view.page.get_by_role("button", name="Remove mails 1").click()
    view.press("Send")
    assert len(view.answers) == 1


LETTER = (
    "Dear Ada,\n\n" + "\n".join(f"{number}. We regret that this is out of stock." for number in range(40)) + "\n\nYours"
)


def test_what_is_approved_is_read_whole(browser: Any) -> None:
    plan = {"tool": "sql", "arguments": {"query": "select *\nfrom orders", "limit": 10}, "then": [1, 2, {"a": None}]}
    lines = [{"item": f"part {number}", "count": number} for number in range(30)]
    view = View(browser, [card(bool, description="One.\nTwo.", letter=LETTER, plan=plan, lines=lines)])
    assert view.card.locator(".dwarf-rich p").inner_text() == "One.\nTwo."

    letter = view.card.get_by_text("Dear Ada").first
    assert letter.evaluate("node => node.textContent") == LETTER
    more = view.card.get_by_role("button", name="Show all of letter")
    folded = letter.evaluate("node => node.clientHeight < node.scrollHeight")
    more.press("Enter")
    whole = letter.evaluate("node => node.clientHeight >= node.scrollHeight")
    assert (folded, whole, more.inner_text()) == (True, True, "Show less")

    rows = view.card.locator(".dwarf-table tbody tr")
    assert rows.count() == 12
    view.card.get_by_role("button", name="Show all rows of lines").click()
    assert rows.count() == 30
    assert rows.nth(29).inner_text().split() == ["part", "29", "29"]

    tree = view.card.locator(".dwarf-tree")
    assert tree.get_by_text("from orders").is_visible()
    tree.locator("summary", has_text="arguments").click()
    assert not tree.get_by_text("from orders").is_visible()
    assert view.answers == []  # none of these buttons answers
    assert view.faults == []


def test_required_and_optional_are_told(browser: Any) -> None:
    view = View(browser, [card(Review)])
    needs = view.page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('.dwarf-label')].map((node) => [node.textContent, node.dataset.need]))"
    )
    assert (needs["Score"], needs["Comment"], needs.get("Urgent")) == ("*", "optional", None)


@pytest.mark.parametrize("spec", [int | None, str | None, list[int] | None])
def test_an_optional_answer_may_be_left_empty(browser: Any, spec: Any) -> None:
    view = View(browser, [card(spec)])
    assert view.card.get_by_text("may be left empty").is_visible()
    view.press("Send")
    assert view.answers == [None]


def test_an_empty_answer_to_anything_is_none_at_all(browser: Any) -> None:
    view = View(browser, [card()])
    view.press("Send")
    (message,) = [
        message
        for message in view.page.evaluate("() => JSON.parse(JSON.stringify(window.sent))")
        if message["type"] == "answer"
    ]
    assert "value" not in message


def test_a_file_is_sent_as_text(browser: Any) -> None:
    view = View(browser, [card(bytes)])
    view.press("Send")
    assert view.answers == []
    field = view.page.locator("input[type=file]")
    field.set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello \x00\xff"})
    view.page.wait_for_function("() => document.querySelector('input[type=file]').validationMessage === ''")
    view.press("Send")
    assert view.answers == [base64.b64encode(b"hello \x00\xff").decode()]


def test_a_file_that_is_too_large_is_refused(browser: Any) -> None:
    view = View(browser, [card(bytes)])
    view.page.locator("input[type=file]").set_input_files(
        {"name": "a", "mimeType": "text/plain", "buffer": b"x" * 8_000_001}
    )
    view.press("Send")
    assert view.answers == []
    message = view.page.locator("input[type=file]").evaluate("node => node.validationMessage")
    assert "larger than 8 MB" in message


def test_a_table_is_edited_by_keyboard_and_from_a_spreadsheet(browser: Any) -> None:
    from dwarf.workflow.parks import make_interrupt

    table = [{"name": f"part {number}", "count": number, "ok": True} for number in range(5_000)]
    asked, _ = make_interrupt(
        {"title": "Right?", "table": table, "editable": ["count", "ok"], "rows": "add"}, None, ...
    )
    waiting = step(1, "Ask", "interrupted", interrupt_payload=asked.payload)
    view = View(browser, [Card(Prompt(waiting, "1-1-k", lambda prompt, value: None), 0)])
    keyboard = view.page.keyboard
    rows = view.page.locator(".dwarf-grid-body .dwarf-grid-row")
    assert rows.count() < 60, "only what is in sight is in the page"
    view.page.get_by_role("grid").focus()
    keyboard.type("many")
    keyboard.press("Enter")
    keyboard.type("7")
    keyboard.press("Enter")
    view.press("Send")
    assert view.answers == []
    assert "a whole number is needed" in view.page.locator(".dwarf-error").inner_text()
    view.page.get_by_role("grid").focus()
    keyboard.press("Control+z")  # 7
    keyboard.press("Control+z")  # many
    keyboard.press("Control+y")
    keyboard.press("Control+z")
    keyboard.press("Control+End")
    view.page.evaluate(
        """() => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", "8\\tfalse\\r\\n9\\ttrue\\r\\n");
            document.querySelector(".dwarf-grid").dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
        }"""
    )
    keyboard.press("Control+Home")
    view.page.get_by_role("button", name="Remove this row").click()
    view.press("Send")
    (answer,) = view.answers
    assert len(answer) == 5_000
    assert answer[0] == {"name": "part 1", "count": 1, "ok": True}
    assert answer[-2:] == [{"name": "part 4999", "count": 8, "ok": False}, {"name": None, "count": 9, "ok": True}]
    assert not view.faults
