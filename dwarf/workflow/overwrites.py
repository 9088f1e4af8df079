"""Values that stand as they are, whatever the reducer of their field says: how ``flow.overwrite`` is kept.

Among the changes of a step such a value is tagged, ``{"$dwarf": "overwrite", "v": value}``, so that it goes wherever
the changes go: into the history, a fork, an exported flow. A state never holds the tag: laying changes over a state
takes it off.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from dwarf.errors import StateError

JSON: TypeAlias = Any

_TAG: Final = "$dwarf"  # a user's own member of this name is escaped, so nobody can write such a value by hand
_KIND: Final = "overwrite"

__all__ = ["bare", "is_overwrite", "overwrite", "refused"]


def overwrite(value: JSON) -> JSON:
    """A value, as plain tagged JSON, marked to replace what there is. None clears the field."""
    return {_TAG: _KIND, "v": value}


def is_overwrite(value: JSON) -> bool:
    """Whether a changed value replaces what there is."""
    return type(value) is dict and value.get(_TAG) == _KIND


def bare(value: JSON) -> JSON:
    """A changed value without the mark."""
    return value.get("v") if type(value) is dict and value.get(_TAG) == _KIND else value


def refused(name: str) -> StateError:
    """The error for an overwrite in a branch, beside which others contribute to the field."""
    return StateError(
        f"field {name!r} cannot be overwritten inside a fan-out, where other branches contribute to it: "
        "assign it, for its reducer to combine, or overwrite it at the fan-in or behind"
    )
