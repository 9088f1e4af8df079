"""How is a flow read when it is looked back on? Its branches, its answers, its states, each in a read or two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dwarf.errors import InvalidRequest
from dwarf.workflow.suggest import near_node

if TYPE_CHECKING:
    import pandas as pd

    from dwarf.engine import Engine, FlowHandle
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.results import Step

__all__ = ["all_steps", "read_cohort", "with_places"]


async def read_cohort(engine: Engine, handle: FlowHandle, graph: Graph, node: str) -> pd.DataFrame:
    """The table of a fan-out's branches at a node, of child flows too. InvalidRequest where there is no such node."""
    from dwarf.notebook.analysis.frames import cohort_frame

    known = [each.name for each in graph.nodes]
    if node not in known:
        owner = next(_flows_with(await handle.history(), node), "")
        if not owner:
            raise InvalidRequest(f"there is no node {node!r}{near_node(node, known)}")
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


def with_places(steps: Sequence[Step]) -> Iterator[tuple[tuple[str, str, int], Step]]:
    """The steps with what names them in any run of the graph: the nodes whose subgraphs they stand in, their node, and
    the how-manieth of it they are. A caller's steps come before those of its subgraphs."""
    levels = [("", [(0, step) for step in steps])]
    for within, ranked in levels:
        seen: dict[str, int] = {}
        below: dict[str, list[tuple[int, Step]]] = {}
        # a child's steps are put in order by its caller first, since ids tell only which one happened to start earlier
        ranked.sort(key=lambda each: (each[0], each[1].depth, each[1].ordinal, each[1].id))
        for rank, (_, step) in enumerate(ranked):
            number = seen.get(step.node, 0)
            seen[step.node] = number + 1
            yield (within, step.node, number), step
            path = f"{within}/{step.node}" if within else step.node
            for place, flow in enumerate(step.sub_flows):
                order = rank * 1000 + place
                below.setdefault(path, []).extend((order, child) for child in flow.steps)
        levels.extend(below.items())


def _flows_with(steps: Sequence[Step], node: str) -> Iterator[str]:
    """The keys of the child flows that have reached a node."""
    for step in all_steps(steps):
        for flow in step.sub_flows:
            if any(child.node == node for child in flow.steps):
                yield flow.flow_key
