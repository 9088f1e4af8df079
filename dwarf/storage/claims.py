"""Taking work: due steps are found, leased by compare-and-set, and read whole, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from sqlalchemy import BigInteger, bindparam, case, func, literal_column, select, update

from dwarf.core.plan import Plan
from dwarf.core.records import FlowRecord, StepRecord
from dwarf.storage.effects import PlanOf
from dwarf.storage.expressions import flag_is, in_ids, of_row, status_is
from dwarf.storage.limits import Admitted, admit
from dwarf.storage.payloads.refs import fetch_anchors
from dwarf.storage.rows import FLOW_COLUMNS, flow_record, read_object, restore
from dwarf.storage.script import Execute, Fetch, Now, Row, Script, Statement
from dwarf.storage.supply import ANY_BAND, ANY_CRASHES, FIRST_TO_WAKE, STILL_PENDING, find_due
from dwarf.storage.tables import flows, graphs, steps
from dwarf.workflow.jsontext import loads
from dwarf.workflow.signals import Answer
from dwarf.workflow.status import Status

NEXT_DUE = Statement("next_due", select(FIRST_TO_WAKE.scalar_subquery()))
NEXT_DEADLINE = Statement(
    "next_deadline",
    select(func.min(steps.c.interrupt_deadline)).where(
        status_is(steps.c.status, Status.INTERRUPTED), steps.c.interrupt_deadline > literal_column("0")
    ),
)
_NOW = bindparam("now", type_=BigInteger)  # it would take the type of what is added to it
# What is read of a step that is leased.
CLAIMED = (
    steps.c.step_id,
    steps.c.flow_id,
    steps.c.token,
    steps.c.node,
    steps.c.depth,
    steps.c.state,
    steps.c.refs,
    steps.c.changes,
    steps.c.attempt,
    steps.c.lineage_id,
    steps.c.ordinal,
    steps.c.answers,
    steps.c.lease_seq,
    steps.c.created_at,
    steps.c.crashes,
)
LEASE: dict[str, Any] = {
    "status": literal_column("'running'"),
    "lease_expires": _NOW + steps.c.time_budget_ms + bindparam("margin"),
    "lease_seq": steps.c.lease_seq + literal_column("1"),
    "engine_id": bindparam("new_engine_id"),
    "started_at": case((steps.c.started_at == literal_column("0"), _NOW), else_=steps.c.started_at),
    "updated_at": _NOW,
}
_LEASE = (
    update(steps)
    .where(
        in_ids(steps.c.step_id, "ids"),
        *STILL_PENDING,
        flag_is(of_row(steps.c.asleep), 0),
        steps.c.lease_expires <= bindparam("now"),
    )
    .values(LEASE)
)
# Where it is done in turn, ``find_due`` has locked the rows: nobody else can have leased them.
CLAIM = Statement(
    "claim_steps",
    _LEASE.returning(*CLAIMED),
    in_turn=(
        _LEASE,
        select(*CLAIMED).where(
            in_ids(steps.c.step_id, "ids"),
            status_is(steps.c.status, Status.RUNNING),
            steps.c.engine_id == bindparam("new_engine_id"),
            steps.c.updated_at == _NOW,
        ),
    ),
)
FLOWS = Statement("claimed_flows", select(*FLOW_COLUMNS).where(in_ids(flows.c.flow_id, "ids")))
GRAPH = Statement("graph_body", select(graphs.c.body).where(graphs.c.graph_hash == bindparam("graph_hash")))
CONVERGE_ENDED = Statement(
    "converge_ended",
    update(steps)
    .where(steps.c.step_id == bindparam("id"), status_is(steps.c.status, Status.RUNNING))
    .values(status=bindparam("new_status"), parked=literal_column("0"), updated_at=bindparam("now")),
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """The steps taken, in the order they were due, and when the next work is due if there was too little.

    ``next_due`` and ``next_deadline`` are epoch milliseconds, or None where nothing waits for a time. ``lost`` were
    taken by somebody else first. ``waking``: so many steps wake up now that nothing was taken yet. ``read`` has the
    workflow of each step, and the sizes of its state, changes, answers.
    """

    now: int
    steps: list[StepRecord]
    next_due: int | None = None
    next_deadline: int | None = None
    lost: int = 0
    read: Sequence[tuple[str, int, int, int]] = ()
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
    suspect_at: int = ANY_CRASHES,
    alone: bool = True,
    ceiling: int = ANY_BAND,
) -> Script[Claimed]:
    """Lease up to ``limit`` due steps. ``busy(url)`` says of a task that it cannot be started now.

    ``plan_of(graph_hash, body)`` prepares a graph, or answers None where it does not know the hash and was given no
    body. Steps that have lost their process ``suspect_at`` times are run one at a time, so that the one which kills
    it does not take the others along; ``alone`` says that none of them runs here now. ``ceiling`` is the worst band
    that may be taken.
    """
    now = yield Now()
    choice = yield from _choose(limit, busy, now, random, suspect_at, alone, ceiling)
    if choice is None:
        return Claimed(now, [], waking=True)
    wanted, again = choice
    if not wanted:
        due = (yield Fetch(NEXT_DUE, {}))[0][0]
        due = again if due is None or (again is not None and again < due) else due
        deadline = (yield Fetch(NEXT_DEADLINE, {}))[0][0]
        return Claimed(now, [], due, deadline)
    rows = yield Fetch(
        CLAIM,
        {"ids": wanted, "now": now, "margin": margin_ms, "new_engine_id": engine_id},
    )
    lost = len(wanted) - len(rows)
    rank = {step_id: position for position, step_id in enumerate(wanted)}
    rows.sort(key=lambda row: rank[row[0]])
    owners = yield from _owners({row[1] for row in rows}, shard, plan_of)
    rows = yield from _without_ended(rows, owners, now)
    anchors = yield from fetch_anchors(anchor for row in rows for anchor in read_object(row[6]).values())
    read = [(owners[row[1]][0].workflow_url, len(row[5]), len(row[7]), len(row[11])) for row in rows]
    return Claimed(now, [claimed_record(row, owners[row[1]][0], anchors, now) for row in rows], lost=lost, read=read)


def _choose(
    limit: int, busy: Callable[[str], bool], now: int, random: Random, suspect_at: int, alone: bool, ceiling: int
) -> Script[tuple[list[int], int | None] | None]:
    """The due steps to lease, and when a limit that holds others back has room again. None as ``find_due`` has it."""
    admitted = Admitted()
    free: dict[int, None] = {}
    shut: set[str] = set()  # tasks that cannot be started now
    calm = ANY_CRASHES if alone else suspect_at
    found = (yield from find_due(limit, now, (), (), random, calm, ceiling)) if limit > 0 else []
    while found is not None:
        limited: list[tuple[int, str, str]] = []
        for step_id, url, name, rule, crashes in found:
            if step_id in free or crashes >= calm:
                continue
            if url in shut or busy(url):
                shut.add(url)
                continue
            if crashes >= suspect_at:
                calm = suspect_at
            if name:
                limited.append((step_id, name, rule))
            else:
                free[step_id] = None
        if limited:
            yield from admit(limited, now, admitted)
        if len(found) < limit or len(free) + len(admitted.step_ids) >= limit:
            return [*admitted.step_ids, *free][:limit], admitted.again
        # steps that cannot start, for want of a thread or over their limit, must not hide those behind them
        found = yield from find_due(limit, now, admitted.full, sorted(shut), random, calm, ceiling)
    return None


def _owners(flow_ids: Collection[int], shard: int, plan_of: PlanOf) -> Script[dict[int, tuple[FlowRecord, str]]]:
    rows = yield Fetch(FLOWS, {"ids": sorted(flow_ids)})
    owners: dict[int, tuple[FlowRecord, str]] = {}
    for row in rows:
        plan = yield from load_plan(row[3], plan_of)
        owners[row[0]] = (flow_record(shard, row, plan), row[18])
    return owners


def load_plan(graph_hash: str, plan_of: PlanOf) -> Script[Plan]:
    """The prepared graph of a hash, read where it is not known yet."""
    plan = plan_of(graph_hash, None)
    if plan is None:
        body = (yield Fetch(GRAPH, {"graph_hash": graph_hash}))[0][0]
        plan = plan_of(graph_hash, body)
        assert plan is not None
    return plan


def _without_ended(rows: list[Row], owners: dict[int, tuple[FlowRecord, str]], now: int) -> Script[list[Row]]:
    """A pending step under a flow that has ended takes the flow's status instead of running."""
    live: list[Row] = []
    for row in rows:
        status = Status(owners[row[1]][1])
        if status.terminal:
            yield Execute(CONVERGE_ENDED, {"id": row[0], "new_status": status.value, "now": now})
        else:
            live.append(row)
    return live


def claimed_record(
    row: Row, flow: FlowRecord, anchors: Any, now: int, stored_answers: Sequence[Any] | None = None
) -> StepRecord:
    """A leased step from a row of CLAIMED; ``stored_answers`` stand in for those that the row has."""
    refs = read_object(row[6])
    if stored_answers is None:
        stored_answers = loads(row[11]) if row[11] else []
    answers = [Answer.from_json(answer) for answer in stored_answers]
    return StepRecord(
        flow,
        row[0],
        row[2],
        row[3],
        row[4],
        restore(row[5], refs, anchors),
        refs,
        read_object(row[7]),
        row[8],
        row[9],
        row[10],
        answers,
        row[12],
        row[13],
        now,
        row[14],
    )
