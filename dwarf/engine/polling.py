"""What other processes do on a shard: their new work, and the flows they stop. It is notified, or looked for."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from dwarf.engine.service import Service
from dwarf.storage.reading.reads import read_statuses

if TYPE_CHECKING:
    from dwarf.engine.replica import Replica

QUICKEST_LOOK_S = 0.05
SLOWEST_LOOK_S = 0.25
ANYWAY_S = 1.0  # a signal inside this process that was lost is made up for within this time


class ChangePoll(Service):
    """Looks whether other processes have changed something. The cost does not grow with the number of waiters."""

    name = "dwarf-poll-changes"

    def __init__(self, replica: Replica) -> None:
        super().__init__()
        self._replica = replica
        self._clock = asyncio.get_running_loop().time
        self._quick = QUICKEST_LOOK_S  # the pause while somebody waits
        self._anyway = self._clock() + ANYWAY_S
        self._doubtful = False  # flows may have stopped of which no notification came

    def first_pause(self) -> float:
        """Nobody waits yet."""
        return SLOWEST_LOOK_S

    async def turn(self) -> float:
        """Look once."""
        replica = self._replica
        self._quick = min(SLOWEST_LOOK_S, self._quick * 1.5)
        elsewhere = await replica.database.changed()
        if elsewhere:
            self._quick = QUICKEST_LOOK_S
            replica.waiters.unsure()
        untold = elsewhere is None and not replica.database.told
        if elsewhere or untold:
            replica.dispatcher.wake()
        if elsewhere is not False:
            replica.announce(replica.watched)
        if elsewhere or untold or self._doubtful or self._clock() >= self._anyway:
            self._anyway, self._doubtful = self._clock() + ANYWAY_S, False
            if await self._release_stopped():
                self._quick = QUICKEST_LOOK_S
        return self._pause()

    def failed(self, error: Exception) -> float:
        """Report the error, also to those who watch a flow."""
        self._replica.failed(error)
        self._replica.observing.fault("looking at the database failed", error)
        self._quick = SLOWEST_LOOK_S
        self._replica.announce(self._replica.watched)
        return self._pause()

    def on_notify(self, work_due: bool, stopped: Collection[int] | None) -> None:
        """Another process tells that work is due, or which flows have stopped; None: it cannot tell which."""
        replica = self._replica
        if work_due and replica.settings.workers:
            replica.dispatcher.wake()
        if stopped is None:
            replica.waiters.unsure()
            self._doubtful = True
        else:
            replica.waiters.stopped_elsewhere(stopped)
            replica.runner.stopped_elsewhere(stopped)
        replica.announce(replica.watched)

    def _pause(self) -> float:
        replica = self._replica
        return self._quick if replica.waiters.flow_ids or replica.watched else SLOWEST_LOOK_S

    async def _release_stopped(self) -> bool:
        """Wake the waiters of flows that have stopped, or are gone. Whether there were any."""
        replica = self._replica
        waited_for = replica.waiters.flow_ids
        if not waited_for:
            return False
        statuses = await replica.database.read(lambda: read_statuses(waited_for))
        gone = [flow_id for flow_id in waited_for if flow_id not in statuses or statuses[flow_id][1].stopped]
        for flow_id in gone:
            replica.waiters.release(flow_id)
        return bool(gone)
