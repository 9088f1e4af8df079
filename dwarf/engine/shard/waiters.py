"""Waiting for a flow to stop, here or in another process; and watching trees of flows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from dwarf.errors import EngineClosed
from dwarf.storage.operations.unit_of_work import Stop
from dwarf.workflow.status import Status

REMEMBERED = 4096
_ELSEWHERE = Stop(0, Status.RUNNING)  # only a look at the database can tell how


class Waiters:
    """Who waits for which flow of one shard. Any number may wait for one flow."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[asyncio.Future[Stop | None]]] = {}
        self._recent: dict[int, Stop] = {}
        self._former: dict[int, Stop] = {}  # what ``_recent`` was before it was full
        self._closed = False
        self.generation = 0

    @property
    def flow_ids(self) -> set[int]:
        """The flows that somebody waits for."""
        return set(self._waiting)

    def recent(self, flow_id: int) -> Stop | None:
        """The last stop of a flow, where it was in this process and a short while ago."""
        return self._recent.get(flow_id) or self._former.get(flow_id)

    def knows_since(self, generation: int | None) -> bool:
        """Whether ``recent`` knows every stop since the generation was this one."""
        return generation is not None and self.generation - generation <= 1

    @contextmanager
    def waiting(self, flow_id: int) -> Iterator[asyncio.Future[Stop | None]]:
        """A future of the flow's next stop. Its result is None where only a look at the database can tell more."""
        if self._closed:
            raise EngineClosed("the engine is closed")
        future: asyncio.Future[Stop | None] = asyncio.get_running_loop().create_future()
        group = self._waiting.setdefault(flow_id, set())
        group.add(future)
        try:
            yield future
        finally:
            group.discard(future)
            if not group and self._waiting.get(flow_id) is group:
                del self._waiting[flow_id]

    def stopped(self, stop: Stop) -> None:
        """A flow has stopped by a commit of this process."""
        self._remember(stop.flow_id, stop)
        self.release(stop.flow_id, stop)

    def goes_on(self, flow_id: int) -> None:
        """A flow that had stopped runs again, by a commit of this process: what was known of its stop is over."""
        for known in (self._recent, self._former):
            stop = known.get(flow_id)
            if stop is not None and stop.status is Status.INTERRUPTED:
                del known[flow_id]

    def stopped_elsewhere(self, flow_ids: Iterable[int]) -> None:
        """Flows have stopped by a commit of another process."""
        for flow_id in flow_ids:
            if flow_id in self._waiting:
                self.release(flow_id)
            else:
                self._remember(flow_id, _ELSEWHERE)

    def _remember(self, flow_id: int, stop: Stop) -> None:
        if len(self._recent) >= REMEMBERED:
            self._recent, self._former = {}, self._recent
            self.generation += 1
        self._recent[flow_id] = stop

    def gone(self, flow_ids: Iterable[int]) -> None:
        """Flows have been removed: who waits for one is to find that out."""
        for flow_id in flow_ids:
            if self._recent.pop(flow_id, None) is not None or self._former.pop(flow_id, None) is not None:
                self.unsure()
            self.release(flow_id)

    def unsure(self) -> None:
        """Flows may have stopped that ``recent`` does not know of."""
        self.generation += 2

    def release(self, flow_id: int, stop: Stop | None = None) -> None:
        """Wake everybody who waits for a flow."""
        for future in self._waiting.pop(flow_id, ()):
            if not future.done():
                future.set_result(stop)

    def close(self) -> None:
        """Wake everybody with EngineClosed."""
        self._closed = True
        for group in self._waiting.values():
            for future in group:
                if not future.done():
                    future.set_exception(EngineClosed("the engine is closing; the flow goes on where another runs it"))
        self._waiting.clear()


class TreeWatchers:
    """The watchers of trees of flows: each has an event, which is set when there is something new in its tree."""

    def __init__(self) -> None:
        self._events: dict[int, set[asyncio.Event]] = {}  # by the root flow

    @property
    def watched(self) -> set[int]:
        """The trees that somebody watches, by their root flows."""
        return set(self._events)

    def watch(self, root: int, event: asyncio.Event) -> Callable[[], None]:
        """Have an event set whenever there is something new in a tree. Returns how to stop it."""
        group = self._events.setdefault(root, set())
        group.add(event)

        def stop() -> None:
            group.discard(event)
            if not group and self._events.get(root) is group:
                del self._events[root]

        return stop

    def announce(self, roots: Iterable[int]) -> None:
        """There is something new in these trees."""
        if self._events:
            for root in roots:
                for event in self._events.get(root, ()):
                    event.set()

    def announce_all(self) -> None:
        """There may be something new in any tree."""
        for events in self._events.values():
            for event in events:
                event.set()
