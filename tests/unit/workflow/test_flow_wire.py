"""The wire form of a Flow."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from dwarf.errors import Parked, StateError
from dwarf.workflow.flow import Flow
from dwarf.workflow.graph import Graph
from dwarf.workflow.signals import Answer, Control, Interrupt, RetrySignal, Subgraph, control_of


def over_the_wire(flow: Flow) -> Flow:
    return Flow.from_json(json.dumps(flow.to_json()))


def test_a_fresh_flow() -> None:
    assert Flow().to_json() == {"state": {}, "changes": {}}
    assert Flow.from_json({}) == {}
    assert Flow.from_json('{"state": null}').to_json() == {"state": {}, "changes": {}}


def test_everything_goes_round() -> None:
    flow = Flow(
        {"a": 1, "big": 1234567890123456789, "gone": None}, {"b": {"$dwarf": "date", "v": "2024-01-02"}}, key="1-2-f",
        step_key="1-3-s", node="N", attempt=2, created_at_ms=1_700_000_000_123, updated_at_ms=1_700_000_000_456,
        step_created_at_ms=1_700_000_001_000, claimed_at_ms=1_700_000_002_000, baggage={"user": "ada"},
        answers=[Answer("interrupt", 1), Answer("subgraph", {}, "boom", status="failed")],
    )  # fmt: skip
    flow["c"] = None
    flow.goto("X")
    flow.delay(1.5)
    assert flow.interrupt() == 1
    form = flow.to_json()
    assert form == {
        "flowKey": "1-2-f",
        "stepKey": "1-3-s",
        "node": "N",
        "attempt": 2,
        "state": {"a": 1, "big": 1234567890123456789, "gone": None},
        "changes": {"b": {"$dwarf": "date", "v": "2024-01-02"}, "c": None},
        "goto": "X",
        "sleepDuration": 1_500_000_000,
        "createdAt": "2023-11-14T22:13:20.123Z",
        "updatedAt": "2023-11-14T22:13:20.456Z",
        "stepCreatedAt": "2023-11-14T22:13:21.000Z",
        "claimedAt": "2023-11-14T22:13:22.000Z",
        "baggage": {"user": "ada"},
        "answers": [{"kind": "interrupt", "value": 1}, {"kind": "subgraph", "error": "boom", "status": "failed", "value": {}}],
        "answersClaimed": [0],
    }  # fmt: skip
    twin = over_the_wire(flow)
    assert twin.to_json() == form
    assert (twin.key, twin.step_key, twin.node, twin.attempt) == (flow.key, flow.step_key, flow.node, flow.attempt)
    assert (twin.created_at, twin.baggage, dict(twin)) == (flow.created_at, flow.baggage, dict(flow))
    assert control_of(twin) == Control("X", 1500, unclaimed=(1,))


@pytest.mark.parametrize(
    ("call", "park", "form"),
    [
        (
            lambda flow: flow.interrupt({"title": "Q"}, timeout=2, default=None),
            Interrupt({"title": "Q"}, 2000, None, True),
            {
                "interrupt": True,
                "interruptPayload": {"title": "Q"},
                "interruptTimeout": 2_000_000_000,
                "interruptDefault": None,
            },
        ),
        (lambda flow: flow.interrupt(), Interrupt(), {"interrupt": True, "interruptPayload": {}}),
        (lambda flow: flow.interrupt(timeout=0), Interrupt({}, 0), None),
        (
            lambda flow: flow.subgraph("child", {"a": 1}),
            Subgraph("child", {"a": 1}),
            {"subgraphURL": "child", "subgraphInput": {"a": 1}},
        ),
        (
            lambda flow: flow.subgraph(Graph("inline").add_node("A")),
            Subgraph(Graph("inline").add_node("A")),
            None,
        ),
        (lambda flow: flow.retry(delay=3), RetrySignal(3000), {"retry": True, "backoffInitialDelay": 3_000_000_000}),
    ],
)
def test_parks_go_round(call: Callable[[Flow], Any], park: Any, form: dict[str, Any] | None) -> None:
    flow = Flow()
    with pytest.raises(Parked):
        call(flow)
    if form is not None:
        assert flow.to_json() == {"state": {}, "changes": {}, **form}
    twin = over_the_wire(flow)
    assert control_of(twin).park == park
    assert twin.to_json() == flow.to_json()


def test_a_flow_can_be_run_elsewhere() -> None:
    flow = Flow({"n": 1}, answers=[Answer("interrupt", "yes")])
    remote = over_the_wire(flow)
    remote["answer"] = remote.interrupt("Q")
    with pytest.raises(Parked):
        remote.subgraph("child")
    flow._adopt(over_the_wire(remote))
    assert flow.changes == {"answer": "yes"}
    assert control_of(flow).park == Subgraph("child")


def test_unknown_keys_are_ignored_and_bytes_are_read() -> None:
    flow = Flow.from_json(b'{"state": {"a": 1}, "later": {"x": 1}, "spanID": "1"}')
    assert dict(flow) == {"a": 1}
    assert flow.to_json() == {"state": {"a": 1}, "changes": {}}


def test_negative_numbers_read_as_none_at_all() -> None:
    flow = Flow.from_json({"sleepDuration": -5, "attempt": -1, "answersClaimed": [9, "x"]})
    assert control_of(flow).delay_ms == 0
    assert flow.attempt == 0
    assert flow.to_json() == {"state": {}, "changes": {}}


def test_times_with_nanoseconds_and_offsets_are_read() -> None:
    flow = Flow.from_json({"createdAt": "2024-01-02T03:04:05.123456789Z", "updatedAt": "2024-01-02T03:04:05+01:00"})
    assert flow.created_at.isoformat() == "2024-01-02T03:04:05.123000+00:00"
    assert flow.updated_at.isoformat() == "2024-01-02T02:04:05+00:00"


@pytest.mark.parametrize(
    "document",
    [
        "[]",
        "5",
        "{",
        b"\xff",
        [],
        None,
        {"state": []},
        {"state": {"": 1}},
        {"changes": "x"},
        {"flowKey": 5},
        {"attempt": "1"},
        {"attempt": True},
        {"interrupt": 1},
        {"goto": ["A"]},
        {"createdAt": "yesterday"},
        {"answers": {}},
        {"answers": [{"kind": "other"}]},
        {"answers": [5]},
        {"sleepDuration": 1.5},
        {"interrupt": True, "retry": True},
        {"subgraphGraph": {"tasks": 5}},
    ],
)
def test_wrong_shapes_are_refused(document: Any) -> None:
    with pytest.raises(StateError):
        Flow.from_json(document)


def test_changing_the_form_does_not_change_the_flow() -> None:
    flow = Flow({"a": 1})
    flow.to_json()["changes"]["b"] = 1
    flow.to_json()["state"]["b"] = 1
    assert dict(flow) == {"a": 1}
