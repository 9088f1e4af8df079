"""Creating flows, and reserving the blocks of ids for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, case, func, select, update

from dwarf.core.keys import format_key
from dwarf.core.records import NewFlow
from dwarf.errors import InvalidRequest, StateConflict, StorageError, ThreadNotFound
from dwarf.storage.operations.unit_of_work import UnitOfWork
from dwarf.storage.sql.expressions import in_ids, in_names
from dwarf.storage.sql.rows import columns, read_object
from dwarf.storage.sql.script import Fetch, Script, Statement
from dwarf.storage.sql.tables import flows, ids, steps
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.values.meaning import canonical

_OF_KIND = ids.c.kind == bindparam("of_kind")
_RESERVED = update(ids).where(_OF_KIND).values(next_id=ids.c.next_id + bindparam("count"))
RESERVE = Statement(
    "reserve_ids",
    _RESERVED.returning(ids.c.next_id),
    returning_fallback=(_RESERVED, select(ids.c.next_id).where(_OF_KIND)),
)
_LEAST = bindparam("least", type_=BigInteger)
_AT_LEAST = case((ids.c.next_id < _LEAST, _LEAST), else_=ids.c.next_id)
_RESERVED_BEYOND = update(ids).where(_OF_KIND).values(next_id=_AT_LEAST + bindparam("count"))
RESERVE_BEYOND = Statement(
    "reserve_ids_beyond",
    _RESERVED_BEYOND.returning(ids.c.next_id),
    returning_fallback=(_RESERVED_BEYOND, select(ids.c.next_id).where(_OF_KIND)),
)
GREATEST = {
    "flow": Statement("greatest_flow_id", select(func.max(flows.c.flow_id))),
    "step": Statement("greatest_step_id", select(func.max(steps.c.step_id))),
}
FORGOTTEN_AT_MOST = 1_000_000  # ids in use of which a restored database may know nothing


class KeyedRow(NamedTuple):
    """A flow that was created with an idempotency key."""

    idempotency_key: str
    flow_id: int
    token: str
    request_hash: str


_KEYED = select(*columns(KeyedRow, flows))
BY_KEY = Statement("flows_by_idempotency_key", _KEYED.where(in_names(flows.c.idempotency_key, "idempotency_keys")))
BY_ONE_KEY = Statement("flow_by_idempotency_key", _KEYED.where(flows.c.idempotency_key == bindparam("idempotency_key")))
BEGINNING = Statement(
    "beginning_of_flow",
    select(flows.c.workflow_url, steps.c.state)
    .join(steps, steps.c.flow_id == flows.c.flow_id)
    .where(flows.c.flow_id == bindparam("id"), steps.c.predecessor_id == 0, steps.c.depth == 1),
)
THERE = Statement("flows_there", select(flows.c.flow_id, flows.c.token).where(in_ids(flows.c.flow_id, "ids")))


class ThreadRow(NamedTuple):
    """The thread of a flow."""

    token: str
    thread_id: int
    thread_token: str
    parent_flow_id: int


THREAD = Statement("thread", select(*columns(ThreadRow, flows)).where(flows.c.flow_id == bindparam("id")))


def reserve(kind: str, count: int) -> Script[int]:
    """Reserve ``count`` ids. Returns the first."""
    rows = yield Fetch(RESERVE, {"of_kind": kind, "count": count})
    if not rows:
        raise StorageError(
            f"the table dwarf_ids has no row for {kind!r}: restore it, with a next_id beyond every id in use"
        )
    ((following,),) = rows
    return int(following) - count


def reserve_beyond(kind: str, count: int, greatest: int) -> Script[int]:
    """Reserve ``count`` unused ids, in a database that may have forgotten some. Returns the first.

    ``greatest`` is the greatest id known to the caller.
    """
    ((there,),) = yield Fetch(GREATEST[kind], {})
    # a restored backup lacks the last rows, whose ids processes may still hold: the new ids begin far beyond them
    least = max(there or 0, greatest) + 1 + FORGOTTEN_AT_MOST
    ((following,),) = yield Fetch(RESERVE_BEYOND, {"of_kind": kind, "count": count, "least": least})
    return int(following) - count


def may_be_there(asked: Sequence[NewFlow], again: Sequence[NewFlow]) -> bool:
    """Whether flows have to be looked for before they are added."""
    return bool(again) or any(flow.idempotency_key is not None for flow in asked)


def create_flows(
    asked: Sequence[NewFlow], work: UnitOfWork, again: Sequence[NewFlow] = ()
) -> Script[list[str | StateConflict]]:
    """Insert flows, or find the flows that their idempotency keys created before. Returns the keys, in order.

    A key is replaced by StateConflict if its flow was created with another workflow or state. Flows in ``again`` may
    have been inserted by an earlier try.
    """
    there = yield from _there(again)
    known = yield from _known({flow.idempotency_key for flow in asked if flow.idempotency_key is not None})
    made: list[str | StateConflict] = []
    for flow in asked:
        if flow.key in there:
            made.append(flow.key)
            continue
        before = None if flow.idempotency_key is None else known.get(flow.idempotency_key)
        if before is None:
            work.add_graph(flow.record.graph_hash, flow.graph_body)
            work.add_flow(flow)
            if flow.idempotency_key is not None:
                # two requests of one group may have the same key
                known[flow.idempotency_key] = KeyedRow(
                    flow.idempotency_key,
                    flow_id=flow.record.flow_id,
                    token=flow.record.token,
                    request_hash=flow.request_hash,
                )
            made.append(flow.key)
        elif before.request_hash == flow.request_hash or not (
            difference := (yield from _difference(before.flow_id, flow))
        ):
            made.append(format_key(flow.record.shard, before.flow_id, before.token))
        else:
            made.append(
                StateConflict(
                    f"the idempotency key {flow.idempotency_key!r} belongs to a flow that was created with "
                    f"{difference}: take another key for another flow"
                )
            )
    return made


def _difference(flow_id: int, flow: NewFlow) -> Script[str]:
    """The difference between an earlier flow's creation and this one; "" if only the version of its hash differs."""
    rows = yield Fetch(BEGINNING, {"id": flow_id})
    if not rows:
        return "another workflow or state"
    url, text = rows[0]
    if url != flow.record.workflow_url:
        return f"another workflow, {url!r}"
    old, new = canonical(read_object(text)), canonical(dict(flow.initial))
    names = [name for name in sorted({*old, *new}) if dumps(old.get(name)) != dumps(new.get(name))]
    if not names:
        return "" if dumps(old) == dumps(new) else "another state"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"another state (it differs in {', '.join(map(repr, names[:3]))}{more})"


def is_known(idempotency_key: str) -> Script[bool]:
    """Whether a flow was created under this key."""
    rows = yield Fetch(BY_ONE_KEY, {"idempotency_key": idempotency_key})
    return bool(rows)


def _known(keys: set[str]) -> Script[dict[str, KeyedRow]]:
    """The flows created with these keys."""
    if not keys:
        return {}
    odd = sorted(key for key in keys if "\0" in key)  # SQLite's list of texts would cut such a key at the NUL
    rows = []
    if len(odd) < len(keys):
        rows += yield Fetch(BY_KEY, {"idempotency_keys": sorted(keys.difference(odd))})
    for key in odd:
        rows += yield Fetch(BY_ONE_KEY, {"idempotency_key": key})
    return {row.idempotency_key: row for row in map(KeyedRow._make, rows)}


def _there(asked: Sequence[NewFlow]) -> Script[set[str]]:
    """The keys of those of these flows that are in the database."""
    if not asked:
        return set()
    shard = asked[0].record.shard
    rows = yield Fetch(THERE, {"ids": sorted(flow.record.flow_id for flow in asked)})
    return {format_key(shard, flow_id, token) for flow_id, token in rows}


def thread_of(flow_id: int, token: str) -> Script[tuple[int, str]]:
    """The thread of a root flow. ThreadNotFound; InvalidRequest for a child flow."""
    rows = yield Fetch(THREAD, {"id": flow_id})
    named = ThreadRow._make(rows[0]) if rows else None
    if named is None or named.token != token:
        raise ThreadNotFound("thread not found")
    if named.parent_flow_id:
        raise InvalidRequest("a child flow belongs to no thread: give the key of a root flow")
    return named.thread_id, named.thread_token
