"""A small answer to ``GET /health``, for a load balancer or a supervisor on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from dwarf.cli.connect import fail

if TYPE_CHECKING:
    from dwarf.engine import Engine

_PATIENCE_S = 5


@asynccontextmanager
async def health_endpoint(engine: Engine, port: int) -> AsyncIterator[None]:
    """Answer on a port of this machine while the block runs: 200 while every shard answers, else 503. 0: none."""
    if not port:
        yield
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer(engine, reader, writer)
        except (OSError, ValueError, TimeoutError):
            pass
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(answer, "127.0.0.1", port, limit=8192)
    except OSError as error:
        fail(f"port {port} cannot be listened on: {error.strerror}")
    try:
        yield
    finally:
        server.close()


async def _answer(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    from dwarf.workflow.jsontext import dumps

    async with asyncio.timeout(_PATIENCE_S):
        request = await reader.readline()
        while (await reader.readline()).strip():
            pass
    body: Mapping[str, Any]
    if request.startswith((b"GET /health ", b"HEAD /health ")):
        infos = await engine.shards()
        good = all(not info.error for info in infos)
        status = "200 OK" if good else "503 Service Unavailable"
        body = {"status": "ok" if good else "unavailable", "shards": len(infos)}
    else:
        status, body = "404 Not Found", {"error": "only /health is here"}
    text = dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n"
    writer.write(f"{head}connection: close\r\n\r\n".encode() + (b"" if request.startswith(b"HEAD") else text))
    await writer.drain()
