"""Many decisions, one transaction.

Order of locks: own steps, then spawns and callers, then flows, then inserts. A decision whose own row is fenced out
drops out of the group and takes nobody with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from dwarf.core.breakpoints import is_breakpoint
from dwarf.core.cohorts import Arrivals, arrival_of, full_at_once, gather
from dwarf.core.decision import Advance, Ask, Call, Complete, Decision, Fail, Retry, TryAgain
from dwarf.core.records import NewStep
from dwarf.storage.operations.caching import kept_row
from dwarf.storage.operations.cohorts import settle_cohorts
from dwarf.storage.operations.complete import complete_flows, fail_flow
from dwarf.storage.operations.delete import drop_flows
from dwarf.storage.operations.hooks import on_question
from dwarf.storage.operations.interrupts import INTERRUPT_FLOW, interrupt_upward
from dwarf.storage.operations.own_rows import count_payloads, own_row, write_own_rows
from dwarf.storage.operations.unit_of_work import Stop, UnitOfWork
from dwarf.storage.sql.expressions import ZERO, in_ids
from dwarf.storage.sql.script import Fetch, Script, Statement, UpdateEach, WriteSet
from dwarf.storage.sql.tables import flows
from dwarf.workflow.status import Status

CHILDREN = Statement(
    "children_of_step",
    select(flows.c.flow_id).where(flows.c.parent_step_id == bindparam("id"), flows.c.parent_step_id > ZERO),
)
GRANDCHILDREN = Statement(
    "children_of_flows",
    select(flows.c.flow_id).where(in_ids(flows.c.parent_flow_id, "ids"), flows.c.parent_flow_id > ZERO),
)


def commit_decisions(decisions: Sequence[Decision], work: UnitOfWork) -> Script[list[bool]]:
    """Write decisions; answer which landed. The rows they add are left in ``work``."""
    if work.last and isinstance(decisions[0], Ask) and not decisions[0].step.flow.parent_step_id:
        return (yield from _ask(decisions[0], work))
    landed = yield from write_own_rows(decisions, work.now, work.written)
    yield from follow_up([decision for decision, ok in zip(decisions, landed, strict=True) if ok], work)
    return landed


def _ask(decision: Ask, work: UnitOfWork) -> Script[list[bool]]:
    """Write a single question of a root flow, in one go."""
    flow = decision.step.flow
    write, row = own_row(decision, work.now)
    shown = UpdateEach(INTERRUPT_FLOW, [{"id": flow.flow_id, "now": work.now}])
    landed: list[bool]
    landed, (interrupted,) = yield WriteSet(UpdateEach(write, [row]), [(shown, [0])], last=True)
    if landed[0]:
        note(decision, work)
        count_payloads(decision, row, work.written)
        work.work_due = work.work_due or decision.timeout_ms is not None
        if interrupted:
            work.stops.append(Stop(flow.flow_id, Status.INTERRUPTED, token=flow.token))
    return landed


def follow_up(done: Sequence[Decision], work: UnitOfWork) -> Script[None]:
    """What follows from decisions whose own rows are written: arrivals, ends of flows, new steps and flows."""
    arrivals: Arrivals = {}
    for decision in done:
        note(decision, work)
        if arrival := arrival_of(decision):
            gather(arrivals, arrival)
    full = [found for decision in done if (found := full_at_once(decision))]
    if arrivals or full:
        yield from settle_cohorts(full, work, arrivals)
    completed = [(decision.step.flow, decision.final_state) for decision in done if isinstance(decision, Complete)]
    if completed:
        yield from complete_flows(completed, work)
    for decision in done:
        yield from _consequences(decision, work)


def note(decision: Decision, work: UnitOfWork) -> None:
    """What is to be told of a decision whose own row is written, whatever follows from it."""
    work.moved.add(decision.step.flow.root_flow_id)
    if decision.step.keep is not None and isinstance(decision, Advance | Complete):
        delay_ms = decision.delay_ms if isinstance(decision, Advance) else 0
        work.kept.append(kept_row(decision.step, delay_ms, work.now))
    if decision.step.taken is not None and isinstance(decision, Advance | Complete):
        work.taking.append(decision.step)
    if decision.step.flow.plan.nodes[decision.step.node].limit is not None:
        work.work_due = True  # there may be room under the limit again


def _consequences(decision: Decision, work: UnitOfWork) -> Script[None]:
    flow = decision.step.flow
    match decision:
        case Advance():
            for successor in decision.successors:
                work.add_step(successor)
        case Fail() if not decision.step.lineage_id:
            yield from fail_flow(flow, decision.error, work)
        case Retry():
            if any(answer.kind == "subgraph" for answer in decision.step.answers):
                yield from _drop_children(decision.step.step_id)
            work.work_due = True
        case TryAgain():
            work.work_due = True
        case Ask():
            work.work_due = work.work_due or decision.timeout_ms is not None
            yield from interrupt_upward(flow, work)
            if work.writer.hooks and not is_breakpoint(decision.key):
                yield from on_question(decision, work)
        case Call():
            work.graphs.setdefault(decision.child.record.graph_hash, decision.child.graph_body)
            work.add_flow(decision.child)


def _drop_children(step_id: int) -> Script[None]:
    """Delete the child flows of a step that starts over, with everything under them."""
    found = [child for (child,) in (yield Fetch(CHILDREN, {"id": step_id}))]
    level = found
    while level:
        level = [child for (child,) in (yield Fetch(GRANDCHILDREN, {"ids": level}))]
        found.extend(level)
    if found:
        yield from drop_flows(found)


def handed_over(decision: Decision, leased: dict[int, list[NewStep]]) -> list[NewStep]:
    """The steps that this replica starts now because of a decision. ``leased`` holds new steps by predecessor."""
    steps_now = leased.get(decision.step.step_id, [])
    if isinstance(decision, Call) and decision.child.entry.leased:
        return [*steps_now, decision.child.entry]
    return steps_now
