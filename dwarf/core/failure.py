"""The final state of a flow that stopped before its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dwarf.core.fanin import give_back, merge_cohort
from dwarf.core.plan import Plan
from dwarf.core.records import JSON, Spawn, State
from dwarf.errors import ReducerError
from dwarf.workflow.algebra import fold, settle


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """A step without a successor."""

    step_id: int
    lineage_id: int
    completed: bool
    state: State
    changes: State


def relevant_tails(tails: Sequence[Tail]) -> Sequence[Tail]:
    """The tails that count: the completed ones, or all if none is completed."""
    completed = [tail for tail in tails if tail.completed]
    return completed or tails


def stopped_state(plan: Plan, tails: Sequence[Tail], spawns: Sequence[Spawn]) -> dict[str, JSON]:
    """The final state of a failed or cancelled flow, from its relevant tails.

    ``spawns`` are the sources of the cohorts around the first tail, innermost first; fields that a for-each sets for
    its items get their former values. A reducer that fails here must not hide the error of the flow, so the state is
    then empty.
    """
    if not tails:
        return {}
    try:
        if spawns:
            merged = merge_cohort(spawns[0], plan.reducers)
        else:
            merged = settle(fold(tails[0].state, [tail.changes for tail in tails], plan.reducers))
        for spawn in spawns:
            give_back(merged, spawn, plan)
    except ReducerError:
        return {}
    return merged
