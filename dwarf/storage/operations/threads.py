"""Threads: flows that follow each other, each beginning with the final state of the previous one."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import bindparam, select

from dwarf.core.keys import NO_FLOW, Key
from dwarf.core.records import FlowRecord, NewFlow, State
from dwarf.errors import FlowNotFound, InvalidRequest, StateConflict, ThreadNotFound
from dwarf.storage.operations.create import THREAD, ThreadRow
from dwarf.storage.operations.unit_of_work import UnitOfWork
from dwarf.storage.sql.expressions import ZERO, locked
from dwarf.storage.sql.graphs import PlanOf, load_plan
from dwarf.storage.sql.rows import FLOW_COLUMNS, FlowRow, read_object
from dwarf.storage.sql.script import Fetch, Lock, Script, Statement
from dwarf.storage.sql.tables import flows
from dwarf.workflow.algebra import fold, settle
from dwarf.workflow.status import Status

LOCK_TURN = Statement("lock_turn", locked(select(flows.c.flow_id).where(flows.c.flow_id == bindparam("id")), flows))
_TURNS = (
    flows.c.thread_id == bindparam("thread"),
    flows.c.parent_flow_id == ZERO,
    flows.c.forked_from_step == ZERO,
    flows.c.delete_after_ms == ZERO,
)
_LATEST = (flows.c.created_at.desc(), flows.c.flow_id.desc())  # ids alone are not in order over several engines
LATEST_TURN = Statement("latest_turn", select(flows.c.flow_id).where(*_TURNS).order_by(*_LATEST).limit(1))
BASE = Statement(
    "turn_to_continue", select(*FLOW_COLUMNS, flows.c.final_state).where(*_TURNS).order_by(*_LATEST).limit(1)
)

NextTurn = Callable[[FlowRecord, State], NewFlow]


def continue_thread(key: Key, additions: State, make: NextTurn, work: UnitOfWork, plan_of: PlanOf) -> Script[NewFlow]:
    """Add a turn to the thread of a root flow. ``make`` creates it from the latest turn and its initial state.

    Forks are not turns. FlowNotFound; InvalidRequest for a child flow; ThreadNotFound if no turn is left; StateConflict
    if the latest has not completed; ReducerError if an addition does not fit its reducer.
    """
    rows = yield Fetch(THREAD, {"id": key.id})
    named = ThreadRow._make(rows[0]) if rows else None
    if named is None or named.token != key.token:
        raise FlowNotFound(NO_FLOW)
    if named.parent_flow_id:
        raise InvalidRequest("a child flow belongs to no thread: continue its root flow")
    rows = yield Fetch(LATEST_TURN, {"thread": named.thread_id})
    if rows:
        ((latest,),) = rows
        # a concurrent continuation of the thread waits here, and then finds the first one's turn
        yield Lock(LOCK_TURN, {"id": latest})
        rows = yield Fetch(BASE, {"thread": named.thread_id})
    if not rows:
        raise ThreadNotFound("no flow is left in the thread that could be continued")
    *columns, final_state = rows[0]
    turn = FlowRow._make(columns)
    if turn.status != Status.COMPLETED:
        raise StateConflict(
            f"the latest flow of the thread is {turn.status}: only a completed one can be continued, and no fork; "
            "create(..., thread=...) adds a flow to the thread whatever the others came to"
        )
    plan = yield from load_plan(turn.graph_hash, plan_of)
    base = turn.record(work.writer.shard, plan)
    # this transaction may be older than the turn it has waited for, and the order of turns is that of their times
    work.now = max(work.now, base.created_at + 1)
    state = settle(fold(read_object(final_state), [additions], plan.reducers))
    flow = make(base, state)
    work.add_flow(flow)
    return flow
