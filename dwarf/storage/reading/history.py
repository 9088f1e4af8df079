"""Reading the steps of a flow, with the child flows they called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, select

from dwarf.core.keys import Key, format_key
from dwarf.errors import FlowNotFound, StepNotFound
from dwarf.storage.expressions import flag_is, status_is
from dwarf.storage.payloads.refs import fetch_anchors
from dwarf.storage.reading.reads import FLOW, found, read_outcome
from dwarf.storage.rows import read_object, restore
from dwarf.storage.script import Fetch, Row, Script, Statement
from dwarf.storage.tables import flows, steps
from dwarf.workflow.jsontext import loads
from dwarf.workflow.results import Outcome, Step, SubFlow
from dwarf.workflow.status import Status
from dwarf.workflow.values import from_json, state_from_json

_COLUMNS = (
    steps.c.step_id,
    steps.c.flow_id,
    steps.c.token,
    steps.c.depth,
    steps.c.ordinal,
    steps.c.node,
    steps.c.status,
    steps.c.attempt,
    steps.c.engine_id,
    steps.c.predecessor_id,
    steps.c.successor_id,
    steps.c.interrupt,
    steps.c.interrupt_deadline,
    steps.c.progress,
    steps.c.parked,
    steps.c.error,
    steps.c.traceback,
    steps.c.created_at,
    steps.c.started_at,
    steps.c.updated_at,
    steps.c.not_before,
    steps.c.warnings,
    steps.c.answered_by,
)
TREE_FLOWS = Statement(
    "tree_flows",
    select(
        flows.c.flow_id,
        flows.c.token,
        flows.c.workflow_url,
        flows.c.workflow_name,
        flows.c.status,
        flows.c.parent_step_id,
    )
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
    """The steps of a flow by depth and id, each with the child flows it called, whole.

    FlowNotFound when the flow is being deleted, unless ``deleted_too`` is set.
    """
    row = found((yield Fetch(FLOW, {"id": key.id})), key)
    if not deleted_too and (yield Fetch(DOOM, {"root": row[5]}))[0][0]:
        raise FlowNotFound("flow not found: it is being deleted")
    tree = yield from read_tree(key.shard, row[5])
    return tree.history(key.id)


def read_whole(key: Key) -> Script[tuple[Outcome, list[Step]]]:
    """A flow's outcome and its steps, of one and the same moment; also while it is being deleted."""
    outcome, _ = yield from read_outcome(key, waits=True)
    return outcome, (yield from read_history(key, deleted_too=True))


def read_interrupts(key: Key) -> Script[list[Step]]:
    """The steps of a flow's tree that wait for an answer, oldest first."""
    row = found((yield Fetch(FLOW, {"id": key.id})), key)
    rows = yield Fetch(WAITING_STEPS, {"root": row[5]})
    if key.id != row[5]:
        below = _flows_below(key.id, (yield from read_tree(key.shard, row[5])))
        rows = [waiting for waiting in rows if waiting[1] in below]
    return [step_of(key.shard, waiting) for waiting in rows]


def read_step(key: Key) -> Script[Step]:
    """One step with its input state, its changes and its neighbours."""
    rows = yield Fetch(ONE_STEP, {"id": key.id})
    if not rows or rows[0][2] != key.token:
        raise StepNotFound("step not found")
    row = rows[0]
    stored, refs_text, changes = row[len(_COLUMNS) :]
    refs = read_object(refs_text)
    anchors = yield from fetch_anchors(refs.values())
    root = (yield Fetch(ROOT_OF, {"id": row[1]}))[0][0]
    tree = yield from read_tree(key.shard, root)
    known = tree.step(key.id)
    return replace(
        known,
        state=state_from_json(restore(stored, refs, anchors)),
        changes=state_from_json(read_object(changes)),
        prev_key=tree.neighbour(key.id, forward=False),
        next_key=tree.neighbour(key.id, forward=True),
    )


class Tree:
    """All flows and steps under one root, in memory."""

    def __init__(self, shard: int, flow_rows: list[Row], step_rows: list[Row]) -> None:
        self.shard = shard
        self.flows = {row[0]: row for row in flow_rows}
        self.rows = {row[0]: row for row in step_rows}
        self.steps_of: Mapping[int, list[int]] = defaultdict(list)
        for row in step_rows:
            self.steps_of[row[1]].append(row[0])
        self.children: Mapping[int, list[int]] = defaultdict(list)
        for row in flow_rows:
            if row[5]:
                self.children[row[5]].append(row[0])

    def history(self, flow_id: int) -> list[Step]:
        """The steps of a flow. Built from the deepest flow up, so that depth costs no recursion."""
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
        _, token, url, name, status, _ = self.flows[flow_id]
        return SubFlow(
            flow_key=format_key(self.shard, flow_id, token),
            workflow_url=url,
            workflow_name=name,
            status=Status(status),
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
            caller = self.flows[self.rows[step_id][1]][5]
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
        linked = int(self.rows[step_id][10 if forward else 9])
        return linked if linked in self.rows else 0

    def _edge_step(self, flow_id: int, *, forward: bool) -> int:
        # ids come in blocks: those of several processes are in no order of time
        steps_of = sorted(self.steps_of[flow_id], key=lambda step: (self.rows[step][17], step))
        if forward:
            return next((step for step in steps_of if not self.rows[step][9]), 0)
        done = [step for step in steps_of if self.rows[step][6] == Status.COMPLETED and not self.rows[step][10]]
        return done[-1] if done else 0

    def _key(self, step_id: int) -> str:
        return format_key(self.shard, step_id, self.rows[step_id][2])


def read_tree(shard: int, root: int) -> Script[Tree]:
    """The flows and steps under a root."""
    flow_rows = yield Fetch(TREE_FLOWS, {"root": root})
    step_rows = yield Fetch(TREE_STEPS, {"root": root})
    return Tree(shard, flow_rows, step_rows)


def _flows_below(flow_id: int, tree: Tree) -> set[int]:
    found_flows = [flow_id]
    for known in found_flows:
        found_flows.extend(child for step in tree.steps_of[known] for child in tree.children[step])
    return set(found_flows)


def steps_below(flow_id: int, tree: Tree) -> set[int]:
    """The ids of the steps of a flow and of the flows below it."""
    return {step for known in _flows_below(flow_id, tree) for step in tree.steps_of[known]}


def moment(milliseconds: int) -> datetime | None:
    """A stored time; None for none."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def step_of(shard: int, row: Row) -> Step:
    """A step from a row of the history's columns."""
    interrupt = read_object(row[11])
    progress: Any = loads(row[13]) if row[13] else None
    created, updated = moment(row[17]), moment(row[19])
    assert created is not None
    assert updated is not None
    return Step(
        key=format_key(shard, row[0], row[2]),
        id=row[0],
        depth=row[3],
        ordinal=row[4],
        node=row[5],
        status=Status(row[6]),
        attempt=row[7],
        engine_id=row[8],
        predecessor_id=row[9],
        successor_id=row[10],
        interrupt_payload=from_json(interrupt.get("payload")) if interrupt else None,
        interrupt_deadline=moment(row[12]),
        progress=tuple(progress) if progress else None,
        parked=bool(row[14]),
        error=row[15],
        traceback=row[16],
        created_at=created,
        started_at=moment(row[18]),
        updated_at=updated,
        not_before=moment(row[20]),
        warnings=tuple(loads(row[21])) if row[21] else (),
        answered_by=tuple(loads(row[22])) if row[22] else (),
    )
