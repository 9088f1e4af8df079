"""Taking work: due steps are found, leased by compare-and-set, and read whole, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, case, func, literal_column, select, update

from dwarf.core.plan import Plan
from dwarf.core.records import FlowRecord, StepRecord
from dwarf.storage.expressions import flag_is, in_ids, status_is
from dwarf.storage.refs import fetch_anchors
from dwarf.storage.rows import FLOW_COLUMNS, flow_record, read_object, restore
from dwarf.storage.script import Execute, Fetch, Now, Row, Script, Statement
from dwarf.storage.tables import flows, graphs, steps
from dwarf.workflow.jsontext import loads
from dwarf.workflow.signals import Answer
from dwarf.workflow.status import Status

_PENDING = (status_is(steps.c.status, Status.PENDING), flag_is(steps.c.parked, 0))
_DUE = (*_PENDING, steps.c.not_before <= bindparam("now"), steps.c.lease_expires <= bindparam("now"))

DUE = Statement(
    "due_steps",
    select(steps.c.step_id, steps.c.task_url)
    .where(*_DUE)
    .order_by(steps.c.priority, steps.c.created_at, steps.c.step_id)
    .limit(bindparam("limit")),
)
NEXT_DUE = Statement("next_due", select(func.min(steps.c.not_before)).where(*_PENDING))
NEXT_DEADLINE = Statement(
    "next_deadline",
    select(func.min(steps.c.interrupt_deadline)).where(
        status_is(steps.c.status, Status.INTERRUPTED), steps.c.interrupt_deadline > literal_column("0")
    ),
)
CLAIM = Statement(
    "claim_steps",
    update(steps)
    .where(in_ids(steps.c.step_id, "ids"), *_DUE)
    .values(
        status=literal_column("'running'"),
        lease_expires=bindparam("now") + steps.c.time_budget_ms + bindparam("margin"),
        lease_seq=steps.c.lease_seq + literal_column("1"),
        engine_id=bindparam("new_engine_id"),
        started_at=case((steps.c.started_at == literal_column("0"), bindparam("now")), else_=steps.c.started_at),
        updated_at=bindparam("now"),
    )
    .returning(
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

PlanOf = Callable[[str, str | None], "Plan | None"]


@dataclass(frozen=True, slots=True)
class Claimed:
    """The steps taken, in the order they were due, and when the next work is due if there was too little.

    ``next_due`` and ``next_deadline`` are epoch milliseconds, or None where nothing waits for a time.
    """

    now: int
    steps: list[StepRecord]
    next_due: int | None = None
    next_deadline: int | None = None


def claim_due(
    limit: int,
    busy: Callable[[str], bool],
    *,
    shard: int,
    engine_id: int,
    margin_ms: int,
    plan_of: PlanOf,
) -> Script[Claimed]:
    """Lease up to ``limit`` due steps. ``busy(url)`` says of a task that it cannot be started now.

    ``plan_of(graph_hash, body)`` prepares a graph, or answers None where it does not know the hash and was given no
    body.
    """
    now = yield Now()
    found = (yield Fetch(DUE, {"now": now, "limit": limit})) if limit > 0 else []
    wanted = [step_id for step_id, url in found if not busy(url)]
    if not wanted:
        due = (yield Fetch(NEXT_DUE, {}))[0][0]
        deadline = (yield Fetch(NEXT_DEADLINE, {}))[0][0]
        return Claimed(now, [], due, deadline)
    rows = yield Fetch(
        CLAIM,
        {"ids": wanted, "now": now, "margin": margin_ms, "new_engine_id": engine_id},
    )
    rank = {step_id: position for position, step_id in enumerate(wanted)}
    rows.sort(key=lambda row: rank[row[0]])
    owners = yield from _owners({row[1] for row in rows}, shard, plan_of)
    rows = yield from _without_ended(rows, owners, now)
    anchors = yield from fetch_anchors(anchor for row in rows for anchor in read_object(row[6]).values())
    return Claimed(now, [_record(row, owners[row[1]][0], anchors, now) for row in rows])


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


def _record(row: Row, flow: FlowRecord, anchors: Any, now: int) -> StepRecord:
    refs = read_object(row[6])
    answers = [Answer.from_json(answer) for answer in loads(row[11])] if row[11] else []
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
