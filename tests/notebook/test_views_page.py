"""Small and large pictures at every width, light and dark: nothing is cut, nothing scrolls inside, all can be reached.

Pictures of the pages go to the folder DWARF_SHOTS, where they can be kept and looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dwarf.workflow import END, Graph, Step
from tests.notebook.pageview import PageView, picture_traits
from tests.notebook.samples import at, step
from tests.notebook.test_life_page import QUESTION

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
WIDTHS = (700, 900, 1400, 1900)


def chain(count: int) -> tuple[Graph, list[Step]]:
    names = [f"Prepare part {number} of the monthly report for the region" for number in range(count)]
    graph = Graph(f"A chain of {count}").add_chain(*names, END)
    done = [step(1 + n, name, "completed", n, n + 1, predecessor_id=n) for n, name in enumerate(names[: count // 2])]
    now = step(1 + count // 2, names[count // 2], "running", 4, 5, predecessor_id=count // 2)
    return graph, [*done, now]


def fan(count: int) -> tuple[Graph, list[Step]]:
    graph = Graph(f"{count} side by side")
    steps = [step(1, "Begin", "completed", 0, 1)]
    for number in range(count):
        graph.add_transition("Begin", f"Work {number}").add_transition(f"Work {number}", "Join")
        state = "completed" if number < count // 2 else "running"
        steps.append(step(2 + number, f"Work {number}", state, 1, 3, predecessor_id=1))
    return graph.set_fan_in("Join").add_transition("Join", END), steps


def tree(count: int) -> tuple[Graph, list[Step]]:
    graph = Graph(f"A tree of {count}")
    for number in range(1, count):
        graph.add_transition(f"n{(number - 1) // 2}", f"n{number}")
    nodes = graph.nodes[: count // 2]
    return graph, [step(1 + n, node.name, "completed", n, n + 1, predecessor_id=n) for n, node in enumerate(nodes)]


def branches(count: int) -> tuple[Graph, list[Step]]:
    graph = Graph(f"{count} branches").add_for_each("List", "Work", items="items", item="item")
    graph.add_transition("Work", "Join").set_fan_in("Join").add_transition("Join", END)
    steps = [step(1, "List", "completed", 0, 1)]
    steps += [
        step(2 + n, "Work", "completed" if n < count // 3 else "pending", 1, 2, predecessor_id=1) for n in range(count)
    ]
    return graph, steps


SIZES = {
    "five": lambda: chain(5),
    "forty": lambda: fan(40),
    "sixty": lambda: chain(60),
    "500": lambda: tree(500),
    "10000": lambda: branches(10_000),
}
INSIDE = """() => [...document.querySelectorAll('.dwarf-run, .dwarf-run *')].filter((node) => {
    if (node.closest('svg, pre, textarea')) return false;
    const style = getComputedStyle(node);
    const scrolls = (over) => over === 'auto' || over === 'scroll';
    return (scrolls(style.overflowY) && node.scrollHeight > node.clientHeight)
        || (scrolls(style.overflowX) && node.scrollWidth > node.clientWidth);
}).map((node) => node.className)"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_a_view_at_every_width(browser: Any, shots: Path, size: str, dark: bool) -> None:
    graph, steps = SIZES[size]()
    traits = picture_traits(graph, steps, "running", now=at(60))
    view = PageView(browser, dark=dark, width=WIDTHS[0], **traits, cards=[QUESTION])
    page = view.page
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("(width) => window.innerWidth === width", arg=width)
        page.wait_for_timeout(150)  # a frame for what watches sizes
        page.screenshot(path=str(shots / f"view-{size}-{width}-{'dark' if dark else 'light'}.png"))
        assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
        assert page.evaluate(INSIDE) == []
        box = page.locator(".dwarf-picture").bounding_box()
        assert box["height"] <= 0.7 * 900 + 1
        card = page.locator(".dwarf-card").bounding_box()
        is_beside = card["x"] > box["x"] + 100
        assert is_beside == (width > 900 + 16)
        pill = page.locator('[data-part="flow"]').bounding_box()
        cancel = page.get_by_role("button", name="Cancel…").bounding_box()
        assert box["y"] >= pill["y"] + pill["height"]
        for part in (pill, cancel):
            assert part["x"] + part["width"] <= width
            assert part["y"] < 100
        if size in ("sixty", "500"):  # what runs is in sight
            follow = page.get_by_role("button", name="Follow what runs (f)")
            assert follow.get_attribute("aria-pressed") == "true"
    assert not view.faults


def test_zoom_fit_pan_and_follow(browser: Any) -> None:
    graph, steps = chain(60)
    view = PageView(browser, width=1200, **picture_traits(graph, steps, "running", now=at(60)))
    page = view.page
    size = "() => document.querySelector('.dwarf-svg').getBoundingClientRect().height"
    box = page.locator(".dwarf-picture")
    running = page.locator('[data-node][data-state="running"]').bounding_box()
    edge = box.bounding_box()
    assert edge["y"] <= running["y"] <= edge["y"] + edge["height"]  # it follows what runs

    page.get_by_role("button", name="The whole picture (0)").click()
    whole = page.evaluate(size)
    assert whole <= 0.7 * page.viewport_size["height"] + 1
    page.get_by_role("button", name="Larger (+)").click()
    assert page.evaluate(size) > whole
    page.get_by_role("button", name="Smaller (-)").click()
    box.hover()
    before = page.evaluate(size)
    page.mouse.wheel(0, -300)
    assert page.evaluate(size) == before  # the page scrolls, the picture stays
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_function(f"(old) => ({size})() > old", arg=before)

    for _ in range(6):
        page.get_by_role("button", name="Larger (+)").click()
    moved = "() => document.querySelector('.dwarf-picture').scrollTop"
    start = page.evaluate(moved)
    page.mouse.move(edge["x"] + 60, edge["y"] + 300)
    page.mouse.down()
    page.mouse.move(edge["x"] + 60, edge["y"] + 200, steps=4)
    page.mouse.up()
    assert page.evaluate(moved) == start + 100
    assert page.locator(".dwarf-panel").is_hidden()  # a drag opens nothing

    first = page.locator("[data-node]").first
    first.focus()
    page.keyboard.press("0")
    page.keyboard.press("f")
    page.keyboard.press("End")
    last = page.evaluate("() => document.activeElement.getBoundingClientRect().bottom")
    assert last <= edge["y"] + edge["height"] + 1  # what has the focus is in sight
    assert not view.faults


def test_chains_that_are_done_fold(browser: Any, shots: Path) -> None:
    graph, steps = chain(60)
    view = PageView(browser, width=1200, **picture_traits(graph, steps, "running", now=at(60)))
    page = view.page
    mark = page.locator(".dwarf-chain")
    high = "() => document.querySelector('.dwarf-svg').getBoundingClientRect().height"
    assert mark.locator("text").text_content() == "⋯ 28 completed"
    assert not page.locator('[data-node="10"]').is_visible()
    assert page.locator('[data-node="30"]').is_visible()
    folded = page.evaluate(high)

    name = graph.nodes[30].name
    done = [*steps[:-1], step(31, name, "completed", 30, 31, predecessor_id=30)]
    done.append(step(32, graph.nodes[31].name, "running", 31, 32, predecessor_id=31))
    view.put("planes", picture_traits(graph, done, "running", now=at(61))["planes"])
    assert mark.locator("text").text_content() == "⋯ 29 completed"
    assert page.evaluate(high) < folded

    mark.focus()
    page.keyboard.press("Enter")
    assert mark.count() == 0
    assert page.locator('[data-node="10"]').evaluate("node => node.style.display") == ""
    assert page.evaluate(high) > folded
    again = page.get_by_role("button", name="fold 29 completed nodes again")
    assert again.evaluate("node => node === document.activeElement")
    page.screenshot(path=str(shots / "unfolded.png"))
    page.keyboard.press("Enter")
    assert mark.evaluate("node => node === document.activeElement")
    assert page.evaluate(high) < folded
    assert again.count() == 0
    assert not view.faults

    short = PageView(browser, width=1200, **picture_traits(*chain(7), "running", now=at(60)))
    assert short.page.locator(".dwarf-chain").count() == 0
