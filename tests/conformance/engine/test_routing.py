"""Linear flows, routing and state: scenarios 1 to 16."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.errors import GraphError, GraphNotFound, InvalidRequest
from dwarf.hosts import LocalHost
from dwarf.testing import VirtualClock
from tests.conformance.engine.tools import appending, flow_count, nodes, nothing, query, scalar, step_at


def letters(host: LocalHost, names: str) -> None:
    """A task for each letter, which appends it to `path`."""
    for name in names:
        host.add_task(name, appending(name))


async def test_e1_linear_flow_runs_in_order(host: LocalHost, engine: Engine) -> None:
    letters(host, "ABC")
    handle = await engine.create(Graph("g").add_chain("A", "B", "C", END))
    outcome = await handle
    assert outcome.status is Status.COMPLETED
    assert outcome.state == {"path": "ABC"}
    assert [(step.node, step.depth) for step in await handle.history()] == [("A", 1), ("B", 2), ("C", 3)]


async def test_e2_two_nodes_share_a_task(host: LocalHost, engine: Engine) -> None:
    letters(host, "ABCD")
    host.add_task("S", nothing)
    graph = Graph("g").add_node("S").add_node("BPrime", "B")
    graph.add_switch("S", {"branch == 'alt'": "BPrime"}, default="A")
    graph.add_chain("A", "B", "C", END).add_chain("BPrime", "D", END)
    handle = await engine.create(graph)
    assert (await handle).state["path"] == "ABC"
    assert await nodes(handle) == ["S", "A", "B", "C"]
    handle = await engine.create(graph, {"branch": "alt"})
    assert (await handle).state["path"] == "BD"
    assert await nodes(handle) == ["S", "BPrime", "D"]


@pytest.mark.parametrize(("score", "branch"), [(80, "high"), (20, "low"), (50, "high")])
async def test_e3_conditional_edges_are_a_fan_out(host: LocalHost, engine: Engine, score: int, branch: str) -> None:
    @host.task(url="High")
    async def High(flow: Flow) -> None:
        flow["branch"] = "high"

    @host.task(url="Low")
    async def Low(flow: Flow) -> None:
        flow["branch"] = "low"

    host.add_task("A", nothing)
    host.add_task("C", nothing)
    graph = Graph("g").add_transition("A", "High", when="score >= 50").add_transition("A", "Low", when="score < 50")
    graph.add_chain("High", "C").add_chain("Low", "C", END)
    with pytest.raises(GraphError):
        await engine.create(graph)
    graph.set_fan_in("C")
    handle = await engine.create(graph, {"score": score})
    assert (await handle).state["branch"] == branch
    assert await nodes(handle) == ["A", branch.capitalize(), "C"]
    assert await query(engine, "SELECT cohort_size, cohort_arrivals FROM dwarf_steps WHERE node = 'A'") == [(1, 1)]


SWITCH = {"amount >= 10000": "High", "amount >= 1000": "Mid"}


@pytest.mark.parametrize(
    ("amount", "branch"), [(50000, "High"), (10000, "High"), (5000, "Mid"), (1000, "Mid"), (100, "Low")]
)
async def test_e4_first_true_arm_of_a_switch_is_taken(
    host: LocalHost, engine: Engine, amount: int, branch: str
) -> None:
    for name in ("High", "Mid", "Low"):
        host.add_task(name, appending(name, "branch"))
    host.add_task("S", nothing)
    graph = Graph("g").add_switch("S", SWITCH, default="Low")
    for name in ("High", "Mid", "Low"):
        graph.add_transition(name, END)
    assert (await engine.run(graph, {"amount": amount})).state == {"amount": amount, "branch": branch}


async def test_e5_switch_without_a_true_arm_ends_the_flow(host: LocalHost, engine: Engine) -> None:
    host.add_task("S", nothing)
    graph = Graph("g").add_switch("S", SWITCH).add_transition("High", END).add_transition("Mid", END)
    handle = await engine.create(graph, {"amount": 100}, check_tasks=False)
    outcome = await handle
    assert outcome.status is Status.COMPLETED
    assert outcome.state == {"amount": 100}
    assert await nodes(handle) == ["S"]


@pytest.mark.parametrize(("target", "steps"), [(1, 3), (3, 7)])
async def test_e6_goto_loops(host: LocalHost, engine: Engine, target: int, steps: int) -> None:
    @host.task(url="B")
    async def B(flow: Flow, loops: int = 0) -> None:
        flow["loops"] = loops + 1
        if loops + 1 < target:
            flow.goto("A")

    @host.task(url="C")
    async def C(flow: Flow) -> None:
        flow["finalLoops"] = flow["loops"]

    host.add_task("A", nothing)
    graph = Graph("g").add_chain("A", "B", "C", END).add_goto("B", "A")
    handle = await engine.create(graph)
    assert (await handle).state["finalLoops"] == target
    assert len(await nodes(handle)) == steps


async def test_e7_goto_without_an_edge_fails_the_step(host: LocalHost, engine: Engine) -> None:
    @host.task(url="A")
    async def A(flow: Flow) -> None:
        flow["wrote"] = 1
        flow.goto("Elsewhere")

    for name in ("B", "Handler"):
        host.add_task(name, nothing)
    graph = Graph("g").add_chain("A", "B", END).add_error_handler("A", "Handler").add_transition("Handler", END)
    handle = await engine.create(graph)
    outcome = await handle
    assert outcome.status is Status.FAILED
    assert "'A'" in outcome.error
    assert "'Elsewhere'" in outcome.error
    assert outcome.state == {"wrote": 1}
    assert await nodes(handle) == ["A"]
    step = await engine.step((await step_at(handle, "A")).key)
    assert step.changes == {"wrote": 1}
    assert step.error == outcome.error


async def test_e8_pattern_from_the_state(host: LocalHost, engine: Engine) -> None:
    for name in ("A", "Handler"):
        host.add_task(name, nothing)
    host.add_task("B", appending("B"))
    graph = Graph("g").add_transition("A", "B", when="text =~ pattern").add_transition("B", END)
    graph.add_error_handler("A", "Handler").add_transition("Handler", END)
    handle = await engine.create(graph, {"text": "abc", "pattern": "("})
    outcome = await handle
    assert outcome.status is Status.FAILED
    assert "(" in outcome.error
    assert await nodes(handle) == ["A"]
    for state in ({"text": "abc", "pattern": "^b"}, {"pattern": "b"}, {"text": "abc"}):
        handle = await engine.create(graph, state)
        assert (await handle).status is Status.COMPLETED
        assert await nodes(handle) == ["A"]
    assert (await engine.run(graph, {"text": "abc", "pattern": "b"})).state["path"] == "B"


async def test_e9_deleted_field_is_gone(host: LocalHost, engine: Engine) -> None:
    @host.task(url="A")
    async def A(flow: Flow) -> None:
        del flow["drop"]

    @host.task(url="B")
    async def B(flow: Flow) -> None:
        flow["seen"] = "drop" in flow

    outcome = await engine.run(Graph("g").add_chain("A", "B", END), {"drop": 1, "keep": 2})
    assert outcome.state == {"keep": 2, "seen": False}


TEXT = "ä€漢字 \U0001f600 ‘quoted’ \"'` back\\slash \u2028 tab\t nul\0 end"


async def test_e10_unicode_survives_everywhere(host: LocalHost, engine: Engine) -> None:
    seen: list[Any] = []

    @host.task(url="Ask")
    async def Ask(flow: Flow) -> None:
        seen.append(flow.baggage)
        flow[TEXT] = TEXT
        flow["answer"] = flow.interrupt({TEXT: TEXT})

    graph = Graph(f"name {TEXT}").add_transition("Ask", END)
    handle = await engine.create(graph, {"given": TEXT}, baggage={"b": TEXT})
    outcome = await handle
    assert outcome.status is Status.INTERRUPTED
    assert outcome.interrupt_payload == {TEXT: TEXT}
    assert outcome.state == {"given": TEXT, TEXT: TEXT}
    await handle.resume({"a": TEXT})
    final = {"given": TEXT, TEXT: TEXT, "answer": {"a": TEXT}}
    assert (await handle).state == final
    assert (await handle.snapshot()).state == final
    step = await engine.step((await step_at(handle, "Ask")).key)
    assert step.state == {"given": TEXT}
    assert step.changes == {TEXT: TEXT, "answer": {"a": TEXT}}
    assert (await handle.graph()).name == f"name {TEXT}"
    assert seen == [{"b": TEXT}] * 2


async def test_e11_large_value_passes_unchanged(host: LocalHost, engine: Engine) -> None:
    host.add_task("A", nothing)
    host.add_task("B", nothing)
    large = "0123456789" * 20_000
    outcome = await engine.run(Graph("g").add_chain("A", "B", END), {"large": large})
    assert outcome.state == {"large": large}


async def test_e12_delay_holds_back_the_next_step(host: LocalHost, engine: Engine, clock: VirtualClock) -> None:
    @host.task(url="A")
    async def A(flow: Flow) -> None:
        flow["wrote"] = True
        flow.delay(0.1)

    host.add_task("B", nothing)
    handle = await engine.create(Graph("g").add_chain("A", "B", END))
    assert (await handle).state == {"wrote": True}
    first, second = await handle.history()
    assert first.started_at is not None
    assert second.started_at is not None
    assert (second.started_at - first.started_at).total_seconds() >= 0.1
    assert clock.offset_ms > 0


async def test_e13_reducer_applies_to_the_last_step_only(host: LocalHost, engine: Engine) -> None:
    @host.task(url="A")
    async def A(flow: Flow) -> None:
        flow["total"] = 5

    @host.task(url="B")
    async def B(flow: Flow) -> None:
        flow["read"] = flow["total"]
        flow["total"] = 7

    graph = Graph("g", reducers={"total": "add"}).add_chain("A", "B", END)
    assert (await engine.run(graph, {"total": 100})).state == {"total": 12, "read": 5}


async def test_e14_initial_state_is_an_object(host: LocalHost, engine: Engine) -> None:
    host.add_task("A", nothing)
    graph = Graph("g").add_transition("A", END)
    for wrong in ([1], "text", 7):
        with pytest.raises(InvalidRequest):
            await engine.create(graph, wrong)
    assert await flow_count(engine) == 0
    assert (await engine.run(graph, None)).state == {}


async def test_e15_unusable_workflow_leaves_no_row(host: LocalHost, engine: Engine) -> None:
    island = Graph("island").add_transition("A", END).add_transition("B", END)
    host.add_graph(island)
    with pytest.raises(InvalidRequest):
        await engine.create("")
    with pytest.raises(GraphNotFound):
        await engine.create("unknown")
    with pytest.raises(GraphError, match="not reachable"):
        await engine.create("island")

    async def none(url: str, baggage: Any) -> Any:
        return None

    host.load_graph = none  # type: ignore[method-assign]
    with pytest.raises(GraphNotFound):
        await engine.create("island")
    assert await flow_count(engine) == 0


@pytest.mark.parametrize(
    "options", [{"priority": -1}, {"fairness_weight": -0.5}, {"time_budget": -1}, {"time_budget": 0.0005}], ids=str
)
async def test_e16_bad_options_are_refused(host: LocalHost, engine: Engine, options: dict[str, Any]) -> None:
    host.add_task("A", nothing)
    graph = Graph("g").add_transition("A", END)
    with pytest.raises(InvalidRequest):
        await engine.create(graph, **options)
    with pytest.raises(InvalidRequest):
        await engine.run(graph, **options)
    assert await flow_count(engine) == 0


async def test_e16_defaults_are_accepted(host: LocalHost, running: Any) -> None:
    host.add_task("A", nothing)
    graph = Graph("g").add_transition("A", END)
    async with running(workers=0) as engine:
        await engine.create(graph, time_budget=0.001)
        assert await scalar(engine, "SELECT time_budget_ms FROM dwarf_flows") == 1
        await engine.create(graph, priority=0, fairness_weight=0, fairness_key="", time_budget=None)
        row = await query(
            engine, "SELECT priority, fairness_weight, time_budget_ms FROM dwarf_flows ORDER BY flow_id DESC LIMIT 1"
        )
        assert row == [(100, 1.0, 120_000)]
