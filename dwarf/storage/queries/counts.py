"""Counts of flows and steps in a database, and of the steps that wait to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, case, func, select

from dwarf.storage.queries.filters import Filters, conditions_of, count_statement
from dwarf.storage.sql.expressions import flag_is, status_is
from dwarf.storage.sql.script import Fetch, Now, Script, Statement
from dwarf.storage.sql.tables import flows, steps
from dwarf.workflow.status import Status

FLOWS = Statement("count_flows", select(flows.c.status, func.count()).group_by(flows.c.status).order_by(flows.c.status))
STEPS = Statement("count_steps", select(steps.c.status, func.count()).group_by(steps.c.status).order_by(steps.c.status))

Counts = dict[Status, int]

# A pending row is not written while it waits, so the step became due at the later of the two moments.
_DUE_SINCE = case((steps.c.not_before > steps.c.updated_at, steps.c.not_before), else_=steps.c.updated_at)

BANDS = Statement(
    "pending_by_priority",
    select(
        steps.c.priority,
        func.count(),
        func.min(_DUE_SINCE),
        func.count(steps.c.fairness_key.distinct()),
    )
    .where(
        status_is(steps.c.status, Status.PENDING),
        flag_is(steps.c.parked, 0),
        flag_is(steps.c.asleep, 0),
        steps.c.lease_expires <= bindparam("now"),
    )
    .group_by(steps.c.priority),
)


def count_rows() -> Script[tuple[Counts, Counts]]:
    """Flows and steps by status, with every status, including child flows and flows marked for deletion."""
    of_flows = dict((yield Fetch(FLOWS, {})))
    of_steps = dict((yield Fetch(STEPS, {})))
    return _every_status(of_flows), _every_status(of_steps)


def count_flows(filters: Filters) -> Script[Counts]:
    """The matching flows by status, with every status. ``search`` is ignored here: it requires reading the flows."""
    now = (yield Now()) if filters.older_ms or filters.newer_ms else 0
    names, values = conditions_of(filters, now)
    counts = _every_status(dict((yield Fetch(count_statement(frozenset(names)), values))))
    if filters.status is Status.PENDING:
        counts[Status.PENDING], counts[Status.RUNNING] = counts[Status.RUNNING], 0
    elif filters.status is None and counts[Status.RUNNING]:
        names, values = conditions_of(replace(filters, status=Status.PENDING), now)
        later = sum(dict((yield Fetch(count_statement(frozenset(names)), values))).values())
        counts[Status.PENDING] += later
        counts[Status.RUNNING] -= later
    return counts


def _every_status(counted: Mapping[str, int]) -> Counts:
    return {status: int(counted.get(status.value, 0)) for status in Status}


def read_time() -> Script[int]:
    """The database's clock: the cheapest query."""
    now: int = yield Now()
    return now


@dataclass(frozen=True, slots=True)
class Band:
    """The due steps of one priority: their number, the waiting time of the first, and the number of their keys."""

    pending: int
    oldest_s: float
    fairness_keys: int


def read_bands() -> Script[dict[int, Band]]:
    """The due steps of one shard, by priority."""
    now = yield Now()
    rows = yield Fetch(BANDS, {"now": now})
    return {priority: Band(count, max(0, now - since) / 1000, keys) for priority, count, since, keys in rows}
