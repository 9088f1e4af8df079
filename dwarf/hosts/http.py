"""Tasks that another process serves over HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlsplit

from dwarf.errors import ConfigError, GraphNotFound, StateError, TaskNotFound
from dwarf.hosts.remote import HostUnavailable, RemoteTaskError, apply_outcome
from dwarf.hosts.telling import OutputListener
from dwarf.workflow.durations import Seconds, to_ms
from dwarf.workflow.flow import Flow
from dwarf.workflow.graph import Graph
from dwarf.workflow.host import BaseHost
from dwarf.workflow.jsontext import dumps, loads

if TYPE_CHECKING:
    import httpx

JSON: TypeAlias = Any

STREAM = "application/x-ndjson"
TELLS = "dwarf-tells"
"""The header that asks for what a task says: "shown" for streams and displays, "printed" for texts and records."""

MAX_ANSWER = 64 * 1024 * 1024
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
_CONNECT_S = 10.0
_SILENCE_S = 30.0  # a dwarf server sends something every five seconds
# The server is reachable but cannot answer: it is starting, overloaded, or a proxy has lost it.
_PASSING = frozenset({429, 502, 503, 504})

log = logging.getLogger("dwarf.hosts.http")


class HttpHost(BaseHost):
    """Tasks and graphs that a server offers by ``dwarf.hosts.asgi.task_app``. Needs the extra "http".

    ::

        host = HttpHost("https://tasks.example.com", token=os.environ["TASK_TOKEN"])
        engine = Engine(host, "postgresql://...")

    A task is one request, ``POST {base_url}/tasks/{url}``, with the wire form of the Flow. Progress arrives while it
    runs. If the server is away or a connection breaks, the request is repeated until the step's time budget is over;
    the server joins a repeated request to the same run. When the flow is cancelled or the step over its budget, the
    connection is closed, and the server cancels the task.

    ``timeout``: the longest silence of the server, in seconds (default: 30, and unlimited while another kind of server
    works on its response). ``client``: your own ``httpx.AsyncClient``, for certificates or proxies; you close it.
    ``token`` is sent as a bearer token and never shown. ConfigError for a bad URL, or if httpx is missing.
    """

    def __init__(
        self, base_url: str, *, token: str = "", timeout: Seconds | None = None, client: httpx.AsyncClient | None = None
    ) -> None:
        parts = urlsplit(base_url) if isinstance(base_url, str) else None
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"HttpHost needs a URL such as 'http://host:8080', not {base_url!r}")
        if parts.username or parts.password:
            raise ConfigError("HttpHost takes no password in its URL: give it as token=")
        if not isinstance(token, str):
            raise ConfigError(f"the token must be a str, not {type(token).__name__}")
        if any(ord(character) < 33 or ord(character) > 126 for character in token):
            raise ConfigError("the token must be printable ASCII without spaces")
        try:
            import httpx
        except ImportError:
            raise ConfigError("HttpHost needs httpx: pip install 'dwarf[http]'") from None
        self._httpx = httpx
        self._base = base_url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._silence = None if timeout is None else to_ms(timeout, "timeout") / 1000
        self._given = client
        self._clients: dict[asyncio.AbstractEventLoop, httpx.AsyncClient] = {}

    def __repr__(self) -> str:
        return f"<HttpHost: {self._base}>"

    # ------------------------------------------------------------------ for the engine

    async def load_graph(self, url: str, baggage: Mapping[str, JSON]) -> Graph:
        """The server's graph of this URL. GraphNotFound if it has none, HostUnavailable if the server is away."""
        body = dumps({"baggage": dict(baggage)}).encode()
        async for _ in _tries(3):
            try:
                response = await self._client().post(
                    f"{self._base}/graphs/{quote(url, safe='/')}", content=body, headers=self._headers
                )
            except self._httpx.TransportError as error:
                unreached = error
                continue
            if response.status_code == 404:
                raise GraphNotFound(f"the server {self._base} knows no graph {url!r:.200}")
            self._check(response.status_code, response.text[:300])
            return Graph.from_json(response.content)
        raise HostUnavailable(f"the server {self._base} cannot be reached: {_reason(unreached)}") from unreached

    async def execute_task(self, url: str, flow: Flow) -> None:
        """Run the task on the server. TaskNotFound if it has none; otherwise the task's error.

        Returns or raises only with the outcome: while the server is away the request is repeated, until this call is
        cancelled.
        """
        body = dumps(flow.to_json()).encode()
        said = _Said(flow)
        away = ""
        try:
            async for _ in _tries(None):
                try:
                    outcome = await self._call(url, flow, body, said)
                except (self._httpx.TransportError, TimeoutError, HostUnavailable) as error:
                    if isinstance(error, self._httpx.UnsupportedProtocol):
                        raise
                    if not away:
                        log.warning("task %r on %s is tried again: %s", url, self._base, _reason(error))
                    away = _reason(error)
                else:
                    apply_outcome(flow, outcome)
                    return
        except asyncio.CancelledError:
            if not away:
                raise
            # the reason, if the cancellation is the end of the time budget
            raise asyncio.CancelledError from HostUnavailable(f"{self._base} could not be reached: {away}")
        finally:
            said.listener.close()

    async def _call(self, url: str, flow: Flow, body: bytes, said: _Said) -> Mapping[str, JSON]:
        headers = {
            **self._headers,
            **said.asked,
            "content-type": "application/json",
            "accept": f"{STREAM}, application/json",
            "idempotency-key": run_key(flow),
        }
        address = f"{self._base}/tasks/{quote(url, safe='/')}"
        async with self._client().stream("POST", address, content=body, headers=headers) as response:
            kind = response.headers.get("content-type", "").partition(";")[0].strip()
            if response.status_code == 200 and kind == STREAM:
                return await self._streamed(response, flow, said)
            answer = await _whole(response)
        try:
            found = loads(answer, bounded=True) if answer else None
        except ValueError:
            found = None
        if response.status_code == 404 and isinstance(found, dict) and found.get("kind") == "task":
            raise TaskNotFound(f"the server {self._base} knows no task {url!r}")
        if response.status_code == 200 and isinstance(found, dict):
            return found if "flow" in found else {"flow": found}  # other kinds of servers answer with the flow alone
        text = found.get("error") if isinstance(found, dict) and found.get("kind") != "server" else None
        if isinstance(text, str) and response.status_code not in _PASSING:
            return {"flow": {}, "error": {"text": text, "fields": found}}
        self._check(response.status_code, answer[:300].decode("utf-8", "replace"))
        raise RemoteTaskError(f"the server {self._base} answered without an outcome")

    async def _streamed(self, response: httpx.Response, flow: Flow, said: _Said) -> Mapping[str, JSON]:
        """Report progress and the task's output as they arrive, and return the outcome."""
        limit = _SILENCE_S if self._silence is None else self._silence
        lines = _lines(response)
        while True:
            async with asyncio.timeout(limit):
                line = await anext(lines, None)
            if line is None:
                # as an error of the transport, so that the request is repeated and joins the run
                raise self._httpx.RemoteProtocolError("the connection ended before the outcome")
            message = loads(line, bounded=True)
            if not isinstance(message, dict):
                raise StateError(f"the server {self._base} sent a line that is no JSON object")
            if "flow" in message or "error" in message:
                return message
            progress = message.get("progress")
            if isinstance(progress, list) and len(progress) == 3:
                flow.progress(*progress)
            if "told" in message:
                said.take(message["told"])

    def _check(self, status: int, text: str) -> None:
        if status in (401, 403):
            raise RemoteTaskError(f"the server {self._base} refuses the token", status_code=status)
        if status == 413:
            raise RemoteTaskError(f"the state is larger than the server {self._base} takes", status_code=413)
        if status in _PASSING:
            raise HostUnavailable(f"the server {self._base} answered {status}")
        if status != 200:
            raise RemoteTaskError(f"the server {self._base} answered {status}: {text}", status_code=status)

    def can_stop(self, url: str) -> bool:
        """Yes: the connection is closed, and the server cancels the task."""
        return True

    # ------------------------------------------------------------------ connections

    def _client(self) -> httpx.AsyncClient:
        """The client of the running loop: connections belong to their loop."""
        if self._given is not None:
            return self._given
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            for closed in [known for known in self._clients if known.is_closed()]:
                del self._clients[closed]
            timeout = self._httpx.Timeout(self._silence, connect=min(_CONNECT_S, self._silence or _CONNECT_S))
            limits = self._httpx.Limits(max_connections=None, max_keepalive_connections=64)
            client = self._httpx.AsyncClient(timeout=timeout, limits=limits, follow_redirects=False)
            self._clients[loop] = client
        return client

    async def aclose(self) -> None:
        """Close the connections of the running loop. The host can be used again."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()


class _Said:
    """What a task says on a server, over all requests for one run: each group is taken once."""

    def __init__(self, flow: Flow) -> None:
        self.listener = OutputListener(flow)
        _, shown, printed = self.listener.wants
        wanted = ", ".join(["shown"] * shown + ["printed"] * printed)
        self.asked = {TELLS: wanted} if wanted else {}
        self._run: Any = None
        self._next = 0

    def take(self, told: JSON) -> None:
        """A line of a server, which may say anything: what has not the shape of a message is passed over."""
        if not (isinstance(told, list) and len(told) == 3 and isinstance(told[2], list)):
            return
        run, number, messages = told
        if run != self._run:  # the task was begun anew, as by a server that was restarted
            self._run, self._next = run, 0
        if number == self._next:
            self._next += 1
            with suppress(StateError):  # more displays than a step keeps
                self.listener(number, [tuple(each) for each in messages if _is_message(each)])


def _is_message(message: JSON) -> bool:
    match message:
        case ["write", "stdout" | "stderr", str()] | ["stream", str(), str()]:
            return True
        case ["log", "log" | "warning", str(), str(), str()] | ["show", str(), dict(), str() | None]:
            return True
        case _:
            return False


def run_key(flow: Flow) -> str:
    """The identity of a run, for repeated requests: the step, its attempt, and its answers so far."""
    return f"{flow.step_key}/{flow.attempt}/{len(flow._answers)}"


async def _tries(limit: int | None) -> AsyncIterator[int]:
    """Counts tries, with a growing pause between them."""
    pause, count = _FIRST_PAUSE_S, 0
    while limit is None or count < limit:
        if count:
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, 2 * pause)
        count += 1
        yield count


async def _whole(response: httpx.Response) -> bytes:
    """The body of a response. StateError if it is longer than ``MAX_ANSWER`` bytes."""
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > MAX_ANSWER:
            raise StateError(f"the server's answer is longer than {MAX_ANSWER:,} bytes")
        parts.append(part)
    return b"".join(parts)


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """The lines of a body as they arrive. StateError if one is longer than ``MAX_ANSWER`` bytes."""
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        *ended, rest = part.split(b"\n")
        for line in ended:
            yield b"".join([*parts, line])
            parts, size = [], 0
        parts.append(rest)
        size += len(rest)
        if size > MAX_ANSWER:
            raise StateError(f"the server's answer is longer than {MAX_ANSWER:,} bytes")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
