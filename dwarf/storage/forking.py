"""Forking: a flow that has ended is read, and its copy is written in one transaction. The origin is never written.

What has ended does not change any more, so it is read and copied beside the writer; the write only makes sure that the
origin is still there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select

from dwarf.core.decision import Decision
from dwarf.core.fork import Answered, ForkPlan, OldFlow, OldStep, Role, Target, Tree, failed_targets, plan_fork
from dwarf.core.keys import Key, parse_key
from dwarf.core.plan import Plan
from dwarf.core.records import State
from dwarf.errors import FlowNotFound, InvalidRequest, StateConflict, StepNotFound
from dwarf.storage.claims import load_plan
from dwarf.storage.commit import follow_up
from dwarf.storage.effects import Effects, PlanOf
from dwarf.storage.expressions import in_ids
from dwarf.storage.named import columns
from dwarf.storage.payloads.refs import fetch_anchors
from dwarf.storage.rows import read_object, restore
from dwarf.storage.script import Fetch, InsertMany, Row, Script, Statement
from dwarf.storage.tables import flows, steps
from dwarf.workflow.graph import Limit
from dwarf.workflow.jsontext import loads
from dwarf.workflow.status import Status

AT_ONCE = 4096  # rows in one statement


class StepPlaceRow(NamedTuple):
    """Where a step stands."""

    token: str
    root_flow_id: int


class FlowPlaceRow(NamedTuple):
    """Where a flow stands."""

    token: str
    parent_flow_id: int


class ShapeRow(NamedTuple):
    """Where a step stands among the others of its tree."""

    step_id: int
    flow_id: int
    status: str
    lineage_id: int
    ordinal: int
    predecessor_id: int
    successor_id: int
    cohort_size: int


class OriginRow(NamedTuple):
    """What tells whether the origin of a copy is still there."""

    token: str
    status: str
    delete_after_ms: int


STEP_PLACE = Statement(
    "step_place",
    select(*columns(StepPlaceRow, steps, flows))
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(steps.c.step_id == bindparam("id")),
)
FLOW_PLACE = Statement("flow_place", select(*columns(FlowPlaceRow, flows)).where(flows.c.flow_id == bindparam("id")))
ORIGIN_FLOWS = Statement(
    "origin_flows",
    select(*flows.columns).where(flows.c.root_flow_id == bindparam("root")).order_by(flows.c.flow_id),
    raw=True,
)
ORIGIN_SHAPE = Statement(
    "origin_shape",
    select(*columns(ShapeRow, steps))
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(flows.c.root_flow_id == bindparam("root"))
    .order_by(steps.c.step_id),
)
ANSWERS = Statement(
    "answers_of_steps",
    select(steps.c.step_id, steps.c.answers).where(in_ids(steps.c.step_id, "ids"), steps.c.answers != ""),
    raw=True,
)
WHOLE_STEPS = Statement(
    "whole_steps",
    select(*steps.columns).where(in_ids(steps.c.step_id, "ids")).order_by(steps.c.step_id),
    raw=True,
)
ROUTED_STEP = Statement(
    "routed_step", select(steps.c.state, steps.c.refs, steps.c.changes).where(steps.c.step_id == bindparam("id"))
)
ORIGIN_STANDS = Statement(
    "origin_stands",
    select(*columns(OriginRow, flows)).where(flows.c.flow_id == bindparam("id")),
)
COPY_FLOW = Statement("copy_flow", insert(flows), raw=True)
COPY_STEP = Statement("copy_step", insert(steps), raw=True)

_FLOW_NAMES = tuple(column.name for column in flows.columns)
_STEP_NAMES = tuple(column.name for column in steps.columns)


@dataclass(slots=True)
class Origin:
    """A flow that has ended, read for a copy: the plan of the copy and the rows it is made from."""

    root: dict[str, Any]
    plan: ForkPlan
    targets: Mapping[int, Target]
    flows: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    limits: Mapping[int, Limit] = field(default_factory=dict)  # of the steps that run again
    routed: tuple[Plan, State, State] | None = None  # where routing goes on from a step: graph, whole input, changes


@dataclass(slots=True)
class Copy:
    """The rows of a copy. ``begun_flows`` and ``begun_steps`` are those that begin at the time of the write."""

    origin: Key
    root_id: int
    flows: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    begun_flows: list[dict[str, Any]] = field(default_factory=list)
    begun_steps: list[dict[str, Any]] = field(default_factory=list)
    decision: Decision | None = None  # about the step from which routing goes on


def read_for_fork(key: Key, target: Target, plan_of: PlanOf) -> Script[Origin]:
    """A copy that goes on at one step. StepNotFound; InvalidRequest, StateConflict where it cannot go on there."""
    rows = yield Fetch(STEP_PLACE, {"id": key.id})
    place = StepPlaceRow._make(rows[0]) if rows else None
    if place is None or place.token != key.token:
        raise StepNotFound("step not found")
    found, tree = yield from _read_tree(place.root_flow_id)
    step = tree.steps.get(key.id)
    if step is None:
        raise StateConflict("the flow of this step is being deleted")
    if target.role is Role.AFTER and step.status is not Status.COMPLETED:
        raise StateConflict(f"the step is {step.status}: it has no result from which routing could go on")
    answered = yield from _read_answers([key.id, *tree.callers(step.flow_id)])
    there = len(answered.get(key.id, ()))
    if target.answers > there:
        raise InvalidRequest(f"the step has {there} answers, so {target.answers} cannot be kept")
    origin = yield from _read_copy(found, tree, {key.id: target}, answered, plan_of)
    if target.role is Role.AFTER:
        ((state, refs_text, changes),) = yield Fetch(ROUTED_STEP, {"id": key.id})
        graph = next(flow["graph_hash"] for flow in origin.flows if flow["flow_id"] == step.flow_id)
        refs = read_object(refs_text)
        anchors = yield from fetch_anchors(refs.values())
        plan = yield from load_plan(graph, plan_of)
        origin.routed = plan, restore(state, refs, anchors), read_object(changes)
    return origin


def read_for_repair(key: Key, plan_of: PlanOf) -> Script[Origin]:
    """A copy that goes on wherever a flow was stopped. FlowNotFound, InvalidRequest (a child flow), StateConflict."""
    place = yield from find_flow(key)
    if place.parent_flow_id:
        raise InvalidRequest("a child flow is repaired with its root flow: use the root flow's key")
    found, tree = yield from _read_tree(key.id)
    stopped = [step.step_id for step in tree.steps.values() if step.status is not Status.COMPLETED]
    answered = yield from _read_answers(stopped)
    targets = failed_targets(tree, key.id, answered)
    if not targets:
        raise StateConflict("no step of the flow has failed, or was cancelled: there is nothing to run again")
    return (yield from _read_copy(found, tree, targets, answered, plan_of))


def find_flow(key: Key) -> Script[FlowPlaceRow]:
    """Where the flow of a key stands. FlowNotFound."""
    rows = yield Fetch(FLOW_PLACE, {"id": key.id})
    place = FlowPlaceRow._make(rows[0]) if rows else None
    if place is None or place.token != key.token:
        raise FlowNotFound("flow not found")
    return place


def write_copy(copy: Copy, effects: Effects) -> Script[None]:
    """Write a copy. StateConflict where its origin has been deleted meanwhile."""
    rows = yield Fetch(ORIGIN_STANDS, {"id": copy.origin.id})
    stands = OriginRow._make(rows[0]) if rows else None
    if stands is None or stands.token != copy.origin.token or stands.delete_after_ms > 0:
        raise StateConflict("the flow is being deleted")
    now = effects.now
    for row in copy.begun_flows:
        row.update(created_at=now, started_at=now, updated_at=now)
    for row in copy.begun_steps:
        started = now if row["status"] == Status.RUNNING else 0
        row.update(created_at=now, started_at=started, updated_at=now, not_before=now)
    yield from _insert(COPY_FLOW, copy.flows)
    yield from _insert(COPY_STEP, copy.steps)
    effects.work_due = True
    effects.moved.add(copy.root_id)
    if copy.decision is not None:
        yield from follow_up([copy.decision], effects)


def _insert(statement: Statement, rows: Sequence[Mapping[str, Any]]) -> Script[None]:
    for start in range(0, len(rows), AT_ONCE):
        yield InsertMany(statement, rows[start : start + AT_ONCE])


def _read_tree(root: int) -> Script[tuple[list[dict[str, Any]], Tree]]:
    """Every flow under a root, and the shape of the tree. StateConflict where the root has not ended."""
    rows = yield Fetch(ORIGIN_FLOWS, {"root": root})
    found = _named(_FLOW_NAMES, rows)
    tip = next((flow for flow in found if flow["flow_id"] == root), None)
    if tip is None or tip["delete_after_ms"] > 0:
        raise StateConflict("the flow is being deleted")
    if not Status(tip["status"]).terminal:
        raise StateConflict(f"the flow is {tip['status']}: only a flow that has ended can be forked")
    shape = yield Fetch(ORIGIN_SHAPE, {"root": root})
    old = (
        OldFlow(
            flow_id=flow["flow_id"],
            parent_flow_id=flow["parent_flow_id"],
            parent_step_id=flow["parent_step_id"],
            status=Status(flow["status"]),
        )
        for flow in found
    )
    return found, Tree(old, map(_old_step, map(ShapeRow._make, shape)))


def _old_step(row: ShapeRow) -> OldStep:
    return OldStep(
        step_id=row.step_id,
        flow_id=row.flow_id,
        status=Status(row.status),
        lineage_id=row.lineage_id,
        ordinal=row.ordinal,
        predecessor_id=row.predecessor_id,
        successor_id=row.successor_id,
        cohort_size=row.cohort_size,
    )


def _read_answers(step_ids: Iterable[int]) -> Script[Answered]:
    """Which child flow gave each answer of these steps."""
    rows = yield Fetch(ANSWERS, {"ids": sorted(set(step_ids))})
    return {step_id: [_child_of(answer) for answer in loads(text)] for step_id, text in rows}


def _child_of(answer: Mapping[str, Any]) -> int:
    key = answer.get("flowKey")
    return parse_key(key).id if key else 0


def _read_copy(
    found: list[dict[str, Any]], tree: Tree, targets: Mapping[int, Target], answered: Answered, plan_of: PlanOf
) -> Script[Origin]:
    root = next(flow for flow in found if flow["flow_id"] == flow["root_flow_id"])
    plan = plan_fork(tree, root["flow_id"], targets, answered)
    kept = set(plan.flows)
    ids = sorted(plan.parts)
    rows: list[Row] = []
    for start in range(0, len(ids), AT_ONCE):
        rows += yield Fetch(WHOLE_STEPS, {"ids": ids[start : start + AT_ONCE]})
    if len(rows) < len(ids):
        raise StateConflict("the flow is being deleted")
    chosen = [flow for flow in found if flow["flow_id"] in kept]
    origin = Origin(root, plan, targets, flows=chosen, steps=_named(_STEP_NAMES, rows))
    origin.limits = yield from _read_limits(origin, plan_of)
    return origin


def _read_limits(origin: Origin, plan_of: PlanOf) -> Script[dict[int, Limit]]:
    """The limits of the steps that run again: new input may put a step under another one."""
    graphs = {flow["flow_id"]: flow["graph_hash"] for flow in origin.flows}
    limits: dict[int, Limit] = {}
    for row in origin.steps:
        if row["limit_name"] and row["step_id"] in origin.targets:
            graph = yield from load_plan(graphs[row["flow_id"]], plan_of)
            limit = graph.nodes[row["node"]].limit
            if limit is not None:
                limits[row["step_id"]] = limit
    return limits


def _named(names: Sequence[str], rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]
