"""A graph as a networkx graph, for analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dwarf.workflow.parts import END, Node

if TYPE_CHECKING:
    import networkx as nx

    from dwarf.workflow.graph import Graph

__all__ = ["to_networkx"]

_POLICIES = ("limit", "retry", "time_budget", "cache", "executor")
_BARE = Node("", "")


def to_networkx(graph: Graph) -> nx.MultiDiGraph[str]:
    """A MultiDiGraph over the node names. An edge's key is the transition's position: order and doubles survive.

    Graph attributes: name, entry, reducers. Node attributes: url, fan_in, entry, limit, retry, time_budget,
    cache, executor. Edge attributes: when, switch, goto, on_error, for_each, item. END is a node there when a
    transition leads to it.
    """
    import networkx as nx

    network: nx.MultiDiGraph[str] = nx.MultiDiGraph(
        name=graph.name, entry=graph.entry, reducers={field: str(name) for field, name in graph.reducers.items()}
    )
    for node in graph.nodes:
        policies = {name: getattr(node, name) for name in _POLICIES}
        entry = node.name == graph.entry
        network.add_node(node.name, url=node.url, fan_in=node.fan_in, entry=entry, **policies)
    for key, edge in enumerate(graph.transitions):
        for name in (edge.source, edge.target):
            if name not in network:
                policies = {policy: getattr(_BARE, policy) for policy in _POLICIES}
                network.add_node(name, url=END if name == END else "", fan_in=False, entry=False, **policies)
        network.add_edge(
            edge.source,
            edge.target,
            key=key,
            when=edge.when,
            switch=edge.switch,
            goto=edge.goto,
            on_error=edge.on_error,
            for_each=edge.for_each,
            item=edge.item,
        )
    return network
