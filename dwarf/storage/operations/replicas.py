"""The engines that use a database on a server: one row each, whose counter an engine raises while it lives.

A replica whose counter stands still, or whose session on the server has ended, is buried by the first replica that
notices: its row is marked, and its steps are taken back. A marked row stays for a while, so that leases which the
replica still takes under that id, unaware of its burial, are taken back, too. Replicas of the previous version raise no
counter: their steps are taken back when their leases expire.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, delete, insert, literal_column, or_, select, update

from dwarf.storage.sql.expressions import in_ids
from dwarf.storage.sql.heartbeats import _ALIVE, _OWN, RENEW, ReplicaRow
from dwarf.storage.sql.rows import columns
from dwarf.storage.sql.script import Execute, Fetch, InsertMany, Now, Script, Statement
from dwarf.storage.sql.tables import replicas

LIVING_MS = 40_000  # an engine not seen for so long is not counted any more; it may have connections until then
STALE_MS = 80_000  # then its row is removed
REMOVED_AT_ONCE = 64
SILENT, ENDED = 1, 2  # the reason of a mark: silent for too long, or an ended session
TAKE = Statement(
    "take_replica",
    update(replicas)
    .where(replicas.c.engine_id == bindparam("own_id"))
    .values(
        nonce=bindparam("new_nonce"),
        workers=bindparam("new_workers"),
        started_at=bindparam("now"),
        seen_at=bindparam("now"),
        beats=literal_column("1"),
        dead=literal_column("0"),
        lock_key=literal_column("0"),
        server=literal_column("''"),
        direct=literal_column("0"),
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
        beats=literal_column("1"),
    ),
)
LEAVE = Statement("leave_replicas", delete(replicas).where(*_OWN))
ALL = Statement("all_replicas", select(*columns(ReplicaRow, replicas)))
BURY = Statement(
    "bury_replica",
    update(replicas).where(*_OWN, _ALIVE, replicas.c.beats == bindparam("seen_beats")).values(dead=bindparam("reason")),
)
REMOVE = Statement(
    "remove_stale_replicas",
    delete(replicas).where(
        in_ids(replicas.c.engine_id, "ids"),
        replicas.c.seen_at < bindparam("before"),
        or_(replicas.c.beats == literal_column("0"), replicas.c.dead > literal_column("0")),
    ),
)


@dataclass(frozen=True, slots=True)
class Living:
    """The living engines, including the asking one: their number, and the ids of those that raise a counter."""

    count: int
    beating: frozenset[int] = field(default_factory=frozenset)


def enter(engine_id: int, nonce: str, workers: int) -> Script[Living]:
    """Register an engine that starts. An earlier owner of its id counts as its former life."""
    now = yield Now()
    taken = yield Execute(TAKE, {"own_id": engine_id, "new_nonce": nonce, "new_workers": workers, "now": now})
    if not taken:
        row = {"own_id": engine_id, "own_nonce": nonce, "own_workers": workers, "now": now}
        yield InsertMany(REGISTER, [row])
    return (yield from _living(engine_id, now))


def renew(engine_id: int, nonce: str) -> Script[bool]:
    """Raise an engine's counter in place of its heartbeat, which holds no lock now. False if its row is gone."""
    own = {"own_id": engine_id, "own_nonce": nonce, "new_lock": 0, "new_server": "", "new_direct": 0}
    return bool((yield Execute(RENEW, own)))


def leave(engine_id: int, nonce: str) -> Script[None]:
    """Remove the row of an engine that ends."""
    yield Execute(LEAVE, {"own_id": engine_id, "own_nonce": nonce})


def count_living(engine_id: int) -> Script[int]:
    """The number of living engines, including this one."""
    now = yield Now()
    return (yield from _living(engine_id, now)).count


def bury(engine_id: int, nonce: str, beats: int, reason: int) -> Script[bool]:
    """Mark an engine as dead, unless it has raised its counter meanwhile, or another replica was faster."""
    row = {"own_id": engine_id, "own_nonce": nonce, "seen_beats": beats, "reason": reason}
    return bool((yield Execute(BURY, row)))


def remove_stale(engine_ids: Sequence[int]) -> Script[None]:
    """Remove rows without a recent renewal: of buried engines, and of engines without a counter."""
    now = yield Now()
    yield Execute(REMOVE, {"ids": sorted(engine_ids)[:REMOVED_AT_ONCE], "before": now - STALE_MS})


def living_of(rows: Sequence[ReplicaRow], engine_id: int, now: int) -> Living:
    """The living engines according to these rows and the database's time."""
    living = {row.engine_id for row in rows if not row.dead and row.seen_at >= now - LIVING_MS} | {engine_id}
    return Living(len(living), frozenset(row.engine_id for row in rows if row.beating) | {engine_id})


def stale_of(rows: Sequence[ReplicaRow], now: int) -> list[int]:
    """The ids of rows that ``remove_stale`` would remove."""
    return [row.engine_id for row in rows if not row.beating and row.seen_at < now - STALE_MS]


def _living(engine_id: int, now: int) -> Script[Living]:
    rows = yield Fetch(ALL, {})
    return living_of([ReplicaRow._make(row) for row in rows], engine_id, now)
