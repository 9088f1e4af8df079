"""Tasks that return or write what cannot be kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from tests.support.workflows import names


def chain(task: Any) -> Graph:
    """A good step, the bad one, and one after it."""

    async def good(flow: Flow) -> None:
        flow["good"] = 1

    graph = Graph("chain").add_node("Good", good).add_node("Bad", task).add_node("After", good)
    return graph.add_chain("Good", "Bad", "After", END)


RUBBISH: dict[str, Callable[[], Any]] = {
    "a number": lambda: 5,
    "a text": lambda: "text",
    "a list": lambda: [1, 2],
    "an object": object,
    "a set": lambda: {1, 2},
    "a coroutine function": lambda: asyncio.sleep,
    "a thread lock in a mapping": lambda: {"x": threading.Lock()},
    "a complex number": lambda: {"x": 1j},
    "too many digits, nested": lambda: {"x": [{"y": 10**4300}]},
    "a lone surrogate": lambda: {"x": "\ud800"},
    "a name that is no text": lambda: {1: "x"},
    "an empty name": lambda: {"": "x"},
    "a list in itself": lambda: _recursive(),
    "a function": lambda: {"x": len},
    "a generator": lambda: (number for number in range(3)),
}


def _recursive() -> dict[str, Any]:
    loop: list[Any] = []
    loop.append(loop)
    return {"x": loop}


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
@pytest.mark.parametrize("what", RUBBISH)
async def test_rubbish_fails_the_step_and_loses_nothing(engine: Engine, what: str, kind: str) -> None:
    async def bad() -> Any:
        return RUBBISH[what]()

    def bad_in_thread() -> Any:
        return RUBBISH[what]()

    flow = await engine.create(chain(bad if kind == "coroutine" else bad_in_thread), {"before": True})
    outcome = await flow
    assert outcome.status is Status.FAILED
    assert "bad" in outcome.error, "the text names the task"
    assert outcome.state == {"before": True, "good": 1}
    assert names(await flow.history()) == ["Good", "Bad"]


@pytest.mark.parametrize(
    "what", ["a complex number", "a thread lock in a mapping", "a lone surrogate", "a list in itself"]
)
async def test_a_bad_assignment_raises_at_once(engine: Engine, what: str) -> None:
    reached: list[str] = []

    async def bad(flow: Flow) -> None:
        flow["fine"] = 1
        try:
            flow["x"] = RUBBISH[what]()["x"]
        except TypeError as error:
            reached.append(str(error))

    outcome = await engine.run(chain(bad))
    assert outcome.status is Status.COMPLETED
    assert outcome.state == {"good": 1, "fine": 1}
    assert len(reached) == 1
    assert "'x" in reached[0]


@pytest.mark.parametrize(
    "value", [None, {}, {"x": None}, {"absent": None}], ids=["None", "empty", "a deletion", "a needless deletion"]
)
async def test_results_that_are_fine(engine: Engine, value: Any) -> None:
    async def fine() -> Any:
        return value

    outcome = await engine.run(chain(fine), {"x": 1})
    assert outcome.status is Status.COMPLETED
    assert outcome.state == ({"good": 1} if value == {"x": None} else {"x": 1, "good": 1})


async def test_text_that_databases_choke_on(engine: Engine) -> None:
    texts = ["\x00", "a\x00b", "\x1f\x7f", "'; DROP TABLE dwarf_flows; --", "\U0001f600", "\u202e", "%s %(x)s ?", "{}"]

    async def echo(flow: Flow) -> None:
        flow["again"] = flow["texts"]
        flow["deep"] = {"k" * 300: {text: text for text in texts}}

    outcome = await engine.run(chain(echo), {"texts": texts, "na\x00me": 1})
    assert outcome.status is Status.COMPLETED
    assert outcome.state["again"] == texts
    assert outcome.state["deep"] == {"k" * 300: {text: text for text in texts}}
    assert outcome.state["na\x00me"] == 1


async def test_a_megabyte_of_state(engine: Engine) -> None:
    async def grow(flow: Flow) -> None:
        flow["big"] = "x" * 1_000_000

    outcome = await engine.run(chain(grow), {"numbers": list(range(100_000))})
    assert outcome.status is Status.COMPLETED
    assert len(outcome.state["big"]) == 1_000_000
    assert outcome.state["numbers"] == list(range(100_000))


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 10**100, -(2**70), 1e308, 5e-324])
async def test_numbers_keep_every_digit(engine: Engine, number: float) -> None:
    async def carry(flow: Flow) -> None:
        flow["again"] = [flow["n"], {"n": flow["n"]}]

    outcome = await engine.run(chain(carry), {"n": number})
    assert outcome.state["again"] == [number, {"n": number}]
    assert type(outcome.state["n"]) is type(number)
