"""Routing: scenarios 54 to 66."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.support.workflows import install, names


def appending(letter: str) -> Any:
    async def append(flow: Flow) -> None:
        flow["path"] = flow.get("path", "") + letter

    return append


async def test_w54_a_chain_runs_in_order(engine: Engine, host: LocalHost) -> None:
    graph = Graph("chain").add_chain("A", "B", "C", END)
    install(host, graph, A=appending("A"), B=appending("B"), C=appending("C"))
    outcome = await engine.run("chain", {})
    assert outcome.status is Status.COMPLETED
    assert outcome.state == {"path": "ABC"}


@pytest.mark.parametrize(("branch", "path", "nodes"), [("", "ABC", "SABC"), ("BPrime", "BD", ["S", "BPrime", "D"])])
async def test_w55_two_nodes_share_a_url(
    engine: Engine, host: LocalHost, branch: str, path: str, nodes: list[str]
) -> None:
    graph = Graph("shared").add_transition("S", "A").add_goto("S", "BPrime")
    graph.add_chain("A", "B", "C", END).add_chain("BPrime", "D", END)
    graph.add_node("B", "append-b").add_node("BPrime", "append-b")

    async def start(flow: Flow) -> None:
        if flow.get("branch"):
            flow.goto(flow["branch"])

    install(host, graph, S=start, A=appending("A"), C=appending("C"), D=appending("D"))
    host.add_task("append-b", appending("B"))
    flow = await engine.create("shared", {"branch": branch})
    outcome = await flow
    assert outcome.state["path"] == path
    assert names(await flow.history()) == list(nodes)


@pytest.mark.parametrize(("score", "label"), [(80, "high"), (20, "low"), (50, "high")])
async def test_w56_conditions_choose_a_branch(engine: Engine, host: LocalHost, score: int, label: str) -> None:
    graph = Graph("when").add_transition("A", "High", when="score >= 50").add_transition("A", "Low", when="score < 50")
    graph.add_transition("High", "C").add_transition("Low", "C").set_fan_in("C").add_transition("C", END)

    async def high(flow: Flow) -> None:
        flow["label"] = "high"

    async def low(flow: Flow) -> None:
        flow["label"] = "low"

    install(host, graph, High=high, Low=low)
    flow = await engine.create("when", {"score": score})
    outcome = await flow
    assert outcome.state == {"score": score, "label": label}
    assert names(await flow.history()) == ["A", label.capitalize(), "C"]


@pytest.mark.parametrize(
    ("amount", "label"), [(50000, "high"), (10000, "high"), (5000, "mid"), (1000, "mid"), (100, "low")]
)
async def test_w57_a_switch_takes_the_first_true_arm(engine: Engine, host: LocalHost, amount: int, label: str) -> None:
    ran: list[str] = []

    async def note(flow: Flow) -> None:
        ran.append(flow.node)

    graph = Graph("switch").add_switch("Router", {"amount >= 10000": "High", "amount >= 1000": "Mid"}, default="Low")
    for node in ("High", "Mid", "Low"):
        graph.add_transition(node, END)
    install(host, graph, High=note, Mid=note, Low=note)
    outcome = await engine.run("switch", {"amount": amount})
    assert outcome.status is Status.COMPLETED
    assert ran == [label.capitalize()]


async def test_w57_a_switch_without_a_match_completes(engine: Engine, host: LocalHost) -> None:
    graph = Graph("switch").add_switch("Router", {"amount >= 10000": "High", "amount >= 1000": "Mid"})
    graph.add_transition("High", END).add_transition("Mid", END)
    install(host, graph)
    flow = await engine.create("switch", {"amount": 100})
    assert (await flow).status is Status.COMPLETED
    assert names(await flow.history()) == ["Router"]


@pytest.mark.parametrize(("gate", "runs"), [(1, 2), (5, 1), (0, 0)])
async def test_w58_conditional_fan_out(engine: Engine, host: LocalHost, gate: int, runs: int) -> None:
    graph = Graph("gated", reducers={"total": "add"})
    graph.add_transition("Split", "Work", when="gate == 1").add_transition("Split", "Work", when="gate > 0")
    graph.add_transition("Work", "J").set_fan_in("J").add_transition("J", END)

    async def work(flow: Flow) -> None:
        flow["total"] = 1

    install(host, graph, Work=work)
    flow = await engine.create("gated", {"gate": gate})
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert names(await flow.history()) == ["Split", *["Work"] * runs, "J"]
    assert outcome.state.get("total", 0) == runs
    assert ("total" in outcome.state) == (runs > 0)


async def test_w59_two_edges_into_one_fan_in_run_it_once(engine: Engine, host: LocalHost) -> None:
    graph = Graph("double").add_transition("Work", "J", when="gate==1").add_transition("Work", "J", when="gate>0")
    graph.set_fan_in("J").add_transition("J", END)
    install(host, graph)
    flow = await engine.create("double", {"gate": 1})
    assert (await flow).status is Status.COMPLETED
    assert names(await flow.history()) == ["Work", "J"]


async def test_w60_goto_makes_a_loop(engine: Engine, host: LocalHost) -> None:
    async def count(flow: Flow) -> None:
        flow["loops"] = flow.get("loops", 0) + 1

    async def again(flow: Flow) -> None:
        if flow["loops"] < flow["target"]:
            flow.goto("A")

    graph = Graph("loop").add_transition("A", "B").add_goto("B", "A").add_chain("B", "C", END)
    install(host, graph, A=count, B=again)
    flow = await engine.create("loop", {"target": 3})
    assert (await flow).state == {"target": 3, "loops": 3}
    assert names(await flow.history()) == [*"ABABABC"]


@pytest.mark.parametrize("handled", [False, True])
async def test_w61_goto_without_an_edge_fails_the_flow(engine: Engine, host: LocalHost, handled: bool) -> None:
    async def stray(flow: Flow) -> None:
        flow["kept"] = 1
        flow.goto("C")

    graph = Graph("stray").add_chain("A", "B", "C", END)
    if handled:
        graph.add_error_handler("A", "H").add_transition("H", END)
    install(host, graph, A=stray)
    flow = await engine.create("stray", {})
    outcome = await flow
    assert outcome.status is Status.FAILED
    assert "'A'" in outcome.error
    assert "'C'" in outcome.error
    assert outcome.state == {"kept": 1}
    assert names(await flow.history()) == ["A"]


async def test_w62_a_trunk_without_a_true_condition_completes(engine: Engine, host: LocalHost) -> None:
    async def write(flow: Flow) -> None:
        flow["x"] = 2

    graph = Graph("dead-end").add_transition("A", "B", when="x == 1").add_transition("B", END)
    install(host, graph, A=write)
    flow = await engine.create("dead-end", {})
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert outcome.state == {"x": 2}
    assert names(await flow.history()) == ["A"]


async def test_w63_a_loop_around_a_for_each_ends_by_goto_end(engine: Engine, host: LocalHost) -> None:
    async def init(flow: Flow) -> None:
        flow["pending"] = ["a", "b"]

    async def dispatch(flow: Flow) -> None:
        flow["round"] = flow.get("round", 0) + 1
        if flow["round"] == 2:
            flow.goto(END)

    graph = Graph("rounds").add_transition("Init", "D").add_goto("D", END)
    graph.add_for_each("D", "Work", items="pending", item="current")
    graph.add_transition("Work", "Join").set_fan_in("Join").add_transition("Join", "D")
    install(host, graph, Init=init, D=dispatch)
    flow = await engine.create("rounds", {})
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert outcome.state["round"] == 2
    assert names(await flow.history()) == ["Init", "D", "Work", "Work", "Join", "D"]


@pytest.mark.parametrize(("items", "done"), [([], []), ([1, 2, 3], [1, 2, 3])])
async def test_w64_goto_past_an_own_fan_out(engine: Engine, host: LocalHost, items: list[int], done: list[int]) -> None:
    async def split(flow: Flow) -> None:
        flow["seen"] = len(flow["items"])
        if not flow["items"]:
            flow.goto("Join")

    async def work(flow: Flow) -> None:
        flow["done"] = [flow["item"]]

    async def join(flow: Flow) -> None:
        flow["joined"] = True

    graph = Graph("skip", reducers={"done": "append"}).add_for_each("Split", "Work", items="items")
    graph.add_goto("Split", "Join").add_transition("Work", "Join").set_fan_in("Join").add_transition("Join", END)
    install(host, graph, Split=split, Work=work, Join=join)
    outcome = await engine.run("skip", {"items": items})
    assert outcome.status is Status.COMPLETED
    assert outcome.state["seen"] == len(items)
    assert outcome.state["joined"] is True
    assert outcome.state.get("done", []) == done


async def test_w64_goto_from_nested_cells_to_their_fan_in(engine: Engine, host: LocalHost) -> None:
    async def skip(flow: Flow) -> None:
        flow.goto("JC")

    async def join_cell(flow: Flow) -> None:
        flow["cells_done"] = [flow["cell"]]

    graph = Graph("nested-skip", reducers={"cells_done": "union"})
    graph.add_for_each("Seed", "Cell", items="cells", item="cell").add_for_each(
        "Cell", "Chunk", items="chunks", item="chunk"
    )
    graph.add_goto("Cell", "JC").add_chain("Chunk", "JC", "JO", END).set_fan_in("JC").set_fan_in("JO")
    install(host, graph, Cell=skip, JC=join_cell)
    flow = await engine.create("nested-skip", {"cells": ["a", "b", "c"], "chunks": [1, 2]})
    outcome = await flow
    assert outcome.state["cells_done"] == ["a", "b", "c"]
    assert names(await flow.history()) == ["Seed", *["Cell"] * 3, *["JC"] * 3, "JO"]


async def test_w65_competing_control_signals_fail_the_step(engine: Engine, host: LocalHost) -> None:
    async def torn(flow: Flow) -> None:
        flow["field"] = 1
        flow.goto("B")
        flow.retry()

    graph = Graph("torn").add_goto("A", "B").add_chain("A", "B", END)
    graph.add_error_handler("A", "H").add_transition("H", END)
    install(host, graph, A=torn)
    flow = await engine.create("torn", {})
    outcome = await flow
    assert outcome.status is Status.FAILED
    assert "multiple competing control signals" in outcome.error
    assert outcome.state == {}
    assert names(await flow.history()) == ["A"]


@pytest.mark.parametrize(("state", "status"), [({"name": "x"}, Status.FAILED), ({}, Status.COMPLETED)])
async def test_w66_a_bad_regular_expression_met_at_run_time(
    engine: Engine, host: LocalHost, state: dict[str, Any], status: Status
) -> None:
    graph = Graph("regex").add_transition("A", "B", when="name =~ pattern").add_transition("B", END)
    graph.add_error_handler("A", "H").add_transition("H", END)
    install(host, graph)
    flow = await engine.create("regex", {**state, "pattern": "("})
    outcome = await flow
    assert outcome.status is status
    assert names(await flow.history()) == ["A"]
    assert ("regular expression" in outcome.error or "regexp" in outcome.error) == (status is Status.FAILED)
