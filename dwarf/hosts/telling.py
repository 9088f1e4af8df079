"""Output of a task that runs in another process: progress, prints, log records, warnings, streams and displays.

In that process a ``Teller`` sends groups of messages at most four times a second, and the rest with the outcome. In the
engine's process an ``OutputListener`` gives them to the flow of the step, as if the task ran here.
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
"""Sends a group of messages. Groups are numbered from 0."""

SENT = struct.Struct(">Q")
"""The header of a packed outcome: how many groups were sent before it."""

PAUSE_S = 0.25
_HASTE = 20  # progress reports that are sent immediately before the rest are gathered
_LINE_S = 0.05
_PATIENCE_S = 2.0  # wait for groups that were sent before the outcome and arrive after it


class Teller(TaskOutput):
    """Sends the output of one run of a task. Every thread of the task may use it."""

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
        """Printed text."""
        self._taken = True
        self._say(("write", source, text))

    def log(self, source: Source, text: str, level: str = "", logger: str = "") -> None:
        """A record of ``logging``, or a warning."""
        self._say(("log", source, text, level, logger))

    def stream(self, text: str, name: str = "") -> None:
        """A piece of a stream."""
        self._say(("stream", text, name))

    def show(self, name: str, data: Mapping[str, Any], slot: str | None = None) -> None:
        """A display. StateError if a step displays more than is kept."""
        super().show(name, data, slot)  # counts the size of displays
        self._shown = {}
        self._say(("show", name, dict(data), slot))

    def progress(self, done: float, total: float | None, message: str) -> None:
        """A report of progress. If there are many, some are not sent."""
        self._reports += 1
        self._say(("progress", done, total, message), at_once=self._reports <= _HASTE)

    def _echo(self, inner: Any, text: str) -> Any:
        """Text that is kept is printed in the engine's process, and not here as well."""
        taken, self._taken = self._taken, False
        return len(text) if taken else inner.write(text)

    def _say(self, message: Message, *, at_once: bool = False) -> None:
        with self._sending:
            self._waiting.append(message)
            left = PAUSE_S - (time.monotonic() - self._sent_at)
            whole = message[0] != "write" or message[2].endswith("\n")  # the rest of a line follows in a moment
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
        """The number of groups sent, and the messages that were not. After this call nothing is sent."""
        with self._sending:
            self._send = None
            if self._timer is not None:
                self._timer.cancel()
            return self._sent, self._waiting


class OutputListener:
    """Gives the output of a remote task to the flow of its step. Must be created on the loop, in the task's context."""

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
        """The kinds of output that are needed: progress, streams and displays, prints and log records."""
        return self._flow._on_progress is not None, self._flow._output is not None, self._voice is not None

    def __call__(self, number: int, messages: list[Message]) -> None:
        """Receive a group, on any thread."""
        with self._lock:
            if not self._over:
                self._take(messages)
            self._heard += 1
        with suppress(RuntimeError):  # the loop is closed, and with it the caller
            self._loop.call_soon_threadsafe(self._news.set)

    async def heard(self, outcome: bytes) -> None:
        """Wait for the groups that were sent before an outcome, if they arrive on another channel."""
        (sent,) = SENT.unpack_from(outcome)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                while self._heard < sent:
                    self._news.clear()
                    if self._heard < sent:
                        await self._news.wait()

    def finish(self, rest: list[Message]) -> None:
        """Take the messages that came with the outcome. After this call nothing is accepted."""
        with self._lock:
            self._take(rest)
            self._over = True

    def close(self) -> None:
        """Accept no more messages."""
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
        """Print the texts of the remote process here: they are kept with the step, and go to the usual streams."""
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
    """The messages, with consecutive prints joined, so that lines of different tasks do not mix."""
    found: list[Message] = []
    for message in messages:
        if found and message[0] == "write" and found[-1][:2] == message[:2]:
            found[-1] = (*message[:2], found[-1][2] + message[2])
        else:
            found.append(message)
    return found
