"""Reading the output and displays of a flow's tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import bindparam, select

from dwarf.core.keys import NO_STEP, Key, format_key
from dwarf.errors import StepNotFound
from dwarf.storage.queries.flows import read_root
from dwarf.storage.queries.history import moment, read_tree, steps_below
from dwarf.storage.sql.rows import columns
from dwarf.storage.sql.script import Fetch, Script, Statement
from dwarf.storage.sql.tables import displays, flows, output, steps
from dwarf.workflow.jsontext import loads
from dwarf.workflow.output import Display, LogLine, lines_of
from dwarf.workflow.results import NO_TIME

RowT = TypeVar("RowT")
OVERLAP_MS = 10_000  # rows written up to so long before the latest may have been committed after it


class OutputRow(NamedTuple):
    """A part of a step's output."""

    step_id: int
    run: int
    part: int
    attempt: int
    is_stream: int
    first_line: int
    line_count: int
    began_at: int
    written_at: int
    name: str
    body: str
    token: str
    node: str


class DisplayRow(NamedTuple):
    """A display."""

    step_id: int
    attempt: int
    run: int
    number: int
    shown_at: int
    written_at: int
    name: str
    data: str
    token: str
    node: str
    display_id: int


_OUTPUT = select(*columns(OutputRow, output, steps)).join(steps, steps.c.step_id == output.c.step_id)
_DISPLAY = select(*columns(DisplayRow, displays, steps)).join(steps, steps.c.step_id == displays.c.step_id)
OUTPUT_OF_TREE = Statement(
    "output_of_tree",
    _OUTPUT.join(flows, flows.c.flow_id == output.c.flow_id).where(
        flows.c.root_flow_id == bindparam("root"), output.c.written_at >= bindparam("since")
    ),
)
OUTPUT_OF_STEP = Statement(
    "output_of_step",
    _OUTPUT.where(output.c.step_id == bindparam("id"), output.c.written_at >= bindparam("since")),
)
DISPLAYS_OF_TREE = Statement(
    "displays_of_tree",
    _DISPLAY.join(flows, flows.c.flow_id == displays.c.flow_id).where(
        flows.c.root_flow_id == bindparam("root"), displays.c.written_at >= bindparam("since")
    ),
)
DISPLAYS_OF_STEP = Statement(
    "displays_of_one_step",
    _DISPLAY.where(displays.c.step_id == bindparam("id"), displays.c.written_at >= bindparam("since")),
)
FLOW_ENDED = Statement("flow_ended", select(flows.c.status).where(flows.c.flow_id == bindparam("id")))


@dataclass(frozen=True, slots=True)
class OutputQuery:
    """The selected output: of one step, or of the flow and those below it; of a node, or of all."""

    key: Key
    step: Key | None = None
    node: str = ""


@dataclass(slots=True)
class OutputPosition:
    """The position of a reader: the last number of each run, and the latest time of writing."""

    since: int = 0
    seen: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def is_new(self, step_id: int, run: int, kind: int, number: int, written_at: int) -> bool:
        """Whether a row has not been read yet; it then counts as read."""
        self.since = max(self.since, written_at - OVERLAP_MS)
        known = self.seen.get((step_id, run, kind), -1)
        if number <= known:
            return False
        self.seen[step_id, run, kind] = number
        return True


def read_output(asked: OutputQuery, place: OutputPosition | None = None) -> Script[list[LogLine]]:
    """The lines, oldest first; only those after a position, which is moved forward."""
    place = place or OutputPosition()
    statement = OUTPUT_OF_TREE if asked.step is None else OUTPUT_OF_STEP
    rows = yield from _rows(asked, statement, OutputRow._make, place.since)
    rows.sort(key=lambda row: (row.step_id, row.run, row.part))
    fresh = [row for row in rows if place.is_new(row.step_id, row.run, 0, row.part, row.written_at)]
    lines = sorted(_lines(asked.key.shard, fresh), key=lambda each: each[0])
    return [line for _, line in lines]


def read_displays(asked: OutputQuery, place: OutputPosition | None = None) -> Script[list[Display]]:
    """The displays, oldest first; only those after a position, which is moved forward."""
    place = place or OutputPosition()
    statement = DISPLAYS_OF_TREE if asked.step is None else DISPLAYS_OF_STEP
    rows = yield from _rows(asked, statement, DisplayRow._make, place.since)
    rows.sort(key=lambda row: (row.shown_at, row.step_id, row.run, row.number))
    fresh = [row for row in rows if place.is_new(row.step_id, row.display_id, 1, row.number, row.written_at)]
    return [_display(asked.key.shard, row) for row in fresh]


def read_news(
    asked: OutputQuery, lines: OutputPosition, displays_: OutputPosition
) -> Script[tuple[list[LogLine], list[Display], str]]:
    """Lines and displays after two positions, and the status of the flow: "" if it is gone."""
    rows = yield Fetch(FLOW_ENDED, {"id": asked.key.id})
    if not rows:
        return [], [], ""
    said = yield from read_output(asked, lines)
    shown = yield from read_displays(asked, displays_)
    ((status,),) = rows
    return said, shown, status


def cursor_of(text: str) -> tuple[int, ...]:
    """The position of a line. ValueError for a malformed cursor."""
    place = tuple(int(number, 16) for number in text.split("."))
    if len(place) != 5:
        raise ValueError(text)
    return place


def _rows(asked: OutputQuery, statement: Statement, make: Callable[[Any], RowT], since: int) -> Script[list[RowT]]:
    root = yield from read_root(asked.key)
    own = {"root": root} if asked.step is None else {"id": asked.step.id}
    rows: list[Any] = [make(row) for row in (yield Fetch(statement, {**own, "since": since}))]
    if asked.step is not None:
        if rows and rows[0].token != asked.step.token:
            raise StepNotFound(NO_STEP)
        return rows
    if rows and root != asked.key.id:
        below = steps_below(asked.key.id, (yield from read_tree(asked.key.shard, root)))
        rows = [row for row in rows if row.step_id in below]
    return [row for row in rows if row.node == asked.node] if asked.node else rows


def _lines(shard: int, rows: Sequence[OutputRow]) -> Iterator[tuple[tuple[int, ...], LogLine]]:
    """The lines of parts that are in the order of their runs, each with its position."""
    expected: dict[tuple[int, int], int] = {}  # the number of the next line of a run
    latest: dict[tuple[int, int], int] = {}  # times within a run never go back
    for row in rows:
        run = row.step_id, row.run
        began = max(row.began_at, latest.get(run, 0))
        left_out = row.first_line - expected.get(run, row.first_line)
        if not row.is_stream:
            expected[run] = row.first_line + row.line_count
        if left_out > 0 and not row.is_stream:
            words = f"… {left_out:,} lines are left out: the first and the last half megabyte of a run are kept …"
            yield _line(shard, row, -1, began, ("warning", words, "OutputCut", ""))
        at = began
        for number, (offset, *told) in enumerate(lines_of(row.body)):
            at = began + offset
            yield _line(shard, row, number, at, told)
        latest[run] = at


def _line(shard: int, row: OutputRow, number: int, at: int, told: Sequence[Any]) -> tuple[tuple[int, ...], LogLine]:
    place = at, row.step_id, row.run, row.part, number + 1
    source, text, level, logger = told
    line = LogLine(
        step_key=format_key(shard, row.step_id, row.token),
        node=row.node,
        attempt=row.attempt,
        time=moment(at) or NO_TIME,
        source=source,
        level=level,
        logger=logger,
        name=row.name,
        text=text,
        cursor=".".join(f"{each:x}" for each in place),
    )
    return place, line


def _display(shard: int, row: DisplayRow) -> Display:
    return Display(
        step_key=format_key(shard, row.step_id, row.token),
        node=row.node,
        attempt=row.attempt,
        time=moment(row.shown_at) or NO_TIME,
        name=row.name,
        data=loads(row.data),
    )
