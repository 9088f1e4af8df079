"""An answer reaches the question it was given to, or none."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from enum import Enum
from itertools import count
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel, SecretStr

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, FlowHandle
from dwarf.errors import InvalidRequest
from dwarf.hosts import LocalHost


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Order:
    colour: Colour
    due: date
    count: int = 1


class Model(BaseModel):
    colour: Colour
    due: date


class Note(TypedDict):
    due: date


def alone(task: Any) -> Graph:
    return Graph("alone").add_node("A", task).add_transition("A", END)


async def answer_all(flow: FlowHandle, most: int = 30) -> Any:
    """Answer every question with its own title, or its key, until the flow has ended."""
    for _ in range(most):
        outcome = await flow
        if outcome.status is not Status.INTERRUPTED:
            return outcome
        for step in await flow.interrupts():
            payload = step.interrupt_payload or {}
            await flow.resume(payload.get("expect") or payload["title"], step=step)
    raise AssertionError("the task asks for ever")


# ---------------------------------------------------------------- side by side


async def test_tools_side_by_side_get_their_own_answers(engine: Engine) -> None:
    runs = count()

    async def tool(flow: Flow, name: str, turns: int) -> Any:
        for _ in range(turns):
            await asyncio.sleep(0)
        return flow.interrupt(f"May {name} run?")

    async def tools(flow: Flow) -> dict[str, Any]:
        run = next(runs)
        found = await asyncio.gather(*(tool(flow, name, (at + run) % 4 * 2) for at, name in enumerate("abcd")))
        return {"found": found}

    outcome = await answer_all(await engine.create(alone(tools)))
    assert outcome.state == {"found": [f"May {name} run?" for name in "abcd"]}


async def test_tools_that_ask_alike_are_told_apart_by_keys(engine: Engine) -> None:
    runs = count()

    async def tools(flow: Flow) -> dict[str, Any]:
        names = ["a", "b", "c"]
        if next(runs) % 2:
            names.reverse()
        async with asyncio.TaskGroup() as group:
            asked = {name: group.create_task(tool(flow, name)) for name in names}
        return {name: task.result() for name, task in asked.items()}

    async def tool(flow: Flow, name: str) -> Any:
        await asyncio.sleep(0)
        return flow.interrupt({"title": "May it run?", "expect": f"for {name}"}, key=name)

    outcome = await answer_all(await engine.create(alone(tools)))
    assert outcome.state == {name: f"for {name}" for name in "abc"}


async def test_threads_of_a_sync_task_get_their_own_answers(engine: Engine) -> None:
    runs = count()

    def tools(flow: Flow) -> dict[str, Any]:
        names = "abc" if next(runs) % 2 else "cba"
        turn = {name: threading.Event() for name in names}
        turn[names[0]].set()

        def ask(name: str) -> Any:
            turn[name].wait()
            try:
                return flow.interrupt(f"May {name} run?")
            finally:
                following = names[names.index(name) + 1 :]
                if following:
                    turn[following[0]].set()

        with ThreadPoolExecutor(3) as pool:
            asked = {name: pool.submit(ask, name) for name in "abc"}
        return {name: future.result() for name, future in asked.items()}

    outcome = await answer_all(await engine.create(alone(tools)))
    assert outcome.state == {name: f"May {name} run?" for name in "abc"}


async def test_children_side_by_side_give_their_own_results(engine: Engine) -> None:
    runs = count()

    async def double(n: int, flow: Flow) -> dict[str, Any]:
        flow.interrupt(f"Double {n}?")
        return {"doubled": 2 * n}

    inner = Graph("double").add_node("Double", double).add_transition("Double", END)

    async def call(flow: Flow, n: int, turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return int(flow.subgraph(inner, {"n": n})["doubled"])

    async def outer(flow: Flow) -> dict[str, Any]:
        run = next(runs)
        return {"found": await asyncio.gather(*(call(flow, n, (n + run) % 3) for n in range(3)))}

    outcome = await answer_all(await engine.create(alone(outer)))
    assert outcome.state == {"found": [0, 2, 4]}


# ---------------------------------------------------------------- code that changes


async def test_a_new_question_is_asked_and_old_answers_are_kept(host: LocalHost, engine: Engine) -> None:
    async def before(flow: Flow) -> dict[str, Any]:
        colour = flow.interrupt({"title": "Colour?", "schema": str})
        return {"colour": colour, "size": flow.interrupt({"title": "Size?", "schema": str})}

    async def after(flow: Flow) -> dict[str, Any]:
        agree = flow.interrupt({"title": "Delete everything?", "schema": bool})
        return {"agree": agree, **await before(flow)}

    host.add_task("ask", before)
    flow = await engine.create(Graph("G").add_node("Ask", "ask").add_transition("Ask", END))
    await flow
    await flow.resume("blue", by="ada")
    await flow
    host.add_task("ask", after)
    await flow.resume("XL")
    assert (await flow).interrupt_payload["title"] == "Delete everything?"
    await flow.resume(False, by="bo")
    assert (await flow).state == {"agree": False, "colour": "blue", "size": "XL"}
    (step,) = await flow.history()
    assert (list(step.answered_by), list(step.warnings)) == (["ada", "bo"], [])
    assert [one.by for one in await flow.answers()] == ["ada", "", "bo"]


async def test_an_answer_that_fits_no_more_is_asked_for_again(host: LocalHost, engine: Engine) -> None:
    def task(kind: type) -> Any:
        async def ask(flow: Flow) -> dict[str, Any]:
            first = flow.interrupt({"title": "How many?", "schema": kind}, key="count")
            return {"first": first, "second": flow.interrupt("Sure?")}

        return ask

    host.add_task("ask", task(str))
    flow = await engine.create(Graph("G").add_node("Ask", "ask").add_transition("Ask", END))
    await flow
    await flow.resume("three")
    await flow
    host.add_task("ask", task(int))
    await flow.resume("yes")
    assert (await flow).interrupt_payload["title"] == "How many?"
    await flow.resume(3)
    assert (await flow).state == {"first": 3, "second": "yes"}
    (step,) = await flow.history()
    assert step.warnings == ("the task returned without claiming the answers to: 'count'",)


async def test_a_question_that_changes_at_each_run_fails_the_step(engine: Engine) -> None:
    numbers = count()

    async def ask(flow: Flow) -> None:
        flow.interrupt(f"Number {next(numbers)}?")

    flow = await engine.create(alone(ask))
    for _ in range(10):
        assert (await flow).status is Status.INTERRUPTED
        await flow.resume(1)
    outcome = await flow
    assert outcome.status is Status.FAILED
    assert "the question changes at each run: give it a key" in outcome.error


async def test_a_key_holds_a_question_that_changes(engine: Engine) -> None:
    numbers = count()

    async def ask(flow: Flow) -> dict[str, Any]:
        return {"got": [flow.interrupt(f"Number {next(numbers)}?", key=f"{n}") for n in range(3)]}

    flow = await engine.create(alone(ask))
    for answer in ("x", "y", "z"):
        await flow
        await flow.resume(answer)
    assert (await flow).state == {"got": ["x", "y", "z"]}


async def test_a_child_that_is_called_with_another_input_each_time(engine: Engine) -> None:
    numbers = count()

    async def echo(n: int) -> dict[str, Any]:
        return {"echo": n}

    inner = Graph("echo").add_node("Echo", echo).add_transition("Echo", END)

    async def own(flow: Flow) -> dict[str, Any]:
        return {"echo": flow.subgraph(inner, {"n": next(numbers)})["echo"]}

    assert (await engine.run(alone(own))).state == {"echo": 0}

    async def beside(flow: Flow) -> None:
        async def call() -> None:
            flow.subgraph(inner, {"n": next(numbers)})

        await asyncio.gather(call())

    outcome = await engine.run(Graph("beside").add_node("B", beside).add_transition("B", END))
    assert "the question changes at each run" in outcome.error


# ---------------------------------------------------------------- types


@pytest.mark.parametrize(
    ("spec", "given", "wanted"),
    [
        (int | None, None, None),
        (Colour, "red", Colour.RED),
        (Colour, Colour.RED, Colour.RED),
        (date, "2024-01-02", date(2024, 1, 2)),
        (date | None, "2024-01-02", date(2024, 1, 2)),
        (list[Colour], ["red", "blue"], [Colour.RED, Colour.BLUE]),
        (Order, {"colour": "red", "due": "2024-01-02"}, Order(Colour.RED, date(2024, 1, 2))),
        (Order, Order(Colour.RED, date(2024, 1, 2)), Order(Colour.RED, date(2024, 1, 2))),
        (Model, {"colour": "red", "due": "2024-01-02"}, Model(colour=Colour.RED, due=date(2024, 1, 2))),
        (Note, {"due": "2024-01-02"}, {"due": date(2024, 1, 2)}),
        ({"type": "string", "format": "date"}, date(2024, 1, 2), "2024-01-02"),
        ([Colour.RED, Colour.BLUE], "blue", Colour.BLUE),
        (bytes, "aGk=", b"hi"),
        (SecretStr, "hunter2", SecretStr("hunter2")),
        (SecretStr, SecretStr("hunter2"), SecretStr("hunter2")),
        (str, "2024-01-02", "2024-01-02"),
    ],
)
async def test_an_answer_comes_as_the_type_that_is_asked_for(
    engine: Engine, spec: Any, given: Any, wanted: Any
) -> None:
    got: list[Any] = []

    async def ask(flow: Flow) -> None:
        got.append(flow.interrupt({"title": "Q", "schema": spec}))

    flow = await engine.create(alone(ask))
    await flow
    await flow.resume(given)
    assert (await flow).status is Status.COMPLETED
    assert got == [wanted]
    assert type(got[0]) is type(wanted)


async def test_an_answer_that_the_class_itself_refuses_is_asked_for_again(engine: Engine) -> None:
    @dataclass
    class Even:
        n: int

        def __post_init__(self) -> None:
            if self.n % 2:
                raise ValueError("n must be even")

    async def ask(flow: Flow) -> dict[str, Any]:
        return {"got": flow.interrupt({"title": "Q", "schema": Even}).n}

    flow = await engine.create(alone(ask))
    await flow
    await flow.resume({"n": 3})
    assert (await flow).status is Status.INTERRUPTED
    (step,) = await flow.history()
    (warning,) = step.warnings
    assert "put again" in warning
    assert "n must be even" in warning
    await flow.resume({"n": 4})
    assert (await flow).state == {"got": 4}

    flow = await engine.create(alone(ask))
    for _ in range(10):
        await flow
        await flow.resume({"n": 3})
    outcome = await flow
    assert outcome.status is Status.FAILED
    assert "10 answers in a row did not fit what the task asks for" in outcome.error


async def test_an_answer_that_does_not_fit_changes_nothing(engine: Engine) -> None:
    async def ask(flow: Flow) -> dict[str, Any]:
        return {"got": flow.interrupt({"title": "Q", "schema": {"type": "string", "pattern": "^(a+)+$"}})}

    flow = await engine.create(alone(ask))
    await flow
    for wrong in (5, None, ..., "a" * 100_000 + "!"):
        with pytest.raises(InvalidRequest):
            await flow.resume(wrong)
    await flow.resume("aaa")
    assert (await flow).state == {"got": "aaa"}
    with pytest.raises(InvalidRequest, match="by is the name"):
        await flow.resume("aaa", by=5)  # type: ignore[arg-type]


async def test_a_pattern_that_could_stop_everybody_fails_its_own_step(engine: Engine) -> None:
    async def ask(flow: Flow) -> None:
        flow.interrupt({"title": "Q", "schema": {"type": "string", "pattern": r"(a)\1"}})

    outcome = await engine.run(alone(ask))
    assert outcome.status is Status.FAILED
    assert "RE2" in outcome.error


# ---------------------------------------------------------------- elsewhere


async def test_a_step_that_is_forked_keeps_the_answers_of_their_questions(engine: Engine) -> None:
    runs = count()

    async def tool(flow: Flow, name: str, turns: int) -> Any:
        for _ in range(turns):
            await asyncio.sleep(0)
        return flow.interrupt(f"May {name} run?", key=name)

    async def tools(flow: Flow) -> dict[str, Any]:
        run = next(runs)
        found = await asyncio.gather(*(tool(flow, name, (at + run) % 3 * 2) for at, name in enumerate("abc")))
        return {"found": found}

    flow = await engine.create(alone(tools))
    outcome = await answer_all(flow)
    first = (await flow.answers())[0].value
    (step,) = await flow.history()
    fork = await engine.fork(step, keep_answers=1)
    asked = []
    while (await fork).status is Status.INTERRUPTED:
        for waiting in await fork.interrupts():
            asked.append((waiting.interrupt_payload or {})["title"])
            await fork.resume(asked[-1], step=waiting, by="fork")
    assert sorted([*asked, first]) == [f"May {name} run?" for name in "abc"]
    assert (await fork).state == outcome.state
    (copy,) = await fork.history()
    assert list(copy.answered_by) == ["fork", "fork"]


async def test_a_child_that_is_forked_gives_its_result_to_its_own_call(engine: Engine) -> None:
    async def double(n: int) -> dict[str, Any]:
        return {"doubled": 2 * n}

    inner = Graph("double").add_node("Double", double).add_transition("Double", END)
    runs = count()

    async def outer(flow: Flow) -> dict[str, Any]:
        async def call(n: int, turns: int) -> int:
            for _ in range(turns):
                await asyncio.sleep(0)
            return int(flow.subgraph(inner, {"n": n})["doubled"])

        run = next(runs)
        return {"found": await asyncio.gather(*(call(n, (n + run) % 3) for n in range(3)))}

    flow = await engine.create(alone(outer))
    assert (await flow).state == {"found": [0, 2, 4]}
    (step,) = await flow.history()
    child = step.sub_flows[0]
    called = (await engine.step(child.steps[0].key)).state or {}
    fork = await engine.fork(child.steps[0], {"n": 50})
    wanted = [0, 2, 4]
    wanted[called["n"]] = 100
    assert (await fork).state == {"found": wanted}


async def test_two_replicas_give_an_answer_to_the_same_question(running: Any) -> None:
    def host() -> LocalHost:
        async def ask(flow: Flow) -> dict[str, Any]:
            async def tool(name: str) -> Any:
                await asyncio.sleep(0)
                return flow.interrupt({"title": "May it run?", "schema": str}, key=name)

            return {"found": await asyncio.gather(tool("a"), tool("b"))}

        made = LocalHost()
        made.add_task("ask", ask)
        return made

    async with running(host=host()) as one, running(host=host()) as two:
        flow = await one.create(Graph("G").add_node("Ask", "ask").add_transition("Ask", END))
        for engine, answer in ((two, "first"), (one, "second")):
            handle = engine.flow(flow.key)
            assert (await handle.outcome(timeout=60)).status is Status.INTERRUPTED
            (waiting,) = await handle.interrupts()
            results = await asyncio.gather(
                *(other.flow(flow.key).resume(answer, step=waiting) for other in (one, two)), return_exceptions=True
            )
            assert sorted(type(result).__name__ for result in results) == ["NoneType", "StateConflict"]
        assert (await flow.outcome(timeout=60)).state == {"found": ["first", "second"]}


async def test_an_answer_for_any_question_is_checked_against_the_one_that_gets_it(engine: Engine) -> None:
    async def ask(flow: Flow, item: int) -> dict[str, Any]:
        kind = int if item else str
        return {"got": [flow.interrupt({"title": f"Part {item}?", "schema": kind})]}

    async def start() -> dict[str, Any]:
        return {"items": [0, 1]}

    async def end() -> None:
        return None

    graph = Graph("many", reducers={"got": "append"}).add_node("Start", start).add_node("Ask", ask)
    graph.add_for_each("Start", "Ask", items="items").add_node("End", end, fan_in=True).add_chain("Ask", "End", END)
    flow = await engine.create(graph)
    await flow
    while len(await flow.interrupts()) < 2:
        await asyncio.sleep(0)
    for waiting in await flow.interrupts():
        wrong, right = (
            (5, "x") if waiting.interrupt_payload == {"title": "Part 0?", "schema": {"type": "string"}} else ("x", 5)
        )
        with pytest.raises(InvalidRequest):
            await flow.resume(wrong)  # the oldest, which is this one
        await flow.resume(right)
    assert (await flow).state["got"] == ["x", 5]
