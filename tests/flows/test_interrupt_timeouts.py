"""Questions with a deadline."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.errors import InterruptTimeout, StateConflict
from dwarf.hosts import LocalHost
from dwarf.storage.operations.interrupts import answer_overdue
from dwarf.storage.operations.unit_of_work import UnitOfWork
from dwarf.storage.sql.script import Now, Script
from dwarf.testing import VirtualClock
from tests.support.invariants import query
from tests.support.workflows import Running, install

HOUR = 3600


def asking(**arguments: Any) -> Any:
    async def ask(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": "well?"}, **arguments)

    return ask


def alone(task: Any) -> Graph:
    return Graph("alone").add_node("Ask", task).add_transition("Ask", END)


@pytest.mark.parametrize("default", ["nobody", None, 0, {"a": 1}])
async def test_the_default_is_the_answer(engine: Engine, clock: VirtualClock, default: Any) -> None:
    flow = await engine.create(alone(asking(timeout=HOUR, default=default)))
    assert (await flow).status is Status.INTERRUPTED
    (step,) = await flow.interrupts()
    assert step.interrupt_deadline is not None
    assert (step.interrupt_deadline - step.updated_at).total_seconds() == HOUR
    clock.advance(HOUR + 1)
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert outcome.state.get("answer") == default


async def test_a_default_fits_the_schema_or_is_none(engine: Engine, clock: VirtualClock) -> None:
    async def ask(flow: Flow, default: Any) -> None:
        flow["answer"] = flow.interrupt({"title": "n?", "schema": int}, timeout=HOUR, default=default)

    async def ask_nothing(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": "n?", "schema": int}, timeout=HOUR, default=None)

    wrong = await engine.run(alone(ask), {"default": "wrong"})
    assert wrong.status is Status.FAILED
    assert "the default of an interrupt is an answer that fits its schema, or None" in wrong.error
    for task in (ask, ask_nothing):
        assert (await engine.run(alone(task), {"default": 5})).status is Status.INTERRUPTED


async def test_an_answer_before_the_deadline(engine: Engine, clock: VirtualClock) -> None:
    flow = await engine.create(alone(asking(timeout=HOUR, default="nobody")))
    await flow
    clock.advance(HOUR - 60)
    await flow.resume("in time")
    assert (await flow).state == {"answer": "in time"}
    clock.advance(HOUR)
    assert (await flow).state == {"answer": "in time"}


async def test_an_answer_after_the_deadline_is_too_late(engine: Engine, clock: VirtualClock) -> None:
    flow = await engine.create(alone(asking(timeout=HOUR, default="nobody")))
    await flow
    clock.advance(HOUR + 1)
    outcome = await flow
    with pytest.raises(StateConflict):
        await flow.resume("late")
    assert outcome.state == {"answer": "nobody"}


async def test_answer_and_deadline_race(engine: Engine, clock: VirtualClock) -> None:
    """Whoever comes first wins, the other is told, and the flow ends in either case."""
    graph = alone(asking(timeout=HOUR, default="nobody"))
    flows = await asyncio.gather(*(engine.create(graph) for _ in range(20)))
    await asyncio.gather(*flows)
    clock.advance(HOUR + 1)
    results = await asyncio.gather(*(flow.resume("somebody") for flow in flows), return_exceptions=True)
    for flow, result in zip(flows, results, strict=True):
        answer = (await flow).state["answer"]
        if result is None:
            assert answer == "somebody"
        else:
            assert isinstance(result, StateConflict)
            assert answer == "nobody"


async def test_without_a_default_the_task_gets_interrupt_timeout(engine: Engine, clock: VirtualClock) -> None:
    flow = await engine.create(alone(asking(timeout=HOUR)))
    await flow
    clock.advance(HOUR + 1)
    outcome = await flow
    assert outcome.status is Status.FAILED
    assert "time-out" in outcome.error


async def test_interrupt_timeout_is_routed_to_a_handler(engine: Engine, host: LocalHost, clock: VirtualClock) -> None:
    async def handle(flow: Flow) -> None:
        flow["handled"] = flow["onErr"]["error"]

    graph = Graph("routed").add_transition("Ask", END).add_error_handler("Ask", "Late").add_transition("Late", END)
    install(host, graph, Ask=asking(timeout=HOUR), Late=handle)
    flow = await engine.create("routed")
    await flow
    clock.advance(HOUR + 1)
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert "time-out" in outcome.state["handled"]


async def test_interrupt_timeout_may_be_caught_and_asked_again(engine: Engine, clock: VirtualClock) -> None:
    async def patient(flow: Flow) -> None:
        for reminder in range(3):
            try:
                flow["answer"] = flow.interrupt({"title": "well?", "reminder": reminder}, timeout=HOUR)
            except InterruptTimeout:
                continue
            return
        flow["answer"] = "gave up"

    flow = await engine.create(alone(patient))
    for reminder in range(2):
        assert (await flow).interrupt_payload == {"title": "well?", "reminder": reminder}
        clock.advance(HOUR + 1)
    assert (await flow).interrupt_payload["reminder"] == 2
    await flow.resume("at last")
    assert (await flow).state == {"answer": "at last"}


async def test_the_virtual_clock_does_not_jump_over_a_person(engine: Engine, clock: VirtualClock) -> None:
    flow = await engine.create(alone(asking(timeout=HOUR, default="nobody")))
    assert (await flow).status is Status.INTERRUPTED
    assert clock.offset_ms == 0
    await flow.resume("here")
    assert (await flow).state == {"answer": "here"}


async def test_a_deadline_in_a_child_flow(engine: Engine, clock: VirtualClock) -> None:
    inner = Graph("inner").add_node("Ask", asking(timeout=HOUR, default="nobody")).add_transition("Ask", END)

    async def call(flow: Flow) -> None:
        flow["child"] = flow.subgraph(inner)

    flow = await engine.create(Graph("outer").add_node("Call", call).add_transition("Call", END))
    assert (await flow).status is Status.INTERRUPTED
    clock.advance(HOUR + 1)
    assert (await flow).state == {"child": {"answer": "nobody"}}


@pytest.mark.parametrize("database", ["file"], indirect=True)
async def test_a_deadline_passes_while_no_engine_runs(running: Running, clock: VirtualClock) -> None:
    graph = alone(asking(timeout=HOUR, default="nobody"))
    async with running() as engine:
        flow = await engine.create(graph)
        await flow
    clock.advance(HOUR + 1)
    async with running() as engine:
        assert (await engine.flow(flow.key)).state == {"answer": "nobody"}


async def test_deadlines_of_root_flows_and_of_a_child_in_one_transaction(engine: Engine) -> None:
    inner = alone(asking(timeout=HOUR, default="nobody"))

    async def call(flow: Flow) -> None:
        flow["child"] = flow.subgraph(inner)

    outer = Graph("outer").add_node("Call", call).add_transition("Call", END)
    for graph in (inner, outer, inner):
        assert (await engine.run(graph)).status is Status.INTERRUPTED
    runtime: Any = engine._runtimes[1]

    def script() -> Script[int]:
        now = yield Now()
        return (yield from answer_overdue(UnitOfWork(runtime.writer, now + 2 * HOUR * 1000, last=True)))

    assert await runtime.database.write(script) == 3
    assert await query(engine, "SELECT count(*) FROM dwarf_steps WHERE status = 'interrupted'") == [(0,)]


async def test_hundreds_of_deadlines_at_once(engine: Engine, clock: VirtualClock) -> None:
    async def ask(flow: Flow) -> None:
        flow["answers"] = [flow.interrupt(timeout=HOUR, default=flow["item"])]

    async def nothing(flow: Flow) -> None:
        pass

    graph = Graph("many", reducers={"answers": "append"}).add_for_each("Split", "Ask", items="items")
    graph.add_node("Split", nothing).add_node("Ask", ask).add_node("Join", nothing, fan_in=True)
    flow = await engine.create(graph.add_chain("Ask", "Join", END), {"items": list(range(500))})
    async for update in flow.watch():
        if [step.status for step in update.steps].count(Status.INTERRUPTED) == 500:
            break
    clock.advance(HOUR + 1)
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    assert outcome.state["answers"] == list(range(500))


@pytest.mark.parametrize("timeout", [0, 0.001])
async def test_a_tiny_timeout(engine: Engine, timeout: float) -> None:
    flow = await engine.create(alone(asking(timeout=timeout, default="nobody")))
    updates = [update async for update in flow.watch()]
    assert updates[-1].outcome.status is Status.COMPLETED
    assert updates[-1].outcome.state == {"answer": "nobody"}


async def test_a_timeout_of_nothing_is_never_seen_as_a_question(engine: Engine) -> None:
    outcome = await engine.run(alone(asking(timeout=0, default="nobody")), timeout=60)
    assert outcome.status is Status.COMPLETED
