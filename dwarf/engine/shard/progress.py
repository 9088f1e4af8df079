"""Progress that running tasks report: gathered in memory, written to their steps at most twice a second.

The last report of a task is written before its outcome, together with those of all tasks that end at that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from dwarf.core.records import StepRecord
from dwarf.errors import DwarfError
from dwarf.observe.logs import Log
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.output import write_progress
from dwarf.workflow.jsontext import dumps

PAUSE_S = 0.5

Reporter: TypeAlias = Callable[[float, "float | None", str], None]


class ProgressBook:
    """The latest progress of each step in flight on one shard. Tasks report from the loop and from threads."""

    def __init__(self, database: Database, on_written: Callable[[set[int]], None], log: Log) -> None:
        self._database = database
        self._log = log
        self._on_written = on_written
        self._loop = asyncio.get_running_loop()
        self._latest: dict[int, tuple[StepRecord, tuple[float, float | None, str]]] = {}
        self._going: set[int] = set()  # steps whose progress is being written
        self._flush: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()  # set when a step is about to end
        self._written: asyncio.Future[None] = self._loop.create_future()  # the current batch, or the next

    def reporter(self, step: StepRecord) -> Reporter:
        """What ``flow.progress`` of one step calls."""
        return partial(self._report, step)

    def _report(self, step: StepRecord, done: float, total: float | None, message: str) -> None:
        self._latest[step.step_id] = (step, (done, total, message))
        if self._flush is None:
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        if self._flush is None:
            self._flush = asyncio.create_task(self._write(), name="dwarf-progress")

    def is_behind(self, step: StepRecord) -> bool:
        """Whether a report of this step is not yet written."""
        return step.step_id in self._latest or step.step_id in self._going

    async def settle(self, step: StepRecord) -> None:
        """Write the last report of a step whose task has ended. Best effort: an error is only logged."""
        while self.is_behind(step):
            self._hurry.set()
            self._begin()
            assert self._flush is not None
            await asyncio.wait({self._flush, self._written}, return_when=asyncio.FIRST_COMPLETED)

    async def _write(self) -> None:
        try:
            while self._latest:
                latest, self._latest = self._latest, {}
                self._going = set(latest)
                self._hurry.clear()
                rows = [(step.step_id, step.lease_seq, dumps(list(seen))) for step, seen in latest.values()]
                await self._database.write(lambda rows=rows: write_progress(rows))  # type: ignore[misc]
                self._going = set()
                self._on_written({step.flow.root_flow_id for step, _ in latest.values()})
                self._written.set_result(None)
                self._written = self._loop.create_future()
                with suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE_S):
                        await self._hurry.wait()
        except DwarfError as error:
            self._log.warning("progress could not be written: %s", error)
        finally:
            self._going = set()
            self._flush = None

    async def aclose(self) -> None:
        """Stop writing. Progress is best effort, so the rest is dropped."""
        self._latest.clear()
        if self._flush is not None:
            self._flush.cancel()
            await asyncio.wait({self._flush})
