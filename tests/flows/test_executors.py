"""Tasks in executors: processes of a pool, any concurrent.futures executor, a Dask cluster. All do what threads do."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from dwarf import END, Graph, Status, task
from dwarf.errors import ConfigError, WaitTimeout
from dwarf.hosts import LocalHost
from tests.support import faraway
from tests.support.workflows import Running

pytestmark = pytest.mark.timeout(240)  # processes start, and import
KINDS = ("pool", "process", "thread", "dask")
ALONE = pytest.mark.parametrize("host", ["pool"], indirect=True)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> str:
    """In memory only: no executor knows of databases."""
    monkeypatch.delenv("DWARF_TEST_URL", raising=False)
    return "memory"


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Dask cluster with one worker."""
    import distributed

    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=True,
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # else it asks for port 8787, as others do
        silence_logs=50,
    ) as cluster:
        yield cluster.scheduler_address.replace("tcp://", "dask://")


@pytest.fixture(params=KINDS)
def host(request: pytest.FixtureRequest) -> Iterator[LocalHost]:
    """A host whose executor "away" is of each kind."""
    made: Executor | None = None
    given: Any = 2
    if request.param == "process":
        given = made = ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    elif request.param == "thread":
        given = made = ThreadPoolExecutor(2)
    elif request.param == "dask":
        given = request.getfixturevalue("cluster")
    host = LocalHost(executors={"away": given})
    host.add_graph(Graph("Double").add_node("D", away(faraway.double)).add_transition("D", END))
    yield host
    host.close()
    if made is not None:
        made.shutdown()


def away(function: Any) -> Any:
    return task(url=f"away/{function.__name__}", executor="away")(function)


def one(function: Any) -> Graph:
    return Graph(function.__name__).add_node("N", away(function)).add_transition("N", END)


async def test_tasks_do_there_what_they_do_here(
    running: Running, host: LocalHost, request: pytest.FixtureRequest
) -> None:
    graph = Graph("All").add_node("E", away(faraway.everything)).add_node("Y", "no").add_node("Z", lambda: {"z": 1})
    graph.add_chain("E", "Y", END).add_goto("E", "Z").add_transition("Z", END)
    here = "thread" in request.node.name
    async with running(host=host) as engine:
        for function, expected in ((faraway.double, 8), (faraway.later, 5)):
            state = (await engine.run(one(function), {"n": 4})).raise_for_status().state
            assert (state["n"], state["pid"] == os.getpid()) == (expected, here)
        flow = await engine.create(graph, {}, check_tasks=False)
        assert (await flow).status is Status.INTERRUPTED
        await flow.resume("this one")
        state = (await flow).raise_for_status().state
    found = {name: state[name] for name in ("said", "child", "attempt", "z")}
    assert found == {"said": "this one", "child": 42, "attempt": 1, "z": 1}


@dataclass
class Order:
    """Stands for a class of a cell."""

    amount: int


async def test_functions_and_classes_of_cells_travel(running: Running, host: LocalHost, monkeypatch: Any) -> None:
    factor = 3

    def times(order: Order) -> dict[str, Any]:
        return {"order": Order(factor * order.amount), "n": order.amount}

    times.__module__ = Order.__module__ = "__main__"
    monkeypatch.setattr("__main__.Order", Order, raising=False)
    monkeypatch.setattr("__main__.__dwarf_scope__", "a-notebook", raising=False)
    async with running(host=host) as engine:
        state = (await engine.run(one(times), {"order": Order(4)})).raise_for_status().state
    assert state == {"order": Order(12), "n": 4}


async def test_what_a_task_says_there_is_kept(running: Running, host: LocalHost, tmp_path: Path, capsys: Any) -> None:
    async with running(host=host, capture_output=True) as engine:
        flow = await engine.create(one(faraway.say), {"folder": str(tmp_path)})
        said: list[str] = []
        async for line in flow.follow_logs():
            said.append(f"{line.source} {line.level} {line.name}: {line.text}")
            if line.text == "token ":
                (tmp_path / "go").touch()
        (display,) = await flow.displays()
        assert (await flow).status is Status.COMPLETED
    wanted = ["stdout  : printed", "log WARNING : careful", "stream  tokens: token ", "stderr  : the end"]
    assert [line for line in said if "warning" not in line] == wanted
    assert (display.name, display.data["text/plain"]) == ("number", "42")
    assert capsys.readouterr().out == "printed\n"


async def test_errors_and_progress_come_back(running: Running, host: LocalHost, tmp_path: Path) -> None:
    def handler(onErr: dict[str, Any]) -> dict[str, Any]:
        return {"seen": [onErr[name] for name in ("error", "statusCode", "article")]}

    graph = Graph("Shop").add_node("F", away(faraway.fail)).add_node("H", handler)
    graph.add_error_handler("F", "H").add_transition("F", END).add_transition("H", END)
    async with running(host=host) as engine:
        assert (await engine.run(graph)).state["seen"] == ["no stock", 409, "a-1"]
        flow = await engine.create(one(faraway.fail_oddly))
        assert (await flow).error == "odd"
        (step,) = await flow.history()
        assert "fail_oddly" in (await engine.step(step.key)).traceback
        outcome = await engine.run(one(faraway.unwritable))
        assert "result of task 'away/unwritable'" in outcome.error
        flow = await engine.create(one(faraway.report), {"folder": str(tmp_path)})
        async for update in flow.watch():
            if update.steps and update.steps[0].progress == (1, 4, "a quarter"):
                (tmp_path / "go").touch()
        assert (await flow).status is Status.COMPLETED


@pytest.mark.parametrize("host", ["pool", "dask"], indirect=True)
async def test_a_worker_that_is_killed_gives_its_step_back(running: Running, host: LocalHost, tmp_path: Path) -> None:
    async with running(host=host) as engine:
        outcome = await engine.run(one(faraway.die_once), {"folder": str(tmp_path)})
    assert outcome.state["survived"] is True


@ALONE
async def test_a_task_is_killed_at_its_budget_and_on_cancel(running: Running, host: LocalHost, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    async with running(host=host) as engine:
        await engine.run(one(faraway.double), {"n": 1})  # the process is there before the budget begins to count
        outcome = await engine.run(one(faraway.hang), {"folder": str(tmp_path)}, time_budget=3)
        assert "time budget" in outcome.error
        await gone(pid)
        named = Graph("named").add_node("N", "away/hang").add_transition("N", END)  # the host knows its executor
        flow = await engine.create(named, {"folder": str(tmp_path)})
        while not pid.exists():
            await asyncio.sleep(0.01)
        await flow.cancel()
        await gone(pid)
        assert (await engine.run(one(faraway.double), {"n": 1})).state["n"] == 2


@pytest.mark.parametrize("host", ["dask"], indirect=True)
async def test_on_dask_a_function_goes_on_behind_a_cancelled_flow(
    running: Running, host: LocalHost, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    try:
        async with running(host=host) as engine:
            flow = await engine.create(one(faraway.hang), {"folder": str(tmp_path)})
            while not pid.exists():
                await asyncio.sleep(0.01)
            await flow.cancel()
            assert (await flow).status is Status.CANCELLED
            os.kill(int(pid.read_text()), 0)  # its worker lives, and takes other tasks
            assert (await engine.run(one(faraway.double), {"n": 1})).state["n"] == 2
        # the engine has closed, though the function is running
    finally:
        (tmp_path / "never").touch()


async def gone(pid: Path) -> None:
    number = int(pid.read_text())
    pid.unlink()
    while True:
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("host", ["process"], indirect=True)
async def test_steps_wait_where_an_executor_is_broken_for_good(
    running: Running, host: LocalHost, tmp_path: Path
) -> None:
    async with running(host=host) as engine:
        flow = await engine.create(one(faraway.die_once), {"folder": str(tmp_path)})
        (step,) = await flow.history()
        while not (tmp_path / "died").exists() or step.status is not Status.PENDING:
            await asyncio.sleep(0.01)
            (step,) = await flow.history()
        sound = LocalHost(executors={"away": 1})
        sound.add_graph(one(faraway.die_once))
        async with running(host=sound) as other:
            assert (await other.flow(flow.key)).state["survived"] is True
    sound.close()


@ALONE
async def test_more_tasks_than_processes_wait_unclaimed(running: Running) -> None:
    host = LocalHost(executors={"away": 1})
    graph = one(faraway.double)
    async with running(host=host) as engine:
        flows = await engine.create_many(graph, [{"n": n} for n in range(6)])
        assert [(await flow).state["n"] for flow in flows] == [0, 2, 4, 6, 8, 10]
    host.close()


@ALONE
async def test_what_cannot_be_run_is_named(running: Running) -> None:
    lock = threading.Lock()

    def locked() -> dict[str, Any]:
        with lock:
            return {}

    host = LocalHost(executors={"away": 1, "far": "dask://127.0.0.1:1"})
    async with running(host=host) as engine:
        outcome = await engine.run(one(locked))
        assert "task 'away/locked' cannot be sent to an executor" in outcome.error
        graph = Graph("Far").add_node("N", faraway.double, executor="far").add_transition("N", END)
        outcome = await engine.run(graph, {"n": 1}, time_budget=1)
        assert "could not be run within its time budget of 1 s: the Dask scheduler" in outcome.error
    host.close()


async def test_a_step_waits_for_a_process_with_its_executor(running: Running, caplog: Any) -> None:
    """One that knows the task and lacks the executor leaves it, whether the node names it or the mark, and runs others."""
    threads = ThreadPoolExecutor(1)
    node = Graph("Node").add_node("P", "double").add_node("N", "double", executor="cpu").add_chain("P", "N", END)
    mark = Graph("Mark").add_node("N", "marked").add_transition("N", END)
    here, there = LocalHost(), LocalHost(executors={"cpu": threads})
    for host in (here, there):
        host.add_task("double", task(url="double")(lambda n: {"n": 2 * n}))
        host.add_task("marked", task(url="marked", executor="cpu")(lambda n: {"n": n}))
    async with running(host=here) as engine:
        flows = [await engine.create(graph, {"n": 1}) for graph in (node, mark)]
        while caplog.text.count("a step waits for a process that has the executor 'cpu'") < 2:  # of each task, once
            await asyncio.sleep(0.01)
        for flow in flows:
            with pytest.raises(WaitTimeout, match="its step 'N' waits for a process that has the executor 'cpu'"):
                await flow.outcome(timeout=0)
        assert [step.url for step in await flows[0].history()] == ["double", "double"]
        async with running(host=there):
            assert [(await flow).state["n"] for flow in flows] == [4, 1]
    threads.shutdown()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"a": 0}, "1 to 1,024 processes"),
        ({"a": True}, "must be a number of processes"),
        ({"a": "ray://x"}, "must be a number of processes"),
        ({"a": "dask://"}, "must be a number of processes"),
        ({"": 1}, "name of an executor"),
        (5, "mapping from names"),
    ],
)
def test_a_wrong_executor_is_refused(given: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        LocalHost(executors=given)
