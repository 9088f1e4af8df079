"""The kinds of the standard library: dates and times, Decimal, UUID, bytes, paths, tuples, sets; and subclasses."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Final

from dwarf.workflow.jsontext import JSON, dumps
from dwarf.workflow.values.decoding import decode_members, items_of_tag
from dwarf.workflow.values.encoding import (
    TAG,
    Encoder,
    Refused,
    encode_dict,
    encode_float,
    encode_int,
    encode_list,
    encode_str,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = ["BY_BASE", "BY_TYPE", "READERS", "encode_uuid", "moment_suffix", "named_zone", "split_moment", "zone_name"]

_MICROSECOND: Final = timedelta(microseconds=1)


# ---------------------------------------------------------------- dates and times
# The text is ISO 8601, so that conditions can compare it, with the name of the zone and the fold behind it where there
# are any: 2024-10-27T02:30:00+01:00[Europe/Berlin][fold=1].
_MOMENT: Final = re.compile(r"([^\[]*)(?:\[([^=\]]+)\])?(\[fold=1\])?")


def moment_suffix(zone: tzinfo | None, fold: int) -> str:
    """What stands behind the ISO text: the zone's name in its data base, and the fold."""
    loaded = sys.modules.get("zoneinfo")  # if it was never imported, no zone can be one of its own
    key = zone.key if loaded is not None and isinstance(zone, loaded.ZoneInfo) else None
    return (f"[{key}]" if key else "") + ("[fold=1]" if fold else "")


def zone_name(zone: tzinfo | None) -> str:
    """The user's name of a fixed zone, or ""."""
    if type(zone) is not timezone:
        return ""
    name = zone.tzname(None)
    return "" if name is None or name == timezone(zone.utcoffset(None)).tzname(None) else name


def _named(tag: dict[str, JSON], zone: tzinfo | None) -> JSON:
    name = zone_name(zone)
    if name:
        tag["zone"] = encode_str(name)
    return tag


def _encode_datetime(value: datetime, depth: int) -> JSON:
    text = datetime.isoformat(value) + moment_suffix(value.tzinfo, value.fold)
    return _named({TAG: "datetime", "v": text}, value.tzinfo)


def _encode_time(value: time, depth: int) -> JSON:
    text = time.isoformat(value) + moment_suffix(value.tzinfo, value.fold)
    return _named({TAG: "time", "v": text}, value.tzinfo)


def named_zone(tag: dict[str, JSON], moment: datetime | time) -> tzinfo | None:
    """The fixed zone with the name that the tag tells."""
    offset = moment.utcoffset()
    return None if offset is None else timezone(offset, str(tag["zone"]))


def _zone(key: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo

    return ZoneInfo(key)


def split_moment(text: str) -> tuple[str, ZoneInfo | None, int]:
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    iso, key, fold = match.groups()
    try:
        zone = _zone(key) if key else None
    except (LookupError, ValueError, OSError):  # the zone is not known here: the offset in the text has to do
        zone = None
    return iso, zone, 1 if fold else 0


def _decode_datetime(tag: dict[str, JSON]) -> datetime:
    iso, zone, fold = split_moment(tag["v"])
    moment = datetime.fromisoformat(iso).replace(fold=fold)
    if zone is None:
        return moment.replace(tzinfo=named_zone(tag, moment)) if "zone" in tag else moment
    local = moment.replace(tzinfo=zone)
    # Where the rules of the zone have changed since, the moment counts, not what the clock on the wall showed.
    return local if local.utcoffset() == moment.utcoffset() else moment.astimezone(zone)


def _decode_time(tag: dict[str, JSON]) -> time:
    iso, zone, fold = split_moment(tag["v"])
    moment = time.fromisoformat(iso).replace(fold=fold)
    if "zone" in tag:
        return moment.replace(tzinfo=named_zone(tag, moment))
    return moment if zone is None else moment.replace(tzinfo=zone)


# ---------------------------------------------------------------- other scalars
def _encode_decimal(value: Decimal, depth: int) -> JSON:
    if Decimal.is_snan(value):
        raise Refused("a signaling NaN cannot be kept in a state; use Decimal('NaN')")
    return {TAG: "decimal", "v": Decimal.__str__(value)}


def _encode_bytes(value: bytes | bytearray, depth: int) -> JSON:
    kind = "bytes" if isinstance(value, bytes) else "bytearray"
    return {TAG: kind, "v": base64.b64encode(value).decode()}


def _decode_bytes(tag: dict[str, JSON]) -> bytes:
    return base64.b64decode(tag["v"], validate=True)


def encode_uuid(value: object) -> JSON:
    """The form of a UUID, NotImplemented for anything else. Its module is not loaded for that: it takes long."""
    loaded = sys.modules.get("uuid")
    if loaded is None or not isinstance(value, loaded.UUID):
        return NotImplemented
    return {TAG: "uuid", "v": loaded.UUID.__str__(value)}


def _decode_uuid(tag: dict[str, JSON]) -> Any:
    from uuid import UUID

    return UUID(tag["v"])


def _encode_path(value: PurePath, depth: int) -> JSON:
    if isinstance(value, Path):
        kind = "path"
    else:
        kind = "pure_windows_path" if isinstance(value, PureWindowsPath) else "pure_posix_path"
    return {TAG: kind, "v": encode_str(value.as_posix())}


# ---------------------------------------------------------------- containers
def _encode_tuple(value: tuple[Any, ...], depth: int) -> JSON:
    return {TAG: "tuple", "v": encode_list(value, depth + 1)}


def _encode_set(value: set[Any] | frozenset[Any], depth: int) -> JSON:
    """The elements in the order of their JSON texts, plain numbers and strings in their own: always the same."""
    items = encode_list(value, depth + 1)
    kinds = set(map(type, items))
    if len(kinds) == 1 and kinds <= {str, int}:
        items.sort()
    else:
        items.sort(key=dumps)
    return {TAG: "frozenset" if isinstance(value, frozenset) else "set", "v": items}


def _decode_set(make: Callable[[list[Any]], Any]) -> Callable[[dict[str, JSON]], Any]:
    def read(tag: dict[str, JSON]) -> Any:
        items = items_of_tag(tag)
        try:
            return make(items)
        except TypeError:  # an element whose class is gone is a dict now, which no set can hold
            return items

    return read


def _encode_mapping(value: Mapping[Any, Any], depth: int) -> JSON:
    return encode_dict(dict(value.items()), depth)


def _decode_float(tag: dict[str, JSON]) -> float:
    if tag["v"] not in ("nan", "inf", "-inf"):
        raise ValueError(tag["v"])
    return float(tag["v"])


BY_TYPE: Final[dict[type, Encoder]] = {
    datetime: _encode_datetime,
    date: lambda value, _depth: {TAG: "date", "v": date.isoformat(value)},
    time: _encode_time,
    timedelta: lambda value, _depth: {TAG: "timedelta", "v": value // _MICROSECOND},
    Decimal: _encode_decimal,
    bytes: _encode_bytes,
    bytearray: _encode_bytes,
    tuple: _encode_tuple,
    set: _encode_set,
    frozenset: _encode_set,
    type(Path()): _encode_path,
    PurePosixPath: _encode_path,
    PureWindowsPath: _encode_path,
}
"""By exact type."""

BY_BASE: Final[list[tuple[type, Encoder]]] = [
    (str, encode_str),
    (int, encode_int),
    (float, encode_float),
    (tuple, _encode_tuple),
    (list, encode_list),
    (Mapping, _encode_mapping),
    *((base, BY_TYPE[base]) for base in (datetime, date, time, timedelta, Decimal, bytes, bytearray)),
    (set, _encode_set),
    (frozenset, _encode_set),
    (PurePath, _encode_path),
]
"""For subclasses, in this order: they come back as the class that is named here, or as plain JSON."""

READERS: Final[dict[str, Callable[[dict[str, JSON]], Any]]] = {
    "dict": lambda tag: decode_members(tag["v"]),
    "float": _decode_float,
    "tuple": lambda tag: tuple(items_of_tag(tag)),
    "set": _decode_set(set),
    "frozenset": _decode_set(frozenset),
    "datetime": _decode_datetime,
    "date": lambda tag: date.fromisoformat(tag["v"]),
    "time": _decode_time,
    "timedelta": lambda tag: _MICROSECOND * tag["v"],
    "decimal": lambda tag: Decimal(tag["v"]),
    "uuid": _decode_uuid,
    "bytes": _decode_bytes,
    "bytearray": lambda tag: bytearray(_decode_bytes(tag)),
    "path": lambda tag: Path(tag["v"]),
    "pure_posix_path": lambda tag: PurePosixPath(tag["v"]),
    "pure_windows_path": lambda tag: PureWindowsPath(tag["v"]),
}
