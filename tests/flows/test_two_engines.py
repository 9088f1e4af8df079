"""Two engines on one database."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.testing import engine_for_test
from tests.support.workflows import Gate, Running, until_steps


async def test_they_share_the_work_and_no_step_runs_twice(running: Running) -> None:
    ran: Counter[str] = Counter()

    async def work(flow: Flow) -> None:
        ran[flow.step_key] += 1
        flow["n"] = flow.get("n", 0) + 1
        await asyncio.sleep(0)

    graph = Graph("chain")
    for node in "ABCDE":
        graph.add_node(node, work)
    graph.add_chain(*"ABCDE", END)
    async with running(workers=4) as one, running(workers=4) as two:
        flows = await one.create_many(graph, [{}] * 40)
        flows += await two.create_many(graph, [{}] * 40)
        outcomes = await asyncio.gather(*(two.flow(flow.key).outcome(timeout=60) for flow in flows))
        assert {outcome.state["n"] for outcome in outcomes} == {5}
        engines = {step.engine_id for flow in flows for step in await one.flow(flow.key).history()}
    assert set(ran.values()) == {1}
    assert len(ran) == 400
    assert len(engines) == 2


async def test_each_has_its_own_engine_id(running: Running) -> None:
    async with running() as one, running() as two:
        ids = [runtime.engine_id for engine in (one, two) for runtime in engine._runtimes.values()]
        assert len(set(ids)) == 2
        async with running() as three:
            assert three._runtimes[1].engine_id not in ids


async def test_one_creates_and_the_other_runs(running: Running) -> None:
    async def where(flow: Flow) -> None:
        flow["ran"] = True

    graph = Graph("g").add_node("A", where).add_transition("A", END)
    async with running(workers=0) as front, running() as back:
        flow = await front.create(graph)
        assert (await flow.outcome(timeout=60)).state == {"ran": True}
        (step,) = await flow.history()
        assert step.engine_id == back._runtimes[1].engine_id


async def test_what_one_leaves_the_other_takes_over(running: Running) -> None:
    """An engine that closes gives back what it has not finished."""
    gate = Gate()
    attempts: list[int] = []

    async def hang(flow: Flow) -> None:
        attempts.append(flow.attempt)
        if len(attempts) == 1:
            await gate.wait()

    graph = Graph("g").add_node("Hang", hang).add_node("After", hang).add_chain("Hang", "After", END)
    async with running(workers=0) as other:
        async with running() as first:
            flow = await first.create(graph)
            await gate.reached()
            await first.aclose(grace=0)
        seen = other.flow(flow.key)
        (step,) = await seen.history()
        assert step.status is Status.PENDING
        async with running() as second:
            assert (await second.flow(flow.key).outcome(timeout=60)).status is Status.COMPLETED
    assert attempts == [0, 0, 0]


async def test_one_name_is_one_database_in_memory(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DWARF_TEST_URL", raising=False)
    graph = Graph("g").add_node("A", lambda: None).add_transition("A", END)
    async with engine_for_test("one name", host) as one:
        flow = await one.create(graph)
        await flow
        async with engine_for_test("one name", host) as same, engine_for_test("another name", host) as other:
            assert (await same.flow(flow.key)).status is Status.COMPLETED
            with pytest.raises(LookupError):
                await other.flow(flow.key)
    async with engine_for_test("one name", host) as later:
        with pytest.raises(LookupError):
            await later.flow(flow.key)


async def test_the_data_stay_while_one_of_them_lives(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DWARF_TEST_URL", raising=False)
    graph = Graph("g").add_node("A", lambda: None).add_transition("A", END)
    first = engine_for_test("relay", host)
    await first.start()
    flow = await first.create(graph)
    await flow
    second = engine_for_test("relay", host)
    await second.start()
    await first.aclose()
    assert (await second.flow(flow.key)).status is Status.COMPLETED
    await second.aclose()


async def test_watchers_on_both_see_branches_wait(running: Running) -> None:
    async def ask(flow: Flow) -> None:
        flow["answers"] = [flow.interrupt({"title": flow["item"]})]

    async def nothing(flow: Flow) -> None:
        pass

    graph = Graph("fan", reducers={"answers": "append"}).add_for_each("Split", "Ask", items="items")
    graph.add_node("Split", nothing).add_node("Ask", ask).add_node("Join", nothing, fan_in=True)
    graph.add_chain("Ask", "Join", END)
    async with running(workers=2) as one, running(workers=2) as two:
        flow = await one.create(graph, {"items": list(range(6))})

        async def all_wait(engine: Engine) -> None:
            await until_steps(
                engine.flow(flow.key), lambda steps: [s.status for s in steps].count(Status.INTERRUPTED) == 6
            )

        await asyncio.wait_for(asyncio.gather(all_wait(one), all_wait(two)), 60)
        steps = await two.flow(flow.key).interrupts()
        await asyncio.gather(
            *(engine.flow(flow.key).resume(step.interrupt_payload["title"], step=step)  # type: ignore[index]
              for step, engine in zip(steps, [one, two] * 3, strict=True))
        )  # fmt: skip
        assert (await two.flow(flow.key).outcome(timeout=60)).state["answers"] == list(range(6))
