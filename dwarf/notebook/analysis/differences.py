"""How do two values differ? Objects by their members, lists by what has come in and gone out of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from dwarf.notebook.pictures.formatting import brief
from dwarf.workflow.jsontext import dumps
from dwarf.workflow.values import to_json
from dwarf.workflow.values.meaning import canonical

__all__ = ["Change", "Place", "changes_between", "line", "place_text"]

_DEEP = 6
_LONG = 1_000  # elements of a list that are compared one by one
_APART = 3  # elements that come in or go out together, and are told one by one
_MISSING = object()

Place = tuple[str, str, int]  # of a step: the nodes it stands in, its node, and the how-manieth of it


@dataclass(frozen=True, slots=True)
class Change:
    """One difference of two states. ``where`` is a path like ``order.items[3]``; ``kind`` added, changed or removed."""

    where: str
    kind: str
    left: Any = None
    right: Any = None


def changes_between(left: Any, right: Any, where: str = "", depth: int = 0) -> Iterator[Change]:
    """The differences of two values. What comes into a list or goes out of it in one piece is one difference, whose
    place is a slice of the list that has it."""
    if isinstance(left, dict) and isinstance(right, dict) and depth < _DEEP:
        for name in [*left, *(name for name in right if name not in left)]:
            path = f"{where}.{name}" if where else str(name)
            yield from _between(left.get(name, _MISSING), right.get(name, _MISSING), path, depth + 1)
    elif isinstance(left, list) and isinstance(right, list) and depth < _DEEP and max(len(left), len(right)) <= _LONG:
        yield from _lists(left, right, where, depth)
    elif not _same(left, right):
        yield Change(where, "changed", left, right)


def _lists(left: list[Any], right: list[Any], where: str, depth: int) -> Iterator[Change]:
    matcher = SequenceMatcher(None, [_text(each) for each in left], [_text(each) for each in right], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        paired = min(b - a, d - c)
        for offset in range(paired):
            # elements at the same place of both lists have changed into each other; others keep the place they had
            place = f"[{a + offset}]" if a == c else f"[{a + offset}→{c + offset}]"
            yield from _between(left[a + offset], right[c + offset], where + place, depth + 1)
        yield from _piece(left[a + paired : b], a + paired, where, "removed")
        yield from _piece(right[c + paired : d], c + paired, where, "added")


def _piece(elements: list[Any], start: int, where: str, kind: str) -> Iterator[Change]:
    if len(elements) > _APART:
        yield _one_sided(f"{where}[{start}:{start + len(elements)}]", kind, elements)
        return
    for offset, element in enumerate(elements):
        yield _one_sided(f"{where}[{start + offset}]", kind, element)


def _one_sided(where: str, kind: str, value: Any) -> Change:
    return Change(where, kind, None, value) if kind == "added" else Change(where, kind, value, None)


def _between(left: Any, right: Any, where: str, depth: int) -> Iterator[Change]:
    if left is _MISSING:
        yield Change(where, "added", None, right)
    elif right is _MISSING:
        yield Change(where, "removed", left, None)
    else:
        yield from changes_between(left, right, where, depth)


def _same(left: Any, right: Any) -> bool:
    """Whether two values are stored alike: to Python True equals 1, and two tables are never simply equal."""
    if left is right:
        return True
    return _text(left) == _text(right)


def _text(value: Any) -> str:
    """A text that is the same for values that are stored alike."""
    try:
        return dumps(canonical(to_json(value)))
    except Exception:  # noqa: BLE001  a value of a class that is gone, or has changed
        return repr(value)


def line(change: Change) -> str:
    """A change on one line: ``+ added``, ``- removed``, ``~ changed``."""
    left, right = brief(change.left, 60), brief(change.right, 60)
    if change.kind == "added":
        return f"+ {change.where}: {right}"
    return f"- {change.where}: {left}" if change.kind == "removed" else f"~ {change.where}: {left} -> {right}"


def place_text(place: Place) -> str:
    """The name of a step: its node, with its number where it is not the first, under the nodes it stands in."""
    within, node, occurrence = place
    number = f" #{occurrence + 1}" if occurrence else ""
    return f"{within}/{node}{number}" if within else f"{node}{number}"
