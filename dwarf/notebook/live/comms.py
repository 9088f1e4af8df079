"""How do clicks reach Python while a cell awaits? By the kernel, from ipykernel 7.4 on; older ones get help here.

* 6.x keeps every message in a queue until the cell has ended: the messages of widgets are taken out and handled, all
  others keep their order.
* 7.0 to 7.3 hold a lock while a cell runs: the messages of widgets pass by it, as they do in 7.4.

This touches private names of ipykernel. Where they are not as expected nothing is changed, and clicks are handled when
the cell has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import copy_context
from functools import partial
from importlib import metadata
from typing import Any

from dwarf.notebook.kernel import shell

__all__ = ["free_comm", "live_comms"]

_COMMS = frozenset({"comm_open", "comm_msg", "comm_close"})
_POLL = 0.05  # seconds

_log = logging.getLogger("dwarf.notebook")


@contextlib.asynccontextmanager
async def live_comms() -> AsyncIterator[None]:
    """Handle the messages of widgets while the body awaits."""
    kernel = getattr(shell(), "kernel", None)
    pump: asyncio.Task[None] | None = None
    try:
        if kernel is not None and _is_main_loop(kernel):
            version = _version()
            if version < (7, 0) and hasattr(kernel, "msg_queue"):
                pump = asyncio.create_task(_pump(kernel))
            elif (7, 0) <= version < (7, 4) and hasattr(kernel, "_main_asyncio_lock"):
                _open_lock(kernel)
    except Exception:  # noqa: BLE001  private names of another package may be anything
        _log.debug("this kernel's messages cannot be let through", exc_info=True)
    try:
        yield
    finally:
        if pump is not None:
            pump.cancel()


def free_comm(widget: Any) -> None:
    """Let a widget's messages be handled on the thread to which the front end sends them, even if a cell blocks the
    main one.

    From 7.4 on, ipykernel replies on the thread of the last sender. JupyterLab sends the messages of widgets to a
    second thread; a widget whose handlers may run on any thread need not wait for the cell.
    """
    comm = getattr(widget, "comm", None)
    if comm is not None:
        vars(comm).pop("_reply_subshell_id", None)


def _version() -> tuple[int, ...]:
    return tuple(int(part) for part in metadata.version("ipykernel").split(".")[:2])


def _is_main_loop(kernel: Any) -> bool:
    loop = getattr(getattr(kernel, "io_loop", None), "asyncio_loop", None)
    return loop is None or loop is asyncio.get_running_loop()


def _kind(kernel: Any, frames: Any) -> str:
    """The type of a message that is still unhandled."""
    try:
        _, rest = kernel.session.feed_identities(frames, copy=False)
        return str(kernel.session.deserialize(rest, content=False, copy=False)["header"]["msg_type"])
    except Exception:  # noqa: BLE001  a message that cannot be read is left alone
        return ""


async def _handle(kernel: Any, call: Callable[[], Awaitable[Any]]) -> None:
    """Handle one message in its own context, then restore the running cell's output."""
    parent = kernel.get_parent("shell")
    identity = _identity(kernel)

    async def run() -> None:
        await call()

    try:
        await asyncio.create_task(run(), context=copy_context())
    finally:
        kernel.set_parent(identity, parent, channel="shell")
        kernel._publish_status("busy", "shell")


def _identity(kernel: Any) -> Any:
    if hasattr(kernel, "_shell_parent_ident"):
        with contextlib.suppress(LookupError):
            return kernel._shell_parent_ident.get()
    known = getattr(kernel, "_parent_ident", {})
    return known.get("shell") if isinstance(known, dict) else None


async def _pump(kernel: Any) -> None:
    """ipykernel 6: take the messages of widgets out of the queue of messages that wait for the end of the cell."""
    while True:
        await asyncio.sleep(_POLL)
        try:
            queue = kernel.msg_queue._queue
            # an item ends with the function that dispatches it and that function's arguments, the frames
            waiting = [item for item in list(queue) if _kind(kernel, item[-1][-1]) in _COMMS]
            for item in waiting:
                queue.remove(item)
                await _handle(kernel, partial(item[-2], *item[-1]))
        except Exception:  # noqa: BLE001  as above
            _log.debug("a widget's message could not be let through", exc_info=True)
            return


class _OpenLock:
    """Replaces the kernel's lock: the dispatcher below has acquired it already, or does not need it."""

    def locked(self) -> bool:
        return False

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None


def _open_lock(kernel: Any) -> None:
    """ipykernel 7.0 to 7.3: take the lock outside, for all messages except those of widgets. Done once in a kernel."""
    if "dispatch_shell" in vars(kernel):
        return
    lock, dispatch = kernel._main_asyncio_lock, kernel.dispatch_shell

    async def dispatch_past_lock(message: Any, /, subshell_id: str | None = None) -> Any:
        async def call() -> Any:
            return await dispatch(message, subshell_id=subshell_id)

        if subshell_id is not None:
            return await call()
        if lock.locked() and _kind(kernel, message) in _COMMS:
            return await _handle(kernel, call)
        async with lock:
            return await call()

    kernel.dispatch_shell, kernel._main_asyncio_lock = dispatch_past_lock, _OpenLock()
