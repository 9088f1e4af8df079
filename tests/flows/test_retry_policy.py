"""Tasks that are tried again after an error, as their policy says."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Retry, StateError, Status, TaskError, task
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.testing import VirtualClock
from tests.support.workflows import Gate, Running, at, install, until_steps

FAST = Retry(3, delay=0.01, jitter=0)


def failing(times: int, error: BaseException | None = None) -> Any:
    """A task that fails so often, and then says how often it ran."""

    async def work(flow: Flow) -> None:
        work.runs.append(flow.attempt)  # type: ignore[attr-defined]
        if len(work.runs) <= times:  # type: ignore[attr-defined]
            raise error or ConnectionError("refused")
        flow["runs"] = len(work.runs)  # type: ignore[attr-defined]

    work.runs = []  # type: ignore[attr-defined]
    return work


def single(work: Any, **policies: Any) -> Graph:
    return Graph("single").add_node("Work", work, **policies).add_transition("Work", END)


async def test_a_task_is_tried_again_until_it_succeeds(engine: Engine) -> None:
    work = failing(2)
    handle = await engine.create(single(work, retry=FAST))
    outcome = await handle.outcome(timeout=60)
    assert outcome.status is Status.COMPLETED
    assert outcome.state == {"runs": 3}
    assert work.runs == [0, 1, 2]
    step = at(await handle.history(), "Work")
    assert (step.attempt, step.error, step.next_attempt_at) == (2, "", None)


async def test_the_last_attempt_fails_the_flow(engine: Engine) -> None:
    work = failing(9)
    handle = await engine.create(single(work, retry=FAST))
    outcome = await handle.outcome(timeout=60)
    assert (outcome.status, outcome.error) == (Status.FAILED, "refused")
    assert work.runs == [0, 1, 2]


async def test_the_last_attempt_goes_to_the_error_handler(engine: Engine) -> None:
    async def mend(flow: Flow) -> None:
        flow["mended"] = flow["onErr"]["error"]

    work = failing(9)
    graph = single(work, retry=FAST).add_node("Mend", mend)
    outcome = await engine.run(graph.add_error_handler("Work", "Mend").add_transition("Mend", END), timeout=60)
    assert outcome.state["mended"] == "refused"
    assert len(work.runs) == 3


async def test_a_number_counts_all_runs(engine: Engine, host: LocalHost) -> None:
    work = failing(9)
    work = task(retry=1)(work)
    assert (await engine.run(single(work), timeout=60)).status is Status.FAILED
    assert len(work.runs) == 1


@pytest.mark.parametrize(
    "error",
    [
        StateError("wrong"),
        TaskError("no", retryable=False),
        ValueError("other"),
        ExceptionGroup("g", [StateError("x")]),
    ],
)
async def test_some_errors_are_not_tried_again(engine: Engine, error: Exception) -> None:
    work = failing(1, error)
    retry_on: Any = ConnectionError if isinstance(error, ValueError) else Exception
    outcome = await engine.run(single(work, retry=Retry(3, delay=0, retry_on=retry_on)), timeout=60)
    assert outcome.status is Status.FAILED
    assert len(work.runs) == 1


async def test_a_group_is_tried_again_where_each_of_its_errors_is(engine: Engine) -> None:
    work = failing(1, ExceptionGroup("several", [ConnectionError("a"), ConnectionResetError("b")]))
    outcome = await engine.run(single(work, retry=Retry(delay=0, retry_on=ConnectionError)), timeout=60)
    assert outcome.state == {"runs": 2}


async def test_the_policy_of_a_node_outranks_that_of_the_task(engine: Engine) -> None:
    work = task(retry=Retry(5, delay=0))(failing(9))
    graph = single(work, retry=Retry(2, delay=0))
    assert graph.nodes[0].retry == Retry(2, delay=0)
    assert (await engine.run(graph, timeout=60)).status is Status.FAILED
    assert len(work.runs) == 2


async def test_answers_and_what_was_written_before_a_park_are_kept(engine: Engine) -> None:
    runs: list[Any] = []

    async def ask(flow: Flow) -> None:
        flow["before"] = 1
        answer = flow.interrupt("Go on?")
        runs.append((answer, flow["before"]))
        if len(runs) < 3:
            flow["lost"] = True
            raise ConnectionError("refused")
        flow["answer"] = answer

    handle = await engine.create(single(ask, retry=FAST))
    await handle.outcome(timeout=60)
    await handle.resume("yes")
    outcome = await handle.outcome(timeout=60)
    assert outcome.status is Status.COMPLETED
    assert outcome.state == {"before": 1, "answer": "yes"}
    assert runs == [("yes", 1)] * 3


async def test_child_flows_are_kept(engine: Engine, host: LocalHost) -> None:
    calls: list[str] = []

    async def inner(flow: Flow) -> None:
        calls.append("inner")
        flow["n"] = 7

    async def outer(flow: Flow) -> None:
        found = flow.subgraph("child", {})
        calls.append("outer")
        if calls.count("outer") < 3:
            raise ConnectionError("refused")
        flow["found"] = found["n"]

    install(host, Graph("child").add_node("Inner", "inner").add_transition("Inner", END), inner=inner)
    outcome = await engine.run(single(outer, retry=FAST), timeout=60)
    assert outcome.state == {"found": 7}
    assert calls == ["inner", "outer", "outer", "outer"]


async def test_pauses_grow_and_are_shown(running: Running, clock: VirtualClock) -> None:
    times: list[Any] = []

    async def work(flow: Flow) -> None:
        times.append(flow.attempt)
        raise ConnectionError(f"refused {flow.attempt}")

    async with running() as engine:
        handle = await engine.create(single(work, retry=Retry(4, delay=100, factor=2, max_delay=300, jitter=0)))
        seen: dict[int, Any] = {}
        async for update in handle.watch():
            for step in update.steps:
                if step.next_attempt_at is not None:
                    seen[step.attempt] = (step.status, step.error, step.next_attempt_at - step.updated_at)
        assert (await handle.outcome()).status is Status.FAILED
        step = at(await handle.history(), "Work")
    assert step.updated_at - step.created_at >= timedelta(seconds=600)
    for attempt, pause in seen.items():
        assert pause == (
            Status.PENDING,
            f"refused {attempt - 1}",
            timedelta(seconds=min(100 * 2 ** (attempt - 1), 300)),
        )
    assert times == [0, 1, 2, 3]


async def test_it_is_given_up_after_a_time(running: Running, clock: VirtualClock) -> None:
    work = failing(99)
    async with running() as engine:
        retry = Retry(99, delay=100, factor=1, max_delay=100, jitter=0, give_up_after=timedelta(seconds=350))
        assert (await engine.run(single(work, retry=retry))).status is Status.FAILED
    assert len(work.runs) == 4  # at 0, 100, 200 and 300 seconds


async def test_a_branch_is_tried_again_alone(engine: Engine) -> None:
    runs: list[int] = []

    async def work(item: int) -> dict[str, Any]:
        runs.append(item)
        if item == 2 and runs.count(2) < 3:
            raise ConnectionError("refused")
        return {"out": item}

    async def split(flow: Flow) -> None:
        flow["items"] = [1, 2, 3]

    async def join(flow: Flow) -> None:
        flow["sorted"] = sorted(flow["out"])

    graph = Graph("wide", reducers={"out": "append"}).add_node("Split", split).add_node("Work", work, retry=FAST)
    graph.add_node("Join", join, fan_in=True).add_for_each("Split", "Work", items="items")
    outcome = await engine.run(graph.add_chain("Work", "Join", END), timeout=60)
    assert outcome.state["sorted"] == [1, 2, 3]
    assert sorted(runs) == [1, 2, 2, 2, 3]


async def test_attempts_are_counted_over_engines(running: Running, host: LocalHost) -> None:
    runs: list[int] = []

    async def work(flow: Flow) -> None:
        runs.append(flow.attempt)
        raise ConnectionError("refused")

    async with running() as keeper:  # a database in memory lives as long as an engine uses it
        async with running() as first:
            handle = await first.create(single(work, retry=Retry(3, delay=0.5, factor=1, jitter=0)))
            await until_steps(handle, lambda steps: any(step.attempt >= 1 for step in steps))
        outcome = await keeper.flow(handle.key).outcome(timeout=60)
    assert outcome.status is Status.FAILED
    assert runs == [0, 1, 2]


async def test_a_task_has_a_time_budget_of_its_own(engine: Engine) -> None:
    async def slow() -> None:
        await asyncio.Event().wait()

    outcome = await engine.run(single(slow, time_budget=0.2), timeout=60)
    assert outcome.status is Status.FAILED
    for way in ("budget of 0.2 s", "task(time_budget=...)", "add_node(..., time_budget=...)"):
        assert way in outcome.error


async def test_a_time_budget_that_is_over_counts_as_an_attempt(engine: Engine) -> None:
    runs: list[int] = []

    @task(time_budget=timedelta(seconds=0.2), retry=Retry(3, delay=0))
    async def slow(flow: Flow) -> None:
        runs.append(flow.attempt)
        if flow.attempt < 2:
            await asyncio.Event().wait()

    assert (await engine.run(single(slow), timeout=60)).status is Status.COMPLETED
    assert runs == [0, 1, 2]


async def test_more_time_than_the_flow_gives(engine: Engine) -> None:
    gate = Gate()

    @task(time_budget=60)
    async def work() -> None:
        await gate.wait()

    handle = await engine.create(single(work), time_budget=0.3)
    await gate.reached()
    await asyncio.sleep(0.6)  # past the budget of the flow
    gate.open()
    assert (await handle.outcome(timeout=60)).status is Status.COMPLETED
