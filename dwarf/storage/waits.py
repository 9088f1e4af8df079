"""Flows that wait for a person: interrupts shown upward, answers carried down to the step that asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, exists, literal_column, select, update

from dwarf.core.answers import question, with_answer
from dwarf.core.records import FlowRecord
from dwarf.errors import FlowNotFound, InvalidRequest, StateConflict, StepNotFound
from dwarf.storage.effects import Effects, Stop
from dwarf.storage.expressions import flag_is, locked, status_is
from dwarf.storage.rows import read_object
from dwarf.storage.script import Execute, Fetch, Lock, Row, Script, Statement
from dwarf.storage.tables import flows, steps
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.schemas import check, find_schema
from dwarf.workflow.signals import Answer, Interrupt, answer_on_timeout
from dwarf.workflow.status import Status

TIMEOUTS_AT_ONCE = 200

PARENT = Statement(
    "parent_flow",
    select(flows.c.parent_flow_id, flows.c.parent_step_id, flows.c.token).where(flows.c.flow_id == bindparam("id")),
)
INTERRUPT_FLOW = Statement(
    "interrupt_flow",
    update(flows)
    .where(flows.c.flow_id == bindparam("id"), status_is(flows.c.status, Status.RUNNING, Status.INTERRUPTED))
    .values(status=literal_column("'interrupted'"), updated_at=bindparam("now")),
)
INTERRUPT_CALLER = Statement(
    "interrupt_caller",
    update(steps)
    .where(steps.c.step_id == bindparam("id"), flag_is(steps.c.parked, 1), status_is(steps.c.status, Status.RUNNING))
    .values(status=literal_column("'interrupted'"), updated_at=bindparam("now")),
)
RESUME_STEP = Statement(
    "resume_step",
    update(steps)
    .where(
        steps.c.step_id == bindparam("id"), flag_is(steps.c.parked, 0), status_is(steps.c.status, Status.INTERRUPTED)
    )
    .values(
        status=literal_column("'pending'"),
        answers=bindparam("new_answers"),
        interrupt=literal_column("''"),
        interrupt_deadline=literal_column("0"),
        not_before=bindparam("now"),
        lease_expires=literal_column("0"),
        updated_at=bindparam("now"),
    ),
)
RESUME_FLOW = Statement(
    "resume_flow",
    update(flows)
    .where(
        flows.c.flow_id == bindparam("id"),
        status_is(flows.c.status, Status.INTERRUPTED),
        ~exists().where(steps.c.flow_id == flows.c.flow_id, status_is(steps.c.status, Status.INTERRUPTED)),
    )
    .values(status=literal_column("'running'"), updated_at=bindparam("now")),
)
# Whether another step of a flow still waits is asked under the lock of the flow, which whoever asks takes too: of two
# answers at once, the later one sees the earlier.
LOCK_FLOW = Statement("lock_flow", locked(select(flows.c.flow_id).where(flows.c.flow_id == bindparam("id")), flows))
RESUME_CALLER = Statement(
    "resume_caller",
    update(steps)
    .where(
        steps.c.step_id == bindparam("id"), flag_is(steps.c.parked, 1), status_is(steps.c.status, Status.INTERRUPTED)
    )
    .values(status=literal_column("'running'"), updated_at=bindparam("now")),
)

_WAITING = (
    steps.c.step_id,
    steps.c.flow_id,
    steps.c.token,
    steps.c.answers,
    steps.c.interrupt,
    steps.c.updated_at,
    flows.c.root_flow_id,
    flows.c.parent_flow_id,
    flows.c.parent_step_id,
)
_LEAF = (flag_is(steps.c.parked, 0), status_is(steps.c.status, Status.INTERRUPTED))
LEAVES = Statement(
    "waiting_steps",
    select(*_WAITING)
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(flows.c.root_flow_id == bindparam("root"), *_LEAF)
    .order_by(steps.c.updated_at, steps.c.step_id),
)
OVERDUE = Statement(
    "overdue_steps",
    select(*_WAITING)
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(
        steps.c.interrupt_deadline > literal_column("0"),
        steps.c.interrupt_deadline <= bindparam("now"),
        *_LEAF,
    )
    .order_by(steps.c.interrupt_deadline, steps.c.step_id)
    .limit(TIMEOUTS_AT_ONCE),
)
WRITTEN = Statement("written_so_far", select(steps.c.changes).where(steps.c.step_id == bindparam("id")))
RESUMABLE = Statement(
    "resumable_flow",
    select(flows.c.token, flows.c.status, flows.c.parent_flow_id).where(flows.c.flow_id == bindparam("id")),
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A step that waits for an answer."""

    step_id: int
    flow_id: int
    token: str
    answers: list[Any]
    payload: dict[str, Any]
    interrupt: Interrupt
    since: int
    root_flow_id: int
    parent_flow_id: int
    parent_step_id: int


def interrupt_upward(flow: FlowRecord, effects: Effects) -> Script[None]:
    """Show an interrupt on the step's flow and on every flow and caller above it."""
    flow_id, parent_flow, caller, token = flow.flow_id, flow.parent_flow_id, flow.parent_step_id, flow.token
    while True:
        if (yield Execute(INTERRUPT_FLOW, {"id": flow_id, "now": effects.now})):
            effects.stops.append(Stop(flow_id, Status.INTERRUPTED, token=token))
        if not caller:
            break
        yield Execute(INTERRUPT_CALLER, {"id": caller, "now": effects.now})
        flow_id = parent_flow
        parent_flow, caller, token = (yield Fetch(PARENT, {"id": flow_id}))[0]
    effects.moved.add(flow.root_flow_id)


def answer_step(
    flow_id: int, flow_token: str, step: tuple[int, str] | None, value: Any, effects: Effects
) -> Script[None]:
    """Give an answer to the oldest waiting step of a flow's tree, or to the step named.

    FlowNotFound, StepNotFound, InvalidRequest (a child flow's key, an answer that does not fit its schema),
    StateConflict (nothing waits there).
    """
    rows = yield Fetch(RESUMABLE, {"id": flow_id})
    if not rows or rows[0][0] != flow_token:
        raise FlowNotFound("flow not found")
    if rows[0][2]:
        raise InvalidRequest("a child flow is answered through its root flow's key, or by the step's key")
    if rows[0][1] != Status.INTERRUPTED:
        raise StateConflict(f"the flow is {rows[0][1]}: it does not wait for an answer")
    woken = False
    while not woken:
        leaves = [_leaf(row) for row in (yield Fetch(LEAVES, {"root": flow_id}))]
        chosen = next(_addressed(leaves, step), None)
        if chosen is None:
            raise StateConflict("the flow is not paused at an interrupt" if step is None else "the step does not wait")
        schema = find_schema(chosen.payload)
        if schema is not None:
            check(value, schema)
        # where somebody else has just answered it, this answer is for the next one that waits, if any step will do
        woken = yield from _wake(chosen, Answer("interrupt", value), effects)


def answer_overdue(effects: Effects) -> Script[int]:
    """Give every interrupt whose deadline has passed its default, or a time-out. Answers how many."""
    rows = yield Fetch(OVERDUE, {"now": effects.now})
    count = 0
    for row in rows:
        leaf = _leaf(row)
        count += yield from _wake(leaf, answer_on_timeout(leaf.interrupt), effects)
    return count


def _addressed(leaves: list[Leaf], step: tuple[int, str] | None) -> Iterator[Leaf]:
    if step is None:
        yield from leaves[:1]
        return
    for leaf in leaves:
        if leaf.step_id == step[0]:
            if leaf.token != step[1]:
                raise StepNotFound("step not found")
            yield leaf


def _wake(leaf: Leaf, answer: Answer, effects: Effects) -> Script[bool]:
    """Give a step its answer. False where it does not wait any more."""
    written = yield Fetch(WRITTEN, {"id": leaf.step_id})
    now = effects.now
    put = question(leaf.payload, leaf.since, now)
    answers = with_answer(leaf.answers, answer, read_object(written[0][0] if written else ""), put)
    if not (yield Execute(RESUME_STEP, {"id": leaf.step_id, "new_answers": dumps(answers), "now": now})):
        return False
    effects.work_due = True
    effects.moved.add(leaf.root_flow_id)
    flow_id, parent_flow, caller = leaf.flow_id, leaf.parent_flow_id, leaf.parent_step_id
    yield Lock(LOCK_FLOW, {"id": flow_id})
    while (yield Execute(RESUME_FLOW, {"id": flow_id, "now": now})):
        effects.resumed.append(flow_id)
        if not caller:
            break
        yield Execute(RESUME_CALLER, {"id": caller, "now": now})
        flow_id = parent_flow
        yield Lock(LOCK_FLOW, {"id": flow_id})
        parent_flow, caller, _ = (yield Fetch(PARENT, {"id": flow_id}))[0]
    return True


def _leaf(row: Row) -> Leaf:
    step_id, flow_id, token, answers, interrupt, *linkage = row
    stored = read_object(interrupt)
    payload = stored.get("payload") or {}
    asked = Interrupt(payload, None, stored.get("default"), "default" in stored)
    return Leaf(step_id, flow_id, token, loads(answers) if answers else [], payload, asked, *linkage)
