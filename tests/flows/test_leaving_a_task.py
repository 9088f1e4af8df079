"""How the signal that parks a task gets out of it: task groups, swallowed signals, competing ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.errors import Parked
from tests.support.workflows import names


def alone(task: Any) -> Graph:
    return Graph("alone").add_node("Task", task).add_transition("Task", END)


CHILD = Graph("child").add_node("Child", lambda: {"from": "child"}).add_transition("Child", END)


async def ask(flow: Flow) -> Any:
    return flow.interrupt({"title": "well?"})


async def test_out_of_a_task_group(engine: Engine) -> None:
    siblings: list[str] = []

    async def sibling() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            siblings.append("cancelled")

    async def grouped(flow: Flow) -> None:
        async with asyncio.TaskGroup() as group:
            if "answer" not in flow:
                answer = group.create_task(ask(flow))
                if not flow.get("again"):
                    group.create_task(sibling())
                    flow["again"] = True
        flow["answer"] = answer.result()

    flow = await engine.create(alone(grouped))
    outcome = await flow
    assert (outcome.status, outcome.interrupt_payload) == (Status.INTERRUPTED, {"title": "well?"})
    assert siblings == ["cancelled"]
    await flow.resume("yes")
    assert (await flow).state == {"again": True, "answer": "yes"}


async def test_out_of_nested_task_groups(engine: Engine) -> None:
    async def grouped(flow: Flow) -> None:
        async with asyncio.TaskGroup() as outer:

            async def inner() -> None:
                async with asyncio.TaskGroup() as group:
                    group.create_task(call())

            async def call() -> None:
                flow["result"] = flow.subgraph(CHILD)

            outer.create_task(inner())

    outcome = await engine.run(alone(grouped))
    assert outcome.state == {"result": {"from": "child"}}


async def test_a_park_and_an_error_in_one_group_are_an_error(engine: Engine) -> None:
    async def broken() -> None:
        raise ValueError("broken")

    async def grouped(flow: Flow) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(broken())
            group.create_task(ask(flow))

    outcome = await engine.run(alone(grouped))
    assert outcome.status is Status.FAILED
    assert outcome.error


SWALLOWERS: dict[str, Callable[[Flow], Any]] = {}


def swallower(function: Callable[[Flow], Any]) -> Callable[[Flow], Any]:
    SWALLOWERS[function.__name__] = function
    return function


@swallower
async def by_base_exception(flow: Flow) -> None:
    with suppress(BaseException):
        flow["answer"] = flow.interrupt({"title": "well?"})


@swallower
async def by_finally_return(flow: Flow) -> None:
    try:
        flow["answer"] = flow.interrupt({"title": "well?"})
    finally:
        return  # noqa: B012


@swallower
def in_a_thread(flow: Flow) -> None:
    with suppress(Parked):
        flow["answer"] = flow.interrupt({"title": "well?"})


@swallower
async def by_gather(flow: Flow) -> None:
    (answer,) = await asyncio.gather(ask(flow), return_exceptions=True)
    if not isinstance(answer, BaseException):
        flow["answer"] = answer


@pytest.mark.parametrize("name", SWALLOWERS)
async def test_a_swallowed_signal_still_parks(engine: Engine, name: str) -> None:
    flow = await engine.create(alone(SWALLOWERS[name]))
    outcome = await flow
    assert (outcome.status, outcome.interrupt_payload) == (Status.INTERRUPTED, {"title": "well?"})
    await flow.resume("yes")
    assert (await flow).state == {"answer": "yes"}


async def test_the_first_of_two_signals_counts(engine: Engine) -> None:
    async def greedy(flow: Flow) -> None:
        for title in ("first", "second"):
            with suppress(Parked):
                flow[title] = flow.interrupt({"title": title})

    flow = await engine.create(alone(greedy))
    assert (await flow).interrupt_payload == {"title": "first"}
    await flow.resume(1)
    assert (await flow).interrupt_payload == {"title": "second"}
    await flow.resume(2)
    assert (await flow).state == {"first": 1, "second": 2}


async def test_what_is_written_after_a_swallowed_signal_is_kept(engine: Engine) -> None:
    async def late(flow: Flow) -> None:
        with suppress(Parked):
            flow.interrupt()
        flow["after"] = flow.get("after", 0) + 1

    flow = await engine.create(alone(late))
    assert (await flow).state == {"after": 1}
    await flow.resume()
    assert (await flow).state == {"after": 2}


async def test_an_error_after_a_swallowed_signal_is_an_error(engine: Engine) -> None:
    async def torn(flow: Flow) -> None:
        try:
            flow.interrupt()
        finally:
            raise ValueError("instead")

    outcome = await engine.run(alone(torn))
    assert (outcome.status, outcome.error) == (Status.FAILED, "instead")


def interrupting(flow: Flow) -> None:
    flow.interrupt()


def calling(flow: Flow) -> None:
    flow.subgraph(CHILD)


def retrying(flow: Flow) -> None:
    flow.retry()


@pytest.mark.parametrize("park", [interrupting, calling, retrying])
async def test_goto_before_a_park_fails_the_step(engine: Engine, park: Callable[[Flow], None]) -> None:
    async def torn(flow: Flow) -> None:
        flow["kept"] = False
        flow.goto("Other")
        park(flow)

    graph = Graph("torn").add_node("Task", torn).add_node("Other", ask).add_node("Handler", ask)
    graph.add_goto("Task", "Other").add_transition("Task", END).add_transition("Other", END)
    graph.add_error_handler("Task", "Handler").add_transition("Handler", END)
    flow = await engine.create(graph)
    outcome = await flow
    assert outcome.status is Status.FAILED
    assert "multiple competing control signals" in outcome.error
    assert outcome.state == {}
    assert names(await flow.history()) == ["Task"]


async def test_goto_after_the_answer(engine: Engine) -> None:
    async def choose(flow: Flow) -> None:
        flow.goto(flow.interrupt({"title": "where to?"}))

    graph = Graph("choose").add_node("Task", choose).add_goto("Task", "Left").add_goto("Task", "Right")
    for node in ("Left", "Right"):
        graph.add_node(node, lambda flow: {"at": flow.node}).add_transition(node, END)
    flow = await engine.create(graph)
    await flow
    await flow.resume("Right")
    assert (await flow).state == {"at": "Right"}


async def test_delay_with_a_park_is_ignored(engine: Engine) -> None:
    async def slow(flow: Flow) -> None:
        flow.delay(3600)
        flow.subgraph(CHILD)
        flow.delay(0)

    outcome = await engine.run(alone(slow), timeout=60)
    assert outcome.status is Status.COMPLETED
