"""Weighted shares between keys, and when a chain lets others go first."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from dwarf.core.fairness import Backlog, FairShare, draw

keys = st.dictionaries(st.text(max_size=3), st.floats(min_value=0, max_value=100), min_size=1, max_size=8)


@given(keys, st.integers(0, 50), st.integers())
def test_every_place_goes_to_one_of_the_keys(weights: dict[str, float], slots: int, seed: int) -> None:
    drawn = draw(weights, slots, Random(seed).random)
    assert len(drawn) == slots
    assert set(drawn) <= set(weights)


def test_places_are_shared_by_weight() -> None:
    # 20,000 places at 4:1 have a standard deviation of 57: the bound is over five of them
    drawn = Counter(draw({"heavy": 4.0, "light": 1.0}, 20_000, Random(1).random))
    assert abs(drawn["heavy"] - 16_000) < 300


def test_a_better_band_goes_first_and_a_worse_one_waits() -> None:
    shares, pressure = FairShare(), Backlog(5, {"": 1.0})
    assert shares.must_yield(6, "", 1.0, pressure)
    assert not shares.must_yield(4, "", 1.0, pressure)
    assert not shares.must_yield(5, "", 1.0, pressure)
    assert not shares.must_yield(6, "", 1.0, None)


def test_a_key_over_its_share_waits_while_others_of_its_band_do() -> None:
    shares, pressure = FairShare(), Backlog(5, {"mine": 1.0, "other": 1.0})
    assert not shares.must_yield(5, "mine", 1.0, pressure)
    shares.start("mine", 1.0)
    shares.start("mine", 1.0)
    assert shares.must_yield(5, "mine", 1.0, pressure)
    assert not shares.must_yield(5, "other", 1.0, pressure)
    shares.reset()
    assert not shares.must_yield(5, "mine", 1.0, pressure)


@given(st.floats(min_value=0.5, max_value=8))
def test_in_the_long_run_two_chains_have_their_weights(weight: float) -> None:
    shares, pressure = FairShare(), Backlog(5, {"a": 1.0, "b": weight})
    starts: Counter[str] = Counter()
    for turn in range(2000):
        key, own = ("a", 1.0) if turn % 2 else ("b", weight)
        other, others_own = ("b", weight) if turn % 2 else ("a", 1.0)
        if shares.must_yield(5, key, own, pressure):
            key, own = other, others_own
        shares.start(key, own)
        starts[key] += 1
    assert abs(starts["b"] / weight - starts["a"]) <= 2 + 1 / weight
