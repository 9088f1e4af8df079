"""Forks of steps that have asked, or called child flows, several times."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from dwarf import END, Flow, Graph, InvalidRequest, Status
from dwarf.engine import Engine, FlowHandle
from tests.support.workflows import at, names


async def double(flow: Flow, n: int) -> None:
    if n < 0:
        flow.interrupt({"title": "negative"})
    flow["doubled"] = n * 2


async def done(flow: Flow) -> None:
    flow["ended"] = True


DOUBLE = Graph("double").add_node("Double", double).add_node("Done", done).add_chain("Double", "Done", END)


async def talk(flow: Flow) -> None:
    """Ask, call, ask, call; write something before each."""
    flow["trace"] = ["a", *flow.get("trace", [])][:1]
    first = flow.interrupt({"title": "first"})
    flow["first"] = first
    one = flow.subgraph(DOUBLE, {"n": first})["doubled"]
    flow["one"] = one
    second = flow.interrupt({"title": "second"})
    flow["second"] = second
    two = flow.subgraph(DOUBLE, {"n": second})["doubled"]
    flow["result"] = [first, one, second, two]


async def talked(engine: Engine) -> FlowHandle:
    """A flow that was answered 2 and 5."""
    flow = await engine.create(Graph("g").add_node("Talk", talk).add_transition("Talk", END))
    for answer in (2, 5):
        await flow
        await flow.resume(answer)
    assert (await flow).state["result"] == [2, 4, 5, 10]
    return flow


async def test_inside_the_first_child_what_came_after_it_is_asked_again(engine: Engine) -> None:
    flow = await talked(engine)
    first, _ = at(await flow.history(), "Talk").sub_flows
    fork = await engine.fork(first.steps[0], {"n": 100})
    assert (await fork).interrupt_payload == {"title": "second"}
    await fork.resume(6)
    assert (await fork).state["result"] == [2, 200, 6, 12]
    copies = at(await fork.history(), "Talk").sub_flows
    assert [names(child.steps) for child in copies] == [["Double", "Done"]] * 2
    assert (await flow.snapshot()).state["result"] == [2, 4, 5, 10]


async def test_inside_the_second_child_everything_before_it_stays(engine: Engine) -> None:
    flow = await talked(engine)
    _, second = at(await flow.history(), "Talk").sub_flows
    fork = await engine.fork(second.steps[1], {"doubled": -1})
    assert (await fork).state["result"] == [2, 4, 5, -1]
    again = await engine.fork(at(await fork.history(), "Talk").sub_flows[0].steps[1], {"doubled": 7})
    assert (await again).interrupt_payload == {"title": "second"}


async def test_the_caller_is_put_back_to_the_moment_of_its_call(engine: Engine) -> None:
    """What it has written since is not there when its task runs on."""
    flow = await talked(engine)
    first, second = at(await flow.history(), "Talk").sub_flows
    for child, expected in ((first, {"trace", "first"}), (second, {"trace", "first", "one", "second"})):
        fork = await engine.fork(child.steps[0], {"n": -1})
        assert (await fork).interrupt_payload == {"title": "negative"}
        caller = at(await fork.history(), "Talk")
        assert (caller.status, caller.parked) == (Status.INTERRUPTED, True)
        assert set((await engine.step(caller.key)).changes or {}) == expected
        await _end(fork)


async def test_a_leftover_of_the_first_run_does_not_stay(engine: Engine) -> None:
    async def call(flow: Flow) -> None:
        flow["before"] = flow.get("before", 0) + 1
        doubled = flow.subgraph(DOUBLE, {"n": flow["n"]})["doubled"]
        if doubled > 10:
            flow["large"] = True
        flow["doubled"] = doubled

    flow = await engine.create(Graph("g").add_node("Call", call).add_transition("Call", END), {"n": 50})
    assert (await flow).state == {"n": 50, "before": 2, "large": True, "doubled": 100}
    inner = at(await flow.history(), "Call").sub_steps[0]
    assert (await (await engine.fork(inner, {"n": 1}))).state == {"n": 50, "before": 2, "doubled": 2}


async def test_a_step_that_runs_again_asks_everything_again(engine: Engine) -> None:
    flow = await talked(engine)
    fork = await engine.fork(at(await flow.history(), "Talk"))
    for title, answer in (("first", 3), ("second", 4)):
        assert (await fork).interrupt_payload == {"title": title}
        await fork.resume(answer)
    assert (await fork).state["result"] == [3, 6, 4, 8]
    assert len(at(await fork.history(), "Talk").sub_flows) == 2


@pytest.mark.parametrize(
    ("kept", "asked", "result"),
    [(1, ["second"], [2, 4, 9, 18]), (2, ["second"], [2, 4, 9, 18]), (3, [], [2, 4, 5, 10]), (4, [], [2, 4, 5, 10])],
)
async def test_answers_may_be_kept(engine: Engine, kept: int, asked: list[str], result: list[int]) -> None:
    flow = await talked(engine)
    old = at(await flow.history(), "Talk")
    fork = await engine.fork(old, keep_answers=kept)
    titles = []
    while (outcome := await fork).status is Status.INTERRUPTED:
        titles.append(outcome.interrupt_payload["title"])
        await fork.resume(9)
    assert titles == asked
    assert outcome.state["result"] == result
    new = at(await fork.history(), "Talk")
    begun = [[child.steps[0].created_at for child in step.sub_flows] for step in (old, new)]
    copied = [one == other for one, other in zip(*begun, strict=True)]
    assert copied == [kept > 1, kept > 3]


async def test_no_more_answers_can_be_kept_than_there_are(engine: Engine) -> None:
    flow = await talked(engine)
    with pytest.raises(InvalidRequest, match="4 answers"):
        await engine.fork(at(await flow.history(), "Talk"), keep_answers=5)


async def test_a_retried_step_with_kept_answers_keeps_its_attempt(engine: Engine) -> None:
    ran: Counter[Any] = Counter()

    async def ask(flow: Flow) -> None:
        ran[flow.attempt] += 1
        if not flow.attempt:
            flow.retry()
        first = flow.interrupt({"title": "first"})
        flow["answers"] = [first, flow.interrupt({"title": "second"})]

    flow = await engine.create(Graph("g").add_node("Ask", ask).add_transition("Ask", END))
    for answer in "ab":
        await flow
        await flow.resume(answer)
    await flow
    (step,) = await flow.history()
    assert (step.attempt, ran) == (1, {0: 1, 1: 3})
    ran.clear()
    fork = await engine.fork(step, keep_answers=1)
    assert (await fork).interrupt_payload == {"title": "second"}
    await fork.resume("c")
    assert (await fork).state == {"answers": ["a", "c"]}
    assert ran == {1: 2}
    ran.clear()
    assert (await (await engine.fork(step))).interrupt_payload == {"title": "first"}
    assert ran == {0: 1, 1: 1}


async def _end(flow: FlowHandle) -> None:
    while (await flow).status is Status.INTERRUPTED:
        await flow.resume(1)
