"""What a check of a graph finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Finding", "Kind"]

Kind: TypeAlias = Literal[
    "unknown-field", "type-mismatch", "endless-loop", "lost-write", "unused-field", "shadowed-item", "reduced-at-end"
]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that will probably go wrong though the graph is valid.

    ``kind`` is what it is: "unknown-field" (read, and written by nobody before), "type-mismatch" (written as one type
    and read as another), "endless-loop" (no way to an end), "lost-write" (parallel branches write one field, and the
    last one wins), "unused-field" (nobody reads it), "shadowed-item" (nested for-eaches lend one name twice),
    "reduced-at-end" (the last node writes what it has made of a field's old value, and a reducer combines it with that
    value again).
    ``node`` and ``field`` say where; ``message`` is a sentence, and ``suggestion`` what to do. ``str`` is both.

    >>> from dwarf import END, Graph
    >>> graph = Graph("Pay").add_node("Ask", lambda amount: {"paid": amount}).add_transition("Ask", END, when="piad")
    >>> [finding.suggestion for finding in graph.check({"amount": 1})]
    ["did you mean 'paid'?"]
    """

    kind: Kind
    node: str
    field: str
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        return f"{self.message}; {self.suggestion}" if self.suggestion else self.message
