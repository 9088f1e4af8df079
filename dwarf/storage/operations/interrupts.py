"""Flows that wait for a person: interrupts shown upward, answers carried down to the step that asked.

Why the status goes up the whole chain of callers: a person looks at the root flow, and a question five levels down
must show there. It stays while any question below is open. Why the answer goes down by the step's key and checks its
number of answers: two people may answer at once, a deadline may pass in the same moment, and exactly one of them wins;
the others get StateConflict. Why the transaction that stores an answer may also lease the step: the person who has
answered waits for the flow to go on, and a search for due steps would take a round trip more. A step that must keep to
a limit, or let others go first, becomes pending instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, exists, literal_column, select, update

from dwarf.core.answers import names_text, times, with_answer
from dwarf.core.breakpoints import is_breakpoint, kind_of, pass_of
from dwarf.core.keys import NO_FLOW, NO_STEP
from dwarf.core.records import FlowRecord, State
from dwarf.core.state_refs import after
from dwarf.errors import FlowNotFound, InvalidRequest, StateConflict, StepNotFound
from dwarf.storage.operations.breakpoints import go_on
from dwarf.storage.operations.claim import LEASE
from dwarf.storage.operations.resume import WAKING, WakingRow, awoken, lease
from dwarf.storage.operations.unit_of_work import Stop, UnitOfWork
from dwarf.storage.sql.expressions import flag_is, of_row, status_is
from dwarf.storage.sql.rows import LOCK_FLOW, columns, object_text, read_object
from dwarf.storage.sql.script import Execute, Fetch, Lock, Row, Script, Statement, UpdateEach, WriteSet
from dwarf.storage.sql.tables import flows, steps
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.schemas import find_schema
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
    .where(flows.c.flow_id == bindparam("id"), status_is(of_row(flows.c.status), Status.RUNNING, Status.INTERRUPTED))
    .values(status=literal_column("'interrupted'"), updated_at=bindparam("now")),
)
INTERRUPT_CALLER = Statement(
    "interrupt_caller",
    update(steps)
    .where(
        steps.c.step_id == bindparam("id"),
        flag_is(of_row(steps.c.parked), 1),
        status_is(of_row(steps.c.status), Status.RUNNING),
    )
    .values(status=literal_column("'interrupted'"), updated_at=bindparam("now")),
)
_RESUME = update(steps).where(
    steps.c.step_id == bindparam("id"),
    flag_is(of_row(steps.c.parked), 0),
    status_is(of_row(steps.c.status), Status.INTERRUPTED),
    # a step that was answered meanwhile and has asked again has another lease number
    steps.c.lease_seq == bindparam("seq"),
)
_ANSWERED: dict[str, Any] = {
    "answers": bindparam("new_answers"),
    "interrupt": literal_column("''"),
    "interrupt_deadline": literal_column("0"),
    "not_before": bindparam("now"),
}
_ANSWERED_MEANWHILE = "the step's question has been answered meanwhile: what it asks next is another question"
_PENDING = {
    **_ANSWERED,
    "status": literal_column("'pending'"),
    "lease_expires": literal_column("0"),
    "updated_at": bindparam("now"),
}
_BY: dict[str, Any] = {"answered_by": bindparam("new_answered_by")}
RESUME_STEP = Statement("resume_step", _RESUME.values(_PENDING))
RESUME_LEASED = Statement("resume_leased", _RESUME.values({**_ANSWERED, **LEASE}))
# few answers have a name: the others send none
RESUME_STEP_BY = Statement("resume_step_by", _RESUME.values({**_PENDING, **_BY}))
RESUME_LEASED_BY = Statement("resume_leased_by", _RESUME.values({**_ANSWERED, **LEASE, **_BY}))
RESUME_FLOW = Statement(
    "resume_flow",
    update(flows)
    .where(
        flows.c.flow_id == bindparam("id"),
        status_is(of_row(flows.c.status), Status.INTERRUPTED),
        ~exists().where(
            steps.c.flow_id == flows.c.flow_id,
            status_is(steps.c.status, Status.INTERRUPTED),
            steps.c.step_id != bindparam("woken"),
        ),
    )
    .values(status=literal_column("'running'"), updated_at=bindparam("now")),
)
# Whether another step of a flow still waits is read under the lock of the flow, which asking takes, too: of two
# concurrent answers, the later one sees the earlier.
RESUME_CALLER = Statement(
    "resume_caller",
    update(steps)
    .where(
        steps.c.step_id == bindparam("id"),
        flag_is(of_row(steps.c.parked), 1),
        status_is(of_row(steps.c.status), Status.INTERRUPTED),
    )
    .values(status=literal_column("'running'"), updated_at=bindparam("now")),
)


class AskingRow(NamedTuple):
    """The facts that tell whether a flow may be answered."""

    token: str
    parent_flow_id: int
    status: str


class LeafRow(NamedTuple):
    """A step that waits for an answer, with its place in the tree of flows."""

    step_id: int
    flow_id: int
    token: str
    changes: str
    lineage_id: int
    answers: str
    lease_seq: int
    parent_flow_id: int
    parent_step_id: int
    root_flow_id: int
    interrupt: str
    updated_at: int


_WAITING = columns(LeafRow, steps, flows)
_LEAF = (flag_is(steps.c.parked, 0), status_is(steps.c.status, Status.INTERRUPTED))
_ROOTS, _FLOWS, _STEPS = flows.alias("roots"), flows.alias("flows_below"), steps.alias("steps_below")


_OLDEST = (  # apart from the other columns of the row: many steps may wait
    select(_STEPS.c.step_id)
    .join(_FLOWS, _FLOWS.c.flow_id == _STEPS.c.flow_id)
    .where(
        _FLOWS.c.root_flow_id == bindparam("root"),
        flag_is(_STEPS.c.parked, 0),
        status_is(_STEPS.c.status, Status.INTERRUPTED),
    )
    .order_by(_STEPS.c.updated_at, _STEPS.c.step_id)
    .limit(literal_column("1"))
    .scalar_subquery()
)


def _waiting(step_id: ColumnElement[int], *chosen: ColumnElement[Any]) -> Select[Any]:
    """A waiting step of a tree, with the facts that tell whether its root may be answered."""
    return (
        select(*columns(AskingRow, _ROOTS), *chosen)
        .select_from(steps)
        .join(flows, flows.c.flow_id == steps.c.flow_id)
        .join(_ROOTS, _ROOTS.c.flow_id == bindparam("root"))
        .where(steps.c.step_id == step_id, of_row(flows.c.root_flow_id) == bindparam("root"), *_LEAF)
    )


_ALL = (*WAKING, steps.c.interrupt, steps.c.updated_at)
OLDEST_LEAF = Statement("oldest_waiting", _waiting(_OLDEST, *_WAITING))
ONE_LEAF = Statement("one_waiting", _waiting(bindparam("step"), *_WAITING))
OLDEST_LEAF_WHOLE = Statement("oldest_waiting_whole", _waiting(_OLDEST, *_ALL))
ONE_LEAF_WHOLE = Statement("one_waiting_whole", _waiting(bindparam("step"), *_ALL))
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
STOPPED = Statement(
    "stopped_branches",
    select(*_WAITING)
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(
        steps.c.lineage_id == bindparam("lineage"),
        steps.c.lineage_id > literal_column("0"),
        steps.c.node == bindparam("node"),
        *_LEAF,
    ),
)
INPUT = Statement("input_of_step", select(steps.c.state, steps.c.refs).where(steps.c.step_id == bindparam("id")))
EDIT = Statement(
    "edit_input",
    update(steps)
    .where(
        steps.c.step_id == bindparam("id"),
        status_is(of_row(steps.c.status), Status.INTERRUPTED),
        steps.c.lease_seq == bindparam("seq"),
    )
    .values(state=bindparam("new_state"), refs=bindparam("new_refs")),
)
RESUMABLE = Statement(
    "resumable_flow",
    select(*columns(AskingRow, flows)).where(flows.c.flow_id == bindparam("id")),
)


class PlaceRow(NamedTuple):
    """The position of a step."""

    token: str
    node: str
    status: str
    parked: int
    flow_id: int
    root_flow_id: int


PLACE = Statement(
    "place_of_step",
    select(steps.c.token, steps.c.node, steps.c.status, steps.c.parked, steps.c.flow_id, flows.c.root_flow_id).where(
        steps.c.step_id == bindparam("id"), flows.c.flow_id == steps.c.flow_id
    ),
)
_ROOT, _WHOLE = len(AskingRow._fields), len(WAKING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A step that waits for an answer. ``asleep`` has all its columns if it may be leased immediately."""

    step_id: int
    flow_id: int
    token: str
    changes: State
    lineage_id: int
    answers: list[Any]
    lease_seq: int
    parent_flow_id: int
    parent_step_id: int
    root_flow_id: int
    payload: dict[str, Any]
    interrupt: Interrupt
    misses: int  # see ``answers.misses_after``
    since: int
    asleep: WakingRow | None = None


def interrupt_upward(flow: FlowRecord, work: UnitOfWork) -> Script[None]:
    """Set the interrupt on the step's flow and on every flow and calling step above it."""
    flow_id, parent_flow, caller, token = flow.flow_id, flow.parent_flow_id, flow.parent_step_id, flow.token
    while True:
        if (yield Execute(INTERRUPT_FLOW, {"id": flow_id, "now": work.now})):
            work.stops.append(Stop(flow_id, Status.INTERRUPTED, token=token))
        if not caller:
            break
        yield Execute(INTERRUPT_CALLER, {"id": caller, "now": work.now})
        flow_id = parent_flow
        ((parent_flow, caller, token),) = yield Fetch(PARENT, {"id": flow_id})
    work.moved.add(flow.root_flow_id)


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it was read: ``lease_seq`` distinguishes it from a later question of the same step."""

    step_id: int
    lease_seq: int
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Given:
    """An answer as plain tagged JSON, with the question against which it was checked. ``by``: the answering person.

    ``once``: where a flow that goes on from a breakpoint stops next.
    """

    value: Any
    by: str = ""
    checked: Question | None = None
    once: frozenset[str] = frozenset()


def answer_step(
    flow_id: int, flow_token: str, step: tuple[int, str] | None, given: Given, work: UnitOfWork
) -> Script[bool | Question]:
    """Answer the oldest waiting step of a flow's tree, or the step named. Returns whether the flow goes on.

    If the question has a schema against which the answer has not been checked, nothing is written: the question is
    returned, and the caller checks the answer outside of the transaction, however long that takes.

    FlowNotFound, StepNotFound, InvalidRequest (a child flow's key), StateConflict (nothing waits there).
    """
    whole = work.slot_predicate is not None
    if step is None:
        search, params = (OLDEST_LEAF_WHOLE if whole else OLDEST_LEAF), {"root": flow_id}
    else:
        step_id, _ = step
        search, params = (ONE_LEAF_WHOLE if whole else ONE_LEAF), {"root": flow_id, "step": step_id}
    while True:
        rows = yield Fetch(search, params, autocommit=True)
        _check_root(rows or (yield Fetch(RESUMABLE, {"id": flow_id}, autocommit=True)), flow_token)
        if not rows:
            raise (yield from _why_not(flow_id, step))
        leaf = _whole_leaf(rows[0][_ROOT:]) if whole else _leaf(LeafRow._make(rows[0][_ROOT:]))
        if step is not None and step != (leaf.step_id, leaf.token):
            raise StepNotFound(NO_STEP)
        # Without a named step the answer is for whatever waits longest: a newer question is then returned, and checked.
        if step is not None and given.checked is not None and given.checked.lease_seq != leaf.lease_seq:
            raise StateConflict(_ANSWERED_MEANWHILE)
        if is_breakpoint(leaf.interrupt.key):
            given = replace(given, value={}) if given.value is None else given
            if not isinstance(given.value, dict) or "$dwarf" in given.value:
                raise InvalidRequest("a breakpoint goes on with a mapping of changes to its state, or with nothing")
            if (yield from _pass(leaf, given, work)):
                return flow_id in work.resumed
            if step is not None:
                raise StateConflict(_ANSWERED_MEANWHILE)
            continue
        schema = find_schema(leaf.payload)
        if schema is not None:
            question = Question(leaf.step_id, leaf.lease_seq, schema)
            if question != given.checked:
                return question
        # if another caller has just answered it, this answer is for the next waiting step, unless a step was named
        if (yield from _wake(leaf, Answer("interrupt", given.value, by=given.by), work)):
            return flow_id in work.resumed
        if step is not None:
            raise StateConflict(_ANSWERED_MEANWHILE)


def _pass(leaf: Leaf, given: Given, work: UnitOfWork) -> Script[bool]:
    """Continue a step that has stopped at a breakpoint, with the other branches that have stopped there."""
    before = kind_of(leaf.interrupt.key) == "before"
    waiting = [leaf]
    if leaf.lineage_id:
        rows = yield Fetch(STOPPED, {"lineage": leaf.lineage_id, "node": leaf.payload["node"]})
        found = map(_leaf, map(LeafRow._make, rows))
        alike = [other for other in found if kind_of(other.interrupt.key) == kind_of(leaf.interrupt.key)]
        waiting += [other for other in alike if other.step_id != leaf.step_id and is_breakpoint(other.interrupt.key)]
    passed = False
    work.last = False  # where the flow stops next may change
    for each in sorted(waiting, key=lambda one: one.step_id):
        # its input changes, so it must be read again before it runs
        if before and given.value:
            ((stored, refs),) = yield Fetch(INPUT, {"id": each.step_id})
            # a field that was changed here has its value in the row, and no more in the step that the reference names
            kept = {name: anchor for name, anchor in read_object(refs).items() if name not in given.value}
            state = object_text(after(read_object(stored), given.value))
            edited = {"id": each.step_id, "seq": each.lease_seq, "new_state": state, "new_refs": object_text(kept)}
            if not (yield Execute(EDIT, edited)):
                continue
        woken = yield from _wake(replace(each, asleep=None), Answer("interrupt", given.value, by=given.by), work)
        passed = passed or woken
    if passed:
        kind, node = kind_of(leaf.interrupt.key), leaf.payload["node"]
        name = pass_of(kind, node, leaf.lineage_id) if leaf.lineage_id else ""
        yield from go_on(leaf.root_flow_id, name, given.once, work)
    return passed


def _why_not(flow_id: int, step: tuple[int, str] | None) -> Script[Exception]:
    """Why nothing, or not this step, can be answered with the key of this flow."""
    if step is None:
        return StateConflict("the flow is not paused at an interrupt")
    rows = yield Fetch(PLACE, {"id": step[0]}, autocommit=True)
    place = PlaceRow._make(rows[0]) if rows else None
    if place is None or place.token != step[1]:
        return StepNotFound(NO_STEP)
    if flow_id not in (place.flow_id, place.root_flow_id):
        return StateConflict(f"the step (node {place.node!r}) belongs to another flow: answer it by that flow's key")
    state = "is parked: its child flow asks" if place.parked else f"is {place.status}"
    return StateConflict(f"the step (node {place.node!r}) does not wait for an answer: it {state}")


def _check_root(rows: Sequence[Row], token: str) -> None:
    """Whether a flow may be answered, from a row that begins with a RootRow."""
    root = AskingRow._make(rows[0][:_ROOT]) if rows else None
    if root is None or root.token != token:
        raise FlowNotFound(NO_FLOW)
    if root.parent_flow_id:
        raise InvalidRequest("a child flow is answered through its root flow's key, or by the step's key")
    if root.status != Status.INTERRUPTED:
        raise StateConflict(f"the flow is {root.status}: it does not wait for an answer")


def answer_overdue(work: UnitOfWork) -> Script[int]:
    """Give every interrupt with a passed deadline its default, or a time-out. Returns their number."""
    work.last = False  # the steps are answered one after the other
    rows = yield Fetch(OVERDUE, {"now": work.now})
    count = 0
    for leaf in map(_leaf, map(LeafRow._make, rows)):
        count += yield from _wake(leaf, answer_on_timeout(leaf.interrupt), work)
    return count


def _wake(leaf: Leaf, answer: Answer, work: UnitOfWork) -> Script[bool]:
    """Give a step its answer, and lease it if there is a slot. False if it does not wait any more."""
    now = work.now
    asked = replace(answer, asked=leaf.payload, key=leaf.interrupt.key, misses=leaf.misses)
    answers = with_answer(leaf.answers, asked, leaf.changes, times(leaf.since, now))
    step = None if leaf.asleep is None else (yield from awoken(leaf.asleep, answers, work.slot_predicate, work))
    params: dict[str, Any] = {"id": leaf.step_id, "seq": leaf.lease_seq, "new_answers": dumps(answers), "now": now}
    write = RESUME_STEP_BY if answer.by else RESUME_STEP
    if step is not None:
        write = RESUME_LEASED_BY if answer.by else RESUME_LEASED
        params = {**params, **lease(work)}
    if answer.by:
        params["new_answered_by"] = names_text(answers)
    if leaf.parent_step_id or leaf.lineage_id:
        going_on = yield from _wake_among_others(leaf, Execute(write, params), work)
    else:
        # nothing else can be running in its flow, so no other step can still wait there
        flow = UpdateEach(RESUME_FLOW, [{"id": leaf.flow_id, "woken": leaf.step_id, "now": now}])
        (woken,), (resumed,) = yield WriteSet([UpdateEach(write, [params])], [(flow, [0])], work.last)
        going_on = ([leaf.flow_id] if resumed else []) if woken else None
    if going_on is None:
        return False
    work.moved.add(leaf.root_flow_id)
    work.resumed += going_on
    if step is None:
        work.work_due = True
    else:
        step.flow.updated_at = now if leaf.flow_id in going_on else step.flow.updated_at
        work.woken.append(step)
    return True


def _wake_among_others(leaf: Leaf, write: Execute, work: UnitOfWork) -> Script[list[int] | None]:
    """Wake a step of a flow with other waiting steps in or above it. Returns the flows that go on; None if it is too
    late.
    """
    if not (yield write):
        return None
    now, going_on = work.now, []
    flow_id, parent_flow, caller, woken = leaf.flow_id, leaf.parent_flow_id, leaf.parent_step_id, leaf.step_id
    yield Lock(LOCK_FLOW, {"id": flow_id})
    while (yield Execute(RESUME_FLOW, {"id": flow_id, "woken": woken, "now": now})):
        going_on.append(flow_id)
        if not caller:
            break
        yield Execute(RESUME_CALLER, {"id": caller, "now": now})
        flow_id, woken = parent_flow, caller
        yield Lock(LOCK_FLOW, {"id": flow_id})
        ((parent_flow, caller, _),) = yield Fetch(PARENT, {"id": flow_id})
    return going_on


def _whole_leaf(row: Row) -> Leaf:
    """From a row of WAKING, with the question behind it."""
    asleep = WakingRow.of(row[:_WHOLE])
    interrupt, since = row[_WHOLE:]
    step, flow = asleep.step, asleep.flow
    return _leaf(
        LeafRow(
            step_id=step.step_id,
            flow_id=step.flow_id,
            token=step.token,
            changes=step.changes,
            lineage_id=step.lineage_id,
            answers=step.answers,
            lease_seq=step.lease_seq,
            parent_flow_id=flow.parent_flow_id,
            parent_step_id=flow.parent_step_id,
            root_flow_id=flow.root_flow_id,
            interrupt=interrupt,
            updated_at=since,
        ),
        asleep,
    )


def _leaf(row: LeafRow, asleep: WakingRow | None = None) -> Leaf:
    stored = read_object(row.interrupt)
    payload = stored.get("payload") or {}
    default, key = stored.get("default"), stored.get("key") or ""
    return Leaf(
        step_id=row.step_id,
        flow_id=row.flow_id,
        token=row.token,
        changes=read_object(row.changes),
        lineage_id=row.lineage_id,
        answers=loads(row.answers) if row.answers else [],
        lease_seq=row.lease_seq,
        parent_flow_id=row.parent_flow_id,
        parent_step_id=row.parent_step_id,
        root_flow_id=row.root_flow_id,
        payload=payload,
        interrupt=Interrupt(payload, default=default, has_default="default" in stored, key=key),
        misses=stored.get("misses") or 0,
        since=row.updated_at,
        asleep=asleep,
    )
