"""What are the rows of a table, one at a time? States for flows, read lazily, in plain Python values."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sized
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from dwarf.errors import InvalidRequest, StateError
from dwarf.workflow.typeforms import fields_of
from dwarf.workflow.values import to_json

__all__ = ["MapRow", "Rows", "plain_value"]

_PLAIN = frozenset({str, int, bool, type(None)})


class MapRow(NamedTuple):
    """A row: its position from 0, its state, and why it cannot be one (then the state is empty)."""

    position: int
    state: Mapping[str, Any]
    error: str = ""


class Rows:
    """The rows of a DataFrame, or the items of an iterable of mappings.

    ``total`` is None where it is not known beforehand, ``index`` that of the frame, ``inputs`` the names of all fields
    met so far. A frame is copied, so that it may be changed while its rows are read.
    """

    def __init__(self, source: Any) -> None:
        self.index: Any = None
        self.inputs: set[str] = set()
        self.total: int | None = None
        pandas = sys.modules.get("pandas")
        if pandas is not None and isinstance(source, pandas.DataFrame):
            frame = source.copy()
            names = _column_names(frame.columns)
            self.index, self.total, self.inputs = frame.index, len(frame), set(names)
            items: Iterable[Any] = (dict(zip(names, row, strict=True)) for row in _tuples(frame))
        elif isinstance(source, (str, bytes, Mapping)) or not isinstance(source, Iterable):
            raise InvalidRequest(
                f"map takes a DataFrame or an iterable of mappings, one for each flow, not a {type(source).__name__}"
            )
        else:
            items = source
            self.total = len(source) if isinstance(source, Sized) else None
        self._items = enumerate(items)

    def take(self, count: int) -> list[MapRow]:
        """The next rows, at most ``count``; none at the end. InvalidRequest for an item that is no mapping."""
        return [self._row(position, item) for position, item in islice(self._items, count)]

    def _row(self, position: int, item: Any) -> MapRow:
        fields = fields_of(item)
        if fields is None:
            raise InvalidRequest(
                f"item {position} is of type {type(item).__name__}; each item must be a mapping of fields, such as "
                f"{{'x': ...}}; a Series becomes a frame by .to_frame()"
            )
        state: dict[str, Any] = {}
        try:
            for name, value in fields.items():
                state[name] = plain_value(value)
                to_json(state[name], field=name)
        except StateError as fault:
            return MapRow(position, {}, f"{type(fault).__name__}: {fault}")
        if self.index is None:
            self.inputs.update(state)
        return MapRow(position, state)


def _column_names(columns: Any) -> list[str]:
    names = [".".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidRequest(f"columns become fields of the state, but these names stand twice: {', '.join(twice)}")
    return names


def _tuples(frame: Any) -> Iterator[tuple[Any, ...]]:
    if len(frame.columns):
        yield from frame.itertuples(index=False, name=None)
    else:
        yield from (() for _ in range(len(frame)))


def plain_value(value: Any) -> Any:
    """A value of a table as a state keeps it: whatever stands for a missing one (NaN, NaT, pandas.NA) becomes None.

    Periods, intervals and categories become their text. Lists, tuples and mappings are converted throughout; anything
    else is given back as it is, for the state knows what it means.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return kind(map(plain_value, value))
    if kind is dict:
        return {name: plain_value(part) for name, part in value.items()}
    if isinstance(value, Decimal):
        return None if value.is_nan() else value
    return _plain_foreign(value)


def _plain_foreign(value: Any) -> Any:
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and isinstance(value, numpy.generic):
        missing = numpy.isnat(value) if value.dtype.kind in "mM" else value.dtype.kind == "f" and numpy.isnan(value)
        return None if missing else value
    if pandas is None:
        return value
    if value is pandas.NaT or value is pandas.NA:
        return None
    return str(value) if isinstance(value, (pandas.Period, pandas.Interval)) else value
