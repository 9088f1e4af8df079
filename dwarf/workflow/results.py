"""What the engine tells about flows and steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self, TypeAlias

from dwarf.errors import FlowCancelled, FlowFailed, FlowInterrupted, FlowStopped
from dwarf.workflow.status import Status

__all__ = ["NO_TIME", "Answered", "FlowSummary", "FlowUpdate", "Outcome", "Step", "SubFlow"]

JSON: TypeAlias = Any

NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for a time that is not known, where one is always given otherwise."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far a flow has come.

    ``state`` is the final state, or that of the waiting step of an interrupted flow, or empty while the flow runs.
    ``error`` is the text of the error of a failed flow.

    Example::

        outcome = await engine.run(graph, {"amount": 3})
        print(outcome.status, outcome.raise_for_status().state)
    """

    flow_key: str = ""
    status: Status = Status.RUNNING
    state: Mapping[str, JSON] = field(default_factory=dict)
    error: str = ""
    interrupt_payload: Mapping[str, JSON] = field(default_factory=dict)
    cancel_reason: str = ""
    _failed_at: str = field(default="", repr=False, compare=False)  # a node, if the waiting caller knew the steps

    @property
    def stopped(self) -> bool:
        """Whether nothing happens until somebody acts: completed, failed, cancelled or interrupted."""
        return self.status.stopped

    def raise_for_status(self) -> Self:
        """The outcome itself, unless the flow stopped before its end.

        FlowFailed, whose text is the error, FlowCancelled (the reason) or FlowInterrupted (the title of the prompt).
        A note on the error names the flow, without the secret part of its key, and in a notebook the node that failed.
        """
        stopped: FlowStopped
        if self.status is Status.FAILED:
            stopped = FlowFailed(self.error or "the flow failed", self)
        elif self.status is Status.CANCELLED:
            stopped = FlowCancelled(self.cancel_reason or "the flow was cancelled", self)
        elif self.status is Status.INTERRUPTED:
            title = self.interrupt_payload.get("title")
            text = title if title and isinstance(title, str) else "the flow waits for an answer"
            stopped = FlowInterrupted(text, self)
        else:
            return self
        if self.flow_key:
            at = f" at {self._failed_at!r}" if self._failed_at else ""
            stopped.add_note(f"flow {'-'.join(self.flow_key.split('-', 2)[:2])} is {self.status}{at}")
        raise stopped


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a flow's history.

    ``state``, ``changes`` and the neighbours' keys are there only where a single step was asked for. The ids of
    predecessor and successor are 0 where there is none. ``progress`` is (done, total, message) as last reported.
    ``attempt`` counts from 0; a step that is about to be tried again is pending, with the error of its last attempt and
    ``next_attempt_at``.
    ``warnings`` are texts about the step's outcome: it stands, and may not be what was meant.
    ``waited`` is how long it was due and did not run, over all its attempts, and ``ran`` the time in its task so far;
    None where they were not measured. ``answered_by`` are the names of the persons who have answered, where
    they were given. ``url`` is what the host was asked for, and ``code`` the digest of the function that ran last, ""
    before its first attempt is over and for hosts that cannot tell. ``cached``: its task was not run; the outcome is
    that of the step with the key ``cached_from``.

    Example::

        for step in await flow.history():
            print(step.node, step.status, step.attempt, step.error)
    """

    key: str = ""
    id: int = 0
    depth: int = 0
    ordinal: int = 0
    node: str = ""
    status: Status = Status.PENDING
    attempt: int = 0
    engine_id: int = 0
    predecessor_id: int = 0
    successor_id: int = 0
    prev_key: str = ""
    next_key: str = ""
    state: Mapping[str, JSON] | None = None
    changes: Mapping[str, JSON] | None = None
    interrupt_payload: Mapping[str, JSON] | None = None
    interrupt_deadline: datetime | None = None
    progress: tuple[float, float | None, str] | None = None
    parked: bool = False
    error: str = ""
    traceback: str = ""
    answered_by: Sequence[str] = ()
    sub_flows: Sequence[SubFlow] = ()
    created_at: datetime = NO_TIME
    started_at: datetime | None = None
    updated_at: datetime = NO_TIME
    not_before: datetime | None = None
    next_attempt_at: datetime | None = None
    warnings: Sequence[str] = ()
    url: str = ""
    code: str = ""
    waited: timedelta | None = None
    ran: timedelta | None = None
    cached: bool = False
    cached_from: str = ""

    @property
    def sub_workflow_url(self) -> str:
        """The URL of the last child's workflow, or ""."""
        return self.sub_flows[-1].workflow_url if self.sub_flows else ""

    @property
    def sub_workflow_name(self) -> str:
        """The name of the last child's workflow, or ""."""
        return self.sub_flows[-1].workflow_name if self.sub_flows else ""

    @property
    def sub_steps(self) -> Sequence[Step]:
        """The history of the last child; empty where there is none."""
        return self.sub_flows[-1].steps if self.sub_flows else ()

    @property
    def _has_started(self) -> bool:
        """Whether the step's task has been run at least once, as far as its status tells."""
        return self.status is not Status.PENDING

    @property
    def duration(self) -> timedelta | None:
        """The time in the task itself, over all its attempts; None before the start and while it is pending or running.

        Waits, for a thread, an answer or a child flow, are not in it. Where the time was not measured, as for steps
        that were written by a former version, it is the time from the first start to the last change.
        """
        if self.started_at is None or not self.status.stopped:
            return None
        if self.ran is not None:
            return self.ran
        return max(self.updated_at - self.started_at, timedelta())


@dataclass(frozen=True, slots=True)
class SubFlow:
    """A child flow of a step.

    Example::

        for step in await flow.history():
            for child in step.subflows:
                print(step.node, child.workflow_name, child.status)
    """

    flow_key: str = ""
    workflow_url: str = ""
    workflow_name: str = ""
    status: Status = Status.RUNNING
    steps: Sequence[Step] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """A question that a step put, and its answer: a person's, the default of one that timed out, or ``timed_out``.

    ``asked_at`` and ``answered_at`` are NO_TIME where they are not known, ``by`` is "" where nobody said who answered.

    Example::

        for answered in await flow.answers():
            print(answered.payload["title"], answered.value, answered.by, answered.answered_at)
    """

    step_key: str = ""
    step_id: int = 0
    node: str = ""
    payload: Mapping[str, JSON] = field(default_factory=dict)
    value: JSON = None
    timed_out: bool = False
    asked_at: datetime = NO_TIME
    answered_at: datetime = NO_TIME
    by: str = ""


@dataclass(frozen=True, slots=True)
class FlowSummary:
    """A flow in a listing. ``node`` is where it is, and empty during a fan-out.

    ``name`` and ``tags`` are what it was given for people; a child flow has the tags of its root.
    ``forked_from`` is the id of the step at which it was forked from another flow of its thread, 0 for no fork.

    Example::

        async for summary in engine.flows(status="failed"):
            print(summary.flow_key, summary.workflow_name, summary.error)
    """

    flow_key: str = ""
    thread_key: str = ""
    workflow_url: str = ""
    workflow_name: str = ""
    status: Status = Status.RUNNING
    node: str = ""
    error: str = ""
    cancel_reason: str = ""
    priority: int = 0
    fairness_key: str = ""
    trace_id: str = ""
    is_subgraph: bool = False
    created_at: datetime = NO_TIME
    started_at: datetime | None = None
    updated_at: datetime = NO_TIME
    forked_from: int = 0
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FlowUpdate:
    """What a watched flow looks like after a change.

    Example::

        async for update in flow.watch():
            print(update.status, update.node)
    """

    outcome: Outcome = field(default_factory=Outcome)
    steps: Sequence[Step] = ()
