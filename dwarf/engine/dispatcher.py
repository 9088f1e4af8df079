"""Finding work: due steps are claimed as long as there is room, and waited for when there is none due."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from dwarf import seams
from dwarf.errors import DwarfError, EngineClosed
from dwarf.storage.claims import Claimed, claim_due
from dwarf.storage.waits import answer_overdue

if TYPE_CHECKING:
    from dwarf.engine.replica import Replica

logger = logging.getLogger("dwarf.engine")

LARGEST_CLAIM = 256
LONGEST_WAIT_S = 5.0
AFTER_FAULT_S = 1.0


class Dispatcher:
    """The supply loop of one shard."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._wake = asyncio.Event()
        self._closing = False
        self.backlogged = True  # due steps may wait for a place
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look for work."""
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="dwarf-dispatcher")

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    async def aclose(self) -> None:
        """Claim nothing more."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._closing:
            try:
                await self._cycle()
            except EngineClosed:
                return
            except DwarfError as error:
                logger.error("looking for work failed, next try in %s s: %s", AFTER_FAULT_S, error)
                await self._sleep(AFTER_FAULT_S)
            except Exception:
                logger.exception("looking for work failed")
                await self._sleep(AFTER_FAULT_S)

    async def _cycle(self) -> None:
        slots = self._replica.slots
        room = slots.take(LARGEST_CLAIM)
        if not room:
            self.backlogged = True
            self._wake.clear()
            if not slots.free:
                await self._wake.wait()
            return
        self._wake.clear()
        try:
            claimed = await self._claim(room)
        except BaseException:
            slots.give(room)
            self._wake.clear()
            raise
        found = len(claimed.steps)
        if seams.active is not None and found:
            await seams.active.arrive("afterClaim", [step.flow.plan.nodes[step.node].url for step in claimed.steps])
        for step in claimed.steps:
            self._replica.admission.promise(step.flow.plan.nodes[step.node].url)
            self._replica.runner.launch(step)
        slots.give(room - found)
        self.backlogged = found == room
        if not found and not self._wake.is_set():
            await self._rest(claimed)

    async def _claim(self, room: int) -> Claimed:
        replica = self._replica
        return await replica.database.write(
            lambda: claim_due(
                room,
                replica.admission.survey(),
                shard=replica.shard,
                engine_id=replica.engine_id,
                margin_ms=replica.settings.margin_ms,
                plan_of=replica.plans.plan_of,
            )
        )

    async def _rest(self, claimed: Claimed) -> None:
        """Nothing can be started now: wait for a reason to look again."""
        replica = self._replica
        if claimed.next_deadline is not None and claimed.next_deadline <= claimed.now:
            await replica.committer.call(answer_overdue)
            return
        if self._jump(claimed):
            return
        moments = [moment for moment in (claimed.next_due, claimed.next_deadline) if moment is not None]
        later = [moment for moment in moments if moment > claimed.now]
        wait = min([LONGEST_WAIT_S, *((moment - claimed.now) / 1000 for moment in later)])
        await self._sleep(wait)

    def _jump(self, claimed: Claimed) -> bool:
        """Move a virtual clock to the next due step, where nothing else can run until then."""
        replica = self._replica
        clock = replica.shared.clock
        if clock is None or claimed.next_due is None or claimed.next_due <= claimed.now:
            return False
        if replica.slots.taken or not replica.committer.idle:
            replica.slots.ask()
            return False
        clock.jump(claimed.next_due - claimed.now)
        return True

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
