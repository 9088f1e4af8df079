"""Hints between engines by way of the host: what they bring, and that nothing depends on them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from dwarf import END, EngineClosed, Flow, Graph, InvalidRequest, Status
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from tests.support.workflows import Gate, Running


class Carrier(LocalHost):
    """A host that hands hints to other engines."""

    def __init__(self) -> None:
        super().__init__()
        self.peers: list[Engine] = []
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.copies = 1

    async def signal_peers(self, op: str, payload: bytes) -> None:
        self.sent.append((op, json.loads(payload)))
        for peer in self.peers:
            for _ in range(self.copies):
                await peer.deliver_signal(op, payload)


@pytest.fixture
def carriers() -> Iterator[tuple[Carrier, Carrier]]:
    one, two = Carrier(), Carrier()
    yield one, two
    one.close()
    two.close()


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Nobody looks at the database by himself, nor hears of it. Looks are counted."""
    looks: Counter[str] = Counter()
    for name in ("QUICKEST_LOOK_S", "SLOWEST_LOOK_S"):
        monkeypatch.setattr(f"dwarf.engine.shard.polling.{name}", 3600.0)
    monkeypatch.setattr("dwarf.engine.shard.maintenance.ORPHANED_LEASES_S", 3600.0)
    monkeypatch.setattr("dwarf.engine.shard.dispatcher.LONGEST_WAIT_S", 3600.0)
    for module in ("dwarf.storage.drivers.memory", "dwarf.storage.drivers.sqlite", "dwarf.storage.drivers.server"):
        for kind in ("MemoryDatabase", "SqliteDatabase", "ServerDatabase"):
            database = getattr(__import__(module, fromlist=["x"]), kind, None)
            if database is not None and database.__module__ == module:
                changed = database.changed

                async def counted(self: Any, changed: Any = changed) -> Any:
                    looks["changed"] += 1
                    return await changed(self)

                monkeypatch.setattr(database, "changed", counted)
    return looks


def mute(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the database tells by itself is not told."""
    monkeypatch.setattr(engine._runtimes[1].database, "notify", lambda work_due, stopped: None)


async def test_work_and_stops_are_told_without_anybody_looking(
    running: Running,
    carriers: tuple[Carrier, Carrier],
    blind: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    front_host, back_host = carriers
    gate = Gate()

    async def hold(flow: Flow) -> None:
        await gate.wait()
        flow["done"] = True

    graph = Graph("held").add_node("Hold", hold).add_transition("Hold", END)
    async with running(host=front_host, workers=0) as front, running(host=back_host) as back:
        front_host.peers, back_host.peers = [back], [front]
        for engine in (front, back):
            mute(engine, monkeypatch)
        back_host.add_graph(graph)
        await asyncio.sleep(0.2)  # the first looks of both are over
        database: Any = front._runtimes[1].database
        polls: Counter[str] = Counter()
        flow = await front.create(graph)
        database.observer = lambda name, rows: polls.update([name])
        waiting = asyncio.create_task(flow.outcome(timeout=60))
        await gate.reached()  # the work was told of
        gate.open()
        outcome = await waiting
        database.observer = None
        assert outcome.status is Status.COMPLETED
        assert outcome.state == {"done": True}
    assert blind["changed"] == 0
    assert polls["flow_statuses"] == 0
    ((op, payload),) = front_host.sent
    assert (op, payload["Shard"]) == ("enqueue", 1)
    assert payload["StepID"] > 0
    assert ("statusChange", {"FlowKey": flow.key, "Status": "completed"}) in back_host.sent


async def test_hints_may_be_doubled_late_and_made_up(
    running: Running, carriers: tuple[Carrier, Carrier], caplog: pytest.LogCaptureFixture
) -> None:
    front_host, back_host = carriers
    front_host.copies = back_host.copies = 3
    ran: Counter[str] = Counter()

    async def note(flow: Flow) -> None:
        ran[flow.step_key] += 1

    graph = Graph("note").add_node("Note", note).add_node("Again", note).add_chain("Note", "Again", END)
    async with running(host=front_host, workers=0) as front, running(host=back_host) as back:
        front_host.peers, back_host.peers = [back, front], [front, back]
        back_host.add_graph(graph)
        flows = await front.create_many(graph, [{}] * 20)
        for flow in flows:
            for op, payload in (
                ("statusChange", {"FlowKey": flow.key, "Status": "failed"}),
                ("statusChange", {"FlowKey": "1-999999-nobody", "Status": "completed"}),
                ("statusChange", {"FlowKey": "77-1-nobody", "Status": "completed"}),
                ("enqueue", {"Shard": 1, "StepID": 12345}),
                ("enqueue", {"Shard": 77, "StepID": 1}),
            ):
                await front.deliver_signal(op, json.dumps(payload).encode())
        outcomes = await asyncio.gather(*flows)
    assert {outcome.status for outcome in outcomes} == {Status.COMPLETED}
    assert set(ran.values()) == {1}
    assert len(ran) == 40


@pytest.mark.parametrize(
    ("op", "payload"),
    [
        ("gossip", b"{}"),
        ("enqueue", b"not json"),
        ("enqueue", b"[1]"),
        ("enqueue", b'{"Shard": "one"}'),
        ("enqueue", b"\xff"),
        ("statusChange", b"{}"),
        ("statusChange", b'{"FlowKey": "nonsense", "Status": "completed"}'),
    ],
)
async def test_what_cannot_be_understood_is_refused(host: LocalHost, op: str, payload: bytes) -> None:
    async with Engine(host) as engine:
        with pytest.raises(InvalidRequest):
            await engine.deliver_signal(op, payload)
    with pytest.raises(EngineClosed):
        await engine.deliver_signal("enqueue", b'{"Shard": 1, "StepID": 1}')


async def test_a_host_that_fails_to_carry_is_no_fault_of_a_flow(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(LocalHost):
        async def signal_peers(self, op: str, payload: bytes) -> None:
            raise RuntimeError("no network")

    host = Broken()
    try:
        with caplog.at_level(logging.WARNING):
            async with Engine(host) as engine:
                graph = Graph("idle").add_node("Idle", _idle).add_transition("Idle", END)
                assert (await engine.run(graph)).status is Status.COMPLETED
        assert "could not tell other replicas: RuntimeError" in caplog.text
    finally:
        host.close()


async def _idle(flow: Flow) -> None:
    pass
