"""What running flows costs in transactions and statements. The figures are exact where nothing else is going on."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Delete, Insert, Update

import dwarf.storage
from dwarf import END, Flow, Graph, Status
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.storage.sql.script import Statement
from dwarf.storage.sql.tables import flows
from tests.support.quiet import QUIET

CONTROL = {"begin", "commit", "rollback", "savepoint", "release"}
CHAIN = 10


@contextmanager
def counted(engine: Engine) -> Iterator[Counter[str]]:
    """How often each statement is run on the database of an engine, by name; transactions as "begin"."""
    counts: Counter[str] = Counter()
    database: Any = engine._runtimes[1].database
    database.observer = lambda name, rows: counts.update([name])
    try:
        yield counts
    finally:
        database.observer = None


def statements(counts: Counter[str]) -> Counter[str]:
    """Without the borders of transactions."""
    return Counter({name: count for name, count in counts.items() if name not in CONTROL})


def chain(host: LocalHost) -> Graph:
    """Ten tasks in a row."""

    @host.task
    async def work(flow: Flow) -> None:
        flow["n"] = flow.get("n", 0) + 1

    graph = Graph("chain")
    names = [f"N{number}" for number in range(CHAIN)]
    for name in names:
        graph.add_node(name, "work")
    return graph.add_chain(*names, END)


def fan(host: LocalHost) -> Graph:
    """One branch per item, which come together."""

    @host.task
    async def Work(flow: Flow, item: int) -> None:
        flow["out"] = [item]

    async def nothing(flow: Flow) -> None:
        pass

    for name in ("Split", "Join"):
        host.add_task(name, nothing)
    graph = Graph("fan", reducers={"out": "append"}).add_for_each("Split", "Work", items="items")
    return graph.add_chain("Work", "Join", END).set_fan_in("Join")


# a server reserves ids in transactions of their own
@pytest.mark.parametrize("database", ["memory", "file"], indirect=True)
@pytest.mark.usefixtures("quiet")
async def test_chain_alone_costs_a_transaction_per_step(host: LocalHost, running: Any) -> None:
    graph = chain(host)
    async with running(timing=QUIET) as engine:
        await engine.run(graph)  # the graph is known from now on
        with counted(engine) as counts:
            assert (await engine.run(graph)).state == {"n": CHAIN}
    assert counts["begin"] == counts["commit"] == 1 + CHAIN
    ids = counts.pop("reserve_ids", 0)
    assert ids <= 2
    assert statements(counts) == {
        "now": 1 + CHAIN,
        "insert_flow": 1,
        "insert_ready_step": CHAIN,
        "finish_step": CHAIN,
        "end_flow": 1,
    }


@pytest.mark.usefixtures("quiet")
async def test_chains_at_once_share_their_transactions(host: LocalHost, running: Any) -> None:
    graph, many = chain(host), 64
    async with running(timing=QUIET) as engine:
        await engine.run(graph)
        with counted(engine) as counts:
            outcomes = await asyncio.gather(*(engine.run(graph) for _ in range(many)))
    assert Counter(outcome.status for outcome in outcomes) == {Status.COMPLETED: many}
    assert counts["begin"] == counts["commit"]
    assert counts["begin"] < 0.5 * many * CHAIN
    # finished steps are written one by one, with one statement prepared once; everything else is written together
    others = sum(statements(counts).values()) - counts["finish_step"]
    assert others < many * CHAIN


def writing(table: Any) -> set[str]:
    """The names of all statements that write to a table."""
    names = set()
    for module in pkgutil.walk_packages(dwarf.storage.__path__, "dwarf.storage."):
        for value in vars(importlib.import_module(module.name)).values():
            clause = value.clause if isinstance(value, Statement) else None
            if isinstance(clause, Insert | Update | Delete) and clause.table is table:
                names.add(value.name)
    return names


@pytest.mark.usefixtures("quiet")
async def test_e56_width_of_a_fan_out_does_not_touch_the_flow_row(host: LocalHost, running: Any) -> None:
    graph, to_flows = fan(host), writing(flows)
    assert {"insert_flow", "end_flow", "interrupt_flow"} <= to_flows
    seen: list[Counter[str]] = []
    async with running(timing=QUIET) as engine:
        await engine.run(graph, {"items": [0]})
        for width in (4, 16):
            with counted(engine) as counts:
                outcome = await engine.run(graph, {"items": list(range(width))})
            assert outcome.state["out"] == list(range(width))
            seen.append(Counter({name: count for name, count in counts.items() if name in to_flows}))
    assert seen == [{"insert_flow": 1, "end_flow": 1}] * 2


@pytest.mark.usefixtures("quiet")
async def test_branches_that_end_together_arrive_together(host: LocalHost, running: Any) -> None:
    graph, width = fan(host), 16
    async with running(timing=QUIET) as engine:
        await engine.run(graph, {"items": [0]})
        with counted(engine) as counts:
            await engine.run(graph, {"items": list(range(width))})
    # one group each on an idle machine; a slow one lets a few of them end a little later than others
    assert counts["begin"] <= 12
    assert counts["arrive"] <= 6
    assert counts["insert_ready_step"] <= 8


async def test_idle_engine_asks_nothing_for_a_second(host: LocalHost, tmp_path: Path) -> None:
    graph = chain(host)
    async with Engine(host, f"sqlite:///{tmp_path}/idle.db") as engine:
        await engine.run(graph)
        asked: list[int] = []
        while len(asked) < 5 and (not asked or asked[-1] >= 5):  # a slow machine may meet the rare turn of a loop
            with counted(engine) as counts:
                await asyncio.sleep(1)
            asked.append(sum(statements(counts).values()))
    assert asked[-1] < 5, counts


@pytest.mark.slow
async def test_idle_engine_asks_little_in_the_long_run(host: LocalHost, tmp_path: Path) -> None:
    seconds = 11  # every loop comes round at least twice
    async with Engine(host, f"sqlite:///{tmp_path}/idle.db") as engine:
        with counted(engine) as counts:
            await asyncio.sleep(seconds)
    assert counts["recover_expired"] >= 2
    assert sum(statements(counts).values()) < 5 * seconds, counts
