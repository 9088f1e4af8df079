"""Steps that take over what earlier ones with the same code and input came to."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from dwarf import END, Cache, Flow, Graph, GraphError, InvalidRequest, Status, task
from dwarf.engine import Engine, FlowHandle
from dwarf.hosts import LocalHost
from dwarf.storage.sql.tables import cache, steps
from dwarf.testing import VirtualClock
from tests.storage.test_statement_counts import counted, writing
from tests.support.quiet import QUIET
from tests.support.workflows import Gate, Running, at

RAN: Counter[str] = Counter()
CELL = """
FACTOR = 2
TABLE = [1, 2]

def helper(n):
    return n * FACTOR

class Scale:
    def by(self, n):
        return helper(n) + 1

def double(n):
    RAN["double"] += 1
    return {"out": Scale().by(n)}
"""


def cell(source: str = CELL) -> Any:
    """The function ``double`` of a notebook's cell; running the cell again makes another one."""
    names: dict[str, Any] = {"RAN": RAN, "__name__": "cells"}
    exec(compile(source, "<cell>", "exec"), names)
    return task(url="double")(names["double"])


def single(work: Any, **policies: Any) -> Graph:
    return Graph("single").add_node("Work", work, **{"cache": True, **policies}).add_transition("Work", END)


async def ran(engine: Engine, graph: Graph, state: Any = None) -> FlowHandle:
    flow = await engine.create(graph, state)
    outcome = await flow.outcome(timeout=60)
    assert outcome.status is Status.COMPLETED, outcome.error
    return flow


async def test_what_is_known_is_not_computed_again(running: Running) -> None:
    """Across flows, nodes and engines; marked with the step it comes from."""
    RAN.clear()
    host = LocalHost()
    host.add_task("double", cell())
    graph = single("double")
    async with running(host=host) as other, running(host=host) as engine:
        first = await ran(other, graph, {"n": 4, "other": 1})
        source = at(await first.history(), "Work")
        assert (source.cached, source.cached_from) == (False, "")
        chain = Graph("chain").add_node("A", "double", cache=True).add_node("B", "double", cache=True)
        second = await ran(engine, chain.add_chain("A", "B", END), {"n": 4})
        steps = await second.history()
        assert [(step.cached, step.cached_from) for step in steps] == [(True, source.key)] * 2
        assert (await second).state == {"n": 4, "out": 9}
        assert steps[0].code == source.code
        assert RAN == {"double": 1}
        await ran(engine, graph, {"n": 5})
        await ran(engine, single("double", cache=Cache(version="2")), {"n": 4})
        await ran(engine, single("double", cache=False), {"n": 4})
        assert RAN == {"double": 4}
        fork = await engine.fork(steps[0], {"n": 5})
        assert (await fork).state["out"] == 11
        assert [step.cached for step in await fork.history()] == [True, True]
        assert await engine.clear_cache("double") == 3
        await ran(engine, graph, {"n": 4})
        assert (RAN["double"], await engine.clear_cache()) == (5, 1)
        assert await engine.clear_cache("double") == 0
        with pytest.raises(InvalidRequest, match=r"no task 'duoble'.*did you mean 'double'\?"):
            await engine.clear_cache("duoble")
    host.close()


@pytest.mark.parametrize(
    ("edited", "runs"),
    [
        (CELL, 1),
        ("# moved down\n\n" + CELL.replace("[1, 2]", "[3]"), 1),  # a list counts by its type
        (CELL.replace("FACTOR = 2", "FACTOR = 3"), 2),
        (CELL.replace("n * FACTOR", "n + FACTOR"), 2),
        (CELL.replace("+ 1", "+ 2"), 2),
        (CELL.replace("def double(n)", "def double(n, m=1)"), 2),
    ],
    ids=["same", "moved", "global", "helper", "method", "default"],
)
@pytest.mark.parametrize("database", ["memory"], indirect=True)
async def test_what_an_edit_means(engine: Engine, host: LocalHost, edited: str, runs: int) -> None:
    RAN.clear()
    host.add_task("double", cell())
    await ran(engine, single("double"), {"n": 4})
    host.add_task("double", cell(edited))
    await ran(engine, single("double"), {"n": 4})
    assert RAN["double"] == runs


@pytest.mark.usefixtures("quiet")
async def test_ten_tasks_of_which_the_last_was_edited(running: Running, host: LocalHost) -> None:
    """Nine are not run again, and the second flow writes less than the first."""
    RAN.clear()
    names = [f"N{number}" for number in range(10)]
    graph = Graph("ten")
    for name in names:
        host.add_task(name, numbered(name))
        graph.add_node(name, name, cache=True)
    graph.add_chain(*names, END)
    writes, costs = writing(steps) | writing(cache), []
    async with running(timing=QUIET) as engine:
        for _ in range(2):
            with counted(engine) as counts:
                flow = await ran(engine, graph, {"n": 4})
            costs.append(sum(counts[name] for name in writes))
            host.add_task("N9", numbered("N9", edited=True))
        assert [step.cached for step in await flow.history()] == [True] * 9 + [False]
    assert {**dict.fromkeys(names, 1), "N9": 2} == RAN
    first, second = costs
    assert second < first  # which has kept what it came to; looks for work depend on time, and are not counted


def numbered(name: str, *, edited: bool = False) -> Any:
    """A task of its own name, whose code an edit changes."""

    async def before(n: int) -> dict[str, int]:
        RAN[name] += 1
        return {"n": n + 1}

    async def after(n: int) -> dict[str, int]:
        RAN[name] += 1
        return {"n": n + 2}

    return task(url=name)(after if edited else before)


class Model:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def apply(self, n: int) -> dict[str, int]:
        return {"out": n * self.factor}

    __call__ = apply


@pytest.mark.parametrize("database", ["memory"], indirect=True)
async def test_a_float_is_not_the_whole_number_that_it_equals(engine: Engine) -> None:
    """A task may tell them apart, though they are alike in a condition or an idempotent create."""

    def shown(n: Any) -> dict[str, str]:
        return {"text": str(n)}

    graph = single(shown)
    texts = [(await (await ran(engine, graph, {"n": n})).snapshot()).state["text"] for n in (5, 5.0, 5)]
    assert texts == ["5", "5.0", "5"]


async def test_methods_of_two_objects_are_two_tasks(engine: Engine, host: LocalHost) -> None:
    for made in (lambda factor: Model(factor).apply, Model):
        found = []
        for factor in (2, 3, 2):
            host.add_task("model", made(factor))
            found.append((await (await ran(engine, single("model"), {"n": 1})).outcome()).state["out"])
        assert found == [2, 3, 2]


async def test_goto_delay_and_deletions_are_taken_over_and_the_ttl_ends(running: Running, clock: VirtualClock) -> None:
    RAN.clear()

    async def work(flow: Flow) -> None:
        RAN["work"] += 1
        del flow["gone"]
        flow["list"] = ["x"]
        flow.delay(60)
        flow.goto("There")

    graph = Graph("g", reducers={"list": "append"}).add_node("Work", work, cache=Cache(ttl=timedelta(hours=1)))
    graph.add_node("There", lambda: {"there": True}).add_transition("Work", END)
    graph.add_goto("Work", "There").add_transition("There", END)
    async with running() as engine:
        for expected in (False, True):
            flow = await ran(engine, graph, {"gone": 1})
            steps = await flow.history()
            assert at(steps, "Work").cached is expected
            assert (await flow).state == {"list": ["x"], "there": True}
            there = at(steps, "There")
            assert there.not_before is not None
            assert there.not_before - there.created_at == timedelta(seconds=60)
        clock.advance(3600)
        await ran(engine, graph, {"gone": 1})
        assert RAN["work"] == 2


def in_child(flow: Flow) -> None:
    print("from a child")
    flow["n"] = flow["n"] + 1


def reads_in_child(flow: Flow) -> None:
    flow["me"] = flow.key


@pytest.mark.parametrize("database", ["memory"], indirect=True)
async def test_in_another_process(running: Running) -> None:
    host = LocalHost(executors={"pool": 1})
    async with running(host=host, capture_output=True) as engine:
        for work, expected in ((in_child, True), (reads_in_child, False)):
            for cached in (False, expected):
                flow = await ran(engine, single(work, executor="pool"), {"n": 1})
                assert at(await flow.history(), "Work").cached is cached
                assert [line.text for line in await flow.logs()] == ["from a child"] * expected
    await host.aclose()


async def test_what_was_said_and_shown_is_taken_over(engine: Engine) -> None:
    RAN.clear()
    engine._settings.capture_output = True
    engine._capture(True)

    async def work(flow: Flow) -> None:
        RAN["work"] += 1
        print("hello")
        flow.stream("tok")
        flow.display("a table", name="table")
        flow.display("x" * 200_000)

    try:
        for cached in (False, True, True):
            flow = await ran(engine, single(work), {"n": 1})
            (step,) = await flow.history()
            assert step.cached is cached
            lines = await flow.logs()
            assert [(line.text, line.source, line.step_key) for line in lines] == [
                ("hello", "stdout", step.key),
                ("tok", "stream", step.key),
            ]
            shown = await flow.displays()
            assert [each.name for each in shown] == ["table", ""]
            assert {each.step_key for each in shown} == {step.key}
            assert "x" * 1000 in str(shown[1].data)
    finally:
        engine._capture(False)
    assert RAN == {"work": 1}


async def test_what_is_never_cached(engine: Engine) -> None:
    """Failures, parks, and what has read which execution it is, unless a key is given."""
    RAN.clear()

    async def fails(flow: Flow) -> None:
        RAN["fails"] += 1
        raise ValueError("no")

    async def asks(flow: Flow) -> None:
        RAN["asks"] += 1
        flow["answer"] = flow.interrupt("well?", timeout=0, default=1)

    def reads(flow: Flow) -> None:
        RAN["reads"] += 1
        flow["me"] = flow.step_key

    def keyed(flow: Flow) -> None:
        RAN["keyed"] += 1
        flow["me"] = flow.key

    for _ in range(2):
        assert (await engine.run(single(fails))).status is Status.FAILED
        await ran(engine, single(asks))
        await ran(engine, single(reads))
    await ran(engine, single(keyed, cache=Cache(key="n")), {"n": 1, "m": 1})
    await ran(engine, single(keyed, cache=Cache(key=["n"])), {"n": 1, "m": 2})
    assert RAN == {"fails": 2, "asks": 4, "reads": 2, "keyed": 1}
    for n in (1, 2):
        await ran(engine, single(keyed, cache=Cache(key="nn")), {"n": n})  # a slip: it tells no input from another
    assert RAN["keyed"] == 3


async def test_two_at_once_are_both_right_and_go_with_their_flows(engine: Engine) -> None:
    RAN.clear()
    gate = Gate()

    async def work(n: int) -> dict[str, int]:
        RAN["work"] += 1
        await gate.wait()
        return {"out": n + 1}

    flows = [await engine.create(single(work), {"n": 1}) for _ in range(2)]
    await gate.reached(2)
    gate.open()
    assert [(await flow).state["out"] for flow in flows] == [2, 2]
    third = await ran(engine, single(work), {"n": 1})
    assert at(await third.history(), "Work").cached
    for flow in flows:
        await flow.delete()
    for runtime in engine._runtimes.values():
        await runtime.maintenance.reap()
    assert await engine.clear_cache() == 0
    await ran(engine, single(work), {"n": 1})
    assert RAN["work"] == 3


def test_a_cache_is_part_of_the_graph() -> None:
    graph = single(cell(), cache=Cache(ttl=1.5, key="b", version="2"))
    assert graph.to_json()["tasks"][0]["cache"] == {"ttlMs": 1500, "key": ["b"], "version": "2"}
    assert Graph.from_json(graph.to_json()) == graph
    assert Graph.from_json(single(cell()).to_json()).nodes[0].cache == Cache()
    marked = task(url="marked", cache=Cache(key=["b", "a"]))(lambda a: {})
    assert Graph("g").add_node("A", marked).nodes[0].cache == Cache(key=("a", "b"))
    assert Graph("g").add_node("A", marked, cache=False).nodes[0].cache is None
    for wrong in (0, -1, "x"):
        with pytest.raises((GraphError, TypeError)):
            Cache(ttl=wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Cache(key=5)  # type: ignore[arg-type]
