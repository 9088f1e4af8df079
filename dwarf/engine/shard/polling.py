"""Changes that other processes make on a shard: new work and stopped flows, found by notification or by polling."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from dwarf.engine.service import Service
from dwarf.engine.shard.dispatcher import Dispatcher
from dwarf.engine.shard.runner import Runner
from dwarf.engine.shard.waiters import TreeWatchers, Waiters
from dwarf.engine.telemetry.events import ShardTelemetry
from dwarf.engine.telemetry.health import Health
from dwarf.storage.drivers.database import Database
from dwarf.storage.queries.flows import read_statuses

QUICKEST_LOOK_S = 0.05
SLOWEST_LOOK_S = 0.25
ANYWAY_S = 1.0  # a lost signal inside this process is made up for within this time


class ChangePoll(Service):
    """Polls for changes by other processes. The cost does not grow with the number of waiters."""

    name = "dwarf-poll-changes"

    def __init__(
        self,
        database: Database,
        *,
        waiters: Waiters,
        trees: TreeWatchers,
        runner: Runner,
        dispatcher: Dispatcher,
        telemetry: ShardTelemetry,
        health: Health,
    ) -> None:
        super().__init__()
        self._database = database
        self._waiters = waiters
        self._trees = trees
        self._runner = runner
        self._dispatcher = dispatcher
        self._observing = telemetry
        self._health = health
        self._clock = asyncio.get_running_loop().time
        self._quick = QUICKEST_LOOK_S  # the pause while a caller waits
        self._anyway = self._clock() + ANYWAY_S
        self._doubtful = False  # flows may have stopped without a notification

    def first_pause(self) -> float:
        """Wait for the first waiter."""
        return SLOWEST_LOOK_S

    async def turn(self) -> float:
        """Poll once."""
        self._quick = min(SLOWEST_LOOK_S, self._quick * 1.5)
        elsewhere = await self._database.changed()
        if elsewhere:
            self._quick = QUICKEST_LOOK_S
            self._waiters.unsure()
        untold = elsewhere is None and not self._database.has_notifications
        if elsewhere or untold:
            self._dispatcher.wake()
        if elsewhere is not False:
            self._trees.announce_all()
        if elsewhere or untold or self._doubtful or self._clock() >= self._anyway:
            self._anyway, self._doubtful = self._clock() + ANYWAY_S, False
            if await self._release_stopped():
                self._quick = QUICKEST_LOOK_S
        return self._pause()

    def failed(self, error: Exception) -> float:
        """Report the error, also to the watchers of flows."""
        self._health.failed(error)
        self._observing.fault("looking at the database failed", error)
        self._quick = SLOWEST_LOOK_S
        self._trees.announce_all()
        return self._pause()

    def on_notify(self, work_due: bool, stopped: Collection[int] | None) -> None:
        """Handle a notification: work is due, or these flows have stopped. None: the process cannot tell which."""
        if work_due:
            self._dispatcher.wake()
        if stopped is None:
            self._waiters.unsure()
            self._doubtful = True
        else:
            self._waiters.stopped_elsewhere(stopped)
            self._runner.stopped_elsewhere(stopped)
        self._trees.announce_all()

    def _pause(self) -> float:
        return self._quick if self._waiters.flow_ids or self._trees.watched else SLOWEST_LOOK_S

    async def _release_stopped(self) -> bool:
        """Wake the waiters of flows that have stopped or were removed. True if there were any."""
        waited_for = self._waiters.flow_ids
        if not waited_for:
            return False
        statuses = await self._database.read(lambda: read_statuses(waited_for))
        gone = [flow_id for flow_id in waited_for if flow_id not in statuses or statuses[flow_id][1].stopped]
        for flow_id in gone:
            self._waiters.release(flow_id)
        return bool(gone)
