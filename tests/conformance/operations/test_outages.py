"""A database that goes away, refuses, stalls or is slow: no flow is failed by it. Scenarios 17 to 23, 62 and 63."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine, FlowHandle, Timing
from dwarf.hosts import LocalHost
from dwarf.storage.sql.script import Fetch, Row, Script, Statement
from tests.support.invariants import check_invariants
from tests.support.roads import Road, road_to
from tests.support.servers import fresh_database, query, servers

WORKERS, FLOWS, LENGTH = 8, 40, 6
# the ladder is shorter than the outages; leases are over soon, so that what was lost is run again soon
SETTINGS: dict[str, Any] = {
    "workers": WORKERS,
    "time_budget": 4,
    "timing": Timing(retry_ladder=(0.05, 0.1), recovery=0.2, lease_margin=2, lease=1),
    "max_crashes": None,
}
PATIENCE_S = 60
OUTAGE_S = 1.0  # longer than the ladder

# outages take their time, and a machine that is busy besides makes them longer than the leases: not for every commit
pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


class Work:
    """Chains of steps of a few milliseconds each, whose executions are counted."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.host = LocalHost()
        self._moved = asyncio.Condition()
        names = [f"N{number}" for number in range(LENGTH)]
        self.graph = Graph("chain").add_chain(*names, END)
        for name in names:
            self.host.add_task(name, self._step)

    async def _step(self, flow: Flow) -> None:
        async with self._moved:
            self.runs[flow.step_key] += 1
            self._moved.notify_all()
        await asyncio.sleep(0.01)
        flow["n"] = flow.get("n", 0) + 1

    async def until(self, runs: int) -> None:
        """Wait until so many steps have begun."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.runs.total() >= runs)

    async def goes_on_after(self, engine: Engine, trouble: Callable[[], Awaitable[None]]) -> None:
        """Run flows, have the trouble in the middle of them: all complete, and little is run twice."""
        handles = await engine.create_many(self.graph, [{}] * FLOWS)
        await self.until(FLOWS)
        await trouble()
        await self.all_complete(handles)
        await check_invariants(engine)

    async def all_complete(self, handles: list[FlowHandle]) -> None:
        """Each flow has completed; only what was in flight may have run twice, and counts once."""
        outcomes = await asyncio.gather(*(handle.outcome(timeout=PATIENCE_S) for handle in handles))
        assert Counter(outcome.status for outcome in outcomes) == {Status.COMPLETED: FLOWS}
        assert {outcome.state["n"] for outcome in outcomes} == {LENGTH}
        assert len(self.runs) == FLOWS * LENGTH
        again = [count - 1 for count in self.runs.values() if count > 1]
        assert sum(again) <= 4 * WORKERS


@pytest.fixture
async def work() -> AsyncIterator[Work]:
    made = Work()
    yield made
    made.host.close()


@pytest.fixture(params=servers())
async def way(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Road, str, str]]:
    """A road, the URL over it, and the kind of server at its end."""
    with fresh_database(request.param) as url:
        async with road_to(url.format(shard=1)) as (road, through):
            yield road, through, request.param


async def test_o19_down_for_longer_than_a_write_is_tried(way: tuple[Road, str, str], work: Work) -> None:
    road, url, _ = way

    async def down() -> None:
        await road.close()
        await asyncio.sleep(OUTAGE_S)
        road.open()

    async with Engine(work.host, url, **SETTINGS) as engine:
        await work.goes_on_after(engine, down)
    assert road.refused > 0


async def test_o20_new_connections_are_refused(way: tuple[Road, str, str], work: Work) -> None:
    road, url, _ = way

    async def refusing() -> None:
        road.closed = True  # to those who come; who is under way goes on
        await asyncio.sleep(OUTAGE_S)
        road.open()

    async with Engine(work.host, url, **SETTINGS) as engine:
        await work.goes_on_after(engine, refusing)


async def test_o22_one_replica_is_cut_off_and_its_peer_goes_on(way: tuple[Road, str, str], work: Work) -> None:
    road, url, _ = way
    direct = make_url(url).set(host=road.target[0], port=road.target[1]).render_as_string(hide_password=False)
    async with Engine(work.host, url, **SETTINGS) as cut_off, Engine(work.host, direct, **SETTINGS) as peer:
        handles = await peer.create_many(work.graph, [{}] * FLOWS)
        await work.until(FLOWS)
        await road.close()
        await work.all_complete(handles)  # by the peer, while the other one is blind
        await check_invariants(peer)
        road.open()
        assert (await cut_off.run(work.graph, timeout=PATIENCE_S)).status is Status.COMPLETED


async def test_o23_bytes_stall_and_go_on(way: tuple[Road, str, str], work: Work) -> None:
    road, url, _ = way

    async def stalled() -> None:
        road.stall()
        await asyncio.sleep(7)  # longer than the leases
        road.resume()

    async with Engine(work.host, url, **SETTINGS) as engine:
        await work.goes_on_after(engine, stalled)


# ------------------------------------------------------------------ a PostgreSQL of the test's own


class Server:
    """A PostgreSQL that a test may restart."""

    def __init__(self, folder: Path) -> None:
        (binaries,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        self._binaries, self._data = binaries, folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        password = secrets.token_hex(8)
        (folder / "password").write_text(password)
        self.url = f"postgresql://dwarf:{password}@127.0.0.1:{self._port}/postgres"
        if os.getuid() == 0:
            folder.chmod(0o777)  # the server's own user makes its files there
        self._as("initdb", "-D", self._data, "-U", "dwarf", f"--pwfile={folder / 'password'}", "-A", "scram-sha-256",
                 "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip

    def _as(self, program: str, *arguments: Any) -> None:
        who = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        command = [*who, f"{self._binaries}/{program}", *map(str, arguments)]
        done = subprocess.run(command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout.decode()

    def control(self, action: str, *more: str) -> None:
        """Start, stop or restart it, and wait until that is done."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._data} -c fsync=off"
        log = self._data / "log.txt"
        self._as("pg_ctl", "-D", self._data, "-l", log, "-w", "-s", "-o", options, action, *more)


@pytest.fixture
def server() -> Iterator[Server]:
    if "postgresql" not in servers():
        pytest.skip("needs PostgreSQL")
    # not in the folder of the tests, which other users may not enter
    with tempfile.TemporaryDirectory(prefix="dwarf-server-") as folder:
        made = Server(Path(folder))
        made.control("start")
        yield made
        made.control("stop", "-m", "immediate")


@pytest.mark.server
@pytest.mark.parametrize("mode", ["fast", "immediate"])  # immediate: as a crash, with recovery at the start
async def test_o17_o18_the_server_is_restarted_under_load(server: Server, work: Work, mode: str) -> None:
    async def restart() -> None:
        await asyncio.to_thread(server.control, "restart", "-m", mode)

    async with Engine(work.host, server.url, **SETTINGS) as engine:
        await work.goes_on_after(engine, restart)


@pytest.mark.server
async def test_o21_the_server_only_reads_for_a_while(server: Server, work: Work) -> None:
    async def read_only() -> None:
        end = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dwarf' AND pid <> pg_backend_pid()"
        )
        for setting in ("on", "off"):
            change = f"ALTER ROLE dwarf SET default_transaction_read_only = {setting}"
            commands = ("BEGIN", "SET TRANSACTION READ WRITE", change, "COMMIT", end)
            await asyncio.to_thread(query, "postgresql", *commands, url=server.url)
            if setting == "on":
                await asyncio.sleep(OUTAGE_S)

    async with Engine(work.host, server.url, **SETTINGS) as engine:
        await work.goes_on_after(engine, read_only)


# ------------------------------------------------------------------ slow, and very much to do


SLOW = {"postgresql": "SELECT pg_sleep(0.5)", "mariadb": "SELECT SLEEP(0.5)"}


async def test_o62_slow_reads_do_not_hold_up_outcomes(way: tuple[Road, str, str], work: Work) -> None:
    _, url, kind = way
    slow = Statement("slow", text(SLOW[kind]))

    def read() -> Script[list[Row]]:
        return (yield Fetch(slow, {}))

    async with Engine(work.host, url, **{**SETTINGS, "max_connections": 3, "time_budget": 60}) as engine:
        database = engine._runtimes[1].database
        reading = [asyncio.create_task(database.read(read)) for _ in range(40)]
        outcome = await engine.run(work.graph, timeout=PATIENCE_S)
        assert outcome.status is Status.COMPLETED
        assert sum(not task.done() for task in reading) > 20
        await asyncio.gather(*reading)
    assert set(work.runs.values()) == {1}


@pytest.mark.parametrize(
    ("flows", "keys"),
    [pytest.param(1_000, 100, id="short"), pytest.param(100_000, 10_000, id="long", marks=pytest.mark.soak)],
)
async def test_o63_what_is_urgent_overtakes_a_backlog(host: LocalHost, running: Any, flows: int, keys: int) -> None:
    order: list[str] = []
    gate = asyncio.Event()

    @host.task
    async def Task(flow: Flow) -> None:
        order.append(flow.key)
        await gate.wait()

    graph = Graph("g").add_transition("Task", END)
    async with running(workers=0) as front:
        for key in range(keys):
            await front.create_many(graph, [{}] * (flows // keys), fairness_key=f"k{key}")
        async with running(workers=2) as engine:
            while len(order) < 2:
                await asyncio.sleep(0.01)
            urgent = await front.create(graph, priority=1)
            gate.set()
            assert (await urgent.outcome(timeout=PATIENCE_S)).status is Status.COMPLETED
            assert order.index(urgent.key) <= 2 + 2 * 2  # two cycles of two workers
            await engine.aclose(grace=10)
