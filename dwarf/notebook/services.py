"""What do the runs and views of a lab share? The engine on its loop, what is known of each flow, and the way to answer.

Views take these services, and never the Lab itself. So a view can be read and tested without the lab's public API, and
the lab imports its views while no view imports the lab.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from dwarf.errors import EngineClosed
from dwarf.hosts import Host
from dwarf.notebook.cell_output import CellOutput, Echo
from dwarf.notebook.live.drift import Digests
from dwarf.notebook.live.earlier import Earlier
from dwarf.notebook.live.flow_watcher import FlowWatcher, steps_after
from dwarf.notebook.loop import LabLoop
from dwarf.notebook.prompts.answers import Answers
from dwarf.notebook.prompts.prompt import Prompt
from dwarf.notebook.waiting import wait_blocking
from dwarf.surroundings import user_name, without_password
from dwarf.workflow.results import Outcome

if TYPE_CHECKING:
    from dwarf.engine import Engine, FlowHandle

__all__ = ["LabServices"]

T = TypeVar("T")


class LabServices:
    """The services of a lab. ``place`` is the requested place of its flows; see Lab for the other arguments."""

    def __init__(
        self, engine: Engine, host: Host, loop: LabLoop, *, place: str, answers: Answers, prompt_grace: float
    ) -> None:
        self.engine = engine
        self.host = host
        self.loop = loop
        self.place = place
        self.prompt_grace = prompt_grace  # seconds that an awaited prompt may stay unseen
        self.digests = Digests(host)
        self.echo = Echo()
        self.earlier = Earlier()
        self.answers = answers
        self._watchers: WeakValueDictionary[str, FlowWatcher] = WeakValueDictionary()
        self._watching: set[asyncio.Task[None]] = set()
        self._adopting = asyncio.Lock()  # concurrent callers must get the same FlowWatcher

    # ------------------------------------------------------------ the lab's loop

    def call(self, coroutine: Awaitable[T]) -> T:
        """Run a coroutine on the lab's loop and wait for its result. RuntimeError on that loop, EngineClosed after its
        end.
        """
        if self.on_loop and isinstance(coroutine, Coroutine):
            coroutine.close()
        self.refuse_on_loop("this call")
        return wait_blocking(self.submit(coroutine))

    def submit(self, coroutine: Awaitable[T]) -> Future[T]:
        """Run a coroutine on the lab's loop. Returns a concurrent Future. EngineClosed if the lab is closed."""
        try:
            return self.loop.submit(_as_coroutine(coroutine))
        except RuntimeError as fault:
            raise EngineClosed(f"this Lab is closed; Lab({without_password(self.place)!r}) opens it again") from fault

    @property
    def on_loop(self) -> bool:
        """Whether the caller runs on the lab's loop, as async tasks do."""
        return self.loop.is_current

    def refuse_on_loop(self, what: str) -> None:
        """RuntimeError if waiting would block the awaited loop itself."""
        if self.on_loop:
            raise RuntimeError(f"{what} would wait for the loop it runs on; in a task use the flow and `await`")

    @property
    def keeps_flows(self) -> bool:
        """Whether the flows outlive this process; false in memory."""
        return self.place not in ("memory", "sqlite://")

    # ------------------------------------------------------------ flows

    async def follow(self, make: Callable[[], Awaitable[FlowHandle]]) -> FlowWatcher:
        """The only FlowWatcher of a flow, on the lab's loop. ``make`` returns the flow's handle."""
        handle = await make()
        async with self._adopting:
            known = self._watchers.get(handle.key)
            if known is not None and not known.lost:
                return known
            watcher = FlowWatcher(self.engine, handle, self.answers, self.send_answer)
            watcher.functions = self.digests.now()
            await watcher.open()
            self._watchers[handle.key] = watcher
        if not watcher.ended.done():
            watching = asyncio.create_task(watcher.run(), name="dwarf-follow")
            self._watching.add(watching)
            watching.add_done_callback(self._watching.discard)
        return watcher

    async def ended(self, watcher: FlowWatcher) -> Outcome:
        """Wait for the end of a flow, on the lab's loop."""
        return await asyncio.wrap_future(watcher.ended)

    # ------------------------------------------------------------ answers and output

    async def deliver(self, prompt: Prompt, value: Any) -> None:
        """Store an answer, on the lab's loop."""
        watcher = self._watchers.get(prompt.flow_key)
        if watcher is not None:
            await watcher.answer(value, prompt)
        else:
            await self.engine.flow(prompt.flow_key).resume(value, step=prompt.key, by=user_name())

    async def go_on(self, prompt: Prompt, changes: Mapping[str, Any], *, stepping: bool) -> None:
        """Continue from a breakpoint with changes to the state, on the lab's loop; ``stepping``: for one step only."""
        watcher = self._watchers.get(prompt.flow_key)
        if watcher is not None:
            await watcher.go_on(prompt, changes, stepping=stepping)
            return
        handle = self.engine.flow(prompt.flow_key)
        then = steps_after(await handle.graph(), prompt.node) if stepping else frozenset[str]()
        await handle._resume(dict(changes), step=prompt.key, by=user_name(), once=then)

    def send_answer(self, prompt: Prompt, value: Any) -> None:
        """Store an answer, from any other thread."""
        self.call(self.deliver(prompt, value))

    def write_under(self, watcher: FlowWatcher, place: CellOutput) -> None:
        """Display the output of a flow's tasks under a cell."""
        self.echo.show(watcher, place)

    @contextmanager
    def starting(self) -> Iterator[Callable[[FlowWatcher], None]]:
        """While a cell starts a flow, output of a still unknown flow appears under the cell.

        The function that is yielded is called with the flow as soon as it is known.
        """
        with self.echo.starting(CellOutput()) as known:
            yield known


def _as_coroutine(awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
    async def run() -> T:
        return await awaitable

    return awaitable if isinstance(awaitable, Coroutine) else run()
