"""Whatever a task raises is a task error, and nothing else suffers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from dwarf import END, Flow, Graph, Outcome, Status, TaskError
from dwarf.engine import Engine


class Odd(BaseException):
    """Derives from no ordinary exception."""


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def deep() -> NoReturn:
    def down(n: int) -> int:
        return down(n + 1) + 1

    down(0)
    raise AssertionError


def raiser(error: BaseException) -> Callable[[], NoReturn]:
    def fail() -> NoReturn:
        raise error

    return fail


FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    "SystemExit": (lambda: sys.exit(3), "3"),
    "SystemExit without a code": (lambda: sys.exit(), "SystemExit"),
    "KeyboardInterrupt": (raiser(KeyboardInterrupt()), "KeyboardInterrupt"),
    "CancelledError": (raiser(asyncio.CancelledError("own")), "CancelledError"),
    "ExceptionGroup": (
        raiser(ExceptionGroup("several", [ValueError("a"), KeyError("b")])),
        "several (2 sub-exceptions)",
    ),
    "BaseExceptionGroup": (raiser(BaseExceptionGroup("worse", [SystemExit(1), Odd()])), "worse (2 sub-exceptions)"),
    "RecursionError": (deep, "recursion"),
    "StopIteration": (raiser(StopIteration("stop")), "StopIteration"),
    "StopAsyncIteration": (raiser(StopAsyncIteration("stop")), "stop"),
    "GeneratorExit": (raiser(GeneratorExit()), "GeneratorExit"),
    "TimeoutError": (raiser(TimeoutError("own")), "own"),
    "MemoryError": (raiser(MemoryError()), "MemoryError"),
    "Odd": (raiser(Odd("odd")), "odd"),
    "Unprintable": (raiser(Unprintable()), "Unprintable"),
    "text with control characters": (raiser(ValueError("a\x00b\x1bc\n\td")), "a\ufffdb\ufffdc\n\td"),
    "AssertionError": (raiser(AssertionError()), "AssertionError"),
}


def graph_of(task: Any, handled: bool) -> Graph:
    graph = Graph("faulty").add_node("Task", task).add_transition("Task", END)
    if handled:
        graph.add_node("Handler", lambda flow: {"text": flow["onErr"]["error"], "code": flow["onErr"]["statusCode"]})
        graph.add_error_handler("Task", "Handler").add_transition("Handler", END)
    return graph


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
@pytest.mark.parametrize("name", FAULTS)
async def test_it_fails_the_flow_and_the_engine_goes_on(engine: Engine, name: str, kind: str) -> None:
    fault, text = FAULTS[name]

    async def in_coroutine(flow: Flow) -> None:
        flow["written"] = True
        fault()

    def in_thread(flow: Flow) -> None:
        flow["written"] = True
        fault()

    task = in_coroutine if kind == "coroutine" else in_thread
    flow = await engine.create(graph_of(task, handled=False), {"kept": 1})
    outcome = await flow.outcome(timeout=60)
    assert outcome.status is Status.FAILED
    assert text in outcome.error
    assert outcome.state == {"kept": 1}
    (step,) = await flow.history()
    assert (step.status, step.error) == (Status.FAILED, outcome.error)
    assert step.traceback

    outcome = await engine.run(graph_of(task, handled=True), timeout=60)
    assert outcome.status is Status.COMPLETED
    assert outcome.state["code"] == 500
    if name != "text with control characters":
        assert text in outcome.state["text"]


def told(outcome: Outcome) -> dict[str, Any]:
    """What the handler was told of the error itself: where spans are recorded, that of the trace comes with it."""
    return {name: value for name, value in outcome.state["onErr"].items() if name != "trace"}


async def test_properties_reach_the_handler(engine: Engine) -> None:
    class Refused(Exception):
        def __init__(self) -> None:
            super().__init__("refused")
            self.status_code = 403
            self.limit = 5
            self.tags = {"a", "b"}
            self.socket = object()  # has no JSON form
            self._private = 1

    async def refuse() -> None:
        raise Refused

    outcome = await engine.run(graph_of(refuse, handled=True))
    assert told(outcome) == {"error": "refused", "statusCode": 403, "limit": 5, "tags": {"a", "b"}}


async def test_a_task_error_with_properties_of_all_sorts(engine: Engine) -> None:
    async def refuse() -> None:
        raise TaskError("no", status_code=409, order=12, items=[1, {"a": None}], error="hidden", statusCode=1)

    outcome = await engine.run(graph_of(refuse, handled=True))
    assert told(outcome) == {"error": "no", "statusCode": 409, "order": 12, "items": [1, {"a": None}]}


async def test_an_enormous_error_text(engine: Engine) -> None:
    async def loud() -> None:
        raise ValueError("x" * 1_000_000)

    flow = await engine.create(graph_of(loud, handled=False))
    outcome = await flow
    assert outcome.status is Status.FAILED
    assert outcome.error.startswith("xxx")
    (step,) = await flow.history()
    assert len(step.traceback) < 100_000
