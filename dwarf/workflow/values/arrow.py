"""How much an Arrow stream would become, told from what it holds before anything is made of it.

A forged frame may be small and ask for gigabytes: by compressed buffers, or by types in which many items share the same
bytes. Frames that are kept here have neither.
"""

from __future__ import annotations

import struct
from typing import Any, Final

__all__ = ["is_compressed", "items_in"]

_DICTIONARY_BATCH: Final = 2  # the numbers of the union MessageHeader in Arrow's Message.fbs
_RECORD_BATCH: Final = 3


def is_compressed(metadata: bytes) -> bool:
    """Whether the buffers of a message are compressed. ``metadata``: its flatbuffer. struct.error for what is none.

    pyarrow tells it of a message only by reading it, which allocates what the buffers say they become.
    """
    message = _Table(metadata, *struct.unpack_from("<I", metadata))
    kind_at, header_at = message.field(1), message.field(2)
    if not kind_at or not header_at:
        return False
    kind = metadata[kind_at]
    header = message.table(header_at)
    if kind == _DICTIONARY_BATCH:
        batch_at = header.field(1)
        if not batch_at:
            return False
        header, kind = header.table(batch_at), _RECORD_BATCH
    return kind == _RECORD_BATCH and header.field(3) != 0


class _Table:
    """A table of a flatbuffer: https://flatbuffers.dev/internals/."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        self._start = start
        (back,) = struct.unpack_from("<i", data, start)
        self._names = start - back
        (self._size,) = struct.unpack_from("<H", data, self._names)

    def field(self, number: int) -> int:
        """The position of a field, or 0 if it is absent."""
        at = 4 + 2 * number
        if at + 2 > self._size:
            return 0
        (offset,) = struct.unpack_from("<H", self._data, self._names + at)
        return self._start + offset if offset else 0

    def table(self, at: int) -> _Table:
        """The table that a field refers to."""
        (offset,) = struct.unpack_from("<I", self._data, at)
        return _Table(self._data, at + offset)


def items_in(array: Any) -> int:
    """The number of items of an array, those of inner arrays included. ValueError where items may share their bytes."""
    import pyarrow as pa

    is_a, count = pa.types, len(array)
    if isinstance(array, pa.ExtensionArray):
        return items_in(array.storage)
    kind = array.type
    if is_a.is_dictionary(kind):
        return count + items_in(array.dictionary)
    if is_a.is_struct(kind):
        return count + sum(items_in(array.field(number)) for number in range(kind.num_fields))
    if is_a.is_fixed_size_list(kind):
        return count * (1 + int(kind.list_size)) + items_in(array.values)
    if is_a.is_list(kind) or is_a.is_large_list(kind):
        return count + items_in(array.values)
    if is_a.is_map(kind):
        return count + items_in(array.keys) + items_in(array.items)
    if is_a.is_primitive(kind) or is_a.is_null(kind) or is_a.is_decimal(kind) or any(of(kind) for of in _texts(is_a)):
        return count
    raise ValueError(f"an array of {kind} is not kept")


def _texts(is_a: Any) -> tuple[Any, ...]:
    return is_a.is_string, is_a.is_large_string, is_a.is_binary, is_a.is_large_binary, is_a.is_fixed_size_binary
