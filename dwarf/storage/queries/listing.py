"""Lists of flows, newest first, in pages that concurrent writes cannot shift.

The order is that of creation, then of ids, and never changes; a page continues after the last flow of the previous
page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select

from dwarf.core.keys import NO_FLOW, Key, format_key
from dwarf.errors import FlowNotFound, ThreadNotFound
from dwarf.storage.queries.filters import (
    AT_TRUNK_END,
    COLUMNS,
    LATEST,
    Filters,
    ListedRow,
    conditions_of,
    list_statement,
)
from dwarf.storage.queries.flows import status_of
from dwarf.storage.queries.history import moment
from dwarf.storage.queries.search import Arm, SearchSource, arms_of
from dwarf.storage.sql.expressions import in_ids
from dwarf.storage.sql.rows import read_object
from dwarf.storage.sql.script import Fetch, Now, Script, Statement
from dwarf.storage.sql.tables import flows, steps, tags
from dwarf.workflow.results import NO_TIME, FlowSummary

AT_ONCE = 500  # flows whose texts are decoded together
FEW = 1000  # up to this many flows are sorted; scanning all flows would be slower

NODES = Statement(
    "nodes_of_flows",
    select(steps.c.flow_id, steps.c.node).where(in_ids(steps.c.flow_id, "ids"), *AT_TRUNK_END),
)
TAGS = Statement("tags_of_flows", select(flows.c.flow_id, flows.c.tags).where(in_ids(flows.c.flow_id, "ids")))
ONE_FLOW = Statement("listed_flow", select(*COLUMNS).where(flows.c.flow_id == bindparam("id")))
_HAVING = select(tags.c.flow_id).where(tags.c.name == bindparam("tag"))
HAVING = Statement("flows_having_tag", select(func.count()).select_from(_HAVING.limit(FEW).subquery()))
HAVING_VALUE = Statement(
    "flows_having_tag_value",
    select(func.count()).select_from(_HAVING.where(tags.c.value == bindparam("value")).limit(FEW).subquery()),
)
THREAD_OF = Statement(
    "thread_of_flow", select(flows.c.token, flows.c.thread_id).where(flows.c.flow_id == bindparam("id"))
)

_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


class Listed(NamedTuple):
    """A flow in a list. The first three columns are its position: lists are in their descending order."""

    created_at: int
    flow_id: int
    shard: int
    summary: FlowSummary


class Before(NamedTuple):
    """The beginning of a page: before this moment, or at it with a smaller id."""

    created_at: int
    flow_id: int


def read_page(filters: Filters, source: SearchSource, before: Before | None, limit: int) -> Script[list[Listed]]:
    """The newest flows after a position, at most ``limit``."""
    shard = source.shard
    rows = yield from find_flows(filters, source, limit, before=before)
    at = dict((yield Fetch(NODES, {"ids": [row.flow_id for row in rows]}))) if rows else {}
    # a child has the present tags of its root
    roots = sorted({row.root_flow_id for row in rows if row.parent_flow_id})
    inherited = dict((yield Fetch(TAGS, {"ids": roots}))) if roots else {}
    return [
        Listed(
            created_at=row.created_at,
            flow_id=row.flow_id,
            shard=shard,
            summary=_summary(shard, row, at.get(row.flow_id, ""), inherited.get(row.root_flow_id, row.tags)),
        )
        for row in rows
    ]


def read_summary(key: Key) -> Script[FlowSummary]:
    """One flow as in lists, possibly a child. FlowNotFound."""
    rows = [ListedRow._make(row) for row in (yield Fetch(ONE_FLOW, {"id": key.id}))]
    if not rows or rows[0].token != key.token:
        raise FlowNotFound(NO_FLOW)
    (row,) = rows
    at = dict((yield Fetch(NODES, {"ids": [row.flow_id]})))
    inherited = dict((yield Fetch(TAGS, {"ids": [row.root_flow_id]}))) if row.parent_flow_id else {}
    return _summary(key.shard, row, at.get(row.flow_id, ""), inherited.get(row.root_flow_id, row.tags))


def find_flows(
    filters: Filters,
    source: SearchSource,
    limit: int,
    *,
    before: Before | None = None,
    oldest_first: bool = False,
    more: Sequence[str] = (),
) -> Script[list[ListedRow]]:
    """The flows of a list, in order, at most ``limit``. ``more`` names further conditions."""
    now = (yield Now()) if filters.older_ms or filters.newer_ms else 0
    filters, few = yield from _rarest_first(filters)
    names, values = conditions_of(filters, now, few=few)
    names.update(more)
    if before is not None:
        names.add("before")
        values |= {"before": before.created_at, "before_id": before.flow_id}
        values["upto"] = min(values["upto"], before.created_at)
    found: dict[int, ListedRow] = {}
    arms = yield from arms_of(filters, source)
    for arm in arms:
        conditions, given = arm.conditions | names, {**values, **arm.values, "limit": limit}
        if len(found) >= limit:  # only flows before the last of these are still needed
            last = _in_order(found.values(), limit, oldest_first)[-1]
            if oldest_first:
                given["upto"] = min(given["upto"], last.created_at)
            else:
                conditions |= {"since"}
                given["since"] = last.created_at
        if arm.within:
            rows = yield from _look_within(arm, conditions, given, every=oldest_first)
        else:
            rows = yield from _fetch(list_statement(conditions, oldest_first=oldest_first), given)
        found.update((row.flow_id, row) for row in rows)
    return _in_order(found.values(), limit, oldest_first)


def _rarest_first(filters: Filters) -> Script[tuple[Filters, bool]]:
    """The filters with the tag of the fewest flows first, and whether these are few.

    With a single tag nothing is counted, as it leads the list anyway.
    """
    if not filters.tags or (len(filters.tags) == 1 and not (filters.include_subgraphs or filters.thread_id)):
        return filters, False
    counted: dict[tuple[str, str | None], int] = {}
    for name, value in filters.tags:
        if value is None:
            ((count,),) = yield Fetch(HAVING, {"tag": name})
        else:
            ((count,),) = yield Fetch(HAVING_VALUE, {"tag": name, "value": value})
        counted[name, value] = count
    ordered = sorted(counted, key=counted.__getitem__)
    return replace(filters, tags=tuple(ordered)), counted[ordered[0]] < FEW


def _fetch(statement: Statement, values: Mapping[str, Any]) -> Script[list[ListedRow]]:
    return [ListedRow._make(row) for row in (yield Fetch(statement, values))]


def _in_order(rows: Iterable[ListedRow], limit: int, oldest_first: bool) -> list[ListedRow]:
    return sorted(rows, key=attrgetter("created_at", "flow_id"), reverse=not oldest_first)[:limit]


def _look_within(
    arm: Arm, conditions: frozenset[str], values: dict[str, Any], *, every: bool
) -> Script[list[ListedRow]]:
    """The newest flows with a text in payloads that only this process can decode: as many as wanted, or all."""
    statement = list_statement(conditions | {"before"}, oldest_first=False)
    given = {"before": LATEST, "before_id": LATEST, **values, "limit": AT_ONCE}
    found: list[ListedRow] = []
    while True:
        rows = yield from _fetch(statement, given)
        found += (
            row for row in rows if arm.within in row.error.casefold() or arm.within in row.cancel_reason.casefold()
        )
        if len(rows) < AT_ONCE or (len(found) >= values["limit"] and not every):
            return found
        last = rows[-1]
        given |= {"upto": last.created_at, "before": last.created_at, "before_id": last.flow_id}


def read_thread(key: Key) -> Script[int]:
    """The id of the thread of any flow. ThreadNotFound if the key names none."""
    for token, thread_id in (yield Fetch(THREAD_OF, {"id": key.id})):
        if token == key.token:
            return int(thread_id)
    raise ThreadNotFound("thread not found")


def _summary(shard: int, row: ListedRow, node: str, tags: str | None) -> FlowSummary:
    trace = _TRACE_PARENT.fullmatch(row.trace_parent)
    return FlowSummary(
        flow_key=format_key(shard, row.flow_id, row.token),
        thread_key=format_key(shard, row.thread_id, row.thread_token),
        workflow_url=row.workflow_url,
        workflow_name=row.workflow_name,
        status=status_of(row.status, row.later),
        node=node,
        error=row.error.strip(),
        cancel_reason=row.cancel_reason.strip(),
        priority=row.priority,
        fairness_key=row.fairness_key,
        trace_id=trace.group(1) if trace else "",
        is_subgraph=bool(row.parent_flow_id),
        created_at=moment(row.created_at) or NO_TIME,
        started_at=None if row.later else moment(row.started_at),
        updated_at=moment(row.updated_at) or NO_TIME,
        forked_from=row.forked_from_step,
        name=row.name,
        tags=read_object(tags),
    )


def purge_candidates(filters: Filters, source: SearchSource, limit: int) -> Script[list[tuple[int, str]]]:
    """The oldest matching root flows that are not running, with their statuses."""
    rows = yield from find_flows(filters, source, limit, oldest_first=True, more=("not_running",))
    return [(row.flow_id, row.status) for row in rows]
