"""Burr: its asynchronous persisters keep the whole state after every action."""

from __future__ import annotations

import time
import uuid
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from burr.core import Application, ApplicationBuilder, ApplicationContext, GraphBuilder, State, action
from burr.core.parallelism import MapStates
from burr.integrations.persisters.b_aiosqlite import AsyncSQLitePersister
from burr.integrations.persisters.b_asyncpg import AsyncPostgreSQLPersister

from tests.benchmarks.databases import file_of, is_postgresql
from tests.benchmarks.peers import adapter


@action(reads=["n"], writes=["n"])
async def count(state: State) -> State:
    return state.update(n=await adapter.count_up(state["n"]))


@action(reads=["item"], writes=["out"])
async def work(state: State) -> State:
    return state.update(out=state["item"])


@action(reads=[], writes=["items"])
async def split(state: State) -> State:
    return state.update(items=list(range(adapter.WIDTH)))


@action(reads=[], writes=["asked"])
async def ask(state: State) -> State:
    return state.update(asked=True)


@action(reads=[], writes=["answer"])
async def then(state: State, answer: str) -> State:
    return state.update(answer=answer)


class Map(MapStates):
    """Fifty applications of one action, and their results together."""

    def action(self, state: State, inputs: dict[str, Any]) -> Any:
        return work

    async def states(self, state: State, context: ApplicationContext, inputs: dict[str, Any]) -> Any:
        for item in state["items"]:
            yield state.update(item=item)

    async def reduce(self, state: State, states: Any) -> State:
        return state.update(out=[each["out"] async for each in states])

    def is_async(self) -> bool:
        return True

    @property
    def reads(self) -> list[str]:
        return ["items"]

    @property
    def writes(self) -> list[str]:
        return ["out"]


def chain_of(length: int) -> Any:
    """A graph of so many trivial actions."""
    names = [f"N{number}" for number in range(length)]
    actions = dict.fromkeys(names, count)
    return GraphBuilder().with_actions(**actions).with_transitions(*zip(names, names[1:], strict=False)).build()


class Burr(adapter.Peer):
    """One persister for all applications: one connection on SQLite, a pool on PostgreSQL, as its docs have it."""

    name = "Burr"

    async def open(self, url: str) -> None:
        if is_postgresql(url):
            parts = urlsplit(url)
            self.persister: Any = await AsyncPostgreSQLPersister.from_values(
                db_name=parts.path.strip("/"),
                user=parts.username,
                password=parts.password,
                host=parts.hostname,
                port=parts.port,
                use_pool=True,
            )
            place = "asyncpg pool of 10, autocommit"
        else:
            self.persister = await AsyncSQLitePersister.from_values(db_path=file_of(url))
            await self.persister.connection.execute("PRAGMA journal_mode=WAL")
            place = "aiosqlite, WAL, synchronous=FULL"
        await self.persister.initialize()
        self.setting = f"apache-burr {version('apache-burr')}, {place}"
        self._chain, self._latency = chain_of(adapter.CHAIN), chain_of(adapter.LATENCY)
        self._fan = (
            GraphBuilder().with_actions(split=split, together=Map()).with_transitions(("split", "together")).build()
        )
        self._prompt = GraphBuilder().with_actions(ask=ask, then=then).with_transitions(("ask", "then")).build()

    async def close(self) -> None:
        await self.persister.cleanup()

    async def _app(self, graph: Any, entry: str, app_id: str = "") -> Application[Any]:
        return await (
            ApplicationBuilder()
            .with_graph(graph)
            .with_state(n=0, pad=adapter.PAD)
            .with_entrypoint(entry)
            .with_state_persister(self.persister)
            .with_identifiers(app_id=app_id or uuid.uuid4().hex, partition_key="bench")
            .abuild()
        )

    async def chain(self) -> None:
        app = await self._app(self._chain, "N0")
        _, _, state = await app.arun(halt_after=[f"N{adapter.CHAIN - 1}"])
        adapter.expect(state["n"], adapter.CHAIN)

    async def latency(self) -> None:
        app = await self._app(self._latency, "N0")
        _, _, state = await app.arun(halt_after=[f"N{adapter.LATENCY - 1}"])
        adapter.expect(state["n"], adapter.LATENCY)

    async def fan_out(self) -> None:
        app = await self._app(self._fan, "split")
        _, _, state = await app.arun(halt_after=["together"])
        adapter.expect(len(state["out"]), adapter.WIDTH)

    async def prompt(self) -> float:
        app_id = uuid.uuid4().hex
        app = await self._app(self._prompt, "ask", app_id)
        await app.arun(halt_after=["ask"])
        begun = time.perf_counter()
        again = await (
            ApplicationBuilder()
            .with_graph(self._prompt)
            .initialize_from(self.persister, resume_at_next_action=True, default_state={}, default_entrypoint="ask")
            .with_state_persister(self.persister)
            .with_identifiers(app_id=app_id, partition_key="bench")
            .abuild()
        )
        _, _, state = await again.arun(halt_after=["then"], inputs={"answer": "yes"})
        adapter.expect((state["asked"], state["answer"]), (True, "yes"))
        return time.perf_counter() - begun


if __name__ == "__main__":
    adapter.main(lambda _: Burr())
