"""What is a picture made of, where subgraphs stand open in it? Planes: a flow's graph with what was seen of the flow.

Why planes and no single large graph: a subgraph is a flow with steps, states and a clock of its own, its nodes may have
the names of the nodes around it, and it is opened and closed while the flow runs. The layout of a plane depends on the
graph and on what stands open in it, never on states, so that nothing moves while one watches.

A plane's path is that of the node in which it stands open: "3" for the fourth node of the whole flow's graph, "3/0" for
the first node of the plane in there. The whole flow's own path is "".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dwarf.notebook.pictures.layout_plan import LayoutPlan, layout_plan
from dwarf.notebook.pictures.paths import taken_arrows
from dwarf.notebook.pictures.views import (
    FlowView,
    NodeView,
    attempts_of,
    flow_view,
    handlers_of,
    loudest,
    node_views,
    state_of,
    taken_edges,
)
from dwarf.workflow.results import Outcome, Step, SubFlow

if TYPE_CHECKING:
    from dwarf.workflow.graph import Graph

__all__ = [
    "Plane",
    "child_of",
    "lay_plane",
    "make_plane",
    "walk",
    "ways_of",
]

INSET = 40.0  # how much narrower a picture inside another is

GraphOf = Callable[[SubFlow], "Graph | None"]


@dataclass(frozen=True, slots=True)
class Plane:
    """A flow as it is drawn. ``inner`` are the planes that stand open in its nodes, by the names of these."""

    graph: Graph
    steps: Sequence[Step]
    whole: FlowView
    views: Mapping[str, NodeView]
    taken: Collection[tuple[str, str]]
    inner: Mapping[str, Plane] = field(default_factory=dict)


def make_plane(
    graph: Graph,
    steps: Sequence[Step],
    outcome: Outcome | None,
    *,
    asked: Collection[str] = (),
    opened: Mapping[str, int] | None = None,
    graph_of: GraphOf = lambda _: None,
    now: datetime | None = None,
    path: str = "",
    since: float = 0.0,
    stops: tuple[Collection[str], Collection[str]] = ((), ()),
) -> Plane:
    """The plane of a flow. ``opened`` gives the step whose subgraph stands open, by path; 0 for the one that matters.

    ``graph_of`` gives a child's graph, or None where it is not known: it then stays shut. ``since``: see flow_view.
    ``stops``: the nodes before which, and those after which, the flow stops.
    """
    moment = now or datetime.now(UTC)
    inner: dict[str, Plane] = {}
    for place, node in enumerate(graph.nodes):
        here = f"{path}/{place}" if path else str(place)
        if not opened or here not in opened:
            continue
        child = child_of(steps, node.name, opened[here])
        inside = graph_of(child) if child is not None else None
        if child is not None and inside is not None:
            seen = Outcome(flow_key=child.flow_key, status=child.status)
            inner[node.name] = make_plane(
                inside, child.steps, seen, asked=asked, opened=opened, graph_of=graph_of, now=moment, path=here
            )
    views = node_views(steps, handlers=handlers_of(graph), attempts=attempts_of(graph), asked=asked, now=moment)
    for name in {*stops[0], *stops[1]}:
        marked = views.get(name, NodeView())
        views[name] = replace(marked, stops_before=name in stops[0], stops_after=name in stops[1])
    return Plane(graph, steps, flow_view(outcome, steps, since), views, taken_edges(steps), inner)


def child_of(steps: Sequence[Step], node: str, step_id: int = 0) -> SubFlow | None:
    """The last child flow of a step of this node: of the given one, else of the one whose state matters most."""
    parents = [step for step in steps if step.node == node and step.sub_flows and (not step_id or step.id == step_id)]
    if not parents:
        return None
    states = {state_of(step) for step in parents}
    state = loudest(states)
    return max((step for step in parents if state_of(step) == state), key=lambda step: step.id).sub_flows[-1]


def walk(plane: Plane, path: str = "") -> Iterator[tuple[str, Plane]]:
    """A plane and those inside it, with their paths."""
    yield path, plane
    for place, node in enumerate(plane.graph.nodes):
        child = plane.inner.get(node.name)
        if child is not None:
            yield from walk(child, f"{path}/{place}" if path else str(place))


def lay_plane(plane: Plane, max_width: float) -> LayoutPlan:
    """Where everything of a plane stands, in the states' size."""
    insides = {name: lay_plane(child, max_width - INSET) for name, child in plane.inner.items()}
    return layout_plan(plane.graph, with_status=True, max_width=max_width, insides=insides)


def ways_of(plane: Plane, plan: LayoutPlan) -> list[bool]:
    """Which edges of a plane have been taken."""
    return taken_arrows(plan, plane.taken, begun=bool(plane.steps), done=plane.whole.state == "completed")
