"""Ending a flow and its child flows, because of a cancellation or a passed deadline."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, literal_column, or_, select, update

from dwarf.core.keys import NO_FLOW
from dwarf.core.records import FlowRecord
from dwarf.errors import FlowNotFound, InvalidRequest, StateConflict
from dwarf.storage.operations.complete import end_flow, left_over
from dwarf.storage.operations.hooks import on_end
from dwarf.storage.operations.unit_of_work import UnitOfWork
from dwarf.storage.sql.expressions import in_ids, locked, status_is
from dwarf.storage.sql.graphs import PlanOf, load_plan
from dwarf.storage.sql.rows import FLOW_COLUMNS, FlowRow
from dwarf.storage.sql.script import Execute, Fetch, Lock, Script, Statement
from dwarf.storage.sql.tables import deadlines, flows, steps
from dwarf.workflow.status import Status

EXCEEDED = "deadline exceeded"
OVERDUE_AT_ONCE = 100

OVERDUE = Statement(
    "flows_overdue",
    select(deadlines.c.flow_id)
    .where(deadlines.c.due_at <= bindparam("now"))
    .order_by(deadlines.c.due_at)
    .limit(literal_column(str(OVERDUE_AT_ONCE))),
)
FORGET_DEADLINES = Statement("forget_deadlines", delete(deadlines).where(in_ids(deadlines.c.flow_id, "ids")))
TARGET = Statement("cancel_target", select(*FLOW_COLUMNS).where(flows.c.flow_id == bindparam("id")))
_LIVE_FLOW = status_is(flows.c.status, Status.RUNNING, Status.INTERRUPTED)
_LIVE_STEP = status_is(steps.c.status, Status.PENDING, Status.RUNNING, Status.INTERRUPTED)
LIVE_TREE = Statement("live_tree", select(*FLOW_COLUMNS).where(flows.c.root_flow_id == bindparam("root"), _LIVE_FLOW))
LIVE_BELOW = Statement(
    "live_below_roots",
    select(flows.c.flow_id).where(in_ids(flows.c.root_flow_id, "ids"), or_(_LIVE_FLOW, in_ids(flows.c.flow_id, "ids"))),
)
LIVE_STEP = Statement(
    "live_step",
    select(steps.c.step_id)
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(in_ids(flows.c.root_flow_id, "ids"), _LIVE_STEP)
    .limit(1),
)
# The lock order of other transactions: a child that ends, asks or is answered writes upward to its caller, and writers
# of several steps go by their ids. The same order here avoids deadlocks.
LOCK_STEPS = Statement(
    "lock_live_steps",
    locked(
        select(steps.c.step_id)
        .join(flows, flows.c.flow_id == steps.c.flow_id)
        .where(in_ids(flows.c.root_flow_id, "ids"), _LIVE_STEP)
        .order_by(flows.c.created_at.desc(), steps.c.step_id),
        steps,
    ),
)
CANCEL_STEPS = Statement(
    "cancel_steps",
    update(steps)
    .where(in_ids(steps.c.flow_id, "ids"), _LIVE_STEP)
    .values(
        status=literal_column("'cancelled'"),
        parked=literal_column("0"),
        interrupt_deadline=literal_column("0"),
        updated_at=bindparam("now"),
    ),
)


def cancel_flow(flow_id: int, token: str, reason: str, work: UnitOfWork, plan_of: PlanOf) -> Script[None]:
    """Cancel a root flow and its live descendants. FlowNotFound, InvalidRequest (a child flow), StateConflict."""
    target = yield from _target(flow_id)
    if target is None or target.token != token:
        raise FlowNotFound(NO_FLOW)
    if target.parent_flow_id:
        raise InvalidRequest("a child flow is cancelled with its root flow: use the root flow's key")
    if not Status(target.status).terminal:
        yield from end_steps([flow_id], work.now)
        target = yield from _target(flow_id)  # the flow may have ended meanwhile
        assert target is not None
    if Status(target.status).terminal:
        raise StateConflict(f"the flow is {target.status} already")
    for record in (yield from _live(flow_id, work, plan_of)):
        final_state = yield from left_over(record)
        yield from end_flow(record, Status.CANCELLED, final_state, work, reason=reason)


def fail_overdue(work: UnitOfWork) -> Script[int]:
    """Fail flows whose deadlines have passed, and cancel the live flows under them. Returns how many were examined."""
    found = [flow_id for (flow_id,) in (yield Fetch(OVERDUE, {"now": work.now}))]
    yield from fail_late(found, work)
    return len(found)


def fail_late(found: Sequence[int], work: UnitOfWork) -> Script[None]:
    """Fail these flows, whose deadlines have passed."""
    for flow_id in found:
        target = yield from _target(flow_id)
        if target is None or Status(target.status).terminal:
            continue
        yield from end_steps([flow_id], work.now)
        for record in (yield from _live(flow_id, work, work.writer.plan_of)):
            final_state = yield from left_over(record)
            if record.flow_id == flow_id:
                yield from end_flow(record, Status.FAILED, final_state, work, error=EXCEEDED)
            else:
                yield from end_flow(record, Status.CANCELLED, final_state, work, reason=EXCEEDED)
    if found:
        yield Execute(FORGET_DEADLINES, {"ids": found})


def tell_hook_of_cancel(flow_id: int, work: UnitOfWork) -> Script[None]:
    """Create the hook's flow, if there is a hook, for a root flow that another write has cancelled."""
    target = (yield from _target(flow_id)) if Status.CANCELLED.value in work.writer.hooks else None
    if target is not None:
        plan = yield from load_plan(target.graph_hash, work.writer.plan_of)
        yield from on_end(target.record(work.writer.shard, plan), Status.CANCELLED, "", work)


def _live(root: int, work: UnitOfWork, plan_of: PlanOf) -> Script[list[FlowRecord]]:
    """The flows of a tree that have not ended, each before its caller."""
    rows = yield Fetch(LIVE_TREE, {"root": root})
    records = []
    for row in _deepest_first([FlowRow._make(row) for row in rows]):
        plan = yield from load_plan(row.graph_hash, plan_of)
        records.append(row.record(work.writer.shard, plan))
    return records


def _target(flow_id: int) -> Script[FlowRow | None]:
    rows = yield Fetch(TARGET, {"id": flow_id})
    return FlowRow._make(rows[0]) if rows else None


def end_steps(roots: Sequence[int], now: int) -> Script[None]:
    """Cancel every live step in the trees of some roots. Afterwards no step in them can start, and none can be added.

    The statement waits for steps locked by other transactions. Such a step may have ended meanwhile, with a successor
    or a child flow that did not exist when the statement began. So the statement is repeated until no live step is
    visible: every transaction still at work has locked a step that is visible as live.
    """
    while True:
        yield Lock(LOCK_STEPS, {"ids": roots})
        below = yield Fetch(LIVE_BELOW, {"ids": roots})
        yield Execute(CANCEL_STEPS, {"ids": [flow_id for (flow_id,) in below], "now": now})
        if not (yield Fetch(LIVE_STEP, {"ids": roots})):
            return


def _deepest_first(tree: Sequence[FlowRow]) -> list[FlowRow]:
    """The flows of a tree, each before its caller."""
    children: dict[int, list[FlowRow]] = {}
    for row in tree:
        children.setdefault(row.parent_flow_id, []).append(row)
    ordered = [row for row in tree if row.flow_id == row.root_flow_id]
    for row in ordered:
        ordered.extend(children.get(row.flow_id, ()))
    # flows are locked in this order everywhere
    return ordered[::-1]
