"""What may be put into a state: to JSON and back, equal and of the same type.

Allowed are None, bool, int, float, str, lists and mappings with str keys, and in tagged form datetime, date, time,
timedelta, Decimal, UUID, bytes, bytearray, paths, tuples, sets, enums, dataclasses, pydantic models, NaN and the
infinities, and the moments and durations of numpy and pandas. Numbers and bools of numpy are kept as the plain ones
that they are equal to; NaT and pandas.NA are None. Everything else is a StateError that names the field and the path to
the value.

A tag is ``{"$dwarf": "datetime", "v": "2024-05-01T12:00:00+00:00"}``; ``meaning`` says what conditions and reducers
make of it. The member ``v`` is, by kind: ISO 8601 text for dates and times (a named zone behind it in brackets), a
whole number of microseconds for timedelta (of nanoseconds for one of pandas), exact text for Decimal and UUID, base64
for bytes, a posix path, an array for tuples and sets (sets in a fixed order), ``{"name", "value"}`` for enums, the
fields for dataclasses and models, "nan", "inf" or "-inf" for floats that have no JSON form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from dwarf.errors import StateError
from dwarf.workflow.jsontext import JSON
from dwarf.workflow.values import classes, foreign, stdlib, tables
from dwarf.workflow.values.decoding import CODECS, DECODERS, decode, decode_members
from dwarf.workflow.values.encoding import ENCODERS, FALLBACKS, MAX_DEPTH, TAG, Refused, encode, shown

__all__ = ["MAX_DEPTH", "TAG", "from_json", "register", "state_from_json", "state_to_json", "to_json"]


def to_json(value: object, *, field: str = "") -> JSON:
    """The plain JSON form of a value, sharing no container with it. StateError, naming the field, if it has none."""
    try:
        return encode(value, 0)
    except Refused as refusal:
        raise StateError(refusal.message(field)) from None
    except RecursionError:
        where = f"field '{field}': " if field else ""
        raise StateError(f"{where}the value is nested too deeply, or contains itself") from None


def from_json(value: JSON) -> Any:
    """The Python value of a JSON form, the caller's own: changing it changes nothing else."""
    try:
        return decode(value)
    except RecursionError:
        raise StateError("the value is nested too deeply") from None


def state_to_json(state: Mapping[str, Any]) -> dict[str, JSON]:
    """Every field of a state in its JSON form. The names of the fields stay as they are, ``$dwarf`` included."""
    result: dict[str, JSON] = {}
    for name, value in state.items():
        if not isinstance(name, str):
            raise StateError(f"the names of state fields must be strings, not {type(name).__name__}: {shown(name)}")
        result[to_json(name, field=shown(name))] = to_json(value, field=name)
    return result


def state_from_json(state: Mapping[str, JSON]) -> dict[str, Any]:
    """Every field of a state as its Python value."""
    try:
        return decode_members(dict(state))
    except RecursionError:
        raise StateError("the state is nested too deeply") from None


def register(
    type_name: str, kind: str, encode_value: Callable[[Any], JSON], decode_value: Callable[[JSON], Any]
) -> None:
    """Keep one more type in tagged form.

    ``type_name`` is ``module.qualname`` of the class, so that its module need not be imported to register it;
    subclasses are included. ``encode_value`` returns plain JSON, ``decode_value`` gets that back, and what either
    raises is raised to the user. Registering a type or a kind again replaces it.
    """
    _REGISTERED[type_name] = (kind, encode_value)
    CODECS[kind] = decode_value


_REGISTERED: Final[dict[str, tuple[str, Callable[[Any], JSON]]]] = {}


def _encode_registered(value: Any, depth: int) -> JSON:
    if _REGISTERED:
        for base in type(value).__mro__:
            found = _REGISTERED.get(f"{base.__module__}.{base.__qualname__}")
            if found is not None:
                return {TAG: found[0], "v": found[1](value)}
    return NotImplemented


def _encode_subclass(value: Any, depth: int) -> JSON:
    for base, encoder in stdlib.BY_BASE:
        if isinstance(value, base):
            return encoder(value, depth)
    return stdlib.encode_uuid(value)


ENCODERS.update(stdlib.BY_TYPE)
FALLBACKS.extend(
    (_encode_registered, tables.encode_table, foreign.encode_foreign, classes.encode_instance, _encode_subclass)
)
DECODERS.update(stdlib.READERS | classes.READERS | tables.READERS | foreign.READERS)
DECODERS["overwrite"] = lambda tagged: decode(tagged.get("v"))  # as it stands among the changes of a step
