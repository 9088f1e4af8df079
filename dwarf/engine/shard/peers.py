"""Hints between replicas through the host, if it carries them, for databases without notifications.

Nothing depends on hints. They may be lost, doubled, late or forged: a replica that gets one looks at the database.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any

from dwarf.core.keys import format_key, parse_key
from dwarf.engine.service import Service
from dwarf.errors import InvalidRequest
from dwarf.observe.logs import Log
from dwarf.storage.drivers.database import Database
from dwarf.storage.operations.unit_of_work import Stop

ENQUEUE, STATUS_CHANGE = "enqueue", "statusChange"
MOST_WAITING = 1024  # unsent hints; older ones are dropped
PATIENCE_S = 5.0  # for the host to take one

Send = Callable[[str, bytes], Coroutine[Any, Any, None]]


class Peers(Service):
    """The hints of this engine. The host gets them one after the other, and no caller waits for it."""

    name = "dwarf-peers"
    patience_s = PATIENCE_S

    def __init__(self, send: Send, log: Log) -> None:
        super().__init__()
        self._send = send
        self._log = log
        self._waiting: dict[tuple[str, bytes], None] = {}

    def work_due(self, shard: int, step_id: int) -> None:
        """Hint that a step is due. ``step_id`` is 0 if none is named."""
        self._tell(ENQUEUE, {"Shard": shard, "StepID": step_id})

    def stopped(self, shard: int, stops: Iterable[Stop]) -> None:
        """Hint that flows have stopped."""
        for stop in stops:
            self._tell(STATUS_CHANGE, {"FlowKey": format_key(shard, stop.flow_id, stop.token), "Status": stop.status})

    @property
    def finished(self) -> bool:
        """Whether the engine is closing and every hint was sent."""
        return self._closing and not self._waiting

    def _tell(self, op: str, payload: dict[str, Any]) -> None:
        self._waiting[op, json.dumps(payload).encode()] = None
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self.wake()

    def first_pause(self) -> None:
        """Wait for the first hint."""

    async def turn(self) -> None:
        """Send the queued hints."""
        while self._waiting:
            op, payload = next(iter(self._waiting))
            del self._waiting[op, payload]
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._send(op, payload)
            except Exception as error:  # noqa: BLE001 - a host may raise anything, and a hint is not needed
                self._log.warning("the host could not tell other replicas: %s", type(error).__name__)


class Notifier:
    """Notifies other processes of changes that they would otherwise find later, through the database and the host."""

    def __init__(self, shard: int, database: Database, peers: Peers | None) -> None:
        self._shard = shard
        self._database = database
        self._peers = peers

    @property
    def active(self) -> bool:
        """Whether any channel for notifications exists."""
        return self._database.has_notifications or self._peers is not None

    def notify(self, work_due: bool, stops: Sequence[Stop] = (), step_id: int = 0) -> None:
        """Notify that a step is due, and that these flows have stopped."""
        if self._database.has_notifications and (work_due or stops):
            self._database.notify(work_due, [stop.flow_id for stop in stops])
        if self._peers is not None:
            if work_due:
                self._peers.work_due(self._shard, step_id)
            self._peers.stopped(self._shard, stops)


def receive(op: str, payload: bytes, on_notify: Callable[[int, bool, Collection[int]], None]) -> None:
    """Handle a hint of another replica: the shard, whether work is due, and the stopped flows.

    InvalidRequest if it cannot be parsed.
    """
    try:
        said = json.loads(payload)
    except (ValueError, TypeError, RecursionError):
        raise InvalidRequest("the payload of a signal is a JSON object") from None
    if not isinstance(said, dict):
        raise InvalidRequest("the payload of a signal is a JSON object")
    if op == ENQUEUE:
        shard = said.get("Shard")
        if not isinstance(shard, int):
            raise InvalidRequest('the signal "enqueue" has a number as Shard')
        on_notify(shard, True, ())
    elif op == STATUS_CHANGE:
        key = parse_key(said.get("FlowKey"))
        on_notify(key.shard, False, [key.id])
    else:
        raise InvalidRequest(f"there is no signal {op!r}: it is {ENQUEUE!r} or {STATUS_CHANGE!r}")
