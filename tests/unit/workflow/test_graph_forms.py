"""What a graph shows of itself, and its networkx form."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import networkx as nx
import pytest

from dwarf.workflow import graph as graph_module
from dwarf.workflow.graph import END, Graph, Limit


@pytest.fixture
def order() -> Graph:
    graph = Graph("Order", reducers={"n": "add"}).add_node("A", "u", limit=Limit(concurrency=1))
    graph.add_for_each("A", "B", items="xs").add_transition("B", "J").set_fan_in("J").add_transition("J", END)
    return graph.add_transition("J", END, when="x == 1").add_goto("J", "A")


def test_repr(order: Graph) -> None:
    assert repr(order) == "<Graph 'Order': 3 nodes, 5 transitions, entry 'A'>"
    assert repr(Graph("").add_transition("a", END)) == "<Graph '': 1 node, 1 transition, entry 'a'>"


def test_a_notebook_is_shown_text_and_mermaid(order: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "display_hook", None)
    assert order._repr_mimebundle_() == {"text/plain": repr(order), "text/vnd.mermaid": order.to_mermaid()}
    assert order._repr_mimebundle_(include={"text/plain"}) == {"text/plain": repr(order)}
    assert order._repr_mimebundle_(exclude={"text/plain"}) == {"text/vnd.mermaid": order.to_mermaid()}


def test_the_notebook_room_can_add_a_picture(order: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "display_hook", lambda graph: {"image/svg+xml": f"<svg>{graph.name}</svg>"})
    bundle = order._repr_mimebundle_()
    assert bundle["image/svg+xml"] == "<svg>Order</svg>"
    assert set(bundle) == {"text/plain", "text/vnd.mermaid", "image/svg+xml"}


def test_a_picture_that_fails_leaves_the_text(order: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(graph: Graph) -> dict[str, Any]:
        raise RuntimeError("no renderer")

    monkeypatch.setattr(graph_module, "display_hook", fail)
    assert set(order._repr_mimebundle_()) == {"text/plain", "text/vnd.mermaid"}


def test_networkx_has_everything(order: Graph) -> None:
    network = order.to_networkx()
    assert isinstance(network, nx.MultiDiGraph)
    assert network.graph == {"name": "Order", "entry": "A", "reducers": {"n": "add"}}
    assert list(network.nodes) == ["A", "B", "J", END]
    bare = {"limit": None, "retry": None, "time_budget": None, "cache": None, "executor": ""}
    assert network.nodes["A"] == {"url": "u", "fan_in": False, **bare, "limit": Limit(concurrency=1), "entry": True}
    assert network.nodes["J"] == {"url": "J", "fan_in": True, **bare, "entry": False}
    assert network.nodes[END] == {"url": END, "fan_in": False, **bare, "entry": False}
    edges = sorted(network.edges(keys=True, data=True), key=lambda edge: edge[2])
    assert [(source, target) for source, target, _, _ in edges] == [
        ("A", "B"),
        ("B", "J"),
        ("J", END),
        ("J", END),
        ("J", "A"),
    ]
    for (_, _, key, data), edge in zip(edges, order.transitions, strict=True):
        assert data == {
            name: getattr(edge, name) for name in ("when", "switch", "goto", "on_error", "for_each", "item")
        }, key


def test_networkx_takes_invalid_graphs() -> None:
    network = Graph.from_json({"transitions": [{"from": "x", "to": "y"}]}).to_networkx()
    assert list(network.edges) == [("x", "y", 0)]
    assert network.nodes["x"]["url"] == ""


def test_a_graph_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from dwarf.workflow.graph import END, Graph\n"
        "graph = Graph('g').add_chain('a', 'b', END)\n"
        "graph.to_json(), graph.to_dot(), graph.to_mermaid(), graph._repr_mimebundle_(), repr(graph)\n"
        "print([name for name in ('networkx', 'graphviz', 'IPython', 'numpy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
