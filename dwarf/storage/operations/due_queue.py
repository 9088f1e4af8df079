"""Due steps in order: strict priority bands, weighted keys within a band, first in first out within a key.

The cost depends on the number of keys and slots, never on the number of waiting steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from sqlalchemy import CTE, Select, bindparam, func, literal_column, select, update

from dwarf.core.fairness import Backlog, draw
from dwarf.storage.sql.expressions import flag_is, in_ids, in_names, locked, of_row, status_is
from dwarf.storage.sql.rows import APART
from dwarf.storage.sql.script import Execute, Fetch, FetchEach, Now, Row, Script, Statement
from dwarf.storage.sql.tables import steps
from dwarf.workflow.status import Status

PENDING = (status_is(steps.c.status, Status.PENDING), flag_is(steps.c.parked, 0))
STILL_PENDING = (status_is(of_row(steps.c.status), Status.PENDING), flag_is(of_row(steps.c.parked), 0))
AWAKE = (*PENDING, flag_is(steps.c.asleep, 0))
ASLEEP = (*PENDING, flag_is(steps.c.asleep, 1))
DUE = (*AWAKE, steps.c.lease_expires <= bindparam("now"))
STARTABLE = (
    ~in_names(steps.c.limit_name, "full"),
    ~in_names(steps.c.task_url, "shut"),
    steps.c.crashes < bindparam("crashes_below"),
)
ANY_CRASHES = ANY_BAND = 2**31 - 1
WOKEN_AT_ONCE = 1000


def _first_key(*conditions: object) -> Select[tuple[str]]:
    return (
        select(steps.c.fairness_key)
        .where(*AWAKE, steps.c.priority == bindparam("band"), *conditions)  # type: ignore[arg-type]
        .order_by(steps.c.fairness_key)
        .limit(literal_column("1"))
    )


def _keys() -> Select[tuple[str, float]]:
    """The distinct keys of a band, found by one index jump for each, and the weight of each key's oldest step."""
    known: CTE = select(_first_key().scalar_subquery().label("fairness_key")).cte("known", recursive=True)
    following = _first_key(steps.c.fairness_key > known.c.fairness_key).correlate(known).scalar_subquery()
    known = known.union_all(select(following).where(known.c.fairness_key.is_not(None)))
    weight = (
        select(steps.c.fairness_weight)
        .where(*AWAKE, steps.c.priority == bindparam("band"), steps.c.fairness_key == known.c.fairness_key)
        .order_by(steps.c.created_at, steps.c.step_id)
        .limit(literal_column("1"))
        .correlate(known)
        .scalar_subquery()
    )
    return select(known.c.fairness_key, weight).where(known.c.fairness_key.is_not(None))


_BEST_BAND = (
    select(steps.c.priority)
    .where(*DUE, *STARTABLE, steps.c.priority > bindparam("floor"))
    .order_by(steps.c.priority)
    .limit(literal_column("1"))
)
# ordered instead of a minimum: for a minimum, PostgreSQL may read a small table, and keep that plan as it grows
FIRST_TO_WAKE = select(steps.c.not_before).where(*ASLEEP).order_by(steps.c.not_before).limit(literal_column("1"))
BAND = Statement("best_band", select(_BEST_BAND.scalar_subquery(), FIRST_TO_WAKE.scalar_subquery()))
KEYS = Statement("keys_of_band", _keys())
OF_KEY = Statement(
    "due_of_key",
    locked(
        select(steps.c.step_id, steps.c.task_url, steps.c.limit_name, steps.c.limit_rule, steps.c.crashes)
        .where(*DUE, *STARTABLE, steps.c.priority == bindparam("band"), steps.c.fairness_key == bindparam("of_key"))
        .order_by(steps.c.created_at, steps.c.step_id)
        .limit(bindparam("limit")),
        steps,
        skip=True,  # concurrent replicas then find different steps
    ),
)
# Delayed steps are in none of the indexes above, so their number does not slow down the search.
OVERSLEPT = Statement(
    "asleep_and_due",
    locked(
        select(steps.c.step_id)
        .where(*ASLEEP, steps.c.not_before <= bindparam("now"))
        .order_by(steps.c.not_before)
        .limit(literal_column(str(WOKEN_AT_ONCE))),
        steps,
        skip=True,
    ),
)
WAKE = Statement(
    "wake_steps",
    update(steps)
    .where(
        in_ids(steps.c.step_id, "ids"),
        *STILL_PENDING,
        flag_is(of_row(steps.c.asleep), 1),
    )
    .values(asleep=literal_column("0")),
)


# Nor are steps with labels.
_APART = (*PENDING, flag_is(steps.c.asleep, APART), in_names(steps.c.labels, "sets"))
SET_ASIDE = Statement(
    "set_aside_and_due",
    locked(
        select(steps.c.step_id, steps.c.task_url, steps.c.limit_name, steps.c.limit_rule)
        .where(*_APART, steps.c.not_before <= bindparam("now"), steps.c.lease_expires <= bindparam("now"))
        .order_by(steps.c.priority, steps.c.created_at, steps.c.step_id)
        .limit(bindparam("limit")),
        steps,
        skip=True,
    ),
)
NEXT_APART = Statement("next_set_aside", select(func.min(steps.c.not_before)).where(*_APART))


def wake_due(now: int) -> Script[bool]:
    """Wake the first of the delayed steps that are due. True if there may be more."""
    found = yield Fetch(OVERSLEPT, {"now": now})
    if found:
        yield Execute(WAKE, {"ids": sorted(step_id for (step_id,) in found)})
    return len(found) == WOKEN_AT_ONCE


def find_due(
    limit: int,
    now: int,
    full: Sequence[str],
    shut: Sequence[str],
    random: Random,
    crashes_below: int = ANY_CRASHES,
    ceiling: int = ANY_BAND,
) -> Script[list[Row] | None]:
    """Up to ``limit`` due steps: id, task, limit and its rule, crashes.

    Steps of ``full`` limits and ``shut`` tasks, steps with ``crashes_below`` crashes or more, and bands worse than
    ``ceiling`` are left out. None if so many delayed steps became due that others may come before the visible ones:
    commit, and search again.
    """
    found: list[Row] = []
    common = {"now": now, "full": full, "shut": shut, "crashes_below": crashes_below}
    floor, woken = -1, False
    while len(found) < limit:
        ((band, wake_at),) = yield Fetch(BAND, {**common, "floor": floor})
        if not woken and wake_at is not None and wake_at <= now:
            if (yield from wake_due(now)):
                return None
            woken = True
            continue
        if band is None or band > ceiling:
            break
        floor, woken = band, True
        weights = yield from _weights(floor)
        found += yield from _share_out(limit - len(found), floor, weights, common, random)
    return found


def peek(
    full: Sequence[str], shut: Sequence[str], crashes_below: int = ANY_CRASHES
) -> Script[tuple[Backlog | None, bool]]:
    """The best waiting band and its keys, or None without due steps; and whether delayed steps have become due."""
    now = yield Now()
    ((band, wake_at),) = yield Fetch(
        BAND, {"now": now, "full": full, "shut": shut, "crashes_below": crashes_below, "floor": -1}
    )
    overslept = wake_at is not None and wake_at <= now
    if band is None:
        return None, overslept
    return Backlog(band, (yield from _weights(band))), overslept


def wake_all() -> Script[bool]:
    """Wake delayed steps that are due, without leasing any. True if there may be more."""
    now = yield Now()
    return (yield from wake_due(now))


def _weights(band: int) -> Script[dict[str, float]]:
    rows = yield Fetch(KEYS, {"band": band})
    return {key: weight or 1.0 for key, weight in rows}


def _share_out(
    places: int, band: int, weights: Mapping[str, float], common: Mapping[str, object], random: Random
) -> Script[list[Row]]:
    """Fill slots from the keys of a band. A key without further steps leaves its slots to the others."""
    open_keys = dict(weights)
    taken: Counter[str] = Counter()
    chosen: list[Row] = []
    while places > 0 and open_keys:
        drawn = draw(open_keys, places, random.random)
        counts = Counter(drawn)
        # nothing is leased yet, so the steps taken before are found again, and passed over below
        wanted = [{"of_key": key, "limit": taken[key] + count} for key, count in counts.items()]
        answers = yield FetchEach(OF_KEY, {**common, "band": band}, wanted)
        queues: dict[str, list[Row]] = {}
        for (key, count), rows in zip(counts.items(), answers, strict=True):
            queues[key] = rows[taken[key] :]
            if len(queues[key]) < count:
                del open_keys[key]
            taken[key] += len(queues[key])
        for key in drawn:
            if queues[key]:
                chosen.append(queues[key].pop(0))
                places -= 1
    return chosen
