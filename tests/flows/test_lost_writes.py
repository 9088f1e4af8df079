"""A value that is read, changed and not assigned back is not saved, and the test author is told."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.testing import LostWriteWarning


def alone(task: Any) -> Graph:
    return Graph("alone").add_node("Task", task).add_transition("Task", END)


def append(flow: Flow) -> None:
    flow["items"].append(1)


def nested(flow: Flow) -> None:
    flow["deep"]["inner"]["list"].append(1)


def by_get(flow: Flow) -> None:
    flow.get("items").append(1)


def by_parameter(items: list[int]) -> None:
    items.append(1)


def before_a_park(flow: Flow) -> None:
    if not flow.get("asked"):
        flow["items"].append(1)
        flow["asked"] = True
    flow.interrupt()


def assigned_then_changed(flow: Flow) -> None:
    items = flow["items"]
    flow["items"] = items
    items.append(1)


STATE: dict[str, Any] = {"items": [0], "deep": {"inner": {"list": []}}}


@pytest.mark.parametrize("task", [append, nested, by_get, by_parameter, before_a_park, assigned_then_changed])
@pytest.mark.parametrize("kind", ["coroutine", "thread"])
async def test_it_is_reported_and_not_saved(engine: Engine, task: Callable[..., None], kind: str) -> None:
    async def in_coroutine(flow: Flow) -> None:
        task(flow["items"] if task is by_parameter else flow)

    field = "deep" if task is nested else "items"
    with pytest.warns(LostWriteWarning, match=rf"flow\['{field}'\] in place"):
        outcome = await engine.run(alone(task if kind == "thread" else in_coroutine), STATE)
    assert outcome.status is (Status.INTERRUPTED if task is before_a_park else Status.COMPLETED)
    assert {name: outcome.state[name] for name in STATE} == STATE


def assigned_back(flow: Flow) -> None:
    items = flow["items"]
    items.append(1)
    flow["items"] = items


def replaced(flow: Flow) -> None:
    flow["items"].append(5)
    flow["items"] = [0, 1]


def own_copy(flow: Flow) -> None:
    items = list(flow["items"])
    items.append(1)
    flow["items"] = [*items]


def returned(items: list[int]) -> dict[str, Any]:
    items.append(1)
    return {"items": items}


def snapshot(flow: Flow) -> None:
    flow.snapshot()["items"].append(3)
    flow["items"] = [0, 1]


@pytest.mark.parametrize("task", [assigned_back, replaced, own_copy, returned, snapshot])
async def test_nothing_is_lost_here(engine: Engine, task: Callable[..., Any]) -> None:
    outcome = await engine.run(alone(task), STATE)
    assert outcome.state["items"] == [0, 1]


async def test_each_task_and_field_is_reported_once(engine: Engine) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for task in (append, append, nested, append):
            await engine.run(alone(task), STATE)
    assert [warning.category for warning in caught] == [LostWriteWarning] * 2


async def test_where_warnings_are_errors_the_flow_fails(engine: Engine) -> None:
    """As in this suite: the author sees it in the outcome, and no flow hangs."""
    flow = await engine.create(alone(append), STATE)
    outcome = await flow.outcome(timeout=60)
    assert outcome.status is Status.FAILED
    assert "Assign it back" in outcome.error
