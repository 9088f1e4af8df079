"""When schedules fire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwarf import InvalidRequest
from dwarf.core.cron import LATE_MS, MOST_AT_ONCE, ScheduleSpec, due_ticks, next_tick, read_spec
from dwarf.workflow.durations import to_datetime, to_epoch_ms

HOURLY = ScheduleSpec("", 3_600_000, "UTC")


def at(text: str) -> int:
    return to_epoch_ms(datetime.fromisoformat(text))


def test_a_cron_expression_is_read_in_its_time_zone() -> None:
    spec = read_spec("0 6 * * *", None, "Europe/Berlin")
    assert next_tick(spec, at("2026-01-10T12:00:00+00:00")) == at("2026-01-11T05:00:00+00:00")
    assert next_tick(spec, at("2026-07-10T12:00:00+00:00")) == at("2026-07-11T04:00:00+00:00")


def test_a_tick_at_this_very_moment_is_over() -> None:
    spec = read_spec("*/5 * * * *", None, "UTC")
    moment = at("2026-01-10T12:05:00+00:00")
    assert next_tick(spec, moment) == at("2026-01-10T12:10:00+00:00")


@pytest.mark.parametrize(
    ("cron", "every", "timezone"),
    [
        ("", None, "UTC"),
        ("0 6 * * *", 60, "UTC"),
        ("0 6 * *", None, "UTC"),
        ("61 6 * * *", None, "UTC"),
        ("0 6 30 2 *", None, "UTC"),
        ("0 6 * * *", None, "Mars/Olympus"),
        ("", 0.05, "UTC"),
        ("", timedelta(seconds=-1), "UTC"),
    ],
)
def test_a_wrong_rhythm_is_refused(cron: str, every: object, timezone: str) -> None:
    with pytest.raises(InvalidRequest):
        read_spec(cron, every, timezone)  # type: ignore[arg-type]


def test_a_cron_expression_has_five_fields_or_a_name() -> None:
    assert read_spec("@Daily", None, "UTC") == read_spec("0 0 * * *", None, "UTC")
    with pytest.raises(InvalidRequest, match=r"did you mean '@daily'"):
        read_spec("@dayly", None, "UTC")
    with pytest.raises(InvalidRequest, match=r"five fields.*such as '30 6 \* \* 1'.*has 4"):
        read_spec("0 6 * *", None, "UTC")


def test_what_was_missed_is_left_out_but_for_a_tick_just_past() -> None:
    assert due_ticks(HOURLY, 0, 5 * 3_600_000 + 1000, catch_up=False) == ([5 * 3_600_000], 6 * 3_600_000)
    assert due_ticks(HOURLY, 0, 5 * 3_600_000 + LATE_MS + 1, catch_up=False) == ([], 6 * 3_600_000)


def test_with_catch_up_every_missed_tick_fires_a_bounded_number_at_a_time() -> None:
    ticks, following = due_ticks(HOURLY, 0, 1000 * 3_600_000, catch_up=True)
    assert ticks == [hour * 3_600_000 for hour in range(MOST_AT_ONCE)]
    assert following == MOST_AT_ONCE * 3_600_000


def test_nothing_is_due_before_its_time() -> None:
    assert due_ticks(HOURLY, 1000, 999, catch_up=True) == ([], 1000)


@given(st.integers(1000, 10**8), st.integers(0, 10**10), st.integers(0, 10**10), st.booleans())
def test_the_next_tick_is_always_later_than_now_or_more_are_due(
    every: int, start: int, later: int, catch: bool
) -> None:
    now = start + later
    ticks, following = due_ticks(ScheduleSpec("", every, "UTC"), start, now, catch_up=catch)
    assert following > now or (catch and len(ticks) == MOST_AT_ONCE)
    assert all((tick - start) % every == 0 for tick in [*ticks, following])
    assert ticks == sorted(set(ticks))


def test_times_are_utc() -> None:
    assert to_datetime(next_tick(read_spec("0 0 1 1 *", None, "UTC"), 0)) == datetime(1971, 1, 1, tzinfo=UTC)
