"""The items of a stored value that a for-each makes branches of."""

from __future__ import annotations

from dwarf.errors import StateError
from dwarf.workflow.jsontext import JSON
from dwarf.workflow.values.decoding import decode
from dwarf.workflow.values.encoding import TAG, Refused, encode
from dwarf.workflow.values.meaning import behind

__all__ = ["items_of"]

_TABLES = ("array", "series", "frame")


def items_of(value: JSON) -> list[JSON] | None:
    """The stored forms of the items; None where the value has none.

    An array, a tuple or a set has its elements, an array of numpy those along its first axis, a Series its values, a
    DataFrame its rows: each an object by the names of its columns, as texts. Names that stand twice get a number.
    """
    meant = behind(value)
    if isinstance(meant, list):
        return meant
    if not isinstance(meant, dict) or meant.get(TAG) not in _TABLES:
        return None
    table = decode(meant)
    if isinstance(table, dict):  # broken
        return None
    try:
        return [encode(item, 1) for item in _rows(table, str(meant[TAG]))]
    except (Refused, StateError):
        return None


def _rows(table: object, kind: str) -> list[object]:
    if kind == "frame":
        names = _column_names(table)
        rows = table.itertuples(index=False, name=None)  # type: ignore[attr-defined]
        return [dict(zip(names, row, strict=True)) for row in rows]
    if kind == "array" and table.ndim == 0:  # type: ignore[attr-defined]
        raise Refused("an array without dimensions has no items")
    return list(table)  # type: ignore[call-overload,no-any-return]


def _column_names(frame: object) -> list[str]:
    names: list[str] = []
    taken: set[str] = set()
    for column in frame.columns:  # type: ignore[attr-defined]
        plain = ".".join(map(str, column)) if isinstance(column, tuple) else str(column)
        name, number = plain, 2
        while name in taken:
            name, number = f"{plain}_{number}", number + 1
        taken.add(name)
        names.append(name)
    return names
