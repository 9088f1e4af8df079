"""The pure decision about a step whose task has run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from dwarf.core.answers import gives_up, left_over, misses_after
from dwarf.core.decision import Advance, Ask, Call, Complete, Decision, Fail, StartOver, TryAgain, add_warnings
from dwarf.core.limits import limit_of
from dwarf.core.plan import NodePlan
from dwarf.core.records import JSON, FlowRecord, NewFlow, NewStep, State, StepRecord
from dwarf.core.routing import Candidate, Route, RoutingError, route, route_text
from dwarf.core.state_refs import after, carried
from dwarf.errors import ConditionError, ReducerError
from dwarf.workflow.algebra import fold, overlay, settle
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.matching import digest_of
from dwarf.workflow.signals import Control, Interrupt, RetrySignal, Subgraph


@dataclass(slots=True)
class Returned:
    """The task returned, or parked."""

    control: Control
    changes: State
    child: NewFlow | None = None  # prepared by the engine if the task has called a subgraph
    warnings: Sequence[str] = ()  # stored with the step


@dataclass(frozen=True, slots=True)
class Raised:
    """The task raised. ``fields`` is the value of ``onErr`` for an error handler.

    ``kinds`` are the names of the error's class and its bases, for each error of a group; empty if it must not be tried
    again. ``ran_ms`` is how long the step has been held here.
    """

    error: str
    traceback: str
    fields: State
    kinds: Sequence[Sequence[str]] = ()
    ran_ms: int = 0


Attempt: TypeAlias = Returned | Raised


def _even() -> float:
    return 0.5


@dataclass(slots=True)
class DecisionContext:
    """The inputs of a decision from outside: fresh ids and tokens, and whether this replica can run a task now.

    ``max_depth`` limits the steps on one path of a flow; None for no limit.
    """

    next_id: Callable[[], int]
    token: Callable[[], str]
    room: Callable[[str], bool]
    max_depth: int | None = None
    chance: Callable[[], float] = _even  # returns 0 to 1, for jitter


def no_room(need: str) -> bool:
    """A predicate for callers that run no tasks."""
    del need
    return False


def decide(step: StepRecord, attempt: Attempt, context: DecisionContext) -> Decision:
    """Decide about a step whose task has run."""
    decision = _decide(step, attempt, context)
    if isinstance(attempt, Returned):
        if attempt.warnings:
            add_warnings(decision, attempt.warnings)
        if attempt.control.unclaimed and isinstance(decision, Advance | Complete):
            add_warnings(decision, [left_over(step.answers, attempt.control.unclaimed)])
    return decision


def _decide(step: StepRecord, attempt: Attempt, context: DecisionContext) -> Decision:
    if isinstance(attempt, Raised):
        again = _try_again(step, attempt, context)
        if again is not None:
            return again
        if not step.flow.plan.nodes[step.node].on_error:
            return Fail(step, attempt.error, attempt.traceback)
        # an error voids the changes of this attempt; changes stored by earlier attempts and parks stay
        return onward(step, overlay(step.changes, {"onErr": attempt.fields}), context, error_routed=True)
    control = attempt.control
    if control.problem:
        return Fail(step, control.problem)
    park = control.park
    if park is None:
        return onward(step, attempt.changes, context, goto=control.goto, delay_ms=control.delay_ms)
    if isinstance(park, RetrySignal):
        return StartOver(step, attempt.changes, park.delay_ms + control.delay_ms)
    return _wait(step, attempt, park, context)


def _wait(step: StepRecord, attempt: Returned, park: Interrupt | Subgraph, context: DecisionContext) -> Decision:
    """Decide about a step that asks a person or calls a workflow."""
    misses = misses_after(step.answers, attempt.control.unclaimed)
    misfit = attempt.control.misfit
    problem = gives_up(misses, park.key if isinstance(park, Interrupt) else "", misfit)
    if problem:
        return Fail(step, problem)
    if isinstance(park, Interrupt):
        return Ask(
            step,
            attempt.changes,
            payload=park.payload,
            timeout_ms=park.timeout_ms,
            default=park.default,
            has_default=park.has_default,
            key=park.key,
            misses=misses,
            warnings=(f"an answer did not fit, so that its question was put again: {misfit}",) if misfit else (),
        )
    if attempt.child is None:
        return Fail(step, "the child flow could not be prepared")
    try:
        check_depth(step, attempt.child.entry.depth, attempt.child.record.workflow_url, context)
    except RoutingError as error:
        return Fail(step, str(error), changes=attempt.changes)
    return Call(step, attempt.changes, attempt.child, workflow=park.name, input=digest_of(park.state), misses=misses)


def _try_again(step: StepRecord, attempt: Raised, context: DecisionContext) -> TryAgain | None:
    """Another attempt after an error, if the retry policy of the task has one left."""
    policy = step.flow.plan.nodes[step.node].retry
    failed = step.attempt + 1
    if policy is None or failed >= policy.max_attempts:
        return None
    if not attempt.kinds or not all(policy._covers(kinds) for kinds in attempt.kinds):
        return None
    pause = policy._pause_ms(failed, context.chance())
    if policy.give_up_after is not None:
        began = step.started_at or step.claimed_at
        # the database's time, and what this process has measured since: clocks of two machines are never compared
        if step.claimed_at + attempt.ran_ms + pause - began > policy.give_up_after * 1000:
            return None
    return TryAgain(step, pause, attempt.error, traceback=attempt.traceback)


def check_depth(step: StepRecord, depth: int, target: str, context: DecisionContext) -> None:
    """RoutingError if a successor would be deeper than ``max_depth``. A child counts on from its caller."""
    most = context.max_depth
    if most is not None and depth > most:
        raise RoutingError(
            f"the flow has become too long: {depth - 1} steps lie on one path, and it was to go on from {step.node!r} "
            f"to {target!r}. Does a cycle of the graph never end? Engine(max_depth=...) allows more than {most:,}, "
            "and None any number"
        )


def onward(
    step: StepRecord,
    changes: State,
    context: DecisionContext,
    *,
    goto: str = "",
    delay_ms: int = 0,
    error_routed: bool = False,
) -> Decision:
    """Decide about a step that is completed with ``changes``: the graph says what follows."""
    node = step.flow.plan.nodes[step.node]
    merged = after(step.state, changes)
    try:
        found = route(node, merged, goto=goto, error_routed=error_routed)
        turn = _Turn(step, node, context)
        turn.changes, turn.merged = changes, merged
        turn.delay_ms, turn.error_routed = delay_ms, error_routed
        decision = turn.take(found, bool(goto))
    except (RoutingError, ConditionError, ReducerError) as error:
        return Fail(step, str(error), changes=changes)
    decision.route = route_text(goto, error_routed)
    if found.notes:
        add_warnings(decision, found.notes)
    return decision


@dataclass(slots=True)
class _Turn:
    """The routing of one completed step."""

    step: StepRecord
    node: NodePlan
    context: DecisionContext
    changes: State = field(init=False)
    merged: State = field(init=False)  # the state with the changes
    delay_ms: int = field(init=False)
    error_routed: bool = field(init=False)

    def take(self, found: Route, by_goto: bool) -> Advance | Complete:
        """Choose between the possible ways on, in the order of precedence."""
        node, step = self.node, self.step
        width = len(found.candidates)
        if node.is_source:
            fan_in = step.flow.plan.fan_in_of.get(node.name, "")
            straight = width == 1 and found.candidates[0].target == fan_in
            if fan_in and (straight or (width == 0 and not found.ended)):
                check_depth(step, step.depth + 1, fan_in, self.context)
                return self._converge(fan_in)
        if width:
            check_depth(step, step.depth + 1, found.candidates[0].target, self.context)
            spawns = node.is_source and not self.error_routed and not by_goto
            return self._advance(found.candidates, spawns)
        if step.lineage_id:
            raise RoutingError(
                f"task {node.name!r} is inside a fan-out cohort but matched no onward transition; "
                "every branch must reach a fan-in node"
            )
        # what the last node writes is combined by the reducers, as at a fan-in; ``flow.overwrite`` replaces instead
        return Complete(step, self.changes, self._reduced())

    def _reduced(self) -> dict[str, JSON]:
        return settle(fold(self.step.state, [self.changes], self.step.flow.plan.reducers))

    def _converge(self, fan_in: str) -> Advance:
        """A fan-out without branches: its fan-in runs immediately, in the lineage of the source."""
        step = self.step
        merged = self._reduced()
        made = [name for name in self.changes if name in step.flow.plan.reducers]
        kept = carried(merged, step, self.changes, 1, made)
        successor = self._successor(fan_in, merged, kept.stored, kept.refs, step.lineage_id, step.ordinal)
        return Advance(step, self.changes, [successor], error_routed=self.error_routed)

    def _advance(self, candidates: list[Candidate], spawns: bool) -> Advance:
        step, nodes = self.step, self.step.flow.plan.nodes
        decision = Advance(step, self.changes, delay_ms=self.delay_ms, error_routed=self.error_routed)
        forward = [candidate for candidate in candidates if not nodes[candidate.target].is_fan_in]
        if spawns:
            decision.cohort_size = len(candidates)
        if len(forward) < len(candidates):
            self._arrive(decision, candidates, len(candidates) - len(forward), spawns)
        if forward:
            decision.successors = self._branches(forward, spawns)
        elif not self.delay_ms and nodes[decision.fan_in].limit is None and not nodes[decision.fan_in].labels:
            # No branch knows whether it is the last. Each has the start promised, and all but the one that fills the
            # cohort give the promise back.
            decision.lease_fan_in = self.context.room(nodes[decision.fan_in].need)
        return decision

    def _arrive(self, decision: Advance, candidates: list[Candidate], arrivals: int, spawns: bool) -> None:
        step, nodes = self.step, self.step.flow.plan.nodes
        fan_in = next(candidate.target for candidate in candidates if nodes[candidate.target].is_fan_in)
        if not spawns and not step.lineage_id:
            raise RoutingError(
                f"task {step.node!r} reached the fan-in node {fan_in!r} but is not part of a fan-out cohort"
            )
        decision.arrivals = arrivals
        decision.cohort_id = step.step_id if spawns else step.lineage_id
        decision.fan_in = fan_in

    def _branches(self, candidates: list[Candidate], spawns: bool) -> list[NewStep]:
        step = self.step
        literal, refs, shared = carried(self.merged, step, self.changes, len(candidates))
        lineage = step.step_id if spawns else step.lineage_id
        branches: list[NewStep] = []
        for position, candidate in enumerate(candidates):
            state, stored, own_refs = self.merged, shared, refs
            if candidate.injected is not None:
                state = {**state, **candidate.injected}
                stored = dumps({**literal, **candidate.injected})
                if not refs.keys().isdisjoint(candidate.injected):
                    own_refs = {name: anchor for name, anchor in refs.items() if name not in candidate.injected}
            ordinal = position if spawns else step.ordinal
            branches.append(self._successor(candidate.target, state, stored, own_refs, lineage, ordinal))
        return branches

    def _successor(
        self, node: str, state: State, stored: str, refs: Mapping[str, int], lineage: int, ordinal: int
    ) -> NewStep:
        step = new_step(self.step, node, state, stored, refs, self.context, lineage=lineage, ordinal=ordinal)
        step.delay_ms = self.delay_ms
        plan = self.step.flow.plan.nodes[node]
        apart = plan.limit is not None or plan.labels
        step.leased = not self.delay_ms and not apart and self.context.room(plan.need)
        return step


def new_step(
    step: StepRecord,
    node: str,
    state: State,
    stored: str,
    refs: Mapping[str, int],
    context: DecisionContext,
    *,
    lineage: int,
    ordinal: int,
    depth: int | None = None,
) -> NewStep:
    """A successor of ``step`` at ``node``."""
    plan = step.flow.plan.nodes[node]
    new = NewStep.__new__(NewStep)
    new.flow = step.flow
    new.step_id = context.next_id()
    new.token = context.token()
    new.node = node
    new.depth = step.depth + 1 if depth is None else depth
    new.state = state
    new.stored = stored
    new.refs = refs
    new.lineage_id = lineage
    new.ordinal = ordinal
    new.predecessor_id = step.step_id
    new.delay_ms = new.not_before = 0
    new.leased = False
    new.limit_name, new.limit_rule = limit_of(plan.limit, plan.url, state)
    return new


def first_step(flow: FlowRecord, initial: State, depth: int, context: DecisionContext) -> NewStep:
    """The entry step of a new flow."""
    stored = dumps(dict(initial))
    plan = flow.plan.nodes[flow.plan.entry]
    limit_name, limit_rule = limit_of(plan.limit, plan.url, initial)
    return NewStep(
        flow=flow,
        step_id=context.next_id(),
        token=context.token(),
        node=plan.name,
        depth=depth,
        state=initial,
        stored=stored,
        limit_name=limit_name,
        limit_rule=limit_rule,
    )
