"""Where a flow that was stopped is repaired."""

from __future__ import annotations

from typing import Any

import pytest

from dwarf import Status
from dwarf.core.fork import OldStep, Role, Target, failed_targets
from tests.unit.core.trees import changed, fan_out, flow, step, tree, trunk

FAILED, CANCELLED, COMPLETED = Status.FAILED, Status.CANCELLED, Status.COMPLETED


def targets(*steps: OldStep, flows: Any = (), answered: Any = None) -> dict[int, int]:
    """The steps to repair, with the answers each keeps."""
    found = failed_targets(tree(*steps, flows=flows), 1, answered or {})
    assert all(target.role is Role.AGAIN for target in found.values())
    return {step_id: target.answers for step_id, target in found.items()}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param(trunk(2), [], id="nothing"),
        pytest.param(changed(trunk(2), s2=FAILED), [2], id="the trunk"),
        pytest.param(changed(fan_out(3, fan_in=False), s2=FAILED, s4=FAILED), [2, 4], id="two branches"),
        pytest.param(changed(fan_out(3, fan_in=False), s3=CANCELLED, s4=CANCELLED), [3, 4], id="cancelled branches"),
        pytest.param(changed(fan_out(2, fan_in=False), s3=Status.RUNNING), [3], id="left live"),
    ],
)
def test_every_stopped_step(steps: list[OldStep], expected: list[int]) -> None:
    assert targets(*steps) == dict.fromkeys(expected, 0)


def test_a_failed_step_starts_over_and_a_cancelled_one_keeps_its_answers() -> None:
    steps = changed(fan_out(2, fan_in=False), s2=FAILED, s3=CANCELLED)
    assert targets(*steps, answered={2: [0, 0], 3: [0, 0]}) == {2: 0, 3: 2}


@pytest.mark.parametrize("status", [FAILED, CANCELLED])
def test_inside_the_child_flow_that_stopped_its_caller(status: Status) -> None:
    caller = step(1, status=status)
    child = flow(2, caller=caller, status=status)
    inner = changed(trunk(2, 2, 11), s12=status)
    assert targets(caller, *inner, flows=[child], answered={1: [2]} if status is FAILED else {}) == {12: 0}


def test_through_child_flows_of_child_flows() -> None:
    caller, middle = step(1, status=FAILED), step(11, 2, status=FAILED)
    flows = [flow(2, caller=caller, status=FAILED), flow(3, caller=middle, status=FAILED)]
    assert targets(caller, middle, step(21, 3, status=FAILED), flows=flows, answered={1: [2], 11: [3]}) == {21: 0}


@pytest.mark.parametrize(
    ("answers", "child", "expected"),
    [
        pytest.param([2], COMPLETED, 1, id="its child completed"),
        pytest.param([2, 0], FAILED, 1, id="it went on after its child had failed"),
        pytest.param([0, 2], FAILED, 11, id="its child failed last"),
    ],
)
def test_the_caller_itself_where_its_child_is_not_at_fault(answers: list[int], child: Status, expected: int) -> None:
    caller = step(1, status=FAILED)
    steps = [caller, step(11, 2, status=child)]
    assert list(targets(*steps, flows=[flow(2, caller=caller, status=child)], answered={1: answers})) == [expected]


def test_the_caller_itself_where_no_step_of_its_child_can_be_repaired() -> None:
    caller = step(1, status=FAILED)
    child = flow(2, caller=caller, status=FAILED)
    assert list(targets(caller, step(11, 2), flows=[child], answered={1: [2]})) == [1]


def test_a_failure_that_its_caller_has_handled_stays() -> None:
    caller = step(1)
    assert targets(caller, step(11, 2, status=FAILED), flows=[flow(2, caller=caller, status=FAILED)]) == {}


def test_the_last_of_several_children() -> None:
    caller = step(1, status=FAILED)
    flows = [flow(2, caller=caller, status=FAILED), flow(3, caller=caller, status=FAILED)]
    steps = [caller, step(11, 2, status=FAILED), step(21, 3, status=FAILED)]
    assert failed_targets(tree(*steps, flows=flows), 1, {1: [2, 3]}) == {21: Target(Role.AGAIN, 0)}
