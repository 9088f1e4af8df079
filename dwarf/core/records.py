"""Flows and steps in memory. States are plain tagged JSON; they are shared and never mutated.

Records are made by the names of their fields. A record that is made for each step is filled in field by field: a call
with as many keywords takes 4 microseconds longer, and there are two for each step. A test checks that no field is left
out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dwarf.core.keys import format_key
from dwarf.core.plan import Plan
from dwarf.workflow.signals import Answer

if TYPE_CHECKING:
    from dwarf.core.breakpoints import Breakpoints

JSON = Any
State = Mapping[str, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """Rare options of a flow. A flow without any of them writes nothing for them."""

    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    start_at: int = 0  # epoch milliseconds, like the next
    deadline_at: int = 0
    deadline_ms: int = 0  # relative to the creation
    before: Sequence[str] = ()  # nodes at which the flow stops
    after: Sequence[str] = ()


NO_EXTRAS = Extras()


@dataclass(slots=True, kw_only=True)
class FlowRecord:
    """The facts of a flow that do not change while it runs (``updated_at`` is as last read)."""

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
    created_at: int = 0  # 0 until it is inserted
    updated_at: int = 0
    thread_id: int = 0
    thread_token: str = ""
    trace_parent: str = ""
    delete_on_completion: bool = False
    scheduled_at: int = 0  # the tick of the schedule that created the root flow
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)  # tags of the root flow, as last read
    breakpoints: Breakpoints | None = None  # as last read
    hook: str = ""  # the event of the hook that created the root flow


@dataclass(frozen=True, slots=True)
class Keep:
    """The cache entry for a step's outcome, for steps with the same code and input. ``ttl_ms``: 0 for no expiry."""

    key: str
    url: str
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Taken:
    """The step whose lines and displays are reused, and a new id for each of its displays."""

    step_id: int
    display_ids: Sequence[int]


@dataclass(slots=True, kw_only=True)
class StepRecord:
    """A step leased to this replica."""

    flow: FlowRecord
    step_id: int
    token: str
    node: str
    depth: int
    state: State  # the whole input
    refs: Mapping[str, int]  # fields of the input that are stored with another step
    changes: State  # changes of earlier attempts and parks
    attempt: int
    lineage_id: int
    ordinal: int
    answers: Sequence[Answer]
    lease_seq: int
    created_at: int
    claimed_at: int
    crashes: int = 0
    started_at: int = 0  # start of the first attempt; 0 if this is the first
    ran_us: int = 0  # time in the task in this attempt, in microseconds
    waited_us: int = 0  # time in which the task waited for a thread, in microseconds
    code: str = ""  # digest of the function that ran, if the host can tell
    cached_from: str = ""  # key of the step whose outcome this one reuses
    taken: Taken | None = None  # output of that step, if it has any
    keep: Keep | None = None  # the cache entry for its own outcome

    @property
    def need(self) -> str:
        """The need of the step's node; see ``need_of``."""
        return self.flow.plan.nodes[self.node].need

    @property
    def time_budget_ms(self) -> int:
        """The time budget of one attempt, in milliseconds."""
        return self.flow.plan.nodes[self.node].time_budget_ms or self.flow.time_budget_ms

    @classmethod
    def leased(cls, new: NewStep, now: int) -> StepRecord:
        """A new step that was inserted with a lease of this replica."""
        step = cls.__new__(cls)
        step.flow = new.flow
        step.step_id = new.step_id
        step.token = new.token
        step.node = new.node
        step.depth = new.depth
        step.state = new.state
        step.refs = new.refs
        step.changes = {}
        step.attempt = 0
        step.lineage_id = new.lineage_id
        step.ordinal = new.ordinal
        step.answers = ()
        step.lease_seq = 1
        step.created_at = now
        step.claimed_at = step.started_at = now
        step.crashes = step.ran_us = step.waited_us = 0
        step.code = step.cached_from = ""
        step.keep = step.taken = None
        return step


@dataclass(slots=True, kw_only=True)
class NewStep:
    """A step to insert."""

    flow: FlowRecord
    step_id: int
    token: str
    node: str
    depth: int
    state: State
    stored: str  # JSON text of the part of the state that is stored with the step
    refs: Mapping[str, int] = field(default_factory=dict)
    lineage_id: int = 0
    ordinal: int = 0
    predecessor_id: int = 0
    delay_ms: int = 0
    not_before: int = 0  # for the first step of a flow with a later start
    leased: bool = False  # inserted as running, leased to this replica, and handed over after the commit
    limit_name: str = ""
    limit_rule: str = ""

    @property
    def labels(self) -> str:
        """The labels that an engine needs; see ``NodePlan``."""
        return self.flow.plan.nodes[self.node].labels

    @property
    def need(self) -> str:
        """The need of the step's node; see ``need_of``."""
        return self.flow.plan.nodes[self.node].need

    @property
    def time_budget_ms(self) -> int:
        """The time budget of one attempt, in milliseconds."""
        return self.flow.plan.nodes[self.node].time_budget_ms or self.flow.time_budget_ms


@dataclass(slots=True, kw_only=True)
class NewFlow:
    """A flow to insert, with its first step."""

    record: FlowRecord
    graph_body: str
    entry: NewStep
    initial: State
    idempotency_key: str | None = None
    request_hash: str = ""
    forked_from_step: int = 0
    deadline_at: int = 0
    deadline_ms: int = 0
    note: Any = None  # for the engine, about the start of the flow; not stored

    @property
    def key(self) -> str:
        """The flow's key."""
        return format_key(self.record.shard, self.record.flow_id, self.record.token)


@dataclass(slots=True)
class Member:
    """The contribution of a completed step of a cohort to its fan-in."""

    step_id: int
    depth: int
    changes: State


@dataclass(slots=True, kw_only=True)
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
