"""The output of running tasks: gathered in memory, and written while they run, at most four times a second.

The remaining output of a run is written with its outcome. So a short task costs no additional transaction, and a reader
that sees the outcome sees all of the output.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from dwarf.core.records import StepRecord
from dwarf.engine.shard.committer import Committer
from dwarf.engine.shard.ids import IdAllocator
from dwarf.observe.logs import Log
from dwarf.storage.operations.output import SaidRecord
from dwarf.workflow.output import Said, TaskOutput

PAUSE_S = 0.25

Echo: TypeAlias = Callable[[int, int, Any, str], Any]


_making = threading.Lock()


class Voice:
    """One run of a step. Most runs have no output, and cost next to nothing."""

    __slots__ = ("_book", "_step", "output")

    def __init__(self, book: OutputBook, step: StepRecord) -> None:
        self._book = book
        self._step = step
        self.output: TaskOutput | None = None

    def __call__(self) -> TaskOutput:
        """The output of the run. Called from any thread."""
        if self.output is None:
            # two threads of one task may say their first words at once
            with _making:
                if self.output is None:
                    self.output = self._book.output_of(self._step)
        return self.output


class OutputBook:
    """The output of the steps in flight on one shard. Tasks write from the loop and from threads."""

    def __init__(
        self,
        committer: Committer,
        ids: IdAllocator,
        on_written: Callable[[set[int]], None],
        log: Log,
        echo: Echo | None = None,
    ) -> None:
        """``echo`` prints a text of a flow's task: it gets the shard, the root flow, the stream and the text."""
        self._echo = echo
        self._committer = committer
        self._ids = ids
        self._on_written = on_written
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._news: set[TaskOutput] = set()
        self._flush: asyncio.Task[None] | None = None
        self._writing: asyncio.Event = asyncio.Event()  # set while no output of a running step is being written
        self._writing.set()
        self._under_way: set[TaskOutput] = set()

    def output_of(self, step: StepRecord) -> TaskOutput:
        """The output of one run of a step."""
        output = TaskOutput(self._heard, step)
        if self._echo is not None:
            output.echo = partial(self._echo, step.flow.shard, step.flow.root_flow_id)
        return output

    def _heard(self, output: TaskOutput) -> None:
        """Note new output. Called from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._note, output)
        except RuntimeError:  # the loop has ended, and with it every waiter
            pass

    def _note(self, output: TaskOutput) -> None:
        self._news.add(output)
        if self._flush is None:
            self._flush = asyncio.create_task(self._run(), name="dwarf-output")

    async def _run(self) -> None:
        try:
            while self._news:
                await asyncio.sleep(PAUSE_S)
                news, self._news = self._news, set()
                await self._write({output: said for output in news if (said := output.take())})
        finally:
            self._flush = None

    async def _write(self, taken: dict[TaskOutput, Said]) -> None:
        if not taken:
            return
        self._under_way = set(taken)
        self._writing.clear()
        try:
            records = {output: await self._record(output, said) for output, said in taken.items()}
            written = await self._committer.say(list(records.values()))
        except Exception as error:  # noqa: BLE001 - output must not make a task fail
            self._log.warning("what tasks say could not be written: %s", error)
        else:
            for output, record in records.items():
                if record.step_id not in written:
                    output.give_back(record.said)
                    self._news.add(output)
            self._on_written({record.root_flow_id for record in records.values() if record.step_id in written})
        finally:
            self._under_way = set()
            self._writing.set()

    async def rest_of(self, voice: Voice) -> SaidRecord | None:
        """The output of a finished run that is not written yet, to be written with its outcome."""
        output = voice.output
        if output is None:
            return None
        # what cannot be written now is given back, and is then part of the rest
        while output in self._under_way:
            await self._writing.wait()
        said = output.take(last=True)
        self._news.discard(output)
        return await self._record(output, said) if said else None

    def forget(self, voice: Voice) -> None:
        """Discard the buffer of a run that has ended, with or without an outcome."""
        if voice.output is not None:
            voice.output.close()
            self._news.discard(voice.output)

    async def _record(self, output: TaskOutput, said: Said) -> SaidRecord:
        step: Any = output.owner
        count = len(said.shown)
        return SaidRecord(
            step_id=step.step_id,
            flow_id=step.flow.flow_id,
            root_flow_id=step.flow.root_flow_id,
            run=step.lease_seq,
            attempt=step.attempt,
            said=said,
            display_ids=await self._ids.take(self._ids.steps, count) if count else (),
        )

    async def aclose(self) -> None:
        """Stop writing."""
        self._news.clear()
        if self._flush is not None:
            self._flush.cancel()
            await asyncio.wait({self._flush})
