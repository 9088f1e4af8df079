"""Plain functions over states: a state is a dict of field name -> JSON value, and None is the tombstone of a field.

No argument is ever changed. Values are shared with the arguments, not copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dwarf.errors import ReducerError
from dwarf.workflow.jsontext import JSON
from dwarf.workflow.overwrites import bare, is_overwrite
from dwarf.workflow.reducers import Accumulator, Reducer

__all__ = ["fold", "overlay", "settle"]


def overlay(base: Mapping[str, JSON], changes: Mapping[str, JSON]) -> dict[str, JSON]:
    """The base with the changes laid over it. A None in the changes stays, as the tombstone of its field."""
    return {**base, **changes}


def settle(state: Mapping[str, JSON]) -> dict[str, JSON]:
    """The state without its tombstones."""
    return {name: value for name, value in state.items() if value is not None}


def fold(
    base: Mapping[str, JSON], deltas: Iterable[Mapping[str, JSON]], reducers: Mapping[str, Reducer | str]
) -> dict[str, JSON]:
    """The deltas folded onto the base, in their order, field by field with the field's reducer.

    A field without a reducer is replaced, and a None for it is a tombstone in the result. For a field with a combining
    reducer a None is ignored, and an overwriting value becomes the base for later deltas. The time is linear in the
    number of members. A ReducerError names the field.
    """
    result = dict(base)
    running: dict[str, Accumulator] = {}
    for delta in deltas:
        for name, value in delta.items():
            reducer = reducers.get(name) or Reducer.REPLACE
            if reducer == Reducer.REPLACE or is_overwrite(value):
                result[name] = bare(value)
                running.pop(name, None)
            elif value is not None:
                try:
                    accumulator = running.get(name)
                    if accumulator is None:
                        accumulator = running[name] = _reducer(reducer).start(result.get(name))
                        result[name] = None  # keeps the order of first appearance; filled in below
                    accumulator.take(value)
                except ReducerError as error:
                    raise ReducerError(f"field {name!r}: {error}") from None
    for name, accumulator in running.items():
        result[name] = accumulator.value()
    return result


def _reducer(name: Reducer | str) -> Reducer:
    try:
        return Reducer(name)
    except ValueError:
        known = ", ".join(Reducer)
        raise ReducerError(f"unknown reducer '{name}' (known: {known})") from None
