"""LocalHost: the threads that functions run in."""

from __future__ import annotations

import asyncio
import gc
import random
import subprocess
import sys
import threading
import time
import weakref
from typing import Any

import pytest

from dwarf import END, Graph
from dwarf.errors import Parked
from dwarf.hosts import LocalHost
from dwarf.hosts import threads as threads_module
from dwarf.hosts.threads import DaemonThreads, ThreadSlots
from dwarf.testing import engine_for_test
from dwarf.workflow.flow import Flow


class Gate:
    """A task that blocks its thread until it is let go."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.flow: Flow | None = None

    def __call__(self, flow: Flow) -> None:
        self.flow = flow
        self.started.set()
        assert self.go_on.wait(60)
        flow["late"] = 1
        flow.progress(1)

    async def running(self) -> None:
        await asyncio.to_thread(self.started.wait, 60)


async def until_free(host: LocalHost, count: int) -> None:
    freed = asyncio.Event()
    stop = host.listen_free(freed.set)
    while host.free_threads < count:
        await freed.wait()
        freed.clear()
    stop()


async def test_a_host_admits_what_it_has_threads_for() -> None:
    host = LocalHost(max_threads=1)
    gate = Gate()
    host.add_task("gate", gate)

    @host.task(url="quick")
    async def quick(flow: Flow) -> None: ...

    assert host.admits("gate")
    assert host.free_threads == 1
    assert [host.needs_thread(url) for url in ("gate", "quick", "unknown")] == [True, False, False]
    running = asyncio.create_task(host.execute_task("gate", Flow()))
    await gate.running()
    assert not host.admits("gate")
    assert host.free_threads == 0
    assert host.admits("quick")
    assert host.admits("unknown")
    await host.execute_task("quick", Flow())
    gate.go_on.set()
    await running
    assert host.admits("gate")


async def test_listeners_are_called_on_their_loop() -> None:
    host = LocalHost(max_threads=1)
    host.add_task("t", lambda: None)
    calls: list[bool] = []
    done = asyncio.Event()

    def called() -> None:
        calls.append(threading.current_thread() is threading.main_thread())
        done.set()

    stop = host.listen_free(called)
    await host.execute_task("t", Flow())
    await done.wait()
    assert calls == [True]
    stop()
    stop()
    await host.execute_task("t", Flow())
    await asyncio.sleep(0)
    assert calls == [True]


async def test_more_calls_than_threads_wait_their_turn() -> None:
    host = LocalHost(max_threads=2)
    lock, running, most = threading.Lock(), 0, 0
    both = threading.Barrier(2)

    @host.task(url="work")
    def work(flow: Flow) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(60)
        with lock:
            running -= 1

    await asyncio.gather(*(host.execute_task("work", Flow()) for _ in range(8)))
    assert most == 2
    assert host.free_threads == 2


async def test_a_cancelled_call_keeps_its_thread_and_loses_its_writes() -> None:
    host = LocalHost(max_threads=1)
    gate = Gate()
    host.add_task("gate", gate)
    host.add_task("next", lambda: {"ran": 1})
    seen: list[Any] = []
    flow = Flow(on_progress=lambda *report: seen.append(report))
    call = asyncio.create_task(host.execute_task("gate", flow))
    await gate.running()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert host.free_threads == 0
    after = Flow()
    waiting = asyncio.create_task(host.execute_task("next", after))
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.go_on.set()
    await waiting
    assert after.changes == {"ran": 1}
    await until_free(host, 1)
    assert gate.flow is not None
    assert gate.flow["late"] == 1
    assert flow.changes == {}
    assert seen == []


async def test_a_call_cancelled_by_a_time_out() -> None:
    host = LocalHost()
    gate = Gate()
    host.add_task("gate", gate)
    flow = Flow()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await host.execute_task("gate", flow)
    gate.go_on.set()
    await host.aclose()
    assert flow.changes == {}


async def test_cancelled_while_waiting_for_a_thread() -> None:
    host = LocalHost(max_threads=1)
    gate = Gate()
    host.add_task("gate", gate)
    host.add_task("next", lambda flow: {"ran": 1})
    running = asyncio.create_task(host.execute_task("gate", Flow()))
    await gate.running()
    calls = [asyncio.create_task(host.execute_task("next", Flow())) for _ in range(3)]
    await asyncio.sleep(0)
    calls[0].cancel()
    calls[1].cancel()
    gate.go_on.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, asyncio.CancelledError, type(None)]
    await running
    await until_free(host, 1)


async def test_a_slot_that_comes_together_with_the_cancellation_is_given_back() -> None:
    slots = ThreadSlots(1)
    await slots.acquire()
    waiting = asyncio.create_task(slots.acquire())
    await asyncio.sleep(0)
    slots.release()  # hands the slot over on the loop's next turn
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (slots.taken, slots.free) == (0, 1)


async def test_a_waiter_cancelled_just_before_its_turn_passes_it_on() -> None:
    slots = ThreadSlots(1)
    await slots.acquire()
    first = asyncio.create_task(slots.acquire())
    second = asyncio.create_task(slots.acquire())
    await asyncio.sleep(0)
    first.cancel()
    slots.release()
    await second
    assert first.cancelled()
    assert slots.taken == 1


def test_a_waiter_whose_loop_is_closed_is_passed_over() -> None:
    slots = ThreadSlots(1)
    asyncio.run(slots.acquire())
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(slots.acquire())
    loop.run_until_complete(asyncio.sleep(0))
    waiting.cancel()
    loop.close()
    slots.release()
    assert slots.free == 1
    del waiting
    gc.collect()


async def test_an_awaitable_from_an_abandoned_call_is_closed() -> None:
    host = LocalHost()
    started, go_on = threading.Event(), threading.Event()

    async def work() -> None: ...

    def blocking(flow: Flow) -> Any:
        started.set()
        go_on.wait(60)
        return work()

    host.add_task("t", blocking)
    call = asyncio.create_task(host.execute_task("t", Flow()))
    await asyncio.to_thread(started.wait, 60)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    go_on.set()
    await host.aclose()
    gc.collect()  # a coroutine that was never awaited would warn here
    assert host.free_threads == 32


def test_a_call_whose_loop_is_gone_ends_quietly() -> None:
    host = LocalHost(max_threads=1)
    gate = Gate()
    host.add_task("gate", gate)

    async def leave() -> None:
        call = asyncio.create_task(host.execute_task("gate", Flow()))
        await gate.running()
        call.cancel()

    asyncio.run(leave())
    assert host.free_threads == 0
    gate.go_on.set()

    async def run_next() -> Flow:
        flow = Flow()
        host.add_task("next", lambda: {"ran": 1})
        await host.execute_task("next", flow)
        return flow

    assert asyncio.run(run_next()).changes == {"ran": 1}


async def test_threads_are_daemons_and_used_again() -> None:
    host = LocalHost()
    seen: list[threading.Thread] = []
    host.add_task("t", lambda: seen.append(threading.current_thread()))
    for _ in range(50):
        await host.execute_task("t", Flow())
    assert all(thread.daemon for thread in seen)
    assert len(set(seen)) < 25  # a thread that has only just ended its task is not idle yet
    host.close()
    for thread in set(seen):
        await asyncio.to_thread(thread.join, 30)
        assert not thread.is_alive()
    await host.execute_task("t", Flow())  # the host can still be used
    assert len(seen) == 51
    await host.aclose()


async def test_threads_end_with_the_last_engine_that_uses_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "_IDLE_SECONDS", 600)
    host = LocalHost()
    seen: list[threading.Thread] = []
    graph = Graph("g").add_node("A", lambda: seen.append(threading.current_thread())).add_transition("A", END)
    host.add_graph(graph)
    async with engine_for_test("threads-one", host) as one, engine_for_test("threads-two", host):
        await one.run("g")
    async with engine_for_test("threads-one", host) as again:
        await again.run("g")
    for thread in seen:
        await asyncio.to_thread(thread.join, 60)
        assert not thread.is_alive()


def test_idle_threads_end_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "_IDLE_SECONDS", 0.01)
    pool = DaemonThreads()
    seen: list[threading.Thread] = []
    ran = threading.Event()

    def job() -> None:
        seen.append(threading.current_thread())
        ran.set()

    pool.run(job)
    assert ran.wait(60)
    seen[0].join(60)
    assert not seen[0].is_alive()
    ran.clear()
    pool.run(job)
    assert ran.wait(60)
    assert seen[1] is not seen[0]


def test_jobs_never_get_lost_while_threads_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "_IDLE_SECONDS", 0.0001)
    pool = DaemonThreads()
    done = threading.Semaphore(0)
    for round_ in range(300):
        pool.run(done.release)
        if round_ % 3 == 0:
            time.sleep(0.0001)
    for _ in range(300):
        assert done.acquire(timeout=60)
    pool.end_idle()


async def test_an_idle_thread_keeps_nothing_alive() -> None:
    class Thing(dict[str, Any]):
        pass

    host = LocalHost()
    things: list[weakref.ref[Thing]] = []

    def work(flow: Flow) -> Thing:
        thing = Thing(a=1)
        things.append(weakref.ref(thing))
        return thing

    host.add_task("t", work)
    await host.execute_task("t", Flow())
    await until_free(host, 32)
    async with asyncio.timeout(60):
        while things[0]() is not None:
            await asyncio.sleep(0.01)
            gc.collect()
    await host.aclose()


async def test_when_no_thread_can_be_started_the_slot_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    host = LocalHost(max_threads=1)
    host.add_task("t", lambda: {"ran": 1})

    def fail(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="can't start"):
            await host.execute_task("t", Flow())
    assert host.free_threads == 1
    flow = Flow()
    await host.execute_task("t", flow)
    assert flow["ran"] == 1


async def test_aclose_waits_for_running_functions_at_most_its_grace() -> None:
    host = LocalHost()
    gate = Gate()
    host.add_task("gate", gate)
    call = asyncio.create_task(host.execute_task("gate", Flow()))
    await gate.running()
    await host.aclose(grace=0.01)
    assert not call.done()
    closing = asyncio.create_task(host.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    gate.go_on.set()
    await closing
    await call
    assert host.free_threads == 32


async def test_a_park_frees_the_thread() -> None:
    host = LocalHost(max_threads=1)
    host.add_task("ask", lambda flow: flow.interrupt("Q"))
    for _ in range(3):
        with pytest.raises(Parked):
            await host.execute_task("ask", Flow())
    assert host.free_threads == 1


HUNG = """
import asyncio, threading
from dwarf.hosts import LocalHost
from dwarf.workflow.flow import Flow

host = LocalHost()
started = threading.Event()

@host.task(url="hang")
def hang(flow):
    started.set()
    threading.Event().wait()

async def main():
    call = asyncio.create_task(host.execute_task("hang", Flow()))
    await asyncio.to_thread(started.wait)
    call.cancel()

asyncio.run(main())
print("left")
"""


def test_a_hung_function_does_not_keep_the_process_alive() -> None:
    process = subprocess.run([sys.executable, "-c", HUNG], capture_output=True, text=True, timeout=120, check=False)
    assert (process.returncode, process.stdout) == (0, "left\n"), process.stderr


async def test_no_slot_gets_lost_under_cancellations_at_any_moment() -> None:
    host = LocalHost(max_threads=3)
    host.add_task("t", lambda flow: time.sleep(0.0005))
    chance = random.Random(5)

    async def call() -> None:
        execution = asyncio.create_task(host.execute_task("t", Flow()))
        await asyncio.sleep(chance.random() * 0.02)
        execution.cancel()
        await asyncio.gather(execution, return_exceptions=True)

    await asyncio.gather(*(call() for _ in range(200)))
    await until_free(host, 3)
    assert host.free_threads == 3
    flows = [Flow() for _ in range(3)]
    await asyncio.gather(*(host.execute_task("t", flow) for flow in flows))
    await host.aclose()
