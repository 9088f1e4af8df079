"""What have the tasks of a run said and shown? A table of lines, a gallery of displays, a stream to read from."""

from __future__ import annotations

import asyncio
import html
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from dwarf.notebook.analysis.frames import TIME, tidy
from dwarf.notebook.bundles import view_html
from dwarf.notebook.pictures.formatting import plain, plural
from dwarf.workflow.output import Display, LogLine

if TYPE_CHECKING:
    from concurrent.futures import Future

    import pandas as pd

    from dwarf.engine import FlowHandle

__all__ = ["Displays", "Stream", "logs_frame", "pieces"]

T = TypeVar("T")

LOGS = {
    "time": TIME,
    "node": "string",
    "attempt": "int64",
    "source": "string",
    "level": "string",
    "text": "string",
    "step": "string",
}


def logs_frame(lines: Sequence[LogLine]) -> pd.DataFrame:
    """One row for each line, oldest first."""
    rows = [
        {
            "time": line.time,
            "node": line.node,
            "attempt": line.attempt,
            "source": line.source,
            "level": line.level,
            "text": line.text,
            "step": line.step_key,
        }
        for line in lines
    ]
    return tidy(rows, LOGS)


class Displays(Sequence[Display]):
    """What tasks have displayed, oldest first; as the last line of a cell a gallery by node.

    ``displays["Train"]`` are those of a node, ``displays["loss"]`` those of a name; what is asked of several, such as
    ``displays["loss"].data``, is that of the latest.
    """

    def __init__(self, shown: Sequence[Display]) -> None:
        self._shown = tuple(shown)

    def __len__(self) -> int:
        return len(self._shown)

    @overload
    def __getitem__(self, place: int) -> Display: ...
    @overload
    def __getitem__(self, place: slice | str) -> Displays: ...
    def __getitem__(self, place: int | slice | str) -> Display | Displays:
        if isinstance(place, int):
            return self._shown[place]
        if isinstance(place, slice):
            return Displays(self._shown[place])
        found = [each for each in self._shown if place in (each.name, each.node)]
        if not found:
            known = sorted({name for each in self._shown for name in (each.node, each.name) if name})
            raise KeyError(f"nothing is displayed by a node or under a name {place!r}; there is: {', '.join(known)}")
        return Displays(found)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not self._shown or name not in Display.__dataclass_fields__:
            raise AttributeError(name)
        return getattr(self._shown[-1], name)

    def __repr__(self) -> str:
        nodes = ", ".join(dict.fromkeys(each.node for each in self._shown))
        return f"<{plural(len(self), 'display')}{f' of {nodes}' if nodes else ''}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        parts = []
        for node in dict.fromkeys(each.node for each in self._shown):
            own = [each for each in self._shown if each.node == node]
            figures = "".join(
                f'<figure style="margin:0 0 12px;max-width:640px"><figcaption>{html.escape(plain(each.name))}'
                f"</figcaption>{view_html(each.data)}</figure>"
                for each in own
            )
            parts.append(f"<div><b>{html.escape(plain(node))}</b>{figures}</div>")
        return {"text/plain": repr(self), "text/html": "".join(parts) or "<p>Nothing is displayed.</p>"}


class Stream:
    """A text that is read while it grows: ``for piece in stream``, or ``async for``. Both begin at its beginning."""

    def __init__(self, make: Callable[[], AsyncIterator[str]], submit: Callable[[Awaitable[Any]], Future[Any]]) -> None:
        self._make = make
        self._submit = submit

    def __iter__(self) -> Iterator[str]:
        pieces = self._make()
        while True:
            try:
                yield self._submit(_next(pieces)).result()
            except StopAsyncIteration:
                return

    async def __aiter__(self) -> AsyncIterator[str]:
        pieces = self._make()
        while True:
            try:
                yield await asyncio.wrap_future(self._submit(_next(pieces)))
            except StopAsyncIteration:
                return


async def _next(pieces: AsyncIterator[str]) -> str:
    return await anext(pieces)


async def pieces(handle: FlowHandle, node: str, name: str) -> AsyncIterator[str]:
    """The pieces of a node's stream, until its flow has ended; of all its streams where no name is given.

    A task that runs again streams from its beginning. What it repeats is not told twice.
    """
    told: dict[str, str] = {}
    runs: dict[str, tuple[str, int]] = {}  # of each step, the run that is read, and how far
    async for line in handle.follow_logs(node=node):
        if line.source != "stream" or (name and line.name != name):
            continue
        run = line.cursor.split(".")[2]
        key = f"{line.step_key} {line.name}"
        known, place = runs.get(key, (run, 0))
        if known != run:
            place = 0
        before, text = told.get(key, ""), line.text
        repeated = before[place : place + len(text)]
        if text.startswith(repeated):
            fresh = text[len(repeated) :]
        else:
            before, fresh = before[:place], f"\n{text}"
        told[key] = before if repeated == text else before[: place + len(repeated)] + text[len(repeated) :]
        runs[key] = run, place + len(text)
        if fresh:
            yield fresh


def output_html(lines: Sequence[LogLine], most: int, mask: Callable[[str], str] = lambda text: text) -> str:
    """Lines for a page without scripts, the last of them where there are many."""
    shown = lines[-most:]
    left = len(lines) - len(shown)
    head = f"… {left:,} lines before these\n" if left else ""
    return html.escape(head + "\n".join(mask(plain(line.text)) for line in shown))


def by_step(lines: Sequence[LogLine]) -> Mapping[str, list[LogLine]]:
    """Lines by the key of their step."""
    found: dict[str, list[LogLine]] = {}
    for line in lines:
        found.setdefault(line.step_key, []).append(line)
    return found
