"""What Arrow would lose of a frame, taken out of it before and put back behind.

``how`` is a JSON object, empty for most frames. Columns are named by their positions in it, as texts:

* ``columns``: the labels, where they are not texts that differ: ``labels``, and ``names`` of their levels;
* ``json``: columns of Python objects of several kinds, of lists or of mappings, which are stored as JSON texts;
* ``sparse``: the dtype and the fill value of columns that are stored dense;
* ``zones``: offset in seconds and name of fixed time zones; ``index_zone`` is that of the index;
* ``freq``: the frequency of the index.
"""

from __future__ import annotations

from datetime import date, timedelta, timezone
from decimal import Decimal
from typing import Any

from dwarf.workflow.jsontext import JSON, dumps, loads
from dwarf.workflow.values.decoding import decode
from dwarf.workflow.values.encoding import Refused, encode
from dwarf.workflow.values.stdlib import zone_name

__all__ = ["assemble", "disassemble", "same_frame"]

_ARROW: tuple[set[type], ...] = ({str}, {bytes}, {date}, {Decimal}, set())
"""The types of the objects in a column that Arrow keeps as they are, if they are all of one."""


def disassemble(frame: Any) -> tuple[Any, dict[str, JSON]]:
    """A frame that Arrow can keep, and how the given one is made of it. Refused. The given one is not changed."""
    how: dict[str, JSON] = {}
    plain = frame.copy(deep=False)
    labels = list(frame.columns)
    texts = all(type(label) is str for label in labels) and len(set(labels)) == len(labels)
    if not texts and not _numbered(frame.columns):
        how["columns"] = {"labels": encode(labels, 0), "names": encode(list(frame.columns.names), 0)}
        plain.columns = [str(position) for position in range(len(labels))]
    for position in range(len(labels)):
        column = frame.iloc[:, position]
        stored = _stored(column, str(position), how)
        if stored is not None:
            plain.isetitem(position, stored)
    index = frame.index
    if getattr(index, "freq", None) is not None and not hasattr(index, "start_time"):  # a period has its own
        how["freq"] = index.freq.freqstr
    if name := zone_name(getattr(index, "tz", None)):
        how["index_zone"] = [index.tz.utcoffset(None).total_seconds(), name]
    return plain, how


def _numbered(columns: Any) -> bool:
    """Whether the columns have no names but their numbers, which Arrow keeps."""
    return type(columns).__name__ == "RangeIndex" and (columns.start, columns.step) == (0, 1) and columns.name is None


def _stored(column: Any, position: str, how: dict[str, Any]) -> Any:
    """The column as it is to be stored, or None for as it is."""
    dtype = column.dtype
    if dtype.kind == "c":
        raise Refused("a column of complex numbers cannot be kept in a state: keep its .real and .imag")
    if type(dtype).__name__ == "SparseDtype":
        how.setdefault("sparse", {})[position] = [str(dtype.subtype), encode(dtype.fill_value, 0)]
        return column.sparse.to_dense()
    if name := zone_name(getattr(dtype, "tz", None)):
        how.setdefault("zones", {})[position] = [dtype.tz.utcoffset(None).total_seconds(), name]
    elif (
        dtype.kind == "O"
        and dtype.name == "object"
        and {type(item) for item in column if item is not None} not in _ARROW
    ):
        how.setdefault("json", []).append(position)
        texts = []
        for row, item in enumerate(column):
            try:
                texts.append(dumps(encode(item, 0)))
            except Refused as refusal:
                refusal.path.append(f"[{row}]")
                refusal.path.append(f"[{column.name!r:.60}]")
                raise
        return type(column)(texts, index=column.index, dtype=object)
    return None


def assemble(frame: Any, how: JSON) -> Any:
    """The frame that was disassembled. Any error for a ``how`` that does not fit."""
    if not how:
        return frame
    import numpy as np
    import pandas as pd

    for position in how.get("json", ()):
        items = [decode(loads(text)) for text in frame.iloc[:, int(position)]]
        values = np.empty(len(items), dtype=object)
        for row, item in enumerate(items):
            values[row] = item
        column = pd.Series(values, index=frame.index, dtype=object)
        for row, item in enumerate(items):
            if values[row] is not item:  # numpy takes out the element of an array without dimensions
                column.iat[row] = item  # and pandas that of any array with one element
        frame.isetitem(int(position), column)
    for position, (subtype, fill) in how.get("sparse", {}).items():
        dtype = pd.SparseDtype(subtype, decode(fill))
        frame.isetitem(int(position), frame.iloc[:, int(position)].astype(dtype))
    for position, zone in how.get("zones", {}).items():
        frame.isetitem(int(position), frame.iloc[:, int(position)].dt.tz_convert(_zone(zone)))
    if "columns" in how:
        labels, names = decode(how["columns"]["labels"]), decode(how["columns"]["names"])
        if len(names) > 1:
            frame.columns = pd.MultiIndex.from_tuples(labels, names=names)
        else:
            frame.columns = pd.Index(labels, name=names[0], tupleize_cols=False)
    if "index_zone" in how:
        frame.index = frame.index.tz_convert(_zone(how["index_zone"]))
    if "freq" in how:
        frame.index.freq = how["freq"]
    return frame


def _zone(told: JSON) -> timezone:
    seconds, name = told
    return timezone(timedelta(seconds=seconds), name)


def same_frame(frame: Any, back: Any, how: JSON) -> bool:
    """Whether a frame has come back. Columns of JSON texts are exact by themselves."""
    ours = {int(position) for position in how.get("json", ())}
    others = [position for position in range(len(frame.columns)) if position not in ours]
    index, other = frame.index, back.index
    return (
        list(frame.dtypes) == list(back.dtypes)
        and frame.columns.equals(back.columns)
        and list(frame.columns.names) == list(back.columns.names)
        and index.equals(other)
        and list(index.names) == list(other.names)
        and getattr(index, "freq", None) == getattr(other, "freq", None)
        and bool(frame.iloc[:, others].equals(back.iloc[:, others]))
    )
