"""Which steps a copy keeps, and how its cohorts are counted."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import StateConflict, Status
from dwarf.core.fork import Counts, ForkPlan, OldStep, Role, Target, Tree, plan_fork
from tests.unit.core.trees import changed, fan_out, flow, step, tree, trunk

AGAIN, AFTER = Target(Role.AGAIN), Target(Role.AFTER)


def planned(tree: Tree, *steps: int, target: Target = AGAIN, answered: Any = None) -> ForkPlan:
    return plan_fork(tree, 1, dict.fromkeys(steps, target), answered or {})


def roles(plan: ForkPlan) -> dict[int, str]:
    return {step_id: part.role.value for step_id, part in sorted(plan.parts.items())}


@pytest.mark.parametrize("at", [1, 2, 3])
def test_on_the_trunk_what_came_after_is_left_out(at: int) -> None:
    plan = planned(tree(*trunk(3)), at)
    assert roles(plan) == {**dict.fromkeys(range(1, at), "kept"), at: "again"}
    assert (plan.flows, plan.live) == ([1], {1})


def test_a_result_that_stands_keeps_the_same_steps() -> None:
    assert roles(planned(tree(*trunk(3)), 2, target=AFTER)) == {1: "kept", 2: "after"}


TWO_STEPS = fan_out(3, length=2)  # branches 2-3, 4-5, 6-7, and the fan-in 8
FAILED = changed(fan_out(3, fan_in=False), s3=Status.FAILED)
BOTH_FAILED = changed(fan_out(2, fan_in=False), s2=Status.FAILED, s3=Status.FAILED)
# 1 opens a cohort of 2 and 6; 2 opens one of 3 and 4, which meet in 5; all meet in 7
NESTED = [
    step(1, then=2, size=2),
    step(2, after=1, then=3, cohort=1, size=2),
    step(3, after=2, then=5, cohort=2),
    step(4, after=2, then=5, cohort=2, ordinal=1),
    step(5, after=4, then=7, cohort=1),
    step(6, after=1, then=7, cohort=1, ordinal=1),
    step(7, after=5),
]
NESTED_FAILED = changed([step for step in NESTED if step.step_id not in (5, 7)], s4=Status.FAILED)


@pytest.mark.parametrize(
    ("steps", "at", "kept", "counts"),
    [
        pytest.param(fan_out(3), 3, [1, 2, 3, 4], {1: (3, 2, 0)}, id="a branch runs again"),
        pytest.param(fan_out(3), 5, [1, 2, 3, 4, 5], {1: (3, 3, 0)}, id="the fan-in runs again"),
        pytest.param(fan_out(3), 1, [1], {1: (0, 0, 0)}, id="the source runs again"),
        pytest.param(TWO_STEPS, 4, [1, 2, 3, 4, 6, 7], {1: (3, 2, 0)}, id="the first step of a branch"),
        pytest.param(TWO_STEPS, 5, [1, 2, 3, 4, 5, 6, 7], {1: (3, 2, 0)}, id="the second step of a branch"),
        pytest.param(FAILED, 3, [1, 2, 3, 4], {1: (3, 2, 0)}, id="the branch that failed"),
        pytest.param(FAILED, 2, [1, 2, 3, 4], {1: (3, 2, 1)}, id="a branch beside one that failed"),
        pytest.param(BOTH_FAILED, 2, [1, 2, 3], {1: (2, 1, 1)}, id="one of two that failed"),
        pytest.param(fan_out(1, direct=1), 2, [1, 2], {1: (2, 1, 0)}, id="one candidate went straight to the fan-in"),
        pytest.param(fan_out(2, direct=3), 4, [1, 2, 3, 4], {1: (5, 5, 0)}, id="three went straight to it"),
        pytest.param(NESTED, 3, [1, 2, 3, 4, 6], {1: (2, 1, 0), 2: (2, 1, 0)}, id="a branch of an inner cohort"),
        pytest.param(NESTED, 5, [1, 2, 3, 4, 5, 6], {1: (2, 1, 0), 2: (2, 2, 0)}, id="an inner fan-in"),
        pytest.param(NESTED, 2, [1, 2, 6], {1: (2, 1, 0), 2: (0, 0, 0)}, id="an inner source"),
        pytest.param(NESTED, 6, [1, 2, 3, 4, 5, 6], {1: (2, 1, 0), 2: (2, 2, 0)}, id="beside an inner cohort"),
        pytest.param(NESTED_FAILED, 6, [1, 2, 3, 4, 6], {1: (2, 1, 1), 2: (2, 2, 1)}, id="beside an inner failure"),
        pytest.param(NESTED_FAILED, 3, [1, 2, 3, 4, 6], {1: (2, 1, 0), 2: (2, 1, 1)}, id="inside, beside the failure"),
        pytest.param(NESTED_FAILED, 4, [1, 2, 3, 4, 6], {1: (2, 1, 0), 2: (2, 1, 0)}, id="inside, at the failure"),
    ],
)
def test_cohorts(steps: list[OldStep], at: int, kept: list[int], counts: dict[int, tuple[int, int, int]]) -> None:
    plan = planned(tree(*steps), at)
    assert sorted(plan.parts) == kept
    assert plan.parts[at].role is Role.AGAIN
    known = {number: tuple(part.counts) for number, part in plan.parts.items() if part.counts and number != at}
    assert known == {number: count for number, count in counts.items() if number != at}
    assert plan.parts[at].counts == Counts(0, 0, 0)


def test_a_fan_in_is_found_by_the_link_of_a_branch_that_was_not_the_last_to_arrive() -> None:
    plan = planned(tree(*fan_out(3), step(6, after=5)), 2)
    assert sorted(plan.parts) == [1, 2, 3, 4]


def test_a_cancelled_branch_counts_as_failed() -> None:
    steps = changed(fan_out(2, fan_in=False), s3=Status.CANCELLED)
    assert planned(tree(*steps), 2).parts[1].counts == Counts(2, 1, 1)
    assert planned(tree(*steps), 3).parts[1].counts == Counts(2, 1, 0)


@pytest.mark.parametrize("left", [Status.RUNNING, Status.PENDING])
def test_a_step_left_live_counts_as_cancelled(left: Status) -> None:
    plan = planned(tree(*changed(fan_out(2, fan_in=False), s3=left)), 2)
    assert plan.parts[3].role is Role.CANCELLED
    assert plan.parts[1].counts == Counts(2, 1, 1)


def test_a_kept_step_that_waits_for_an_answer_forbids_the_fork() -> None:
    steps = tree(*changed(fan_out(2, fan_in=False), s3=Status.INTERRUPTED))
    with pytest.raises(StateConflict, match="waits"):
        planned(steps, 2)
    assert roles(planned(steps, 3)) == {1: "kept", 2: "kept", 3: "again"}
    assert roles(planned(steps, 1)) == {1: "again"}


def test_several_branches_at_once() -> None:
    plan = planned(tree(*BOTH_FAILED), 2, 3)
    assert roles(plan) == {1: "kept", 2: "again", 3: "again"}
    assert plan.parts[1].counts == Counts(2, 0, 0)


def test_a_target_behind_another_is_left_out() -> None:
    assert roles(planned(tree(*trunk(3)), 1, 3)) == {1: "again"}


# ---------------------------------------------------------------- child flows: 2 calls flow 2 (11, 12), 11 calls flow 3

CALLER, INNER = step(2, after=1, then=3), step(11, 2, then=12)
CHILDREN = [flow(2, caller=CALLER), flow(3, caller=INNER)]
CALLS = tree(step(1, then=2), CALLER, step(3, after=2), INNER, step(12, 2, after=11), *trunk(2, 3, 21), flows=CHILDREN)
ANSWERED = {2: [2], 11: [3]}


def test_the_child_flows_of_kept_steps_are_kept_whole() -> None:
    plan = planned(CALLS, 3)
    assert roles(plan) == {1: "kept", 2: "kept", 3: "again", 11: "kept", 12: "kept", 21: "kept", 22: "kept"}
    assert (plan.flows, plan.live) == ([1, 2, 3], {1})


def test_the_child_flow_of_a_step_that_runs_again_is_left_out() -> None:
    plan = planned(CALLS, 2, answered=ANSWERED)
    assert roles(plan) == {1: "kept", 2: "again"}
    assert plan.flows == [1]


def test_a_result_that_stands_keeps_the_child_flow() -> None:
    assert roles(planned(CALLS, 2, target=AFTER)) == {1: "kept", 2: "after", **dict.fromkeys((11, 12, 21, 22), "kept")}


def test_inside_a_child_flow_the_steps_above_wait_again() -> None:
    plan = planned(CALLS, 22, answered=ANSWERED)
    assert roles(plan) == {1: "kept", 2: "waiting", 11: "waiting", 21: "kept", 22: "again"}
    assert plan.live == {1, 2, 3}
    assert [plan.parts[number].answers for number in (1, 2, 11, 21)] == [None, 0, 0, None]


def test_a_kept_caller_inside_a_child_flow_keeps_its_own() -> None:
    plan = planned(CALLS, 12, answered=ANSWERED)
    assert roles(plan) == {1: "kept", 2: "waiting", 11: "kept", 12: "again", 21: "kept", 22: "kept"}
    assert plan.live == {1, 2}


# 1 asks, calls flow 2 (step 11), asks, calls flow 3 (step 21)
ASKER = step(1)
PARKS = tree(ASKER, step(11, 2), step(21, 3), flows=[flow(2, caller=ASKER), flow(3, caller=ASKER)])
FOUR = {1: [0, 2, 0, 3]}


@pytest.mark.parametrize(
    ("at", "answers", "live", "kept"),
    [(11, 1, {1, 2}, [1, 11]), (21, 3, {1, 3}, [1, 11, 21])],
    ids=["in the first child", "in the second"],
)
def test_the_answers_before_the_chosen_child_stay(at: int, answers: int, live: set[int], kept: list[int]) -> None:
    plan = planned(PARKS, at, answered=FOUR)
    assert plan.parts[1].role is Role.WAITING
    assert plan.parts[1].answers == answers
    assert plan.live == live
    assert sorted(plan.parts) == kept


@pytest.mark.parametrize(("answers", "kept"), [(0, [1]), (1, [1]), (2, [1, 11]), (3, [1, 11]), (4, [1, 11, 21])])
def test_a_step_that_runs_again_may_keep_answers_with_their_children(answers: int, kept: list[int]) -> None:
    plan = planned(PARKS, 1, target=Target(Role.AGAIN, answers), answered=FOUR)
    assert (plan.parts[1].answers, sorted(plan.parts)) == (answers, kept)


def test_a_child_that_gave_no_answer_was_called_last() -> None:
    plan = planned(PARKS, 21, answered={1: [0, 2, 0]})
    assert plan.parts[1].answers == 3
    assert sorted(plan.parts) == [1, 11, 21]


def test_of_two_children_of_one_step_the_first_one_counts() -> None:
    plan = planned(PARKS, 21, 11, answered=FOUR)
    assert plan.parts[1].answers == 1
    assert roles(plan) == {1: "waiting", 11: "again"}


def test_a_branch_with_a_waiting_caller_is_open() -> None:
    caller = step(3, after=1, then=4, cohort=1, ordinal=1)
    steps = [step(1, then=2, size=2), step(2, after=1, then=4, cohort=1), caller, step(4, after=3), step(11, 2)]
    plan = planned(tree(*steps, flows=[flow(2, caller=caller)]), 11, answered={3: [2]})
    assert roles(plan) == {1: "kept", 2: "kept", 3: "waiting", 11: "again"}
    assert plan.parts[1].counts == Counts(2, 1, 0)


# ---------------------------------------------------------------- flows that have not ended


def live(*steps: OldStep) -> Tree:
    return Tree([flow(1, status=Status.RUNNING)], steps)


def test_what_has_not_ended_beside_a_live_target_runs_anew() -> None:
    steps = changed(fan_out(4, fan_in=False), s3=Status.RUNNING, s4=Status.INTERRUPTED, s5=Status.PENDING)
    plan = planned(live(*steps), 2, answered={4: [0, 0]})
    assert roles(plan) == {1: "kept", 2: "again", 3: "again", 4: "again", 5: "again"}
    assert [plan.parts[number].answers for number in (3, 4, 5)] == [0, 2, 0]
    assert plan.parts[1].counts == Counts(4, 0, 0)
    assert roles(planned(live(*steps), 1)) == {1: "again"}
    assert roles(planned(live(*steps), 4, target=Target(Role.AGAIN, 1), answered={4: [0, 0]}))[4] == "again"
