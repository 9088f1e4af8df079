"""Answers find the call they were given to, whatever the order of the calls."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwarf.errors import Parked
from dwarf.workflow.flow import Flow
from dwarf.workflow.matching import AnswerBook, Asked, digest_of, title_of
from dwarf.workflow.signals import Answer, Interrupt, Subgraph, control_of


def answer(value: Any, key: str = "", **asked: Any) -> Answer:
    return Answer("interrupt", value, key=key, asked=asked)


def child(value: str, workflow: str, state: dict[str, Any]) -> Answer:
    return Answer("subgraph", {"v": value}, status="completed", workflow=workflow, input=digest_of(state))


# ---------------------------------------------------------------- one call


@pytest.mark.parametrize(
    ("stored", "asked", "own", "found"),
    [
        # the same key, whatever the payload is now
        ([answer(1, "a", title="T"), answer(2, "b", title="T")], Asked("interrupt", "b", {"title": "U"}), False, 2),
        # an answer with a key is for that key alone
        ([answer(1, "a", title="T")], Asked("interrupt", "b", {"title": "T"}), True, None),
        ([answer(1, "a", title="T")], Asked("interrupt", "", {"title": "T"}), True, None),
        # a question that has got a key since
        ([answer(1, title="T")], Asked("interrupt", "a", {"title": "T"}), False, 1),
        # the identical payload, also from elsewhere, and before one that only looks alike
        ([answer(1, title="T", n=1), answer(2, title="T", n=2)], Asked("interrupt", "", {"title": "T", "n": 2}), False, 2),
        ([answer(1, title="T", n=1), answer(2, title="T", n=2)], Asked("interrupt", "", {"n": 2, "title": "T"}), True, 2),
        ([answer(1, title="T", n=1)], Asked("interrupt", "", {"title": "T", "n": True}), False, None),
        # the same title and schema, in the task's own order only
        ([answer(1, title="T", n=1), answer(2, title="T", n=2)], Asked("interrupt", "", {"title": "T", "n": 3}), True, 1),
        ([answer(1, title="T", n=1)], Asked("interrupt", "", {"title": "T", "n": 3}), False, None),
        ([answer(1, title="T", schema={"type": "string"})], Asked("interrupt", "", {"title": "T"}), True, None),
        ([answer(1, title="T")], Asked("interrupt", "", {"title": "U"}), True, None),
        ([answer(1, question="T")], Asked("interrupt", "", {"question": "U"}), True, None),
        ([answer(1, draft="x")], Asked("interrupt", "", {"draft": "y"}), True, 1),
        ([answer(1)], Asked("interrupt"), False, 1),
        # a class whose schema did not say yet that it has no other members
        ([answer(1, schema={"properties": {}})],
         Asked("interrupt", "", {"schema": {"properties": {}, "additionalProperties": False}}), False, 1),
        # whatever was not kept counts, as it did
        ([Answer("interrupt", 1)], Asked("interrupt", "", {"title": "T"}), False, 1),
        ([Answer("interrupt", 1), answer(2, title="T")], Asked("interrupt", "", {"title": "T"}), True, 2),
        # child flows by workflow and input
        ([child("a", "W", {"n": 1}), child("b", "W", {"n": 2})], Asked("subgraph", "", {}, "W", digest_of({"n": 2})), False, "b"),
        ([child("a", "W", {"n": 1})], Asked("subgraph", "", {}, "W", digest_of({"n": 2})), True, "a"),
        ([child("a", "W", {"n": 1})], Asked("subgraph", "", {}, "W", digest_of({"n": 2})), False, None),
        ([child("a", "W", {"n": 1})], Asked("subgraph", "", {}, "X", digest_of({"n": 1})), True, None),
        ([Answer("subgraph", {"v": "a"})], Asked("subgraph", "", {}, "X", digest_of({})), False, "a"),
        # the other kind never
        ([child("a", "", {})], Asked("interrupt"), True, None),
        ([answer(1)], Asked("subgraph", "", {}, "W", digest_of({})), True, None),
    ],
)  # fmt: skip
def test_what_a_call_gets(stored: list[Answer], asked: Asked, own: bool, found: Any) -> None:
    got = AnswerBook(stored).claim(asked, own=own)
    value = None if got is None else got.value["v"] if got.kind == "subgraph" else got.value
    assert value == found


def test_each_answer_is_taken_once() -> None:
    book = AnswerBook([answer(1, title="T"), answer(2, title="T")])
    asked = Asked("interrupt", payload={"title": "T"})
    got = [book.claim(asked, own=False) for _ in range(3)]
    assert [each and each.value for each in got] == [1, 2, None]
    assert book.unclaimed == ()


def test_an_answer_that_cannot_be_used_is_passed_over_and_kept() -> None:
    book = AnswerBook([answer("x", "k"), answer(2, "k")])
    got = book.claim(Asked("interrupt", "k"), own=True, usable=lambda each: isinstance(each.value, int))
    assert got is not None
    assert got.value == 2
    assert book.unclaimed == (0,)


@pytest.mark.parametrize(
    ("payload", "title"),
    [
        ({"title": " A ", "question": "B"}, "A"),
        ({"title": "", "question": "B"}, "B"),
        ({"title": 5, "message": "C"}, "C"),
        ({"prompt": "D", "schema": {"title": "E"}}, "D"),
        ({"schema": {"title": "E"}}, "E"),
        ({"schema": {"title": 1}}, ""),
        ({}, ""),
    ],
)
def test_the_title_of_a_payload(payload: dict[str, Any], title: str) -> None:
    assert title_of(payload) == title


def test_the_digest_of_an_input_knows_no_order() -> None:
    assert digest_of({"a": 1, "b": {"c": 1, "d": [2]}}) == digest_of({"b": {"d": [2], "c": 1}, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": True})


# ---------------------------------------------------------------- held against a small model


def model(stored: Sequence[Answer], taken: set[int], asked: Asked, own: bool) -> int | None:
    """Which place a call gets: by the rules, one after the other, over every answer."""
    best: tuple[int, int] | None = None
    for place, each in enumerate(stored):
        if place in taken or each.kind != asked.kind:
            continue
        if each.key:
            rank = 0 if each.key == asked.key else None
        elif each.kind == "interrupt":
            mine, its = asked.payload, each.asked
            alike = its is not None and (title_of(its), its.get("schema")) == (title_of(mine), mine.get("schema"))
            rank = 3 if its is None else 1 if its == mine else 2 if own and alike else None
        else:
            same = each.workflow == asked.workflow
            rank = 3 if not each.workflow else 1 if same and each.input == asked.input else 2 if own and same else None
        if rank is not None and (best is None or (rank, place) < best):
            best = (rank, place)
    return None if best is None else best[1]


PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from("TU"),
        "schema": st.sampled_from([{"type": "string"}, {"type": "boolean"}]),
        "n": st.integers(0, 2),
    },
)
INPUTS = st.integers(0, 2).map(lambda number: digest_of({"n": number}))
KEYS = st.sampled_from(["", "", "a", "b"])
ASKED = st.one_of(
    st.builds(Asked, st.just("interrupt"), KEYS, PAYLOADS),
    st.builds(lambda name, given: Asked("subgraph", workflow=name, input=given), st.sampled_from("VW"), INPUTS),
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    asked, value = draw(ASKED), draw(st.integers())
    known = draw(st.integers(0, 4)) > 0
    if asked.kind == "interrupt":
        return Answer("interrupt", value, key=asked.key, asked=asked.payload if known else None)
    return Answer("subgraph", {"v": value}, workflow=asked.workflow if known else "", input=asked.input)


@settings(max_examples=400)
@given(st.lists(answers(), max_size=6), st.lists(st.tuples(ASKED, st.booleans()), max_size=8))
def test_claims_are_those_of_the_model(stored: list[Answer], calls: list[tuple[Asked, bool]]) -> None:
    book, taken = AnswerBook(stored), set[int]()
    for asked, own in calls:
        expected = model(stored, taken, asked, own)
        got = book.claim(asked, own=own)
        assert got is (None if expected is None else stored[expected])
        if expected is not None:
            taken.add(expected)
        assert set(book.unclaimed) == set(range(len(stored))) - taken


# ---------------------------------------------------------------- whole tasks, run again and again


def asked_by(flow: Flow, kept: list[Answer]) -> list[Answer]:
    """The answers and one more, to the question that the flow has parked with: what was asked, as text."""
    park = control_of(flow).park
    if isinstance(park, Interrupt):
        value = park.key or repr(park.payload)
        return [*kept, Answer("interrupt", value, key=park.key, asked=park.payload)]
    assert isinstance(park, Subgraph)
    return [*kept, child(repr(park.state), park.name, park.state)]


def run_until_done(task: Callable[[Flow], Any], most: int) -> Any:
    kept: list[Answer] = []
    for _ in range(most):
        flow = Flow(answers=kept)
        try:
            return task(flow)
        except Parked:
            kept = asked_by(flow, kept)
    raise AssertionError("the task asks for ever")


@given(st.data(), st.integers(1, 6))
def test_branches_in_any_order_get_their_own_answers(data: st.DataObject, count: int) -> None:
    """Whichever branch comes first each time, none gets the answer that another one asked for."""
    kinds = data.draw(st.lists(st.sampled_from(["title", "key", "payload", "child"]), min_size=count, max_size=count))

    def ask(flow: Flow, number: int) -> tuple[Any, Any]:
        match kinds[number]:
            case "title":
                return flow.interrupt(f"May {number} run?"), repr({"title": f"May {number} run?"})
            case "key":
                return flow.interrupt("May it run?", key=f"tool {number}"), f"tool {number}"
            case "payload":
                return flow.interrupt({"title": "May it run?", "tool": number}), repr(
                    {"title": "May it run?", "tool": number}
                )
            case _:
                return flow.subgraph("W", {"n": number})["v"], repr({"n": number})

    def task(flow: Flow) -> list[tuple[Any, Any]]:
        flow._callers = ()  # as from child tasks: their calls have no order
        return [ask(flow, number) for number in data.draw(st.permutations(range(count)))]

    for got, wanted in run_until_done(task, count + 1):
        assert got == wanted


def test_a_loop_that_asks_the_same_again_gets_its_answers_in_order() -> None:
    seen = itertools.count()

    def task(flow: Flow) -> list[Any]:
        return [flow.interrupt({"title": "More?", "seen": next(seen)}) for _ in range(3)]

    assert len(set(run_until_done(task, 4))) == 3


def test_child_tasks_and_threads_are_no_part_of_the_tasks_own_order() -> None:
    kept = [answer("yes", title="T", n=1)]

    async def in_a_task(flow: Flow, n: int) -> Any:
        return flow.interrupt({"title": "T", "n": n})

    async def beside(n: int) -> Any:
        flow = Flow(answers=kept)
        return (await asyncio.gather(in_a_task(flow, n)))[0]

    async def own(n: int) -> Any:
        flow = Flow(answers=kept)
        return await in_a_task(flow, n)

    assert asyncio.run(own(2)) == asyncio.run(beside(1)) == "yes"
    with pytest.raises(Parked):
        asyncio.run(beside(2))

    got: list[Any] = []

    def in_a_thread(flow: Flow, n: int) -> None:
        try:
            got.append(flow.interrupt({"title": "T", "n": n}))
        except Parked:
            got.append("asked")

    for n in (1, 2):
        thread = threading.Thread(target=in_a_thread, args=(Flow(answers=kept), n))
        thread.start()
        thread.join()
    assert got == ["yes", "asked"]


def test_threads_that_ask_alike_at_once_share_no_answer() -> None:
    count = 32
    flow = Flow(answers=[answer(number, title="T") for number in range(count)])
    start, got = threading.Barrier(count), list[Any]()

    def ask() -> None:
        start.wait()
        got.append(flow.interrupt("T"))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(count))
