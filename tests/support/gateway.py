"""A way to a database server that can be shut, cut and stalled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.engine import make_url


class Gateway:
    """Passes bytes on in both directions, as long as a test lets it."""

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self._links: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.shut = False  # new connections are refused
        self.refused = 0

    def stall(self) -> None:
        """Hold every byte back."""
        self._flowing.clear()

    def resume(self) -> None:
        """Pass on what was held back, and what comes."""
        self._flowing.set()

    async def cut(self) -> None:
        """End every connection."""
        for link in set(self._links):
            link.cancel()
        if self._links:
            await asyncio.wait(set(self._links))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        if self.shut:
            self.refused += 1
            writer.transport.abort()
            return
        own = asyncio.current_task()
        assert own is not None
        self._links.add(own)
        try:
            server_reader, server_writer = await asyncio.open_connection(*self.target)
            try:
                directions = [self._pass(reader, server_writer), self._pass(server_reader, writer)]
                tasks = [asyncio.create_task(direction) for direction in directions]
                try:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.wait(tasks)
            finally:
                server_writer.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass  # the callback of a server that is cancelled would be logged as an error
        finally:
            writer.transport.abort()
            self._links.discard(own)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # one side has gone


@asynccontextmanager
async def through_a_gateway(url: str) -> AsyncIterator[tuple[Gateway, str]]:
    """A gateway before a server, and the URL that leads through it."""
    target = make_url(url)
    assert target.host is not None
    assert target.port is not None
    gateway = Gateway(target.host, target.port)
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield gateway, url.replace(f":{target.port}/", f":{port}/")
    finally:
        server.close()
        gateway.resume()
        await gateway.cut()
        await server.wait_closed()
