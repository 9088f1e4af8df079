"""Waiting for a flow to stop, in this or another process, and watching trees of flows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from dwarf.errors import EngineClosed
from dwarf.storage.operations.unit_of_work import Stop
from dwarf.workflow.status import Status

REMEMBERED = 4096
_ELSEWHERE = Stop(0, Status.RUNNING)  # only a query can tell how


class Waiters:
    """The waiters of flows of one shard. Any number may wait for one flow."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[asyncio.Future[Stop | None]]] = {}
        self._recent: dict[int, Stop] = {}
        self._former: dict[int, Stop] = {}  # the previous ``_recent``, before it was full
        self._closed = False
        self.generation = 0

    @property
    def flow_ids(self) -> set[int]:
        """The flows that have waiters."""
        return set(self._waiting)

    def recent(self, flow_id: int) -> Stop | None:
        """The last stop of a flow, if it happened recently in this process."""
        return self._recent.get(flow_id) or self._former.get(flow_id)

    def knows_since(self, generation: int | None) -> bool:
        """Whether ``recent`` has every stop since the generation was ``generation``."""
        return generation is not None and self.generation - generation <= 1

    @contextmanager
    def waiting(self, flow_id: int) -> Iterator[asyncio.Future[Stop | None]]:
        """A future of the flow's next stop. Its result is None if only a query can tell more."""
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
        """Record the stop of a flow by a commit of this process, and wake its waiters."""
        self._remember(stop.flow_id, stop)
        self.release(stop.flow_id, stop)

    def goes_on(self, flow_id: int) -> None:
        """A stopped flow runs again by a commit of this process: forget its stop."""
        for known in (self._recent, self._former):
            stop = known.get(flow_id)
            if stop is not None and stop.status is Status.INTERRUPTED:
                del known[flow_id]

    def stopped_elsewhere(self, flow_ids: Iterable[int]) -> None:
        """Handle stops of flows by commits of another process."""
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
        """Wake the waiters of removed flows, so that they find the removal."""
        for flow_id in flow_ids:
            if self._recent.pop(flow_id, None) is not None or self._former.pop(flow_id, None) is not None:
                self.unsure()
            self.release(flow_id)

    def unsure(self) -> None:
        """Flows may have stopped unknown to ``recent``: start a new generation."""
        self.generation += 2

    def release(self, flow_id: int, stop: Stop | None = None) -> None:
        """Wake all waiters of a flow."""
        for future in self._waiting.pop(flow_id, ()):
            if not future.done():
                future.set_result(stop)

    def close(self) -> None:
        """Wake all waiters with EngineClosed."""
        self._closed = True
        for group in self._waiting.values():
            for future in group:
                if not future.done():
                    future.set_exception(EngineClosed("the engine is closing; the flow goes on where another runs it"))
        self._waiting.clear()


class TreeWatchers:
    """The watchers of trees of flows. Each has an event, which is set on changes in its tree."""

    def __init__(self) -> None:
        self._events: dict[int, set[asyncio.Event]] = {}  # by root flow

    @property
    def watched(self) -> set[int]:
        """The watched trees, by their root flows."""
        return set(self._events)

    def watch(self, root: int, event: asyncio.Event) -> Callable[[], None]:
        """Set an event on every change in a tree. Returns a function that stops this."""
        group = self._events.setdefault(root, set())
        group.add(event)

        def stop() -> None:
            group.discard(event)
            if not group and self._events.get(root) is group:
                del self._events[root]

        return stop

    def announce(self, roots: Iterable[int]) -> None:
        """Wake the watchers of these trees."""
        if self._events:
            for root in roots:
                for event in self._events.get(root, ()):
                    event.set()

    def announce_all(self) -> None:
        """Wake the watchers of all trees."""
        for events in self._events.values():
            for event in events:
                event.set()
