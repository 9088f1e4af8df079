"""Reading one flow: its outcome, its graph, its fingerprint."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import Any

from sqlalchemy import bindparam, case, func, literal_column, select

from dwarf.core.carry import after
from dwarf.core.keys import Key
from dwarf.errors import FlowNotFound
from dwarf.storage.expressions import ZERO, flag_is, in_ids, status_is
from dwarf.storage.payloads.refs import fetch_anchors
from dwarf.storage.rows import read_object, restore
from dwarf.storage.script import Fetch, Now, Row, Script, Statement
from dwarf.storage.tables import flows, graphs, steps
from dwarf.workflow.results import Outcome
from dwarf.workflow.status import Status
from dwarf.workflow.values import from_json, state_from_json

FLOW = Statement(
    "flow_outcome",
    select(
        flows.c.token,
        flows.c.status,
        flows.c.final_state,
        flows.c.error,
        flows.c.cancel_reason,
        flows.c.root_flow_id,
    ).where(flows.c.flow_id == bindparam("id")),
)
WAITING = Statement(
    "waiting_in_flow",
    select(
        steps.c.step_id,
        steps.c.state,
        steps.c.refs,
        steps.c.changes,
        steps.c.interrupt,
        steps.c.parked,
    )
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
    # the newest moment alone would miss what happens within one millisecond
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


def found(rows: list[Row], key: Key) -> Row:
    """The row a flow key names. FlowNotFound where there is none, or its token differs."""
    if not rows or rows[0][0] != key.token:
        raise FlowNotFound("flow not found")
    return rows[0]


def read_outcome(key: Key, *, waits: bool = False) -> Script[tuple[Outcome, bool]]:
    """A flow's outcome, and whether an interrupt in it is overdue: then it is about to go on by itself.

    ``waits``: it is probably interrupted. Then there is more to be read, all of it on one snapshot.
    """
    row = found((yield Fetch(FLOW, {"id": key.id}, alone=not waits)), key)
    if not waits and row[1] == Status.INTERRUPTED:
        row = found((yield Fetch(FLOW, {"id": key.id})), key)
    _, status_text, final_state, error, reason, root = row
    status = Status(status_text)
    state: Any = {}
    payload: Any = {}
    overdue = False
    if status.terminal:
        state = read_object(final_state)
    elif status is Status.INTERRUPTED:
        state, payload = yield from _waiting(key.id, root)
        now = yield Now()
        overdue = bool((yield Fetch(OVERDUE_IN_TREE, {"root": root, "now": now}))[0][0])
    outcome = Outcome(
        flow_key=str(key),
        status=status,
        state=state_from_json(state),
        error=error.strip(),
        interrupt_payload=from_json(payload),
        cancel_reason=reason.strip(),
    )
    return outcome, overdue


def _waiting(flow_id: int, root: int) -> Script[tuple[Any, Any]]:
    """The state of the flow's own waiting step, and the payload of the oldest interrupt under the flow."""
    rows = yield Fetch(WAITING, {"flow": flow_id})
    if not rows:
        return {}, {}
    _, stored, refs_text, changes, interrupt, parked = rows[0]
    refs = read_object(refs_text)
    anchors = yield from fetch_anchors(refs.values())
    state = after(restore(stored, refs, anchors), read_object(changes))
    if flow_id == root:
        oldest = yield Fetch(OLDEST_IN_TREE, {"root": root})
        interrupt = oldest[0][0] if oldest else ""
    elif parked:
        interrupt = yield from _payload_below(rows[0][0])
    return state, read_object(interrupt).get("payload") or {}


def _payload_below(caller: int) -> Script[str]:
    while True:
        child = yield Fetch(INTERRUPTED_CHILD, {"caller": caller})
        rows = (yield Fetch(WAITING, {"flow": child[0][0]})) if child else []
        if not rows:
            return ""
        if not rows[0][5]:
            return str(rows[0][4])
        caller = rows[0][0]


def read_graph(key: Key) -> Script[str]:
    """The JSON text of the graph a flow is frozen on."""
    return str(found((yield Fetch(GRAPH_OF, {"id": key.id})), key)[1])


def read_statuses(flow_ids: Collection[int]) -> Script[dict[int, tuple[str, Status]]]:
    """Token and status by flow id; ids without a row are left out."""
    rows = yield Fetch(STATUSES, {"ids": sorted(flow_ids)}, alone=True)
    return {flow_id: (token, Status(status)) for flow_id, token, status in rows}


def read_fingerprint(key: Key) -> Script[tuple[str, Status]]:
    """A digest that changes with every visible change in the flow's tree, and the flow's status."""
    row = found((yield Fetch(FLOW, {"id": key.id})), key)
    moved = (yield Fetch(MOVEMENT, {"root": row[5]}))[0]
    text = "|".join(map(str, (row[1], *moved)))
    return sha256(text.encode()).hexdigest(), Status(row[1])


def read_root(key: Key) -> Script[int]:
    """The id of the root of a flow's tree."""
    return int(found((yield Fetch(FLOW, {"id": key.id})), key)[5])
