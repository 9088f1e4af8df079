"""What a task tells while it runs elsewhere: its progress, and what it prints, logs, warns, streams and displays.

There a ``Teller`` sends it, in groups at most four times a second, and what is left with the outcome. Here a
``Listener`` gives it to the flow of the step, as if the task had said it in this process.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

from dwarf.workflow import capture
from dwarf.workflow.flow import Flow
from dwarf.workflow.output import Source, TaskOutput

Message: TypeAlias = tuple[Any, ...]
Tell: TypeAlias = Callable[[int, "list[Message]"], None]
"""Sends a group of messages; the number of the group counts from 0."""

SENT = struct.Struct(">Q")
"""Begins a packed outcome: how many groups were sent before it."""

PAUSE_S = 0.25
_HASTE = 20  # reports of progress that are sent at once before they are gathered, too
_LINE_S = 0.05
_PATIENCE_S = 2.0  # for groups that were sent before the outcome, and come behind it


class Teller(TaskOutput):
    """Sends what one run of a task says. It may be told from every thread of the task."""

    def __init__(self, tell: Tell | None) -> None:
        super().__init__()
        self.echo = self._echo
        self._send = tell
        self._sending = threading.Lock()
        self._waiting: list[Message] = []
        self._sent = 0
        self._sent_at = 0.0
        self._reports = 0
        self._taken = False
        self._timer: threading.Timer | None = None

    def write(self, source: Source, text: str) -> None:
        """Text that is printed."""
        self._taken = True
        self._say(("write", source, text))

    def log(self, source: Source, text: str, level: str = "", logger: str = "") -> None:
        """A record of ``logging``, or a warning."""
        self._say(("log", source, text, level, logger))

    def stream(self, text: str, name: str = "") -> None:
        """A piece of a stream."""
        self._say(("stream", text, name))

    def show(self, name: str, data: Mapping[str, Any], slot: str | None = None) -> None:
        """A display. StateError where a step shows more than is kept."""
        super().show(name, data, slot)  # which counts
        self._shown = {}
        self._say(("show", name, dict(data), slot))

    def progress(self, done: float, total: float | None, message: str) -> None:
        """A report of progress; of many, not all are sent."""
        self._reports += 1
        self._say(("progress", done, total, message), at_once=self._reports <= _HASTE)

    def _echo(self, inner: Any, text: str) -> Any:
        """What is kept is written where the engine is, and not here as well."""
        taken, self._taken = self._taken, False
        return len(text) if taken else inner.write(text)

    def _say(self, message: Message, *, at_once: bool = False) -> None:
        with self._sending:
            self._waiting.append(message)
            left = PAUSE_S - (time.monotonic() - self._sent_at)
            whole = message[0] != "write" or message[2].endswith("\n")  # the rest of a line comes in a moment
            if at_once or (left <= 0 and whole):
                self._flush()
            elif self._send is not None and self._timer is None:
                self._timer = threading.Timer(max(left, _LINE_S), self._late)
                self._timer.daemon = True
                self._timer.start()

    def _late(self) -> None:
        with self._sending:
            self._timer = None
            self._flush()

    def _flush(self) -> None:
        if self._send is None or not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        self._sent_at = time.monotonic()
        number, self._sent = self._sent, self._sent + 1
        try:
            self._send(number, waiting)
        except Exception:  # noqa: BLE001 - it goes with the outcome
            self._send, self._sent = None, number
            self._waiting = waiting

    def rest(self) -> tuple[int, list[Message]]:
        """How many groups were sent, and what was not. Nothing is sent any more."""
        with self._sending:
            self._send = None
            if self._timer is not None:
                self._timer.cancel()
            return self._sent, self._waiting


class OutputListener:
    """Gives what a task tells elsewhere to the flow of its step. To be made on the loop, in the task's context."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._loop = asyncio.get_running_loop()
        self._voice = capture.current.get()
        self._lock = threading.Lock()
        self._heard = 0
        self._news = asyncio.Event()
        self._over = False

    @property
    def wants(self) -> tuple[bool, bool, bool]:
        """What is of use here: progress, streams and displays, what is printed and logged."""
        return self._flow._on_progress is not None, self._flow._output is not None, self._voice is not None

    def __call__(self, number: int, messages: list[Message]) -> None:
        """A group has come, on whichever thread."""
        with self._lock:
            if not self._over:
                self._take(messages)
            self._heard += 1
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._news.set)

    async def heard(self, outcome: bytes) -> None:
        """Wait for the groups that were sent before an outcome, where these come on another way than it."""
        (sent,) = SENT.unpack_from(outcome)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                while self._heard < sent:
                    self._news.clear()
                    if self._heard < sent:
                        await self._news.wait()

    def finish(self, rest: list[Message]) -> None:
        """Take what came with the outcome. Nothing is taken any more."""
        with self._lock:
            self._take(rest)
            self._over = True

    def close(self) -> None:
        """Take nothing any more."""
        with self._lock:
            self._over = True

    def _take(self, messages: list[Message]) -> None:
        output = self._flow._output
        for kind, *told in _in_one(messages):
            if kind == "progress":
                if self._flow._on_progress is not None:
                    with suppress(RuntimeError):
                        self._loop.call_soon_threadsafe(partial(self._flow._on_progress, *told))
            elif kind == "write":
                self._print(*told)
            elif kind == "log" and self._voice is not None:
                self._voice().log(*told)
            elif output is not None and kind in ("stream", "show"):
                getattr(output(), kind)(*told)

    def _print(self, source: Source, text: str) -> None:
        """Print here what was printed there: it is kept with the step, and goes where it would have gone."""
        if self._voice is None:
            return
        token = capture.current.set(self._voice)
        try:
            getattr(sys, source).write(text)
        except Exception:  # noqa: BLE001, S110 - a stream that is closed is no fault of the task
            pass
        finally:
            capture.current.reset(token)


def _in_one(messages: list[Message]) -> list[Message]:
    """The messages, with texts that were printed one after the other in one, so that lines of tasks do not mingle."""
    found: list[Message] = []
    for message in messages:
        if found and message[0] == "write" and found[-1][:2] == message[:2]:
            found[-1] = (*message[:2], found[-1][2] + message[2])
        else:
            found.append(message)
    return found
