"""What a gauge shows: from memory when it is asked for, from the databases now and then."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from dwarf import Flow, Status, failpoints
from dwarf.engine.shard import watchdog
from dwarf.hosts import LocalHost
from dwarf.observe.memory import Recorder
from dwarf.storage.sql.errors import Unavailable
from dwarf.workflow.scopes import url_of
from tests.observe.tools import by_hand, chain, measured, nothing, on_one_file, replica_of, series, until, value
from tests.support.workflows import Gate, Running


async def test_the_lag_of_the_loop_is_measured_while_tasks_run(
    running: Running, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "BEAT_S", 0.005)
    gate = Gate()

    async def slow(flow: Flow) -> None:
        await gate.wait()

    async with running(**measured(recorder)) as engine:
        assert value(recorder, "event_loop_lag_seconds") == 0
        flow = await engine.create(chain("Slow", Slow=slow))
        await until(lambda: value(recorder, "event_loop_lag_seconds") >= 3)
        gate.open()
        await flow
    assert 0 <= series(recorder, "event_loop_lag_seconds")[()].value < 5


async def test_what_runs_now_is_shown_by_kind_and_name(running: Running, recorder: Recorder) -> None:
    gate, held = Gate(), threading.Event()

    async def on_the_loop(flow: Flow) -> None:
        await gate.wait()

    def in_a_thread(flow: Flow) -> None:
        held.wait(60)

    async with running(**measured(recorder)) as engine:
        flows = [await engine.create(chain("Loop", Loop=on_the_loop)) for _ in range(3)]
        flows += [await engine.create(chain("Thread", Thread=in_a_thread)) for _ in range(2)]
        await until(lambda: value(recorder, "tasks_in_flight", "sync") == 2)
        await gate.reached(3)
        assert value(recorder, "tasks_in_flight", "async") == 3
        assert value(recorder, "task_concurrency_running", url_of(on_the_loop)) == 3
        assert value(recorder, "task_concurrency_running", url_of(in_a_thread)) == 2
        gate.open()
        held.set()
        for flow in flows:
            await flow
        assert value(recorder, "tasks_in_flight", "async") == value(recorder, "tasks_in_flight", "sync") == 0
        assert series(recorder, "task_concurrency_running") == {}
        assert value(recorder, "sync_threads_overrun") == 0


async def test_a_thread_over_its_time_is_shown_until_it_ends(
    running: Running, recorder: Recorder, host: LocalHost
) -> None:
    held = threading.Event()

    def hangs(flow: Flow) -> None:
        held.wait(60)

    async with running(**measured(recorder)) as engine, running(**measured(recorder)):
        outcome = await engine.run(chain("Hangs", Hangs=hangs), time_budget=0.02)
        assert outcome.status is Status.FAILED
        assert value(recorder, "sync_threads_overrun") == 1  # the engines share the host
        held.set()
        await until(lambda: value(recorder, "sync_threads_overrun") == 0)
        assert host.overrun_threads == 0


async def test_other_engines_are_counted_where_they_register(running: Running, recorder: Recorder) -> None:
    async with running(**measured(recorder)) as engine:
        runtime = engine._runtimes[1]
        if not runtime.database.registers:
            assert series(recorder, "peer_replicas") == series(recorder, "peer_blind_seconds") == {}
            return
        assert value(recorder, "peer_replicas", "1") == 1
        async with running():
            await runtime.membership.beat()
            assert value(recorder, "peer_replicas", "1") == 2
        await runtime.membership.beat()
        assert value(recorder, "peer_replicas", "1") == 1
        assert value(recorder, "peer_changes", "1") == 2
        assert 0 <= value(recorder, "peer_blind_seconds", "1") < 60


async def test_what_waits_is_shown_by_priority(running: Running, recorder: Recorder, host: LocalHost) -> None:
    host.add_graph(chain("Chain", Only=nothing))
    async with running(workers=0, **measured(recorder)) as engine:
        census = engine._gauges
        assert census is not None
        for number in range(6):
            await engine.create("Chain", priority=1 + number % 2, fairness_key=f"tenant {number % 3}")
        await by_hand(
            engine, "UPDATE dwarf_steps SET updated_at = updated_at - 60000, not_before = 0 WHERE priority = 1"
        )
        await census.refresh()
        assert {labels: row.value for labels, row in series(recorder, "steps_pending").items()} == {
            ("1",): 3,
            ("2",): 3,
        }
        assert value(recorder, "steps_fairness_keys", "1") == 3
        assert 60 <= value(recorder, "steps_oldest_pending_age_seconds", "1") < 70
        assert value(recorder, "steps_oldest_pending_age_seconds", "2") < 10
        await by_hand(engine, "UPDATE dwarf_steps SET not_before = 9000000000000, asleep = 1 WHERE priority = 1")
        await census.refresh()
        assert value(recorder, "steps_pending", "1") == 0
        assert ("1",) in series(recorder, "steps_pending")
        assert value(recorder, "steps_pending", "2") == 3
    assert series(recorder, "steps_pending") == {}


async def test_the_queue_of_the_committer_is_shown(
    running: Running, recorder: Recorder, armed: failpoints.Failpoints
) -> None:
    held = armed.checkpoint("beforeCommit")
    async with running(**measured(recorder)) as engine:
        first = asyncio.create_task(engine.create(chain("Chain", Only=nothing)))
        await held.arrived()
        second = asyncio.create_task(engine.create(chain("Chain", Only=nothing)))
        await until(lambda: value(recorder, "commit_queue_depth", "1") == 1)
        held.release()
        await asyncio.gather(first, second)
        await until(lambda: value(recorder, "commit_queue_depth", "1") == 0)


async def test_the_connections_of_a_server_are_shown(
    running: Running, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(**measured(recorder)) as engine:
        counts = {"busy": 3, "idle": 2, "waiting": 7}
        found = {state for _, state in series(recorder, "db_connections")}
        assert found == (set(counts) if hasattr(replica_of(engine).database, "connections") else set())
        monkeypatch.setattr(type(replica_of(engine).database), "connections", counts, raising=False)
        for state, count in counts.items():
            assert value(recorder, "db_connections", "1", state) == count


async def test_engines_that_share_a_provider_add_up(tmp_path: Path, recorder: Recorder) -> None:
    gate = Gate()

    async def slow(flow: Flow) -> None:
        await gate.wait()

    async with on_one_file(tmp_path, recorder) as (one, two):
        flows = [await engine.create(chain("Slow", Slow=slow)) for engine in (one, two)]
        await gate.reached(2)
        assert value(recorder, "tasks_in_flight", "async") == 2
        gate.open()
        for flow in flows:
            await flow
        assert value(recorder, "flows_started", "Slow", "1") == 2


async def test_a_shard_that_does_not_answer_is_left_out(
    running: Running, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(workers=0, **measured(recorder)) as engine:
        await engine.create(chain("Chain", Only=nothing))
        census = engine._gauges
        assert census is not None
        await census.refresh()

        async def away(script: Any) -> Any:
            raise Unavailable("away")

        with monkeypatch.context() as patch:
            patch.setattr(replica_of(engine).database, "read", away)
            await census.refresh()
        assert value(recorder, "db_errors", "1", "unavailable") == 1
