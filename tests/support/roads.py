"""A way to a database server that a test can close, cut, stall and lengthen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.engine import make_url


class Road:
    """Passes bytes on, each time after ``delay`` seconds. Closed, it refuses whoever comes and cuts who is under way."""

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self._under_way: set[asyncio.Task[None]] = set()
        self._moving = asyncio.Event()
        self._moving.set()
        self.delay = 0.0
        self.closed = False
        self.refused = 0  # connections

    def stall(self) -> None:
        """Hold every byte back."""
        self._moving.clear()

    def resume(self) -> None:
        """Pass on what was held back, and what comes."""
        self._moving.set()

    async def travel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        own = asyncio.current_task()
        assert own is not None
        self._under_way.add(own)
        far_writer = None
        try:
            if self.closed:
                self.refused += 1
                return
            far_reader, far_writer = await asyncio.open_connection(*self.target)
            ways = [
                asyncio.create_task(self._carry(reader, far_writer)),
                asyncio.create_task(self._carry(far_reader, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)
        except (OSError, asyncio.CancelledError):
            pass  # a callback of a server that is cancelled would be logged as an error
        finally:
            self._under_way.discard(own)
            for end in (writer, far_writer):
                if end is not None:
                    end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._moving.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass

    async def close(self) -> None:
        """Cut every connection and let nobody through."""
        self.closed = True
        for task in tuple(self._under_way):
            task.cancel()
        if self._under_way:
            await asyncio.wait(set(self._under_way))

    def open(self) -> None:
        """Let everybody through again."""
        self.closed = False


@asynccontextmanager
async def road_to(url: str) -> AsyncIterator[tuple[Road, str]]:
    """A road to a server, and the URL that leads over it."""
    target = make_url(url)
    assert target.host is not None
    assert target.port is not None
    road = Road(target.host, target.port)
    server = await asyncio.start_server(road.travel, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield road, url.replace(f":{target.port}/", f":{port}/")
    finally:
        server.close()
        await road.close()
