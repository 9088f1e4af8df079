"""When a schedule fires: pure arithmetic on epoch milliseconds. Cron expressions are read by cronsim."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dwarf.errors import InvalidRequest
from dwarf.workflow.durations import Seconds, to_datetime, to_epoch_ms, to_ms

LATE_MS = 60_000  # a tick that is older has been missed
MOST_AT_ONCE = 100
SHORTEST_MS = 1000


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A cron expression in a time zone, or a fixed interval."""

    cron: str
    every_ms: int
    timezone: str


def read_rhythm(cron: str, every: Seconds | None, timezone: str) -> Rhythm:
    """Check the arguments of ``schedule``. InvalidRequest says which is wrong."""
    if bool(cron) == (every is not None):
        raise InvalidRequest("a schedule has either cron='...' or every=..., and not both")
    if not isinstance(timezone, str):
        raise InvalidRequest("timezone is the name of a time zone, such as 'Europe/Berlin'")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidRequest(
            f"there is no time zone {timezone!r}; a name is such as 'Europe/Berlin' or 'UTC'"
        ) from None
    if every is not None:
        every_ms = to_ms(every, "every")
        if every_ms < SHORTEST_MS:
            raise InvalidRequest("every is at least a second")
        return Rhythm("", every_ms, timezone)
    rhythm = Rhythm(_text(cron), 0, timezone)
    next_tick(rhythm, 0)
    return rhythm


def next_tick(rhythm: Rhythm, after_ms: int) -> int:
    """The first tick after a moment; for an interval, one interval later. InvalidRequest for a bad expression."""
    if rhythm.every_ms:
        return after_ms + rhythm.every_ms
    from cronsim import CronSim, CronSimError

    zone = ZoneInfo(rhythm.timezone)
    try:
        found = next(CronSim(rhythm.cron, to_datetime(after_ms).astimezone(zone)))
    except (CronSimError, StopIteration) as error:
        raise InvalidRequest(f"{rhythm.cron!r} is no cron expression that ever fires: {error}") from None
    return to_epoch_ms(found)


def due_ticks(rhythm: Rhythm, next_at: int, now: int, *, catch_up: bool) -> tuple[list[int], int]:
    """The ticks to fire now, oldest first, and the next one after them.

    With ``catch_up`` every missed tick fires, a hundred at a time. Without it only the latest does, and only while it
    is less than a minute old.
    """
    ticks: list[int] = []
    if rhythm.every_ms and not catch_up and now > next_at:
        # a long pause must not be walked through step by step
        next_at += (now - next_at) // rhythm.every_ms * rhythm.every_ms
    while next_at <= now and len(ticks) < MOST_AT_ONCE:
        if not catch_up:
            ticks.clear()
        ticks.append(next_at)
        next_at = next_tick(rhythm, next_at)
    if not catch_up:
        ticks = [tick for tick in ticks if now - tick <= LATE_MS]
    return ticks, next_at


def _text(cron: object) -> str:
    if not isinstance(cron, str):
        raise InvalidRequest("cron is a text such as '0 6 * * *'")
    return " ".join(cron.split())
