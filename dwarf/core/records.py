"""Flows and steps as the engine holds them in memory. States are plain tagged JSON and are shared, never mutated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dwarf.core.keys import format_key
from dwarf.core.plan import Plan
from dwarf.workflow.signals import Answer

JSON = Any
State = Mapping[str, JSON]


@dataclass(slots=True)
class FlowRecord:
    """The facts of a flow that do not change while it runs (``updated_at``: as last read)."""

    shard: int
    flow_id: int
    token: str
    workflow_url: str
    plan: Plan
    graph_hash: str
    baggage: State
    parent_flow_id: int
    parent_step_id: int
    root_flow_id: int
    priority: int
    fairness_key: str
    fairness_weight: float
    time_budget_ms: int
    created_at: int
    updated_at: int
    thread_id: int = 0
    thread_token: str = ""
    trace_parent: str = ""
    delete_on_completion: bool = False


@dataclass(slots=True)
class StepRecord:
    """A step leased to this replica."""

    flow: FlowRecord
    step_id: int
    token: str
    node: str
    depth: int
    state: State  # the input, whole
    refs: Mapping[str, int]  # fields of the input that are stored with another step
    changes: State  # of earlier attempts and parks
    attempt: int
    lineage_id: int
    ordinal: int
    answers: Sequence[Answer]
    lease_seq: int
    created_at: int
    claimed_at: int
    crashes: int = 0


@dataclass(slots=True)
class NewStep:
    """A step to insert."""

    flow: FlowRecord
    step_id: int
    token: str
    node: str
    depth: int
    state: State
    stored: str  # JSON text of the part of the state that is stored with the step
    refs: Mapping[str, int]
    lineage_id: int
    ordinal: int
    predecessor_id: int
    delay_ms: int
    leased: bool  # inserted running, leased to this replica, and handed over after the commit
    limit_name: str = ""
    limit_rule: str = ""

    @property
    def url(self) -> str:
        """What the host is asked for."""
        return self.flow.plan.nodes[self.node].url


@dataclass(slots=True)
class NewFlow:
    """A flow to insert, with its first step."""

    record: FlowRecord
    graph_body: str
    entry: NewStep
    initial: State
    idempotency_key: str | None = None
    request_hash: str = ""
    forked_from_step: int = 0
    note: Any = None  # the engine's own, on the start of the flow; not stored

    @property
    def key(self) -> str:
        """The flow's key."""
        return format_key(self.record.shard, self.record.flow_id, self.record.token)


@dataclass(slots=True)
class Member:
    """What a completed step of a cohort adds to its fan-in."""

    step_id: int
    depth: int
    changes: State


@dataclass(slots=True)
class Spawn:
    """The step that opened a cohort, as read when the cohort is settled."""

    step_id: int
    node: str
    depth: int
    lineage_id: int
    ordinal: int
    state: State
    refs: Mapping[str, int]
    changes: State
    successor_id: int = 0
    members: list[Member] = field(default_factory=list)
