"""One thread that runs functions in turn and returns their results to the callers' event loops."""

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
    """A thread and its queue. Callable from any loop of any thread; functions run one at a time, in order.

    A submitted function always runs, even if its caller has been cancelled meanwhile. The thread is a daemon: a program
    that forgets to close it does not hang at its exit.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._entry = threading.Lock()  # nothing may be queued after the end
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run a function on the thread. EngineClosed if the executor is closed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._entry:
            if self._closed:
                raise EngineClosed("the database is closed")
            self._jobs.put((function, future, loop))
        return future

    async def aclose(self, last: Callable[[], None]) -> None:
        """Run the submitted functions, then ``last``, and end the thread."""
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
            del job  # an idle thread must keep no object alive


def _answer(function: Callable[[], Any], future: asyncio.Future[Any], loop: asyncio.AbstractEventLoop) -> None:
    result: Any = None
    error: BaseException | None = None
    try:
        result = function()
    except BaseException as raised:  # noqa: BLE001 - it belongs to the caller, and the thread goes on
        # a future refuses StopIteration
        error = RuntimeError("StopIteration") if isinstance(raised, StopIteration) else raised
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
        # the text of a foreign error may contain data
        text = str(error) if isinstance(error, DwarfError) else type(error).__name__
        logger.warning("a database operation failed after its caller had gone: %s", text)
