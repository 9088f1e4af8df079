"""Lists of flows, newest first, in pages that no write can shift.

The order is that of creation, then of ids, and neither ever changes; a page goes on below the last flow of the one
before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from dwarf.core.keys import Key, format_key
from dwarf.errors import ThreadNotFound
from dwarf.storage.expressions import in_ids
from dwarf.storage.reading.filters import AT_TRUNK_END, LATEST, Filters, conditions_of, list_statement
from dwarf.storage.reading.history import moment
from dwarf.storage.reading.searching import Arm, Source, arms_of
from dwarf.storage.script import Fetch, Now, Row, Script, Statement
from dwarf.storage.tables import flows, steps
from dwarf.workflow.results import NO_TIME, FlowSummary
from dwarf.workflow.status import Status

AT_ONCE = 500  # flows, of which the texts are decoded

NODES = Statement(
    "nodes_of_flows",
    select(steps.c.flow_id, steps.c.node).where(in_ids(steps.c.flow_id, "ids"), *AT_TRUNK_END),
)
THREAD_OF = Statement(
    "thread_of_flow", select(flows.c.token, flows.c.thread_id).where(flows.c.flow_id == bindparam("id"))
)

_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


class Listed(NamedTuple):
    """A flow in a list. The first three are its place: lists are in their descending order."""

    created_at: int
    flow_id: int
    shard: int
    summary: FlowSummary


class Before(NamedTuple):
    """Where a page begins: below this moment, or at it with a smaller id."""

    created_at: int
    flow_id: int


def read_page(filters: Filters, source: Source, before: Before | None, limit: int) -> Script[list[Listed]]:
    """The newest flows below a place, at most ``limit``."""
    shard = source.shard
    rows = yield from find_flows(filters, source, limit, before=before)
    at = dict((yield Fetch(NODES, {"ids": [row[0] for row in rows]}))) if rows else {}
    return [Listed(row[1], row[0], shard, _summary(shard, row, at.get(row[0], ""))) for row in rows]


def find_flows(
    filters: Filters,
    source: Source,
    limit: int,
    *,
    before: Before | None = None,
    oldest_first: bool = False,
    more: Sequence[str] = (),
) -> Script[list[Row]]:
    """Rows of ``filters.COLUMNS``, in order, at most ``limit``. ``more`` names further conditions."""
    now = (yield Now()) if filters.older_ms or filters.newer_ms else 0
    names, values = conditions_of(filters, now)
    names.update(more)
    if before is not None:
        names.add("before")
        values |= {"before": before.created_at, "before_id": before.flow_id}
        values["upto"] = min(values["upto"], before.created_at)
    found: dict[int, Row] = {}
    arms = yield from arms_of(filters, source)
    for arm in arms:
        conditions, given = arm.conditions | names, {**values, **arm.values, "limit": limit}
        if len(found) >= limit:  # only what comes before the last of these can still be of use
            last = _in_order(found.values(), limit, oldest_first)[-1]
            if oldest_first:
                given["upto"] = min(given["upto"], last[1])
            else:
                conditions |= {"since"}
                given["since"] = last[1]
        if arm.within:
            rows: list[Row] = yield from _look_within(arm, conditions, given, every=oldest_first)
        else:
            rows = yield Fetch(list_statement(conditions, oldest_first=oldest_first), given)
        found.update((row[0], row) for row in rows)
    return _in_order(found.values(), limit, oldest_first)


def _in_order(rows: Iterable[Row], limit: int, oldest_first: bool) -> list[Row]:
    return sorted(rows, key=itemgetter(1, 0), reverse=not oldest_first)[:limit]


def _look_within(arm: Arm, conditions: frozenset[str], values: dict[str, Any], *, every: bool) -> Script[list[Row]]:
    """The newest flows with a text in what is decoded only here: as many as wanted, or ``every`` one."""
    statement = list_statement(conditions | {"before"}, oldest_first=False)
    given = {"before": LATEST, "before_id": LATEST, **values, "limit": AT_ONCE}
    found: list[Row] = []
    while True:
        rows: list[Row] = yield Fetch(statement, given)
        found += (row for row in rows if arm.within in row[8].casefold() or arm.within in row[9].casefold())
        if len(rows) < AT_ONCE or (len(found) >= values["limit"] and not every):
            return found
        flow_id, created_at, *_ = rows[-1]
        given |= {"upto": created_at, "before": created_at, "before_id": flow_id}


def read_thread(key: Key) -> Script[int]:
    """The id of the thread of any flow. ThreadNotFound where the key names none."""
    rows = yield Fetch(THREAD_OF, {"id": key.id})
    if not rows or rows[0][0] != key.token:
        raise ThreadNotFound("thread not found")
    return int(rows[0][1])


def _summary(shard: int, row: Row, node: str) -> FlowSummary:
    trace = _TRACE_PARENT.fullmatch(row[12])
    return FlowSummary(
        flow_key=format_key(shard, row[0], row[2]),
        thread_key=format_key(shard, row[4], row[5]),
        workflow_url=row[6],
        workflow_name=row[7],
        status=Status(row[3]),
        node=node,
        error=row[8].strip(),
        cancel_reason=row[9].strip(),
        priority=row[10],
        fairness_key=row[11],
        trace_id=trace[1] if trace else "",
        is_subgraph=bool(row[13]),
        created_at=moment(row[1]) or NO_TIME,
        started_at=moment(row[14]),
        updated_at=moment(row[15]) or NO_TIME,
        forked_from=row[16],
    )
