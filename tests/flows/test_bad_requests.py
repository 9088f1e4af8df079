"""Wrong names, wrong keys, wrong graphs, wrong moments: each has its error, which says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, FlowHandle
from dwarf.errors import (
    ConfigError,
    EngineClosed,
    FlowNotFound,
    GraphError,
    GraphNotFound,
    InvalidRequest,
    StateConflict,
    StateError,
    StepNotFound,
    TaskNotFound,
    ThreadNotFound,
    WaitTimeout,
)
from dwarf.hosts import LocalHost
from dwarf.testing import engine_for_test
from tests.support.invariants import query
from tests.support.workflows import Gate, Running, at, install, names

# ---------------------------------------------------------------- names


async def test_an_unknown_workflow(engine: Engine, host: LocalHost) -> None:
    install(host, Graph("orders").add_transition("A", END))
    with pytest.raises(GraphNotFound, match=r"'order'.*orders"):
        await engine.create("order")
    assert await query(engine, "SELECT COUNT(*) FROM dwarf_flows") == [(0,)]


@pytest.mark.parametrize("workflow", ["", "  ", None, 5, b"bytes", [], object()])
async def test_what_is_no_workflow(engine: Engine, workflow: Any) -> None:
    with pytest.raises(InvalidRequest, match="workflow"):
        await engine.create(workflow)


async def test_an_unknown_task_waits_for_who_knows_it(engine: Engine, host: LocalHost) -> None:
    async def good(flow: Flow) -> None:
        flow["good"] = flow.get("good", 0) + 1

    host.add_task("good", good)
    host.add_graph(Graph("g").add_node("First", "good").add_node("Second", "goood").add_chain("First", "Second", END))
    with pytest.raises(TaskNotFound, match=r"node 'Second' needs the task 'goood'.*did you mean 'good'\?"):
        await engine.create("g")
    slip = Graph("slip").add_node("Review", good).add_switch("Review", {"good > 1": "Reveiw"}, default=END)
    with pytest.raises(TaskNotFound, match=r"did you mean the node 'Review'\? Register"):
        await engine.create(slip)
    flow = await engine.create("g", check_tasks=False)
    async with asyncio.timeout(60):
        async for update in flow.watch():
            if [step.status for step in update.steps] == [Status.COMPLETED, Status.PENDING]:
                break
    text = r"its step 'Second' waits for a process that knows 'goood'; did you mean 'good'\?.*aliases=\['goood'\]"
    with pytest.raises(WaitTimeout, match=text):
        await flow.outcome(timeout=0)
    (shard,) = await engine.shards()
    assert list(shard.waiting) == ["goood"]
    host.add_task("goood", good)
    assert (await flow).state == {"good": 2}


async def test_an_unknown_child_workflow_fails_the_caller(engine: Engine) -> None:
    async def call(flow: Flow) -> None:
        flow.subgraph("nowhere")

    flow = await engine.create(Graph("g").add_node("Call", call).add_transition("Call", END))
    outcome = await flow
    assert outcome.status is Status.FAILED
    assert "'nowhere'" in outcome.error
    assert not at(await flow.history(), "Call").parked


@pytest.mark.parametrize("workflow", ["", None, 5])
async def test_what_is_no_child_workflow(engine: Engine, workflow: Any) -> None:
    async def call(flow: Flow) -> None:
        flow.subgraph(workflow)

    outcome = await engine.run(Graph("g").add_node("Call", call).add_transition("Call", END))
    assert outcome.status is Status.FAILED
    assert "workflow" in outcome.error


async def test_a_child_with_an_invalid_graph_fails_the_caller(engine: Engine) -> None:
    async def call(flow: Flow) -> None:
        flow.subgraph(Graph("broken").add_transition("A", "B"))

    outcome = await engine.run(Graph("g").add_node("Call", call).add_transition("Call", END))
    assert outcome.status is Status.FAILED
    assert "no transition to END" in outcome.error


# ---------------------------------------------------------------- graphs


async def test_an_invalid_graph_names_every_problem(engine: Engine, host: LocalHost) -> None:
    graph = Graph("").add_transition("A", "B", when="(((").add_transition("C", END)
    with pytest.raises(GraphError) as caught:
        await engine.create(graph)
    assert len(caught.value.problems) >= 3
    install(host, Graph("known").add_transition("A", "B"))
    with pytest.raises(GraphError, match="no transition to END"):
        await engine.create("known")
    assert await query(engine, "SELECT COUNT(*) FROM dwarf_flows") == [(0,)]


async def test_functions_need_a_host_that_takes_them() -> None:
    class Remote:
        async def load_graph(self, url: str, baggage: Any) -> Graph:
            raise AssertionError("a graph that is given is not loaded")

        async def execute_task(self, url: str, flow: Flow) -> None:
            flow["ran"] = url

    async with engine_for_test("remote", Remote()) as engine:
        with pytest.raises(ConfigError, match="functions"):
            await engine.create(Graph("g").add_node("A", lambda: None).add_transition("A", END))
        outcome = await engine.run(Graph("g").add_transition("A", END))
        assert outcome.state == {"ran": "A"}


@pytest.mark.parametrize(("answer", "error"), [(None, GraphNotFound), ("graph", ConfigError), ({}, ConfigError)])
async def test_a_host_that_answers_no_graph(answer: Any, error: type[Exception]) -> None:
    class Wrong:
        async def load_graph(self, url: str, baggage: Any) -> Any:
            return answer

        async def execute_task(self, url: str, flow: Flow) -> None:
            raise AssertionError

    async with engine_for_test("wrong", Wrong()) as engine:
        with pytest.raises(error):
            await engine.create("g")


# ---------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    "arguments",
    [
        {"priority": -1},
        {"priority": 2**31},
        {"priority": 1.5},
        {"priority": True},
        {"fairness_weight": -1},
        {"fairness_weight": float("nan")},
        {"fairness_weight": "1"},
        {"delete_on_completion": "no"},
        {"check_tasks": "no"},
        {"fairness_key": 5},
        {"fairness_key": "k" * 1000},
        {"time_budget": 0},
        {"time_budget": -5},
        {"baggage": [1]},
        {"idempotency_key": 7},
        {"idempotency_key": "k" * 1000},
        {"thread": "nonsense"},
    ],
    ids=repr,
)
async def test_wrong_options(engine: Engine, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        await engine.create(Graph("g").add_transition("A", END), **arguments)
    assert await query(engine, "SELECT COUNT(*) FROM dwarf_flows") == [(0,)]


@pytest.mark.parametrize("state", [5, "text", [1], True, b"{}"])
async def test_a_state_that_is_no_object(engine: Engine, state: Any) -> None:
    with pytest.raises(InvalidRequest, match="state"):
        await engine.create(Graph("g").add_transition("A", END), state)


async def test_a_state_that_cannot_be_kept(engine: Engine) -> None:
    with pytest.raises(StateError, match=r"x.deep\[1\]"):
        await engine.create(Graph("g").add_transition("A", END), {"x": {"deep": [1, object()]}})


# ---------------------------------------------------------------- keys

Call = Callable[[FlowHandle], Awaitable[Any]]


OPERATIONS: dict[str, Call] = {
    "outcome": lambda flow: flow.outcome(timeout=60),
    "poll": lambda flow: flow.poll(timeout=60),
    "snapshot": lambda flow: flow.snapshot(),
    "fingerprint": lambda flow: flow.fingerprint(),
    "interrupts": lambda flow: flow.interrupts(),
    "resume": lambda flow: flow.resume({}),
    "cancel": lambda flow: flow.cancel(),
    "history": lambda flow: flow.history(),
    "graph": lambda flow: flow.graph(),
    "to_mermaid": lambda flow: flow.to_mermaid(),
    "watch": lambda flow: anext(flow.watch()),
}


@pytest.mark.parametrize(
    "key", ["", "x", "1", "1-2", "a-b-c", "-1-2-3", "0-1-x", "1- 2-x", "1-2²-x", "9" * 40 + "-1-x", None, 5]
)
async def test_malformed_keys(engine: Engine, key: Any) -> None:
    with pytest.raises(InvalidRequest):
        engine.flow(key)
    with pytest.raises(InvalidRequest):
        await engine.step(key)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_foreign_keys(engine: Engine, operation: str) -> None:
    """A number that does not exist, a token that does not fit, a shard that is not there: all are not found."""
    flow = await engine.create(Graph("g").add_node("A", lambda: None).add_transition("A", END))
    await flow
    shard, number, token = flow.key.split("-")
    for key in (
        f"{shard}-{int(number) + 1000}-{token}",
        f"{shard}-{number}-{'0' * 16}",
        f"{shard}-{number}-",
        f"{shard}-{number}-{token}0",
        f"{shard}-{number}-{token.upper()}x",
        f"{int(shard) + 1}-{number}-{token}",
        f"{shard}-{2**63 - 1}-{token}",
    ):
        with pytest.raises(FlowNotFound):
            await OPERATIONS[operation](engine.flow(key))


async def test_foreign_step_and_thread_keys(engine: Engine) -> None:
    flow = await engine.create(Graph("g").add_node("A", lambda: None).add_transition("A", END))
    await flow
    (step,) = await flow.history()
    shard, number, token = step.key.split("-")
    for key in (f"{shard}-{int(number) + 1}-{token}", f"{shard}-{number}-{'0' * 16}", f"7-{number}-{token}"):
        with pytest.raises(StepNotFound):
            await engine.step(key)
    shard, number, token = flow.key.split("-")
    for key in (f"{shard}-{int(number) + 1}-{token}", f"{shard}-{number}-{'0' * 16}", f"7-{number}-{token}"):
        with pytest.raises(ThreadNotFound):
            await engine.create(Graph("g").add_transition("A", END), thread=key)


async def test_a_step_key_is_no_flow_key(engine: Engine) -> None:
    flow = await engine.create(Graph("g").add_node("A", lambda: None).add_transition("A", END))
    await flow
    (step,) = await flow.history()
    with pytest.raises(FlowNotFound):
        await engine.flow(step.key).snapshot()
    with pytest.raises(StepNotFound):
        await engine.step(flow.key)


# ---------------------------------------------------------------- moments


async def ended(engine: Engine, status: Status) -> FlowHandle:
    """A flow in a status."""
    gate = Gate()

    async def work(flow: Flow) -> None:
        if status is Status.FAILED:
            raise ValueError("failed")
        if status is Status.INTERRUPTED:
            flow.interrupt({"title": "well?"})
        if status in (Status.RUNNING, Status.CANCELLED):
            await gate.wait()

    flow = await engine.create(Graph("g").add_node("Work", work).add_transition("Work", END))
    if status is Status.RUNNING:
        await gate.reached()
        gate.open()
        return flow
    if status is Status.CANCELLED:
        await gate.reached()
        await flow.cancel("first")
        gate.open()
    assert (await flow).status is status
    return flow


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
async def test_a_flow_that_has_ended_is_neither_resumed_nor_cancelled(engine: Engine, status: Status) -> None:
    flow = await ended(engine, status)
    before = await flow.snapshot()
    with pytest.raises(StateConflict, match=status):
        await flow.resume({})
    with pytest.raises(StateConflict, match=status):
        await flow.cancel("again")
    assert await flow.interrupts() == []
    assert await flow.snapshot() == before


async def test_a_running_flow_is_not_resumed(engine: Engine) -> None:
    gate = Gate()

    async def work() -> None:
        await gate.wait()

    flow = await engine.create(Graph("g").add_node("Work", work).add_transition("Work", END))
    await gate.reached()
    with pytest.raises(StateConflict, match="running"):
        await flow.resume({})
    with pytest.raises(WaitTimeout) as caught:
        await flow.outcome(timeout=0.01)
    assert caught.value.flow_key == flow.key
    gate.open()
    assert (await flow).status is Status.COMPLETED


async def test_a_child_flow_is_left_to_its_root(engine: Engine) -> None:
    async def ask(flow: Flow) -> None:
        flow.interrupt({"title": "child"})

    async def call(flow: Flow) -> None:
        flow.subgraph(Graph("child").add_node("Ask", ask).add_transition("Ask", END))

    root = await engine.create(Graph("g").add_node("Call", call).add_transition("Call", END))
    await root
    child = engine.flow((await root.history())[0].sub_flows[0].flow_key)
    with pytest.raises(InvalidRequest, match="root"):
        await child.resume({})
    with pytest.raises(InvalidRequest, match="root"):
        await child.cancel()
    with pytest.raises(InvalidRequest, match="root"):
        await engine.create(Graph("g").add_transition("A", END), thread=child.key)
    assert (await child.snapshot()).interrupt_payload == {"title": "child"}
    assert names(await child.history()) == ["Ask"]
    assert (await child.graph()).name == "child"
    assert [step.node for step in await child.interrupts()] == ["Ask"]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_after_the_engine_has_closed(running: Running, operation: str) -> None:
    async with running() as engine:
        flow = await ended(engine, Status.INTERRUPTED)
    with pytest.raises(EngineClosed):
        await OPERATIONS[operation](flow)
    with pytest.raises(EngineClosed):
        await engine.create(Graph("g").add_transition("A", END))
    with pytest.raises(EngineClosed):
        await engine.step(flow.key)


async def test_who_waits_is_told_that_the_engine_closes(running: Running) -> None:
    async with running() as engine:
        flow = await ended(engine, Status.INTERRUPTED)
        stream = flow.watch()
        assert (await anext(stream)).outcome.status is Status.INTERRUPTED
        watcher = asyncio.create_task(anext(stream))
    with pytest.raises(EngineClosed):
        await watcher


async def test_cancel_while_a_task_runs(engine: Engine) -> None:
    """The task is not stopped; its result is discarded."""
    gate = Gate()
    after: list[str] = []

    async def work(flow: Flow) -> None:
        flow["early"] = True
        await gate.wait()
        flow["late"] = True
        after.append("ran to its end")

    graph = Graph("g").add_node("Work", work).add_node("Next", lambda: after.append("next"))
    flow = await engine.create(graph.add_chain("Work", "Next", END), {"given": 1})
    await gate.reached()
    await flow.cancel("changed my mind")
    outcome = await flow
    assert (outcome.status, outcome.cancel_reason, outcome.state) == (Status.CANCELLED, "changed my mind", {"given": 1})
    gate.open()
    while not after:
        await flow.snapshot()
    assert (await flow.snapshot()) == outcome
    assert after == ["ran to its end"]
