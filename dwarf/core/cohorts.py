"""When the branches of a cohort have all come to their end, and what follows if one of them has failed.

Storage counts them in the row of the step that has opened the cohort; what the counts mean is said here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from dwarf.core.decision import Advance, Decision, Fail


@dataclass(slots=True)
class Arrival:
    """Branches that have come to their end at one cohort. ``by`` is the decision that came last."""

    cohort_id: int
    arrivals: int
    failures: int
    by: Advance | Fail


@dataclass(slots=True)
class Full:
    """A cohort to which the last branch has come now. ``outer``: the spawn of the cohort around it, or 0."""

    arrival: Arrival
    failures: int
    outer: int
    size: int


Arrivals: TypeAlias = dict[int, Arrival]  # by cohort
Counts: TypeAlias = tuple[int, int, int, int, int]
"""A cohort's id, its size, its arrivals and failures so far, and the spawn of the cohort around it."""


def arrival_of(decision: Decision) -> Arrival | None:
    """The branches that a decision ends, where they are counted in another row than its own."""
    step = decision.step
    if isinstance(decision, Advance) and decision.arrivals and decision.cohort_id != step.step_id:
        return Arrival(decision.cohort_id, arrivals=decision.arrivals, failures=0, by=decision)
    if isinstance(decision, Fail) and step.lineage_id:
        return Arrival(step.lineage_id, arrivals=1, failures=1, by=decision)
    return None


def full_at_once(decision: Decision) -> Full | None:
    """The cohort that a decision opens, where none of its branches has a step: it is full without being counted."""
    if not isinstance(decision, Advance) or decision.cohort_id != decision.step.step_id:
        return None
    size = decision.cohort_size
    if not decision.arrivals or decision.arrivals < size:
        return None
    arrival = Arrival(decision.cohort_id, arrivals=decision.arrivals, failures=0, by=decision)
    return Full(arrival, 0, outer=decision.step.lineage_id, size=size)


def gather(arrivals: Arrivals, found: Arrival) -> None:
    """Add an arrival, summed with earlier ones at the same cohort."""
    known = arrivals.setdefault(found.cohort_id, found)
    if known is not found:
        known.arrivals += found.arrivals
        known.failures += found.failures
        known.by = found.by


def filled(arrivals: Arrivals, counted: Iterable[Counts]) -> list[Full]:
    """The cohorts that these arrivals have filled. ``counted``: what their rows say with them."""
    found: list[Full] = []
    for cohort_id, size, count, failures, outer in counted:
        arrival = arrivals[cohort_id]
        if count - arrival.arrivals < size <= count:  # one that was full before has gone on already
            found.append(Full(arrival, failures, outer=outer, size=size))
    return found


def failed_branch(found: Full) -> Arrival | None:
    """A full cohort with a failure is one failed branch of the cohort around it; None where it fails the flow."""
    if not found.outer:
        return None
    return Arrival(found.outer, arrivals=1, failures=1, by=found.arrival.by)


def own_error(found: Full) -> str:
    """The error of the flow that a full cohort fails, where it is that of its last branch; otherwise ""."""
    by = found.arrival.by
    return by.error if found.failures <= 1 and isinstance(by, Fail) else ""


def first_error(found: Full, first: str) -> str:
    """The error of the flow that a full cohort fails. ``first``: the first error of its branches, if one has a text."""
    first = first or "cohort failed"
    if found.failures <= 1:
        return first
    return f"{found.failures:,} of {found.size:,} branches failed; the first: {first}"
