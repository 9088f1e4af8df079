"""Counting arrivals at cohorts, and what follows when one is full: the fan-in step, or the failure, one level up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import bindparam, literal_column, select, update

from dwarf.core.decision import Advance, Fail
from dwarf.core.fanin import converge
from dwarf.errors import ReducerError
from dwarf.storage.effects import Effects
from dwarf.storage.ending import fail_flow, load_spawn
from dwarf.storage.expressions import status_is
from dwarf.storage.script import Execute, Fetch, Script, Statement
from dwarf.storage.tables import steps
from dwarf.workflow.status import Status

_SPAWN = steps.c.step_id == bindparam("id")
_COUNTS = (steps.c.cohort_size, steps.c.cohort_arrivals, steps.c.cohort_failures, steps.c.lineage_id)
_COUNTED = (
    update(steps)
    .where(_SPAWN)
    .values(
        cohort_arrivals=steps.c.cohort_arrivals + bindparam("arrivals"),
        cohort_failures=steps.c.cohort_failures + bindparam("failures"),
    )
)
# It locks the spawn until the commit, so arrivals are counted one after the other. Members are read after it: the one
# that fills the cohort then sees all the others, which are committed.
ARRIVE = Statement("arrive", _COUNTED.returning(*_COUNTS), in_turn=(_COUNTED, select(*_COUNTS).where(_SPAWN)))
LINK_MEMBERS = Statement(
    "link_members",
    update(steps)
    .where(
        steps.c.lineage_id == bindparam("spawn"),
        steps.c.lineage_id > literal_column("0"),
        status_is(steps.c.status, Status.COMPLETED),
        steps.c.successor_id == literal_column("0"),
    )
    .values(successor_id=bindparam("fan_in")),
)
LINK_SPAWN = Statement(
    "link_spawn",
    update(steps)
    .where(steps.c.step_id == bindparam("spawn"), steps.c.successor_id == literal_column("0"))
    .values(successor_id=bindparam("fan_in")),
)
SPOIL = Statement(
    "spoil_step",
    update(steps)
    .where(steps.c.step_id == bindparam("id"), status_is(steps.c.status, Status.COMPLETED))
    .values(status=literal_column("'failed'"), error=bindparam("new_error"), updated_at=bindparam("now")),
)
FIRST_ERROR = Statement(
    "first_error",
    select(steps.c.error)
    .where(
        steps.c.flow_id == bindparam("flow"),
        status_is(steps.c.status, Status.FAILED, Status.CANCELLED),  # a fork says of a cancelled branch what it lacks
        steps.c.error != "",
    )
    .order_by(steps.c.created_at, steps.c.step_id)
    .limit(1),
)


@dataclass(slots=True)
class Arrival:
    """Branches that have come to their end at one cohort. ``by`` is the decision that came last."""

    cohort_id: int
    arrivals: int
    failures: int
    by: Advance | Fail
    size: int = 0  # known where the spawn itself arrives: its row is written already


Arrivals: TypeAlias = dict[int, Arrival]  # by cohort


def gather(arrivals: Arrivals, found: Arrival) -> None:
    """Add an arrival, summed with earlier ones at the same cohort."""
    known = arrivals.setdefault(found.cohort_id, found)
    if known is not found:
        known.arrivals += found.arrivals
        known.failures += found.failures
        known.by = found.by


def settle_cohorts(arrivals: Arrivals, effects: Effects) -> Script[None]:
    """Count the arrivals, and carry the consequences outward until nothing is left to settle."""
    while arrivals:
        # by id, and mostly from the inside outward: two transactions lock the same spawns in the same order
        arrival = arrivals.pop(max(arrivals))
        if arrival.size:
            full, failures, outer = arrival.arrivals >= arrival.size, 0, arrival.by.step.lineage_id
        else:
            rows = yield Fetch(
                ARRIVE, {"id": arrival.cohort_id, "arrivals": arrival.arrivals, "failures": arrival.failures}
            )
            if not rows:
                continue
            size, count, failures, outer = rows[0]
            full = count - arrival.arrivals < size <= count
        if not full:
            continue
        if failures:
            yield from _failed(arrival, outer, arrivals, effects)
        else:
            yield from _fire(arrival, outer, arrivals, effects)


def _failed(arrival: Arrival, outer: int, arrivals: Arrivals, effects: Effects, error: str = "") -> Script[None]:
    """A full cohort with a failure counts as one failed arrival further out, or fails the flow."""
    if outer:
        gather(arrivals, Arrival(outer, 1, 1, arrival.by))
        return
    flow = arrival.by.step.flow
    if not error and isinstance(arrival.by, Fail):
        error = arrival.by.error
    if not error:
        rows = yield Fetch(FIRST_ERROR, {"flow": flow.flow_id})
        error = rows[0][0] if rows else "cohort failed"
    yield from fail_flow(flow, error, effects)


def _fire(arrival: Arrival, outer: int, arrivals: Arrivals, effects: Effects) -> Script[None]:
    """Every branch has arrived: insert the fan-in step."""
    decision = arrival.by
    assert isinstance(decision, Advance)
    spawn = yield from load_spawn(arrival.cohort_id, with_members=True)
    try:
        step = converge(
            spawn,
            decision.fan_in,
            decision.step,
            effects.writer.means,
            decision.delay_ms,
            decision.lease_fan_in,
        )
    except ReducerError as error:
        yield Execute(SPOIL, {"id": decision.step.step_id, "new_error": str(error), "now": effects.now})
        yield from _failed(arrival, outer, arrivals, effects, str(error))
        return
    yield Execute(LINK_MEMBERS, {"spawn": spawn.step_id, "fan_in": step.step_id})
    yield Execute(LINK_SPAWN, {"spawn": spawn.step_id, "fan_in": step.step_id})
    effects.add_step(step)
    effects.moved.add(decision.step.flow.root_flow_id)
