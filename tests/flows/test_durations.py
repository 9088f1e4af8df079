"""How long a step's task ran, and how long the step waited for its turn."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from threading import Lock
from typing import Any

import pytest

from dwarf import END, Flow, Graph
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.support.workflows import Running

NOTHING = timedelta()


def alone(task: Any) -> Graph:
    return Graph("alone").add_node("Task", task).add_transition("Task", END)


async def test_in_a_fan_out_of_threads_each_has_its_own_time(running: Running) -> None:
    own, lock = 0.0, Lock()

    def work(number: int) -> None:
        nonlocal own
        begun = time.perf_counter()
        sum(range(20_000 + 1_000 * number))
        time.sleep(0.005)
        with lock:
            own += time.perf_counter() - begun

    graph = Graph("many").add_node("Begin", lambda: {"numbers": list(range(93))}).add_node("Work", work)
    graph.add_node("End", lambda: None, fan_in=True).add_for_each("Begin", "Work", items="numbers", item="number")
    async with running(host=LocalHost(max_threads=4)) as engine:
        flow = await engine.create(graph.add_chain("Work", "End", END))
        await flow.outcome(timeout=60)
        steps = [step for step in await flow.history() if step.node == "Work"]
    recorded = sum((step.duration or NOTHING for step in steps), NOTHING).total_seconds()
    assert len(steps) == 93
    assert own * 0.95 <= recorded <= own * 1.05
    whole = sum((step.updated_at - step.created_at for step in steps), NOTHING)
    waited = sum((step.waited or NOTHING for step in steps), NOTHING)
    assert NOTHING < waited < whole


async def test_attempts_count_and_what_lies_between_them_does_not(engine: Engine) -> None:
    async def work(flow: Flow) -> None:
        await asyncio.sleep(0.02)
        if flow.attempt < 2:
            flow.retry(delay=0.3)

    flow = await engine.create(alone(work))
    await flow.outcome(timeout=60)
    (step,) = await flow.history()
    assert step.duration is not None
    assert step.waited is not None
    assert step.duration >= timedelta(seconds=0.06)
    assert step.duration + timedelta(seconds=0.5) < step.updated_at - step.created_at


async def test_a_question_and_a_child_are_not_the_tasks_time(engine: Engine) -> None:
    async def child() -> None:
        await asyncio.sleep(0.3)

    async def work(flow: Flow) -> None:
        flow.interrupt("Well?")
        flow.subgraph(alone(child))

    flow = await engine.create(alone(work))
    await flow.outcome(timeout=60)
    (waiting,) = await flow.history()
    assert waiting.duration is not None
    await flow.resume("yes")
    await flow.outcome(timeout=60)
    (step,) = await flow.history()
    assert step.duration is not None
    assert waiting.duration < step.duration
    assert step.duration + timedelta(seconds=0.25) < step.updated_at - step.created_at


@pytest.mark.parametrize("handled", [False, True])
async def test_a_task_that_raises_has_its_time_too(engine: Engine, handled: bool) -> None:
    async def work() -> None:
        await asyncio.sleep(0.02)
        raise ValueError("no")

    graph = Graph("g").add_node("Work", work).add_transition("Work", END)
    if handled:
        graph.add_node("Handle", lambda: None).add_error_handler("Work", "Handle").add_transition("Handle", END)
    flow = await engine.create(graph)
    await flow.outcome(timeout=60)
    step = next(step for step in await flow.history() if step.node == "Work")
    assert step.duration is not None
    assert step.duration >= timedelta(seconds=0.02)
    assert step.ran == step.duration
