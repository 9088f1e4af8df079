"""Reading one flow: its outcome, its graph, its fingerprint."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, func, literal_column, select

from dwarf.core.keys import NO_FLOW, Key
from dwarf.core.state_refs import after
from dwarf.errors import FlowNotFound
from dwarf.storage.payloads.state_refs import fetch_anchors
from dwarf.storage.sql.expressions import ZERO, flag_is, in_ids, starts_later, status_is
from dwarf.storage.sql.rows import columns, read_object, read_status, restore
from dwarf.storage.sql.script import Fetch, Now, Script, Statement
from dwarf.storage.sql.tables import flows, graphs, steps
from dwarf.workflow.results import Outcome
from dwarf.workflow.status import Status
from dwarf.workflow.values import from_json, state_from_json


class OutcomeRow(NamedTuple):
    """The columns of a flow's outcome."""

    token: str
    status: str
    final_state: str
    error: str
    cancel_reason: str
    root_flow_id: int
    later: int

    @property
    def state(self) -> Status:
        """The status; pending for a flow with a later start."""
        return status_of(self.status, self.later)


class WaitingRow(NamedTuple):
    """A step of an interrupted flow that waits, for an answer or for its child flow."""

    step_id: int
    state: str
    refs: str
    changes: str
    interrupt: str
    parked: int


LATER = case((starts_later(flows.c.created_at, flows.c.started_at), 1), else_=0)
FLOW = Statement(
    "flow_outcome", select(*columns(OutcomeRow, flows, later=LATER)).where(flows.c.flow_id == bindparam("id"))
)
WAITING = Statement(
    "waiting_in_flow",
    select(*columns(WaitingRow, steps))
    .where(steps.c.flow_id == bindparam("flow"), status_is(steps.c.status, Status.INTERRUPTED))
    .order_by(steps.c.updated_at, steps.c.step_id),
)
OLDEST_IN_TREE = Statement(
    "oldest_waiting_in_tree",
    select(steps.c.interrupt)
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(
        flows.c.root_flow_id == bindparam("root"),
        flag_is(steps.c.parked, 0),
        status_is(steps.c.status, Status.INTERRUPTED),
    )
    .order_by(steps.c.updated_at, steps.c.step_id)
    .limit(1),
)
OVERDUE_IN_TREE = Statement(
    "overdue_in_tree",
    select(func.count())
    .select_from(steps.join(flows, flows.c.flow_id == steps.c.flow_id))
    .where(
        flows.c.root_flow_id == bindparam("root"),
        flag_is(steps.c.parked, 0),
        status_is(steps.c.status, Status.INTERRUPTED),
        steps.c.interrupt_deadline > literal_column("0"),
        steps.c.interrupt_deadline <= bindparam("now"),
    ),
)
INTERRUPTED_CHILD = Statement(
    "interrupted_child",
    select(flows.c.flow_id)
    .where(
        flows.c.parent_step_id == bindparam("caller"),
        flows.c.parent_step_id > ZERO,
        status_is(flows.c.status, Status.INTERRUPTED),
    )
    .order_by(flows.c.created_at.desc(), flows.c.flow_id.desc())
    .limit(1),
)
GRAPH_OF = Statement(
    "graph_of_flow",
    select(flows.c.token, graphs.c.body)
    .join(graphs, graphs.c.graph_hash == flows.c.graph_hash)
    .where(flows.c.flow_id == bindparam("id")),
)
STATUSES = Statement(
    "flow_statuses",
    select(flows.c.flow_id, flows.c.token, flows.c.status).where(in_ids(flows.c.flow_id, "ids")),
)
_MOVED_TO = (Status.RUNNING, Status.INTERRUPTED, Status.COMPLETED)
MOVEMENT = Statement(
    "flow_movement",
    # the latest moment alone would miss changes within one millisecond
    select(
        func.count(),
        func.max(steps.c.updated_at),
        func.sum(func.length(steps.c.progress)),
        func.sum(steps.c.lease_seq + steps.c.attempt),
        *(func.sum(case((status_is(steps.c.status, status), 1), else_=0)) for status in _MOVED_TO),
    )
    .select_from(steps.join(flows, flows.c.flow_id == steps.c.flow_id))
    .where(flows.c.root_flow_id == bindparam("root")),
)


def status_of(stored: str, later: int) -> Status:
    """The status of a flow; pending if its start is later."""
    status = read_status(stored)
    return Status.PENDING if later and status is Status.RUNNING else status


def _find_flow(key: Key, *, autocommit: bool = False) -> Script[OutcomeRow]:
    """The flow of a key. FlowNotFound if there is none, or if its token differs."""
    rows = yield Fetch(FLOW, {"id": key.id}, autocommit=autocommit)
    row = OutcomeRow._make(rows[0]) if rows else None
    if row is None or row.token != key.token:
        raise FlowNotFound(NO_FLOW)
    return row


def read_outcome(key: Key, *, waits: bool = False) -> Script[tuple[Outcome, bool]]:
    """A flow's outcome, and whether an interrupt in it is overdue and therefore about to be answered.

    ``waits``: the flow is probably interrupted. Then more must be read, all on one snapshot.
    """
    row = yield from _find_flow(key, autocommit=not waits)
    if not waits and row.status == Status.INTERRUPTED:
        row = yield from _find_flow(key)
    status = row.state
    state: Any = {}
    payload: Any = {}
    overdue = False
    if status.terminal:
        state = read_object(row.final_state)
    elif status is Status.INTERRUPTED:
        state, payload = yield from _waiting(key.id, row.root_flow_id)
        now = yield Now()
        ((late,),) = yield Fetch(OVERDUE_IN_TREE, {"root": row.root_flow_id, "now": now})
        overdue = bool(late)
    outcome = Outcome(
        flow_key=str(key),
        status=status,
        state=state_from_json(state),
        error=row.error.strip(),
        interrupt_payload=from_json(payload),
        cancel_reason=row.cancel_reason.strip(),
    )
    return outcome, overdue


def _waiting(flow_id: int, root: int) -> Script[tuple[Any, Any]]:
    """The state of the flow's own waiting step, and the payload of the oldest interrupt under the flow."""
    rows = yield Fetch(WAITING, {"flow": flow_id})
    if not rows:
        return {}, {}
    waiting = WaitingRow._make(rows[0])
    interrupt = waiting.interrupt
    refs = read_object(waiting.refs)
    anchors = yield from fetch_anchors(refs.values())
    state = after(restore(waiting.state, refs, anchors), read_object(waiting.changes))
    if flow_id == root:
        oldest = yield Fetch(OLDEST_IN_TREE, {"root": root})
        interrupt = next((text for (text,) in oldest), "")
    elif waiting.parked:
        interrupt = yield from _payload_below(waiting.step_id)
    return state, read_object(interrupt).get("payload") or {}


def _payload_below(caller: int) -> Script[str]:
    while True:
        rows = yield Fetch(INTERRUPTED_CHILD, {"caller": caller})
        for (child,) in rows:
            rows = yield Fetch(WAITING, {"flow": child})
        if not rows:
            return ""
        waiting = WaitingRow._make(rows[0])
        if not waiting.parked:
            return waiting.interrupt
        caller = waiting.step_id


def read_graph(key: Key) -> Script[str]:
    """The JSON text of a flow's frozen graph."""
    for token, body in (yield Fetch(GRAPH_OF, {"id": key.id})):
        if token == key.token:
            return str(body)
    raise FlowNotFound(NO_FLOW)


def read_statuses(flow_ids: Collection[int]) -> Script[dict[int, tuple[str, Status]]]:
    """Token and status by flow id; ids without a row are left out."""
    rows = yield Fetch(STATUSES, {"ids": sorted(flow_ids)}, autocommit=True)
    return {flow_id: (token, read_status(status)) for flow_id, token, status in rows}


def read_fingerprint(key: Key) -> Script[tuple[str, Status]]:
    """A digest that changes with every visible change in the flow's tree, and the flow's status."""
    row = yield from _find_flow(key)
    (moved,) = yield Fetch(MOVEMENT, {"root": row.root_flow_id})
    text = "|".join(map(str, (row.state, *moved)))
    return sha256(text.encode()).hexdigest(), row.state


def read_root(key: Key) -> Script[int]:
    """The id of the root of a flow's tree."""
    row = yield from _find_flow(key)
    return row.root_flow_id
