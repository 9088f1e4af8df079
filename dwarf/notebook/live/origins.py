"""Where does a step come from? Its function's source and docstring, and who wrote the fields that it takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dwarf.notebook.messages import StepOrigin
from dwarf.notebook.pictures.formatting import brief, plain

if TYPE_CHECKING:
    from dwarf.notebook.live.flow_watcher import FlowWatcher
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.results import Step

__all__ = ["MOST_SOURCE", "items_of", "origin_of", "source_of"]

MOST_SOURCE = 20_000  # characters
_START = "START"


def origin_of(step: Step, graph: Graph | None, functions: Mapping[str, Any]) -> StepOrigin:
    """The panel's facts about a step's present function and parameters. It never raises.

    ``graph`` has its functions, so that the writers of fields can be found.
    """
    function = functions.get(step.url)
    told: StepOrigin = {}
    if function is None:
        return told
    source = source_of(function)
    about = inspect.getdoc(function) if callable(function) and not isinstance(function, type) else ""
    if source:
        told["source"] = plain(source)[:MOST_SOURCE]
    if about and not isinstance(function, type):
        told["doc"] = plain(about)
    told["takes"] = _parameters(step, function, graph)
    return told


def source_of(function: Any) -> str:
    """The source of a function from its file or its cell; "" if it is not available. It never raises."""
    try:
        return inspect.getsource(inspect.unwrap(function))
    except Exception:  # noqa: BLE001  an object of the user's own may answer anything
        return ""


def _parameters(step: Step, function: Any, graph: Graph | None) -> list[list[str]]:
    """``[name, value, writers]`` for each parameter that is a field of the state."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []
    state, writers = step.state or {}, _writers(step.node, graph)
    known = [name for name in names if state.get(name) is not None]
    return [[name, brief(state[name], 120), ", ".join(writers.get(name, ()))] for name in known]


def _writers(node: str, graph: Graph | None) -> dict[str, list[str]]:
    """The nodes that write the fields which a node reads, by field."""
    found: dict[str, list[str]] = {}
    try:
        edges = graph.data_flow().in_edges(node, data=True) if graph is not None else ()
    except Exception:  # noqa: BLE001  a graph that cannot be read so has no such words
        return found
    for source, _, more in edges:
        for name in more.get("fields", ()):
            found.setdefault(str(name), []).append("the initial state" if source == _START else str(source))
    return found


async def items_of(steps: Sequence[Step], watcher: FlowWatcher) -> dict[int, str]:
    """A short text of each branch's item, by the id of its step; empty for branches without items."""
    graph = watcher.graph
    names = [each.item for each in graph.transitions if each.for_each] if graph is not None else []
    if not names or not steps:
        return {}
    wanted = dict.fromkeys(part for name in names for part in (name, f"{name}Index"))
    full = await watcher.handle.steps(only=steps, fields=wanted)
    found: dict[int, str] = {}
    for step in full:
        state = step.state or {}
        item = next((state[name] for name in reversed(names) if f"{name}Index" in state and name in state), None)
        if item is not None:
            found[step.id] = brief(item, 80)
    return found
