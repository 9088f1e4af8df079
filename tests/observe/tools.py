"""What the tests of measuring share: engines on recorders, spans as a tree, workflows of every kind."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from dwarf import END, Flow, Graph
from dwarf.engine import Engine
from dwarf.hosts import LocalHost
from dwarf.observe.instruments import BY_KEY
from dwarf.observe.memory import MetricRecord, Recorder, SpanRecord
from dwarf.storage.sql.script import Execute, Script, Statement


def measured(recorder: Recorder) -> dict[str, Any]:
    """The settings of an engine that reports to a recorder."""
    return {"meter_provider": recorder.meter_provider, "tracer_provider": recorder.tracer_provider}


def series(recorder: Recorder, key: str) -> dict[tuple[str, ...], MetricRecord]:
    """The series of one instrument, by their label values in the order of the table."""
    instrument = BY_KEY[key]
    return {
        tuple(row.labels[label] for label in instrument.labels): row
        for row in recorder.metrics()
        if row.name == instrument.name
    }


def value(recorder: Recorder, key: str, *labels: str) -> float:
    """The value of one series; of a histogram the number of values. 0 where there is none."""
    row = series(recorder, key).get(labels)
    if row is None:
        return 0
    return row.value if row.count is None else row.count


async def until(condition: Callable[[], object]) -> None:
    """Let the loop and its threads work until something holds. The test's own time-out ends it."""
    while not condition():
        await asyncio.sleep(0.001)


def tree(spans: Sequence[SpanRecord], root: str = "") -> list[Any]:
    """Spans as nested lists of names, in the order of their starts; leaves are names alone."""
    below: dict[str, list[SpanRecord]] = defaultdict(list)
    known = {span.span_id for span in spans}
    for span in spans:
        below[span.parent_id if span.parent_id in known else ""].append(span)

    def grow(span: SpanRecord) -> Any:
        children = [grow(child) for child in below[span.span_id]]
        return [span.name, *children] if children else span.name

    return [grow(span) for span in below[root]]


class Lines(logging.Handler):
    """A handler that keeps what it is given, as it would be shown: texts, fields and tracebacks."""

    def __init__(self, level: int = logging.DEBUG) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def texts(self, level: int = logging.DEBUG) -> list[str]:
        return [record.getMessage() for record in self.records if record.levelno >= level]

    def everything(self) -> str:
        shown = logging.Formatter("%(levelname)s %(name)s %(message)s")
        return "\n".join(f"{shown.format(record)} {vars(record)!r}" for record in self.records)


def private_logger(level: int = logging.DEBUG) -> tuple[logging.Logger, Lines]:
    """A logger of nobody else, and its handler."""
    logger = logging.Logger("private", level)  # noqa: LOG001 - it must not be found by its name
    lines = Lines(level)
    logger.addHandler(lines)
    return logger, lines


def chain(name: str, **tasks: Any) -> Graph:
    """A graph of tasks one after the other; a task of a name that is capitalised is at a node of that name."""
    graph = Graph(name)
    for node, function in tasks.items():
        graph.add_node(node, function)
    return graph.add_chain(*tasks, END)


async def nothing(flow: Flow) -> None:
    """A task."""


def correlation(key: str) -> str:
    """A key without its token."""
    return key.rpartition("-")[0]


def replica_of(engine: Engine) -> Any:
    """The first shard of a running engine."""
    return engine._runtimes[1]


def _sql(words: str) -> Script[int]:
    return (yield Execute(Statement("by hand", text(words)), {}))


async def by_hand(engine: Engine, words: str) -> None:
    """Change rows of the first shard with plain SQL."""
    await replica_of(engine).database.write(lambda: _sql(words))


@asynccontextmanager
async def on_one_file(path: Path, recorder: Recorder) -> AsyncIterator[tuple[Engine, Engine]]:
    """Two engines on one file that report to one recorder."""
    host, url = LocalHost(), f"sqlite:///{path / 'flows.db'}"
    async with Engine(host, url, **measured(recorder)) as one, Engine(host, url, **measured(recorder)) as two:
        yield one, two
