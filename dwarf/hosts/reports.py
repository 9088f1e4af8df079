"""Reports of tasks that run in other processes of this machine, over a local connection."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, TypeAlias

from dwarf.hosts.carry import run_call
from dwarf.hosts.telling import Message, Tell

Address: TypeAlias = "tuple[str, bytes, int]"


class Reports:
    """Receives reports. The socket is opened for the first call, and protected by a key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        self._key = secrets.token_bytes(32)
        self._receivers: dict[int, Tell] = {}
        self._last = 0

    @contextmanager
    def receiving(self, show: Tell) -> Iterator[Address]:
        """The address for the reports of one call, valid inside this context. ``show`` is called in a thread."""
        with self._lock:
            if self._listener is None:
                self._listener = Listener(("127.0.0.1", 0), authkey=self._key)
                threading.Thread(target=self._accept, args=(self._listener,), name="dwarf-reports", daemon=True).start()
            self._last += 1
            number = self._last
            self._receivers[number] = show
            host, port = self._listener.address
        try:
            yield f"{host}:{port}", self._key, number
        finally:
            with self._lock:
                self._receivers.pop(number, None)

    def _accept(self, listener: Listener) -> None:
        while True:
            try:
                connection = listener.accept()
            except AuthenticationError:
                continue
            except (OSError, EOFError):
                if self._listener is not listener:
                    return
                continue
            threading.Thread(target=self._read, args=(connection,), name="dwarf-reports", daemon=True).start()

    def _read(self, connection: Connection[Any, Any]) -> None:
        with connection:
            try:
                while True:
                    call, number, messages = connection.recv()
                    receiver = self._receivers.get(call)
                    if receiver is not None:
                        receiver(number, messages)
            except (EOFError, OSError, RuntimeError, TypeError, ValueError):
                return

    def close(self) -> None:
        """Close the socket; the next call opens a new one."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()


def run_reporting(call: bytes, address: Address) -> bytes:
    """Run a packed call in an executor's process, and send its reports to the engine's process."""
    place, key, receiver = address
    connection: Connection[Any, Any] | None = None

    def tell(number: int, messages: list[Message]) -> None:
        nonlocal connection
        if connection is None:
            host, _, port = place.rpartition(":")
            connection = Client((host, int(port)), authkey=key)
        connection.send((receiver, number, messages))

    try:
        return run_call(call, tell)
    finally:
        if connection is not None:
            connection.close()
