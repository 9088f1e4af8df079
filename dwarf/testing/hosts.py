"""Does a host of my own do what an engine relies on? ``check_host`` tries it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from typing import Any, TypeAlias
from uuid import uuid4

from dwarf.errors import ConfigError, GraphNotFound, Parked, TaskError, TaskNotFound
from dwarf.workflow.flow import Flow
from dwarf.workflow.graph import Graph
from dwarf.workflow.host import BaseHost, Host, complete
from dwarf.workflow.parts import END
from dwarf.workflow.signals import Answer, Control, Interrupt, RetrySignal, Subgraph, control_of

__all__ = ["HostCheck", "HostFaults", "check_host", "host_tasks"]

PATIENCE_S = 30.0
_LATE_S = 0.3
_PREFIX = "dwarf-check/"

Part: TypeAlias = Callable[["_Trial"], Coroutine[Any, Any, None]]


class HostFaults(AssertionError):
    r"""What is wrong with a host; ``faults`` has a sentence for each.

    Example::

        try:
            await check_host(OwnHost())
        except HostFaults as error:
            print(*error.faults, sep="\n")
    """

    def __init__(self, host: object, faults: Sequence[str]) -> None:
        super().__init__(
            f"{type(host).__name__} is not what an engine expects of a host:\n  - " + "\n  - ".join(faults)
        )
        self.faults: Sequence[str] = tuple(faults)


class HostCheck(Awaitable["HostCheck"]):
    """What was tried of a host: ``tried``, and ``left_out`` with the reason for each. It may be awaited, too.

    Example::

        checked = await check_host(OwnHost())
        print(checked.tried, dict(checked.left_out))
    """

    def __init__(self, tried: Sequence[str], left_out: Mapping[str, str]) -> None:
        self.tried = tuple(tried)
        self.left_out = dict(left_out)

    def __await__(self) -> Generator[Any, None, HostCheck]:
        yield from ()
        return self

    def __repr__(self) -> str:
        return f"<HostCheck: {len(self.tried)} tried, {len(self.left_out)} left out>"


def host_tasks() -> dict[str, Callable[..., Any]]:
    """The tasks that ``check_host`` runs, by URL, for a host that takes no functions: register them on its other side.

    ::

        far = LocalHost()
        for url, function in host_tasks().items():
            far.add_task(url, function)
        app = task_app(far)
    """
    return {
        _PREFIX + function.__name__: function
        for function in (double, later, ask, call, again, leave, report, fail, hold, keep_writing)
    }


def check_host(host: Host) -> HostCheck:
    """Try everything that an engine may ask of a host. HostFaults, an AssertionError, with every fault that is found.

    Tasks of the check's own are registered with a host that takes functions, and stay there; of another it is tried
    whether it has them already, see ``host_tasks``. Without them only what needs no task is tried, and ``left_out`` of
    the answer says so. The host is used on a loop and a thread of the check's own.

    ::

        def test_my_host():
            check_host(MyHost("https://tasks.example.com"))
    """
    found: list[HostCheck | BaseException] = []

    def work() -> None:
        try:
            found.append(asyncio.run(_check(host)))
        except BaseException as error:  # noqa: BLE001 - raised where the check was asked for
            found.append(error)

    thread = threading.Thread(target=work, name="dwarf-check-host", daemon=True)
    thread.start()
    thread.join()
    (outcome,) = found
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


async def _check(host: Any) -> HostCheck:
    missing = [name for name in ("load_graph", "execute_task") if not asyncio.iscoroutinefunction(_plain(host, name))]
    if missing:
        raise HostFaults(host, [f"{name} must be an `async def`" for name in missing])
    trial = _Trial(complete(host))
    parts: list[tuple[str, Part]] = [("unknown names", _unknown), ("capabilities", _capabilities)]
    left_out: dict[str, str] = {}
    if await trial.register():
        parts += [
            ("results", _results),
            ("control calls", _control),
            ("errors", _errors),
            ("cancellation", _cancellation),
        ]
        if trial.registered:
            parts += [("registering", _registering), ("room", _room)]
        else:
            left_out["registering, room"] = "it takes no functions"
    else:
        left_out["tasks"] = "it takes no functions and has none of the check's own: see dwarf.testing.host_tasks"
    for name, part in parts:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await part(trial)
        except TimeoutError:
            trial.faults.append(f"{name}: nothing came of it within {PATIENCE_S:g} s")
        except Exception as error:  # noqa: BLE001 - whatever a host raises where it must not is its fault
            trial.faults.append(f"{name}: {type(error).__name__}: {error}")
    await trial.host.aclose()
    if trial.faults:
        raise HostFaults(host, trial.faults)
    return HostCheck([name for name, _ in parts], left_out)


def _plain(host: Any, name: str) -> Any:
    found = getattr(host, name, None)
    return getattr(found, "__func__", found)


class _Trial:
    """One host that is tried, and what was found."""

    def __init__(self, host: BaseHost) -> None:
        self.host = host
        self.faults: list[str] = []
        self.registered = False
        self.unknown = f"{_PREFIX}unknown-{uuid4().hex}"

    async def register(self) -> bool:
        """Whether the host has the tasks of the check now."""
        try:
            for url, function in host_tasks().items():
                self.host.add_task(url, function)
        except ConfigError:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self.run(double, {"n": 1})
            except Exception:  # noqa: BLE001 - whatever it is, the task cannot be run
                return False
        else:
            self.registered = True
        return True

    def expect(self, right: object, fault: str) -> None:
        """Note a fault unless all is right."""
        if not right:
            self.faults.append(fault)

    async def run(
        self,
        task: Callable[..., Any],
        state: Mapping[str, Any],
        *,
        answers: Sequence[Answer] = (),
        attempt: int = 0,
        on_progress: Callable[..., Any] | None = None,
        flow: Flow | None = None,
    ) -> tuple[Flow, Control]:
        """Run a task as an engine does; the flow, and what it asked for."""
        if flow is None:
            flow = make_flow(state, answers=answers, attempt=attempt, on_progress=on_progress)
        try:
            await self.host.execute_task(_PREFIX + task.__name__, flow)
        except Parked:
            pass
        return flow, control_of(flow)

    async def raised(self, task: Callable[..., Any]) -> BaseException | None:
        """What a task raises by way of the host."""
        try:
            await self.run(task, {})
        except Exception as error:  # noqa: BLE001 - it is looked at
            return error
        return None


def make_flow(
    state: Mapping[str, Any],
    *,
    answers: Sequence[Answer] = (),
    attempt: int = 0,
    on_progress: Callable[..., Any] | None = None,
) -> Flow:
    """A flow as an engine hands it to a host."""
    secret = uuid4().hex[:16]
    return Flow(
        state,
        key=f"1-1-{secret}",
        step_key=f"1-2-{secret}",
        node="Check",
        attempt=attempt,
        created_at_ms=1,
        updated_at_ms=1,
        step_created_at_ms=1,
        claimed_at_ms=1,
        answers=answers,
        on_progress=on_progress,
    )


# ---------------------------------------------------------------------- what is tried


async def _unknown(trial: _Trial) -> None:
    host, url = trial.host, trial.unknown
    try:
        graph: Any = await host.load_graph(url, {})
    except GraphNotFound:
        pass
    except Exception as error:  # noqa: BLE001 - it is the fault
        trial.faults.append(
            f"load_graph of an unknown URL must raise GraphNotFound, not {type(error).__name__}: {error}"
        )
    else:
        trial.expect(isinstance(graph, Graph), f"load_graph must return a Graph, not {type(graph).__name__}")
    if host.knows(url) and host.task_urls() is None:
        return  # it cannot tell: the name may mean something to it
    trial.expect(not host.knows(url), "knows must be False for a URL that is not in task_urls")
    try:
        await host.execute_task(url, make_flow({}))
    except TaskNotFound:
        return
    except Exception as error:  # noqa: BLE001 - it is the fault
        trial.faults.append(
            f"execute_task of an unknown URL must raise TaskNotFound, not {type(error).__name__}: {error}"
        )
        return
    trial.faults.append("execute_task of an unknown URL must raise TaskNotFound")


async def _capabilities(trial: _Trial) -> None:
    host, url = trial.host, trial.unknown
    trial.expect(isinstance(host.knows(url), bool), "knows must answer with a bool")
    urls = host.task_urls()
    trial.expect(urls is None or isinstance(urls, frozenset), "task_urls must answer with a frozenset, or None")
    trial.expect(host.resolve(url) == url, "resolve must leave a text alone that it does not know")
    trial.expect(host.former(url) is None, "former must be None for a name that it does not know")
    trial.expect(isinstance(host.functions, Mapping), "functions must be a mapping")
    trial.expect(isinstance(host.graphs, Mapping), "graphs must be a mapping")
    trial.expect(isinstance(host.digest(url), str), "digest must answer with a str")
    basis = host.cache_basis(url)
    trial.expect(isinstance(basis, tuple) and len(basis) == 2, "cache_basis must answer with a digest and field names")
    trial.expect(isinstance(host.admits(url), bool), "admits must answer with a bool")
    pool = host.pool_of(url)
    hash(pool)
    trial.expect(pool is None or isinstance(host.free_in(pool), int), "free_in must answer with an int")
    executors = host.executors_for(url)
    trial.expect(
        executors is None or all(isinstance(name, str) for name in executors),
        "executors_for must answer with names, or None",
    )
    trial.expect(isinstance(host.executor_of(url), str), "executor_of must answer with a str")
    hash(host.pool_of_executor(url, "dwarf-check"))
    trial.expect(isinstance(host.needs_thread(url), bool), "needs_thread must answer with a bool")
    trial.expect(isinstance(host.can_stop(url), bool), "can_stop must answer with a bool")
    trial.expect(isinstance(host.overrun_threads, int), "overrun_threads must be an int")
    stop = host.listen_free(lambda: None)
    trial.expect(callable(stop), "listen_free must answer with a function that ends it")
    stop()
    await host.signal_peers("dwarf-check", b"")


async def _results(trial: _Trial) -> None:
    for task, changes in ((double, {"n": 8}), (later, {"n": 5})):
        flow, control = await trial.run(task, {"n": 4})
        kind = "a coroutine function" if task is later else "a function"
        trial.expect(
            dict(flow.changes) == changes, f"what {kind} returns must be in flow.changes, not {flow.changes!r}"
        )
        trial.expect(control == Control(), f"{kind} that asks for nothing must leave no control call")


async def _control(trial: _Trial) -> None:
    flow, control = await trial.run(ask, {})
    parked = control.park
    trial.expect(isinstance(parked, Interrupt), "interrupt must be on the flow after the task parked")
    trial.expect(dict(flow.changes) == {"before": True}, "what a task writes before it parks must be kept")
    asked = parked.payload if isinstance(parked, Interrupt) else {}
    answer = Answer("interrupt", "blue", asked=asked)
    flow, control = await trial.run(ask, {}, answers=[answer])
    trial.expect(flow.changes.get("said") == "blue" and control.park is None, "interrupt must return its answer")
    trial.expect(not control.unclaimed, "an answer that was taken must count as claimed")
    _, control = await trial.run(call, {})
    child = control.park
    trial.expect(isinstance(child, Subgraph) and child.name == "Child", "subgraph must be on the flow after it parked")
    _, control = await trial.run(again, {})
    trial.expect(isinstance(control.park, RetrySignal), "retry must be on the flow after the task parked")
    flow, control = await trial.run(again, {}, attempt=1)
    trial.expect(flow.changes.get("attempt") == 1 and control.park is None, "the task must see which attempt it is")
    _, control = await trial.run(leave, {})
    trial.expect((control.goto, control.delay_ms) == ("Z", 2000), "goto and delay must be on the flow")
    seen: list[tuple[float, float | None, str]] = []
    await trial.run(report, {}, on_progress=lambda *progress: seen.append(progress))
    trial.expect(seen == [(1, 4, "a quarter")], "progress must reach the flow's receiver while the task runs")


async def _errors(trial: _Trial) -> None:
    error = await trial.raised(fail)
    right = isinstance(error, TaskError) and str(error) == "no stock"
    trial.expect(right, f"what a task raises must be raised, with its text; it was {error!r}")
    if isinstance(error, TaskError):
        found = (error.status_code, error.properties.get("article"), error.retryable)
        trial.expect(found == (409, "a-1", False), "status code, properties and retryable of a TaskError must be kept")


async def _cancellation(trial: _Trial) -> None:
    for task in (hold, keep_writing):
        started = asyncio.Event()
        loop = asyncio.get_running_loop()
        flow = make_flow({}, on_progress=lambda *_: loop.call_soon_threadsafe(started.set))  # noqa: B023
        running = asyncio.create_task(trial.run(task, {}, flow=flow))
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=PATIENCE_S / 2)
        trial.expect(done, "execute_task must end when it is cancelled, also where the function cannot")
        if done:
            trial.expect(running.cancelled(), "execute_task must let a cancellation through")
        if task is keep_writing:
            await asyncio.sleep(3 * _LATE_S)
        trial.expect(not flow.changes, "nothing that a cancelled task writes may reach the flow")


async def _registering(trial: _Trial) -> None:
    host, url = trial.host, _PREFIX + double.__name__
    trial.expect(host.knows(url), "knows must be True for a task that was registered")
    urls = host.task_urls()
    trial.expect(urls is None or url in urls, "task_urls must have a task that was registered")
    trial.expect(host.resolve(url) == url, "resolve must leave a URL alone")
    before = host.digest(url)
    trial.expect(before == host.digest(url), "digest must be the same as long as the function is")
    graph = Graph(_PREFIX + "Graph").add_node("A", _replaced).add_transition("A", END)
    host.add_functions(graph)
    flow = make_flow({"n": 1})
    await host.execute_task(graph.url_of("A"), flow)
    trial.expect(dict(flow.changes) == {"n": 0}, "a function that came with a graph must be run under its URL")
    host.add_task(url, _replaced)
    flow, _ = await trial.run(double, {"n": 4})
    trial.expect(dict(flow.changes) == {"n": 0}, "add_task must replace the function of a URL")
    trial.expect(not before or host.digest(url) != before, "another function must have another digest")
    host.add_task(url, double)


async def _room(trial: _Trial) -> None:
    host, url = trial.host, _PREFIX + keep_writing.__name__
    trial.expect(host.admits(url), "admits must be True for a task that could start")
    pool = host.pool_of(url)
    if pool is None:
        return
    free = host.free_in(pool)
    trial.expect(free > 0, "free_in must have a slot while nothing runs")
    told = asyncio.Event()
    stop = host.listen_free(told.set)
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    flow = make_flow({}, on_progress=lambda *_: loop.call_soon_threadsafe(started.set))
    running = asyncio.create_task(trial.run(keep_writing, {}, flow=flow))
    await started.wait()
    trial.expect(host.free_in(pool) == free - 1, "a task that runs must take a slot of its pool")
    await running
    while host.free_in(pool) < free:
        told.clear()
        if host.free_in(pool) < free:
            await told.wait()
    await told.wait()
    stop()


# ---------------------------------------------------------------------- the tasks


def double(n: int) -> dict[str, Any]:
    return {"n": 2 * n}


async def later(n: int) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"n": n + 1}


def ask(flow: Flow) -> None:
    flow["before"] = True
    flow["said"] = flow.interrupt({"title": "Which colour?", "schema": {"type": "string"}})


def call(flow: Flow) -> None:
    flow["child"] = flow.subgraph("Child", {"n": 1})


def again(flow: Flow) -> dict[str, Any]:
    if flow.attempt == 0:
        flow.retry()
    return {"attempt": flow.attempt}


def leave(flow: Flow) -> None:
    flow.delay(2)
    flow.goto("Z")


def report(flow: Flow) -> None:
    flow.progress(1, 4, "a quarter")


def fail() -> None:
    raise TaskError("no stock", status_code=409, retryable=False, article="a-1")


async def hold(flow: Flow) -> None:
    flow.progress(0)
    await asyncio.sleep(2 * PATIENCE_S)


def keep_writing(flow: Flow) -> None:
    flow.progress(0)
    time.sleep(_LATE_S)
    flow["late"] = True


def _replaced(n: int) -> dict[str, Any]:
    return {"n": 0 * n}
