"""The table of decisions: what a step's result, its node and its place in the graph lead to."""

from __future__ import annotations

import pytest

from dwarf import END, Graph
from dwarf.core.decision import Advance, Ask, Complete, Fail, StartOver
from dwarf.core.step import Raised, decide
from dwarf.workflow.signals import Interrupt, RetrySignal
from tests.unit.core.support import context, returned, step_at


def chain() -> Graph:
    return Graph("chain", reducers={"n": "add"}).add_chain("A", "B", END)


def fan() -> Graph:
    graph = Graph("fan", reducers={"out": "append"}).add_for_each("S", "W", items="items")
    return graph.add_chain("W", "J", END).set_fan_in("J")


def test_a_plain_edge_leads_to_one_successor_with_the_changes_written_over_the_state() -> None:
    decision = decide(step_at(chain(), "A", {"a": 1, "gone": 2}), returned({"b": 3, "gone": None}), context())
    assert isinstance(decision, Advance)
    (successor,) = decision.successors
    assert (successor.node, successor.depth, successor.lineage_id) == ("B", 2, 0)
    assert successor.state == {"a": 1, "b": 3}
    assert successor.leased
    assert decision.cohort_size == decision.arrivals == 0


def test_reducers_do_not_apply_on_an_ordinary_edge_but_at_the_end() -> None:
    middle = decide(step_at(chain(), "A", {"n": 10}), returned({"n": 5}), context())
    assert isinstance(middle, Advance)
    assert middle.successors[0].state == {"n": 5}
    last = decide(step_at(chain(), "B", {"n": 5}), returned({"n": 7}), context())
    assert isinstance(last, Complete)
    assert last.final_state == {"n": 12}


def test_a_delay_keeps_the_successor_from_being_handed_over() -> None:
    decision = decide(step_at(chain(), "A"), returned(delay_ms=5), context())
    assert isinstance(decision, Advance)
    assert (decision.successors[0].delay_ms, decision.successors[0].leased) == (5, False)


def test_without_room_the_successor_is_left_to_whoever_claims_it() -> None:
    decision = decide(step_at(chain(), "A"), returned(), context(room=False))
    assert isinstance(decision, Advance)
    assert not decision.successors[0].leased


def test_for_each_opens_a_cohort_with_one_branch_per_item() -> None:
    decision = decide(step_at(fan(), "S", {"items": ["x", None]}, step_id=9), returned({"k": 1}), context())
    assert isinstance(decision, Advance)
    assert decision.cohort_size == 2
    first, second = decision.successors
    assert first.state == {"items": ["x", None], "k": 1, "item": "x", "itemIndex": 0, "itemCount": 2}
    assert second.state["item"] is None
    assert [branch.lineage_id for branch in decision.successors] == [9, 9]
    assert [branch.ordinal for branch in decision.successors] == [0, 1]


@pytest.mark.parametrize("items", [[], None])
def test_an_empty_fan_out_runs_its_fan_in(items: object) -> None:
    decision = decide(step_at(fan(), "S", {"items": items, "out": [1]}), returned({"out": [2]}), context())
    assert isinstance(decision, Advance)
    (successor,) = decision.successors
    assert (successor.node, successor.lineage_id) == ("J", 0)
    assert successor.state["out"] == [1, 2]


def test_for_each_over_what_is_no_array_fails_and_keeps_the_changes() -> None:
    decision = decide(step_at(fan(), "S", {"items": 5}), returned({"k": 1}), context())
    assert isinstance(decision, Fail)
    assert "not an array" in decision.error
    assert decision.changes == {"k": 1}


def test_a_branch_arrives_at_its_cohort() -> None:
    decision = decide(step_at(fan(), "W", lineage=9, ordinal=1), returned({"out": [3]}, delay_ms=4), context())
    assert isinstance(decision, Advance)
    assert (decision.cohort_id, decision.arrivals, decision.fan_in) == (9, 1, "J")
    assert decision.successors == []
    assert not decision.lease_fan_in


def test_a_fan_in_reached_from_the_trunk_fails() -> None:
    decision = decide(step_at(fan(), "W", lineage=0), returned(), context())
    assert isinstance(decision, Fail)
    assert "not part of a fan-out cohort" in decision.error


def test_edges_straight_into_the_fan_in_arrive_at_the_own_cohort() -> None:
    graph = Graph("g").add_fan_out("S", "A", "J").add_chain("A", "J", END).set_fan_in("J")
    decision = decide(step_at(graph, "S", step_id=9), returned(), context())
    assert isinstance(decision, Advance)
    assert (decision.cohort_size, decision.cohort_id, decision.arrivals) == (2, 9, 1)
    assert [branch.node for branch in decision.successors] == ["A"]


def test_a_dead_end_completes_the_trunk_and_fails_a_branch() -> None:
    graph = fan().add_transition("W", "J", when="never")
    assert isinstance(decide(step_at(chain(), "B"), returned(), context()), Complete)
    lonely = Graph("g").add_transition("A", "B", when="x == 1").add_transition("B", END)
    assert isinstance(decide(step_at(lonely, "A", {"x": 2}), returned(), context()), Complete)
    lost = decide(step_at(lonely, "A", {"x": 2}, lineage=3), returned(), context())
    assert isinstance(lost, Fail)
    assert "fan-in" in lost.error
    assert graph.is_fan_in("J")


def test_switch_takes_the_first_true_arm_and_goto_overrides_it() -> None:
    graph = Graph("g").add_switch("R", {"x > 10": "High", "x > 1": "Mid"}, default="Low").add_goto("R", "Exit")
    for value, target in ((50, "High"), (5, "Mid"), (0, "Low")):
        decision = decide(step_at(graph, "R"), returned({"x": value}), context())
        assert isinstance(decision, Advance)
        assert [successor.node for successor in decision.successors] == [target]
    by_goto = decide(step_at(graph, "R", {"x": 50}), returned(goto="Exit"), context())
    assert isinstance(by_goto, Advance)
    assert by_goto.successors[0].node == "Exit"
    unwired = decide(step_at(graph, "R", {"x": 50}), returned({"k": 1}, goto="High"), context())
    assert isinstance(unwired, Fail)
    assert "'R'" in unwired.error
    assert "'High'" in unwired.error
    assert unwired.changes == {"k": 1}


def test_an_error_goes_to_its_handler_with_what_earlier_attempts_have_stored() -> None:
    graph = chain().add_error_handler("A", "H")
    raised = Raised("boom", "trace", {"error": "boom", "statusCode": 500})
    decision = decide(step_at(graph, "A", {"a": 1}, changes={"kept": 2}), raised, context())
    assert isinstance(decision, Advance)
    assert decision.error_routed
    assert decision.successors[0].node == "H"
    assert decision.successors[0].state == {"a": 1, "kept": 2, "onErr": {"error": "boom", "statusCode": 500}}


def test_an_error_without_a_handler_fails_the_step_and_voids_its_changes() -> None:
    decision = decide(step_at(chain(), "A"), Raised("boom", "trace", {"error": "boom"}), context())
    assert isinstance(decision, Fail)
    assert (decision.error, decision.traceback, decision.changes) == ("boom", "trace", None)


def test_a_bad_use_of_the_control_calls_fails_past_the_handler() -> None:
    graph = chain().add_error_handler("A", "H")
    decision = decide(step_at(graph, "A"), returned({"k": 1}, problem="multiple competing control signals"), context())
    assert isinstance(decision, Fail)
    assert decision.changes is None


def test_a_bad_regular_expression_at_run_time_fails_past_the_handler() -> None:
    graph = Graph("g").add_transition("A", "B", when="text =~ pattern").add_transition("B", END)
    graph.add_error_handler("A", "B")
    decision = decide(step_at(graph, "A", {"text": "x", "pattern": "("}), returned(), context())
    assert isinstance(decision, Fail)


def test_a_reducer_that_cannot_fold_fails_the_last_step() -> None:
    decision = decide(step_at(chain(), "B", {"n": 5}), returned({"n": "five"}), context())
    assert isinstance(decision, Fail)
    assert "n" in decision.error


def test_retry_adds_the_delays() -> None:
    decision = decide(step_at(chain(), "A"), returned({"k": 1}, park=RetrySignal(300), delay_ms=20), context())
    assert isinstance(decision, StartOver)
    assert (decision.delay_ms, decision.changes) == (320, {"k": 1})


def test_an_interrupt_waits_with_its_payload() -> None:
    park = Interrupt({"title": "ok?"}, 500, default=None, has_default=True)
    decision = decide(step_at(chain(), "A"), returned(park=park), context())
    assert isinstance(decision, Ask)
    assert (decision.payload, decision.timeout_ms, decision.has_default) == ({"title": "ok?"}, 500, True)
