"""Durations and times."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from dwarf.errors import InvalidRequest
from dwarf.workflow.durations import MAX_MS, to_datetime, to_epoch_ms, to_ms


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (0, 0),
        (0.0, 0),
        (-0.0, 0),
        (timedelta(), 0),
        (1, 1000),
        (1.5, 1500),
        (0.0014, 1),
        (0.0016, 2),
        (0.0004, 1),
        (5e-324, 1),
        (0.1, 100),
        (timedelta(microseconds=1), 1),
        (timedelta(milliseconds=1, microseconds=999), 1),
        (timedelta(days=1), 86_400_000),
        (1e300, MAX_MS),
        (10**400, MAX_MS),
        (timedelta.max, MAX_MS),
    ],
)
def test_to_ms(value: Any, ms: int) -> None:
    assert to_ms(value) == ms
    assert type(to_ms(value)) is int


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1, "grace must not be negative, got -1"),
        (-0.001, "grace must not be negative"),
        (timedelta(microseconds=-1), "grace must not be negative"),
        (math.nan, "grace must be a finite number of seconds, got nan"),
        (math.inf, "grace must be a finite number"),
        (-math.inf, "grace must be a finite number"),
        (True, "grace must be seconds .* not bool"),
        ("5", "grace must be seconds .* not str"),
        (None, "grace must be seconds .* not NoneType"),
        (1j, "grace must be seconds .* not complex"),
        ([1], "grace must be seconds .* not list"),
    ],
)
def test_what_is_no_duration(value: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        to_ms(value, "grace")


def test_durations_of_numpy_and_pandas() -> None:
    numpy = pytest.importorskip("numpy")
    pandas = pytest.importorskip("pandas")
    assert to_ms(numpy.int64(2)) == 2000
    assert to_ms(numpy.float32(0.5)) == 500
    assert to_ms(pandas.Timedelta("1500ms")) == 1500
    assert type(to_ms(pandas.Timedelta("1500ms"))) is int
    with pytest.raises(InvalidRequest):
        to_ms(numpy.array([1.0]))


@pytest.mark.parametrize("ms", [0, 1, 999, 1_700_000_000_123, -1, -86_400_001])
def test_times_go_round(ms: int) -> None:
    moment = to_datetime(ms)
    assert moment.tzinfo is UTC
    assert to_epoch_ms(moment) == ms


def test_times_are_rounded_down_and_zones_count() -> None:
    assert to_epoch_ms(datetime(1970, 1, 1, 0, 0, 0, 1999, tzinfo=UTC)) == 1
    assert to_epoch_ms(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == 0


def test_a_moment_plus_the_longest_duration_is_a_time() -> None:
    assert to_datetime(1_700_000_000_000 + MAX_MS).year == 3023
