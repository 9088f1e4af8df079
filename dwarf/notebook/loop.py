"""Where does a lab's engine live? On an event loop of its own, in a daemon thread of its own.

A cell that blocks must not stop the flows, and a cell that awaits must not starve them: the kernel's loop will not do.
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
    """A loop of uvloop where that is installed, as by the extra of this name; else one of asyncio."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class LabLoop:
    """An event loop in a thread named ``dwarf-lab``. It starts at once and runs until ``stop``."""

    def __init__(self) -> None:
        self.loop = new_loop()
        self.thread = threading.Thread(target=self._run, name="dwarf-lab", daemon=True)
        self.thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine on the loop, from any thread, with the caller's context variables.

        These carry the cell to which ipykernel gives what is shown or printed. RuntimeError once the loop is stopped.
        """
        if not self.running:
            coroutine.close()
            raise RuntimeError("the lab is closed")
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def call_soon(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function on the loop, from any thread; nothing happens once the loop is stopped."""
        if self.running:
            self.loop.call_soon_threadsafe(function, *args)

    @property
    def running(self) -> bool:
        """Whether the loop takes work."""
        return self.thread.is_alive() and not self.loop.is_closed()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on this very loop's thread, where waiting for it would never end."""
        return threading.current_thread() is self.thread

    def stop(self, *, grace: float = 2.0) -> None:
        """End the loop and its thread; ``grace`` in seconds for the thread to end."""
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
                # asyncio lets these two out of the loop; they end what raised them, not every flow of the kernel
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
    """Have a function called when the process ends, while threads can still be used.

    ``atexit`` comes too late: before it, Python joins every thread that is no daemon, and a database driver's thread
    ends only when its connection is closed. So the hook by which ``concurrent.futures`` ends its own threads is
    used where there is one; functions registered later are called earlier.
    """
    import atexit

    register = getattr(threading, "_register_atexit", None)
    if register is None:
        atexit.register(function)
        return
    try:
        register(function)
    except RuntimeError:  # the process is ending already
        atexit.register(function)
