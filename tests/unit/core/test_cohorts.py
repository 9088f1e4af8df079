"""A cohort goes on, or fails, exactly once, however its branches are divided among transactions."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from dwarf.core.cohorts import (
    Arrival,
    Arrivals,
    Full,
    arrival_of,
    failed_branch,
    filled,
    first_error,
    gather,
    own_error,
)
from dwarf.core.decision import Advance, Fail
from tests.unit.core.support import step_at
from tests.unit.core.test_fanin import graph

SPAWN, OUTER = 9, 3
endings = st.lists(
    st.booleans(), min_size=1, max_size=12
)  # of branches, in the order in which they end: has it failed?


def branch(failed: bool, number: int) -> Advance | Fail:
    step = step_at(graph(), "W", lineage=SPAWN, step_id=20 + number)
    if failed:
        return Fail(step, f"error {number}")
    return Advance(step, {}, arrivals=1, cohort_id=SPAWN, fan_in="J")


def settled(groups: Sequence[Sequence[Advance | Fail]], size: int, outer: int = 0) -> list[Full]:
    """What the transactions find, one after the other, with the counts in the spawn's row."""
    count = failures = 0
    found: list[Full] = []
    for group in groups:
        arrivals: Arrivals = {}
        for decision in group:
            arrival = arrival_of(decision)
            assert arrival is not None
            gather(arrivals, arrival)
        for arrival in arrivals.values():
            count, failures = count + arrival.arrivals, failures + arrival.failures
            found += filled(arrivals, [(arrival.cohort_id, size, count, failures, outer)])
    return found


@given(endings, st.data())
def test_one_transaction_of_all_finds_the_cohort_full(endings: list[bool], data: st.DataObject) -> None:
    decisions = [branch(failed, number) for number, failed in enumerate(endings)]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(decisions)))) | {0, len(decisions)})
    groups = [decisions[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]
    (full,) = settled(groups, len(decisions), OUTER)
    assert full.failures == sum(endings)
    assert full.arrival.by is decisions[-1]
    assert settled(groups, len(decisions) + 1) == []
    outward = failed_branch(full)
    assert outward == Arrival(OUTER, arrivals=1, failures=1, by=decisions[-1])


@given(endings.filter(any))
def test_the_flow_says_how_many_branches_failed_and_the_first_error(endings: list[bool]) -> None:
    decisions = [branch(failed, number) for number, failed in enumerate(endings)]
    (full,) = settled([decisions], len(decisions))
    assert failed_branch(full) is None
    first = f"error {endings.index(True)}"
    error = own_error(full) or first_error(full, first)
    assert error.endswith(first)
    assert error.startswith(f"{sum(endings)} of {len(endings)} branches") == (sum(endings) > 1)
    # the last branch knows its own error; that of another one is looked up
    assert bool(own_error(full)) == (sum(endings) == 1 and endings[-1])


def test_branches_that_are_counted_in_the_step_s_own_row_are_no_arrival() -> None:
    source = step_at(graph(), "S", step_id=SPAWN)
    assert arrival_of(Advance(source, {}, arrivals=1, cohort_id=SPAWN, cohort_size=2, fan_in="J")) is None
    assert arrival_of(Fail(source, "broken")) is None
