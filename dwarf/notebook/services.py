"""What do the runs and views of a lab share? The engine on its loop, what is known of each flow, and the way to answer.

Every view takes these services and none takes the Lab itself. So a view can be read, and tested, without the lab's
public face, and the lab imports its views while no view imports the lab.
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
    """The inside of a lab. ``place`` is where its flows are kept, as it was asked for; see Lab for the others."""

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
        self._adopting = asyncio.Lock()  # a flow has one FlowWatcher, whoever asks for it at the same time

    # ------------------------------------------------------------ the lab's loop

    def call(self, coroutine: Awaitable[T]) -> T:
        """Run something on the lab's loop and wait for its result. RuntimeError on that loop, EngineClosed after it."""
        if self.on_loop and isinstance(coroutine, Coroutine):
            coroutine.close()
        self.refuse_on_loop("this call")
        return wait_blocking(self.submit(coroutine))

    def submit(self, coroutine: Awaitable[T]) -> Future[T]:
        """Run something on the lab's loop; a concurrent Future of its result. EngineClosed once the lab is closed."""
        try:
            return self.loop.submit(_as_coroutine(coroutine))
        except RuntimeError as fault:
            raise EngineClosed(f"this Lab is closed; Lab({without_password(self.place)!r}) opens it again") from fault

    @property
    def on_loop(self) -> bool:
        """Whether the caller runs on the lab's own loop, as async tasks do."""
        return self.loop.is_current

    def refuse_on_loop(self, what: str) -> None:
        """RuntimeError where waiting would stop the loop that is waited for."""
        if self.on_loop:
            raise RuntimeError(f"{what} would wait for the loop it runs on; in a task use the flow and `await`")

    @property
    def keeps_flows(self) -> bool:
        """Whether the flows outlive this process: false in memory."""
        return self.place not in ("memory", "sqlite://")

    # ------------------------------------------------------------ flows

    async def follow(self, make: Callable[[], Awaitable[FlowHandle]]) -> FlowWatcher:
        """The FlowWatcher of a flow, on the lab's loop: one for all callers. ``make`` gives the flow's handle."""
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
        """Go on from a breakpoint with changes to the state, on the lab's loop; ``stepping``: to the next step only."""
        watcher = self._watchers.get(prompt.flow_key)
        if watcher is not None:
            await watcher.go_on(prompt, changes, stepping=stepping)
            return
        handle = self.engine.flow(prompt.flow_key)
        then = steps_after(await handle.graph(), prompt.node) if stepping else frozenset[str]()
        if then != (await handle._stops())[2]:
            await handle._stop_once(then)
        await handle.resume(dict(changes), step=prompt.key, by=user_name())

    def send_answer(self, prompt: Prompt, value: Any) -> None:
        """Store an answer, from any other thread."""
        self.call(self.deliver(prompt, value))

    def write_under(self, watcher: FlowWatcher, place: CellOutput) -> None:
        """Have the output of a flow's tasks appear under a cell."""
        self.echo.show(watcher, place)

    @contextmanager
    def starting(self) -> Iterator[Callable[[FlowWatcher], None]]:
        """While a cell starts a flow, output of a flow that is not known yet appears under the cell.

        The function that is given is called with the flow as soon as it is known.
        """
        with self.echo.starting(CellOutput()) as known:
            yield known


def _as_coroutine(awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
    async def run() -> T:
        return await awaitable

    return awaitable if isinstance(awaitable, Coroutine) else run()
