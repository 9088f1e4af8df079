"""Flows as lines of JSON text: the columns of a row that have a meaning in another database.

A line is an object with a member ``kind``. ``header`` comes first. A ``graph`` and a ``blob`` come before the lines
that refer to them. A tree consists of its ``flow`` lines, the root first and each flow after its parent, its ``step``
lines, the ``said`` and ``shown`` lines of its tasks, and ``end`` with the numbers of flows and steps. Ids are those of
the original database, and are valid within the tree only. Empty values and 0 are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Float, Integer, SmallInteger

from dwarf.storage.sql.tables import Payload, displays, flows, output, steps
from dwarf.workflow.jsontext import JSON, dumps

FORMAT: Final = "dwarf flows"
VERSION: Final = 1

# Columns that belong to the original database, or are derived from the graph.
_FLOW_OWN: Final = frozenset(
    "breakpoints token thread_id thread_token forked_from_step trace_parent delete_after_ms engine_id idempotency_key "
    "request_hash workflow_name".split()
)
_STEP_OWN: Final = frozenset("token task_url labels asleep lease_expires lease_seq crashes engine_id".split())
FLOW_COLUMNS: Final = tuple(column for column in flows.columns if column.name not in _FLOW_OWN)
STEP_COLUMNS: Final = tuple(column for column in steps.columns if column.name not in _STEP_OWN)

SAID_COLUMNS: Final = tuple(column for column in output.columns if column.name != "flow_id")
SHOWN_COLUMNS: Final = tuple(column for column in displays.columns if column.name not in ("display_id", "flow_id"))

_OBJECTS: Final = frozenset(
    {"baggage", "called", "data", "final_state", "interrupt", "refs", "changes", "state", "tags"}
)
_ARRAYS: Final = frozenset({"answers", "answered_by", "body", "progress", "warnings"})
_LATEST: Final = 253_370_764_800_000  # the year 9999: no time is later
_TIMES: Final = frozenset(
    "created_at started_at updated_at not_before interrupt_deadline began_at written_at shown_at".split()
)
# Readers of lines split texts there too, and JSON allows these characters within strings.
_BREAKS: Final = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class BadLine(Exception):
    """An invalid line. Its text says why."""


def header_line() -> str:
    """The first line."""
    return dumps({"kind": "header", "format": FORMAT, "version": VERSION})


def line_of(kind: str, columns: Sequence[Column[Any]], row: Mapping[str, Any]) -> str:
    """A row as a line."""
    plain: dict[str, JSON] = {"kind": kind}
    texts: dict[str, str] = {}
    for column in columns:
        value = row[column.name]
        if not value:
            continue
        if column.name in _OBJECTS or column.name in _ARRAYS:
            texts[column.name] = value
        else:
            plain[column.name] = value
    return line_with(plain, texts)


def line_with(plain: Mapping[str, JSON], texts: Mapping[str, str]) -> str:
    """A line with members that are JSON texts already."""
    parts = [dumps(plain)[:-1], *(f',"{name}":{text}' for name, text in texts.items()), "}"]
    line = "".join(parts)
    for character, escape in _BREAKS.items():
        if character in line:
            line = line.replace(character, escape)
    return line


def read_columns(columns: Sequence[Column[Any]], line: Mapping[str, JSON]) -> dict[str, Any]:
    """The values of a line by column. Those of JSON columns are objects and arrays. BadLine."""
    return {column.name: _checked(column, line.get(column.name)) for column in columns}


def _checked(column: Column[Any], value: JSON) -> Any:
    name, kind = column.name, column.type
    if name in _OBJECTS:
        return _typed(name, value if value is not None else {}, dict, "an object")
    if name in _ARRAYS:
        return _typed(name, value if value is not None else [], list, "an array")
    if isinstance(kind, Float):
        number = _typed(name, value if value is not None else 0.0, (int, float), "a number")
        if not 0 <= number < 1e300 or not isfinite(number):
            raise BadLine(f"{name!r} is out of range")
        return float(number)
    if isinstance(kind, Integer):
        number = _typed(name, value if value is not None else 0, int, "a whole number")
        most = 1 if isinstance(kind, SmallInteger) else 2**63 - 1 if isinstance(kind, BigInteger) else 2**31 - 1
        if not 0 <= number <= (_LATEST if name in _TIMES else most):
            raise BadLine(f"{name!r} is out of range")
        return number
    text = _typed(name, value if value is not None else "", str, "a string")
    length = None if isinstance(kind, Payload) else getattr(kind, "length", None)
    if length is not None and len(text) > length:
        raise BadLine(f"{name!r} has more than {length} characters")
    return text


def _typed(name: str, value: JSON, kind: Any, wanted: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadLine(f"{name!r} is {wanted}, not {type(value).__name__}")
    return value
