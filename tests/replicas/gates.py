"""Holding one engine's transaction at a statement, while another engine goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from dwarf.engine import Engine
from dwarf.storage.drivers.connection import Connection
from dwarf.storage.drivers.pulse import Session
from dwarf.storage.drivers.server import ServerDatabase
from dwarf.storage.sql.heartbeats import Seen
from dwarf.storage.sql.script import Params, Row, Statement


class Held:
    """A transaction that stands still before a statement, from when it comes there until it is let go."""

    def __init__(self, at: str, after: str) -> None:
        self.at = at
        self.after = after
        self._reached = asyncio.Event()
        self._released = asyncio.Event()

    async def reached(self) -> None:
        """Wait until a transaction stands here."""
        await self._reached.wait()

    def release(self) -> None:
        """Let it go on."""
        self._released.set()

    async def stand(self) -> None:
        """For the transaction: stop here."""
        self._reached.set()
        await self._released.wait()


class Gates:
    """The places where transactions of one engine are held."""

    def __init__(self) -> None:
        self.waiting: list[Held] = []

    @classmethod
    async def of(cls, engine: Engine) -> Gates:
        """Have every transaction of an engine pass by gates from now on."""
        gates = cls()
        database: Any = engine._runtimes[1].database
        assert isinstance(database, ServerDatabase)
        gates._stand_in(database._pool)
        while database._pool._gateless:  # type: ignore[union-attr]
            await asyncio.sleep(0.001)
        return gates

    def _stand_in(self, pool: Any) -> None:
        take, give = pool.take, pool.give
        pool._gateless = pool._busy

        async def take_gated(*, writes: bool) -> GatedLink:
            link = await take(writes=writes)
            return link if isinstance(link, GatedLink) else GatedLink(link, self)

        def give_back(link: Connection, *, writes: bool) -> None:
            pool._gateless -= not isinstance(link, GatedLink)
            give(link, writes=writes)

        pool.take, pool.give = take_gated, give_back

    def hold(self, at: str, *, after: str = "") -> Held:
        """Hold the next transaction that comes to a statement, or to COMMIT, having run another one before."""
        held = Held(at, after)
        self.waiting.append(held)
        return held

    async def arrive(self, name: str, seen: set[str]) -> None:
        """A transaction comes to a statement."""
        for held in self.waiting:
            if held.at == name and (not held.after or held.after in seen):
                self.waiting.remove(held)
                await held.stand()
                return


class GatedLink(Connection):
    """A link that passes gates."""

    def __init__(self, link: Connection, gates: Gates) -> None:
        super().__init__()
        self._link = link
        self._gates = gates
        self._seen: set[str] = set()
        self.served = link.served
        self.family, self.errors = link.family, link.errors
        self.begin_write, self.begin_read = link.begin_write, link.begin_read

    @property
    def usable(self) -> bool:
        return self._link.usable

    async def control(self, sql: str) -> None:
        await self._gates.arrive(sql, self._seen)
        if sql in ("COMMIT", "ROLLBACK"):
            self._seen.clear()
        await self._link.control(sql)

    async def _pass(self, statement: Statement) -> None:
        await self._gates.arrive(statement.name, self._seen)
        self._seen.add(statement.name)

    async def fetch(self, statement: Statement, params: Params) -> list[Row]:
        await self._pass(statement)
        return await self._link.fetch(statement, params)

    async def execute(self, statement: Statement, params: Params) -> int:
        await self._pass(statement)
        return await self._link.execute(statement, params)

    async def insert_many(self, statement: Statement, rows: Sequence[Params]) -> None:
        await self._pass(statement)
        await self._link.insert_many(statement, rows)

    async def update_each(self, statement: Statement, rows: Sequence[Params]) -> list[bool]:
        await self._pass(statement)
        return await self._link.update_each(statement, rows)

    async def session(self) -> Session:
        return await self._link.session()

    async def replicas(self, own: Params | None) -> list[Seen]:
        return await self._link.replicas(own)

    async def close(self) -> None:
        await self._link.close()

    def kill(self) -> None:
        self._link.kill()
