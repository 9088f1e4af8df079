"""Several engines and several shards: scenarios 125, 126, 128 and 132."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Outcome, Status
from dwarf.engine import Engine, FlowHandle, Shard, Timing
from dwarf.errors import ConfigError, FlowNotFound
from dwarf.failpoints import Failpoints
from dwarf.hosts import LocalHost
from dwarf.storage.sql.errors import Contention, Unavailable
from tests.conformance.engine.tools import Gate, doctor, scalar
from tests.property.test_random_flows import CHILD_STATE, Builder, Chain, Fan, Script, expected

QUICK = Timing(retry_ladder=(0.01, 0.01, 0.01, 0.01, 0.01, 0.01), recovery=0.05)


async def test_e125_two_replicas_run_each_task_once(host: LocalHost, running: Any) -> None:
    runs: Counter[str] = Counter()
    gate = Gate()

    async def work(flow: Flow) -> None:
        runs[flow.step_key] += 1
        await asyncio.sleep(0)

    async def branch(flow: Flow, item: int) -> None:
        runs[flow.step_key] += 1
        await gate.pass_()
        flow["out"] = [item]
        flow["sum"] = item

    for name in ("A", "B", "C", "Split", "Join"):
        host.add_task(name, work)
    host.add_task("Branch", branch)
    chain = Graph("chain").add_chain("A", "B", "C", END)
    fan = Graph("fan", reducers={"out": "append", "sum": "add"}).add_for_each("Split", "Branch", items="items")
    fan.add_chain("Branch", "Join", END).set_fan_in("Join")
    async with running(workers=4) as one, running(workers=4) as two:
        for engine in (one, two):
            outcomes = await asyncio.gather(*await engine.create_many(chain, [{}] * 30))
            assert Counter(outcome.status for outcome in outcomes) == {Status.COMPLETED: 30}
        # no branch ends before eight of them stand side by side, four in each engine
        handle = await one.create(fan, {"items": list(range(20))})
        await gate.reached(8)
        gate.open()
        outcome = await handle
        assert outcome.state["out"] == list(range(20))
        assert outcome.state["sum"] == sum(range(20))
        by = {step.engine_id for step in await handle.history() if step.node == "Branch"}
    assert len(by) == 2
    assert len(runs) == 2 * 30 * 3 + 22
    assert set(runs.values()) == {1}


@pytest.mark.parametrize("lost", [False, True], ids=["signals", "signals lost"])
async def test_e126_waiting_for_what_another_replica_runs(
    host: LocalHost, running: Any, failpoints: Failpoints, lost: bool
) -> None:
    gate = Gate()

    @host.task(url="A")
    async def A(flow: Flow) -> None:
        await gate.pass_()

    graph = Graph("g").add_transition("A", END)
    async with running(workers=0, shards=2) as front, running(workers=40, shards=2, timing=QUICK) as back:
        assert len(back._runtimes) == 2
        handles = await front.create_many(graph, [{}] * 20)
        assert {handle.key.split("-")[0] for handle in handles} == {"1", "2"}
        waiting = [asyncio.create_task(handle.outcome(timeout=60)) for handle in handles for _ in range(3)]
        await gate.reached(20)
        if lost:
            failpoints.lose("dropStop", times=1000)
        gate.open()
        outcomes = await asyncio.gather(*waiting)
        assert Counter(outcome.status for outcome in outcomes) == {Status.COMPLETED: 60}


@asynccontextmanager
async def sharded(host: LocalHost, folder: Path, *indexes: int, **settings: Any) -> AsyncIterator[Engine]:
    """An engine on shards of these numbers, each a file."""
    shards = [Shard(index, f"sqlite:///{folder}/{index}.db") for index in indexes]
    async with Engine(host, shards=shards, **settings) as engine:
        yield engine


async def test_e128_sparse_shards_and_keys_that_route(host: LocalHost, tmp_path: Path) -> None:
    @host.task(url="A")
    async def A(flow: Flow) -> None:
        flow["ran"] = flow.key.split("-")[0]

    graph = Graph("g").add_transition("A", END)
    async with sharded(host, tmp_path, 2, 99) as engine:
        handles = await engine.create_many(graph, [{}] * 40)
        outcomes = await asyncio.gather(*handles)
        assert {handle.key.split("-")[0] for handle in handles} == {"2", "99"}
        assert [outcome.state["ran"] for outcome in outcomes] == [handle.key.split("-")[0] for handle in handles]
        gone = engine.flow(handles[0].key.replace("99-", "7-", 1).replace("2-", "7-", 1))
        with pytest.raises(FlowNotFound):
            await gone.snapshot()
    # a key finds its flow whatever other shards there are
    on_two = next(handle.key for handle in handles if handle.key.startswith("2-"))
    async with sharded(host, tmp_path, 2) as engine:
        assert (await engine.flow(on_two)).status is Status.COMPLETED


@pytest.mark.parametrize(
    "numbers", [(0,), (-1,), (2, 2), (True,), ("1",)], ids=["zero", "negative", "twice", "bool", "text"]
)
def test_e128_bad_numbers_are_refused(host: LocalHost, tmp_path: Path, numbers: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigError):
        Engine(host, shards=[Shard(n, f"sqlite:///{tmp_path}/{at}.db") for at, n in enumerate(numbers)])


async def test_e128_two_shards_are_two_databases(host: LocalHost, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/one.db"
    with pytest.raises(ConfigError):
        async with Engine(host, shards=[Shard(1, url), Shard(2, url)]):
            pass


# ------------------------------------------------------------------ chaos


def drawn(luck: random.Random, depth: int = 0) -> Chain:
    """A random workflow: retries, threads, children, error handlers, nested fan-outs."""

    def script(*, plain: bool = False) -> Script:
        writes: list[tuple[str, str, Any]] = [
            ("put", "tags", [luck.randrange(9)]),
            ("bump", "total", luck.randrange(1, 4)),
            ("put", "p", luck.random()),
        ]
        made = Script(luck.sample(writes, luck.randrange(4)), retries=luck.choice([0, 0, 1]))
        if plain:
            return made
        made.threaded = luck.random() < 0.2
        if luck.random() < 0.15:
            made.rescue = Script([("put", "p", "rescued")])
        elif depth < 2 and luck.random() < 0.2:
            made.calls = drawn(luck, depth + 2)
        return made

    parts: list[Script | Fan] = []
    for _ in range(luck.randrange(1, 4)):
        if depth < 2 and luck.random() < 0.5:
            items = list(range(luck.randrange(5))) if luck.random() < 0.5 else None
            branches = [drawn(luck, depth + 1) for _ in range(2 if items is None else 1)]
            parts.append(Fan(script(plain=True), branches, items, script(plain=True)))
        else:
            parts.append(script())
    return Chain(parts)


class Trouble:
    """Faults at random: commits that fail, signals that are lost, leases that are taken from who has them."""

    def __init__(self, luck: random.Random, failpoints: Failpoints, engine: Engine) -> None:
        self._luck, self._seams, self._engine = luck, failpoints, engine

    def arm(self) -> None:
        """A few faults for those who come next."""
        luck, failpoints = self._luck, self._seams
        failpoints.fault("commit", luck.choice([lambda: Contention("drawn"), lambda: Unavailable("drawn")]))
        failpoints.fault("beforeCommit", lambda: Contention("drawn"))
        for signal in ("dropStop", "dropDoorbell"):
            failpoints.lose(signal, times=luck.randrange(3))

    async def take_leases(self) -> int:
        """End the leases of all who work on the first shard; how many."""
        return await doctor(
            self._engine, "UPDATE dwarf_steps SET lease_expires = 1 WHERE status = 'running' AND lease_expires > 1"
        )

    async def until_done(self, handles: list[FlowHandle]) -> list[Outcome]:
        """Make trouble as long as flows run, a little less each time."""
        waiting = asyncio.gather(*(handle.outcome(timeout=60) for handle in handles))
        passes = 0
        while not waiting.done():
            if passes < 40:
                self.arm()
                if passes % 8 == 3:
                    await self.take_leases()
            passes += 1
            await asyncio.wait([waiting], timeout=0.02)
        return await waiting


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_e132_chaos_on_two_engines(host: LocalHost, running: Any, failpoints: Failpoints, seed: int) -> None:
    luck = random.Random(seed)
    chains = [drawn(luck) for _ in range(30)]
    graphs = []
    for number, chain in enumerate(chains):
        graph = Builder(chain, luck, host).graph
        renamed = Graph.from_json({**graph.to_json(), "name": f"chaos{number}"})
        host.add_graph(renamed)
        graphs.append(renamed.name)
    settings = {"workers": 6, "timing": QUICK, "max_crashes": None}
    async with running(**settings) as one, running(**settings) as two:
        handles = [await luck.choice([one, two]).create(name, CHILD_STATE) for name in graphs]
        outcomes = await Trouble(luck, failpoints, one).until_done([two.flow(handle.key) for handle in handles])
        failpoints.release_all()
        assert Counter(outcome.status for outcome in outcomes) == {Status.COMPLETED: len(chains)}, {
            outcome.error for outcome in outcomes
        }
        for chain, outcome in zip(chains, outcomes, strict=True):
            assert dict(outcome.state) == expected(chain, CHILD_STATE)
        assert await scalar(one, "SELECT MAX(lease_seq) FROM dwarf_steps") > 1, "no trouble was made"
