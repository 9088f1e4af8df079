"""What one group of requests writes: decisions about steps, and new flows, in one transaction.

A decision's rows need the step's own row: that one is written under the lease with which the step was run, and a
decision whose own row is fenced out drops out of the group and takes nobody with it. Mostly everything that follows is
known from the decisions alone; then the group is one write set. Where something has to be read in between - the members
of a cohort that is full, the caller of a flow that ends, whether a graph is stored - it is two: own rows with what
follows from them alone, then the new rows. How many statements a write set is, and whether it needs BEGIN and COMMIT,
is the driver's business.

Order of locks: own steps, then spawns and callers, then flows, then inserts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

from sqlalchemy import bindparam, select

from dwarf.core.breakpoints import is_breakpoint
from dwarf.core.cohorts import Full
from dwarf.core.decision import Ask, Call, Complete, Decision, Fail, StartOver
from dwarf.core.records import NewFlow, NewStep
from dwarf.errors import StateConflict
from dwarf.storage.operations.cohorts import settle_cohorts
from dwarf.storage.operations.complete import complete_flows, fail_flow
from dwarf.storage.operations.create import create_flows, may_be_there
from dwarf.storage.operations.delete import drop_flows
from dwarf.storage.operations.hooks import on_question
from dwarf.storage.operations.interrupts import interrupt_upward
from dwarf.storage.operations.own_rows import count_payloads, own_rows
from dwarf.storage.operations.unit_of_work import ALWAYS, UnitOfWork
from dwarf.storage.operations.write_set import Direct, asks_alone, ends_alone, has_children, new_rows
from dwarf.storage.sql.expressions import ZERO, in_ids
from dwarf.storage.sql.script import Fetch, Script, Statement, WriteSet
from dwarf.storage.sql.tables import flows

CHILDREN = Statement(
    "children_of_step",
    select(flows.c.flow_id).where(flows.c.parent_step_id == bindparam("id"), flows.c.parent_step_id > ZERO),
)
GRANDCHILDREN = Statement(
    "children_of_flows",
    select(flows.c.flow_id).where(in_ids(flows.c.parent_flow_id, "ids"), flows.c.parent_flow_id > ZERO),
)


def commit_group(
    decisions: Sequence[Decision], asked: Sequence[NewFlow], work: UnitOfWork, again: Sequence[NewFlow] = ()
) -> Script[tuple[list[bool], list[str | StateConflict]]]:
    """Write decisions and new flows. The answer: which decisions have landed, and for each flow what create_flows says.

    ``again`` are those of the flows that an earlier try may have added.
    """
    # ordered by step, so that two transactions that want the same rows lock them in one order
    order, own = own_rows(decisions, work.now)
    ordered = [decisions[position] for position in order]
    direct = Direct.of(ordered, work)
    # where nobody can have made them before, this reads nothing
    made = None if may_be_there(asked, again) else (yield from create_flows(asked, work))
    at_once = made is not None and not direct.further and not work.graphs
    parts = [*direct.parts, *new_rows(ordered, work)] if at_once else direct.parts
    written, *answers = yield WriteSet(own, parts, at_once and work.last)
    landed = [False] * len(decisions)
    rows = [row for write in own for row in write.rows]
    for position, row, ok in zip(order, rows, written, strict=True):
        landed[position] = ok
        if ok:
            count_payloads(decisions[position], row, work.written)
    done = list(compress(ordered, written))
    full = direct.tell(done, answers, work)
    if at_once:
        work.count_states()
    else:
        yield from _look_further(done, full, work)
        if made is None:
            made = yield from create_flows(asked, work, again)
        yield from work.insert()
    assert made is not None
    return landed, made


def follow_up(decision: Decision, work: UnitOfWork) -> Script[None]:
    """What follows from a decision whose own row is written already. The rows that it adds are left in ``work``."""
    direct = Direct.of([decision], work)
    _, *answers = yield WriteSet((), [(part, [ALWAYS] * len(part.rows)) for part, _ in direct.parts])
    full = direct.tell([decision], answers, work)
    yield from _look_further([decision], full, work)


def _look_further(done: Sequence[Decision], full: Sequence[Full], work: UnitOfWork) -> Script[None]:
    """What follows from decisions that have landed, and does not follow from their own rows alone."""
    if full:
        yield from settle_cohorts(full, work)
    ends = [decision for decision in done if isinstance(decision, Complete) and not ends_alone(decision, work)]
    if ends:
        yield from complete_flows([(decision.step.flow, decision.final_state) for decision in ends], work)
    for decision in done:
        match decision:
            # the failure of a branch is an arrival: it fails the flow only when the cohort is full
            case Fail() if not decision.step.lineage_id:
                yield from fail_flow(decision.step.flow, decision.error, work)
            # a step that starts over calls its children anew: the former ones have nobody to give their outcomes to
            case StartOver() if has_children(decision):
                yield from _drop_children(decision.step.step_id)
            case Ask() if not asks_alone(decision, work):
                yield from interrupt_upward(decision.step.flow, work)
                if work.writer.hooks and not is_breakpoint(decision.key):
                    yield from on_question(decision, work)


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
