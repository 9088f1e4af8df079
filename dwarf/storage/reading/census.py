"""What waits to be run, in numbers: for gauges."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, case, func, select

from dwarf.storage.expressions import flag_is, status_is
from dwarf.storage.script import Fetch, Now, Script, Statement
from dwarf.storage.tables import steps
from dwarf.workflow.status import Status

# A pending row is not written while it waits, so the later of the two is when the step became due.
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


@dataclass(frozen=True, slots=True)
class Band:
    """The due steps of one priority: how many, how long the first of them has been due, and of how many keys."""

    pending: int
    oldest_s: float
    fairness_keys: int


def read_bands() -> Script[dict[int, Band]]:
    """The due steps of one shard, by priority."""
    now = yield Now()
    rows = yield Fetch(BANDS, {"now": now})
    return {priority: Band(count, max(0, now - since) / 1000, keys) for priority, count, since, keys in rows}
