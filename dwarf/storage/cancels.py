"""Cancelling a flow with everything under it."""

from __future__ import annotations

from sqlalchemy import bindparam, literal_column, select, update

from dwarf.errors import FlowNotFound, InvalidRequest, StateConflict
from dwarf.storage.claims import PlanOf, load_plan
from dwarf.storage.effects import Effects
from dwarf.storage.ending import end_flow, left_over
from dwarf.storage.expressions import ZERO, in_ids, status_is
from dwarf.storage.rows import FLOW_COLUMNS, flow_record
from dwarf.storage.script import Execute, Fetch, Script, Statement
from dwarf.storage.tables import flows, steps
from dwarf.workflow.status import Status

TARGET = Statement("cancel_target", select(*FLOW_COLUMNS).where(flows.c.flow_id == bindparam("id")))
LIVE_CHILDREN = Statement(
    "live_children",
    select(*FLOW_COLUMNS).where(
        in_ids(flows.c.parent_flow_id, "ids"),
        flows.c.parent_flow_id > ZERO,
        status_is(flows.c.status, Status.RUNNING, Status.INTERRUPTED),
    ),
)
CANCEL_STEPS = Statement(
    "cancel_steps",
    update(steps)
    .where(
        in_ids(steps.c.flow_id, "ids"),
        status_is(steps.c.status, Status.PENDING, Status.RUNNING, Status.INTERRUPTED),
    )
    .values(
        status=literal_column("'cancelled'"),
        parked=literal_column("0"),
        interrupt_deadline=literal_column("0"),
        updated_at=bindparam("now"),
    ),
)


def cancel_flow(flow_id: int, token: str, reason: str, effects: Effects, plan_of: PlanOf) -> Script[None]:
    """Cancel a root flow and its live descendants. FlowNotFound, InvalidRequest (a child flow), StateConflict."""
    rows = yield Fetch(TARGET, {"id": flow_id})
    if not rows or rows[0][1] != token:
        raise FlowNotFound("flow not found")
    if rows[0][5]:
        raise InvalidRequest("a child flow is cancelled with its root flow: use the root flow's key")
    if Status(rows[0][18]).terminal:
        raise StateConflict(f"the flow is {rows[0][18]} already")
    tree = list(rows)
    level = rows
    while level:
        level = yield Fetch(LIVE_CHILDREN, {"ids": [row[0] for row in level]})
        tree.extend(level)
    yield Execute(CANCEL_STEPS, {"ids": [row[0] for row in tree], "now": effects.now})
    for row in reversed(tree):
        plan = yield from load_plan(row[3], plan_of)
        record = flow_record(effects.writer.shard, row, plan)
        final_state = yield from left_over(record)
        yield from end_flow(record, Status.CANCELLED, final_state, effects, reason=reason)
