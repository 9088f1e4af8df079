"""Storing the output and the progress of tasks: output in its own tables, progress on the step."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from dwarf.core.records import StepRecord
from dwarf.storage.payloads.blobs import free_holders
from dwarf.storage.sql.expressions import flag_is, in_ids, locked, of_row, status_is
from dwarf.storage.sql.script import Execute, Fetch, InsertMany, Lock, Now, Row, Script, Statement, UpdateEach
from dwarf.storage.sql.tables import displays, output, steps
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.output import Said
from dwarf.workflow.status import Status

_RUNNING = (
    select(steps.c.step_id, steps.c.lease_seq)
    .where(in_ids(steps.c.step_id, "ids"), status_is(steps.c.status, Status.RUNNING), flag_is(steps.c.parked, 0))
    .order_by(steps.c.step_id)
)
RUNNING = Statement("running_steps", _RUNNING)
# a locked step is about to end: its output is written then, or a moment later
LOCK_RUNNING = Statement("lock_running_steps", locked(_RUNNING, steps, skip=True))
INSERT_OUTPUT = Statement("insert_output", insert(output).values({c: bindparam(c.name) for c in output.columns}))
INSERT_DISPLAY = Statement("insert_display", insert(displays).values({c: bindparam(c.name) for c in displays.columns}))
DROP_PART = Statement(
    "drop_output_part",
    delete(output).where(
        output.c.step_id == bindparam("of_step"), output.c.run == bindparam("of_run"), output.c.part == bindparam("id")
    ),
)
DISPLAYED = Statement(
    "displays_of_steps",
    select(displays.c.display_id, displays.c.step_id, displays.c.slot).where(in_ids(displays.c.step_id, "ids")),
)
SAID = Statement("said_by_steps", select(*output.columns).where(in_ids(output.c.step_id, "ids")))
SHOWN = Statement("shown_by_steps", select(*displays.columns).where(in_ids(displays.c.step_id, "ids")), raw=True)
COPY_OUTPUT = Statement("copy_output", insert(output))
COPY_DISPLAY = Statement("copy_display", insert(displays), raw=True)
OUTPUT_NAMES = tuple(column.name for column in output.columns)
DISPLAY_NAMES = tuple(column.name for column in displays.columns)
DROP_DISPLAYS = Statement("drop_displays", delete(displays).where(in_ids(displays.c.display_id, "ids")))

PROGRESS = Statement(
    "step_progress",
    update(steps)
    .where(
        steps.c.step_id == bindparam("id"),
        status_is(of_row(steps.c.status), Status.RUNNING),
        flag_is(of_row(steps.c.parked), 0),
        steps.c.lease_seq == bindparam("seq"),
    )
    .values(progress=bindparam("new_progress"), updated_at=bindparam("now")),
)
# a locked step is about to end
FREE = Statement(
    "free_steps",
    locked(select(steps.c.step_id).where(in_ids(steps.c.step_id, "ids")).order_by(steps.c.step_id), steps, skip=True),
)


@dataclass(slots=True, kw_only=True)
class SaidRecord:
    """The output of a run of a step. ``display_ids`` are new ids, one for each display."""

    step_id: int
    flow_id: int
    root_flow_id: int
    run: int
    attempt: int
    said: Said
    display_ids: Sequence[int] = field(default=())


class Moments:
    """Times of output by the clock of the shard. Later output of this process never gets an earlier time.

    A transaction reads the database's clock first and this process's clock slightly later, so each offset is wrong by
    some milliseconds. One offset is used for all transactions, until one of the clocks has been set.
    """

    AS_ONE_MS = 250  # above the delay of a busy process between the two readings, below what a reader notices

    def __init__(self) -> None:
        self._offset: float | None = None
        self._latest = 0

    def at(self, now: int) -> None:
        """A transaction has just begun, at ``now``, in milliseconds."""
        offset = now - monotonic() * 1000
        if self._offset is None or abs(offset - self._offset) > self.AS_ONE_MS:
            self._offset = offset
        self._latest = now

    def __call__(self, moment: float) -> int:
        """The time of a moment of ``time.monotonic``, in milliseconds; at most the time of the transaction."""
        return min(math.floor(moment * 1000 + (self._offset or 0.0)), self._latest)


def write_live(records: Sequence[SaidRecord], now: int, moments: Moments, *, again: bool) -> Script[set[int]]:
    """Write the output of running steps so far. Returns the ids of the steps for which that was possible now.

    ``again``: an earlier try may have taken effect.
    """
    ids = sorted(record.step_id for record in records)
    rows: list[Row] | None = yield Lock(LOCK_RUNNING, {"ids": ids})
    if rows is None:
        rows = yield Fetch(RUNNING, {"ids": ids})
    leases = dict(rows)
    own = [record for record in records if leases.get(record.step_id) == record.run]
    if again and (written := _parts_of(own)):
        yield UpdateEach(DROP_PART, written)
    yield from write_said(own, now, moments)
    return {record.step_id for record in own}


def take_over_said(steps_: Sequence[StepRecord], now: int) -> Script[None]:
    """Copy to steps the output and displays of the steps whose outcomes they reuse."""
    telling = {step.taken.step_id: step.taken for step in steps_ if step.taken is not None}
    ids = sorted(telling)
    said = [dict(zip(OUTPUT_NAMES, row, strict=True)) for row in (yield Fetch(SAID, {"ids": ids}))]
    shown: list[dict[str, Any]] = []
    if any(taken.display_ids for taken in telling.values()):
        shown = [dict(zip(DISPLAY_NAMES, row, strict=True)) for row in (yield Fetch(SHOWN, {"ids": ids}))]
    lines: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    for step in steps_:
        taken = step.taken
        assert taken is not None
        place = {"step_id": step.step_id, "flow_id": step.flow.flow_id, "run": step.lease_seq}
        own = [row for row in said if row["step_id"] == taken.step_id]
        last = max((row["run"] for row in own), default=0)  # the run of the outcome
        lines += [{**row, **place, "attempt": step.attempt, "written_at": now} for row in own if row["run"] == last]
        seen = [row for row in shown if row["step_id"] == taken.step_id]
        pictures += [
            {**row, **place, "attempt": step.attempt, "written_at": now, "display_id": display_id}
            for row, display_id in zip(seen, taken.display_ids, strict=False)
        ]
    if lines:
        yield InsertMany(COPY_OUTPUT, lines)
    if pictures:
        yield InsertMany(COPY_DISPLAY, pictures)


def write_said(records: Collection[SaidRecord], now: int, moments: Moments) -> Script[None]:
    """Write output of steps that are known to exist."""
    lines = [_line_row(record, part, moments(part.began), now) for record in records for part in record.said.parts]
    if lines:
        yield InsertMany(INSERT_OUTPUT, lines)
    dropped = [
        {"of_step": record.step_id, "of_run": record.run, "id": number}
        for record in records
        for number in record.said.dropped
    ]
    if dropped:
        yield UpdateEach(DROP_PART, dropped)
    showing = [record for record in records if record.said.shown]
    if showing:
        yield from _replace(showing)
        yield InsertMany(
            INSERT_DISPLAY,
            [
                {
                    "display_id": display_id,
                    "step_id": record.step_id,
                    "flow_id": record.flow_id,
                    "slot": shown.slot,
                    "attempt": record.attempt,
                    "run": record.run,
                    "number": shown.number,
                    "shown_at": moments(shown.at),
                    "written_at": now,
                    "name": shown.name,
                    "data": dumps(dict(shown.data)),
                }
                for record in showing
                for display_id, shown in zip(record.display_ids, record.said.shown.values(), strict=True)
            ],
        )


def _line_row(record: SaidRecord, part: Any, began_at: int, now: int) -> dict[str, Any]:
    return {
        "step_id": record.step_id,
        "run": record.run,
        "part": part.number,
        "flow_id": record.flow_id,
        "attempt": record.attempt,
        "is_stream": int(part.stream),
        "first_line": part.first,
        "line_count": part.lines,
        "began_at": began_at,
        "written_at": now,
        "name": part.name,
        "body": part.body,
    }


def _parts_of(records: Collection[SaidRecord]) -> list[dict[str, int]]:
    return [
        {"of_step": record.step_id, "of_run": record.run, "id": part.number}
        for record in records
        for part in record.said.parts
    ]


def _replace(records: Collection[SaidRecord]) -> Script[None]:
    """Remove the displays that are replaced."""
    wanted = {(record.step_id, slot) for record in records for slot in record.said.shown}
    rows = yield Fetch(DISPLAYED, {"ids": sorted({step_id for step_id, _ in wanted})})
    stale = [display_id for display_id, step_id, slot in rows if (step_id, slot) in wanted]
    if stale:
        yield Execute(DROP_DISPLAYS, {"ids": stale})
        yield from free_holders(stale)


def write_progress(reports: Sequence[tuple[int, int, str]]) -> Script[None]:
    """Store the progress of running steps: (step id, lease, JSON text) each. Steps with another lease are skipped."""
    now = yield Now()
    free: list[Row] | None = yield Lock(FREE, {"ids": [step_id for step_id, _, _ in reports]})
    wanted = None if free is None else {step_id for (step_id,) in free}
    yield UpdateEach(
        PROGRESS,
        [
            {"id": step_id, "seq": seq, "new_progress": text, "now": now}
            for step_id, seq, text in reports
            if wanted is None or step_id in wanted
        ],
    )
