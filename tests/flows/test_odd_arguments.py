"""Whatever a caller gives for a name, a key or a number: done, or an error of dwarf.errors, and never another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dwarf import END, Flow, Graph
from dwarf.engine import Engine, Timing
from dwarf.errors import ConfigError, DwarfError, InvalidRequest, StorageError
from dwarf.hosts import LocalHost
from tests.support.workflows import Running

ODD: list[Any] = ["\ud800", "a\0b", "x" * 10_000_000, 5, None, b"x", [], {}, 1.5, object(), 10**400, float("nan")]


async def nothing(flow: Flow) -> None:
    pass


def calls(engine: Engine, graph: Graph, flow_key: str, step: Any) -> dict[str, Callable[[Any], Awaitable[Any]]]:
    flow = engine.flow(flow_key)

    async def listed(**filters: Any) -> None:
        async for _ in engine.flows(**filters):
            return

    async def exported(key: Any) -> None:
        async for _ in engine.export_flows(key):
            return

    async def paged(cursor: Any) -> None:
        async for _ in engine.flows().pages(10, cursor):
            return

    async def handle(key: Any) -> None:
        engine.flow(key)

    def by(filter_name: str) -> Callable[[Any], Awaitable[Any]]:
        return lambda odd: listed(**{filter_name: odd})

    filters = (
        "status workflow_url workflow_name thread node fairness_key priority older_than search shard limit".split()
    )
    return {
        "idempotency key": lambda odd: engine.create(graph, idempotency_key=odd),
        "states": lambda odd: engine.create_many(graph, odd),
        "idempotency keys": lambda odd: engine.create_many(graph, [{}], idempotency_keys=[odd]),
        "workflow": lambda odd: engine.create(odd),
        "thread": lambda odd: engine.create(graph, thread=odd),
        "fairness key": lambda odd: engine.create(graph, fairness_key=odd),
        "fairness weight": lambda odd: engine.create(graph, fairness_weight=odd),
        "priority": lambda odd: engine.create(graph, priority=odd),
        "time budget": lambda odd: engine.create(graph, time_budget=odd),
        "state": lambda odd: engine.create(graph, odd),
        "field": lambda odd: engine.create(graph, {odd if isinstance(odd, str) else 5: 1}),
        "value": lambda odd: engine.create(graph, {"x": {"y": odd}}),
        "baggage": lambda odd: engine.create(graph, baggage={"x": odd}),
        "schedule": lambda odd: engine.schedule(odd, graph, every=3600),
        "cron": lambda odd: engine.schedule("s", graph, cron=odd),
        "timezone": lambda odd: engine.schedule("s", graph, cron="0 6 * * *", timezone=odd),
        "reason": lambda odd: flow.cancel(odd),
        "flow": handle,
        "step": lambda odd: engine.step(odd),
        "fork": lambda odd: engine.fork(odd),
        "changes": lambda odd: engine.fork(step, odd),
        "answer": lambda odd: flow.resume(odd),
        "answered step": lambda odd: flow.resume(1, step=odd),
        "time-out": lambda odd: flow.outcome(timeout=odd),
        "next state": lambda odd: flow.continue_with(odd),
        "signal": lambda odd: engine.deliver_signal(odd, b"{}"),
        "payload of a signal": lambda odd: engine.deliver_signal("enqueue", odd),
        "lines": lambda odd: engine.import_flows([odd]),
        "export": exported,
        "cursor": paged,
        **{f"filter {name}": by(name) for name in filters},
    }


async def test_only_errors_of_this_package_are_raised(running: Running) -> None:
    graph = Graph("G").add_node("N", nothing).add_transition("N", END)
    async with running() as engine:
        flow = await engine.create(graph)
        await flow.outcome(timeout=60)
        (step,) = await flow.history()
        wrong: list[str] = []
        for name, call in calls(engine, graph, flow.key, step).items():
            for odd in [*ODD, b"[" * 100_000] if "signal" in name else ODD:
                try:
                    await call(odd)
                except DwarfError:
                    pass
                except Exception as error:
                    wrong.append(f"{name}, {odd!r:.40}: {type(error).__name__}: {error!s:.80}")
        assert not wrong


@pytest.mark.parametrize(
    "settings",
    [
        {"shards": [5]},
        {"shards": 5},
        {"shards": "x"},
        {"url": "sqlite:///\0"},
        {"url": "sqlite:///\ud800"},
        {"url": "postgresql://h:99999/x"},
        {"url": 5},
        {"url": ""},
        {"capture_output": "yes"},
        {"timing": 5},
        {"workers": 2**70},
        {"max_connections": 2**70},
        {"max_crashes": 2**70},
        {"max_depth": 2**70},
        {"time_budget": 10**400},
    ],
    ids=repr,
)
def test_settings_that_cannot_be_are_refused_when_the_engine_is_made(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Engine(LocalHost(), **settings)
    assert Timing()


async def test_a_database_that_was_tampered_with_is_an_error_of_storage(running: Running) -> None:
    from sqlalchemy import text

    from dwarf.storage.sql.script import Execute, Statement

    graph = Graph("G").add_node("N", nothing).add_transition("N", END)
    async with running(workers=0) as engine:
        flow = await engine.create(graph)
        database = engine._runtimes[1].database
        odd = Statement("odd", text("UPDATE dwarf_flows SET status = 'odd'"))
        await database.write(lambda: (yield Execute(odd, {})))
        with pytest.raises(StorageError, match="status 'odd'"):
            await flow.snapshot()
        right = Statement("right", text("UPDATE dwarf_flows SET status = 'running'"))
        await database.write(lambda: (yield Execute(right, {})))
        with pytest.raises(InvalidRequest, match="reason"):
            await flow.cancel("\ud800")
