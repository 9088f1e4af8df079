"""Breakpoints in storage: on the row of the flow, and for some time as news for the engines that run it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, or_, select, update

from dwarf.core.breakpoints import Breakpoints
from dwarf.core.keys import NO_FLOW, Key
from dwarf.errors import FlowNotFound, InvalidRequest, StateConflict
from dwarf.storage.operations.unit_of_work import UnitOfWork
from dwarf.storage.sql.graphs import PlanOf, load_plan
from dwarf.storage.sql.rows import LOCK_FLOW, columns, object_text, read_object, read_status
from dwarf.storage.sql.script import Execute, Fetch, InsertMany, Lock, Script, Statement
from dwarf.storage.sql.tables import breakpoints, flows
from dwarf.workflow.suggest import did_you_mean

NEWS_MS = 600_000  # how long engines can learn of a change; an engine that starts later reads the flow's row
_OVERLAP_MS = 60_000  # a transaction that began earlier may become visible later


class PointsRow(NamedTuple):
    """The row of a flow whose breakpoints are changed."""

    token: str
    parent_flow_id: int
    status: str
    graph_hash: str
    breakpoints: str | None


POINTS = Statement("breakpoints_of_flow", select(*columns(PointsRow, flows)).where(flows.c.flow_id == bindparam("id")))
SET_POINTS = Statement(
    "set_breakpoints",
    update(flows).where(flows.c.flow_id == bindparam("id")).values(breakpoints=bindparam("new_breakpoints")),
)
OLD_NEWS = Statement(
    "old_breakpoints",
    delete(breakpoints).where(
        or_(breakpoints.c.flow_id == bindparam("id"), breakpoints.c.changed_at < bindparam("before"))
    ),
)
NEWS = Statement(
    "news_of_breakpoints",
    insert(breakpoints).values({column: bindparam(column.name) for column in breakpoints.columns}),
)
CHANGED = Statement(
    "changed_breakpoints",
    select(breakpoints.c.flow_id, breakpoints.c.body, breakpoints.c.changed_at).where(
        breakpoints.c.changed_at >= bindparam("since")
    ),
)


def change_breakpoints(
    key: Key,
    before: Iterable[str] | None,
    after: Iterable[str] | None,
    work: UnitOfWork,
    plan_of: PlanOf,
) -> Script[None]:
    """Set the given breakpoints of a root flow. FlowNotFound, InvalidRequest, StateConflict."""
    yield Lock(LOCK_FLOW, {"id": key.id})  # an answer may change them, too
    flow = yield from _read(key.id)
    if flow is None or flow.token != key.token:
        raise FlowNotFound(NO_FLOW)
    if flow.parent_flow_id:
        raise InvalidRequest(
            "breakpoints are set on root flows, and stop at nodes of their own graphs: a child flow has none"
        )
    if read_status(flow.status).terminal:
        raise StateConflict(f"the flow is {flow.status} already")
    plan = yield from load_plan(flow.graph_hash, plan_of)
    check_nodes(plan.nodes, [*(before or ()), *(after or ())])
    known = Breakpoints.from_json(read_object(flow.breakpoints))
    yield from _keep(key.id, known.changed(before, after), work)


def read_breakpoints(key: Key) -> Script[Breakpoints]:
    """The breakpoints of a flow. FlowNotFound."""
    flow = yield from _read(key.id)
    if flow is None or flow.token != key.token:
        raise FlowNotFound(NO_FLOW)
    return Breakpoints.from_json(read_object(flow.breakpoints))


def go_on(flow_id: int, passed: str, once: frozenset[str], work: UnitOfWork) -> Script[None]:
    """A flow goes on from a breakpoint, and stops before the nodes of ``once`` and no more before those of earlier.

    ``passed`` names the cohort, if any, whose other branches must not stop there. The flow's row is locked.
    """
    flow = yield from _read(flow_id)
    if flow is not None:
        known = Breakpoints.from_json(read_object(flow.breakpoints))
        fresh = replace(known, passed=known.passed | {passed} if passed else known.passed, once=once)
        if fresh != known:
            yield from _keep(flow_id, fresh, work)


def _read(flow_id: int) -> Script[PointsRow | None]:
    rows = yield Fetch(POINTS, {"id": flow_id})
    return PointsRow._make(rows[0]) if rows else None


def _keep(flow_id: int, points: Breakpoints, work: UnitOfWork) -> Script[None]:
    body = object_text(points.to_json())
    work.points = {**(work.points or {}), flow_id: points}
    yield Execute(SET_POINTS, {"id": flow_id, "new_breakpoints": body})
    yield Execute(OLD_NEWS, {"id": flow_id, "before": work.now - NEWS_MS})
    yield InsertMany(NEWS, [{"flow_id": flow_id, "body": body, "changed_at": work.now}])


def read_changed(since: int) -> Script[tuple[dict[int, Breakpoints], int]]:
    """The breakpoints changed since a moment, by flow, and the moment for the next call."""
    rows = yield Fetch(CHANGED, {"since": since}, autocommit=True)
    latest = max((changed_at for *_, changed_at in rows), default=0)
    found = {flow_id: Breakpoints.from_json(read_object(body)) for flow_id, body, _ in rows}
    return found, max(since, latest - _OVERLAP_MS)


def check_nodes(known: Iterable[str], asked: Iterable[str]) -> None:
    """InvalidRequest for a node that the graph does not have."""
    names = list(known)
    for node in asked:
        if not isinstance(node, str) or node not in names:
            hint = (
                did_you_mean(str(node), names)
                or "; a flow stops at nodes of its own graph, not at those of child flows"
            )
            raise InvalidRequest(f"the graph has no node {node!r}{hint}")
