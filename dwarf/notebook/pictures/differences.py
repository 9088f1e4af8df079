"""What has become of a graph? Both versions in one, and what is different about each node."""

from __future__ import annotations

from collections.abc import Collection

from dwarf.workflow.graph import END, Graph

__all__ = ["compared"]


def compared(old: Graph, new: Graph) -> tuple[Graph, dict[str, str]]:
    """A graph of all that is in either one, and by node "same", "new", "gone", "changed" or "moved".

    A node has moved where it comes after others than before, what is new or gone between them left aside.
    """
    before, after = {node.name: node for node in old.nodes}, {node.name: node for node in new.nodes}
    shared = before.keys() & after.keys()
    states: dict[str, str] = {}
    for name in [*after, *(name for name in before if name not in after)]:
        if name not in before:
            states[name] = "new"
        elif name not in after:
            states[name] = "gone"
        elif before[name] != after[name]:
            states[name] = "changed"
        else:
            moved = _comes_after(old, name, shared) != _comes_after(new, name, shared)
            states[name] = "moved" if moved else "same"
    return _both(old, new), states


def _both(old: Graph, new: Graph) -> Graph:
    form = new.to_json()
    known = {node.name for node in new.nodes}
    gone = old.to_json()
    form["tasks"] = [*form["tasks"], *(task for task in gone["tasks"] if task["name"] not in known)]
    there = form["transitions"]
    form["transitions"] = [*there, *(edge for edge in gone["transitions"] if edge not in there)]
    return Graph.from_json(form)


def _comes_after(graph: Graph, name: str, shared: Collection[str]) -> set[str]:
    """The nodes of both graphs from which a node is reached without another one of them in between."""
    sources: dict[str, set[str]] = {}
    for edge in graph.transitions:
        if edge.target != END:
            sources.setdefault(edge.target, set()).add(edge.source)
    found: set[str] = {"the start"} if graph.entry == name else set()
    todo, seen = list(sources.get(name, ())), set[str]()
    while todo:
        source = todo.pop()
        if source in shared:
            found.add(source)
        elif source not in seen:
            seen.add(source)
            todo += sources.get(source, ())
            found |= {"the start"} if graph.entry == source else set()
    return found
