"""Restarts, leases, faults of the database, lifecycle and state references: scenarios 120 to 131."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Limit, Status, task
from dwarf.engine import Engine, FlowHandle, Shard, Timing
from dwarf.errors import ConfigError, EngineClosed, InvalidRequest, StateConflict, StorageError
from dwarf.failpoints import Failpoints
from dwarf.hosts import LocalHost
from dwarf.storage.sql.errors import Contention, PayloadRefused, Unavailable
from dwarf.testing import VirtualClock
from tests.conformance.engine.tools import Gate, doctor, flow_count, nodes, nothing, query, scalar, step_at, until

QUICK = Timing(retry_ladder=(0.01, 0.01, 0.01), recovery=0.05)
IDLE = Timing(retry_ladder=(0.01,), recovery=3600)


def counting(host: LocalHost, runs: Counter[str], *names: str) -> None:
    """Tasks that do nothing and are counted."""
    for name in names:

        async def work(flow: Flow, name: str = name) -> None:
            runs[name] += 1

        host.add_task(name, work)


@pytest.mark.parametrize("database", ["file"], indirect=True)
async def test_e120_restart_with_flows_in_every_state(host: LocalHost, running: Any) -> None:
    runs: Counter[str] = Counter()
    clock = VirtualClock(auto=False)

    @host.task(url="Sleep")
    async def Sleep(flow: Flow) -> None:
        runs["Sleep"] += 1
        flow.delay(3600)

    @host.task(url="Call")
    async def Call(flow: Flow) -> None:
        flow.subgraph("sleeping")
        runs["Call"] += 1

    @host.task(url="Ask")
    async def Ask(flow: Flow) -> None:
        flow["answer"] = flow.interrupt("x")
        runs["Ask"] += 1

    counting(host, runs, "Work")
    sleeping = Graph("sleeping").add_chain("Sleep", "Work", END)
    host.add_graph(sleeping)
    keys: dict[str, str] = {}
    async with running(clock=clock) as first:
        for name, graph in (
            ("sleeping", sleeping),
            ("parked", Graph("parked").add_transition("Call", END)),
            ("interrupted", Graph("interrupted").add_transition("Ask", END)),
        ):
            keys[name] = (await first.create(graph)).key
        await until(first.flow(keys["sleeping"]), lambda steps: len(steps) == 2)
        await until(first.flow(keys["parked"]), lambda steps: any(len(step.sub_steps) == 2 for step in steps))
        await first.flow(keys["interrupted"])
    async with running(clock=clock, workers=0) as idle:
        keys["pending"] = (await idle.create(Graph("pending").add_transition("Work", END))).key
    async with running(clock=clock) as second:
        assert (await second.flow(keys["pending"])).status is Status.COMPLETED
        for name in ("sleeping", "parked"):
            assert (await second.flow(keys[name]).snapshot()).status is Status.RUNNING
        outcome = await second.flow(keys["interrupted"]).snapshot()
        assert outcome.interrupt_payload == {"title": "x"}
        await second.flow(keys["interrupted"]).resume(1)
        clock.advance(3601)
        for key in keys.values():
            assert (await second.flow(key).outcome(timeout=60)).status is Status.COMPLETED
    assert runs == {"Sleep": 2, "Call": 1, "Ask": 1, "Work": 3}


@pytest.mark.parametrize("error", [Contention, Unavailable, StorageError])
async def test_e121_passing_fault_of_the_database_is_not_seen(
    host: LocalHost, running: Any, failpoints: Failpoints, error: type[Exception]
) -> None:
    runs: Counter[str] = Counter()
    counting(host, runs, "A", "B")
    for kind in ("advance", "complete"):
        failpoints.fault(f"commit:{kind}", lambda: error("injected"), times=2)
    async with running(timing=QUICK) as engine:
        handle: FlowHandle = await engine.create(Graph("g").add_chain("A", "B", END))
        assert (await handle.outcome(timeout=60)).status is Status.COMPLETED
        assert await nodes(handle) == ["A", "B"]
    assert runs == {"A": 1, "B": 1}


@pytest.mark.parametrize("error", [PayloadRefused, StorageError, ZeroDivisionError])
async def test_e121_outcome_that_cannot_be_kept_fails_its_step(
    host: LocalHost, running: Any, failpoints: Failpoints, error: type[Exception]
) -> None:
    runs: Counter[str] = Counter()
    counting(host, runs, "A", "Bystander")
    failpoints.fault("commit:complete", lambda: error("the driver said no"), times=100)  # alone and in any group
    async with running(timing=QUICK) as engine:
        handle: FlowHandle = await engine.create(Graph("g").add_transition("A", END))
        outcome = await handle.outcome(timeout=60)
        assert outcome.status is Status.FAILED
        assert "the driver said no" in outcome.error
        assert (await step_at(handle, "A")).status is Status.FAILED
        failpoints.release_all()
        assert (await engine.run(Graph("other").add_transition("Bystander", END))).status is Status.COMPLETED
    assert runs == {"A": 1, "Bystander": 1}


async def test_e121_outage_fails_nothing_and_a_drain_gives_the_step_back(
    host: LocalHost, running: Any, failpoints: Failpoints
) -> None:
    runs: Counter[str] = Counter()
    counting(host, runs, "A")
    failpoints.fault("commit:A", lambda: Unavailable("injected"), times=1000)
    async with running(workers=0) as other:
        async with running(timing=Timing(retry_ladder=(0.2, 0.2, 0.2))) as engine:
            handle: FlowHandle = await engine.create(Graph("g").add_transition("A", END))
            await failpoints.seen("commit:A", 3)
            assert (await handle.snapshot()).status is Status.RUNNING
            async with asyncio.timeout(60):
                await engine.aclose()
        assert await query(other, "SELECT status, attempt, crashes FROM dwarf_steps") == [("pending", 0, 0)]
    assert runs == {"A": 1}


async def test_e122_outcome_and_transition_are_one(host: LocalHost, running: Any, failpoints: Failpoints) -> None:
    """A completed step without its successor cannot be seen, so nothing is ever rewound from completed."""
    runs: Counter[str] = Counter()
    counting(host, runs, "A", "B")
    failpoints.fault("commit:advance", lambda: Contention("injected"), times=5)
    async with running(timing=IDLE) as engine, running(workers=0) as other:
        for failpoint, expected in (
            ("beforeCommit:advance", [("A", "running", 0)]),
            ("afterCommit:advance", [("A", "completed", 1), ("B", "running", 0)]),
        ):
            held = failpoints.checkpoint(failpoint)
            handle: FlowHandle = await engine.create(Graph("g").add_chain("A", "B", END))
            await held.arrived()
            rows = await query(
                other,
                "SELECT node, status, successor_id > 0 FROM dwarf_steps WHERE flow_id = :id ORDER BY step_id",
                id=int(handle.key.split("-")[1]),
            )
            assert rows == expected
            held.release()
            assert (await handle).status is Status.COMPLETED
            assert await nodes(handle) == ["A", "B"]
    assert runs == {"A": 2, "B": 2}


ZOMBIES = {
    "completion": "complete",
    "failure": "fail",
    "retry": "startover",
    "interrupt": "ask",
    "subgraph": "call",
    "arrival": "advance",
    "failed arrival": "fail",
}


@pytest.mark.parametrize("way", ["lease", "cancelled", "pending"])
@pytest.mark.parametrize("zombie", ZOMBIES)
async def test_e123_late_outcome_of_a_lost_step_is_ignored(
    host: LocalHost, running: Any, failpoints: Failpoints, zombie: str, way: str
) -> None:
    gate = Gate()
    runs: list[int] = []

    @host.task(url="Z")
    async def Z(flow: Flow) -> None:
        runs.append(flow.attempt)
        flow["by"] = len(runs)
        if len(runs) > 1:
            return
        await gate.pass_()
        match zombie:
            case "failure" | "failed arrival":
                raise RuntimeError("late failure")
            case "retry":
                flow.retry()
            case "interrupt":
                flow.interrupt("late")
            case "subgraph":
                flow.subgraph("child")

    for name in ("S", "J", "Child"):
        host.add_task(name, nothing)
    host.add_graph(Graph("child").add_transition("Child", END))
    if "arrival" in zombie:
        graph = Graph("g").add_for_each("S", "Z", items="items").add_chain("Z", "J", END).set_fan_in("J")
    else:
        graph = Graph("g").add_transition("Z", END)
    change = {
        "lease": "lease_seq = lease_seq + 1",
        "cancelled": "status = 'cancelled'",
        "pending": "status = 'pending', lease_expires = 0, not_before = 9000000000000, asleep = 1",
    }[way]
    async with running(timing=IDLE) as engine:
        handle: FlowHandle = await engine.create(graph, {"items": [1]})
        await gate.reached()
        await doctor(engine, f"UPDATE dwarf_steps SET {change} WHERE node = 'Z'")
        columns = "status, attempt, lease_seq, changes, error, parked, interrupt, successor_id"
        before = await query(engine, f"SELECT {columns} FROM dwarf_steps WHERE node = 'Z'")
        gate.open()
        await failpoints.seen(f"afterCommit:{ZOMBIES[zombie]}", 1)
        assert await query(engine, f"SELECT {columns} FROM dwarf_steps WHERE node = 'Z'") == before
        assert await scalar(engine, "SELECT SUM(cohort_arrivals + cohort_failures) FROM dwarf_steps") == 0
        assert await flow_count(engine) == 1
        assert (await handle.snapshot()).status is Status.RUNNING
        await doctor(
            engine,
            "UPDATE dwarf_steps SET status = 'pending', lease_expires = 0, not_before = 0, asleep = 0 WHERE node = 'Z'",
        )
        engine._context.wake_all()  # type: ignore[union-attr]
        outcome = await handle.outcome(timeout=60)
        assert outcome.status is Status.COMPLETED
        assert outcome.state["by"] == 2
    assert runs == [0, 0]


async def test_e124_expired_lease_is_run_again(host: LocalHost, running: Any, failpoints: Failpoints) -> None:
    gate = Gate()
    runs: list[int] = []

    @host.task(url="A")
    async def A(flow: Flow) -> None:
        runs.append(flow.attempt)
        flow["by"] = len(runs)
        if len(runs) == 1:
            await gate.pass_()

    async with running(timing=QUICK) as engine:
        handle: FlowHandle = await engine.create(Graph("g").add_transition("A", END))
        await gate.reached()
        await doctor(engine, "UPDATE dwarf_steps SET lease_expires = 1")
        outcome = await handle.outcome(timeout=60)
        assert outcome.state == {"by": 2}
        gate.open()
        await failpoints.seen("afterCommit:A", 2)
        (step,) = await handle.history()
        assert step.attempt == 0
        assert (await engine.step(step.key)).changes == {"by": 2}
        assert await query(engine, "SELECT crashes, lease_seq FROM dwarf_steps") == [(0, 2)]  # nobody is proven dead
    assert runs == [0, 0]


async def test_e124_peer_takes_an_expired_lease(host: LocalHost, running: Any) -> None:
    gate = Gate()
    ran_by: list[int] = []

    @host.task(url="A")
    async def A(flow: Flow) -> None:
        ran_by.append((await query(first, "SELECT engine_id FROM dwarf_steps"))[0][0])
        if len(ran_by) == 1:
            await gate.pass_()

    async with running(workers=1, timing=IDLE) as first:
        handle: FlowHandle = await first.create(Graph("g").add_transition("A", END))
        await gate.reached()
        async with running(timing=QUICK) as second:
            await doctor(second, "UPDATE dwarf_steps SET lease_expires = 1")
            assert (await second.flow(handle.key).outcome(timeout=60)).status is Status.COMPLETED
            assert (await handle.outcome(timeout=60)).status is Status.COMPLETED
            assert ran_by == [first._runtimes[1].engine_id, second._runtimes[1].engine_id]
        gate.open()


async def test_e127_lost_doorbell_only_delays_the_start(
    running: Any, failpoints: Failpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dwarf.engine.shard.dispatcher.LONGEST_WAIT_S", 0.1)

    @task(limit=Limit(concurrency=1))  # what has to keep to a limit is looked for
    async def Ask(flow: Flow) -> None:
        flow["answer"] = flow.interrupt("x")

    async with running() as engine:
        handle: FlowHandle = await engine.create(Graph("g").add_node("Ask", Ask).add_transition("Ask", END))
        await handle
        rung = failpoints.passed["dropDoorbell"]
        failpoints.lose("dropDoorbell")
        await handle.resume(1)
        assert failpoints.passed["dropDoorbell"] == rung + 1
        assert (await handle.outcome(timeout=60)).state == {"answer": 1}


async def test_e127_flow_of_an_idle_replica_is_found(host: LocalHost, running: Any) -> None:
    host.add_task("A", nothing)
    async with running(), running(workers=0) as idle:
        handle: FlowHandle = await idle.create(Graph("g").add_transition("A", END))
        assert (await handle.outcome(timeout=60)).status is Status.COMPLETED


@pytest.mark.parametrize(
    "setting",
    [
        {"workers": -1},
        {"workers": True},
        {"time_budget": 0},
        {"time_budget": -1},
        {"default_priority": 0},
        {"default_priority": 2**31},
        {"engine_id": 0},
        {"engine_id": 2**63},
        {"max_crashes": 0},
        {"durability": "none"},
        {"url": "sqlite://", "shards": [Shard(1, "sqlite://")]},
        {"shards": []},
        {"shards": [Shard(1, "sqlite://"), Shard(1, "sqlite:///file:x?mode=memory")]},
    ],
    ids=str,
)
def test_e129_bad_settings_are_refused_at_once(host: LocalHost, setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Engine(host, **setting)


async def test_e129_tuning_a_running_engine(host: LocalHost, engine: Engine) -> None:
    host.add_task("A", nothing)
    graph = Graph("g").add_transition("A", END)
    engine.tune(time_budget=7, default_priority=3, max_connections=2)
    for wrong in (
        {"time_budget": 0},
        {"time_budget": 0.0001},
        {"default_priority": 0},
        {"default_priority": -1},
        {"default_priority": 2**31},
        {"max_connections": 0},
        {"time_budget": 9, "default_priority": 0},
    ):
        with pytest.raises(InvalidRequest):
            engine.tune(**wrong)
    await engine.run(graph)
    assert await query(engine, "SELECT time_budget_ms, priority FROM dwarf_flows") == [(7000, 3)]


async def test_e130_operations_need_a_started_engine(host: LocalHost, running: Any, tmp_path: Any) -> None:
    host.add_task("A", nothing)
    graph = Graph("g").add_transition("A", END)
    engine = Engine(host, f"sqlite:///{tmp_path}/lifecycle.db")

    async def refused() -> None:
        handle = engine.flow("1-1-0123456789abcdef")
        calls = [
            engine.create(graph),
            engine.create_many(graph, [{}]),
            engine.run(graph),
            engine.step("1-1-0123456789abcdef"),
            handle.outcome(),
            handle.poll(timeout=1),
            handle.snapshot(),
            handle.fingerprint(),
            handle.interrupts(),
            handle.resume(),
            handle.cancel(),
            handle.history(),
            handle.graph(),
            handle.to_mermaid(),
            anext(handle.watch()),
        ]
        for call in calls:
            with pytest.raises(EngineClosed):
                await call

    await refused()
    await engine.aclose()
    await engine.start()
    with pytest.raises(StateConflict):
        await engine.start()
    handle = await engine.create(graph)
    assert (await handle).status is Status.COMPLETED
    await engine.aclose()
    await engine.aclose()
    await refused()
    async with engine:
        assert (await engine.flow(handle.key)).status is Status.COMPLETED
        assert (await engine.run(graph)).status is Status.COMPLETED


LARGE = "".join(chr(0x20 + number % 90) for number in range(40_000))


def large_graphs(host: LocalHost, seen: Counter[tuple[str, int]]) -> dict[str, Graph]:
    """Workflows that carry a large document through steps that do and do not touch it."""

    def task(name: str, **writes: Any) -> None:
        async def work(flow: Flow) -> None:
            assert flow.get("doc", LARGE) == LARGE
            seen[name, len(flow.get("doc", ""))] += 1
            flow.update({field: value(flow) if callable(value) else value for field, value in writes.items()})

        host.add_task(name, work)

    task("Anchor", doc=LARGE)
    for name in ("Split", "Inner", "Cell"):
        task(name)
    task("Page", out=lambda flow: [[flow["page"], len(flow["doc"])]])
    task("Collect", collected=lambda flow: len(flow["doc"]))
    task("Drop", doc=None)
    task("Rewrite", doc=LARGE)
    reducers = {"out": "append"}
    flat = Graph("flat", reducers=reducers).add_chain("Anchor", "Split").add_chain("Page", "Collect", END)
    flat.add_for_each("Split", "Page", items="pages", item="page").set_fan_in("Collect")
    deep = Graph("deep", reducers=reducers).add_chain("Anchor", "Split").add_chain("Page", "Inner", "Collect", END)
    deep.add_for_each("Split", "Cell", items="pages", item="cell")
    deep.add_for_each("Cell", "Page", items="pages", item="page").set_fan_in("Inner").set_fan_in("Collect")
    return {
        "flat": flat,
        "deep": deep,
        "dropped": Graph("dropped").add_chain("Anchor", "Split", "Drop", "Cell", END),
        "rewritten": Graph("rewritten").add_chain("Anchor", "Split", "Rewrite", "Cell", "Inner", END),
    }


@pytest.mark.parametrize("name", ["flat", "deep", "dropped", "rewritten"])
@pytest.mark.parametrize("pages", [0, 3])
async def test_e131_large_fields_are_carried_unseen(
    host: LocalHost, running: Any, monkeypatch: pytest.MonkeyPatch, name: str, pages: int
) -> None:
    states: list[dict[str, Any]] = []
    runs: list[Counter[tuple[str, int]]] = []
    sizes: list[int] = []
    for inline in (4096, 10**9):
        monkeypatch.setattr("dwarf.core.state_refs.INLINE_TOTAL", inline)
        seen: Counter[tuple[str, int]] = Counter()
        graph = large_graphs(host, seen)[name]
        async with running() as engine:
            for state in ({"pages": list(range(pages))}, {"pages": list(range(pages)), "doc": LARGE}):
                handle: FlowHandle = await engine.create(graph, state)
                states.append(dict((await handle).state))
                (first, *_, last) = await handle.history()
                assert (await engine.step(last.key)).state.get("doc", LARGE) == LARGE  # type: ignore[union-attr]
            runs.append(seen)
            root = int(handle.key.split("-")[1])
            sizes.append(await scalar(engine, "SELECT SUM(LENGTH(state)) FROM dwarf_steps WHERE flow_id = :f", f=root))
    assert states[:2] == states[2:]
    assert runs[0] == runs[1]
    assert sizes[0] < sizes[1], "nothing was kept by reference"
    if name != "dropped":
        assert {size for (task, size) in runs[0] if task != "Anchor"} == {40_000}
        assert all(state["doc"] == LARGE for state in states)
    else:
        assert all("doc" not in state for state in states)
