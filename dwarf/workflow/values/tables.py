"""numpy arrays in npy form, pandas Series and DataFrames in Arrow IPC form.

The bytes stand in the tagged value as base64 text; storage keeps large values apart from the rows. Nothing is imported
to encode an array or a frame but what reads it, and pickle is never used.
"""

from __future__ import annotations

import base64
import io
import sys
from importlib.util import find_spec
from typing import Any, Final

from dwarf.errors import StateError
from dwarf.workflow.jsontext import JSON
from dwarf.workflow.values.encoding import TAG, Refused

__all__ = ["READERS", "encode_table"]

_INSTALL: Final = 'pip install "dwarf[notebook]"'


def encode_table(value: Any, depth: int) -> JSON:
    """An array, a series or a frame; NotImplemented for anything else."""
    del depth
    numpy = sys.modules.get("numpy")
    if isinstance(value, getattr(numpy, "ndarray", ())):
        return _encode_array(value, numpy)
    pandas = sys.modules.get("pandas")
    if isinstance(value, getattr(pandas, "DataFrame", ())):
        return {TAG: "frame", "v": _arrow(value, "frame")}
    if isinstance(value, getattr(pandas, "Series", ())):
        series: Any = value
        return {TAG: "series", "name": _name(series.name), "v": _arrow(series.to_frame("value"), "series")}
    return NotImplemented


def _encode_array(value: Any, numpy: Any) -> JSON:
    if type(value) is not numpy.ndarray:
        raise Refused(f"a {type(value).__name__} cannot be kept in a state: make it a plain array first")
    buffer = io.BytesIO()
    try:
        numpy.save(buffer, value, allow_pickle=False)
    except ValueError:
        raise Refused("an array of Python objects cannot be kept in a state: convert it with .tolist()") from None
    return {TAG: "array", "v": base64.b64encode(buffer.getvalue()).decode()}


def _decode_array(tag: dict[str, JSON]) -> Any:
    import numpy as np

    return np.load(io.BytesIO(base64.b64decode(tag["v"], validate=True)), allow_pickle=False)


def _arrow(frame: Any, what: str) -> str:
    try:
        import pyarrow as pa
    except ImportError:
        raise Refused(f"a {what} needs pyarrow to be kept in a state: {_INSTALL}") from None
    try:
        table = pa.Table.from_pandas(frame, preserve_index=True)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        data = sink.getvalue().to_pybytes()
        same = frame.equals(_read_arrow(data))
    except (pa.ArrowException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(f"this {what} has no Arrow form ({error}): make its columns of one plain type each") from None
    if not same:
        raise Refused(
            f"this {what} does not come back equal from its Arrow form: make its columns of one plain type each"
        )
    return base64.b64encode(data).decode()


def _read_arrow(data: bytes) -> Any:
    import pyarrow as pa

    return pa.ipc.open_file(pa.BufferReader(data)).read_all().to_pandas()


def _decode_frame(tag: dict[str, JSON]) -> Any:
    return _read_arrow(_bytes(tag))


def _decode_series(tag: dict[str, JSON]) -> Any:
    series = _read_arrow(_bytes(tag))["value"]
    series.name = tag.get("name")
    return series


def _bytes(tag: dict[str, JSON]) -> bytes:
    missing = [name for name in ("pandas", "pyarrow") if find_spec(name) is None]
    if missing:
        raise StateError(f"this value is a table and needs {' and '.join(missing)} to be read: {_INSTALL}")
    return base64.b64decode(tag["v"], validate=True)


def _name(name: Any) -> JSON:
    if name is None or isinstance(name, str) or type(name) is int:
        return name
    raise Refused(f"a series whose name is a {type(name).__name__} cannot be kept in a state: rename it")


READERS: Final = {"array": _decode_array, "frame": _decode_frame, "series": _decode_series}
