"""How many of the steps that wait at a limit may start now."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dwarf.core.limits import Admitted, LimitRule

NOW, PERIOD = 1_000_000, 60_000
numbers = st.integers(0, 6)


@given(numbers, numbers, st.integers(0, 8), numbers, numbers, st.integers(0, 2 * PERIOD))
def test_a_limit_is_kept_and_used_up(most: int, starts: int, waiting: int, running: int, recent: int, age: int) -> None:
    rule = LimitRule(most, starts, PERIOD if starts else 0)
    admitted, steps = Admitted(), range(100, 100 + waiting)
    oldest = NOW - age if recent else None
    chosen = admitted.take("name", rule, steps, running=running, recent=recent, oldest=oldest, now=NOW)
    assert list(chosen) == list(steps[: len(chosen)]) == admitted.step_ids
    assert admitted.full == ["name"]
    if chosen:
        assert not most or running + len(chosen) <= most
        assert not starts or recent + len(chosen) <= starts
    if len(chosen) < waiting:  # no room is left unused
        assert (most and running + len(chosen) >= most) or (starts and recent + len(chosen) >= starts)
        assert (admitted.again is not None) == bool(starts)
    else:
        assert admitted.again is None
    assert admitted.again is None or NOW < admitted.again <= NOW + PERIOD


def test_the_first_moment_counts() -> None:
    admitted = Admitted()
    for name, oldest in (("a", NOW - 10), ("b", NOW - 30), ("c", NOW - 20)):
        admitted.take(name, LimitRule(0, 1, PERIOD), [1], running=0, recent=1, oldest=oldest, now=NOW)
    assert admitted.again == NOW - 30 + PERIOD
