"""When is another replica dead? Decided from successive looks at its row, and from the lock of its session."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

BEATS_PER_LEASE = 7.5  # 2 s of 15
HELD_LEASES = 4  # leases for which a live session is enough proof: the process may be suspended
LONGEST_BEAT_S = 2.0
CONFIRM_S = 0.3  # time within which a process reconnects after a lost connection


class SessionLock(Enum):
    """The server's view of the lock of a replica's session."""

    UNKNOWN = "unknown"  # no lock, or a lock of another run of the server
    HELD = "held"
    HELD_DIRECTLY = "held directly"  # by a session that ends with its process
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The row of another replica at one look."""

    engine_id: int
    nonce: str
    beats: int
    lock: SessionLock


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A dead replica. ``proven``: its session has ended; otherwise its counter stood still for too long."""

    engine_id: int
    nonce: str
    beats: int
    proven: bool


@dataclass(slots=True)
class _Known:
    beats: int
    silent_s: float = 0.0  # for how long the counter has been seen unchanged
    gone_since: float | None = None


def beat_of(lease_s: float) -> float:
    """The interval between two beats, in seconds, for a lease of this length."""
    return min(LONGEST_BEAT_S, lease_s / BEATS_PER_LEASE)


class Liveness:
    """The view that one replica has of the others on a shard. Times are seconds of its own monotonic clock.

    A gap in this replica's looks counts at most as one regular pause: this replica may have been suspended, and the
    others with it.
    """

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._longest_gap_s = 2 * beat_of(lease_s)
        self._known: dict[tuple[int, str], _Known] = {}
        self._looked_at: float | None = None

    def forget(self) -> None:
        """Start again after a lost connection: the others may have lost it, too, and get a whole lease."""
        self._known.clear()
        self._looked_at = None

    @property
    def suspects(self) -> bool:
        """Whether a lock was gone at the last look, so that the next look should follow soon."""
        return any(known.gone_since is not None for known in self._known.values())

    def look(self, peers: Iterable[Peer], now: float) -> list[Death]:
        """Take in the rows of one look. Returns the dead replicas."""
        gap = 0.0 if self._looked_at is None else min(self._longest_gap_s, now - self._looked_at)
        self._looked_at = now
        before, self._known = self._known, {}
        deaths: list[Death] = []
        for peer in peers:
            name = (peer.engine_id, peer.nonce)
            known = before.get(name)
            if known is None or known.beats != peer.beats:
                known = _Known(peer.beats)
            else:
                known.silent_s += gap
            self._known[name] = known
            proven = self._is_gone(known, peer.lock, now)
            patience = self._lease_s * (HELD_LEASES if peer.lock is SessionLock.HELD_DIRECTLY else 1)
            if proven or known.silent_s >= patience:
                deaths.append(Death(engine_id=peer.engine_id, nonce=peer.nonce, beats=peer.beats, proven=proven))
        return deaths

    @staticmethod
    def _is_gone(known: _Known, lock: SessionLock, now: float) -> bool:
        if lock is not SessionLock.GONE:
            known.gone_since = None
            return False
        if known.gone_since is None:
            known.gone_since = now
        return now - known.gone_since >= CONFIRM_S
