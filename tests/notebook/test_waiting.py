"""The lab's loop, and waiting for it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import os
import signal
import threading
import time

import pytest

from dwarf import WaitTimeout
from dwarf.notebook.loop import LabLoop
from dwarf.notebook.waiting import BEAT, wait_async, wait_blocking


@pytest.fixture
def loop():
    made = LabLoop()
    yield made
    made.stop()
    assert not made.running


async def give(value):
    return value


def test_work_is_done_on_a_thread_of_its_own(loop: LabLoop) -> None:
    async def where() -> tuple[str, bool, bool]:
        return threading.current_thread().name, threading.current_thread().daemon, loop.is_current

    assert loop.submit(where()).result(60) == ("dwarf-lab", True, True)
    assert not loop.is_current


def test_the_callers_context_goes_along(loop: LabLoop) -> None:
    variable = contextvars.ContextVar("variable", default="none")
    variable.set("mine")

    async def read() -> str:
        return variable.get()

    assert loop.submit(read()).result(60) == "mine"


@pytest.mark.parametrize("fault", [SystemExit, KeyboardInterrupt])
def test_the_loop_outlives_what_tasks_raise(loop: LabLoop, fault: type[BaseException], caplog) -> None:
    async def leave() -> None:
        raise fault

    with pytest.raises(BaseException) as caught:
        loop.submit(leave()).result(60)
    assert isinstance(caught.value, fault | concurrent.futures.CancelledError)
    assert loop.submit(give(1)).result(60) == 1
    assert fault.__name__ in caplog.text


def test_a_stopped_loop_refuses_work() -> None:
    loop = LabLoop()
    loop.stop()
    loop.stop()
    with pytest.raises(RuntimeError, match="closed"):
        loop.submit(give(1))


def test_stopping_cancels_what_is_left(loop: LabLoop) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def long() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    loop.submit(long())
    assert begun.wait(60)
    loop.stop()
    assert ended.wait(60)


def test_blocking_wait_gives_results_and_faults(loop: LabLoop) -> None:
    assert wait_blocking(loop.submit(give(3))) == 3

    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        wait_blocking(loop.submit(fail()))


def test_a_time_out_leaves_the_work_alone() -> None:
    future: concurrent.futures.Future[int] = concurrent.futures.Future()
    with pytest.raises(WaitTimeout, match="the flow") as caught:
        wait_blocking(future, 0.05, what="the flow", flow_key="1-2-x")
    assert caught.value.flow_key == "1-2-x"
    assert not future.cancelled()


def test_a_check_may_end_the_waiting() -> None:
    future: concurrent.futures.Future[int] = concurrent.futures.Future()

    def check() -> None:
        raise LookupError("stop")

    with pytest.raises(LookupError):
        wait_blocking(future, check=check)
    with pytest.raises(LookupError):
        asyncio.run(wait_async(future, check=check))


def test_an_interrupt_ends_the_waiting_at_the_next_beat() -> None:
    future: concurrent.futures.Future[int] = concurrent.futures.Future()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        wait_blocking(future)
    assert not future.cancelled()


async def test_awaiting_is_woken_at_once(loop: LabLoop) -> None:
    future: concurrent.futures.Future[str] = concurrent.futures.Future()
    loop.call_soon(loop.loop.call_later, 0.05, future.set_result, "done")
    assert await wait_async(future) == "done"


async def test_cancelling_the_waiting_leaves_the_work_alone() -> None:
    future: concurrent.futures.Future[int] = concurrent.futures.Future()
    waiting = asyncio.create_task(wait_async(future))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not future.cancelled()


async def test_the_waiting_loop_has_a_heartbeat() -> None:
    """Without one, the signal of the stop button is noticed only when something else wakes the loop."""
    future: concurrent.futures.Future[int] = concurrent.futures.Future()
    beats = 0

    def check() -> None:
        nonlocal beats
        beats += 1
        if beats == 4:
            future.set_result(1)

    begun = time.monotonic()
    assert await wait_async(future, check=check) == 1
    assert time.monotonic() - begun >= BEAT * 2
