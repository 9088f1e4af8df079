"""How far has a map come? The results so far, column by column, and the counts, the rate and the time that remains."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dwarf.notebook.analysis.frames import load_pandas, series_of
from dwarf.notebook.pictures.formatting import plural, rate_text, seconds_text
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    import pandas as pd

    from dwarf.workflow.results import Outcome

__all__ = ["NOTHING", "MapProgress", "Tally"]

_SPAN = 15.0  # seconds over which the rate is taken
_LEAST = 0.5  # seconds before there is one
MOST_CELLS = 960  # of a heat map
_FEW_CELLS = 12  # rows that a bar tells as well
NOTHING: Any = object()
_ORDER = tuple(Status)
_PENDING = _ORDER.index(Status.PENDING)
_STATUS, _ERROR, _FLOW = "status", "error", "flow"


@dataclass(frozen=True, slots=True)
class MapProgress:
    """How far a map has come. ``total`` is None where it is not known; ``rate`` is in rows a second; times in seconds.

    ``started`` counts the rows whose flow exists, ``waiting`` those that wait for an answer or at a breakpoint, and
    ``stopped`` of them the latter.
    """

    total: int | None = None
    started: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    waiting: int = 0
    stopped: int = 0
    rate: float | None = None
    remaining: float | None = None
    elapsed: float = 0.0
    ended: bool = False

    @property
    def done(self) -> int:
        """The rows that have ended, however."""
        return self.completed + self.failed + self.cancelled

    @property
    def text(self) -> str:
        """All of it on one line."""
        count = plural(self.done, "row") if self.total is None else f"{self.done:,} of {plural(self.total, 'row')}"
        if self.ended and self.done == self.total:
            count = plural(self.done, "row")
        words = [f"{count} in {seconds_text(self.elapsed)}" if self.ended else count]
        words += [f"{self.failed:,} failed"] if self.failed else []
        words += [f"{self.cancelled:,} cancelled"] if self.cancelled else []
        if self.ended:
            return " · ".join(words)
        asked = self.waiting - self.stopped
        words += [f"{asked:,} waiting for an answer"] if asked else []
        words += [f"{self.stopped:,} stopped at a breakpoint"] if self.stopped else []
        words += [rate_text(self.rate)] if self.rate else []
        words += [f"about {seconds_text(self.remaining)} left"] if self.remaining is not None else []
        return " · ".join(words)


class Tally:
    """The results of a map, by position. Written on one thread; ``frame`` may be called from any."""

    def __init__(self, total: int | None, index: Any, into: Sequence[str] | None) -> None:
        self.total = total
        self.index = index
        self.into = None if into is None else tuple(into)
        self.absent = set(self.into or ())  # fields asked for that no row has had yet
        self.flows: list[str] = []  # the key of each row's flow; "" where there is none
        self.started = 0
        self.waiting = 0
        self.stopped = 0
        self.began = time.monotonic()
        self.ended_at: float | None = None
        self._statuses = bytearray()
        self._errors: dict[int, str] = {}
        self._columns: dict[str, list[Any]] = {name: [] for name in self.into or ()}
        self._counts = [0] * len(_ORDER)
        self._marks: tuple[tuple[float, int], ...] = (
            (self.began, 0),
        )  # how many rows had ended at which moment; replaced, never changed

    def copy_but(self, positions: Collection[int]) -> Tally:
        """The same results without those of some rows, which are to be had anew."""
        made = self._empty()
        made.absent = set(self.absent)
        made.flows = list(self.flows)
        again = set(positions)
        made._statuses = bytearray(
            _PENDING if position in again else code for position, code in enumerate(self._statuses)
        )
        made._errors = {position: error for position, error in self._errors.items() if position not in again}
        made._columns = {name: list(values) for name, values in self._columns.items()}
        made._counts = [made._statuses.count(code) for code in range(len(_ORDER))]
        made._counts[_PENDING] = 0
        made._marks = ((made.began, made._done),)
        made.started = self.started
        return made

    def _empty(self) -> Tally:
        return Tally(self.total, self.index, self.into)

    # ------------------------------------------------------------ writing

    def start(self, position: int, flow_key: str) -> None:
        """A row has a flow."""
        self._reach(position)
        self.started += not self.flows[position]
        self.flows[position] = flow_key

    def end(self, position: int, outcome: Outcome, inputs: Collection[str]) -> None:
        """A row's flow has ended; ``inputs`` are the fields that are no result unless asked for."""
        error = outcome.error or outcome.cancel_reason
        if outcome.status is Status.COMPLETED:
            self._keep(position, outcome.state, inputs)
        self.close(position, outcome.status, error)

    def close(self, position: int, status: Status, error: str = "") -> None:
        """A row has ended with a status, and an error where there is one."""
        self._reach(position)
        code = _ORDER.index(status)
        self._statuses[position] = code
        self._counts[code] += 1
        if error:
            self._errors[position] = error
        now = time.monotonic()
        if now - self._marks[-1][0] > _SPAN / 30:
            # sixty marks, at least a thirtieth of the span apart: always more than the span
            self._marks = (*self._marks[-60:], (now, self._done))

    def _keep(self, position: int, state: Mapping[str, Any], inputs: Collection[str]) -> None:
        names = self.into if self.into is not None else [name for name in state if name not in inputs]
        for name in names:
            column = self._columns.get(name)
            if column is None:
                column = []
                self._columns = {**self._columns, name: column}  # a reader of the columns has a whole mapping
            column.extend([NOTHING] * (position + 1 - len(column)))
            column[position] = state.get(name)
        if self.absent:
            self.absent.difference_update(state)

    def _reach(self, position: int) -> None:
        missing = position + 1 - len(self._statuses)
        if missing > 0:
            self._statuses.extend([_PENDING] * missing)
            self.flows.extend([""] * missing)

    # ------------------------------------------------------------ reading

    def table(self) -> dict[str, Any]:
        """What a view shows of the rows beside their bar; nothing for a plain map, which may have millions."""
        return {}

    def heat(self, most: int = MOST_CELLS) -> str:
        """A character for each row, or where there are more than ``most`` for as many rows in a row as are needed.

        "x": one of them has failed, "-": one was cancelled, else the share of those that have completed, from "0" to
        "9". "" where the rows are few, or their number is not known.
        """
        if self.total is None or self.total < _FEW_CELLS:
            return ""
        wide = -(-self.total // most)
        codes = [_ORDER.index(status) for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)]
        cells = []
        for first in range(0, self.total, wide):
            size = min(wide, self.total - first)
            done, failed, cancelled = (self._statuses.count(code, first, first + size) for code in codes)
            cells.append("x" if failed else "-" if cancelled else str(9 * done // size))
        return "".join(cells)

    @property
    def _done(self) -> int:
        return sum(self._counts)

    @property
    def rows(self) -> int:
        """How many rows there are, as far as is known."""
        return len(self._statuses) if self.total is None else self.total

    def status(self, position: int) -> Status:
        """The status of a row: pending until it has ended."""
        return _ORDER[self._statuses[position]] if position < len(self._statuses) else Status.PENDING

    def unfinished(self) -> Iterator[int]:
        """The positions of the rows that have not ended."""
        return (position for position in range(self.rows) if self.status(position) is Status.PENDING)

    def broken(self) -> list[int]:
        """The positions of the rows whose flow has failed or was cancelled."""
        return [
            position
            for position in range(len(self._statuses))
            if self.status(position) in (Status.FAILED, Status.CANCELLED) and self.flows[position]
        ]

    def errors(self, most: int) -> list[tuple[int, str]]:
        """The first errors, as (position, error)."""
        # a copy: the lab's loop adds errors while a view reads them
        return sorted(self._errors.copy().items())[:most]

    def progress(self) -> MapProgress:
        """The counts, the rate and the time that remains, as of now."""
        now = time.monotonic() if self.ended_at is None else self.ended_at
        done, marks = self._done, self._marks
        first, before = next((mark for mark in reversed(marks) if now - mark[0] >= _SPAN), marks[0])
        rate = (done - before) / (now - first) if now - first > _LEAST and done > before else None
        left = None if self.total is None or rate is None else (self.total - done) / rate
        counts = {status: self._counts[code] for code, status in enumerate(_ORDER)}
        return MapProgress(
            total=self.total,
            started=self.started,
            completed=counts[Status.COMPLETED],
            failed=counts[Status.FAILED],
            cancelled=counts[Status.CANCELLED],
            waiting=self.waiting,
            stopped=self.stopped,
            rate=rate,
            remaining=left,
            elapsed=now - self.began,
            ended=self.ended_at is not None,
        )

    def frame(self) -> pd.DataFrame:
        """One row for each row: the results, then status, error, and the key of the flow."""
        pandas = load_pandas()
        size = self.rows
        statuses = [str(self.status(position)) for position in range(size)]
        errors = [self._errors.get(position, "") for position in range(size)]
        flows = [self.flows[position] if position < len(self.flows) else "" for position in range(size)]
        made: dict[str, Any] = {}
        for name, values in self._columns.items():
            cells = [None if value is NOTHING else value for value in values[:size]]
            cells += [None] * (size - len(cells))
            made[f"result.{name}" if name in (_STATUS, _ERROR, _FLOW) else name] = series_of(cells, "any")
        made |= {
            _STATUS: series_of(statuses, "status"),
            _ERROR: series_of(errors, "string"),
            _FLOW: series_of(flows, "string"),
        }
        frame: pd.DataFrame = pandas.DataFrame(made, columns=list(made), index=pandas.RangeIndex(size))
        if self.index is not None:
            frame.index = self.index
        return frame
