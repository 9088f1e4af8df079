"""Several questions and several children in one task, matched by their order."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, TaskError
from dwarf.engine import Engine
from dwarf.errors import SubgraphFailed
from tests.support.workflows import names


async def double(flow: Flow, n: int) -> None:
    if n < 0:
        raise TaskError(f"{n} is negative")
    flow["doubled"] = n * 2


DOUBLE = Graph("double").add_node("Double", double).add_transition("Double", END)


def alone(task: Any) -> Graph:
    return Graph("alone").add_node("Task", task).add_transition("Task", END)


async def test_questions_and_children_in_turn(engine: Engine) -> None:
    async def talk(flow: Flow) -> None:
        first = flow.interrupt({"title": "first"})
        child = flow.subgraph(DOUBLE, {"n": first})
        second = flow.interrupt({"title": "second"})
        other = flow.subgraph(DOUBLE, {"n": second})
        flow["result"] = [first, child, second, other]

    flow = await engine.create(alone(talk))
    assert (await flow).interrupt_payload == {"title": "first"}
    await flow.resume(2)
    assert (await flow).interrupt_payload == {"title": "second"}
    await flow.resume(5)
    outcome = await flow
    assert outcome.state == {"result": [2, {"n": 2, "doubled": 4}, 5, {"n": 5, "doubled": 10}]}
    (step,) = await flow.history()
    assert [(child.status, names(child.steps)) for child in step.sub_flows] == [(Status.COMPLETED, ["Double"])] * 2
    assert step.attempt == 0


async def test_the_number_of_parks_may_depend_on_the_answers(engine: Engine) -> None:
    async def collect(flow: Flow) -> None:
        answers = []
        while not answers or answers[-1] != "stop":
            answers.append(flow.interrupt({"title": f"number {len(answers)}"}))
        flow["answers"] = answers

    flow = await engine.create(alone(collect))
    for number, answer in enumerate(["a", None, "b", "stop"]):
        assert (await flow).interrupt_payload == {"title": f"number {number}"}
        await flow.resume(answer)
    assert (await flow).state == {"answers": ["a", None, "b", "stop"]}


async def test_a_hundred_children_one_after_the_other(engine: Engine) -> None:
    async def total(flow: Flow) -> None:
        flow["total"] = sum(flow.subgraph(DOUBLE, {"n": n})["doubled"] for n in range(100))

    outcome = await engine.run(alone(total))
    assert outcome.state == {"total": 9900}


async def test_a_failed_child_does_not_stop_the_next(engine: Engine) -> None:
    async def brave(flow: Flow) -> None:
        results: list[Any] = []
        for n in (1, -1, 2):
            try:
                results.append(flow.subgraph(DOUBLE, {"n": n})["doubled"])
            except SubgraphFailed as error:
                results.append((str(error), error.outcome.status.value, error.outcome.state["n"]))
        flow["results"] = results

    outcome = await engine.run(alone(brave))
    assert outcome.status is Status.COMPLETED
    assert outcome.state["results"] == [2, ("-1 is negative", "failed", -1), 4]


async def test_an_answer_that_is_not_asked_for_any_more_is_told(engine: Engine) -> None:
    asked = 0

    async def fickle(flow: Flow) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            flow.interrupt({"title": "first"})
        flow.subgraph(DOUBLE, {"n": 1})

    flow = await engine.create(alone(fickle))
    await flow
    await flow.resume("x")
    outcome = await flow
    assert outcome.status is Status.COMPLETED
    (step,) = await flow.history()
    assert step.warnings == ("the task returned without claiming the answers to: 'first'",)


async def test_a_retry_forgets_the_answers(engine: Engine) -> None:
    async def again(flow: Flow) -> None:
        answer = flow.interrupt({"title": f"attempt {flow.attempt}"})
        flow["answers"] = [*flow.get("answers", []), answer]
        if answer == "again":
            flow.retry()

    flow = await engine.create(alone(again))
    assert (await flow).interrupt_payload == {"title": "attempt 0"}
    await flow.resume("again")
    assert (await flow).interrupt_payload == {"title": "attempt 1"}
    await flow.resume("done")
    assert (await flow).state == {"answers": ["again", "done"]}


@pytest.mark.parametrize("answer", [None, True, False, 0, 1.5, "text", [], [1, [2]], {}, {"a": {"b": None}}, 10**30])
async def test_an_answer_is_any_json_value(engine: Engine, answer: Any) -> None:
    async def ask(flow: Flow) -> None:
        given = flow.interrupt()
        flow["given"] = [given, type(given).__name__]

    flow = await engine.create(alone(ask))
    await flow
    await flow.resume(answer)
    assert (await flow).state == {"given": [answer, type(answer).__name__]}


async def test_writes_before_each_park_are_kept(engine: Engine) -> None:
    runs: list[dict[str, Any]] = []

    async def steps(flow: Flow) -> None:
        runs.append(flow.snapshot())
        flow["one"] = True
        flow.interrupt()
        flow["two"] = True
        flow.subgraph(DOUBLE, {"n": 1})
        flow["three"] = True
        flow.interrupt()

    flow = await engine.create(alone(steps))
    assert (await flow).state == {"one": True}
    await flow.resume()
    assert (await flow).state == {"one": True, "two": True, "three": True}
    await flow.resume()
    assert (await flow).status is Status.COMPLETED
    assert runs == [{}, {"one": True}, {"one": True, "two": True}, {"one": True, "two": True, "three": True}]
