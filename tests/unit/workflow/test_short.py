"""Graphs in the short form are the very graphs that the builder makes."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import END, Graph, GraphError, choose, each, rescue, together


def named(name: str) -> Any:
    def run() -> None: ...

    run.__name__ = run.__qualname__ = name
    return run


start, measure, skip, rank, ask, think, use, answer, a, b, c, d = map(
    named, "start measure skip rank ask think use answer a b c d".split()
)


def test_a_survey_with_branches_and_an_error_handler() -> None:
    short = Graph.of(
        "Survey",
        start,
        each("modules", rescue(measure, skip), item="module"),
        rank,
        ("Ask", ask),
        reducers={"measures": "append"},
    )
    long = Graph("Survey", reducers={"measures": "append"}).add_node("start", start)
    long.add_for_each("start", "measure", items="modules", item="module").add_node("measure", measure)
    long.add_error_handler("measure", "skip").add_node("skip", skip).add_node("rank", rank, fan_in=True)
    long.add_transition("measure", "rank").add_transition("skip", "rank").add_node("Ask", ask)
    long.add_chain("rank", "Ask", END)
    assert short == long.validate()
    assert short.to_json() == long.to_json()
    assert short.functions == long.functions
    assert short.add_node("More", a) is short


def test_an_agent_goes_back() -> None:
    short = Graph.of("Agent", think, choose({"done": [answer, END], "risky": [ask, choose({"no": think})]}), use, think)
    long = Graph("Agent").add_node("think", think).add_switch("think", {"done": "answer", "risky": "ask"})
    long.add_node("answer", answer).add_transition("answer", END).add_node("ask", ask)
    long.add_switch("ask", {"no": "think"}).add_node("use", use)
    long.add_switch("ask", {}, default="use").add_switch("think", {}, default="use").add_transition("use", "think")
    assert short.validate().nodes == long.nodes
    assert set(short.transitions) == set(long.transitions)


def test_parallel_paths_nested_branches_and_a_default() -> None:
    short = Graph.of("N", a, together(b, [c, each("xs", d), rank]), measure, choose({"x > 1": skip}, default=END))
    long = Graph("N").add_node("a", a).add_fan_out("a", "b", "c").add_node("b", b).add_node("c", c)
    long.add_for_each("c", "d", items="xs").add_node("d", d).add_node("rank", rank, fan_in=True)
    long.add_transition("d", "rank").add_node("measure", measure, fan_in=True).add_transition("b", "measure")
    long.add_transition("rank", "measure").add_switch("measure", {"x > 1": "skip"}, default=END)
    assert short == long.add_node("skip", skip).add_transition("skip", END).validate()
    assert Graph.of("one", a) == Graph("one").add_node("a", a).add_transition("a", END)


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([a, each("xs", b)], "need a task behind them"),
        ([a, each("xs", b), each("ys", c)], "need a task in which they meet"),
        ([each("xs", b), c], "needs one task before it"),
        ([a, each("xs", each("ys", b)), c], "cannot begin with each"),
        ([a, each("xs", b, each("ys", c)), d], "inside branches"),
        ([a, each("xs", b), END], "before the END"),
        ([a, END, b], "nothing leads to 'b'"),
        ([a, lambda: None], "write .'name', lambda"),
        ([a, 5], "not a int"),
        ([a, named("a")], "two different functions"),
        ([a, together()], "need a task"),
    ],
)
def test_steps_that_cannot_stand_where_they_do(steps: list[Any], problem: str) -> None:
    with pytest.raises(GraphError, match=problem):
        Graph.of("g", *steps)
