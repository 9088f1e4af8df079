"""Taking work: due steps are found, leased by compare-and-set, and read whole, in one transaction.

Why candidates are locked as they are found, and those that others have locked are passed over: replicas look at the
same queue, and would otherwise wait for each other, or want the same steps. Why the lease is a compare-and-set all the
same: the oldest MariaDB cannot pass over locked rows, and a step that has changed meanwhile matches no row. Why limits
are counted inside the same transaction: a step that waits for a limit must hold no worker, on any replica. Why
everything a task needs is read here, by few statements for the whole claim: a read per step would cost more than the
step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, bindparam, case, func, literal_column, select, update

from dwarf.core.claiming import Candidates, Limited
from dwarf.core.limits import Admitted
from dwarf.core.records import JSON, FlowRecord, State, StepRecord
from dwarf.storage.operations.due_queue import (
    ANY_BAND,
    ANY_CRASHES,
    FIRST_TO_WAKE,
    NEXT_APART,
    SET_ASIDE,
    STILL_PENDING,
    find_due,
)
from dwarf.storage.operations.limits import admit
from dwarf.storage.payloads.state_refs import fetch_anchors
from dwarf.storage.sql.expressions import flag_is, in_ids, of_row, status_is
from dwarf.storage.sql.graphs import PlanOf, load_plan
from dwarf.storage.sql.rows import FLOW_COLUMNS, FlowRow, columns, read_object, restore
from dwarf.storage.sql.script import Execute, Fetch, Now, Script, Statement
from dwarf.storage.sql.tables import deadlines, flows, steps
from dwarf.workflow.jsontext import loads
from dwarf.workflow.signals import Answer
from dwarf.workflow.status import Status

NEXT_DUE = Statement("next_due", select(FIRST_TO_WAKE.scalar_subquery()))
_FIRST_OVERDUE = select(func.min(steps.c.interrupt_deadline)).where(
    status_is(steps.c.status, Status.INTERRUPTED), steps.c.interrupt_deadline > literal_column("0")
)
_FIRST_FLOW = select(func.min(deadlines.c.due_at))
NEXT_DEADLINE = Statement("next_deadline", select(_FIRST_OVERDUE.scalar_subquery(), _FIRST_FLOW.scalar_subquery()))
_NOW = bindparam("now", type_=BigInteger)  # typed, as it would otherwise take the type of the other operand


class ClaimedRow(NamedTuple):
    """The columns of a leased step."""

    step_id: int
    flow_id: int
    token: str
    node: str
    depth: int
    state: str
    refs: str
    changes: str
    attempt: int
    lineage_id: int
    ordinal: int
    answers: str
    lease_seq: int
    created_at: int
    crashes: int
    started_at: int

    def record(
        self, flow: FlowRecord, anchors: Mapping[int, State], now: int, stored_answers: Sequence[JSON] | None = None
    ) -> StepRecord:
        """The step; ``stored_answers`` replaces the answers of the row."""
        refs = read_object(self.refs)
        if stored_answers is None:
            stored_answers = loads(self.answers) if self.answers else []
        return StepRecord(
            flow=flow,
            step_id=self.step_id,
            token=self.token,
            node=self.node,
            depth=self.depth,
            state=restore(self.state, refs, anchors),
            refs=refs,
            changes=read_object(self.changes),
            attempt=self.attempt,
            lineage_id=self.lineage_id,
            ordinal=self.ordinal,
            answers=[Answer.from_json(answer) for answer in stored_answers],
            lease_seq=self.lease_seq,
            created_at=self.created_at,
            claimed_at=now,
            crashes=self.crashes,
            started_at=self.started_at,
        )

    def sizes(self, workflow_url: str) -> Read:
        """The sizes of the step's payloads."""
        return Read(workflow_url, state=len(self.state), changes=len(self.changes), answers=len(self.answers))


class Read(NamedTuple):
    """The lengths of three payloads of a leased step."""

    workflow_url: str
    state: int
    changes: int
    answers: int


CLAIMED = columns(ClaimedRow, steps)
LEASE: dict[str, Any] = {
    "status": literal_column("'running'"),
    "lease_expires": _NOW + steps.c.time_budget_ms + bindparam("margin"),
    "lease_seq": steps.c.lease_seq + literal_column("1"),
    "engine_id": bindparam("new_engine_id"),
    "started_at": case((steps.c.started_at == literal_column("0"), _NOW), else_=steps.c.started_at),
    "updated_at": _NOW,
    # since it became due: by its insertion, or by its return to pending for another attempt or with an answer; the
    # clock of the replica that wrote that may have been slightly ahead
    "waited_us": case(
        (
            steps.c.not_before < _NOW,
            steps.c.waited_us + (_NOW - steps.c.not_before) * literal_column("1000"),
        ),
        else_=steps.c.waited_us,
    ),
}
_LEASE_APART = (
    update(steps)
    .where(in_ids(steps.c.step_id, "ids"), *STILL_PENDING, steps.c.lease_expires <= bindparam("now"))
    .values(LEASE)
)
_LEASE = _LEASE_APART.where(flag_is(of_row(steps.c.asleep), 0))
# Without RETURNING, ``find_due`` has locked the rows: no other transaction can have leased them.
_LEASED = select(*CLAIMED).where(
    in_ids(steps.c.step_id, "ids"),
    status_is(steps.c.status, Status.RUNNING),
    steps.c.engine_id == bindparam("new_engine_id"),
    steps.c.updated_at == _NOW,
)
CLAIM = Statement("claim_steps", _LEASE.returning(*CLAIMED), returning_fallback=(_LEASE, _LEASED))
CLAIM_APART = Statement("claim_any_steps", _LEASE_APART.returning(*CLAIMED), returning_fallback=(_LEASE_APART, _LEASED))
FLOWS = Statement("claimed_flows", select(*FLOW_COLUMNS).where(in_ids(flows.c.flow_id, "ids")))
OWN_GRAPHS = Statement(
    "graphs_of_steps",
    select(steps.c.step_id, steps.c.node, flows.c.graph_hash).where(
        in_ids(steps.c.step_id, "ids"), flows.c.flow_id == steps.c.flow_id
    ),
)
CONVERGE_ENDED = Statement(
    "converge_ended",
    update(steps)
    .where(steps.c.step_id == bindparam("id"), status_is(of_row(steps.c.status), Status.RUNNING))
    .values(status=bindparam("new_status"), parked=literal_column("0"), updated_at=bindparam("now")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The leased steps, in the order in which they became due, and the moment of the next work if there was too little.

    ``next_due``, ``next_deadline`` (of a question) and ``flow_deadline`` are epoch milliseconds, or None without such a
    moment. ``lost`` steps were leased by another replica first. ``waking``: so many delayed steps became due that
    nothing was leased yet. ``read`` has the payload sizes of each step.
    """

    now: int
    steps: list[StepRecord] = field(default_factory=list)
    next_due: int | None = None
    next_deadline: int | None = None
    flow_deadline: int | None = None
    lost: int = 0
    read: Sequence[Read] = ()
    waking: bool = False


def claim_due(
    limit: int,
    busy: Callable[[str], bool],
    *,
    shard: int,
    engine_id: int,
    margin_ms: int,
    plan_of: PlanOf,
    random: Random,
    quarantine_at: int = ANY_CRASHES,
    none_quarantined: bool = True,
    ceiling: int = ANY_BAND,
    by_name: Callable[[str], bool] = lambda _: False,
    labels: Sequence[str] = (),
) -> Script[Claimed]:
    """Lease up to ``limit`` due steps. ``busy(url)`` tells whether a task cannot start now.

    ``plan_of(graph_hash, body)`` prepares a graph, or returns None for an unknown hash without a body. Steps that have
    crashed their process ``quarantine_at`` times run one at a time, so that a crash interrupts no other such step;
    ``none_quarantined`` tells that none of them is running here. ``ceiling`` is the worst priority that may be leased.
    ``by_name(url)`` tells whether this may be the unscoped name of a task, as in flows of earlier releases. ``labels``
    are the sets of labels whose steps are leased, before all others.
    """
    now = yield Now()
    apart = (yield from _set_aside(limit, busy, now, labels)) if labels else []
    rest = limit - len(apart)
    choice = yield from _choose(
        rest, busy, now, random, quarantine_at, none_quarantined, ceiling, _Names(by_name, plan_of)
    )
    if choice is None and not apart:
        return Claimed(now=now, waking=True)
    others, again = choice or ([], None)
    wanted = [*apart, *others]
    if not wanted:
        ((due,),) = yield Fetch(NEXT_DUE, {})
        if labels:
            ((due_apart,),) = yield Fetch(NEXT_APART, {"sets": labels})
            due = min((moment for moment in (due, due_apart) if moment is not None), default=None)
        # a limit may have room again before the next step becomes due
        due = again if due is None or (again is not None and again < due) else due
        ((deadline, flow_deadline),) = yield Fetch(NEXT_DEADLINE, {})
        return Claimed(now=now, next_due=due, next_deadline=deadline, flow_deadline=flow_deadline)
    rows = yield Fetch(
        CLAIM_APART if labels else CLAIM,
        {"ids": wanted, "now": now, "margin": margin_ms, "new_engine_id": engine_id},
    )
    claimed = [ClaimedRow._make(row) for row in rows]
    lost = len(wanted) - len(claimed)
    rank = {step_id: position for position, step_id in enumerate(wanted)}
    # RETURNING promises no order
    claimed.sort(key=lambda row: rank[row.step_id])
    owners = yield from _owners({row.flow_id for row in claimed}, shard, plan_of)
    claimed = yield from _without_ended(claimed, owners, now)
    anchors = yield from fetch_anchors(anchor for row in claimed for anchor in read_object(row.refs).values())
    read = [row.sizes(owners[row.flow_id].flow.workflow_url) for row in claimed]
    records = [row.record(owners[row.flow_id].flow, anchors, now) for row in claimed]
    return Claimed(now=now, steps=records, lost=lost, read=read)


def next_deadlines() -> Script[tuple[int, int | None, int | None]]:
    """The present time, and the first deadlines of a question and of a flow."""
    now = yield Now()
    ((question, flow),) = yield Fetch(NEXT_DEADLINE, {})
    return now, question, flow


def _set_aside(limit: int, busy: Callable[[str], bool], now: int, sets: Sequence[str]) -> Script[list[int]]:
    """The steps to lease among those for engines with these sets of labels, by priority and age."""
    rows = (yield Fetch(SET_ASIDE, {"now": now, "sets": sets, "limit": limit})) if limit > 0 else []
    free: list[int] = []
    limited: list[Limited] = []
    for step_id, url, name, rule in rows:
        if busy(url):
            continue
        if name:
            limited.append(Limited(step_id, name, rule))
        else:
            free.append(step_id)
    admitted = Admitted()
    if limited:
        yield from admit(limited, now, admitted)
    return [*admitted.step_ids, *free]


class _Names:
    """Resolves unscoped task names, in flows that were created when tasks had no scopes."""

    def __init__(self, by_name: Callable[[str], bool], plan_of: PlanOf) -> None:
        self._by_name = by_name
        self._plan_of = plan_of

    def urls(self, due: Sequence[tuple[int, str]]) -> Script[dict[int, str]]:
        """The URLs of these tasks, by step. Takes steps and their tasks."""
        barely = [step_id for step_id, url in due if self._by_name(url)]
        found: dict[int, str] = {}
        if barely:
            for step_id, node, graph_hash in (yield Fetch(OWN_GRAPHS, {"ids": sorted(barely)})):
                plan = yield from load_plan(graph_hash, self._plan_of)
                found[step_id] = plan.nodes[node].need
        return found


def _choose(
    limit: int,
    busy: Callable[[str], bool],
    now: int,
    random: Random,
    quarantine_at: int,
    none_quarantined: bool,
    ceiling: int,
    names: _Names,
) -> Script[tuple[list[int], int | None] | None]:
    """The due steps to lease, and when an exhausted limit has room again. None as in ``find_due``."""
    admitted = Admitted()
    candidates = Candidates(
        busy, quarantine_at=quarantine_at, none_quarantined=none_quarantined, any_crashes=ANY_CRASHES
    )
    found = (yield from find_due(limit, now, (), (), random, candidates.crashes_below, ceiling)) if limit > 0 else []
    while found is not None:
        named = yield from names.urls([(step_id, url) for step_id, url, *_ in found])
        limited = candidates.look(found, named)
        if limited:
            yield from admit(limited, now, admitted)
        if len(found) < limit or len(candidates.free) + len(admitted.step_ids) >= limit:
            return [*admitted.step_ids, *candidates.free][:limit], admitted.again
        # steps that cannot start, for lack of a thread or over their limit, must not hide the steps behind them
        shut = sorted(candidates.shut)
        found = yield from find_due(limit, now, admitted.full, shut, random, candidates.crashes_below, ceiling)
    return None


class _Owner(NamedTuple):
    """The flow of a leased step."""

    flow: FlowRecord
    status: Status


def _owners(flow_ids: Collection[int], shard: int, plan_of: PlanOf) -> Script[dict[int, _Owner]]:
    rows = yield Fetch(FLOWS, {"ids": sorted(flow_ids)})
    owners: dict[int, _Owner] = {}
    for flow in map(FlowRow._make, rows):
        plan = yield from load_plan(flow.graph_hash, plan_of)
        owners[flow.flow_id] = _Owner(flow.record(shard, plan), Status(flow.status))
    return owners


def _without_ended(claimed: Sequence[ClaimedRow], owners: Mapping[int, _Owner], now: int) -> Script[list[ClaimedRow]]:
    """A pending step of an ended flow gets the flow's status instead of running."""
    live: list[ClaimedRow] = []
    for row in claimed:
        # A flow that fails in one branch leaves the pending steps of its other branches as they are, however many
        # there are: each gets its status when it is claimed.
        status = owners[row.flow_id].status
        if status.terminal:
            yield Execute(CONVERGE_ENDED, {"id": row.step_id, "new_status": status.value, "now": now})
        else:
            live.append(row)
    return live
