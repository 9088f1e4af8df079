"""Capturing prints, log records and warnings of tasks, which are stored with the step and still printed.

``sys.stdout`` and ``sys.stderr`` are wrapped, log records are seen at their creation, and ``warnings.showwarning`` is
wrapped. A context variable identifies the task: this covers coroutines, their child tasks, and threads with a copied
context. Threads that a task starts itself have no such context before Python 3.14; their prints go only to the usual
streams.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from typing import Any, Self

from dwarf.workflow.output import Source, TaskOutput

__all__ = ["current", "enter", "install", "leave", "uninstall"]

current: ContextVar[Callable[[], TaskOutput] | None] = ContextVar("dwarf_task_output", default=None)
"""Returns the output of the running task; None outside of tasks, and if output is not kept."""

_lock = threading.Lock()
_users = 0
_own: dict[str, Any] = {}


class Tee:
    """A stream that passes text on, and keeps the text of tasks."""

    def __init__(self, inner: Any, source: Source) -> None:
        object.__setattr__(self, "inner", inner)
        object.__setattr__(self, "_source", source)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # a replacement for one of our methods, as IPython installs for `write`, calls that method
        if name in vars(Tee):
            object.__setattr__(self, name, value)
        else:
            setattr(self.inner, name, value)

    def __iter__(self) -> Any:
        return iter(self.inner)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def write(self, text: str) -> Any:
        """Write, and keep the text of a task. Records and warnings on their way to a stream have been kept already."""
        voice = current.get()
        if voice is None or not isinstance(text, str):
            return self.inner.write(text)
        output = voice()
        if sys._getframe(1).f_globals.get("__name__") not in ("logging", "warnings"):
            output.write(self._source, text)
            return output.pass_on(self.inner, self._source, text)
        if output.echo is not None:
            return output.echo(self.inner, text)
        return self.inner.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of these texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream."""
        voice = current.get()
        if voice is not None:
            voice().let_go(self._source)
        self.inner.flush()

    def close(self) -> None:
        """Close the stream, unless a task asks: the stream belongs to the whole process."""
        if current.get() is None:
            self.inner.close()


def enter(voice: Callable[[], TaskOutput]) -> Token[Callable[[], TaskOutput] | None]:
    """A task begins. Streams that have replaced ours meanwhile are wrapped, too."""
    if type(sys.stdout) is not Tee or type(sys.stderr) is not Tee:
        with _lock:
            if _users:
                _wrap()
    return current.set(voice)


def leave(token: Token[Callable[[], TaskOutput] | None]) -> None:
    """The task has ended."""
    current.reset(token)


def install() -> None:
    """Start to capture. Each call needs one of ``uninstall``."""
    global _users  # noqa: PLW0603 - the streams are the process's, too
    with _lock:
        _users += 1
        if _users == 1:
            _wrap()
            _own.update(factory=_factory(logging.getLogRecordFactory()), warn=_warn(warnings.showwarning))
            logging.setLogRecordFactory(_own["factory"])
            warnings.showwarning = _own["warn"]


def _wrap() -> None:
    streams: tuple[Source, ...] = ("stdout", "stderr")
    for name in streams:
        known = getattr(sys, name)
        if known is not None and type(known) is not Tee:
            setattr(sys, name, Tee(known, name))


def uninstall() -> None:
    """Restore the streams and hooks that were there before, unless they have been replaced since."""
    global _users  # noqa: PLW0603 - as above
    with _lock:
        _users -= 1
        if _users:
            return
        for name in ("stdout", "stderr"):
            known = getattr(sys, name)
            if type(known) is Tee:
                setattr(sys, name, known.inner)
        shown: Any = warnings.showwarning
        if shown is _own["warn"]:
            warnings.showwarning = shown.inner
        factory: Any = logging.getLogRecordFactory()
        if factory is _own["factory"]:
            logging.setLogRecordFactory(factory.inner)
        _own.clear()


def _factory(inner: Any) -> Any:
    def make(*args: Any, **more: Any) -> logging.LogRecord:
        record: logging.LogRecord = inner(*args, **more)
        voice = current.get()
        if voice is not None:
            voice().log("log", _message(record), record.levelname, record.name)
        return record

    make.inner = inner  # type: ignore[attr-defined] # put back at the end
    return make


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - logging reports such a fault itself when the record is written
        text = str(record.msg)
    if record.exc_info and record.exc_info[0] is not None:
        text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return text


def _warn(inner: Any) -> Any:
    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        voice = current.get()
        if voice is not None:
            voice().log("warning", f"{message} ({os.path.basename(filename)}:{lineno})", category.__name__)  # noqa: PTH119 - no path
        inner(message, category, filename, lineno, file, line)

    show.inner = inner  # type: ignore[attr-defined] # put back at the end
    return show


def _forget() -> None:
    """Keep nothing in a forked child: its output would never be written."""
    current.set(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
