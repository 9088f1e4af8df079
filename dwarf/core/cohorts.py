"""When a cohort is full, and what follows if one of its branches has failed.

Storage counts arrivals in the row of the step that opened the cohort; this module says what the counts mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from dwarf.core.decision import Advance, Decision, Fail


@dataclass(slots=True)
class Arrival:
    """Branches that have ended at one cohort. ``by`` is the decision that came last."""

    cohort_id: int
    arrivals: int
    failures: int
    by: Advance | Fail


@dataclass(slots=True)
class Full:
    """A cohort whose last branch has arrived. ``outer`` is the spawn of the cohort around it, or 0."""

    arrival: Arrival
    failures: int
    outer: int
    size: int


Arrivals: TypeAlias = dict[int, Arrival]  # by cohort
Counts: TypeAlias = tuple[int, int, int, int, int]
"""A cohort's id, size, arrivals and failures so far, and the spawn of the cohort around it."""


def arrival_of(decision: Decision) -> Arrival | None:
    """The branches that a decision ends, if they are counted in another row than its own."""
    step = decision.step
    if isinstance(decision, Advance) and decision.arrivals and decision.cohort_id != step.step_id:
        return Arrival(decision.cohort_id, arrivals=decision.arrivals, failures=0, by=decision)
    if isinstance(decision, Fail) and step.lineage_id:
        return Arrival(step.lineage_id, arrivals=1, failures=1, by=decision)
    return None


def full_at_once(decision: Decision) -> Full | None:
    """The cohort that a decision opens, if none of its branches has a step: it is full without being counted."""
    if not isinstance(decision, Advance) or decision.cohort_id != decision.step.step_id:
        return None
    size = decision.cohort_size
    if not decision.arrivals or decision.arrivals < size:
        return None
    arrival = Arrival(decision.cohort_id, arrivals=decision.arrivals, failures=0, by=decision)
    return Full(arrival, 0, outer=decision.step.lineage_id, size=size)


def gather(arrivals: Arrivals, found: Arrival) -> None:
    """Add an arrival to earlier ones at the same cohort."""
    known = arrivals.setdefault(found.cohort_id, found)
    if known is not found:
        known.arrivals += found.arrivals
        known.failures += found.failures
        known.by = found.by


def filled(arrivals: Arrivals, counted: Iterable[Counts]) -> list[Full]:
    """The cohorts that these arrivals have filled. ``counted`` are their counters, with these arrivals."""
    found: list[Full] = []
    for cohort_id, size, count, failures, outer in counted:
        arrival = arrivals[cohort_id]
        if count - arrival.arrivals < size <= count:  # a cohort that was full before has already continued
            found.append(Full(arrival, failures, outer=outer, size=size))
    return found


def failed_branch(found: Full) -> Arrival | None:
    """A full cohort with a failure, as a failed branch of the cohort around it. None if it fails the flow."""
    if not found.outer:
        return None
    return Arrival(found.outer, arrivals=1, failures=1, by=found.arrival.by)


def own_error(found: Full) -> str:
    """The error of the flow that a full cohort fails, if it is the error of the last branch; otherwise ""."""
    by = found.arrival.by
    return by.error if found.failures <= 1 and isinstance(by, Fail) else ""


def first_error(found: Full, first: str) -> str:
    """The error of the flow that a full cohort fails. ``first`` is the first error text of its branches, or ""."""
    first = first or "cohort failed"
    if found.failures <= 1:
        return first
    return f"{found.failures:,} of {found.size:,} branches failed; the first: {first}"
