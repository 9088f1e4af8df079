"""What ``flow.save`` writes: the fields that differ from the state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from dwarf.errors import StateError
from dwarf.workflow.convert import convert
from dwarf.workflow.parks import checked_name
from dwarf.workflow.typeforms import field_types, fields_of
from dwarf.workflow.values import from_json, to_json

JSON: TypeAlias = Any


def changed_fields(value: Any, raw: Callable[[str], JSON]) -> dict[str, Any]:
    """The fields of a dataclass, a model or a mapping that differ from the stored forms that ``raw`` gives."""
    fields = fields_of(value)
    if fields is None:
        raise StateError(f"only a dataclass, a pydantic model or a mapping can be saved, not {type(value).__name__}")
    kinds = field_types(type(value))
    changed: dict[str, Any] = {}
    for name, new in fields.items():
        name = checked_name(name)
        old = raw(name)
        encoded = to_json(new, field=name)
        if not same_json(old, encoded) and not _reads_the_same(old, encoded, kinds.get(name, Any), name):
            changed[name] = new
    return changed


def _reads_the_same(old: JSON, encoded: JSON, kind: Any, name: str) -> bool:
    # A state from outside holds "2024-01-01" or {"x": 1} where the loaded object holds a date or a dataclass. Saving
    # the unchanged object must write nothing, so compare with the loaded value as well.
    if old is None or kind is Any:
        return False
    try:
        return same_json(to_json(convert(from_json(old), kind, name), field=name), encoded)
    except StateError:
        return False


def same_json(one: JSON, other: JSON) -> bool:
    """Whether two JSON values are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list):
        return (
            isinstance(other, list)
            and len(one) == len(other)
            and all(same_json(a, b) for a, b in zip(one, other, strict=True))
        )
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same_json(item, other[key]) for key, item in one.items())
        )
    return bool(one == other)
