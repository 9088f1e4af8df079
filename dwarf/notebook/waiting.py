"""How does a cell wait? With a heartbeat, so that the stop button ends the waiting, and never the flow."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Callable
from typing import TypeVar

from dwarf.errors import WaitTimeout
from dwarf.notebook.live.comms import live_comms

__all__ = ["BEAT", "wait_async", "wait_blocking"]

T = TypeVar("T")

BEAT = 0.2  # seconds; a wait without beats would not notice an interrupt


def wait_blocking(
    future: concurrent.futures.Future[T],
    timeout: float | None = None,
    *,
    check: Callable[[], None] | None = None,
    what: str = "it",
    flow_key: str = "",
    where: Callable[[], str] = str,
) -> T:
    """Wait in this thread. ``check`` is called at every heartbeat and may raise to end the waiting.

    WaitTimeout after ``timeout`` seconds; ``where`` gives the flow's position as the end of a sentence. Neither that
    nor a KeyboardInterrupt cancels the future.
    """
    limit = None if timeout is None else time.monotonic() + timeout
    while not future.done():
        if check is not None:
            check()
        rest = BEAT if limit is None else min(BEAT, limit - time.monotonic())
        if rest <= 0:
            raise WaitTimeout(f"waited {timeout:g} s for {what}; it goes on{where()}", flow_key)
        concurrent.futures.wait([future], timeout=rest)
    return future.result()


async def wait_async(future: concurrent.futures.Future[T], *, check: Callable[[], None] | None = None) -> T:
    """Wait on the caller's loop, while widgets stay alive.

    Cancelling the waiting does not cancel the future.
    """
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()

    def wake(_: object) -> None:
        try:
            loop.call_soon_threadsafe(finished.set)
        except RuntimeError:  # the waiting loop is closed
            pass

    future.add_done_callback(wake)
    async with live_comms():
        while not future.done():
            if check is not None:
                check()
            try:
                await asyncio.wait_for(finished.wait(), BEAT)
            except TimeoutError:
                continue
    return future.result()
