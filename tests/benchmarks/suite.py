"""Runs cells one after the other, each in a process of its own on a database of its own, and prints them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.databases import fresh
from tests.benchmarks.figures import Figures

ROOT = Path(__file__).parents[2]
PATIENCE_S = 900
Log = Callable[[str], None]


@dataclass(frozen=True)
class Cell:
    """What is measured once a round: ``module`` is run with ``arguments`` and prints a line of figures."""

    module: str
    arguments: tuple[str, ...]
    server: str = ""  # the URL of a server; empty: a SQLite file
    python: str = sys.executable

    def run(self) -> Figures:
        """Measure. RuntimeError with the end of its output where it fails."""
        with fresh(self.server) as url:
            command = [self.python, "-m", self.module, *self.arguments, "--url", url]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
            )
        lines = [line for line in done.stdout.splitlines() if line.startswith('{"system"')]
        if done.returncode or not lines:
            raise RuntimeError(f"{self.module} {' '.join(self.arguments)}: {(done.stderr or done.stdout)[-1500:]}")
        return Figures.read(lines[-1])


def run(cells: Sequence[Cell], rounds: int, log: Log) -> list[Figures]:
    """Measure every cell in each round. One that fails is told of, and is left out from then on."""
    found: list[Figures] = []
    failed: set[Cell] = set()
    for number in range(1, rounds + 1):
        for cell in cells:
            if cell in failed:
                continue
            try:
                figures = cell.run()
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                failed.add(cell)
                log(f"left out: {error}")
                continue
            figures.round = number
            found.append(figures)
            log(f"round {number}: {figures.database}, {figures.workload}, {figures.system}: {figures.rate:,.0f}/s")
    return found


# ------------------------------------------------------------------ tables

HEAD = (
    f"{'':<28} {'steps/s':>9} {'flows/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>7} {'db us':>7} {'txn':>6} "
    f"{'stmt':>6} {'rows':>6} {'bytes':>8} {'MiB':>5} {'others':>6}  {'dwarf is':<24} by CPU"
)


def of(found: Iterable[Figures], database: str, workload: str) -> dict[str, list[Figures]]:
    """The figures of one table, by system."""
    systems: dict[str, list[Figures]] = {}
    for figures in found:
        if figures.database == database and figures.workload == workload:
            systems.setdefault(figures.system, []).append(figures)
    return systems


def middle(values: Iterable[float | None]) -> float | None:
    """The median of what was measured."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def ratios(ours: list[Figures], others: list[Figures], quotient: Callable[[Figures, Figures], float]) -> list[float]:
    """Each taken within one round."""
    by_round = {figures.round: figures for figures in others}
    return [quotient(figures, by_round[figures.round]) for figures in ours if figures.round in by_round]


def spread(values: Sequence[float], unit: str = "x") -> str:
    """The median, and the least and the most where there are several."""
    text = f"{statistics.median(values):.2f}{unit}"
    return text if len(values) == 1 else f"{text} ({min(values):.2f} to {max(values):.2f})"


def tables(found: Sequence[Figures]) -> str:
    """A table for each workload on each database: the medians of the rounds, and the ratios with their spread."""
    lines: list[str] = []
    places = dict.fromkeys((figures.database, figures.workload) for figures in found)
    for database, workload in places:
        systems = of(found, database, workload)
        setting = next((runs[0].setting for runs in systems.values() if runs[0].setting), database)
        lines += ["", f"{workload}: {setting}", HEAD]
        ours = systems.get("dwarf", [])
        for system, runs in systems.items():
            lines.append(_row(system, runs, ours))
    return "\n".join(lines)


def _row(system: str, runs: list[Figures], ours: list[Figures]) -> str:
    def cell(name: str, width: int, form: str) -> str:
        value = middle(getattr(figures, name) for figures in runs)
        return f"{'' if value is None else format(value, form):>{width}}"

    cells = [
        f"{system:<28}",
        *(cell("rate", 9, ",.0f"), cell("flow_rate", 8, ",.0f"), cell("p50", 8, ".2f"), cell("p99", 8, ".2f")),
        *(cell("engine_cpu", 7, ",.0f"), cell("database_cpu", 7, ",.0f"), cell("transactions", 6, ".3f")),
        *(cell("statements", 6, ".3f"), cell("rows", 6, ".2f"), cell("bytes", 8, ",.0f"), cell("peak", 5, ",.0f")),
        cell("others", 6, ".2f"),
    ]
    if runs is ours:
        return " ".join(cells)
    by_time = ratios(ours, runs, lambda own, other: own.rate / other.rate)
    costs = [value for value in ratios(ours, runs, by_cpu) if value]
    compared = f"{spread(by_time) if by_time else '':<24} {spread(costs) if costs else ''}"
    return f"{' '.join(cells)}  {compared}".rstrip()


def by_cpu(own: Figures, other: Figures) -> float:
    """How many times the CPU of dwarf's step the other's costs; 0.0 where it is not known."""
    return other.cpu / own.cpu if own.cpu and other.cpu else 0.0
