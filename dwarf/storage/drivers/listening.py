"""PostgreSQL: notifications between processes by LISTEN and NOTIFY, on a separate connection.

Notifications only reduce latency. They may be lost, so every process also polls the database. A process sends nothing
while no other process listens, and never inside a transaction that does work: NOTIFY makes commits wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from zlib import crc32

import asyncpg

from dwarf.errors import StorageError
from dwarf.storage.drivers.database import OnNotify

BEAT_S = 10.0  # interval in which a process announces itself
FORGOTTEN_S = 35.0  # time after which a silent process counts as gone
LONGEST_PAUSE_S = 30.0  # between attempts to connect
MOST_NAMED = 300  # flows in one message, which has at most 8000 bytes
_HELLO, _HERE, _BYE = "hello", "here", "bye"
_ERRORS = (StorageError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

logger = logging.getLogger(__name__)


class ChannelListener:
    """Sends and receives the notifications of one process on one database."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection[Any]]], on_notify: OnNotify) -> None:
        self._connect = connect
        self._on_notify = on_notify
        # when other processes were last heard, by the server process id of their listening connection
        self._others: dict[int, float] = {}
        self._itself = float("-inf")  # when it last received its own notification
        self._connection: asyncpg.Connection[Any] | None = None
        self._channel = ""
        self._wake = asyncio.Event()
        self._outbox: list[str] = []
        self._work_due = False
        self._stopped: set[int] = set()
        self._closing = False
        self._task = asyncio.create_task(self._run(), name="dwarf-listener")

    @property
    def has_notifications(self) -> bool:
        """Whether the connection stands and its own notifications arrive: a pooler in between may swallow them."""
        return self._connection is not None and self._itself >= time.monotonic() - FORGOTTEN_S

    @property
    def living(self) -> int | None:
        """How many processes listen, including this one; None while this one does not."""
        return None if self._connection is None else len(self._others) + 1

    def notify(self, work_due: bool, stopped: Collection[int]) -> None:
        """Send a notification soon, together with those that follow shortly. Dropped if no other process listens."""
        if self._connection is None or not self._others:
            return
        self._work_due = self._work_due or work_due
        self._stopped.update(stopped)
        self._wake.set()

    async def aclose(self) -> None:
        """Announce the end, and disconnect."""
        self._closing = True
        self._wake.set()
        if self._connection is not None:
            await asyncio.wait({self._task}, timeout=2)
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        pause = 0.5
        while not self._closing:
            try:
                await self._serve(await self._connect())
                pause = 0.5
            except _ERRORS as error:
                logger.info("no news of other processes for now, which costs a little time and nothing else: %s", error)
            except Exception as error:  # noqa: BLE001 - the loop must not end; the text may hold data
                logger.error("listening for news failed: %s", type(error).__name__)
            finally:
                connection, self._connection = self._connection, None
                self._itself = float("-inf")
                if connection is not None:
                    connection.terminate()
            if not self._closing:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE_S, pause * 2)

    async def _serve(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection
        schema = await connection.fetchval("SELECT current_schema()")
        self._channel = f"dwarf_{crc32(str(schema).encode()):08x}"
        connection.add_termination_listener(lambda _: self._wake.set())
        await connection.add_listener(self._channel, self._on_message)
        self._on_notify(True, None)  # notifications may have been missed while nothing listened here
        await self._send(connection, _HELLO)
        beat = time.monotonic()
        while not self._closing and not connection.is_closed():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, beat + BEAT_S - time.monotonic())):
                    await self._wake.wait()
            self._wake.clear()
            if time.monotonic() >= beat + BEAT_S:
                beat = time.monotonic()
                self._forget(beat - FORGOTTEN_S)
                self._outbox.append(_HERE)
            self._pack()
            while self._outbox:
                await self._send(connection, self._outbox.pop(0))
        if not connection.is_closed():
            await self._send(connection, _BYE)

    def _pack(self) -> None:
        if not self._work_due and not self._stopped:
            return
        work, self._work_due = str(int(self._work_due)), False
        stopped, self._stopped = self._stopped, set()
        named = "*" if len(stopped) > MOST_NAMED else " ".join(map(str, stopped))
        self._outbox.append(f"{work} {named}")

    async def _send(self, connection: asyncpg.Connection[Any], message: str) -> None:
        await connection.execute("SELECT pg_notify($1, $2)", self._channel, message, timeout=5)

    def _forget(self, before: float) -> None:
        self._others = {pid: at for pid, at in self._others.items() if at >= before}

    def _on_message(self, connection: object, pid: int, channel: str, message: object) -> None:
        own = self._connection
        if own is None:
            return
        if pid == own.get_server_pid():
            self._itself = time.monotonic()
            return
        if message == _BYE:
            self._others.pop(pid, None)
            return
        if pid not in self._others:
            # so that it learns of this process, too: it sends nothing while it knows of no listener
            if message != _HELLO:
                self._outbox.append(_HERE)
            self._on_notify(True, None)  # that process did not know this one, so its notifications so far were not sent
        self._others[pid] = time.monotonic()
        if message == _HELLO:
            self._outbox.append(_HERE)
            self._wake.set()
        elif message != _HERE:
            self._news(str(message))

    def _news(self, message: str) -> None:
        work, _, named = message.partition(" ")
        try:
            stopped = None if named == "*" else [int(flow) for flow in named.split()]
        except ValueError:
            return  # from a later version
        self._on_notify(work == "1", stopped)
