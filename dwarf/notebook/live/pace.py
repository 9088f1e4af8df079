"""How fast does a step get on? What it has told of its progress over time: a small curve, a rate, an estimate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dwarf.notebook.pictures.formatting import seconds_text
from dwarf.workflow.status import Status

if TYPE_CHECKING:
    from dwarf.workflow.results import Step

__all__ = ["Paces"]

_MOST_POINTS = 120  # of a step; beyond that every other point is dropped
_MOST_STEPS = 500
_RECENT = 5  # points from which the rate is calculated


class Paces:
    """The progress of the steps of one flow: pairs of a moment (epoch seconds) and the amount done."""

    def __init__(self) -> None:
        self._points: dict[int, list[tuple[float, float]]] = {}

    def note(self, steps: Iterable[Step]) -> None:
        """Record the present progress of running steps."""
        for step in steps:
            if step.progress is not None and step.status is Status.RUNNING:
                self._note(step, step.progress[0])

    def _note(self, step: Step, done: float) -> None:
        began = step.started_at
        known = self._points.pop(step.id, None) or ([(began.timestamp(), 0.0)] if began is not None else [])
        at = step.updated_at.timestamp()
        if known and done < known[-1][1]:
            known = []  # the step has started again
        if not known or (at > known[-1][0] and done != known[-1][1]):
            known.append((at, float(done)))
        self._points[step.id] = known if len(known) <= _MOST_POINTS else [*known[:-1:2], known[-1]]
        if len(self._points) > _MOST_STEPS:
            del self._points[next(iter(self._points))]

    def describe(self, step: Step) -> dict[str, Any]:
        """The panel's texts about a step's progress: ``progress`` in words, and the points of its ``curve``."""
        if step.progress is None:
            return {"progress": ""}
        done, total, message = step.progress
        parts = [" ".join(part for part in (f"{done:,g}", f"of {total:,g}" if total else "", message) if part)]
        rate = self._rate(step, done)
        if step.status is Status.RUNNING and rate > 0:
            parts.append(f"{rate:,.3g} a second")
            if total and total > done:
                parts.append(f"about {seconds_text((total - done) / rate)} left")
        points = self._points.get(step.id, [])
        if len(points) < 3:
            return {"progress": " · ".join(parts)}
        begun = points[0][0]
        curve = [[round(at - begun, 2), value] for at, value in points]
        return {"progress": " · ".join(parts), "curve": curve}

    def _rate(self, step: Step, done: float) -> float:
        """The amount done in a second: recently if that is known, otherwise overall."""
        points = self._points.get(step.id, [])[-_RECENT:]
        if len(points) > 1:
            (since, before), (until, now) = points[0], points[-1]
            return (now - before) / (until - since) if until > since else 0.0
        spent = (step.updated_at - step.started_at).total_seconds() if step.started_at is not None else 0.0
        return done / spent if spent > 0 else 0.0
