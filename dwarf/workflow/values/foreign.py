"""numpy scalars, and the refusal of what has no form of its own.

Nothing is imported to encode: whoever has such a value has imported its module.
"""

from __future__ import annotations

import base64
import re
import sys
from typing import Any, Final

from dwarf.workflow.jsontext import JSON
from dwarf.workflow.values.encoding import TAG, Refused, encode_float, encode_str

__all__ = ["decode_numpy", "encode_foreign"]

_NUMBER: Final = re.compile(r"bool|u?int\d+|float(?:16|32|64)")
_MOMENT: Final = re.compile(r"(?:datetime64|timedelta64)(?:\[[A-Za-z0-9]+\])?")

_NAT: Final = -(2**63)

_ADVICE: Final = {
    "DataFrame": "this frame cannot be kept in a state: convert it with .to_pandas() or .to_dicts()",
    "Series": "this series cannot be kept in a state: convert it with .to_pandas() or .to_list()",
    "Index": "an index cannot be kept in a state: convert it with .tolist()",
    "Timestamp": "a pandas Timestamp cannot be kept in a state: convert it with .to_pydatetime()",
    "Timedelta": "a pandas Timedelta cannot be kept in a state: convert it with .to_pytimedelta()",
    "NaTType": "NaT cannot be kept in a state: use None",
    "NAType": "pandas.NA cannot be kept in a state: use None",
}


def encode_foreign(value: Any, depth: int) -> JSON:
    """numpy scalars by their dtype; pandas' own scalars and other libraries' frames are refused with advice."""
    numpy = sys.modules.get("numpy")
    if isinstance(value, getattr(numpy, "generic", ())):
        return _encode_numpy(value)
    for base in type(value).__mro__:
        if base.__module__.partition(".")[0] in ("pandas", "polars") and base.__name__ in _ADVICE:
            raise Refused(_ADVICE[base.__name__])
    return NotImplemented


def _encode_numpy(value: Any) -> JSON:
    kind: str = value.dtype.kind
    name: str = value.dtype.name
    if kind in "biu":
        plain: JSON = value.item()
    elif kind == "f":
        plain = encode_float(float(value))  # also refuses what only a long double can hold
        if _NUMBER.fullmatch(name) is None:
            name, plain = "longdouble", str(value)
    elif kind == "c":
        parts = [_encode_numpy(part)["v"] for part in (value.real, value.imag)]
        name, plain = (name if name in ("complex64", "complex128") else "clongdouble"), parts
    elif kind in "mM":
        plain = int(value.astype("int64"))
        if plain == _NAT:
            raise Refused("NaT cannot be kept in a state: use None")
    elif kind == "U":
        name, plain = "str", encode_str(value)
    elif kind == "S":
        name, plain = "bytes", base64.b64encode(value).decode()
    else:
        raise Refused(f"a numpy scalar of dtype {name} cannot be kept in a state: convert it with .item()")
    return {TAG: "numpy", "type": name, "v": plain}


def decode_numpy(tag: dict[str, JSON]) -> Any:
    """The numpy scalar, or the plain value where numpy is not installed."""
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
