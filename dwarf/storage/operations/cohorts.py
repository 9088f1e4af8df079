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

from sqlalchemy import bindparam, literal_column, select, update

from dwarf.core.cohorts import Arrivals, Full, failed_branch, filled, first_error, gather, own_error
from dwarf.core.decision import Advance
from dwarf.core.fanin import converge
from dwarf.errors import ReducerError
from dwarf.storage.operations.complete import fail_flow, load_spawns
from dwarf.storage.operations.unit_of_work import UnitOfWork
from dwarf.storage.sql.expressions import of_row, status_is
from dwarf.storage.sql.script import Execute, Fetch, Script, Statement
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
        status_is(steps.c.status, Status.FAILED, Status.CANCELLED),  # a fork stores on a cancelled branch what it lacks
        steps.c.error != "",
    )
    .order_by(steps.c.created_at, steps.c.step_id)
    .limit(1),
)


def settle_cohorts(full: Sequence[Full], work: UnitOfWork, arrivals: Arrivals | None = None) -> Script[None]:
    """Carry the consequences of full cohorts outward until nothing is left to settle. ``arrivals`` are not counted yet.

    The fan-in steps of all that have come together are made at once.
    """
    ready: list[Full] = []
    arrivals = {} if arrivals is None else arrivals
    for found in full:
        yield from _came_together(found, ready, arrivals, work)
    while arrivals or ready:
        while arrivals:
            # by id, and mostly from the inside outward: two transactions lock the same spawns in the same order
            arrival = arrivals.pop(max(arrivals))
            rows = yield Fetch(
                ARRIVE, {"id": arrival.cohort_id, "arrivals": arrival.arrivals, "failures": arrival.failures}
            )
            for found in filled({arrival.cohort_id: arrival}, rows):
                yield from _came_together(found, ready, arrivals, work)
        if ready:
            ready, fired = [], ready
            yield from _fire(fired, arrivals, work)


def _came_together(found: Full, ready: list[Full], arrivals: Arrivals, work: UnitOfWork) -> Script[None]:
    if found.failures:
        yield from _failed(found, arrivals, work)
    else:
        ready.append(found)


def _failed(found: Full, arrivals: Arrivals, work: UnitOfWork, error: str = "") -> Script[None]:
    branch = failed_branch(found)
    if branch is not None:
        gather(arrivals, branch)
        return
    flow = found.arrival.by.step.flow
    error = error or own_error(found)
    if not error:
        rows = yield Fetch(FIRST_ERROR, {"flow": flow.flow_id})
        error = first_error(found, next((text for (text,) in rows), ""))
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
