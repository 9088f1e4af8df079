"""numpy arrays in npy form, pandas Series and DataFrames in Arrow IPC form.

The bytes stand in the tagged value as base64 text; storage keeps large values apart from the rows. Nothing is imported
to encode an array or a frame but what reads it, and pickle is never used. What Arrow has no equal form for stands in
the member ``how`` of the tag, see ``frames``.

Reading trusts no length that is written in the bytes: it allocates no more than they hold.
"""

from __future__ import annotations

import base64
import io
import logging
import math
import sys
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

from dwarf.workflow.jsontext import JSON
from dwarf.workflow.values.arrow import is_compressed, items_in
from dwarf.workflow.values.encoding import TAG, Refused, encode
from dwarf.workflow.values.frames import assemble, disassemble, same_frame

__all__ = ["READERS", "encode_table"]

_INSTALL: Final = 'pip install "dwarf[notebook]"'
_MAGIC: Final = 8  # bytes at the head of an Arrow file
_EMPTY_ROWS: Final = 1_000_000  # rows that a frame may have beyond one for each bit of its bytes


def encode_table(value: Any, depth: int) -> JSON:
    """An array, a series or a frame; NotImplemented for anything else."""
    numpy = sys.modules.get("numpy")
    if isinstance(value, getattr(numpy, "ndarray", ())):
        return _encode_array(value, numpy)
    pandas = sys.modules.get("pandas")
    if isinstance(value, getattr(pandas, "DataFrame", ())):
        return _encode_frame(value, "frame", {TAG: "frame"})
    if isinstance(value, getattr(pandas, "Series", ())):
        series: Any = value
        name = encode(series.name, depth + 1)
        return _encode_frame(series.to_frame("value"), "series", {TAG: "series", "name": name})
    return NotImplemented


# ---------------------------------------------------------------- arrays


def _encode_array(value: Any, numpy: Any) -> JSON:
    if type(value) is not numpy.ndarray:
        raise Refused(f"a {type(value).__name__} cannot be kept in a state: make it a plain array first")
    buffer = io.BytesIO()
    try:
        numpy.save(buffer, value, allow_pickle=False)
    except ValueError:
        raise Refused("an array of Python objects cannot be kept in a state: convert it with .tolist()") from None
    tag: dict[str, JSON] = {TAG: "array", "v": base64.b64encode(buffer.getvalue()).decode()}
    if value.ndim == 0 and value.dtype.kind not in "cV":
        tag["item"] = encode(value[()], 0)  # for conditions and reducers, to which it is a number
    return tag


def _decode_array(tag: dict[str, JSON]) -> Any:
    _need("numpy")
    import numpy as np
    from numpy.lib import format as npy

    stream = io.BytesIO(_bytes(tag))
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(stream)]
    shape, fortran, dtype = read(stream)
    data = stream.read()
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) or min(shape, default=0) < 0:
        raise ValueError("the header does not fit the array")
    flat = np.frombuffer(data, dtype=dtype) if dtype.itemsize and data else np.zeros(_empty(shape), dtype)
    return flat.reshape(shape, order="F" if fortran else "C").copy(order="K")


def _empty(shape: tuple[int, ...]) -> int:
    """The number of elements that have no bytes."""
    count = math.prod(shape)
    if count > _EMPTY_ROWS:
        raise ValueError("the header does not fit the array")
    return count


# ---------------------------------------------------------------- frames


def _encode_frame(frame: Any, what: str, tag: dict[str, JSON]) -> JSON:
    try:
        import pyarrow as pa
    except ImportError:
        raise Refused(f"a {what} needs pyarrow to be kept in a state: {_INSTALL}") from None
    plain, how = disassemble(frame)
    try:
        table = pa.Table.from_pandas(plain, preserve_index=True)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        data = sink.getvalue().to_pybytes()
        same = same_frame(frame, assemble(_read_arrow(data), how), how)
    except (pa.ArrowException, ValueError, TypeError, LookupError, AttributeError) as error:
        raise Refused(f"this {what} has no Arrow form ({error}): make its columns of one plain type each") from None
    if not same:
        raise Refused(
            f"this {what} does not come back equal from its Arrow form: make its columns of one plain type each, and "
            "its index and the names of its columns texts or numbers"
        )
    tag["v"] = base64.b64encode(data).decode()
    if how:
        tag["how"] = how
    return tag


def _read_arrow(data: bytes) -> Any:
    import pyarrow as pa

    # An Arrow file is its magic number, a stream, and a footer that says where the parts of the stream are. The stream
    # is read: what was looked at part by part is what is read then, whatever a footer says.
    stream = pa.py_buffer(data)[_MAGIC:]
    for message in pa.ipc.MessageReader.open_stream(stream):
        if is_compressed(message.metadata.to_pybytes()):
            raise ValueError("the frame is compressed")  # we write none that is, and few bytes may stand for very many
    with pa.ipc.open_stream(stream) as reader:
        table = reader.read_all()
    table.validate(full=True)
    room = 8 * len(data) + _EMPTY_ROWS
    for column in table.columns:
        room_left = room
        for chunk in column.chunks:
            room_left -= items_in(chunk)
        if room_left < 0:
            raise ValueError("the frame has more items than bytes for them")
    return table.to_pandas()


def _decode_frame(tag: dict[str, JSON]) -> Any:
    _need("pandas", "pyarrow")
    return assemble(_read_arrow(_bytes(tag)), tag.get("how"))


def _decode_series(tag: dict[str, JSON]) -> Any:
    from dwarf.workflow.values.decoding import decode

    series = _decode_frame(tag)["value"]
    series.name = decode(tag.get("name"))
    return series


def _need(*names: str) -> None:
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        _say_missing(" and ".join(missing))
        raise ValueError(missing)


@cache
def _say_missing(names: str) -> None:
    logging.getLogger("dwarf").warning(
        "an array, a series or a frame was read where %s is not installed: it is given as it is stored; %s",
        names,
        _INSTALL,
    )


def _bytes(tag: dict[str, JSON]) -> bytes:
    return base64.b64decode(tag["v"], validate=True)


READERS: Final = {"array": _decode_array, "frame": _decode_frame, "series": _decode_series}
