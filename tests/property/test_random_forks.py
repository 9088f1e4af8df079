"""Copies of random flows, forked or repaired at random places, end in the state that the flow itself ends in."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwarf import END, Flow, Graph, Outcome, StateConflict, Status, Step
from dwarf.engine import Engine, FlowHandle
from dwarf.hosts import LocalHost
from dwarf.testing import engine_for_test
from tests.property.test_random_flows import CHAINS, INITIAL, Builder, Chain, Script, State, expected
from tests.support.invariants import check_invariants

NUMBERS = itertools.count()
QUICK = settings(max_examples=20)
THOROUGH = settings(max_examples=150)


@asynccontextmanager
async def running(host: LocalHost) -> AsyncIterator[Engine]:
    async with engine_for_test(f"random-fork-{next(NUMBERS)}", host, workers=8) as engine:
        yield engine
        await check_invariants(engine)
    host.close()


def called(graph: Graph, initial: State) -> Graph:
    """A workflow that calls another one and keeps what it came to."""

    async def call(flow: Flow) -> None:
        flow["out"] = flow.subgraph(graph, initial)

    return Graph("caller").add_node("Call", call).add_transition("Call", END)


def all_steps(steps: Sequence[Step]) -> list[Step]:
    """The steps of a history and of the child flows in it."""
    found = list(steps)
    for step in found:
        found.extend(inner for child in step.sub_flows for inner in child.steps)
    return found


async def driven(flow: FlowHandle, luck: random.Random) -> Outcome:
    """Answer the questions of a flow until it has ended."""
    while (outcome := await flow.outcome(timeout=60)).status is Status.INTERRUPTED:
        step = luck.choice(await flow.interrupts())
        assert step.interrupt_payload is not None
        await flow.resume(step.interrupt_payload["number"], step=step)
    return outcome


class FlakyBuilder(Builder):
    """Tasks that fail now and then, until ``failures`` are used up; and a count of those that came to their end."""

    def __init__(self, chain: Chain, luck: random.Random, host: LocalHost, failures: int) -> None:
        self.ended: Counter[str] = Counter()
        self._left = failures
        super().__init__(chain, luck, host)

    def _node(self, script: Script, items: list[Any] | None = None) -> str:
        name = super()._node(script, items)
        function = self.host.functions[name]

        def before() -> None:
            if self._left and script.rescue is None and self._luck.random() < 0.4:
                self._left -= 1
                raise ValueError(f"{name} is flaky")

        def after(error: Exception | None) -> None:
            if error is None or str(error) == "drawn":  # which is handled
                self.ended[name] += 1
            if error is not None:
                raise error

        async def in_loop(flow: Flow) -> None:
            before()
            try:
                await function(flow)
            except Exception as error:
                after(error)
            else:
                after(None)

        def in_thread(flow: Flow) -> None:
            before()
            try:
                function(flow)
            except Exception as error:
                after(error)
            else:
                after(None)

        self.host.add_task(name, in_loop if inspect.iscoroutinefunction(function) else in_thread)
        return name


# ---------------------------------------------------------------- forks


async def fork_and_compare(chain: Chain, initial: State, child: bool, luck: random.Random) -> None:
    host = LocalHost(max_threads=4)
    graph = Builder(chain, luck, host).graph
    model = expected(chain, initial)
    wanted = {"out": model} if child else model
    async with running(host) as engine:
        flow = await engine.create(called(graph, initial) if child else graph, {} if child else initial)
        assert (await driven(flow, luck)).state == wanted
        for _ in range(4):
            step = luck.choice(all_steps(await flow.history()))
            fork = await engine.fork(step, at=luck.choice(["input", "after"]))
            assert (await driven(fork, luck)).state == wanted
            flow = luck.choice([flow, fork])


@QUICK
@given(CHAINS, INITIAL, st.booleans(), st.integers(0, 2**32))
def test_a_fork_without_changes_ends_as_its_origin_did(chain: Chain, initial: State, child: bool, seed: int) -> None:
    asyncio.run(fork_and_compare(chain, initial, child, random.Random(seed)))


@pytest.mark.soak
@pytest.mark.timeout(900)
@THOROUGH
@given(CHAINS, INITIAL, st.booleans(), st.integers(0, 2**32))
def test_many_more_forks(chain: Chain, initial: State, child: bool, seed: int) -> None:
    asyncio.run(fork_and_compare(chain, initial, child, random.Random(seed)))


async def run_on(flow: FlowHandle, luck: random.Random) -> None:
    """Let a flow run for a random while, and answer a question or two."""
    for _ in range(luck.randrange(40)):
        await asyncio.sleep(0)
    for _ in range(luck.randrange(3)):
        if (await flow.snapshot()).status is Status.INTERRUPTED:
            step = luck.choice(await flow.interrupts())
            await flow.resume((step.interrupt_payload or {})["number"], step=step)


async def fork_while_it_runs(chain: Chain, initial: State, child: bool, luck: random.Random) -> None:
    host = LocalHost(max_threads=4)
    graph = Builder(chain, luck, host).graph
    model = expected(chain, initial)
    wanted = {"out": model} if child else model
    async with running(host) as engine:
        flows = [await engine.create(called(graph, initial) if child else graph, {} if child else initial)]
        for _ in range(4):
            origin = luck.choice(flows)
            await run_on(origin, luck)
            steps = all_steps(await origin.history())
            if steps := [step for step in steps if step.status in (Status.COMPLETED, Status.INTERRUPTED)]:
                step = luck.choice(steps)
                at = luck.choice(["input", "after"]) if step.status is Status.COMPLETED else "input"
                with suppress(StateConflict):  # an answer has taken the step up meanwhile
                    flows.append(await engine.fork(step, at=at))
        for flow in flows:
            assert (await driven(flow, luck)).state == wanted


@QUICK
@given(CHAINS, INITIAL, st.booleans(), st.integers(0, 2**32))
def test_a_fork_of_a_flow_that_runs_ends_as_its_origin_does(
    chain: Chain, initial: State, child: bool, seed: int
) -> None:
    asyncio.run(fork_while_it_runs(chain, initial, child, random.Random(seed)))


@pytest.mark.soak
@pytest.mark.timeout(900)
@THOROUGH
@given(CHAINS, INITIAL, st.booleans(), st.integers(0, 2**32))
def test_many_more_forks_of_flows_that_run(chain: Chain, initial: State, child: bool, seed: int) -> None:
    asyncio.run(fork_while_it_runs(chain, initial, child, random.Random(seed)))


# ---------------------------------------------------------------- repairs


async def repair_and_compare(chain: Chain, initial: State, child: bool, luck: random.Random) -> None:
    host = LocalHost(max_threads=4)
    flaky = FlakyBuilder(chain, luck, host, failures=luck.randrange(8))
    graph = called(flaky.graph, initial) if child else flaky.graph
    model = expected(chain, initial)
    async with running(host) as engine:
        flow = await engine.create(graph, {} if child else initial)
        while (outcome := await driven(flow, luck)).status is not Status.COMPLETED:
            flow = await flow.retry_failed()
        assert outcome.state == ({"out": model} if child else model)
        steps = Counter(step.node for step in all_steps(await flow.history()) if step.node in flaky.ended)
        assert flaky.ended == steps  # nothing that was done was done twice


@QUICK
@given(CHAINS, INITIAL, st.booleans(), st.integers(0, 2**32))
def test_a_flow_repaired_until_it_completes_ends_as_the_model(
    chain: Chain, initial: State, child: bool, seed: int
) -> None:
    asyncio.run(repair_and_compare(chain, initial, child, random.Random(seed)))


@pytest.mark.soak
@pytest.mark.timeout(900)
@THOROUGH
@given(CHAINS, INITIAL, st.booleans(), st.integers(0, 2**32))
def test_many_more_repairs(chain: Chain, initial: State, child: bool, seed: int) -> None:
    asyncio.run(repair_and_compare(chain, initial, child, random.Random(seed)))


# ---------------------------------------------------------------- cancelled flows


async def cancelled_at_random(flow: FlowHandle, luck: random.Random) -> bool:
    for _ in range(luck.randrange(60)):
        await asyncio.sleep(0)
    if luck.random() < 0.5 and (await flow.snapshot()).status is Status.INTERRUPTED:
        step = luck.choice(await flow.interrupts())
        await flow.resume((step.interrupt_payload or {})["number"], step=step)
    try:
        await flow.cancel()
    except StateConflict:
        return False
    return True


async def cancel_and_compare(chain: Chain, initial: State, child: bool, luck: random.Random) -> None:
    host = LocalHost(max_threads=4)
    graph = Builder(chain, luck, host).graph
    model = expected(chain, initial)
    async with running(host) as engine:
        flow = await engine.create(called(graph, initial) if child else graph, {} if child else initial)
        for _ in range(3):
            if not await cancelled_at_random(flow, luck):
                break
            flow = await flow.retry_failed()
        assert (await driven(flow, luck)).state == ({"out": model} if child else model)


@QUICK
@given(CHAINS, INITIAL, st.booleans(), st.integers(0, 2**32))
def test_a_cancelled_flow_taken_up_again_ends_as_the_model(
    chain: Chain, initial: State, child: bool, seed: int
) -> None:
    asyncio.run(cancel_and_compare(chain, initial, child, random.Random(seed)))


@pytest.mark.soak
@pytest.mark.timeout(900)
@THOROUGH
@given(CHAINS, INITIAL, st.booleans(), st.integers(0, 2**32))
def test_many_more_cancelled_flows(chain: Chain, initial: State, child: bool, seed: int) -> None:
    asyncio.run(cancel_and_compare(chain, initial, child, random.Random(seed)))
