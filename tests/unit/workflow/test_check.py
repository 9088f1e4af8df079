"""What a check of a graph finds, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from time import thread_time
from typing import Any, TypedDict

import pytest

from dwarf import END, Cache, Flow, Graph, Limit, Reducer
from dwarf.workflow.checking import check, flowing
from dwarf.workflow.checking.facts import facts_of


class Order(TypedDict):
    amount: int
    customer: str


@dataclass
class Price:
    amount: float
    currency: str = "EUR"


def nothing() -> None:
    pass


def kinds(graph: Graph, state: Any = None) -> list[tuple[str, str, str]]:
    return [(finding.kind, finding.node, finding.field) for finding in graph.check(state)]


# ---------------------------------------------------------------- what a function reads and writes


def plain(flow: Flow, amount: int, note: str = "") -> dict[str, Any]:
    if "vip" in flow:
        return {"rate": 1}
    flow["seen"] = amount
    flow.update(total=amount * 2, net=1)
    del flow["old"]
    return {"rate": flow["base"] + flow.get("extra", 0)}


def with_model(flow: Flow) -> None:
    order = flow.load(Price)
    order.amount += 1
    flow.save(order)


def typed(customer: str) -> Price:
    return make(customer)


def make(customer: str) -> Price:
    return Price(1.0)


def local_dict(amount: int) -> dict[str, Any]:
    result: dict[str, Any] = {"a": amount}
    result["b"] = 2
    if amount:
        result = {"c": 3}
    return result


def helper(flow: Flow) -> None:
    flow["by_helper"] = flow["for_helper"]


def with_helper(flow: Flow) -> dict[str, Any]:
    helper(flow)
    return made()


def made() -> dict[str, Any]:
    return {"made": 1}


def unknown_result(amount: int) -> dict[str, Any]:
    return eval("{}")  # type: ignore[no-any-return]


def hands_out(flow: Flow) -> None:
    print({"flow": flow})


CHILD = Graph("child").add_node("C", lambda: {"from_child": 1}).add_transition("C", END)


def calls_child(flow: Flow) -> dict[str, Any]:
    return flow.subgraph(CHILD, {})


def calls_by_name(flow: Flow) -> dict[str, Any]:
    return flow.subgraph("child", {})


async def coroutine(flow: Flow) -> dict[str, Any]:
    answer = flow.interrupt("well?")
    return {"answer": answer}


class Client:
    def fetch(self, url: str) -> dict[str, Any]:
        return {"body": url}

    def __call__(self, url: str) -> dict[str, Any]:
        return {"called": url}


@pytest.mark.parametrize(
    ("task", "needs", "writes", "all_writes"),
    [
        (plain, {"amount", "base"}, {"rate", "seen", "total", "net"}, True),
        (with_model, {"amount"}, {"amount", "currency"}, True),
        (typed, {"customer"}, {"amount", "currency"}, True),
        (local_dict, {"amount"}, {"a", "b", "c"}, True),
        (with_helper, {"for_helper"}, {"by_helper", "made"}, True),
        (unknown_result, {"amount"}, set(), False),
        (hands_out, set(), set(), False),
        (calls_child, set(), {"from_child"}, True),
        (calls_by_name, set(), set(), False),
        (coroutine, set(), {"answer"}, True),
        (Client().fetch, {"url"}, {"body"}, True),
        (Client(), {"url"}, {"called"}, True),
        (partial(local_dict, amount=1), set(), {"a", "b", "c"}, True),
        (lambda word: {"n": len(word)}, {"word"}, {"n"}, True),
        (len, {"obj"}, set(), False),
        (None, set(), set(), False),
    ],
)
def test_what_a_task_reads_and_writes(task: Any, needs: set[str], writes: set[str], all_writes: bool) -> None:
    from dwarf.workflow.checking.wiring import _graph_facts

    facts = facts_of(task, _graph_facts)
    assert (set(facts.needs), set(facts.writes), facts.all_writes) == (needs, writes, all_writes)


# ---------------------------------------------------------------- what is found


def quote() -> dict[str, Any]:
    return {"amount": 900}


def ask() -> dict[str, Any]:
    return {"approved": True}


def misspelt() -> Graph:
    graph = Graph("Loan").add_node("Price", quote).add_node("Approve", ask)
    return graph.add_switch("Price", {"amout > 100": "Approve"}, default=END).add_transition("Approve", END)


@pytest.mark.parametrize("state", [None, {}, {"name": "Ada"}, ["name"], Order])
def test_a_misspelt_condition(state: Any) -> None:
    (finding, *_) = [one for one in misspelt().check(state) if one.kind == "unknown-field"]
    assert (finding.node, finding.field) == ("Price", "amout")
    assert "did you mean 'amount'?" in str(finding)


def test_a_misspelt_list() -> None:
    graph = (
        Graph("g", reducers={"got": "append"})
        .add_node("S", lambda: {"words": ["a"]})
        .add_node("W", lambda w: {"got": [w]})
    )
    graph.add_node("J", lambda got: None, fan_in=True).add_for_each("S", "W", items="wrods", item="w")
    graph.add_chain("W", "J", END)
    assert kinds(graph) == [("unknown-field", "S", "wrods")]


def test_a_parameter_that_nobody_writes() -> None:
    graph = Graph("g").add_node("A", lambda: {"x": 1}).add_node("B", lambda y: None).add_chain("A", "B", END)
    assert ("unknown-field", "B", "y") in kinds(graph, {})
    assert ("unknown-field", "B", "y") not in kinds(graph, {"y": 1})
    assert kinds(graph) == []  # it may be in the initial state


def test_the_habit_of_a_state_parameter() -> None:
    def node(state: dict[str, Any]) -> dict[str, Any]:
        return {"x": state["y"]}

    (finding,) = Graph("g").add_node("A", node).add_transition("A", END).check({})
    assert "flow: Flow" in str(finding)


def test_what_a_node_may_write_silences_what_is_behind_it() -> None:
    graph = Graph("g").add_node("A", unknown_result).add_node("B", lambda y: None).add_chain("A", "B", END)
    assert kinds(graph, {"amount": 1}) == []
    url = Graph("g").add_node("A", "a.task").add_node("B", lambda y: None).add_chain("A", "B", END)
    assert kinds(url, {}) == []


def test_a_field_that_only_one_way_writes_is_there() -> None:
    graph = Graph("g").add_node("A", lambda x: None).add_node("B", lambda: {"y": 1}).add_node("C", lambda y=0: None)
    graph.add_switch("A", {"x > 1": "B"}, default="C").add_chain("B", "C", END)
    assert kinds(graph, {"x": 1}) == []


def test_an_item_ends_at_the_join() -> None:
    graph = Graph("g", reducers={"got": "append"}).add_node("S", nothing).add_node("W", lambda item: {"got": [item]})
    graph.add_node("J", lambda item: None, fan_in=True).add_for_each("S", "W", items="xs").add_chain("W", "J", END)
    assert kinds(graph, {"xs": []}) == [("unknown-field", "J", "item")]
    assert kinds(graph, {"xs": [], "item": 1}) == []


def test_the_key_of_a_cache() -> None:
    graph = Graph("g").add_node("A", nothing, cache=Cache(key=["urll", "day"])).add_transition("A", END)
    (found,) = graph.check(["url", "day"])[:1]
    assert (found.kind, found.field, found.suggestion) == ("unknown-field", "urll", "did you mean 'url'?")


def test_the_key_of_a_limit() -> None:
    graph = Graph("g").add_node("A", nothing, limit=Limit(concurrency=1, key="tenant")).add_transition("A", END)
    assert kinds(graph, {"tennant": "x"})[0] == ("unknown-field", "A", "tenant")


def test_types_that_cannot_fit() -> None:
    def reads(amount: int) -> None: ...

    graph = Graph("g").add_node("A", lambda: {"amount": "900"}).add_node("B", reads).add_chain("A", "B", END)
    assert kinds(graph) == [("type-mismatch", "B", "amount")]
    assert kinds(Graph("g").add_node("B", reads).add_transition("B", END), {"amount": "9"}) == [
        ("type-mismatch", "B", "amount")
    ]

    def dated(amount: date) -> None: ...

    assert kinds(Graph("g").add_node("B", dated).add_transition("B", END), {"amount": "2030-01-01"}) == []

    def priced(amount: float | None) -> None: ...

    assert kinds(Graph("g").add_node("B", priced).add_transition("B", END), {"amount": 1}) == []
    over = (
        Graph("g")
        .add_node("A", lambda: {"xs": "abc"})
        .add_node("B", lambda item: None)
        .add_node("J", nothing, fan_in=True)
    )
    over.add_for_each("A", "B", items="xs").add_chain("B", "J", END)
    assert ("type-mismatch", "A", "xs") in kinds(over)


def test_a_cycle_without_a_way_out() -> None:
    graph = Graph("g").add_node("A", nothing).add_node("B", nothing).add_node("C", nothing)
    graph.add_switch("A", {"x": "C"}, default=END).add_chain("C", "B", "C")
    assert kinds(graph) == [("endless-loop", "B", "")] or kinds(graph) == [("endless-loop", "C", "")]
    assert kinds(graph.add_goto("B", END)) == []


@pytest.mark.parametrize("reducer", [None, "append"])
def test_parallel_writes(reducer: str | None) -> None:
    reducers = {"found": reducer} if reducer else None
    graph = Graph("g", reducers=reducers).add_node("S", nothing).add_node("A", lambda x: {"found": x})
    graph.add_node("B", lambda x: {"found": x + 1}).add_node("J", lambda found: None, fan_in=True).add_fan_out(
        "S", "A", "B"
    )
    graph.add_chain("A", "J", END).add_transition("B", "J")
    assert kinds(graph, {"x": 1}) == ([] if reducer else [("lost-write", "A", "found")])
    each = Graph("g", reducers=reducers).add_node("S", nothing).add_node("A", lambda item: {"found": item})
    each.add_node("J", nothing, fan_in=True).add_for_each("S", "A", items="xs").add_chain("A", "J", END)
    assert kinds(each, {"xs": []}) == ([] if reducer else [("lost-write", "A", "found")])


def test_an_inner_fan_in_that_does_not_write_on_what_it_gathers() -> None:
    def nested(inner: Any, outer: Any) -> Graph:
        graph = Graph("g", reducers={"found": "append", "sums": "append"}).add_node("S", nothing)
        graph.add_node("A", nothing).add_node("B", lambda item: {"found": [item]})
        graph.add_node("I", inner, fan_in=True).add_node("O", outer, fan_in=True)
        graph.add_for_each("S", "A", items="rows", item="row").add_for_each("A", "B", items="row")
        return graph.add_chain("B", "I", "O", END)

    lost = nested(nothing, lambda found: {"all": found})
    assert kinds(lost, {"rows": []}) == [("lost-write", "I", "found")]
    assert "{'found': found}" in lost.check()[0].suggestion
    assert kinds(nested(lambda found: {"found": found}, lambda found: {"all": found}), {"rows": []}) == []
    assert kinds(nested(lambda found: {"sums": [sum(found)]}, lambda sums: {"all": sums}), {"rows": []}) == []
    assert kinds(nested(nothing, lambda sums: {"all": sums}), {"rows": []}) == [("unknown-field", "O", "sums")]


def test_what_a_branch_keeps_to_itself_is_not_lost() -> None:
    graph = Graph("g", reducers={"out": "append"}).add_node("S", nothing).add_node("A", lambda item: {"tmp": item})
    graph.add_node("B", lambda tmp: {"out": [tmp]}).add_node("J", nothing, fan_in=True)
    graph.add_for_each("S", "A", items="xs").add_chain("A", "B", "J", END)
    assert kinds(graph, {"xs": []}) == []


def test_fields_that_nobody_reads() -> None:
    graph = Graph("g").add_node("A", lambda x: {"y": x}).add_transition("A", END)
    assert kinds(graph, {"x": 1, "colour": "red"}) == [("unused-field", "", "colour")]
    graph = Graph("g").add_node("A", lambda: {"y": 1}).add_node("B", lambda: {"y": 2}).add_chain("A", "B", END)
    assert kinds(graph) == [("unused-field", "A", "y")]
    graph = Graph("g").add_node("A", lambda: {"y": 1}).add_node("B", lambda y: {"y": 2}).add_chain("A", "B", END)
    assert kinds(graph) == []


def test_one_item_name_twice() -> None:
    graph = Graph("g").add_node("S", nothing).add_node("A", nothing).add_node("B", nothing)
    graph.add_node("J1", nothing, fan_in=True).add_node("J2", nothing, fan_in=True)
    graph.add_for_each("S", "A", items="xs").add_for_each("A", "B", items="ys").add_chain("B", "J1", "J2", END)
    assert kinds(graph) == [("shadowed-item", "A", "item")]


def test_the_last_node_and_its_reducer() -> None:
    def twice(total: int) -> dict[str, Any]:
        return {"total": total * 2}

    def over(flow: Flow) -> None:
        flow.overwrite("total", flow["total"] * 2)

    def reply(messages: list[str]) -> dict[str, Any]:
        return {"messages": [f"{len(messages)}"]}

    graph = Graph("g", reducers={"total": Reducer.ADD}).add_node("A", twice).add_transition("A", END)
    assert kinds(graph) == [("reduced-at-end", "A", "total")]
    assert kinds(graph.add_node("A", over)) == []
    assert kinds(Graph("g", reducers={"messages": "append"}).add_node("A", reply).add_transition("A", END)) == []


BROKEN: list[Callable[[], Graph]] = [
    lambda: Graph(""),
    lambda: Graph("g", entry="nowhere").add_chain("a", "b"),
    lambda: Graph("g").add_for_each("a", END, items=""),
    lambda: Graph("g").add_node("a", fan_in=True).add_chain("a", "a", "b", "a"),
    lambda: Graph("g").add_transition("a", END, when="x == "),
    lambda: Graph("g").add_chain(END, "a", END).set_fan_in(END).set_fan_in("z"),
]


@pytest.mark.parametrize("build", BROKEN)
@pytest.mark.parametrize("state", [None, {}, [], 5, "x", int, {"a": object()}])
def test_it_never_raises(build: Callable[[], Graph], state: Any) -> None:
    graph = build()
    graph.check(state)
    assert len(flowing(graph)) == len(graph.transitions)


def test_a_host_may_know_the_functions() -> None:
    graph = Graph("g").add_node("A", "a").add_node("B", "b").add_chain("A", "B", END)
    functions = {"a": lambda: {"x": 1}, "b": lambda y: None}
    assert [finding.field for finding in check(graph, {}, functions)] == ["y"]


# ---------------------------------------------------------------- who writes what for whom


def test_the_data_flow() -> None:
    found = misspelt().add_switch("Price", {"amount > 100": "Approve"}).data_flow()
    assert set(found.nodes) == {"START", "END", "Price", "Approve"}
    assert found.edges["Price", "Approve"]["fields"] == ("amount",)
    assert set(found.edges["Price", "END"]["fields"]) >= {"amount"}
    assert found.edges["Approve", "END"]["fields"] == ("approved",)
    assert found.nodes["Price"]["writes"] == ("amount",)


def test_what_flows_along_each_transition() -> None:
    graph = Graph("g").add_node("A", lambda: {"x": 1, "z": 2}).add_node("B", lambda x: {"y": x})
    graph.add_node("C", lambda y: None).add_chain("A", "B", "C", END)
    assert flowing(graph) == [("x",), ("y",), ("x", "z", "y")]


def test_a_check_of_a_hundred_nodes_is_quick() -> None:
    """Where reading the graph's JSON takes half a millisecond, a check takes less than twenty."""
    chain, cycles = Graph("long"), Graph("cycles")
    for number in range(100):
        chain.add_node(f"n{number}", lambda x: {"x": x})
        cycles.add_node(f"n{number}", lambda x: {"x": x, "y": 1})
        cycles.add_switch(
            f"n{number}", {f"x > {number}": f"n{number + 1}", "y == 2": f"n{number * 7 % 100}"}, default=END
        )
    chain.add_chain(*(f"n{number}" for number in range(100)), END)
    cycles.add_node("n100", lambda x: None).add_transition("n100", END)
    for graph in (chain, cycles):
        text = graph.to_json()
        assert graph.check({"x": 1, "y": 1} if graph is cycles else {"x": 1}) == ()
        least = {"check": 1e9, "read": 1e9}
        for _ in range(5):
            for what, call in (("check", graph.check), ("read", lambda text=text: Graph.from_json(text))):
                begun = thread_time()
                call()
                least[what] = min(least[what], thread_time() - begun)
        assert least["check"] < 40 * least["read"]
