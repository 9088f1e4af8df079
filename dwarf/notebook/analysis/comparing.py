"""How do two runs differ? Their steps side by side by node and occurrence, what they wrote, their times, what came out.

States of very many steps are not compared one by one: those of nodes with the fewest steps come first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dwarf.notebook.analysis.differences import Change, Place, changes_between, line, place_text
from dwarf.notebook.analysis.frames import SPAN, tidy
from dwarf.notebook.analysis.masking import Mask
from dwarf.notebook.analysis.reading import with_places
from dwarf.notebook.pictures.formatting import plural, seconds_text

if TYPE_CHECKING:
    import pandas as pd

    from dwarf.engine import FlowHandle
    from dwarf.workflow.graph import Graph
    from dwarf.workflow.results import Answered, Outcome, Step

__all__ = ["RunDiff", "Side", "read_side"]

PLACES = {"within": "string", "node": "string", "occurrence": "int64"}
STEP_DIFFERENCES = {
    **PLACES,
    "side": "string",  # both, left or right
    "status_left": "status",
    "status_right": "status",
    "duration_left": SPAN,
    "duration_right": SPAN,
    "slower": SPAN,  # how much longer the right one took
    "attempt_left": "Int64",
    "attempt_right": "Int64",
    "same": "boolean",  # whether both have written the same
    "error_left": "string",
    "error_right": "string",
    "step_left": "string",
    "step_right": "string",
}
DIFFERENCES = {"field": "string", "change": "string", "left": "object", "right": "object"}

MOST_STATES = 400  # steps whose states are read


@dataclass(frozen=True, slots=True)
class Side:
    """What is known of one of the two runs."""

    key: str
    graph: Graph
    outcome: Outcome
    steps: Mapping[Place, Step]
    full: Mapping[int, Step] = field(default_factory=dict)  # by id, those with states
    answers: Sequence[Answered] = ()

    @property
    def span(self) -> timedelta:
        """From the first start to the last change."""
        began = [step.started_at for step in self.steps.values() if step.started_at is not None]
        return (
            max((step.updated_at for step in self.steps.values()), default=min(began)) - min(began)
            if began
            else timedelta()
        )

    @property
    def label(self) -> str:
        """The flow's name without the secret part of its key."""
        return self.key.rpartition("-")[0]


async def read_side(handle: FlowHandle, graph: Graph) -> Side:
    """Read one of the two runs, as it is now."""
    outcome, history, answers = await asyncio.gather(handle.snapshot(), handle.history(), handle.answers())
    places = dict(with_places(history))
    counts: dict[tuple[str, str], int] = {}
    for within, node, _ in places:
        counts[within, node] = counts.get((within, node), 0) + 1
    rare_first = sorted(places.items(), key=lambda each: (counts[each[0][:2]], each[0][2]))
    wanted = [step for _, step in rare_first[:MOST_STATES]]
    full = await handle.steps(only=wanted) if wanted else []
    return Side(handle.key, graph, outcome, places, {step.id: step for step in full}, answers)


class RunDiff:
    """Two runs side by side. ``frame`` has a row for each step of either, ``state`` the differences of what came out,
    ``changes`` those of what the steps wrote. Displayed, it is all three; what is the same is folded away.

    Example::

        diff = run.diff(other)
        diff.state[["field", "left", "right"]]
    """

    def __init__(self, left: Side, right: Side) -> None:
        self.left = left
        self.right = right
        self._mask = Mask((*left.answers, *right.answers))

    @cached_property
    def _pairs(self) -> list[tuple[Place, Step | None, Step | None]]:
        """The steps of either run, in the order of the runs; None where one has no such step."""
        steps_left, steps_right = self.left.steps, self.right.steps
        order = {place: (step.depth, number) for number, (place, step) in enumerate(steps_left.items())}
        for number, (place, step) in enumerate(steps_right.items()):
            order.setdefault(place, (step.depth, number))
        both = list(steps_left) + [place for place in steps_right if place not in steps_left]
        both.sort(key=lambda place: (place[0], order[place]))
        return [(place, steps_left.get(place), steps_right.get(place)) for place in both]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row for each step of either run; ``same`` is missing where states were not compared."""
        rows = []
        for place, left, right in self._pairs:
            row: dict[str, Any] = {"within": place[0], "node": place[1], "occurrence": place[2]}
            row["side"] = "both" if left and right else "left" if left else "right"
            for side, step in (("left", left), ("right", right)):
                if step is not None:
                    row |= {
                        f"status_{side}": str(step.status),
                        f"duration_{side}": step.duration,
                        f"attempt_{side}": step.attempt,
                        f"error_{side}": self.shown(step.error),
                        f"step_{side}": step.key,
                    }
            if left and right and left.duration is not None and right.duration is not None:
                row["slower"] = right.duration - left.duration
            found = self._written(left, right)
            row["same"] = None if found is None else not found
            rows.append(row)
        return tidy(rows, STEP_DIFFERENCES)

    @cached_property
    def state(self) -> pd.DataFrame:
        """The differences of the two final states, or of what the runs had reached."""
        return tidy([vars_of(change) for change in self.outcomes], DIFFERENCES)

    @cached_property
    def changes(self) -> pd.DataFrame:
        """The differences of what each pair of steps has written."""
        rows = [
            {"within": place[0], "node": place[1], "occurrence": place[2], **vars_of(change)}
            for place, found in self.written
            for change in found
        ]
        return tidy(rows, {**PLACES, **DIFFERENCES})

    @cached_property
    def outcomes(self) -> list[Change]:
        """The differences of the two final states."""
        return self._between(self.left.outcome.state, self.right.outcome.state)

    @cached_property
    def written(self) -> list[tuple[Place, list[Change]]]:
        """The pairs of steps that have written different things."""
        found = ((place, self._written(left, right)) for place, left, right in self._pairs)
        return [(place, changes) for place, changes in found if changes]

    def _written(self, left: Step | None, right: Step | None) -> list[Change] | None:
        if left is None or right is None:
            return None
        one, other = self.left.full.get(left.id), self.right.full.get(right.id)
        if one is None or other is None:
            return None
        return self._between(one.changes or {}, other.changes or {})

    def _between(self, left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Change]:
        """The differences, with secret answers masked: they are shown, and kept in a saved notebook."""
        value = self._mask.value
        found = changes_between(dict(left), dict(right))
        return [Change(self._mask.text(one.where), one.kind, value(one.left), value(one.right)) for one in found]

    def shown(self, text: str) -> str:
        """A text with secret answers masked."""
        return self._mask.text(text)

    @property
    def same(self) -> bool:
        """Whether the runs ended alike: with the same status and the same state."""
        return self.left.outcome.status is self.right.outcome.status and not self.outcomes

    def _differing(self, pair: tuple[Place, Step | None, Step | None]) -> bool:
        """Whether a pair of steps is worth a look: one is missing, ended differently, or wrote something else."""
        _, left, right = pair
        if left is None or right is None:
            return True
        return left.status is not right.status or left.error != right.error or bool(self._written(left, right))

    def __repr__(self) -> str:
        return f"<RunDiff {self.left.label} and {self.right.label}: {'the same' if self.same else 'different'} outcome>"

    def __str__(self) -> str:
        left, right = self.left, self.right
        lines = [
            f"{'':<14}  {left.label:<24}  {right.label}",
            f"{'workflow':<14}  {left.graph.name:<24}  {right.graph.name}",
            f"{'status':<14}  {left.outcome.status:<24}  {right.outcome.status}",
            f"{'time':<14}  {seconds_text(left.span.total_seconds()):<24}  {seconds_text(right.span.total_seconds())}",
            f"{'steps':<14}  {len(left.steps):<24,}  {len(right.steps):,}",
            "",
            "final state: the same" if not self.outcomes else "final state:",
            *(f"  {line(change)}" for change in self.outcomes[:30]),
        ]
        differing = [pair for pair in self._pairs if self._differing(pair)]
        lines += ["", f"steps that differ: {len(differing):,} of {len(self._pairs):,}"]
        for place, one, other in differing[:30]:
            words = [str(step.status) if step else "missing" for step in (one, other)]
            lines.append(f"  {place_text(place)}: {words[0] if words[0] == words[1] else ' -> '.join(words)}")
            lines += [f"    {line(change)}" for change in (self._written(one, other) or [])[:8]]
        if len(differing) > 30:
            lines.append(f"  and {plural(len(differing) - 30, 'further step')}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from dwarf.notebook.analysis.comparison_page import to_html

        return {"text/html": to_html(self), "text/plain": str(self)}


def vars_of(change: Change) -> dict[str, Any]:
    """A change as a row."""
    return {"field": change.where, "change": change.kind, "left": change.left, "right": change.right}
