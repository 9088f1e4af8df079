"""What is done when the database's clock went back: waits that began by the later time would take that much longer.

A row that was changed in what is now the future shows it. It is given the rest of its wait from now on, which happens
once, whoever notices. Moments that a user has named - when a flow is to start, the ticks of a cron schedule - stay.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, bindparam, or_, update
from sqlalchemy.sql import ColumnElement

from dwarf.storage.expressions import ZERO, flag_is, status_is
from dwarf.storage.recovery import LEASED
from dwarf.storage.script import Execute, Now, Script, Statement
from dwarf.storage.supply import ASLEEP
from dwarf.storage.tables import limit_starts, schedules, steps
from dwarf.workflow.status import Status

TOLERANCE_MS = 1000  # a clock that is set right by so little is not worth a look
_NOW = bindparam("now", type_=BigInteger)
_BEYOND = bindparam("beyond", type_=BigInteger)
_IN_THE_FUTURE = steps.c.updated_at > _BEYOND


def _rebase(name: str, moment: Column[Any], *conditions: ColumnElement[bool]) -> Statement:
    """Move a moment of steps by as much as their last change lies in the future."""
    values = {moment.name: _NOW + (moment - steps.c.updated_at), "updated_at": _NOW}
    return Statement(name, update(steps).where(*conditions, _IN_THE_FUTURE).values(values))


# a first step that has not run yet sleeps until a moment that was named
SLEEPING = _rebase(
    "rebase_sleeping",
    steps.c.not_before,
    *ASLEEP,
    or_(steps.c.predecessor_id != ZERO, steps.c.attempt > ZERO),
)
RUNNING = _rebase(
    "rebase_leases",
    steps.c.lease_expires,
    *LEASED,
)
WAITING = _rebase(
    "rebase_deadlines",
    steps.c.interrupt_deadline,
    status_is(steps.c.status, Status.INTERRUPTED),
    steps.c.interrupt_deadline > ZERO,
)
STARTS = Statement(
    "rebase_starts", update(limit_starts).where(limit_starts.c.started_at > _BEYOND).values(started_at=_NOW)
)
# whole periods, so that the ticks stay where they were within one
PERIODIC = Statement(
    "rebase_schedules",
    update(schedules)
    .where(
        schedules.c.every_ms > ZERO,
        flag_is(schedules.c.paused, 0),
        schedules.c.next_at > _BEYOND + schedules.c.every_ms,
    )
    .values(next_at=_NOW + (schedules.c.next_at - _NOW) % schedules.c.every_ms),
)


def rebase_waits() -> Script[int]:
    """Give what waits the rest of its wait from now on, where it was begun in what is now the future. How many rows."""
    now = yield Now()
    count = 0
    for statement in (SLEEPING, RUNNING, WAITING, STARTS, PERIODIC):
        count += yield Execute(statement, {"now": now, "beyond": now + TOLERANCE_MS})
    return count
