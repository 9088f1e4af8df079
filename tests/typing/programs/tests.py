"""A test file of a user."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

from dwarf import Flow, Graph, Outcome
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.testing import HostCheck, ScriptedAnswers, VirtualClock, check_host, engine_for_test, host_tasks


async def test_two_weeks(graph: Graph) -> None:
    clock = VirtualClock()
    engine = engine_for_test("two weeks", LocalHost(), clock=clock, strict=True, workers=4)
    assert_type(engine, Engine)
    async with engine:
        flow = await engine.create(graph)
        clock.advance(timedelta(days=14))
        assert_type(await ScriptedAnswers({"Ask": True, "*": "default"}).drive(flow), Outcome)
    assert_type(await check_host(LocalHost()), HostCheck)
    host_tasks()
    assert Flow({"n": 1}) == {"n": 1}
