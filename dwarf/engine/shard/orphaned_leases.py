"""Leases that this replica holds without knowing it, because a COMMIT took effect and its answer was lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from dwarf.engine.shard.polling import ChangePoll
from dwarf.engine.shard.runner import Runner
from dwarf.errors import EngineClosed, StorageError
from dwarf.observe.logs import Log
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.recovery import leases_of, release_lease
from dwarf.storage.operations.unit_of_work import WriterIdentity
from dwarf.storage.sql.errors import Unavailable

LOOKS_S = (0.0, 1.0, 5.0, 30.0)  # seconds after a loss: the server may still be processing the COMMIT
_TURNS = 20  # turns of the loop in which a transaction's result reaches the runner


class OrphanedLeases:
    """Gives such leases back, so that the steps run again immediately and not after the leases expire."""

    def __init__(
        self, writer: WriterIdentity, database: Database, runner: Runner, changes: ChangePoll, log: Log
    ) -> None:
        self._writer = writer
        self._database = database
        self._runner = runner
        self._changes = changes
        self._log = log
        self._known = 0  # the database's count of in-doubt commits at the last look
        self._due: list[float] = []  # times of the next looks, by the loop's clock

    async def look(self) -> None:
        """Look for such leases after a lost commit, and wake the waiters of its other effects."""
        database = self._database
        now = asyncio.get_running_loop().time()
        if database.in_doubt_commits != self._known:
            self._known = database.in_doubt_commits
            self._due = [now + pause for pause in LOOKS_S]
        if not self._due or now < self._due[0]:
            return
        try:
            await self._release()
        except Unavailable:
            return  # the database is away; look again when it is back
        self._due.pop(0)
        self._changes.on_notify(True, None)

    async def aclose(self) -> None:
        """Give back the remaining leases, after the last step here has ended."""
        if self._due or self._database.in_doubt_commits != self._known:
            with suppress(StorageError, EngineClosed):
                await self._release()

    async def reconcile(self) -> None:
        """Give such leases back, and cancel steps that run here without a lease: their outcomes are not written.

        Called for a database that has lost committed data.
        """
        await self._database.settled()
        held = dict(self._runner.held)
        leases = dict(await self._database.read(lambda: leases_of(self._writer.engine_id)))
        lost = {step_id for step_id, lease_seq in held.items() if leases.get(step_id) != lease_seq}
        if lost:
            self._log.warning("%s steps run here that the database does not know of any more", len(lost))
            self._runner.abandon(lost)
        await self._release()
        self._changes.on_notify(True, None)

    async def _release(self) -> None:
        held = self._runner.held
        leases = await self._database.read(lambda: leases_of(self._writer.engine_id))
        orphans = [lease for lease in leases if lease[0] not in held]
        if not orphans:
            return
        # the result of the transaction that made the lease may still be on its way
        await self._database.settled()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        orphans = [lease for lease in orphans if lease[0] not in held]
        for lease in orphans:
            await self._database.write(partial(release_lease, *lease))
        if orphans:
            self._log.info("%s leases were given back that a lost connection had left behind", len(orphans))
            self._database.notify(True, ())
