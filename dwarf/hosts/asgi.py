"""A web application that runs the tasks of a host for engines elsewhere: the other side of ``HttpHost``."""

from __future__ import annotations

import asyncio
import hmac
import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

from dwarf.errors import ConfigError, GraphNotFound, StateError, TaskNotFound
from dwarf.hosts.http import STREAM, TELLS, run_key
from dwarf.hosts.remote import outcome_to_json
from dwarf.hosts.telling import Message as Said
from dwarf.hosts.telling import Teller
from dwarf.workflow import capture
from dwarf.workflow.durations import Seconds, to_ms
from dwarf.workflow.flow import Flow
from dwarf.workflow.host import Host, complete
from dwarf.workflow.jsontext import dumps, loads

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

JSON: TypeAlias = Any
Message: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

MAX_BODY = 64 * 1024 * 1024
_MOST_TOLD = 24 * 1024 * 1024  # bytes of what one run says, displays included; a step keeps less
_ALIVE_S = 5.0
# The longest silence in a request body, and the longest time to read the rest of a body that is too long.
_DRAIN_S = 30.0
_DRAIN_TIMES = 16


def task_app(
    host: Host, *, token: str = "", max_body: int = MAX_BODY, orphans: Seconds = 10, kept: Seconds = 60
) -> Any:
    """An ASGI application (Starlette) that runs the tasks of ``host``. Needs the extra "http".

    ::

        app = task_app(host, token=os.environ["TASK_TOKEN"])  # then: uvicorn module:app

    ``POST /tasks/{url}`` with a Flow in wire form answers with the outcome. If the caller accepts lines, progress comes
    before it, and, if the caller asks for it, what the task prints, logs, streams and displays. ``POST /graphs/{url}``
    with ``{"baggage": {}}`` answers with the graph as JSON. ``GET /health`` answers ``{"status": "ok"}`` without a
    token; with the token it adds the tasks and the number of running tasks.

    Every request must carry ``token`` as a bearer token, compared in constant time; without a token, every client that
    reaches the port can run tasks. A body longer than ``max_body`` bytes is refused with 413 and never held in memory.
    Two requests with the same ``Idempotency-Key`` share one run. A run whose caller has disconnected is cancelled after
    ``orphans`` seconds, so that the caller can reconnect to it; its outcome is kept for ``kept`` seconds.
    """
    try:
        from starlette.applications import Starlette
        from starlette.routing import Route
    except ImportError:
        raise ConfigError("task_app needs Starlette: pip install 'dwarf[http]'") from None
    if not callable(getattr(host, "execute_task", None)):
        raise ConfigError(f"task_app serves the tasks of a host, such as a LocalHost, not a {type(host).__name__}")
    if not isinstance(token, str):
        raise ConfigError(f"the token must be a str, not {type(token).__name__}")
    server = _Server(host, token, max_body, to_ms(orphans, "orphans") / 1000, to_ms(kept, "kept") / 1000)
    routes = [
        Route("/tasks/{url:path}", server.task, methods=["POST"]),
        Route("/graphs/{url:path}", server.graph, methods=["POST"]),
        Route("/health", server.health, methods=["GET"]),
    ]

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        yield
        await server.aclose()

    return Starlette(routes=routes, lifespan=lifespan)


class _Run:
    """One run of a task. Several requests may wait for it."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.task: asyncio.Task[dict[str, JSON]] | None = None
        self.waiting = 0
        self.progress: tuple[float, float | None, str] | None = None
        self.changed = asyncio.Event()
        self.told: list[bytes] = []  # what the task says, in lines: a caller that comes back is told all of it
        self._name = secrets.token_hex(4)  # tells this run from one that repeats it
        self._told_size = 0
        self._loop = asyncio.get_running_loop()

    def tell(self, _: int, messages: list[Said]) -> None:
        """The task has said something, on whichever thread."""
        if self._told_size > _MOST_TOLD:
            return
        line = _line({"told": [self._name, len(self.told), messages]})
        self._told_size += len(line)
        if self._told_size > _MOST_TOLD:
            words = f"the rest of what the task says is left out: a server passes {_MOST_TOLD // 2**20} MB on"
            line = _line({"told": [self._name, len(self.told), [("log", "warning", words, "OutputCut", "")]]})
        self.told.append(line)
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self.changed.set)

    @contextmanager
    def hearing(self, wants: str) -> Iterator[None]:
        """While the task runs: what it says is told to its callers, and goes where it would have gone as well."""
        if not wants:
            yield
            return
        teller = Teller(self.tell)
        teller.echo = None
        if "shown" in wants:
            self.flow._output = lambda: teller
        token = None
        if "printed" in wants:
            capture.install()
            token = capture.enter(lambda: teller)
        try:
            yield
        finally:
            if token is not None:
                capture.leave(token)
                capture.uninstall()
            teller.let_go()
            if rest := teller.rest()[1]:
                self.tell(0, rest)


class _Server:
    """The runs of one application."""

    def __init__(self, host: Host, token: str, max_body: int, orphans_s: float, kept_s: float) -> None:
        self._host = complete(host)
        self._token = token.encode()
        self._max_body = max_body
        self._orphans_s = orphans_s
        self._kept_s = kept_s
        self._runs: dict[str, _Run] = {}
        self._unnamed = itertools.count(1)

    # ------------------------------------------------------------------ requests

    async def task(self, request: Request) -> Response:
        """Run a task, or join the run of an earlier request with the same key."""
        from starlette.responses import StreamingResponse

        refused = self._refusal(request)
        if refused is not None:
            return refused
        url = _path(request, "/tasks/")
        body = await self._body(request)
        if body is None:
            return _refused(f"the body is longer than {self._max_body:,} bytes", 413)
        try:
            flow = Flow.from_json(_object(body))
        except (ValueError, TypeError, RecursionError) as error:
            return _refused(f"the body is no flow: {error}", 400)
        # a caller that lost its connection comes back with the same key, and must not start the task a second time
        named = request.headers.get("idempotency-key", "") or (run_key(flow) if flow.step_key else "")
        key = f"{url} {named or next(self._unnamed)}"
        run = self._runs.get(key)
        if run is None:
            run = self._begin(url, key, flow, request.headers.get(TELLS, ""))
        if STREAM in request.headers.get("accept", ""):
            return StreamingResponse(self._lines(run), media_type=STREAM)
        return await self._plain(run, request)

    async def graph(self, request: Request) -> Response:
        """The graph of this URL, as the host has it."""
        refused = self._refusal(request)
        if refused is not None:
            return refused
        body = await self._body(request)
        if body is None:
            return _refused(f"the body is longer than {self._max_body:,} bytes", 413)
        try:
            baggage = _object(body).get("baggage") or {} if body else {}
            graph = await self._host.load_graph(_path(request, "/graphs/"), baggage)
        except GraphNotFound as error:
            return _json({"error": str(error), "statusCode": 404, "kind": "graph"}, 404)
        except (ValueError, TypeError, RecursionError) as error:
            return _refused(str(error), 400)
        return _json(graph.to_json())

    async def health(self, request: Request) -> Response:
        """The health of the server, with its tasks for callers with the token."""
        found: dict[str, JSON] = {"status": "ok"}
        if self._refusal(request) is None:
            found["tasks"] = sorted(self._host.functions)
            found["running"] = sum(run.task is not None and not run.task.done() for run in self._runs.values())
        return _json(found)

    def _refusal(self, request: Request) -> Response | None:
        if not self._token:
            return None
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token):
            return None
        return _refused("the token is missing or wrong", 401)

    async def _body(self, request: Request) -> bytes | None:
        """The body, or None if it is longer than allowed.

        The rest of a body that is too long is read and discarded, up to a bound: if the connection ended while the
        caller is still writing, the caller would never see the response.
        """
        parts: list[bytes] = []
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S) as limit:
                async for part in request.stream():
                    size += len(part)
                    if size <= self._max_body:
                        parts.append(part)
                        limit.reschedule(asyncio.get_running_loop().time() + _DRAIN_S)
                    elif size > _DRAIN_TIMES * self._max_body:
                        break
                    else:
                        # what has come so far is dropped, too: a body that is too long is never held in memory
                        parts.clear()
                else:
                    return b"".join(parts) if size <= self._max_body else None
        return None

    # ------------------------------------------------------------------ runs

    def _begin(self, url: str, key: str, flow: Flow, wants: str) -> _Run:
        run = _Run(flow)

        def show(done: float, total: float | None, message: str) -> None:
            run.progress = (done, total, message)
            run.changed.set()

        run.flow._on_progress = show
        run.task = asyncio.create_task(self._run(url, run, wants))
        self._runs[key] = run

        def ended(task: asyncio.Task[dict[str, JSON]]) -> None:
            run.changed.set()
            # its caller had gone: a request that comes back starts the task anew
            if task.cancelled():
                self._forget(key, run)
            else:
                task.get_loop().call_later(self._kept_s, self._forget, key, run)

        run.task.add_done_callback(ended)
        return run

    def _forget(self, key: str, run: _Run) -> None:
        if self._runs.get(key) is run:
            del self._runs[key]

    async def _run(self, url: str, run: _Run, wants: str) -> dict[str, JSON]:
        try:
            with run.hearing(wants):
                await self._host.execute_task(url, run.flow)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a task raises is its outcome
            return outcome_to_json(run.flow, error)
        return outcome_to_json(run.flow, None)

    @asynccontextmanager
    async def _attending(self, run: _Run) -> AsyncIterator[asyncio.Task[dict[str, JSON]]]:
        """A caller waits for the run inside this context. After the last caller the run is cancelled, unless one
        reconnects.
        """
        assert run.task is not None
        run.waiting += 1
        try:
            yield run.task
        finally:
            run.waiting -= 1
            if not run.waiting and not run.task.done():
                run.task.get_loop().call_later(self._orphans_s, _cancel_orphan, run)

    async def _plain(self, run: _Run, request: Request) -> Response:
        async with self._attending(run) as task:
            gone = asyncio.create_task(_disconnected(request))
            try:
                await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
                with suppress(asyncio.CancelledError):
                    await gone
            if not task.done():
                return _refused("the caller is gone", 499)
            outcome = task.result()
        failed = outcome.get("error")
        if failed is None:
            return _json(outcome["flow"])
        missing = failed["types"][:1] == [f"{TaskNotFound.__module__}.{TaskNotFound.__qualname__}"]
        if missing:
            return _json({"error": failed["text"], "statusCode": 404, "kind": "task"}, 404)
        status = failed["fields"].get("statusCode", 500)
        return _json(failed["fields"], status if isinstance(status, int) and 400 <= status <= 599 else 500)

    async def _lines(self, run: _Run) -> AsyncIterator[bytes]:
        """Progress, the task's output and keep-alives, then the outcome."""
        shown: Any = None
        said = 0
        async with self._attending(run) as task:
            while not task.done():
                run.changed.clear()
                if run.progress is not None and run.progress != shown:
                    shown = run.progress
                    yield _line({"progress": list(shown)})
                while said < len(run.told):
                    said += 1
                    yield run.told[said - 1]
                try:
                    async with asyncio.timeout(_ALIVE_S):
                        await run.changed.wait()
                except TimeoutError:
                    yield _line({"alive": True})
            for line in run.told[said:]:
                yield line
            yield _line(task.result())

    async def aclose(self) -> None:
        """Cancel all runs, and wait for them."""
        tasks = [run.task for run in self._runs.values() if run.task is not None and not run.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _cancel_orphan(run: _Run) -> None:
    if not run.waiting and run.task is not None:
        run.task.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _path(request: Request, prefix: str) -> str:
    """The URL of the task as the caller wrote it: an encoded slash is part of a name."""
    raw = request.scope.get("raw_path") or request.url.path.encode()
    root = request.scope.get("root_path", "")
    path = raw.decode("ascii", "replace").partition("?")[0]
    return unquote(path.removeprefix(root).removeprefix(prefix))


def _object(body: bytes) -> dict[str, JSON]:
    found = loads(body, bounded=True)
    if not isinstance(found, dict):
        raise StateError(f"a JSON object is wanted, not {type(found).__name__}")
    return found


def _json(content: JSON, status: int = 200) -> Response:
    from starlette.responses import Response as Plain

    # the rest of a body that is too long is not read: the connection closes after the response
    headers = {"connection": "close"} if status == 413 else {}
    return Plain(dumps(content), status_code=status, media_type="application/json", headers=headers)


def _refused(text: str, status: int) -> Response:
    """A response of the server itself, distinct from an error of the task."""
    return _json({"error": text, "statusCode": status, "kind": "server"}, status)


def _line(message: JSON) -> bytes:
    return dumps(message).encode() + b"\n"
