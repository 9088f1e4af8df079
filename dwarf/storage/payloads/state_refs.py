"""Reading fields that are stored with another step."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from dwarf.core.records import State
from dwarf.core.state_refs import after
from dwarf.storage.sql.expressions import in_ids
from dwarf.storage.sql.rows import read_object
from dwarf.storage.sql.script import Fetch, Script, Statement
from dwarf.storage.sql.tables import steps

ANCHORS = Statement(
    "anchors", select(steps.c.step_id, steps.c.state, steps.c.changes).where(in_ids(steps.c.step_id, "ids"))
)


def fetch_anchors(anchor_ids: Iterable[int], *, autocommit: bool = False) -> Script[dict[int, State]]:
    """The values held by each anchor: its changes over its own stored state. ``autocommit``: see Fetch."""
    wanted = sorted(set(anchor_ids))
    if not wanted:
        return {}
    rows = yield Fetch(ANCHORS, {"ids": wanted}, autocommit)
    return {step_id: after(read_object(state), read_object(changes)) for step_id, state, changes in rows}
