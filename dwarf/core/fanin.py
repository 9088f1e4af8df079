"""Merging the branches of a cohort at its fan-in."""

from __future__ import annotations

from collections.abc import Mapping

from dwarf.core.plan import Plan
from dwarf.core.records import JSON, NewStep, Spawn, State, StepRecord
from dwarf.core.state_refs import converged
from dwarf.core.step import DecisionContext, new_step
from dwarf.workflow.algebra import fold, settle
from dwarf.workflow.reducers import Reducer


def merge_cohort(spawn: Spawn, reducers: Mapping[str, Reducer | str]) -> dict[str, JSON]:
    """The state of the spawn, with its own changes and the changes of every completed member in branch order.

    ReducerError, naming reducer and field, if two values do not fit together.
    """
    deltas: list[State] = [spawn.changes]
    deltas.extend(member.changes for member in spawn.members)
    return settle(fold(spawn.state, deltas, reducers))


def give_back(merged: dict[str, JSON], spawn: Spawn, plan: Plan) -> None:
    """Restore, in a merged state, the fields that a for-each sets for its items.

    They get the values that they had when the cohort was opened, and are removed if the source had none.
    """
    names = plan.nodes[spawn.node].injected
    if not names:
        return
    state = {name: spawn.state[name] for name in names if name in spawn.state}
    changes = {name: spawn.changes[name] for name in names if name in spawn.changes}
    before = settle(fold(state, [changes], plan.reducers))
    for name in names:
        if name in before:
            merged[name] = before[name]
        else:
            merged.pop(name, None)


def converge(
    spawn: Spawn, fan_in: str, last: StepRecord, context: DecisionContext, delay_ms: int, lease: bool
) -> NewStep:
    """The fan-in step of a settled cohort. ``last`` is the step that arrived last. ReducerError if the merge fails."""
    plan = last.flow.plan
    merged = merge_cohort(spawn, plan.reducers)
    give_back(merged, spawn, plan)
    kept = converged(merged, spawn, plan.reducers)
    depth = max([last.depth, *(member.depth for member in spawn.members)]) + 1
    step = new_step(
        last,
        fan_in,
        merged,
        kept.stored,
        kept.refs,
        context,
        lineage=spawn.lineage_id,
        ordinal=spawn.ordinal,
        depth=depth,
    )
    step.delay_ms = delay_ms
    # a step with a limit is counted by a claim, and never handed over
    step.leased = lease and delay_ms == 0 and not step.limit_name
    return step
