"""The timeline: a row for each node, a bar for each step."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree

from dwarf.notebook.pictures.axis import Axis, nice
from dwarf.notebook.pictures.palette import LOOKS
from dwarf.notebook.pictures.timeline import draw_timeline
from dwarf.workflow import Answered
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


def striped(svg: str) -> list[str]:
    return [
        rect.attrib["data-wait"] for rect in ElementTree.fromstring(svg).iter(f"{NS}rect") if "data-wait" in rect.attrib
    ]


def test_waits_for_a_person_are_striped_where_they_were() -> None:
    asked = step(1, "ask", "completed", 0, 10)
    answers = [Answered(step_id=1, asked_at=at(a), answered_at=at(b)) for a, b in ((2, 4), (5, 6))]
    svg = draw_timeline([asked, step(2, "next", "completed", 10, 20)], answers=answers)
    (bar,) = bars(rows(svg)[0])
    parts = [rect for rect in rows(svg)[0].iter(f"{NS}rect") if "data-wait" in rect.attrib]
    second = float(bar.attrib["width"]) / 10
    begins = [(float(part.attrib["x"]) - float(bar.attrib["x"])) / second for part in parts]
    assert [round(begin) for begin in begins] == [2, 5]
    assert [round(float(part.attrib["width"]) / second) for part in parts] == [2, 1]
    assert bar.attrib["fill"] == LOOKS["completed"].line
    assert "waits for an answer" in svg


def test_a_step_that_waits_now_is_striped_until_now() -> None:
    waiting = step(1, "ask", "interrupted", 0, 2)
    assert striped(draw_timeline([waiting], now=at(5)))[-1] == "interrupted"


def test_sleeps_are_striped_before_the_start() -> None:
    slept = step(1, "later", "completed", 5, 6, created_at=at(0), not_before=at(5))
    sleeps = step(2, "soon", "pending", None, created_at=at(3), not_before=at(60))
    svg = draw_timeline([slept, sleeps], now=at(6))
    assert [sum("data-wait" in rect.attrib for rect in row.iter(f"{NS}rect")) for row in rows(svg)] == [1, 1]
    assert "not started" not in svg


def test_a_bar_is_the_time_of_the_task_and_a_pale_line_the_wait_for_its_turn() -> None:
    """Claimed at 1, with a thread from 4 on, done at 6, written at 10; the second had to wait for nothing."""
    seconds = [timedelta(seconds=each) for each in range(5)]
    steps = [
        step(1, "late", "completed", 1, 10, created_at=at(0), waited=seconds[4], ran=seconds[2]),
        step(2, "whole", "completed", 0, 10, waited=seconds[0], ran=timedelta(seconds=10)),
        step(3, "asks", "completed", 0, 10, waited=seconds[0], ran=seconds[1]),
    ]
    svg = draw_timeline(steps, answers=[Answered(step_id=3, asked_at=at(1), answered_at=at(10))])
    by_name = {row.findtext(f"{NS}text"): row for row in rows(svg)}
    (whole,) = bars(by_name["whole"])
    second = float(whole.attrib["width"]) / 10
    (late,) = bars(by_name["late"])
    (lead,) = [rect for rect in by_name["late"].iter(f"{NS}rect") if "data-lead" in rect.attrib]
    places = [(float(each.attrib["x"]) - float(whole.attrib["x"])) / second for each in (lead, late)]
    assert [round(place) for place in places] == [0, 4]
    assert [round(float(each.attrib["width"]) / second) for each in (lead, late)] == [4, 2]
    assert "late · completed · 2.0 s · waited 4.0 s to run" in svg
    (asks,) = bars(by_name["asks"])
    assert asks.attrib["width"] == whole.attrib["width"]  # its own time is not in one piece
    assert "asks · completed · 1.0 s" in svg


def test_attempts_are_told_and_the_last_one_is_marked() -> None:
    svg = draw_timeline([step(1, "a", "completed", 0, 10, attempt=2, not_before=at(8))])
    assert "3 attempts" in svg
    assert "attempt 3 from here on" in svg


def test_a_long_wait_is_cut_short() -> None:
    steps = [
        step(1, "work", "completed", 0, 1),
        step(2, "ask", "completed", 1, 100_000),
        step(3, "end", "completed", 100_000, 100_001),
    ]
    svg = draw_timeline(steps, answers=[Answered(step_id=2, asked_at=at(2), answered_at=at(99_999))])
    (first,) = bars(rows(svg)[0])
    assert float(first.attrib["width"]) > 80
    assert "27.8 h cut short" in svg
    whole = draw_timeline(steps)
    assert "cut short" not in whole


def test_moments_keep_their_order_on_a_cut_axis() -> None:
    working = [(at(0), at(1)), (at(50), at(51)), (at(900), at(901))]
    axis = Axis.over(working, (at(0), at(901)), 100.0, 700.0)
    places = [axis.x(at(second)) for second in (0, 0.5, 1, 20, 50, 50.5, 400, 900, 901)]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (100.0, 700.0)
    assert len(list(axis.cuts())) == 1
    labels = [label for _, label in axis.ticks()]
    assert labels[0] == "0"
    assert len(labels) < 12


def test_branches_at_the_same_time_are_counted_where_there_are_very_many() -> None:
    many = [step(index, "a", "completed", 0, 10) for index in range(1, 5_001)]
    svg = draw_timeline([*many, step(9_000, "b", "completed", 10, 20)])
    assert "5,000 steps, at most 5,000 at a time" in svg
    assert len(svg) < 6_000


def test_many_rows_are_bounded() -> None:
    svg = draw_timeline([step(index, f"node {index}", "completed", index, index + 1) for index in range(1, 301)])
    assert len(rows(svg)) == 120
    assert "and 180 further lines" in svg


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
    assert [nice(value) for value in (0.0007, 0.013, 0.3, 1.1, 7, 61, 5000)] == [0.001, 0.02, 0.5, 2, 10, 120, 7200]
