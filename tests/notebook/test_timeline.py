"""The timeline: a row for each node, a bar for each step."""

from __future__ import annotations

from xml.etree import ElementTree

from dwarf.notebook.palette import LOOKS
from dwarf.notebook.timeline import _nice, draw_timeline
from tests.notebook.samples import at, order_steps, step, survey_steps

NS = "{http://www.w3.org/2000/svg}"


def rows(svg: str) -> list[ElementTree.Element]:
    return [group for group in ElementTree.fromstring(svg).iter(f"{NS}g") if group.attrib.get("class") == "dwarf-row"]


def bars(element: ElementTree.Element) -> list[ElementTree.Element]:
    return [rect for rect in element.iter(f"{NS}rect") if "data-state" in rect.attrib]


def test_rows_stand_in_the_order_of_their_beginning() -> None:
    found = rows(draw_timeline(survey_steps("completed"), title="survey"))
    names = [row.findtext(f"{NS}text") for row in found]
    assert names == ["list_modules", "measure", "note_unreadable", "rank", "ask_threshold", "choose"]
    assert len(bars(found[1])) == 24


def test_bars_stand_where_the_time_is() -> None:
    svg = draw_timeline([step(1, "a", "completed", 0, 5), step(2, "b", "completed", 5, 10)])
    (first,), (second,) = (bars(row) for row in rows(svg))
    end = float(first.attrib["x"]) + float(first.attrib["width"])
    assert abs(end - float(second.attrib["x"])) < 1
    assert abs(float(first.attrib["width"]) - float(second.attrib["width"])) < 1


def test_steps_at_the_same_time_go_side_by_side() -> None:
    row = rows(draw_timeline([step(index, "a", "completed", 0, 1) for index in range(1, 5)]))[0]
    assert len({bar.attrib["y"] for bar in bars(row)}) == 4


def test_running_steps_reach_until_now_and_are_hollow() -> None:
    (row,) = rows(draw_timeline([step(1, "a", "running", 0)], now=at(10)))
    (bar,) = bars(row)
    assert bar.attrib["fill"] == LOOKS["running"].fill
    assert float(bar.attrib["width"]) > 300


def test_subgraphs_are_shown_under_their_caller() -> None:
    names = [row.findtext(f"{NS}text") for row in rows(draw_timeline(order_steps(), now=at(6)))]
    assert names[names.index("charge") + 1] == "authorise"


def test_waiting_for_a_person_stands_out() -> None:
    svg = draw_timeline(survey_steps("completed"), asked={"ask_threshold"})
    (bar,) = bars(rows(svg)[4])
    assert bar.attrib["fill"] == LOOKS["interrupted"].line


def test_many_steps_stay_small_and_no_failure_is_left_out() -> None:
    many = [
        step(index, "a", "failed" if index in (40, 7000) else "completed", index / 100, index / 100 + 0.5)
        for index in range(1, 10_001)
    ]
    svg = draw_timeline(many)
    assert len(svg) < 1_000_000
    assert sum(bar.attrib["data-state"] == "failed" for bar in bars(rows(svg)[0])) == 2


def test_nothing_and_not_yet() -> None:
    assert "no steps yet" in draw_timeline([])
    assert draw_timeline([]).alt == "no steps yet"
    assert "not started" in draw_timeline([step(1, "a", "pending")])


def test_hostile_names_stay_text() -> None:
    svg = draw_timeline([step(1, "<script>", "failed", 0, 1, error="<img onerror=x>")], title="<b>")
    assert "<script>" not in svg
    assert "<img" not in svg


def test_the_text_says_the_same() -> None:
    text = draw_timeline(survey_steps("completed")).alt
    assert "measure ×24" in text
    assert text.splitlines()[0].endswith("list_modules: 50 ms")


def test_the_axis_is_round() -> None:
    assert [_nice(value) for value in (0.0007, 0.013, 0.3, 1.1, 7, 61, 5000)] == [0.001, 0.02, 0.5, 2, 10, 120, 7200]
