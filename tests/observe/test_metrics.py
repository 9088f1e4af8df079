"""Every instrument of the table is used, says what the table says, and means it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status, failpoints
from dwarf.engine import Timing
from dwarf.engine.shard import dispatcher
from dwarf.engine.telemetry.events import Telemetry
from dwarf.hosts import LocalHost
from dwarf.observe.instruments import INSTRUMENTS
from dwarf.observe.memory import Recorder
from dwarf.observe.metrics import metrics_of
from dwarf.storage.operations.claim import Claimed, claim_due
from dwarf.storage.sql.errors import PayloadRefused, Unavailable
from dwarf.storage.sql.script import Script
from tests.observe.tools import (
    by_hand,
    chain,
    correlation,
    measured,
    nothing,
    on_one_file,
    private_logger,
    replica_of,
    series,
    until,
    value,
)
from tests.support.workflows import Gate, Running


async def test_flows_and_steps_are_counted_by_what_became_of_them(running: Running, recorder: Recorder) -> None:
    async def broken(flow: Flow) -> None:
        raise ValueError("no")

    async def flaky(flow: Flow) -> None:
        if not flow.attempt:
            flow.retry()

    inner = chain("Inner", Deep=nothing)

    async def call(flow: Flow) -> None:
        flow.subgraph(inner, {})

    async def ask(flow: Flow) -> None:
        flow.interrupt()

    routed = Graph("Routed").add_node("Broken", broken).add_node("Mend", nothing)
    routed.add_error_handler("Broken", "Mend").add_chain("Mend", END)
    async with running(**measured(recorder)) as engine:
        await engine.run(chain("Flaky", Flaky=flaky, After=nothing))
        await engine.run(chain("Outer", Call=call))
        await engine.run(chain("Broken", Broken=broken))
        await engine.run(routed)
        flow = await engine.create(chain("Ask", Ask=ask))
        await flow
        await flow.cancel()
    assert value(recorder, "flows_started", "Flaky", "1") == 1
    assert value(recorder, "flows_started", "Inner", "1") == 1
    assert {labels[:2]: row.value for labels, row in series(recorder, "flows_terminated").items()} == {
        ("Flaky", "completed"): 1,
        ("Outer", "completed"): 1,
        ("Inner", "completed"): 1,
        ("Broken", "failed"): 1,
        ("Routed", "completed"): 1,
        ("Ask", "cancelled"): 1,
    }
    executed = {labels[:2]: row.value for labels, row in series(recorder, "steps_executed").items()}
    assert executed == {
        ("Flaky", "retried"): 1,
        ("Flaky", "completed"): 1,
        ("After", "completed"): 1,
        ("Call", "subgraph"): 1,
        ("Call", "completed"): 1,
        ("Deep", "completed"): 1,
        ("Broken", "failed"): 1,
        ("Broken", "error_routed"): 1,
        ("Mend", "completed"): 1,
        ("Ask", "interrupted"): 1,
    }
    claimed, handed = value(recorder, "steps_claimed", "1"), value(recorder, "steps_handed_over", "1")
    assert claimed + handed == sum(executed.values())
    assert handed >= 3
    assert value(recorder, "task_duration_seconds", "Flaky") == 2
    assert value(recorder, "lease_remaining_seconds") == sum(executed.values())
    assert 100 < series(recorder, "lease_remaining_seconds")[()].value <= 150
    assert value(recorder, "db_phase_seconds", "exit") == sum(executed.values())
    assert value(recorder, "db_phase_seconds", "enter") >= 1
    groups = series(recorder, "commit_group_size")[("1",)]
    assert groups.count == value(recorder, "commit_duration_seconds", "1")
    assert groups.count is not None
    assert groups.value * groups.count >= sum(executed.values())


async def test_a_fork_counts_as_started(running: Running, recorder: Recorder) -> None:
    async with running(**measured(recorder)) as engine:
        flow = await engine.create(chain("Chain", First=nothing, Second=nothing))
        await flow
        await (await engine.fork((await flow.history())[1]))
        await (await flow.continue_with())
    assert value(recorder, "flows_started", "Chain", "1") == 3
    assert value(recorder, "flows_terminated", "Chain", "completed", "1") == 3


async def test_flows_that_are_imported_count_as_started_unless_they_have_ended(
    running: Running, recorder: Recorder
) -> None:
    async def ask(flow: Flow) -> None:
        flow.interrupt("well?")

    logger, lines = private_logger()
    async with running(logger=logger, **measured(recorder)) as engine:
        done, waits = await engine.create(chain("Done", One=nothing)), await engine.create(chain("Waits", Ask=ask))
        await done
        await waits
        exported = [line async for line in engine.export_flows(done.key, waits.key)]
        lines.records.clear()
        _, moved = await engine.import_flows(exported)
        said = [record.getMessage() for record in lines.records]
        await moved.resume(1)
        await moved
    assert f"flow {correlation(moved.key)} is interrupted" in said
    assert len([line for line in said if line.startswith("flow")]) == 1
    assert value(recorder, "flows_started", "Waits", "1") == 2
    assert value(recorder, "flows_started", "Done", "1") == 1
    assert value(recorder, "flows_terminated", "Waits", "completed", "1") == 1


async def test_payload_is_counted_in_both_directions(running: Running, recorder: Recorder) -> None:
    async def write(flow: Flow) -> None:
        flow["big"] = "x" * 1000

    async def ask(flow: Flow) -> None:
        flow.interrupt({"title": "y" * 500})
        flow.interrupt({})

    async with running(**measured(recorder)) as engine:
        flow = await engine.create(chain("Write", Write=write, Ask=ask), {"pad": "z" * 300})
        await flow
        for _ in range(2):  # the second answer is given to a step that has the first one
            await flow.resume("w" * 200)
            await flow
    for key, column, least, most in (
        ("state_write_bytes", "state", 300, 2500),
        ("state_write_bytes", "changes", 1000, 2500),
        ("state_write_bytes", "interrupt", 500, 700),
        ("state_read_bytes", "state", 1300, 5000),
        ("state_read_bytes", "answers", 700, 1000),
    ):
        assert least <= value(recorder, key, "Write", column) <= most, (key, column)


async def test_a_result_that_comes_too_late_is_counted(running: Running, recorder: Recorder) -> None:
    gate = Gate()

    async def slow(flow: Flow) -> None:
        await gate.wait()

    async with running(**measured(recorder)) as engine:
        flow = await engine.create(chain("Slow", Slow=slow))
        await gate.reached()
        await flow.cancel()
        gate.open()
    assert value(recorder, "steps_fenced", "Slow", "1") == 1
    assert series(recorder, "steps_executed") == {}
    assert value(recorder, "lease_remaining_seconds") == 0


async def test_steps_taken_back_are_counted_by_the_reason(running: Running, recorder: Recorder) -> None:
    gate, runs = Gate(), []

    async def slow(flow: Flow) -> None:
        runs.append(flow.attempt)
        if len(runs) < 3:
            await gate.wait()

    async with running(**measured(recorder)) as engine:
        flow = await engine.create(chain("Slow", Slow=slow))
        await gate.reached()
        await by_hand(engine, "UPDATE dwarf_steps SET lease_expires = 1")
        await replica_of(engine).maintenance._recover()
        await gate.reached(2)
        await by_hand(engine, "UPDATE dwarf_steps SET engine_id = 999")
        await replica_of(engine).maintenance.take_back({999})
        assert (await flow).status is Status.COMPLETED
        gate.open()
    assert value(recorder, "steps_recovered", "lease_expired") == 1
    assert value(recorder, "steps_recovered", "owner_gone") == 1
    assert value(recorder, "steps_fenced", "Slow", "1") == 2


async def test_a_step_that_kills_its_process_is_counted(running: Running, recorder: Recorder, host: LocalHost) -> None:
    host.add_graph(chain("Deadly", Deadly=nothing))
    async with running(workers=0) as creator:
        flow = await creator.create("Deadly")
        await by_hand(creator, "UPDATE dwarf_steps SET crashes = 3")
        async with running(max_crashes=3, **measured(recorder)) as engine:
            assert (await engine.flow(flow.key)).status is Status.FAILED
    assert value(recorder, "steps_poisoned", "Deadly") == 1


async def test_writes_that_need_several_tries_are_counted(
    running: Running, recorder: Recorder, armed: failpoints.Failpoints
) -> None:
    armed.fault("commit:complete", lambda: Unavailable("away"), times=2)
    armed.fault("beforeRecovery", lambda: Unavailable("away"))
    async with running(timing=Timing(retry_ladder=(0, 0, 0), recovery=0.01), **measured(recorder)) as engine:
        await engine.run(chain("Chain", Only=nothing))
        await armed.seen("recoveryDone")
    assert value(recorder, "steps_write_retried", "1") == 2
    assert value(recorder, "db_errors", "1", "unavailable") == 3


async def test_an_outcome_that_is_refused_is_counted(
    running: Running, recorder: Recorder, armed: failpoints.Failpoints
) -> None:
    armed.fault("commit:complete", lambda: PayloadRefused("too big"), times=2)  # for its group, and for itself
    async with running(**measured(recorder)) as engine:
        outcome = await engine.run(chain("Chain", Only=nothing))
    assert outcome.status is Status.FAILED
    assert value(recorder, "steps_write_failed", "Only") == 1
    assert value(recorder, "steps_executed", "Only", "failed", "1") == 1
    assert value(recorder, "steps_executed", "Only", "completed", "1") == 0
    assert value(recorder, "db_errors", "1", "payload") >= 1


async def test_an_outcome_that_is_given_up_is_counted(
    running: Running, recorder: Recorder, armed: failpoints.Failpoints
) -> None:
    armed.fault("commit:complete", lambda: Unavailable("away"), times=10_000)
    timing = Timing(retry_ladder=(), lease_margin=0.05, lease=0.25)
    async with running(timing=timing, time_budget=0.05, **measured(recorder)) as engine:
        flow = await engine.create(chain("Chain", Only=nothing))
        await until(lambda: value(recorder, "steps_write_abandoned", "Only"))
        armed.release_all()
        await flow
    assert value(recorder, "db_errors", "1", "unavailable") >= 1


async def test_a_claim_that_comes_too_late_is_counted(
    running: Running, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losing(*arguments: Any, **named: Any) -> Script[Claimed]:
        claimed = yield from claim_due(*arguments, **named)
        return replace(claimed, lost=2)

    monkeypatch.setattr(dispatcher, "claim_due", losing)
    async with running(**measured(recorder)):
        await until(lambda: value(recorder, "steps_claim_lost", "1"))
    assert value(recorder, "steps_claim_lost", "1") % 2 == 0


async def test_two_programs_in_each_others_way_are_counted(tmp_path: Path, recorder: Recorder) -> None:
    import sqlite3

    async with on_one_file(tmp_path, recorder) as (one, _):
        other = sqlite3.connect(tmp_path / "flows.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        creating = asyncio.create_task(one.create(chain("Chain", Only=nothing)))
        await until(lambda: replica_of(one).database.contentions > 2)
        other.execute("ROLLBACK")
        other.close()
        await creating
        assert one._gauges is not None
        await one._gauges.refresh()
        assert value(recorder, "db_errors", "1", "contention") > 2


def test_the_same_provider_has_the_same_metrics() -> None:
    recorder = Recorder()
    assert metrics_of(recorder.meter_provider) is metrics_of(recorder.meter_provider)
    assert metrics_of(recorder.meter_provider).active
    telemetry = Telemetry(None, recorder.meter_provider, recorder.tracer_provider)
    assert not telemetry.metrics.active
    telemetry.open()
    assert telemetry.metrics is metrics_of(recorder.meter_provider)
    recorder.close()


def test_every_instrument_is_looked_at_in_a_test() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [instrument.key for instrument in INSTRUMENTS if f'"{instrument.key}"' not in pages] == []
