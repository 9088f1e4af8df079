"""What a successor's state is, and which of its fields are stored by reference.

A large field that a step only carries is stored once: successors name the step whose row holds its value. Tasks,
conditions and outcomes never see the difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from dwarf.core.records import JSON, Spawn, State, StepRecord
from dwarf.workflow.jsontext import dumps

INLINE_TOTAL = 4096  # bytes of state, over all successors, that are not worth a reference
INLINE_FIELD = 1024  # bytes of one field, over all successors, that are not worth a reference
FLOOR = 64


def after(state: State, changes: State) -> State:
    """The state once changes are written over it: replaced fields replaced, deleted fields gone."""
    if not changes:
        return state
    merged = dict(state)
    for name, value in changes.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def carried(
    merged: State, step: StepRecord, changes: State, width: int, reduced: Collection[str] = ()
) -> tuple[dict[str, JSON], dict[str, int]]:
    """Split the state of ``width`` successors of a step into what is stored with each, and references.

    ``reduced`` names fields whose value a reducer has made: no row holds it yet.
    """
    refs = {name: anchor for name, anchor in step.refs.items() if name not in changes and name in merged}
    literal = {name: value for name, value in merged.items() if name not in refs}
    return _split(literal, refs, dict.fromkeys(literal, step.step_id), reduced, width)


def converged(merged: State, spawn: Spawn, reducers: Mapping[str, Any]) -> tuple[dict[str, JSON], dict[str, int]]:
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
    literal = {name: value for name, value in merged.items() if name not in refs}
    return _split(literal, refs, dict.fromkeys(literal, spawn.step_id), made, 1)


def _split(
    literal: dict[str, JSON], refs: dict[str, int], anchors: Mapping[str, int], fixed: Collection[str], width: int
) -> tuple[dict[str, JSON], dict[str, int]]:
    if not literal or len(dumps(literal)) * width <= INLINE_TOTAL:
        return literal, refs
    least = max(FLOOR, INLINE_FIELD // width)
    for name in _large(literal, fixed, least):
        refs[name] = anchors[name]
        del literal[name]
    return literal, refs


def _large(literal: Mapping[str, JSON], fixed: Collection[str], least: int) -> Iterable[str]:
    return [name for name, value in literal.items() if name not in fixed and len(dumps(value)) >= least]
