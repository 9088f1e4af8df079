"""Where things stand: each engine in turn, and what happens when one is missing, broken or slow."""

from __future__ import annotations

import itertools
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dwarf.notebook.pictures import render
from dwarf.notebook.pictures.geometry import Box, Layout, Line
from dwarf.notebook.pictures.layered import layered

BOXES = tuple(Box(key, 100, 40) for key in ("n0", "n1", "n2", "n3"))
LINES = (
    Line("e0", "n0", "n1", 80, 17),
    Line("e1", "n0", "n2", 60, 17),
    Line("e2", "n1", "n3"),
    Line("e3", "n2", "n3"),
    Line("e4", "n3", "n0", back=True),  # a cycle
    Line("e5", "n1", "n1", 40, 17),  # a loop
)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    render.lay_out.cache_clear()
    render._broken.clear()
    yield
    render.lay_out.cache_clear()
    render._broken.clear()


def overlap(layout: Layout, boxes: tuple[Box, ...]) -> list[tuple[str, str]]:
    found = []
    for a, b in itertools.combinations(boxes, 2):
        (ax, ay), (bx, by) = layout.centers[a.key], layout.centers[b.key]
        if abs(ax - bx) < (a.width + b.width) / 2 and abs(ay - by) < (a.height + b.height) / 2:
            found.append((a.key, b.key))
    return found


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("program", ["dot", "graphviz-pure", "built-in"])
def test_every_engine_places_everything(program: str, across: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "PROGRAMS", () if program == "built-in" else (program,))
    if program != "built-in" and render.find_program(program) is None:
        pytest.skip(f"{program} is not installed")
    layout = render.lay_out(BOXES, LINES, across=across)
    assert layout.engine == program
    assert set(layout.centers) == {box.key for box in BOXES}
    assert set(layout.routes) == {line.key for line in LINES}
    assert not overlap(layout, BOXES)
    for box in BOXES:
        x, y = layout.centers[box.key]
        assert box.width / 2 <= x + 0.5
        assert x + box.width / 2 <= layout.width + 0.5
        assert y + box.height / 2 <= layout.height + 0.5
    for line in LINES:
        route = layout.routes[line.key]
        assert len(route.points) % 3 == 1
        assert (route.label is None) == (not line.label_width)
    axis = 0 if across else 1
    assert layout.centers["n0"][axis] < layout.centers["n1"][axis] < layout.centers["n3"][axis]


def test_the_text_of_a_user_never_reaches_a_program() -> None:
    text = render.to_layout_dot(BOXES, LINES, across=True)
    assert set("<>\"';") >= {char for char in text if not char.isalnum() and char not in " .=[]{}->/\n"}
    assert "e0" in text


def script(folder: Path, body: str) -> str:
    path = folder / "a-layout-program"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path.name


@pytest.mark.parametrize("body", ["exit 3", "echo not json", "echo '{}'", """echo '{"bb": "0,0,1,1"}'"""])
def test_a_program_that_does_not_work_is_replaced(body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(render, "PROGRAMS", (script(tmp_path, body),))
    assert render.lay_out(BOXES, LINES, across=True).engine == "built-in"


def test_a_program_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(render, "PROGRAMS", (script(tmp_path, "exec sleep 30"),))
    monkeypatch.setattr(render, "TIMEOUT", 0.2)
    assert render.lay_out(BOXES, LINES, across=True).engine == "built-in"
    assert not render._broken  # it may do better with the next graph


def test_a_missing_program_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "PROGRAMS", ("no-such-program-here",))
    assert render.lay_out(BOXES, LINES, across=False).engine == "built-in"


def test_the_same_question_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(render, "_placed", lambda dot: asked.append(dot))
    first = render.lay_out(BOXES, LINES, across=True)
    assert render.lay_out(BOXES, LINES, across=True) is first
    assert len(asked) == 1


@pytest.mark.parametrize("across", [True, False])
def test_the_built_in_layout_bears_any_shape(across: bool) -> None:
    def graph(count: int, pairs: list[tuple[int, int]]) -> Layout:
        boxes = tuple(Box(f"n{index}", 50 + 7 * (index % 5), 30) for index in range(count))
        lines = tuple(Line(f"e{index}", f"n{a}", f"n{b}", 30.0 * (index % 2), 17) for index, (a, b) in enumerate(pairs))
        layout = layered(boxes, lines, across=across)
        assert len(layout.centers) == count
        assert not overlap(layout, boxes)
        return layout

    assert layered((), (), across=across).centers == {}
    graph(1, [])
    graph(1, [(0, 0)])
    graph(5, [])  # nothing is connected
    graph(3, [(0, 1), (1, 0), (1, 2), (2, 1), (0, 1)])  # cycles and a double edge
    graph(40, [(0, index) for index in range(1, 39)] + [(index, 39) for index in range(1, 39)])
    graph(2000, [(index, index + 1) for index in range(1999)])  # deeper than Python's stack
    graph(30, [(a, b) for a in range(30) for b in range(30) if (a * 7 + b * 3) % 11 == 0])


def test_lines_to_unknown_boxes_are_left_out() -> None:
    layout = layered(BOXES[:1], (Line("e9", "n0", "nowhere"),), across=True)
    assert layout.routes == {}
