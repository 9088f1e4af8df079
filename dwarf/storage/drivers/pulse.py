"""The connection of a heartbeat: it raises a counter, sees those of others, and holds a lock as long as it lives.

The lock tells others at once when the session has ended, which a counter does only after a while. It is worth nothing
where a pooler stands in between: the session is the pooler's then, and is not asked for a lock. A proxy that passes
bytes on may keep a session open whose process is dead: such a lock is no proof of life, but its end is one of death.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dwarf.core.liveness import SessionLock
from dwarf.storage.sql.errors import classify
from dwarf.storage.sql.heartbeats import ReplicaRow, Seen

if TYPE_CHECKING:
    from dwarf.storage.drivers.connection import Connection

LOOK_S = 0.1  # how often a connection that waits is asked whether it stands
_CLOSING_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a session on the server is good for.

    ``lock_key`` names the lock it holds, 0 where it has none. ``server`` is the run of the server which has that lock:
    another one says nothing about it. ``direct``: nothing stands between the process and its session.
    """

    lock_key: int = 0
    server: str = ""
    direct: bool = False


class SessionPulse:
    """One connection, used by one heartbeat on one loop. StorageError where the server fails."""

    def __init__(self, connection: Connection, session: Session) -> None:
        self._connection = connection
        self.session = session

    @property
    def stands(self) -> bool:
        """Whether the connection is there, as far as is known without asking the server."""
        return self._connection.usable

    async def beat(self, engine_id: int, nonce: str) -> list[Seen]:
        """Raise the counter of a replica, and see all rows as they are then."""
        session = self.session
        return await self._look(
            {
                "own_id": engine_id,
                "own_nonce": nonce,
                "new_lock": session.lock_key,
                "new_server": session.server,
                "new_direct": int(session.direct),
            }
        )

    async def look(self) -> list[Seen]:
        """See all rows."""
        return await self._look(None)

    def lock_of(self, seen: Seen) -> SessionLock:
        """What the server says of a replica's lock."""
        row = seen.row
        if not row.lock_key:
            return SessionLock.UNKNOWN
        if seen.held:
            return SessionLock.HELD_DIRECTLY if row.direct else SessionLock.HELD
        return SessionLock.GONE if row.server and row.server == self.session.server else SessionLock.UNKNOWN

    async def close(self) -> None:
        """Disconnect, and let the lock go."""
        try:
            async with asyncio.timeout(_CLOSING_S):
                await self._connection.close()
        except TimeoutError:
            self._connection.kill()
        except self._connection.errors:
            self._connection.kill()

    async def _look(self, own: dict[str, object] | None) -> list[Seen]:
        try:
            return await self._connection.replicas(own)
        except self._connection.errors as error:
            raise classify(error, self._connection.family, "heartbeat") from error


def seen_rows(rows: Sequence[tuple[object, ...]]) -> list[Seen]:
    """Rows of the registry, each with whether its lock is held behind it."""
    return [Seen(ReplicaRow._make(row[:-1]), bool(row[-1])) for row in rows]
