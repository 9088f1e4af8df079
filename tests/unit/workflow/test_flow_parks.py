"""Parks: interrupts and subgraphs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

from dwarf.errors import (
    InterruptTimeout,
    InvalidRequest,
    Parked,
    StateError,
    SubgraphFailed,
)
from dwarf.workflow.flow import Flow
from dwarf.workflow.graph import Graph
from dwarf.workflow.signals import Answer, Interrupt, Park, Subgraph, control_of
from dwarf.workflow.status import Status


@dataclass
class Question:
    title: str
    due: date


def parked(call: Callable[[], Any], flow: Flow) -> Park:
    with pytest.raises(Parked):
        call()
    park = control_of(flow).park
    assert park is not None
    return park


# ---------------------------------------------------------------- interrupt


@pytest.mark.parametrize(
    ("payload", "stored"),
    [
        (None, {}),
        ({}, {}),
        ("Proceed?", {"title": "Proceed?"}),
        ({"title": "T", "n": [1, None]}, {"title": "T", "n": [1, None]}),
        (Question("T", date(2024, 1, 2)), {"title": "T", "due": {"$dwarf": "date", "v": "2024-01-02"}}),
        ({"schema": bool}, {"schema": {"type": "boolean"}}),
        ({"schema": ["yes", "no"]}, {"schema": {"enum": ["yes", "no"]}}),
        ({"schema": {"type": "integer", "minimum": 1}}, {"schema": {"type": "integer", "minimum": 1}}),
        ({"title": "T", "schema": None}, {"title": "T"}),
        (5, {"value": 5}),
        (False, {"value": False}),
        (["a", None], {"value": ["a", None]}),
        (date(2024, 1, 2), {"value": {"$dwarf": "date", "v": "2024-01-02"}}),
    ],
)
def test_an_interrupt_parks_with_its_payload(payload: Any, stored: dict[str, Any]) -> None:
    flow = Flow()
    assert parked(lambda: flow.interrupt(payload), flow) == Interrupt(stored)


@pytest.mark.parametrize("payload", [{"x": 1j}, {"x": object()}, {1: 2}, {"a": {"b": [1j]}}, object(), 1j, Question])
def test_a_payload_that_cannot_be_kept_does_not_park(payload: Any) -> None:
    flow = Flow()
    with pytest.raises(StateError):
        flow.interrupt(payload)
    assert control_of(flow).park is None


def test_a_wrong_schema_is_refused_and_does_not_park() -> None:
    flow = Flow()
    with pytest.raises(InvalidRequest, match="not a valid JSON schema"):
        flow.interrupt({"schema": {"type": "nonsense"}})
    assert control_of(flow).park is None


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"schema": int, "default": "x"}, "default of a question does not fit: 'x' is not a whole number"),
        ({"schema": {"type": "integer", "default": "x"}}, "default of a question|default of .* in the schema"),
        ({"schema": {"properties": {"n": {"minimum": 1, "default": 0}}}}, "default of 'n' .* 0 is less than 1"),
        ({"schema": {"properties": {"a": {"properties": {"b": {"enum": [1], "default": 2}}}}}}, r"default of 'a\.b'"),
        ({"schema": ["yes", "no"], "default": "maybe"}, "'maybe' is not one of"),
        ({"schema": Question, "default": {"titel": "T"}}, "did you mean 'title'"),
        # no default, or one that is filled in: whoever answers completes it
        ({"schema": int, "default": None}, ""),
        ({"schema": Question, "default": {"due": date(2024, 1, 2)}}, ""),
        ({"schema": Question | None, "default": {}}, ""),
        ({"schema": {"properties": {"n": {"type": "integer", "default": None}}}}, ""),
    ],
)
def test_a_default_fits_its_schema(payload: Any, message: str) -> None:
    with pytest.raises(StateError, match=message) if message else pytest.raises(Parked):
        Flow().interrupt(payload)


def test_the_payload_is_copied() -> None:
    flow = Flow()
    payload = {"choices": [1]}
    park = parked(lambda: flow.interrupt(payload), flow)
    payload["choices"].append(2)
    assert park == Interrupt({"choices": [1]})


def test_timeout_and_default() -> None:
    flow = Flow()
    park = parked(lambda: flow.interrupt("Q", timeout=timedelta(minutes=2), default=None), flow)
    assert park == Interrupt({"title": "Q"}, 120_000, None, True)
    flow = Flow()
    assert parked(lambda: flow.interrupt("Q", timeout=0.0001), flow) == Interrupt({"title": "Q"}, 1)
    flow = Flow()
    assert parked(lambda: flow.interrupt(default=(1,)), flow) == Interrupt(
        {}, None, {"$dwarf": "tuple", "v": [1]}, True
    )


@pytest.mark.parametrize("timeout", [-1, math.nan, "5", True])
def test_a_wrong_timeout_is_refused(timeout: Any) -> None:
    flow = Flow()
    with pytest.raises(InvalidRequest, match="timeout"):
        flow.interrupt("Q", timeout=timeout)
    assert control_of(flow).park is None


@pytest.mark.parametrize("value", [None, {}, {"ok": True}, 5, 0, "text", [1, 2], False])
def test_an_answer_is_returned_unchanged(value: Any) -> None:
    flow = Flow(answers=[Answer("interrupt", value)])
    answer = flow.interrupt("Q")
    assert answer == value
    assert type(answer) is type(value)
    assert control_of(flow).park is None


def test_an_answer_is_the_tasks_own_copy_with_its_types() -> None:
    stored = {"on": {"$dwarf": "date", "v": "2024-01-02"}, "list": [1]}
    flow = Flow(answers=[Answer("interrupt", stored)])
    answer = flow.interrupt("Q")
    assert answer == {"on": date(2024, 1, 2), "list": [1]}
    answer["list"].append(2)
    assert stored["list"] == [1]


def test_the_payload_is_looked_at_also_when_there_are_answers() -> None:
    with pytest.raises(StateError, match="payload"):
        Flow(answers=[Answer("interrupt", 1)]).interrupt(object())


def test_a_time_out_without_a_default_raises() -> None:
    flow = Flow(answers=[Answer("interrupt", timed_out=True)])
    with pytest.raises(InterruptTimeout):
        flow.interrupt("Q", timeout=60)


def test_a_time_out_gives_a_default_that_the_task_has_got_since() -> None:
    flow = Flow(answers=[Answer("interrupt", timed_out=True)])
    assert flow.interrupt("Q", timeout=5, default="later") == "later"


# ---------------------------------------------------------------- subgraph


def test_a_subgraph_parks_with_the_childs_state() -> None:
    flow = Flow()
    park = parked(lambda: flow.subgraph("child", {"a": (1,), "none": None}), flow)
    assert park == Subgraph("child", {"a": {"$dwarf": "tuple", "v": [1]}})
    graph = Graph("inline").add_node("A")
    flow = Flow()
    park = parked(lambda: flow.subgraph(graph), flow)
    assert isinstance(park, Subgraph)
    assert park.workflow is graph
    assert park.state == {}
    flow = Flow()
    state: Any = Question("T", date(2024, 1, 2))
    park = parked(lambda: flow.subgraph("child", state), flow)
    assert isinstance(park, Subgraph)
    assert set(park.state) == {"title", "due"}


@pytest.mark.parametrize("workflow", ["", None, 5, object()])
def test_a_subgraph_needs_a_workflow(workflow: Any) -> None:
    flow = Flow()
    with pytest.raises(InvalidRequest, match="subgraph needs"):
        flow.subgraph(workflow)
    assert control_of(flow).park is None


@pytest.mark.parametrize("state", [5, [1], {"a": object()}, {1: 2}])
def test_a_childs_state_that_cannot_be_kept_is_refused(state: Any) -> None:
    flow = Flow()
    with pytest.raises(StateError):
        flow.subgraph("child", state)
    assert control_of(flow).park is None


def test_the_childs_final_state_is_returned() -> None:
    stored = {"when": {"$dwarf": "date", "v": "2024-01-02"}, "$dwarf": 1, "gone": None, "list": [1]}
    flow = Flow(answers=[Answer("subgraph", stored, flow_key="1-9-k", status="completed")])
    result = flow.subgraph("child")
    assert result == {"when": date(2024, 1, 2), "$dwarf": 1, "list": [1]}
    result["list"].append(2)
    assert stored["list"] == [1]


def test_a_failed_child_raises_with_its_text() -> None:
    flow = Flow(answers=[Answer("subgraph", {"x": 1}, error="boom", flow_key="1-9-k", status="failed")])
    with pytest.raises(SubgraphFailed, match="^boom$") as raised:
        flow.subgraph("child")
    outcome = raised.value.outcome
    assert (outcome.flow_key, outcome.status, outcome.error, outcome.state) == (
        "1-9-k",
        Status.FAILED,
        "boom",
        {"x": 1},
    )


def test_a_cancelled_child_raises_too() -> None:
    flow = Flow(answers=[Answer("subgraph", error="no longer needed", status="cancelled")])
    with pytest.raises(SubgraphFailed, match="no longer needed") as raised:
        flow.subgraph("child")
    assert raised.value.outcome.status is Status.CANCELLED
    assert raised.value.outcome.cancel_reason == "no longer needed"
    flow = Flow(answers=[Answer("subgraph", status="cancelled")])
    with pytest.raises(SubgraphFailed, match="the child flow was cancelled"):
        flow.subgraph("child")


# ---------------------------------------------------------------- several parks in one task


def test_the_nth_call_gets_the_nth_answer_in_one_common_order() -> None:
    answers = [Answer("interrupt", "first"), Answer("subgraph", {"r": 1}), Answer("interrupt", "third")]
    flow = Flow(answers=answers)
    assert flow.interrupt("A") == "first"
    assert flow.subgraph("B") == {"r": 1}
    assert flow.interrupt("C") == "third"
    assert parked(lambda: flow.subgraph("D"), flow) == Subgraph("D")


def test_an_answer_to_one_kind_is_none_to_the_other() -> None:
    flow = Flow(answers=[Answer("interrupt", "first")])
    assert parked(lambda: flow.subgraph("B"), flow) == Subgraph("B")
    assert control_of(flow).unclaimed == (0,)


def test_the_first_park_of_a_run_stays() -> None:
    flow = Flow()
    parked(lambda: flow.interrupt("first"), flow)
    for again in (
        lambda: flow.interrupt("second"),
        lambda: flow.subgraph("child"),
        lambda: flow.retry(delay=1),
        lambda: flow.interrupt(object()),
    ):
        assert parked(again, flow) == Interrupt({"title": "first"})
    assert control_of(flow).problem == ""


def test_parked_passes_except_exception() -> None:
    flow = Flow()
    with pytest.raises(Parked):
        try:
            flow.interrupt("Q")
        except Exception:
            pytest.fail("Parked must not be an Exception")
