"""Ordinary functions as tasks: they run in threads."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, TaskError
from dwarf.hosts import LocalHost
from tests.support.workflows import Running, install, until_steps

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO", default="nobody")


@pytest.fixture
def host() -> Any:
    """A host with four threads."""
    host = LocalHost(max_threads=4)
    yield host
    host.close()


def fan(task: Any) -> Graph:
    def nothing() -> None:
        pass

    graph = Graph("fan", reducers={"out": "append"}).add_for_each("Split", "Work", items="items")
    graph.add_node("Split", nothing).add_node("Work", task).add_node("Join", nothing, fan_in=True)
    return graph.add_chain("Work", "Join", END)


async def test_more_tasks_than_threads(running: Running) -> None:
    lock = threading.Lock()
    current = highest = 0
    full = threading.Barrier(4)

    def work(item: int) -> dict[str, Any]:
        nonlocal current, highest
        with lock:
            current += 1
            highest = max(highest, current)
        full.wait(60)  # four at a time, or the test fails
        with lock:
            current -= 1
        return {"out": [(item, threading.current_thread() is not threading.main_thread())]}

    async with running() as engine:
        outcome = await engine.run(fan(work), {"items": list(range(40))})
    assert outcome.status is Status.COMPLETED
    assert outcome.state["out"] == [(item, True) for item in range(40)]
    assert highest == 4


@pytest.mark.parametrize("width", [10, 600])
async def test_a_step_without_a_thread_is_not_claimed(running: Running, width: int) -> None:
    """Its lease must not run while it queues, and coroutines go on meanwhile, however long the queue."""
    release = threading.Event()

    def hold(item: int) -> None:
        assert release.wait(60)

    async def quick(flow: Flow) -> None:
        if flow.attempt == 0:
            flow.retry()  # joins the queue at its end
        flow["done"] = True

    async with running() as engine:
        flow = await engine.create(fan(hold), {"items": list(range(width))})
        steps = await until_steps(flow, lambda steps: [step.status for step in steps].count(Status.RUNNING) == 4)
        assert [step.status for step in steps].count(Status.PENDING) == width - 4
        other = await engine.run(Graph("quick").add_node("Quick", quick).add_transition("Quick", END), timeout=60)
        assert other.state == {"done": True}
        assert [step.status for step in await flow.history()].count(Status.PENDING) == width - 4
        release.set()
        assert (await flow).status is Status.COMPLETED


async def test_context_variables_are_carried(running: Running) -> None:
    seen: list[str] = []

    def read() -> None:
        seen.append(WHO.get())
        WHO.set("changed in the thread")

    WHO.set("the starter of the engine")
    async with running() as engine:
        graph = Graph("context").add_node("A", read).add_node("B", read).add_chain("A", "B", END)
        assert (await engine.run(graph)).status is Status.COMPLETED
    assert seen == ["the starter of the engine"] * 2
    assert WHO.get() == "the starter of the engine"


async def test_parks_retries_and_errors_from_a_thread(running: Running) -> None:
    def work(flow: Flow) -> None:
        if flow.attempt == 0:
            flow["tried"] = True
            flow.retry()
        flow["answer"] = flow.interrupt({"title": "in a thread"})
        flow["child"] = flow.subgraph(child, {"n": 1})
        raise TaskError("at the end", status_code=418)

    def handle(flow: Flow) -> dict[str, Any]:
        return {"code": flow["onErr"]["statusCode"]}

    child = Graph("child").add_node("Child", lambda n: {"n": n + 1}).add_transition("Child", END)
    graph = Graph("all").add_node("Work", work).add_node("Handle", handle).add_transition("Work", END)
    graph.add_error_handler("Work", "Handle").add_transition("Handle", END)
    async with running() as engine:
        flow = await engine.create(graph)
        assert (await flow).interrupt_payload == {"title": "in a thread"}
        await flow.resume(5)
        outcome = await flow
    assert outcome.status is Status.COMPLETED
    # of the failing run nothing is kept; what the parks before it have stored is
    assert outcome.state == {
        "tried": True, "answer": 5, "onErr": {"error": "at the end", "statusCode": 418}, "code": 418
    }  # fmt: skip


async def test_a_function_that_returns_an_awaitable(running: Running, host: LocalHost) -> None:
    async def later() -> dict[str, Any]:
        return {"later": True}

    install(host, Graph("g").add_transition("Task", END), Task=lambda: later())
    async with running() as engine:
        assert (await engine.run("g")).state == {"later": True}


async def test_every_thread_comes_back(running: Running, host: LocalHost) -> None:
    def fail(item: int) -> None:
        raise ValueError(f"number {item}")

    async with running() as engine:
        outcome = await engine.run(fan(fail), {"items": list(range(20))})
        assert outcome.status is Status.FAILED
        await host.aclose(grace=10)
        assert host.free_threads == 4
