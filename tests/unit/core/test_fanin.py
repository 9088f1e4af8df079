"""How branches come together, and what is left of a flow that stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dwarf import END, Graph, ReducerError
from dwarf.core.failure import Tail, relevant_tails, stopped_state
from dwarf.core.fanin import converge
from dwarf.core.plan import Plan
from dwarf.core.records import Member, Spawn
from tests.unit.core.support import context, step_at


def graph() -> Graph:
    made = Graph("g", reducers={"out": "append", "n": "add"}).add_for_each("S", "W", items="items", item="page")
    return made.add_chain("W", "J", END).set_fan_in("J")


def tail(step_id: int, lineage: int, completed: bool, state: Mapping[str, Any], changes: Mapping[str, Any]) -> Tail:
    return Tail(step_id=step_id, lineage_id=lineage, completed=completed, state=state, changes=changes)


def spawn(*members: Member, state: dict[str, object] | None = None, changes: dict[str, object] | None = None) -> Spawn:
    made = Spawn(
        step_id=9,
        node="S",
        depth=1,
        lineage_id=3,
        ordinal=2,
        state=state or {"page": "shadowed", "n": 10},
        refs={},
        changes=changes or {"n": 5},
    )
    made.members = list(members)
    return made


def test_the_fan_in_folds_the_spawns_own_changes_and_those_of_its_members_in_order() -> None:
    members = [Member(20, 2, {"out": ["a"], "n": 1}), Member(22, 3, {"out": ["b"]}), Member(21, 2, {"out": "c"})]
    last = step_at(graph(), "W", lineage=9, depth=2, step_id=21)
    step = converge(spawn(*members), "J", last, context(), 0, lease=True)
    assert step.state == {"page": "shadowed", "n": 16, "out": ["a", "b", "c"]}
    assert (step.node, step.depth, step.lineage_id, step.ordinal) == ("J", 4, 3, 2)
    assert step.predecessor_id == 21
    assert step.leased


def test_a_delayed_fan_in_is_not_handed_over() -> None:
    step = converge(spawn(), "J", step_at(graph(), "W", lineage=9), context(), 7, lease=True)
    assert (step.delay_ms, step.leased) == (7, False)


def test_values_that_do_not_fit_are_named() -> None:
    with pytest.raises(ReducerError, match="n"):
        converge(spawn(Member(20, 2, {"n": "x"})), "J", step_at(graph(), "W", lineage=9), context(), 0, lease=True)


def test_completed_tails_count_before_all_others() -> None:
    done, live = tail(1, 0, True, {}, {}), tail(2, 0, False, {}, {})
    assert relevant_tails([done, live]) == [done]
    assert relevant_tails([live]) == [live]


def test_what_is_left_of_a_trunk_is_its_tails_state_with_their_changes() -> None:
    tails = [tail(1, 0, True, {"n": 1}, {"n": 2, "k": 3})]
    assert stopped_state(Plan(graph()), tails, []) == {"n": 3, "k": 3}


def test_what_is_left_of_a_cohort_is_its_merge_with_the_fields_of_the_items_given_back() -> None:
    plan = Plan(graph())
    left = stopped_state(plan, [tail(20, 9, True, {}, {})], [spawn(Member(20, 2, {"out": ["a"], "page": "p"}))])
    assert left == {"page": "shadowed", "n": 15, "out": ["a"]}


def test_a_reducer_that_fails_must_not_hide_why_the_flow_stopped() -> None:
    assert stopped_state(Plan(graph()), [tail(1, 0, True, {"n": 1}, {"n": "x"})], []) == {}


def test_a_flow_without_steps_has_nothing_left() -> None:
    assert stopped_state(Plan(graph()), [], []) == {}
