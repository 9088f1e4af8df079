"""Forking: a flow is read, and its copy is written in one transaction. The origin is never written.

It is read on one snapshot, beside the writer, so that what still runs is copied as it was at one moment; the write only
makes sure that the origin is still there.

Why rows are copied and not shared: both flows can be forked, repaired and deleted on their own, and no query has to
look into two flows. Large values are references, so a copy costs rows and no payloads. Why the plan of what is kept,
run again and dropped is made by ``core.fork`` from plain data: it depends on fan-outs, callers and graphs at once, and
a table of cases is the only way to see that it is right. Why cohorts are counted anew: branches that run again have not
arrived, whatever the origin's counts say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, exists, insert, select

from dwarf.core.decision import Decision
from dwarf.core.fork import Answered, ForkPlan, OldFlow, OldStep, Role, Target, Tree, failed_targets, plan_fork
from dwarf.core.keys import NO_FLOW, NO_STEP, Key, parse_key
from dwarf.core.limits import limit_of
from dwarf.core.plan import Plan
from dwarf.core.records import State
from dwarf.core.refit import misfits
from dwarf.core.state_refs import after
from dwarf.errors import FlowNotFound, GraphError, InvalidRequest, StateConflict, StepNotFound
from dwarf.storage.operations.commit import follow_up
from dwarf.storage.operations.output import COPY_DISPLAY, COPY_OUTPUT, DISPLAY_NAMES, OUTPUT_NAMES, SAID, SHOWN
from dwarf.storage.operations.tags import copy_tags
from dwarf.storage.operations.unit_of_work import UnitOfWork
from dwarf.storage.payloads.state_refs import fetch_anchors
from dwarf.storage.sql.expressions import in_ids
from dwarf.storage.sql.graphs import PlanOf, load_plan
from dwarf.storage.sql.rows import columns, read_object, restore
from dwarf.storage.sql.script import Fetch, InsertMany, Row, Script, Statement
from dwarf.storage.sql.tables import displays, flows, output, steps
from dwarf.workflow.graph import Limit
from dwarf.workflow.jsontext import loads
from dwarf.workflow.status import Status

AT_ONCE = 4096  # rows in one statement


class StepPlaceRow(NamedTuple):
    """The position of a step."""

    token: str
    root_flow_id: int


class FlowPlaceRow(NamedTuple):
    """The position of a flow."""

    token: str
    parent_flow_id: int


class ShapeRow(NamedTuple):
    """The relations of a step to the other steps of its tree."""

    step_id: int
    flow_id: int
    status: str
    lineage_id: int
    ordinal: int
    predecessor_id: int
    successor_id: int
    cohort_size: int


class OriginRow(NamedTuple):
    """The facts that tell whether the origin of a copy still exists."""

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
_SAYS = case((exists().where(output.c.flow_id == flows.c.flow_id), 1), else_=0)
_SHOWS = case((exists().where(displays.c.flow_id == flows.c.flow_id), 1), else_=0)
ORIGIN_FLOWS = Statement(
    "origin_flows",
    select(*flows.columns, _SAYS.label("says"), _SHOWS.label("shows"))
    .where(flows.c.root_flow_id == bindparam("root"))
    .order_by(flows.c.flow_id),
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

FLOW_NAMES = (*(column.name for column in flows.columns), "says", "shows")
_STEP_NAMES = tuple(column.name for column in steps.columns)


@dataclass(frozen=True, slots=True)
class Onto:
    """The graph with which a copy continues, in place of the flow's frozen graph."""

    graph_hash: str
    body: str
    plan: Plan


@dataclass(slots=True)
class Origin:
    """A flow as read for a copy: the plan of the copy and its source rows."""

    root: dict[str, Any]
    plan: ForkPlan
    targets: Mapping[int, Target]
    flows: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    said: list[dict[str, Any]] = field(default_factory=list)  # of the steps that do not run again
    shown: list[dict[str, Any]] = field(default_factory=list)  # likewise
    limits: Mapping[int, Limit] = field(default_factory=dict)  # of the steps that run again
    # for a copy that continues with routing: graph, whole input, changes
    routed: tuple[Plan, State, State] | None = None
    onto: Onto | None = None
    moved: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)  # columns changed by another graph, by step


@dataclass(slots=True)
class Copy:
    """The rows of a copy. ``begun_flows`` and ``begun_steps`` get the time of the write."""

    origin: Key
    root_id: int
    flows: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    shown: list[dict[str, Any]] = field(default_factory=list)
    begun_flows: list[dict[str, Any]] = field(default_factory=list)
    begun_steps: list[dict[str, Any]] = field(default_factory=list)
    decision: Decision | None = None  # about the step from which routing continues
    onto: Onto | None = None  # a graph that may be new to the database


def read_for_fork(key: Key, target: Target, plan_of: PlanOf, changes: State, onto: Onto | None) -> Script[Origin]:
    """A copy that continues at one step, with another graph if one is given.

    StepNotFound; InvalidRequest, StateConflict if it cannot continue there; GraphError if its history does not fit the
    graph.
    """
    rows = yield Fetch(STEP_PLACE, {"id": key.id})
    place = StepPlaceRow._make(rows[0]) if rows else None
    if place is None or place.token != key.token:
        raise StepNotFound(NO_STEP)
    found, tree = yield from _read_tree(place.root_flow_id)
    step = tree.steps.get(key.id)
    if step is None:
        raise StateConflict("the flow of this step is being deleted")
    if target.role is Role.AFTER and step.status is not Status.COMPLETED:
        raise StateConflict(f"the step is {step.status}: it has no result from which routing could go on")
    if not step.status.stopped and not _has_ended(tree, step.flow_id) and not tree.waits_for_child(key.id):
        raise StateConflict(f"the step is {step.status}: a flow is forked at a step that has ended, or waits")
    answered = yield from _read_answers([key.id, *tree.callers(step.flow_id), *tree.unfinished()])
    there = len(answered.get(key.id, ()))
    if target.answers > there:
        raise InvalidRequest(f"the step has {there} answers, so {target.answers} cannot be kept")
    read = _Reading(
        found=found, tree=tree, targets={key.id: target}, answered=answered, plan_of=plan_of, changes=changes
    )
    origin = yield from read.copy(onto, [step.flow_id])
    if target.role is Role.AFTER:
        ((state, refs_text, changed),) = yield Fetch(ROUTED_STEP, {"id": key.id})
        refs = read_object(refs_text)
        anchors = yield from fetch_anchors(refs.values())
        plan = onto.plan if onto is not None else (yield from load_plan(read.graph_of(step.flow_id), plan_of))
        origin.routed = plan, restore(state, refs, anchors), read_object(changed)
    return origin


def read_for_repair(key: Key, plan_of: PlanOf, changes: State, onto: Onto | None) -> Script[Origin]:
    """A copy that continues wherever a flow was stopped, with another graph if one is given.

    FlowNotFound, InvalidRequest (a child flow), StateConflict; GraphError if its history does not fit the graph.
    """
    place = yield from find_flow(key)
    if place.parent_flow_id:
        raise InvalidRequest("a child flow is repaired with its root flow: use the root flow's key")
    found, tree = yield from _read_tree(key.id)
    status = tree.flows[key.id].status
    if not status.terminal:
        raise StateConflict(f"the flow is {status}: only a flow that has ended can be repaired")
    stopped = [step.step_id for step in tree.steps.values() if step.status is not Status.COMPLETED]
    answered = yield from _read_answers(stopped)
    targets = failed_targets(tree, key.id, answered)
    if not targets:
        raise StateConflict("no step of the flow has failed, or was cancelled: there is nothing to run again")
    read = _Reading(found=found, tree=tree, targets=targets, answered=answered, plan_of=plan_of, changes=changes)
    return (yield from read.copy(onto))


def find_flow(key: Key) -> Script[FlowPlaceRow]:
    """The position of a flow, by its key. FlowNotFound."""
    rows = yield Fetch(FLOW_PLACE, {"id": key.id})
    place = FlowPlaceRow._make(rows[0]) if rows else None
    if place is None or place.token != key.token:
        raise FlowNotFound(NO_FLOW)
    return place


def write_copy(copy: Copy, work: UnitOfWork) -> Script[None]:
    """Write a copy. StateConflict if its origin was deleted meanwhile."""
    rows = yield Fetch(ORIGIN_STANDS, {"id": copy.origin.id})
    stands = OriginRow._make(rows[0]) if rows else None
    if stands is None or stands.token != copy.origin.token or stands.delete_after_ms > 0:
        raise StateConflict("the flow is being deleted")
    now = work.now
    for row in copy.begun_flows:
        row.update(created_at=now, started_at=now, updated_at=now)
    for row in copy.begun_steps:
        started = now if row["status"] == Status.RUNNING else 0
        row.update(created_at=now, started_at=started, updated_at=now, not_before=now)
    yield from _insert(COPY_FLOW, copy.flows)
    root = next(row for row in copy.flows if row["flow_id"] == copy.root_id)
    if root["tags"] is not None:
        yield from copy_tags(copy.origin.id, copy.root_id, root["created_at"])
    yield from _insert(COPY_STEP, copy.steps)
    yield from _insert(COPY_OUTPUT, copy.said)
    yield from _insert(COPY_DISPLAY, copy.shown)
    work.work_due = True
    work.moved.add(copy.root_id)
    if copy.onto is not None:
        work.add_graph(copy.onto.graph_hash, copy.onto.body)
    if copy.decision is not None:
        yield from follow_up(copy.decision, work)


def _insert(statement: Statement, rows: Sequence[Mapping[str, Any]]) -> Script[None]:
    for start in range(0, len(rows), AT_ONCE):
        yield InsertMany(statement, rows[start : start + AT_ONCE])


def _read_tree(root: int) -> Script[tuple[list[dict[str, Any]], Tree]]:
    """Every flow under a root, and the shape of the tree. StateConflict if it is being deleted."""
    rows = yield Fetch(ORIGIN_FLOWS, {"root": root})
    found = _named(FLOW_NAMES, rows)
    tip = next((flow for flow in found if flow["flow_id"] == root), None)
    if tip is None or tip["delete_after_ms"] > 0:
        raise StateConflict("the flow is being deleted")
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
    """The child flow that gave each answer of these steps."""
    rows = yield Fetch(ANSWERS, {"ids": sorted(set(step_ids))})
    return {step_id: [_child_of(answer) for answer in loads(text)] for step_id, text in rows}


def _child_of(answer: Mapping[str, Any]) -> int:
    key = answer.get("flowKey")
    return parse_key(key).id if key else 0


def _has_ended(tree: Tree, flow_id: int) -> bool:
    return tree.flows[flow_id].status.terminal


@dataclass(slots=True, kw_only=True)
class _Reading:
    """The rows of an origin read so far, and their fate in the copy."""

    found: list[dict[str, Any]]
    tree: Tree
    targets: Mapping[int, Target]
    answered: Answered
    plan_of: PlanOf
    changes: State

    def graph_of(self, flow_id: int) -> str:
        """The hash of a flow's graph."""
        return next(str(flow["graph_hash"]) for flow in self.found if flow["flow_id"] == flow_id)

    def copy(self, onto: Onto | None, homes: Sequence[int] = ()) -> Script[Origin]:
        """Plan the copy and read its rows. ``homes`` are the flows that get the other graph; empty: those that it
        suits.
        """
        root = next(flow for flow in self.found if flow["flow_id"] == flow["root_flow_id"])
        plan = plan_fork(self.tree, root["flow_id"], self.targets, self.answered)
        kept = set(plan.flows)
        ids = sorted(plan.parts)
        rows: list[Row] = []
        for start in range(0, len(ids), AT_ONCE):
            rows += yield Fetch(WHOLE_STEPS, {"ids": ids[start : start + AT_ONCE]})
        if len(rows) < len(ids):
            raise StateConflict("the flow is being deleted")
        chosen = [flow for flow in self.found if flow["flow_id"] in kept]
        origin = Origin(root, plan, self.targets, flows=chosen, steps=_named(_STEP_NAMES, rows), onto=onto)
        if onto is not None:
            yield from self._regraph(origin, onto, homes or self._suited(plan, onto))
        origin.limits = yield from self._limits(origin)
        still = [step_id for step_id in ids if plan.parts[step_id].role not in (Role.AGAIN, Role.WAITING)]
        origin.said, origin.shown = yield from read_said(still, self.found)
        return origin

    def _suited(self, plan: ForkPlan, onto: Onto) -> list[int]:
        """The continuing flows with a graph of this name, or else the one in which a step was stopped."""
        going_on = [flow for flow in self.found if flow["flow_id"] in plan.live]
        named = [flow["flow_id"] for flow in going_on if flow["workflow_name"] == onto.plan.name]
        homes = named or list(dict.fromkeys(self.tree.steps[step_id].flow_id for step_id in self.targets))
        if not named and len(homes) > 1:
            names = ", ".join(sorted({repr(flow["workflow_name"]) for flow in going_on}))
            raise GraphError(f"graph {onto.plan.name!r}: what has failed is in flows of {names}: none has this name")
        return homes

    def _regraph(self, origin: Origin, onto: Onto, homes: Sequence[int]) -> Script[None]:
        """Replace the graph of some flows of a copy. GraphError with every reason why their history does not fit."""
        nodes = {row["step_id"]: row["node"] for row in origin.steps}
        problems = [
            f"graph {onto.plan.name!r}: {reason}"
            for flow_id in homes
            for reason in misfits(self.tree, origin.plan, flow_id, nodes, onto.plan)
        ]
        if problems:
            raise GraphError("\n  - ".join(["the flow cannot go on with this graph:", *problems]), problems)
        for flow in origin.flows:
            if flow["flow_id"] in homes:
                flow.update(graph_hash=onto.graph_hash, workflow_name=onto.plan.name)
        moved: dict[int, dict[str, Any]] = {}
        for row in origin.steps:
            again = origin.plan.parts[row["step_id"]].role in (Role.AGAIN, Role.WAITING)
            if again and row["flow_id"] in homes:
                moved[row["step_id"]] = yield from self._moved(origin, row, onto.plan)
        origin.moved = moved

    def _moved(self, origin: Origin, row: Mapping[str, Any], plan: Plan) -> Script[dict[str, Any]]:
        """The columns of a step that runs again, from its node in the other graph."""
        node = plan.nodes[row["node"]]
        state: State = {}
        if node.limit is not None and node.limit.key:
            ((text, refs_text, _),) = yield Fetch(ROUTED_STEP, {"id": row["step_id"]})
            refs = read_object(refs_text)
            state = restore(text, refs, (yield from fetch_anchors(refs.values())))
            if row["step_id"] in self.targets:
                state = after(state, self.changes)
        name, rule = limit_of(node.limit, node.url, state)
        budget = node.time_budget_ms or origin.root["time_budget_ms"]
        return {"task_url": node.need, "time_budget_ms": budget, "limit_name": name, "limit_rule": rule}

    def _limits(self, origin: Origin) -> Script[dict[int, Limit]]:
        """The limits of the steps that run again: a new input may lead to another limit."""
        graphs = {flow["flow_id"]: flow["graph_hash"] for flow in origin.flows}
        limits: dict[int, Limit] = {}
        for row in origin.steps:
            if row["limit_name"] and row["step_id"] in origin.targets and row["step_id"] not in origin.moved:
                graph = yield from load_plan(graphs[row["flow_id"]], self.plan_of)
                limit = graph.nodes[row["node"]].limit
                if limit is not None:
                    limits[row["step_id"]] = limit
        return limits


def read_said(
    step_ids: Sequence[int], found: Sequence[Mapping[str, Any]]
) -> Script[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """The rows of the steps' output and displays, if one of the flows has any."""
    says, shows = ([flow[name] for flow in found] for name in ("says", "shows"))
    said: list[Row] = []
    shown: list[Row] = []
    for start in range(0, len(step_ids), AT_ONCE):
        ids = step_ids[start : start + AT_ONCE]
        if any(says):
            said += yield Fetch(SAID, {"ids": ids})
        if any(shows):
            shown += yield Fetch(SHOWN, {"ids": ids})
    return _named(OUTPUT_NAMES, said), _named(DISPLAY_NAMES, shown)


def _named(names: Sequence[str], rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]
