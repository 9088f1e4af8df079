"""One thread that runs functions in turn and answers the event loops that asked."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from dwarf.errors import DwarfError, EngineClosed

T = TypeVar("T")

_Job: TypeAlias = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]

logger = logging.getLogger(__name__)


class SerialExecutor:
    """A thread and its queue. Any loop of any thread may call it; functions run one at a time, in order.

    A function that was handed in is always run, also when its caller has been cancelled meanwhile. The thread is a
    daemon: a program that forgets to close does not hang at its end.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._entry = threading.Lock()  # nothing is queued behind the end
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run a function on the thread. EngineClosed when the worker is closed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._entry:
            if self._closed:
                raise EngineClosed("the database is closed")
            self._jobs.put((function, future, loop))
        return future

    async def aclose(self, last: Callable[[], None]) -> None:
        """Run what was handed in, then ``last``, and end the thread."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        with self._entry:
            if self._closed:
                return
            self._closed = True
            self._jobs.put((last, done, loop))
            self._jobs.put(None)
        await asyncio.shield(done)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            _answer(*job)
            del job  # nothing of it is kept alive while the thread waits


def _answer(function: Callable[[], Any], future: asyncio.Future[Any], loop: asyncio.AbstractEventLoop) -> None:
    result: Any = None
    error: BaseException | None = None
    try:
        result = function()
    except BaseException as raised:  # noqa: BLE001 - it belongs to the caller, and the thread goes on
        error = RuntimeError("StopIteration") if isinstance(raised, StopIteration) else raised  # no future takes it
    try:
        loop.call_soon_threadsafe(_settle, future, result, error)
    except RuntimeError:  # the loop is closed
        _report(error)


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        _report(error)
    elif error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _report(error: BaseException | None) -> None:
    if error is not None:
        # the text of an error that is not ours may hold data
        text = str(error) if isinstance(error, DwarfError) else type(error).__name__
        logger.warning("a database operation failed after its caller had gone: %s", text)
