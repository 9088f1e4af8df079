"""Flows that have ended, drawn for the planning of forks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dwarf.core.fork import OldFlow, OldStep, Tree
from dwarf.workflow.status import Status

Segment = int | Sequence["Segment"]  # a number of steps in a row, or a cohort: a list of branches
Branch = Sequence[Segment]


def flow(flow_id: int, *, caller: OldStep | None = None, status: Status = Status.COMPLETED) -> OldFlow:
    """A root flow, or the child flow of a step."""
    if caller is None:
        return OldFlow(flow_id, 0, 0, status)
    return OldFlow(flow_id, caller.flow_id, caller.step_id, status)


def step(
    step_id: int,
    flow_id: int = 1,
    *,
    after: int = 0,
    then: int = 0,
    cohort: int = 0,
    ordinal: int = 0,
    size: int = 0,
    status: Status = Status.COMPLETED,
) -> OldStep:
    """A step. ``after`` and ``then`` are its predecessor and successor, ``cohort`` is the step that opened it."""
    return OldStep(step_id, flow_id, status, cohort, ordinal, after, then, size)


def trunk(length: int, flow_id: int = 1, first: int = 1) -> list[OldStep]:
    """Steps in a row."""
    last = first + length - 1
    return [
        step(number, flow_id, after=number - 1 if number > first else 0, then=number + 1 if number < last else 0)
        for number in range(first, last + 1)
    ]


def fan_out(branches: int, *, length: int = 1, fan_in: bool = True, direct: int = 0) -> list[OldStep]:
    """Step 1, its branches in order (of ``length`` steps each), and after them the fan-in, or none.

    ``direct`` candidates went straight to the fan-in.
    """
    joined = 2 + branches * length if fan_in else 0
    made = [step(1, then=2, size=branches + direct)]
    for ordinal in range(branches):
        first = 2 + ordinal * length
        for number in range(first, first + length):
            last = number == first + length - 1
            before = 1 if number == first else number - 1
            then = joined if last else number + 1
            made.append(step(number, after=before, then=then, cohort=1, ordinal=ordinal))
    if fan_in:
        made.append(step(joined, after=joined - 1))
    return made


def changed(steps: list[OldStep], **statuses: Status) -> list[OldStep]:
    """The same steps, some with another status: ``s3=Status.FAILED``."""
    return [replace(old, status=statuses.get(f"s{old.step_id}", old.status)) for old in steps]


def tree(*steps: OldStep, flows: Sequence[OldFlow] = ()) -> Tree:
    """The flow 1, with these steps, and its child flows."""
    return Tree([flow(1), *flows], steps)


class Drawn:
    """A whole run of nested fan-outs, drawn from a list of segments."""

    def __init__(self, segments: Branch) -> None:
        self.steps: dict[int, OldStep] = {}
        self.segments(segments, 0, 0, 0)
        self.tree = tree(*self.steps.values())

    def add(self, before: int, lineage: int, ordinal: int, *, linked: bool = True) -> int:
        number = len(self.steps) + 1
        self.steps[number] = step(number, after=before, cohort=lineage, ordinal=ordinal)
        if linked and before and not self.steps[before].successor_id:
            self.steps[before] = replace(self.steps[before], successor_id=number)
        return number

    def segments(self, segments: Branch, before: int, lineage: int, ordinal: int) -> int:
        for segment in segments:
            if isinstance(segment, int):
                for _ in range(segment):
                    before = self.add(before, lineage, ordinal)
            else:
                before = self.cohort(segment, before, lineage, ordinal)
        return before

    def cohort(self, branches: Sequence[Segment], before: int, lineage: int, ordinal: int) -> int:
        spawn = self.add(before, lineage, ordinal)
        ends = []
        for number, branch in enumerate(branches):
            first = self.add(spawn, spawn, number)
            rest = [branch] if isinstance(branch, int) else branch
            ends.append(self.segments(rest, first, spawn, number))
        self.steps[spawn] = replace(self.steps[spawn], cohort_size=len(branches))
        joined = self.add(ends[-1], lineage, ordinal, linked=False)
        for end in ends:
            if not self.steps[end].successor_id:
                self.steps[end] = replace(self.steps[end], successor_id=joined)
        return joined
