"""Planning a fork: which steps of a flow are copied, and where the copy continues.

A copy continues at one or several steps. Steps after them are left out; all other steps are copied unchanged, and
cohorts are counted again. In the copy of a running flow, steps that have not ended run again as well. Child flows
belong to the step that called them: they are copied with it, except those whose answers the step must get again.
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
    """What happens to a step in the copy."""

    KEPT = "kept"  # copied unchanged
    CANCELLED = "cancelled"  # not ended although its flow has: it never runs, so it counts as cancelled
    AGAIN = "again"  # its task runs again
    AFTER = "after"  # its result stands, and the copy continues with routing
    WAITING = "waiting"  # it waits again for the child flow in which the copy continues


@dataclass(frozen=True, slots=True)
class OldFlow:
    """The facts of a flow that planning needs."""

    flow_id: int
    parent_flow_id: int
    parent_step_id: int
    status: Status


@dataclass(frozen=True, slots=True)
class OldStep:
    """The facts of a step that planning needs."""

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
    """How the copy continues at a step: AGAIN, keeping the first ``answers`` answers, or AFTER."""

    role: Role
    answers: int = 0


@dataclass(slots=True)
class StepFate:
    """A step of the copy."""

    role: Role
    answers: int | None = None  # how many of its answers are kept; None for all
    counts: Counts | None = None  # None: unchanged


@dataclass(slots=True)
class ForkPlan:
    """The steps of the copy by their old ids, flow by flow. ``live`` are the flows that continue."""

    parts: dict[int, StepFate] = field(default_factory=dict)
    flows: list[int] = field(default_factory=list)
    live: set[int] = field(default_factory=set)


# For each step with answers, in their order: the child flow that gave the answer, or 0 for an interrupt's answer.
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
        """Whether a step waits for a child flow."""
        return any(not self.flows[child].status.terminal for child in self.children.get(step_id, ()))

    def unfinished(self) -> list[int]:
        """The steps that have not ended, in flows that have not ended."""
        return [
            step.step_id
            for step in self.steps.values()
            if not step.status.terminal and not self.flows[step.flow_id].status.terminal
        ]

    def after(self, steps: Iterable[int]) -> set[int]:
        """All steps after any of these steps, in their flow."""
        found: set[int] = set()
        stack = list(steps)
        while stack:
            for following in self._next.get(stack.pop(), ()):
                if following not in found:
                    found.add(following)
                    stack.append(following)
        return found


def plan_fork(tree: Tree, root: int, targets: Mapping[int, Target], answered: Answered) -> ForkPlan:
    """The plan of a copy of the tree under ``root`` that continues at ``targets``.

    ``answered`` is needed for the steps above a target, for targets that keep answers, and for steps that have not
    ended. A target that comes after another target is left out with the steps after that one. StateConflict if a step
    of an ended flow waits for an answer in a branch that would be kept.
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
    """The steps at which a repair continues: those that failed, and those that were cancelled before their end.

    If a step was stopped by the child flow that it called last, the child is repaired instead, provided that it has a
    step to repair. A failed step starts over, since its answers may be the cause; a cancelled step keeps its answers.
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


class _ChildCall(NamedTuple):
    """A call of a child flow: the child, and how many answers the caller had before the call."""

    child: int
    place: int


def _calls(tree: Tree, targets: Iterable[int], answered: Answered) -> dict[int, _ChildCall]:
    """By step: the child flow it waits for again. If the copy continues in several children, the first of them."""
    calls: dict[int, _ChildCall] = {}
    for step_id in targets:
        child = tree.steps[step_id].flow_id
        for caller in tree.callers(child):
            call = _ChildCall(child, _place(child, answered.get(caller, ())))
            known = calls.get(caller)
            # the caller runs again from its first call that is no longer answered, and makes the later ones anew
            if known is None or call.place < known.place:
                calls[caller] = call
            child = tree.steps[caller].flow_id
    return calls


def _place(child: int, answers: Sequence[int]) -> int:
    """How many answers a caller had when it called a child. A child that gave no answer was called last."""
    return answers.index(child) if child in answers else len(answers)


def _keep(tree: Tree, plan: ForkPlan, flow_id: int, steps: Iterable[int], rewound: Mapping[int, StepFate]) -> None:
    plan.flows.append(flow_id)
    for step_id in steps:
        plan.parts[step_id] = rewound.get(step_id) or _kept(tree.steps[step_id])


def _unfinished(tree: Tree, steps: Iterable[int], answered: Answered) -> dict[int, StepFate]:
    """The steps that have not ended: they run again, with the answers they have so far."""
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
    """Keep the whole child flows of kept steps, if their answers are kept."""
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
    """Count the cohorts of a flow that continues.

    All branches have arrived, including candidates that went straight to the fan-in, except the branches in which the
    copy continues. An arrived branch with a failed or cancelled step has failed.
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
            # a branch that runs again may succeed this time, so it has not failed
            part.counts = Counts(size, size - len(open_[step_id]), len(failed[step_id] - open_[step_id]))


def _mark(tree: Tree, step: OldStep, branches: dict[int, set[int]]) -> None:
    """Note the branch of a step, in its own cohort and in each cohort around it."""
    while step.lineage_id and step.ordinal not in branches[step.lineage_id]:
        branches[step.lineage_id].add(step.ordinal)
        step = tree.steps[step.lineage_id]


def _broken_child(tree: Tree, step_id: int, answers: Sequence[int]) -> int:
    """The child flow that stopped a step: the last one it waited for, if it is not completed; otherwise 0."""
    children = tree.children.get(step_id, ())
    if not children:
        return 0
    last = max(children, key=lambda child: (_place(child, answers), child))
    # the step went on after this child's answer, so something else has stopped it
    if _place(last, answers) < len(answers) - 1 or tree.flows[last].status is Status.COMPLETED:
        return 0
    broken = any(tree.steps[step].status is not Status.COMPLETED for step in tree.steps_of[last])
    return last if broken else 0
