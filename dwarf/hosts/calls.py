"""One call of a function in a thread, with its own carrier."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from time import perf_counter
from typing import Any

from dwarf.workflow.binding import Binding
from dwarf.workflow.flow import Flow


class ThreadCall:
    """Calls a task in a thread and brings its outcome to the loop as data.

    The function works on a detached carrier: if its caller has stopped waiting, later writes are lost.
    """

    __slots__ = (
        "_abandoned", "_binding", "_context", "_done", "_error", "_latest", "_loop", "_on_end", "_own_loop",
        "_receiver", "_result", "began", "carrier", "ended",
    )  # fmt: skip

    def __init__(
        self, binding: Binding, flow: Flow, on_end: Callable[[ThreadCall], None], *, own_loop: bool = False
    ) -> None:
        """Must be created on the loop. ``on_end`` is called in the thread as soon as the function has ended.

        ``own_loop``: an awaitable returned by the function is awaited in the thread, not on the engine's loop.
        """
        self._own_loop = own_loop
        self._binding = binding
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._context = contextvars.copy_context()
        self._on_end = on_end
        self._result: Any = None
        self._error: BaseException | None = None
        self._abandoned = False
        self._receiver = flow._on_progress
        self._latest: tuple[float, float | None, str] | None = None
        self.began = self.ended = 0.0  # time.perf_counter at the start and end of the function; 0 before
        self.carrier = flow._fork_carrier(None if self._receiver is None else self._progress)

    @property
    def abandoned(self) -> bool:
        """Whether the caller has stopped waiting."""
        return self._abandoned

    # ------------------------------------------------------------------ in the thread

    def run(self) -> None:
        """Call the function. Never raises."""
        self.began = perf_counter()
        try:
            self._result = self._context.run(self._invoke)
        except BaseException as error:  # noqa: BLE001 - all that a task raises is its outcome
            self._error = error
        self.ended = perf_counter()
        self._on_end(self)
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed, and with it the caller
            self._discard()

    def _invoke(self) -> Any:
        args, kwargs = self._binding.call_arguments(self.carrier)
        result = self._binding.function(*args, **kwargs)
        if inspect.isawaitable(result):
            if not self._own_loop:
                return result
            result = asyncio.run(awaited(result))
        self._binding.store_result(self.carrier, result)
        return None

    def _progress(self, done: float, total: float | None, message: str) -> None:
        # a tight loop in the thread must not flood the event loop, so only the latest report is pending
        waiting = self._latest is not None
        self._latest = (done, total, message)
        if not waiting:
            self._loop.call_soon_threadsafe(self._show)

    # ------------------------------------------------------------------ on the loop

    async def outcome(self) -> Any:
        """Wait for the end. Returns the awaitable that the function returned, or None. Raises the error of the
        function.
        """
        try:
            await self._done
        except asyncio.CancelledError:
            self._abandoned = True
            if self._done.done() and not self._done.cancelled():
                self._discard()
            raise
        error, self._error = self._error, None
        if error is None:
            return self._result
        try:
            raise _portable(error, self._binding.url)
        finally:
            del error  # its traceback holds this frame

    def _deliver(self) -> None:
        if self._done.done():
            self._discard()
        else:
            self._done.set_result(None)

    def _discard(self) -> None:
        close = getattr(self._result, "close", None)
        if inspect.iscoroutine(self._result) and close is not None:
            close()  # an awaitable that is never awaited causes a warning
        self._result = self._error = None

    def _show(self) -> None:
        latest, self._latest = self._latest, None
        if latest is not None and self._receiver is not None and not self._abandoned:
            try:
                self._receiver(*latest)
            except Exception:  # noqa: BLE001, S110 - showing progress must not fail the work
                pass


async def awaited(result: Any) -> Any:
    """The result of an awaitable, as a coroutine."""
    return await result


def _portable(error: BaseException, url: str) -> BaseException:
    """The error itself, or a replacement for an error that a coroutine cannot raise."""
    if not isinstance(error, StopIteration):
        return error
    stand_in = RuntimeError(quoted(f"task {url!r} raised StopIteration", error))
    stand_in.__cause__ = error
    return stand_in


def quoted(text: str, error: BaseException) -> str:
    """A text, followed by the text of an error if it has one."""
    return f"{text}: {error}" if str(error) else text
