"""Reading the steps of a flow, with the child flows they called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from dwarf.core.breakpoints import is_breakpoint
from dwarf.core.keys import NO_STEP, Key, format_key
from dwarf.core.plan import parts_of
from dwarf.errors import FlowNotFound, StepNotFound
from dwarf.storage.payloads.state_refs import fetch_anchors
from dwarf.storage.queries.flows import read_outcome, read_root
from dwarf.storage.sql.expressions import flag_is, status_is
from dwarf.storage.sql.rows import columns, read_object, read_status, restore
from dwarf.storage.sql.script import Fetch, Script, Statement
from dwarf.storage.sql.tables import flows, steps
from dwarf.workflow.jsontext import loads
from dwarf.workflow.results import Outcome, Step, SubFlow
from dwarf.workflow.status import Status
from dwarf.workflow.values import from_json, state_from_json


class StepRow(NamedTuple):
    """The columns of a step in a history."""

    step_id: int
    flow_id: int
    token: str
    depth: int
    ordinal: int
    node: str
    status: str
    attempt: int
    engine_id: int
    predecessor_id: int
    successor_id: int
    interrupt: str
    interrupt_deadline: int
    progress: str
    parked: int
    error: str
    traceback: str
    created_at: int
    started_at: int
    updated_at: int
    not_before: int
    warnings: str | None
    answered_by: str | None
    ran_us: int
    waited_us: int
    task_url: str
    code: str
    cached_from: str


class TreeFlowRow(NamedTuple):
    """A flow of a tree."""

    flow_id: int
    token: str
    workflow_url: str
    workflow_name: str
    status: str
    parent_step_id: int


_COLUMNS = columns(StepRow, steps)
TREE_FLOWS = Statement(
    "tree_flows",
    select(*columns(TreeFlowRow, flows))
    .where(flows.c.root_flow_id == bindparam("root"))
    .order_by(flows.c.created_at, flows.c.flow_id),
)
TREE_STEPS = Statement(
    "tree_steps",
    select(*_COLUMNS)
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(flows.c.root_flow_id == bindparam("root"))
    .order_by(steps.c.depth, steps.c.step_id),
)
WAITING_STEPS = Statement(
    "waiting_steps_of_tree",
    select(*_COLUMNS)
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(
        flows.c.root_flow_id == bindparam("root"),
        flag_is(steps.c.parked, 0),
        status_is(steps.c.status, Status.INTERRUPTED),
    )
    .order_by(steps.c.updated_at, steps.c.step_id),
)
ONE_STEP = Statement(
    "one_step",
    select(*_COLUMNS, steps.c.state, steps.c.refs, steps.c.changes).where(steps.c.step_id == bindparam("id")),
)
DOOM = Statement("doom_of_root", select(flows.c.delete_after_ms).where(flows.c.flow_id == bindparam("root")))
ROOT_OF = Statement("root_of", select(flows.c.root_flow_id).where(flows.c.flow_id == bindparam("id")))


def read_history(key: Key, *, deleted_too: bool = False) -> Script[list[Step]]:
    """The steps of a flow by depth and id, each with its child flows and their histories.

    FlowNotFound if the flow is being deleted, unless ``deleted_too`` is set.
    """
    root = yield from read_root(key)
    if not deleted_too:
        ((doom,),) = yield Fetch(DOOM, {"root": root})
        if doom:
            raise FlowNotFound("flow not found: it is being deleted")
    tree = yield from read_tree(key.shard, root)
    return tree.history(key.id)


def read_whole(key: Key) -> Script[tuple[Outcome, list[Step]]]:
    """A flow's outcome and its steps on one snapshot, even while it is being deleted."""
    outcome, _ = yield from read_outcome(key, waits=True)
    return outcome, (yield from read_history(key, deleted_too=True))


def read_interrupts(key: Key) -> Script[list[Step]]:
    """The steps of a flow's tree that wait for an answer, oldest first."""
    root = yield from read_root(key)
    waiting = [StepRow._make(row) for row in (yield Fetch(WAITING_STEPS, {"root": root}))]
    if key.id != root:
        below = _flows_below(key.id, (yield from read_tree(key.shard, root)))
        waiting = [step for step in waiting if step.flow_id in below]
    seen: set[tuple[int, str, str]] = set()
    shown = []
    for row in waiting:
        question = read_object(row.interrupt).get("key") or ""
        if is_breakpoint(question):  # branches that have stopped at one breakpoint wait under one prompt
            place = (row.flow_id, row.node, question)
            if place in seen:
                continue
            seen.add(place)
        shown.append(step_of(key.shard, row))
    return shown


def read_step(key: Key) -> Script[Step]:
    """One step with its input state, its changes and its neighbours."""
    rows = yield Fetch(ONE_STEP, {"id": key.id})
    row = StepRow._make(rows[0][: len(_COLUMNS)]) if rows else None
    if row is None or row.token != key.token:
        raise StepNotFound(NO_STEP)
    stored, refs_text, changes = rows[0][len(_COLUMNS) :]
    refs = read_object(refs_text)
    anchors = yield from fetch_anchors(refs.values())
    ((root,),) = yield Fetch(ROOT_OF, {"id": row.flow_id})
    tree = yield from read_tree(key.shard, root)
    known = tree.step(key.id)
    return replace(
        known,
        state=state_from_json(restore(stored, refs, anchors)),
        changes=state_from_json(read_object(changes)),
        prev_key=tree.neighbour(key.id, forward=False),
        next_key=tree.neighbour(key.id, forward=True),
    )


class HistoryTree:
    """All flows and steps under one root, in memory."""

    def __init__(self, shard: int, flow_rows: Iterable[TreeFlowRow], step_rows: Iterable[StepRow]) -> None:
        self.shard = shard
        self.flows = {flow.flow_id: flow for flow in flow_rows}
        self.rows = {step.step_id: step for step in step_rows}
        self.steps_of: Mapping[int, list[int]] = defaultdict(list)
        for step in self.rows.values():
            self.steps_of[step.flow_id].append(step.step_id)
        self.children: Mapping[int, list[int]] = defaultdict(list)
        for flow in self.flows.values():
            if flow.parent_step_id:
                self.children[flow.parent_step_id].append(flow.flow_id)

    def history(self, flow_id: int) -> list[Step]:
        """The steps of a flow. Built from the deepest flow up, so that deep trees need no recursion."""
        order = [flow_id]
        for known in order:
            order.extend(child for step in self.steps_of[known] for child in self.children[step])
        built: dict[int, list[Step]] = {}
        for known in reversed(order):
            built[known] = [self._with_children(step_id, built) for step_id in self.steps_of[known]]
        return built[flow_id]

    def step(self, step_id: int) -> Step:
        below = {child: self.history(child) for child in self.children[step_id]}
        return self._with_children(step_id, below)

    def _with_children(self, step_id: int, built: Mapping[int, list[Step]]) -> Step:
        step = step_of(self.shard, self.rows[step_id])
        calls = self.children[step_id]
        if not calls:
            return step
        return replace(step, sub_flows=tuple(self._sub_flow(child, built[child]) for child in calls))

    def _sub_flow(self, flow_id: int, history: list[Step]) -> SubFlow:
        flow = self.flows[flow_id]
        return SubFlow(
            flow_key=format_key(self.shard, flow_id, flow.token),
            workflow_url=flow.workflow_url,
            workflow_name=flow.workflow_name,
            status=read_status(flow.status),
            steps=tuple(history),
        )

    def neighbour(self, step_id: int, *, forward: bool) -> str:
        """The next (or previous) step in order of execution, across subgraph borders and past their callers."""
        calls = self.children[step_id]
        if forward and calls:
            inner = self._edge_step(calls[-1], forward=True)
            if inner:
                return self._key(inner)
        current = self._link(step_id, forward)
        while not current:
            caller = self.flows[self.rows[step_id].flow_id].parent_step_id
            if not caller:
                return ""
            step_id = caller
            current = self._link(caller, forward)
        inner_of = current
        while self.children[inner_of]:
            edge = self._edge_step(self.children[inner_of][-1], forward=forward)
            if not edge:
                break
            inner_of = edge
        return self._key(inner_of)

    def _link(self, step_id: int, forward: bool) -> int:
        step = self.rows[step_id]
        linked = step.successor_id if forward else step.predecessor_id
        return linked if linked in self.rows else 0

    def _edge_step(self, flow_id: int, *, forward: bool) -> int:
        # ids come in blocks, so those of several processes are not in the order of time
        steps_of = sorted(
            (self.rows[step_id] for step_id in self.steps_of[flow_id]), key=lambda step: (step.created_at, step.step_id)
        )
        if forward:
            return next((step.step_id for step in steps_of if not step.predecessor_id), 0)
        done = [step.step_id for step in steps_of if step.status == Status.COMPLETED and not step.successor_id]
        return done[-1] if done else 0

    def _key(self, step_id: int) -> str:
        return format_key(self.shard, step_id, self.rows[step_id].token)


def read_tree(shard: int, root: int) -> Script[HistoryTree]:
    """The flows and steps under a root."""
    flow_rows = yield Fetch(TREE_FLOWS, {"root": root})
    step_rows = yield Fetch(TREE_STEPS, {"root": root})
    return HistoryTree(shard, map(TreeFlowRow._make, flow_rows), map(StepRow._make, step_rows))


def _flows_below(flow_id: int, tree: HistoryTree) -> set[int]:
    found_flows = [flow_id]
    for known in found_flows:
        found_flows.extend(child for step in tree.steps_of[known] for child in tree.children[step])
    return set(found_flows)


def steps_below(flow_id: int, tree: HistoryTree) -> set[int]:
    """The ids of the steps of a flow and of the flows below it."""
    return {step for known in _flows_below(flow_id, tree) for step in tree.steps_of[known]}


def moment(milliseconds: int) -> datetime | None:
    """A stored time; None if it is not set."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def step_of(shard: int, row: StepRow) -> Step:
    """A public step, without its states."""
    interrupt = read_object(row.interrupt)
    progress: Any = loads(row.progress) if row.progress else None
    created, updated = moment(row.created_at), moment(row.updated_at)
    again = row.status == Status.PENDING and row.attempt > 0
    # the next attempt clears the error of an attempt
    failing = again or row.status in (Status.FAILED, Status.CANCELLED)
    assert created is not None
    assert updated is not None
    return Step(
        key=format_key(shard, row.step_id, row.token),
        id=row.step_id,
        depth=row.depth,
        ordinal=row.ordinal,
        node=row.node,
        status=read_status(row.status),
        attempt=row.attempt,
        engine_id=row.engine_id,
        predecessor_id=row.predecessor_id,
        successor_id=row.successor_id,
        interrupt_payload=from_json(interrupt.get("payload")) if interrupt else None,
        interrupt_deadline=moment(row.interrupt_deadline),
        progress=tuple(progress) if progress else None,
        parked=bool(row.parked),
        error=row.error if failing else "",
        traceback=row.traceback if failing else "",
        created_at=created,
        started_at=moment(row.started_at),
        updated_at=updated,
        not_before=moment(row.not_before),
        next_attempt_at=moment(row.not_before) if again else None,
        warnings=tuple(loads(row.warnings)) if row.warnings else (),
        answered_by=tuple(loads(row.answered_by)) if row.answered_by else (),
        ran=timedelta(microseconds=row.ran_us) if row.ran_us else None,
        url=parts_of(row.task_url)[0],
        code=row.code,
        cached=bool(row.cached_from),
        cached_from=row.cached_from,
        waited=timedelta(microseconds=row.waited_us) if row.ran_us or row.waited_us else None,
    )
