"""Holding limits when steps are claimed: a step over its limit stays pending and holds no worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, delete, func, insert, literal_column, select, update

from dwarf.core.limits import LimitRule, admitted
from dwarf.storage.sql.expressions import flag_is, status_is
from dwarf.storage.sql.script import Execute, Fetch, InsertMany, Script, Statement
from dwarf.storage.sql.tables import limit_gates, limit_starts, steps
from dwarf.workflow.status import Status

GATE = Statement(
    "limit_gate",
    update(limit_gates)
    .where(limit_gates.c.limit_name == bindparam("name"))
    .values(turn=literal_column("1") - limit_gates.c.turn),
)
NEW_GATE = Statement("new_limit_gate", insert(limit_gates).values(limit_name=bindparam("limit_name")))
RUNNING = Statement(
    "limit_running",
    select(func.count()).where(
        steps.c.limit_name == bindparam("name"),
        steps.c.limit_name != literal_column("''"),
        status_is(steps.c.status, Status.RUNNING),
        flag_is(steps.c.parked, 0),
    ),
)
FORGET = Statement(
    "forget_starts",
    delete(limit_starts).where(
        limit_starts.c.limit_name == bindparam("name"), limit_starts.c.started_at <= bindparam("until")
    ),
)
STARTS = Statement(
    "limit_starts",
    select(func.count(), func.min(limit_starts.c.started_at)).where(limit_starts.c.limit_name == bindparam("name")),
)
START = Statement(
    "limit_start",
    insert(limit_starts).values(
        limit_name=bindparam("limit_name"), step_id=bindparam("step_id"), started_at=bindparam("started_at")
    ),
)


@dataclass(slots=True)
class Admitted:
    """Which limited steps may start, the limits that are used up, and when the first of them has room again."""

    step_ids: list[int] = field(default_factory=list)
    full: list[str] = field(default_factory=list)
    again: int | None = None


def admit(limited: Sequence[tuple[int, str, str]], now: int, result: Admitted) -> Script[None]:
    """Let as many limited steps start as their limits have room for: (step id, limit, rule) each, in order."""
    by_name: dict[str, list[tuple[int, str]]] = {}
    for step_id, name, rule in limited:
        by_name.setdefault(name, []).append((step_id, rule))
    for name in sorted(by_name):
        yield from _admit_one(name, by_name[name], now, result)


def _admit_one(name: str, waiting: list[tuple[int, str]], now: int, result: Admitted) -> Script[None]:
    # the gate's row is locked until the commit, so that two replicas do not count at the same time
    if not (yield Execute(GATE, {"name": name})):
        yield InsertMany(NEW_GATE, [{"limit_name": name}])
    rule = LimitRule.parse(next(text for _, text in waiting))
    running, recent, oldest = 0, 0, None
    if rule.concurrency:
        ((running,),) = yield Fetch(RUNNING, {"name": name})
    if rule.starts:
        yield Execute(FORGET, {"name": name, "until": now - rule.period_ms})
        ((recent, oldest),) = yield Fetch(STARTS, {"name": name})
    room, again = admitted(rule, running, recent, oldest, now)
    chosen = [step_id for step_id, _ in waiting[:room]]
    result.step_ids += chosen
    result.full.append(name)
    if rule.starts and chosen:
        starts = [{"limit_name": name, "step_id": step_id, "started_at": now} for step_id in chosen]
        yield InsertMany(START, starts)
    if len(chosen) < len(waiting):
        moment = again if again is not None else (now + rule.period_ms if rule.starts and room < len(waiting) else None)
        if moment is not None:
            result.again = moment if result.again is None else min(result.again, moment)
