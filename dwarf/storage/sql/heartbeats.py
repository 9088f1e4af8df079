"""The row by which an engine proves that it lives. The heartbeat reads and raises it on its own connection."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, literal_column, update

from dwarf.storage.sql.expressions import flag_is, now_ms
from dwarf.storage.sql.script import Statement
from dwarf.storage.sql.tables import replicas

_ALIVE = flag_is(replicas.c.dead, 0)
_NEXT_BEAT = replicas.c.beats + literal_column("1")


class ReplicaRow(NamedTuple):
    """A row of the registry."""

    engine_id: int
    nonce: str
    seen_at: int
    beats: int
    dead: int
    lock_key: int
    server: str
    direct: int

    @property
    def beating(self) -> bool:
        """Whether the engine raises its counter, and is not buried."""
        return self.beats > 0 and not self.dead


class Seen(NamedTuple):
    """A row as read by the heartbeat."""

    row: ReplicaRow
    held: bool  # whether its lock is held


_OWN = (replicas.c.engine_id == bindparam("own_id"), replicas.c.nonce == bindparam("own_nonce"))
RENEW = Statement(
    "renew_replica",
    update(replicas)
    .where(*_OWN, _ALIVE)
    .values(
        beats=_NEXT_BEAT,
        seen_at=now_ms(),
        lock_key=bindparam("new_lock"),
        server=bindparam("new_server"),
        direct=bindparam("new_direct"),
    ),
)
