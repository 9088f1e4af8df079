"""What a successor's state is, and which of its fields are stored by reference.

A large field that a step only carries is stored once: successors name the step whose row holds its value. Tasks,
conditions and outcomes never see the difference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from dwarf.core.records import Spawn, State, StepRecord
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.overwrites import bare

INLINE_TOTAL = 4096  # bytes of state, over all successors, that are not worth a reference
INLINE_FIELD = 1024  # bytes of one field, over all successors, that are not worth a reference
FLOOR = 64


class Carried(NamedTuple):
    """The part of a state that is stored with a step, the fields that other steps hold, and the text of that part."""

    literal: State
    refs: Mapping[str, int]
    stored: str


def after(state: State, changes: State) -> State:
    """The state once changes are written over it: replaced fields replaced, deleted fields gone."""
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
    """Split the state of ``width`` successors of a step into what is stored with each, and references.

    ``reduced`` names fields whose value a reducer has made: no row holds it yet.
    """
    refs = step.refs and {name: anchor for name, anchor in step.refs.items() if name not in changes and name in merged}
    return _split(merged, refs, step.step_id, reduced, width)


def converged(merged: State, spawn: Spawn, reducers: Mapping[str, Any]) -> Carried:
    """Split the state of a fan-in step: a field that no member has touched may stay where the spawn has it."""
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
