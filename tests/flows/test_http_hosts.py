"""Tasks that are served by another process over HTTP do what tasks of this process do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from dwarf import END, Flow, Graph, Retry, Status
from dwarf.errors import ConfigError, GraphNotFound, TaskError, TaskNotFound
from dwarf.hosts import LocalHost
from dwarf.hosts.asgi import task_app
from dwarf.hosts.http import HttpHost, _Said
from dwarf.hosts.routing import RoutingHost
from tests.support import faraway
from tests.support.web import Website, website
from tests.support.workflows import Running

TOKEN = "a-secret"


class Far:
    """The tasks of the other side, and what they have seen."""

    def __init__(self) -> None:
        self.host = LocalHost()
        self.started = threading.Event()
        self.cancelled = threading.Event()
        self.gate = threading.Event()
        self.runs: list[str] = []
        for name in ("double", "ask", "call", "again", "jump", "report", "fail", "say", "wait"):
            self.host.add_task(name, getattr(self, name))
        self.host.add_graph(Graph("Double").add_node("D", "double").add_transition("D", END))

    def double(self, n: int) -> dict[str, Any]:
        return {"n": 2 * n}

    def ask(self, flow: Flow) -> dict[str, Any]:
        return {"said": flow.interrupt({"title": "Which?", "schema": {"type": "string"}})}

    def call(self, flow: Flow) -> dict[str, Any]:
        return {"child": flow.subgraph("Double", {"n": 21})["n"]}

    def again(self, flow: Flow) -> dict[str, Any]:
        if flow.attempt < 2:
            flow.retry()
        return {"attempt": flow.attempt}

    def jump(self, flow: Flow) -> None:
        flow.goto("Z")

    async def report(self, flow: Flow) -> None:
        flow.progress(1, 4, "a quarter")
        self.started.set()
        await asyncio.to_thread(self.gate.wait, 60)

    def say(self, flow: Flow, folder: str) -> None:
        faraway.say(flow, folder)

    def fail(self) -> None:
        raise TaskError("no stock", status_code=409, article="a-1")

    async def wait(self, flow: Flow) -> dict[str, Any]:
        self.runs.append(flow.step_key)
        self.started.set()
        try:
            while not self.gate.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return {"waited": True}


@pytest.fixture
def far() -> Far:
    return Far()


@pytest.fixture
def site(far: Far) -> Iterator[Website]:
    with website(task_app(far.host, token=TOKEN, orphans=0.05)) as site:
        yield site
        far.gate.set()


@asynccontextmanager
async def reaching(site: Website, **options: Any) -> AsyncIterator[HttpHost]:
    host = HttpHost(site.url, token=TOKEN, **options)
    try:
        yield host
    finally:
        await host.aclose()


def one(task: str) -> Graph:
    return Graph(task.title()).add_node("N", task).add_transition("N", END)


async def test_what_a_task_does_there_happens_here(running: Running, site: Website) -> None:
    async with reaching(site) as host, running(host=host) as engine:
        assert (await engine.run(one("double"), {"n": 4})).state["n"] == 8
        assert (await engine.run("Double", {"n": 2**70})).state["n"] == 2**71
        assert (await engine.run(one("call"))).state["child"] == 42
        assert (await engine.run(one("again"))).state["attempt"] == 2
        graph = Graph("Jump").add_node("J", "jump").add_node("Z", "double").add_node("Y", "fail")
        graph.add_chain("J", "Y", END).add_goto("J", "Z").add_transition("Z", END)
        assert (await engine.run(graph, {"n": 1})).state["n"] == 2
        flow = await engine.create(one("ask"))
        assert (await flow).status is Status.INTERRUPTED
        await flow.resume("this one")
        assert (await flow).state["said"] == "this one"


async def test_what_a_task_says_there_is_kept_here(running: Running, site: Website, tmp_path: Path) -> None:
    async with reaching(site) as host, running(host=host, capture_output=True) as engine:
        flow = await engine.create(one("say"), {"folder": str(tmp_path)})
        said: list[str] = []
        async for line in flow.follow_logs():
            said.append(f"{line.source} {line.level} {line.name}: {line.text}")
            if line.text == "token ":
                (tmp_path / "go").touch()
        outcome = await flow
        assert (outcome.status, outcome.error) == (Status.COMPLETED, "")
        (display,) = await flow.displays()
    wanted = ["stdout  : printed", "log WARNING : careful", "stream  tokens: token ", "stderr  : the end"]
    assert [line for line in said if "warning" not in line] == wanted
    assert (display.name, display.data["text/plain"]) == ("number", "42")


async def test_a_server_cannot_make_up_what_is_said() -> None:
    said, heard = _Said(Flow({})), []
    said.listener = lambda number, messages: heard.append((number, messages))  # type: ignore[assignment]
    line = ["write", "stdout", "a"]
    for told in (None, [], ["r", 0, "x"], ["r", 0, [line, 5, ["write", "nowhere", "b"], ["show", "n", [], None]]]):
        said.take(told)
    said.take(["r", 0, [line]])  # again, by a connection that was made anew
    said.take(["r", 1, [line]])
    said.take(["s", 0, [line]])  # of a run that was begun anew
    assert heard == [(number, [tuple(line)]) for number in (0, 1, 0)]


async def test_an_error_keeps_its_text_status_and_properties(running: Running, site: Website) -> None:
    def handler(onErr: dict[str, Any]) -> dict[str, Any]:
        return {"seen": {name: onErr[name] for name in ("error", "statusCode", "article")}}

    local = LocalHost()
    async with reaching(site) as http, running(host=RoutingHost({"": http, "here/": local})) as engine:
        local.add_task("here/handler", handler)
        graph = Graph("Shop").add_node("F", "fail").add_node("H", "here/handler")
        graph.add_error_handler("F", "H").add_transition("F", END).add_transition("H", END)
        outcome = await engine.run(graph)
        assert outcome.state["seen"] == {"error": "no stock", "statusCode": 409, "article": "a-1"}
        flow = await engine.create(one("fail"))
        assert (await flow).error == "no stock"
        (step,) = await flow.history()
        assert "raise TaskError" in (await engine.step(step.key)).traceback


async def test_progress_is_seen_while_the_task_runs(running: Running, site: Website, far: Far) -> None:
    async with reaching(site) as host, running(host=host) as engine:
        flow = await engine.create(one("report"))
        async for update in flow.watch():
            if update.steps and update.steps[0].progress == (1, 4, "a quarter"):
                far.gate.set()
        assert (await flow).status is Status.COMPLETED


async def test_a_task_over_its_budget_is_cancelled_there(running: Running, site: Website, far: Far) -> None:
    async with reaching(site) as host, running(host=host, time_budget=0.5) as engine:
        outcome = await engine.run(one("wait"))
        assert "time budget" in outcome.error
        if far.started.is_set():
            assert await asyncio.to_thread(far.cancelled.wait, 60)


async def test_the_task_of_a_cancelled_flow_is_cancelled_there(running: Running, site: Website, far: Far) -> None:
    async with reaching(site) as host, running(host=RoutingHost({"": host})) as engine:
        flow = await engine.create(one("wait"))
        assert await asyncio.to_thread(far.started.wait, 60)
        await flow.cancel("enough")
        assert await asyncio.to_thread(far.cancelled.wait, 60)


async def test_a_server_that_goes_away_and_comes_back_loses_no_flow(running: Running, far: Far) -> None:
    with website(task_app(far.host, token=TOKEN)) as site:
        async with reaching(site) as host, running(host=host) as engine:
            flow = await engine.create(one("wait"))
            assert await asyncio.to_thread(far.started.wait, 60)
            await asyncio.to_thread(site.stop)
            far.gate.set()
            site.start()
            outcome = await flow
        assert outcome.state == {"waited": True}
        assert len(far.runs) == 2


async def test_a_repeated_request_is_one_run(site: Website, far: Far) -> None:
    flow = Flow({}, key="1-1-a", step_key="1-2-b", node="N")
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}) as client:
        one, two = (
            asyncio.create_task(client.post(f"{site.url}/tasks/wait", json=flow.to_json(), timeout=60))
            for _ in range(2)
        )
        assert await asyncio.to_thread(far.started.wait, 60)
        far.gate.set()
        answers = [(await request).json() for request in (one, two)]
        again = await client.post(f"{site.url}/tasks/wait", json=flow.to_json(), timeout=60)
    assert [answer["changes"] for answer in (*answers, again.json())] == [{"waited": True}] * 3
    assert far.runs == ["1-2-b"]


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
async def test_bad_requests_are_answered_in_words(site: Website, accept: str) -> None:
    headers = {"authorization": f"Bearer {TOKEN}", "accept": accept}
    async with httpx.AsyncClient() as client:

        async def post(path: str, body: bytes, **more: str) -> tuple[int, str]:
            response = await client.post(f"{site.url}{path}", content=body, headers={**headers, **more}, timeout=60)
            return response.status_code, response.text

        assert (await post("/tasks/double", b"{}", authorization="Bearer wrong"))[0] == 401
        assert (await post("/tasks/double", b"{}", authorization="Basic a-secret"))[0] == 401
        for body in (b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"state": 5}', b'{"attempt": "x"}'):
            status, text = await post("/tasks/double", body)
            assert status == 400, text
            assert "no flow" in text
        assert (await post("/graphs/none", b"{}"))[0] == 404
        assert (await client.get(f"{site.url}/health")).json() == {"status": "ok"}
        known = (await client.get(f"{site.url}/health", headers=headers)).json()
        assert "double" in known["tasks"]


async def test_a_body_that_is_too_long_is_refused(far: Far) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 100_000
            yield b" " * 100_000

    with website(task_app(far.host, token=TOKEN, max_body=200_000)) as site:
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(headers=headers) as client:
            with pytest.raises(httpx.TransportError):
                await client.post(f"{site.url}/tasks/double", content=endless(), timeout=60)
        async with reaching(site) as host:
            with pytest.raises(TaskError, match=r"larger than the server .* takes"):
                await host.execute_task("double", Flow({"n": "x" * 2_000_000}))
    assert far.runs == []


async def test_a_wrong_token_and_unknown_names_are_told(site: Website) -> None:
    async with reaching(site) as host:
        with pytest.raises(TaskNotFound, match="knows no task 'nothing'"):
            await host.execute_task("nothing", Flow())
        with pytest.raises(GraphNotFound, match="knows no graph 'nothing'"):
            await host.load_graph("nothing", {})
    stranger = HttpHost(site.url, token="guessed")
    with pytest.raises(TaskError, match="refuses the token") as caught:
        await stranger.execute_task("double", Flow({"n": 1}))
    assert "guessed" not in f"{caught.value!r} {stranger!r}"
    await stranger.aclose()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ftp://x",), "needs a URL"),
        (("localhost:80",), "needs a URL"),
        ((5,), "needs a URL"),
        (("http://user:secret@host",), "give it as token="),
    ],
)
def test_a_bad_address_is_refused(arguments: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        HttpHost(*arguments)
    assert "secret" not in str(caught.value)


def test_wrong_arguments_of_host_and_server_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be a str, not int"):
        HttpHost("http://host", token=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="must be a str, not int"):
        task_app(LocalHost(), token=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="the tasks of a host"):
        task_app(5)  # type: ignore[arg-type]


async def test_a_peer_of_another_make_answers_with_the_flow(running: Running) -> None:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def task(request: Request) -> JSONResponse:
        flow = await request.json()
        flow["changes"] = {"greeting": f"Hello, {flow['state']['name']}"}
        return JSONResponse(flow)

    async def broken(request: Request) -> JSONResponse:
        return JSONResponse({"error": "out of order", "statusCode": 418}, 418)

    app = Starlette(
        routes=[Route("/tasks/greet", task, methods=["POST"]), Route("/tasks/broken", broken, methods=["POST"])]
    )
    with website(app) as site:
        async with reaching(site) as host, running(host=host) as engine:
            assert (await engine.run(one("greet"), {"name": "Ada"})).state["greeting"] == "Hello, Ada"
            assert (await engine.run(one("broken"))).error == "out of order"


async def test_routes_lead_by_the_longest_prefix(running: Running) -> None:
    near, far = LocalHost(), LocalHost()
    near.add_task("a/x", lambda: {"by": "near"})
    far.add_task("a/b/x", lambda: {"by": "far"})
    async with running(host=RoutingHost({"": near, "a/b/": far})) as engine:
        assert (await engine.run(one("a/x"))).state == {"by": "near"}
        assert (await engine.run(one("a/b/x"))).state == {"by": "far"}
    lonely = RoutingHost({"a/": near})
    with pytest.raises(TaskNotFound, match="no route fits the task 'b'"):
        await lonely.execute_task("b", Flow())
    with pytest.raises(ConfigError, match="is no host"):
        RoutingHost({"": 5})  # type: ignore[dict-item]


async def test_errors_there_are_tried_again_by_the_names_of_their_classes(
    running: Running, site: Website, far: Far
) -> None:
    attempts: list[str] = []

    def flaky(flow: Flow) -> None:
        attempts.append(flow.node)
        raise ConnectionResetError("away")

    far.host.add_task("flaky", flaky)
    graph = Graph("Flaky")
    graph.add_node("Base", "flaky", retry=Retry(3, delay=0, retry_on=OSError))  # a base of what is raised there
    graph.add_node("Named", "flaky", retry=Retry(2, delay=0, retry_on=["builtins.ConnectionError"]))
    graph.add_node("Other", "flaky", retry=Retry(3, delay=0, retry_on=ValueError))
    graph.add_node("End", "double").add_error_handler("Base", "Named").add_error_handler("Named", "Other")
    graph.add_error_handler("Other", "End")
    for node in ("Base", "Named", "Other", "End"):
        graph.add_transition(node, END)
    async with reaching(site) as host, running(host=host) as engine:
        assert (await engine.run(graph, {"n": 1}, timeout=60)).status is Status.COMPLETED
    assert attempts == ["Base"] * 3 + ["Named"] * 2 + ["Other"]
