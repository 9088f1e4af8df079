"""Ending a flow: its status and final state, and the news for the step that called it, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import bindparam, case, literal_column, select, update

from dwarf.core.answers import with_answer
from dwarf.core.failure import Tail, relevant_tails, stopped_state
from dwarf.core.keys import format_key
from dwarf.core.records import FlowRecord, Member, Spawn, State, StepRecord
from dwarf.storage.claims import LEASE
from dwarf.storage.effects import Effects
from dwarf.storage.expressions import flag_is, in_ids, of_row, status_is
from dwarf.storage.payloads.refs import fetch_anchors
from dwarf.storage.rows import object_text, read_object, restore
from dwarf.storage.script import Execute, Fetch, Row, Script, Statement, UpdateEach
from dwarf.storage.tables import flows, steps
from dwarf.storage.waking import ANSWERS, CHANGES, LEASE_SEQ, WAKING, awoken, lease
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.signals import Answer
from dwarf.workflow.status import Status

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
CALLERS = Statement(
    "callers",
    select(steps.c.step_id, steps.c.answers, steps.c.changes, steps.c.lease_seq, steps.c.called).where(
        in_ids(steps.c.step_id, "ids"), *_PARKED
    ),
)
CALLERS_WHOLE = Statement(
    "callers_whole",
    select(*WAKING, steps.c.called)
    .join(flows, flows.c.flow_id == steps.c.flow_id)
    .where(in_ids(steps.c.step_id, "ids"), *_PARKED),
)
_REVIVE = update(steps).where(
    steps.c.step_id == bindparam("id"),
    *_PARKED,
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
TAILS = Statement(
    "tails",
    select(
        steps.c.step_id,
        steps.c.lineage_id,
        case((status_is(steps.c.status, Status.COMPLETED), 1), else_=0),
        steps.c.state,
        steps.c.refs,
        steps.c.changes,
    )
    .where(steps.c.flow_id == bindparam("flow"), flag_is(steps.c.successor_id, 0))
    .order_by(steps.c.created_at, steps.c.step_id),
)
SPAWNS = Statement(
    "spawns",
    select(
        steps.c.step_id,
        steps.c.node,
        steps.c.depth,
        steps.c.lineage_id,
        steps.c.ordinal,
        steps.c.state,
        steps.c.refs,
        steps.c.changes,
        steps.c.successor_id,
    ).where(in_ids(steps.c.step_id, "ids")),
)
MEMBERS = Statement(
    "members",
    select(steps.c.step_id, steps.c.depth, steps.c.changes, steps.c.lineage_id)
    .where(
        in_ids(steps.c.lineage_id, "ids"),
        flag_is(of_row(steps.c.parked), 0),
        status_is(of_row(steps.c.status), Status.COMPLETED),
        steps.c.lineage_id > literal_column("0"),
    )
    .order_by(steps.c.ordinal, steps.c.depth, steps.c.step_id),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """A flow that has just come to its end."""

    flow: FlowRecord
    status: Status
    final_state: State
    error: str = ""

    def answer(self, call: Mapping[str, Any]) -> Answer:
        """What the step is told that has called it. ``call``: what was kept of the call, if anything."""
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
    flow: FlowRecord, status: Status, final_state: State, effects: Effects, *, error: str = "", reason: str = ""
) -> Script[bool]:
    """Give a flow its last status. False when another write ended it first."""
    matched = yield Execute(END_FLOW, end_row(flow, status, final_state, effects.now, error, reason))
    if not matched:
        return False
    yield from _ended([Ended(flow, status, final_state, error)], effects)
    return True


def complete_flows(done: Sequence[tuple[FlowRecord, State]], effects: Effects) -> Script[None]:
    """Complete flows with their final states, each unless another write ended it first."""
    rows = [end_row(flow, Status.COMPLETED, final_state, effects.now) for flow, final_state in done]
    matched = yield UpdateEach(END_FLOW, rows)
    landed = [one for one, ok in zip(done, matched, strict=True) if ok]
    yield from _ended([Ended(flow, Status.COMPLETED, final_state) for flow, final_state in landed], effects)


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


def _ended(ended: Sequence[Ended], effects: Effects) -> Script[None]:
    told: dict[int, Ended] = {}
    for one in ended:
        effects.stopped(one.flow, one.status, one.final_state, one.error)
        if one.flow.parent_step_id and one.status is not Status.CANCELLED:
            told.setdefault(one.flow.parent_step_id, one)
    if told:
        yield from _tell_callers(told, effects)


def _tell_callers(told: Mapping[int, Ended], effects: Effects) -> Script[None]:
    """Give steps, by their ids, the outcomes of the flows that they have called, and lease those that have a place."""
    whole = any(one.flow.flow_id in effects.places for one in told.values())
    rows = yield Fetch(CALLERS_WHOLE if whole else CALLERS, {"ids": sorted(told)})
    pending: list[dict[str, Any]] = []
    leased: list[tuple[int, StepRecord, dict[str, Any]]] = []
    for row in rows:
        one = told[row[0]]
        before, changes, seq = (row[ANSWERS], row[CHANGES], row[LEASE_SEQ]) if whole else row[1:-1]
        answers = with_answer(
            loads(before) if before else [], one.answer(read_object(row[-1] or "")), read_object(changes)
        )
        place = effects.places.get(one.flow.flow_id)
        step = (yield from awoken(row, answers, place, effects)) if whole else None
        params = {"id": row[0], "seq": seq, "new_answers": dumps(answers), "now": effects.now}
        if step is None:
            pending.append(params)
        else:
            leased.append((one.flow.flow_id, step, {**params, **lease(effects)}))
    if pending:
        yield UpdateEach(REVIVE, sorted(pending, key=itemgetter("id")))
        effects.work_due = True
    if leased:
        leased.sort(key=lambda found: found[1].step_id)
        landed = yield UpdateEach(REVIVE_LEASED, [params for *_, params in leased])
        effects.revived.update((flow_id, step) for (flow_id, step, _), ok in zip(leased, landed, strict=True) if ok)


def fail_flow(flow: FlowRecord, error: str, effects: Effects) -> Script[None]:
    """Fail a flow with what its completed steps have left."""
    final_state = yield from left_over(flow)
    yield from end_flow(flow, Status.FAILED, final_state, effects, error=error)


def left_over(flow: FlowRecord) -> Script[dict[str, object]]:
    """The final state of a flow that stops before its end."""
    rows = yield Fetch(TAILS, {"flow": flow.flow_id})
    if not rows:
        return {}
    anchors = yield from fetch_anchors(anchor for row in rows for anchor in read_object(row[4]).values())
    tails = relevant_tails(
        [
            Tail(row[0], row[1], bool(row[2]), restore(row[3], read_object(row[4]), anchors), read_object(row[5]))
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
    """The sources of cohorts, by id, with what their completed members have changed."""
    rows: list[Row] = yield Fetch(SPAWNS, {"ids": step_ids})
    all_refs = [read_object(row[6]) for row in rows]
    anchors = yield from fetch_anchors(anchor for refs in all_refs for anchor in refs.values())
    members: list[Row] = (yield Fetch(MEMBERS, {"ids": step_ids})) if with_members else []
    found: dict[int, Spawn] = {}
    for row, refs in zip(rows, all_refs, strict=True):
        state = restore(row[5], refs, anchors)
        found[row[0]] = Spawn(row[0], row[1], row[2], row[3], row[4], state, refs, read_object(row[7]), row[8])
    for step_id, depth, changes, lineage in members:
        found[lineage].members.append(Member(step_id, depth, read_object(changes)))
    return found
