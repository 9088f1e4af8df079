"""Counting arrivals at cohorts, and what follows when one is full: the fan-in step, or the failure, one level up.

A cohort is the set of branches that one step (the spawn) has opened; its counts stand in the row of the spawn. Why
counts and no query over the branches: the query would read every branch at each arrival, so that a fan-out of n
branches read n * n rows. Why the branch that fills a cohort resolves it, and nobody else: its update holds the lock of
the spawn's row until the commit, so of two that arrive at once one sees the other counted. Why a cohort that fails
waits for all its branches: they may be running, on other replicas, and their results are worth keeping for a repair.
A full inner cohort counts at the outer one, and so on, from the inside outward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import bindparam, literal_column, select, update

from dwarf.core.decision import Advance, Fail
from dwarf.core.fanin import converge
from dwarf.errors import ReducerError
from dwarf.storage.operations.complete import fail_flow, load_spawns
from dwarf.storage.operations.unit_of_work import UnitOfWork
from dwarf.storage.sql.expressions import of_row, status_is
from dwarf.storage.sql.script import Execute, Fetch, Row, Script, Statement
from dwarf.storage.sql.tables import steps
from dwarf.workflow.status import Status

_SPAWN = steps.c.step_id == bindparam("id")
_COUNTS = (steps.c.step_id, steps.c.cohort_size, steps.c.cohort_arrivals, steps.c.cohort_failures, steps.c.lineage_id)
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
ARRIVE = Statement(
    "arrive", _COUNTED.returning(*_COUNTS), returning_fallback=(_COUNTED, select(*_COUNTS).where(_SPAWN))
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
    .where(steps.c.step_id == bindparam("id"), status_is(of_row(steps.c.status), Status.COMPLETED))
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


@dataclass(slots=True)
class Full:
    """A cohort to which the last branch has come now. ``outer``: the spawn of the cohort around it, or 0."""

    arrival: Arrival
    failures: int
    outer: int
    size: int


Arrivals: TypeAlias = dict[int, Arrival]  # by cohort


def gather(arrivals: Arrivals, found: Arrival) -> None:
    """Add an arrival, summed with earlier ones at the same cohort."""
    known = arrivals.setdefault(found.cohort_id, found)
    if known is not found:
        known.arrivals += found.arrivals
        known.failures += found.failures
        known.by = found.by


def settle_cohorts(arrivals: Arrivals, work: UnitOfWork, full: Sequence[Full] = ()) -> Script[None]:
    """Count the arrivals, and carry the consequences outward until nothing is left to settle. ``full`` are so already.

    The fan-in steps of all that have come together are made at once.
    """
    ready: list[Full] = []
    for found in full:
        yield from _came_together(found, ready, arrivals, work)
    while arrivals or ready:
        while arrivals:
            # by id, and mostly from the inside outward: two transactions lock the same spawns in the same order
            arrival = arrivals.pop(max(arrivals))
            if arrival.size:
                if arrival.arrivals >= arrival.size:
                    ready.append(Full(arrival, 0, outer=arrival.by.step.lineage_id, size=arrival.size))
                continue
            rows = yield Fetch(
                ARRIVE, {"id": arrival.cohort_id, "arrivals": arrival.arrivals, "failures": arrival.failures}
            )
            for found in filled({arrival.cohort_id: arrival}, rows):
                yield from _came_together(found, ready, arrivals, work)
        if ready:
            ready, fired = [], ready
            yield from _fire(fired, arrivals, work)


def filled(arrivals: Arrivals, rows: Sequence[Row]) -> list[Full]:
    """Which cohorts have become full, from what their counting has answered."""
    found: list[Full] = []
    for cohort_id, size, count, failures, outer in rows:
        arrival = arrivals[cohort_id]
        if count - arrival.arrivals < size <= count:
            found.append(Full(arrival, failures, outer=outer, size=size))
    return found


def _came_together(found: Full, ready: list[Full], arrivals: Arrivals, work: UnitOfWork) -> Script[None]:
    if found.failures:
        yield from _failed(found, arrivals, work)
    else:
        ready.append(found)


def _failed(found: Full, arrivals: Arrivals, work: UnitOfWork, error: str = "") -> Script[None]:
    """A full cohort with a failure counts as one failed arrival further out, or fails the flow."""
    by = found.arrival.by
    if found.outer:
        gather(arrivals, Arrival(found.outer, arrivals=1, failures=1, by=by))
        return
    flow = by.step.flow
    several = not error and found.failures > 1
    if not error and not several and isinstance(by, Fail):
        error = by.error
    if not error:
        rows = yield Fetch(FIRST_ERROR, {"flow": flow.flow_id})
        error = next((text for (text,) in rows), "cohort failed")
    if several:
        error = f"{found.failures:,} of {found.size:,} branches failed; the first: {error}"
    yield from fail_flow(flow, error, work)


def _fire(fired: Sequence[Full], arrivals: Arrivals, work: UnitOfWork) -> Script[None]:
    """Every branch of these has arrived: insert the fan-in steps."""
    spawns = yield from load_spawns([found.arrival.cohort_id for found in fired], with_members=True)
    for found in fired:
        decision, spawn = found.arrival.by, spawns[found.arrival.cohort_id]
        assert isinstance(decision, Advance)
        try:
            step = converge(
                spawn,
                decision.fan_in,
                decision.step,
                work.writer.decision_context,
                decision.delay_ms,
                decision.lease_fan_in,
            )
        except ReducerError as error:
            yield Execute(SPOIL, {"id": decision.step.step_id, "new_error": str(error), "now": work.now})
            yield from _failed(found, arrivals, work, str(error))
            continue
        work.links.append({"id": spawn.step_id, "fan_in": step.step_id})
        if not spawn.successor_id:
            yield Execute(LINK_SPAWN, {"spawn": spawn.step_id, "fan_in": step.step_id})
        work.add_step(step)
        work.moved.add(decision.step.flow.root_flow_id)
