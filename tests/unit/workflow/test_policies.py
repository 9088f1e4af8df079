"""Policies of tasks, as values."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dwarf import END, Graph, GraphError, Limit, Retry, TaskError, task
from dwarf.workflow.errors_json import error_fields, retry_kinds
from dwarf.workflow.policies import kinds_of


class Own(ConnectionError):
    """An error of this module."""


def test_pauses_grow_to_a_bound_and_are_spread() -> None:
    retry = Retry(9, delay=1, factor=2, max_delay=10)
    assert [retry._pause_ms(failed, 0.5) for failed in range(1, 7)] == [1000, 2000, 4000, 8000, 10_000, 10_000]
    assert (retry._pause_ms(1, 0), retry._pause_ms(1, 1)) == (750, 1250)
    assert Retry(delay=1, factor=1e300)._pause_ms(9, 0.5) == 60_000
    assert Retry(delay=timedelta(minutes=2), factor=0.5, max_delay=timedelta(hours=1))._pause_ms(2, 0.5) == 60_000


@pytest.mark.parametrize(
    ("given", "covered"),
    [
        (Exception, True),
        (ConnectionError, True),
        ((ValueError, OSError), True),
        (ValueError, False),
        (Own, True),
        (["Own"], True),
        ("ConnectionError", True),
        ([f"{__name__}.Own"], True),
        ("tests.Own", True),
        ("test.Own", False),
        ("wn", False),
    ],
)
def test_errors_are_named_by_classes_or_names(given: Any, covered: bool) -> None:
    assert Retry(retry_on=given)._covers(kinds_of(Own("x"))) is covered


def test_a_class_of_pythons_own_is_that_class_alone() -> None:
    namesake = type("TimeoutError", (Exception,), {})
    assert not Retry(retry_on=TimeoutError)._covers(kinds_of(namesake()))
    assert Retry(retry_on="TimeoutError")._covers(kinds_of(namesake()))


def test_what_cannot_be_mended_has_no_kinds() -> None:
    assert retry_kinds(TaskError("x", retryable=False)) == ()
    assert retry_kinds(TaskError("x")) != ()
    assert "retryable" not in error_fields(TaskError("x", retryable=False))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"max_attempts": 0}, GraphError),
        ({"max_attempts": True}, TypeError),
        ({"max_attempts": "3"}, TypeError),
        ({"delay": -1}, GraphError),
        ({"factor": -1}, GraphError),
        ({"factor": 0}, GraphError),
        ({"jitter": 2}, GraphError),
        ({"jitter": "much"}, TypeError),
        ({"retry_on": ()}, GraphError),
        ({"retry_on": int}, TypeError),
        ({"retry_on": 5}, TypeError),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Retry(**arguments)


def test_a_graph_keeps_policies_in_its_json_form() -> None:
    graph = Graph("g").add_node(
        "A",
        "a",
        limit=Limit(concurrency=1),
        retry=Retry(5, delay=0.5, give_up_after=60, retry_on=(Own, ValueError)),
        time_budget=timedelta(minutes=5),
    )
    graph.add_node("B", "b", retry=2).add_chain("A", "B", END)
    (first, second) = graph.to_json()["tasks"]
    assert first["retry"] == {
        "maxAttempts": 5,
        "delayMs": 500,
        "factor": 2,
        "maxDelayMs": 60_000,
        "jitter": 0.25,
        "retryOn": [f"{__name__}.Own", "builtins.ValueError"],
        "giveUpAfterMs": 60_000,
    }
    assert first["timeBudgetMs"] == 300_000
    assert second["retry"]["maxAttempts"] == 2
    read = Graph.from_json(graph.to_json())
    assert read == graph
    assert read.nodes[0].time_budget == 300
    assert read.nodes[0].retry == graph.nodes[0].retry


@pytest.mark.parametrize("wrong", [{"retry": {"maxAttempts": 0}}, {"retry": 3}, {"timeBudgetMs": "x"}])
def test_a_wrong_json_form_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(GraphError, match="a graph cannot be read"):
        Graph.from_json({"name": "g", "tasks": [{"name": "A", **wrong}]})


def test_a_node_takes_what_its_function_was_marked_with() -> None:
    @task(retry=4, time_budget=9, limit=Limit(concurrency=2))
    def work() -> None: ...

    (node,) = Graph("g").add_node("A", work).nodes
    assert (node.retry, node.time_budget, node.limit) == (Retry(4), 9, Limit(concurrency=2))
    (node,) = Graph("g").add_node("A", work, time_budget=3).nodes
    assert (node.retry, node.time_budget) == (Retry(4), 3)


@pytest.mark.parametrize("budget", [0, -1, 10**9])
def test_a_time_budget_is_a_time(budget: int) -> None:
    with pytest.raises(GraphError, match="time_budget"):
        Graph("g").add_node("A", time_budget=budget)
