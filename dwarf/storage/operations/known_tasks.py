"""The tasks known to living engines: a row for each engine, written at its start and when it learns a task.

Execution does not depend on these rows. They tell a caller that a flow would wait for an unknown task.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, literal_column, or_, select, update

from dwarf.storage.operations.due_queue import AWAKE, PENDING
from dwarf.storage.sql.expressions import status_is
from dwarf.storage.sql.rows import columns
from dwarf.storage.sql.script import Execute, Fetch, InsertMany, Now, Script, Statement
from dwarf.storage.sql.tables import flows, knowledge, steps
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.status import Status

FRESH_MS = 60_000  # an engine on a server without a renewal for so long counts as dead

_OWN = knowledge.c.engine_id == bindparam("own_id")
TELL = Statement("tell_tasks", update(knowledge).where(_OWN).values(tasks=bindparam("known"), told_at=bindparam("now")))
RENEW = Statement("renew_tasks", update(knowledge).where(_OWN).values(told_at=bindparam("now")))
ENTER = Statement(
    "enter_tasks",
    insert(knowledge).values(engine_id=bindparam("own_id"), tasks=bindparam("known"), told_at=bindparam("now")),
)
LEAVE = Statement("leave_tasks", delete(knowledge).where(_OWN))
OTHERS = Statement(
    "tasks_of_others",
    select(knowledge.c.tasks, knowledge.c.told_at).where(knowledge.c.engine_id != bindparam("own_id")),
)

FIRST_WAITING = Statement(
    "tasks_of_due_steps",
    select(steps.c.task_url)
    .where(*AWAKE)
    .order_by(steps.c.priority, steps.c.fairness_key, steps.c.created_at, steps.c.step_id)
    .limit(literal_column("1000")),
)


class DueStep(NamedTuple):
    """A step that could be running. ``task_url`` is its need; ``labels`` are its labels, or the mark of an unknown
    task.
    """

    node: str
    task_url: str
    labels: str


WAITING_UNDER = Statement(
    "due_steps_of_flow",
    select(*columns(DueStep, steps))
    .where(
        steps.c.flow_id == flows.c.flow_id,
        or_(flows.c.flow_id == bindparam("id"), flows.c.root_flow_id == bindparam("id")),
        *PENDING,
        steps.c.asleep != literal_column("1"),
    )
    .order_by(steps.c.step_id)
    .limit(literal_column("100")),
)
UNDER_WAY = Statement(
    "steps_under_way",
    select(
        steps.c.node,
        steps.c.status,
        steps.c.parked,
        steps.c.not_before > bindparam("now"),
        func.count(),
        func.max(steps.c.labels),
    )
    .where(
        steps.c.flow_id == flows.c.flow_id,
        or_(flows.c.flow_id == bindparam("id"), flows.c.root_flow_id == bindparam("id")),
        status_is(steps.c.status, Status.PENDING, Status.RUNNING, Status.INTERRUPTED),
    )
    .group_by(steps.c.node, steps.c.status, steps.c.parked, steps.c.not_before > bindparam("now"))
    .order_by(func.min(steps.c.step_id))
    .limit(literal_column("6")),
)


class UnderWay(NamedTuple):
    """The steps of a node that have not ended, in a flow or under it. ``later``: they are not due yet."""

    node: str
    status: str
    parked: int
    later: bool
    steps: int
    labels: str | None = None


def under_way(flow_id: int) -> Script[list[UnderWay]]:
    """The steps of a flow that have not ended: the first few nodes."""
    now = yield Now()
    rows = yield Fetch(UNDER_WAY, {"id": flow_id, "now": now})
    return list(map(UnderWay._make, rows))


def tasks_of_due_steps() -> Script[list[str]]:
    """The tasks of the first steps in the queue, each once."""
    rows = yield Fetch(FIRST_WAITING, {})
    return list(dict.fromkeys(url for (url,) in rows))


def due_steps_of(flow_id: int) -> Script[list[DueStep]]:
    """The steps of a flow and the flows under it that could be running."""
    rows = yield Fetch(WAITING_UNDER, {"id": flow_id})
    return list(map(DueStep._make, rows))


def tell_tasks(engine_id: int, known: Collection[str] | None) -> Script[None]:
    """Publish the tasks that an engine knows; None if it cannot tell."""
    now = yield Now()
    text = "" if known is None else dumps(sorted(known))
    told = yield Execute(TELL, {"own_id": engine_id, "known": text, "now": now})
    if not told:
        yield InsertMany(ENTER, [{"own_id": engine_id, "known": text, "now": now}])


def renew_tasks(engine_id: int) -> Script[None]:
    """Renew the row of an engine whose tasks are unchanged."""
    now = yield Now()
    yield Execute(RENEW, {"own_id": engine_id, "now": now})


def forget_tasks(engine_id: int) -> Script[None]:
    """Remove the row of an engine that ends."""
    yield Execute(LEAVE, {"own_id": engine_id})


def tasks_of_others(engine_id: int, *, renewed: bool) -> Script[set[str] | None]:
    """The tasks that other living engines know; None if one of them cannot tell.

    ``renewed``: living engines renew their rows, so an old row belongs to a dead engine.
    """
    now = yield Now()
    found: set[str] = set()
    for text, told_at in (yield Fetch(OTHERS, {"own_id": engine_id})):
        if renewed and told_at < now - FRESH_MS:
            continue
        if not text:
            return None
        found.update(loads(text))
    return found
