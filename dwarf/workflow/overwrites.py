"""Values that replace a field regardless of its reducer: how ``flow.overwrite`` is stored.

Among the changes of a step such a value is tagged, ``{"$dwarf": "overwrite", "v": value}``, so that the tag goes
wherever the changes go: into the history, a fork, an exported flow. A state never contains the tag: applying changes to
a state removes it.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from dwarf.errors import StateError

JSON: TypeAlias = Any

_TAG: Final = "$dwarf"  # a user's member of this name is escaped, so such a value cannot be forged
_KIND: Final = "overwrite"

__all__ = ["bare", "is_overwrite", "overwrite", "refused"]


def overwrite(value: JSON) -> JSON:
    """A value, as plain tagged JSON, marked to replace the present value. None clears the field."""
    return {_TAG: _KIND, "v": value}


def is_overwrite(value: JSON) -> bool:
    """Whether a changed value replaces the present value."""
    return type(value) is dict and value.get(_TAG) == _KIND


def bare(value: JSON) -> JSON:
    """A changed value without the mark."""
    return value.get("v") if type(value) is dict and value.get(_TAG) == _KIND else value


def refused(name: str) -> StateError:
    """The error for an overwrite in a branch, where other branches contribute to the field."""
    return StateError(
        f"field {name!r} cannot be overwritten inside a fan-out, where other branches contribute to it: "
        "assign it, for its reducer to combine, or overwrite it at the fan-in or behind"
    )
