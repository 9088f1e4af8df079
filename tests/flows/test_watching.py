"""Seeing a flow move: watch, poll, outcome, fingerprint, progress."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from dwarf import END, Flow, FlowUpdate, Graph, Status, Step
from dwarf.engine import Engine, FlowHandle
from dwarf.errors import WaitTimeout
from tests.conformance.engine.tools import doctor
from tests.support.workflows import Gate, Running, at, names, until_steps


def gated(gate: Gate) -> Graph:
    async def first(flow: Flow) -> None:
        flow["first"] = True
        await gate.wait()

    async def ask(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": "well?"})

    graph = Graph("gated").add_node("First", first).add_node("Ask", ask)
    return graph.add_chain("First", "Ask", "Last", END).add_node("Last", ask_nothing)


async def ask_nothing(flow: Flow) -> None:
    pass


def shape(update: FlowUpdate) -> tuple[str, ...]:
    return (update.outcome.status, *(f"{step.node}:{step.status}" for step in update.steps))


async def test_watch_tells_of_every_stage(engine: Engine) -> None:
    gate = Gate()
    flow = await engine.create(gated(gate))
    seen: list[tuple[str, ...]] = []
    async for update in flow.watch():
        seen.append(shape(update))
        if seen[-1] == ("running", "First:running"):
            gate.open()
        if update.outcome.status is Status.INTERRUPTED:
            assert update.outcome.interrupt_payload == {"title": "well?"}
            assert update.steps[1].interrupt_payload == {"title": "well?"}
            await flow.resume(42)
    assert ("interrupted", "First:completed", "Ask:interrupted") in seen
    assert seen[-1] == ("completed", "First:completed", "Ask:completed", "Last:completed")
    assert len(set(seen)) == len(seen), "no update without a change"
    assert update.outcome.state == {"first": True, "answer": 42}


async def test_watching_what_has_ended_gives_one_update(engine: Engine) -> None:
    flow = await engine.create(Graph("g").add_node("A", lambda: None).add_transition("A", END))
    await flow
    updates = [update async for update in flow.watch()]
    assert [shape(update) for update in updates] == [("completed", "A:completed")]


async def test_many_watchers(engine: Engine) -> None:
    gate = Gate()
    flow = await engine.create(gated(gate))
    watchers = [asyncio.create_task(last_of(flow)) for _ in range(20)]
    await gate.reached()
    gate.open()
    await flow
    await flow.resume(1)
    lasts = await asyncio.gather(*watchers)
    assert {shape(last) for last in lasts} == {
        ("completed", "First:completed", "Ask:completed", "Last:completed")
    }  # fmt: skip
    (runtime,) = engine._runtimes.values()
    assert runtime.trees.watched == set(), "watchers that have ended are forgotten"


async def last_of(flow: FlowHandle) -> FlowUpdate:
    last: FlowUpdate | None = None
    async for update in flow.watch():
        last = update
    assert last is not None
    return last


async def test_a_watcher_that_leaves_is_forgotten(engine: Engine) -> None:
    gate = Gate()
    flow = await engine.create(gated(gate))
    stream = flow.watch()
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    (runtime,) = engine._runtimes.values()
    assert runtime.trees.watched == set()
    gate.open()
    await flow


async def test_watch_sees_child_flows_move(engine: Engine) -> None:
    gate = Gate()
    child = gated(gate)

    async def call(flow: Flow) -> None:
        flow.subgraph(child)

    flow = await engine.create(Graph("outer").add_node("Call", call).add_transition("Call", END))
    steps = await until_steps(flow, lambda steps: any(s.sub_steps for s in steps) and gate.waiting)
    assert names(at(steps, "Call").sub_steps) == ["First"]
    gate.open()
    await until_steps(flow, lambda steps: len(at(steps, "Call").sub_steps) == 2)
    await flow.outcome(timeout=60)
    await flow.resume()
    assert (await flow.outcome(timeout=60)).status is Status.COMPLETED


class Frozen:
    """A database clock that stands still."""

    def __init__(self) -> None:
        self._at = time.time_ns() // 1_000_000

    @property
    def offset_ms(self) -> int:
        return self._at - time.time_ns() // 1_000_000

    def jump(self, milliseconds: int) -> None:
        raise AssertionError("nothing is due later")

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


@pytest.mark.usefixtures("clock")
async def test_changes_of_one_millisecond_are_all_seen(running: Running) -> None:
    fingerprints: list[str] = []

    async def ask(flow: Flow) -> None:
        flow.interrupt({"title": flow["item"]})

    graph = Graph("fan").add_for_each("Split", "Ask", items="items").add_node("Split", ask_nothing)
    graph.add_node("Ask", ask).add_node("Join", ask_nothing, fan_in=True).add_chain("Ask", "Join", END)
    async with running(clock=Frozen()) as engine:
        flow = await engine.create(graph, {"items": list(range(4))})
        await until_steps(flow, lambda steps: [s.status for s in steps].count(Status.INTERRUPTED) == 4)
        for step in await flow.interrupts():
            fingerprints.append((await flow.fingerprint())[0])
            await flow.resume(step=step)
            await until_steps(flow, lambda steps, known=step: at_key(steps, known.key).status is Status.COMPLETED)
        fingerprints.append((await flow.fingerprint())[0])
    assert len(set(fingerprints)) == 5


def at_key(steps: Sequence[Step], key: str) -> Step:
    return next(step for step in steps if step.key == key)


async def test_outcome_and_poll(engine: Engine) -> None:
    gate = Gate()
    flow = await engine.create(gated(gate))
    with pytest.raises(WaitTimeout) as caught:
        await flow.outcome(timeout=0.02)
    assert caught.value.flow_key == flow.key
    assert isinstance(caught.value, TimeoutError)
    polled = await flow.poll(timeout=0.02)
    assert (polled.status, polled.state, polled.flow_key) == (Status.RUNNING, {}, flow.key)
    waiter = asyncio.create_task(flow.outcome())
    gate.open()
    assert (await waiter).status is Status.INTERRUPTED
    assert (await flow.poll(timeout=0)).status is Status.INTERRUPTED
    await flow.resume()
    assert (await flow.poll(timeout=60)).status is Status.COMPLETED
    assert (await flow.outcome(timeout=0)).status is Status.COMPLETED


async def test_run_with_a_timeout_leaves_the_flow_running(engine: Engine) -> None:
    gate = Gate()
    with pytest.raises(WaitTimeout) as caught:
        await engine.run(gated(gate), timeout=0.02)
    gate.open()
    assert (await engine.flow(caught.value.flow_key).outcome(timeout=60)).status is Status.INTERRUPTED


async def test_a_hundred_wait_for_one_flow(engine: Engine) -> None:
    gate = Gate()
    flow = await engine.create(gated(gate))
    waiters = [asyncio.create_task(engine.flow(flow.key).outcome()) for _ in range(100)]
    await gate.reached()
    waiters.pop().cancel()
    gate.open()
    outcomes = await asyncio.gather(*waiters)
    assert {outcome.status for outcome in outcomes} == {Status.INTERRUPTED}


async def test_the_outcome_is_the_callers_own(engine: Engine) -> None:
    async def work(flow: Flow) -> None:
        flow["list"] = [1]

    flow = await engine.create(Graph("g").add_node("A", work).add_transition("A", END))
    (await flow).state["list"].append(2)
    assert (await flow).state == {"list": [1]}
    assert (await flow.snapshot()).state == {"list": [1]}


async def test_the_fingerprint_changes_with_what_is_visible(engine: Engine) -> None:
    gate = Gate()
    flow = await engine.create(gated(gate))
    await gate.reached()
    running = await flow.fingerprint()
    assert running[1] is Status.RUNNING
    assert await flow.fingerprint() == running
    gate.open()
    await flow
    waiting = await flow.fingerprint()
    assert waiting[1] is Status.INTERRUPTED
    await flow.resume()
    await flow
    done = await flow.fingerprint()
    assert done[1] is Status.COMPLETED
    assert len({running[0], waiting[0], done[0]}) == 3


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
async def test_progress_is_shown_and_kept_on_the_step(engine: Engine, kind: str) -> None:
    gate, thread_gate = Gate(), threading.Event()

    async def in_coroutine(flow: Flow) -> None:
        for done in range(100):
            flow.progress(done, 100, "working")
        flow.progress(99.5, 100, "nearly")
        await gate.wait()

    def in_thread(flow: Flow) -> None:
        for done in range(100):
            flow.progress(done, 100, "working")
        flow.progress(99.5, 100, "nearly")
        assert thread_gate.wait(60)

    task: Any = in_coroutine if kind == "coroutine" else in_thread
    flow = await engine.create(Graph("g").add_node("Work", task).add_transition("Work", END))
    steps = await until_steps(flow, lambda steps: steps[0].progress == (99.5, 100, "nearly"))
    assert steps[0].status is Status.RUNNING
    gate.open()
    thread_gate.set()
    await flow
    (step,) = await flow.history()
    assert step.progress == (99.5, 100, "nearly")
    assert (await engine.step(step.key)).progress == (99.5, 100, "nearly")


async def test_the_last_progress_of_a_quick_task_is_kept(engine: Engine) -> None:
    async def work(flow: Flow, item: int) -> None:
        flow.progress(1, 2, "half")
        await asyncio.sleep(0)
        flow.progress(2, 2, f"item {item}")
        if item == 2:
            flow.interrupt({"title": "?"})
        if item == 3:
            raise ValueError("no")

    graph = Graph("g").add_node("Begin", lambda flow: None).add_node("Work", work)
    graph.add_node("Join", lambda flow: None, fan_in=True)
    graph.add_for_each("Begin", "Work", items="items").add_chain("Work", "Join", END)
    flow = await engine.create(graph, {"items": [0, 1, 2, 3]})
    steps = await until_steps(flow, lambda steps: len(steps) == 5 and all(step.status.stopped for step in steps))
    assert [step.progress for step in steps[1:]] == [(2, 2, f"item {item}") for item in range(4)]


@pytest.mark.parametrize("arguments", [(-1,), (float("nan"),), ("x",), (1, -1), (1, "y")])
async def test_progress_that_is_none(engine: Engine, arguments: tuple[Any, ...]) -> None:
    async def work(flow: Flow) -> None:
        flow.progress(*arguments)

    outcome = await engine.run(Graph("g").add_node("Work", work).add_transition("Work", END))
    assert outcome.status is Status.FAILED
    assert "progress" in outcome.error


async def test_another_engine_sees_it_too(running: Running) -> None:
    """One engine runs the flow; another, which runs nothing, waits and watches."""
    gate = Gate()
    async with running() as worker, running(workers=0) as viewer:
        flow = await worker.create(gated(gate))
        seen = viewer.flow(flow.key)
        watching = asyncio.create_task(last_of(seen))
        waiting = asyncio.create_task(seen.outcome())
        await gate.reached()
        gate.open()
        assert (await asyncio.wait_for(waiting, 60)).status is Status.INTERRUPTED
        await seen.resume("from afar")
        assert (await asyncio.wait_for(watching, 60)).outcome.state["answer"] == "from afar"


async def test_the_start_of_a_task_is_a_visible_change(engine: Engine) -> None:
    gate = Gate()

    async def retry_first(flow: Flow) -> None:
        if flow.attempt == 0:
            flow.retry(delay=3600)  # the watcher sees it wait, however slow it is
        await gate.wait()

    flow = await engine.create(Graph("g").add_node("Work", retry_first).add_transition("Work", END))
    await asyncio.wait_for(until_steps(flow, lambda steps: (steps[0].attempt, steps[0].status) == (1, "pending")), 60)
    await doctor(engine, "UPDATE dwarf_steps SET not_before = 1")  # as if the hour were over
    engine._runtimes[1].dispatcher.wake()
    await asyncio.wait_for(until_steps(flow, lambda steps: (steps[0].attempt, steps[0].status) == (1, "running")), 60)
    gate.open()
    assert (await flow).status is Status.COMPLETED
