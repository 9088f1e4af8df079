"""Scenarios 35 to 46 of the workflow specification: the state and the carrier, as a mapping with control calls.

The typed getters and State as a type of its own are superseded: ``get_as`` and the mapping show what is left of them.
The numbers in the test names are the scenarios'.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from dwarf import Flow, Outcome, Parked, Status, TaskError
from dwarf.errors import InvalidRequest, StateError
from dwarf.workflow.algebra import overlay, settle
from dwarf.workflow.errors_json import error_fields
from dwarf.workflow.parks import decode_fields
from dwarf.workflow.signals import Answer, Interrupt, RetrySignal, Subgraph, control_of

HOUR_MS = 3_600_000


@dataclass
class Person:
    name: str
    age: int
    city: str | None = None


def arm(flow: Flow, call: Callable[[Flow], Any]) -> None:
    with pytest.raises(Parked):
        call(flow)


# ---------------------------------------------------------------- 35, 36: typed values


def test_w35_values_of_each_type_are_read_back_equal() -> None:
    flow = Flow()
    values: dict[str, Any] = {
        "s": "Alice", "i": 42, "f": 1.5, "b": True, "list": ["a", "b"], "d": timedelta(seconds=5),
    }  # fmt: skip
    flow.update(values)
    for name, value in values.items():
        assert flow.get_as(name, type(value)) == value
    assert flow.get_as("list", list[str]) == ["a", "b"]


def test_w35_absent_fields_read_as_the_default() -> None:
    flow = Flow()
    assert flow.get_as("s", str, "") == ""
    assert flow.get_as("i", int, 0) == 0
    assert flow.get_as("b", bool, False) is False
    assert flow.get("list", []) == []


def test_w36_a_field_of_another_type_raises() -> None:
    flow = Flow({"retryAfter": 1.5, "name": "Alice"})
    with pytest.raises(StateError, match="retryAfter"):
        flow.get_as("retryAfter", int)
    assert flow.get_as("retryAfter", float) == 1.5
    for kind in (int, bool, list[str]):
        with pytest.raises(StateError, match="name"):
            flow.get_as("name", kind)
    del flow["name"]
    assert flow.get_as("name", str, "") == ""


# ---------------------------------------------------------------- 37: changes


def test_w37_changes_hold_exactly_what_was_written() -> None:
    flow = Flow({"kept": 1})
    flow["a"] = 1
    flow["b"] = "x"
    assert flow.changes == {"a": 1, "b": "x"}


def test_w37_deletions_are_recorded_and_other_fields_stay() -> None:
    flow = Flow({"name": "Alice", "score": 5, "other": [1]})
    del flow["name"], flow["score"]
    assert "name" not in flow
    assert "score" not in flow
    assert flow.changes == {"name": None, "score": None}
    assert flow["other"] == [1]


def test_w37_clear_deletes_every_field() -> None:
    flow = Flow({"a": 1, "b": 2})
    flow["c"] = 3
    flow.clear()
    assert dict(flow) == {}
    assert flow.changes == {"a": None, "b": None, "c": None}


# ---------------------------------------------------------------- 38, 39, 40: tombstones, construction, exactness


def test_w38_a_null_is_absent_and_merging_keeps_the_tombstone() -> None:
    state = {"gone": None, "kept": 1}
    flow = Flow(state)
    assert "gone" not in flow
    assert list(flow) == ["kept"]
    merged = overlay({"gone": "x", "other": 2}, state)
    assert merged == {"gone": None, "other": 2, "kept": 1}
    assert settle(merged) == {"other": 2, "kept": 1}


@pytest.mark.parametrize("document", ['{"state": null}', "{}", '{"state": {}}', b'  {"state":  {}\n}'])
def test_w39_nothing_reads_as_an_empty_state(document: str | bytes) -> None:
    assert dict(Flow.from_json(document)) == {}


@pytest.mark.parametrize("state", ["[1,2]", "42", '"s"', "true", '{"a":'])
def test_w39_what_is_no_object_is_no_state(state: str) -> None:
    with pytest.raises(StateError):
        Flow.from_json(f'{{"state": {state}}}')


def test_w40_values_are_carried_exactly() -> None:
    state = json.loads('{"a":{"x":1,"y":[1,2,3]},"b":"str","c":null,"id":1234567890123456789}')
    flow = Flow(state)
    assert Flow.from_json(json.dumps(flow.to_json())).to_json()["state"] == state
    assert flow.get_as("id", int) == 1234567890123456789
    flow["copy"] = flow["a"]
    assert flow._raw_changes == {"copy": state["a"]}


# ---------------------------------------------------------------- 41: whole objects


def test_w41_only_the_changed_field_is_written() -> None:
    flow = Flow({"name": "Ada", "age": 36, "unknown": [1]})
    person = flow.load(Person)
    flow.save(person)
    assert flow.changes == {}
    person.age = 37
    flow.save(person)
    assert flow.changes == {"age": 37}
    assert flow["unknown"] == [1]


def test_w41_a_none_field_becomes_a_deletion() -> None:
    flow = Flow({"name": "Ada", "age": 36, "city": "London"})
    person = flow.load(Person)
    person.city = None
    flow.save(person)
    assert flow.changes == {"city": None}
    assert "city" not in flow


# ---------------------------------------------------------------- 42, 43: parks


@pytest.mark.parametrize("payload", [{"x": 1j}, {"deep": [{"x": object()}]}, Person("Ada", 1j)])  # type: ignore[arg-type]
def test_w42_a_payload_that_cannot_be_kept_is_an_error_and_nothing_is_armed(payload: Any) -> None:
    flow = Flow()
    with pytest.raises(StateError):
        flow.interrupt(payload)
    assert control_of(flow).park is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_w42_a_payload_keeps_numbers_that_are_not_finite(number: float) -> None:
    flow = Flow()
    arm(flow, lambda flow: flow.interrupt({"deep": [{"x": number}]}))
    park = control_of(flow).park
    assert isinstance(park, Interrupt)
    assert repr(decode_fields(park.payload)["deep"]) == repr([{"x": number}])


def test_w42_the_payload_is_a_copy() -> None:
    flow = Flow()
    payload = {"items": [1]}
    arm(flow, lambda flow: flow.interrupt(payload))
    payload["items"].append(2)
    assert control_of(flow).park == Interrupt({"items": [1]})


def interrupt(flow: Flow) -> Any:
    return flow.interrupt({"q": 1})


def subgraph(flow: Flow) -> Any:
    return flow.subgraph("child", {"n": 1})


@pytest.mark.parametrize("first", [interrupt, subgraph])
@pytest.mark.parametrize("second", [interrupt, subgraph])
def test_w43_a_second_park_in_one_run_changes_nothing(first: Any, second: Any) -> None:
    flow = Flow()
    arm(flow, first)
    park = control_of(flow).park
    arm(flow, second)
    assert control_of(flow).park is park
    expected = Interrupt({"q": 1}) if first is interrupt else Subgraph("child", {"n": 1})
    assert park == expected


ANSWERS = {interrupt: Answer("interrupt", {"a": 1}), subgraph: Answer("subgraph", {"r": 1}, status="completed")}


@pytest.mark.parametrize("first", [interrupt, subgraph])
@pytest.mark.parametrize("second", [interrupt, subgraph])
def test_w43_after_an_answer_the_next_call_parks_again(first: Any, second: Any) -> None:
    flow = Flow(answers=[ANSWERS[first]])
    assert first(flow) == ANSWERS[first].value
    arm(flow, second)
    flow = Flow(answers=[ANSWERS[first], ANSWERS[second]])
    assert (first(flow), second(flow)) == (ANSWERS[first].value, ANSWERS[second].value)


@pytest.mark.parametrize(("asked", "recorded"), [(interrupt, subgraph), (subgraph, interrupt)])
def test_w43_an_answer_of_the_other_kind_is_not_given(asked: Any, recorded: Any) -> None:
    flow = Flow(answers=[ANSWERS[recorded]])
    arm(flow, asked)
    assert control_of(flow).park == (Interrupt({"q": 1}) if asked is interrupt else Subgraph("child", {"n": 1}))


def test_w43_a_subgraph_without_a_name_is_an_error() -> None:
    with pytest.raises(InvalidRequest):
        Flow().subgraph("")


# ---------------------------------------------------------------- 44: retry


def test_w44_on_a_fresh_step_a_retry_is_granted_with_its_parameters() -> None:
    flow = Flow(step_created_at_ms=HOUR_MS, claimed_at_ms=HOUR_MS, attempt=2)
    arm(flow, lambda flow: flow.retry(delay=1, factor=3, max_delay=60, give_up_after=3600))
    assert control_of(flow).park == RetrySignal(9000)


def test_w44_without_a_horizon_age_does_not_matter() -> None:
    flow = Flow(step_created_at_ms=1, claimed_at_ms=72 * HOUR_MS)
    arm(flow, lambda flow: flow.retry(give_up_after=0))
    assert control_of(flow).park == RetrySignal(0)


@pytest.mark.parametrize(
    ("age_ms", "options"),
    [(2 * HOUR_MS, {"give_up_after": timedelta(hours=1)}), (0, {"delay": timedelta(hours=1), "give_up_after": 60})],
)
def test_w44_past_the_horizon_it_returns_and_nothing_is_armed(age_ms: int, options: dict[str, Any]) -> None:
    flow = Flow(step_created_at_ms=HOUR_MS, claimed_at_ms=HOUR_MS + age_ms)
    flow.retry(**options)
    assert control_of(flow).park is None


# ---------------------------------------------------------------- 45: the wire form


def test_w45_the_carrier_goes_round() -> None:
    for call in (lambda flow: flow.retry(delay=1), interrupt, subgraph):
        flow = Flow({"a": {"x": [1, None]}}, attempt=2, step_key="1-2-0123456789abcdef")
        flow["b"] = 1
        flow.goto("Next")
        flow.delay(5)
        arm(flow, call)
        twin = Flow.from_json(json.dumps(flow.to_json()))
        assert twin.to_json() == flow.to_json()
        assert control_of(twin) == control_of(flow)
        assert (twin.attempt, twin.step_key, dict(twin)) == (2, flow.step_key, dict(flow))


def test_w45_a_negative_delay_is_refused_here_and_none_over_the_wire() -> None:
    with pytest.raises(InvalidRequest):
        Flow().delay(-5)
    assert control_of(Flow.from_json({"sleepDuration": -5})).delay_ms == 0


# ---------------------------------------------------------------- 46, 91


@pytest.mark.parametrize("status", list(Status))
def test_w46_stopped(status: Status) -> None:
    stopped = status not in (Status.PENDING, Status.RUNNING)
    assert status.stopped is stopped
    assert Outcome(status=status).stopped is stopped


def test_w91_the_form_of_an_error() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert error_fields(TaskError("teapot", status_code=418, k=1), trace=trace) == {
        "error": "teapot",
        "statusCode": 418,
        "trace": trace,
        "k": 1,
    }
    assert error_fields(ValueError("plain")) == {"error": "plain", "statusCode": 500}
