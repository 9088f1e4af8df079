"""Steps and means for tests of pure decisions."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from dwarf import Graph
from dwarf.core.plan import Plan
from dwarf.core.records import FlowRecord, StepRecord
from dwarf.core.step import DecisionContext, Returned
from dwarf.workflow.signals import Answer, Control, Park


def context(room: bool = True) -> DecisionContext:
    """Ids from 1000 up, tokens that tell their number, room for everything or nothing."""
    ids, tokens = count(1000), count()
    return DecisionContext(lambda: next(ids), lambda: f"token{next(tokens)}", lambda url: room)


def flow_of(graph: Graph, *, flow_id: int = 7) -> FlowRecord:
    """A root flow of a graph."""
    return FlowRecord(
        shard=1,
        flow_id=flow_id,
        token="f" * 16,
        workflow_url=graph.name,
        plan=Plan(graph),
        graph_hash="hash",
        baggage={},
        parent_flow_id=0,
        parent_step_id=0,
        root_flow_id=flow_id,
        priority=100,
        fairness_key="",
        fairness_weight=1.0,
        time_budget_ms=60_000,
    )


def step_at(
    graph: Graph,
    node: str,
    state: Mapping[str, Any] | None = None,
    *,
    changes: Mapping[str, Any] | None = None,
    lineage: int = 0,
    ordinal: int = 0,
    depth: int = 1,
    step_id: int = 50,
    refs: Mapping[str, int] | None = None,
    answers: tuple[Answer, ...] = (),
) -> StepRecord:
    """A leased step at a node."""
    return StepRecord(
        flow=flow_of(graph),
        step_id=step_id,
        token="s" * 16,
        node=node,
        depth=depth,
        state=dict(state or {}),
        refs=dict(refs or {}),
        changes=dict(changes or {}),
        attempt=0,
        lineage_id=lineage,
        ordinal=ordinal,
        answers=answers,
        lease_seq=1,
        created_at=0,
        claimed_at=0,
    )


def returned(
    changes: Mapping[str, Any] | None = None,
    *,
    goto: str = "",
    delay_ms: int = 0,
    park: Park | None = None,
    problem: str = "",
) -> Returned:
    """What a task gave back."""
    return Returned(Control(goto, delay_ms, park, problem), dict(changes or {}))
