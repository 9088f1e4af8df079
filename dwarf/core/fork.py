"""Forks: which steps of a flow are kept in a copy of it, and where the copy goes on.

A copy goes on at one step or at several. What came after them is left out; everything else stays as it was, and
cohorts are counted anew. In the copy of a flow that has not ended, what has not ended runs anew, too. Child flows
belong to the step that called them: they are copied with it, except those whose answers it has to get again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from dwarf.errors import StateConflict
from dwarf.workflow.status import Status


class Role(Enum):
    """What becomes of a step in the copy."""

    KEPT = "kept"  # as it was
    CANCELLED = "cancelled"  # live although its flow has ended: it is never run, so it counts as cancelled
    AGAIN = "again"  # its task runs again
    AFTER = "after"  # its result stands, and routing goes on from there
    WAITING = "waiting"  # it waits again for the child flow in which the copy goes on


@dataclass(frozen=True, slots=True)
class OldFlow:
    """What planning must know of a flow."""

    flow_id: int
    parent_flow_id: int
    parent_step_id: int
    status: Status


@dataclass(frozen=True, slots=True)
class OldStep:
    """What planning must know of a step."""

    step_id: int
    flow_id: int
    status: Status
    lineage_id: int
    ordinal: int
    predecessor_id: int
    successor_id: int
    cohort_size: int


class Counts(NamedTuple):
    """The counters of a cohort, on the step that opened it."""

    size: int
    arrivals: int
    failures: int


class Target(NamedTuple):
    """How the copy goes on at a step: AGAIN, with the first ``answers`` answers kept, or AFTER."""

    role: Role
    answers: int = 0


@dataclass(slots=True)
class StepFate:
    """A step of the copy."""

    role: Role
    answers: int | None = None  # how many of its answers are kept; None for all
    counts: Counts | None = None  # None: as they were


@dataclass(slots=True)
class ForkPlan:
    """The steps of the copy by their old ids, flow by flow. ``live`` are the flows that go on."""

    parts: dict[int, StepFate] = field(default_factory=dict)
    flows: list[int] = field(default_factory=list)
    live: set[int] = field(default_factory=set)


# For each step with answers, in their order: the child flow that gave the answer, 0 for an interrupt's.
Answered = Mapping[int, Sequence[int]]


class Tree:
    """The flows and steps under one root."""

    def __init__(self, flows: Iterable[OldFlow], steps: Iterable[OldStep]) -> None:
        self.flows = {flow.flow_id: flow for flow in flows}
        self.steps = {step.step_id: step for step in steps}
        self.steps_of: dict[int, list[int]] = defaultdict(list)
        self.children: dict[int, list[int]] = defaultdict(list)
        self._next: dict[int, list[int]] = defaultdict(list)
        for flow in self.flows.values():
            if flow.parent_step_id:
                self.children[flow.parent_step_id].append(flow.flow_id)
        for step in self.steps.values():
            self.steps_of[step.flow_id].append(step.step_id)
            if step.successor_id:
                self._next[step.step_id].append(step.successor_id)
            if step.predecessor_id:
                self._next[step.predecessor_id].append(step.step_id)

    def callers(self, flow_id: int) -> list[int]:
        """The steps above a flow that wait for it, innermost first."""
        found: list[int] = []
        flow = self.flows[flow_id]
        while flow.parent_step_id:
            found.append(flow.parent_step_id)
            flow = self.flows[flow.parent_flow_id]
        return found

    def waits_for_child(self, step_id: int) -> bool:
        """Whether a step waits for a flow that it has called."""
        return any(not self.flows[child].status.terminal for child in self.children.get(step_id, ()))

    def unfinished(self) -> list[int]:
        """The steps that still run or wait, in flows that have not ended."""
        return [
            step.step_id
            for step in self.steps.values()
            if not step.status.terminal and not self.flows[step.flow_id].status.terminal
        ]

    def after(self, steps: Iterable[int]) -> set[int]:
        """Everything that came after any of these steps, in their flow."""
        found: set[int] = set()
        stack = list(steps)
        while stack:
            for following in self._next.get(stack.pop(), ()):
                if following not in found:
                    found.add(following)
                    stack.append(following)
        return found


def plan_fork(tree: Tree, root: int, targets: Mapping[int, Target], answered: Answered) -> ForkPlan:
    """What a copy of the tree under ``root`` consists of that goes on at ``targets``.

    ``answered`` is needed of the steps above a target, of targets that keep answers, and of steps that have not ended.
    A target that came after another one is left out with it. StateConflict where a step of a flow that has ended waits
    for an answer in a branch that is kept.
    """
    plan = ForkPlan()
    calls = _calls(tree, targets, answered)
    by_flow: dict[int, dict[int, StepFate]] = defaultdict(dict)
    for step_id, (_, place) in calls.items():
        by_flow[tree.steps[step_id].flow_id][step_id] = StepFate(Role.WAITING, place)
    for step_id, target in targets.items():
        count = None if target.role is Role.AFTER else target.answers
        by_flow[tree.steps[step_id].flow_id][step_id] = StepFate(target.role, count)
    going_on = [root]
    for flow_id in going_on:
        plan.live.add(flow_id)
        rewound = by_flow[flow_id]
        left_out = tree.after(rewound)
        kept = [step for step in tree.steps_of[flow_id] if step not in left_out]
        if not tree.flows[flow_id].status.terminal:
            rewound = {**_unfinished(tree, kept, answered), **rewound}
        _keep(tree, plan, flow_id, kept, rewound)
        for step_id in by_flow[flow_id].keys() - left_out:
            if rewound[step_id].role is Role.WAITING:
                going_on.append(calls[step_id].child)
        _keep_children(tree, plan, flow_id, answered)
        _count_anew(tree, plan, flow_id)
    return plan


def failed_targets(tree: Tree, root: int, answered: Answered) -> dict[int, Target]:
    """The steps at which a flow is repaired: those that failed, and those that were cancelled on their way.

    Where a step was stopped by the child flow it had called last, the child is repaired instead, if there is a step to
    repair in it. A step that failed starts over, as its answers may be why; a cancelled one keeps them.
    """
    found: dict[int, Target] = {}
    broken = [root]
    for flow_id in broken:
        for step_id in tree.steps_of[flow_id]:
            status = tree.steps[step_id].status
            if status is Status.COMPLETED:
                continue
            answers = answered.get(step_id, ())
            child = _broken_child(tree, step_id, answers)
            if child:
                broken.append(child)
            else:
                found[step_id] = Target(Role.AGAIN, 0 if status is Status.FAILED else len(answers))
    return found


class _Call(NamedTuple):
    """A call of a child flow: which one, and how many answers its caller had before."""

    child: int
    place: int


def _calls(tree: Tree, targets: Iterable[int], answered: Answered) -> dict[int, _Call]:
    """By step: the child flow it waits for again. Where the copy goes on in several, the first of them."""
    calls: dict[int, _Call] = {}
    for step_id in targets:
        child = tree.steps[step_id].flow_id
        for caller in tree.callers(child):
            call = _Call(child, _place(child, answered.get(caller, ())))
            known = calls.get(caller)
            if known is None or call.place < known.place:
                calls[caller] = call
            child = tree.steps[caller].flow_id
    return calls


def _place(child: int, answers: Sequence[int]) -> int:
    """How many answers a caller had when it called a child. One that gave no answer was called last."""
    return answers.index(child) if child in answers else len(answers)


def _keep(tree: Tree, plan: ForkPlan, flow_id: int, steps: Iterable[int], rewound: Mapping[int, StepFate]) -> None:
    plan.flows.append(flow_id)
    for step_id in steps:
        plan.parts[step_id] = rewound.get(step_id) or _kept(tree.steps[step_id])


def _unfinished(tree: Tree, steps: Iterable[int], answered: Answered) -> dict[int, StepFate]:
    """The steps that still run or wait: they run anew, with the answers they have by now."""
    return {
        step_id: StepFate(Role.AGAIN, len(answered.get(step_id, ())))
        for step_id in steps
        if not tree.steps[step_id].status.terminal
    }


def _kept(step: OldStep) -> StepFate:
    if step.status is Status.INTERRUPTED:
        raise StateConflict("a step in a branch that would be kept waits for an answer")
    return StepFate(Role.KEPT if step.status.terminal else Role.CANCELLED)


def _keep_children(tree: Tree, plan: ForkPlan, flow_id: int, answered: Answered) -> None:
    """Keep, whole, the child flows of a flow's kept steps whose answers stay."""
    whole: list[int] = []
    for step_id in tree.steps_of[flow_id]:
        part = plan.parts.get(step_id)
        if part is None:
            continue
        for child in tree.children.get(step_id, ()):
            if part.answers is None or _place(child, answered.get(step_id, ())) < part.answers:
                whole.append(child)
    for child in whole:
        _keep(tree, plan, child, tree.steps_of[child], {})
        for step_id in tree.steps_of[child]:
            whole.extend(tree.children.get(step_id, ()))


def _count_anew(tree: Tree, plan: ForkPlan, flow_id: int) -> None:
    """Count the cohorts of a flow that goes on.

    Every branch has arrived, and so have the candidates that went straight to the fan-in, except the branches in
    which the copy goes on. An arrived branch in which a step failed or was cancelled has failed.
    """
    kept = [step_id for step_id in tree.steps_of[flow_id] if step_id in plan.parts]
    open_: dict[int, set[int]] = defaultdict(set)
    failed: dict[int, set[int]] = defaultdict(set)
    for step_id in kept:
        role, step = plan.parts[step_id].role, tree.steps[step_id]
        if role in (Role.AGAIN, Role.AFTER, Role.WAITING):
            _mark(tree, step, open_)
        elif role is Role.CANCELLED or step.status is not Status.COMPLETED:
            _mark(tree, step, failed)
    for step_id in kept:
        part, size = plan.parts[step_id], tree.steps[step_id].cohort_size
        if part.role in (Role.AGAIN, Role.AFTER, Role.WAITING):
            part.counts = Counts(0, 0, 0)
        elif size:
            part.counts = Counts(size, size - len(open_[step_id]), len(failed[step_id] - open_[step_id]))


def _mark(tree: Tree, step: OldStep, branches: dict[int, set[int]]) -> None:
    """Note the branch a step belongs to, in its own cohort and in each around it."""
    while step.lineage_id and step.ordinal not in branches[step.lineage_id]:
        branches[step.lineage_id].add(step.ordinal)
        step = tree.steps[step.lineage_id]


def _broken_child(tree: Tree, step_id: int, answers: Sequence[int]) -> int:
    """The child flow that stopped a step: the last thing it waited for, and not completed. 0 for none."""
    children = tree.children.get(step_id, ())
    if not children:
        return 0
    last = max(children, key=lambda child: (_place(child, answers), child))
    if _place(last, answers) < len(answers) - 1 or tree.flows[last].status is Status.COMPLETED:
        return 0
    broken = any(tree.steps[step].status is not Status.COMPLETED for step in tree.steps_of[last])
    return last if broken else 0
