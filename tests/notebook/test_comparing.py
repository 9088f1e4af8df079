"""Two runs side by side."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from dwarf import END, Answered, Flow, Graph, Status
from dwarf.notebook import Lab
from dwarf.notebook.analysis.comparing import RunDiff, Side
from dwarf.notebook.analysis.differences import Change, changes_between, line
from dwarf.notebook.analysis.reading import with_places
from dwarf.workflow import SubFlow
from tests.notebook.samples import outcome, step, survey_graph, survey_steps


def found(left: Any, right: Any) -> list[tuple[str, str]]:
    return [(change.kind, change.where) for change in changes_between(left, right)]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": True}, [("changed", "a")]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"b": 2}, [("removed", "a"), ("added", "b")]),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}, 4]}}, [("changed", "a.b[1].c"), ("added", "a.b[2]")]),
        ({"a": [1, 2]}, {"a": {"b": 1}}, [("changed", "a")]),
        ({"a": list(range(1100))}, {"a": list(range(1101))}, [("changed", "a")]),
        ({"a": list(range(100))}, {"a": list(range(1, 101))}, [("removed", "a[0]"), ("added", "a[99]")]),
        ({"a": [1, 9]}, {"a": [1, 2, 3, 4, 5, 9]}, [("added", "a[1:5]")]),
        ({"a": [1, 2, 3, 4, 5]}, {"a": [1]}, [("removed", "a[1:5]")]),
        ({"a": [{"b": 1}, {"c": 1}]}, {"a": [0, {"b": 1}, {"c": 2}]}, [("added", "a[0]"), ("changed", "a[1→2].c")]),
        ({"a": [True, 1]}, {"a": [1, True]}, [("added", "a[0]"), ("removed", "a[1]")]),
        ({"a": {1, 2}}, {"a": {2, 1}}, []),
        ({"a": timedelta(1)}, {"a": timedelta(2)}, [("changed", "a")]),
    ],
)
def test_differences_are_found_where_they_are(left: Any, right: Any, expected: list[tuple[str, str]]) -> None:
    assert found(left, right) == expected


def test_tables_are_compared_by_what_is_in_them() -> None:
    one, same, other = (pd.DataFrame({"x": values}) for values in ([1, 2], [1, 2], [1, 3]))
    assert found({"t": one}, {"t": same}) == []
    assert found({"t": one}, {"t": other}) == [("changed", "t")]


def test_a_difference_is_told_on_a_line_with_a_sign() -> None:
    assert line(Change("a", "added", None, 1)) == "+ a: 1"
    assert line(Change("a", "removed", "x", None)) == "- a: x"
    assert line(Change("a[0]", "changed", 1, 2)) == "~ a[0]: 1 -> 2"


def side(steps: list[Any], status: str = "completed", **more: Any) -> Side:
    full = {each.id: each for each in steps if each.changes is not None}
    return Side(
        "1-7-secret", survey_graph(), outcome(status, **more.pop("outcome", {})), dict(with_places(steps)), full, **more
    )


def test_steps_are_matched_by_node_and_occurrence_whatever_their_ids() -> None:
    left = [step(index, "lap", "completed", index, index + 1, changes={"n": index}) for index in range(1, 4)]
    right = [
        step(50 + index, "lap", "completed", index, index + 2, changes={"n": 2}, depth=index) for index in range(1, 3)
    ]
    diff = RunDiff(side(left), side(right))
    assert list(diff.frame["occurrence"]) == [0, 1, 2]
    assert list(diff.frame["side"]) == ["both", "both", "left"]
    assert list(diff.frame["same"][:2]) == [False, True]
    assert pd.isna(diff.frame["same"][2])
    assert list(diff.frame["slower"][:2]) == [timedelta(seconds=1)] * 2
    assert diff.changes[["node", "occurrence", "field", "change", "left", "right"]].to_numpy().tolist() == [
        ["lap", 0, "n", "changed", 1, 2]
    ]


def test_steps_of_subgraphs_are_matched_by_their_callers_order() -> None:
    def caller(id: int, place: int, child: int) -> Any:
        inner = step(child, "inner", "completed", 0, 1, depth=1, changes={"of": place})
        return step(
            id, "call", "completed", 0, 1, depth=2, ordinal=place, sub_flows=[SubFlow(f"1-{id}-x", steps=[inner])]
        )

    one = side([caller(1, 0, 100), caller(2, 1, 101)])
    other = side([caller(1, 0, 301), caller(2, 1, 300)])
    places = [(place, found.id) for place, found in other.steps.items() if place[1] == "inner"]
    assert places == [(("call", "inner", 0), 301), (("call", "inner", 1), 300)]
    assert list(RunDiff(one, other).frame["within"]) == ["", "", "call", "call"]


def test_the_same_run_has_no_differences() -> None:
    steps = survey_steps("completed")
    diff = RunDiff(side(steps), side(steps))
    assert diff.same
    assert len(diff.state) == len(diff.changes) == 0
    shown = diff._repr_mimebundle_()
    assert "all steps are alike" in shown["text/html"]
    assert "the same" in repr(diff)
    assert {str(kind) for kind in diff.state.dtypes} == {"string", "object"}
    assert [str(kind) for kind in diff.changes.dtypes][:3] == ["string", "string", "int64"]


def test_types_are_those_of_the_empty_frame() -> None:
    empty = RunDiff(side([]), side([]))
    full = RunDiff(side(survey_steps("completed")), side(survey_steps("failed"), "failed"))
    assert empty.frame.dtypes.to_dict() == full.frame.dtypes.to_dict()
    assert str(full.frame["status_left"].dtype) == "category"
    assert str(full.frame["slower"].dtype) == "timedelta64[ms]"


def test_hostile_texts_stay_text_and_secrets_are_masked() -> None:
    bad = "<script>alert(1)</script>"
    answers = [Answered(payload={"title": "PIN", "schema": {"type": "string", "format": "password"}}, value="hush9")]
    left = side(
        [step(1, bad, "failed", 0, 1, changes={bad: bad, "pin": "hush9"}, error=f"{bad} hush9")],
        "failed",
        outcome={"state": {"pin": "hush9", bad: [bad]}, "error": bad},
        answers=answers,
    )
    diff = RunDiff(left, side([step(1, bad, "completed", 0, 1, changes={})], outcome={"state": {}}))
    shown = diff._repr_mimebundle_()
    assert "<script" not in shown["text/html"]
    for text in (*shown.values(), diff.frame.to_csv(), diff.state.to_csv(), diff.changes.to_csv()):
        assert "hush9" not in text
    assert "secret" not in shown["text/html"] + shown["text/plain"]


def test_very_many_steps_are_bounded_in_what_is_shown() -> None:
    left = [step(index, "a", "completed", 0, 1, depth=1, ordinal=index) for index in range(1, 5_001)]
    right = [step(index, "a", "failed", 0, 1, depth=1, ordinal=index, error="x" * 500) for index in range(1, 5_001)]
    diff = RunDiff(side(left), side(right))
    assert len(diff.frame) == 5_000
    assert len(diff._repr_mimebundle_()["text/html"]) < 200_000
    assert "4,800 further steps" in diff._repr_mimebundle_()["text/html"]


def test_a_run_and_its_fork(lab: Lab) -> None:
    @lab.task
    def double(number: int) -> dict[str, int]:
        return {"twice": number * 2}

    @lab.task
    def tell(flow: Flow) -> None:
        if flow["twice"] > 10:
            raise ValueError("too many")
        flow["told"] = f"{flow['twice']}!"

    graph: Graph = lab.graph("tell").add_node("Double", double).add_node("Tell", tell).add_chain("Double", "Tell", END)
    run = lab.start(graph, {"number": 7})
    assert run.wait(60).status is Status.FAILED
    fork = run.fork("Double", {"number": 4})
    fork.wait(60)
    diff = run.diff(fork)
    assert not diff.same
    assert {(row.field, row.change) for row in diff.state.itertuples()} == {
        ("number", "changed"),
        ("twice", "changed"),
        ("told", "added"),
    }
    assert list(diff.frame["status_left"]) == ["completed", "failed"]
    assert list(diff.frame["status_right"]) == ["completed", "completed"]
    assert "failed -> completed" in str(diff)
    assert re.search(r"14.*8", diff._repr_mimebundle_()["text/html"])
