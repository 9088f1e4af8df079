"""Hooks: workflows of which a flow is created in the transaction of an event, whichever engine writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, select

from dwarf.core.decision import Ask
from dwarf.core.fairness import DEFAULT_WEIGHT
from dwarf.core.keys import format_key
from dwarf.core.records import FlowRecord, NewFlow
from dwarf.core.step import first_step
from dwarf.storage.operations.unit_of_work import Hook, UnitOfWork
from dwarf.storage.sql.expressions import status_is
from dwarf.storage.sql.graphs import load_plan
from dwarf.storage.sql.rows import columns, read_object
from dwarf.storage.sql.script import Execute, Fetch, InsertMany, Script, Statement
from dwarf.storage.sql.tables import flows, hooks, steps
from dwarf.workflow.matching import title_of
from dwarf.workflow.status import Status

EVENTS = ("interrupted", "failed", "completed", "cancelled")
FAIRNESS_KEY = "dwarf hooks"  # a separate share, so that hooks take nothing from the share of the flows they are about


class RootRow(NamedTuple):
    """The facts about a flow that its hook's flow receives."""

    token: str
    workflow_url: str
    name: str
    tags: str | None


class FailedRow(NamedTuple):
    """The step that made a flow fail."""

    step_id: int
    token: str
    node: str


ALL = Statement("all_hooks", select(*columns(Hook, hooks)).order_by(hooks.c.event))
DELETE = Statement("delete_hooks", delete(hooks))
INSERT = Statement("insert_hook", insert(hooks).values({column: bindparam(column.name) for column in hooks.columns}))
ROOT = Statement("root_of_event", select(*columns(RootRow, flows)).where(flows.c.flow_id == bindparam("id")))
FAILED = Statement(
    "failed_step_of_flow",
    select(*columns(FailedRow, steps))
    .where(steps.c.flow_id == bindparam("flow"), status_is(steps.c.status, Status.FAILED))
    .order_by(steps.c.updated_at.desc(), steps.c.step_id.desc())
    .limit(1),
)


def read_hooks() -> Script[dict[str, Hook]]:
    """The hooks by the names of their events."""
    rows = yield Fetch(ALL, {}, autocommit=True)
    return {hook.event: hook for hook in map(Hook._make, rows)}


def put_hooks(wanted: Sequence[Hook], bodies: Mapping[str, str], work: UnitOfWork) -> Script[None]:
    """Store exactly these hooks. ``bodies`` are the texts of their graphs, by hash."""
    known = [Hook._make(row) for row in (yield Fetch(ALL, {}))]
    if sorted(known) == sorted(wanted):
        return
    for graph_hash, body in bodies.items():
        work.add_graph(graph_hash, body)
    yield Execute(DELETE, {})
    if wanted:
        yield InsertMany(INSERT, [hook._asdict() for hook in wanted])


def on_end(flow: FlowRecord, status: Status, error: str, work: UnitOfWork) -> Script[None]:
    """Create the hook's flow for a root flow that has ended."""
    hook = work.writer.hooks.get(status.value)
    if hook is None or flow.hook or flow.parent_step_id:
        return
    step_key = node = ""
    if status is Status.FAILED:
        for row in map(FailedRow._make, (yield Fetch(FAILED, {"flow": flow.flow_id}))):
            step_key, node = format_key(flow.shard, row.step_id, row.token), row.node
    yield from _create(hook, flow, work, step=step_key, node=node, error=error)


def on_question(decision: Ask, work: UnitOfWork) -> Script[None]:
    """Create the hook's flow for a step that has asked a question."""
    hook = work.writer.hooks.get("interrupted")
    step = decision.step
    if hook is None or step.flow.hook:
        return
    key = format_key(step.flow.shard, step.step_id, step.token)
    yield from _create(hook, step.flow, work, step=key, node=step.node, title=title_of(decision.payload))


def _create(
    hook: Hook, flow: FlowRecord, work: UnitOfWork, *, step: str = "", node: str = "", title: str = "", error: str = ""
) -> Script[None]:
    writer = work.writer
    rows = yield Fetch(ROOT, {"id": flow.root_flow_id})
    if not rows:
        return
    root = RootRow._make(rows[0])
    plan = yield from load_plan(hook.graph_hash, writer.plan_of)
    state: dict[str, Any] = {
        "event": hook.event,
        "flow": format_key(flow.shard, flow.root_flow_id, root.token),
        "step": step,
        "workflow": root.workflow_url,
        "node": node,
        "title": title,
        "error": error,
        "name": root.name,
        "tags": read_object(root.tags),
        "status": hook.event,
    }
    flow_id, token = writer.next_flow_id(), writer.decision_context.token()
    record = FlowRecord(
        shard=flow.shard,
        flow_id=flow_id,
        token=token,
        workflow_url=hook.workflow_url,
        plan=plan,
        graph_hash=hook.graph_hash,
        baggage={},
        parent_flow_id=0,
        parent_step_id=0,
        root_flow_id=flow_id,
        priority=hook.priority,
        fairness_key=FAIRNESS_KEY,
        fairness_weight=DEFAULT_WEIGHT,
        time_budget_ms=hook.time_budget_ms,
        thread_id=flow_id,
        thread_token=token,
        hook=hook.event,
    )
    entry = first_step(record, state, 1, writer.decision_context)
    work.add_flow(NewFlow(record=record, graph_body="", entry=entry, initial=state))
