"""The recipes of the documentation run as they stand, against servers that fail twice first."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Flow, Graph, Status
from dwarf.hosts import LocalHost
from dwarf.testing import VirtualClock
from tests.support.workflows import Running

PAGE = Path(__file__).parents[2] / "docs" / "notifications.md"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def recipe(name: str) -> Any:
    """The graph that a block of the page makes."""
    (code,) = re.findall(rf"```{{code-block}} python\n:name: {name}\n\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "recipes"}
    exec(compile(code, f"{PAGE.name}:{name}", "exec"), names)
    (graph,) = [value for value in names.values() if isinstance(value, Graph)]
    return graph


@asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[int]:
    """A server on a free port of this machine."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


class Mailbox:
    """Takes mail by SMTP, and refuses the first two senders for now."""

    def __init__(self) -> None:
        self.calls = 0
        self.mails: list[str] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        refuses = self.calls <= 2
        writer.write(b"421 come back later\r\n" if refuses else b"220 here\r\n")
        while not refuses and (line := await reader.readline()):
            verb = line[:4].upper()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                self.mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
            writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")
            if verb == b"QUIT":
                break
        writer.close()


class Web:
    """Takes JSON by POST, and fails twice first."""

    def __init__(self) -> None:
        self.calls = 0
        self.bodies: list[Any] = []
        self.keys: set[str] = set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n"))}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.calls += 1
        self.keys.add(headers.get("idempotency-key", ""))
        if self.calls > 2:
            self.bodies.append(body)
        status = "503 Busy" if self.calls <= 2 else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()


async def failed_with(running: Running, clock: VirtualClock, graph: Graph) -> str:
    """Have a flow fail, and its hook's flow come to its end; the flow's key."""

    async def work(flow: Flow) -> None:
        raise ValueError("over the limit")

    invoice = Graph("Invoice").add_node("Pay", work).add_transition("Pay", END)
    async with running(host=LocalHost(), clock=clock, hooks={"failed": graph}) as engine:
        flow = await engine.create(invoice, name="July, ACME")
        await flow.outcome(timeout=60)
        (hook,) = [found async for found in engine.flows(workflow_name=graph.name)]
        outcome = await engine.flow(hook.flow_key).outcome(timeout=60)
        assert outcome.status is Status.COMPLETED, outcome.error
        (step,) = await engine.flow(hook.flow_key).history()
        assert step.attempt == 2
    return flow.key


async def test_by_mail(running: Running, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = Mailbox()
    async with serving(mailbox.talk) as port:
        for name, value in {"FROM": "dwarf@x.test", "TO": "me@x.test", "SERVER": "127.0.0.1", "PORT": port}.items():
            monkeypatch.setenv(f"MAIL_{name}", str(value))
        await failed_with(running, clock, recipe("by-e-mail"))
    (mail,) = mailbox.mails
    assert "Subject: July, ACME is failed" in mail
    assert "over the limit" in mail


async def test_in_slack(running: Running, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    web = Web()
    async with serving(web.talk) as port:
        monkeypatch.setenv("SLACK_WEBHOOK", f"http://127.0.0.1:{port}/services/x")
        await failed_with(running, clock, recipe("in-slack"))
    assert web.bodies == [{"text": "*July, ACME* is failed. over the limit"}]


async def test_by_webhook(running: Running, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    web = Web()
    async with serving(web.talk) as port:
        monkeypatch.setenv("WEBHOOK_URL", f"http://127.0.0.1:{port}/")
        key = await failed_with(running, clock, recipe("by-webhook"))
    (body,) = web.bodies
    assert (body["event"], body["flow"], body["node"], body["name"]) == ("failed", key, "Pay", "July, ACME")
    assert len(web.keys) == 1
    assert web.calls == 3
