"""Finding due steps in order: strict bands of priority, weighted keys within a band, first in first out within a key.

The cost depends on the number of keys and of places, never on how much work waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from sqlalchemy import CTE, Select, bindparam, literal_column, select

from dwarf.core.fairness import Pressure, draw
from dwarf.storage.expressions import flag_is, in_names, locked, status_is
from dwarf.storage.script import Fetch, Now, Row, Script, Statement
from dwarf.storage.tables import steps
from dwarf.workflow.status import Status

PENDING = (status_is(steps.c.status, Status.PENDING), flag_is(steps.c.parked, 0))
DUE = (*PENDING, steps.c.not_before <= bindparam("now"), steps.c.lease_expires <= bindparam("now"))
STARTABLE = (
    ~in_names(steps.c.limit_name, "full"),
    ~in_names(steps.c.task_url, "shut"),
    steps.c.crashes < bindparam("calm"),
)
ANY_CRASHES = 2**31 - 1


def _first_key(*conditions: object) -> Select[tuple[str]]:
    return (
        select(steps.c.fairness_key)
        .where(*PENDING, steps.c.priority == bindparam("band"), *conditions)  # type: ignore[arg-type]
        .order_by(steps.c.fairness_key)
        .limit(literal_column("1"))
    )


def _keys() -> Select[tuple[str, float]]:
    """The distinct keys of a band, by one jump in the index for each, and the weight of each key's oldest step."""
    known: CTE = select(_first_key().scalar_subquery().label("fairness_key")).cte("known", recursive=True)
    following = _first_key(steps.c.fairness_key > known.c.fairness_key).correlate(known).scalar_subquery()
    known = known.union_all(select(following).where(known.c.fairness_key.is_not(None)))
    weight = (
        select(steps.c.fairness_weight)
        .where(*PENDING, steps.c.priority == bindparam("band"), steps.c.fairness_key == known.c.fairness_key)
        .order_by(steps.c.created_at, steps.c.step_id)
        .limit(literal_column("1"))
        .correlate(known)
        .scalar_subquery()
    )
    return select(known.c.fairness_key, weight).where(known.c.fairness_key.is_not(None))


BAND = Statement(
    "best_band",
    select(steps.c.priority)
    .where(*DUE, *STARTABLE, steps.c.priority > bindparam("floor"))
    .order_by(steps.c.priority)
    .limit(literal_column("1")),
)
KEYS = Statement("keys_of_band", _keys())
OF_KEY = Statement(
    "due_of_key",
    locked(
        select(steps.c.step_id, steps.c.task_url, steps.c.limit_name, steps.c.limit_rule, steps.c.crashes)
        .where(*DUE, *STARTABLE, steps.c.priority == bindparam("band"), steps.c.fairness_key == bindparam("of_key"))
        .order_by(steps.c.created_at, steps.c.step_id)
        .limit(bindparam("limit")),
        steps,
        skip=True,  # replicas that look at once find different steps
    ),
)


def find_due(
    limit: int, now: int, full: Sequence[str], shut: Sequence[str], random: Random, calm: int = ANY_CRASHES
) -> Script[list[Row]]:
    """Up to ``limit`` due steps: id, task, limit and its rule, crashes.

    ``full`` limits, ``shut`` tasks, and steps with ``calm`` crashes or more are left out.
    """
    found: list[Row] = []
    common = {"now": now, "full": full, "shut": shut, "calm": calm}
    floor = -1
    while len(found) < limit:
        bands = yield Fetch(BAND, {**common, "floor": floor})
        if not bands:
            break
        floor = bands[0][0]
        weights = yield from _weights(floor)
        found += yield from _share_out(limit - len(found), floor, weights, common, random)
    return found


def look(full: Sequence[str], shut: Sequence[str], calm: int = ANY_CRASHES) -> Script[Pressure | None]:
    """The best band that waits now, and its keys; None where nothing does."""
    now = yield Now()
    bands = yield Fetch(BAND, {"now": now, "full": full, "shut": shut, "calm": calm, "floor": -1})
    if not bands:
        return None
    return Pressure(bands[0][0], (yield from _weights(bands[0][0])))


def _weights(band: int) -> Script[dict[str, float]]:
    rows = yield Fetch(KEYS, {"band": band})
    return {key: weight or 1.0 for key, weight in rows}


def _share_out(
    places: int, band: int, weights: Mapping[str, float], common: Mapping[str, object], random: Random
) -> Script[list[Row]]:
    """Fill places from the keys of a band. A key that runs dry leaves its places to the others."""
    open_keys = dict(weights)
    taken: Counter[str] = Counter()
    chosen: list[Row] = []
    while places > 0 and open_keys:
        drawn = draw(open_keys, places, random.random)
        queues: dict[str, list[Row]] = {}
        for key, count in Counter(drawn).items():
            rows = yield Fetch(OF_KEY, {**common, "band": band, "of_key": key, "limit": taken[key] + count})
            queues[key] = rows[taken[key] :]
            if len(queues[key]) < count:
                del open_keys[key]
            taken[key] += len(queues[key])
        for key in drawn:
            if queues[key]:
                chosen.append(queues[key].pop(0))
                places -= 1
    return chosen
