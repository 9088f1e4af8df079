"""Names that people know from other engines, and what they are called here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dwarf.workflow.suggest import did_you_mean

__all__ = ["WHOLE_STATE", "missing_attribute"]

WHOLE_STATE: Final = frozenset({"state", "ctx", "context", "inputs", "config", "runtime", "ti", "kwargs"})
"""What a task's parameter for everything is called elsewhere; here it is ``flow: Flow``."""

_GRAPH: Final = {
    "add_edge": "add_transition(source, target)",
    "add_edges": "add_chain('A', 'B', 'C')",
    "add_conditional_edges": "add_switch(source, {'amount > 100': 'Review'}, default=END)",
    "add_conditional_edge": "add_switch(source, {'amount > 100': 'Review'}, default=END)",
    "add_sequence": "add_chain('A', 'B', 'C')",
    "set_entry_point": "set_entry(name), or the first node that is added",
    "set_conditional_entry_point": "a first node with add_switch",
    "set_finish_point": "add_transition(name, END)",
    "compile": "nothing: engine.run(graph, state), and graph.validate() to check it",
    "invoke": "await engine.run(graph, state)",
    "ainvoke": "await engine.run(graph, state)",
    "stream": "engine.create(graph, state), and watch() of the handle",
    "astream": "engine.create(graph, state), and watch() of the handle",
    "run": "await engine.run(graph, state), or lab.run(graph, state) in a notebook",
    "execute": "await engine.run(graph, state)",
    "start": "await engine.create(graph, state), or lab.start(graph, state) in a notebook",
    "submit": "await engine.create(graph, state)",
    "add_task": "add_node(name, function)",
    "add_step": "add_node(name, function)",
    "add_action": "add_node(name, function)",
    "add_actions": "add_node(name, function)",
    "with_actions": "add_node(name, function)",
    "with_transitions": "add_transition(source, target, when=...)",
    "with_entrypoint": "set_entry(name)",
    "with_state": "engine.run(graph, state)",
    "build": "nothing: a Graph is used as it is",
    "set_downstream": "add_transition(source, target)",
    "set_upstream": "add_transition(source, target)",
    "add_dependency": "add_transition(source, target)",
    "map": "add_for_each(source, target, items='papers', item='paper')",
    "expand": "add_for_each(source, target, items='papers', item='paper')",
    "add_parallel": "add_fan_out(source, 'A', 'B'), and a node with fan_in=True",
    "add_branch": "add_switch(source, {'amount > 100': 'Review'}, default=END)",
    "serve": "engine.schedule(name, graph, cron='0 6 * * *')",
    "deploy": "engine.schedule(name, graph, cron='0 6 * * *')",
    "draw_mermaid": "to_mermaid()",
    "get_graph": "the graph itself: to_mermaid(), to_dot()",
}


def missing_attribute(kind: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error for an attribute that a graph has not."""
    here = _GRAPH.get(name)
    hint = f"; here that is {here}" if here else did_you_mean(name, (one for one in known if not one.startswith("_")))
    return AttributeError(f"a {kind} has no {name!r}{hint}")
