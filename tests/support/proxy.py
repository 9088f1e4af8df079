"""A way to a database server that loses answers to COMMIT."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from sqlalchemy.engine import make_url

Wanted = Callable[[str], bool]


class Proxy:
    """Passes everything on, but cuts the connections of transactions that a test has doomed when they commit.

    ``lost`` counts them. One that ``arrives`` is committed by the server before the connection is cut.
    """

    def __init__(self, kind: str, host: str, port: int) -> None:
        self._reader_of = _postgresql if kind == "postgresql" else _mariadb
        self._target = host, port
        self._wanted: Wanted = lambda text: False
        self._arrives = True
        self._left = 0
        self._loss = asyncio.Event()
        self._links: set[asyncio.Task[None]] = set()
        self.lost = 0

    def lose(self, wanted: Wanted, *, arrives: bool = True, times: int = 1) -> None:
        """Doom the next transactions of which a statement is wanted."""
        self._wanted, self._arrives, self._left = wanted, arrives, times
        self._loss.clear()

    async def loss(self) -> None:
        """Wait until one is lost."""
        await self._loss.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        own = asyncio.current_task()
        assert own is not None
        self._links.add(own)
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
            try:
                await self._relay(reader, writer, server_reader, server_writer)
            finally:
                server_writer.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass  # the callback of a server that is cancelled would be logged as an error
        finally:
            writer.transport.abort()
            self._links.discard(own)

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        cut = asyncio.Event()

        async def answers() -> None:
            while data := await server_reader.read(65536):
                if cut.is_set():
                    return  # the server has done it; nobody hears of that
                writer.write(data)
                await writer.drain()
            writer.close()

        answering = asyncio.create_task(answers())
        read = self._reader_of()
        doomed = inside = False
        try:
            while data := await reader.read(65536):
                for text in read(data):
                    if text.startswith(("BEGIN", "SET TRANSACTION")):
                        doomed, inside = False, True
                    doomed = doomed or (self._left > 0 and self._wanted(text))
                    # a statement that writes outside of a transaction is one of its own
                    commits = text == "COMMIT" or (not inside and text.startswith("WITH own AS"))
                    inside = inside and text not in ("COMMIT", "ROLLBACK")
                    if commits and doomed and self._left > 0:
                        self._left -= 1
                        self.lost += 1
                        cut.set()
                if cut.is_set() and not self._arrives:
                    break
                server_writer.write(data)
                await server_writer.drain()
                if cut.is_set():
                    break
            if cut.is_set() and self._arrives:
                await answering
        finally:
            answering.cancel()
            await asyncio.wait([answering])
            if cut.is_set():
                self._loss.set()

    async def aclose(self) -> None:
        """Cut every connection."""
        for link in set(self._links):
            link.cancel()
        if self._links:
            await asyncio.wait(set(self._links))


@asynccontextmanager
async def proxied(kind: str, url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy before a server, and the URL that leads through it."""
    target = make_url(url)
    assert target.host is not None
    assert target.port is not None
    proxy = Proxy(kind, target.host, target.port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, url.replace(f":{target.port}/", f":{port}/")
    finally:
        server.close()
        await proxy.aclose()
        await server.wait_closed()


# ------------------------------------------------------------------ what clients say


_ASKS_FOR_TLS = struct.pack("!I", 80877103)


def _postgresql() -> Callable[[bytes], Iterator[str]]:
    """The texts of the statements that are run, prepared ones included."""
    prepared: dict[bytes, str] = {}
    rest = bytearray()
    started = False

    def read(data: bytes) -> Iterator[str]:
        nonlocal started
        rest.extend(data)
        while True:
            head = 1 if started else 0  # the first message has no letter
            if len(rest) < head + 4:
                return
            (length,) = struct.unpack_from("!I", rest, head)
            if len(rest) < head + length:
                return
            kind = bytes(rest[:1]) if started else b""
            body = bytes(rest[head + 4 : head + length])
            del rest[: head + length]
            started = started or body[:4] != _ASKS_FOR_TLS
            if kind == b"Q":
                yield body.rstrip(b"\0").decode()
            elif kind == b"P":
                name, text = body.split(b"\0")[:2]
                prepared[name] = text.decode()
            elif kind == b"B":
                yield prepared.get(body.split(b"\0")[1], "")

    return read


def _mariadb() -> Callable[[bytes], Iterator[str]]:
    rest = bytearray()

    def read(data: bytes) -> Iterator[str]:
        rest.extend(data)
        while len(rest) >= 4:
            length = int.from_bytes(rest[:3], "little")
            if len(rest) < 4 + length:
                return
            body = bytes(rest[4 : 4 + length])
            first = rest[3] == 0
            del rest[: 4 + length]
            if first and body[:1] == b"\x03":
                yield body[1:].decode("utf-8", "replace")

    return read
