"""Many forks side by side: one step with many inputs, or one node of many flows with today's functions."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dwarf.errors import DwarfError, InvalidRequest, StateError
from dwarf.notebook.analysis.frames import series_of
from dwarf.notebook.maps.mapping import MapRun, begin
from dwarf.notebook.maps.mapwork import MapWork, Started
from dwarf.notebook.maps.rows import MapRow, plain_value
from dwarf.notebook.maps.tally import NOTHING, Tally
from dwarf.notebook.pictures.formatting import brief, seconds_text
from dwarf.workflow.graph import Graph
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.status import Status
from dwarf.workflow.suggest import near_node
from dwarf.workflow.values import to_json
from dwarf.workflow.values.meaning import canonical

if TYPE_CHECKING:
    import pandas as pd

    from dwarf.engine import Engine, FlowHandle
    from dwarf.notebook.analysis.comparing import RunDiff
    from dwarf.notebook.run import Run
    from dwarf.notebook.services import LabServices
    from dwarf.workflow.results import Step

__all__ = ["ForkRun", "replay", "sweep"]

AT_ONCE = 32  # forks made at a time
MOST_SHOWN = 200  # rows in the table of a view
_LONGEST = 60  # characters of a cell


class ForkRun(MapRun):
    """Many forks side by side. ``diff(row)`` sets one beside the flow that it was forked from.

    Example::

        swept = run.sweep("Train", {"rate": [0.1, 0.01], "depth": [3, 5]})
        swept.wait().sort_values("score")
    """

    def diff(self, row: int) -> RunDiff:
        """The flow that a row was forked from, and the row's own, side by side. ``row`` is its label in the frame."""
        tally = self._work.tally
        assert isinstance(tally, ForkTally)
        if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < tally.rows:
            raise InvalidRequest(f"there is no row {row!r}")
        return self._open_run(tally.origins[row]).diff(self.runs[row])


class ForkTally(Tally):
    """The results of forks; ``origins`` are the keys of the flows they were made from."""

    def __init__(self, origins: Sequence[str], into: Sequence[str] | None = None) -> None:
        super().__init__(len(origins), None, into)
        self.origins = list(origins)
        self.began_at: dict[int, float] = {}
        self.took: dict[int, float] = {}  # seconds

    def start(self, position: int, flow_key: str) -> None:
        """A row has a flow."""
        super().start(position, flow_key)
        self.began_at[position] = time.monotonic()

    def close(self, position: int, status: Status, error: str = "") -> None:
        """A row has ended."""
        super().close(position, status, error)
        if position in self.began_at:
            self.took[position] = time.monotonic() - self.began_at[position]

    def table(self) -> dict[str, Any]:
        """The first rows of the frame for a view: ``columns``, and ``rows`` of cells, each a text and what sorts it."""
        if self.rows > MOST_SHOWN and self.ended_at is None:
            return {}
        frame = self.frame().head(MOST_SHOWN).drop(columns=["flow_before", "flow"], errors="ignore")
        rows = [[_cell(value) for value in row] for row in frame.itertuples(index=True, name=None)]
        return {"columns": ["row", *map(str, frame.columns)], "rows": rows}

    def durations(self) -> Any:
        """How long each row has taken, where it has ended."""
        spans = [self.took.get(position) for position in range(self.rows)]
        return series_of([None if span is None else timedelta(seconds=span) for span in spans], "timedelta64[ms]")


class SweepTally(ForkTally):
    """The results of forks of one step. ``base`` is the input of the step; what no fork has changed is no result."""

    def __init__(
        self, origin: str, grid: Sequence[Mapping[str, Any]], base: Mapping[str, Any], into: Sequence[str] | None
    ) -> None:
        super().__init__([origin] * len(grid), into)
        self.grid = grid
        self.base = base

    def _empty(self) -> Tally:
        return SweepTally(self.origins[0] if self.origins else "", self.grid, self.base, self.into)

    def frame(self) -> pd.DataFrame:
        """One row for each row of the grid: its fields, the results, status, duration, error, and the flow's key."""
        frame = super().frame()
        named = list(dict.fromkeys(name for row in self.grid for name in row))
        if self.into is None:
            same = [name for name in frame.columns if name in self.base and self._is_untouched(name)]
            frame = frame.drop(columns=[name for name in same if name not in named])
        for place, name in enumerate(named):
            column = series_of([row.get(name) for row in self.grid], "any")
            if name in frame.columns:
                frame = frame.drop(columns=name)
            frame.insert(place, name, column)
        frame.insert(list(frame.columns).index("status") + 1, "duration", self.durations())
        return frame

    def _is_untouched(self, name: str) -> bool:
        before = _text(self.base[name])
        done = [at for at in range(self.rows) if self.status(at) is Status.COMPLETED]
        column = self._columns.get(name, [])
        return all(at < len(column) and _text(column[at]) == before for at in done)


class ReplayTally(ForkTally):
    """The results of forks of many flows, beside what the flows came to before."""

    def __init__(self, origins: Sequence[str], into: Sequence[str] | None) -> None:
        super().__init__(origins, into)
        self.before: dict[int, Mapping[str, Any]] = {}
        self.statuses: dict[int, str] = {}

    def _empty(self) -> Tally:
        made = ReplayTally(self.origins, self.into)
        made.before, made.statuses = dict(self.before), dict(self.statuses)
        return made

    def frame(self) -> pd.DataFrame:
        """One row for each flow, those that differ first: every field before and after, status, error, and the keys."""
        found = super().frame()
        names = [name for name in found.columns if name not in ("status", "error", "flow")]
        fields = [name.removeprefix("result.") for name in names]
        fields += [name for state in self.before.values() for name in state if self.into is None]
        rows = range(self.rows)
        made: dict[str, Any] = {"differs": [False] * self.rows}
        for name in dict.fromkeys(fields):
            before = [self.before.get(at, {}).get(name) for at in rows]
            kept = self._columns.get(name, [])
            after = [kept[at] if at < len(kept) and self.status(at) is Status.COMPLETED else None for at in rows]
            after = [None if value is NOTHING else value for value in after]
            for at in rows:
                if self.status(at) is Status.COMPLETED and _text(before[at]) != _text(after[at]):
                    made["differs"][at] = True
            made[f"{name}_before"] = series_of(before, "any")
            made[f"{name}_after"] = series_of(after, "any")
        for at in rows:
            ended = self.status(at).terminal and at in self.statuses  # a flow that is not there has no status
            made["differs"][at] |= ended and self.statuses[at] != str(self.status(at))
        made["status_before"] = series_of([self.statuses.get(at) for at in rows], "status")
        made["status"], made["duration"], made["error"] = found["status"], self.durations(), found["error"]
        made["flow_before"], made["flow"] = series_of(list(self.origins), "string"), found["flow"]
        frame = type(found)(made, columns=list(made))
        return frame.sort_values("differs", ascending=False, kind="stable")


class Forks:
    """Makes a fork for each row, some at a time; a row that cannot be forked fails, and stops no other."""

    def __init__(self, make: Callable[[int], Awaitable[FlowHandle]], total: int) -> None:
        self._make = make
        self._left = list(range(total))
        self.inputs: set[str] = set()

    async def block(self) -> list[Started]:
        """The next rows with their flows. Empty at the end."""
        now, self._left = self._left[:AT_ONCE], self._left[AT_ONCE:]
        return list(await asyncio.gather(*map(self._fork, now)))

    async def _fork(self, position: int) -> Started:
        try:
            return position, await self._make(position)
        except DwarfError as fault:
            return position, MapRow(position, {}, f"{type(fault).__name__}: {fault}")


def sweep(
    lab: LabServices,
    open_run: Callable[[str], Run],
    step: Step,
    flow_key: str,
    grid: Any,
    *,
    into: Sequence[str] | None,
    show: bool,
    name: str,
    options: Mapping[str, Any],
) -> ForkRun:
    """See Run.sweep."""
    rows = read_grid(grid)
    engine: Engine = lab.engine

    async def make(position: int) -> FlowHandle:
        return await engine.fork(step.key, rows[position], **options)

    tally = SweepTally(flow_key, rows, step.state or {}, _names(into))
    work = MapWork(engine, Forks(make, len(rows)), tally, lab.follow)
    return begin(ForkRun, lab, open_run, work, name, own_threads=False, show=show)


def replay(
    lab: LabServices,
    open_run: Callable[[str], Run],
    runs: Any,
    node: str,
    *,
    graph: Graph | None,
    into: Sequence[str] | None,
    show: bool,
    options: Mapping[str, Any],
) -> ForkRun:
    """See Lab.replay."""
    keys = read_runs(runs)
    engine: Engine = lab.engine
    tally = ReplayTally(keys, _names(into))
    if not lab.on_loop:
        lab.call(_check_node(engine, keys, node))

    async def make(position: int) -> FlowHandle:
        handle = engine.flow(keys[position])
        outcome, steps = await asyncio.gather(handle.snapshot(), handle.history())
        tally.before[position] = outcome.state if outcome.status is Status.COMPLETED else {}
        tally.statuses[position] = str(outcome.status)
        return await engine.fork(_step_at(steps, node), graph=graph, **options)

    work = MapWork(engine, Forks(make, len(keys)), tally, lab.follow)
    return begin(ForkRun, lab, open_run, work, f"replay from {node}", own_threads=False, show=show)


async def _check_node(engine: Engine, keys: Sequence[str], node: str) -> None:
    """InvalidRequest for a node that none of the flows has. One that can be read is enough, as a rule."""
    names: dict[str, None] = {}
    for key in keys:
        try:
            nodes = [each.name for each in (await engine.flow(key).graph()).nodes]
        except DwarfError:  # its row will say so
            continue
        if node in nodes:
            return
        names.update(dict.fromkeys(nodes))
    if names:
        raise InvalidRequest(f"none of the flows has a node {node!r}{near_node(node, names)}")


def read_grid(grid: Any) -> list[dict[str, Any]]:
    """The rows of a grid: every combination of a mapping of sequences, or the mappings themselves. InvalidRequest."""
    if isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
                raise InvalidRequest(f"the grid needs a sequence of values for {name!r}, such as [{values!r}]")
        made: Iterable[Any] = (
            dict(zip(grid, combination, strict=True)) for combination in itertools.product(*grid.values())
        )
    elif hasattr(grid, "to_dict") and hasattr(grid, "columns"):  # a DataFrame
        made = grid.to_dict("records")
    elif isinstance(grid, (str, bytes)) or not isinstance(grid, Iterable):
        raise InvalidRequest(f"a grid is a mapping of sequences, or mappings, not a {type(grid).__name__}")
    else:
        made = grid
    rows: list[dict[str, Any]] = []
    for row in made:
        if not isinstance(row, Mapping):
            raise InvalidRequest(f"each row of a grid is a mapping of fields, not a {type(row).__name__}")
        rows.append({str(name): plain_value(value) for name, value in row.items()})
    return rows


def read_runs(runs: Any) -> list[str]:
    """The keys of flows: of runs, of texts, or those in the column "flow" of a table. InvalidRequest."""
    if hasattr(runs, "columns"):
        if "flow" not in runs.columns:
            raise InvalidRequest('the table has no column "flow" with the keys of flows, as lab.flows() has')
        runs = list(runs["flow"])
    if isinstance(runs, (str, bytes)) or hasattr(runs, "key") or not isinstance(runs, Iterable):
        raise InvalidRequest("replay takes several runs, or the keys of flows: [run], or lab.flows(...)")
    keys = [run if isinstance(run, str) else getattr(run, "key", None) for run in runs]
    for run, key in zip(runs, keys, strict=True) if None in keys else ():
        if key is None:
            raise InvalidRequest(f"replay takes runs, or the keys of flows, not a {type(run).__name__}")
    return [str(key) for key in keys]


def _step_at(steps: Sequence[Step], node: str) -> Step:
    """The first step at a node. InvalidRequest where there is none, or one for each branch of a fan-out."""
    found = [step for step in steps if step.node == node]
    if not found:
        raise InvalidRequest(f"the flow has not reached the node {node!r}")
    if any(step.ordinal for step in found):
        raise InvalidRequest(
            f"the flow has {len(found)} steps at {node!r}, in branches: name the node from which the branches go out"
        )
    return min(found, key=lambda step: step.id)


def _cell(value: Any) -> list[Any]:
    """A value as a view shows it, and the number or the text that it is sorted by; what is missing comes last."""
    plain = plain_value(value)
    if plain is None:
        return ["", None]
    if isinstance(plain, timedelta):
        return [seconds_text(plain.total_seconds()), plain.total_seconds()]
    if isinstance(plain, float) and math.isfinite(plain):
        return [f"{plain:,.6g}", plain]
    if isinstance(plain, int):
        return [str(plain), float(plain) if abs(plain) < 2**53 else str(plain)]
    text = brief(plain, _LONGEST)
    return [text, text]


def _names(into: Any) -> Sequence[str] | None:
    if isinstance(into, str):
        raise InvalidRequest(f"into is a list of field names, such as [{into!r}]")
    return into  # type: ignore[no-any-return]


def _text(value: Any) -> str:
    """A value as a text that is the same for equal ones."""
    try:
        return dumps(canonical(to_json(value)))
    except StateError:
        return repr(value)
