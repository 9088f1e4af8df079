"""Names from other engines, and their counterparts in dwarf."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dwarf.workflow.suggest import did_you_mean

__all__ = ["WHOLE_STATE", "missing_attribute"]

WHOLE_STATE: Final = frozenset({"state", "ctx", "context", "inputs", "config", "runtime", "ti", "kwargs"})
"""Other engines' names for a parameter that gets everything; in dwarf it is ``flow: Flow``."""

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

_ENGINE: Final = {
    "submit": "await engine.create(graph, state)",
    "invoke": "await engine.run(graph, state)",
    "ainvoke": "await engine.run(graph, state)",
    "execute": "await engine.run(graph, state)",
    "start_workflow": "await engine.create(graph, state)",
    "execute_workflow": "await engine.run(graph, state)",
    "get_workflow_handle": "engine.flow(key)",
    "get": "engine.flow(key)",
    "get_flow": "engine.flow(key)",
    "resume": "await engine.flow(key).resume(answer)",
    "cancel": "await engine.flow(key).cancel(reason)",
    "signal": "await engine.flow(key).resume(answer)",
    "stream": "engine.create(graph, state), and watch() of the handle",
    "list": "engine.flows(...)",
    "list_flows": "engine.flows(...)",
    "cron": "await engine.schedule(name, graph, cron='0 6 * * *')",
    "stop": "await engine.aclose(), or async with Engine(...)",
    "close": "await engine.aclose(), or async with Engine(...)",
    "shutdown": "await engine.aclose(), or async with Engine(...)",
    "task": "host.task, or a function on a graph's node",
    "register": "host.add_task(url, function), or a function on a graph's node",
    "add_graph": "host.add_graph(graph), or the graph itself given to create",
}
_FLOW: Final = {
    "state": "the flow itself: flow['amount'], flow.snapshot()",
    "input": "the flow itself: flow['amount'], flow.snapshot()",
    "set": "flow['amount'] = 900",
    "set_state": "flow['amount'] = 900, or flow.update(amount=900)",
    "get_state": "flow['amount'], flow.get('amount')",
    "sleep": "flow.delay(seconds), before the task returns",
    "wait": "flow.interrupt({'title': 'Go on?'}) for an answer, flow.delay(seconds) for a time",
    "ask": "flow.interrupt({'title': 'Go on?'})",
    "input_required": "flow.interrupt({'title': 'Go on?'})",
    "wait_for_event": "flow.interrupt({'title': 'Go on?'}, timeout=...)",
    "wait_condition": "flow.interrupt({'title': 'Go on?'}, timeout=...)",
    "child": "flow.subgraph(graph, state)",
    "call": "flow.subgraph(graph, state)",
    "execute_child_workflow": "flow.subgraph(graph, state)",
    "next": "flow.goto(node)",
    "log": "print, or logging: both are kept with the step",
    "logger": "print, or logging: both are kept with the step",
    "workflow_id": "flow.key",
    "run_id": "flow.key",
}
_HOST: Final = {
    "register": "add_task(url, function)",
    "register_task": "add_task(url, function)",
    "add": "add_task(url, function)",
    "add_function": "add_task(url, function)",
    "register_graph": "add_graph(graph)",
    "add_workflow": "add_graph(graph)",
    "add_flow": "add_graph(graph)",
    "run": "await Engine(host).run(graph, state)",
}
_KINDS: Final = {"Graph": _GRAPH, "Engine": _ENGINE, "Flow": _FLOW, "LocalHost": _HOST}


def missing_attribute(kind: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error for an unknown attribute of a graph, an engine, a flow or a host."""
    here = _KINDS[kind].get(name)
    hint = f"; here that is {here}" if here else did_you_mean(name, (one for one in known if not one.startswith("_")))
    article = "an" if kind[0] in "AEIO" else "a"
    return AttributeError(f"{article} {kind} has no {name!r}{hint}")
