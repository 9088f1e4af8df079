"""Which engines use a database on a server: a row for each, which it renews.

The row tells others that its engine lives, so that they can share what there is only so much of. Nothing else hangs on
it: leases are taken back by their own time, so a row that is lost, late or too many costs no step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from dwarf.storage.expressions import in_ids
from dwarf.storage.named import columns
from dwarf.storage.script import Execute, Fetch, InsertMany, Now, Script, Statement
from dwarf.storage.tables import replicas

LIVING_MS = 40_000  # whoever was not seen for so long counts no more; it may still have connections until then
STALE_MS = 80_000  # then its row is removed
REMOVED_AT_ONCE = 64

_OWN = (replicas.c.engine_id == bindparam("own_id"), replicas.c.nonce == bindparam("own_nonce"))
RENEW = Statement("renew_replica", update(replicas).where(*_OWN).values(seen_at=bindparam("now")))
TAKE = Statement(
    "take_replica",
    update(replicas)
    .where(replicas.c.engine_id == bindparam("own_id"))
    .values(
        nonce=bindparam("new_nonce"),
        workers=bindparam("new_workers"),
        started_at=bindparam("now"),
        seen_at=bindparam("now"),
    ),
)
REGISTER = Statement(
    "register_replica",
    insert(replicas).values(
        engine_id=bindparam("own_id"),
        nonce=bindparam("own_nonce"),
        workers=bindparam("own_workers"),
        started_at=bindparam("now"),
        seen_at=bindparam("now"),
    ),
)
LEAVE = Statement("leave_replicas", delete(replicas).where(*_OWN))


class ReplicaRow(NamedTuple):
    """A replica as it is registered."""

    engine_id: int
    nonce: str
    seen_at: int


ALL = Statement("all_replicas", select(*columns(ReplicaRow, replicas)))
REMOVE = Statement(
    "remove_stale_replicas",
    delete(replicas).where(in_ids(replicas.c.engine_id, "ids"), replicas.c.seen_at < bindparam("before")),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the registry says. ``taken``: another engine goes by this engine's id. ``missing``: the row was gone."""

    living: int
    taken: bool = False
    missing: bool = False


def enter(engine_id: int, nonce: str, workers: int) -> Script[Seen]:
    """Register an engine that starts. Whoever had its id before is taken for its former life."""
    now = yield Now()
    taken = yield Execute(TAKE, {"own_id": engine_id, "new_nonce": nonce, "new_workers": workers, "now": now})
    if not taken:
        yield from _register(engine_id, nonce, workers, now)
    return Seen((yield from _count(engine_id, now)))


def renew(engine_id: int, nonce: str, workers: int) -> Script[Seen]:
    """Tell that an engine lives, and see who else does. A row that is gone is made again."""
    now = yield Now()
    renewed = yield Execute(RENEW, {"own_id": engine_id, "own_nonce": nonce, "now": now})
    rows = [ReplicaRow._make(row) for row in (yield Fetch(ALL, {}))]
    known = {row.engine_id: row for row in rows}
    taken = engine_id in known and known[engine_id].nonce != nonce
    missing = not renewed and not taken
    if missing:
        yield from _register(engine_id, nonce, workers, now)
    stale = [row.engine_id for row in rows if row.seen_at < now - STALE_MS and row.engine_id != engine_id]
    del stale[REMOVED_AT_ONCE:]
    if stale:
        yield Execute(REMOVE, {"ids": sorted(stale), "before": now - STALE_MS})
    return Seen(_living(rows, engine_id, now), taken, missing)


def leave(engine_id: int, nonce: str) -> Script[None]:
    """Take an engine out that ends."""
    yield Execute(LEAVE, {"own_id": engine_id, "own_nonce": nonce})


def count_living(engine_id: int) -> Script[int]:
    """How many engines live, this one included."""
    now = yield Now()
    return (yield from _count(engine_id, now))


def _register(engine_id: int, nonce: str, workers: int, now: int) -> Script[None]:
    row = {"own_id": engine_id, "own_nonce": nonce, "own_workers": workers, "now": now}
    yield InsertMany(REGISTER, [row])


def _count(engine_id: int, now: int) -> Script[int]:
    rows = [ReplicaRow._make(row) for row in (yield Fetch(ALL, {}))]
    return _living(rows, engine_id, now)


def _living(rows: Iterable[ReplicaRow], engine_id: int, now: int) -> int:
    return len({row.engine_id for row in rows if row.seen_at >= now - LIVING_MS} | {engine_id})
