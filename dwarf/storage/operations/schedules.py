"""Schedules: stored, listed, paused, and fired once per tick by the fastest replica."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, bindparam, delete, func, insert, literal_column, select, update

from dwarf.core.cron import LastFlow, Overlap, ScheduleSpec, read_overlap
from dwarf.core.records import NewFlow
from dwarf.errors import NotFound
from dwarf.storage.operations.create import create_flows
from dwarf.storage.operations.unit_of_work import UnitOfWork
from dwarf.storage.sql.expressions import flag_is, in_ids
from dwarf.storage.sql.graphs import GRAPH
from dwarf.storage.sql.rows import columns, object_text, read_object
from dwarf.storage.sql.script import Execute, Fetch, InsertMany, Now, Row, Script, Statement
from dwarf.storage.sql.tables import flows, schedules
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.status import Status
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
    overlap: str
    last_flow_id: int


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
    .values(
        next_at=bindparam("new_next_at"),
        last_flow_id=func.coalesce(bindparam("flow_id", type_=BigInteger), schedules.c.last_flow_id),
    ),
)
LAST = Statement(
    "last_scheduled_flows",
    select(flows.c.flow_id, flows.c.status, flows.c.updated_at).where(in_ids(flows.c.flow_id, "ids")),
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
    """A schedule in its stored form. ``graph_hash`` is empty if the host loads the workflow at each tick."""

    name: str
    definition_hash: str
    workflow_url: str
    graph_hash: str
    spec: ScheduleSpec
    state: dict[str, Any]
    options: dict[str, Any]
    catch_up: bool
    paused: bool
    next_at: int
    overlap: Overlap = "skip"
    last_flow_id: int = 0


def definition_text(record: ScheduleRecord) -> str:
    """The definition by which two schedules of a name are compared."""
    return dumps(
        [
            record.workflow_url,
            record.graph_hash,
            asdict(record.spec),
            canonical(record.state),
            canonical(record.options),
            record.catch_up,
            *([] if record.overlap == "skip" else [record.overlap]),  # as before the option existed
        ]
    )


def _is_same(known: ScheduleRecord, record: ScheduleRecord) -> bool:
    """Whether the definitions are equal, including hashes made by an earlier version."""
    return known.definition_hash == record.definition_hash or definition_text(known) == definition_text(record)


def put_schedule(record: ScheduleRecord, graph_body: str, work: UnitOfWork) -> Script[ScheduleRecord]:
    """Store a schedule. An existing one of the same name and definition is unchanged; another definition replaces it.

    If the rhythm is the same, the next tick is kept: a program that is deployed daily, with an interval of a day, would
    otherwise never see a tick.
    """
    rows = yield Fetch(ONE, {"of_name": record.name})
    known = _record(rows[0]) if rows else None
    if known is not None and _is_same(known, record):
        return known
    if known is not None:
        record = replace(record, paused=known.paused, last_flow_id=known.last_flow_id)
        if known.spec == record.spec:
            record = replace(record, next_at=known.next_at)
    if record.graph_hash:
        work.add_graph(record.graph_hash, graph_body)
    row = {
        "name": record.name,
        "definition_hash": record.definition_hash,
        "workflow_url": record.workflow_url,
        "graph_hash": record.graph_hash,
        "cron": record.spec.cron,
        "every_ms": record.spec.every_ms,
        "timezone": record.spec.timezone,
        "state": object_text(record.state),
        "options": object_text(record.options),
        "catch_up": int(record.catch_up),
        "paused": 0,
        "next_at": record.next_at,
        "overlap": record.overlap,
        "last_flow_id": record.last_flow_id,
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


@dataclass(frozen=True, slots=True)
class Due:
    """The due schedules, with the flows of their latest ticks, and the time.

    ``following`` is when the next schedule is due, including these; None if there is none.
    """

    records: list[ScheduleRecord]
    last: dict[int, LastFlow]
    now: int
    following: int | None


def due_schedules() -> Script[Due]:
    """The due schedules."""
    now = yield Now()
    records = [_record(row) for row in (yield Fetch(DUE, {"now": now}))]
    ids = sorted({record.last_flow_id for record in records if record.last_flow_id and record.overlap != "allow"})
    last: dict[int, LastFlow] = {}
    for flow_id, status, updated_at in (yield Fetch(LAST, {"ids": ids})) if ids else ():
        last[flow_id] = LastFlow(flow_id, updated_at if Status(status).terminal else 0)
    ((following,),) = yield Fetch(NEXT, {})
    return Due(records=records, last=last, now=now, following=following)


def read_graph_body(graph_hash: str) -> Script[str]:
    """The text of a frozen graph."""
    ((body,),) = yield Fetch(GRAPH, {"graph_hash": graph_hash})
    return str(body)


def fire_schedule(name: str, tick: int, next_at: int, new: Sequence[NewFlow], work: UnitOfWork) -> Script[bool]:
    """Advance a schedule and create the flows of its ticks. False, without any write, if another replica was faster."""
    last = new[-1].record.flow_id if new else None
    if not (yield Execute(MOVE, {"of_name": name, "from_tick": tick, "new_next_at": next_at, "flow_id": last})):
        return False
    yield from create_flows(new, work)
    return True


def pause_schedule(name: str) -> Script[None]:
    """Pause a schedule. NotFound."""
    if not (yield Execute(PAUSE, {"of_name": name})):
        raise NotFound(f"there is no schedule {name!r}")


def resume_schedule(name: str, next_at: int) -> Script[None]:
    """Resume a schedule, from ``next_at`` on. A schedule that is not paused is unchanged. NotFound."""
    yield Execute(UNPAUSE, {"of_name": name, "new_next_at": next_at})


def delete_schedule(name: str) -> Script[None]:
    """Delete a schedule. Its flows stay. Deleting twice does nothing."""
    yield Execute(DELETE, {"of_name": name})


def _record(row: Row) -> ScheduleRecord:
    kept = ScheduleRow._make(row)
    return ScheduleRecord(
        name=kept.name,
        definition_hash=kept.definition_hash,
        workflow_url=kept.workflow_url,
        graph_hash=kept.graph_hash,
        spec=ScheduleSpec(kept.cron, kept.every_ms, kept.timezone),
        state=read_object(kept.state),
        options=read_object(kept.options),
        catch_up=bool(kept.catch_up),
        paused=bool(kept.paused),
        next_at=kept.next_at,
        overlap=read_overlap(kept.overlap or "skip"),
        last_flow_id=kept.last_flow_id,
    )
