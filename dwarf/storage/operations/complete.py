"""Ending a flow: its status and final state, and the wake-up of the calling step, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, literal_column, select, update

from dwarf.core.answers import with_answer
from dwarf.core.failure import Tail, relevant_tails, stopped_state
from dwarf.core.keys import format_key
from dwarf.core.records import FlowRecord, Member, Spawn, State, StepRecord
from dwarf.storage.operations.claim import LEASE, ClaimedRow
from dwarf.storage.operations.hooks import on_end
from dwarf.storage.operations.resume import WAKING, WakingRow, awoken, lease
from dwarf.storage.operations.unit_of_work import UnitOfWork
from dwarf.storage.payloads.state_refs import fetch_anchors
from dwarf.storage.sql.expressions import flag_is, in_ids, of_row, status_is
from dwarf.storage.sql.rows import columns, object_text, read_object, restore
from dwarf.storage.sql.script import Execute, Fetch, Row, Script, Statement, UpdateEach
from dwarf.storage.sql.tables import flows, steps
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.signals import Answer
from dwarf.workflow.status import Status

# for this long the outcome of a flow that is deleted on completion can still be read
DISPOSABLE_GRACE_MS = 60_000

END_FLOW = Statement(
    "end_flow",
    update(flows)
    .where(
        flows.c.flow_id == bindparam("id"),
        status_is(of_row(flows.c.status), Status.RUNNING, Status.INTERRUPTED),
    )
    .values(
        status=bindparam("new_status"),
        final_state=bindparam("new_final_state"),
        error=bindparam("new_error"),
        cancel_reason=bindparam("new_reason"),
        updated_at=bindparam("now"),
        delete_after_ms=bindparam("new_delete_after"),
    ),
)
_PARKED = (flag_is(of_row(steps.c.parked), 1), status_is(of_row(steps.c.status), Status.RUNNING, Status.INTERRUPTED))


class CallerRow(NamedTuple):
    """A step that waits for the flow it has called."""

    step_id: int
    answers: str
    changes: str
    lease_seq: int
    called: str | None


CALLERS = Statement("callers", select(*columns(CallerRow, steps)).where(in_ids(steps.c.step_id, "ids"), *_PARKED))
CALLERS_WHOLE = Statement(
    "callers_whole",
    select(*WAKING, steps.c.called)
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(in_ids(steps.c.step_id, "ids"), *_PARKED),
)
_WHOLE = len(WAKING)
_REVIVE = update(steps).where(
    steps.c.step_id == bindparam("id"),
    *_PARKED,
    # the caller was read without a lock, and may have been started over since
    steps.c.lease_seq == bindparam("seq"),
)
_TOLD: dict[str, Any] = {"parked": literal_column("0"), "answers": bindparam("new_answers")}
REVIVE = Statement(
    "revive_caller",
    _REVIVE.values(
        {
            **_TOLD,
            "status": literal_column("'pending'"),
            "lease_expires": literal_column("0"),
            "updated_at": bindparam("now"),
        }
    ),
)
REVIVE_LEASED = Statement("revive_leased", _REVIVE.values({**_TOLD, **LEASE}))


class TailRow(NamedTuple):
    """A step without a successor."""

    step_id: int
    lineage_id: int
    completed: int
    state: str
    refs: str
    changes: str


class SpawnRow(NamedTuple):
    """The step that opened a cohort."""

    step_id: int
    node: str
    depth: int
    lineage_id: int
    ordinal: int
    state: str
    refs: str
    changes: str
    successor_id: int


TAILS = Statement(
    "tails",
    select(*columns(TailRow, steps, completed=case((status_is(steps.c.status, Status.COMPLETED), 1), else_=0)))
    .where(steps.c.flow_id == bindparam("flow"), flag_is(steps.c.successor_id, 0))
    .order_by(steps.c.created_at, steps.c.step_id),
)
SPAWNS = Statement("spawns", select(*columns(SpawnRow, steps)).where(in_ids(steps.c.step_id, "ids")))
MEMBERS = Statement(
    "members",
    select(steps.c.step_id, steps.c.depth, steps.c.changes, steps.c.lineage_id)
    .where(
        in_ids(steps.c.lineage_id, "ids"),
        flag_is(of_row(steps.c.parked), 0),
        status_is(of_row(steps.c.status), Status.COMPLETED),
        steps.c.lineage_id > literal_column("0"),
    )
    # reducers that keep order get the branches as they were spawned, whichever was faster
    .order_by(steps.c.ordinal, steps.c.depth, steps.c.step_id),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """A flow that has just ended."""

    flow: FlowRecord
    status: Status
    final_state: State
    error: str = ""

    def answer(self, call: Mapping[str, Any]) -> Answer:
        """The answer for the calling step. ``call``: the stored facts of the call, if any."""
        return Answer(
            "subgraph",
            dict(self.final_state),
            error=self.error,
            flow_key=format_key(self.flow.shard, self.flow.flow_id, self.flow.token),
            status=self.status.value,
            workflow=call.get("workflow") or "",
            input=call.get("input") or "",
            misses=call.get("misses") or 0,
        )


def end_flow(
    flow: FlowRecord, status: Status, final_state: State, work: UnitOfWork, *, error: str = "", reason: str = ""
) -> Script[bool]:
    """Set a flow's final status. False if another write has ended it first."""
    matched = yield Execute(END_FLOW, end_row(flow, status, final_state, work.now, error, reason))
    if not matched:
        return False
    yield from _ended([Ended(flow, status, final_state, error=error)], work)
    return True


def complete_flows(done: Sequence[tuple[FlowRecord, State]], work: UnitOfWork) -> Script[None]:
    """Complete flows with their final states, except those that another write has ended first."""
    rows = [end_row(flow, Status.COMPLETED, final_state, work.now) for flow, final_state in done]
    matched = yield UpdateEach(END_FLOW, rows)
    landed = [one for one, ok in zip(done, matched, strict=True) if ok]
    yield from _ended([Ended(flow, Status.COMPLETED, final_state) for flow, final_state in landed], work)


def end_row(
    flow: FlowRecord, status: Status, final_state: State, now: int, error: str = "", reason: str = ""
) -> dict[str, Any]:
    """The parameters of END_FLOW."""
    disposable = status is Status.COMPLETED and flow.delete_on_completion
    return {
        "id": flow.flow_id,
        "new_status": status.value,
        "new_final_state": object_text(final_state),
        "new_error": error,
        "new_reason": reason,
        "now": now,
        "new_delete_after": DISPOSABLE_GRACE_MS if disposable else 0,
    }


def _ended(ended: Sequence[Ended], work: UnitOfWork) -> Script[None]:
    told: dict[int, Ended] = {}
    for one in ended:
        work.stopped(one.flow, one.status, one.final_state, one.error)
        if work.writer.hooks:
            yield from on_end(one.flow, one.status, one.error, work)
        # only whole trees are cancelled, so the caller of a cancelled flow is cancelled, too
        if one.flow.parent_step_id and one.status is not Status.CANCELLED:
            told.setdefault(one.flow.parent_step_id, one)
    if told:
        yield from _tell_callers(told, work)


class _Leased(NamedTuple):
    """A step that continues immediately, since the flow that it called has ended."""

    ended_id: int
    step: StepRecord
    params: dict[str, Any]


def _tell_callers(told: Mapping[int, Ended], work: UnitOfWork) -> Script[None]:
    """Give steps, by their ids, the outcomes of the flows they have called, and lease those that have a slot."""
    whole = any(one.flow.flow_id in work.slot_predicates for one in told.values())
    rows = yield Fetch(CALLERS_WHOLE if whole else CALLERS, {"ids": sorted(told)})
    pending: list[dict[str, Any]] = []
    leased: list[_Leased] = []
    for row in rows:
        asleep, called = None, None
        if whole:
            asleep = WakingRow.of(row[:_WHOLE])
            (called,) = row[_WHOLE:]
            caller: ClaimedRow | CallerRow = asleep.step
        else:
            caller = CallerRow._make(row)
            called = caller.called
        one = told[caller.step_id]
        before: list[Any] = loads(caller.answers) if caller.answers else []
        answers = with_answer(before, one.answer(read_object(called)), read_object(caller.changes))
        place = work.slot_predicates.get(one.flow.flow_id)
        step = None if asleep is None else (yield from awoken(asleep, answers, place, work))
        params = {"id": caller.step_id, "seq": caller.lease_seq, "new_answers": dumps(answers), "now": work.now}
        if step is None:
            pending.append(params)
        else:
            leased.append(_Leased(one.flow.flow_id, step, {**params, **lease(work)}))
    if pending:
        # sorted, since every transaction locks steps by id
        yield UpdateEach(REVIVE, sorted(pending, key=itemgetter("id")))
        work.work_due = True
    if leased:
        leased.sort(key=lambda found: found.step.step_id)
        landed = yield UpdateEach(REVIVE_LEASED, [found.params for found in leased])
        work.revived.update((found.ended_id, found.step) for found, ok in zip(leased, landed, strict=True) if ok)


def fail_flow(flow: FlowRecord, error: str, work: UnitOfWork) -> Script[None]:
    """Fail a flow, with the state left by its completed steps."""
    final_state = yield from left_over(flow)
    yield from end_flow(flow, Status.FAILED, final_state, work, error=error)


def left_over(flow: FlowRecord) -> Script[dict[str, object]]:
    """The final state of a flow that stopped before its end."""
    rows = [TailRow._make(row) for row in (yield Fetch(TAILS, {"flow": flow.flow_id}))]
    if not rows:
        return {}
    anchors = yield from fetch_anchors(anchor for row in rows for anchor in read_object(row.refs).values())
    tails = relevant_tails(
        [
            Tail(
                step_id=row.step_id,
                lineage_id=row.lineage_id,
                completed=bool(row.completed),
                state=restore(row.state, read_object(row.refs), anchors),
                changes=read_object(row.changes),
            )
            for row in rows
        ]
    )
    spawns: list[Spawn] = []
    lineage = tails[0].lineage_id
    while lineage:
        spawn = (yield from load_spawns([lineage], with_members=not spawns))[lineage]
        spawns.append(spawn)
        lineage = spawn.lineage_id
    return stopped_state(flow.plan, tails, spawns)


def load_spawns(step_ids: Sequence[int], *, with_members: bool) -> Script[dict[int, Spawn]]:
    """The steps that opened cohorts, by id, with the changes of their completed members."""
    rows = [SpawnRow._make(row) for row in (yield Fetch(SPAWNS, {"ids": step_ids}))]
    all_refs = [read_object(row.refs) for row in rows]
    anchors = yield from fetch_anchors(anchor for refs in all_refs for anchor in refs.values())
    members: list[Row] = (yield Fetch(MEMBERS, {"ids": step_ids})) if with_members else []
    found: dict[int, Spawn] = {}
    for row, refs in zip(rows, all_refs, strict=True):
        found[row.step_id] = Spawn(
            step_id=row.step_id,
            node=row.node,
            depth=row.depth,
            lineage_id=row.lineage_id,
            ordinal=row.ordinal,
            state=restore(row.state, refs, anchors),
            refs=refs,
            changes=read_object(row.changes),
            successor_id=row.successor_id,
        )
    for step_id, depth, changes, lineage in members:
        found[lineage].members.append(Member(step_id, depth, read_object(changes)))
    return found
