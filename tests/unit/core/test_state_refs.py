"""Large fields are stored once; whoever reads the state cannot tell."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dwarf import END, Graph
from dwarf.core.records import Member, Spawn
from dwarf.core.state_refs import INLINE_TOTAL, after, carried, converged
from dwarf.workflow.algebra import overlay, settle
from dwarf.workflow.jsontext import loads
from tests.unit.core.support import step_at

GRAPH = Graph("g").add_chain("A", "B", END)
BIG = "x" * (INLINE_TOTAL + 1)
values = st.one_of(st.none(), st.integers(), st.text(max_size=8), st.just(BIG), st.lists(st.integers(), max_size=4))
states = st.dictionaries(st.sampled_from("abcdef"), values, max_size=6)


def held(literal: dict[str, Any], refs: dict[str, int], rows: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """What a reader puts together again."""
    return {**literal, **{name: rows[anchor][name] for name, anchor in refs.items()}}


@given(states, states)
def test_after_is_overlay_and_settle(state: dict[str, Any], changes: dict[str, Any]) -> None:
    state = settle(state)
    assert after(state, changes) == settle(overlay(state, changes))


@given(states, states, st.integers(min_value=1, max_value=200))
def test_what_is_carried_reads_as_it_was(state: dict[str, Any], changes: dict[str, Any], width: int) -> None:
    state = settle(state)
    step = step_at(GRAPH, "A", state, step_id=50)
    merged = after(state, changes)
    literal, refs, stored = carried(merged, step, changes, width)
    assert loads(stored) == literal
    rows = {50: {**state, **changes}}
    assert held(literal, refs, rows) == merged


def test_a_small_state_is_stored_whole() -> None:
    step = step_at(GRAPH, "A", {"a": 1})
    assert carried({"a": 1, "b": 2}, step, {"b": 2}, 1)[:2] == ({"a": 1, "b": 2}, {})


def test_a_large_field_names_the_step_that_has_it() -> None:
    step = step_at(GRAPH, "A", {"big": BIG, "a": 1}, step_id=50)
    assert carried(after(step.state, {"b": 2}), step, {"b": 2}, 1)[:2] == ({"a": 1, "b": 2}, {"big": 50})


def test_a_carried_reference_keeps_its_first_anchor_until_the_field_is_written() -> None:
    step = step_at(GRAPH, "B", {"big": BIG, "a": 1}, refs={"big": 20}, step_id=50)
    assert carried(step.state, step, {}, 1)[1] == {"big": 20}
    assert carried(after(step.state, {"big": BIG + "y"}), step, {"big": BIG + "y"}, 1)[1] == {"big": 50}
    assert carried(after(step.state, {"big": None}), step, {"big": None}, 1)[:2] == ({"a": 1}, {})


def test_a_wide_fan_out_stores_even_a_middling_field_once() -> None:
    step = step_at(GRAPH, "A", {"items": list(range(100))}, step_id=50)
    assert carried(step.state, step, {}, 1)[1] == {}
    assert carried(step.state, step, {}, 1000)[1] == {"items": 50}


def test_what_a_reducer_made_is_in_no_row_yet() -> None:
    step = step_at(GRAPH, "A", {"big": BIG}, step_id=50)
    assert carried({"big": BIG + "z"}, step, {"big": "z"}, 1, ["big"])[:2] == ({"big": BIG + "z"}, {})


def test_a_fan_in_takes_over_what_no_branch_has_touched() -> None:
    spawn = Spawn(
        step_id=9,
        node="S",
        depth=1,
        lineage_id=0,
        ordinal=0,
        state={"big": BIG, "old": BIG, "n": 1},
        refs={"old": 3},
        changes={"new": BIG, "sum": BIG},
    )
    spawn.members = [Member(10, 2, {"n": 2})]
    merged = {"big": BIG, "old": BIG, "n": 2, "new": BIG, "sum": BIG + BIG}
    literal, refs, stored = converged(merged, spawn, {"sum": "concat"})
    assert refs == {"big": 9, "old": 3, "new": 9}
    assert literal == loads(stored) == {"n": 2, "sum": BIG + BIG}
