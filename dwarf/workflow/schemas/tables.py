"""Tables that are asked about: ``{"table": <frame or rows>, "editable": [columns] | True, "rows": "fixed" | "add"}``.

What goes over the wire as an answer is a list of rows, each a JSON object, so that every door can give one. The task
gets what it has given: a DataFrame with the types of its columns, or a list of mappings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Final, TypeAlias

from dwarf.errors import InvalidRequest, StateError
from dwarf.workflow.schemas.types import plain
from dwarf.workflow.values import TAG, from_json

JSON: TypeAlias = Any

MARK: Final = "x-table"
"""In the schema of such a question: what stands in a column, by its name."""
MOST_ROWS: Final = 50_000
_MIDNIGHT: Final = time()
_MOMENT: Final = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"


class Table:
    """A table that is asked about, and how its answer is read."""

    def __init__(self, given: Any, editable: Any, rows: Any) -> None:
        """From the members of a payload. InvalidRequest, in words, for what cannot be edited."""
        self.given = given
        self.is_frame = hasattr(given, "columns") and hasattr(given, "iloc")
        self.labels = _labels(given, self.is_frame)
        self.names = [str(label) for label in self.labels]
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise InvalidRequest(f"a table to edit needs columns of different names; these stand twice: {twice}")
        if rows not in ("fixed", "add", None):
            raise InvalidRequest(f'rows is "fixed" or "add", not {rows!r}')
        self.adds = rows == "add"
        if editable is True:
            self.editable = list(self.names)
        elif isinstance(editable, (list, tuple, set, frozenset)):
            self.editable = [name for name in self.names if name in {str(each) for each in editable}]
            unknown = sorted({str(each) for each in editable} - set(self.names))
            if unknown:
                raise InvalidRequest(f"editable names columns that the table has not: {unknown}")
        else:
            raise InvalidRequest("editable is a list of columns, or True for all of them")
        if len(given) > MOST_ROWS:
            raise InvalidRequest(f"a table to edit has at most {MOST_ROWS:,} rows, not {len(given):,}")
        self.rows = rows_of(given, self.labels)

    def schema(self) -> dict[str, JSON]:
        """The schema that an answer has to fit."""
        kinds = {name: self._kind(place) for place, name in enumerate(self.names)}
        properties = {name: _schema_of(kind) for name, kind in kinds.items()}
        schema: dict[str, JSON] = {
            "type": "array",
            "items": {"type": "object", "properties": properties, "additionalProperties": False},
            "maxItems": MOST_ROWS if self.adds else len(self.rows),
            MARK: kinds,
        }
        if not self.adds:
            schema["minItems"] = len(self.rows)
            schema["items"]["required"] = self.editable
        return schema

    def _kind(self, place: int) -> dict[str, JSON]:
        values = [row[place] for row in self.rows]
        empty = any(value is None for value in values)
        known = [value for value in values if value is not None]
        if self.is_frame:
            dtype = self.given.dtypes.iloc[place]
            if hasattr(dtype, "categories"):
                return {"kind": "choice", "options": [_cell(each) for each in dtype.categories], "nullable": True}
            kind = {"b": "boolean", "i": "integer", "u": "integer", "f": "number", "M": "datetime"}.get(dtype.kind)
            if kind is not None:
                is_plain = type(dtype).__module__.startswith("numpy")
                return {"kind": kind, "nullable": kind in ("number", "datetime") or not is_plain}
        for kind, types in _KINDS:
            if known and all(type(value) in types for value in known):
                return {"kind": kind, "nullable": empty or kind == "text"}
        return {"kind": "any" if known else "text", "nullable": True}

    def read(self, value: Any) -> Any:
        """An answer in the form for the task. StateError for an invalid one."""
        if self.is_frame and hasattr(value, "iloc"):
            return value
        rows = rows_of(value, self.labels) if isinstance(value, (list, tuple)) else None
        if rows is None:
            raise StateError(f"the answer is a list of rows, not {type(value).__name__}")
        if not self.adds:
            if len(rows) != len(self.rows):
                raise StateError(f"the table has {len(self.rows)} rows, and the answer {len(rows)}")
            fixed = [place for place, name in enumerate(self.names) if name not in self.editable]
            for row, own in zip(rows, self.rows, strict=True):
                for place in fixed:
                    row[place] = own[place]
        if not self.is_frame:
            return [dict(zip(self.labels, row, strict=True)) for row in rows]
        return self._frame(rows)

    def _frame(self, rows: Sequence[Sequence[Any]]) -> Any:
        import pandas as pd

        columns = []
        for place, label in enumerate(self.labels):
            dtype = self.given.dtypes.iloc[place]
            values = [row[place] for row in rows]
            try:
                if getattr(dtype, "kind", "") == "M":
                    column = pd.Series(pd.to_datetime(values, format="ISO8601")).astype(dtype)
                else:
                    column = pd.Series(values, dtype=dtype)
            except (TypeError, ValueError) as error:
                raise StateError(f"the column {label!r} is of {dtype}: {error}") from None
            columns.append(column)
        frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(len(rows)))
        frame.columns = self.given.columns
        if not self.adds:
            frame.index = self.given.index
        return frame


_KINDS: Final = (("boolean", (bool,)), ("integer", (int,)), ("number", (int, float)), ("text", (str,)))


def table_in(fields: Mapping[str, Any]) -> Table | None:
    """The table that a payload asks about, if it does. InvalidRequest."""
    if "table" not in fields or "editable" not in fields or fields.get("schema") is not None:
        return None
    return Table(fields["table"], fields["editable"], fields.get("rows"))


def is_table(schema: object) -> bool:
    """Whether a schema is that of a table to edit."""
    return isinstance(schema, Mapping) and isinstance(schema.get(MARK), Mapping)


def as_rows(value: Any, schema: Mapping[str, JSON]) -> Any:
    """An answer, plain or tagged, as rows, where a table is asked about and a frame was given."""
    if not is_table(schema):
        return value
    if isinstance(value, Mapping) and TAG in value:
        value = from_json(value)
    if not (hasattr(value, "columns") and hasattr(value, "iloc")):
        return value
    names = [str(label) for label in value.columns]
    if len(set(names)) < len(names):
        raise InvalidRequest("the answer has two columns of one name")
    return [dict(zip(names, row, strict=True)) for row in rows_of(value, list(value.columns))]


def rows_of(table: Any, labels: Sequence[Any]) -> list[list[JSON]]:
    """The cells of a table as plain JSON, row by row."""
    if hasattr(table, "iloc"):
        cells = (table.iloc[:, place].tolist() for place in range(len(labels)))
        return [[_cell(cell) for cell in row] for row in zip(*cells, strict=True)]
    rows = []
    for row in table:
        if not isinstance(row, Mapping):
            raise StateError(f"a row of a table is a mapping, not {type(row).__name__}")
        named = {str(name): value for name, value in row.items()}
        rows.append([_cell(named.get(str(label))) for label in labels])
    return rows


def _labels(table: Any, is_frame: bool) -> list[Any]:
    if is_frame:
        return list(table.columns)
    if not isinstance(table, (list, tuple)) or not all(isinstance(row, Mapping) for row in table):
        raise InvalidRequest(f"a table is a DataFrame, or a list of mappings, not {type(table).__name__}")
    return list(dict.fromkeys(name for row in table for name in row))


def _schema_of(kind: Mapping[str, JSON]) -> dict[str, JSON]:
    if kind["kind"] == "choice":
        return {"enum": [*kind["options"], None]}
    types = {"boolean": "boolean", "integer": "integer", "number": "number", "text": "string", "datetime": "string"}
    name = types.get(kind["kind"])
    if name is None:
        return {}
    schema: dict[str, JSON] = {"type": [name, "null"] if kind["nullable"] else name}
    if kind["kind"] == "datetime":
        schema["pattern"] = _MOMENT
    return schema


def _cell(value: Any) -> JSON:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return None if value != value else value  # noqa: PLR0124 - NaN is missing, as tables have it
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if isinstance(value, datetime) and value.tzinfo is None and value.time() == _MIDNIGHT:
        return value.date().isoformat()
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "shape", None) == ():
        return _cell(item())
    return plain(value)
