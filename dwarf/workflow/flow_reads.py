"""Finding lost writes: a container read from a flow, changed, and never assigned back."""

from __future__ import annotations

from typing import Any, TypeAlias

from dwarf.errors import StateError
from dwarf.workflow.values import to_json

JSON: TypeAlias = Any

_IMMUTABLE = (str, int, float, bool, bytes, frozenset, type(None))


class _Unkept:
    """Stands for the form of a value that can no longer be stored."""


class Reads:
    """The containers that a flow has returned, each with its form at that time."""

    __slots__ = ("_handed_out",)

    def __init__(self) -> None:
        self._handed_out: list[tuple[str, Any, JSON]] = []

    def hand_out(self, name: str, value: Any) -> None:
        """Note a value that a read returns."""
        if not isinstance(value, _IMMUTABLE):
            self._handed_out.append((name, value, _form(value)))

    def assigned(self, name: str, value: Any, encoded: JSON) -> None:
        """Note a write: earlier reads of the field are dropped, except for the assigned object itself."""
        kept = [entry for entry in self._handed_out if entry[0] != name]
        if any(entry[0] == name and entry[1] is value for entry in self._handed_out):
            kept.append((name, value, encoded))
        self._handed_out = kept

    def lost(self) -> list[str]:
        """The fields whose returned value differs from its former form, each once, in the order of reading."""
        return list(dict.fromkeys(name for name, value, form in self._handed_out if _form(value) != form))


def _form(value: Any) -> JSON:
    try:
        return to_json(value)
    except StateError:
        return _Unkept
