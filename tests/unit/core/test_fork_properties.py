"""What holds of a copy at any steps of any run of nested fan-outs."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dwarf import Status
from dwarf.core.fork import ForkPlan, Role, Target, Tree, failed_targets, plan_fork
from tests.unit.core.trees import Drawn, tree

REWOUND = (Role.AGAIN, Role.AFTER, Role.WAITING)

segments: st.SearchStrategy[Any] = st.recursive(
    st.integers(1, 2),
    lambda inner: st.lists(st.one_of(inner, st.lists(inner, min_size=1, max_size=2)), min_size=1, max_size=3),
    max_leaves=8,
)
runs = st.lists(segments, min_size=1, max_size=3).map(Drawn)


@st.composite
def forks(draw: st.DrawFn) -> tuple[Drawn, dict[int, Target]]:
    run = draw(runs)
    chosen = draw(st.sets(st.sampled_from(sorted(run.steps)), min_size=1, max_size=3))
    return run, {step: Target(draw(st.sampled_from([Role.AGAIN, Role.AFTER]))) for step in chosen}


def branches(tree: Tree, plan: ForkPlan, spawn: int) -> dict[int, bool]:
    """The branches of a kept cohort by ordinal, and whether the copy goes on in each, counted the slow way."""
    found: dict[int, bool] = {}
    for step_id, part in plan.parts.items():
        step = tree.steps[step_id]
        while step.lineage_id and step.lineage_id != spawn:
            step = tree.steps[step.lineage_id]
        if step.lineage_id == spawn:
            found[step.ordinal] = found.get(step.ordinal, False) or part.role in REWOUND
    return found


@given(forks())
def test_a_copy_is_whole(fork: tuple[Drawn, dict[int, Target]]) -> None:
    run, targets = fork
    plan = plan_fork(run.tree, 1, targets, {})
    for step_id, part in plan.parts.items():
        step = run.steps[step_id]
        assert not step.predecessor_id or step.predecessor_id in plan.parts
        assert not step.lineage_id or step.lineage_id in plan.parts
        assert (part.role in REWOUND) == (step_id in targets)
        behind = run.tree.after([step_id])
        assert not (part.role in REWOUND and behind & plan.parts.keys())
    assert any(part.role in REWOUND for part in plan.parts.values())


@given(forks())
def test_cohorts_are_counted_right(fork: tuple[Drawn, dict[int, Target]]) -> None:
    run, targets = fork
    plan = plan_fork(run.tree, 1, targets, {})
    for step_id, part in plan.parts.items():
        if run.steps[step_id].cohort_size and part.role not in REWOUND:
            found = branches(run.tree, plan, step_id)
            assert len(found) == run.steps[step_id].cohort_size
            assert part.counts == (len(found), list(found.values()).count(False), 0)


@given(runs, st.data())
def test_a_repair_goes_on_at_each_stopped_step_and_counts_no_failure(run: Drawn, data: st.DataObject) -> None:
    stopped = data.draw(st.sets(st.sampled_from(sorted(run.steps)), min_size=1, max_size=3))
    gone = run.tree.after(stopped)
    left = {step_id: step for step_id, step in run.steps.items() if step_id not in gone}
    statuses = dict.fromkeys(stopped - gone, Status.FAILED)
    steps = [
        type(step)(
            step.step_id,
            step.flow_id,
            statuses.get(step_id, step.status),
            step.lineage_id,
            step.ordinal,
            step.predecessor_id,
            step.successor_id if step.successor_id in left else 0,
            step.cohort_size,
        )
        for step_id, step in left.items()
    ]
    broken = tree(*steps)
    targets = failed_targets(broken, 1, {})
    assert targets.keys() == statuses.keys()
    plan = plan_fork(broken, 1, targets, {})
    assert plan.parts.keys() == left.keys()
    for step_id, part in plan.parts.items():
        if part.counts is not None:
            assert part.counts.failures == 0
            open_ = [going for going in branches(broken, plan, step_id).values() if going]
            assert part.role in REWOUND or part.counts.arrivals + len(open_) == part.counts.size
