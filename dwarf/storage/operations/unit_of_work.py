"""The changes of a transaction: rows to insert at its end, and its effects for the engine after the commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from sqlalchemy import bindparam, update

from dwarf.core.breakpoints import Breakpoints
from dwarf.core.records import FlowRecord, NewFlow, NewStep, State, StepRecord
from dwarf.core.step import DecisionContext
from dwarf.storage.operations.caching import keep_outcomes
from dwarf.storage.operations.output import take_over_said
from dwarf.storage.sql.expressions import ZERO, of_row, status_is
from dwarf.storage.sql.graphs import PlanOf
from dwarf.storage.sql.rows import GRAPH_KNOWN, INSERT_GRAPH, insert_flows, insert_steps
from dwarf.storage.sql.script import Fetch, InsertMany, Params, Script, Statement, UpdateEach, WriteSet
from dwarf.storage.sql.tables import steps
from dwarf.workflow.status import Status

SlotPredicate: TypeAlias = Callable[[FlowRecord, str], bool]
"""Whether a step of a flow may take the slot kept for it; the second argument is its task's URL."""

ALWAYS = -1  # in a write set: a row that needs no other
LINK_MEMBERS = Statement(
    "link_members",
    update(steps)
    .where(
        steps.c.lineage_id == bindparam("id"),
        steps.c.lineage_id > ZERO,
        status_is(of_row(steps.c.status), Status.COMPLETED),
        steps.c.successor_id == ZERO,
    )
    .values(successor_id=bindparam("fan_in")),
)


class Hook(NamedTuple):
    """A workflow of which a flow is created at each event of a kind."""

    event: str
    workflow_url: str
    graph_hash: str
    priority: int
    time_budget_ms: int


@dataclass(slots=True)
class WriterIdentity:
    """The writing replica on one shard, whose id may change, with the inputs of its decisions from outside.

    Steps that have crashed their process ``quarantine_at`` times run only apart from others.
    """

    shard: int
    engine_id: int
    margin_ms: int
    decision_context: DecisionContext
    plan_of: PlanOf
    quarantine_at: int
    next_flow_id: Callable[[], int]
    hooks: Mapping[str, Hook] = field(default_factory=dict)  # by event, as last read
    known_graphs: set[str] = field(default_factory=set)  # hashes of graphs that are stored


@dataclass(frozen=True, slots=True)
class Stop:
    """A stopped flow. ``final_state`` is set if it is at hand."""

    flow_id: int
    status: Status
    final_state: State | None = None
    error: str = ""
    workflow: str = ""  # the URL, if the flow has ended
    token: str = ""


@dataclass(slots=True)
class UnitOfWork:
    """The changes gathered while a transaction runs."""

    writer: WriterIdentity
    now: int
    steps: list[NewStep] = field(default_factory=list)
    flows: list[NewFlow] = field(default_factory=list)
    graphs: dict[str, str] = field(default_factory=dict)
    stops: list[Stop] = field(default_factory=list)
    links: list[Params] = field(default_factory=list)  # joined cohorts, and their fan-in steps
    moved: set[int] = field(default_factory=set)  # root flows with a visible change
    work_due: bool = False  # a step became pending, or something has a new due moment
    kept: list[Params] = field(default_factory=list)  # outcomes to cache
    taking: list[StepRecord] = field(default_factory=list)  # steps that reuse an outcome with output
    resumed: list[int] = field(default_factory=list)  # interrupted flows that run again
    points: dict[int, Breakpoints] | None = None  # flows whose breakpoints have changed
    written: Counter[tuple[str, str]] | None = None  # payload sizes by workflow and column, if they are wanted
    read: list[tuple[str, int, int, int]] = field(default_factory=list)  # the same for reads; see claim.Read
    slot_predicate: SlotPredicate | None = None  # for the step that is woken
    slot_predicates: Mapping[int, SlotPredicate] = field(
        default_factory=dict
    )  # for the step that called a flow which ends, by the flow
    woken: list[StepRecord] = field(default_factory=list)  # leased to this replica
    revived: dict[int, StepRecord] = field(default_factory=dict)  # the same, by the flow that has ended
    last: bool = False  # nothing follows in the transaction; see WriteSet

    def add_graph(self, graph_hash: str, body: str) -> None:
        """Keep the graph of a new flow, unless it is known to be kept."""
        if graph_hash not in self.writer.known_graphs:
            self.graphs.setdefault(graph_hash, body)

    def add_flow(self, flow: NewFlow) -> None:
        """Insert a flow with its first step."""
        self.flows.append(flow)
        self.add_step(flow.entry)

    def add_step(self, step: NewStep) -> None:
        """Insert a step."""
        self.steps.append(step)
        if not step.leased:
            self.work_due = True

    def stopped(self, flow: FlowRecord, status: Status, final_state: State | None = None, error: str = "") -> None:
        """Notify the waiters of a flow."""
        stop = Stop(flow.flow_id, status, final_state, error=error, workflow=flow.workflow_url, token=flow.token)
        self.stops.append(stop)
        self.moved.add(flow.root_flow_id)

    def insert(self) -> Script[None]:
        """Insert the gathered rows, at the end of the transaction."""
        for graph_hash, body in self.graphs.items():
            # Two engines may store one graph at the same time: the second finds its key taken, and its script is run
            # again.
            if not (yield Fetch(GRAPH_KNOWN, {"graph_hash": graph_hash})):
                yield InsertMany(INSERT_GRAPH, [{"graph_hash": graph_hash, "body": body}])
        if self.kept:
            yield keep_outcomes(self.kept)
        if self.taking:
            yield from take_over_said(self.taking, self.now)
        rest = insert_rows(self.flows, self.steps, self)
        if self.links or rest:
            links, written = UpdateEach(LINK_MEMBERS, self.links), [(part, [ALWAYS] * len(part.rows)) for part in rest]
            yield WriteSet([links], written, self.last)
        self.count_states()

    def count_states(self) -> None:
        """Add the state sizes of the new steps, if they are wanted."""
        if self.written is not None:
            for step in self.steps:
                self.written[step.flow.workflow_url, "state"] += len(step.stored)


def insert_rows(flows: Sequence[NewFlow], steps: Sequence[NewStep], work: UnitOfWork) -> list[InsertMany]:
    """The rows of new flows and steps."""
    writer = work.writer
    parts = insert_flows(flows, work.now, writer.engine_id) if flows else []
    if steps:
        parts.append(insert_steps(steps, work.now, writer.engine_id, writer.margin_ms))
    return parts
