"""The loops of the engine: each makes one pass after the other, can be woken, and survives failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import ClassVar

from dwarf.errors import EngineClosed


class Service:
    """A loop of the engine, from ``start`` to ``aclose``.

    A service defines one pass (``turn``) and what follows a failed pass (``failed``). Both return the seconds until the
    next pass, unless the loop is woken before: 0 for none, None to wait until it is woken.
    """

    name = "dwarf-service"  # of its asyncio task
    patience_s: ClassVar[float | None] = 0.0  # how long a pass may go on at the close; None: to its end

    def __init__(self) -> None:
        self._closing = False
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def turn(self) -> float | None:
        """One pass. EngineClosed ends the loop; any other error is given to ``failed``."""
        raise NotImplementedError

    def failed(self, error: Exception) -> float | None:
        """A pass has failed: report the error, and return the seconds until the next try."""
        raise error

    @property
    def finished(self) -> bool:
        """Whether the loop ends: at the close, when the service has no work left."""
        return self._closing

    @property
    def cancelled(self) -> bool:
        """Whether the loop was cancelled, as at the end of its event loop."""
        return self._task is not None and self._task.cancelling() > 0

    def first_pause(self) -> float | None:
        """The seconds before the first pass."""
        return 0.0

    def start(self) -> None:
        """Start the loop."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    def wake(self) -> None:
        """Make the next pass now."""
        self._woken.set()

    async def aclose(self) -> None:
        """End the loop after the current pass, or cancel a pass that takes longer than ``patience_s``."""
        self._closing = True
        self._woken.set()
        if self._task is None:
            return
        if self.patience_s != 0:
            await asyncio.wait({self._task}, timeout=self.patience_s)
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        pause = self.first_pause()
        while True:
            if pause != 0 and not self._woken.is_set() and not self._closing:
                await (self._woken.wait() if pause is None else self._rest_for(pause))
            if self.finished:
                return
            self._woken.clear()
            try:
                pause = await self.turn()
            except EngineClosed:
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the loop must not end
                pause = self.failed(error)

    async def _rest_for(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()


class Periodic(Service):
    """Calls a function repeatedly, with the same pause before each call."""

    def __init__(
        self,
        name: str,
        pause: float,
        action: Callable[[], Awaitable[None]],
        on_failure: Callable[[Exception, float], None],
    ) -> None:
        """``pause`` is in seconds. ``on_failure`` gets the error, and the seconds until the next call."""
        super().__init__()
        self.name = name
        self._pause = pause
        self._action = action
        self._on_failure = on_failure

    def first_pause(self) -> float:
        """The first call comes after a pause, too."""
        return self._pause

    async def turn(self) -> float:
        """Call the function."""
        await self._action()
        return self._pause

    def failed(self, error: Exception) -> float:
        """Report the error."""
        self._on_failure(error, self._pause)
        return self._pause
