"""When a schedule fires: pure arithmetic on epoch milliseconds. Cron expressions are read by cronsim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dwarf.errors import InvalidRequest
from dwarf.workflow.durations import Seconds, to_datetime, to_epoch_ms, to_ms
from dwarf.workflow.suggest import did_you_mean

LATE_MS = 60_000  # an older tick counts as missed
MOST_AT_ONCE = 100
SHORTEST_MS = 100
MOST_BETWEEN = 10_000
_TOO_MANY = f"there are more than {MOST_BETWEEN:,} ticks between start and end: ask for less at a time"

_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

Overlap: TypeAlias = Literal["skip", "allow", "queue"]


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """A cron expression in a time zone, or a fixed interval."""

    cron: str
    every_ms: int
    timezone: str


def read_spec(cron: str, every: Seconds | None, timezone: str) -> ScheduleSpec:
    """Check the arguments of ``schedule``. InvalidRequest says which is wrong."""
    if bool(cron) == (every is not None):
        raise InvalidRequest("a schedule has either cron='...' or every=..., and not both")
    if not isinstance(timezone, str):
        raise InvalidRequest("timezone is the name of a time zone, such as 'Europe/Berlin'")
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidRequest(
            f"there is no time zone {timezone!r:.80}; a name is such as 'Europe/Berlin' or 'UTC'"
        ) from None
    if every is not None:
        every_ms = to_ms(every, "every")
        if every_ms < SHORTEST_MS:
            raise InvalidRequest("every is at least a tenth of a second")
        return ScheduleSpec("", every_ms, timezone)
    spec = ScheduleSpec(_expression(cron), 0, timezone)
    next_tick(spec, 0)
    return spec


def read_overlap(overlap: object) -> Overlap:
    """Check the argument of ``schedule``. InvalidRequest."""
    if overlap not in get_args(Overlap):
        raise InvalidRequest(f"overlap is 'skip', 'allow' or 'queue', not {overlap!r}")
    return cast("Overlap", overlap)


def next_tick(spec: ScheduleSpec, after_ms: int) -> int:
    """The first tick after a moment; for an interval, one interval later. InvalidRequest for a bad expression."""
    if spec.every_ms:
        return after_ms + spec.every_ms
    from cronsim import CronSim, CronSimError

    zone = ZoneInfo(spec.timezone)
    try:
        found = next(CronSim(spec.cron, to_datetime(after_ms).astimezone(zone)))
    except (CronSimError, StopIteration) as error:
        raise InvalidRequest(f"{spec.cron!r} is no cron expression that ever fires: {error}") from None
    return to_epoch_ms(found)


def first_after(spec: ScheduleSpec, tick: int, now: int) -> int:
    """The first tick after a moment. Intervals are counted from ``tick``, one of the earlier ticks."""
    if tick > now:
        return tick
    if spec.every_ms:
        return tick + ((now - tick) // spec.every_ms + 1) * spec.every_ms
    return next_tick(spec, now)


def ticks_between(spec: ScheduleSpec, tick: int, start: int, end: int) -> list[int]:
    """Every tick from ``start`` up to but not including ``end``. InvalidRequest for more than 10,000."""
    if spec.every_ms:
        first = tick + -((tick - start) // spec.every_ms) * spec.every_ms
        count = max(0, -((first - end) // spec.every_ms))
        if count > MOST_BETWEEN:
            raise InvalidRequest(_TOO_MANY)
        return [first + index * spec.every_ms for index in range(count)]
    found: list[int] = []
    at = next_tick(spec, start - 1)
    while at < end:
        if len(found) == MOST_BETWEEN:
            raise InvalidRequest(_TOO_MANY)
        found.append(at)
        at = next_tick(spec, at)
    return found


@dataclass(frozen=True, slots=True)
class LastFlow:
    """The flow of a schedule's latest tick. ``ended_at`` is 0 while it is running or interrupted."""

    flow_id: int
    ended_at: int


@dataclass(frozen=True, slots=True)
class Firing:
    """The ticks that a schedule fires now, and its next tick. ``waits``: it waits for the flow of the previous tick."""

    ticks: list[int]
    next_at: int
    waits: bool = False


def firing(
    spec: ScheduleSpec,
    next_at: int,
    now: int,
    *,
    catch_up: bool,
    overlap: Overlap,
    last: LastFlow | None,
    patient: bool = False,
) -> Firing:
    """The decision of a due schedule, given the flow of its latest tick, or None if that flow was removed.

    While that flow runs, "skip" leaves ticks out and "queue" delays them; missed ticks that are made up for are delayed
    in either case. So with both, at most one flow of a schedule runs at a time. ``patient``: a tick is not skipped yet,
    because the earlier flow may be about to end.
    """
    if overlap == "allow":
        ticks, following = due_ticks(spec, next_at, now, catch_up=catch_up)
        return Firing(ticks, following)
    if last is not None and not last.ended_at:
        if overlap == "queue" or patient or (catch_up and now - next_at > LATE_MS):
            return Firing([], next_at, waits=True)
        return Firing([], first_after(spec, next_at, now))
    queued = overlap == "queue" and last is not None and next_at <= last.ended_at
    if catch_up or queued:
        return Firing([next_at], next_tick(spec, next_at))
    ticks, following = due_ticks(spec, next_at, now, catch_up=False)
    return Firing(ticks, following)


def due_ticks(spec: ScheduleSpec, next_at: int, now: int, *, catch_up: bool) -> tuple[list[int], int]:
    """The ticks to fire now, oldest first, and the next tick after them.

    With ``catch_up`` every missed tick fires, at most a hundred at once. Otherwise only the latest tick fires, if it is
    less than a minute old.
    """
    ticks: list[int] = []
    if spec.every_ms and not catch_up and now > next_at:
        # skip a long pause in one step instead of walking through its ticks
        next_at += (now - next_at) // spec.every_ms * spec.every_ms
    while next_at <= now and len(ticks) < MOST_AT_ONCE:
        if not catch_up:
            ticks.clear()
        ticks.append(next_at)
        next_at = next_tick(spec, next_at)
    if not catch_up:
        ticks = [tick for tick in ticks if now - tick <= LATE_MS]
    return ticks, next_at


def _expression(cron: object) -> str:
    """The plain form of a cron expression: a name such as "@daily" becomes its fields. InvalidRequest."""
    if not isinstance(cron, str):
        raise InvalidRequest("cron is a text such as '0 6 * * *'")
    fields = cron.split()
    if len(fields) == 1 and fields[0].startswith("@"):
        known = _NAMED.get(fields[0].lower())
        if known is None:
            hint = did_you_mean(fields[0], _NAMED) or f": the names are {', '.join(_NAMED)}"
            raise InvalidRequest(f"there is no cron expression {cron!r:.80}{hint}")
        return known
    if len(fields) not in (5, 6):
        raise InvalidRequest(
            "a cron expression has five fields (minute, hour, day of the month, month, day of the week; one of seconds "
            f"may stand before them), such as '30 6 * * 1' for Mondays at 6:30: {cron!r:.80} has {len(fields)}"
        )
    return " ".join(fields)
