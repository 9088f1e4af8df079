"""Many steps read at once with their states, and the questions that have been answered."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from dwarf import END, Flow, Graph, task
from dwarf.engine import Engine
from dwarf.errors import FlowNotFound, StepNotFound
from dwarf.hosts import LocalHost
from dwarf.testing import VirtualClock, engine_for_test
from tests.support.quiet import QUIET
from tests.support.workflows import Running, at, install, names


@task(url="split")
async def split(flow: Flow) -> None:
    flow["items"] = [date(2024, 1, day + 1) for day in range(flow["wide"])]


@task(url="each")
async def each(flow: Flow) -> None:
    flow["day"] = flow["item"].day


def fan(wide: int = 5) -> Graph:
    graph = Graph("fan", reducers={"day": "add"}).add_node("Split", split).add_node("Each", each)
    graph.add_node("Join", "join", fan_in=True).add_for_each("Split", "Each", items="items")
    return graph.add_transition("Each", "Join").add_transition("Join", END)


async def test_the_branches_of_a_fan_out_are_read_at_once(running: Running, host: LocalHost) -> None:
    install(host, fan())
    async with running() as engine:
        flow = await engine.create("fan", {"wide": 5})
        await flow
        found = await flow.steps(node="Each", fields=["item", "itemIndex"])
        single = [await engine.step(step.key) for step in found]
    assert names(found) == ["Each"] * 5
    assert [step.state for step in found] == [{"item": date(2024, 1, n + 1), "itemIndex": n} for n in range(5)]
    assert [step.changes for step in found] == [step.changes for step in single] == [{"day": n + 1} for n in range(5)]
    assert {name for step in single for name in step.state or ()} == {"wide", "items", "item", "itemIndex", "itemCount"}


async def test_every_step_is_as_if_it_had_been_read_alone(running: Running, host: LocalHost) -> None:
    install(host, fan())
    async with running() as engine:
        flow = await engine.create("fan", {"wide": 3})
        await flow
        for found in (await flow.steps(), await flow.steps(only=await flow.history())):
            single = [await engine.step(step.key) for step in found]
            assert names(found) == ["Split", "Each", "Each", "Each", "Join"]
            assert [(one.state, one.changes, one.status) for one in found] == [
                (one.state, one.changes, one.status) for one in single
            ]


@pytest.mark.usefixtures("quiet")
async def test_reading_ten_times_as_many_branches_takes_as_many_statements(running: Running, host: LocalHost) -> None:
    install(host, fan())
    counts = []
    async with running(timing=QUIET) as engine:
        for wide in (3, 30):
            flow = await engine.create("fan", {"wide": wide})
            await flow
            seen: list[str] = []
            database: Any = engine._runtimes[1].database
            database.observer = lambda name, rows, seen=seen: seen.append(name)
            assert len(await flow.steps(node="Each", fields=["item"])) == wide
            database.observer = None
            counts.append(sorted(seen))
    assert counts[0] == counts[1]
    assert "details_of_node" in counts[0]


async def test_steps_of_child_flows_belong_to_it(running: Running, host: LocalHost) -> None:
    async def call(flow: Flow) -> None:
        flow.subgraph("fan", {"wide": 2})

    install(host, fan())
    install(host, Graph("outer").add_node("Call", "call").add_transition("Call", END), call=call)
    async with running() as engine:
        flow, other = await engine.create("outer"), await engine.create("fan", {"wide": 2})
        await flow
        await other
        child = engine.flow(at(await flow.history(), "Call").sub_flows[0].flow_key)
        assert sorted(names(await flow.steps())) == ["Call", "Each", "Each", "Join", "Split"]
        assert sorted(names(await child.steps())) == ["Each", "Each", "Join", "Split"]
        assert len(await flow.steps(node="Each")) == 2
        (first,) = await child.steps(only=[at(await child.history(), "Split")])
        assert first.state == {"wide": 2}
        for stranger in (at(await other.history(), "Split"), "1-999999-nobodys"):
            with pytest.raises(StepNotFound):
                await flow.steps(only=[stranger])
        with pytest.raises(FlowNotFound):
            await engine.flow("1-999999-nobodys").steps()


async def test_questions_and_answers_are_kept_with_their_times(host: LocalHost) -> None:
    async def ask(flow: Flow) -> None:
        flow["first"] = flow.interrupt({"title": "one?", "of": [date(2024, 1, 1)]})
        flow["second"] = flow.interrupt("two?", timeout=10, default="nobody came")

    clock = VirtualClock()
    graph = install(host, Graph("asking").add_node("Ask", "ask").add_transition("Ask", END), ask=ask)
    async with engine_for_test("answers", host, clock=clock) as engine:
        flow = await engine.create(graph)
        await flow
        assert await flow.answers() == []
        (waiting,) = await flow.interrupts()
        clock.advance(60)
        await flow.resume({"yes": True})
        outcome = await flow
        while not outcome.status.terminal:
            outcome = await flow
        first, second = await flow.answers()
    assert (first.node, first.payload, first.value) == (
        "Ask",
        {"title": "one?", "of": [date(2024, 1, 1)]},
        {"yes": True},
    )
    assert (first.step_key, first.asked_at) == (waiting.key, waiting.updated_at)
    assert 59 < (first.answered_at - first.asked_at).total_seconds() < 120
    assert (second.payload, second.value, second.timed_out) == ({"title": "two?"}, "nobody came", False)
    assert second.asked_at >= first.answered_at
    assert (second.answered_at - second.asked_at).total_seconds() >= 10
    assert first.asked_at > datetime(2020, 1, 1, tzinfo=UTC)


async def test_answers_of_child_flows_and_of_copies(running: Running, host: LocalHost) -> None:
    async def ask(flow: Flow) -> None:
        flow["answer"] = flow.interrupt("well?")

    async def call(flow: Flow) -> None:
        flow["got"] = flow.subgraph("asking")["answer"]

    install(host, Graph("asking").add_node("Ask", "ask").add_transition("Ask", END), ask=ask)
    install(
        host,
        Graph("outer").add_node("Call", "call").add_node("End", "nothing").add_chain("Call", "End", END),
        call=call,
    )
    async with running() as engine:
        flow = await engine.create("outer")
        await flow
        await flow.resume(7)
        await flow
        (answered,) = await flow.answers()
        child = engine.flow(at(await flow.history(), "Call").sub_flows[0].flow_key)
        assert await child.answers() == [answered]
        fork = await engine.fork(at(await flow.history(), "End"))
        await fork
        (copied,) = await fork.answers()
        (moved,) = await engine.import_flows([line async for line in engine.export_flows(flow.key)])
        (imported,) = await moved.answers()
    assert (answered.node, answered.payload, answered.value) == ("Ask", {"title": "well?"}, 7)
    for other in (copied, imported):
        assert other.step_key != answered.step_key
        assert (other.payload, other.value, other.asked_at) == (answered.payload, 7, answered.asked_at)
    assert isinstance(engine, Engine)
