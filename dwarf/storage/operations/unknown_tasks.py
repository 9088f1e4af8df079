"""Steps of tasks that no living engine knows are set aside, so that their number does not slow down the search.

Like steps with labels, they are in none of the indexes used by claims: a mark of their task replaces the labels. An
engine that learns the task restores them. A few steps are not set aside, so that such an engine finds them immediately.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

from sqlalchemy import bindparam, literal_column, select, update

from dwarf.storage.operations.due_queue import AWAKE, PENDING, STILL_PENDING
from dwarf.storage.sql.expressions import flag_is, in_ids, locked
from dwarf.storage.sql.rows import APART
from dwarf.storage.sql.script import Execute, Fetch, Script, Statement
from dwarf.storage.sql.tables import steps

AT_ONCE: Final = 1000
FEW: Final = 200  # this many stay: a search skips them in less than a millisecond

_MARK: Final = "?"  # no set of labels begins with it
_OF_TASK = Statement(
    "awake_of_task",
    locked(
        select(steps.c.step_id)
        .where(*AWAKE, steps.c.task_url == bindparam("url"))
        .order_by(steps.c.priority, steps.c.fairness_key, steps.c.created_at, steps.c.step_id)
        .limit(literal_column(str(AT_ONCE))),
        steps,
        skip=True,
    ),
)
_SET_ASIDE = Statement(
    "set_strays_aside",
    update(steps)
    .where(in_ids(steps.c.step_id, "ids"), *STILL_PENDING, flag_is(steps.c.asleep, 0))
    .values(asleep=literal_column(str(APART)), labels=bindparam("mark")),
)
_STRAYS = (*PENDING, flag_is(steps.c.asleep, APART))
_NEXT = Statement(
    "next_stray",
    select(steps.c.labels, steps.c.task_url)
    .where(*_STRAYS, steps.c.labels > bindparam("beyond"))
    .order_by(steps.c.labels)
    .limit(literal_column("1")),
)
_MARKED = Statement(
    "strays_of_task",
    locked(
        select(steps.c.step_id)
        .where(*_STRAYS, steps.c.labels == bindparam("mark"))
        .order_by(steps.c.not_before)
        .limit(literal_column(str(AT_ONCE))),
        steps,
        skip=True,
    ),
)
_BRING_BACK = Statement(
    "bring_strays_back",
    update(steps)
    .where(in_ids(steps.c.step_id, "ids"), *STILL_PENDING, flag_is(steps.c.asleep, APART))
    .values(asleep=literal_column("0"), labels=literal_column("''")),
)


class UnknownTask(NamedTuple):
    """A task whose steps are set aside, and their mark."""

    mark: str
    url: str


def is_mark(labels: str) -> bool:
    """Whether this is the mark of an unknown task, and no labels."""
    return labels.startswith(_MARK)


def set_aside(url: str) -> Script[bool]:
    """Set aside many steps of a task. True if there are more."""
    ids = [step_id for (step_id,) in (yield Fetch(_OF_TASK, {"url": url}))]
    if len(ids) > FEW:
        mark = _MARK + sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:40]
        yield Execute(_SET_ASIDE, {"ids": sorted(ids), "mark": mark})
    return len(ids) == AT_ONCE


def tasks_set_aside() -> Script[list[UnknownTask]]:
    """The tasks whose steps are set aside, found by one index jump for each."""
    found: list[UnknownTask] = []
    while True:
        rows = yield Fetch(_NEXT, {"beyond": found[-1].mark if found else _MARK})
        following = [UnknownTask._make(row) for row in rows]
        if not following or not is_mark(following[0].mark):
            return found
        found += following


def bring_back(mark: str) -> Script[bool]:
    """Return the first of a task's steps to the queue. True if there may be more."""
    ids = [step_id for (step_id,) in (yield Fetch(_MARKED, {"mark": mark}))]
    if ids:
        yield Execute(_BRING_BACK, {"ids": sorted(ids)})
    return len(ids) == AT_ONCE
