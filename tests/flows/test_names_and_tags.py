"""Names and tags: kept with a flow, changed at any time, inherited, and what lists are narrowed by."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import END, Flow, Graph
from dwarf.engine import Engine
from dwarf.errors import InvalidRequest
from dwarf.hosts import LocalHost
from tests.support.workflows import install


async def keys(engine: Engine, **filters: Any) -> list[str]:
    """The keys of the flows that fit, newest first."""
    return [flow.flow_key async for flow in engine.flows(**filters)]


def simple(host: LocalHost) -> Graph:
    return install(host, Graph("simple").add_chain("A", "B", END))


async def test_lists_are_narrowed_by_name_and_tags(engine: Engine, host: LocalHost) -> None:
    simple(host)
    plain = await engine.create("simple")
    one = await engine.create("simple", name="first", tags={"team": "north", "kind": "x"})
    two, three = await engine.create_many("simple", [{}, {}], tags={"team": "north"})
    for flow in (plain, one, two, three):
        await flow.outcome(timeout=60)
    assert set(await keys(engine, tags={"team": "north"})) == {one.key, two.key, three.key}
    assert await keys(engine, tags={"team": "north", "kind": "x"}) == [one.key]
    assert await keys(engine, tags={"kind": None}, include_subgraphs=True) == [one.key]
    assert await keys(engine, tags={"kind": "y"}) == []
    assert await keys(engine, name="first", status="completed", workflow_name="simple") == [one.key]
    assert await keys(engine, search="NORTH", tags={"kind": "x"}) == [one.key]
    assert await keys(engine, search="firs") == [one.key]
    assert sum((await engine.count(tags={"team": "north"})).values()) == 3
    found: list[str] = []
    async for page, _ in engine.flows(tags={"team": "north"}).pages(1):
        found += [flow.flow_key for flow in page]
    assert set(found) == {one.key, two.key, three.key}
    summary = await one.summary()
    assert (summary.name, summary.tags) == ("first", {"team": "north", "kind": "x"})
    assert (await plain.summary()).tags == {}


async def test_a_flow_is_annotated_at_any_time(engine: Engine, host: LocalHost) -> None:
    simple(host)
    flow = await engine.create("simple", name="before", tags={"a": "1", "b": "2"})
    await flow.outcome(timeout=60)
    await flow.annotate(name="after", tags={"a": None, "b": "3", "c": "4"})
    summary = await flow.summary()
    assert (summary.name, summary.tags) == ("after", {"b": "3", "c": "4"})
    assert await keys(engine, tags={"a": None}) == await keys(engine, name="before") == []
    assert await keys(engine, tags={"b": "3", "c": "4"}, name="after") == [flow.key]
    await flow.annotate(name="")
    assert (await flow.summary()).name == ""
    for bad in ({"tags": {"": "x"}}, {"tags": {"a": 1}}, {"name": 5}, {"tags": dict.fromkeys(map(str, range(40)), "")}):
        with pytest.raises(InvalidRequest):
            await flow.annotate(**bad)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(InvalidRequest, match="None"):
        await engine.create("simple", tags={"a": None})  # type: ignore[dict-item]  # on purpose


async def test_children_forks_turns_copies_and_schedules_have_them(engine: Engine, host: LocalHost) -> None:
    simple(host)
    install(host, Graph("outer").add_transition("Call", END), Call=lambda flow: flow.subgraph("simple"))
    root = await engine.create("outer", name="mine", tags={"team": "north"})
    await root.outcome(timeout=60)
    below = [flow async for flow in engine.flows(include_subgraphs=True, tags={"team": "north"}) if flow.is_subgraph]
    assert [(flow.name, flow.tags) for flow in below] == [("", {"team": "north"})]
    (step,) = await root.history()
    fork = await engine.fork(step)
    turn = await root.continue_with({})
    for flow in (fork, turn):
        await flow.outcome(timeout=60)
    (copy,) = await engine.import_flows([line async for line in engine.export_flows(root.key)])
    schedule = await engine.schedule("s", "simple", every=3600, tags={"team": "north"})
    tick = await schedule.trigger()
    await tick.outcome(timeout=60)
    named = {root.key, fork.key, turn.key, copy.key}
    assert set(await keys(engine, name="mine", tags={"team": "north"})) == named
    assert set(await keys(engine, tags={"team": "north"})) == {*named, tick.key}
    await root.annotate(tags={"team": "south"})
    below = [flow async for flow in engine.flows(include_subgraphs=True, tags={"team": "south"})]
    assert {flow.is_subgraph for flow in below} == {True, False}
    assert all(flow.tags == {"team": "south"} for flow in below)
    assert await engine.purge(tags={"team": None}) == 5
    assert await keys(engine, tags={"team": None}) == []


async def test_a_task_that_calls_gives_its_own_tags_on(engine: Engine, host: LocalHost) -> None:
    def ask(flow: Flow) -> None:
        flow.interrupt({"title": "?"})

    install(host, Graph("asking").add_transition("Ask", END), Ask=ask)
    flow = await engine.create("asking", tags={"team": "north"})
    await flow
    assert await keys(engine, status="interrupted", tags={"team": "north"}) == [flow.key]
    await flow.resume()
    assert (await flow).status == "completed"
