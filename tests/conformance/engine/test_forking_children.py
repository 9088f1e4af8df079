"""Forks and child flows: scenarios 117 and 119."""

from __future__ import annotations

from typing import Any

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.errors import SubgraphFailed
from dwarf.hosts import LocalHost
from tests.conformance.engine.forks import Runs, rows
from tests.conformance.engine.tools import doctor, nothing, step_at
from tests.support.invariants import query

# ---------------------------------------------------------------- 117: child flows


def three_levels(host: LocalHost, runs: Runs) -> Graph:
    """Top calls mid, mid calls low; each level has a step before its call and one after it."""

    async def work(flow: Flow) -> None:
        flow["n"] = flow.get("n", 0) + 1

    def caller(child: str) -> Any:
        async def call(flow: Flow) -> None:
            flow["n"] = flow.subgraph(child, {"n": flow["n"]})["n"] + 10

        return call

    for level, child in (("Low", ""), ("Mid", "low"), ("Top", "mid")):
        first, second, third = (f"{level}{number}" for number in (1, 2, 3))
        host.add_task(first, runs.task(first, work))
        host.add_task(second, runs.task(second, caller(child) if child else work))
        host.add_task(third, runs.task(third, work))
        host.add_graph(Graph(level.lower()).add_chain(first, second, third, END))
    return Graph("top").add_chain("Top1", "Top2", "Top3", END)


def deeper(steps: Any) -> Any:
    """The steps of the child flow in a history."""
    return next(step for step in steps if step.sub_flows).sub_steps


async def test_e117_fork_at_a_caller_calls_a_new_child(host: LocalHost, engine: Engine) -> None:
    runs = Runs()
    origin = await engine.create(three_levels(host, runs), time_budget=75)
    expected = (await origin).state
    runs.clear()
    fork = await engine.fork(await step_at(origin, "Top2"))
    assert (await fork).state == expected
    assert runs == {"Top2": 2, "Mid1": 1, "Mid2": 2, "Mid3": 1, "Low1": 1, "Low2": 1, "Low3": 1, "Top3": 1}
    old, new = await step_at(origin, "Top2"), await step_at(fork, "Top2")
    assert len(new.sub_flows) == 1
    assert old.sub_flows[0].flow_key != new.sub_flows[0].flow_key


async def test_e117_fork_inside_a_child_three_levels_down(host: LocalHost, engine: Engine) -> None:
    runs = Runs()
    origin = await engine.create(three_levels(host, runs), time_budget=75)
    expected = (await origin).state
    before = await rows(engine, origin)
    low = deeper(deeper(await origin.history()))
    assert [step.node for step in low] == ["Low1", "Low2", "Low3"]
    await doctor(engine, "UPDATE dwarf_steps SET time_budget_ms = 1000 WHERE node LIKE 'Low%'")
    runs.clear()
    fork = await engine.fork(low[1], {"n": 100})
    assert (await fork).state == {"n": expected["n"] + 97}
    assert runs == {"Low2": 1, "Low3": 1, "Mid2": 1, "Mid3": 1, "Top2": 1, "Top3": 1}
    await doctor(engine, "UPDATE dwarf_steps SET time_budget_ms = 75000 WHERE time_budget_ms = 1000")
    assert await rows(engine, origin) == before
    root = int(fork.key.split("-")[1])
    of_tree = "flow_id IN (SELECT flow_id FROM dwarf_flows WHERE root_flow_id = :root)"
    assert await query(engine, f"SELECT DISTINCT time_budget_ms FROM dwarf_steps WHERE {of_tree}", root=root) == [
        (75_000,)
    ]
    again = deeper(deeper(await fork.history()))
    assert [step.node for step in again] == ["Low1", "Low2", "Low3"]
    assert again[0].key != low[0].key


async def test_e117_a_child_of_a_kept_step_keeps_its_outcome(host: LocalHost, engine: Engine) -> None:
    """What the reference leaves empty (Q-3): the outcome of child flows that are copied."""
    runs = Runs()
    origin = await engine.create(three_levels(host, runs))
    await origin
    fork = await engine.fork(await step_at(origin, "Top3"))
    await fork
    old, new = await step_at(origin, "Top2"), await step_at(fork, "Top2")
    child = engine.flow(new.sub_flows[0].flow_key)
    assert (await child.snapshot()).state == (await engine.flow(old.sub_flows[0].flow_key).snapshot()).state != {}
    assert runs["Mid1"] == 1
    thread = await query(
        engine,
        "SELECT thread_id = flow_id, thread_token = token, root_flow_id FROM dwarf_flows WHERE flow_id = :id",
        id=int(child.key.split("-")[1]),
    )
    assert thread == [(1, 1, int(fork.key.split("-")[1]))]


async def test_e117_the_keys_of_copied_children_reach_the_task(host: LocalHost, engine: Engine) -> None:
    keys: list[str] = []

    async def call(flow: Flow) -> None:
        try:
            flow.subgraph("bad")
        except SubgraphFailed as error:
            keys.append(error.outcome.flow_key)
        flow.subgraph("good")

    host.add_task("Good", nothing)
    host.add_task("Call", call)
    host.add_graph(Graph("bad").add_transition("Bad", END))
    host.add_graph(Graph("good").add_transition("Good", END))

    async def bad(flow: Flow) -> None:
        raise ValueError("bad")

    host.add_task("Bad", bad)
    origin = await engine.create(Graph("g").add_transition("Call", END))
    await origin
    caller = await step_at(origin, "Call")
    fork = await engine.fork(caller.sub_flows[1].steps[0])
    assert (await fork).status is Status.COMPLETED
    children = (await step_at(fork, "Call")).sub_flows
    assert [child.status for child in children] == [Status.FAILED, Status.COMPLETED]
    assert keys[-1] == children[0].flow_key != caller.sub_flows[0].flow_key


async def test_e119_a_fork_of_an_interrupted_step_shows_its_own_payload(host: LocalHost, engine: Engine) -> None:
    async def ask(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": flow["question"]}, timeout=3600)

    async def call(flow: Flow) -> None:
        flow["answer"] = flow.subgraph("inner", {"question": flow["question"]})["answer"]

    host.add_task("Ask", ask)
    host.add_task("Call", call)
    host.add_graph(Graph("inner").add_transition("Ask", END))
    origin = await engine.create(Graph("g").add_transition("Call", END), {"question": "old?"})
    assert (await origin).interrupt_payload == {"title": "old?"}
    await origin.cancel()
    inner = (await step_at(origin, "Call")).sub_steps[0]
    fork = await engine.fork(inner, {"question": "new?"})
    assert (await fork).interrupt_payload == {"title": "new?"}
    (waiting,) = await fork.interrupts()
    assert waiting.interrupt_payload == {"title": "new?"}
    await fork.resume("yes")
    assert (await fork).state == {"question": "old?", "answer": "yes"}
