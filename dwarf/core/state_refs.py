"""A successor's state, and which of its fields are stored by reference.

A large field that a step only passes on is stored once: successors refer to the step whose row holds its value. Tasks,
conditions and outcomes never see the difference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from dwarf.core.records import Spawn, State, StepRecord
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.overwrites import bare

INLINE_TOTAL = 4096  # smaller states, summed over all successors, are stored inline
INLINE_FIELD = 1024  # smaller fields, summed over all successors, are stored inline
FLOOR = 64


class Carried(NamedTuple):
    """The part of a state that is stored with a step, the fields that other steps hold, and that part as text."""

    literal: State
    refs: Mapping[str, int]
    stored: str


def after(state: State, changes: State) -> State:
    """The state after changes: fields are replaced, and fields with the value None are removed."""
    if not changes:
        return state
    merged = dict(state)
    for name, value in changes.items():
        if type(value) is dict:
            value = bare(value)
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def carried(merged: State, step: StepRecord, changes: State, width: int, reduced: Collection[str] = ()) -> Carried:
    """Split the state of ``width`` successors of a step into the part stored with each of them, and references.

    ``reduced`` names fields whose value comes from a reducer: no row holds it yet.
    """
    refs = step.refs and {name: anchor for name, anchor in step.refs.items() if name not in changes and name in merged}
    return _split(merged, refs, step.step_id, reduced, width)


def converged(merged: State, spawn: Spawn, reducers: Mapping[str, Any]) -> Carried:
    """Split the state of a fan-in step: a field that no member has changed may stay in the row that holds it for the
    spawn.
    """
    touched: set[str] = set()
    for member in spawn.members:
        touched.update(member.changes)
    made = touched | {name for name in spawn.changes if name in reducers}
    refs = {
        name: anchor
        for name, anchor in spawn.refs.items()
        if name not in made and name not in spawn.changes and name in merged
    }
    return _split(merged, refs, spawn.step_id, made, 1)


def _split(merged: State, refs: Mapping[str, int], anchor: int, fixed: Collection[str], width: int) -> Carried:
    literal = {name: value for name, value in merged.items() if name not in refs} if refs else merged
    text = dumps(literal)
    if len(text) * width > INLINE_TOTAL:
        least = max(FLOOR, INLINE_FIELD // width)
        large = [name for name, value in literal.items() if name not in fixed and len(dumps(value)) >= least]
        if large:
            refs = {**refs, **dict.fromkeys(large, anchor)}
            literal = {name: value for name, value in literal.items() if name not in refs}
            return Carried(literal, refs, dumps(literal))
    return Carried(literal, refs, text)
