"""Schedules: kept, listed, paused, and fired once per tick by whichever replica comes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, literal_column, select, update

from dwarf.core.records import NewFlow
from dwarf.core.ticks import Rhythm
from dwarf.errors import NotFound
from dwarf.storage.claims import GRAPH
from dwarf.storage.creates import create_flows
from dwarf.storage.effects import Effects
from dwarf.storage.expressions import flag_is
from dwarf.storage.named import columns
from dwarf.storage.rows import object_text, read_object
from dwarf.storage.script import Execute, Fetch, InsertMany, Now, Row, Script, Statement
from dwarf.storage.tables import schedules
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.values.meaning import canonical


class ScheduleRow(NamedTuple):
    """A schedule as it is stored."""

    name: str
    definition_hash: str
    workflow_url: str
    graph_hash: str
    cron: str
    every_ms: int
    timezone: str
    state: str
    options: str
    catch_up: int
    paused: int
    next_at: int


_COLUMNS = columns(ScheduleRow, schedules)
_ACTIVE = flag_is(schedules.c.paused, 0)

INSERT = Statement("insert_schedule", insert(schedules).values({column: bindparam(column.name) for column in _COLUMNS}))
UPDATE = Statement(
    "update_schedule",
    update(schedules)
    .where(schedules.c.name == bindparam("of_name"))
    .values({column: bindparam(f"new_{column.name}") for column in _COLUMNS if column.name not in ("name", "paused")}),
)
ONE = Statement("one_schedule", select(*_COLUMNS).where(schedules.c.name == bindparam("of_name")))
ALL = Statement("all_schedules", select(*_COLUMNS).order_by(schedules.c.name))
DUE = Statement(
    "due_schedules",
    select(*_COLUMNS).where(schedules.c.next_at <= bindparam("now"), _ACTIVE).order_by(schedules.c.next_at).limit(100),
)
NEXT = Statement("next_schedule", select(func.min(schedules.c.next_at)).where(_ACTIVE))
MOVE = Statement(
    "move_schedule",
    update(schedules)
    .where(schedules.c.name == bindparam("of_name"), schedules.c.next_at == bindparam("from_tick"), _ACTIVE)
    .values(next_at=bindparam("new_next_at")),
)
PAUSE = Statement(
    "pause_schedule",
    update(schedules).where(schedules.c.name == bindparam("of_name")).values(paused=literal_column("1")),
)
UNPAUSE = Statement(
    "resume_schedule",
    update(schedules)
    .where(schedules.c.name == bindparam("of_name"), flag_is(schedules.c.paused, 1))
    .values(paused=literal_column("0"), next_at=bindparam("new_next_at")),
)
DELETE = Statement("delete_schedule", delete(schedules).where(schedules.c.name == bindparam("of_name")))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecord:
    """A schedule as it is kept. ``graph_hash`` is empty where the host is asked for the workflow at each tick."""

    name: str
    definition_hash: str
    workflow_url: str
    graph_hash: str
    rhythm: Rhythm
    state: dict[str, Any]
    options: dict[str, Any]
    catch_up: bool
    paused: bool
    next_at: int


def definition_text(record: ScheduleRecord) -> str:
    """What two schedules of a name are compared by."""
    return dumps(
        [
            record.workflow_url,
            record.graph_hash,
            asdict(record.rhythm),
            canonical(record.state),
            canonical(record.options),
            record.catch_up,
        ]
    )


def _is_same(known: ScheduleRecord, record: ScheduleRecord) -> bool:
    """Whether the definitions are equal, also where an earlier version has made the hash in another way."""
    return known.definition_hash == record.definition_hash or definition_text(known) == definition_text(record)


def put_schedule(record: ScheduleRecord, graph_body: str, effects: Effects) -> Script[ScheduleRecord]:
    """Keep a schedule. One of the same name and definition is left as it is; another definition replaces it."""
    rows = yield Fetch(ONE, {"of_name": record.name})
    known = _record(rows[0]) if rows else None
    if known is not None and _is_same(known, record):
        return known
    if record.graph_hash:
        effects.graphs[record.graph_hash] = graph_body
    row = {
        "name": record.name,
        "definition_hash": record.definition_hash,
        "workflow_url": record.workflow_url,
        "graph_hash": record.graph_hash,
        "cron": record.rhythm.cron,
        "every_ms": record.rhythm.every_ms,
        "timezone": record.rhythm.timezone,
        "state": object_text(record.state),
        "options": object_text(record.options),
        "catch_up": int(record.catch_up),
        "paused": 0,
        "next_at": record.next_at,
    }
    if known is not None:
        changed = {f"new_{name}": value for name, value in row.items() if name not in ("name", "paused")}
        yield Execute(UPDATE, {**changed, "of_name": record.name})
    else:
        yield InsertMany(INSERT, [row])
    return record


def read_now() -> Script[int]:
    """The database's time."""
    now = yield Now()
    return int(now)


def list_schedules() -> Script[list[ScheduleRecord]]:
    """Every schedule, by name."""
    return [_record(row) for row in (yield Fetch(ALL, {}))]


def one_schedule(name: str) -> Script[tuple[ScheduleRecord, int]]:
    """A schedule, and the time. NotFound."""
    rows = yield Fetch(ONE, {"of_name": name})
    if not rows:
        raise NotFound(f"there is no schedule {name!r}")
    now = yield Now()
    return _record(rows[0]), now


def due_schedules() -> Script[tuple[list[ScheduleRecord], int, int | None]]:
    """The schedules to fire, the time, and when the next one is due after them."""
    now = yield Now()
    rows = yield Fetch(DUE, {"now": now})
    ((following,),) = yield Fetch(NEXT, {})
    return [_record(row) for row in rows], now, following


def read_graph_body(graph_hash: str) -> Script[str]:
    """The text of a frozen graph."""
    ((body,),) = yield Fetch(GRAPH, {"graph_hash": graph_hash})
    return str(body)


def fire_schedule(name: str, tick: int, next_at: int, flows: Sequence[NewFlow], effects: Effects) -> Script[bool]:
    """Move a schedule on and create the flows of its ticks. False, and nothing done, where another was faster."""
    if not (yield Execute(MOVE, {"of_name": name, "from_tick": tick, "new_next_at": next_at})):
        return False
    yield from create_flows(flows, effects)
    return True


def pause_schedule(name: str) -> Script[None]:
    """Fire no more. NotFound."""
    if not (yield Execute(PAUSE, {"of_name": name})):
        raise NotFound(f"there is no schedule {name!r}")


def resume_schedule(name: str, next_at: int) -> Script[None]:
    """Fire again, from ``next_at`` on. A schedule that is not paused is left as it is."""
    yield Execute(UNPAUSE, {"of_name": name, "new_next_at": next_at})


def delete_schedule(name: str) -> Script[None]:
    """Forget a schedule. Its flows stay. Deleting twice does nothing."""
    yield Execute(DELETE, {"of_name": name})


def _record(row: Row) -> ScheduleRecord:
    kept = ScheduleRow._make(row)
    return ScheduleRecord(
        name=kept.name,
        definition_hash=kept.definition_hash,
        workflow_url=kept.workflow_url,
        graph_hash=kept.graph_hash,
        rhythm=Rhythm(kept.cron, kept.every_ms, kept.timezone),
        state=read_object(kept.state),
        options=read_object(kept.options),
        catch_up=bool(kept.catch_up),
        paused=bool(kept.paused),
        next_at=kept.next_at,
    )
