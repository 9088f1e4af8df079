"""Measuring is switched on while an engine runs."""

from __future__ import annotations

import pytest

from dwarf import Flow
from dwarf.engine import Engine
from dwarf.errors import ConfigError
from dwarf.hosts import LocalHost
from dwarf.observe.memory import Recorder
from tests.observe.tools import chain, correlation, measured, nothing, tree, value
from tests.support.workflows import Gate, Running


async def test_what_begins_afterwards_is_measured(running: Running, recorder: Recorder) -> None:
    async with running() as engine:
        before = await engine.create(chain("Chain", First=nothing))
        await before
        await engine.measure(**measured(recorder))
        after = await engine.create(chain("Chain", First=nothing))
        await after
        assert value(recorder, "tasks_in_flight", "async") == 0
    assert recorder.flow(correlation(before.key)) == []
    assert tree(recorder.flow(correlation(after.key))) == [["workflow", "First"]]
    assert value(recorder, "steps_executed", "First", "completed", "1") == 1


async def test_an_attempt_under_way_goes_on_unseen_and_the_next_is_seen(running: Running, recorder: Recorder) -> None:
    gate = Gate()

    async def slow(flow: Flow) -> None:
        await gate.wait()

    async with running() as engine:
        flow = await engine.create(chain("Chain", Slow=slow, Next=nothing))
        await gate.reached(1)
        await engine.measure(**measured(recorder))
        gate.open()
        assert (await flow).status == "completed"
    assert "Slow" not in [span.name for span in recorder.spans()]
    assert value(recorder, "flows_terminated", "Chain", "completed", "1") == 1


async def test_one_provider_is_replaced_and_the_other_stays(running: Running, recorder: Recorder) -> None:
    other = Recorder()
    async with running(**measured(other)) as engine:
        await engine.measure(tracer_provider=recorder.tracer_provider)
        await engine.run(chain("Chain", First=nothing))
    assert len(recorder.spans()) == 2
    assert other.spans() == []
    assert value(other, "flows_started", "Chain", "1") == 1
    assert value(recorder, "flows_started", "Chain", "1") == 0
    other.close()


async def test_before_the_start_it_is_a_setting(host: LocalHost, recorder: Recorder) -> None:
    engine = Engine(host)
    await engine.measure(**measured(recorder))
    async with engine:
        await engine.run(chain("Chain", First=nothing))
    assert len(recorder.spans()) == 2


async def test_what_is_no_provider_is_refused(running: Running) -> None:
    async with running() as engine:
        with pytest.raises(ConfigError, match="meter_provider has no method get_meter"):
            await engine.measure(meter_provider=object())
        with pytest.raises(ConfigError, match="tracer_provider"):
            await engine.measure(tracer_provider=object())


def test_a_recorder_that_is_closed_keeps_what_it_has_seen() -> None:
    recorder = Recorder(limit=2)
    tracer = recorder.tracer_provider.get_tracer("test")
    assert not recorder.full
    for name in "abc":
        tracer.start_span(name).end()
    assert recorder.full
    recorder.close()
    recorder.close()
    assert [span.name for span in recorder.spans()] == ["b", "c"]
    assert recorder.metrics() == []
