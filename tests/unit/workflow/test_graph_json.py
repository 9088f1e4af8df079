"""The JSON form of graphs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dwarf.errors import GraphError
from dwarf.workflow.graph import END, Graph, Limit, Node, Transition
from dwarf.workflow.jsontext import dumps


def test_what_is_empty_is_left_out() -> None:
    assert Graph("").to_json() == {"entryPoint": "", "tasks": [], "transitions": []}
    data = Graph("g").add_node("a", "", fan_in=True).add_node("b", "u").to_json()
    assert data["tasks"] == [{"name": "a", "fanIn": True}, {"name": "b", "url": "u"}]


def test_keys_and_lists_keep_their_order() -> None:
    graph = Graph("g", reducers={"z": "add", "a": "max"}).add_for_each("s", "t", items="xs").add_switch("t", {"x": END})
    data = graph.to_json()
    assert list(data) == ["name", "entryPoint", "tasks", "transitions", "reducers"]
    assert list(data["reducers"].items()) == [("a", "max"), ("z", "add")]
    assert data["transitions"] == [
        {"from": "s", "to": "t", "forEach": "xs", "as": "item"},
        {"from": "t", "to": END, "when": "x", "switch": True},
    ]


def test_limits_are_frozen_with_the_graph() -> None:
    graph = Graph("g").add_node("a", limit=Limit(concurrency=2)).add_node("b", limit=Limit(rate="9/day", key="tenant"))
    data = graph.to_json()
    assert [item["limit"] for item in data["tasks"]] == [{"concurrency": 2}, {"rate": "9/day", "key": "tenant"}]
    assert Graph.from_json(data) == graph


def test_the_form_is_plain_json() -> None:
    graph = Graph("g", reducers={"n": "add"}).add_chain("a", "b", END)
    assert json.loads(dumps(graph.to_json())) == graph.to_json()
    assert type(graph.to_json()["reducers"]["n"]) is str


def test_the_form_is_a_fresh_value() -> None:
    graph = Graph("g", reducers={"n": "add"}).add_chain("a", "b", END)
    graph.to_json()["tasks"].clear()
    graph.to_json()["reducers"].clear()
    assert len(graph.to_json()["tasks"]) == 2
    assert graph.to_json()["reducers"] == {"n": "add"}


@pytest.mark.parametrize("form", [dict, json.dumps, lambda data: json.dumps(data).encode()])
def test_it_is_read_from_values_text_and_bytes(form: Any) -> None:
    graph = Graph("Ümläut").add_chain("a", "b", END)
    assert Graph.from_json(form(graph.to_json())) == graph


def test_unknown_keys_are_ignored() -> None:
    data = {
        "name": "g",
        "entryPoint": "a",
        "colour": "red",
        "tasks": [{"name": "a", "shape": [1, {}]}],
        "transitions": [{"from": "a", "to": END, "weight": 5}],
    }
    assert Graph.from_json(data) == Graph("g").add_chain("a", END)


def test_null_is_the_same_as_missing() -> None:
    data = {
        "name": None,
        "entryPoint": None,
        "tasks": [{"name": "a", "url": None, "fanIn": None, "limit": None}],
        "transitions": [{"from": "a", "to": "b", "when": None, "withGoto": None}],
        "reducers": None,
    }
    graph = Graph.from_json(data)
    assert graph.nodes == (Node("a", "a"),)
    assert graph.transitions == (Transition("a", "b"),)
    assert "reducers" not in graph.to_json()


def test_empty_reducers_stay() -> None:
    assert Graph.from_json({"reducers": {}}).to_json()["reducers"] == {}
    assert "reducers" not in Graph("g").to_json()


def test_an_empty_limit_is_none() -> None:
    assert Graph.from_json({"tasks": [{"name": "a", "limit": {"burst": 5}}]}).nodes == (Node("a", "a"),)


def test_what_only_a_document_can_hold_survives() -> None:
    data = {
        "entryPoint": "a",
        "tasks": [{"name": "a", "url": "u"}, {"name": "a", "url": "v"}, {"name": END, "url": "w"}, {"name": ""}],
        "transitions": [{"from": "x", "to": "", "when": "q", "forEach": "xs", "switch": True, "onError": True}],
    }
    graph = Graph.from_json(data)
    assert graph.to_json() == data
    assert graph.url_of("a") == "u"
    assert graph.url_of(END) == END


def test_a_mark_on_an_unknown_node_is_lost() -> None:
    graph = Graph("g").add_chain("a", END).set_fan_in("zzz")
    assert Graph.from_json(graph.to_json()) == Graph("g").add_chain("a", END)


def test_reading_replaces_nothing_outside() -> None:
    data = {"tasks": [{"name": "a"}], "reducers": {"n": "add"}}
    Graph.from_json(data).add_transition("a", "b").set_reducer("n", "max")
    assert data == {"tasks": [{"name": "a"}], "reducers": {"n": "add"}}


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], "it must be an object, not an array"),
        ("[]", "it must be an object, not an array"),
        ("5", "it must be an object, not a number"),
        ("null", "it must be an object, not null"),
        ("{", "not a JSON text"),
        (b"\xff\xfe{}", "not a JSON text"),
        ({"name": 5}, "name must be text, not a number"),
        ({"entryPoint": []}, "entryPoint must be text, not an array"),
        ({"tasks": {}}, "tasks must be an array, not an object"),
        ({"tasks": ["a"]}, "tasks[0] must be an object, not text"),
        ({"tasks": [{"name": "a"}, {"name": True}]}, "tasks[1].name must be text, not a boolean"),
        ({"tasks": [{"name": "a", "fanIn": "yes"}]}, "tasks[0].fanIn must be true or false, not text"),
        ({"tasks": [{"name": "a", "limit": 5}]}, "tasks[0].limit must be an object, not a number"),
        ({"tasks": [{"name": "a", "limit": {"concurrency": 1.5}}]}, "tasks[0].limit.concurrency must be an integer"),
        ({"tasks": [{"name": "a", "limit": {"rate": "fast"}}]}, "tasks[0].limit: 'fast' is not a rate"),
        ({"transitions": [{}, {"from": 1}]}, "transitions[1].from must be text, not a number"),
        ({"transitions": [{"withGoto": 1}]}, "transitions[0].withGoto must be true or false, not a number"),
        ({"reducers": []}, "reducers must be an object, not an array"),
        ({"reducers": {"n": 1}}, "reducers.n must be text, not a number"),
        ({"reducers": {5: "add"}}, "reducers must be a str, not int"),
        ({"name": "\ud800"}, "name holds a lone surrogate"),
        ({"name": b"g"}, "name must be text, not a value of type bytes"),
    ],
)
def test_the_wrong_shape_is_refused_with_its_place(document: Any, place: str) -> None:
    with pytest.raises(GraphError) as caught:
        Graph.from_json(document)
    assert place in str(caught.value)
    assert caught.value.problems == (str(caught.value),)


def test_deep_rubbish_is_refused_or_ignored() -> None:
    deep = '{"extra": ' + "[" * 100_000 + "]" * 100_000 + "}"
    with pytest.raises(GraphError):
        Graph.from_json(deep)
