"""Connections to one database server: how many, and who gets the next one."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from dwarf.errors import EngineClosed

DEFAULT_LIMIT = 5
IDLE_LIMIT_S = 120.0  # seconds after which an unused connection is closed
# lists and histories may take long, and must not keep the outcomes of steps from being written
_KEPT_FOR_WRITES = 2


class Pooled(Protocol):
    """The pool's record of a connection."""

    idle_since: float

    @property
    def usable(self) -> bool:
        """Whether it is connected and outside a transaction."""
        ...

    async def close(self) -> None: ...

    def kill(self) -> None: ...


ConnectionT = TypeVar("ConnectionT", bound=Pooled)


class Pool(Generic[ConnectionT]):
    """At most ``limit`` connections in use at once.

    Writes come before reads, and reads leave some slots to writes; otherwise callers are served in order. Waiting has
    no time limit: a full pool is not a fault of the database. The connection used last is used next, so that the
    connections of a burst become idle and are closed.
    """

    def __init__(self, connect: Callable[[], Awaitable[ConnectionT]], limit: int) -> None:
        self.limit = limit
        self._connect = connect
        self._idle: list[ConnectionT] = []
        self._made: set[ConnectionT] = set()
        self._making = 0
        self._busy = 0  # slots in use: an admitted caller may have no connection yet
        self._reading = 0
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {True: deque(), False: deque()}  # by "writes"
        self._closed = False

    @property
    def counts(self) -> dict[str, int]:
        """How many connections are ``busy`` and ``idle``, and how many callers are ``waiting``. Thread-safe."""
        waiting = sum(len(queue) for queue in self._waiting.values())
        return {"busy": self._busy, "idle": len(self._idle), "waiting": waiting}

    async def take(self, *, writes: bool) -> ConnectionT:
        """Acquire a connection, waiting for a free one; return it with ``give``. EngineClosed."""
        await self._enter(writes)
        try:
            while self._idle:
                connection = self._idle.pop()
                if connection.usable:
                    return connection
                self._drop(connection)
            self._making += 1
            try:
                connection = await self._connect()
            finally:
                self._making -= 1
            self._made.add(connection)
            return connection
        except BaseException:
            self._leave(writes)
            raise

    def give(self, connection: ConnectionT, *, writes: bool) -> None:
        """Return a connection. Connections in doubt, and those beyond the limit, are dropped."""
        if self._closed or not connection.usable or self._open > self.limit:
            self._drop(connection)
        else:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        self._leave(writes)

    def replace(self, connection: ConnectionT) -> None:
        """Drop a connection, and all idle ones with it: they are likely to be dead, too."""
        self._drop(connection)
        while self._idle:
            self._drop(self._idle.pop())

    async def trim(self) -> None:
        """Close connections that have been idle for a while."""
        oldest = time.monotonic() - IDLE_LIMIT_S
        while self._idle and self._idle[0].idle_since < oldest:
            connection = self._idle.pop(0)
            self._made.discard(connection)
            await connection.close()

    def resize(self, limit: int) -> None:
        """Change the limit. Excess connections are closed: idle ones now, others when they are returned."""
        self.limit = limit
        while self._idle and self._open > limit:
            self._drop(self._idle.pop(0))
        self._admit()

    async def aclose(self) -> None:
        """Refuse all waiters, and close idle connections; used ones are dropped when they are returned."""
        self._closed = True
        for queue in self._waiting.values():
            while queue:
                waiter = queue.popleft()
                if not waiter.done():
                    waiter.set_exception(EngineClosed("the database is closed"))
        idle, self._idle = self._idle, []
        self._made.difference_update(idle)
        await asyncio.gather(*(connection.close() for connection in idle))

    # ------------------------------------------------------------------ places

    @property
    def _open(self) -> int:
        """How many connections exist or are being opened."""
        return len(self._made) + self._making

    def _drop(self, connection: ConnectionT) -> None:
        connection.kill()
        self._made.discard(connection)

    def _has_room(self, writes: bool) -> bool:
        if self._busy >= self.limit:
            return False
        return writes or self._reading < max(1, self.limit - _KEPT_FOR_WRITES)

    def _occupy(self, writes: bool) -> None:
        self._busy += 1
        self._reading += not writes

    def _leave(self, writes: bool) -> None:
        self._busy -= 1
        self._reading -= not writes
        self._admit()

    async def _enter(self, writes: bool) -> None:
        if self._closed:
            raise EngineClosed("the database is closed")
        if self._has_room(writes) and not self._waiting[True] and (writes or not self._waiting[False]):
            self._occupy(writes)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[writes].append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._leave(writes)  # admitted and cancelled at the same moment
            raise

    def _admit(self) -> None:
        for writes in (True, False):
            queue = self._waiting[writes]
            while queue and self._has_room(writes):
                waiter = queue.popleft()
                if not waiter.done():
                    self._occupy(writes)
                    waiter.set_result(None)
