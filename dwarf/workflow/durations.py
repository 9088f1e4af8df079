"""Durations: seconds or timedelta in the API, whole milliseconds inside."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from dwarf.errors import InvalidRequest

Seconds: TypeAlias = float | timedelta

# A thousand years. Longer durations are cut to this, so that a moment plus a duration is always a valid datetime.
MAX_MS = 31_557_600_000_000
_MILLISECOND = timedelta(milliseconds=1)


def to_ms(value: Any, what: str = "duration") -> int:
    """Seconds (int, float) or a timedelta as whole milliseconds; more than nothing never becomes 0.

    Raises InvalidRequest, which names ``what``, for a negative, non-finite or otherwise unsuitable value.
    """
    if isinstance(value, timedelta):
        whole, rest = divmod(value, _MILLISECOND)
        if whole < 0:
            raise InvalidRequest(f"{what} must not be negative, got {value!r}")
        return min(int(whole) if whole or not rest else 1, MAX_MS)
    if isinstance(value, bool) or not (isinstance(value, (int, float)) or _is_number(value)):
        raise InvalidRequest(f"{what} must be seconds (a number) or a timedelta, not {type(value).__name__}")
    if isinstance(value, int):
        if value < 0:
            raise InvalidRequest(f"{what} must not be negative, got {value}")
        return min(value * 1000, MAX_MS)
    seconds = float(value)
    if not math.isfinite(seconds):
        raise InvalidRequest(f"{what} must be a finite number of seconds, got {seconds}")
    if seconds < 0:
        raise InvalidRequest(f"{what} must not be negative, got {seconds}")
    return seconds_to_ms(seconds)


def seconds_to_ms(seconds: float) -> int:
    """Seconds, zero or more, as milliseconds, rounded; a positive part of a millisecond counts as one."""
    if seconds >= MAX_MS / 1000:
        return MAX_MS
    return round(seconds * 1000) or (1 if seconds > 0 else 0)


def to_datetime(epoch_ms: int) -> datetime:
    """A stored time, in milliseconds since 1970, as an aware UTC datetime."""
    return datetime.fromtimestamp(epoch_ms // 1000, UTC) + timedelta(milliseconds=epoch_ms % 1000)


def to_epoch_ms(moment: datetime) -> int:
    """An aware datetime as milliseconds since 1970, rounded down."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MILLISECOND


def _is_number(value: object) -> bool:
    # numpy's scalars: numbers, but not subclasses of int or (in part) float
    return type(value).__module__ == "numpy" and hasattr(value, "__float__") and getattr(value, "ndim", 1) == 0
