"""Forks and further turns: new flows made from existing ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from dwarf import failpoints
from dwarf.core.fork import Role, Target
from dwarf.core.keys import Key
from dwarf.core.records import Extras, FlowRecord, NewFlow, State
from dwarf.core.step import DecisionContext, no_room
from dwarf.engine.shard.graph_warnings import Changes
from dwarf.engine.shard.ids import IdsForgotten, new_token
from dwarf.engine.shard.plans import Frozen
from dwarf.errors import InvalidRequest
from dwarf.storage.operations.fork import Onto, Origin, read_for_fork, read_for_repair, write_copy
from dwarf.storage.operations.fork_rows import Copier
from dwarf.storage.operations.threads import continue_thread
from dwarf.storage.sql.graphs import load_plan
from dwarf.storage.sql.rows import read_object
from dwarf.workflow.graph import Graph
from dwarf.workflow.parks import encode_fields
from dwarf.workflow.typeforms import fields_of

if TYPE_CHECKING:
    from dwarf.engine.shard.runtime import ShardRuntime

SAMPLED = 4  # steps whose fields are sampled
_ROLES = {"input": Role.AGAIN, "after": Role.AFTER}


def read_changes(changes: Any, what: str = "changes") -> dict[str, Any]:
    """Fields to lay over a state, as plain JSON; None deletes. InvalidRequest for a value that is no object;
    StateError.
    """
    if changes is None:
        return {}
    fields = fields_of(changes)
    if fields is None:
        raise InvalidRequest(f"{what} are a mapping, a dataclass or a model, not {type(changes).__name__}")
    return encode_fields(fields)


def read_target(at: str, keep_answers: int) -> Target:
    """How the copy continues at a step. InvalidRequest."""
    role = _ROLES.get(at) if isinstance(at, str) else None
    if role is None:
        raise InvalidRequest(f'at is "input" (run the step again) or "after" (keep its result), not {at!r}')
    if not isinstance(keep_answers, int) or isinstance(keep_answers, bool) or keep_answers < 0:
        raise InvalidRequest(f"keep_answers is a whole number from 0 up, not {keep_answers!r}")
    if keep_answers and role is Role.AFTER:
        raise InvalidRequest('keep_answers is for at="input": after a step, all of its answers stand')
    return Target(role, keep_answers)


async def fork_at(
    runtime: ShardRuntime, key: Key, target: Target, changes: Mapping[str, Any], graph: Graph | None = None
) -> str:
    """A copy of a flow that continues at one step, with ``graph`` if one is given. Returns its key."""
    onto = await _onto(runtime, graph)
    origin = await runtime.database.read(
        lambda: read_for_fork(key, target, runtime.plans.plan_of, changes=changes, onto=onto)
    )
    await _check_changes(runtime, origin, changes)
    return await _copy(runtime, origin, changes)


async def repair(runtime: ShardRuntime, key: Key, changes: Mapping[str, Any], graph: Graph | None = None) -> str:
    """A copy of a flow that continues wherever it was stopped, with ``graph`` if one is given. Returns its key."""
    onto = await _onto(runtime, graph)
    origin = await runtime.database.read(lambda: read_for_repair(key, runtime.plans.plan_of, changes, onto))
    await _check_changes(runtime, origin, changes)
    return await _copy(runtime, origin, changes)


async def _check_changes(runtime: ShardRuntime, origin: Origin, changes: Mapping[str, Any]) -> None:
    """Warn of changed fields that look misspelt. GraphError if the engine is strict."""
    targets = [row for row in origin.steps if row["step_id"] in origin.targets][:SAMPLED]
    homes = {row["flow_id"] for row in targets}
    if not changes or len(homes) != 1:  # a field that is unknown in one flow may be used in another
        return
    there = {
        name for row in targets for column in ("state", "refs", "changes") for name in read_object(row[column] or "")
    }
    if there.issuperset(changes):
        return
    flow = next(flow for flow in origin.flows if flow["flow_id"] in homes)
    graph_hash, plan_of = flow["graph_hash"], runtime.plans.plan_of
    plan = plan_of(graph_hash)
    if plan is None:
        plan = await runtime.database.read(lambda: load_plan(graph_hash, plan_of))
    laid_over = Changes(frozenset(changes), frozenset(there), whole=not flow["parent_flow_id"])
    await runtime.context.wiring.look_at_changes(graph_hash, plan.graph, laid_over)


async def _onto(runtime: ShardRuntime, graph: Any) -> Onto | None:
    """The frozen graph for a copy; functions on its nodes are registered. InvalidRequest, GraphError."""
    if graph is None:
        return None
    if not isinstance(graph, Graph):
        raise InvalidRequest(f"graph is a Graph, not {type(graph).__name__}")
    _, known = await runtime.flows.load_graph(graph, {})
    frozen = runtime.plans.freeze(known)
    return Onto(frozen.graph_hash, frozen.body, frozen.plan)


async def next_turn(runtime: ShardRuntime, key: Key, additions: Mapping[str, Any]) -> str:
    """A further turn of a flow's thread. Returns its key."""
    make = partial(_turn, runtime)
    flow = await runtime.committer.call(lambda work: continue_thread(key, additions, make, work, runtime.plans.plan_of))
    return flow.key


async def _copy(runtime: ShardRuntime, origin: Origin, changes: State) -> str:
    try:
        return await _copy_once(runtime, origin, changes)
    except IdsForgotten:  # new ids have been reserved
        return await _copy_once(runtime, origin, changes)


async def _copy_once(runtime: ShardRuntime, origin: Origin, changes: State) -> str:
    ids = runtime.ids
    flow_ids = await ids.take(ids.flows, len(origin.flows))
    step_ids = await ids.take(ids.steps, len(origin.steps))
    display_ids = await ids.take(ids.steps, len(origin.shown)) if origin.shown else []
    copier = Copier(
        origin,
        changes,
        flow_ids,
        step_ids,
        display_ids,
        shard=runtime.shard,
        engine_id=runtime.engine_id,
        token=new_token,
    )
    copy = copier.copy()
    if origin.routed is not None:
        decision_context = DecisionContext(ids.steps.take, new_token, no_room, max_depth=runtime.settings.max_depth)
        await ids.supply(copier.route_on, copy, decision_context)
    if failpoints.active is not None:
        await failpoints.active.arrive("beforeCopy")
    span = runtime.telemetry.new_copy(copy.flows, copy.root_id)
    await runtime.committer.call(lambda work: write_copy(copy, work))
    runtime.telemetry.copied(copy.flows, span)
    return copier.key


def _turn(runtime: ShardRuntime, base: FlowRecord, state: State) -> NewFlow:
    return runtime.flows.build(
        base.workflow_url,
        Frozen(base.graph_hash, "", base.plan),
        state,
        baggage=base.baggage,
        priority=base.priority,
        fairness_key=base.fairness_key,
        fairness_weight=base.fairness_weight,
        time_budget_ms=base.time_budget_ms,
        thread=(base.thread_id, base.thread_token),
        extras=Extras(name=base.name, tags=base.tags),
    )
