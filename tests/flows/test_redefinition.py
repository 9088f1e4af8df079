"""Tasks and graphs that are defined anew while flows wait: what happens in a notebook all day."""

from __future__ import annotations

from dwarf import END, Flow, Graph
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.support.workflows import Running, install, names


async def test_the_next_step_finds_the_new_function(engine: Engine, host: LocalHost) -> None:
    async def wait(flow: Flow) -> None:
        flow.interrupt()

    install(host, Graph("g").add_chain("Ask", "After", END), Ask=wait)

    @host.task(url="After")
    async def old(flow: Flow) -> None:
        flow["version"] = "old"

    flow = await engine.create("g")
    await flow

    @host.task(url="After")
    def new(flow: Flow) -> None:  # a sync function now
        flow["version"] = "new"

    await flow.resume()
    assert (await flow).state == {"version": "new"}


async def test_the_task_that_waits_is_replayed_with_its_new_body(engine: Engine, host: LocalHost) -> None:
    @host.task(url="Ask")
    async def Ask(flow: Flow) -> None:
        flow["answer"] = ["old", flow.interrupt()]

    host.add_graph(Graph("g").add_transition("Ask", END))
    flow = await engine.create("g")
    await flow

    @host.task(url="Ask")
    async def better(flow: Flow) -> None:
        flow["answer"] = ["new", flow.interrupt()]

    await flow.resume(1)
    assert (await flow).state == {"answer": ["new", 1]}


async def test_a_flow_keeps_the_graph_it_was_created_with(engine: Engine, host: LocalHost) -> None:
    async def wait(flow: Flow) -> None:
        flow.interrupt()

    install(host, Graph("g").add_chain("Ask", "Old", END), Ask=wait)
    flow = await engine.create("g")
    await flow
    install(host, Graph("g").add_chain("Ask", "New", END))
    await flow.resume()
    await flow
    assert names(await flow.history()) == ["Ask", "Old"]
    assert [node.name for node in (await flow.graph()).nodes] == ["Ask", "Old"]
    later = await engine.create("g")
    assert [node.name for node in (await later.graph()).nodes] == ["Ask", "New"]


async def test_a_graph_object_that_is_changed_is_frozen_anew(engine: Engine, host: LocalHost) -> None:
    graph = install(host, Graph("g").add_transition("A", END))
    install(host, Graph("names-of-the-tasks").add_chain("A", "B", END))
    first = await engine.create(graph)
    await first
    graph.add_error_handler("A", "B").add_transition("B", END)
    second = await engine.create(graph)
    await second
    assert [node.name for node in (await first.graph()).nodes] == ["A"]
    assert [node.name for node in (await second.graph()).nodes] == ["A", "B"]


async def test_a_restarted_engine_goes_on_with_new_functions(running: Running, host: LocalHost) -> None:
    async def wait(flow: Flow) -> None:
        flow["answer"] = flow.interrupt({"title": "before the restart"})

    install(host, Graph("g").add_chain("Ask", "After", END), Ask=wait)
    async with running(workers=0):  # keeps a database in memory alive
        async with running() as engine:
            flow = await engine.create("g")
            await flow
        other = LocalHost()

        @other.task(url="Ask")
        async def Ask(flow: Flow) -> None:
            flow["answer"] = "new: " + flow.interrupt({"title": "before the restart"})

        @other.task(url="After")
        async def After(flow: Flow) -> None:
            flow["after"] = True

        async with running(host=other) as engine:
            again = engine.flow(flow.key)
            assert (await again).interrupt_payload == {"title": "before the restart"}
            await again.resume("hello")
            assert (await again).state == {"answer": "new: hello", "after": True}
        other.close()


async def test_each_step_tells_which_code_ran_and_exports_keep_it(engine: Engine) -> None:
    def first() -> dict[str, int]:
        return {"n": 1}

    graph = Graph("coded").add_node("A", first).add_node("B", lambda n: {"n": n + 1}).add_chain("A", "B", END)
    flow = await engine.create(graph)
    await flow.outcome(timeout=60)
    a, b = await flow.history()
    assert a.url.endswith("first")
    assert len(a.code) == len(b.code) == 32
    assert a.code != b.code
    again = await engine.create(graph)
    await again.outcome(timeout=60)
    assert [step.code for step in await again.history()] == [a.code, b.code]
    (copy,) = await engine.import_flows([line async for line in engine.export_flows(flow.key)])
    assert [(step.url, step.code) for step in await copy.history()] == [(a.url, a.code), (b.url, b.code)]
    fork = await engine.fork(b, {"n": 5})
    await fork.outcome(timeout=60)
    assert [step.code for step in await fork.history()] == [a.code, b.code]


async def test_code_that_is_put_into_the_old_function_runs_as_itself(engine: Engine) -> None:
    """As %autoreload does it: parameters and digest are those of the code that runs."""

    def take(a: int, b: int) -> dict[str, int]:
        return {"left": a - b}

    def again(b: int, a: int) -> dict[str, int]:
        return {"left": 10 * (a - b)}

    graph = Graph("reloaded").add_node("A", take).add_transition("A", END)
    first = await engine.create(graph, {"a": 5, "b": 1})
    assert (await first.outcome(timeout=60)).state["left"] == 4
    take.__code__ = again.__code__
    second = await engine.create(graph, {"a": 5, "b": 1})
    assert (await second.outcome(timeout=60)).state["left"] == 40
    assert (await first.history())[0].code != (await second.history())[0].code
