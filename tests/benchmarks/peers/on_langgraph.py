"""LangGraph with its savers, ``durability="sync"``: a checkpoint is written before the next step begins.

A saver holds one lock, so besides one saver for all threads, as its docs have it, the variant "16 savers" shares a pool
of 16 connections among as many savers.
"""

from __future__ import annotations

import itertools
import operator
import time
import uuid
from importlib.metadata import version
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from tests.benchmarks.databases import file_of, is_postgresql
from tests.benchmarks.peers import adapter


class Counting(TypedDict):
    n: int
    pad: str


class Fan(TypedDict):
    items: list[int]
    out: Annotated[list[int], operator.add]
    count: int
    pad: str


class Asking(TypedDict):
    answer: str
    n: int
    pad: str


async def count(state: Counting) -> dict[str, Any]:
    return {"n": await adapter.count_up(state["n"])}


async def split(state: Fan) -> dict[str, Any]:
    return {"items": list(range(adapter.WIDTH))}


async def work(state: dict[str, Any]) -> dict[str, Any]:
    return {"out": [state["item"]]}


async def join(state: Fan) -> dict[str, Any]:
    return {"count": len(state["out"])}


async def ask(state: Asking) -> dict[str, Any]:
    return {"answer": interrupt({"title": "go on?"})}


def chain_of(length: int) -> StateGraph:
    """A graph of so many trivial nodes."""
    graph = StateGraph(Counting)
    names = [f"N{number}" for number in range(length)]
    for name in names:
        graph.add_node(name, count)
    for before, after in itertools.pairwise([START, *names, END]):
        graph.add_edge(before, after)
    return graph


def fan() -> StateGraph:
    """One, fifty, one."""
    graph = StateGraph(Fan)
    graph.add_node("split", split)
    graph.add_node("work", work)
    graph.add_node("join", join)
    graph.add_edge(START, "split")
    graph.add_conditional_edges(
        "split", lambda state: [Send("work", {"item": item}) for item in state["items"]], ["work"]
    )
    graph.add_edge("work", "join")
    graph.add_edge("join", END)
    return graph


def prompt() -> StateGraph:
    """One that asks, and one after it."""
    graph = StateGraph(Asking)
    graph.add_node("ask", ask)
    graph.add_node("then", count)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "then")
    graph.add_edge("then", END)
    return graph


class LangGraph(adapter.Peer):
    """One saver, or sixteen that take turns."""

    name = "LangGraph"
    slowness = 4

    def __init__(self, variant: str) -> None:
        self._savers = 16 if variant == "16 savers" else 1
        if self._savers > 1:
            self.name = "LangGraph, 16 savers"

    async def open(self, url: str) -> None:
        if is_postgresql(url):
            from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
            from psycopg.rows import dict_row
            from psycopg_pool import AsyncConnectionPool

            self._pool: Any = AsyncConnectionPool(
                url,
                min_size=16,
                max_size=16,
                open=False,
                kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
            )
            await self._pool.open(wait=True)
            savers: list[Any] = [AsyncPostgresSaver(self._pool) for _ in range(self._savers)]
            place = f"checkpoint-postgres {version('langgraph-checkpoint-postgres')}, psycopg pool of 16"
        else:
            import aiosqlite
            from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

            self._pool = await aiosqlite.connect(file_of(url))
            savers = [AsyncSqliteSaver(self._pool)]
            place = f"checkpoint-sqlite {version('langgraph-checkpoint-sqlite')}, WAL, synchronous=FULL"
        await savers[0].setup()
        self.setting = f"langgraph {version('langgraph')}, {place}, durability=sync"
        graphs = {
            "chain": chain_of(adapter.CHAIN),
            "latency": chain_of(adapter.LATENCY),
            "fan": fan(),
            "prompt": prompt(),
        }
        self._apps = {
            name: itertools.cycle([graph.compile(checkpointer=saver) for saver in savers])
            for name, graph in graphs.items()
        }

    async def close(self) -> None:
        await self._pool.close()

    async def _run(self, name: str, state: dict[str, Any]) -> dict[str, Any]:
        config: Any = {"configurable": {"thread_id": uuid.uuid4().hex}}
        found: dict[str, Any] = await next(self._apps[name]).ainvoke(state, config, durability="sync")
        return found

    async def chain(self) -> None:
        state = await self._run("chain", {"n": 0, "pad": adapter.PAD})
        adapter.expect(state["n"], adapter.CHAIN)

    async def latency(self) -> None:
        state = await self._run("latency", {"n": 0, "pad": adapter.PAD})
        adapter.expect(state["n"], adapter.LATENCY)

    async def fan_out(self) -> None:
        state = await self._run("fan", {"items": [], "out": [], "count": 0, "pad": adapter.PAD})
        adapter.expect(state["count"], adapter.WIDTH)

    async def prompt(self) -> float:
        app = next(self._apps["prompt"])
        config: Any = {"configurable": {"thread_id": uuid.uuid4().hex}}
        first = await app.ainvoke({"answer": "", "n": 0, "pad": adapter.PAD}, config, durability="sync")
        adapter.expect("__interrupt__" in first, True)
        begun = time.perf_counter()
        state = await app.ainvoke(Command(resume="yes"), config, durability="sync")
        adapter.expect((state["answer"], state["n"]), ("yes", 1))
        return time.perf_counter() - begun


if __name__ == "__main__":
    adapter.main(LangGraph, "one saver", "16 savers")
