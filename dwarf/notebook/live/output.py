"""What do the tasks of a run say just now? The last lines, streams and displays, for the views of the run."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from dwarf.notebook.bundles import thumbnail
from dwarf.notebook.messages import SaidState, ShownState
from dwarf.notebook.pictures.formatting import brief, plain
from dwarf.workflow.output import Display, LogLine

if TYPE_CHECKING:
    from dwarf.engine import FlowHandle

__all__ = ["Heard", "describe_line", "describe_shown"]

LAST = 40  # lines that a live view shows
_MOST_OF_LINE = 300
_MOST_OF_STREAM = 6_000
_MOST_STREAMS = 8
_MOST_SHOWN = 24

_log = logging.getLogger("dwarf.notebook")


class Heard:
    """The output of a flow so far. ``run`` listens until the flow has ended."""

    def __init__(self, handle: FlowHandle, tell: Callable[[], None]) -> None:
        self._handle = handle
        self._tell = tell
        self._lines: deque[LogLine] = deque(maxlen=LAST)
        self._count = 0
        self._streams: dict[tuple[str, str], tuple[str, str, str]] = {}  # by step and name: node, run, text
        self._shown: dict[tuple[str, str, int], ShownState] = {}
        self.state: SaidState | None = None

    async def run(self) -> None:
        """Listen. Nothing is raised: a view without output is still useful."""
        try:
            async for lines, shown in self._handle._follow_output():
                if lines or shown:
                    self._take(lines, shown)
                    self._tell()
        except Exception:  # noqa: BLE001  as above
            _log.debug("what the tasks of a flow say cannot be followed", exc_info=True)

    def _take(self, lines: list[LogLine], shown: list[Display]) -> None:
        for line in lines:
            if line.source == "stream":
                self._stream(line)
            else:
                self._lines.append(line)
                self._count += 1
        for display in shown:
            same = [key for key in self._shown if key[:2] == (display.step_key, display.name)]
            number = 0 if display.name else len(same)
            self._shown[display.step_key, display.name, number] = describe_shown(display)
        self.state = {
            "lines": [describe_line(line) for line in self._lines],
            "count": self._count,
            "streams": [[plain(node), plain(name), text] for (_, name), (node, _, text) in self._streams.items()][
                -_MOST_STREAMS:
            ],
            "shown": list(self._shown.values())[-_MOST_SHOWN:],
        }

    def _stream(self, line: LogLine) -> None:
        run = line.cursor.split(".")[2]
        key = line.step_key, line.name
        _, known, text = self._streams.pop(key, ("", run, ""))
        text = (text if known == run else "") + line.text
        if len(text) > _MOST_OF_STREAM:
            text = "…" + text[-_MOST_OF_STREAM:]
        self._streams[key] = line.node, run, text


def describe_line(line: LogLine) -> list[str]:
    """``[node, source, level, text]``, for the page."""
    return [plain(line.node), line.source, line.level, brief_line(line.text)]


def brief_line(text: str) -> str:
    """A line without control sequences, truncated if it is very long."""
    text = plain(text)
    return text if len(text) <= _MOST_OF_LINE else f"{text[:_MOST_OF_LINE]} …"


def describe_shown(display: Display) -> ShownState:
    """A small form of a display: a picture, or a few words."""
    thumb = thumbnail(display.data)
    return {
        "node": display.node,
        "name": plain(display.name),
        "thumb": thumb,
        "words": "" if thumb else brief(str(display.data.get("text/plain", "")), 80),
        "at": round(display.time.timestamp(), 3),
    }
