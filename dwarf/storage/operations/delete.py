"""Deleting flows: marking hides them immediately, and their trees are removed later.

A marked ("doomed") root is not listed and has no history; its outcome can be read until it is removed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, case, delete, func, literal_column, null, or_, select, union, update

from dwarf import failpoints
from dwarf.core.keys import NO_FLOW
from dwarf.errors import FlowNotFound, InvalidRequest, StateConflict
from dwarf.storage.operations.cancel import LOCK_STEPS, end_steps, tell_hook_of_cancel
from dwarf.storage.operations.unit_of_work import Stop, UnitOfWork
from dwarf.storage.payloads.blobs import release_blobs
from dwarf.storage.sql.expressions import ZERO, flag_is, in_ids, status_is
from dwarf.storage.sql.rows import columns
from dwarf.storage.sql.script import Execute, Fetch, Lock, Now, Script, Statement, UpdateEach
from dwarf.storage.sql.tables import blob_refs, displays, flows, output, steps, tags
from dwarf.workflow.status import Status

ROOTS_AT_ONCE = 500
STEPS_AT_ONCE = 20_000  # in one transaction, so that writers do not wait long; a larger tree gets its own transaction
# 0 stands for a flow that is not marked
AT_ONCE_MS = 1


class TargetRow(NamedTuple):
    """The facts that decide whether a flow may be deleted."""

    token: str
    parent_flow_id: int
    status: str
    delete_after_ms: int


TARGET = Statement("delete_target", select(*columns(TargetRow, flows)).where(flows.c.flow_id == bindparam("id")))
# the key is free as soon as the flow is hidden: a flow that is created under it from now on is a new one
_MARK = {"delete_after_ms": bindparam("after"), "idempotency_key": null()}
MARK_ENDED = Statement(
    "mark_ended_flows",
    update(flows)
    .where(
        in_ids(flows.c.flow_id, "ids"),
        flag_is(flows.c.delete_after_ms, 0),
        status_is(flows.c.status, Status.COMPLETED, Status.FAILED, Status.CANCELLED),
    )
    .values(_MARK),
)
MARK_WAITING = Statement(
    "mark_waiting_flow",
    update(flows)
    .where(
        flows.c.flow_id == bindparam("id"),
        flag_is(flows.c.delete_after_ms, 0),
        status_is(flows.c.status, Status.INTERRUPTED),
    )
    .values(**_MARK, status=literal_column("'cancelled'"), updated_at=bindparam("now")),
)
ROOTS_AND_LIVE = Statement(
    "roots_and_live_below",
    select(flows.c.flow_id, flows.c.workflow_url, flows.c.token).where(
        in_ids(flows.c.root_flow_id, "ids"),
        or_(
            flag_is(flows.c.parent_flow_id, 0),
            status_is(flows.c.status, Status.RUNNING, Status.INTERRUPTED),
        ),
    ),
)
CANCEL_BELOW = Statement(
    "cancel_below_roots",
    update(flows)
    .where(in_ids(flows.c.flow_id, "ids"), status_is(flows.c.status, Status.RUNNING, Status.INTERRUPTED))
    .values(status=literal_column("'cancelled'"), updated_at=bindparam("now")),
)
RETIRED = Statement(
    "retired_flows",
    select(flows.c.flow_id)
    .where(
        flows.c.status == bindparam("status"),
        flag_is(flows.c.parent_flow_id, 0),
        flag_is(flows.c.delete_after_ms, 0),
        flows.c.created_at <= bindparam("before"),  # no flow is changed before it is created
        flows.c.updated_at <= bindparam("before"),
    )
    .order_by(flows.c.created_at, flows.c.flow_id)
    .limit(ROOTS_AT_ONCE),
)
DUE = Statement(
    "doomed_flows",
    select(flows.c.flow_id)
    .where(
        flows.c.delete_after_ms > ZERO,
        flows.c.updated_at + flows.c.delete_after_ms <= bindparam("now"),
    )
    .order_by(flows.c.delete_after_ms, flows.c.updated_at)
    .limit(ROOTS_AT_ONCE),
)
SIZES = Statement(
    "steps_of_trees",
    select(flows.c.root_flow_id, func.count())
    .select_from(flows.join(steps, steps.c.flow_id == flows.c.flow_id))
    .where(in_ids(flows.c.root_flow_id, "ids"))
    .group_by(flows.c.root_flow_id),
)
_TAGGED = case((flows.c.tags.is_not(None), 1), else_=0)
TREES = Statement("flows_of_trees", select(flows.c.flow_id, _TAGGED).where(in_ids(flows.c.root_flow_id, "ids")))
DROP_TAGS = Statement("drop_tags", delete(tags).where(in_ids(tags.c.flow_id, "ids")))
DROP_STEPS = Statement("drop_steps", delete(steps).where(in_ids(steps.c.flow_id, "ids")))
DROP_FLOWS = Statement("drop_flows", delete(flows).where(in_ids(flows.c.flow_id, "ids")))
# other data of the flows, in one query: names of blobs, and whether there is output or a display
_SAID, _SHOWN = "1", "2"
LEFT = Statement(
    "left_by_flows",
    union(
        select(blob_refs.c.blob_hash).where(in_ids(blob_refs.c.flow_id, "ids")),
        select(literal_column(f"'{_SAID}'")).select_from(output).where(in_ids(output.c.flow_id, "ids")),
        select(literal_column(f"'{_SHOWN}'")).select_from(displays).where(in_ids(displays.c.flow_id, "ids")),
    ),
)
DROP_OUTPUT = Statement("drop_output_of_flows", delete(output).where(in_ids(output.c.flow_id, "ids")))
DROP_DISPLAYS = Statement("drop_displays_of_flows", delete(displays).where(in_ids(displays.c.flow_id, "ids")))


def delete_flow(flow_id: int, token: str, work: UnitOfWork) -> Script[None]:
    """Mark a root flow that is not running. FlowNotFound, InvalidRequest (a child flow), StateConflict (running)."""
    target = yield from _target(flow_id)
    if target is None or target.token != token:
        raise FlowNotFound(NO_FLOW)
    if target.parent_flow_id:
        raise InvalidRequest("a child flow is deleted with its root flow: use the root flow's key")
    if target.delete_after_ms or (yield from mark([(flow_id, target.status)], work)):
        return
    target = yield from _target(flow_id)
    if target is not None and not target.delete_after_ms:
        raise StateConflict("the flow is running: cancel it, or wait until it has stopped, before it is deleted")


def _target(flow_id: int) -> Script[TargetRow | None]:
    rows = yield Fetch(TARGET, {"id": flow_id})
    return TargetRow._make(rows[0]) if rows else None


def retire(status: Status, age_ms: int, work: UnitOfWork) -> Script[int]:
    """Mark some roots with a status for longer than this. Returns their number; at the end, less than a chunk."""
    found = yield Fetch(RETIRED, {"status": status.value, "before": work.now - age_ms})
    return (yield from mark([(flow_id, status.value) for (flow_id,) in found], work))


def mark(roots: Iterable[tuple[int, str]], work: UnitOfWork) -> Script[int]:
    """Mark roots that still have the status in which they were listed, unless they are running. Returns their number.

    A waiting root is cancelled with its live child flows. Marking releases the flow's idempotency key.
    """
    by_status: dict[str, list[int]] = defaultdict(list)
    for flow_id, status in roots:
        by_status[status].append(flow_id)
    waiting = by_status.pop(Status.INTERRUPTED, [])
    by_status.pop(Status.RUNNING, None)
    ended = [flow_id for ids in by_status.values() for flow_id in ids]
    work.moved.update(ended)
    count: int = (yield Execute(MARK_ENDED, {"ids": ended, "after": AT_ONCE_MS})) if ended else 0
    if waiting:
        yield Lock(LOCK_STEPS, {"ids": waiting})  # before their flows, as an answer does
        given = {"now": work.now, "after": AT_ONCE_MS}
        matched = yield UpdateEach(MARK_WAITING, [{**given, "id": flow_id} for flow_id in waiting])
        marked = [flow_id for flow_id, ok in zip(waiting, matched, strict=True) if ok]
        yield from _cancel_under(marked, work)
        count += len(marked)
    return count


def _cancel_under(roots: list[int], work: UnitOfWork) -> Script[None]:
    """Cancel live steps in the trees of roots that were just cancelled."""
    if not roots:
        return
    yield from end_steps(roots, work.now)
    ended = yield Fetch(ROOTS_AND_LIVE, {"ids": roots})
    yield Execute(CANCEL_BELOW, {"ids": [flow_id for flow_id, *_ in ended], "now": work.now})
    work.work_due = True  # limits may have room now
    work.stops.extend(
        Stop(flow_id, Status.CANCELLED, workflow=workflow, token=token) for flow_id, workflow, token in ended
    )
    work.moved.update(roots)
    for root in roots:
        yield from tell_hook_of_cancel(root, work)


def removable() -> Script[list[int]]:
    """Some marked roots whose retention has expired, possibly none. Their trees can be removed together."""
    now = yield Now()
    # what was marked in this very millisecond is due too: a pass removes all that it has marked
    due = [flow_id for (flow_id,) in (yield Fetch(DUE, {"now": now + AT_ONCE_MS}))]
    if not due:
        return []
    sizes = dict((yield Fetch(SIZES, {"ids": due})))
    roots: list[int] = []
    total = 0
    for root in due:
        total += sizes.get(root, 0)
        # not for the first: a tree that is larger than the bound has to go as well
        if roots and total > STEPS_AT_ONCE:
            break
        roots.append(root)
    return roots


def remove_trees(roots: Collection[int]) -> Script[list[int]]:
    """Remove marked roots with their trees, in any status. Returns the ids of the removed flows."""
    tagged = dict((yield Fetch(TREES, {"ids": roots})))
    if any(tagged.values()):
        yield Execute(DROP_TAGS, {"ids": sorted(flow_id for flow_id, has in tagged.items() if has)})
    if tagged:
        yield from drop_flows(list(tagged))
    return list(tagged)


def drop_flows(flow_ids: Collection[int]) -> Script[None]:
    """Remove flows with their steps and all rows that belong to them alone."""
    yield Execute(DROP_STEPS, {"ids": flow_ids})
    if failpoints.active is not None:
        failpoints.active.hit("dropFlows")
    yield Execute(DROP_FLOWS, {"ids": flow_ids})
    left = {name for (name,) in (yield Fetch(LEFT, {"ids": flow_ids}))}
    if _SAID in left:
        yield Execute(DROP_OUTPUT, {"ids": flow_ids})
    if _SHOWN in left:
        yield Execute(DROP_DISPLAYS, {"ids": flow_ids})
    yield from release_blobs(flow_ids, left - {_SAID, _SHOWN})
