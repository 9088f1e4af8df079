"""JSON form and rendering: scenarios 27 to 34."""

from __future__ import annotations

import json
import re

from dwarf.workflow.drawing.mermaid import GraphRenderer, escape
from dwarf.workflow.drawing.mermaid_history import FlowRenderer
from dwarf.workflow.graph import END, Graph
from dwarf.workflow.results import Step, SubFlow
from dwarf.workflow.status import Status


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def test_w27_json_form() -> None:
    graph = Graph("g").add_chain("a", "b", END)
    data = graph.to_json()
    assert list(data) == ["name", "entryPoint", "tasks", "transitions"]
    assert data["tasks"] == [{"name": "a", "url": "a"}, {"name": "b", "url": "b"}]
    assert data["transitions"] == [{"from": "a", "to": "b"}, {"from": "b", "to": END}]

    graph = Graph("g", reducers={"total": "add"}).add_fan_out("s", "a", "b").add_node("j", "join", fan_in=True)
    graph.add_transition("a", "j", when="x > 1").add_transition("b", "j").add_goto("s", "j")
    graph.add_error_handler("a", "j").add_transition("j", END)
    text = json.dumps(graph.to_json())
    again = Graph.from_json(text)
    assert again == graph
    assert again.is_fan_in("j")
    assert [edge for edge in again.transitions if edge.goto] == [edge for edge in graph.transitions if edge.goto]
    assert {"from": "a", "to": "j", "when": "x > 1"} in again.to_json()["transitions"]
    assert {"from": "a", "to": "j", "onError": True} in again.to_json()["transitions"]
    assert json.dumps(again.to_json()) == text


def test_w28_sparse_documents() -> None:
    graph = Graph.from_json('{"tasks":[{"name":"A"}],"transitions":null}')
    assert [(node.name, node.url) for node in graph.nodes] == [("A", "A")]
    assert graph.transitions == ()
    empty = Graph.from_json("{}")
    assert (empty.name, empty.entry, empty.nodes, empty.transitions, dict(empty.reducers)) == ("", "", (), (), {})


def test_w29_mermaid_of_a_for_each() -> None:
    text = Graph("g").add_for_each("svc/start", "svc/worker", items="xs").to_mermaid()
    lines = lines_of(text)
    assert 't0 -->|"for each"| t1' in lines
    assert 't1["svc/worker"]:::task' in lines
    assert "subgraph" not in text


def test_w30_mermaid_of_a_fan_in() -> None:
    graph = Graph("g").add_fan_out("split", "a", "b").add_transition("a", "join").add_transition("b", "join")
    lines = lines_of(graph.set_fan_in("join").add_transition("join", END).to_mermaid())
    for line in ('t3_reduce(("reduce")):::term', "t3_reduce --> t3", "t1 --> t3_reduce", "t2 --> t3_reduce"):
        assert lines.count(line) == 1
    assert "t1 --> t3" not in lines


def test_w31_mermaid_of_a_switch_and_of_when() -> None:
    lines = lines_of(Graph("g").add_switch("router", {"i==1": "a"}, default="b").to_mermaid())
    for line in ('t0_switch{"switch"}:::term', "t0 --> t0_switch", 't0_switch -->|"i==1"| t1'):
        assert line in lines
    assert 't0_switch -->|"default"| t2' in lines
    assert not any(line.startswith("t0 -->|") for line in lines)

    graph = Graph("g").add_transition("router", "a", when="i==1").add_transition("router", "b", when="i==2")
    lines = lines_of(graph.to_mermaid())
    for line in ('t0_when{"when"}:::term', "t0 --> t0_when", 't0_when -->|"i==1"| t1', 't0_when -->|"i==2"| t2'):
        assert line in lines
    assert not any(line.startswith("t0 -->|") for line in lines)


def test_w32_mermaid_escapes_what_authors_write() -> None:
    expected = "#quot;#91;#93;#123;#125;#40;#41;#lt;#gt;#124;#96;#35;#39;"
    assert escape("\"[]{}()<>|`#'") == expected
    assert 'title: "Ord#quot;er#lt;x#gt;"' in lines_of(Graph('Ord"er<x>').to_mermaid())
    hostile = 'x"]:::term <img src=x onerror=alert(1)> `tick`'
    step = Step(id=1, node=hostile, status=Status.COMPLETED)
    for text in (
        Graph(hostile).add_transition(hostile, END, when=f"a == {hostile}").to_mermaid(),
        FlowRenderer([step], title=hostile).render(),
    ):
        assert "<img" not in text
        assert "`" not in text
        assert '"]:::term' not in text


def test_w33_rendering_never_fails() -> None:
    assert GraphRenderer(None).render() == ""
    invalid = Graph("").add_transition("a", "b", when="(((").set_entry("nowhere").set_fan_in("zzz")
    lines = lines_of(invalid.to_mermaid())
    assert 't0["a"]:::task' in lines
    assert 't1["b"]:::task' in lines
    assert FlowRenderer([]).render().startswith("flowchart")


def test_w34_mermaid_of_a_history() -> None:
    done = Status.COMPLETED
    first = Step(id=1, node="Split", status=done)
    siblings = [Step(id=number, node="Work", status=done, predecessor_id=1) for number in (2, 3, 4)]
    text = FlowRenderer([first, *siblings]).render()
    block = re.search(r'subgraph fo_s1 \[" "\]\n(.*?)\n\s*end\n', text, re.DOTALL)
    assert block is not None
    assert re.findall(r"s(\d)\[", block[1]) == ["2", "3", "4"]
    assert text.count("subgraph") == 1

    child = SubFlow(workflow_name="Child", status=done, steps=[Step(id=9, node="Inner", status=done)])
    text = FlowRenderer([Step(id=5, node="Call", status=done, sub_flows=[child])]).render()
    assert 'subgraph s5_sg ["Child"]' in lines_of(text)
    assert 's5_subs9["Inner"]:::completed' in lines_of(text)
    assert "_end" in text

    running = SubFlow(workflow_name="Child", steps=[Step(id=9, node="Inner", status=Status.RUNNING)])
    for steps in ([first, Step(id=2, status=Status.RUNNING)], [Step(id=5, status=done, sub_flows=[running])]):
        assert "_end" not in FlowRenderer(steps).render()
