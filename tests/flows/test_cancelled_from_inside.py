"""A task that cancels the asyncio task it runs in fails, once; nothing else does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.support.workflows import Running

runs: list[str] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    runs.clear()


def cancel() -> None:
    runs.append("x")
    current = asyncio.current_task()
    assert current is not None
    current.cancel()


async def and_waits() -> None:
    cancel()
    await asyncio.sleep(60)


async def and_returns() -> dict[str, Any]:
    cancel()
    return {"x": 1}


async def twice() -> None:
    cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    cancel()
    await asyncio.sleep(60)


async def by_a_callback() -> None:
    asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)  # type: ignore[union-attr]
    runs.append("x")
    await asyncio.sleep(60)


async def by_a_child() -> None:
    runs.append("x")
    mine = asyncio.current_task()
    assert mine is not None

    async def child() -> None:
        mine.cancel()

    async with asyncio.TaskGroup() as group:
        group.create_task(child())
        await asyncio.sleep(60)


async def and_is_deaf() -> dict[str, Any]:
    cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    return {"x": 1}


async def and_raises() -> None:
    cancel()
    raise ValueError("its own error")


async def by_a_timeout() -> dict[str, Any]:
    runs.append("x")
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(60)
    return {"x": 1}


def alone(task: Any) -> Graph:
    return Graph("alone").add_node("Task", task).add_transition("Task", END)


@pytest.mark.parametrize("task", [and_waits, and_returns, twice, by_a_callback, by_a_child])
async def test_it_fails_at_once(engine: Engine, task: Any) -> None:
    outcome = await engine.run(alone(task), timeout=60)
    assert outcome.status is Status.FAILED
    assert "cancelled itself" in outcome.error
    assert len(runs) == (2 if task is twice else 1)


@pytest.mark.parametrize("task", [and_is_deaf, by_a_timeout])
async def test_one_that_takes_it_back_goes_on(engine: Engine, task: Any) -> None:
    outcome = await engine.run(alone(task), timeout=60)
    assert (outcome.status, outcome.state, len(runs)) == (Status.COMPLETED, {"x": 1}, 1)


async def test_its_own_error_comes_first(engine: Engine) -> None:
    outcome = await engine.run(alone(and_raises), timeout=60)
    assert (outcome.error, len(runs)) == ("its own error", 1)


async def test_an_error_handler_is_asked(engine: Engine) -> None:
    def handle(flow: Flow) -> dict[str, Any]:
        return {"text": flow["onErr"]["error"]}

    graph = (
        alone(and_waits).add_node("Handle", handle).add_error_handler("Task", "Handle").add_transition("Handle", END)
    )
    outcome = await engine.run(graph, timeout=60)
    assert outcome.status is Status.COMPLETED
    assert "cancelled itself" in outcome.state["text"]


async def test_other_steps_on_the_same_runner_go_on(engine: Engine) -> None:
    graph = Graph("chain").add_node("A", and_is_deaf).add_node("B", by_a_timeout).add_chain("A", "B", END)
    assert (await engine.run(graph, timeout=60)).status is Status.COMPLETED
    assert (await engine.run(alone(by_a_timeout), timeout=60)).status is Status.COMPLETED


async def test_the_time_budget_still_holds(engine: Engine) -> None:
    async def stubborn() -> None:
        await asyncio.sleep(60)

    outcome = await engine.run(alone(stubborn), time_budget=0.05, timeout=60)
    assert "time budget" in outcome.error


async def test_a_step_that_the_engine_gives_up_is_run_again(running: Running) -> None:
    begun = asyncio.Event()

    async def slow(flow: Flow) -> dict[str, Any]:
        if not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        return {"x": 1}

    async with running(workers=0) as watcher:  # a database in memory lives as long as somebody uses it
        async with running() as engine:
            handle = await engine.create(alone(slow))
            await begun.wait()
            await engine.aclose(grace=0)
        async with running():
            assert (await watcher.flow(handle.key).outcome(timeout=60)).state == {"x": 1}


FORGETS_TO_CLOSE = """
import asyncio, sys
from dwarf import END, Graph
from dwarf.engine import Engine
from dwarf.hosts import LocalHost

async def waits(flow):
    begun.set()
    await asyncio.Event().wait()

async def main():
    engine = Engine(LocalHost(), sys.argv[1])
    await engine.start()
    handle = await engine.create(Graph("alone").add_node("Task", waits).add_transition("Task", END))
    await begun.wait()
    print(handle.key)

begun = asyncio.Event()
asyncio.run(main())
"""


async def test_a_loop_that_ends_fails_no_flow(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/flows.db"
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", FORGETS_TO_CLOSE, url], capture_output=True, text=True, timeout=120
    )
    async with Engine(LocalHost(), url, workers=0) as engine:
        (flow,) = [flow async for flow in engine.flows()]
        assert flow.flow_key == done.stdout.strip()
        assert flow.status is Status.RUNNING
