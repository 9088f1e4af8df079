"""Scalars of numpy and pandas, and the refusal of what has no form of its own.

Numbers, bools and texts of numpy are kept as the plain ones that they are equal to. Nothing is imported to encode: who
has such a value has imported its module.
"""

from __future__ import annotations

import base64
import re
import sys
from datetime import datetime, timedelta
from typing import Any, Final

from dwarf.workflow.jsontext import JSON
from dwarf.workflow.values.encoding import TAG, Refused, encode_float, encode_int, encode_str
from dwarf.workflow.values.stdlib import moment_suffix, named_zone, split_moment, zone_name

__all__ = ["READERS", "encode_foreign"]

_NUMBER: Final = re.compile(r"bool|u?int(?:8|16|32|64)|float(?:16|32|64)")
_MOMENT: Final = re.compile(r"(?:datetime64|timedelta64)(?:\[\d{0,9}(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?")
_RESOLUTIONS: Final = ("s", "ms", "us", "ns")

_NAT: Final = -(2**63)

_ADVICE: Final = {
    "DataFrame": "this frame cannot be kept in a state: convert it with .to_pandas() or .to_dicts()",
    "Series": "this series cannot be kept in a state: convert it with .to_pandas() or .to_list()",
    "Index": "an index cannot be kept in a state: convert it with .tolist()",
    "Period": "a Period cannot be kept in a state: convert it with .to_timestamp() or str()",
    "Interval": "an Interval cannot be kept in a state: keep its .left and .right",
    "Categorical": "a Categorical cannot be kept in a state: make it a Series, or convert it with .tolist()",
    "ExtensionArray": "this array cannot be kept in a state: make it a Series, or convert it with .tolist()",
    "ExtensionDtype": "a dtype cannot be kept in a state: convert it with str()",
    "BaseOffset": "an offset cannot be kept in a state: keep its .freqstr",
}


def encode_foreign(value: Any, depth: int) -> JSON:
    """Scalars of numpy and pandas; other things of theirs, and of polars, are refused with advice."""
    numpy: Any = sys.modules.get("numpy")
    if isinstance(value, getattr(numpy, "generic", ())):
        return _encode_numpy(value)
    if isinstance(value, getattr(numpy, "dtype", ())):
        raise Refused("a dtype cannot be kept in a state: convert it with str()")
    pandas: Any = sys.modules.get("pandas")
    if value is getattr(pandas, "NaT", _NAT) or value is getattr(pandas, "NA", _NAT):
        return None
    if isinstance(value, getattr(pandas, "Timestamp", ())):
        return _encode_timestamp(value)
    if isinstance(value, getattr(pandas, "Timedelta", ())):
        return _encode_timedelta(value)
    for base in type(value).__mro__:
        if base.__module__.partition(".")[0] in ("pandas", "polars") and base.__name__ in _ADVICE:
            raise Refused(_ADVICE[base.__name__])
    return NotImplemented


# ---------------------------------------------------------------- numpy


def _encode_numpy(value: Any) -> JSON:
    kind: str = value.dtype.kind
    if kind == "b":
        return bool(value)
    if kind in "iu":
        return encode_int(int(value))
    if kind == "f":
        number = float(value)
        if value == value and type(value)(number) != value:  # noqa: PLR0124  not for NaN
            raise Refused("this number has more digits than a float: convert it with float() or str()")
        return encode_float(number)
    if kind == "c":
        raise Refused("a complex number cannot be kept in a state: keep its .real and .imag")
    if kind in "mM":
        plain = int(value.astype("int64"))
        return None if plain == _NAT else {TAG: "numpy", "type": value.dtype.name, "v": plain}
    if kind == "U":
        return encode_str(value)
    if kind == "S":
        return {TAG: "bytes", "v": base64.b64encode(value).decode()}
    raise Refused(f"a numpy scalar of dtype {value.dtype.name} cannot be kept in a state: convert it with .item()")


def _decode_numpy(tag: dict[str, JSON]) -> Any:
    """A moment or a duration of numpy, and other scalars as earlier versions kept them: of their own type.

    The plain value where numpy is not installed.
    """
    try:
        import numpy as np
    except ImportError:
        return tag["v"]
    name, value = tag["type"], tag["v"]
    if _NUMBER.fullmatch(name):
        return np.dtype(name).type(value)
    if _MOMENT.fullmatch(name):
        return np.array(value, dtype="int64").view(name)[()]
    if name in ("complex64", "complex128"):
        return np.array(complex(*value), dtype=name)[()]
    if name == "longdouble":
        return np.longdouble(value)
    if name == "clongdouble":
        result = np.zeros((), dtype=np.clongdouble)
        result.real, result.imag = (np.longdouble(part) for part in value)
        return result[()]
    if name == "str":
        return np.str_(value)
    if name == "bytes":
        return np.bytes_(base64.b64decode(value, validate=True))
    raise ValueError(name)


# ---------------------------------------------------------------- pandas


def _with_unit(tag: dict[str, JSON], value: Any) -> dict[str, JSON]:
    if value.unit != "ns":
        tag["unit"] = value.unit
    return tag


def _encode_timedelta(value: Any) -> JSON:
    return _with_unit({TAG: "pandas_timedelta", "v": value.as_unit("ns").value}, value)


def _encode_timestamp(value: Any) -> JSON:
    zone = value.tzinfo
    text = value.isoformat()
    suffix = moment_suffix(zone, value.fold)
    if not suffix and (key := getattr(zone, "zone", None)):  # a zone of pytz
        suffix = f"[{encode_str(key)}]"
    tag = _with_unit({TAG: "pandas_timestamp", "v": text + suffix}, value)
    if name := zone_name(zone):
        tag["zone"] = encode_str(name)
    return tag


def _decode_timestamp(tag: dict[str, JSON]) -> Any:
    """A Timestamp, or a datetime where pandas is not installed."""
    iso, zone, fold = split_moment(tag["v"])
    try:
        from pandas import Timestamp
    except ImportError:
        moment = datetime.fromisoformat(iso).replace(fold=fold)
        return moment if zone is None else moment.astimezone(zone)
    found: Any = Timestamp(iso)
    unit = tag.get("unit", "ns")
    if unit not in _RESOLUTIONS:
        raise ValueError(unit)
    found = found.as_unit(unit)
    if zone is not None:
        return found.tz_convert(zone)
    return found.tz_convert(named_zone(tag, found)) if "zone" in tag else found


def _decode_timedelta(tag: dict[str, JSON]) -> Any:
    """A Timedelta, or a timedelta where pandas is not installed."""
    if type(tag["v"]) is not int:
        raise TypeError(tag["v"])
    try:
        from pandas import Timedelta
    except ImportError:
        return timedelta(microseconds=tag["v"] // 1000)
    unit = tag.get("unit", "ns")
    if unit not in _RESOLUTIONS:
        raise ValueError(unit)
    return Timedelta(tag["v"], unit="ns").as_unit(unit)


READERS: Final = {
    "numpy": _decode_numpy,
    "pandas_timestamp": _decode_timestamp,
    "pandas_timedelta": _decode_timedelta,
}
