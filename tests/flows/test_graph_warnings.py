"""A graph that is used is checked once, beside the loop."""

from __future__ import annotations

import asyncio
import threading
import warnings
from typing import Any

import pytest

from dwarf import END, Graph, GraphError, GraphWarning, Status
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.testing import engine_for_test


def quote() -> dict[str, Any]:
    return {"amount": 900}


def misspelt() -> Graph:
    graph = Graph("Loan").add_node("Price", quote).add_node("Approve", lambda: {"approved": True})
    return graph.add_switch("Price", {"amout > 100": "Approve"}, default=END).add_transition("Approve", END)


async def test_a_run_warns_once(engine: Engine) -> None:
    with pytest.warns(GraphWarning, match=r"graph 'Loan': .*'amout'.* did you mean 'amount'\?") as caught:
        outcome = await engine.run(misspelt())
    assert outcome.status is Status.COMPLETED
    assert [(one.filename, one.lineno) for one in caught] == [(__file__, quote.__code__.co_firstlineno)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await engine.run(misspelt())
        await engine.create_many(misspelt(), [{}, {}])


async def test_a_create_warns_too(engine: Engine) -> None:
    async def create_and_close() -> None:
        await engine.create(misspelt(), {"name": "Ada"})
        await engine.aclose()

    with pytest.warns(GraphWarning, match="'amout'"):
        await create_and_close()


async def test_where_warnings_are_errors_the_flow_goes_on(engine: Engine) -> None:
    assert (await engine.run(misspelt())).status is Status.COMPLETED


async def test_changes_that_nobody_reads(engine: Engine) -> None:
    def square(x: int) -> dict[str, Any]:
        if x < 0:
            raise ValueError("negative")
        return {"y": x * x}

    graph = Graph("Square").add_node("Sq", square).add_transition("Sq", END)
    done = await engine.create(graph, {"x": 2, "note": "for people"})
    failed = await engine.create(graph, {"x": -2})
    await asyncio.gather(done, failed)
    (step,) = await done.history()
    with pytest.warns(GraphWarning) as caught:
        await asyncio.gather(*[await engine.fork(step, {"xx": 1}), await engine.fork(step, {"xx": 2})])
    (told,) = [str(one.message) for one in caught]
    assert told == "graph 'Square': the changes have a field 'xx', which nobody reads; did you mean 'x'?"
    with pytest.warns(GraphWarning, match=r"'x1', which nobody reads; did you mean 'x'\?"):
        await failed.retry_failed({"x1": 1})
    with warnings.catch_warnings(record=True) as caught_later:
        warnings.simplefilter("always")
        assert (await (await engine.fork(step, {"x": 3, "note": None, "remark": "tried"}))).state == {
            "x": 3,
            "y": 9,
            "remark": "tried",
        }
    assert [one for one in caught_later if issubclass(one.category, GraphWarning)] == []


async def test_a_field_for_people_is_no_warning(engine: Engine) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await engine.run(Graph("g").add_node("A", quote).add_transition("A", END), {"order": 7})
    assert [one for one in caught if issubclass(one.category, GraphWarning)] == []


async def test_a_field_that_is_given_as_none_is_no_warning(engine: Engine) -> None:
    graph = Graph("maybe").add_node("A", lambda note=None: {"told": note}).add_node("B", lambda: {"empty": True})
    graph.add_switch("A", {"note == null": "B"}, default=END).add_transition("B", END)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (await engine.run(graph, {"note": None})).state == {"empty": True}
        await engine.aclose()


async def test_tasks_of_the_host_are_read(host: LocalHost, engine: Engine) -> None:
    host.add_task("quote", quote)
    graph = Graph("Loan").add_node("Price", "quote").add_switch("Price", {"amout > 1": "Price"}, default=END)
    with pytest.warns(GraphWarning, match="'amout'"):
        await engine.run(graph)


async def test_strict_refuses(request: pytest.FixtureRequest) -> None:
    async with engine_for_test(request.node.name, LocalHost(), strict=True) as engine:
        for door in (engine.create(misspelt()), engine.run(misspelt()), engine.create_many(misspelt(), [{}])):
            with pytest.raises(GraphError, match="did you mean 'amount'") as caught:
                await door
            assert len(caught.value.problems) == 1
        assert [flow async for flow in engine.flows()] == []
        right = misspelt().add_node("Price", lambda: {"amout": 900})
        assert (await engine.run(right)).state == {"amout": 900, "approved": True}


async def test_a_create_does_not_wait_for_the_check(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine._context is not None
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    gate = threading.Event()

    def slow(graph: Graph, fields: frozenset[str]) -> list[str]:
        loop.call_soon_threadsafe(begun.set)
        gate.wait(60)
        return []

    monkeypatch.setattr(engine._context.wiring, "_sentences", slow)
    handle = await engine.create(misspelt())
    assert (await handle).status is Status.COMPLETED
    await begun.wait()
    gate.set()
