"""Ways to a database server that a test can close, keep open, or pass off as a pooler. Made for processes to go through."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy.engine import make_url

_KEY_DATA = b"K" + struct.pack("!I", 12)  # before the number of PostgreSQL's process, when it is ready
_OTHER = 0x5A5A


class Way:
    """Passes bytes on. ``keeping``: what a client leaves open stays open at the server, whatever becomes of the client.

    ``pooling``: clients are told another process or thread of the server than the one that serves them, as by poolers.
    """

    def __init__(self, host: str, port: int, *, keeping: bool, pooling: bool) -> None:
        self._target = host, port
        self._keeping = keeping
        self._pooling = pooling
        self._open = True
        self._kept: list[asyncio.StreamWriter] = []
        self._links: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        own = asyncio.current_task()
        assert own is not None
        self._links.add(own)
        try:
            if self._open:
                await self._relay(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the callback of a server that is cancelled would be logged as an error
        finally:
            writer.transport.abort()
            self._links.discard(own)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        answering = asyncio.create_task(self._answers(server_reader, writer))
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    server_writer.write(data)
                    await server_writer.drain()
            if self._keeping and self._open:
                self._kept.append(server_writer)
        finally:
            answering.cancel()
            await asyncio.wait([answering])
            if server_writer not in self._kept:
                server_writer.transport.abort()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted = not self._pooling
        with suppress(OSError):
            while data := await reader.read(65536):
                if not greeted:
                    data, greeted = _disguised(data)
                writer.write(data)
                await writer.drain()
            writer.close()

    async def close(self) -> None:
        """The server is away: every connection is cut, and new ones end at once."""
        self._open = False
        for link in set(self._links):
            link.cancel()
        if self._links:
            await asyncio.wait(set(self._links))
        for writer in self._kept:
            writer.transport.abort()
        self._kept.clear()

    def open(self) -> None:
        """The server is back."""
        self._open = True


def _disguised(data: bytes) -> tuple[bytes, bool]:
    """A part of the greeting with another number in it, and whether it was there."""
    if data[3:5] == b"\0\x0a":  # the first packet of MySQL and MariaDB: the version, and the number of the thread
        at, form = data.index(b"\0", 5) + 1, "<I"
    elif (found := data.find(_KEY_DATA)) >= 0:
        at, form = found + len(_KEY_DATA), "!I"
    else:
        return data, False
    (number,) = struct.unpack_from(form, data, at)
    return data[:at] + struct.pack(form, number ^ _OTHER) + data[at + 4 :], True


@asynccontextmanager
async def way_to(url: str, *, keeping: bool = False, pooling: bool = False) -> AsyncIterator[tuple[Way, str]]:
    """A way to a server, and the URL that leads over it."""
    target = make_url(url)
    assert target.host is not None
    assert target.port is not None
    way = Way(target.host, target.port, keeping=keeping, pooling=pooling)
    server = await asyncio.start_server(way.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield way, url.replace(f":{target.port}/", f":{port}/")
    finally:
        server.close()
        await way.close()
        await server.wait_closed()
