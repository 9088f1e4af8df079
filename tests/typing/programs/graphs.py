"""Graphs and tasks, as a user writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict, assert_type

from dwarf import (
    END,
    Cache,
    Finding,
    Flow,
    Graph,
    Limit,
    Node,
    Reducer,
    Retry,
    Status,
    TaskError,
    Transition,
    each,
    register_type,
    task,
)


@register_type
@dataclass
class Order:
    item: str
    amount: int = 1


class Found(TypedDict):
    lines: list[str]


@task
def split(text: str) -> Found:
    return {"lines": text.splitlines()}


@task(retry=Retry(5, delay=2, retry_on=ConnectionError), limit=Limit(rate="60/minute"), cache=Cache(ttl=60))
async def measure(flow: Flow, line: str) -> dict[str, list[int]]:
    if not line:
        raise TaskError("an empty line", status_code=400, retryable=False)
    return {"lengths": [len(line)]}


def approve(flow: Flow, lengths: list[int]) -> dict[str, bool]:
    answer = flow.interrupt(
        {"title": f"Keep {len(lengths)}?", "schema": bool}, timeout=timedelta(days=2), default=False
    )
    return {"kept": bool(answer)}


# A decorated task is the function it was.
assert_type(split("a"), Found)
checked: Callable[[str], Found] = split

graph = (
    Graph("Lines", reducers={"lengths": Reducer.APPEND, "best": "max"})
    .add_node("Split", split)
    .add_node("Measure", measure, retry=3, time_budget=timedelta(seconds=5), labels=["gpu"])
    .add_node("Approve", approve, fan_in=True)
    .add_for_each("Split", "Measure", items="lines", item="line")
    .add_chain("Measure", "Approve")
    .add_switch("Approve", {"kept": END}, default="Split")
)
assert_type(graph, Graph)
assert_type(graph.validate(), Graph)
assert_type(graph.nodes[0], Node)
assert_type(graph.transitions[0], Transition)
assert_type(graph.check({"text": ""}), tuple[Finding, ...])
assert_type(graph.to_mermaid(direction="LR"), str)
assert_type(Graph.from_json(graph.to_json()), Graph)
short = Graph.of("Lines", split, each("lines", measure, item="line"), approve, reducers={"lengths": "append"})
assert_type(short, Graph)

flow = Flow({"n": 1, "order": {"item": "axe"}})
assert_type(flow.get_as("n", int), int)
assert_type(flow.get_as("missing", str, ""), str)
assert_type(flow.load(Order), Order)
assert_type(flow.attempt, int)
flow["n"] = flow["n"] + 1
flow.update(more=[1, 2])
assert_type(flow.snapshot(), dict[str, Any])

assert_type(Status.FAILED.terminal, bool)
assert_type(Status("completed"), Status)
assert_type(Reducer.ADD.reduce(1, 2), Any)
