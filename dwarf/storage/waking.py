"""Steps that are leased by the transaction that wakes them, so that nobody has to look for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dwarf.core.records import JSON, StepRecord
from dwarf.storage.claims import CLAIMED, claimed_record, load_plan
from dwarf.storage.effects import Effects, Suits
from dwarf.storage.payloads.refs import fetch_anchors
from dwarf.storage.rows import FLOW_COLUMNS, flow_record, read_object
from dwarf.storage.script import Row, Script
from dwarf.storage.tables import steps

# What has to be known of a step that sleeps, so that it can be run when it wakes up.
WAKING = (*CLAIMED, steps.c.limit_name, *FLOW_COLUMNS)
_CRASHES, _LIMIT, FLOW = len(CLAIMED) - 1, len(CLAIMED), len(CLAIMED) + 1
CHANGES, LINEAGE, ANSWERS, LEASE_SEQ = 7, 9, 11, 12


def awoken(row: Row, answers: Sequence[JSON], suits: Suits | None, effects: Effects) -> Script[StepRecord | None]:
    """The step of a row of WAKING with new answers, as it is when this replica leases it now.

    None where it is left to whoever looks for work: it has no place here, has to keep to a limit, or is suspected of
    ending its process.
    """
    writer = effects.writer
    if suits is None or row[_LIMIT] or row[_CRASHES] >= writer.suspect_at:
        return None
    columns = row[FLOW:]
    plan = yield from load_plan(columns[3], writer.plan_of)
    flow = flow_record(writer.shard, columns, plan)
    if not suits(flow, plan.nodes[row[3]].url):
        return None
    anchors = yield from fetch_anchors(read_object(row[6]).values(), alone=True)
    step = claimed_record(row[:_LIMIT], flow, anchors, effects.now, answers)
    step.lease_seq += 1
    if effects.written is not None:
        effects.read.append((flow.workflow_url, len(row[5]), len(row[CHANGES]), len(row[ANSWERS])))
    return step


def lease(effects: Effects) -> Mapping[str, Any]:
    """The parameters with which a statement leases a step; see claims.LEASE."""
    writer = effects.writer
    return {"now": effects.now, "margin": writer.margin_ms, "new_engine_id": writer.engine_id}
