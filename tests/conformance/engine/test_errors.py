"""Errors, retries and deadlines: scenarios 17 to 29."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, TaskError
from dwarf.engine import Engine
from dwarf.errors import StateError, StepNotFound
from dwarf.failpoints import Failpoints
from dwarf.hosts import LocalHost
from dwarf.testing import VirtualClock
from tests.conformance.engine.tools import Gate, nodes, nothing, query, scalar, statuses, step_at


def handled(*, to: str = END) -> Graph:
    """A, then what follows; a Handler of A's errors leads there too."""
    graph = Graph("g").add_transition("A", to).add_error_handler("A", "Handler").add_transition("Handler", to)
    return graph


@pytest.fixture
def noted(host: LocalHost) -> list[dict[str, Any]]:
    """The states that the task Handler has seen."""
    seen: list[dict[str, Any]] = []

    @host.task(url="Handler")
    async def Handler(flow: Flow) -> None:
        seen.append(flow.snapshot())

    return seen


async def test_e17_error_goes_to_its_handler(host: LocalHost, engine: Engine) -> None:
    @host.task(url="B")
    async def B(flow: Flow, fail: bool = False) -> None:
        if fail:
            raise RuntimeError("triggered failure")
        flow["result"] = "normal"

    @host.task(url="Handler")
    async def Handler(flow: Flow) -> None:
        flow["result"] = f"recovered:{flow['onErr']['error']}"

    @host.task(url="C")
    async def C(flow: Flow) -> None:
        flow["finalResult"] = f"final:{flow['result']}"

    host.add_task("A", nothing)
    graph = Graph("g").add_chain("A", "B", "C", END).add_error_handler("B", "Handler").add_transition("Handler", "C")
    assert (await engine.run(graph)).state == {"result": "normal", "finalResult": "final:normal"}
    handle = await engine.create(graph, {"fail": True})
    outcome = await handle
    assert outcome.state["finalResult"] == "final:recovered:triggered failure"
    assert outcome.state["onErr"] == {"error": "triggered failure", "statusCode": 500}
    assert await nodes(handle) == ["A", "B", "Handler", "C"]
    assert (await statuses(handle, "B"))[Status.COMPLETED] == 1


@pytest.mark.parametrize("with_handler", [True, False], ids=["handler", "no handler"])
async def test_e18_error_voids_what_was_written(
    host: LocalHost, engine: Engine, noted: list[dict[str, Any]], with_handler: bool
) -> None:
    @host.task(url="A")
    async def A(flow: Flow, fail: bool) -> None:
        flow["x"] = 1
        if fail:
            raise TaskError("no", status_code=418, hint="tea")

    graph = handled() if with_handler else Graph("g").add_transition("A", END)
    outcome = await engine.run(graph, {"fail": True})
    assert "x" not in outcome.state
    if with_handler:
        expected = {"fail": True, "onErr": {"error": "no", "statusCode": 418, "hint": "tea"}}
        assert outcome.status is Status.COMPLETED
        assert noted == [expected]
        assert outcome.state == expected
    else:
        assert outcome.status is Status.FAILED
        assert outcome.error == "no"
    assert (await engine.run(graph, {"fail": False})).state == {"fail": False, "x": 1}


async def test_e19_writes_of_an_earlier_attempt_are_kept(
    host: LocalHost, engine: Engine, noted: list[dict[str, Any]]
) -> None:
    @host.task(url="A")
    async def A(flow: Flow) -> None:
        flow[f"w{flow.attempt}"] = True
        if flow.attempt == 0:
            flow.retry()
        raise RuntimeError("second time")

    outcome = await engine.run(handled())
    assert outcome.status is Status.COMPLETED
    assert noted[0].get("w0") is True
    assert "w1" not in noted[0]
    assert "w1" not in outcome.state


@pytest.mark.parametrize(
    "kind", ["exception", "base exception", "group", "cancelled error", "generator exit", "mistyped field"]
)
@pytest.mark.parametrize("with_handler", [True, False], ids=["handler", "no handler"])
async def test_e20_whatever_a_task_raises_is_its_error(
    host: LocalHost, engine: Engine, noted: list[dict[str, Any]], kind: str, with_handler: bool
) -> None:
    errors = {
        "exception": ZeroDivisionError("oops"),
        "base exception": KeyboardInterrupt("oops"),
        "group": ExceptionGroup("oops", [ValueError("inner")]),
        "cancelled error": asyncio.CancelledError("oops"),
        "generator exit": GeneratorExit("oops"),
    }

    @host.task(url="A")
    async def A(flow: Flow) -> None:
        if kind == "mistyped field":
            flow.get_as("text", int)
        raise errors[kind]

    graph = handled() if with_handler else Graph("g").add_transition("A", END)
    outcome = await engine.run(graph, {"text": "oops"}, timeout=60)
    if with_handler:
        assert outcome.status is Status.COMPLETED
        assert len(noted) == 1
    else:
        assert outcome.status is Status.FAILED
        assert "oops" in outcome.error or "'text'" in outcome.error


async def test_e20_returning_what_is_no_state_fails_the_step(host: LocalHost, engine: Engine) -> None:
    @host.task(url="A")
    async def A(flow: Flow) -> float:
        with pytest.raises(StateError):
            flow["bad"] = 1j
        return 1.5

    outcome = await engine.run(Graph("g").add_transition("A", END))
    assert outcome.status is Status.FAILED
    assert "A" in outcome.error


async def test_e20_task_that_cancels_its_runner(host: LocalHost, running: Any) -> None:
    runs: list[int] = []

    @host.task(url="A")
    async def A(flow: Flow) -> None:
        runs.append(flow.attempt)
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        await asyncio.sleep(0)

    async with running(max_crashes=3) as engine:
        outcome = await engine.run(Graph("g").add_transition("A", END), timeout=60)
    assert outcome.status is Status.FAILED
    assert "cancelled itself" in outcome.error
    assert runs == [0]


async def test_e21_retry_counts_its_attempts(host: LocalHost, engine: Engine) -> None:
    @host.task(url="Flaky")
    async def Flaky(flow: Flow, target: int) -> None:
        flow["tries"] = flow.get("tries", 0) + 1
        if flow["tries"] < target:
            if flow.attempt >= 4:
                raise RuntimeError("too often")
            flow.retry()
        flow["finalAttempts"] = flow["tries"]

    graph = Graph("g").add_transition("Flaky", END)
    handle = await engine.create(graph, {"target": 3})
    assert (await handle).state["finalAttempts"] == 3
    (step,) = await handle.history()
    assert step.attempt == 2
    handle = await engine.create(graph, {"target": 10})
    outcome = await handle
    assert outcome.status is Status.FAILED
    assert outcome.error == "too often"
    assert (await step_at(handle, "Flaky")).attempt == 4


async def test_e22_retry_gives_up_after_its_horizon(host: LocalHost, engine: Engine, clock: VirtualClock) -> None:
    @host.task(url="Flaky")
    async def Flaky(flow: Flow, succeeds_at: int, horizon: float) -> None:
        if flow.attempt < succeeds_at:
            flow.retry(delay=0.1, factor=2, give_up_after=horizon)
            raise RuntimeError("gave up")

    graph = Graph("g").add_transition("Flaky", END)
    handle = await engine.create(graph, {"succeeds_at": 1000, "horizon": 2})
    outcome = await handle
    assert outcome.status is Status.FAILED
    assert outcome.error == "gave up"
    # 0.1 + 0.2 + 0.4 + 0.8 s have passed by attempt 4, and 1.6 s more would pass the horizon
    assert (await step_at(handle, "Flaky")).attempt == 4
    handle = await engine.create(graph, {"succeeds_at": 2, "horizon": 10})
    assert (await handle).status is Status.COMPLETED
    assert (await step_at(handle, "Flaky")).attempt == 2


async def test_e23_delay_adds_to_the_delay_of_a_retry(host: LocalHost, engine: Engine, clock: VirtualClock) -> None:
    claimed: list[int] = []

    @host.task(url="Flaky")
    async def Flaky(flow: Flow) -> None:
        claimed.append(flow._claimed_at_ms)
        if flow.attempt < 3:
            flow.delay(0.2)
            flow.retry(delay=0.2, factor=1.0)

    assert (await engine.run(Graph("g").add_transition("Flaky", END))).status is Status.COMPLETED
    gaps = [later - earlier for earlier, later in zip(claimed, claimed[1:], strict=False)]
    assert len(gaps) == 3
    assert all(gap >= 400 for gap in gaps)


async def test_e24_loop_by_the_error_handler(host: LocalHost, engine: Engine) -> None:
    @host.task(url="Work")
    async def Work(flow: Flow) -> None:
        if flow.get("attempts", 0) < 3:
            raise RuntimeError("again")
        flow["finalAttempts"] = flow["attempts"]

    @host.task(url="Handler")
    async def Handler(flow: Flow) -> None:
        flow["attempts"] = flow.get("attempts", 0) + 1

    graph = (
        Graph("g").add_transition("Work", END).add_error_handler("Work", "Handler").add_transition("Handler", "Work")
    )
    handle = await engine.create(graph)
    assert (await handle).state["finalAttempts"] == 3
    history = await handle.history()
    assert [step.node for step in history] == ["Work", "Handler"] * 3 + ["Work"]
    assert {step.attempt for step in history} == {0}


@pytest.mark.parametrize("park", ["interrupt", "retry", "subgraph"])
async def test_e25_goto_with_a_park_fails_the_step(
    host: LocalHost, engine: Engine, noted: list[dict[str, Any]], park: str
) -> None:
    @host.task(url="A")
    async def A(flow: Flow) -> None:
        flow.goto("A")
        {"interrupt": flow.interrupt, "retry": flow.retry, "subgraph": lambda: flow.subgraph("child")}[park]()

    host.add_graph(Graph("child").add_transition("Handler", END))
    outcome = await engine.run(handled().add_goto("A", "A"))
    assert outcome.status is Status.FAILED
    assert "multiple competing control signals" in outcome.error
    assert park in outcome.error
    assert noted == []


async def test_e25_several_parks_of_one_task_are_legal(host: LocalHost, engine: Engine) -> None:
    @host.task(url="A")
    async def A(flow: Flow) -> None:
        flow["first"] = flow.interrupt("first")
        flow["second"] = flow.subgraph("child", {"x": flow["first"]})["y"]
        flow["third"] = flow.interrupt("third")

    @host.task(url="Child")
    async def Child(flow: Flow, x: int) -> None:
        flow["y"] = x * 2

    host.add_graph(Graph("child").add_transition("Child", END))
    handle = await engine.create(Graph("g").add_transition("A", END))
    assert (await handle).interrupt_payload == {"title": "first"}
    await handle.resume(21)
    assert (await handle).interrupt_payload == {"title": "third"}
    await handle.resume("end")
    assert (await handle).state == {"first": 21, "second": 42, "third": "end"}


async def test_e26_task_ends_with_its_budget(host: LocalHost, running: Any) -> None:
    ended: list[str] = []

    @host.task(url="A")
    async def A(flow: Flow) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async with running(time_budget=0.2) as engine:
        loop = asyncio.get_running_loop()
        start = loop.time()
        outcome = await engine.run(Graph("g").add_transition("A", END), timeout=60)
        assert loop.time() - start >= 0.2
    assert outcome.status is Status.FAILED
    assert "time budget of 0.2 s" in outcome.error
    assert ended == ["cancelled"]


async def test_e27_budget_is_frozen_with_the_flow(host: LocalHost, engine: Engine) -> None:
    gate = Gate()

    @host.task(url="A")
    async def A(flow: Flow) -> None:
        await gate.pass_()

    handle = await engine.create(Graph("g").add_transition("A", END), time_budget=45)
    engine.tune(time_budget=10)
    await gate.reached()
    assert await scalar(engine, "SELECT time_budget_ms FROM dwarf_flows") == 45_000
    assert await query(engine, "SELECT time_budget_ms, lease_expires - updated_at FROM dwarf_steps") == [
        (45_000, 75_000)
    ]
    gate.open()
    assert (await handle).status is Status.COMPLETED
    await engine.create(Graph("g").add_transition("A", END))
    assert await scalar(engine, "SELECT time_budget_ms FROM dwarf_flows ORDER BY flow_id DESC LIMIT 1") == 10_000


async def test_e28_cancelled_step_is_not_retried(host: LocalHost, engine: Engine, failpoints: Failpoints) -> None:
    gate = Gate()
    runs: list[int] = []

    @host.task(url="A")
    async def A(flow: Flow) -> None:
        runs.append(flow.attempt)
        await gate.pass_()
        flow.retry(delay=10)

    handle = await engine.create(Graph("g").add_transition("A", END))
    await gate.reached()
    await handle.cancel("enough")
    gate.open()
    await failpoints.seen("afterCommit:startover")
    assert await query(engine, "SELECT status, attempt FROM dwarf_steps") == [("cancelled", 0)]
    assert (await handle).cancel_reason == "enough"
    assert runs == [0]


async def test_e29_retry_drops_the_child_of_the_attempt(host: LocalHost, engine: Engine) -> None:
    @host.task(url="Call")
    async def Call(flow: Flow) -> None:
        flow["inner"] = flow.subgraph("child", {"attempt": flow.attempt})["attempt"]
        keys.append((await handle.history())[0].sub_flows[0].steps[0].key)
        if flow.attempt == 0:
            flow.retry()

    keys: list[str] = []
    host.add_task("Child", nothing)
    host.add_graph(Graph("child").add_transition("Child", END))
    handle = await engine.create(Graph("g").add_transition("Call", END))
    assert (await handle).state == {"inner": 1}
    first, second = keys
    with pytest.raises(StepNotFound):
        await engine.step(first)
    assert (await engine.step(second)).node == "Child"
    (call,) = await handle.history()
    assert [flow.steps[0].key for flow in call.sub_flows] == [second]
