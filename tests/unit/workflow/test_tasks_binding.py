"""Filling the parameters of a task, and storing what it returns."""

from __future__ import annotations

import functools
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypedDict

import pytest
from pydantic import BaseModel

from dwarf.errors import ConfigError, StateError
from dwarf.workflow.flow import Flow
from dwarf.workflow.tasks import Binding

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypeCheckers

    import dwarf.workflow.flow as for_type_checkers


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int = 0


class Model(BaseModel):
    n: int
    note: str | None = None


class Options(TypedDict):
    depth: int


def call(function: Callable[..., Any], flow: Flow | None = None, **state: Any) -> Any:
    if flow is None:
        flow = Flow()
        flow.update(state)
    args, kwargs = Binding(function, "the/task").call_arguments(flow)
    return function(*args, **kwargs)


# ---------------------------------------------------------------- parameters


def test_the_flow_by_name_or_annotation() -> None:
    flow = Flow({"f": 1})
    assert call(lambda flow: flow, flow) is flow

    def by_annotation(f: Flow) -> Any:
        return f

    def optional(f: Flow | None = None) -> Any:
        return f

    def as_text(f: for_type_checkers.Flow) -> Any:
        return f

    def keyword(*, f: Flow) -> Any:
        return f

    def positional(f: Flow, /) -> Any:
        return f

    def named_with_another_annotation(flow: int) -> Any:
        return flow

    for function in (by_annotation, optional, as_text, keyword, positional, named_with_another_annotation):
        assert call(function, flow) is flow


def test_a_task_without_parameters() -> None:
    assert call(lambda: 5) == 5


def test_fields_are_converted_to_the_annotation() -> None:
    def work(
        n: int,
        ratio: float,
        colour: Colour,
        point: Point,
        model: Model,
        options: Options,
        tags: list[str],
        raw,
        **rest: int,
    ) -> Any:  # type: ignore[no-untyped-def]
        return n, ratio, colour, point, model, options, tags, raw, rest

    result = call(
        work, n=5.0, ratio=1, colour="red", point={"x": 1}, model={"n": 2}, options={"depth": 3}, tags=("a",),
        raw=[1], more=7.0, other=8,
    )  # fmt: skip
    assert result == (
        5, 1.0, Colour.RED, Point(1), Model(n=2), {"depth": 3}, ["a"], [1], {"more": 7, "other": 8},
    )  # fmt: skip


def test_every_kind_of_parameter() -> None:
    def work(a: int, /, b: int, flow: Flow, *, c: int, **others: Any) -> Any:
        return a, b, c, others

    flow = Flow({"a": 1, "b": 2, "c": 3, "d": 4, "flow": 5})
    assert call(work, flow) == (1, 2, 3, {"d": 4})


def test_absent_fields() -> None:
    def work(given: int = 7, listed: list[int] | None = None, maybe: int | None = None, *, loose=9) -> Any:  # type: ignore[no-untyped-def]
        return given, listed, maybe, loose

    assert call(work) == (7, None, None, 9)

    def optional(maybe: int | None, anything: None) -> Any:
        return maybe, anything

    assert call(optional) == (None, None)
    assert call(work, given=None, maybe=None) == (7, None, None, 9)


def test_a_needed_field_that_is_absent() -> None:
    def work(order_id: int) -> None: ...

    with pytest.raises(StateError, match="task 'the/task' needs the state field 'order_id', which is absent$"):
        call(work)
    with pytest.raises(StateError, match=r"absent; did you mean 'orderid'\?"):
        call(work, orderid=1, customer=2)
    with pytest.raises(StateError, match="'order_id'"):
        call(lambda order_id: None)


def test_an_item_that_is_none() -> None:
    def m(item: int) -> None: ...

    with pytest.raises(
        StateError, match=r"'item', and the item with the index 1 is None: `item: int \| None` takes it"
    ):
        call(m, item=None, itemIndex=1, itemCount=3)
    with pytest.raises(StateError, match="`item=None` takes it"):
        call(lambda item: None, item=None, itemIndex=1, itemCount=3)


def test_a_field_of_another_type() -> None:
    def work(n: int) -> None: ...

    with pytest.raises(StateError, match="task 'the/task': field 'n': expected int, got str 'x'"):
        call(work, n="x")


def test_a_default_is_not_used_for_a_wrong_type() -> None:
    def work(n: int = 5) -> None: ...

    with pytest.raises(StateError):
        call(work, n="x")


def test_methods_partials_objects_and_classes() -> None:
    class Worker:
        def __init__(self, n: int = 0) -> None:
            self.n = n

        def method(self, n: int) -> int:
            return n + 1

        @classmethod
        def of_class(cls, n: int) -> int:
            return n + 2

        @staticmethod
        def static(n: int) -> int:
            return n + 3

        def __call__(self, n: int, flow: Flow) -> int:
            return n + 4

    def work(a: int, n: int, scale: int = 1) -> int:
        return a + n * scale

    assert call(Worker().method, n=1.0) == 2
    assert call(Worker.of_class, n=1.0) == 3
    assert call(Worker.static, n=1) == 4
    assert call(Worker(), n=1.0) == 5
    assert call(Worker, n=6.0).n == 6
    assert call(functools.partial(work, 10), n=1.0) == 11
    assert call(functools.partial(work, 10, scale=3), n=2, scale=100) == 16
    assert call(functools.partial(Worker().method, n=5), n=1) == 6
    assert call(Point, x=1.0, y=2) == Point(1, 2)


def test_a_partials_bound_keywords_do_not_come_through_the_rest() -> None:
    def work(scale: int, **rest: Any) -> Any:
        return scale, rest

    assert call(functools.partial(work, scale=3), scale=100, n=1) == (3, {"n": 1})


def test_a_wrapping_decorator_shows_the_inner_signature() -> None:
    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    @logged
    def work(n: int, flow: Flow) -> Any:
        return n, type(flow)

    assert call(work, n=1.0) == (1, Flow)


def test_names_defined_after_the_function_and_in_enclosing_functions() -> None:
    @dataclass
    class Local:
        a: int

    def work(thing: Local, later: Later) -> Any:
        return thing, later, Local

    assert call(work, thing={"a": 1}, later={"b": 2})[:2] == (Local(1), Later(2))


@dataclass
class Later:
    b: int


def test_an_annotation_that_cannot_be_resolved() -> None:
    def work(n: OnlyForTypeCheckers) -> None: ...

    with pytest.raises(
        StateError, match="'OnlyForTypeCheckers' of parameter 'n' cannot be resolved.*name .* is not defined"
    ):
        call(work, n=1)


def test_the_return_annotation_does_not_matter() -> None:
    def work(n: int) -> OnlyForTypeCheckers:  # type: ignore[empty-body, return]
        ...

    assert call(work, n=1) is None


def test_each_call_sees_its_own_flow() -> None:
    def work(items: list[int]) -> Any:
        items.append(9)
        return items

    binding = Binding(work, "u")
    flow = Flow({"items": [1]})
    for _ in range(2):
        args, kwargs = binding.call_arguments(flow)
        assert work(*args, **kwargs) == [1, 9]
    assert dict(flow) == {"items": [1]}


def test_what_a_task_cannot_be() -> None:
    def star(*values: Any, flow: Flow) -> None: ...

    class Caller:
        def __call__(self, flow: Flow) -> Any:
            yield 1

    def produce(flow: Flow) -> Any:
        yield 1

    with pytest.raises(ConfigError, match=r"'u' takes \*values"):
        Binding(star, "u")
    for generator in (produce, Caller(), functools.partial(produce)):
        with pytest.raises(ConfigError, match="generator function"):
            Binding(generator, "u")
    with pytest.raises(ConfigError, match="cannot be read"):
        Binding(dict, "u")


def test_what_is_awaited() -> None:
    async def work(flow: Flow) -> None: ...

    class Caller:
        async def __call__(self, flow: Flow) -> None: ...

    for function in (work, functools.partial(work), Caller()):
        assert Binding(function, "u").is_async
    for plain in (lambda flow: None, Point, functools.partial(lambda flow: None)):
        assert not Binding(plain, "u").is_async


# ---------------------------------------------------------------- results


def stored(result: Any, **state: Any) -> Any:
    flow = Flow(state)
    Binding(lambda flow: None, "the/task").store_result(flow, result)
    return flow.changes


@pytest.mark.parametrize(
    ("result", "changes"),
    [
        (None, {}),
        ({}, {}),
        ({"a": 1, "b": None}, {"a": 1, "b": None}),
        (OrderedDict(a=1), {"a": 1}),
        (Point(1), {"x": 1, "y": 0}),
        (Model(n=1), {"n": 1, "note": None}),
        ({"n": 5}, {"n": 5}),
    ],
)
def test_what_a_task_may_return(result: Any, changes: dict[str, Any]) -> None:
    # also a value that is as before: with a reducer it counts again
    assert stored(result, n=5) == changes


@pytest.mark.parametrize(
    "result",
    [[1], (1, 2), 5, "done", True, {1}, b"x", object(), (n for n in ()), Point, Model, namedtuple("P", "a")(1)],
)
def test_a_task_returning_rubbish(result: Any) -> None:
    with pytest.raises(
        StateError, match=r"task 'the/task' returned a value of type \w+; a task may return None, a mapping"
    ):
        stored(result)


def test_a_result_that_cannot_be_kept() -> None:
    for result in ({"bad": object()}, {5: 1}, {"": 1}):
        with pytest.raises(StateError, match="the result of task 'the/task': "):
            stored(result)


def test_the_flow_itself_as_the_result() -> None:
    flow = Flow({"n": 1})
    Binding(lambda flow: flow, "u").store_result(flow, flow)
    assert flow._raw_changes == {}
