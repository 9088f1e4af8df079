"""The records of what tasks read and write, and the fields of the types that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, get_type_hints, is_typeddict

__all__ = ["Facts", "Write", "model_fields"]


@dataclass(frozen=True, slots=True)
class Write:
    """A write of a field.

    ``kind`` is the type written, where it is known. ``sure``: whatever way the function takes. ``derived``: what is
    written is the old value with something done to it. ``constant``: the same at each call.
    """

    kind: Any = Any
    sure: bool = False
    derived: bool = False
    constant: bool = False
    overwrites: bool = False


@dataclass(slots=True)
class Facts:
    """What a task reads and writes. ``all_reads`` and ``all_writes``: whether that is all of it."""

    needs: dict[str, Any] = field(default_factory=dict)  # fields it fails without, with the types they are read as
    takes: dict[str, Any] = field(default_factory=dict)  # fields it can do without
    writes: dict[str, Write] = field(default_factory=dict)
    all_reads: bool = True
    all_writes: bool = True

    @property
    def reads(self) -> dict[str, Any]:
        """Every field that is read for all one knows."""
        return {**self.takes, **self.needs}

    def unknown(self) -> None:
        """Something happens that cannot be followed."""
        self.all_reads = self.all_writes = False

    def write(self, name: str, found: Write) -> None:
        """Note a write. Of two, what both say is kept."""
        known = self.writes.get(name)
        if known is not None:
            found = Write(
                known.kind if known.kind is found.kind else Any,
                known.sure or found.sure,
                known.derived or found.derived,
                known.constant and found.constant,
                known.overwrites and found.overwrites,
            )
        self.writes[name] = found


def model_fields(model: Any) -> dict[str, tuple[Any, bool]] | None:
    """The fields of a TypedDict, dataclass or pydantic model, with their types and whether each must be there."""
    if is_typeddict(model):
        hints = _hints(model)
        return {name: (hints.get(name, Any), name in model.__required_keys__) for name in model.__annotations__}
    if isinstance(model, type) and is_dataclass(model):
        hints = _hints(model)
        return {
            one.name: (hints.get(one.name, Any), one.default is MISSING and one.default_factory is MISSING)
            for one in fields(model)
        }
    described = getattr(model, "model_fields", None)
    if isinstance(model, type) and isinstance(described, Mapping):
        return {name: (one.annotation, bool(one.is_required())) for name, one in described.items()}
    return None


def _hints(model: Any) -> dict[str, Any]:
    try:
        return get_type_hints(model)
    except Exception:  # noqa: BLE001 - an annotation may name what is not there
        return {}
