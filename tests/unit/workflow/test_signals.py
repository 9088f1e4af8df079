"""Answers and the control record."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf.errors import StateError
from dwarf.workflow.signals import Answer, Control, Interrupt, RetrySignal, Subgraph, answer_on_timeout


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (Answer("interrupt"), {"kind": "interrupt"}),
        (Answer("interrupt", {"a": 1}), {"kind": "interrupt", "value": {"a": 1}}),
        (Answer("interrupt", False), {"kind": "interrupt", "value": False}),
        (Answer("interrupt", timed_out=True), {"kind": "interrupt", "timedOut": True}),
        (
            Answer("subgraph", {"r": 1}, "boom", False, "1-2-k", "failed"),
            {"kind": "subgraph", "value": {"r": 1}, "error": "boom", "flowKey": "1-2-k", "status": "failed"},
        ),
    ],
)
def test_an_answers_compact_form(answer: Answer, form: dict[str, Any]) -> None:
    assert answer.to_json() == form
    assert Answer.from_json(form) == answer
    assert Answer.from_json({**form, "unknown": 1}) == answer


@pytest.mark.parametrize(
    "form",
    [{}, {"kind": "x"}, {"kind": "interrupt", "error": 5}, {"kind": "interrupt", "timedOut": "yes"}, [], "x", None],
)
def test_a_wrong_form_is_refused(form: Any) -> None:
    with pytest.raises(StateError):
        Answer.from_json(form)


def test_the_answer_of_a_deadline() -> None:
    assert answer_on_timeout(Interrupt(timeout_ms=5, default=3, has_default=True)) == Answer(
        "interrupt", 3, is_default=True
    )
    none = answer_on_timeout(Interrupt(timeout_ms=5, default=None, has_default=True))
    assert none == Answer("interrupt", None, is_default=True)
    assert answer_on_timeout(Interrupt(timeout_ms=5)) == Answer("interrupt", timed_out=True)


def test_nothing_is_asked_by_default() -> None:
    assert Control() == Control(goto="", delay_ms=0, park=None, problem="")
    assert (Interrupt().payload, Subgraph("x").state, RetrySignal().delay_ms) == ({}, {}, 0)
