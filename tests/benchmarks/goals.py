"""What is aimed at, as ratios within one round, and whether it was met."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.benchmarks.figures import Figures
from tests.benchmarks.suite import by_cpu, middle, of, ratios, spread

Quotient = Callable[[Figures, Figures], float]
QUIET = 0.3  # cores
REFERENCE_RATE = 2_000  # steps/s of the Go reference on a machine of this kind, on PostgreSQL


def rate(own: Figures, other: Figures) -> float:
    """How many times as fast."""
    return own.rate / other.rate


def quickness(own: Figures, other: Figures) -> float:
    """How many times as quick, by the median latency."""
    return (other.p50 or 0.0) / (own.p50 or 1e-9)


@dataclass(frozen=True)
class Goal:
    """A ratio to another system on the same workload and database."""

    workload: str
    database: str
    against: str
    least: float
    quotient: Quotient = rate


@dataclass(frozen=True)
class Bound:
    """A figure of dwarf's own, and the most or the least that it should be."""

    workload: str
    database: str
    text: str
    figure: Callable[[Figures], float | None]
    bound: float
    most: bool


PG, LITE = "PostgreSQL", "SQLite"
GOALS = (
    Goal("chain", PG, "bare group commit", 0.35),
    Goal("chain", PG, "raw, one step, 8 connections", 1.6),
    Goal("chain", LITE, "raw, one step", 2),
    Goal("chain", PG, "Burr", 1.8),
    Goal("chain", PG, "LangGraph, 16 savers", 9),
    Goal("chain", PG, "DBOS", 25),
    Goal("chain", LITE, "Burr", 1.8),
    Goal("chain", LITE, "LangGraph", 18),
    Goal("chain", LITE, "DBOS", 30),
    *(Goal("fan-out", database, "Burr", 3) for database in (PG, LITE)),
    Goal("fan-out", PG, "LangGraph, 16 savers", 5),
    Goal("fan-out", LITE, "LangGraph", 5),
    Goal("latency", PG, "LangGraph", 2, quickness),
    Goal("latency", LITE, "Burr", 1, quickness),
    *(Goal("prompt", database, "LangGraph", 2, quickness) for database in (PG, LITE)),
)
BOUNDS = (
    Bound("chain", PG, "times the Go reference (2,000 steps/s)", lambda own: own.rate / REFERENCE_RATE, 5, most=False),
    *(
        Bound("chain", database, "CPU us per step, engine", lambda own: own.engine_cpu, 50, most=True)
        for database in (PG, LITE)
    ),
)


def table(found: Sequence[Figures]) -> str:
    """Every goal that this run can judge."""
    lines = [f"{'goal':<64} {'at least':>9} {'met':>4}  {'measured':<24} by CPU"]
    for goal in GOALS:
        systems = of(found, goal.database, goal.workload)
        ours, others = systems.get("dwarf", []), systems.get(goal.against, [])
        values = ratios(ours, others, goal.quotient)
        if values:
            kind = "quickness" if goal.quotient is quickness else "speed"
            name = f"{goal.workload}, {goal.database}: {kind} against {goal.against}"
            met = statistics.median(values) >= goal.least
            costs = [value for value in ratios(ours, others, by_cpu) if value]
            told = f"{spread(values):<24} {spread(costs) if costs else ''}".rstrip()
            lines.append(f"{name:<64} {goal.least:>9g} {'yes' if met else 'no':>4}  {told}")
    for bound in BOUNDS:
        runs = of(found, bound.database, bound.workload).get("dwarf", [])
        known = [value for own in runs if (value := bound.figure(own))]
        measured = middle(known)
        if measured is not None:
            met = measured <= bound.bound if bound.most else measured >= bound.bound
            name = f"{bound.workload}, {bound.database}: {bound.text}"
            limit = f"{'<=' if bound.most else ''}{bound.bound:g}"
            lines.append(f"{name:<64} {limit:>9} {'yes' if met else 'no':>4}  {spread(known, '')}")
    if len(lines) == 1:
        return ""
    busy = middle(figures.others for figures in found) or 0.0
    if busy > QUIET:
        lines.append(
            f"Others kept {busy:.1f} cores busy meanwhile: whether a goal is met needs a quieter machine, or many rounds."
        )
    return "\n" + "\n".join(lines)
