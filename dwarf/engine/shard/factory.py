"""Creating flows: load the workflow, freeze its graph, and build the records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dwarf import failpoints
from dwarf.core.breakpoints import Breakpoints
from dwarf.core.records import NO_EXTRAS, Extras, FlowRecord, NewFlow, StepRecord
from dwarf.core.step import DecisionContext, first_step, no_room
from dwarf.engine.shard.ids import IdAllocator, new_token
from dwarf.engine.shard.plans import Frozen, PlanCache
from dwarf.engine.telemetry.events import ShardTelemetry
from dwarf.errors import ConfigError, GraphNotFound
from dwarf.workflow.graph import Graph
from dwarf.workflow.host import BaseHost


class FlowFactory:
    """Builds the flows of one shard. The committer inserts them."""

    def __init__(
        self, shard: int, host: BaseHost, plans: PlanCache, ids: IdAllocator, telemetry: ShardTelemetry
    ) -> None:
        self.plans = plans
        self._shard = shard
        self._host = host
        self._ids = ids
        self._observing = telemetry

    async def load_graph(self, workflow: str | Graph, baggage: Mapping[str, Any]) -> tuple[str, Graph]:
        """The URL and the graph of a workflow. GraphNotFound, or the error that the host raises."""
        return await load_graph(self._host, workflow, baggage)

    def build(
        self,
        url: str,
        frozen: Frozen,
        initial: Mapping[str, Any],
        *,
        baggage: Mapping[str, Any],
        priority: int,
        fairness_key: str,
        fairness_weight: float,
        time_budget_ms: int,
        caller: StepRecord | None = None,
        thread: tuple[int, str] | None = None,
        delete_on_completion: bool = False,
        idempotency_key: str | None = None,
        request_hash: str = "",
        scheduled_at: int = 0,
        extras: Extras = NO_EXTRAS,
    ) -> NewFlow:
        """A new flow, ready for insertion. Ids must be at hand: see ``IdAllocator.supply``."""
        flow_id, token = own = self._ids.flows.take(), new_token()
        record = FlowRecord(
            shard=self._shard,
            flow_id=flow_id,
            token=token,
            workflow_url=url,
            plan=frozen.plan,
            graph_hash=frozen.graph_hash,
            baggage=baggage,
            parent_flow_id=caller.flow.flow_id if caller else 0,
            parent_step_id=caller.step_id if caller else 0,
            root_flow_id=caller.flow.root_flow_id if caller else flow_id,
            priority=priority,
            fairness_key=fairness_key,
            fairness_weight=fairness_weight,
            time_budget_ms=time_budget_ms,
            thread_id=(thread or own)[0],
            thread_token=(thread or own)[1],
            delete_on_completion=delete_on_completion,
            scheduled_at=caller.flow.scheduled_at if caller else scheduled_at,
            name=extras.name,
            tags=caller.flow.tags if caller else extras.tags,
            hook=caller.flow.hook if caller else "",
            breakpoints=_points_of(extras),
        )
        depth = caller.depth + 1 if caller else 1
        entry = first_step(record, initial, depth, DecisionContext(self._ids.steps.take, new_token, no_room))
        entry.not_before = extras.start_at
        flow = NewFlow(
            record=record,
            graph_body=frozen.body,
            entry=entry,
            initial=initial,
            idempotency_key=idempotency_key,
            request_hash=request_hash,
            deadline_at=extras.deadline_at,
            deadline_ms=extras.deadline_ms,
        )
        self._observing.new_flow(flow, caller)
        return flow


def _points_of(extras: Extras) -> Breakpoints | None:
    given = extras.before or extras.after
    return Breakpoints().changed(extras.before, extras.after) if given else None


async def load_graph(host: BaseHost, workflow: str | Graph, baggage: Mapping[str, Any]) -> tuple[str, Graph]:
    """The URL and the graph of a workflow given by name or as a graph. Functions on the graph are registered."""
    if isinstance(workflow, Graph):
        register(host, workflow)
        return workflow.name, workflow
    if failpoints.active is not None:
        await failpoints.active.arrive("loadGraph", [workflow])
    graph: Any = await host.load_graph(workflow, baggage)
    if graph is None:
        raise GraphNotFound(f"the host has no workflow {workflow!r}")
    if not isinstance(graph, Graph):
        raise ConfigError(f"the host's load_graph({workflow!r}) answered with a {type(graph).__name__}, not a Graph")
    return workflow, graph


def register(host: BaseHost, graph: Graph) -> None:
    """Register the functions on a graph's nodes. ConfigError if the host accepts none, or has other functions for their
    URLs.
    """
    if any(function is not None for _, _, function in graph._bindings()):
        host.add_functions(graph)
