"""Statuses, outcomes and steps."""

from __future__ import annotations

import dataclasses
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dwarf.errors import FlowCancelled, FlowFailed, FlowInterrupted, FlowStopped
from dwarf.workflow.results import FlowSummary, FlowUpdate, Outcome, Step, SubFlow
from dwarf.workflow.status import Status

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def test_statuses() -> None:
    assert [str(status) for status in Status] == [
        "pending", "running", "interrupted", "completed", "failed", "cancelled",
    ]  # fmt: skip
    assert [status for status in Status if status.stopped] == [
        Status.INTERRUPTED, Status.COMPLETED, Status.FAILED, Status.CANCELLED,
    ]  # fmt: skip
    assert [status for status in Status if status.terminal] == [Status.COMPLETED, Status.FAILED, Status.CANCELLED]
    assert Status("failed") is Status.FAILED
    assert {"failed": 1}[Status.FAILED] == 1


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.RUNNING, Status.PENDING])
def test_an_outcome_that_is_no_failure_passes_through(status: Status) -> None:
    outcome = Outcome(flow_key="1-2-secret", status=status, state={"x": 1})
    assert outcome.raise_for_status() is outcome
    assert outcome.stopped is status.stopped


@pytest.mark.parametrize(
    ("outcome", "error", "text"),
    [
        (Outcome(status=Status.FAILED, error="card declined"), FlowFailed, "card declined"),
        (Outcome(status=Status.FAILED), FlowFailed, "the flow failed"),
        (Outcome(status=Status.CANCELLED, cancel_reason="too late"), FlowCancelled, "too late"),
        (Outcome(status=Status.CANCELLED), FlowCancelled, "the flow was cancelled"),
        (Outcome(status=Status.INTERRUPTED, interrupt_payload={"title": "Go?"}), FlowInterrupted, "Go?"),
        (Outcome(status=Status.INTERRUPTED), FlowInterrupted, "the flow waits for an answer"),
        (
            Outcome(status=Status.INTERRUPTED, interrupt_payload={"title": 5}),
            FlowInterrupted,
            "the flow waits for an answer",
        ),
    ],
)
def test_an_outcome_that_stopped_short_raises(outcome: Outcome, error: type[FlowStopped], text: str) -> None:
    with pytest.raises(error) as caught:
        outcome.raise_for_status()
    assert str(caught.value) == text
    assert caught.value.outcome is outcome


@pytest.mark.parametrize(("key", "named"), [("3-42-a1b2c3d4", "3-42"), ("3-42-", "3-42"), ("3-42-a-b-c", "3-42")])
def test_the_error_names_the_flow_without_its_secret(key: str, named: str) -> None:
    with pytest.raises(FlowFailed) as caught:
        Outcome(flow_key=key, status=Status.FAILED, error="x").raise_for_status()
    assert caught.value.__notes__ == [f"flow {named} is failed"]


@pytest.mark.parametrize("status", Status)
def test_only_steps_that_stopped_have_a_duration(status: Status) -> None:
    step = Step(status=status, started_at=NOON, updated_at=NOON + timedelta(seconds=5))
    assert step.duration == (timedelta(seconds=5) if status.stopped else None)
    assert Step(status=status, updated_at=NOON).duration is None
    early = Step(status=status, started_at=NOON, updated_at=NOON - timedelta(seconds=5))
    assert early.duration == (timedelta() if status.stopped else None)


def test_a_step_has_started_unless_it_is_pending() -> None:
    assert [status for status in Status if not Step(status=status)._has_started] == [Status.PENDING]


def test_the_last_child_stands_for_all() -> None:
    children = [SubFlow(workflow_url=f"u{n}", workflow_name=f"N{n}", steps=[Step(id=n)]) for n in (1, 2)]
    step = Step(sub_flows=children)
    assert (step.sub_workflow_url, step.sub_workflow_name) == ("u2", "N2")
    assert [inner.id for inner in step.sub_steps] == [2]
    alone = Step()
    assert (alone.sub_workflow_url, alone.sub_workflow_name, list(alone.sub_steps)) == ("", "", [])


@pytest.mark.parametrize("kind", [Outcome, Step, SubFlow, FlowSummary, FlowUpdate])
def test_results_are_values(kind: Any) -> None:
    value = kind()
    assert value == kind()
    assert pickle.loads(pickle.dumps(value)) == value
    name = dataclasses.fields(kind)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, "other")
    assert not hasattr(value, "__dict__")


def test_an_update_has_an_outcome_and_steps() -> None:
    update = FlowUpdate(Outcome(status=Status.COMPLETED), [Step(id=1)])
    assert update.outcome.stopped
    assert update.steps[0].id == 1
