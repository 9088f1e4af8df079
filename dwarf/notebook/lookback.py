"""How is a flow read when it is looked back on? Its branches, its answers, its states, each in a read or two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dwarf.errors import InvalidRequest

if TYPE_CHECKING:
    import pandas as pd

    from dwarf.engine import Engine, FlowHandle
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.results import Step

__all__ = ["all_steps", "read_cohort"]


async def read_cohort(engine: Engine, handle: FlowHandle, graph: Graph, node: str) -> pd.DataFrame:
    """The table of a fan-out's branches at a node, of child flows too. InvalidRequest where there is no such node."""
    from dwarf.notebook.frames import cohort_frame

    known = [each.name for each in graph.nodes]
    if node not in known:
        owner = next(_flows_with(await handle.history(), node), "")
        if not owner:
            raise InvalidRequest(f"there is no node {node!r}; the nodes are {', '.join(known)}")
        graph = await engine.flow(owner).graph()
    edges = [each for each in graph.transitions if each.for_each]
    items = [each.item for each in edges if each.target == node] or [each.item for each in edges] or ["item"]
    wanted = dict.fromkeys(name for item in items for name in (item, f"{item}Index"))
    steps = await handle.steps(node=node, fields=wanted)
    held = (item for item in items for step in steps[:1] if f"{item}Index" in (step.state or {}))
    return cohort_frame(steps, next(held, items[0]))


def all_steps(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps of a history and of the child flows in it; a child's follow the step that called it."""
    stack = list(reversed(steps))
    while stack:
        step = stack.pop()
        yield step
        stack += [child for flow in reversed(step.sub_flows) for child in reversed(flow.steps)]


def _flows_with(steps: Sequence[Step], node: str) -> Iterator[str]:
    """The keys of the child flows that have reached a node."""
    for step in all_steps(steps):
        for flow in step.sub_flows:
            if any(child.node == node for child in flow.steps):
                yield flow.flow_key
