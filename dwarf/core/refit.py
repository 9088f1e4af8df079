"""Whether the history of a flow fits another graph, so that a copy of the flow can continue with it."""

from __future__ import annotations

from collections.abc import Mapping

from dwarf.core.fork import ForkPlan, OldStep, Role, Tree
from dwarf.core.plan import Plan
from dwarf.workflow.lineage import open_sources

__all__ = ["misfits"]

_OVER = (Role.KEPT, Role.CANCELLED)


def misfits(tree: Tree, plan: ForkPlan, flow_id: int, nodes: Mapping[int, str], onto: Plan) -> list[str]:
    """Every reason why a flow of a copy cannot continue with the graph ``onto``; empty if it can.

    ``nodes`` are the node names of the steps in the copy, by their ids. A node at which the copy continues must exist,
    in the branches of the same fan-outs. Branches that have joined must join at the same node. Other ended steps may
    have nodes that are gone from the graph.
    """
    stands = open_sources(onto.graph)
    found: list[str] = []
    for step_id in tree.steps_of[flow_id]:
        part = plan.parts.get(step_id)
        if part is None:
            continue
        step = tree.steps[step_id]
        if part.role not in _OVER:
            found += _misplaced(tree, step, nodes, onto, stands)
        elif step.lineage_id:
            found += _joined_elsewhere(tree, plan, step, nodes, onto)
    return list(dict.fromkeys(found))


def _misplaced(
    tree: Tree, step: OldStep, nodes: Mapping[int, str], onto: Plan, stands: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Problems with the position, in a graph, of a node at which the copy continues."""
    node = nodes[step.step_id]
    if node not in onto.nodes:
        return [f"it has no node {node!r}, at which the fork goes on"]
    stood = _sources(tree, step, nodes)
    gone = [name for name in stood if name not in onto.nodes or not onto.nodes[name].is_source]
    if gone:
        return [f"{node!r} stands in a branch of {name!r}, from which no branches go out in it" for name in gone]
    now = stands.get(node, ())
    if stood != now:
        return [f"{node!r} stood {_within(stood)}, and stands {_within(now)} in it"]
    return []


def _joined_elsewhere(tree: Tree, plan: ForkPlan, step: OldStep, nodes: Mapping[int, str], onto: Plan) -> list[str]:
    """Problems with the node at which the branches of a cohort have joined. ``step`` is a member, perhaps the last."""
    spawn, joined = tree.steps[step.lineage_id], tree.steps.get(step.successor_id)
    if joined is None or joined.step_id not in plan.parts or joined.lineage_id != spawn.lineage_id:
        return []
    source, met = nodes[spawn.step_id], nodes[joined.step_id]
    meets = onto.fan_in_of.get(source, met) if source in onto.nodes else met
    return [] if meets == met else [f"the branches of {source!r} have met in {met!r}, and meet in {meets!r} in it"]


def _sources(tree: Tree, step: OldStep, nodes: Mapping[int, str]) -> tuple[str, ...]:
    """The nodes of the steps that opened the cohorts around a step, outermost first."""
    found: list[str] = []
    while step.lineage_id:
        found.append(nodes[step.lineage_id])
        step = tree.steps[step.lineage_id]
    return tuple(reversed(found))


def _within(sources: tuple[str, ...]) -> str:
    if not sources:
        return "outside of any fan-out"
    return "in the fan-out of " + " > ".join(repr(name) for name in sources)
