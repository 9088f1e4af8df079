"""What is seen of a flow: states and words for each node, shares of a group, laps, and the ways taken."""

from __future__ import annotations

import pytest

from dwarf.notebook.pictures.palette import LOOKS
from dwarf.notebook.pictures.views import attempts_of, flow_view, handlers_of, node_views, state_of, taken_edges
from dwarf.workflow import Status, SubFlow
from tests.notebook.samples import at, order_graph, order_steps, outcome, step, survey_graph, survey_steps


def texts(steps, seconds: float = 6, **more) -> dict[str, str]:
    return {
        node: view.text(at(seconds).timestamp()) for node, view in node_views(steps, now=at(seconds), **more).items()
    }


@pytest.mark.parametrize("status", list(Status))
def test_every_status_has_a_look_with_a_word(status: Status) -> None:
    look = LOOKS[state_of(step(1, "a", status.value))]
    assert look.word
    assert look.sign


def test_looks_are_told_apart_without_colours() -> None:
    drawn = [look for look in LOOKS.values() if look.key not in ("pending", "delayed")]  # two ways to wait
    assert len({look.glyph for look in drawn}) == len(drawn)
    assert len({look.word for look in LOOKS.values()}) == len(LOOKS)


def test_waiting_is_told_apart() -> None:
    now = at(5)
    assert state_of(step(1, "a", "pending"), now) == "pending"
    assert state_of(step(1, "a", "pending", not_before=at(9)), now) == "delayed"
    assert state_of(step(1, "a", "pending", attempt=2, not_before=at(9)), now) == "retrying"
    assert state_of(step(1, "a", "running", 1, parked=True), now) == "nested"


def test_a_single_step_is_told_with_its_time() -> None:
    assert texts([step(1, "a", "completed", 0, 1.25)]) == {"a": "completed · 1.2 s"}
    assert texts([step(1, "a", "running", 2)]) == {"a": "running · 4.0 s"}
    assert texts([step(1, "a", "running", 2, attempt=1)]) == {"a": "running · 4.0 s · attempt 2"}
    assert texts([step(1, "a", "pending", attempt=1, not_before=at(16))]) == {"a": "retrying in 10.0 s · attempt 2"}
    assert texts([step(1, "a", "interrupted", 0, 1)]) == {"a": "waiting for an answer"}


def test_progress_is_told_and_drawn() -> None:
    view = node_views([step(1, "a", "running", 2, progress=(30, 120, "pages"))], now=at(3))["a"]
    assert view.text(at(3).timestamp()) == "30 of 120 · 1.0 s · pages"
    assert view.parts == (("running", 250), ("pending", 750))


def test_a_group_is_counted() -> None:
    views = node_views(survey_steps("measuring"), now=at(1))
    assert views["measure"].state == "running"
    assert views["measure"].text(0) == "12 of 24"
    assert dict(views["measure"].parts) == {"completed": 12, "running": 4, "pending": 8}


def test_failed_and_handled_branches_are_counted() -> None:
    failing = [step(index, "a", "failed" if index == 3 else "completed", 0, 1, ordinal=index) for index in range(1, 6)]
    assert texts(failing) == {"a": "5 of 5 · 1 failed · 1.0 s"}
    assert node_views(failing)["a"].state == "failed"
    graph, steps = survey_graph(), survey_steps("completed")
    views = node_views(steps, handlers=handlers_of(graph), now=at(20))
    assert "1 handled" in views["measure"].text(0)
    assert views["measure"].state == "completed"


def test_a_single_handled_error_is_told() -> None:
    steps = [
        step(1, "charge", "completed", 0, 1, successor_id=2),
        step(2, "refund", "completed", 1, 2, predecessor_id=1),
    ]
    assert texts(steps, handlers={"charge": "refund"})["charge"] == "error handled · 1.0 s"


def test_a_handler_that_is_also_the_next_step_says_nothing_of_errors() -> None:
    graph = survey_graph().add_transition("measure", "note_unreadable")
    assert handlers_of(graph) == {}


def test_laps_of_a_loop_show_the_latest() -> None:
    words = texts(order_steps())
    assert words["check_order"] == "completed · 300 ms · lap 2"
    assert words["charge"] == "in payment · 3.9 s · lap 2"
    assert words["print_label"] == "retrying in 3.0 s · attempt 4 · lap 2"  # the other branch of the fan-out that loops
    assert words["ship"] == "completed · 200 ms"


def test_attempts_of_how_many() -> None:
    graph = survey_graph().add_node("measure", retry=5)
    assert attempts_of(graph) == {"measure": 5}
    waiting = [step(1, "measure", "pending", 0, attempt=1, not_before=at(8))]
    assert texts(waiting, 0, attempts=attempts_of(graph))["measure"] == "retrying in 8.0 s · attempt 2 of 5"
    again = [step(1, "measure", "running", 0, attempt=6)]  # by flow.retry, which is not counted here
    assert texts(again, attempts=attempts_of(graph))["measure"].endswith("attempt 7")


def test_a_loop_inside_branches_is_no_group_of_laps() -> None:
    steps = [step(1, "list", "completed", 0, 1)]
    for branch in range(3):
        first = 10 + 10 * branch
        again = {"depth": 2, "ordinal": branch}
        steps.append(step(first, "fetch", "completed", 1, 2, predecessor_id=1, successor_id=first + 1, **again))
        steps.append(step(first + 1, "fetch", "running", 2, predecessor_id=first, **again | {"depth": 3}))
    view = node_views(steps, now=at(4))["fetch"]
    assert view.text(at(4).timestamp()) == "0 of 3"


def test_marks_for_questions_and_subgraphs() -> None:
    views = node_views(survey_steps("completed"), asked={"ask_threshold"})
    assert views["ask_threshold"].asked
    assert not views["rank"].asked
    assert node_views(order_steps())["charge"].nested
    assert node_views([step(1, "a", "completed", 0, 1, sub_flows=[SubFlow()])])["a"].nested


def test_a_long_loop_is_summed_up_quickly() -> None:
    steps = [step(index, f"n{index % 3}", "completed", 0, 1, predecessor_id=index - 1) for index in range(1, 9001)]
    assert texts(steps)["n0"].endswith("lap 3000")


def test_ten_thousand_branches() -> None:
    steps = [step(1, "list", "completed", 0, 1)]
    steps += [
        step(index, "work", "completed", 1, 2, predecessor_id=1, successor_id=99_999, ordinal=index)
        for index in range(2, 10_002)
    ]
    steps.append(step(99_999, "join", "completed", 3, 4, predecessor_id=10_001))
    assert texts(steps)["work"] == "10,000 of 10,000 · 1.0 s"


def test_the_ways_taken() -> None:
    taken = taken_edges(survey_steps("completed"))
    assert ("list_modules", "measure") in taken
    assert ("measure", "note_unreadable") in taken
    assert ("measure", "rank") in taken
    assert ("choose", "END") not in taken
    assert taken_edges(order_steps()) >= {("ship", "check_order")}
    assert not any(pair == ("check_order", "reject") for pair in taken_edges(order_steps()))


def test_the_whole_flow() -> None:
    steps = survey_steps("completed")
    whole = flow_view(outcome("completed"), steps)
    assert whole.text(0).startswith("completed · 9.4 s · 29 steps")
    assert flow_view(outcome("running"), steps[:1]).text(at(5).timestamp()) == "running · 5.0 s · 1 step"
    assert flow_view(outcome("failed", error="boom"), steps).error == "boom"
    assert flow_view(None, []).text(0) == "pending"
    assert handlers_of(order_graph()) == {"charge": "refund"}
