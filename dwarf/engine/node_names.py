"""Whether a flow may have a node of this name: in its graph, in a child flow so far, or in a later one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType
from typing import TYPE_CHECKING, Any

from dwarf.core.keys import Key
from dwarf.errors import InvalidRequest
from dwarf.storage.queries.flows import read_fingerprint, read_graph
from dwarf.storage.queries.history import read_history
from dwarf.workflow.graph import Graph
from dwarf.workflow.results import Step
from dwarf.workflow.suggest import near_node

if TYPE_CHECKING:
    from dwarf.engine.shard.runtime import ShardRuntime


async def check_node(runtime: ShardRuntime, key: Key, node: str) -> None:
    """InvalidRequest if no step of the flow, or of a child flow, can have this node."""
    graph = Graph.from_json(await runtime.database.read(lambda: read_graph(key)))
    names = [each.name for each in graph.nodes]
    if node in names:
        return
    names += dict.fromkeys(_nodes(await runtime.database.read(lambda: read_history(key))))
    if node in names or any(
        each.name == node for other in runtime.context.host.graphs.values() for each in other.nodes
    ):
        return
    _, status = await runtime.database.read(lambda: read_fingerprint(key))
    if status.terminal or not _may_call(graph, runtime.context.host.functions):
        raise InvalidRequest(f"the flow has no node {node!r}{near_node(node, names)}")


def _nodes(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        yield step.node
        for flow in step.sub_flows:
            yield from _nodes(flow.steps)


def _may_call(graph: Graph, functions: Mapping[str, Callable[..., Any]]) -> bool:
    """Whether a task may call a child flow with unknown nodes: by its code, if that is available here."""
    return any(_may_name(functions.get(node.url), "subgraph") for node in graph.nodes)


def _may_name(function: Any, name: str) -> bool:
    code = getattr(function, "__code__", None)
    return not isinstance(code, CodeType) or hasattr(function, "__wrapped__") or _names(code, name)


def _names(code: CodeType, name: str) -> bool:
    return name in code.co_names or any(_names(part, name) for part in code.co_consts if isinstance(part, CodeType))
