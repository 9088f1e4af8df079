"""Where does a lab's engine live? On an event loop of its own, in a daemon thread of its own.

A blocking cell must not stop the flows, and an awaiting cell must not starve them, so the kernel's loop is not used.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["LabLoop", "at_exit"]

T = TypeVar("T")

_log = logging.getLogger("dwarf.notebook")


def new_loop() -> asyncio.AbstractEventLoop:
    """A uvloop if it is installed, as by the extra of this name; otherwise an asyncio loop."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class LabLoop:
    """An event loop in a thread named ``dwarf-lab``. It runs from its creation until ``stop``."""

    def __init__(self) -> None:
        self.loop = new_loop()
        self.thread = threading.Thread(target=self._run, name="dwarf-lab", daemon=True)
        self.thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine on the loop, from any thread, with the caller's context variables.

        The context identifies the cell to which ipykernel sends displays and prints. RuntimeError after the loop has
        stopped.
        """
        if not self.running:
            coroutine.close()
            raise RuntimeError("the lab is closed")
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def call_soon(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function on the loop, from any thread. Does nothing after the loop has stopped."""
        if self.running:
            self.loop.call_soon_threadsafe(function, *args)

    @property
    def running(self) -> bool:
        """Whether the loop accepts work."""
        return self.thread.is_alive() and not self.loop.is_closed()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on this loop's thread, where waiting for it would never end."""
        return threading.current_thread() is self.thread

    def stop(self, *, grace: float = 2.0) -> None:
        """Stop the loop and its thread, waiting at most ``grace`` seconds for the thread."""
        if self.running:
            self._stopping = True
            self.loop.call_soon_threadsafe(self.loop.stop)
            if not self.is_current:
                self.thread.join(grace)

    _stopping = False

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._stopping:
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as fault:
                # asyncio lets these two escape from the loop; they must end only the task that raised them
                _log.warning("%s was raised on the lab's loop, which goes on", type(fault).__name__)
        self._wind_up()

    def _wind_up(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                self.loop.run_until_complete(asyncio.wait(tasks, timeout=1))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        except (Exception, SystemExit, KeyboardInterrupt):  # noqa: BLE001  whatever a task does on its way out
            _log.debug("the lab's loop did not wind up cleanly", exc_info=True)
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()


def at_exit(function: Callable[[], None]) -> None:
    """Call a function when the process ends, while threads can still be used.

    ``atexit`` comes too late: before it, Python joins every non-daemon thread, and a database driver's thread ends only
    when its connection is closed. So the hook with which ``concurrent.futures`` ends its threads is used if there is
    one; functions registered later are called earlier.
    """
    import atexit

    register = getattr(threading, "_register_atexit", None)
    if register is None:
        atexit.register(function)
        return
    try:
        register(function)
    except RuntimeError:  # the process is already ending
        atexit.register(function)
