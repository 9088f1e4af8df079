"""Steps that are leased by the transaction that wakes them, so that no claim is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dwarf.core.records import JSON, StepRecord
from dwarf.storage.operations.claim import CLAIMED, ClaimedRow
from dwarf.storage.operations.unit_of_work import SlotPredicate, UnitOfWork
from dwarf.storage.payloads.state_refs import fetch_anchors
from dwarf.storage.sql.graphs import load_plan
from dwarf.storage.sql.rows import FLOW_COLUMNS, FlowRow, read_object
from dwarf.storage.sql.script import Row, Script
from dwarf.storage.sql.tables import steps

WAKING = (*CLAIMED, steps.c.limit_name, *FLOW_COLUMNS)
_STEP = len(CLAIMED)


class WakingRow(NamedTuple):
    """The columns of a waiting step that are needed to run it when it wakes up."""

    step: ClaimedRow
    limit_name: str
    flow: FlowRow

    @classmethod
    def of(cls, row: Row) -> WakingRow:
        """From a row of WAKING."""
        limit_name, *flow = row[_STEP:]
        return cls(ClaimedRow._make(row[:_STEP]), limit_name, FlowRow._make(flow))


def awoken(
    row: WakingRow, answers: Sequence[JSON], suits: SlotPredicate | None, work: UnitOfWork
) -> Script[StepRecord | None]:
    """A step with new answers, as leased to this replica.

    None if it is left to the dispatchers: it has no slot here, has a limit, or has often crashed its process.
    """
    writer = work.writer
    asleep = row.step
    if suits is None or row.limit_name or asleep.crashes >= writer.quarantine_at:
        return None
    plan = yield from load_plan(row.flow.graph_hash, writer.plan_of)
    flow = row.flow.record(writer.shard, plan)
    if plan.nodes[asleep.node].labels or not suits(flow, plan.nodes[asleep.node].need):
        return None
    anchors = yield from fetch_anchors(read_object(asleep.refs).values(), autocommit=True)
    step = asleep.record(flow, anchors, work.now, answers)
    # as LEASE does in the row
    step.lease_seq += 1
    if work.written is not None:
        work.read.append(asleep.sizes(flow.workflow_url))
    return step


def lease(work: UnitOfWork) -> Mapping[str, Any]:
    """The parameters with which a statement leases a step; see claim.LEASE."""
    writer = work.writer
    return {"now": work.now, "margin": writer.margin_ms, "new_engine_id": writer.engine_id}
