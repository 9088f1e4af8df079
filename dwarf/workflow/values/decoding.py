"""From JSON back to Python values: every container is a fresh copy, every tag the value it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from dwarf.workflow.jsontext import JSON
from dwarf.workflow.values.encoding import LONG, TAG

__all__ = ["CODECS", "DECODERS", "decode", "decode_members", "items_of_tag"]

Decoder = Callable[[dict[str, JSON]], Any]
"""Takes the whole tagged object."""

DECODERS: Final[dict[str, Decoder]] = {}
"""By kind. What they cannot read is handed out as the plain object that it is."""

CODECS: Final[dict[str, Callable[[JSON], Any]]] = {}
"""By kind, those registered from outside: they take the member ``v``, and their errors are passed on."""

_CONTAINERS: Final = frozenset({dict, list})


def decode(value: JSON) -> Any:
    """The Python value of a JSON form, sharing no container with it."""
    kind = type(value)
    if kind is dict:
        return decode_dict(value)
    return decode_list(value) if kind is list else value


def decode_dict(value: dict[str, JSON]) -> Any:
    return _decode_tag(value) if TAG in value else decode_members(value)


def decode_members(value: dict[str, JSON]) -> dict[str, Any]:
    """The object with its members decoded, including members with special names."""
    result = value.copy()
    for name, item in value.items():
        kind = type(item)
        if kind is dict:
            result[name] = _decode_tag(item) if TAG in item else decode_members(item)
        elif kind is list:
            result[name] = decode_list(item)
    return result


def decode_list(value: list[JSON]) -> list[Any]:
    result = value.copy()
    if len(value) > LONG and _CONTAINERS.isdisjoint(map(type, value)):
        return result
    for index, item in enumerate(value):
        kind = type(item)
        if kind is dict:
            result[index] = _decode_tag(item) if TAG in item else decode_members(item)
        elif kind is list:
            result[index] = decode_list(item)
    return result


def items_of_tag(tag: dict[str, JSON]) -> list[Any]:
    """The items of a tag for several values. TypeError for a broken one without items."""
    if type(tag["v"]) is not list:
        raise TypeError(type(tag["v"]))
    return decode_list(tag["v"])


def _decode_tag(value: dict[str, JSON]) -> Any:
    kind = value[TAG]
    if isinstance(kind, str):
        codec = CODECS.get(kind)
        if codec is not None:
            return codec(value.get("v"))
        decoder = DECODERS.get(kind)
        if decoder is not None:
            try:
                return decoder(value)
            except RecursionError:
                raise
            except Exception:  # noqa: BLE001, S110  what is broken is given as it is: libraries raise anything over bad bytes
                pass
    # Written by a newer version, or from outside: the plain object is the best that can be given.
    return decode_members(value)
