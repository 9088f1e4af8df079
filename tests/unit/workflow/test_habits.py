"""People from other engines are told what the names they try are called here."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from dwarf import END, Flow, Graph, StateError
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.workflow.tasks import Binding


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("add_edge", "add_transition"),
        ("add_conditional_edges", "add_switch"),
        ("set_entry_point", "set_entry"),
        ("set_finish_point", "END"),
        ("compile", "engine.run"),
        ("invoke", "engine.run"),
        ("set_downstream", "add_transition"),
        ("expand", "add_for_each"),
        ("with_actions", "add_node"),
        ("with_entrypoint", "set_entry"),
        ("add_transitions", "did you mean 'add_transition'"),
        ("set_fanin", "did you mean 'set_fan_in'"),
    ],
)
def test_names_of_graphs(name: str, words: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(Graph("g"), name)
    assert words in str(caught.value)
    assert not hasattr(Graph("g"), name)


def test_a_graph_is_copied_and_pickled_as_before() -> None:
    graph = Graph("g").add_chain("a", END)
    assert copy.copy(graph) == pickle.loads(pickle.dumps(graph)) == graph


@pytest.mark.parametrize("name", ["state", "context", "inputs"])
def test_a_parameter_for_the_whole_state(name: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"def node({name}): pass", scope)
    with pytest.raises(StateError, match="flow: Flow"):
        Binding(scope["node"], "node").call_arguments(Flow({"x": 1}))


@pytest.mark.parametrize(
    ("thing", "name", "words"),
    [
        (Flow({}), "state", "flow['amount']"),
        (Flow({}), "sleep", "flow.delay"),
        (Flow({}), "interupt", "did you mean 'interrupt'"),
        (LocalHost(), "register", "add_task"),
        (LocalHost(), "add_tasks", "did you mean 'add_task'"),
        (Engine(LocalHost(), "sqlite://"), "submit", "engine.create"),
        (Engine(LocalHost(), "sqlite://"), "creat", "did you mean 'create'"),
    ],
)
def test_names_of_the_other_objects(thing: Any, name: str, words: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(thing, name)
    assert words in str(caught.value)
    assert not hasattr(thing, name)
    assert getattr(thing, "_nothing", None) is None
