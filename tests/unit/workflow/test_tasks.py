"""Marking functions as tasks."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import pytest

from dwarf.errors import ConfigError
from dwarf.hosts import LocalHost
from dwarf.workflow.flow import Flow
from dwarf.workflow.graph import Graph, Limit
from dwarf.workflow.policies import Retry
from dwarf.workflow.tasks import TaskMark, mark_of, task


def test_bare_it_returns_the_function_itself_marked() -> None:
    def charge(flow: Flow) -> None: ...

    assert task(charge) is charge
    assert mark_of(charge) == TaskMark(f"{__name__}.test_bare_it_returns_the_function_itself_marked.<locals>.charge")


def test_with_arguments() -> None:
    limit = Limit(concurrency=2)

    @task(url="billing/charge", limit=limit)
    def charge(flow: Flow) -> None: ...

    assert mark_of(charge) == TaskMark("billing/charge", limit, named=True)

    @task()
    def other(flow: Flow) -> None: ...

    assert mark_of(other) == TaskMark(f"{__name__}.test_with_arguments.<locals>.other")


def test_a_marked_function_is_called_as_before() -> None:
    @task
    def double(n: int) -> dict[str, int]:
        return {"n": 2 * n}

    assert double(4) == {"n": 8}
    assert double.__name__ == "double"


async def test_a_coroutine_function_stays_one() -> None:
    @task(url="x")
    async def fetch(n: int) -> int:
        return n + 1

    assert await fetch(1) == 2


def test_marking_again_replaces_the_mark() -> None:
    @task(url="one")
    def charge(flow: Flow) -> None: ...

    assert mark_of(task(url="two")(charge)).url == "two"


def test_marking_again_keeps_what_is_not_said_again() -> None:
    @task(url="billing/charge", aliases=["charge"], retry=3, cache=True, labels=["eu"])
    def charge(flow: Flow) -> None: ...

    before = mark_of(charge)
    host = LocalHost()
    assert host.task(charge) is charge
    assert mark_of(charge) == before
    assert host.task_urls() == {"billing/charge", "charge"}
    assert mark_of(host.task(cache=False, retry=2)(charge)) == replace(before, cache=None, retry=Retry(2))


def test_methods_are_marked_for_their_object() -> None:
    class Table:
        def __init__(self, name: str) -> None:
            self.name = name

        def load(self, n: int = 1) -> dict[str, int]:
            return {self.name: n}

    one, two = Table("one"), Table("two")
    marked = task(url="load/one")(one.load)
    assert (mark_of(marked).url, marked(), marked.__self__) == ("load/one", {"one": 1}, one)  # type: ignore[attr-defined]
    assert not mark_of(one.load).named
    graph = Graph("Load").add_node("One", marked).add_node("Two", task(url="load/two")(two.load))
    assert graph.add_chain("One", "Two", "END").validate().url_of("Two") == "load/two"


def test_the_mark_survives_a_wrapping_decorator() -> None:
    def logged(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    @logged
    @task(url="inner")
    def charge(flow: Flow) -> None: ...

    assert mark_of(charge).url == "inner"


def test_the_url_of_what_is_not_marked() -> None:
    class Caller:
        def __call__(self, flow: Flow) -> None: ...

        def method(self, flow: Flow) -> None: ...

    def charge(flow: Flow, amount: int) -> None: ...

    here = f"{__name__}.test_the_url_of_what_is_not_marked.<locals>"
    assert mark_of(charge).url == f"{here}.charge"
    assert mark_of(functools.partial(charge, amount=1)).url == f"{here}.charge"
    assert mark_of(functools.partial(functools.partial(charge), amount=1)).url == f"{here}.charge"
    assert mark_of(Caller()).url == f"{here}.Caller"
    assert mark_of(Caller().method).url == f"{here}.Caller.method"
    assert mark_of(lambda flow: None).url == f"{here}.<lambda>"
    assert mark_of(charge).limit is None


@pytest.mark.parametrize("url", ["", "  ", 5])
def test_a_url_must_be_text(url: Any) -> None:
    with pytest.raises(ConfigError, match="URL"):
        task(url=url)(lambda flow: None)


@pytest.mark.parametrize("function", ["billing", 5, {}])
def test_only_functions_can_be_marked(function: Any) -> None:
    with pytest.raises(ConfigError, match="@task marks functions"):
        task(function)


def test_a_limit_must_be_one() -> None:
    wrong: Any = 5
    with pytest.raises(ConfigError, match="limit"):
        task(limit=wrong)


def test_what_cannot_carry_a_mark_is_refused() -> None:
    with pytest.raises(ConfigError, match="add_task"):
        task([].count)


def test_generators_and_star_args_are_refused_when_marked() -> None:
    def produce(flow: Flow) -> Any:
        yield 1

    async def produce_async(flow: Flow) -> Any:
        yield 1

    def anything(*args: Any) -> None: ...

    for function in (produce, produce_async):
        with pytest.raises(ConfigError, match="generator function"):
            task(function)
    with pytest.raises(ConfigError, match=r"takes \*args"):
        task(anything)


def test_a_graph_reads_the_mark() -> None:
    limit = Limit(rate="60/minute")

    @task(url="billing/charge", limit=limit)
    def charge(flow: Flow) -> None: ...

    graph = Graph("g").add_node("Charge", charge)
    assert graph.url_of("Charge") == "billing/charge"
    assert graph.nodes[0].limit == limit
    assert dict(graph.functions) == {"billing/charge": charge}
