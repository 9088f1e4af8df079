"""LocalHost: registering, finding and running tasks."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from dwarf.errors import ConfigError, GraphNotFound, Parked, StateError, TaskNotFound
from dwarf.hosts import Host, LocalHost
from dwarf.workflow.flow import Flow
from dwarf.workflow.graph import Graph, Limit
from dwarf.workflow.signals import Answer, Interrupt, RetrySignal, control_of
from dwarf.workflow.tasks import mark_of, task


async def run(function: Callable[..., Any], flow: Flow | None = None) -> Flow:
    host = LocalHost()
    host.add_task("t", function)
    flow = flow if flow is not None else Flow()
    await host.execute_task("t", flow)
    return flow


def returning(work: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function that returns the awaitable."""

    @functools.wraps(work)
    def plain(*args: Any, **kwargs: Any) -> Any:
        return work(*args, **kwargs)

    return plain


def test_it_is_a_host() -> None:
    assert isinstance(LocalHost(), Host)
    assert repr(LocalHost()) == "<LocalHost: 0 graphs, 0 tasks>"


@pytest.mark.parametrize("max_threads", [0, -1, 1.5, True, "4"])
def test_a_wrong_number_of_threads(max_threads: Any) -> None:
    with pytest.raises(ConfigError, match="max_threads"):
        LocalHost(max_threads=max_threads)


# ---------------------------------------------------------------- registering


def test_the_task_decorator_registers_and_returns_the_function() -> None:
    host = LocalHost()

    @host.task
    def charge(flow: Flow) -> None: ...

    @host.task(url="billing/refund", limit=Limit(concurrency=1))
    async def refund(flow: Flow) -> None: ...

    assert dict(host.functions) == {mark_of(charge).url: charge, "billing/refund": refund}
    assert mark_of(refund).limit == Limit(concurrency=1)


def test_add_task_takes_any_callable() -> None:
    host = LocalHost()
    host.add_task("a", lambda flow: None)
    host.add_task("b", functools.partial(dict.get, {}))
    assert set(host.functions) == {"a", "b"}


def test_what_cannot_be_registered() -> None:
    host = LocalHost()
    wrong: Any = 5
    with pytest.raises(ConfigError, match="must be a function"):
        host.add_task("a", wrong)
    with pytest.raises(ConfigError, match="URL"):
        host.add_task("", lambda: None)
    with pytest.raises(ConfigError, match="generator"):
        host.add_task("a", lambda: (yield))
    with pytest.raises(ConfigError, match="needs a Graph"):
        host.add_graph(wrong)
    with pytest.raises(ConfigError, match="URL"):
        host.add_graph(Graph(""))
    assert not host.functions
    assert not host.graphs


async def test_graphs_are_found_by_name_or_url() -> None:
    host = LocalHost()
    graph = Graph("order").add_node("A")
    host.add_graph(graph)
    host.add_graph(graph, url="other/place")
    assert await host.load_graph("order", {}) is graph
    assert await host.load_graph("other/place", {"user": "ada"}) is graph
    again = Graph("order").add_node("B")
    host.add_graph(again)
    assert await host.load_graph("order", {}) is again


async def test_a_graph_that_is_not_there() -> None:
    host = LocalHost()
    with pytest.raises(GraphNotFound, match="no graph 'order'; register it with host.add_graph"):
        await host.load_graph("order", {})
    host.add_graph(Graph("orders").add_node("A"))
    with pytest.raises(GraphNotFound, match=r"no graph 'Order'; did you mean 'orders'\?"):
        await host.load_graph("Order", {})


async def test_functions_on_a_graph_are_registered() -> None:
    @task(url="billing/charge")
    def charge(flow: Flow) -> dict[str, int]:
        return {"charged": 1}

    host = LocalHost()
    graph = (
        Graph("g").add_node("Charge", charge).add_node("Late", lambda flow: {"late": 1}).add_node("Elsewhere", "x/y")
    )
    host.add_graph(graph)
    assert set(host.functions) == {"billing/charge", f"{__name__}.g.Late"}
    flow = Flow()
    await host.execute_task("billing/charge", flow)
    assert flow.changes == {"charged": 1}


async def test_functions_put_on_a_registered_graph_later_are_found() -> None:
    host = LocalHost()
    graph = Graph("g").add_node("A", lambda flow: {"a": 1})
    host.add_graph(graph)
    host.add_task(graph.url_of("A"), lambda flow: {"a": 2})
    graph.add_node("B", lambda flow: {"b": 1})
    await host.load_graph("g", {})
    flow = Flow()
    await host.execute_task(graph.url_of("A"), flow)
    await host.execute_task(graph.url_of("B"), flow)
    assert flow.changes == {"a": 2, "b": 1}


async def test_a_task_that_is_not_there() -> None:
    host = LocalHost()
    with pytest.raises(TaskNotFound, match=r"no task 'charge'; register it with host.add_task"):
        await host.execute_task("charge", Flow())
    host.add_task("charge_card", lambda: None)
    with pytest.raises(TaskNotFound, match=r"did you mean 'charge_card'\?"):
        await host.execute_task("charge_cart", Flow())


async def test_registering_again_replaces_also_while_it_runs() -> None:
    host = LocalHost()
    started, go_on = asyncio.Event(), asyncio.Event()

    @host.task(url="t")
    async def first(flow: Flow) -> dict[str, str]:
        started.set()
        await go_on.wait()
        return {"by": "first"}

    old, new = Flow(), Flow()
    running = asyncio.create_task(host.execute_task("t", old))
    await started.wait()

    @host.task(url="t")
    def second(flow: Flow) -> dict[str, str]:
        return {"by": "second"}

    await host.execute_task("t", new)
    go_on.set()
    await running
    assert (old["by"], new["by"]) == ("first", "second")


# ---------------------------------------------------------------- running


async def test_coroutine_functions_run_on_the_loop_and_others_in_threads() -> None:
    threads: dict[str, str] = {}

    async def on_loop(flow: Flow) -> None:
        threads["loop"] = threading.current_thread().name

    def blocking(flow: Flow) -> None:
        threads["thread"] = threading.current_thread().name

    await run(on_loop)
    await run(blocking)
    assert threads == {"loop": threading.current_thread().name, "thread": "dwarf-task-1"}


@pytest.mark.parametrize("kind", ["sync", "async", "returns an awaitable"])
async def test_writes_and_results_reach_the_flow(kind: str) -> None:
    async def work(flow: Flow, n: int) -> dict[str, int]:
        flow["seen"] = n
        flow.goto("Next")
        flow.delay(1)
        return {"twice": 2 * n}

    def blocking(flow: Flow, n: int) -> dict[str, int]:
        flow["seen"] = n
        flow.goto("Next")
        flow.delay(1)
        return {"twice": 2 * n}

    function = {"sync": blocking, "async": work, "returns an awaitable": returning(work)}[kind]
    flow = await run(function, Flow({"n": 4}))
    assert flow.changes == {"seen": 4, "twice": 8}
    assert (control_of(flow).goto, control_of(flow).delay_ms) == ("Next", 1000)


@pytest.mark.parametrize("kind", ["sync", "async", "returns an awaitable"])
async def test_parked_comes_out_and_the_writes_are_kept(kind: str) -> None:
    def blocking(flow: Flow) -> None:
        flow["before"] = 1
        flow.interrupt("Q")

    async def work(flow: Flow) -> None:
        blocking(flow)

    function = {"sync": blocking, "async": work, "returns an awaitable": returning(work)}[kind]
    flow = Flow()
    with pytest.raises(Parked):
        await run(function, flow)
    assert flow.changes == {"before": 1}
    assert control_of(flow).park == Interrupt({"title": "Q"})


@pytest.mark.parametrize("sync", [True, False])
async def test_a_swallowed_park_still_parks(sync: bool) -> None:
    def blocking(flow: Flow) -> None:
        try:
            flow.retry(delay=1)
        except BaseException:
            flow["after"] = 1

    async def work(flow: Flow) -> None:
        blocking(flow)

    flow = await run(blocking if sync else work)
    assert control_of(flow).park == RetrySignal(1000)
    assert flow.changes == {"after": 1}


@pytest.mark.parametrize("sync", [True, False])
async def test_answers_reach_the_task(sync: bool) -> None:
    def blocking(flow: Flow) -> dict[str, Any]:
        return {"answers": [flow.interrupt("A"), flow.subgraph("B")]}

    async def work(flow: Flow) -> dict[str, Any]:
        return blocking(flow)

    flow = Flow(answers=[Answer("interrupt", "yes"), Answer("subgraph", {"r": 1})])
    await run(blocking if sync else work, flow)
    assert flow["answers"] == ["yes", {"r": 1}]


class Own(BaseException):
    pass


ERRORS = [
    ValueError("bad"),
    KeyboardInterrupt("stop"),
    SystemExit(3),
    GeneratorExit("gone"),
    StopAsyncIteration("end"),
    Own("own"),
    BaseExceptionGroup("several", [ValueError("a"), KeyboardInterrupt("b")]),
    ExceptionGroup("several", [ValueError("a"), ValueError("b")]),
    BaseExceptionGroup("mixed", [Parked("p"), ValueError("a")]),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("kind", ["sync", "async", "returns an awaitable"])
async def test_what_a_task_raises_is_raised(error: BaseException, kind: str) -> None:
    def blocking(flow: Flow) -> None:
        flow["written"] = 1
        raise error

    async def work(flow: Flow) -> None:
        blocking(flow)

    function = {"sync": blocking, "async": work, "returns an awaitable": returning(work)}[kind]
    flow = Flow()
    caught: BaseException | None = None
    try:
        await run(function, flow)
    except BaseException as raised:
        caught = raised
    assert caught is error
    if kind != "async":
        assert "written" not in flow


@pytest.mark.parametrize("text", ["exhausted", ""])
async def test_stop_iteration_becomes_a_runtime_error(text: str) -> None:
    def blocking(flow: Flow) -> None:
        raise StopIteration(text) if text else StopIteration

    with pytest.raises(RuntimeError, match=f"task 't' raised StopIteration(: {text})?$") as raised:
        await run(blocking)
    assert isinstance(raised.value.__cause__, StopIteration)


@pytest.mark.parametrize("sync", [True, False])
async def test_a_task_that_cancels_itself_has_failed(sync: bool) -> None:
    def blocking(flow: Flow) -> None:
        raise asyncio.CancelledError("inner")

    async def work(flow: Flow) -> None:
        inner = asyncio.create_task(asyncio.Event().wait())
        inner.cancel("inner")
        await inner

    with pytest.raises(RuntimeError, match="task 't' raised CancelledError"):
        await run(blocking if sync else work)


async def test_the_traceback_of_a_thread_is_kept() -> None:
    def fails_here(flow: Flow) -> None:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad") as raised:
        await run(fails_here)
    assert "fails_here" in [frame.name for frame in raised.traceback]


@pytest.mark.parametrize("sync", [True, False])
async def test_a_task_returning_rubbish(sync: bool) -> None:
    async def work(flow: Flow) -> list[int]:
        return [1]

    with pytest.raises(StateError, match="task 't' returned a value of type list"):
        await run((lambda flow: [1]) if sync else work)


async def test_an_awaitable_that_yields_an_awaitable_is_rubbish() -> None:
    async def inner() -> None: ...

    coroutine = inner()

    async def work(flow: Flow) -> Any:
        return coroutine

    with pytest.raises(StateError, match="returned an awaitable"):
        await run(work)
    coroutine.close()


# ---------------------------------------------------------------- exception groups


@pytest.mark.parametrize("sync", [True, False])
async def test_a_group_of_parks_is_one_park(sync: bool) -> None:
    def blocking(flow: Flow) -> None:
        flow["before"] = 1
        try:
            flow.interrupt("Q")
        except Parked as parked:
            inner = BaseExceptionGroup("inner", [parked, Parked("second")])
            raise BaseExceptionGroup("outer", [inner]) from None

    async def work(flow: Flow) -> None:
        blocking(flow)

    flow = Flow()
    with pytest.raises(Parked):
        await run(blocking if sync else work, flow)
    assert flow.changes == {"before": 1}
    assert control_of(flow).park == Interrupt({"title": "Q"})


async def test_parked_out_of_a_task_group() -> None:
    async def ask(flow: Flow) -> None:
        flow.interrupt("Q")

    async def work(flow: Flow) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(ask(flow))
            group.create_task(ask(flow))

    flow = Flow()
    with pytest.raises(Parked):
        await run(work, flow)
    assert control_of(flow).park == Interrupt({"title": "Q"})


# ---------------------------------------------------------------- context and progress


async def test_context_variables_are_carried() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    variable.set("outer")

    def blocking(flow: Flow) -> dict[str, str]:
        before = variable.get()
        variable.set("inner")
        return {"seen": before}

    flow = await run(blocking)
    assert flow["seen"] == "outer"
    assert variable.get() == "outer"


@pytest.mark.parametrize("sync", [True, False])
async def test_progress_is_reported_on_the_loop(sync: bool) -> None:
    seen: list[tuple[Any, ...]] = []

    def receive(*report: Any) -> None:
        seen.append((*report, threading.current_thread() is threading.main_thread()))

    def blocking(flow: Flow) -> None:
        flow.progress(1, 2, "half")

    async def work(flow: Flow) -> None:
        blocking(flow)

    await run(blocking if sync else work, Flow(on_progress=receive))
    assert seen == [(1.0, 2.0, "half", True)]


async def test_a_flood_of_progress_is_thinned_to_the_latest() -> None:
    seen: list[float] = []

    def blocking(flow: Flow) -> None:
        for done in range(100_000):
            flow.progress(done)

    await run(blocking, Flow(on_progress=lambda done, total, message: seen.append(done)))
    assert seen[-1] == 99_999
    assert seen == sorted(seen)
    assert len(seen) < 100_000


async def test_a_receiver_that_fails_does_not_fail_a_task_in_a_thread() -> None:
    def receive(*report: Any) -> None:
        raise RuntimeError("the view is gone")

    flow = await run(lambda flow: flow.progress(1), Flow(on_progress=receive))
    assert flow._raw_changes == {}
