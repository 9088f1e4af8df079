"""Two transactions in the worst order: one is held just before it commits, the other meets what it has written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from dwarf import END, Flow, Graph, StateConflict, Status
from dwarf.engine import Engine, FlowHandle
from tests.replicas.gates import Gates, Held
from tests.replicas.standstill import blocked
from tests.support.workflows import Gate, Running, at, until_steps

pytestmark = pytest.mark.server

T = TypeVar("T")


async def nothing(flow: Flow) -> None:
    """A task without effect."""


async def ask(flow: Flow) -> None:
    """A task that waits for an answer."""
    flow["answers"] = [flow.interrupt({"title": "and?"})]


def chain(*nodes: str) -> Graph:
    graph = Graph("chain")
    for node in nodes:
        graph.add_node(node, nothing)
    return graph.add_chain(*nodes, END)


async def meets(held: Held, action: Awaitable[T]) -> T:
    """Begin something that meets a held transaction, let the two come to a standstill, and let go."""
    task = asyncio.ensure_future(action)
    await blocked(unless=task)
    held.release()
    return await task


async def assert_over(handle: FlowHandle, status: Status) -> None:
    assert (await handle.outcome(timeout=60)).status is status
    for step in await handle.history():
        assert step.status not in (Status.PENDING, Status.RUNNING, Status.INTERRUPTED), step


async def test_a_successor_that_a_cancel_cannot_see_is_cancelled_too(running: Running) -> None:
    gate = Gate()

    async def wait(flow: Flow) -> None:
        await gate.wait()

    graph = Graph("g").add_node("A", nothing).add_node("B", wait).add_node("C", nothing).add_chain("A", "B", "C", END)
    async with running() as one, running(workers=0) as two:
        held = (await Gates.of(one)).hold("COMMIT", after="finish_step")
        flow = await one.create(graph)
        await held.reached()
        await meets(held, two.flow(flow.key).cancel())
        await assert_over(flow, Status.CANCELLED)
        assert at(await flow.history(), "B").status is Status.CANCELLED
        gate.open()


async def test_a_flow_that_moves_on_while_it_is_cancelled_is_caught_up_with(running: Running) -> None:
    gate = Gate()

    async def wait(flow: Flow) -> None:
        await gate.wait()

    graph = Graph("g").add_node("A", nothing).add_node("B", nothing).add_node("C", wait).add_chain("A", "B", "C", END)
    async with running() as one, running(workers=0) as two:
        runs, cancels = await Gates.of(one), await Gates.of(two)
        after_a = runs.hold("COMMIT", after="finish_step")
        cancel = cancels.hold("cancel_steps")
        flow = await one.create(graph)
        await after_a.reached()
        after_b = runs.hold("COMMIT", after="finish_step")
        cancelling = asyncio.create_task(two.flow(flow.key).cancel())
        await blocked()  # it waits for the first step
        after_a.release()
        locked = asyncio.ensure_future(cancel.reached())
        await blocked(unless=locked)
        if locked.done():
            # the second step ends, unless the cancel has seen and locked it by now
            await blocked(unless=asyncio.ensure_future(after_b.reached()))
            cancel.release()
            await blocked(unless=cancelling)
        after_b.release()
        cancel.release()
        await cancelling
        await assert_over(flow, Status.CANCELLED)
        last = (await flow.history())[-1]
        assert (last.node, last.status) in [("B", Status.CANCELLED), ("C", Status.CANCELLED)]
        gate.open()


async def test_a_child_flow_that_a_cancel_cannot_see_is_cancelled_too(running: Running) -> None:
    gate = Gate()

    async def wait(flow: Flow) -> None:
        await gate.wait()

    inner = Graph("inner").add_node("Wait", wait).add_transition("Wait", END)

    async def call(flow: Flow) -> None:
        flow.subgraph(inner)

    outer = Graph("outer").add_node("Call", call).add_transition("Call", END)
    async with running() as one, running(workers=0) as two:
        held = (await Gates.of(one)).hold("COMMIT", after="call_step")
        flow = await one.create(outer)
        await held.reached()
        await meets(held, two.flow(flow.key).cancel())
        await assert_over(flow, Status.CANCELLED)
        (child,) = at(await flow.history(), "Call").sub_flows
        assert child.status is Status.CANCELLED
        assert at(child.steps, "Wait").status is Status.CANCELLED
        gate.open()


async def test_a_caller_that_is_being_revived_is_cancelled(running: Running) -> None:
    inner = chain("Inner")
    gate = Gate()
    calls = 0

    async def call(flow: Flow) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            await gate.wait()
        flow.subgraph(inner)

    outer = Graph("outer").add_node("Call", call).add_node("Then", nothing).add_chain("Call", "Then", END)
    async with running() as one, running(workers=0) as two:
        held = (await Gates.of(one)).hold("COMMIT", after="revive_leased")
        flow = await one.create(outer)
        await held.reached()
        await meets(held, two.flow(flow.key).cancel())
        await assert_over(flow, Status.CANCELLED)
        gate.open()
        assert at(await flow.history(), "Call").status is Status.CANCELLED


async def test_a_flow_that_is_just_completing_cannot_be_cancelled(running: Running) -> None:
    async with running() as one, running(workers=0) as two:
        held = (await Gates.of(one)).hold("COMMIT", after="end_flow")
        flow = await one.create(chain("A"))
        await held.reached()
        with pytest.raises(StateConflict, match="completed already"):
            await meets(held, two.flow(flow.key).cancel())
        await assert_over(flow, Status.COMPLETED)


async def test_the_outcome_of_a_step_that_was_cancelled_meanwhile_is_lost(running: Running) -> None:
    gate = Gate()

    async def wait(flow: Flow) -> None:
        await gate.wait()

    graph = Graph("g").add_node("A", wait).add_node("B", nothing).add_chain("A", "B", END)
    async with running() as one, running(workers=0) as two:
        flow = await one.create(graph)
        await gate.reached()
        held = (await Gates.of(two)).hold("COMMIT", after="cancel_steps")
        cancelling = asyncio.create_task(two.flow(flow.key).cancel())
        await held.reached()
        gate.open()
        await blocked()  # the outcome waits for the cancel
        held.release()
        await cancelling
        await assert_over(flow, Status.CANCELLED)
        assert [step.node for step in await flow.history()] == ["A"]


async def test_a_step_that_is_being_claimed_is_cancelled(running: Running) -> None:
    gate = Gate()

    async def wait(flow: Flow) -> None:
        await gate.wait()

    graph = Graph("g").add_node("A", wait).add_node("B", nothing).add_chain("A", "B", END)
    async with running(workers=0) as front, running() as back:
        held = (await Gates.of(back)).hold("COMMIT", after="claim_steps")
        flow = await front.create(graph)
        await held.reached()
        await meets(held, front.flow(flow.key).cancel())
        await assert_over(flow, Status.CANCELLED)
        gate.open()
        assert [step.node for step in await flow.history()] == ["A"]


# ------------------------------------------------------------------ answers


def two_branches(second: object) -> Graph:
    graph = Graph("fan", reducers={"answers": "append"})
    graph.add_node("Split", nothing).add_node("A", ask).add_node("B", second).add_node("Join", nothing, fan_in=True)
    for branch in "AB":
        graph.add_transition("Split", branch).add_transition(branch, "Join")
    return graph.add_transition("Join", END)


async def both_ask(engine: Engine) -> FlowHandle:
    """A flow of which both branches wait."""
    flow = await engine.create(two_branches(ask))
    await until_steps(flow, lambda steps: sum(step.status is Status.INTERRUPTED for step in steps) == 2)
    return flow


async def test_of_two_answers_at_once_the_later_wakes_the_flow(running: Running) -> None:
    async with running() as one, running() as two:
        flow = await both_ask(one)
        first, second = await flow.interrupts()
        held = (await Gates.of(one)).hold("COMMIT", after="resume_flow")
        answering = asyncio.create_task(flow.resume("x", step=first))
        await held.reached()
        await meets(held, two.flow(flow.key).resume("y", step=second))
        await answering
        outcome = await flow.outcome(timeout=60)
        assert outcome.status is Status.COMPLETED
        assert sorted(outcome.state["answers"]) == ["x", "y"]


async def test_of_two_answers_for_any_step_each_finds_its_own(running: Running) -> None:
    async with running() as one, running() as two:
        flow = await both_ask(one)
        held = (await Gates.of(one)).hold("COMMIT", after="resume_flow")
        answering = asyncio.create_task(flow.resume("x"))
        await held.reached()
        await meets(held, two.flow(flow.key).resume("y"))
        await answering
        outcome = await flow.outcome(timeout=60)
        assert sorted(outcome.state["answers"]) == ["x", "y"]


async def test_of_two_answers_to_one_step_the_later_is_refused(running: Running) -> None:
    async with running() as one, running() as two:
        flow = await both_ask(one)
        first, second = await flow.interrupts()
        held = (await Gates.of(one)).hold("COMMIT", after="resume_flow")
        answering = asyncio.create_task(flow.resume("x", step=first))
        await held.reached()
        with pytest.raises(StateConflict):
            await meets(held, two.flow(flow.key).resume("y", step=first))
        await answering
        await two.flow(flow.key).resume("z", step=second)
        assert sorted((await flow.outcome(timeout=60)).state["answers"]) == ["x", "z"]


async def test_a_question_that_an_answer_cannot_see_keeps_the_flow_waiting(running: Running) -> None:
    gate = Gate()

    async def ask_later(flow: Flow) -> None:
        await gate.wait()
        flow["answers"] = [flow.interrupt({"title": "later"})]

    async with running() as one, running() as two:
        flow = await one.create(two_branches(ask_later))
        await until_steps(flow, lambda steps: at(steps, "A").status is Status.INTERRUPTED if len(steps) > 1 else False)
        await gate.reached()
        held = (await Gates.of(one)).hold("COMMIT", after="interrupt_flow")
        gate.open()
        await held.reached()
        (step,) = await flow.interrupts()
        await meets(held, two.flow(flow.key).resume("x", step=step))
        outcome = await flow.outcome(timeout=60)
        assert outcome.status is Status.INTERRUPTED
        assert outcome.interrupt_payload == {"title": "later"}
        await two.flow(flow.key).resume("y")
        assert sorted((await flow.outcome(timeout=60)).state["answers"]) == ["x", "y"]


async def test_deleting_a_flow_that_is_being_answered_is_refused(running: Running) -> None:
    graph = Graph("g").add_node("Ask", ask).add_node("Then", nothing).add_chain("Ask", "Then", END)
    async with running() as one, running(workers=0) as two:
        flow = await one.create(graph)
        await flow.outcome(timeout=60)
        held = (await Gates.of(one)).hold("COMMIT", after="resume_flow")
        answering = asyncio.create_task(flow.resume("x"))
        await held.reached()
        with pytest.raises(StateConflict):
            await meets(held, two.flow(flow.key).delete())
        await answering
        await assert_over(flow, Status.COMPLETED)


# ------------------------------------------------------------------ cohorts


async def test_the_last_branch_sees_what_the_others_have_brought(running: Running) -> None:
    gate = Gate()

    async def later(flow: Flow) -> None:
        await gate.wait()
        flow["answers"] = ["late"]

    async def early(flow: Flow) -> None:
        flow["answers"] = ["early"]

    graph = Graph("fan", reducers={"answers": "append"})
    graph.add_node("Split", nothing).add_node("A", early).add_node("B", later).add_node("Join", nothing, fan_in=True)
    for branch in "AB":
        graph.add_transition("Split", branch).add_transition(branch, "Join")
    graph.add_transition("Join", END)
    async with running(workers=1) as one, running(workers=1) as two:
        # whichever runs the early branch is held when it has arrived, and the other arrives meanwhile
        helds = [(await Gates.of(engine)).hold("COMMIT", after="arrive") for engine in (one, two)]
        flow = await one.create(graph)
        arrivals = [asyncio.create_task(held.reached()) for held in helds]
        await asyncio.wait(arrivals, return_when=asyncio.FIRST_COMPLETED)
        gate.open()
        await blocked()
        for held in helds:
            held.release()
        for arrival in arrivals:
            arrival.cancel()
        outcome = await flow.outcome(timeout=60)
        assert sorted(outcome.state["answers"]) == ["early", "late"]
        assert [step.node for step in await flow.history()].count("Join") == 1


# ------------------------------------------------------------------ creating


async def test_a_key_that_is_just_being_taken_is_found(running: Running) -> None:
    graph = chain("A")
    async with running() as one, running() as two:
        held = (await Gates.of(one)).hold("COMMIT", after="insert_flow")
        creating = asyncio.create_task(one.create(graph, {"n": 1}, idempotency_key="k"))
        await held.reached()
        other = await meets(held, two.create(graph, {"n": 1}, idempotency_key="k"))
        assert other.key == (await creating).key
        await assert_over(other, Status.COMPLETED)


async def test_a_graph_that_is_just_being_brought_is_used(running: Running) -> None:
    graph = chain("A")
    async with running() as one, running() as two:
        held = (await Gates.of(one)).hold("COMMIT", after="insert_graph")
        creating = asyncio.create_task(one.create(graph))
        await held.reached()
        other = await meets(held, two.create(graph))
        for flow in (await creating, other):
            await assert_over(flow, Status.COMPLETED)


async def test_what_is_being_written_is_not_taken_back(running: Running) -> None:
    """Recovery leaves a step alone whose owner is late, but is just writing its outcome."""
    from dwarf.engine import Timing
    from dwarf.storage.operations.recovery import recover_expired

    lease = {"time_budget": 2, "timing": Timing(lease_margin=0.2, recovery=0.05)}
    async with running(**lease) as one, running(**{**lease, "workers": 0}) as two:
        held = (await Gates.of(one)).hold("COMMIT", after="finish_step")
        flow = await one.create(chain("A", "B"))
        await held.reached()
        await asyncio.sleep(2.6)  # the lease is over
        assert await two._runtimes[1].database.write(recover_expired) == 0
        held.release()
        await assert_over(flow, Status.COMPLETED)
        assert [step.attempt for step in await flow.history()] == [0, 0]
        rows = await one._runtimes[1].database.read(_lease_numbers)
        assert rows == [(1, 0)]


def _lease_numbers():  # type: ignore[no-untyped-def]
    from sqlalchemy import text

    from dwarf.storage.sql.script import Fetch, Statement

    return (yield Fetch(Statement("numbers", text("SELECT lease_seq, crashes FROM dwarf_steps WHERE node = 'A'")), {}))
