"""Answers kept on a step, with what its task had written when it asked."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dwarf.core.answers import changes_at, with_answer
from dwarf.workflow.signals import Answer


def answered(*changes: dict[str, Any]) -> list[Any]:
    """The answers of a step that asked once after each of these changes."""
    answers: list[Any] = []
    for number, known in enumerate(changes):
        answers = with_answer(answers, Answer("interrupt", number), known)
    return answers


def test_an_answer_is_kept_alone_where_nothing_was_written() -> None:
    assert answered({}, {}) == [{"kind": "interrupt", "value": 0}, {"kind": "interrupt", "value": 1}]
    assert changes_at(answered({}, {}), 2) == {}


def test_each_answer_keeps_only_what_was_written_since_the_one_before() -> None:
    answers = answered({"a": 1}, {"a": 1, "b": [2]}, {"a": None, "b": [2]})
    assert [answer.get("wrote") for answer in answers] == [{"a": 1}, {"b": [2]}, {"a": None}]


def test_the_changes_at_each_question() -> None:
    answers = answered({"a": 1}, {"a": 1, "b": [2]}, {"a": None, "b": [2]})
    assert [changes_at(answers, count) for count in range(4)] == [
        {},
        {"a": 1},
        {"a": 1, "b": [2]},
        {"a": None, "b": [2]},
    ]


def test_true_is_not_one() -> None:
    answers = answered({"a": 1}, {"a": True}, {"a": 1.0})
    assert [repr(changes_at(answers, count)["a"]) for count in (1, 2, 3)] == ["1", "True", "1.0"]


def test_the_answer_reads_as_before() -> None:
    answer = Answer("subgraph", {"x": 1}, error="bad", flow_key="1-2-a", status="failed")
    (entry,) = with_answer([], answer, {"a": 1})
    assert Answer.from_json(entry) == answer


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), st.booleans(), st.integers(0, 1)))))
def test_any_growing_changes_come_back(written: list[dict[str, Any]]) -> None:
    known: dict[str, Any] = {}
    grown = [known := {**known, **changes} for changes in written]
    answers = answered(*grown)
    assert [changes_at(answers, count + 1) for count in range(len(grown))] == grown
