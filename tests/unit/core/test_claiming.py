"""Which of the steps that are due may start here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dwarf.core.claiming import Candidates, Limited

ANY, SUSPECT = 100, 2
due = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "limit"]), st.integers(0, 3)), max_size=12)


@given(due, st.sets(st.sampled_from("abc")), st.booleans())
def test_what_may_start_and_what_is_left(due: list[tuple[str, str, int]], busy: set[str], none_runs: bool) -> None:
    candidates = Candidates(busy.__contains__, quarantine_at=SUSPECT, none_quarantined=none_runs, any_crashes=ANY)
    rows = [(number, url, name, "rule" if name else "", crashes) for number, (url, name, crashes) in enumerate(due)]
    limited = candidates.look(rows, {})
    taken = [*candidates.free, *(step_id for step_id, *_ in limited)]
    assert len(set(taken)) == len(taken)
    assert all(due[step_id][0] not in busy for step_id in taken)
    assert all(bool(due[step_id][1]) == (step_id not in candidates.free) for step_id in taken)
    assert all(limit == Limited(limit.step_id, "limit", "rule") for limit in limited)
    suspects = [number for number, (url, _, crashes) in enumerate(due) if crashes >= SUSPECT and url not in busy]
    assert [step_id for step_id in sorted(taken) if due[step_id][2] >= SUSPECT] == suspects[: int(none_runs)]
    others = {number for number, (url, _, crashes) in enumerate(due) if crashes < SUSPECT and url not in busy}
    assert others <= set(taken)
    assert candidates.shut <= busy
    free = list(candidates.free)
    candidates.look(rows, {})  # the same ones are not taken twice
    assert list(candidates.free) == free


def test_a_task_is_asked_for_by_the_name_that_is_known_here() -> None:
    candidates = Candidates({"long"}.__contains__, quarantine_at=SUSPECT, none_quarantined=True, any_crashes=ANY)
    assert candidates.look([(1, "short", "", "", 0), (2, "other", "", "", 0)], {1: "long"}) == []
    assert (list(candidates.free), candidates.shut) == ([2], {"short"})
