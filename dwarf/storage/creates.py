"""New flows, and the blocks of ids they are made from."""

from __future__ import annotations

from sqlalchemy import bindparam, select, update

from dwarf.core.keys import format_key
from dwarf.core.records import NewFlow
from dwarf.errors import InvalidRequest, StateConflict, ThreadNotFound
from dwarf.storage.effects import Effects
from dwarf.storage.script import Fetch, Script, Statement
from dwarf.storage.tables import flows, ids

_OF_KIND = ids.c.kind == bindparam("of_kind")
_RESERVED = update(ids).where(_OF_KIND).values(next_id=ids.c.next_id + bindparam("count"))
RESERVE = Statement(
    "reserve_ids", _RESERVED.returning(ids.c.next_id), in_turn=(_RESERVED, select(ids.c.next_id).where(_OF_KIND))
)
BY_KEY = Statement(
    "flow_by_idempotency_key",
    select(flows.c.flow_id, flows.c.token, flows.c.request_hash).where(
        flows.c.idempotency_key == bindparam("idempotency_key")
    ),
)
THREAD = Statement(
    "thread",
    select(flows.c.token, flows.c.thread_id, flows.c.thread_token, flows.c.parent_flow_id).where(
        flows.c.flow_id == bindparam("id")
    ),
)


def reserve(kind: str, count: int) -> Script[int]:
    """Reserve ``count`` ids; the first of them."""
    rows = yield Fetch(RESERVE, {"of_kind": kind, "count": count})
    return int(rows[0][0]) - count


def create_flow(flow: NewFlow, effects: Effects) -> Script[str]:
    """Add a flow, or find the one that its idempotency key made before. The flow's key.

    StateConflict where that flow was asked for with another workflow or state.
    """
    record = flow.record
    if flow.idempotency_key is not None:
        rows = yield Fetch(BY_KEY, {"idempotency_key": flow.idempotency_key})
        if rows:
            flow_id, token, request_hash = rows[0]
            if request_hash != flow.request_hash:
                raise StateConflict(
                    f"the idempotency key {flow.idempotency_key!r} belongs to a flow that was created with another "
                    "workflow or state"
                )
            return format_key(record.shard, flow_id, token)
        for added in effects.flows:
            if added.idempotency_key == flow.idempotency_key and added.request_hash == flow.request_hash:
                return format_key(record.shard, added.record.flow_id, added.record.token)
    effects.graphs.setdefault(record.graph_hash, flow.graph_body)
    effects.add_flow(flow)
    return format_key(record.shard, record.flow_id, record.token)


def thread_of(flow_id: int, token: str) -> Script[tuple[int, str]]:
    """The thread that a root flow belongs to. ThreadNotFound; InvalidRequest for a child flow."""
    rows = yield Fetch(THREAD, {"id": flow_id})
    if not rows or rows[0][0] != token:
        raise ThreadNotFound("thread not found")
    if rows[0][3]:
        raise InvalidRequest("a child flow belongs to no thread: give the key of a root flow")
    return rows[0][1], rows[0][2]
