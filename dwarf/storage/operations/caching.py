"""Cached outcomes of steps: found by their keys, stored with the commit of the step, and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Table, bindparam, delete, exists, func, insert, select

from dwarf.core.records import State, StepRecord
from dwarf.storage.sql.expressions import ZERO, in_names, status_is
from dwarf.storage.sql.rows import columns, read_object
from dwarf.storage.sql.script import Execute, Fetch, InsertMany, Now, Script, Statement
from dwarf.storage.sql.tables import cache, displays, output, steps
from dwarf.workflow.status import Status

AT_ONCE = 1024  # keys in one query


class CachedRow(NamedTuple):
    """A cache entry."""

    cache_key: str
    step_id: int
    delay_ms: int
    made_at: int


class SourceRow(NamedTuple):
    """The step with the cached outcome."""

    token: str
    route: str
    changes: str


class SaidRow(NamedTuple):
    """The amount of the step's output, and the number of its displays."""

    says: int
    shows: int


def _count_of(table: Table) -> Any:
    return select(func.count()).select_from(table).where(table.c.step_id == cache.c.step_id).scalar_subquery()


FIND = Statement(
    "find_cached",
    select(*columns(CachedRow, cache), *columns(SourceRow, steps), _count_of(output), _count_of(displays))
    .join(steps, steps.c.step_id == cache.c.step_id)
    .where(in_names(cache.c.cache_key, "keys"), status_is(steps.c.status, Status.COMPLETED))
    .order_by(cache.c.made_at, cache.c.step_id),
)
KEEP = Statement(
    "keep_outcome",
    insert(cache).values({column.name: bindparam(column.name) for column in cache.columns}),
)
FREE_ALL = Statement("free_cache", delete(cache))
FREE_TASK = Statement("free_cache_of_task", delete(cache).where(cache.c.task_url == bindparam("url")))
FREE_EXPIRED = Statement(
    "free_expired_cache", delete(cache).where(cache.c.expires_at > ZERO, cache.c.expires_at <= bindparam("now"))
)
FREE_ORPHANED = Statement(
    "free_orphaned_cache",
    delete(cache).where(~exists(select(steps.c.step_id).where(steps.c.step_id == cache.c.step_id))),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A cached outcome, with the id and token of its step."""

    step_id: int
    token: str
    route: str
    changes: State
    delay_ms: int
    says: bool
    shows: int  # the number of displays


def find_cached(wanted: Mapping[str, int]) -> Script[dict[str, Found]]:
    """The latest outcome of each key that is young enough: ``wanted`` maps keys to ages in milliseconds, 0 for any."""
    now = yield Now()
    keys = sorted(wanted)
    found: dict[str, Found] = {}
    for start in range(0, len(keys), AT_ONCE):
        for row in (yield Fetch(FIND, {"keys": keys[start : start + AT_ONCE]})):
            kept, source = CachedRow._make(row[:_KEPT]), SourceRow._make(row[_KEPT:_SOURCE])
            told = SaidRow._make(row[_SOURCE:])
            age = wanted[kept.cache_key]
            if not age or kept.made_at + age > now:
                changes = read_object(source.changes)
                found[kept.cache_key] = Found(
                    step_id=kept.step_id,
                    token=source.token,
                    route=source.route,
                    changes=changes,
                    delay_ms=kept.delay_ms,
                    says=told.says > 0,
                    shows=told.shows,
                )
    return found


_KEPT = len(CachedRow._fields)
_SOURCE = _KEPT + len(SourceRow._fields)


def kept_row(step: StepRecord, delay_ms: int, now: int) -> dict[str, Any]:
    """The cache entry of a step, which must have a ``keep``."""
    keep = step.keep
    assert keep is not None
    return {
        "cache_key": keep.key,
        "step_id": step.step_id,
        "task_url": keep.url,
        "delay_ms": delay_ms,
        "made_at": now,
        "expires_at": now + keep.ttl_ms if keep.ttl_ms else 0,
    }


def keep_outcomes(rows: Sequence[Mapping[str, Any]]) -> InsertMany:
    """Store outcomes, always in the order of their keys."""
    return InsertMany(KEEP, sorted(rows, key=lambda row: (row["cache_key"], row["step_id"])))


def clear_cache(url: str | None) -> Script[int]:
    """Remove the outcomes of a task, or of all tasks. Returns their number."""
    count: int = yield Execute(FREE_ALL, {}) if url is None else Execute(FREE_TASK, {"url": url})
    return count


def free_stale() -> Script[int]:
    """Remove expired outcomes, and outcomes of removed steps."""
    now = yield Now()
    expired: int = yield Execute(FREE_EXPIRED, {"now": now})
    orphaned: int = yield Execute(FREE_ORPHANED, {})
    return expired + orphaned
