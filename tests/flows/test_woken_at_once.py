"""A step that is given its answer starts in the place that the answer found free, and nobody looks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Limit, Status, SubgraphFailed, task
from dwarf import failpoints as test_seams
from dwarf.core.fairness import Backlog
from dwarf.core.records import StepRecord
from dwarf.engine import Engine, FlowHandle
from dwarf.engine.shard.reservations import Reservation
from dwarf.engine.shard.runtime import ShardRuntime
from dwarf.failpoints import Failpoints
from dwarf.hosts import LocalHost
from dwarf.storage.operations.claim import claim_due
from dwarf.storage.operations.recovery import release_lease
from tests.storage.test_statement_counts import counted, statements
from tests.support.quiet import QUIET
from tests.support.workflows import Gate, Running, at

SEARCH = {"best_band", "keys_of_band", "due_of_key", "claim_steps", "claimed_flows"}
# neither the search, nor the outcome, which is known from the commit
FROM_ANSWER_TO_END = {"oldest_waiting_whole", "resume_leased", "resume_flow", "finish_step", "end_flow", "now"}


@pytest.fixture
def failpoints() -> Iterator[Failpoints]:
    """Faults and checkpoints in the engine, for this test."""
    with test_seams.installed() as installed:
        yield installed


async def ask(flow: Flow) -> None:
    flow["answer"] = flow.interrupt({"title": "well?"})


async def nothing(flow: Flow) -> None:
    """A task without effect."""


def asking(name: str = "asking") -> Graph:
    return Graph(name).add_node("Ask", ask).add_node("Then", nothing).add_chain("Ask", "Then", END)


async def waiting(engine: Engine, graph: Graph, state: Any = None, **options: Any) -> FlowHandle:
    """A flow that waits for an answer, on an engine that has found nothing else to do."""
    while engine._runtimes[1].precedence.backlogged:
        await asyncio.sleep(0.001)
    flow = await engine.create(graph, state, **options)
    assert (await flow.outcome(timeout=60)).status is Status.INTERRUPTED
    return flow


async def answered(engine: Engine, flow: FlowHandle, answer: str = "yes") -> Any:
    """What is done from an answer to the end, by name."""
    with counted(engine) as counts:
        await flow.resume(answer)
        outcome = await flow.outcome(timeout=60)
    assert (outcome.status, outcome.state.get("answer")) == (Status.COMPLETED, answer)
    return counts


@pytest.mark.usefixtures("quiet")
async def test_nobody_looks_for_it(running: Running) -> None:
    async with running(timing=QUIET) as engine:
        await answered(engine, await waiting(engine, asking()))
        for _ in range(3):
            flow = await waiting(engine, asking())
            counts = await answered(engine, flow)
            assert not SEARCH & counts.keys(), counts
            done = statements(counts)
            assert all(name.startswith("insert_") or name in FROM_ANSWER_TO_END for name in done), done
            assert {name: done[name] for name in FROM_ANSWER_TO_END if name != "now"} == {
                "oldest_waiting_whole": 1,
                "resume_leased": 1,
                "resume_flow": 1,
                "finish_step": 2,
                "end_flow": 1,
            }
        rows = await flow.history()
        assert {row.engine_id for row in rows} == {engine._runtimes[1].engine_id}


@pytest.mark.usefixtures("quiet")
async def test_where_there_is_no_place_it_is_looked_for(running: Running) -> None:
    gate = Gate()

    async def hold(flow: Flow) -> None:
        await gate.wait()

    async with running(workers=1, timing=QUIET) as engine:
        flow = await waiting(engine, asking())
        other = await engine.create(Graph("hold").add_node("Hold", hold).add_transition("Hold", END))
        await gate.reached()
        with counted(engine) as counts:
            await flow.resume("yes")
        assert (counts["resume_leased"], counts["resume_step"]) == (0, 1)
        assert at(await flow.history(), "Ask").status is Status.PENDING
        gate.open()
        assert (await flow.outcome(timeout=60)).status is Status.COMPLETED
        assert (await other.outcome(timeout=60)).status is Status.COMPLETED


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "pressing", ["others wait for a place", "a better band", "its key has had its share", "drains"]
)
async def test_it_does_not_overtake(running: Running, pressing: str) -> None:
    async with running(timing=QUIET) as engine:
        flow = await waiting(engine, asking(), priority=7)
        runtime = engine._runtimes[1]
        match pressing:
            case "others wait for a place":
                runtime.precedence.backlogged = True
            case "a better band":
                runtime.precedence._backlog = Backlog(3, {"": 1.0})
            case "its key has had its share":
                runtime.precedence._backlog = Backlog(7, {"": 1.0, "other": 1.0})
                runtime.precedence._fair_share.had[""] = 10.0
            case "drains":
                runtime.context.draining = True
        with counted(engine) as counts:
            await flow.resume("yes")
            runtime.context.draining = False
            outcome = await flow.outcome(timeout=60)
        assert outcome.status is Status.COMPLETED
        assert (counts["resume_leased"], counts["resume_step"]) == (0, 1)


async def test_a_better_band_is_no_reason_for_a_better_one(running: Running) -> None:
    async with running(timing=QUIET) as engine:
        flow = await waiting(engine, asking(), priority=3)
        engine._runtimes[1].precedence._backlog = Backlog(7, {"": 1.0})
        counts = await answered(engine, flow)
        assert counts["resume_leased"] == 1


async def test_a_step_under_a_limit_is_counted_first(running: Running) -> None:
    @task(limit=Limit(concurrency=1))
    async def limited(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": "well?"})

    async with running() as engine:
        flow = await waiting(engine, Graph("limited").add_node("Ask", limited).add_transition("Ask", END))
        counts = await answered(engine, flow)
        assert (counts["resume_leased"], counts["resume_step"]) == (0, 1)
        assert counts["limit_gate"] >= 1


async def test_a_task_that_needs_a_thread_waits_for_one(running: Running) -> None:
    began, release = Event(), Event()

    def block(flow: Flow) -> None:
        began.set()
        assert release.wait(60)

    def ask_in_thread(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": "well?"})

    async with running(host=LocalHost(max_threads=1)) as engine:
        graph = Graph("g").add_node("Ask", ask_in_thread).add_transition("Ask", END)
        first, second = await waiting(engine, graph), await waiting(engine, graph)
        assert (await answered(engine, first))["resume_leased"] == 1
        blocking = await engine.create(Graph("block").add_node("Block", block).add_transition("Block", END))
        assert await asyncio.to_thread(began.wait, 60)
        with counted(engine) as counts:
            await second.resume("yes")
        assert (counts["resume_leased"], counts["resume_step"]) == (0, 1)
        release.set()
        assert (await second.outcome(timeout=60)).state["answer"] == "yes"
        assert (await blocking.outcome(timeout=60)).status is Status.COMPLETED
        shared = engine._context
        assert shared is not None
        assert shared.admission._totals.total() == 0


async def test_an_answer_that_comes_as_the_engine_closes_leaves_the_step_to_others(
    running: Running, failpoints: Failpoints
) -> None:
    async with running() as first:
        flow = await waiting(first, asking())
        held = failpoints.checkpoint("afterCommit:operation")
        runtime = first._runtimes[1]
        with counted(first) as counts:
            answering = asyncio.create_task(flow.resume("yes"))
            await held.arrived()
        assert counts["resume_leased"] == 1
        async with running(workers=0) as second:
            closing = asyncio.create_task(first.aclose())
            while not runtime.context.draining:
                await asyncio.sleep(0)
            held.release()
            await asyncio.gather(answering, closing)
            (step,) = await second.flow(flow.key).history()
            assert step.status is Status.PENDING
            async with running() as third:
                assert (await third.flow(flow.key).outcome(timeout=60)).state["answer"] == "yes"


# ------------------------------------------------------------------ what is run


def two_questions(name: str, large: int) -> Graph:
    """A flow whose last step carries a field of the first, writes, and asks twice."""

    async def bring(flow: Flow) -> None:
        flow["large"] = "x" * large

    async def ask_twice(flow: Flow) -> None:
        flow["before"] = 1
        flow["first"] = flow.interrupt({"title": "one"})
        flow["answer"] = flow.interrupt({"title": "two"})

    graph = Graph(name).add_node("Bring", bring).add_node("Pass", nothing).add_node("Ask", ask_twice)
    return graph.add_chain("Bring", "Pass", "Ask", END)


def in_a_branch() -> Graph:
    """A flow of which one branch waits, beside one that is over."""
    graph = Graph("branches").add_node("Split", nothing).add_node("Join", nothing, fan_in=True)
    for branch, function in (("Ask", ask), ("Other", nothing)):
        graph.add_node(branch, function).add_transition("Split", branch).add_transition(branch, "Join")
    return graph.add_transition("Join", END)


def in_a_child() -> Graph:
    """A flow that waits for a child, which waits for an answer."""

    async def call(flow: Flow) -> None:
        flow["answer"] = flow.subgraph(asking("inner"), {"n": 1})["answer"]

    return Graph("outer").add_node("Call", call).add_transition("Call", END)


GRAPHS = [two_questions("small", 10), two_questions("large", 9000), in_a_branch(), in_a_child()]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.name)
async def test_it_is_what_a_search_would_have_found(running: Running, graph: Graph) -> None:
    async with running(timing=QUIET) as engine:
        flow = await waiting(engine, graph, {"given": "g" * 50}, baggage={"who": "me"}, priority=5, fairness_key="k")
        if graph.name in ("small", "large"):
            await flow.resume("first")
            assert (await flow.outcome(timeout=60)).status is Status.INTERRUPTED
        runtime = engine._runtimes[1]
        answers = runtime.committer._notifier
        launch, woken = answers.launch, []

        def note(step: StepRecord, slot: Reservation) -> None:
            woken.append(step)
            slot.release()

        answers.launch = note
        await flow.resume("yes")
        (step,) = woken
        assert bool(step.refs) == (graph.name == "large")
        await runtime.database.write(lambda: release_lease(step.step_id, step.lease_seq))
        (found,) = await claimed(runtime)
        assert same(step) == same(replace(found, lease_seq=found.lease_seq - 1))
        answers.launch = launch
        slot = runtime.context.slots.reserve()
        assert slot is not None
        launch(found, slot)
        assert (await flow.outcome(timeout=60)).state.get("answer", "yes") == "yes"


async def claimed(runtime: ShardRuntime) -> Sequence[StepRecord]:
    """What looking for work finds."""
    found = await runtime.database.write(
        lambda: claim_due(
            5,
            lambda url: False,
            shard=1,
            engine_id=runtime.engine_id,
            margin_ms=runtime.writer.margin_ms,
            plan_of=runtime.plans.plan_of,
            random=runtime.context.random,
        )
    )
    return found.steps


def same(step: StepRecord) -> StepRecord:
    """But for the time at which it was leased."""
    return replace(step, claimed_at=0, answers=list(step.answers))


# ------------------------------------------------------------------ callers


def nested(depth: int, leaf: Any = nothing) -> Graph:
    """A chain of flows, each of which calls the next; what the innermost brings is counted."""
    graph = Graph(f"depth-{depth}")
    if not depth:
        return graph.add_node("Leaf", leaf).add_transition("Leaf", END)
    inner = nested(depth - 1, leaf)

    async def call(flow: Flow) -> None:
        flow["n"] = flow.subgraph(inner, {"n": flow["n"]})["n"] + 1

    # a URL of its own: functions of one factory are different tasks
    return graph.add_node("Call", task(url=f"call-{depth}")(call)).add_transition("Call", END)


@pytest.mark.usefixtures("quiet")
async def test_nobody_looks_for_a_caller_either(running: Running) -> None:
    depth = 4
    async with running(timing=QUIET) as engine:
        await answered(engine, await waiting(engine, asking()))
        graph = nested(depth)
        assert (await engine.run(graph, {"n": 0})).state["n"] == depth
        with counted(engine) as counts:
            assert (await engine.run(graph, {"n": 0})).state["n"] == depth
        assert not SEARCH & counts.keys(), counts
        assert (counts["callers_whole"], counts["revive_leased"], counts["revive_caller"]) == (depth, depth, 0)


async def test_callers_of_flows_that_end_together_are_told_together(running: Running) -> None:
    many = 24

    async def fail(flow: Flow) -> None:
        raise ValueError("no")

    async def call(flow: Flow) -> None:
        with suppress(SubgraphFailed):
            flow.subgraph(Graph("inner").add_node("Fail", fail).add_transition("Fail", END))
        flow["n"] = flow.subgraph(nested(0), {"n": 1})["n"]

    graph = Graph("outer").add_node("Call", call).add_transition("Call", END)
    async with running() as engine:
        outcomes = await asyncio.gather(*(engine.run(graph) for _ in range(2)))
        with counted(engine) as counts:
            outcomes = await asyncio.gather(*(engine.run(graph) for _ in range(many)))
        assert [outcome.state for outcome in outcomes] == [{"n": 1}] * many
        assert counts["revive_leased"] + counts["revive_caller"] < 2 * many


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("pressing", ["a better band", "no thread", "a limit"])
async def test_a_caller_does_not_overtake(running: Running, pressing: str) -> None:
    gate, depth = Gate(), 1

    async def hold(flow: Flow) -> None:
        await gate.wait()

    inner = Graph("inner").add_node("Hold", hold).add_transition("Hold", END)

    def body(flow: Flow) -> None:
        flow["n"] = flow.subgraph(inner, {"n": 0})["n"] + depth

    async def call(flow: Flow) -> None:
        body(flow)

    function = task(url="body")(body) if pressing == "no thread" else call
    if pressing == "a limit":
        function = task(limit=Limit(concurrency=5))(call)
    async with running(host=LocalHost(max_threads=1), timing=QUIET) as engine:
        runtime = engine._runtimes[1]
        while runtime.precedence.backlogged:
            await asyncio.sleep(0.001)
        flow = await engine.create(Graph("outer").add_node("Call", function).add_transition("Call", END), priority=7)
        await gate.reached()
        with counted(engine) as counts:
            if pressing == "a better band":
                runtime.precedence._backlog = Backlog(3, {"": 1.0})
            elif pressing == "no thread":
                runtime.context.admission.promise("body")
            gate.open()
            while not counts["revive_caller"] + counts["revive_leased"]:
                await asyncio.sleep(0.001)
            if pressing == "no thread":
                runtime.context.admission.given_up(["body"])
            assert (await flow.outcome(timeout=60)).state["n"] == 1
        assert (counts["revive_leased"], counts["revive_caller"]) == (0, 1)


@pytest.mark.usefixtures("quiet")
async def test_a_caller_is_what_a_search_would_have_found(running: Running) -> None:
    async with running(timing=QUIET) as engine:
        await answered(engine, await waiting(engine, asking()))
        runtime = engine._runtimes[1]
        start, woken = runtime.runner._continue, []

        def note(following: list[StepRecord], slot: Reservation) -> StepRecord | None:
            woken.extend(step for step in following if step.answers)
            return start([step for step in following if not step.answers], slot)

        runtime.runner._continue = note  # type: ignore[method-assign]
        flow = await engine.create(nested(1), {"n": 0, "large": "l" * 5000}, baggage={"who": "me"}, fairness_key="k")
        while not woken:
            await asyncio.sleep(0.001)
        runtime.runner._continue = start  # type: ignore[method-assign]
        (step,) = woken
        await runtime.database.write(lambda: release_lease(step.step_id, step.lease_seq))
        found = (await claimed(runtime))[0]
        assert same(step) == same(replace(found, lease_seq=found.lease_seq - 1))
        slot = runtime.context.slots.reserve()
        assert slot is not None
        runtime.runner.launch(found, slot)
        assert (await flow.outcome(timeout=60)).state["n"] == 1
