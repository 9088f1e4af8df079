"""Keeping a shard in order: leases of dead owners taken back, waiters woken by what other processes do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from dwarf import seams
from dwarf.engine.reaper import reap
from dwarf.engine.strays import Strays
from dwarf.errors import EngineClosed
from dwarf.storage.reading.reads import read_statuses
from dwarf.storage.recovery import lease_owners, recover_abandoned, recover_expired
from dwarf.storage.waits import answer_overdue
from dwarf.workflow.durations import to_ms

if TYPE_CHECKING:
    from dwarf.engine.replica import Replica

QUICKEST_LOOK_S = 0.05
SLOWEST_LOOK_S = 0.25
ANYWAY_S = 1.0  # a signal inside this process that was lost is made up for within this time


class Keeper:
    """The loops of one shard that do not run steps."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = asyncio.Event()
        self._strays = Strays(replica)
        self._doubtful = False  # flows may have stopped of which nothing was heard

    def start(self) -> None:
        """Begin."""
        timing = self._replica.settings.timing
        self._tasks = [
            asyncio.create_task(self._every(to_ms(timing.recovery, "recovery") / 1000, self._recover)),
            asyncio.create_task(self._every(to_ms(timing.reap, "reap") / 1000, partial(reap, self._replica))),
            asyncio.create_task(self._every(SLOWEST_LOOK_S, self._strays.look)),
            asyncio.create_task(self._look_around(), name="dwarf-lookout"),
        ]

    @property
    def cancelled(self) -> bool:
        """Whether the loops were cancelled, as when their event loop ends: nobody else can reach them."""
        return any(task.cancelling() for task in self._tasks)

    async def aclose(self) -> None:
        """End the loops."""
        self._closing.set()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._strays.aclose()

    async def take_back(self, own: set[int]) -> None:
        """Take back the leases of owners that are known to be dead: at once, whatever their leases say."""
        database = self._replica.database
        owners = await database.read(lease_owners)
        others = owners - {self._replica.engine_id}
        # nobody can take a dead owner's id until the next call, so no new owner's leases are mistaken for old ones
        dead = (owners & own) | await database.dead_engine_ids(others)
        if dead:
            count = await database.write(lambda: recover_abandoned(sorted(dead)))
            await database.dead_engine_ids(set())
            self._recovered(count, "owner_gone")

    async def _recover(self) -> None:
        if seams.active is not None:
            await seams.active.arrive("beforeRecovery")
        await self.take_back(set())
        self._recovered(await self._replica.database.write(recover_expired), "lease_expired")
        await self._replica.committer.call(answer_overdue)
        self._replica.recovered()
        if seams.active is not None:
            await seams.active.arrive("recoveryDone")

    def _recovered(self, count: int, reason: str) -> None:
        if count:
            self._replica.observing.recovered(count, reason)
            self._replica.announce(self._replica.watched)
            self._replica.shared.wake_all()
            self._replica.tell(True)

    async def _every(self, pause: float, action: Callable[[], Awaitable[None]]) -> None:
        while not self._closing.is_set():
            await asyncio.sleep(pause)
            try:
                await action()
            except EngineClosed:
                return
            except Exception as error:  # noqa: BLE001 - the loop must not end
                self._replica.failed(error)
                self._replica.observing.fault("a repair failed, next try in %s s", error, pause)

    async def _look_around(self) -> None:
        """See what other processes do: their new work, and the flows they stop.

        The cost does not grow with the number of those who wait.
        """
        replica = self._replica
        clock = asyncio.get_running_loop().time
        pause, anyway = QUICKEST_LOOK_S, clock() + ANYWAY_S
        while not self._closing.is_set():
            await asyncio.sleep(pause if replica.waiters.flow_ids or replica.watched else SLOWEST_LOOK_S)
            pause = min(SLOWEST_LOOK_S, pause * 1.5)
            try:
                elsewhere = await replica.database.changed()
                if elsewhere:
                    pause = QUICKEST_LOOK_S
                    replica.waiters.unsure()
                if elsewhere or (elsewhere is None and not replica.database.told):
                    replica.dispatcher.wake()
                if elsewhere is not False:
                    replica.announce(replica.watched)
                untold = elsewhere is None and not replica.database.told
                if elsewhere or untold or self._doubtful or clock() >= anyway:
                    anyway, self._doubtful = clock() + ANYWAY_S, False
                    if await self._release_stopped():
                        pause = QUICKEST_LOOK_S
            except EngineClosed:
                return
            except Exception as error:  # noqa: BLE001 - the loop must not end
                replica.observing.fault("looking at the database failed", error)

    def heard(self, work_due: bool, stopped: Collection[int] | None) -> None:
        """The news of another process have come by themselves."""
        replica = self._replica
        if work_due and replica.settings.workers:
            replica.dispatcher.wake()
        if stopped is None:
            replica.waiters.unsure()
            self._doubtful = True
        else:
            replica.waiters.stopped_elsewhere(stopped)
        replica.announce(replica.watched)

    async def _release_stopped(self) -> bool:
        """Wake those whose flow has stopped, or is gone. Whether there were any."""
        replica = self._replica
        waited_for = replica.waiters.flow_ids
        if not waited_for:
            return False
        statuses = await replica.database.read(lambda: read_statuses(waited_for))
        gone = [flow_id for flow_id in waited_for if flow_id not in statuses or statuses[flow_id][1].stopped]
        for flow_id in gone:
            replica.waiters.release(flow_id)
        return bool(gone)
