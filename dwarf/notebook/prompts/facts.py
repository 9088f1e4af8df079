"""What does a question tell its reader besides its title? Whole, since it is what they approve of.

Each fact is plain data for any front end: ``{"name", "kind", ...}`` with, by kind, a ``text`` (line breaks and all), a
``value`` to unfold as a tree of JSON, ``columns`` and ``rows`` of a table, a ``view`` of a display, the ``lines`` of a
difference, each with its sign, or the views ``before`` and ``after``; a description is ``html`` of harmless tags. Where
something is too large for a page, ``more`` says what is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import unified_diff
from math import isnan
from typing import Any, TypeAlias

from dwarf.errors import StateError
from dwarf.notebook.bundles import markdown_html, view_of
from dwarf.workflow.output import Display
from dwarf.workflow.schemas import plain
from dwarf.workflow.schemas.tables import is_table

__all__ = ["facts_of", "text_of"]

Fact: TypeAlias = dict[str, Any]

LONGEST_TEXT = 200_000  # characters
MOST_ROWS = 500
MOST_COLUMNS = 60
MOST_LEAVES = 4_000  # of a tree
MOST_LINES = 2_000  # of a difference
_SHORT = 60  # characters of JSON that are text enough
_LONGEST_CELL = 2_000

_TOLD_APART = frozenset({"title", "schema", "default", "description", "help"})
_OF_TABLE = frozenset({"table", "editable", "rows"})  # which the form shows


def facts_of(payload: Mapping[str, Any]) -> list[Fact]:
    """The facts of a payload: its description first, without a name, then whatever the form does not show."""
    about = payload.get("description") or payload.get("help")
    told = [_about(about)] if about else []
    hidden = _TOLD_APART | (_OF_TABLE if is_table(payload.get("schema")) else frozenset())
    for name, value in payload.items():
        if name in hidden:
            continue
        parts = value if isinstance(value, list) and any(isinstance(part, Display) for part in value) else [value]
        told += [_fact(name if place == 0 else "", part) for place, part in enumerate(parts)]
    return told


def _about(about: Any) -> Fact:
    """The description, which is Markdown."""
    if not isinstance(about, str) or len(about) > LONGEST_TEXT:
        return _fact("", about)
    return {"name": "", "kind": "rich", "html": markdown_html(about), "text": about}


def _change(name: str, before: Any, after: Any) -> Fact:
    """What has changed between two values: pictures side by side, anything else line by line."""
    if isinstance(before, Display) or isinstance(after, Display):
        views = [view_of(each.data) if isinstance(each, Display) else _view_of(each) for each in (before, after)]
        return {"name": name, "kind": "pair", "before": views[0], "after": views[1]}
    old, new = (_lines_of(each) for each in (before, after))
    lines = list(unified_diff(old, new, lineterm="", n=3))[2:]  # without the names of files
    shown = [["@" if line.startswith("@@") else line[:1], line[1:]] for line in lines[:MOST_LINES]]
    fact = {"name": name, "kind": "change", "lines": shown}
    left = len(lines) - len(shown)
    return fact | {"more": f"… {left:,} more lines"} if left > 0 else fact


def _lines_of(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.splitlines()
    table = _frame(value) if type(value).__module__.partition(".")[0] == "pandas" else _records(value)
    if table is not None:
        return [" | ".join(row) for row in [table["columns"], *table["rows"]]]
    try:
        return json.dumps(plain(value), ensure_ascii=False, indent=1).splitlines()
    except StateError:
        return str(value).splitlines()


def _view_of(value: Any) -> dict[str, str]:
    return {"kind": "text", "text": "\n".join(_lines_of(value))}


def text_of(fact: Fact) -> str:
    """A fact in words, for searching and for pages without scripts."""
    if fact["kind"] in ("text", "rich"):
        text = str(fact["text"])
    elif fact["kind"] == "view":
        text = str(fact["view"].get("text") or fact["view"].get("alt") or "a display")
    elif fact["kind"] == "change":
        text = "\n".join(f"{sign}{line}" for sign, line in fact["lines"])
    elif fact["kind"] == "pair":
        text = "before and after"
    elif fact["kind"] == "table":
        text = "\n".join(" | ".join(row) for row in [fact["columns"], *fact["rows"]])
    else:
        text = json.dumps(fact["value"], ensure_ascii=False, indent=1)
    return f"{text}\n{fact['more']}" if fact.get("more") else text


def _fact(name: str, value: Any) -> Fact:
    if isinstance(value, str):
        return _text(name, value)
    if isinstance(value, Display):
        return {"name": name, "kind": "view", "view": view_of(value.data)}
    if isinstance(value, Mapping) and set(value) == {"before", "after"}:
        return _change(name, value["before"], value["after"])
    table = _frame(value) if type(value).__module__.partition(".")[0] == "pandas" else _records(value)
    if table is not None:
        return {"name": name, "kind": "table", **table}
    try:
        value = plain(value)
    except StateError:
        return _text(name, str(value))
    if not isinstance(value, (dict, list)):
        return _text(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    leaves, text = _leaves(value), json.dumps(value, ensure_ascii=False)
    if len(text) <= _SHORT or leaves > MOST_LEAVES:
        return _text(name, text)
    return {"name": name, "kind": "tree", "value": value}


def _text(name: str, text: str) -> Fact:
    more = len(text) - LONGEST_TEXT
    fact = {"name": name, "kind": "text", "text": text[:LONGEST_TEXT]}
    return fact | {"more": f"… {more:,} more characters"} if more > 0 else fact


def _leaves(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_leaves, value.values()))
    return 1 + sum(map(_leaves, value)) if isinstance(value, list) else 1


def _records(value: Any) -> dict[str, Any] | None:
    """A list of mappings as a table."""
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(row, Mapping) for row in value):
        return None
    columns = list(dict.fromkeys(str(name) for row in value[:MOST_ROWS] for name in row))
    rows = [[_cell(row.get(name, "")) for name in columns[:MOST_COLUMNS]] for row in value[:MOST_ROWS]]
    return _table(columns, rows, len(value))


def _frame(value: Any) -> dict[str, Any] | None:
    """A DataFrame or a Series as a table, its index where it says more than the number of the row."""
    frame = value.to_frame() if hasattr(value, "to_frame") and not hasattr(value, "columns") else value
    if not hasattr(frame, "columns"):
        return None
    head = frame.head(MOST_ROWS).iloc[:, :MOST_COLUMNS]
    names = [str(name) for name in frame.columns]
    rows = [[_cell(cell) for cell in row] for row in head.itertuples(index=False, name=None)]
    if type(frame.index).__name__ != "RangeIndex":
        names = [str(frame.index.name or ""), *names]
        rows = [[_cell(label), *row] for label, row in zip(head.index, rows, strict=True)]
    return _table(names, rows, len(frame))


def _table(columns: Sequence[str], rows: list[list[str]], count: int) -> dict[str, Any]:
    left = []
    if count > len(rows):
        left.append(f"{count - len(rows):,} more rows")
    if len(columns) > MOST_COLUMNS:
        left.append(f"{len(columns) - MOST_COLUMNS:,} more columns")
    table = {"columns": list(columns[:MOST_COLUMNS]), "rows": [row[:MOST_COLUMNS] for row in rows]}
    return table | {"more": f"… {' and '.join(left)}"} if left else table


def _cell(value: Any) -> str:
    if isinstance(value, str):
        text = value
    elif value is None or (isinstance(value, float) and isnan(value)) or type(value).__name__ in ("NaTType", "NAType"):
        text = ""  # missing, as tables have it
    elif isinstance(value, (Mapping, list, tuple)):
        try:
            text = json.dumps(plain(value), ensure_ascii=False)
        except StateError:
            text = str(value)
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
