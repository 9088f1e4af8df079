"""Enforcing limits at the claim: a step over its limit stays pending and holds no worker."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, insert, literal_column, select, update

from dwarf.core.claiming import Limited
from dwarf.core.limits import Admitted, LimitRule
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


def admit(limited: Sequence[Limited], now: int, result: Admitted) -> Script[None]:
    """Admit limited steps in order, as many as their limits have room for."""
    by_name: dict[str, list[tuple[int, str]]] = {}
    for step_id, name, rule in limited:
        by_name.setdefault(name, []).append((step_id, rule))
    # by name, so that two claims lock the rows of their limits in one order
    for name, waiting in sorted(by_name.items()):
        _, text = waiting[0]
        yield from _admit_one(name, LimitRule.parse(text), [step_id for step_id, _ in waiting], now, result)


def _admit_one(name: str, rule: LimitRule, waiting: list[int], now: int, result: Admitted) -> Script[None]:
    # the row of the limit is locked until the commit, so that two replicas do not count at the same time
    if not (yield Execute(GATE, {"name": name})):
        yield InsertMany(NEW_GATE, [{"limit_name": name}])
    running, recent, oldest = 0, 0, None
    if rule.concurrency:
        ((running,),) = yield Fetch(RUNNING, {"name": name})
    if rule.starts:
        yield Execute(FORGET, {"name": name, "until": now - rule.period_ms})
        ((recent, oldest),) = yield Fetch(STARTS, {"name": name})
    chosen = result.take(name, rule, waiting, running=running, recent=recent, oldest=oldest, now=now)
    if rule.starts and chosen:
        yield InsertMany(START, [{"limit_name": name, "step_id": step_id, "started_at": now} for step_id in chosen])
