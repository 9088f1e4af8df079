"""Reading steps, fingerprints and pictures: scenarios 107 to 109."""

from __future__ import annotations

import re

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.errors import FlowNotFound, InvalidRequest, StepNotFound
from dwarf.hosts import LocalHost
from tests.conformance.engine.tools import appending, nothing, step_at


def with_child(host: LocalHost) -> Graph:
    """A, then a call of X and Y, then Z."""

    @host.task(url="Call")
    async def Call(flow: Flow) -> None:
        flow["inner"] = flow.subgraph("inner")

    for name in "AXYZ":
        host.add_task(name, appending(name))
    host.add_graph(Graph("inner").add_chain("X", "Y", END))
    return Graph("g").add_chain("A", "Call", "Z", END)


async def test_e107_step_with_its_neighbours(host: LocalHost, engine: Engine) -> None:
    for name in "ABC":
        host.add_task(name, appending(name))
    handle = await engine.create(Graph("g").add_chain("A", "B", "C", END), {"given": 1})
    await handle
    first, middle, last = await handle.history()
    assert (middle.state, middle.changes) == (None, None)
    step = await engine.step(middle.key)
    assert step.state == {"given": 1, "path": "A"}
    assert step.changes == {"path": "AB"}
    assert (step.prev_key, step.next_key) == (first.key, last.key)
    assert (step.predecessor_id, step.successor_id) == (first.id, last.id)
    assert (await engine.step(first.key)).prev_key == ""
    assert (await engine.step(last.key)).next_key == ""


async def test_e107_neighbours_around_a_subgraph(host: LocalHost, engine: Engine) -> None:
    handle = await engine.create(with_child(host))
    await handle
    before, call, after = await handle.history()
    x, y = call.sub_steps
    way = [before.key]
    while key := (await engine.step(way[-1])).next_key:
        way.append(key)
    assert way == [before.key, x.key, y.key, after.key]
    while key := (await engine.step(way[-1])).prev_key:
        way.append(key)
    assert way[4:] == [y.key, x.key, before.key]
    assert (await engine.step(call.key)).next_key == x.key
    assert (await engine.step(call.key)).prev_key == before.key


async def test_e107_step_that_is_not_there(host: LocalHost, engine: Engine) -> None:
    host.add_task("A", nothing)
    handle = await engine.create(Graph("g").add_transition("A", END))
    await handle
    key = (await step_at(handle, "A")).key
    for wrong in (handle.key, key[:-1] + ("0" if key[-1] != "0" else "1"), "1-99-0123456789abcdef"):
        with pytest.raises(StepNotFound):
            await engine.step(wrong)
    with pytest.raises(InvalidRequest):
        await engine.step("nonsense")


async def test_e108_fingerprint_follows_the_flow(host: LocalHost, engine: Engine) -> None:
    @host.task(url="Ask")
    async def Ask(flow: Flow) -> None:
        flow.interrupt("x")

    host.add_task("B", nothing)
    handle = await engine.create(Graph("g").add_chain("Ask", "B", END))
    await handle
    waiting = await handle.fingerprint()
    assert waiting[1] is Status.INTERRUPTED
    assert await handle.fingerprint() == waiting
    await handle.resume()
    await handle
    ended = await handle.fingerprint()
    assert ended[1] is Status.COMPLETED
    assert ended[0] != waiting[0]
    assert await handle.fingerprint() == ended
    with pytest.raises(FlowNotFound):
        await engine.flow("1-999999-0123456789abcdef").fingerprint()


async def test_e109_history_as_mermaid(host: LocalHost, engine: Engine) -> None:
    graph = with_child(host)
    host.add_task("S", nothing)
    fan = Graph("fan").add_fan_out("S", "A", "Call").add_transition("A", "Z").add_chain("Call", "Z", END)
    for workflow, names in ((graph, "A Call X Y Z"), (fan.set_fan_in("Z"), "S A Call X Y Z")):
        handle = await engine.create(workflow)
        await handle
        text = await handle.to_mermaid()
        assert text.startswith("flowchart TD")
        assert "_start" in text
        assert "_end" in text
        assert re.search(r"subgraph s\d+_sg", text)
        for name in names.split():
            assert re.search(rf'\["{name}\b', text), f"{name} is missing"
        for step in await handle.history():
            assert step.key not in text
            assert step.key.split("-")[2] not in text
        assert handle.key.split("-")[2] not in text
