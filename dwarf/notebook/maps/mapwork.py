"""How does a table go through a workflow? Block by block, with a bounded number of flows in hand at any time.

Everything here runs on the lab's loop. What has ended is kept as a row of the results and nothing else.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from dwarf.errors import EngineClosed, FlowNotFound, StateConflict
from dwarf.notebook.live.listeners import Listeners
from dwarf.notebook.maps.rows import MapRow, Rows
from dwarf.notebook.maps.tally import Tally
from dwarf.notebook.pictures.formatting import brief
from dwarf.notebook.pictures.views import where_stopped
from dwarf.workflow.results import Outcome
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from dwarf.engine import Engine, FlowHandle
    from dwarf.notebook.live.flow_watcher import Card, FlowWatcher
    from dwarf.workflow.graph import Graph

__all__ = ["MapWork", "NewFlows", "Repairs"]

BLOCK = 256  # rows created at a time
MOST_BUSY = 1024  # flows in hand that do not wait for a person
MOST_IN_HAND = 4096

Started = tuple[int, "FlowHandle | MapRow"]
Follow = Callable[[Callable[[], Awaitable["FlowHandle"]]], Awaitable["FlowWatcher"]]

_log = logging.getLogger("dwarf.notebook")
_numbers = itertools.count(1)
_running: set[MapWork] = set()  # nobody else may hold a map that is under way


class NewFlows:
    """Creates a flow for each row. With a ``key`` each has an idempotency key of its own: ``key:position``."""

    def __init__(self, engine: Engine, workflow: str | Graph, rows: Rows, key: str, options: Mapping[str, Any]) -> None:
        self._engine = engine
        self._workflow = workflow
        self._rows = rows
        self._key = key
        self._options = options

    @property
    def inputs(self) -> set[str]:
        """The fields that the rows have given."""
        return self._rows.inputs

    async def block(self) -> list[Started]:
        """The next rows with their flows; a row that cannot be a state comes as it is. Empty at the end."""
        rows = await asyncio.to_thread(self._rows.take, BLOCK)  # a generator may compute, or read a file
        good = [row for row in rows if not row.error]
        keys = [f"{self._key}:{row.position}" for row in good] if self._key else None
        try:
            handles = await self._engine.create_many(
                self._workflow, [row.state for row in good], idempotency_keys=keys, **self._options
            )
        except StateConflict as fault:
            fault.add_note(
                f"the key {self._key!r} belongs to a map over other rows; give this one another key, or give the rows "
                "in the order they had"
            )
            raise
        made = {row.position: handle for row, handle in zip(good, handles, strict=True)}
        return [(row.position, made.get(row.position, row)) for row in rows]


class Repairs:
    """Repairs the flows of some rows: each goes on in a copy, in which what failed is run again.

    A row whose flow has been repaired already takes that repair: the newest flow of the thread.
    """

    def __init__(self, engine: Engine, flows: Sequence[tuple[int, str]], inputs: set[str], *, own_threads: bool):
        self._engine = engine
        self._flows = list(flows)
        self._own_threads = own_threads
        self.inputs = inputs

    async def block(self) -> list[Started]:
        """The next rows with their flows. Empty at the end."""
        # fewer than new flows: a repair is some transactions of its own, and a block of new flows is one
        now, self._flows = self._flows[: BLOCK // 4], self._flows[BLOCK // 4 :]
        return list(await asyncio.gather(*(self._repair(position, key) for position, key in now)))

    async def _repair(self, position: int, key: str) -> Started:
        try:
            newest = await self._newest(key)
            handle = self._engine.flow(newest)
            status = (await handle.fingerprint())[1]
            return position, await handle.retry_failed() if status in (Status.FAILED, Status.CANCELLED) else handle
        except (FlowNotFound, StateConflict) as fault:
            return position, MapRow(position, {}, f"{type(fault).__name__}: {fault}")

    async def _newest(self, key: str) -> str:
        if self._own_threads:
            async for summary in self._engine.flows(thread=key, limit=1):
                return summary.flow_key
        return key


class FlowSource(Protocol):
    """Where the flows of a map come from. ``inputs`` are the fields that are no results."""

    @property
    def inputs(self) -> set[str]:
        """The fields that the rows have given."""
        ...

    async def block(self) -> list[Started]:
        """The next rows with their flows. Empty at the end."""
        ...


class MapWork:
    """The flows of a map. ``ended`` is done when each row has ended; ``tally`` has the results so far."""

    def __init__(self, engine: Engine, source: FlowSource, tally: Tally, follow: Follow) -> None:
        self.label = f"map-{next(_numbers):06}"  # tells it from other maps of this process
        self.engine = engine
        self.tally = tally
        self.inputs = source.inputs
        self.ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.listeners = Listeners()
        self.asking: dict[int, FlowWatcher] = {}  # replaced, never changed in place
        self.read_all = False
        self._source = source
        self._follow = follow
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._stopped: set[int] = set()  # the rows that wait at a breakpoint, and for no answer
        self._stopping: str | None = None

    # ------------------------------------------------------------ what it is

    @property
    def cards(self) -> list[tuple[int, Card]]:
        """The questions of the rows, each with the row's position."""
        return [(position, card) for position, each in self.asking.items() for card in each.cards]

    @property
    def fault(self) -> str:
        """Why not all rows were started or followed to their ends; "" if they were, or are about to be."""
        error = self.ended.exception() if self.ended.done() else None
        return "" if error is None else brief(f"{type(error).__name__}: {error}", 200)

    @property
    def text(self) -> str:
        """How far it has come, and what stopped it, in one line."""
        text = self.tally.progress().text
        return f"{text}; stopped: {self.fault}" if self.fault else text

    @property
    def stuck(self) -> list[Card]:
        """The open questions, where nothing else is left to go on with; those without a scripted answer."""
        if not self.read_all or len(self._tasks) > len(self.asking):
            return []
        return [card for each in self.asking.values() for card in each.unanswered]

    # ------------------------------------------------------------ running

    async def run(self) -> None:
        """Start the rows, and wait for their ends. Nothing is raised: the error is that of the future ``ended``."""
        _running.add(self)
        fault: Exception | None = None
        try:
            try:
                await self._start_all()
            except EngineClosed:
                fault = EngineClosed(_CLOSED)
            except Exception as error:  # noqa: BLE001  it becomes that of ``ended``, once the flows in hand have ended
                fault = error
            self.read_all = True
            while self._tasks:
                await asyncio.wait(self._tasks)
            self._finish(fault or self._close_rest())
        except asyncio.CancelledError:
            self._finish(EngineClosed(_CLOSED))
            raise
        finally:
            _running.discard(self)

    async def _start_all(self) -> None:
        while self._stopping is None:
            while self._stopping is None and not self._has_room():
                self._room.clear()
                await self._room.wait()
            if self._stopping is not None:  # it came while there was no room
                return
            block = await self._source.block()
            if not block:
                self.tally.total = self.tally.rows if self.tally.total is None else self.tally.total
                return
            for position, made in block:
                if isinstance(made, MapRow):
                    self.tally.close(position, Status.FAILED, made.error)
                    continue
                self.tally.start(position, made.key)
                task = asyncio.create_task(self._row(position, made), name="dwarf-map-row")
                self._tasks.add(task)
                task.add_done_callback(self._row_ended)
            self._tell()
            if self._stopping is not None:
                await self._cancel_flows()

    def _has_room(self) -> bool:
        in_hand = len(self._tasks)
        # Rows that wait for a person are not busy: a thousand open questions must not stop the rows behind them.
        return in_hand - len(self.asking) <= MOST_BUSY - BLOCK and in_hand <= MOST_IN_HAND - BLOCK

    async def _row(self, position: int, handle: FlowHandle) -> None:
        try:
            outcome = await handle.outcome()
            if not outcome.status.terminal:
                outcome = await self._asked(position, handle)
            self.tally.end(position, outcome, self.inputs)
        except FlowNotFound:
            self.tally.close(position, Status.FAILED, "the flow has been deleted")
        except EngineClosed:
            return  # the row has not ended; the flow is kept
        except Exception as fault:  # noqa: BLE001  one row must not stop the others
            _log.debug("a row of a map cannot be followed", exc_info=True)
            self.tally.close(position, Status.FAILED, f"{type(fault).__name__}: {fault}")

    async def _asked(self, position: int, handle: FlowHandle) -> Outcome:
        """Wait for a flow that has put a question; it is answered by script, in the map's view, or anywhere else."""

        async def known() -> FlowHandle:
            return handle

        watcher = await self._follow(known)

        def tell() -> None:
            self._mark_stopped(position, bool(where_stopped(watcher.steps)))
            self._tell()

        watcher.listeners.add(tell)
        self._mark_stopped(position, bool(where_stopped(watcher.steps)))
        self._ask({**self.asking, position: watcher})
        try:
            # shielded: the future is the watcher's, and others wait for it, too
            return await asyncio.shield(asyncio.wrap_future(watcher.ended))
        finally:
            watcher.listeners.discard(tell)
            self._mark_stopped(position, False)
            self._ask({key: each for key, each in self.asking.items() if key != position})

    def _mark_stopped(self, position: int, stopped: bool) -> None:
        (self._stopped.add if stopped else self._stopped.discard)(position)
        self.tally.stopped = len(self._stopped)

    def _ask(self, asking: dict[int, FlowWatcher]) -> None:
        self.asking = asking
        self.tally.waiting = len(asking)
        self._room.set()
        self._tell()

    def _row_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.set()
        self._tell()

    def _finish(self, fault: BaseException | None) -> None:
        self.tally.ended_at = time.monotonic()
        if not self.ended.done():
            if fault is None:
                self.ended.set_result(None)
            else:
                self.ended.set_exception(fault)
        self._tell()

    def _close_rest(self) -> Exception | None:
        """Rows that have not ended: they were stopped before they began, or the engine was closed under their flows."""
        rest = list(self.tally.unfinished())
        if rest and self._stopping is None:
            return EngineClosed(_CLOSED)
        for position in rest:
            self.tally.close(position, Status.CANCELLED, self._stopping or "not started")
        return None

    # ------------------------------------------------------------ stopping

    async def stop(self, reason: str) -> None:
        """Start no more rows, and cancel the flows in hand."""
        if self._stopping is None and not self.ended.done():
            self._stopping = reason
            self._room.set()
            await self._cancel_flows()

    async def _cancel_flows(self) -> None:
        async def cancel(key: str) -> None:
            try:
                await self.engine.flow(key).cancel(self._stopping or "")
            except (StateConflict, FlowNotFound):
                pass  # it has ended by itself

        tally = self.tally
        open_keys = [tally.flows[position] for position in tally.unfinished() if position < len(tally.flows)]
        await asyncio.gather(*(cancel(key) for key in open_keys if key))

    def _tell(self) -> None:
        self.listeners.tell()


_CLOSED = "the lab was closed; the flows are kept in its database, and a map with the same key goes on with them"
