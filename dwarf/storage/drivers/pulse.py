"""The connection of a heartbeat: it raises a counter, reads the counters of others, and holds a lock while it lives.

The lock shows the end of a session immediately, which a counter shows only after a while. It is useless behind a
pooler: the session is then the pooler's, and no lock is taken. A TCP proxy may keep the session of a dead process open:
such a lock is no proof of life, but its end is a proof of death.
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

LOOK_S = 0.1  # interval in which a waiting connection is checked
_CLOSING_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The properties of a session on the server.

    ``lock_key`` names the lock it holds, 0 for none. ``server`` is the run of the server with that lock: another run
    knows nothing about it. ``direct``: there is no proxy between the process and its session.
    """

    lock_key: int = 0
    server: str = ""
    direct: bool = False


class SessionPulse:
    """One connection, used by one heartbeat on one loop. StorageError if the server fails."""

    def __init__(self, connection: Connection, session: Session) -> None:
        self._connection = connection
        self.session = session

    @property
    def stands(self) -> bool:
        """Whether the connection stands, without asking the server."""
        return self._connection.usable

    async def beat(self, engine_id: int, nonce: str) -> list[Seen]:
        """Raise the counter of a replica, and read all rows afterwards."""
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
        """Read all rows."""
        return await self._look(None)

    def lock_of(self, seen: Seen) -> SessionLock:
        """The server's view of a replica's lock."""
        row = seen.row
        if not row.lock_key:
            return SessionLock.UNKNOWN
        if seen.held:
            return SessionLock.HELD_DIRECTLY if row.direct else SessionLock.HELD
        return SessionLock.GONE if row.server and row.server == self.session.server else SessionLock.UNKNOWN

    async def close(self) -> None:
        """Disconnect, and release the lock."""
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
    """Rows of the registry, each followed by whether its lock is held."""
    return [Seen(ReplicaRow._make(row[:-1]), bool(row[-1])) for row in rows]
