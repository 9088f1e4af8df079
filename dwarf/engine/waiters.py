"""Waiting for a flow to stop, here or in another process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from dwarf.errors import EngineClosed
from dwarf.storage.effects import Stop

REMEMBERED = 4096


class Waiters:
    """Who waits for which flow of one shard. Any number may wait for one flow."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[asyncio.Future[Stop | None]]] = {}
        self._recent: OrderedDict[int, Stop] = OrderedDict()
        self._closed = False
        self.generation = 0  # while it stands, ``recent`` knows every stop

    @property
    def flow_ids(self) -> set[int]:
        """The flows that somebody waits for."""
        return set(self._waiting)

    def recent(self, flow_id: int) -> Stop | None:
        """The last stop of a flow, where it was in this process and a short while ago."""
        return self._recent.get(flow_id)

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
        self._recent[stop.flow_id] = stop
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)
            self.unsure()
        self.release(stop.flow_id, stop)

    def unsure(self) -> None:
        """Flows may have stopped that ``recent`` does not know of."""
        self.generation += 1

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
