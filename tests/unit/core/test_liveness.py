"""Who is dead is judged by counters that stand still, and by the locks of sessions that have ended."""

from __future__ import annotations

import pytest

from dwarf.core.liveness import CONFIRM_S, HELD_LEASES, Death, Liveness, Peer, SessionLock, beat_of

LEASE = 15.0


def peer(beats: int, lock: SessionLock = SessionLock.UNKNOWN, *, engine_id: int = 1, nonce: str = "a") -> Peer:
    return Peer(engine_id=engine_id, nonce=nonce, beats=beats, lock=lock)


def death(beats: int, *, proven: bool = False) -> Death:
    return Death(engine_id=1, nonce="a", beats=beats, proven=proven)


def silent_until(
    liveness: Liveness, seen: Peer, *, start: float = 0.0, step: float = 1.0, limit: float = 200.0
) -> float:
    """When somebody who shows the same from one look to the next is declared dead."""
    now = start
    while now <= limit:
        if liveness.look([seen], now):
            return now
        now += step
    return float("inf")


def test_a_beat_is_two_seconds_and_less_for_short_leases() -> None:
    assert (beat_of(15), beat_of(600), beat_of(1.5)) == (2.0, 2.0, 0.2)


@pytest.mark.parametrize(
    ("lock", "patience"),
    [
        (SessionLock.UNKNOWN, LEASE),  # a pooler, or another run of the server: the counter serves alone
        (SessionLock.HELD, LEASE),  # a proxy may keep the session of a dead process open
        (SessionLock.HELD_DIRECTLY, HELD_LEASES * LEASE),  # its process may be held up
    ],
)
def test_who_stands_still_is_dead_after_a_while(lock: SessionLock, patience: float) -> None:
    assert silent_until(Liveness(LEASE), peer(5, lock)) == patience


def test_a_counter_that_moves_is_alive_however_slowly() -> None:
    liveness = Liveness(LEASE)
    for look in range(400):
        assert not liveness.look([peer(look // 14)], float(look))


def test_a_session_that_has_ended_is_a_proof_once_it_is_confirmed() -> None:
    liveness = Liveness(LEASE)
    assert not liveness.look([peer(5, SessionLock.HELD_DIRECTLY)], 0.0)
    assert not liveness.suspects
    assert not liveness.look([peer(5, SessionLock.GONE)], 1.0)
    assert liveness.suspects
    assert not liveness.look([peer(5, SessionLock.GONE)], 1.0 + CONFIRM_S / 2)
    assert liveness.look([peer(5, SessionLock.GONE)], 1.0 + CONFIRM_S) == [death(5, proven=True)]


def test_one_that_has_connected_again_lives() -> None:
    liveness = Liveness(LEASE)
    assert not liveness.look([peer(5, SessionLock.GONE)], 0.0)
    assert not liveness.look([peer(6, SessionLock.HELD_DIRECTLY)], CONFIRM_S)
    assert not liveness.suspects
    assert not liveness.look([peer(6, SessionLock.GONE)], 100.0)  # cut again, much later: confirmed anew


def test_a_session_that_has_ended_counts_from_the_first_look() -> None:
    """An engine that is started anew takes over from one that died before."""
    liveness = Liveness(LEASE)
    assert not liveness.look([peer(5, SessionLock.GONE)], 0.0)
    assert liveness.look([peer(5, SessionLock.GONE)], CONFIRM_S) == [death(5, proven=True)]


def test_time_in_which_nobody_looked_proves_nothing() -> None:
    """This process stood still itself, and so may the others have: the machine was asleep."""
    liveness = Liveness(LEASE)
    liveness.look([peer(5)], 0.0)
    assert not liveness.look([peer(5)], 3600.0)
    assert silent_until(liveness, peer(5), start=3601.0, limit=3700.0) == 3600.0 + LEASE - 2 * beat_of(LEASE)


def test_who_lost_the_server_gives_everybody_a_whole_lease_again() -> None:
    liveness = Liveness(LEASE)
    for look in range(14):
        assert not liveness.look([peer(5)], float(look))
    liveness.forget()
    assert silent_until(liveness, peer(5), start=60.0) == 60.0 + LEASE


def test_one_that_comes_anew_is_another() -> None:
    liveness = Liveness(LEASE)
    for look in range(14):
        assert not liveness.look([peer(1)], float(look))
    assert not liveness.look([peer(1, nonce="b")], 15.0)
    assert silent_until(liveness, peer(1, nonce="b"), start=16.0) == 15.0 + LEASE


def test_each_is_judged_by_itself() -> None:
    liveness = Liveness(LEASE)
    dead: list[int] = []
    for look in range(16):
        dead += [one.engine_id for one in liveness.look([peer(look, engine_id=2), peer(3, engine_id=7)], float(look))]
    assert dead == [7]
