"""The output of a running task: its prints, log records, streams and displays.

A run of a task gathers output in bounded memory until the engine writes it to the database. Thread-safe.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from dwarf.errors import StateError
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.results import NO_TIME

__all__ = ["ATTEMPTS", "SOURCES", "Display", "LogLine", "Part", "Said", "Shown", "TaskOutput", "lines_of", "sound"]

JSON: TypeAlias = Any
Source: TypeAlias = Literal["stdout", "stderr", "log", "warning", "stream"]

HEAD: Final = 512 * 1024  # characters kept from the beginning of a run's lines
TAIL: Final = 512 * 1024  # characters kept from their end
STREAMED: Final = 4 * 2**20  # characters of a run's streams
LONGEST_LINE: Final = 64 * 1024
SHOWN: Final = 16 * 2**20  # characters of a step's displays
LONGEST_NAME: Final = 200

SOURCES: Final[tuple[Source, ...]] = ("stdout", "stderr", "log", "warning", "stream")
ATTEMPTS: Final = "dwarf.attempt"
"""The logger name of lines about failed attempts that are followed by others."""
_NUMBERS: Final = {name: number for number, name in enumerate(SOURCES)}


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a task printed or logged, or a piece of text that it streamed.

    ``level`` and ``logger`` come from a log record, or the category of a warning; ``name`` is the name of a stream.
    ``cursor`` can be passed to ``FlowHandle.logs(after=)``, which then begins after this line.

    Example::

        for line in await flow.logs(node="Train"):
            print(line.at, line.level, line.text)
    """

    step_key: str = ""
    node: str = ""
    attempt: int = 0
    time: datetime = NO_TIME
    source: Source = "stdout"
    level: str = ""
    logger: str = ""
    name: str = ""
    text: str = ""
    cursor: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Display:
    """A display of a task: a mimebundle. As the last line of a cell it displays itself.

    ``data`` has a text for each type, binary data in Base64, and always one of "text/plain".

    Example::

        for display in await flow.displays(node="Train"):
            print(display.name, sorted(display.data))
    """

    step_key: str = ""
    node: str = ""
    attempt: int = 0
    time: datetime = NO_TIME
    name: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Mapping[str, Any]:
        return dict(self.data)


class Part(NamedTuple):
    """Consecutive lines, or a piece of a stream, as written together.

    ``first`` is the number of the first line within its run, ``began`` its time (``time.monotonic``).
    """

    number: int
    first: int
    lines: int
    began: float
    body: str
    stream: bool = False
    name: str = ""


class Shown(NamedTuple):
    """A display. It replaces an earlier one with the same ``slot``."""

    slot: str
    name: str
    number: int
    at: float
    data: Mapping[str, JSON]


@dataclass(slots=True)
class Said:
    """The output of a run since the last call. ``dropped`` are the numbers of parts to remove."""

    parts: list[Part] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    shown: dict[str, Shown] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.parts or self.shown or self.dropped)


class _Line(NamedTuple):
    number: int
    at: float
    size: int
    told: list[JSON]  # source, text, level, logger, without trailing empty values


class TaskOutput:
    """The output of one run of a task that has not been taken yet.

    ``on_news`` is called, from any thread, when the first new output arrives. Of the lines the first and the last half
    megabyte are kept, of the streams the first four megabytes; omissions are noted in a line.
    """

    def __init__(self, on_news: Callable[[TaskOutput], None] | None = None, owner: Any = None) -> None:
        self.owner = owner
        self.echo: Callable[[Any, str], Any] | None = None  # writes a text to its usual stream, or elsewhere
        self._on_news = on_news
        self._lock = threading.Lock()
        self._closed = False
        self._dirty = False
        self._began: dict[int, str] = {}  # unfinished lines, by source
        self._held: dict[Source, tuple[Any, str]] = {}  # the same for text passed on to a stream
        self._head: list[_Line] = []
        self._head_left = HEAD
        self._tail: deque[_Line] = deque()
        self._tail_size = 0
        self._written: deque[tuple[int, int]] = deque()  # number and size of parts after the head
        self._written_size = 0
        self._leapt = False  # whether lines after the written ones were dropped
        self._lines = 0
        self._parts = 0
        self._streams: dict[str, list[tuple[float, str]]] = {}
        self._stream_left = STREAMED
        self._shown: dict[str, Shown] = {}
        self._sizes: dict[str, int] = {}
        self._displays = 0
        self._kept: Said | None = None  # taken before, but not written

    # ------------------------------------------------------------------ from the task

    def write(self, source: Source, text: str) -> None:
        """Keep printed text. Whole lines are kept; of an overwritten line, its last form."""
        number = _NUMBERS[source]
        with self._lock:
            if self._closed:
                return
            if self._began.get(number):
                text = self._began[number] + text
            if "\n" in text:
                *whole, text = text.split("\n")
                now = monotonic()
                for line in whole:
                    self._add(now, number, line)
            if len(text) > LONGEST_LINE:
                text = text.rpartition("\r")[2]
                if len(text) > LONGEST_LINE:
                    self._add(monotonic(), number, text)
                    text = ""
            self._began[number] = text
        self._tell()

    def pass_on(self, stream: Any, source: Source, text: str) -> Any:
        """Write text to its usual stream, whole lines at a time, so that the lines of concurrent tasks stay whole."""
        with self._lock:
            if not self._closed:
                whole = self._held.pop(source, (stream, ""))[1] + text
                end = max(whole.rfind("\n"), whole.rfind("\r")) + 1
                if len(whole) - end > LONGEST_LINE:
                    end = len(whole)
                if end < len(whole):
                    self._held[source] = stream, whole[end:]
                whole = whole[:end]
            else:
                whole = text
        if whole:
            self._emit(stream, whole)
        return len(text)

    def let_go(self, source: Source | None = None) -> None:
        """Write the rest of an unfinished line: the stream is flushed, or the task has ended."""
        with self._lock:
            held = list(self._held.values()) if source is None else [self._held.pop(source, (None, ""))]
            if source is None:
                self._held = {}
        for stream, text in held:
            if text:
                self._emit(stream, text)

    def _emit(self, stream: Any, text: str) -> None:
        if self.echo is None:
            stream.write(text)
        else:
            self.echo(stream, text)

    def log(self, source: Source, text: str, level: str = "", logger: str = "") -> None:
        """A record of ``logging``, or a warning."""
        with self._lock:
            if self._closed:
                return
            self._add(monotonic(), _NUMBERS[source], text, level, logger)
        self._tell()

    def stream(self, text: str, name: str = "") -> None:
        """A piece of a stream."""
        if not text:
            return
        with self._lock:
            if self._closed or self._stream_left <= 0:
                return
            self._streams.setdefault(name, []).append((monotonic(), text[: self._stream_left]))
            self._stream_left -= len(text)
            if self._stream_left <= 0:
                words = f"the rest of what is streamed is left out: a step keeps {STREAMED:,} characters of its streams"
                self._add(monotonic(), _NUMBERS["warning"], words, "OutputCut")
        self._tell()

    def show(self, name: str, data: Mapping[str, JSON], slot: str | None = None) -> None:
        """Keep a display; one of the same name is replaced. StateError if a step displays more than is kept."""
        size = sum(len(text) if isinstance(text, str) else len(dumps(text)) for text in data.values())
        with self._lock:
            if self._closed:
                return
            number = self._displays
            if slot is None:
                slot = f"={name}" if name else f"#{number}"
            total = sum(self._sizes.values()) - self._sizes.get(slot, 0) + size
            if total > SHOWN:
                raise StateError(
                    f"a step keeps displays of {SHOWN / 2**20:.0f} MB in all; with this one it would be "
                    f"{total / 2**20:.1f} MB"
                )
            self._displays += 1
            self._sizes[slot] = size
            self._shown[slot] = Shown(slot, name, number, monotonic(), data)
        self._tell()

    def _add(self, now: float, source: int, text: str, level: str = "", logger: str = "") -> None:
        if source < 2:
            text = text.removesuffix("\r").rpartition("\r")[2]
        if len(text) > LONGEST_LINE:
            text = f"{text[:LONGEST_LINE]} … ({len(text):,} characters)"
        if not text.isascii():
            text = sound(text)
        told: list[JSON] = (
            [source, text, level, logger] if logger else [source, text, level] if level else [source, text]
        )
        line = _Line(self._lines, now, len(text) + len(level) + len(logger) + 16, told)
        self._lines += 1
        if self._head_left >= line.size:
            self._head_left -= line.size
            self._head.append(line)
            return
        self._head_left = 0
        self._tail.append(line)
        self._tail_size += line.size
        while self._tail_size > TAIL:
            self._tail_size -= self._tail.popleft().size
            self._leapt = True

    def _tell(self) -> None:
        if not self._dirty and self._on_news is not None:
            self._dirty = True
            self._on_news(self)

    # ------------------------------------------------------------------ from the engine

    def take(self, *, last: bool = False) -> Said:
        """Take the output so far. With ``last``, unfinished lines are included, and nothing is accepted afterwards."""
        with self._lock:
            self._dirty = False
            said, self._kept = self._kept or Said(), None
            if last:
                for number, text in self._began.items():
                    if text:
                        self._add(monotonic(), number, text)
                self._closed = True
            self._take_lines(said)
            for name, pieces in self._streams.items():
                first = pieces[0][0]
                text = sound("".join(piece for _, piece in pieces))
                body = dumps([[0, _NUMBERS["stream"], text]])
                said.parts.append(Part(self._next(), 0, 0, first, body, stream=True, name=name))
            self._streams = {}
            said.shown.update(self._shown)
            self._shown = {}
            return said

    def _take_lines(self, said: Said) -> None:
        for lines, is_tail in ((self._head, False), (self._tail, True)):
            if not lines:
                continue
            first = lines[0]
            told = [[round((line.at - first.at) * 1000), *line.told] for line in lines]
            part = Part(self._next(), first.number, len(lines), first.at, dumps(told))
            said.parts.append(part)
            if is_tail:
                self._written.append((part.number, self._tail_size))
                self._written_size += self._tail_size
        self._head, self._tail, self._tail_size = [], deque(), 0
        spared = 1 if self._leapt else len(self._written)  # after a gap, only the head of the earlier output is kept
        self._leapt = False
        while len(self._written) > spared or (self._written and self._written_size - self._written[0][1] >= TAIL):
            number, size = self._written.popleft()
            self._written_size -= size
            held = [part for part in said.parts if part.number != number]
            if len(held) == len(said.parts):
                said.dropped.append(number)
            said.parts = held

    def _next(self) -> int:
        self._parts += 1
        return self._parts

    def give_back(self, said: Said) -> None:
        """The output could not be written now: it will be taken again."""
        with self._lock:
            if self._closed and not said:
                return
            later = self._kept
            if later is not None:
                # what is given back was taken first; of a display, the later form stays
                said = Said([*said.parts, *later.parts], [*said.dropped, *later.dropped], {**said.shown, **later.shown})
            self._kept = said
            self._dirty = True

    def close(self) -> None:
        """Accept nothing more: the output would not be read."""
        with self._lock:
            self._closed = True


def lines_of(body: str) -> Iterable[tuple[int, Source, str, str, str]]:
    """The lines of a part: milliseconds after its first one, source, text, level and logger."""
    for offset, source, text, *more in loads(body):
        level, logger = [*more, "", ""][:2]
        yield offset, SOURCES[source], text, level, logger


def sound(text: str) -> str:
    """The text without lone surrogates, which no database can store."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text
