"""The heartbeat of one shard, on its own thread and connection: no task and no long transaction can delay it.

It raises the counter of this replica and reads the counters of the others. The engine's loop acts on the sightings; the
only decision made here is which replicas are dead.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from dwarf.core.liveness import CONFIRM_S, Death, Liveness, Peer, SessionLock, beat_of
from dwarf.storage.drivers.database import Database
from dwarf.storage.drivers.pulse import LOOK_S, SessionPulse
from dwarf.storage.sql.heartbeats import ReplicaRow, Seen

CONNECTING_S = 10.0
SHORTEST_PATIENCE_S = 5.0  # for one request to the server
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0  # between attempts to connect


class Identity(NamedTuple):
    """The id under which a replica works. The nonce distinguishes two lives of one id."""

    engine_id: int
    nonce: str


class Own(Enum):
    """The state of this replica's row."""

    THERE = "there"
    MISSING = "missing"
    BURIED = "buried"  # it was declared dead
    TAKEN = "taken"  # another engine was given the same id


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The result of one look. ``forgetful``: the database may know less than before, as after a failover."""

    identity: Identity
    at: float  # by time.monotonic()
    rows: Sequence[ReplicaRow]
    own: Own
    deaths: Sequence[Death]
    forgetful: bool


class Heartbeat:
    """Beats for one replica on one shard from ``start`` until ``aclose``, or until its loop is closed.

    ``on_sighting`` and ``on_loss`` are called on the loop that called ``start``.
    """

    def __init__(
        self,
        database: Database,
        lease_s: float,
        on_sighting: Callable[[Sighting], None],
        on_loss: Callable[[BaseException], None],
    ) -> None:
        self.confirmed_at = float("-inf")  # when its counter was last raised, by time.monotonic()
        self.identity = Identity(0, "")
        self._database = database
        self._beat_s = beat_of(lease_s)
        # half of a lease: after a request that hangs, another one can still be in time
        self._patience_s = max(SHORTEST_PATIENCE_S, lease_s / 2)
        self._liveness = Liveness(lease_s)
        self._on_sighting = on_sighting
        self._on_loss = on_loss
        self._beats = 0  # the last counter that was written
        self._server = ""  # the run of the server on which it was written
        self._closing = False
        self._thread: threading.Thread | None = None
        self._home: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._ended = asyncio.Event()

    def start(self, identity: Identity) -> None:
        """Beat under this identity."""
        self.identity = identity
        self._home = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="dwarf-heartbeat", daemon=True)
        self._thread.start()

    def become(self, identity: Identity) -> None:
        """Continue under another identity."""
        self.identity = identity
        self._beats = 0
        self.nudge()

    def nudge(self) -> None:
        """Beat now."""
        loop, wake = self._loop, self._wake
        if loop is not None and wake is not None:
            with suppress(RuntimeError):  # the thread has ended
                loop.call_soon_threadsafe(wake.set)

    async def aclose(self) -> None:
        """Stop beating, and release the session."""
        self._closing = True
        self.nudge()
        if self._thread is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CONNECTING_S):
                    await self._ended.wait()

    # ------------------------------------------------------------------ on the thread

    def _work(self) -> None:
        try:
            asyncio.run(self._live())
        finally:
            self._post(self._ended.set)

    async def _live(self) -> None:
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_S
        while not self._over:
            pulse: SessionPulse | None = None
            try:
                async with asyncio.timeout(CONNECTING_S):
                    pulse = await self._database.pulse()
                await self._beat_by(pulse)
                pause = FIRST_PAUSE_S
            except Exception as error:  # noqa: BLE001 - whatever the driver raises, it is tried again
                # A connection that broke is replaced immediately, since its lock is gone. A server that refuses is
                # asked less and less often.
                pause = FIRST_PAUSE_S if pulse is not None else min(LONGEST_PAUSE_S, pause * 2)
                self._post(self._on_loss, error)
            finally:
                # while this replica heard nothing, the silence of the others proves nothing
                self._liveness.forget()
                if pulse is not None:
                    await pulse.close()
            if not self._over:
                await self._sleep(pause)

    @property
    def _over(self) -> bool:
        return self._closing or self._home is None or self._home.is_closed()

    async def _beat_by(self, pulse: SessionPulse) -> None:
        """Beat while the connection lasts."""
        assert self._wake is not None
        forgetful = self._is_other_server(pulse)
        due = time.monotonic()
        while not self._over and pulse.stands:
            now = time.monotonic()
            identity, beats = self.identity, now >= due or self._wake.is_set()
            self._wake.clear()
            async with asyncio.timeout(self._patience_s):
                seen = await (pulse.beat(*identity) if beats else pulse.look())
            if beats:
                due = now + self._beat_s
            if identity == self.identity:
                self._take_in(pulse, identity, seen, raised=beats, forgetful=forgetful)
                forgetful = False
            await self._until(pulse, min(due, time.monotonic() + self._pause(seen, identity)))

    def _is_other_server(self, pulse: SessionPulse) -> bool:
        """Whether the server is another run than before: a standby that took over, or a restart."""
        server = pulse.session.server
        other = bool(server and self._server and server != self._server)
        self._server = server or self._server
        return other

    def _pause(self, seen: Sequence[Seen], identity: Identity) -> float:
        """Seconds until the next look. Where locks prove life, there is a second look between two beats."""
        if self._liveness.suspects:
            return CONFIRM_S
        locks = any(one.row.lock_key and one.row.engine_id != identity.engine_id for one in seen)
        return self._beat_s / 2 if locks else self._beat_s

    def _take_in(
        self, pulse: SessionPulse, identity: Identity, seen: Sequence[Seen], *, raised: bool, forgetful: bool
    ) -> None:
        now = time.monotonic()
        mine = next((one.row for one in seen if one.row.engine_id == identity.engine_id), None)
        own = _own(mine, identity)
        if mine is not None and own is Own.THERE and raised:
            # the counter has gone back: the server was replaced by one that lacks the last commits
            forgetful = forgetful or mine.beats <= self._beats
            self._beats = mine.beats
            self.confirmed_at = now
        others = [one for one in seen if one.row.beating and one.row.engine_id != identity.engine_id]
        deaths = self._liveness.look((_peer(one, pulse.lock_of(one)) for one in others), now)
        sighting = Sighting(
            identity=identity,
            at=now,
            rows=[one.row for one in seen],
            own=own,
            deaths=deaths,
            forgetful=forgetful,
        )
        self._post(self._on_sighting, sighting)

    async def _until(self, pulse: SessionPulse, moment: float) -> None:
        """Wait, but stop on a broken connection: it must be replaced before other replicas notice."""
        while not self._over and pulse.stands and (left := moment - time.monotonic()) > 0:
            if await self._sleep(min(LOOK_S, left)):
                return

    async def _sleep(self, seconds: float) -> bool:
        """Wait. True if the thread was woken."""
        assert self._wake is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        return self._wake.is_set()

    def _post(self, function: Callable[..., None], *arguments: object) -> None:
        assert self._home is not None
        with suppress(RuntimeError):  # the loop is closed
            self._home.call_soon_threadsafe(function, *arguments)


def _own(row: ReplicaRow | None, identity: Identity) -> Own:
    if row is None:
        return Own.MISSING
    if row.nonce != identity.nonce:
        return Own.TAKEN
    return Own.BURIED if row.dead else Own.THERE


def _peer(seen: Seen, lock: SessionLock) -> Peer:
    row = seen.row
    return Peer(engine_id=row.engine_id, nonce=row.nonce, beats=row.beats, lock=lock)
