"""Typing into every control, with real keys, in each front end as it comes: no setting, no shortcut that fires."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.notebook.frontends import JUPYTER_FRONTENDS, Frontend, frontends
from tests.notebook.labdriver import press

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

CELLS = (
    """
from dwarf import END, Flow
from dwarf.notebook import Lab
lab = Lab("memory")
LETTER = {
    "type": "object",
    "required": ["body"],
    "properties": {
        "body": {"type": "string", "maxLength": 5000, "title": "Body"},
        "to": {"type": "string", "title": "To"},
        "copies": {"type": "integer", "title": "Copies", "default": 2},
        "paper": {"enum": ["red", "green", "blue", "grey", "black", "white"], "title": "Paper"},
        "more": {"type": "object", "title": "More"},
        "names": {"type": "array", "items": {"type": "string"}, "title": "Names"},
        "urgent": {"type": "boolean", "title": "Urgent"},
    },
}
def letter(flow: Flow) -> dict:
    return {"letter": flow.interrupt({"title": "The letter", "schema": LETTER})}

def boom(word: str = "") -> None:
    raise ValueError("no " + word)

write = lab.graph("Write").add_node("Letter", letter).add_transition("Letter", END)
fails = lab.graph("Fails").add_node("Fail", boom).add_transition("Fail", END)
run = lab.start(write)
""",
    "failed = lab.start(fails, {'word': 'luck'}, show=False)\noutcome = failed.wait()\nfailed.inspect()",
    "lab.inbox()",
    "lab.dashboard()",
    "rows = lab.map(write, [{'n': 1}])",
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    scratch = tmp_path_factory.mktemp("front")
    with frontends(scratch, env={"PYTHONPATH": path, "DWARF_ANSWERS": ""}) as open_:
        yield open_


def type_lines(front: Frontend, field: Any, *, before: str = "") -> None:
    """Enter, Shift+Enter, letters that are commands elsewhere, arrows, undo, and a paste of several lines."""
    page, keys = front.page, front.page.keyboard
    field.scroll_into_view_if_needed()
    field.click()
    keys.press("Control+A")
    keys.type("Line one")
    keys.press("Enter")
    keys.type("ddxxabmyz")
    keys.press("Shift+Enter")
    keys.type("three")
    assert field.input_value() == "Line one\nddxxabmyz\nthree"
    keys.press("ArrowUp")
    keys.press("ArrowUp")
    keys.press("ArrowUp")  # one further than there are lines
    keys.press("Home")
    keys.type(">")
    keys.press("ArrowDown")
    keys.press("End")
    keys.type("<")
    assert field.input_value() == ">Line one\nddxxabmyz<\nthree"
    keys.press("Control+A")
    keys.press("Control+X")
    assert field.input_value() == ""
    keys.press("Control+V")
    keys.press("Control+V")
    assert field.input_value() == 2 * ">Line one\nddxxabmyz<\nthree"
    keys.press("Control+Z")
    assert field.input_value() == ">Line one\nddxxabmyz<\nthree"
    keys.press("Control+Z")
    keys.press("Control+Z")
    assert field.input_value() == ">Line one\nddxxabmyz<\nthree"
    keys.press("Control+Shift+Z")
    assert field.input_value() in ("", ">Line one\nddxxabmyz<\nthree")
    keys.press("Control+A")
    keys.type(before)
    assert field.input_value() == before
    assert page.evaluate("(node) => document.activeElement === node", field.element_handle())


def type_line(front: Frontend, field: Any, text: str) -> None:
    """Letters that are commands elsewhere, in a field of one line."""
    keys = front.page.keyboard
    field.scroll_into_view_if_needed()
    field.click()
    keys.press("Control+A")
    keys.type("ddaabbmyjkxz" + text)
    for _ in range(len(text)):
        keys.press("ArrowLeft")
    keys.press("Shift+Home")
    keys.press("Backspace")
    assert field.input_value() == text


def focused(front: Frontend) -> str:
    """What has the focus, by its name."""
    return str(
        front.page.evaluate(
            "() => { const at = document.activeElement; return at.labels?.[0]?.textContent || at.getAttribute('aria-label') || at.textContent }"
        )
    )


def fill_card(front: Frontend, card: Any) -> None:
    """Every kind of field of a card, then the answer by keys."""
    keys = front.page.keyboard
    type_lines(front, card.get_by_label("Body"), before="Dear Ann,")
    keys.press("Tab")
    assert focused(front).startswith("To")
    type_line(front, card.get_by_label("To", exact=False).first, "Bob")
    keys.press("Tab")
    assert focused(front).startswith("Copies")
    keys.press("ArrowUp")
    assert card.get_by_label("Copies").input_value() == "3"
    keys.press("Tab")
    keys.type("gree")
    assert card.get_by_label("Paper").evaluate("node => node.selectedOptions[0].textContent") == "green"
    type_lines(front, card.get_by_label("More"), before='{"a": 1}')
    card.get_by_label("Urgent").focus()
    keys.press("Space")
    assert card.get_by_label("Urgent").is_checked()
    card.get_by_label("Add to Names").click()
    keys.type("Jim")
    keys.press("Escape")
    assert card.get_by_label("Names 1", exact=True).input_value() == "Jim"


@pytest.mark.parametrize("name", JUPYTER_FRONTENDS)
def test_typing(name: str, opened: Any) -> None:
    with opened(name, *CELLS) as front:
        page, keys = front.page, front.page.keyboard
        front.run_all()
        page.locator(".dwarf-run:has(.dwarf-picture) .dwarf-card textarea").first.wait_for(state="attached")
        page.locator(".dwarf-map .dwarf-card textarea").first.wait_for(state="attached")
        node = page.locator('.dwarf-run [data-name="Fail"][data-state="failed"]').first
        node.wait_for(state="attached")
        before = front.state()

        view = page.locator(".dwarf-run:has(.dwarf-picture)").first
        fill_card(front, view.locator(".dwarf-card"))

        node.scroll_into_view_if_needed()
        node.focus()
        press(page, "Enter")
        page.get_by_role("button", name="Fork from here…").click()
        page.get_by_role("button", name="JSON").click()
        editor = page.locator(".dwarf-code")
        editor.wait_for()
        type_lines(front, editor, before='{"word": "pluck"}')
        press(page, "Tab")
        assert focused(front) == "Start the fork"
        keys.press("Escape")
        page.locator(".dwarf-panel").first.wait_for(state="hidden")

        search = page.get_by_label("Search prompts")
        search.scroll_into_view_if_needed()  # what is out of sight is not brought up to date
        page.locator(".dwarf-inbox .dwarf-card").first.wait_for()
        type_line(front, search, "the letter")  # the space is a command of nbclassic
        press(page, "Enter")
        chooser = page.locator(".dwarf-inbox select[aria-label=Workflow]")
        chooser.focus()
        keys.type("Wri")
        assert chooser.input_value() == "Write"
        type_lines(front, page.locator(".dwarf-inbox").get_by_label("Body").first, before="Hello")

        type_line(front, page.get_by_label("Search flows"), "no such")
        keys.press("Control+A")
        keys.press("Delete")
        page.locator(".dwarf-dashboard tbody tr").nth(2).wait_for()
        page.locator('.dwarf-dashboard tr[data-status="failed"]').get_by_role("button", name="Fork").click()
        changes = page.get_by_label("Changes to the state, as JSON")
        changes.wait_for()
        type_lines(front, changes, before="{}")
        keys.press("Escape")
        changes.wait_for(state="hidden")

        fill_card(front, page.locator(".dwarf-map .dwarf-card"))
        assert front.state() == before

        body = view.locator(".dwarf-card").get_by_label("Body")
        body.focus()
        keys.press("End")
        keys.press("Enter")
        keys.type("Yours")
        press(page, "Control+Enter")
        page.locator(".dwarf-card.dwarf-closed, .jp-RenderedSVG, .output_svg").first.wait_for()
        assert front.state() == before
