"""How many flows and steps a database holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import func, select

from dwarf.storage.reading.filters import Filters, conditions_of, count_statement
from dwarf.storage.script import Fetch, Now, Script, Statement
from dwarf.storage.tables import flows, steps
from dwarf.workflow.status import Status

FLOWS = Statement("count_flows", select(flows.c.status, func.count()).group_by(flows.c.status).order_by(flows.c.status))
STEPS = Statement("count_steps", select(steps.c.status, func.count()).group_by(steps.c.status).order_by(steps.c.status))

Counts = dict[Status, int]


def count_rows() -> Script[tuple[Counts, Counts]]:
    """Flows and steps by status, every status named; children, and flows that are about to be removed, included."""
    of_flows = dict((yield Fetch(FLOWS, {})))
    of_steps = dict((yield Fetch(STEPS, {})))
    return _every_status(of_flows), _every_status(of_steps)


def count_flows(filters: Filters) -> Script[Counts]:
    """The flows that fit, by status, every status named. ``search`` is no filter here: that takes reading them."""
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
    """The database's clock: the least there is to ask."""
    now: int = yield Now()
    return now
