"""Writing down how far running tasks have come."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select, update

from dwarf.storage.expressions import flag_is, in_ids, locked, of_row, status_is
from dwarf.storage.script import Lock, Now, Row, Script, Statement, UpdateEach
from dwarf.storage.tables import steps
from dwarf.workflow.status import Status

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
# a step that is locked is about to be over
FREE = Statement(
    "free_steps",
    locked(select(steps.c.step_id).where(in_ids(steps.c.step_id, "ids")).order_by(steps.c.step_id), steps, skip=True),
)


def write_progress(reports: Sequence[tuple[int, int, str]]) -> Script[None]:
    """Keep progress on running steps: (step id, lease, JSON text) each. Steps that moved on are left alone."""
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
