"""Labels: a step is run only by engines that have all of the labels of its task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, task
from dwarf.engine import Engine
from dwarf.errors import ConfigError, GraphError, WaitTimeout
from dwarf.hosts import LocalHost
from tests.support.workflows import Running, at, until_steps


def has(node: str, status: str) -> Callable[[Any], bool]:
    return lambda steps: any(step.node == node and step.status == status for step in steps)


def where(flow: Flow) -> dict[str, Any]:
    return {"ran": [flow.node]}


@task(labels=["gpu", "eu"])
def train(flow: Flow) -> dict[str, Any]:
    if not flow.attempt:
        flow.retry(delay=0.01)
    flow.interrupt({"title": "good?"})
    return where(flow)


def graph() -> Graph:
    made = Graph("labelled", reducers={"ran": "append"}).add_node("Begin", where)
    made.add_node("Train", train).add_node("Small", where, labels=["gpu"]).add_node("Join", where, labels=["eu"])
    made.add_fan_out("Begin", "Train", "Small").add_chain("Train", "Join").add_chain("Small", "Join", END)
    return made.set_fan_in("Join")


async def test_steps_with_labels_wait_for_an_engine_that_has_them(running: Running) -> None:
    async with running() as plain:
        flow = await plain.create(graph())
        await until_steps(flow, has("Begin", "completed"))
        others = await plain.create_many(Graph("plain").add_node("A", where).add_transition("A", END), [{}] * 20)
        for other in others:
            assert (await other.outcome(timeout=60)).status is Status.COMPLETED
        assert {step.node: str(step.status) for step in await flow.history()} == {
            "Begin": "completed",
            "Train": "pending",
            "Small": "pending",
        }
        with pytest.raises(WaitTimeout, match="'Train' waits for a worker with the labels 'eu' and 'gpu'"):
            await flow.outcome(timeout=0)
        async with running(labels=["gpu"]) as small:
            await until_steps(flow, has("Small", "completed"))
            assert at(await flow.history(), "Train").status is Status.PENDING
            assert at(await flow.history(), "Small").engine_id == small._runtimes[1].engine_id
        async with running(labels=["gpu", "eu", "big"]) as large:
            assert (await flow.outcome(timeout=60)).status is Status.INTERRUPTED
            await flow.resume()
            outcome = await flow.outcome(timeout=60)
            assert outcome.status is Status.COMPLETED
            assert sorted(outcome.state["ran"]) == ["Begin", "Join", "Small", "Train"]
            for node in ("Train", "Join"):
                assert at(await flow.history(), node).engine_id == large._runtimes[1].engine_id
            fork = await plain.fork(at(await flow.history(), "Join"))
            assert (await fork.outcome(timeout=60)).status is Status.COMPLETED
            assert at(await fork.history(), "Join").engine_id == large._runtimes[1].engine_id


def test_labels_are_part_of_the_graph_and_checked() -> None:
    form = graph().to_json()
    assert {node["name"]: node.get("labels") for node in form["tasks"]} == {
        "Begin": None, "Train": ["eu", "gpu"], "Small": ["gpu"], "Join": ["eu"],
    }  # fmt: skip
    assert Graph.from_json(form).to_json() == form
    assert Graph.from_json(form).nodes[1].labels == frozenset({"gpu", "eu"})
    for bad in ("gpu", ["a,b"], [""], [f"l{number}" for number in range(9)]):
        with pytest.raises(GraphError):
            Graph("g").add_node("A", where, labels=bad)
        with pytest.raises(ConfigError):
            Engine(LocalHost(), "sqlite://", labels=bad)
