"""Taking back the leases of dead owners, and shortening waits that a clock's step backward would prolong."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, bindparam, literal_column, or_, select, update
from sqlalchemy.sql import ColumnElement

from dwarf.storage.operations.due_queue import ASLEEP
from dwarf.storage.sql.expressions import ZERO, flag_is, in_ids, locked, of_row, status_is
from dwarf.storage.sql.script import Execute, Fetch, Now, Row, Script, Statement, UpdateEach
from dwarf.storage.sql.tables import limit_starts, schedules, steps
from dwarf.workflow.status import Status

LEASED = (status_is(steps.c.status, Status.RUNNING), flag_is(steps.c.parked, 0))
_STILL_LEASED = (status_is(of_row(steps.c.status), Status.RUNNING), flag_is(of_row(steps.c.parked), 0))
_REWIND = {
    "status": literal_column("'pending'"),
    "lease_expires": literal_column("0"),
    "crashes": steps.c.crashes + bindparam("crashed"),
    "updated_at": bindparam("now"),
}
TAKEN_AT_ONCE = 1000

# A locked step is being written: it is not abandoned, or another replica is just taking it back.
_FREE = locked(select(steps.c.step_id).where(*LEASED), steps, skip=True)
EXPIRED = Statement(
    "recover_expired",
    _FREE.where(
        steps.c.lease_expires <= bindparam("now"),
        or_(~in_ids(steps.c.engine_id, "living"), steps.c.lease_expires <= bindparam("long_ago")),
    )
    .order_by(steps.c.lease_expires)
    .limit(literal_column(str(TAKEN_AT_ONCE))),
)
ABANDONED = Statement(
    "recover_abandoned",
    _FREE.where(in_ids(steps.c.engine_id, "engine_ids"))
    .order_by(steps.c.lease_expires)
    .limit(literal_column(str(TAKEN_AT_ONCE))),
)
REWIND = Statement("rewind_steps", update(steps).where(in_ids(steps.c.step_id, "ids"), *_STILL_LEASED).values(_REWIND))
HELD = Statement(
    "leases_of_engine",
    select(steps.c.step_id, steps.c.lease_seq).where(*LEASED, steps.c.engine_id == bindparam("engine_id")),
)
OWNERS = Statement("lease_owners", select(steps.c.engine_id).where(*LEASED).distinct())
RELEASE = Statement(
    "release_lease",
    update(steps)
    .where(
        steps.c.step_id == bindparam("id"),
        steps.c.lease_seq == bindparam("seq"),
        *_STILL_LEASED,
    )
    .values(
        status=literal_column("'pending'"),
        lease_expires=literal_column("0"),
        crashes=steps.c.crashes + bindparam("crashed"),
        updated_at=bindparam("now"),
    ),
)

TOLERANCE_MS = 1000  # smaller corrections of a clock are ignored
_NOW = bindparam("now", type_=BigInteger)
_BEYOND = bindparam("beyond", type_=BigInteger)
_IN_THE_FUTURE = steps.c.updated_at > _BEYOND


def recover_expired(living: Collection[int] = (), grace_ms: int = 0) -> Script[int]:
    """Return some steps with expired leases to pending. Returns their number: fewer than TAKEN_AT_ONCE at the end.

    Engines that are known to be living keep their leases for ``grace_ms`` longer. An expired lease proves no death.
    """
    now = yield Now()
    params = {"now": now, "living": sorted(living), "long_ago": now - grace_ms}
    return (yield from _rewind((yield Fetch(EXPIRED, params)), now, crashed=False))


def recover_abandoned(engine_ids: Collection[int], *, crashed: bool = True) -> Script[int]:
    """Return some steps of dead engines to pending, without waiting for their expiry. Returns their number, as above.

    ``crashed``: their processes are proven dead, which counts towards the crash limit of each step.
    """
    now = yield Now()
    return (yield from _rewind((yield Fetch(ABANDONED, {"engine_ids": sorted(engine_ids)})), now, crashed=crashed))


def _rewind(found: list[Row], now: int, *, crashed: bool) -> Script[int]:
    if not found:
        return 0
    ids = [step_id for (step_id,) in found]
    count: int = yield Execute(REWIND, {"ids": ids, "now": now, "crashed": int(crashed)})
    return count


def lease_owners() -> Script[set[int]]:
    """The engine ids that hold leases now."""
    rows = yield Fetch(OWNERS, {})
    return {engine_id for (engine_id,) in rows}


def leases_of(engine_id: int) -> Script[list[tuple[int, int]]]:
    """The steps leased to an engine, each with its lease number."""
    rows = yield Fetch(HELD, {"engine_id": engine_id})
    return [(step_id, lease_seq) for step_id, lease_seq in rows]


def release_lease(step_id: int, lease_seq: int, *, crashed: bool = False) -> Script[None]:
    """Give back a step that was claimed and not run to an outcome. ``crashed``: this counts towards its crash limit."""
    now = yield Now()
    yield Execute(RELEASE, {"id": step_id, "seq": lease_seq, "crashed": int(crashed), "now": now})


def release_leases(held: Sequence[tuple[int, int]]) -> Script[None]:
    """Give back steps that were claimed and not started, given as their ids and lease numbers."""
    now = yield Now()
    yield UpdateEach(RELEASE, [{"id": step, "seq": seq, "crashed": 0, "now": now} for step, seq in sorted(held)])


def _rebase(name: str, moment: Column[Any], *conditions: ColumnElement[bool]) -> Statement:
    """Move a moment of steps by the amount that their last change lies in the future."""
    values = {moment.name: _NOW + (moment - steps.c.updated_at), "updated_at": _NOW}
    return Statement(name, update(steps).where(*conditions, _IN_THE_FUTURE).values(values))


# a first step that has not run waits for an absolute time
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
# by whole periods, so that ticks keep their phase
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
    """Restart waits that began in what is now the future, with their remaining time. Returns the number of rows."""
    now = yield Now()
    count = 0
    for statement in (SLEEPING, RUNNING, WAITING, STARTS, PERIODIC):
        count += yield Execute(statement, {"now": now, "beyond": now + TOLERANCE_MS})
    return count
